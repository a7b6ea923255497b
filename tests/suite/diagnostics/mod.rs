//! Every kind of finding as `mikado check` shows it: the place in the file, its
//! line with a caret, and what to do next.

mod between_cards;
mod front_matter;
mod names_in_runners;
mod runners;
mod settings;

use std::collections::BTreeSet;

use snapbox::data::IntoData;

use crate::support::sandbox::Sandbox;

/// One open card, `a`, whose runner is this.
fn of_runner(text: &str) -> Sandbox {
    Sandbox::new()
        .card("a", "status: active\nrunner: r")
        .runner("r", text)
}

/// Compares what `check` prints, and asks of each finding that it has a place
/// and help, and of its code that `explain` knows it.
#[track_caller]
fn check(sandbox: &Sandbox, exits: i32, shown: impl IntoData) {
    sandbox.mikado("check").exits(exits).prints(shown);
    let json = sandbox.mikado("check --format json").exits(exits).json();
    for finding in json["findings"].as_array().expect("findings") {
        for key in ["path", "line", "column"] {
            assert!(!finding[key].is_null(), "no {key}: {finding}");
        }
        assert_ne!(finding["help"], "", "no help: {finding}");
    }
}

#[test]
fn every_code_has_a_picture_here_and_a_page_of_its_own() {
    let sandbox = Sandbox::new();
    let all = sandbox.mikado("explain").exits(0).stdout();
    let codes: BTreeSet<&str> = all
        .lines()
        .filter_map(|line| line.split_once(':').map(|(code, _)| code))
        .collect();
    assert!(codes.len() > 30, "{all}");
    let here = [
        include_str!("between_cards.rs"),
        include_str!("front_matter.rs"),
        include_str!("names_in_runners.rs"),
        include_str!("runners.rs"),
        include_str!("settings.rs"),
    ];
    for code in codes {
        let line = format!("= code: {code}\n");
        let shown = here.iter().any(|file| file.contains(&line));
        assert!(shown, "no test shows `{code}`");
        let page = sandbox.mikado(&format!("explain {code}")).exits(0).stdout();
        let parts: Vec<&str> = page.trim_end().split("\n\n").collect();
        // Its name, what it means, an example, and the mend.
        assert_eq!(parts.len(), 4, "{page}");
        assert_eq!(parts[0], code);
        assert!(
            parts[2].lines().all(|line| line.starts_with("    ")),
            "{page}"
        );
        assert!(parts[1].ends_with('.') && parts[3].ends_with('.'), "{page}");
    }
}
