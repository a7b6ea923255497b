//! Disks that are full, read-only, somebody else's or elsewhere; too few files;
//! odd paths; odd clocks; a newer store. Each a clear error or a right result,
//! and afterwards a plain run ends right.
//!
//! Small and read-only disks are mounted in a mount namespace (`unshare`).

use std::fs::{self, File};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};

use super::chain::{Chain, Entry, entries, write_entry};
use crate::support::sandbox::{MIKADO, Ran, Sandbox};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// Runs a script of bash in the repository, in which it may mount. `$0` is the
/// program.
fn in_mount_namespace(sandbox: &Sandbox, script: &str) -> Ran {
    let user: &[&str] = if rustix::process::geteuid().is_root() {
        &["-m"]
    } else {
        &["-rm"]
    };
    let mut probe = Command::new("unshare");
    let can = probe
        .args(user)
        .args(["mount", "-t", "tmpfs", "tmpfs", "/mnt"])
        .output();
    assert!(
        can.as_ref().is_ok_and(|can| can.status.success()),
        "no small disk can be mounted here ({can:?}): install util-linux, and run the tests as root \
         or allow user namespaces (`sysctl kernel.unprivileged_userns_clone=1`)"
    );
    let mut command = sandbox.command("unshare");
    command.args(user).args(["bash", "-c", script, MIKADO]);
    sandbox.run(command, script)
}

#[test]
fn a_full_disk_is_told_and_nothing_wrong_is_left_on_it() {
    let (mut full, mut fitted) = (0, 0);
    for size in [
        "48k", "64k", "96k", "128k", "192k", "256k", "320k", "400k", "512k", "768k", "1m", "2m",
    ] {
        let chain = Chain::new(8);
        fs::create_dir_all(chain.sandbox.path(".mikado")).expect("a folder");
        let script = format!(
            "mount -t tmpfs -o size={size} tmpfs .mikado || exit 90
             \"$0\" run --all > first 2>&1; echo $? > code
             mount -o remount,size=100m .mikado || exit 91
             \"$0\" run --all > second 2>&1; echo $? >> code
             \"$0\" store verify >> second 2>&1; echo $? >> code
             cp -a .mikado kept"
        );
        drop(in_mount_namespace(&chain.sandbox, &script).exits(0));
        let context = format!(
            "{size}\n{}\nthen\n{}",
            chain.sandbox.read("first"),
            chain.sandbox.read("second")
        );
        let codes = chain.sandbox.read("code");
        let mut codes = codes.lines();
        match codes.next() {
            Some("0") => fitted += 1,
            Some("1" | "4") => {
                full += 1;
                let told = chain.sandbox.read("first");
                assert!(told.contains("No space left on device"), "{context}");
                assert!(told.contains("free some space"), "{context}");
            }
            other => panic!("{other:?} {context}"),
        }
        assert_eq!(codes.collect::<Vec<_>>(), ["0", "0"], "{context}");
        fs::remove_dir(chain.sandbox.path(".mikado")).expect("an empty folder");
        fs::rename(chain.sandbox.path("kept"), chain.sandbox.path(".mikado")).expect("the store");
        chain.assert_right(&context);
        chain.assert_complete(&context);
        chain.assert_tidy(&context);
    }
    report!("small disks: {full} full, {fitted} large enough, 0 wrong artifacts");
    assert!(full > 3 && fitted > 0);
}

#[test]
fn a_store_that_can_only_be_read_gives_what_it_has_and_refuses_the_rest() {
    let chain = Chain::new(3);
    let store = chain.sandbox.home().join("store");
    let run = format!("run --all --store {}", store.display());
    drop(chain.sandbox.mikado(&run).exits(0));
    let script = format!(
        "mount --bind {0} {0} && mount -o remount,bind,ro {0} || exit 90
         \"$0\" {run}; echo \"first: $?\"
         echo changed > src/c01/text
         \"$0\" {run}; echo \"second: $?\"",
        store.display()
    );
    in_mount_namespace(&chain.sandbox, &script)
        .exits(0)
        .says("    Fresh c02\n")
        .says("first: 0")
        .says("can only be read")
        .says("make it writable for this user, or choose another with `--store DIR`")
        .says("second: 4");
    drop(chain.sandbox.mikado(&run).exits(0));
}

#[test]
fn a_repository_that_can_only_be_read_is_told_as_such() {
    let chain = Chain::new(2);
    let script = "mount --bind . . && mount -o remount,bind,ro . && cd . || exit 90
         cd \"$PWD\"; \"$0\" list > /dev/null; echo \"list: $?\"
         \"$0\" run --all; echo \"run: $?\"";
    in_mount_namespace(&chain.sandbox, script)
        .exits(0)
        .says("list: 0")
        .says("Read-only file system")
        .says("make the folder writable for this user")
        .says("run: 4");
    drop(chain.run().exits(0));
    chain.assert_right("afterwards");
}

/// Runs the program as nobody, where this is root; else as who this is.
fn as_nobody(sandbox: &Sandbox, arguments: &[&str]) -> Option<Ran> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let program = sandbox.root().parent().expect("a folder").join("mikado");
    assert!(
        Command::new("cp")
            .arg(MIKADO)
            .arg(&program)
            .status()
            .expect("cp")
            .success()
    );
    let place = sandbox.root().parent().expect("a folder").to_owned();
    let open = Command::new("chmod")
        .arg("a+rx")
        .arg(place)
        .status()
        .expect("chmod");
    assert!(open.success());
    let mut command = sandbox.command("setpriv");
    command
        .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
        .arg(program)
        .args(arguments);
    Some(sandbox.run(command, &arguments.join(" ")))
}

#[test]
fn folders_of_somebody_else_are_told_of_with_what_to_do() {
    let chain = Chain::new(2);
    if let Some(ran) = as_nobody(&chain.sandbox, &["run", "--all"]) {
        drop(
            ran.exits(4)
                .says("Permission denied")
                .says("make the folder writable for this user"),
        );
    }
    drop(chain.run().exits(0));
    // What is there may be used by others, who can't write it.
    if let Some(ran) = as_nobody(&chain.sandbox, &["run", "--all"]) {
        drop(ran.exits(0).says("Fresh c01"));
    }
    chain.sandbox.write("src/c01/text", "changed\n");
    if let Some(ran) = as_nobody(&chain.sandbox, &["run", "--all"]) {
        drop(ran.exits(4).says("can only be read"));
    }
    // A card that can't be written: the work is kept, the card stays open.
    let chain = Chain::new(1);
    let owned = Command::new("chown")
        .args(["-R", "65534"])
        .arg(chain.sandbox.root())
        .status();
    assert!(owned.expect("chown").success() || !rustix::process::geteuid().is_root());
    let cards = chain.sandbox.path("cards");
    let to_root = Command::new("chown")
        .args(["-R", "0:0"])
        .arg(&cards)
        .status();
    assert!(to_root.expect("chown").success() || !rustix::process::geteuid().is_root());
    if let Some(ran) = as_nobody(&chain.sandbox, &["run", "--all"]) {
        drop(ran.exits(4).says("Permission denied").says("cards"));
        drop(
            as_nobody(&chain.sandbox, &["run", "--all", "--no-mark"])
                .expect("a run")
                .exits(0)
                .says("Fresh c00"),
        );
    }
}

#[test]
fn few_open_files_are_enough_or_told_of() {
    let mut enough = 0;
    for limit in [12, 16, 20, 24, 32, 48, 64] {
        let chain = Chain::new(20);
        let mut command = chain.sandbox.command("bash");
        let script = format!("ulimit -n {limit}; exec \"$0\" run --all --jobs 8");
        command.args(["-c", &script, MIKADO]);
        let ran = chain.sandbox.run(command, &script);
        let context = format!("{limit} files\n{}", ran.all());
        match ran.code() {
            0 => enough += 1,
            // The keeper, a step and the store each say it in their words.
            1 | 4 | 70 => assert!(ran.all().contains("open files"), "{context}"),
            code => panic!("exit {code} with {context}"),
        }
        assert!(limit < 64 || ran.code() == 0, "64 are enough: {context}");
        drop(chain.run().exits(0));
        chain.assert_right(&context);
        chain.assert_tidy(&context);
    }
    assert!(enough > 0);
}

#[test]
fn a_store_may_have_an_odd_path_or_another_disk() {
    let shm = Path::new("/dev/shm");
    assert!(shm.is_dir(), "/dev/shm is missing: mount a tmpfs there");
    let far = tempfile::tempdir_in(shm).expect("a folder in /dev/shm");
    let near = tempfile::tempdir().expect("a folder");
    for folder in [far.path(), near.path()] {
        let chain = Chain::new(8);
        let store = folder.join("a 'store' of \u{e4}\u{1f600}\n\"x\" $HOME");
        let chain = Chain {
            sandbox: chain.sandbox.store(&store),
            ..chain
        };
        drop(chain.run().exits(0));
        chain.assert_right("an odd store");
        assert!(store.join("trees").is_dir() && !chain.sandbox.path(".mikado/trees").exists());
        assert!(chain.run().all().matches("\"fresh\"").count() == 8);
        drop(
            chain
                .sandbox
                .mikado("artifact export c03 -o exported")
                .exits(0),
        );
        drop(chain.sandbox.mikado("store verify").exits(0));
        chain.assert_tidy("an odd store");
        assert_eq!(
            entries(&store.join("tmp")),
            Vec::<std::path::PathBuf>::new()
        );
    }
}

#[test]
fn files_from_the_future_and_a_clock_that_was_put_back_do_no_harm() {
    let mut chain = Chain::new(4);
    let tomorrow = SystemTime::now() + DAY;
    let set = |path: &Path, time: SystemTime| {
        let file = File::options().read(true).open(path).expect("a file");
        file.set_modified(time).expect("a time");
    };
    let text = |chain: &mut Chain, text: &str, time: SystemTime| {
        let entry = Entry::text(text);
        let path = chain.inputs_of(1).join("text");
        write_entry(&path, &entry);
        set(&path, time);
        chain.nodes[1].inputs.insert("text".into(), entry);
    };
    // Written while the clock was a day ahead, then again after it was put back,
    // with the same size; and at the same time as before.
    for (number, time) in [
        tomorrow,
        SystemTime::now(),
        tomorrow,
        tomorrow,
        SystemTime::now() - DAY,
    ]
    .into_iter()
    .enumerate()
    {
        text(&mut chain, &format!("text {number}\n"), time);
        drop(chain.run().exits(0));
        chain.assert_right(&format!("edit {number}"));
        // All that the store has noted is from the future, too.
        for folder in ["trees/.used", "trees", "segments", "locks", "caches"] {
            for path in entries(&chain.sandbox.path(&format!(".mikado/{folder}"))) {
                if path.file_name().is_some_and(|name| name != ".used") {
                    set(&path, tomorrow);
                }
            }
        }
        set(&chain.sandbox.path(".mikado/records.jsonl"), tomorrow);
    }
    // A collection goes by the notes of use, and takes nothing that is needed.
    drop(chain.sandbox.mikado("store gc --max-age 1s").exits(0));
    assert!(chain.run().exits(0).all().matches("\"fresh\"").count() == 4);
    drop(chain.sandbox.mikado("store verify").exits(0));
}

#[test]
fn a_store_of_a_newer_version_is_refused_and_left_alone() {
    let chain = Chain::new(2);
    drop(chain.run().exits(0));
    chain.sandbox.write(".mikado/format", "99\n");
    for command in [
        "run --all",
        "plan --all",
        "store stats",
        "store gc",
        "store verify",
    ] {
        chain
            .sandbox
            .mikado(command)
            .exits(4)
            .says("has format 99, and this mikado knows formats up to 1")
            .says(
                "use the mikado that wrote it, or another store with `--store DIR` or MIKADO_STORE",
            )
            .exits(4);
    }
    assert_eq!(chain.sandbox.read(".mikado/format"), "99\n");
    chain.sandbox.write(".mikado/format", "1\n");
    assert!(chain.run().exits(0).all().matches("\"fresh\"").count() == 2);
}
