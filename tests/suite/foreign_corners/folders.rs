//! Names of files, links and pipes between cards, and a chain of thousands.

use serde_json::json;

use crate::support::sandbox::Sandbox;

#[test]
fn names_and_folders() {
    let open = |requires: &str| format!("---\nstatus: active\nrequires: [{requires}]\n---\n");
    let sandbox = Sandbox::new()
        .file("cards/with space.md", &open("'7 wonders 🚀', v1.2.3, 007"))
        .file("cards/7 wonders 🚀.md", &open(""))
        .file("cards/v1.2.3.md", &open(""))
        .file("cards/007.md", &open("overview, Upper, short"))
        .file("cards/Upper.md", &open("upper"))
        .file(
            "cards/upper.md",
            "---\nstatus: complete\naliases: [short]\n---\n",
        )
        .file("cards/SHOUT.MD", &open(""))
        .file("cards/folder.md/inner.md", &open(""))
        .file("cards/overview.md", "# A page that is required\n")
        .file("cards/a/index.md", "# Here\n")
        .file("cards/b/index.md", "# There\n")
        .file("cards/.draft.md", &open(""))
        .file("cards/.git/x.md", &open(""))
        .file("cards/notes.markdown", &open(""))
        .file("elsewhere/linked.md", &open(""));
    let link = std::os::unix::fs::symlink::<&str, _>;
    link("..", sandbox.path("cards/a/loop")).expect("a link");
    link("../b", sandbox.path("cards/a/other")).expect("a link");
    link("../elsewhere/linked.md", sandbox.path("cards/by-link.md")).expect("a link");
    link("nowhere.md", sandbox.path("cards/dangling.md")).expect("a link");
    link("/dev/zero", sandbox.path("cards/endless.md")).expect("a link");
    // Whoever waits for its other end waits forever.
    let pipe = sandbox.path("cards/pipe.md");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.expect("mkfifo").success());
    let list = sandbox.mikado("list --all --format json").exits(0).json();
    let found: Vec<String> = list["cards"]
        .as_array()
        .expect("cards")
        .iter()
        .map(|card| {
            let text = |key: &str| card[key].as_str().unwrap_or("?").to_owned();
            format!("{} {} {}", text("path"), text("state"), card["blockedBy"])
        })
        .collect();
    assert_eq!(
        found,
        [
            "cards/007.md blocked [\"Upper\"]",
            "cards/7 wonders 🚀.md ready []",
            "cards/SHOUT.MD ready []",
            "cards/Upper.md ready []",
            "cards/by-link.md ready []",
            "cards/dangling.md unreadable []",
            "cards/endless.md unreadable []",
            "cards/a/index.md complete []",
            "cards/b/index.md complete []",
            "cards/folder.md/inner.md ready []",
            "cards/overview.md complete []",
            "cards/pipe.md unreadable []",
            "cards/upper.md complete []",
            "cards/v1.2.3.md ready []",
            "cards/with space.md blocked [\"7 wonders 🚀\",\"v1.2.3\",\"007\"]",
        ]
    );
    let findings = list["findings"].as_array().expect("findings");
    let codes: Vec<&str> = findings.iter().filter_map(|f| f["code"].as_str()).collect();
    assert_eq!(codes, ["unreadable", "unreadable", "unreadable"]);
}

#[test]
fn a_chain_of_thousands_has_one_leaf_and_is_no_matter_of_minutes() {
    let sandbox = Sandbox::new();
    for number in 0..5_000 {
        let below = match number {
            4_999 => String::new(),
            _ => format!("c{:04}", number + 1),
        };
        let text = format!("---\nstatus: active\nrequires: [{below}]\n---\n");
        sandbox.write(&format!("cards/c{number:04}.md"), &text);
    }
    let list = sandbox.mikado("list --format json").exits(0).json();
    let cards = list["cards"].as_array().expect("cards");
    assert_eq!(cards.len(), 5_000);
    let blocked = &cards[..4_999];
    assert!(
        blocked
            .iter()
            .all(|card| card["leaves"] == json!(["c4999"]))
    );
    assert_eq!(cards[4_999]["state"], "ready");
    let goals: Vec<_> = cards.iter().filter(|card| card["goal"] == true).collect();
    assert_eq!(goals.len(), 1);
    sandbox.mikado("next").exits(0).says("c4999");
    sandbox.mikado("why c0000").exits(0).says("c4999");
}
