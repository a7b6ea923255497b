//! Findings between cards: what they require and use, and what they are called.

use snapbox::str;

use super::check;
use crate::support::sandbox::Sandbox;

#[test]
fn one_stem_for_two_files() {
    let sandbox = Sandbox::new()
        .card("a", "status: active")
        .file("cards/old/a.md", "# A page\n");
    check(
        &sandbox,
        3,
        str![[r#"
error: 2 files have the stem `a`
 --> cards/a.md:1:1
  |
1 | ---
  | ^^^
 ::> cards/old/a.md:1:1
1 | # A page
  | ^^^^^^^^
  = help: rename all but one: a card's file name is its identity
  = code: duplicate-stem

2 files read: 1 error, 0 warnings, 0 notes

"#]],
    );
}

#[test]
fn an_alias_of_two_cards_names_none() {
    let sandbox = Sandbox::new()
        .card("a", "status: active\naliases: [server]")
        .card("b", "status: active\naliases: [server]")
        .card("c", "status: active\nrequires:\n  - server");
    check(
        &sandbox,
        3,
        str![[r#"
warning: 2 cards have the alias `server`
 --> cards/a.md:3:11
  |
3 | aliases: [server]
  |           ^^^^^^
 ::> cards/b.md:3:11
3 | aliases: [server]
  |           ^^^^^^
  = help: an alias that several cards have names none of them
  = code: duplicate-alias

error: `server` is an alias of `a` and `b`
 --> cards/c.md:4:5
  |
4 |   - server
  |     ^^^^^^
  = help: write the stem
  = code: ambiguous-prerequisite

3 files read: 1 error, 1 warning, 0 notes

"#]],
    );
}

#[test]
fn an_unknown_prerequisite() {
    let sandbox = Sandbox::new()
        .card(
            "a",
            "status: active\nrequires:\n  - servre\n  - nothing-like-it",
        )
        .card("server", "status: complete");
    check(
        &sandbox,
        3,
        str![[r#"
error: `a` requires `servre`, which names no card
 --> cards/a.md:4:5
  |
4 |   - servre
  |     ^^^^^^ no card has this stem
  = help: did you mean `server`?
  = code: unknown-prerequisite

error: `a` requires `nothing-like-it`, which names no card
 --> cards/a.md:5:5
  |
5 |   - nothing-like-it
  |     ^^^^^^^^^^^^^^^ no card has this stem
  = help: write the card `nothing-like-it.md`, or take the entry away
  = code: unknown-prerequisite

2 files read: 2 errors, 0 warnings, 0 notes

"#]],
    );
}

#[test]
fn prerequisites_that_are_no_stems() {
    let requires = ["'[[b|the other]]'", "b.md", "../plan/b", "{ b: yes }"];
    let requires = requires.map(|entry| format!("\n  - {entry}")).concat();
    let sandbox = Sandbox::new()
        .card("a", &format!("status: active\nrequires:{requires}"))
        .card("b", "status: active");
    check(
        &sandbox,
        3,
        str![[r#"
error: `[[b|the other]]` in `requires` is a link
 --> cards/a.md:4:6
  |
4 |   - '[[b|the other]]'
  |      ^^^^^^^^^^^^^^^ does not count as a card
  = help: write the stem alone: `b`
  = code: odd-prerequisite

error: `b.md` in `requires` is a file name
 --> cards/a.md:5:5
  |
5 |   - b.md
  |     ^^^^ does not count as a card
  = help: write the stem alone: `b`
  = code: odd-prerequisite

error: `../plan/b` in `requires` is a path
 --> cards/a.md:6:5
  |
6 |   - ../plan/b
  |     ^^^^^^^^^ does not count as a card
  = help: write the stem alone: `b`
  = code: odd-prerequisite

error: an entry of `requires` is no text
 --> cards/a.md:7:7
  |
7 |   - { b: yes }
  |       ^
  = help: write a list of stems
  = code: odd-prerequisite

2 files read: 4 errors, 0 warnings, 0 notes

"#]],
    );
}

#[test]
fn an_entry_without_a_text() {
    let sandbox = Sandbox::new()
        .card("a", "status: active\nrequires:\n  -\n  - b")
        .card("b", "status: complete");
    check(
        &sandbox,
        0,
        str![[r#"
warning: an entry of `requires` is empty
 --> cards/a.md:4:4
  |
4 |   -
  |    ^ nothing is required here
  = help: write a stem, or take the entry away
  = code: empty-entry

2 files read: 0 errors, 1 warning, 0 notes

"#]],
    );
}

#[test]
fn a_card_that_requires_itself() {
    let sandbox = Sandbox::new().card("a", "status: active\nrequires: [a]");
    check(
        &sandbox,
        3,
        str![[r#"
error: `a` requires itself
 --> cards/a.md:3:12
  |
3 | requires: [a]
  |            ^
  = help: take the entry away
  = code: self-require

1 file read: 1 error, 0 warnings, 0 notes

"#]],
    );
}

#[test]
fn cards_in_a_circle() {
    let sandbox = Sandbox::new()
        .card("a", "status: active\nrequires: [b]")
        .card("b", "status: active\nrequires:\n  - c")
        .card("c", "status: active\nuses: { it: a }\nrequires: [a]");
    check(
        &sandbox,
        3,
        str![[r#"
error: 3 cards require each other in a circle: `a`, `b` and `c`
 --> cards/a.md:3:12
  |
3 | requires: [b]
  |            ^ `a` requires `b`
 ::> cards/b.md:4:5
4 |   - c
  |     ^ `b` requires `c`
 ::> cards/c.md:3:13
3 | uses: { it: a }
  |             ^ `c` uses `a` again
 ::> cards/c.md:4:12
4 | requires: [a]
  |            ^ `c` requires `a` again
  = help: take one of these edges away; a cycle often means that a card is too big: split it
  = code: cycle

error: `c` uses `a`, which is no build: it has no artifact
 --> cards/c.md:3:13
  |
3 | uses: { it: a }
  |             ^
  = help: take it out of `uses`; `requires` is enough for the order
  = code: use-without-artifact

3 files read: 2 errors, 0 warnings, 0 notes

"#]],
    );
}

#[test]
fn complete_over_open() {
    let sandbox = Sandbox::new()
        .card("a", "status: complete\nrequires: [b]")
        .card("b", "status: active");
    check(
        &sandbox,
        0,
        str![[r#"
warning: `a` is complete, and requires `b`, which is open
 --> cards/a.md:2:9
  |
2 | status: complete
  |         ^^^^^^^^
  = help: complete the prerequisite, or open this card again
  = code: complete-over-open

2 files read: 0 errors, 1 warning, 0 notes

"#]],
    );
}

#[test]
fn a_use_of_nothing() {
    let sandbox = Sandbox::new()
        .card("a", "status: active\nuses: { client: serer }\nrunner: r")
        .card("server", "status: active\nrunner: r")
        .runner("r", "inputs: []\nsteps: [{ run: \"true\" }]\n");
    check(
        &sandbox,
        3,
        str![[r#"
error: `a` uses `serer`, which names no card
 --> cards/a.md:3:17
  |
3 | uses: { client: serer }
  |                 ^^^^^
  = help: did you mean `server`?
  = code: unknown-use

2 files read: 1 error, 0 warnings, 0 notes

"#]],
    );
}

#[test]
fn a_use_of_a_card_without_an_artifact() {
    let sandbox = Sandbox::new()
        .card("a", "status: active\nuses: [b]\nrunner: r")
        .card("b", "status: active")
        .runner("r", "inputs: []\nsteps: [{ run: \"true\" }]\n");
    check(
        &sandbox,
        3,
        str![[r#"
error: `a` uses `b`, which is no build: it has no artifact
 --> cards/a.md:3:8
  |
3 | uses: [b]
  |        ^
  = help: take it out of `uses`; `requires` is enough for the order
  = code: use-without-artifact

2 files read: 1 error, 0 warnings, 0 notes

"#]],
    );
}

#[test]
fn two_commands_that_write_one_place() {
    let sandbox = Sandbox::new()
        .card("a", "status: active\nrunner: r")
        .card("b", "status: active\nrunner: r")
        .runner("r", "steps: ['echo x > x']\n");
    check(
        &sandbox,
        0,
        str![[r#"
warning: `a` and `b` run the same command, so both write one place
 --> cards/a.md:3:9
  |
3 | runner: r
  |         ^
 ::> cards/b.md:3:9
3 | runner: r
  |         ^
  = help: give one of them other parameters, let one require the other, or give the runner a `resources: {group: NAME}`
  = code: one-place

2 files read: 0 errors, 1 warning, 0 notes

"#]],
    );
}
