//! Folders of Markdown that were not made for mikado.

use crate::support::sandbox::Sandbox;

/// 120 pages with front matter of every kind that documentation tools accept,
/// and some that none does.
fn pages() -> Sandbox {
    let fronts: [&str; 15] = [
        "",
        "---\ntitle: A page\ntags: [a, b]\n---\n",
        "---\ntitle: \"Quoted: with colon\"\ndate: 2026-02-28\n---\n",
        "+++\ntitle = 'toml'\n+++\n",
        "---\nlayout: post\n# a comment\ncategories:\n- one\n- two\n---\n",
        "\u{feff}---\ntitle: with a mark\n---\n",
        "---\r\ntitle: crlf\r\n---\r\n",
        "---\ntitle: ends with dots\n...\n",
        "---\n---\n",
        "---\ntitle: [unclosed\n---\n",
        "---\ntitle: no end\n",
        "\n\n---\ntitle: late\n---\n",
        "---\nweight: 007\nversion: 1.10\ndraft: yes\nnothing: ~\n---\n",
        "---\na: &x {b: 1}\nc: *x\n---\n",
        "---\n- a\n- list\n---\n",
    ];
    let mut sandbox = Sandbox::new();
    for number in 0..120 {
        let front = fronts[number % fronts.len()];
        let body = "# Heading\n\nText with `code`.\n\n```yaml\n---\nstatus: active\nrequires: [x]\n---\n```\n\n---\n\nMore.\n";
        sandbox = sandbox.file(
            &format!("docs/{}/page-{number}.md", number % 7),
            &format!("{front}{body}"),
        );
    }
    std::fs::write(sandbox.path("docs/latin.md"), b"---\ntitle: caf\xe9\n---\n").expect("a file");
    sandbox
        .file("docs/empty.md", "")
        .file("docs/with space \u{1f600}.md", "# Smile\n")
}

#[test]
fn a_folder_of_pages_is_listed_and_what_can_not_be_read_is_named() {
    let sandbox = pages();
    let list = sandbox
        .mikado("--cards docs list --all --format json")
        .exits(0)
        .json();
    let cards = list["cards"].as_array().expect("cards").clone();
    assert_eq!(cards.len(), 123);
    let unreadable: Vec<&str> = cards
        .iter()
        .filter(|card| card["state"] == "unreadable")
        .filter_map(|card| card["path"].as_str())
        .collect();
    // A list that is not closed, a block without its end, a list for a block, not UTF-8.
    assert_eq!(unreadable.len(), 8 + 8 + 8 + 1, "{unreadable:?}");
    let open = cards
        .iter()
        .filter(|card| card["state"] == "ready" || card["state"] == "blocked");
    assert_eq!(open.count(), 0);
    let text = sandbox.mikado("--cards docs list").exits(0).stdout();
    for path in unreadable {
        assert!(text.contains(path), "{path} is not named in\n{text}");
    }
}

#[test]
fn without_cards_the_way_on_is_told() {
    let sandbox = pages().file("docs/plan/one.md", "---\nstatus: active\n---\n# One\n");
    sandbox
        .mikado("list")
        .exits(2)
        .says("no cards here")
        .says("1 open card was seen in `docs`")
        .says("mikado --cards docs list");
    sandbox
        .mikado("--cards docs list")
        .exits(0)
        .says("ready")
        .says("one");
}
