//! Cards as people and tools really write them: each is read rightly, or named
//! in a finding; and an edit of it changes its status line and nothing else.
//!
//! Every case says what a reader of the format would take the card for. What
//! follows from that (its state, what blocks it, its leaves) is worked out here
//! once more, from two neighbours: `open`, which is ready, and `done`.

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

#[test]
fn encodings_and_line_endings() {
    check(&[
        case(
            "a byte order mark",
            "\u{feff}---\nstatus: active\nrequires: [open]\n---\n",
            Is::Open,
        )
        .requires(&["open"]),
        case(
            "a mark and CRLF",
            "\u{feff}---\r\nstatus: active\r\n---\r\nbody\r\n",
            Is::Open,
        ),
        case(
            "CRLF",
            "---\r\nstatus: active\r\nrequires:\r\n  - open\r\n---\r\n",
            Is::Open,
        )
        .requires(&["open"]),
        case(
            "CRLF in the front matter alone",
            "---\r\nstatus: active\r\n---\r\na\nb\n",
            Is::Open,
        ),
        case(
            "LF with one CRLF",
            "---\nstatus: active\r\nrequires: [open]\n---\n",
            Is::Open,
        )
        .requires(&["open"]),
        case(
            "CR alone",
            "---\rstatus: active\rrequires:\r- open\r---\rbody\r",
            Is::Open,
        )
        .requires(&["open"])
        .finds(&["front-matter-differs:2"]),
        case(
            "Latin-1",
            b"---\nstatus: active\ntitle: caf\xe9\n---\n",
            Is::Unreadable,
        )
        .finds(&["not-utf8:3"]),
        case(
            "Latin-1 in the body",
            b"---\nstatus: active\n---\nx\ncaf\xe9\n",
            Is::Unreadable,
        )
        .finds(&["not-utf8:5"]),
        case("UTF-16", b"\xff\xfe-\0-\0-\0\n\0s\0", Is::Unreadable).finds(&["not-utf8:1"]),
        case(
            "NUL",
            "---\nstatus: active\ntitle: a\0b\n---\n",
            Is::Unreadable,
        )
        .finds(&["front-matter-yaml:3"]),
        case(
            "NUL in the body",
            "---\nstatus: active\n---\na\0b\n",
            Is::Open,
        ),
        case(
            "no line ending at the end",
            "---\nstatus: active\n---",
            Is::Open,
        ),
        case(
            "wide letters",
            "---\ntitle: 日本 🚀\nstatus: active\nrequires: [日本]\n---\n",
            Is::Open,
        )
        .requires(&["日本"])
        .finds(&["unknown-prerequisite:4"]),
    ]);
}

#[test]
fn fences() {
    check(&[
        case(
            "dots close",
            "---\nstatus: active\n...\nbody\n---\nmore\n",
            Is::Open,
        ),
        case(
            "blanks after the fences",
            "---   \nstatus: active\n--- \t\nbody\n",
            Is::Open,
        ),
        case(
            "three dashes in a value",
            "---\ntitle: a --- b\nstatus: active\n---\n",
            Is::Open,
        ),
        case(
            "three dashes begin a value",
            "---\ntitle: --- b\nstatus: active\n---\n",
            Is::Open,
        ),
        case(
            "three dashes in a comment",
            "---\nstatus: active # ---\n# ---\n---\n",
            Is::Open,
        ),
        case(
            "three dashes in quotes",
            "---\ntitle: '---'\nstatus: active\n---\n",
            Is::Open,
        ),
        case(
            "three dashes in a long text",
            "---\nabout: |\n  one\n  ---\n  two\nstatus: active\n---\n",
            Is::Open,
        ),
        case(
            "three dashes in prose",
            "---\nstatus: active\n---\n\na\n\n---\n\nb\n---\n",
            Is::Open,
        ),
        case(
            "a card in a code block",
            "---\nstatus: complete\n---\n```yaml\n---\nstatus: active\nrequires: [open]\n---\n```\n",
            Is::Complete,
        ),
        case(
            "nothing but a card in a code block",
            "```markdown\n---\nstatus: active\nrequires: [open]\n---\n```\n",
            Is::Page,
        ),
        case(
            "an indented card",
            "    ---\n    status: active\n    ---\n",
            Is::Page,
        ),
        case(
            "a rule first",
            "---\n\nSome prose.\n\nMore of it.\n",
            Is::Page,
        ),
        case(
            "a heading before",
            "# Title\n---\nstatus: active\n---\n",
            Is::Page,
        ),
        case("four dashes", "----\nstatus: active\n----\n", Is::Page),
        case("TOML", "+++\nstatus = 'active'\n+++\n", Is::Page),
        case("an empty file", "", Is::Page),
        case("a file of one fence", "---\n", Is::Page),
        case("a fence without an ending", "---", Is::Page),
        case("empty front matter", "---\n---\n# A\n", Is::Page),
        case("comments alone", "---\n# nothing\n---\n", Is::Page),
        case(
            "no closing fence",
            "---\nstatus: active\nrequires: [open]\n",
            Is::Unreadable,
        )
        .finds(&["unclosed-front-matter:1"]),
        case(
            "the closing fence is indented",
            "---\nstatus: active\n ---\n\nbody\n",
            Is::Unreadable,
        )
        .finds(&["unclosed-front-matter:1"]),
        case(
            "blank lines before",
            "\n\n---\nstatus: active\n---\n",
            Is::Open,
        )
        .finds(&["blank-before-front-matter:3"]),
        case(
            "blank lines before, and no end",
            "\n---\nstatus: active\n",
            Is::Unreadable,
        )
        .finds(&["unclosed-front-matter:2"]),
        case(
            "blank lines before, and no YAML",
            "\n---\nstatus: [active\n---\n",
            Is::Unreadable,
        )
        .finds(&["front-matter-yaml:3"]),
        case(
            "a rule below a blank line",
            "\n---\nProse.\n\n---\n",
            Is::Page,
        ),
        case(
            "a YAML directive",
            "---\n%YAML 1.2\n---\nstatus: active\n---\n",
            Is::Unreadable,
        )
        .finds(&["front-matter-yaml:2"]),
        case(
            "a second document",
            "---\nstatus: active\n--- # more\nx: 1\n---\n",
            Is::Unreadable,
        )
        .finds(&["front-matter-yaml:3"]),
    ]);
}

#[test]
fn prerequisites() {
    check(&[
        case(
            "a block list",
            "---\nstatus: active\nrequires:\n  - open\n  - done\n---\n",
            Is::Open,
        )
        .requires(&["open", "done"]),
        case(
            "a list at column 0",
            "---\nrequires:\n- open\n- done\nstatus: active\n---\n",
            Is::Open,
        )
        .requires(&["open", "done"]),
        case(
            "an inline list",
            "---\nstatus: active\nrequires: [ done , 'open' ]\n---\n",
            Is::Open,
        )
        .requires(&["done", "open"]),
        case(
            "an inline list over lines",
            "---\nrequires: [\n  open,\n  done,\n]\nstatus: active\n---\n",
            Is::Open,
        )
        .requires(&["open", "done"]),
        case(
            "a scalar",
            "---\nstatus: active\nrequires: open\n---\n",
            Is::Open,
        )
        .requires(&["open"]),
        case(
            "no value",
            "---\nstatus: active\nrequires:\n---\n",
            Is::Open,
        ),
        case(
            "null",
            "---\nstatus: active\nrequires: null\n---\n",
            Is::Open,
        ),
        case(
            "a tilde",
            "---\nstatus: active\nrequires: ~\n---\n",
            Is::Open,
        ),
        case(
            "an empty list",
            "---\nstatus: active\nrequires: []\n---\n",
            Is::Open,
        ),
        case(
            "an empty text",
            "---\nstatus: active\nrequires: ''\n---\n",
            Is::Open,
        ),
        case(
            "a number",
            "---\nstatus: active\nrequires: [42, 007, 1.10, 0x1F]\n---\n",
            Is::Open,
        )
        .requires(&["42", "007", "1.10", "0x1F"])
        .finds(&[
            "unknown-prerequisite:3",
            "unknown-prerequisite:3",
            "unknown-prerequisite:3",
            "unknown-prerequisite:3",
        ]),
        case(
            "a lone number",
            "---\nstatus: active\nrequires: 1.10\n---\n",
            Is::Open,
        )
        .requires(&["1.10"])
        .finds(&["unknown-prerequisite:3"]),
        case(
            "a date",
            "---\nstatus: active\nrequires:\n  - 2026-02-28\n---\n",
            Is::Open,
        )
        .requires(&["2026-02-28"])
        .finds(&["unknown-prerequisite:4"]),
        case(
            "a truth",
            "---\nstatus: active\nrequires: [true, no]\n---\n",
            Is::Open,
        )
        .requires(&["true", "no"])
        .finds(&["unknown-prerequisite:3", "unknown-prerequisite:3"]),
        case(
            "null in a list",
            "---\nstatus: active\nrequires: [null]\n---\n",
            Is::Open,
        )
        .requires(&["null"])
        .finds(&["unknown-prerequisite:3"]),
        case(
            "a wiki link in quotes",
            "---\nstatus: active\nrequires:\n  - '[[open]]'\n---\n",
            Is::Open,
        )
        .requires(&["[[open]]"])
        .finds(&["odd-prerequisite:4"]),
        case(
            "a bare wiki link",
            "---\nstatus: active\nrequires:\n  - [[done]]\n---\n",
            Is::Open,
        )
        .requires(&["[[done]]"])
        .finds(&["odd-prerequisite:4"]),
        case(
            "a link with a text",
            "---\nstatus: active\nrequires: ['[[done|it]]']\n---\n",
            Is::Open,
        )
        .requires(&["[[done|it]]"])
        .finds(&["odd-prerequisite:3"]),
        case(
            "a file name",
            "---\nstatus: active\nrequires: [done.md]\n---\n",
            Is::Open,
        )
        .requires(&["done.md"])
        .finds(&["odd-prerequisite:3"]),
        case(
            "a path",
            "---\nstatus: active\nrequires: [./done, ../x/done.md]\n---\n",
            Is::Open,
        )
        .requires(&["./done", "../x/done.md"])
        .finds(&["odd-prerequisite:3", "odd-prerequisite:3"]),
        case(
            "a map",
            "---\nstatus: active\nrequires:\n  open: true\n---\n",
            Is::Open,
        )
        .requires(&["{open: true}"])
        .finds(&["odd-prerequisite:4"]),
        case(
            "a map in a list",
            "---\nstatus: active\nrequires:\n  - done: yes\n---\n",
            Is::Open,
        )
        .requires(&["{done: yes}"])
        .finds(&["odd-prerequisite:4"]),
        case(
            "a nested list",
            "---\nstatus: active\nrequires:\n  - [done, open]\n---\n",
            Is::Open,
        )
        .requires(&["[done, open]"])
        .finds(&["odd-prerequisite:4"]),
        case(
            "one name twice",
            "---\nstatus: active\nrequires: [done, done]\n---\n",
            Is::Open,
        )
        .requires(&["done", "done"]),
        case(
            "another case",
            "---\nstatus: active\nrequires: [Open]\n---\n",
            Is::Open,
        )
        .requires(&["Open"])
        .finds(&["unknown-prerequisite:3"]),
        case(
            "blanks in quotes",
            "---\nstatus: active\nrequires: [' open']\n---\n",
            Is::Open,
        )
        .requires(&[" open"])
        .finds(&["unknown-prerequisite:3"]),
        case(
            "itself",
            "---\nstatus: active\nrequires: [odd]\n---\n",
            Is::Open,
        )
        .requires(&["odd"])
        .finds(&["self-require:3"]),
        case(
            "comments between",
            "---\nstatus: active\nrequires: # why\n  # first\n  - open # one\n\n  - done\n---\n",
            Is::Open,
        )
        .requires(&["open", "done"]),
        case(
            "an anchor",
            "---\nx: &r [open]\nrequires: *r\nstatus: active\n---\n",
            Is::Open,
        )
        .requires(&["open"]),
        case(
            "escapes",
            "---\nstatus: active\nrequires: [\"op\\x65n\"]\n---\n",
            Is::Open,
        )
        .requires(&["open"]),
        case(
            "a long text",
            "---\nstatus: active\nrequires:\n  - >-\n    open\n---\n",
            Is::Open,
        )
        .requires(&["open"]),
    ]);
}

#[test]
fn statuses() {
    check(&[
        case("no value", "---\nstatus:\ntitle: x\n---\n", Is::Complete),
        case(
            "a comment for a value",
            "---\nstatus: # active\n---\n",
            Is::Complete,
        ),
        case("null", "---\nstatus: null\n---\n", Is::Complete),
        case("a tilde", "---\nstatus: ~\n---\n", Is::Complete),
        case("an empty text", "---\nstatus: \"\"\n---\n", Is::Complete),
        case("complete", "---\nstatus: complete\n---\n", Is::Complete),
        case("completed", "---\nstatus: 'completed'\n---\n", Is::Complete),
        case("done", "---\nstatus: done\n---\n", Is::Complete),
        case("quotes", "---\nstatus: \"active\"\n---\n", Is::Open),
        case(
            "a comment behind",
            "---\nstatus: active   # since Monday\n---\n",
            Is::Open,
        ),
        case(
            "blanks around",
            "---\nstatus:    active   \n---\n",
            Is::Open,
        ),
        case(
            "on the next line",
            "---\nstatus:\n  active\ntitle: x\n---\n",
            Is::Open,
        ),
        case("another case", "---\nstatus: Active\n---\n", Is::Open).finds(&["odd-status:2"]),
        case("another word", "---\nstatus: wip\n---\n", Is::Open).finds(&["odd-status:2"]),
        case(
            "null in quotes",
            "---\nstatus: 'null'\ntitle: status\n---\n",
            Is::Open,
        )
        .finds(&["odd-status:2"]),
        case("a list", "---\nstatus: [active]\n---\n", Is::Open).finds(&["odd-status:2"]),
        case("a map", "---\nstatus: {is: active}\n---\n", Is::Open).finds(&["odd-status:2"]),
        case("a tag", "---\nstatus: !!str active\n---\n", Is::Open),
        case("an anchor", "---\nstatus: &s active\n---\n", Is::Open),
        case(
            "an alias",
            "---\ntitle: &s active\nstatus: *s\n---\n",
            Is::Open,
        ),
        case("escapes", "---\nstatus: \"acti\\u0076e\"\n---\n", Is::Open),
        case(
            "a folded text",
            "---\nstatus: >-\n  active\ntitle: x\n---\n",
            Is::Open,
        ),
        case("a key in quotes", "---\n'status': active\n---\n", Is::Open),
        case(
            "a key with a question mark",
            "---\n? status\n: active\n---\n",
            Is::Open,
        ),
        case(
            "one map in one line",
            "---\n{status: active, requires: [open]}\n---\n",
            Is::Open,
        )
        .requires(&["open"]),
        case(
            "a map over lines",
            "---\n{\n  status: active,\n  requires: [open]\n}\n---\n",
            Is::Open,
        )
        .requires(&["open"]),
        case(
            "all keys indented",
            "---\n  title: x\n  status: active\n---\n",
            Is::Open,
        ),
        case(
            "a key of another name",
            "---\nStatus: active\n---\n",
            Is::Page,
        ),
        case(
            "a status within",
            "---\nx:\n  status: active\n---\n",
            Is::Page,
        ),
        case(
            "a runner and no status",
            "---\nrunner: human\n---\n",
            Is::Complete,
        )
        .finds(&["no-status:1"]),
        case(
            "no status",
            "---\ntitle: x\nrequires: [done]\n---\n",
            Is::Complete,
        )
        .requires(&["done"])
        .finds(&["no-status:1"]),
        case(
            "complete over open",
            "---\nstatus: complete\nrequires: [open]\n---\n",
            Is::Complete,
        )
        .requires(&["open"])
        .finds(&["complete-over-open:2"]),
        case(
            "complete and unknown",
            "---\nstatus: complete\nrequires: [gone]\n---\n",
            Is::Complete,
        )
        .requires(&["gone"])
        .finds(&["unknown-prerequisite:3"]),
    ]);
}

#[test]
fn what_yaml_refuses_and_what_merges_leave() {
    check(&[
        case("a key twice", "---\nstatus: active\nstatus: complete\n---\n", Is::Unreadable)
            .finds(&["duplicate-key:3"]),
        case("requires twice", "---\nrequires: []\nstatus: active\nrequires: []\n---\n", Is::Unreadable)
            .finds(&["duplicate-key:4"]),
        case("an unknown key twice", "---\nstatus: active\nx: 1\nx: 2\n---\n", Is::Open)
            .finds(&["duplicate-key:4"]),
        case("a tab", "---\nstatus: active\nrequires:\n\t- open\n---\n", Is::Unreadable)
            .finds(&["front-matter-yaml:4"]),
        case("a colon in a title", "---\ntitle: a: b\nstatus: active\n---\n", Is::Unreadable)
            .finds(&["front-matter-yaml:2"]),
        case("a colon in quotes", "---\ntitle: \"a: b\"\nstatus: active\n---\n", Is::Open),
        case("an at sign", "---\ntitle: @x\nstatus: active\n---\n", Is::Unreadable)
            .finds(&["front-matter-yaml:2"]),
        case("a template", "---\ntitle: {{ title }}\nstatus: active\n---\n", Is::Open)
            .finds(&["odd-value:2"]),
        case("an open list", "---\nstatus: active\nrequires: [open\n---\n", Is::Unreadable)
            .finds(&["front-matter-yaml:3"]),
        case("an unknown alias", "---\nstatus: active\nrequires: *x\n---\n", Is::Unreadable)
            .finds(&["front-matter-yaml:3"]),
        case("a list for a map", "---\n- status: active\n---\n", Is::Unreadable)
            .finds(&["front-matter-yaml:2"]),
        case(
            "a conflict in the front matter",
            "---\ntitle: x\n<<<<<<< HEAD\nstatus: active\n=======\nstatus: complete\n>>>>>>> b\n---\n",
            Is::Unreadable,
        )
        .finds(&["conflict-markers:3"]),
        case(
            "a conflict over a fence",
            "---\n<<<<<<< HEAD\nstatus: active\n---\na\n=======\n---\nb\n>>>>>>> b\n",
            Is::Unreadable,
        )
        .finds(&["conflict-markers:2"]),
        case(
            "a conflict around it all",
            "<<<<<<< HEAD\n---\nstatus: active\n---\n=======\n>>>>>>> b\n",
            Is::Unreadable,
        )
        .finds(&["conflict-markers:1"]),
        case(
            "a conflict in the body",
            "---\nstatus: active\n---\n<<<<<<< HEAD\na\n=======\nb\n>>>>>>> b\n",
            Is::Open,
        )
        .finds(&["conflict-markers:4"]),
        case(
            "a conflict in code",
            "---\nstatus: active\n---\n```\n<<<<<<< HEAD\n=======\n>>>>>>> b\n```\n",
            Is::Open,
        ),
        case("a heading like a marker", "---\nstatus: active\n---\nTitle\n=======\n", Is::Open),
    ]);
}

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
