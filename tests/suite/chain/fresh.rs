//! What is built, what is built again, and what stays fresh; marks that follow from it.

use snapbox::str;

use super::{JOIN, copies, executed};
use crate::support::sandbox::Sandbox;

#[test]
fn a_chain_is_built_and_marked_and_then_fresh() {
    let sandbox = copies();
    sandbox.mikado("run --jobs 1").exits(0).prints(str![[r#"
  Running a (never run)
    Built a in [TIME]
  Running b (never run)
    Built b in [TIME]
  Running both (never run)
    Built both in [TIME]
3 cards: 3 executed, 3 marked complete in [TIME]

"#]]);
    assert_eq!(sandbox.read(".mikado/artifacts/both/copy"), "a\nb\n");
    assert_eq!(
        sandbox.read("cards/a.md"),
        "---\nstatus: complete\nrunner: copy\nwith: {file: a.txt}\n---\n# a\n\n"
    );
    sandbox
        .mikado("run both --jobs 1")
        .exits(0)
        .prints(str![[r#"
    Fresh a
    Fresh b
    Fresh both
3 cards: 3 up to date in [TIME]

"#]]);
}

#[test]
fn only_what_changed_is_built_again_and_the_reason_is_told() {
    let sandbox = copies();
    assert_eq!(executed(&sandbox, ""), ["a", "b", "both"]);
    sandbox.write("b.txt", "c\n");
    // Which of `a` and `b` goes first depends on how long they took.
    sandbox
        .mikado("run both --jobs 1")
        .exits(0)
        .says("    Fresh a\n")
        .says("  Running b (b.txt changed)\n    Built b in [TIME]\n")
        .says("  Running both (artifact of `b` changed)\n    Built both in [TIME]\n")
        .says("note: `b` and `both` were complete already, and built again\n")
        .says("3 cards: 2 executed, 1 up to date in [TIME]\n");
}

#[test]
fn the_same_artifact_leaves_dependents_fresh() {
    let sandbox = Sandbox::new()
        .runner(
            "lines",
            "inputs: [{ paths: [in.txt] }]\nsteps: ['grep -v \"^#\" in.txt > \"$OUT/copy\"']",
        )
        .runner("join", JOIN)
        .file("in.txt", "# note\ntext\n")
        .card("lines", "status: active\nrunner: lines")
        .card("top", "status: active\nrequires: [lines]\nrunner: join");
    assert_eq!(executed(&sandbox, "top"), ["lines", "top"]);
    sandbox.write("in.txt", "# another note\ntext\n");
    assert_eq!(executed(&sandbox, "top"), ["lines"]);
}

#[test]
fn prose_status_and_names_are_not_in_the_key() {
    let sandbox = copies();
    executed(&sandbox, "");
    sandbox.edit("cards/a.md", "# a", "# Another title\n\nMuch more prose.");
    sandbox.edit("runners/copy.yaml", "name: copy", "name: copy the file");
    assert_eq!(executed(&sandbox, "both"), Vec::<String>::new());
}

#[test]
fn an_edited_artifact_is_noticed_and_repaired() {
    let sandbox = copies();
    executed(&sandbox, "");
    let artifact = sandbox.path(".mikado/artifacts/a/copy");
    let mut mode = artifact.metadata().expect("a file").permissions();
    std::os::unix::fs::PermissionsExt::set_mode(&mut mode, 0o644);
    std::fs::set_permissions(&artifact, mode).expect("a mode");
    std::fs::write(&artifact, "edited\n").expect("an edit");
    assert_eq!(executed(&sandbox, "both"), ["a"]);
    assert_eq!(sandbox.read(".mikado/artifacts/a/copy"), "a\n");
}

#[test]
fn an_input_that_moves_during_the_run_is_not_recorded() {
    // The step reaches the repository, since it is not isolated, and changes
    // its own input.
    let sandbox = Sandbox::new();
    let input = sandbox.path("a.txt").display().to_string();
    let sandbox = sandbox
        .runner("move", &format!("isolation: none\ninputs: [{{ paths: [a.txt] }}]\nsteps: ['cp a.txt \"$OUT\"; echo more >> {input}']"))
        .file("a.txt", "one\n")
        .card("moves", "status: active\nrunner: move");
    sandbox
        .mikado("run moves")
        .exits(0)
        .says("warning: moves is not recorded: an input changed while it ran");
    assert!(sandbox.read("cards/moves.md").contains("status: active"));
    assert_eq!(sandbox.read(".mikado/artifacts/moves/a.txt"), "one\n");
}

#[test]
fn a_card_whose_prose_is_edited_while_it_runs_is_marked_with_the_edit() {
    let sandbox = Sandbox::new();
    let card = sandbox.path("cards/edited.md").display().to_string();
    let other = sandbox.path("cards/other.md").display().to_string();
    let sandbox = sandbox
        .runner("prose", &format!("isolation: none\ninputs: []\nsteps: ['echo More. >> {card}']"))
        .runner("work", &format!("isolation: none\ninputs: []\nsteps: ['sed -i \"s/runner: work/runner: prose/\" {other}']"))
        .card("edited", "status: active\nrunner: prose")
        .card("other", "status: active\nrunner: work");
    sandbox
        .mikado("run edited")
        .exits(0)
        .says("1 marked complete");
    assert!(sandbox.read("cards/edited.md").contains("status: complete"));
    assert!(sandbox.read("cards/edited.md").ends_with("More.\n"));
    sandbox
        .mikado("run other")
        .exits(0)
        .says("`other` is not marked: its runner, parameters or prerequisites were changed");
    assert!(sandbox.read("cards/other.md").contains("status: active"));
}

#[test]
fn complete_cards_of_a_fresh_clone_are_built_and_not_marked() {
    let sandbox = copies();
    for card in ["a", "b", "both"] {
        sandbox.edit(
            &format!("cards/{card}.md"),
            "status: active",
            "status: complete",
        );
    }
    sandbox
        .mikado("run both --jobs 1")
        .exits(0)
        .prints(str![[r#"
  Running a (never run)
    Built a in [TIME]
  Running b (never run)
    Built b in [TIME]
  Running both (never run)
    Built both in [TIME]
note: `a`, `b` and `both` were complete already, and built again
3 cards: 3 executed in [TIME]

"#]]);
}

#[test]
fn two_runs_at_once_execute_each_action_once() {
    let sandbox = Sandbox::new();
    let counter = sandbox.path("counter").display().to_string();
    let mut sandbox = sandbox.runner(
        "count",
        &format!("isolation: none\nwith: {{ n: ~ }}\ninputs: []\nsteps: ['echo x >> {counter}; echo $WITH_N > \"$OUT/n\"']"),
    );
    for n in 0..20 {
        sandbox = sandbox.card(
            &format!("c{n}"),
            &format!("status: active\nrunner: count\nwith: {{ n: {n} }}"),
        );
    }
    std::thread::scope(|scope| {
        let runs: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| sandbox.mikado("run --all").code()))
            .collect();
        for run in runs {
            assert_eq!(run.join().expect("a run"), 0);
        }
    });
    assert_eq!(sandbox.read("counter").lines().count(), 20);
    for n in 0..20 {
        assert!(
            sandbox
                .read(&format!("cards/c{n}.md"))
                .contains("status: complete")
        );
    }
}

#[test]
fn linked_work_trees_share_the_store_and_keep_links_of_their_own() {
    let sandbox = copies().file(".gitignore", "/.mikado\n").committed();
    executed(&sandbox, "both");
    sandbox.git("worktree add -q ../other");
    let other = sandbox
        .path("../other")
        .canonicalize()
        .expect("a work tree");
    let at = other.display();
    sandbox
        .mikado(&format!("-C {at} run both"))
        .exits(0)
        .says("Restored both");
    assert!(other.join(".mikado/artifacts/both/copy").is_file());
    assert!(!other.join(".mikado/trees").exists());
    assert!(
        std::fs::read_to_string(other.join("cards/both.md"))
            .expect("a card")
            .contains("status: complete")
    );
}
