//! The main job: the first run, the second, and a second clone.

use snapbox::str;

use super::{ALL, BACKEND, CLIENT, GOAL, NOTHING, SERVER, WEB};
use super::{artifacts, begun, built, cold, events, executed, is_open, warm};

#[test]
fn first_run_ends_with_the_help_of_the_binary_that_it_built() {
    let cold = cold();
    assert_eq!(cold.server.code(), 0, "{}", cold.server.all());
    let binary = cold.store.join("trees").join(tree_of(SERVER));
    let binary = binary.join("bin/authentik");
    let sandbox = warm();
    let mut command = sandbox.command(binary.display().to_string());
    command.arg("--help");
    let help = sandbox.run(command, "authentik --help").exits(0).stdout();
    assert!(help.contains("\nAvailable Commands:\n") && help.contains("\n  healthcheck "));
    let out = cold.server.stdout();
    let end = format!("\n{SERVER}: prints its help\n{help}");
    assert!(out.ends_with(&end), "{out}");
    let summary = "\n3 cards: 3 executed, 3 marked complete in [TIME]\n";
    assert!(out.contains(summary), "{out}");
}

/// The folder of a card's artifact in the store.
fn tree_of(stem: &str) -> String {
    let digest = &cold().artifacts[stem];
    digest.split('/').next().unwrap_or_default().to_owned()
}

#[test]
fn first_run_changes_the_status_line_of_three_cards_and_nothing_else() {
    let of_each = |line: fn(&str) -> String| -> Vec<String> {
        // In git's order.
        [CLIENT, SERVER, BACKEND].map(line).to_vec()
    };
    let lines = |text: &str| -> Vec<String> { text.lines().map(str::to_owned).collect() };
    assert_eq!(
        lines(&cold().numstat),
        of_each(|stem| format!("1\t1\tcards/{stem}.md"))
    );
    assert_eq!(
        lines(&cold().status),
        of_each(|stem| format!(" M cards/{stem}.md"))
    );
    let changes: Vec<String> = lines(&cold().diff)
        .into_iter()
        .filter(|line| line.starts_with(['+', '-']))
        .filter(|line| !line.starts_with("---") && !line.starts_with("+++"))
        .collect();
    assert_eq!(changes, ["-status: active", "+status: complete"].repeat(3));
}

#[test]
fn the_same_command_again_executes_nothing_and_says_so_in_a_line_a_card() {
    let cold = cold();
    assert_eq!(cold.again.code(), 0, "{}", cold.again.all());
    let out = cold.again.stdout();
    let (lines, help) = out.split_once("\n\n").expect("a check that is shown");
    assert_eq!(
        lines,
        format!(
            "    Fresh {CLIENT}\n    Fresh {BACKEND}\n    Fresh {SERVER}\n\
             3 cards: 3 up to date in [TIME]"
        )
    );
    assert!(help.starts_with(&format!("{SERVER}: prints its help\n")));
    assert_eq!(begun(&cold.again_events), NOTHING);
    for kind in ["partStarted", "toolProvisioning", "cardMarked"] {
        assert!(events(&cold.again_events, kind).is_empty());
    }
}

#[test]
fn cards_that_are_checked_out_again_are_marked_again_without_executing_anything() {
    let sandbox = built();
    sandbox.git("commit -qam complete");
    sandbox.git("checkout -q HEAD~ -- cards");
    assert!(ALL.iter().all(|stem| is_open(&sandbox, stem)));
    let ran = sandbox.mikado("run authentik-go-server --format json");
    let ran = ran.exits(0);
    assert_eq!(begun(&ran), NOTHING);
    assert_eq!(events(&ran, "cardMarked").len(), 3);
    let open: Vec<&str> = ALL.into_iter().filter(|s| is_open(&sandbox, s)).collect();
    assert_eq!(open, [WEB, GOAL]);
}

#[test]
fn second_clone_with_the_first_ones_store_restores_everything() {
    let sandbox = warm();
    let ran = sandbox
        .mikado(&format!("run {GOAL} --format json"))
        .exits(0);
    assert_eq!(begun(&ran), NOTHING);
    assert_eq!(artifacts(&ran), cold().artifacts);
    assert_eq!(artifacts(&ran).len(), ALL.len());
    for event in events(&ran, "cardFinished") {
        assert_eq!(event["how"], "restored", "{event}");
    }
    assert!(
        sandbox
            .path(".mikado/artifacts")
            .join(GOAL)
            .join("bin/ak")
            .is_file()
    );
}

#[test]
fn complete_cards_are_built_and_not_marked_in_a_fresh_clone() {
    let sandbox = built();
    sandbox.git("commit -qam complete");
    // With a parameter of its own the server is one that is not in the store.
    sandbox
        .mikado(&format!("run {GOAL} --with {SERVER}:prefix=/opt/elsewhere"))
        .exits(0)
        .says(&format!("Built {SERVER}"))
        .says(&format!(
            "note: `{SERVER}` and `{GOAL}` were complete already, and built again"
        ))
        .says("5 cards: 2 executed, 3 up to date in");
    assert!(sandbox.git("status --porcelain").is_empty());
}

#[test]
fn unknown_and_ambiguous_cards_are_explained() {
    let sandbox = warm();
    sandbox.mikado("run nope").exits(2).warns(str![[r#"
error: no card is called `nope`
help: the cards are `authentik-api-client-generation`, `authentik-go-server-derivation`, `authentik-python-backend-derivation`, `authentik-web-ui-derivation` and `build-authentik-from-source`

"#]]);
    sandbox
        .mikado("run authentik-go-sever-derivation")
        .exits(2)
        .says(&format!("did you mean `{SERVER}`"));
    sandbox.mikado("run authentik").exits(2).says(&format!(
        "`authentik` may be `{CLIENT}`, `{SERVER}`, `{BACKEND}` and `{WEB}`"
    ));
    assert_eq!(executed(&sandbox, "authentik-go-server"), NOTHING);
}
