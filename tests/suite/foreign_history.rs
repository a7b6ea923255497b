//! A folder of documentation as it grows: 27 states of it, each read by the
//! program and by a small reader of its own, which must agree on every card.
//!
//! The folder has what real ones have: six chains one after the other and at the
//! same time, complete cards that keep `requires`, cards that move between
//! folders, pages of one name, templates, change notes, ignored folders, quoted
//! titles, bare dates, and rules and code blocks that look like cards.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use mikado::card::edit::{self, Completion};
use mikado::card::{Card, Deck, PlanState, Source};
use serde_json::{Value, json};

use crate::support::sandbox::Sandbox;

const STATES: usize = 27;
const CHAINS: usize = 6;
const CARDS: usize = 9;

/// Numbers that are the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % sides as u64) as usize
    }
}

/// The text of a card in a state; a chain is open for some states, its cards
/// are done from the last one up.
fn card(chain: usize, number: usize, state: usize, dice: &mut Dice) -> Option<String> {
    let start = chain * 4;
    if state < start {
        return None;
    }
    let age = state - start;
    // Two cards are closed in each state, and one too early.
    let is_done = CARDS - 1 - number < age * 2 || (number == 1 && age == 2);
    // When all is done, the marks of the chain are taken away.
    let is_over = age * 2 > CARDS + 1;
    let mut lines = Vec::new();
    let name = format!("Chain {chain}: card {number}");
    match dice.below(3) {
        0 => lines.push(format!("title: \"{name}\"")),
        1 => lines.push(format!("title: '{name}'")),
        _ => lines.push(format!("title: Card {number} of {chain} --- a plan")),
    }
    if dice.below(3) > 0 {
        lines.push(format!("modified: 2026-0{}-{:02}", chain + 1, state + 1));
    }
    match (is_done, is_over, dice.below(5)) {
        (_, true, 0) => lines.push("status:".into()),
        (_, true, _) => {}
        (true, _, 0) => lines.push("status: completed".into()),
        (true, _, 1) => lines.push("status: done # at last".into()),
        (true, ..) => lines.push("status: complete".into()),
        (false, _, 0) => lines.push("status: 'active'".into()),
        (false, _, 1) => lines.push("status: active   # still".into()),
        (false, _, 2) if age == 3 => lines.push("status: in progress".into()),
        (false, ..) => lines.push("status: active".into()),
    }
    if number == 0 && !is_over {
        lines.push(format!("branch: mikado/chain-{chain}"));
    }
    let mut requires: Vec<String> = [number * 2 + 1, number * 2 + 2, number + 3]
        .into_iter()
        .filter(|other| *other < CARDS)
        .take(1 + dice.below(3))
        .map(|other| format!("c{chain}-card-{other}"))
        .collect();
    requires.dedup();
    match dice.below(24) {
        0 => requires.push(format!("not-yet-{chain}")),
        1 => requires.push("overview".into()),
        2 if chain > 0 => requires.push(format!("c{}-card-0", chain - 1)),
        _ => {}
    }
    // A chain that is over keeps its edges in half of the cards.
    if !is_over || dice.below(2) == 0 {
        match (requires.as_slice(), dice.below(5)) {
            ([], 0) => lines.push("requires: []".into()),
            ([], 1) => lines.push("requires:".into()),
            ([], _) => {}
            ([one], 0) => lines.push(format!("requires: {one}")),
            (all, 0 | 1) => lines.push(format!("requires: [{}]", all.join(", "))),
            (all, 2) => {
                lines.push("requires:".into());
                lines.extend(all.iter().map(|stem| format!("- {stem}")));
            }
            (all, _) => {
                lines.push("requires: # what it stands on".into());
                lines.extend(all.iter().map(|stem| format!("  - \"{stem}\"")));
            }
        }
    }
    lines.push("tags: [how-to, nix]".into());
    let body = [
        "# A card\n\nProse.\n\n---\n\nMore prose.\n",
        "Text\n\n```yaml\n---\nstatus: active\nrequires: [nobody]\n---\n```\n",
        "- [ ] a box\n- [x] another\n\nSee [[overview]].\n",
    ];
    let text = format!("---\n{}\n---\n{}", lines.join("\n"), body[dice.below(3)]);
    Some(match dice.below(12) {
        0 => text.replace('\n', "\r\n"),
        1 => format!("\u{feff}{text}"),
        _ => text,
    })
}

/// All files of a state, by path.
fn state(number: usize) -> BTreeMap<String, String> {
    let mut files = BTreeMap::new();
    let folders = [
        "plans",
        "how-to",
        "reference",
        "explanation/deep",
        "archive",
    ];
    for chain in 0..CHAINS {
        for card_number in 0..CARDS {
            // The same card is the same text in each state, but for its state.
            let mut dice = Dice(0x9E37_79B9 + (chain * 100 + card_number) as u64);
            let Some(text) = card(chain, card_number, number, &mut dice) else {
                continue;
            };
            // It moves every seven states.
            let folder = folders[(chain + card_number + number / 7) % folders.len()];
            let path = format!("docs/{folder}/c{chain}-card-{card_number}.md");
            files.insert(path, text.clone());
            // A move that forgot the old file.
            if number == 15 && chain == 3 && card_number == 4 {
                files.insert(format!("docs/old/c{chain}-card-{card_number}.md"), text);
            }
        }
    }
    let pages = [
        "---\ntitle: A page\ntags: [a]\n---\n# A page\n",
        "# No front matter\n\n---\nstatus: active\n---\n",
        "---\ntitle: \"Quoted: with a colon\"\ndate: 2026-02-28\n---\nText\n",
        "---\n---\nNothing\n",
        "Just text, and no title.\n",
        "```markdown\n---\nstatus: active\n---\n```\n",
    ];
    for page in 0..60 + number {
        let folder = folders[page % folders.len()];
        let text = pages[page % pages.len()];
        files.insert(format!("docs/{folder}/page-{page}.md"), text.into());
    }
    for folder in folders {
        for name in ["README", "index"] {
            files.insert(format!("docs/{folder}/{name}.md"), "# Here\n".into());
        }
    }
    let open = "---\nstatus: active\nrequires: [nobody-at-all]\n---\n";
    for (path, text) in [
        ("docs/overview.md", "# Overview\n\n[[c0-card-0]]\n"),
        (
            "docs/templates/card.md",
            "---\ntitle: {{ title }}\ntags: []\n---\n",
        ),
        ("docs/changelog.d/c9.feature.md", open),
        ("docs/plans/changelog.d/more.md", open),
        ("docs/.obsidian/templates/t.md", open),
        ("docs/node_modules/x/README.md", open),
        ("docs/build/generated.md", open),
        (".gitignore", "node_modules/\n/docs/build/\n"),
    ] {
        files.insert(path.into(), text.into());
    }
    files
}

/// What the small reader knows of a file.
#[derive(Clone, Debug)]
struct Read {
    stem: String,
    page: bool,
    open: bool,
    odd: bool,
    has_status: bool,
    requires: Vec<String>,
}

/// Reads a file line by line, for the forms that this folder has.
fn read(path: &str, text: &str) -> Read {
    let text = text.trim_start_matches('\u{feff}').replace("\r\n", "\n");
    let name = path.rsplit('/').next().unwrap_or(path);
    let mut keys: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let bare = |value: &str| value.trim().trim_matches(['"', '\'']).to_owned();
    let mut lines = text.lines();
    if lines.next() == Some("---") {
        let mut last = String::new();
        for line in lines.take_while(|line| *line != "---") {
            let line = line.split(" #").next().unwrap_or(line);
            if let Some(item) = line.trim_start().strip_prefix("- ") {
                keys.entry(last.clone()).or_default().push(bare(item));
            } else if let Some((key, value)) = line.split_once(':') {
                last = key.to_owned();
                let list = value
                    .trim()
                    .strip_prefix('[')
                    .and_then(|v| v.strip_suffix(']'));
                let values = match list {
                    Some(list) => list.split(',').map(bare).collect(),
                    None => vec![bare(value)],
                };
                let values = values.into_iter().filter(|value| !value.is_empty());
                keys.insert(last.clone(), values.collect());
            }
        }
    }
    let status = keys.get("status").and_then(|values| values.first());
    let done = ["complete", "completed", "done"];
    Read {
        stem: name.trim_end_matches(".md").to_owned(),
        page: !["status", "requires", "runner"]
            .iter()
            .any(|key| keys.contains_key(*key)),
        open: status.is_some_and(|status| !done.contains(&status.as_str())),
        odd: status.is_some_and(|status| status != "active" && !done.contains(&status.as_str())),
        has_status: keys.contains_key("status"),
        requires: keys.get("requires").cloned().unwrap_or_default(),
    }
}

/// What must be said of every file, by path, and the findings as `path code`.
fn expected(files: &BTreeMap<String, String>) -> (BTreeMap<String, Value>, Vec<String>) {
    let hidden = [
        "changelog.d/",
        "/.obsidian/",
        "node_modules/",
        "docs/build/",
    ];
    let is_read =
        |path: &str| path.ends_with(".md") && !hidden.iter().any(|part| path.contains(part));
    let all: BTreeMap<String, Read> = files
        .iter()
        .filter(|(path, _)| is_read(path))
        .map(|(path, text)| (path.clone(), read(path, text)))
        .collect();
    let named =
        |stem: &str| -> Vec<&Read> { all.values().filter(|read| read.stem == stem).collect() };
    let is_twice = |stem: &str| {
        let files = named(stem);
        let is_required = all
            .values()
            .any(|read| read.requires.iter().any(|r| r == stem));
        files.len() > 1 && (is_required || files.iter().any(|read| !read.page))
    };
    let state = |read: &Read| -> &'static str {
        let is_done = |stem: &String| matches!(named(stem).as_slice(), [one] if !one.open);
        match read {
            _ if is_twice(&read.stem) => "unreadable",
            _ if !read.open => "complete",
            _ if read.requires.iter().all(is_done) => "ready",
            _ => "blocked",
        }
    };
    let state_of = |stem: &str| named(stem).first().map_or("none", |read| state(read));
    let blocked_by = |read: &Read| -> Vec<String> {
        let all = read.requires.iter().filter(|stem| {
            state(read) == "blocked" && !["complete", "none"].contains(&state_of(stem))
        });
        each_once(all.cloned())
    };
    // Everything below, as deep as it goes.
    let leaves = |read: &Read| -> BTreeSet<String> {
        let mut seen: BTreeSet<String> = BTreeSet::new();
        let mut pending = blocked_by(read);
        while let Some(stem) = pending.pop() {
            if seen.insert(stem.clone()) {
                pending.extend(named(&stem).iter().flat_map(|read| blocked_by(read)));
            }
        }
        seen.into_iter()
            .filter(|stem| state_of(stem) == "ready")
            .collect()
    };
    let mut findings = Vec::new();
    let mut cards = BTreeMap::new();
    for (path, read) in &all {
        let mut by: Vec<&str> = Vec::new();
        for other in all
            .values()
            .filter(|other| other.requires.contains(&read.stem))
        {
            by.push(&other.stem);
        }
        by.sort();
        by.dedup();
        let is_open = |stem: &str| ["ready", "blocked"].contains(&state_of(stem));
        let unknown: Vec<&String> = read
            .requires
            .iter()
            .filter(|stem| named(stem).is_empty())
            .collect();
        for _ in &unknown {
            findings.push(format!("{path} unknown-prerequisite"));
        }
        if is_twice(&read.stem)
            && all
                .iter()
                .find(|(_, r)| r.stem == read.stem)
                .map(|(p, _)| p)
                == Some(path)
        {
            findings.push(format!("{path} duplicate-stem"));
        }
        if read.odd {
            findings.push(format!("{path} odd-status"));
        }
        if !read.open && !read.page {
            if read.requires.iter().any(|stem| is_open(stem)) {
                findings.push(format!("{path} complete-over-open"));
            }
            if !read.has_status {
                findings.push(format!("{path} no-status"));
            }
        }
        if path.ends_with("templates/card.md") {
            findings.push(format!("{path} odd-value"));
        }
        let card = json!({
            "stem": read.stem,
            "page": read.page,
            "state": state(read),
            "goal": is_open(&read.stem) && !by.iter().any(|stem| is_open(stem)),
            "requires": read.requires,
            "requiredBy": by,
            "blockedBy": blocked_by(read),
            "unknown": unknown,
            "leaves": leaves(read),
        });
        cards.insert(path.clone(), card);
    }
    findings.sort();
    (cards, findings)
}

/// The items in their order, each where it stands first.
fn each_once(items: impl Iterator<Item = String>) -> Vec<String> {
    let mut seen = BTreeSet::new();
    items.filter(|item| seen.insert(item.clone())).collect()
}

/// Makes the folder what it is in a state.
fn write(sandbox: &Sandbox, files: &BTreeMap<String, String>) {
    drop(fs::remove_dir_all(sandbox.path("docs")));
    for (path, text) in files {
        sandbox.write(path, text);
    }
}

#[test]
fn every_state_of_a_growing_folder_is_read_as_a_small_reader_does() {
    let sandbox = Sandbox::new().file("mikado.yaml", "cards: [docs]\n");
    let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
    for number in 0..STATES {
        let files = state(number);
        write(&sandbox, &files);
        let (cards, findings) = expected(&files);
        let list = sandbox.mikado("list --all --format json").exits(0).json();
        let mut found = BTreeMap::new();
        for card in list["cards"].as_array().expect("cards") {
            let path = card["path"].as_str().expect("a path").to_owned();
            let same_keys = cards.get(&path).and_then(Value::as_object);
            let same_keys = same_keys.unwrap_or_else(|| panic!("{number}: {path} is too much"));
            let card: Value = same_keys
                .keys()
                .map(|k| (k.clone(), card[k].clone()))
                .collect();
            *kinds.entry(card["state"].to_string()).or_default() += 1;
            *kinds.entry(format!("goal {}", card["goal"])).or_default() += 1;
            found.insert(path, card);
        }
        assert_eq!(found.len(), cards.len(), "{number}: a file vanished");
        for (path, card) in &cards {
            assert_eq!(&found[path], card, "state {number}: {path}");
        }
        let mut codes: Vec<String> = list["findings"]
            .as_array()
            .expect("findings")
            .iter()
            .map(|f| {
                format!(
                    "{} {}",
                    f["path"].as_str().unwrap_or("?"),
                    f["code"].as_str().unwrap_or("?")
                )
            })
            .collect();
        codes.sort();
        assert_eq!(codes, findings, "state {number}");
        for line in &findings {
            let code = line.rsplit(' ').next().unwrap_or_default();
            *kinds.entry(code.to_owned()).or_default() += 1;
        }
    }
    // The folder has something of everything, or this compares nothing.
    for kind in [
        "\"ready\"",
        "\"blocked\"",
        "\"complete\"",
        "\"unreadable\"",
        "goal true",
        "unknown-prerequisite",
        "duplicate-stem",
        "odd-status",
        "complete-over-open",
        "no-status",
    ] {
        assert!(
            kinds.get(kind).is_some_and(|count| *count > 0),
            "no {kind}: {kinds:?}"
        );
    }
}

#[test]
fn every_card_of_every_state_is_completed_and_opened_by_its_status_alone() {
    let sandbox = Sandbox::new();
    let root = sandbox.root();
    let mut edited = 0;
    for number in [3, 9, 14, 20, 26] {
        write(&sandbox, &state(number));
        let deck = Deck::read(&root, &[root.join("docs")]).expect("a deck");
        for card in deck.cards().iter().filter(|card| !card.page) {
            for completion in [Completion::Set, Completion::Remove] {
                there_and_back(&root, card, completion);
                edited += 1;
            }
        }
    }
    assert!(edited > 200, "{edited} cards are no proof");
}

/// Edits a card's file both ways, each twice; at the end it is as it was.
fn there_and_back(root: &Path, card: &Card, completion: Completion) {
    let path = root.join(card.path());
    let before = fs::read(&path).expect("a card");
    let now = || -> Card {
        let bytes = fs::read(&path).expect("a card");
        let source = Source::new(card.path().to_owned(), bytes);
        Card::read(card.stem.clone(), source)
    };
    let turn = |card: &Card| match card.plan {
        PlanState::Open => edit::complete(root, card, completion),
        _ => edit::reopen(root, card),
    };
    let mut was = before.clone();
    for _ in 0..2 {
        let card = now();
        assert!(turn(&card).expect("an edit"), "{}", path.display());
        let is = fs::read(&path).expect("a card");
        one_status_line_differs(&was, &is, &path);
        let again = now();
        let twice = match again.plan {
            PlanState::Open => edit::reopen(root, &again),
            _ => edit::complete(root, &again, completion),
        };
        assert!(!twice.expect("no edit"), "{}", path.display());
        assert_eq!(fs::read(&path).expect("a card"), is);
        // What was read before the edit is another card by now.
        assert!(turn(&card).is_err(), "{} was overwritten", path.display());
        assert_eq!(fs::read(&path).expect("a card"), is);
        was = is;
    }
    fs::write(&path, before).expect("a card");
}

fn one_status_line_differs(old: &[u8], new: &[u8], path: &Path) {
    let lines = |bytes: &[u8]| -> Vec<String> {
        let text = String::from_utf8(bytes.to_vec()).expect("text");
        text.split_inclusive('\n').map(str::to_owned).collect()
    };
    let (old, new) = (lines(old), lines(new));
    let same = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    let (a, b) = (&old[same..], &new[same..]);
    let rest = a
        .iter()
        .rev()
        .zip(b.iter().rev())
        .take_while(|(a, b)| a == b)
        .count();
    let (gone, came) = (&a[..a.len() - rest], &b[..b.len() - rest]);
    assert!(
        gone.len() <= 1 && came.len() <= 1,
        "{}: {gone:?} {came:?}",
        path.display()
    );
    for line in gone.iter().chain(came) {
        assert!(line.starts_with("status:"), "{}: {line:?}", path.display());
        assert_eq!(
            line.ends_with("\r\n"),
            old[0].ends_with("\r\n"),
            "{}",
            path.display()
        );
    }
}
