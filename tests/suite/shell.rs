//! `mikado shell`: the place of a failure, and how it is left.

use std::process::Command;

use crate::support::sandbox::{MIKADO, Sandbox};

/// A build that fails in its second step, having made half of its output.
const HALF: &str = r#"
inputs: [{ paths: [a.txt] }]
with: { title: T }
steps:
  - { name: lay, run: 'echo half > "$OUT/half"; cp a.txt copy.txt' }
  - { name: count, run: 'wc -c < copy.txt; cat missing.txt; echo never' }
"#;

fn half() -> Sandbox {
    Sandbox::new()
        .file("a.txt", "text\n")
        .file("b.txt", "no input\n")
        .runner("half", HALF)
        .card("made", "status: active\nrunner: half")
}

#[test]
fn a_failure_is_opened_as_it_was_left() {
    let sandbox = half();
    sandbox
        .mikado("run made")
        .exits(1)
        .says("\n  shell: mikado shell made\n");
    sandbox
        .mikado("shell made -- bash -c 'cat \"$OUT/half\" && ls && echo $WITH_TITLE && exit 7'")
        .exits(7)
        .prints("half\na.txt\ncopy.txt\nT\n");
    let again = sandbox.mikado("shell made -- step 2").exits(1);
    assert!(again.stdout().starts_with("5\n"), "{}", again.all());
    again.says("missing.txt");
    sandbox
        .mikado("shell made -- step")
        .exits(0)
        .prints("step 1: lay\nstep 2: count\n");
}

#[test]
fn a_success_takes_the_folder_of_the_failure_away() {
    let sandbox = half();
    sandbox.mikado("run made").exits(1);
    let stats = |sandbox: &Sandbox| {
        sandbox.mikado("store stats --format json").json()["failedDisk"].clone()
    };
    assert_ne!(stats(&sandbox), 0);
    sandbox.edit("runners/half.yaml", "cat missing.txt; ", "");
    sandbox.mikado("run made").exits(0);
    assert_eq!(stats(&sandbox), 0);
    // And the shell has today's inputs.
    sandbox
        .mikado("shell made -- ls")
        .exits(0)
        .prints("a.txt\n");
}

#[test]
fn nothing_that_is_changed_in_a_shell_reaches_the_store() {
    let sandbox = half();
    sandbox.edit("runners/half.yaml", "cat missing.txt; ", "");
    sandbox.mikado("run made").exits(0);
    sandbox
        .mikado("shell made -- bash -c 'echo changed | tee a.txt \"$OUT/half\"'")
        .exits(0);
    assert_eq!(sandbox.read("a.txt"), "text\n");
    assert_eq!(sandbox.read(".mikado/artifacts/made/half"), "half\n");
    sandbox.mikado("run made").exits(0).says("Fresh made");
    sandbox.mikado("store verify").exits(0);
}

#[test]
fn a_shell_has_the_environment_of_the_steps_and_is_confined_like_them() {
    let runner = "inputs: [{ paths: [a.txt] }]\nenv: { X: y }\nsteps: [{ run: 'env | grep -v -e ^_= -e ^SHLVL= | sort > \"$OUT/env\"' }]\n";
    let sandbox = half()
        .runner("env", runner)
        .card("env", "status: active\nrunner: env");
    sandbox.mikado("run env").exits(0);
    let without_root = |text: &str| -> Vec<String> {
        let root = |line: &str| match line.split_once("/.mikado/") {
            Some((_, rest)) => {
                let rest = rest
                    .split('/')
                    .skip_while(|part| *part != "root" && !part.starts_with("action-"));
                let name = line.split('=').next().unwrap_or_default().to_owned();
                format!("{name}={}", rest.skip(1).collect::<Vec<_>>().join("/"))
            }
            None => line.to_owned(),
        };
        text.lines()
            .filter(|line| !line.starts_with("OLDPWD="))
            .map(root)
            .collect()
    };
    let step = without_root(&sandbox.read(".mikado/artifacts/env/env"));
    let shell = sandbox
        .mikado("shell env -- bash -c 'env | grep -v -e ^_= -e ^SHLVL= | sort'")
        .exits(0);
    assert_eq!(without_root(&shell.stdout()), step);
    sandbox
        .mikado(&format!(
            "shell env -- cat {}",
            sandbox.path("b.txt").display()
        ))
        .exits(1)
        .says("b.txt: ");
}

#[test]
fn what_a_root_lacks_is_named_with_the_card_to_run() {
    let sandbox = half().card("after", "status: active\nrequires: [made]\nrunner: half");
    sandbox.mikado("shell after").exits(2).warns(
        "error: the artifact of `made` is not in the store\nhelp: make it first: mikado run made\n",
    );
    sandbox
        .card("prose", "status: active")
        .mikado("shell prose")
        .exits(2)
        .says("`prose` has no runner");
}

#[test]
fn a_command_is_opened_in_the_repository_with_the_users_environment() {
    let runner =
        "with: { to: world }\nsteps: [{ name: greet, run: 'echo \"hello $WITH_TO\"; exit 3' }]\n";
    let sandbox = half()
        .runner("greet", runner)
        .card("greeting", "status: active\nrunner: greet")
        .env("MINE", "own");
    sandbox
        .mikado("shell greeting -- step 1")
        .exits(3)
        .prints("hello world\n");
    let line = "shell greeting --with to=you -- bash -c 'echo $CARD $MINE $WITH_TO; ls'";
    let ran = sandbox.mikado(line).exits(0);
    assert_eq!(
        ran.stdout(),
        "greeting own you\na.txt\nb.txt\ncards\nrunners\n"
    );
}

#[test]
fn the_line_that_a_failure_prints_works_when_it_is_pasted() {
    let sandbox = half()
        .file("elsewhere/x.txt", "x")
        .card("other", "status: active\nrunner: half");
    let run = format!(
        "-C {} run made other -k --with 'made:title=a b' --with other:title=c",
        sandbox.root().display()
    );
    let mut mikado = sandbox.command(MIKADO);
    mikado.current_dir("/").args([
        "-C",
        &sandbox.root().display().to_string(),
        "run",
        "made",
        "other",
        "-k",
    ]);
    mikado.args(["--with", "made:title=a b", "--with", "other:title=c"]);
    let failed = sandbox.run(mikado, &run).exits(1).stdout();
    let line = failed
        .lines()
        .find_map(|line| line.strip_prefix("  shell: mikado shell made"));
    let line = line
        .unwrap_or_else(|| panic!("{failed}"))
        .replace("[ROOT]", &sandbox.root().display().to_string());
    assert!(!line.contains("other"), "{line}");
    let mut pasted = sandbox.command("bash");
    pasted.current_dir("/").arg("-c");
    pasted.arg(format!("{MIKADO} shell made{line} -- printenv WITH_TITLE"));
    sandbox.run(pasted, "pasted").exits(0).prints("a b\n");
}

#[test]
fn text_on_standard_input_is_run_where_there_is_no_terminal() {
    let sandbox = half();
    let mut shell = sandbox.command(MIKADO);
    let script = sandbox.path("script");
    sandbox.write("script", "step 1\ncat \"$OUT/half\"\nexit 4\n");
    shell
        .args(["shell", "made"])
        .stdin(std::fs::File::open(script).expect("a script"));
    sandbox
        .run(shell, "shell made < script")
        .exits(4)
        .prints("half\n");
}

#[test]
fn folders_of_shells_that_are_over_are_deleted() {
    let sandbox = half();
    for _ in 0..3 {
        sandbox.mikado("shell made -- true").exits(0);
    }
    let left = std::fs::read_dir(sandbox.path(".mikado/tmp"))
        .expect("tmp")
        .count();
    assert_eq!(left, 1, "the last one's, until something is executed");
    sandbox.mikado("run made").exits(1);
    let left = std::fs::read_dir(sandbox.path(".mikado/tmp"))
        .expect("tmp")
        .count();
    assert_eq!(left, 0);
}

/// Types into a shell on a terminal, each line after what it waits for.
const TERMINAL: &str = r#"
import os, pty, select, sys, time
pid, fd = pty.fork()
if pid == 0:
    os.execv(sys.argv[1], sys.argv[1:2] + ["shell", "made"])
seen = b""
def until(text):
    global seen
    end = time.monotonic() + 60
    while text not in seen:
        if time.monotonic() > end:
            sys.exit("no %r in %r" % (text, seen))
        if select.select([fd], [], [], 1)[0]:
            seen += os.read(fd, 4096)
    seen = seen[seen.index(text) + len(text):]
def say(text):
    os.write(fd, text)
prompt = b"mikado made:work"
until(b"this is what it left")
until(prompt)
say(b"cat \"$OUT/half\"\n"); until(b"half\r\n"); until(prompt)
# A foreground job is stopped, listed, brought back and interrupted; the shell stays.
say(b"echo on; cat\n"); until(b"on\r\n"); say(b"typed\n"); until(b"typed\r\n"); until(b"typed\r\n")
say(b"\x1a"); until(b"Stopped"); until(prompt)
say(b"jobs\n"); until(b"Stopped"); until(prompt)
say(b"fg\n"); until(b"cat\r\n"); say(b"more\n"); until(b"more\r\n"); until(b"more\r\n")
say(b"\x03"); until(prompt)
say(b"exit 9\n")
while True:
    try:
        if not os.read(fd, 4096):
            break
    except OSError:
        break
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"#;

#[test]
fn a_shell_on_a_terminal_has_jobs_and_its_own_exit_code() {
    let sandbox = half();
    sandbox.mikado("run made").exits(1);
    let mut python = Command::new("python3");
    python
        .args(["-c", TERMINAL, MIKADO])
        .current_dir(sandbox.root())
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", sandbox.home())
        .env("TERM", "dumb")
        .stdin(std::process::Stdio::null());
    sandbox.run(python, "shell made on a terminal").exits(9);
}
