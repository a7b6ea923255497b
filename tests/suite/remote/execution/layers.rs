//! A chain of 200 cards in layers, executed elsewhere: the artifacts of a local
//! run, and no more moves than what changed.

use serde_json::Value;

use super::super::servers;
use super::{artifact, executed, executor_counts, is_whole, with_executor};
use crate::support::sandbox::{Ran, Sandbox};

/// How many cards are in the chain, the goal among them.
pub const CARDS: usize = 200;

/// How many of them are in a layer.
const WIDTH: usize = 20;

/// What a card requires: up to three of the layer below.
fn prerequisites(card: usize) -> Vec<usize> {
    let Some(below) = (card / WIDTH).checked_sub(1) else {
        return Vec::new();
    };
    let mut found: Vec<usize> = (0..1 + card % 3)
        .map(|nth| below * WIDTH + (card * 7 + nth * 5) % WIDTH)
        .collect();
    found.sort_unstable();
    found
}

/// The first `count` cards in layers, each with an input of its own, of which the
/// first line alone is read; and a goal that uses all that nothing else uses.
pub fn layers(count: usize) -> Sandbox {
    let mut sandbox = Sandbox::new().runner(
        "node",
        r#"with: {input: ~}
inputs: [{paths: ["${with.input}"]}]
steps:
  - run: |
      { head -n 1 "$WITH_INPUT"; find -L "$REQUIRES" -type f | sort | xargs -r cat; ls -l "$REQUIRES" | cut -c 1; } > all
      sha256sum < all > "$OUT/$(cksum < all | cut -d ' ' -f 1)"
      seq 60 > "$OUT/some"
"#,
    );
    let name = |card: usize| format!("c{card:03}");
    let mut unused: Vec<bool> = vec![true; count - 1];
    for card in 0..count - 1 {
        let requires = prerequisites(card);
        for prerequisite in &requires {
            unused[*prerequisite] = false;
        }
        let requires: Vec<String> = requires.into_iter().map(name).collect();
        let requires = requires.join(", ");
        let stem = name(card);
        let input = format!("inputs/{stem}.txt");
        sandbox = sandbox.file(&input, &format!("{stem} is read\nand this is not\n"));
        let front = format!(
            "status: active\nrequires: [{requires}]\nrunner: node\nwith: {{input: {input}}}"
        );
        sandbox = sandbox.card(&stem, &front);
    }
    let ends: Vec<String> = (0..count - 1)
        .filter(|card| unused[*card])
        .map(name)
        .collect();
    let front = format!(
        "status: active\nrequires: [{}]\nrunner: node\nwith: {{input: inputs/goal.txt}}",
        ends.join(", ")
    );
    let sandbox = sandbox.file("inputs/goal.txt", "goal\n");
    sandbox.card("goal", &front).committed()
}

/// Runs the chain, which must pass.
pub fn run(sandbox: &Sandbox) -> Ran {
    sandbox.mikado("run goal --no-mark --format json").exits(0)
}

/// The artifacts of the first `count` cards of [`layers`].
pub fn artifacts(sandbox: &Sandbox, count: usize) -> Vec<String> {
    let cards = (0..count - 1).map(|card| format!("c{card:03}"));
    let stems = cards.chain(["goal".to_owned()]);
    stems.map(|stem| artifact(sandbox, &stem)).collect()
}

/// A number among the counts of an executor.
fn number(counts: &Value, key: &str) -> u64 {
    let number = counts[key].as_u64();
    number.unwrap_or_else(|| panic!("no {key} in {counts}"))
}

#[test]
fn two_hundred_cards_come_out_as_here_and_only_what_changed_moves() {
    let server = servers::executing_casd(&["--jobs", "2"]);
    let here = layers(CARDS);
    assert_eq!(executed(&run(&here)), CARDS);
    let there = with_executor(layers(CARDS), &server.url());
    let ran = run(&there);
    let cold = executor_counts(&ran);
    assert_eq!(executed(&ran), CARDS);
    assert_eq!(number(&cold, "executed"), CARDS as u64, "{cold}");
    assert_eq!(number(&cold, "failed"), 0, "{cold}");
    assert_eq!(artifacts(&here, CARDS), artifacts(&there, CARDS));
    is_whole(&there);
    // Inputs, folders and actions went; artifacts came, and never went: they are
    // there already.
    assert!(number(&cold, "bytesUp") < 400_000, "{cold}");
    assert!(number(&cold, "bytesDown") > CARDS as u64 * 200, "{cold}");
    assert_eq!(executed(&run(&there)), 0);

    // The second line of an input is not read: early cutoff.
    there.edit("inputs/c003.txt", "and this is not", "nor is this");
    let ran = run(&there);
    let cut = executor_counts(&ran);
    assert_eq!((executed(&ran), number(&cut, "executed")), (1, 1), "{cut}");
    // The input, three folders, the action.
    assert_eq!(number(&cut, "blobsUp"), 5, "{cut}");
    assert!(number(&cut, "bytesUp") < 1_000, "{cut}");
    assert_eq!(artifacts(&here, CARDS), artifacts(&there, CARDS));

    // The first is, and reaches what is above it, in all that is the same as here.
    for sandbox in [&here, &there] {
        sandbox.edit("inputs/c003.txt", "is read", "is new");
    }
    let above = executed(&run(&here));
    assert!((20..CARDS).contains(&above), "{above}");
    let ran = run(&there);
    let reached = executor_counts(&ran);
    assert_eq!(executed(&ran), above);
    assert_eq!(number(&reached, "executed"), above as u64, "{reached}");
    assert_eq!(artifacts(&here, CARDS), artifacts(&there, CARDS));

    // Another machine finds all of it.
    let other = with_executor(layers(CARDS), &server.url());
    other.edit("inputs/c003.txt", "is read", "is new");
    other.edit("inputs/c003.txt", "and this is not", "nor is this");
    let found = executor_counts(&run(&other));
    assert_eq!(number(&found, "found"), CARDS as u64, "{found}");
    assert_eq!(
        (number(&found, "executed"), number(&found, "bytesUp")),
        (0, 0)
    );
    assert_eq!(artifacts(&there, CARDS), artifacts(&other, CARDS));
}
