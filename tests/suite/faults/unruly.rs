//! Steps that do what no step should: each ends as it is specified, is told of
//! in words that help, and leaves nothing behind.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use super::chain::{entries, processes_of};
use crate::support::puppet::{Puppet, Stage};
use crate::support::sandbox::{MIKADO, Ran, Sandbox};

/// A card whose build is this script.
fn build(script: &str) -> Sandbox {
    let indented = script.replace('\n', "\n      ");
    Sandbox::new()
        .runner(
            "x",
            &format!("inputs: []\nsteps:\n  - run: |\n      {indented}\n"),
        )
        .card("x", "status: active\nrunner: x")
}

/// The same without confinement.
fn open_build(script: &str) -> Sandbox {
    let sandbox = build(script);
    let text = sandbox.read("runners/x.yaml");
    sandbox.runner("x", &format!("isolation: none\n{text}"))
}

#[track_caller]
fn assert_nothing_left(sandbox: &Sandbox) {
    assert_eq!(
        entries(&sandbox.path(".mikado/tmp")),
        Vec::<std::path::PathBuf>::new()
    );
    assert_eq!(processes_of(sandbox), Vec::<String>::new());
}

/// Runs it; it fails in these words, and the card stays open.
#[track_caller]
fn fails(sandbox: &Sandbox, words: &[&str]) {
    let ran = sandbox.mikado("run x").exits(1);
    let all = ran.all();
    for words in words {
        assert!(all.contains(words), "no {words:?} in\n{all}");
    }
    assert!(sandbox.read("cards/x.md").contains("status: active"));
    assert_nothing_left(sandbox);
}

#[track_caller]
fn passes(sandbox: &Sandbox) -> Ran {
    let ran = sandbox.mikado("run x").exits(0);
    assert!(sandbox.read("cards/x.md").contains("status: complete"));
    assert_nothing_left(sandbox);
    ran
}

#[test]
fn a_daemon_is_ended_with_its_step() {
    let sandbox = build("(setsid bash -c 'setsid sleep 5000 &' &)\necho made > \"$OUT/x\"");
    passes(&sandbox);
    assert_eq!(sandbox.read(".mikado/artifacts/x/x"), "made\n");
}

#[test]
fn a_second_interrupt_ends_what_ignores_the_first() {
    let puppet = Puppet::new();
    let sandbox = open_build(&format!(
        "trap '' TERM INT HUP\n{}",
        puppet.step("deaf").replace("exec 9", "exec 8<&0 9")
    ));
    let run = sandbox
        .command(MIKADO)
        .args(["run", "x"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("a started program");
    let held = puppet.wait_for("deaf");
    let pid = Pid::from_raw(run.id().cast_signed()).expect("a process");
    kill_process(pid, Signal::INT).expect("a signal");
    kill_process(pid, Signal::INT).expect("a signal");
    held.ends();
    let output = run.wait_with_output().expect("its end");
    // Two that come as one are one, and then the grace is waited for.
    assert_eq!(output.status.code(), Some(130));
    assert_nothing_left(&sandbox);
}

#[test]
fn a_step_may_close_its_output() {
    let sandbox = build("exec 1>&- 2>&-\nsleep 0.05\n: > \"$OUT/x\"");
    passes(&sandbox);
}

#[test]
fn a_hundred_megabytes_without_a_line_end_take_no_memory() {
    let puppet = Puppet::new();
    let sandbox = open_build(&format!(
        "head -c 100000000 /dev/zero | tr '\\0' x\n{}",
        puppet.step("done")
    ));
    let mut run = sandbox
        .command(MIKADO)
        .args(["run", "x"])
        .stdout(Stdio::null())
        .spawn()
        .expect("a started program");
    let held = puppet.wait_for("done");
    let mut most = 0;
    for process in processes_of(&sandbox) {
        let pid = process.split(':').next().expect("a process");
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let size = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        most = most.max(size.unwrap_or(0));
    }
    assert!((1..100_000).contains(&most), "{most} KiB");
    held.release(Stage::Passes);
    assert!(run.wait().expect("its end").success());
    assert_eq!(
        fs::metadata(sandbox.path(".mikado/logs/x.log"))
            .expect("a log")
            .len(),
        100_000_000
    );
    assert_nothing_left(&sandbox);
}

#[test]
fn output_that_is_no_text_is_kept_as_it_is_and_shown_as_text() {
    let sandbox = build("printf 'a\\xff\\x00b\\x1b[31m\\nlast\\xfe\\n'; exit 3");
    fails(&sandbox, &["exited with 3", "last\u{fffd}"]);
    let log = fs::read(sandbox.path(".mikado/logs/x.log")).expect("a log");
    assert_eq!(log, b"a\xff\x00b\x1b[31m\nlast\xfe\n");
}

#[test]
fn what_an_artifact_cannot_hold_is_refused_by_name() {
    let cases = [
        ("rm -r \"$OUT\"", "the steps took `$OUT` away"),
        ("rm -r \"$OUT\"; echo x > \"$OUT\"", "`$OUT`"),
        (
            "mkdir \"$OUT/deep\"; mkfifo \"$OUT/deep/pipe\"",
            ": `$OUT/deep/pipe` is a named pipe",
        ),
        (
            "python3 -c 'import socket,os; socket.socket(socket.AF_UNIX).bind(os.environ[\"OUT\"]+\"/s\")'",
            ": `$OUT/s` is a socket",
        ),
        (
            "touch \"$OUT\"/$'caf\\xe9'",
            "the name `$OUT/caf\u{fffd}` is not UTF-8",
        ),
        (
            "ln -s $'caf\\xe9' \"$OUT/link\"",
            "the text of the link `$OUT/link` is not UTF-8",
        ),
    ];
    for (script, words) in cases {
        fails(&open_build(script), &[words]);
    }
    if rustix::process::geteuid().is_root() {
        fails(
            &open_build("mknod \"$OUT/null\" c 1 3"),
            &["`$OUT/null` is a device"],
        );
    }
}

#[test]
fn folders_that_nobody_may_change_are_deleted_all_the_same() {
    let script = "mkdir -p work/a/b \"$OUT/a/b\" \"$TMPDIR/a/b\"\ntouch work/a/b/c \"$OUT/a/b/c\" \"$TMPDIR/a/b/c\"\nchmod -R a-w work/a \"$OUT/a\" \"$TMPDIR/a\"\nchmod 000 work/a/b";
    let sandbox = build(script);
    passes(&sandbox);
    assert_eq!(sandbox.read(".mikado/artifacts/x/a/b/c"), "");
    // And when it fails.
    fails(&build(&format!("{script}\nexit 1")), &["exited with 1"]);
}

#[test]
fn another_user_can_do_all_of_it() {
    if !rustix::process::geteuid().is_root() {
        // The tests above were it.
        return;
    }
    let scripts = [
        (
            "mkdir -p a/b \"$OUT/a/b\"; touch a/b/c \"$OUT/a/b/c\"; chmod -R a-w a \"$OUT/a\"; chmod 000 a/b",
            0,
        ),
        ("mkdir -p a/b; touch a/b/c; chmod 000 a/b; exit 1", 1),
        ("(setsid bash -c 'setsid sleep 5000 &' &)", 0),
    ];
    for (script, code) in scripts {
        let sandbox = build(script);
        let place = sandbox.root().parent().expect("a folder").to_owned();
        let program = place.join("mikado");
        // By `cp`: a file that this process wrote stays busy for a child of another thread.
        let ran = |command: &mut Command| assert!(command.status().expect("a program").success());
        ran(Command::new("cp").arg(MIKADO).arg(&program));
        ran(Command::new("chown")
            .args(["-R", "65534:65534"])
            .arg(&place));
        let mut command = sandbox.command("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
        command.arg(&program).args(["run", "x"]);
        drop(sandbox.run(command, "run x").exits(code));
        assert_nothing_left(&sandbox);
    }
}

#[test]
fn twenty_thousand_small_files_are_one_artifact() {
    let sandbox = build(
        "cd \"$OUT\"\nfor ((d = 0; d < 200; d++)); do mkdir $d; for ((f = 0; f < 100; f++)); do echo $d.$f > $d/$f; done; done",
    );
    passes(&sandbox);
    sandbox.mikado("run x").exits(0).says("Fresh x");
    let file = sandbox.path(".mikado/artifacts/x/77/42");
    assert_eq!(fs::read_to_string(&file).expect("a file"), "77.42\n");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).expect("a mode");
    fs::write(&file, "77.43\n").expect("a file");
    sandbox.mikado("run x").exits(0).says("Built x");
    assert_eq!(fs::read_to_string(&file).expect("a file"), "77.42\n");
}

#[test]
fn a_file_of_four_gibibytes_is_hashed_as_it_is_read() {
    let sandbox = build("truncate -s 4G \"$OUT/big\"\necho end >> \"$OUT/big\"");
    let mut command = sandbox.command("bash");
    // Of addresses, threads' stacks included: a tenth of the file.
    command.args(["-c", "ulimit -v 400000; exec \"$0\" run x", MIKADO]);
    drop(sandbox.run(command, "run x").exits(0));
    let big = sandbox.path(".mikado/artifacts/x/big");
    assert_eq!(fs::metadata(&big).expect("a file").len(), (4 << 30) + 4);
    sandbox.mikado("run x").exits(0).says("Fresh x");
    assert_nothing_left(&sandbox);
}

#[test]
fn a_step_reads_no_key_and_writes_no_file_of_the_user() {
    let user = Sandbox::new();
    let (home, repository) = (user.home(), user.root());
    fs::create_dir_all(home.join(".ssh")).expect("a folder");
    fs::write(home.join(".ssh/id"), "key").expect("a file");
    // Refused, or not even there, as the kernel can: both name the place.
    for (script, place) in [
        (format!("cat {}/.ssh/id", home.display()), ".ssh/id"),
        (format!("echo x > {}/.bashrc", home.display()), ".bashrc"),
        (format!("echo x > {}/new", repository.display()), "repo/new"),
    ] {
        fails(&build(&script), &["exited with 1", place]);
    }
    assert!(!home.join(".bashrc").exists() && !repository.join("new").exists());
}
