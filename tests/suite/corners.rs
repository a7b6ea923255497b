//! Odd files: each gets a right reading, or a finding that names the line.

use serde_json::{Value, json};

use crate::support::sandbox::Sandbox;

/// What `list` says of the card `odd` with these bytes beside an open card `a`
/// and a complete one `done`, and its findings as `code:line`.
fn read(bytes: &[u8]) -> (Value, Vec<String>) {
    let sandbox = Sandbox::new()
        .card("a", "status: active")
        .card("done", "status: complete")
        .file("cards/odd.md", "");
    std::fs::write(sandbox.path("cards/odd.md"), bytes).expect("a file");
    let list = sandbox.mikado("list --all --format json").exits(0).json();
    let cards = list["cards"].as_array().expect("cards");
    assert_eq!(
        cards.len(),
        3,
        "one bad card never hides the others: {list}"
    );
    let odd = cards
        .iter()
        .find(|card| card["stem"] == "odd")
        .expect("the card")
        .clone();
    let findings = list["findings"].as_array().expect("findings");
    let of_odd = findings
        .iter()
        .filter(|finding| finding["path"] == "cards/odd.md");
    let found = of_odd
        .map(|f| format!("{}:{}", f["code"].as_str().unwrap_or("?"), f["line"]))
        .collect();
    (odd, found)
}

#[track_caller]
fn check(text: &str, state: &str, requires: &[&str], findings: &[&str]) {
    let (odd, found) = read(text.as_bytes());
    assert_eq!(odd["state"], state, "{text:?}: {odd} {found:?}");
    assert_eq!(odd["requires"], json!(requires), "{text:?}");
    assert_eq!(found, findings, "{text:?}");
}

#[test]
fn fences_are_found_where_they_are() {
    check("\u{feff}---\nstatus: active\n---\n", "ready", &[], &[]);
    check(
        "---\r\nstatus: active\r\nrequires: [a]\r\n---\r\n",
        "blocked",
        &["a"],
        &[],
    );
    check("---\nstatus: active\n...\nbody\n", "ready", &[], &[]);
    check("---  \nstatus: active\n---\t\n", "ready", &[], &[]);
    check(
        "---\ntitle: a --- b\nstatus: active\n---\n",
        "ready",
        &[],
        &[],
    );
    check(
        "---\nstatus: active # --- not a fence\n---\n",
        "ready",
        &[],
        &[],
    );
    check("---\nstatus: active\n---", "ready", &[], &[]);
    check(
        "no front matter\n---\nstatus: active\n---\n",
        "complete",
        &[],
        &[],
    );
    check("", "complete", &[], &[]);
    check("```\n---\nstatus: active\n---\n```\n", "complete", &[], &[]);
}

#[test]
fn requires_may_be_written_in_many_ways() {
    check(
        "---\nstatus: active\nrequires: a\n---\n",
        "blocked",
        &["a"],
        &[],
    );
    check(
        "---\nstatus: active\nrequires:\n- a\n- done\n---\n",
        "blocked",
        &["a", "done"],
        &[],
    );
    check(
        "---\nstatus: active\nrequires: ['a', \"done\"]\n---\n",
        "blocked",
        &["a", "done"],
        &[],
    );
    check("---\nstatus: active\nrequires: ~\n---\n", "ready", &[], &[]);
    check("---\nstatus: active\nrequires:\n---\n", "ready", &[], &[]);
    check(
        "---\nstatus: active\nrequires: []\n---\n",
        "ready",
        &[],
        &[],
    );
    check(
        "---\nstatus: active\nrequires: [done]\n---\n",
        "ready",
        &["done"],
        &[],
    );
    check(
        "---\nstatus: active\nrequires: [007, 2026-02-28, 1.10]\n---\n",
        "blocked",
        &["007", "2026-02-28", "1.10"],
        &[
            "unknown-prerequisite:3",
            "unknown-prerequisite:3",
            "unknown-prerequisite:3",
        ],
    );
    check(
        "---\nstatus: active\nrequires: [odd]\n---\n",
        "blocked",
        &["odd"],
        &["self-require:3"],
    );
    check(
        "---\nstatus: active\nrequires: ['[[a]]']\n---\n",
        "blocked",
        &["[[a]]"],
        &["odd-prerequisite:3"],
    );
    check(
        "---\nstatus: active\nrequires: [a.md]\n---\n",
        "blocked",
        &["a.md"],
        &["odd-prerequisite:3"],
    );
    check(
        "---\nstatus: active\nrequires: [docs/a]\n---\n",
        "blocked",
        &["docs/a"],
        &["odd-prerequisite:3"],
    );
}

#[test]
fn a_status_means_what_it_says() {
    check("---\nstatus:\nrequires: []\n---\n", "complete", &[], &[]);
    check("---\nstatus: ''\n---\n", "complete", &[], &[]);
    check("---\nstatus: completed\n---\n", "complete", &[], &[]);
    check("---\nstatus: done\n---\n", "complete", &[], &[]);
    check(
        "---\nrequires: []\n---\n",
        "complete",
        &[],
        &["no-status:1"],
    );
    check(
        "---\nstatus: in progress\n---\n",
        "ready",
        &[],
        &["odd-status:2"],
    );
    check(
        "---\nstatus: complete\nrequires: [a]\n---\n",
        "complete",
        &["a"],
        &["complete-over-open:2"],
    );
    check("---\ntitle: only\n---\n", "complete", &[], &[]);
}

#[test]
fn faults_name_their_line() {
    check(
        "---\nstatus: active\n",
        "unreadable",
        &[],
        &["unclosed-front-matter:1"],
    );
    check(
        "---\nstatus: active\nrequires: [a\n---\n",
        "unreadable",
        &[],
        &["front-matter-yaml:3"],
    );
    check(
        "---\nstatus: active\nstatus: complete\n---\n",
        "unreadable",
        &[],
        &["duplicate-key:3"],
    );
    check(
        "---\n<<<<<<< HEAD\nstatus: active\n=======\nstatus: complete\n>>>>>>> other\n---\n",
        "unreadable",
        &[],
        &["conflict-markers:2"],
    );
    let (odd, found) = read(b"---\nstatus: active\ntitle: caf\xe9\n---\n");
    assert_eq!(
        (odd["state"].as_str(), found),
        (Some("unreadable"), vec!["not-utf8:3".to_owned()])
    );
}

#[test]
fn an_unreadable_prerequisite_blocks() {
    let sandbox = Sandbox::new()
        .file("cards/broken.md", "---\nstatus: active\n")
        .card("needs", "status: active\nrequires: [broken]");
    let list = sandbox.mikado("list --format json").exits(0).json();
    let needs = list["cards"]
        .as_array()
        .expect("cards")
        .iter()
        .find(|card| card["stem"] == "needs")
        .expect("a card")
        .clone();
    assert_eq!(needs["state"], "blocked");
    assert_eq!(needs["blockedBy"], json!(["broken"]));
    sandbox
        .mikado("run needs")
        .exits(3)
        .says("cards/broken.md:1");
}

#[test]
fn stems_and_folders_of_all_kinds_are_read() {
    let sandbox = Sandbox::new()
        .file(
            "cards/deep/er/with space.md",
            "---\nstatus: active\nrequires: ['7-smile \u{1f600}']\n---\n",
        )
        .file("cards/7-smile \u{1f600}.md", "---\nstatus: active\n---\n")
        .file("cards/.hidden/x.md", "---\nstatus: active\n---\n")
        .file("cards/changelog.d/y.md", "---\nstatus: active\n---\n")
        .file("cards/two/same.md", "---\nstatus: active\n---\n")
        .file("cards/same.md", "---\nstatus: active\n---\n")
        .file("cards/page/index.md", "# Page\n")
        .file("cards/index.md", "# Page\n")
        .card("wants-same", "status: active\nrequires: [same]");
    std::os::unix::fs::symlink("..", sandbox.path("cards/deep/loop")).expect("a link");
    let list = sandbox.mikado("list --all --format json").exits(0).json();
    let cards = list["cards"].as_array().expect("cards").clone();
    let of = |stem: &str| {
        cards
            .iter()
            .filter(|card| card["stem"] == stem)
            .cloned()
            .collect::<Vec<_>>()
    };
    assert_eq!(of("with space")[0]["state"], "blocked");
    assert_eq!(of("with space")[0]["leaves"], json!(["7-smile \u{1f600}"]));
    assert!(of("x").is_empty() && of("y").is_empty());
    assert_eq!(of("same").len(), 2);
    assert!(of("index").iter().all(|page| page["state"] == "complete"));
    assert_eq!(of("wants-same")[0]["state"], "blocked");
    let codes: Vec<&str> = list["findings"]
        .as_array()
        .expect("findings")
        .iter()
        .filter_map(|f| f["code"].as_str())
        .collect();
    // Two pages with one stem matter to nobody.
    assert_eq!(codes, ["duplicate-stem"]);
    sandbox
        .mikado("check")
        .exits(3)
        .says("cards/same.md")
        .says("cards/two/same.md");
}

#[test]
fn every_card_that_is_completed_and_reopened_is_itself_again() {
    let texts = [
        "---\nstatus: active\n---\n",
        "\u{feff}---\r\ntitle: \"x\"\r\nstatus:   active   # note\r\nrequires: []\r\n---\r\nbody",
        "---\ntitle: x\nmodified: 2026-01-01\nstatus: 'active'\n...\nbody\n---\n",
    ];
    for text in texts {
        let sandbox = Sandbox::new().file("cards/x.md", text);
        sandbox.mikado("complete x").exits(0);
        let done = sandbox.read("cards/x.md");
        let same = text
            .lines()
            .zip(done.lines())
            .filter(|(a, b)| a != b)
            .count();
        assert_eq!(
            (same, text.lines().count()),
            (1, done.lines().count()),
            "{done:?}"
        );
        sandbox.mikado("complete x").exits(0);
        assert_eq!(sandbox.read("cards/x.md"), done);
        sandbox.mikado("reopen x").exits(0);
        assert_eq!(sandbox.read("cards/x.md"), text);
    }
}

#[test]
fn repository_in_a_folder_that_another_one_ignores_has_its_cards() {
    let sandbox = Sandbox::new().file(".gitignore", "trees\n").committed();
    sandbox.write("trees/one/cards/a.md", "---\nstatus: active\n---\n");
    sandbox.write("trees/one/cards/b.md", "---\nstatus: active\n---\n");
    sandbox.write("trees/one/.gitignore", "b.md\n");
    sandbox.git("init -q trees/one");
    let ran = sandbox.mikado("-C trees/one list --format json").exits(0);
    let cards = ran.json()["cards"].as_array().cloned().unwrap_or_default();
    let stems: Vec<_> = cards.iter().map(|card| card["stem"].clone()).collect();
    assert_eq!(stems, ["a"]);
}
