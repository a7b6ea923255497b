//! What fails, waits or is refused, and what is said of it.

use snapbox::str;

use super::{COPY, copies, executed};
use crate::support::sandbox::Sandbox;

#[test]
fn a_failure_stops_new_work_and_leaves_its_card_open() {
    let sandbox = copies().runner(
        "copy",
        "
with: { file: ~ }
inputs: [{ paths: ['${with.file}'] }]
steps: [{ name: copy, run: 'echo some words; grep b \"$WITH_FILE\" > \"$OUT/copy\"' }]
",
    );
    sandbox.mikado("run --jobs 1").exits(1).prints(str![[r#"
  Running a (never run)
   Failed a
blocked: both lacks `a` and `b`
error: a: `copy` exited with 1
  | some words
  log: .mikado/logs/a.log
  shell: mikado shell a
  try again: mikado run a
3 cards: 1 failed, 2 not started in [TIME]

"#]]);
    sandbox
        .mikado("run --jobs 1 --keep-going")
        .exits(1)
        .says("Built b")
        .says("blocked: both lacks `a`");
    assert!(sandbox.read("cards/a.md").contains("status: active"));
    assert!(sandbox.read("cards/b.md").contains("status: complete"));
    sandbox.write("a.txt", "ab\n");
    assert_eq!(executed(&sandbox, ""), ["a", "both"]);
}

#[test]
fn checks_and_force_say_why_and_a_failure_says_how_to_try_again() {
    let check = |words: &str| format!("{COPY}verify: [{{name: holds, run: '{words}'}}]\n");
    let sandbox = copies().runner("copy", &check("true"));
    assert_eq!(executed(&sandbox, "both"), ["a", "b", "both"]);
    sandbox
        .mikado("run a --force")
        .exits(0)
        .says("  Running a (forced)\n");
    // The artifact is there, and only the check has to pass.
    sandbox.write("runners/copy.yaml", &check("false"));
    sandbox
        .mikado("plan both")
        .exits(0)
        .says("    check a (check `holds` has not passed yet)\n")
        .says("    fresh both\n");
    sandbox
        .mikado("run both --with 'file=a.txt' --keep-going")
        .exits(1)
        .says("  Running a (check `holds` has not passed yet)\n")
        .says("error: a: check `holds` exited with 1\n")
        .says("  try again: mikado run both --with file=a.txt\n");
    sandbox
        .mikado("run a")
        .exits(1)
        .says("  try again: mikado run a\n");
}

#[test]
fn a_denial_is_explained_with_the_line_to_add() {
    let sandbox = Sandbox::new();
    let secret = sandbox.path("docs/secret.md").display().to_string();
    let ssh = sandbox.home().join(".ssh/id").display().to_string();
    std::fs::create_dir_all(sandbox.home().join(".ssh")).expect("a folder");
    std::fs::write(&ssh, "key").expect("a file");
    let sandbox = sandbox
        .file("docs/secret.md", "text\n")
        .runner("read", &format!("inputs: []\nsteps: ['cat {secret}']"))
        .runner("home", &format!("inputs: []\nsteps: ['cat {ssh}']"))
        .runner(
            "connect",
            "inputs: []\nsteps: ['exec 3<>/dev/tcp/127.0.0.1/9']",
        )
        .runner(
            "system",
            "inputs: []\nsteps: ['head -c1 /etc/passwd > \"$OUT/x\"']",
        )
        .card("read", "status: active\nrunner: read")
        .card("home", "status: active\nrunner: home")
        .card("connect", "status: active\nrunner: connect")
        .card("system", "status: active\nrunner: system");
    sandbox
        .mikado("run read")
        .exits(1)
        .says("add `- { paths: [docs/secret.md] }` to `inputs`");
    sandbox
        .mikado("run home")
        .exits(1)
        .says("is in your home folder, which steps do not see");
    sandbox
        .mikado("run connect")
        .exits(1)
        .says("steps and checks have no network");
    sandbox.mikado("run system").exits(0);
}

#[test]
fn timeouts_and_retries_are_obeyed() {
    let sandbox = Sandbox::new()
        .runner("slow", "inputs: []\nsteps: ['sleep 1000']\ntimeout: 500ms")
        .runner("again", "isolation: none\nretries: {attempts: 2, exit-codes: [7]}\nsteps: []\ninputs: []\nverify: []")
        .card("slow", "status: active\nrunner: slow");
    sandbox
        .mikado("run slow")
        .exits(1)
        .says("took longer than 500 ms");
    let counter = sandbox.path("counter").display().to_string();
    let sandbox = sandbox
        .runner("again", &format!("isolation: none\nretries: {{attempts: 2, exit-codes: [7]}}\ninputs: []\nsteps: ['echo x >> {counter}; test $(wc -l < {counter}) = 3 || exit 7']"))
        .card("again", "status: active\nrunner: again");
    sandbox
        .mikado("run again")
        .exits(0)
        .says("attempt 3 of 3")
        .says("Built again");
}

#[test]
fn a_platform_that_this_is_not_is_a_wait() {
    let sandbox = Sandbox::new()
        .runner(
            "far",
            "platform: [riscv64-linux]\ninputs: []\nsteps: [true]",
        )
        .card("far", "status: active\nrunner: far");
    sandbox
        .mikado("run far")
        .exits(5)
        .says("stuck: far: its runner works on `riscv64-linux`");
}

#[test]
fn unknown_and_ambiguous_cards_are_usage_errors() {
    let sandbox = copies();
    sandbox.mikado("run nope").exits(2).warns(str![[r#"
error: no card is called `nope`
help: the cards are `a`, `b` and `both`

"#]]);
    sandbox.mikado("run bot").exits(5 - 5);
    sandbox
        .mikado("run botj")
        .exits(2)
        .says("did you mean `both`?");
    let sandbox = sandbox.card("bother", "status: active");
    sandbox
        .mikado("run bot")
        .exits(2)
        .says("`bot` may be `both` and `bother`");
}

#[test]
fn faults_of_the_graph_refuse_the_run() {
    let sandbox = Sandbox::new()
        .card("a", "status: active\nrequires:\n  - b")
        .card("b", "status: active\nrequires: [c]")
        .card("c", "status: active\nrequires: [a]")
        .card("lost", "status: active\nrequires: [loost]");
    sandbox.mikado("run a").exits(3).warns(str![[r#"
error: 3 cards require each other in a circle: `a`, `b` and `c`
 --> cards/a.md:4:5
  |
4 |   - b
  |     ^ `a` requires `b`
 ::> cards/b.md:3:12
3 | requires: [c]
  |            ^ `b` requires `c`
 ::> cards/c.md:3:12
3 | requires: [a]
  |            ^ `c` requires `a` again
  = help: take one of these edges away; a cycle often means that a card is too big: split it
  = code: cycle

error: 1 finding in the way

"#]]);
    sandbox
        .mikado("run lost")
        .exits(3)
        .says("`lost` requires `loost`, which names no card")
        .says("did you mean `lost`?");
}

#[test]
fn an_unknown_key_of_a_runner_is_named_with_its_line() {
    let sandbox = copies();
    sandbox.edit("runners/copy.yaml", "inputs:", "input:");
    sandbox
        .mikado("run a")
        .exits(3)
        .says("runners/copy.yaml:3")
        .says("unknown key `input`");
}
