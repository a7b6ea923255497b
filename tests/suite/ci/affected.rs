//! `affected`: what differs from a commit.

use crate::support::sandbox::Sandbox;

fn project() -> Sandbox {
    Sandbox::new()
        .file("one.txt", "one")
        .file("two.txt", "two")
        .file(".gitignore", "*.log\n")
        .file("kept.log", "tracked although it is ignored")
        .file(".gitattributes", "one.txt export-ignore\n")
        .runner(
            "copy",
            "with: {file: ~}\ninputs: [{paths: ['${with.file}']}]\nsteps: [{run: 'cp $WITH_FILE $OUT/x'}]",
        )
        .runner("say", "with: {word: hi}\nsteps: [{run: 'echo $WITH_WORD'}]")
        .card("one", "status: active\nrunner: copy\nwith: {file: one.txt}")
        .card("two", "status: active\nrunner: copy\nwith: {file: two.txt}")
        .card("log", "status: active\nrunner: copy\nwith: {file: kept.log}")
        .card("say", "status: active\nrunner: say")
        .card(
            "goal",
            "status: active\nrequires: [one, two, log, say]\nuses: [one, log]\nrunner:\n  tools: {python: {command: python3 --version}}\n  inputs: []\n  steps: [{run: 'true'}]",
        )
}

/// A commit with every file, the ignored one included.
fn committed() -> Sandbox {
    let sandbox = project();
    sandbox.git("init -q");
    sandbox.git("add -A -f");
    sandbox.git("commit -qm start");
    sandbox
}

#[test]
fn nothing_is_affected_where_nothing_that_counts_changed() {
    let sandbox = committed();
    sandbox
        .mikado("affected --since HEAD")
        .exits(0)
        .prints("0 cards affected since HEAD\n");
    sandbox.edit("cards/one.md", "# one", "# One, in other words");
    sandbox.edit("cards/one.md", "status: active", "status: complete");
    sandbox.edit("runners/copy.yaml", "with:", "summary: Copies\nwith:");
    sandbox.write("unread.txt", "");
    sandbox
        .mikado("affected --since HEAD")
        .exits(0)
        .prints("0 cards affected since HEAD\n");
    // And nothing of git's is.
    assert_eq!(sandbox.git("worktree list").lines().count(), 1);
    assert_eq!(sandbox.git("status --porcelain").lines().count(), 3);
}

#[test]
fn changed_input_affects_its_card_and_those_that_use_it() {
    let sandbox = committed();
    sandbox.write("one.txt", "changed");
    sandbox.write("two.txt", "changed");
    sandbox.mikado("affected --since HEAD").exits(0).prints(
        "one (one.txt changed)\ntwo (two.txt changed)\ngoal (after one)\n3 cards affected since HEAD\n",
    );
    sandbox.git("commit -qam changed");
    sandbox
        .mikado("affected --since HEAD")
        .exits(0)
        .prints("0 cards affected since HEAD\n");
    let json = sandbox
        .mikado("affected --since HEAD~1 two --format json")
        .exits(0)
        .json();
    let cards = serde_json::json!([{"stem": "two", "title": "two", "kind": "build", "why": ["two.txt changed"]}]);
    assert_eq!(json["cards"], cards);
    assert_eq!(json["since"].as_str().map(str::len), Some(40));
}

#[test]
fn runners_parameters_and_new_cards_count() {
    let sandbox = committed();
    sandbox.edit("runners/say.yaml", "word: hi", "word: ho");
    sandbox.edit("cards/two.md", "two.txt", "one.txt");
    let sandbox = sandbox.card("new", "status: active\nrunner: say");
    let ran = sandbox.mikado("affected --since HEAD").exits(0);
    ran.says("say (the runner say changed)\n")
        .says("new (a new card)\n")
        .says("two (")
        .says("3 cards affected");
}

#[test]
fn commit_that_is_not_there_is_an_error_that_says_why_in_ci() {
    let sandbox = committed();
    sandbox
        .mikado("affected --since nowhere")
        .exits(2)
        .says("fetch-depth: 0");
    sandbox.mikado("affected --since=--upload-pack=x").exits(2);
}
