//! What the command line makes of a run: which cards, with what, and how far.

use snapbox::str;

use super::{copies, executed};
use crate::support::sandbox::Sandbox;

#[test]
fn no_mark_leaves_the_cards_alone() {
    let sandbox = copies();
    sandbox
        .mikado("run a --no-mark")
        .exits(0)
        .says("a: passed; mark with: mikado complete a");
    assert!(sandbox.read("cards/a.md").contains("status: active"));
    let sandbox = copies().file("mikado.yaml", "mark: never\n");
    sandbox
        .mikado("run a")
        .exits(0)
        .says("a: passed; mark with: mikado complete a");
}

#[test]
fn without_an_open_card_a_run_keeps_what_was_built_up_to_date() {
    let sandbox = copies();
    executed(&sandbox, "");
    assert_eq!(executed(&sandbox, ""), Vec::<String>::new());
    sandbox.write("a.txt", "new\n");
    assert_eq!(executed(&sandbox, ""), ["a", "both"]);
    Sandbox::new()
        .card("hand", "status: complete")
        .mikado("run")
        .exits(2)
        .says("no card is open");
}

#[test]
fn only_wants_the_artifacts_in_the_store() {
    let sandbox = copies();
    sandbox
        .mikado("run both --only")
        .exits(5)
        .says("the artifact of `a` is not in the store");
    executed(&sandbox, "a b");
    assert_eq!(executed(&sandbox, "both --only"), ["both"]);
}

#[test]
fn force_executes_what_is_asked_for_again() {
    let sandbox = copies();
    executed(&sandbox, "");
    assert_eq!(executed(&sandbox, "both --force"), ["both"]);
}

#[test]
fn parameters_come_from_the_command_line() {
    let sandbox = copies();
    sandbox
        .mikado("run both --with a:file=b.txt")
        .exits(0)
        .says("Built both");
    assert_eq!(sandbox.read(".mikado/artifacts/both/copy"), "b\nb\n");
    sandbox
        .mikado("run both --with fiel=b.txt")
        .exits(2)
        .warns(str![[r#"
error: no runner of this run has a parameter `fiel`
help: did you mean `file`?

"#]]);
}

#[test]
fn plan_executes_nothing() {
    let sandbox = copies();
    sandbox.mikado("plan both").exits(0).prints(str![[r#"
      run a (never run)
      run b (never run)
      run both (after a, after b)

"#]]);
    assert!(!sandbox.path(".mikado/artifacts/a").exists());
    executed(&sandbox, "");
    sandbox.write("a.txt", "x");
    sandbox.mikado("plan both").exits(0).prints(str![[r#"
      run a (a.txt changed)
    fresh b
      run both (after a)

"#]]);
}

#[test]
fn an_artifact_is_exported_as_plain_files() {
    let sandbox = copies();
    executed(&sandbox, "");
    sandbox
        .mikado("artifact export both -o out/here")
        .exits(0)
        .says("both: ");
    assert_eq!(sandbox.read("out/here/copy"), "a\nb\n");
    // Where something lies already, it is the command that is wrong.
    sandbox
        .mikado("artifact export both -o out/here")
        .exits(2)
        .says("add `--force` to replace what is there");
    sandbox.write("out/here/copy", "writable");
    sandbox
        .mikado("artifact path both")
        .exits(0)
        .says("/.mikado/trees/");
    sandbox.mikado("artifact path nothing").exits(2);
}

#[test]
fn a_closed_pipe_ends_quietly() {
    let sandbox = copies();
    let mut command = sandbox.command("bash");
    command.args([
        "-c",
        "set -o pipefail; \"$0\" list --all --format json | true",
        crate::support::sandbox::MIKADO,
    ]);
    sandbox.run(command, "list | true").exits(0).warns("");
}

#[test]
fn the_store_may_be_elsewhere_for_one_run_and_at_home_for_the_next() {
    let sandbox = copies();
    let elsewhere = sandbox.home().join("store");
    let run = format!("both --store {}", elsewhere.display());
    assert_eq!(executed(&sandbox, &run), ["a", "b", "both"]);
    assert_eq!(executed(&sandbox, "both"), ["a", "b", "both"]);
    assert_eq!(executed(&sandbox, &run), Vec::<String>::new());
    assert_eq!(executed(&sandbox, "both"), Vec::<String>::new());
}
