//! A run of the same words as before: nothing to do is told from the index, and
//! whatever counts is noticed.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use crate::support::sandbox::{Sandbox, program};

/// Three builds: `b` uses `a` and takes what matches a pattern, `c` is alone.
fn sandbox() -> Sandbox {
    let copy =
        "inputs: [{ paths: ['in/a.txt'] }]\nkey-env: [FLAVOUR]\nsteps: ['cat in/a.txt > $OUT/a']";
    let many = "inputs: [{ paths: ['many/**'] }, { paths: [maybe.txt], optional: true }]\nsteps: ['cat $(find many -type f | sort) $REQUIRES/a/a > $OUT/b; sh $RUNNER/x.sh']";
    let alone = "inputs: []\nsteps: ['echo c > $OUT/c']\nverify: [{ name: told, run: 'echo seen', show: true }]";
    Sandbox::new()
        .file("in/a.txt", "a\n")
        .file("many/1.txt", "1\n")
        .runner("copy", copy)
        .runner("many", many)
        .file("runners/many/x.sh", "true\n")
        .runner("alone", alone)
        .card("a", "status: active\nrunner: copy")
        .card("b", "status: active\nrequires: [a]\nrunner: many")
        .card("c", "status: active\nrunner: alone")
        .card("page", "")
        .committed()
}

/// Takes away what is looked up where an index is not enough: then a card that is
/// not known from it is executed again.
fn without_records(sandbox: &Sandbox) {
    fs::remove_dir_all(sandbox.path(".mikado/segments")).expect("segments");
}

/// Runs until an index is there: what was written just before a run is trusted by
/// the one after it, and on older kernels by the next.
fn settle(sandbox: &Sandbox, words: &str) {
    for _ in 0..2 {
        sandbox.mikado(words).exits(0).says("up to date");
    }
}

#[test]
fn nothing_to_do_is_told_without_a_look_into_the_store() {
    let sandbox = sandbox();
    let first = sandbox.mikado("run b c").exits(0);
    first.says("3 executed").says("seen");
    settle(&sandbox, "run b c");
    without_records(&sandbox);
    let again = sandbox.mikado("run b c").exits(0);
    again
        .says("    Fresh a\n    Fresh b\n    Fresh c\n")
        .says("3 cards: 3 up to date in")
        .says("\nc: told\nseen");
    // Other words are another run.
    sandbox.mikado("run b").exits(0).says("2 executed");
    settle(&sandbox, "run b");
    without_records(&sandbox);
    sandbox.mikado("run b").exits(0).says("2 up to date");
    sandbox.mikado("run b --jobs 1").exits(0).says("2 executed");
}

#[test]
fn what_differs_concerns_its_card_and_what_comes_after_it() {
    let sandbox = sandbox();
    sandbox.mikado("run b c").exits(0).says("3 executed");
    settle(&sandbox, "run b c");
    sandbox.write("in/a.txt", "other\n");
    let ran = sandbox.mikado("run b c").exits(0);
    ran.says("    Fresh c\n")
        .says("Running a (in/a.txt changed)")
        .says("Running b (artifact of `a` changed)")
        .says("3 cards: 2 executed, 1 up to date")
        .says("c: told\nseen");
    let made = sandbox.read(".mikado/artifacts/b/b");
    assert_eq!(made, "1\nother\n");
    settle(&sandbox, "run b c");
    without_records(&sandbox);
    sandbox.mikado("run b c").exits(0).says("3 up to date");
}

#[test]
fn a_failure_is_no_less_one_where_only_some_cards_are_looked_at() {
    let sandbox = sandbox();
    sandbox.mikado("run b c").exits(0);
    settle(&sandbox, "run b c");
    fs::remove_file(sandbox.path("in/a.txt")).expect("an input");
    let ran = sandbox.mikado("run b c").exits(1);
    ran.says("in/a.txt").says("1 not started");
    sandbox.mikado("run b c").exits(1).says("in/a.txt");
    sandbox.write("in/a.txt", "a\n");
    sandbox.mikado("run b c").exits(0).says("3 up to date");
}

#[test]
fn whatever_counts_is_noticed() {
    type Change = (&'static str, fn(&Sandbox));
    let changes: &[Change] = &[
        ("an input", |s| s.write("in/a.txt", "b\n")),
        ("its size alone stays", |s| s.write("in/a.txt", "c\n")),
        ("an exec bit", |s| chmod(s, "in/a.txt", 0o755)),
        ("a file that a pattern matches", |s| {
            s.write("many/2.txt", "2\n")
        }),
        ("a file in a new folder", |s| {
            s.write("many/deep/3.txt", "3\n")
        }),
        ("an optional input", |s| s.write("maybe.txt", "m\n")),
        ("an ignore file", |s| s.write("many/.gitignore", "2.txt\n")),
        ("an ignore file above", |s| {
            s.write(".gitignore", "1.txt\n.mikado\n")
        }),
        ("a runner", |s| {
            let text = s.read("runners/many.yaml");
            s.write("runners/many.yaml", &text.replace("sh $", "bash $"));
        }),
        ("a script of a runner", |s| {
            s.write("runners/many/x.sh", ":\n")
        }),
        ("a file beside it", |s| s.write("runners/many/y.sh", ":\n")),
        ("a parameter for all", |s| {
            s.write("mikado.yaml", "complete: set\n")
        }),
        ("a card", |s| {
            s.write(
                "cards/a.md",
                "---\nstatus: complete\nrunner: copy\n---\n# A\n",
            );
        }),
        ("an artifact", |s| {
            chmod(s, ".mikado/artifacts/b/b", 0o644);
            s.write(".mikado/artifacts/b/b", "wrong\n");
        }),
        ("a file in an artifact", |s| {
            s.write(".mikado/artifacts/b/new", "wrong\n");
        }),
        ("a link to an artifact", |s| {
            fs::remove_file(s.path(".mikado/artifacts/b")).expect("a link");
            symlink("../trees", s.path(".mikado/artifacts/b")).expect("a link");
        }),
        ("a card that is new", |s| {
            s.write("cards/deep/d.md", "---\nrequires: [\n---\n")
        }),
    ];
    let sandbox = sandbox();
    for (what, change) in changes {
        sandbox.mikado("run b").exits(0);
        settle(&sandbox, "run b");
        change(&sandbox);
        without_records(&sandbox);
        // Without the records nothing is found but by the index.
        let ran = sandbox.mikado("run b");
        assert!(ran.all().contains(" executed"), "{what}: {}", ran.all());
    }
}

fn chmod(sandbox: &Sandbox, path: &str, mode: u32) {
    fs::set_permissions(sandbox.path(path), fs::Permissions::from_mode(mode)).expect("a mode");
}

#[test]
fn variables_that_runners_read_are_noticed() {
    let sandbox = sandbox();
    let with = |value: &str, words: &str| {
        let mut command = sandbox.command(program());
        command.args(words.split(' ')).env("FLAVOUR", value);
        let out = command.output().expect("it runs");
        String::from_utf8_lossy(&out.stdout).into_owned()
    };
    for flavour in ["sweet", "sour"] {
        let first = with(flavour, "run a");
        assert!(first.contains("1 executed"), "{first}");
        let again = with(flavour, "run a");
        assert!(again.contains("1 up to date"), "{again}");
    }
    assert!(with("sweet", "run a").contains("1 up to date"));
}

#[test]
fn an_index_that_is_torn_or_foreign_is_none() {
    let sandbox = sandbox();
    sandbox.mikado("run b").exits(0);
    settle(&sandbox, "run b");
    let folder = sandbox.path(".mikado/index");
    let index = fs::read_dir(&folder).expect("a folder").next();
    let index = index.expect("an index").expect("an index").path();
    let whole = fs::read(&index).expect("an index");
    for length in [0, 10, 40, 70, whole.len() / 2, whole.len() - 1] {
        fs::write(&index, &whole[..length]).expect("an index");
        sandbox.mikado("run b").exits(0).says("2 up to date");
    }
    for at in [8, 41, 80, whole.len() / 2, whole.len() - 5] {
        let mut bytes = whole.clone();
        bytes[at] ^= 0xff;
        fs::write(&index, &bytes).expect("an index");
        sandbox.mikado("run b").exits(0).says("2 up to date");
    }
}

/// Where some cards are looked at, the index is made of the old one: it may not grow
/// with each such run, and what it says of artifacts must be what is there.
#[test]
fn an_index_that_is_written_in_parts_says_no_more_than_a_whole_one() {
    let same = "inputs: [{ paths: [in.txt] }]\nsteps: ['cp in.txt $OUT/x; echo y > $OUT/y']";
    let sandbox = Sandbox::new()
        .file("in.txt", "0\n")
        .runner("same", same)
        .card("a", "status: active\nrunner: same\nwith: {}")
        .card("b", "status: active\nrunner: same\nwith: {}")
        .card("c", "status: active\nrequires: [a]\nrunner: same\nwith: {}")
        .committed();
    let folder = sandbox.path(".mikado/index");
    let size = || {
        let files = fs::read_dir(&folder).expect("a folder");
        let index = files.map(|file| file.expect("a file").path());
        let index = index.filter(|path| path.extension().is_none());
        let sizes: Vec<u64> = index
            .map(|path| fs::metadata(path).expect("an index").len())
            .collect();
        assert_eq!(sizes.len(), 1);
        sizes[0]
    };
    sandbox.mikado("run --all").exits(0).says("executed");
    settle(&sandbox, "run --all");
    let whole = size();
    for number in 1..4 {
        fs::write(sandbox.path("in.txt"), format!("{number}\n")).expect("an input");
        sandbox.mikado("run --all").exits(0);
        settle(&sandbox, "run --all");
        assert_eq!(size(), whole, "after {number}");
    }
    // A link that is made again, and an artifact that is.
    fs::remove_file(sandbox.path(".mikado/artifacts/c")).expect("a link");
    sandbox.mikado("run --all").exits(0).says("up to date");
    settle(&sandbox, "run --all");
    assert_eq!(size(), whole);
    let tree = fs::canonicalize(sandbox.path(".mikado/artifacts/c")).expect("an artifact");
    chmod(&sandbox, ".mikado/artifacts/c/x", 0o644);
    fs::write(tree.join("x"), "changed").expect("a file");
    sandbox.mikado("run --all").exits(0).says("executed");
    settle(&sandbox, "run --all");
    without_records(&sandbox);
    sandbox.mikado("run --all").exits(0).says("3 up to date");
    assert_eq!(size(), whole);
}
