//! Findings in what executes a card: its runner or code blocks, and which of them is meant.

use snapbox::str;

use super::{check, of_runner};
use crate::support::sandbox::Sandbox;

#[test]
fn an_unknown_runner() {
    let sandbox = Sandbox::new()
        .card("a", "status: active\nrunner: servre")
        .card("b", "status: active\nrunner: server")
        .runner("server", "steps: [{ run: \"true\" }]\n");
    check(
        &sandbox,
        3,
        str![[r#"
error: there is no runner `servre`
 --> cards/a.md:3:9
  |
3 | runner: servre
  |         ^^^^^^
  = help: did you mean `server`?
  = code: unknown-runner

2 files read: 1 error, 0 warnings, 0 notes

"#]],
    );
}

#[test]
fn a_runner_that_no_card_uses() {
    let sandbox = Sandbox::new()
        .card("a", "status: active")
        .runner("old", "inputs: []\nsteps: [{ run: \"true\" }]\n");
    check(
        &sandbox,
        0,
        str![[r#"
note: no card uses the runner `old`
 --> runners/old.yaml:1:1
  |
1 | inputs: []
  | ^^^^^^^^^^
  = help: write `runner: old` in a card, or delete the file
  = code: unused-runner

1 file read: 0 errors, 0 warnings, 1 note

"#]],
    );
}

#[test]
fn a_runner_with_another_ending() {
    let sandbox = Sandbox::new()
        .card("a", "status: active")
        .file("runners/r.yml", "steps: ['true']\n");
    check(
        &sandbox,
        0,
        str![[r#"
warning: `r.yml` is not read: the file of a runner ends in `.yaml`
 --> runners/r.yml:1:1
  |
1 | steps: ['true']
  | ^^^^^^^^^^^^^^^
  = help: rename it to `r.yaml`
  = code: runner-file

1 file read: 0 errors, 1 warning, 0 notes

"#]],
    );
}

#[test]
fn a_runner_that_can_not_be_read() {
    let sandbox = Sandbox::new()
        .card("a", "status: active\nrunner: r")
        .file("runners/r.yaml/x", "");
    check(
        &sandbox,
        3,
        str![[r#"
error: could not read `runners/r.yaml`: Is a directory (os error 21)
 --> runners/r.yaml:1:1
  |
1 |
  | ^
 ::> cards/a.md:3:9
3 | runner: r
  |         ^ used here
  = help: make the file readable, or take it out of the folder
  = code: runner-unreadable

1 file read: 1 error, 0 warnings, 0 notes

"#]],
    );
}

#[test]
fn a_runner_with_an_unknown_key() {
    let sandbox = of_runner("inputs: []\nstpes: []\n")
        .card("b", "status: active\nrunner:\n  inputs: []\n  verfy: []");
    check(
        &sandbox,
        3,
        str![[r#"
error: unknown key `verfy`
 --> cards/b.md:5:3
  |
5 |   verfy: []
  |   ^^^^^
  = help: did you mean `verify`? `mikado schema runner` has every key and its type
  = code: runner-unknown-key

error: unknown key `stpes`
 --> runners/r.yaml:2:1
  |
2 | stpes: []
  | ^^^^^
 ::> cards/a.md:3:9
3 | runner: r
  |         ^ used here
  = help: did you mean `steps`? `mikado schema runner` has every key and its type
  = code: runner-unknown-key

2 files read: 2 errors, 0 warnings, 0 notes

"#]],
    );
}

#[test]
fn a_runner_with_wrong_values() {
    let sandbox = of_runner("inputs: []\nsteps: [{ run: \"true\" }]\ntimeout: [1, 2]\n");
    check(
        &sandbox,
        3,
        str![[r#"
error: timeout: invalid type: sequence, expected a string
 --> runners/r.yaml:3:1
  |
3 | timeout: [1, 2]
  | ^^^^^^^^^^^^^^^
 ::> cards/a.md:3:9
3 | runner: r
  |         ^ used here
  = help: `mikado schema runner` has every key and its type
  = code: runner-invalid

1 file read: 1 error, 0 warnings, 0 notes

"#]],
    );
}

#[test]
fn two_places_that_say_what_runs() {
    let sandbox = Sandbox::new()
        .file(
            "cards/a.md",
            "---\nstatus: active\nrunner: r\n---\n# A\n\n```sh run\ntrue\n```\n",
        )
        .runner("r", "steps: [{ run: \"true\" }]\n");
    check(
        &sandbox,
        3,
        str![[r#"
error: the card has the runner `r` and code blocks that run
 --> cards/a.md:3:9
  |
3 | runner: r
  |         ^ the runner
 ::> cards/a.md:7:1
7 | ```sh run
  | ^^^^^^^^^ a block that runs
  = help: take away one of them: `run` and `verify` in a fence's first line make its block run
  = code: two-runners

1 file read: 1 error, 0 warnings, 0 notes

"#]],
    );
}

#[test]
fn a_block_in_a_language_that_does_not_run() {
    let sandbox = Sandbox::new().file(
        "cards/a.md",
        "---\nstatus: active\n---\n# A\n\n```ruby run\nputs 1\n```\n",
    );
    check(
        &sandbox,
        3,
        str![[r#"
error: blocks in `ruby` can't run
 --> cards/a.md:6:1
  |
6 | ```ruby run
  | ^^^^^^^^^^^
  = help: write the block in `sh`, `bash`, `fish` or `python`
  = code: block-language

1 file read: 1 error, 0 warnings, 0 notes

"#]],
    );
}

#[test]
fn a_runner_that_opens_its_steps_up() {
    let sandbox = of_runner("inputs: []\nnetwork: true\nsteps: [{ run: \"true\" }]\n");
    check(
        &sandbox,
        0,
        str![[r#"
note: `network: true` opens the steps up; the result stays local
 --> runners/r.yaml:2:10
  |
2 | network: true
  |          ^^^^
 ::> cards/a.md:3:9
3 | runner: r
  |         ^ used here
  = help: nothing has to be done; a `fetch`, an input or `key-env` would keep the result sharable
  = code: opened-up

1 file read: 0 errors, 0 warnings, 1 note

"#]],
    );
}

#[test]
fn a_cache_of_a_tool_that_keys_by_nothing() {
    let sandbox = of_runner("inputs: []\ncaches: [go-build, target]\nsteps: [{ run: \"true\" }]\n");
    check(
        &sandbox,
        0,
        str![[r#"
warning: the cache `target` is for tools that key by content, which this one's is not
 --> runners/r.yaml:2:20
  |
2 | caches: [go-build, target]
  |                    ^^^^^^
 ::> cards/a.md:3:9
3 | runner: r
  |         ^ used here
  = help: take it away, or name a cache of Go, ccache, npm or pip
  = code: cache

1 file read: 0 errors, 1 warning, 0 notes

"#]],
    );
}
