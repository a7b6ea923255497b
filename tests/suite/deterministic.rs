//! `run --check-deterministic`, `--replay` and `--no-caches`.

use std::collections::BTreeMap;
use std::path::Path;

use crate::support::sandbox::{Ran, Sandbox};

/// A card `b` with some steps that uses a card `a`.
fn sandbox(steps: &str) -> Sandbox {
    Sandbox::new()
        .runner(
            "a",
            "inputs: []\nsteps: ['echo making a; echo a > \"$OUT/a\"']",
        )
        .runner("b", steps)
        .card("a", "status: active\nrunner: a")
        .card("b", "status: active\nrunner: b\nrequires: [a]")
}

fn checked(steps: &str) -> (Sandbox, Ran) {
    let sandbox = sandbox(steps);
    let ran = sandbox.mikado("run b --check-deterministic");
    (sandbox, ran)
}

/// The files below a folder, with their sizes.
fn files(folder: &Path) -> BTreeMap<String, u64> {
    let mut found = BTreeMap::new();
    let mut pending = vec![folder.to_owned()];
    while let Some(folder) = pending.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder") {
            let entry = entry.expect("an entry");
            let metadata = entry.metadata().expect("metadata");
            match metadata.is_dir() {
                true => pending.push(entry.path()),
                false => drop(found.insert(entry.path().display().to_string(), metadata.len())),
            }
        }
    }
    found
}

#[test]
fn same_output_twice_passes_and_records_nothing() {
    let sandbox = sandbox(
        "inputs: []\ncaches: [c]\nsteps: ['cat \"$REQUIRES/a/a\"; test ! -e \"$CACHE/c/x\"; touch \"$CACHE/c/x\"; echo b > \"$OUT/b\"']",
    );
    sandbox
        .mikado("run b --check-deterministic")
        .exits(0)
        .prints(
            "  Running a (never run)
    Built a in [TIME]
  Running b
     Same b, executed twice in [TIME]
2 cards: 2 executed, 1 marked complete in [TIME]
",
        );
    assert!(sandbox.read("cards/b.md").contains("status: active"));
    assert!(!sandbox.path(".mikado/artifacts/b").exists());
    assert!(!sandbox.path(".mikado/logs/b.log").exists());
    assert_eq!(sandbox.read(".mikado/logs/b.deterministic.log"), "a\na\n");
    // Nothing is known of it: it is yet to be run. What it left is a log.
    let kept = |sandbox: &Sandbox| {
        let mut kept = files(&sandbox.path(".mikado/trees"));
        kept.extend(files(&sandbox.path(".mikado/segments")));
        kept.extend(files(&sandbox.path(".mikado/caches")));
        kept
    };
    let before = kept(&sandbox);
    sandbox
        .mikado("run b --check-deterministic --no-mark")
        .exits(0);
    assert_eq!(kept(&sandbox), before);
    sandbox.mikado("plan b").exits(0).says("run b (never run)");
    sandbox.mikado("run b").exits(0).says("Built b");
    // It is executed although its result is there.
    sandbox
        .mikado("run b --check-deterministic")
        .exits(0)
        .says("Same b");
}

#[test]
fn first_difference_is_shown_with_its_kind() {
    let (sandbox, ran) = checked(
        "inputs: []\nsteps: ['mkdir \"$OUT/x\"; echo one > \"$OUT/x/log\"; date +%N >> \"$OUT/x/log\"']",
    );
    drop(
        ran.exits(1)
            .says("   Failed b\n")
            .says("error: b: two executions differ: `x/log` differs in line 2\n  | - ")
            .says("  log: .mikado/logs/b.deterministic.log\n")
            .says("  try again: mikado run b --check-deterministic\n"),
    );
    // A failure of the check is none of the card.
    let list = sandbox.mikado("list --format json").exits(0).json();
    assert_eq!(list["cards"][0]["stem"], "b");
    assert_eq!(list["cards"][0]["lastRun"], serde_json::Value::Null);
    let (_, ran) = checked("inputs: []\nsteps: ['touch \"$OUT/$RANDOM-$RANDOM\"']");
    drop(ran.exits(1).says("is there only the ").says("(and 1 more)"));
    let (_, ran) = checked("inputs: []\nsteps: ['pwd > \"$OUT/place\"']");
    drop(
        ran.exits(1)
            .says("`place` differs in line 1")
            .says("help: it holds the folder that it was built in"),
    );
    let (_, ran) = checked("inputs: []\nsteps: ['ln -s \"$OUT\" \"$OUT/link\"']");
    drop(
        ran.exits(1)
            .says("`link` links to `")
            .says("help: it holds the folder"),
    );
}

#[test]
fn steps_that_fail_and_cards_without_output_are_told_of() {
    let (_, ran) = checked("inputs: []\nsteps: ['echo it broke; exit 3']");
    drop(
        ran.exits(1)
            .says("error: b: `build` exited with 3\n  | it broke\n"),
    );
    let (sandbox, ran) = checked("steps: ['true']");
    drop(
        ran.exits(2)
            .says("`b` is no build: it has no output to compare"),
    );
    sandbox.mikado("run --check-deterministic").exits(2);
    sandbox.mikado("run --all --check-deterministic").exits(2);
}

#[test]
fn what_a_result_printed_is_replayed_where_it_is_found() {
    let sandbox = sandbox(
        "inputs: []\nsteps: ['echo \"making b\"; echo b > \"$OUT/b\"']\nverify: ['echo looking at b']",
    );
    sandbox.mikado("run b").exits(0).says_nothing_of("making");
    sandbox.mikado("run b").exits(0).says_nothing_of("making");
    sandbox.mikado("run b --replay").exits(0).prints(
        "a | making a
    Fresh a
b | making b
b | looking at b
    Fresh b
2 cards: 2 up to date in [TIME]
",
    );
    // From another clone with the same store, where it was never executed.
    let store = sandbox.path(".mikado");
    let clone = self::sandbox(
        "inputs: []\nsteps: ['echo \"making b\"; echo b > \"$OUT/b\"']\nverify: ['echo looking at b']",
    )
    .store(&store);
    let lines = clone
        .mikado("run b --replay --format json")
        .exits(0)
        .json_lines();
    let replayed: Vec<String> = lines
        .iter()
        .filter(|line| line["event"] == "logReplayed")
        .map(|line| format!("{} {} {}", line["card"], line["part"], line["output"]))
        .collect();
    assert_eq!(
        replayed,
        [
            r#""a" "build" "making a\n""#,
            r#""b" "build" "making b\n""#,
            r#""b" "check 1" "looking at b\n""#
        ]
    );
}

#[test]
fn no_caches_gives_empty_ones_and_leaves_the_others_alone() {
    let sandbox = sandbox(
        "with: { n: 0 }\ninputs: []\ncaches: [c]\nsteps: ['ls \"$CACHE/c\" > \"$OUT/seen\"; touch \"$CACHE/c/$WITH_N\"']",
    );
    let seen = || sandbox.read(".mikado/artifacts/b/seen");
    sandbox.mikado("run b --with n=1").exits(0);
    sandbox.mikado("run b --with n=2").exits(0);
    assert_eq!(seen(), "1\n");
    sandbox.mikado("run b --with n=3 --no-caches").exits(0);
    assert_eq!(seen(), "");
    sandbox.mikado("run b --with n=4").exits(0);
    assert_eq!(seen(), "1\n2\n");
}
