//! The main job: the first run, the second, and a second clone.

use super::{BACKEND, CLIENT, GOAL, SERVER, WEB, artifacts, cold, executed, warm};

#[test]
fn first_run_ends_with_the_help_of_the_binary_that_it_built() {
    let out = cold().server.stdout();
    assert_eq!(cold().server.code(), 0, "{}", cold().server.all());
    let help = out.split(": prints its help\n").nth(1).unwrap_or_default();
    assert!(help.starts_with("Serves the web UI"), "{out}");
    assert!(help.contains("healthcheck"), "{out}");
    assert!(
        help.ends_with(
            "Use \"authentik [command] --help\" for more information about a command.\n"
        ),
        "{out}"
    );
}

#[test]
fn first_run_changes_the_status_line_of_three_cards_and_nothing_else() {
    let changes: Vec<&str> = cold()
        .diff
        .lines()
        .filter(|line| line.starts_with(['+', '-']))
        .collect();
    let expected: Vec<String> = [CLIENT, SERVER, BACKEND]
        .iter()
        .flat_map(|stem| {
            [
                format!("--- a/cards/{stem}.md"),
                format!("+++ b/cards/{stem}.md"),
                "-status: active".to_owned(),
                "+status: complete".to_owned(),
            ]
        })
        .collect();
    assert_eq!(changes, expected);
}

#[test]
fn second_clone_with_the_first_ones_store_executes_nothing() {
    let sandbox = warm();
    let ran = sandbox
        .mikado("run build-authentik-from-source --format json")
        .exits(0);
    assert_eq!(artifacts(&ran), cold().artifacts);
    assert!(
        !ran.stdout().contains("\"how\":\"built\""),
        "{}",
        ran.stdout()
    );
    // Again: a line a card, and nothing else.
    let again = sandbox.mikado("run authentik-go-server").exits(0);
    for stem in [CLIENT, BACKEND, SERVER] {
        assert!(
            again.stdout().contains(&format!("    Fresh {stem}\n")),
            "{}",
            again.stdout()
        );
    }
    assert!(!again.stdout().contains("Built") && !again.stdout().contains("Running"));
    assert!(again.stdout().contains("3 cards: 3 up to date"));
    // After the cards are checked out again nothing is executed, and all are marked.
    sandbox.git("checkout -q cards");
    assert!(sandbox.git("diff --stat").is_empty());
    sandbox
        .mikado("run authentik-go-server")
        .exits(0)
        .says("3 cards: 3 up to date, 3 marked complete");
    for stem in [CLIENT, BACKEND, SERVER] {
        assert!(
            sandbox
                .read(&format!("cards/{stem}.md"))
                .contains("\nstatus: complete\n")
        );
    }
    for stem in [WEB, GOAL] {
        assert!(
            sandbox
                .read(&format!("cards/{stem}.md"))
                .contains("\nstatus: active\n")
        );
    }
}

#[test]
fn complete_cards_are_built_and_not_marked_in_a_fresh_clone() {
    let sandbox = warm();
    sandbox.edit(
        &format!("cards/{SERVER}.md"),
        "status: active",
        "status: complete",
    );
    sandbox.git("commit -qam complete");
    // A parameter of its own makes the server one that is not in the store.
    sandbox
        .mikado(&format!(
            "run {SERVER} --with {SERVER}:prefix=/opt/elsewhere"
        ))
        .exits(0)
        .says(&format!("Built {SERVER}"))
        .says(&format!(
            "note: `{SERVER}` was complete already, and built again"
        ));
    assert_eq!(sandbox.git("diff --name-only").lines().count(), 2);
}

#[test]
fn unknown_and_ambiguous_cards_are_explained() {
    let sandbox = warm();
    sandbox
        .mikado("run nope")
        .exits(2)
        .says("no card is called `nope`");
    sandbox.mikado("run authentik").exits(2).says(&format!(
        "`authentik` may be `{CLIENT}`, `{SERVER}`, `{BACKEND}` and `{WEB}`"
    ));
}

#[test]
fn other_trees_can_stand_for_the_source() {
    let sandbox = warm();
    sandbox.copy_from_checkout("tests/fixtures/authentik", "../elsewhere");
    let path = sandbox
        .path("../elsewhere")
        .canonicalize()
        .expect("the copy")
        .display()
        .to_string();
    assert_eq!(
        executed(&sandbox, &format!("{SERVER} --source authentik={path}")),
        Vec::<String>::new()
    );
    let sandbox = sandbox.env("MIKADO_SOURCE_AUTHENTIK", &path);
    assert_eq!(executed(&sandbox, SERVER), Vec::<String>::new());
    // The same tree as a tag of a git repository.
    sandbox.git("init -q ../elsewhere");
    sandbox.git("-C ../elsewhere add -Af");
    sandbox.git("-C ../elsewhere commit -qm tree");
    sandbox.git("-C ../elsewhere tag version/1");
    let source = format!("--source authentik=git+file://{path}?ref=version/1");
    assert_eq!(
        executed(&sandbox, &format!("{SERVER} {source}")),
        Vec::<String>::new()
    );
    sandbox
        .mikado(&format!("run {SERVER} {source}"))
        .exits(0)
        .says("source authentik: git file://");
}
