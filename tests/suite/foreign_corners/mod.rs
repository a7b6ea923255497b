//! Cards as people and tools really write them: each is read rightly, or named
//! in a finding; and an edit of it changes its status line and nothing else.
//!
//! Every case says what a reader of the format would take the card for. What
//! follows from that (its state, what blocks it, its leaves) is worked out here
//! once more, from two neighbours: `open`, which is ready, and `done`.

mod folders;
mod requires;
mod status;
mod text;

use std::os::unix::fs::PermissionsExt as _;

use serde_json::{Value, json};

use crate::support::sandbox::Sandbox;

/// What a reader takes the file for.
#[derive(Clone, Copy, PartialEq)]
enum Is {
    Open,
    Complete,
    Page,
    Unreadable,
}

struct Case {
    name: &'static str,
    bytes: Vec<u8>,
    is: Is,
    requires: &'static [&'static str],
    /// Findings as `code:line`.
    findings: &'static [&'static str],
}

const fn nothing() -> &'static [&'static str] {
    &[]
}

fn case(name: &'static str, text: impl AsRef<[u8]>, is: Is) -> Case {
    Case {
        name,
        bytes: text.as_ref().to_vec(),
        is,
        requires: nothing(),
        findings: nothing(),
    }
}

impl Case {
    fn requires(mut self, requires: &'static [&'static str]) -> Case {
        self.requires = requires;
        self
    }

    fn finds(mut self, findings: &'static [&'static str]) -> Case {
        self.findings = findings;
        self
    }

    /// Compares what `list` says of `odd` with what must follow.
    fn holds(&self, sandbox: &Sandbox) {
        let list = sandbox.mikado("list --all --format json").exits(0).json();
        let cards = list["cards"].as_array().expect("cards");
        assert_eq!(cards.len(), 3, "{}: a card vanished: {list}", self.name);
        let odd = cards.iter().find(|card| card["stem"] == "odd");
        let odd = odd.unwrap_or_else(|| panic!("{}: the card vanished", self.name));
        let is_open = self.is == Is::Open;
        let of = |stem: &str| -> Vec<&str> {
            let all = self.requires.iter().copied();
            all.filter(|entry| *entry == stem).take(1).collect()
        };
        let unknown: Vec<&&str> = self
            .requires
            .iter()
            .filter(|entry| !["open", "done", "odd"].contains(*entry))
            .collect();
        // A card that requires itself waits for itself, and is nobody's goal.
        let itself = of("odd");
        let lacks = [of("open"), itself.clone()].concat();
        let is_blocked = is_open && !(lacks.is_empty() && unknown.is_empty());
        let state = match self.is {
            Is::Unreadable => "unreadable",
            Is::Complete | Is::Page => "complete",
            Is::Open if is_blocked => "blocked",
            Is::Open => "ready",
        };
        let only = |when: bool, stems: Vec<&str>| if when { json!(stems) } else { json!([]) };
        let expected = json!({
            "state": state,
            "page": self.is == Is::Page,
            "goal": is_open && itself.is_empty(),
            "requires": self.requires,
            "unknown": unknown,
            "blockedBy": only(is_blocked, lacks),
            "leaves": only(is_blocked, of("open")),
        });
        let found: Value = expected
            .as_object()
            .expect("an object")
            .keys()
            .map(|key| (key.clone(), odd[key].clone()))
            .collect();
        let findings = list["findings"].as_array().expect("findings");
        let codes: Vec<String> = findings
            .iter()
            .filter(|finding| finding["path"] == "cards/odd.md")
            .map(|f| format!("{}:{}", f["code"].as_str().unwrap_or("?"), f["line"]))
            .collect();
        assert_eq!(found, expected, "{}: {codes:?}", self.name);
        assert_eq!(codes, self.findings, "{}", self.name);
        // Whatever the card is, its neighbours are what they are.
        for (stem, state) in [("open", "ready"), ("done", "complete")] {
            let card = cards.iter().find(|card| card["stem"] == stem);
            assert_eq!(card.expect("a neighbour")["state"], state, "{}", self.name);
        }
    }

    /// Completes the card and opens it again, each twice.
    fn is_edited_in_its_status_alone(&self, sandbox: &Sandbox) {
        let path = sandbox.path("cards/odd.md");
        let bytes = || std::fs::read(&path).expect("the card");
        let mode = || std::fs::metadata(&path).expect("the card").permissions();
        let before = bytes();
        let force = |word: &str| match word {
            "complete" => "complete odd --force --reason test",
            _ => "reopen odd",
        };
        let words = match self.is {
            Is::Open => ["complete", "reopen"],
            Is::Complete => ["reopen", "complete"],
            Is::Page | Is::Unreadable => return,
        };
        for word in words {
            let was = bytes();
            sandbox.mikado(force(word)).exits(0);
            let now = bytes();
            assert_ne!(was, now, "{}: {word} changed nothing", self.name);
            one_stretch_of_lines_changed(&was, &now, self.name);
            sandbox.mikado(force(word)).exits(0);
            assert_eq!(bytes(), now, "{}: {word} twice is not once", self.name);
            assert_eq!(mode().mode() & 0o777, 0o640, "{}", self.name);
        }
        // Where the status was written plainly it is itself again.
        let plain = |bytes: &[u8]| String::from_utf8_lossy(bytes).contains("status: active");
        if plain(&before) && self.is == Is::Open && !before.contains(&b'"') {
            assert_eq!(bytes(), before, "{}", self.name);
        }
    }
}

/// The lines of two texts, each with its ending, are the same but for one
/// stretch; in it a line has the word `status`, or it is its value.
fn one_stretch_of_lines_changed(old: &[u8], new: &[u8], name: &str) {
    let lines = |bytes: &[u8]| -> Vec<Vec<u8>> {
        let breaks = |byte: &u8| matches!(byte, b'\n' | b'\r');
        let all = bytes.chunk_by(|a, b| !breaks(a) || (*a == b'\r' && *b == b'\n'));
        all.map(<[u8]>::to_vec).collect()
    };
    let (old, new) = (lines(old), lines(new));
    let same = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    let rest = (old[same..].iter().rev().zip(new[same..].iter().rev()))
        .take_while(|(a, b)| a == b)
        .count();
    let gone = &old[same..old.len() - rest];
    let came = &new[same..new.len() - rest];
    let text = |lines: &[Vec<u8>]| String::from_utf8_lossy(&lines.concat()).into_owned();
    let at_most = if text(gone).contains(['>', '|']) {
        2
    } else {
        1
    };
    assert!(
        gone.len() <= at_most && came.len() <= 1,
        "{name}: {:?} became {:?}",
        text(gone),
        text(came)
    );
    for line in [text(gone), text(came)] {
        let words = ["status", "active", "complete", "wip", "Active"];
        assert!(
            line.is_empty() || words.iter().any(|word| line.contains(word)),
            "{name}: {line:?}"
        );
    }
}

/// A folder with the case's bytes beside its two neighbours.
fn folder(case: &Case) -> Sandbox {
    let sandbox = Sandbox::new()
        .card("open", "status: active")
        .card("done", "status: complete")
        .file("cards/odd.md", "");
    let path = sandbox.path("cards/odd.md");
    std::fs::write(&path, &case.bytes).expect("a file");
    let mode = std::fs::Permissions::from_mode(0o640);
    std::fs::set_permissions(&path, mode).expect("a mode");
    sandbox
}

fn check(cases: &[Case]) {
    for case in cases {
        let sandbox = folder(case);
        case.holds(&sandbox);
        case.is_edited_in_its_status_alone(&sandbox);
    }
}
