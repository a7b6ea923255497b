//! What must hold of a card reader and of edits, whatever the bytes are.
//!
//! libFuzzer calls these with bytes of its own making, and the test suite with
//! the files in `seeds/`, where every input is kept that once broke something.
//! A rule that does not hold is a panic. The rules know the bytes of a card and
//! what was read from them; how it is read and edited is not repeated here.

use std::path::{Path, PathBuf};

use mikado::card::body::Headings;
use mikado::card::edit::{self, Completion};
use mikado::card::{Card, Deck, PlanState, Source, Stem, Text, prerequisites};
use mikado::chain::{Chain, State};
use mikado::diagnostic::{self, Diagnostic, Look, Severity};
use mikado::runner::work::Runners;

/// What parts the files of one input.
const BETWEEN_FILES: &[u8] = b"\n%%%%\n";

/// Reads bytes as a folder of cards `a`, `b`, `c` and so on; the fifth is
/// another `a`. None may vanish, and every place must be in its file.
pub fn read(data: &[u8]) {
    let files = split(data);
    let stems = ["a", "b", "c", "d"];
    let cards: Vec<Card> = (0..files.len())
        .map(|index| {
            let stem = stems[index % stems.len()];
            let path = PathBuf::from(format!("{}/{stem}.md", index / stems.len()));
            Card::read(Stem::new(stem), Source::new(path, files[index].to_vec()))
        })
        .collect();
    for card in &cards {
        well_read(card);
    }
    let count = cards.len();
    let deck = Deck::new(cards);
    assert_eq!(deck.cards().len(), count, "a file vanished");
    let chain = Chain::new(&deck);
    for finding in chain.findings() {
        well_found(finding, &deck);
    }
    for card in deck.cards() {
        well_decided(card, &deck, &chain);
    }
    let all = chain.closure(&deck.stems().cloned().collect::<Vec<_>>());
    assert_eq!(chain.order(&all).len(), all.len(), "a card was lost");
    let mut runners = Runners::new(Path::new("nowhere"), Path::new("nowhere/runners"));
    for card in deck.cards() {
        if let Err(findings) = runners.work(card, &Headings::default()) {
            findings
                .iter()
                .for_each(|finding| well_found(finding, &deck));
        }
    }
}

fn split(mut data: &[u8]) -> Vec<&[u8]> {
    let mut files = Vec::new();
    let length = BETWEEN_FILES.len();
    while let Some(at) = data.windows(length).position(|part| part == BETWEEN_FILES) {
        files.push(&data[..at]);
        data = &data[at + length..];
    }
    files.push(data);
    files
}

/// The card on its own: its places are in its file, and what can't be read says
/// why.
fn well_read(card: &Card) {
    let bytes = card.source.bytes();
    let front = &card.front;
    let texts = [&front.title, &front.status, &front.branch, &front.modified];
    let spans = texts.into_iter().flatten().map(|text| &text.span);
    let lists = [&front.tags, &front.aliases, &front.keys];
    let spans = spans.chain(lists.into_iter().flatten().map(|text| &text.span));
    let spans = spans.chain(front.with_spans.values());
    for span in spans.chain(card.requires().iter().map(|entry| &entry.span)) {
        assert!(
            span.start <= span.end && span.end <= card.body_start,
            "{span:?}"
        );
    }
    assert!(card.body_start <= bytes.len());
    assert!(
        card.source
            .text()
            .is_none_or(|text| text.is_char_boundary(card.body_start))
    );
    let errors = card
        .findings
        .iter()
        .filter(|f| f.severity == Severity::Error);
    if card.plan == PlanState::Unreadable {
        assert!(errors.count() > 0, "unreadable without a reason");
    }
    assert!(
        !card.page || card.plan == PlanState::Complete,
        "an open page"
    );
    assert!(!card.title().contains(['\n', '\r']));
    let body = card.body(&Headings::default());
    let lines = card.source.line(bytes.len());
    let items = body.steps.iter().chain(&body.checks).map(|item| item.line);
    for line in items.chain(body.blocks.iter().map(|block| block.line)) {
        assert!((1..=lines).contains(&line), "line {line} of {lines}");
    }
    if card.plan != PlanState::Unreadable {
        assert!(
            body.blocks.is_empty() || card.may_run(),
            "code is overlooked"
        );
    }
    let deck = Deck::new(Vec::new());
    for finding in &card.findings {
        assert!(finding.places.iter().all(|place| place.path == card.path()));
        well_found(finding, &deck);
        for place in &finding.places {
            well_placed(place, card);
        }
    }
}

/// A finding says where and what to do, and can be drawn.
fn well_found(finding: &Diagnostic, deck: &Deck) {
    assert!(!finding.help.is_empty(), "{} has no help", finding.code);
    assert!(!finding.places.is_empty(), "{} has no place", finding.code);
    let message = &finding.message;
    assert!(
        !message.ends_with('.') || message.ends_with(".."),
        "{message}"
    );
    for place in &finding.places {
        let card = deck.cards().iter().find(|card| card.path() == place.path);
        if let Some(card) = card {
            well_placed(place, card);
        }
    }
    for width in [20, 80] {
        for colour in [false, true] {
            let drawn = diagnostic::render(finding, Look { colour, width });
            assert!(drawn.ends_with('\n') && drawn.contains('^'));
            let is_ours = |c: char| c == '\n' || colour && c == '\u{1b}';
            let others = drawn.contains(|c: char| c.is_control() && !is_ours(c));
            assert!(!others, "control characters: {drawn:?}");
        }
    }
}

fn well_placed(place: &diagnostic::Place, card: &Card) {
    let span = card.source.line_span(place.line);
    let line = String::from_utf8_lossy(&card.source.bytes()[span]);
    assert_eq!(line, place.text);
    let (start, length) = (place.column as usize - 1, line.chars().count());
    assert!(start <= length, "column {} of {length}", place.column);
    assert!(place.width == 1 || start + place.width as usize <= length);
}

/// The state of a card, decided once more from its words.
fn well_decided(card: &Card, deck: &Deck, chain: &Chain) {
    let stem = &card.stem;
    let state = chain.state(stem);
    let twice = deck.files(stem.as_str()).len() > 1;
    let is_done = |stem: &Stem| {
        let card = deck.card(stem);
        card.is_some_and(|card| card.plan == PlanState::Complete)
    };
    let lacks = !chain.unknown(stem).is_empty() || !chain.requires(stem).iter().all(is_done);
    match (card.plan, state) {
        _ if twice => assert!(!matches!(state, State::Ready | State::Blocked)),
        (PlanState::Unreadable, state) => assert_eq!(state, State::Unreadable),
        (PlanState::Complete, state) => assert_eq!(state, State::Complete),
        (PlanState::Open, state) => assert_eq!(state == State::Blocked, lacks),
    }
    let entries = chain.requires(stem).len() + chain.unknown(stem).len();
    let written = card.requires().len();
    assert!(twice || entries <= written && (entries > 0) == (written > 0));
    for leaf in chain.leaves(stem) {
        assert_eq!(chain.state(&leaf), State::Ready);
    }
}

/// Reads bytes as a card and edits it. Only the key that is meant may change,
/// and the same edit again changes nothing.
pub fn edit(data: &[u8]) {
    let card = card(data.to_vec());
    let other = Stem::new("something-new");
    match card.plan {
        PlanState::Unreadable => {
            assert_eq!(edit::completed(&card, Completion::Set), None);
            assert_eq!(edit::reopened(&card), None);
            assert_eq!(prerequisites::added(&card, &other), None);
            assert_eq!(edit::with_lines(&card, "zzz: 1\n"), None);
        }
        PlanState::Open => {
            assert_eq!(edit::reopened(&card), None);
            for completion in [Completion::Set, Completion::Remove] {
                completed(&card, completion);
            }
        }
        PlanState::Complete => {
            assert_eq!(edit::completed(&card, Completion::Set), None);
            if let Some(open) = edit::reopened(&card) {
                let open = edited(&card, open, &["status"]);
                assert_eq!(open.status(), Some("active"));
                assert_eq!(edit::reopened(&open), None);
                completed(&open, Completion::Set);
            }
        }
    }
    if let Some(with) = prerequisites::added(&card, &other) {
        let with = edited(&card, with, &["requires"]);
        let mut names = names(&card);
        names.push(other.to_string());
        names.sort();
        let mut now = self::names(&with);
        now.sort();
        assert_eq!(now, names);
        assert_eq!(prerequisites::added(&with, &other), None);
        if let Some(without) = prerequisites::removed(&with, &other) {
            let without = edited(&with, without, &["requires"]);
            assert_eq!(self::names(&without), self::names(&card));
        }
    }
    for name in names(&card) {
        if let Some(without) = prerequisites::removed(&card, &Stem::new(&name)) {
            let without = edited(&card, without, &["requires"]);
            let mut left = names(&card);
            left.retain(|other| *other != name);
            assert_eq!(names(&without), left);
            assert_eq!(prerequisites::removed(&without, &Stem::new(&name)), None);
        }
    }
    if !card.front.keys.iter().any(|key| key.text == "zzz")
        && let Some(with) = edit::with_lines(&card, "zzz: 1\n")
    {
        edited(&card, with, &["zzz"]);
    }
}

fn completed(card: &Card, completion: Completion) {
    let Some(done) = edit::completed(card, completion) else {
        // Refused, which is for what is written oddly alone.
        assert!(!has_usual_status(card), "a usual status was not changed");
        return;
    };
    let done = edited(card, done, &["status"]);
    assert_eq!(done.plan, PlanState::Complete);
    assert_eq!(edit::completed(&done, completion), None);
    let Some(open) = edit::reopened(&done) else {
        assert!(
            !has_usual_status(card),
            "a usual status was not opened again"
        );
        return;
    };
    let open = edited(&done, open, &["status"]);
    assert_eq!(open.plan, PlanState::Open);
    if completion == Completion::Set && has_usual_status(card) {
        assert_eq!(open.source.bytes(), card.source.bytes(), "not itself again");
    }
}

/// Whether a line of the front matter is just `status: active`, and all keys
/// are at its left.
fn has_usual_status(card: &Card) -> bool {
    let text = card.source.text().unwrap_or_default();
    let block = &text[..card.body_start];
    let usual = block
        .split(['\n', '\r'])
        .filter(|line| *line == "status: active");
    let status = card.front.status.as_ref().map(|status| status.span.clone());
    let is_there = status.is_some_and(|status| block[..status.end].ends_with("\nstatus: active"));
    usual.count() == 1 && is_there && !block.contains(['&', '*', '!', '{'])
}

/// The card with its new bytes, of which only lines of these keys are new.
fn edited(before: &Card, bytes: Vec<u8>, keys: &[&str]) -> Card {
    let after = card(bytes);
    assert_ne!(after.plan, PlanState::Unreadable, "the edit broke the card");
    assert_eq!(before.text(), after.text(), "the body changed");
    let others = |card: &Card| -> Vec<String> {
        let all = card.front.keys.iter().map(|key| key.text.clone());
        all.filter(|key| !keys.contains(&key.as_str())).collect()
    };
    assert_eq!(others(before), others(&after), "another key changed");
    if !has_places(before) || !has_places(&after) {
        return after;
    }
    let old = area(before, keys);
    let new = area(&after, keys);
    let (a, b) = (before.source.bytes(), after.source.bytes());
    // What is before and after the lines of the key, where it was and is now.
    match (old, new) {
        (Some(old), Some(new)) => {
            assert_eq!(a[..old.0], b[..new.0], "bytes before the key changed");
            assert_eq!(a[old.1..], b[new.1..], "bytes after the key changed");
        }
        // Comments and blank lines below it stay.
        (Some(old), None) => one_stretch(b, a, old),
        (None, Some(new)) => one_stretch(a, b, new),
        (None, None) => panic!("an edit of a key that is in neither"),
    }
    after
}

/// Whether every key stands in the file as its text, one after the other, and
/// not over several lines or with escapes, where it has no place of its own.
fn has_places(card: &Card) -> bool {
    let keys = &card.front.keys;
    let is_there = |key: &Text| card.source.bytes()[key.span.clone()] == *key.text.as_bytes();
    let is_later = |pair: &[Text]| pair[0].span.end < pair[1].span.start;
    keys.iter().all(is_there) && keys.windows(2).all(is_later)
}

/// `long` is `short` with one stretch more, which lies in an area of it.
fn one_stretch(short: &[u8], long: &[u8], area: (usize, usize)) {
    let more = long.len() - short.len();
    let same = short.iter().zip(long).take_while(|(a, b)| a == b).count();
    let text = String::from_utf8_lossy(long);
    assert_eq!(short[same..], long[same + more..], "other bytes: {text:?}");
    // What begins as it ends can be cut out a little earlier as well.
    let mut start = same;
    while start + more > area.1 && start > 0 && long[start - 1] == long[start + more - 1] {
        start -= 1;
    }
    let is_inside = area.0 <= start && start + more <= area.1;
    assert!(is_inside, "more than {area:?} changed: {text:?}");
}

/// From where a key starts to where the next one does, or the closing fence.
fn area(card: &Card, keys: &[&str]) -> Option<(usize, usize)> {
    let all = &card.front.keys;
    let index = all
        .iter()
        .position(|key| keys.contains(&key.text.as_str()))?;
    let start = |key: &Text| {
        // With its quote, its `?`, and the blanks that indent it.
        let before = &card.source.bytes()[..key.span.start];
        let line = before
            .iter()
            .rposition(|byte| matches!(byte, b'\n' | b'\r'));
        let line = line.map_or(0, |at| at + 1);
        let lead = &before[line..];
        match lead
            .iter()
            .all(|byte| matches!(byte, b' ' | b'\t' | b'?' | b'"' | b'\''))
        {
            true => line,
            false => before.len() - before.ends_with(b"\"") as usize,
        }
    };
    let end = all.get(index + 1).map_or_else(|| fence(card), start);
    Some((start(&all[index]), end))
}

/// Where the line of the closing fence starts.
fn fence(card: &Card) -> usize {
    let bytes = &card.source.bytes()[..card.body_start];
    let ends = |byte: &u8| matches!(byte, b'\n' | b'\r');
    let last = bytes.len() - bytes.iter().rev().take_while(|byte| ends(byte)).count();
    let before = bytes[..last].iter().rposition(ends);
    before.map_or(0, |at| at + 1)
}

fn names(card: &Card) -> Vec<String> {
    let entries = card.requires().iter();
    entries.map(|entry| entry.text.clone()).collect()
}

fn card(bytes: Vec<u8>) -> Card {
    Card::read(Stem::new("a"), Source::new("a.md".into(), bytes))
}
