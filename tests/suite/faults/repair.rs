//! Artifacts and records that somebody or the disk has changed: noticed and
//! mended by the next run, found and dropped by `store verify`; and a collection
//! beside a running build.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, SystemTime};

use super::chain::{Chain, entries};
use crate::support::puppet::{Puppet, Stage};
use crate::support::sandbox::{MIKADO, Sandbox};

/// Writes a file of the store, whatever its mode, with its old size, mode and
/// time, as far as a disk that rots would leave them.
fn rot(path: &Path, text: &[u8]) {
    let meta = path.metadata().expect("a file");
    let mode =
        |mode: u32| fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("a mode");
    mode(0o644);
    fs::write(path, text).expect("a file");
    mode(meta.mode() & 0o7777);
    let file = fs::File::open(path).expect("a file");
    file.set_modified(meta.modified().expect("a time"))
        .expect("a time");
}

#[test]
fn an_artifact_that_was_changed_in_any_way_is_right_after_the_next_run() {
    let chain = Chain::new(3);
    drop(chain.run().exits(0));
    // What is done, and the file that the reason names.
    type Change = (&'static str, &'static str, fn(&Path));
    let changes: &[Change] = &[
        ("same size and time", "version", |tree| {
            rot(&tree.join("version"), b"9\n")
        }),
        ("another text", "sum", |tree| {
            rot(&tree.join("sum"), b"short")
        }),
        ("a new file", "new", |tree| {
            fs::write(tree.join("new"), "x").expect("a file")
        }),
        ("a file less", "run", |tree| {
            fs::remove_file(tree.join("run")).expect("a file")
        }),
        ("another mode", "sum", |tree| {
            fs::set_permissions(tree.join("sum"), fs::Permissions::from_mode(0o755))
                .expect("a mode");
        }),
        ("another link", "link", |tree| {
            fs::remove_file(tree.join("link")).expect("a link");
            symlink("run", tree.join("link")).expect("a link");
        }),
        ("a folder less", "empty", |tree| {
            fs::remove_dir(tree.join("empty")).expect("a folder")
        }),
        ("no tree", "", |tree| {
            fs::remove_dir_all(tree).expect("a tree")
        }),
        ("a file instead of the tree", "", |tree| {
            fs::remove_dir_all(tree).expect("a tree");
            fs::write(tree, "x").expect("a file");
        }),
    ];
    for (what, file, change) in changes {
        let tree = chain
            .sandbox
            .path(".mikado/artifacts/c01")
            .canonicalize()
            .expect("an artifact");
        change(&tree);
        let ran = chain.run();
        assert_eq!(ran.code(), 0, "{what}\n{}", ran.all());
        chain.assert_right(what);
        let reason = match *file {
            "" => "its last result is not in the store".to_owned(),
            file => format!("its artifact was changed by hand: `{file}`"),
        };
        assert!(ran.all().contains(&reason), "{what}: {}", ran.all());
        let built = ran
            .json_lines()
            .iter()
            .filter(|event| event["how"] == "built")
            .count();
        assert_eq!(built, 1, "{what}: the others are as they were");
        assert!(
            chain.run().all().matches("\"fresh\"").count() == 3,
            "{what}"
        );
    }
    chain.assert_tidy("at the end");
}

#[test]
fn a_link_that_was_replaced_is_a_link_again() {
    let chain = Chain::new(2);
    drop(chain.run().exits(0));
    let link = chain.sandbox.path(".mikado/artifacts/c01");
    let replace: [fn(&Path); 4] = [
        |link| symlink("/nowhere", link).expect("a link"),
        |link| fs::write(link, "mine").expect("a file"),
        |link| fs::create_dir(link).expect("a folder"),
        |link| {
            fs::create_dir_all(link.join("a/b")).expect("a folder");
            fs::write(link.join("a/b/c"), "x").expect("a file");
        },
    ];
    for (number, replace) in replace.iter().enumerate() {
        fs::remove_file(&link).expect("a link");
        replace(&link);
        drop(chain.run().exits(0).says("restored"));
        chain.assert_right(&format!("replacement {number}"));
    }
}

#[test]
fn verify_finds_what_rotted_and_drops_what_depends_on_it() {
    let chain = Chain::new(4);
    drop(chain.run().exits(0));
    chain
        .sandbox
        .mikado("store verify")
        .exits(0)
        .says("read 4 sound artifacts with");
    let tree = chain
        .sandbox
        .path(".mikado/artifacts/c02")
        .canonicalize()
        .expect("an artifact");
    rot(&tree.join("version"), b"8\n");
    // A record as well: one byte in the middle of the segment.
    let segment = entries(&chain.sandbox.path(".mikado/segments"))
        .pop()
        .expect("a segment");
    let mut bytes = fs::read(&segment).expect("a segment");
    let at = bytes.len() / 2;
    bytes[at] ^= 4;
    fs::write(&segment, bytes).expect("a segment");
    chain
        .sandbox
        .mikado("store verify")
        .exits(4)
        .says("damaged: artifact")
        .says("  version\n")
        .says("dropped what is damaged");
    chain
        .sandbox
        .mikado("store verify")
        .exits(0)
        .says("read 3 sound artifacts with");
    drop(chain.run().exits(0));
    chain.assert_right("after the damage");
    chain
        .sandbox
        .mikado("store verify")
        .exits(0)
        .says("read 4 sound artifacts with");
}

#[test]
fn a_collection_beside_a_run_takes_nothing_that_it_needs() {
    let puppet = Puppet::new();
    let step = puppet.step("held");
    let sandbox = Sandbox::new()
        .runner("made", "inputs: []\nsteps: ['echo made > \"$OUT/text\"']")
        .runner("other", "inputs: []\nsteps: ['echo other > \"$OUT/text\"']")
        .runner("user", &format!("isolation: none\ninputs: []\nsteps: ['({step}) && cp \"$REQUIRES/made/text\" \"$OUT\"']"))
        .card("made", "status: active\nrunner: made")
        .card("other", "status: active\nrunner: other")
        .card("user", "status: active\nrequires: [made]\nrunner: user");
    sandbox.mikado("run made other").exits(0).says("2 executed");
    // Long ago, and nobody remembers it: nothing but its use now protects it.
    fs::remove_file(sandbox.path(".mikado/records.jsonl")).expect("records");
    let long_ago = SystemTime::now() - Duration::from_secs(100 * 24 * 3600);
    for note in entries(&sandbox.path(".mikado/trees/.used")) {
        let note = fs::File::options().append(true).open(note).expect("a note");
        note.set_modified(long_ago).expect("a time");
    }
    let mut run = sandbox.command(MIKADO);
    let mut run = run
        .args(["run", "user"])
        .stdout(Stdio::null())
        .spawn()
        .expect("a started program");
    let held = puppet.wait_for("held");
    sandbox
        .mikado("store gc --max-size 0 --format json")
        .exits(0)
        .says("\"trees\":1,");
    held.release(Stage::Passes);
    assert!(run.wait().expect("its end").success());
    assert_eq!(sandbox.read(".mikado/artifacts/user/text"), "made\n");
    // What went is made again.
    sandbox.mikado("run --all").exits(0).says("Built other");
}
