//! Adds and takes away one entry of `requires`, and no other byte.
//!
//! A list keeps its form: a block list gets a line like its last one, an inline
//! list a further item. Pure: bytes in, bytes out.

use super::source::line_end;
use super::splice::{
    end_of_value, ending_before, key_and_value, line_around, replaced, with_quotes,
};
use super::{Card, PlanState, Source, Span, Stem, edit, proof};

const REQUIRES: &str = "requires";

/// The bytes of `card` when it requires `stem` as well; `None` where it does
/// already, or no edit of `requires` alone would do.
pub fn added(card: &Card, stem: &Stem) -> Option<Vec<u8>> {
    if card.plan == PlanState::Unreadable || entry(card, stem).is_some() {
        return None;
    }
    let mut meant = entries(card);
    meant.push(stem.to_string());
    meant.sort();
    let text = written(stem.as_str());
    if !card.front.keys.iter().any(|key| key.text == REQUIRES) {
        let block = format!("requires:\n  - {text}\n");
        let inline = format!("requires: [{text}]\n");
        let ways = [
            edit::with_lines(card, &block),
            edit::with_lines(card, &inline),
        ];
        return proof::first_right(card, REQUIRES, ways.into_iter().flatten(), |card| {
            entries(card) == meant
        });
    }
    proof::first_right(card, REQUIRES, with_entry(card, &text), |card| {
        let mut all = entries(card);
        all.sort();
        all == meant
    })
}

/// The bytes of `card` when it does not require `stem`; `None` where it does
/// not already, or no edit of `requires` alone would do.
pub fn removed(card: &Card, stem: &Stem) -> Option<Vec<u8>> {
    let mut left: Option<Card> = None;
    loop {
        let card = left.as_ref().unwrap_or(card);
        let Some(index) = entry(card, stem) else {
            break;
        };
        let mut meant = entries(card);
        meant.remove(index);
        let way = without_entry(card, index);
        let bytes = proof::first_right(card, REQUIRES, way, |card| entries(card) == meant)?;
        left = Some(read_again(card, bytes));
    }
    left.map(|card| card.source.bytes().to_vec())
}

/// The ways to put one more entry into a card's `requires`, which it has.
fn with_entry(card: &Card, text: &str) -> Vec<Vec<u8>> {
    let bytes = card.source.bytes();
    let Some((_, area)) = key_and_value(card, REQUIRES) else {
        return Vec::new();
    };
    let put = |at: usize, new: String| replaced(bytes, &(at..at), new.as_bytes());
    let mut ways = Vec::new();
    let (Some(first), Some(last)) = (card.requires().first(), card.requires().last()) else {
        if let Some(open) = opening(bytes, &area) {
            ways.push(put(open + 1, text.to_owned()));
        }
        let line = area.start..end_of_value(bytes, area.start).min(area.end);
        ways.push(replaced(bytes, &line, format!(" [{text}]").as_bytes()));
        ways.push(put(area.start, format!(" [{text}]")));
        return ways;
    };
    let last = with_quotes(bytes, &last.span);
    if let Some(open) = opening(bytes, &area) {
        ways.push(put(last.end, format!(", {text}")));
        ways.push(put(open + 1, format!("{text}, ")));
        return ways;
    }
    // A line like that of the last entry, below it; else like the first, above.
    for (place, below) in [(last.start, true), (first.span.start, false)] {
        let line = line_around(bytes, place);
        let lead = &bytes[line.start..place];
        let dash = lead.iter().position(|byte| *byte == b'-');
        let Some(dash) = dash.filter(|dash| lead[..*dash].trim_ascii().is_empty()) else {
            continue;
        };
        let blanks = lead[dash + 1..].iter().take_while(|byte| **byte == b' ');
        let lead = &lead[..dash + 1 + blanks.count()];
        let at = if below { line.end } else { line.start };
        let ending = ending_before(bytes, at).as_bytes();
        let new = [lead, text.as_bytes(), ending].concat();
        ways.push(replaced(bytes, &(at..at), &new));
    }
    // `requires: one`.
    if last.start <= last.end && area.start <= last.start {
        let both = [b"[", &bytes[last.clone()], b", ", text.as_bytes(), b"]"].concat();
        ways.push(replaced(bytes, &last, &both));
    }
    ways
}

/// The ways to take an entry away.
fn without_entry(card: &Card, index: usize) -> Vec<Vec<u8>> {
    let bytes = card.source.bytes();
    let (Some((_, area)), Some(entry)) =
        (key_and_value(card, REQUIRES), card.requires().get(index))
    else {
        return Vec::new();
    };
    let span = with_quotes(bytes, &entry.span);
    if span.start < area.start || span.end > area.end {
        return Vec::new();
    }
    if opening(bytes, &area).is_some() {
        // With the comma after it and the blanks there, or else with the comma
        // before; of a list over several lines with its whole line, where it
        // stands alone there.
        let after = &bytes[span.end..area.end];
        let gap = after.len() - after.trim_ascii_start().len();
        let mut ways = Vec::new();
        if after[gap..].starts_with(b",") {
            let end = span.end + gap + 1;
            let line = line_around(bytes, span.start);
            let alone = bytes[line.start..span.start].trim_ascii().is_empty()
                && bytes[end..line.end.max(end)].trim_ascii().is_empty();
            if alone {
                ways.push(replaced(bytes, &line, b""));
            }
            let blanks = bytes[end..].iter().take_while(|byte| **byte == b' ');
            ways.push(replaced(bytes, &(span.start..end + blanks.count()), b""));
        }
        let before = bytes[area.start..span.start].trim_ascii_end();
        if before.ends_with(b",") {
            let comma = area.start + before.len() - 1;
            ways.push(replaced(bytes, &(comma..span.end), b""));
        }
        ways.push(replaced(bytes, &span, b""));
        return ways;
    }
    let line = line_around(bytes, span.start);
    let without = replaced(bytes, &line, b"");
    let key_line = area.start..end_of_value(bytes, area.start).min(area.end);
    match card.requires().len() {
        // An empty block list would be no list at all.
        1 if line.start >= area.start => vec![
            replaced(&without, &key_line, b" []"),
            replaced(&without, &(area.start..area.start), b" []"),
        ],
        1 => vec![replaced(bytes, &span, b"[]")],
        _ => vec![without],
    }
}

/// A stem as YAML reads it back.
fn written(stem: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
    let is_plain = stem.chars().all(plain)
        && stem.starts_with(|c: char| c.is_alphanumeric())
        && !matches!(
            stem.to_lowercase().as_str(),
            "null" | "true" | "false" | "yes" | "no" | "on" | "off"
        );
    match is_plain {
        true => stem.to_owned(),
        false => format!("'{}'", stem.replace('\'', "''")),
    }
}

fn entry(card: &Card, stem: &Stem) -> Option<usize> {
    card.requires()
        .iter()
        .position(|entry| entry.text == stem.as_str())
}

/// The entries of `requires` as written.
fn entries(card: &Card) -> Vec<String> {
    let entries = card.requires().iter();
    entries.map(|entry| entry.text.clone()).collect()
}

/// The bracket that opens an inline list, where the value is one.
fn opening(bytes: &[u8], area: &Span) -> Option<usize> {
    let mut at = area.start;
    while at < area.end {
        match bytes[at] {
            b'[' => return Some(at),
            b'#' => at = line_end(bytes, at),
            byte if byte.is_ascii_whitespace() => at += 1,
            _ => return None,
        }
    }
    None
}

/// A card read from bytes that were made here, to go on with.
pub fn read_again(card: &Card, bytes: Vec<u8>) -> Card {
    Card::read(
        card.stem.clone(),
        Source::new(card.path().to_owned(), bytes),
    )
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test stops at its first surprise")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn card(text: &str) -> Card {
        Card::read(Stem::new("a"), Source::new("a.md".into(), text.into()))
    }

    fn add(text: &str, stem: &str) -> String {
        String::from_utf8(added(&card(text), &Stem::new(stem)).unwrap()).unwrap()
    }

    fn remove(text: &str, stem: &str) -> String {
        String::from_utf8(removed(&card(text), &Stem::new(stem)).unwrap()).unwrap()
    }

    #[test]
    fn each_form_of_a_list_keeps_its_form() {
        let front =
            |requires: &str| format!("---\nstatus: active\n{requires}tags: [x]\n---\nbody\n");
        let cases = [
            ("", "requires:\n  - b\n"),
            ("requires:\n", "requires: [b]\n"),
            ("requires: []\n", "requires: [b]\n"),
            ("requires: [c] # why\n", "requires: [c, b] # why\n"),
            ("requires: ['c']\n", "requires: ['c', b]\n"),
            ("requires: c\n", "requires: [c, b]\n"),
            ("requires:\n- c\n", "requires:\n- c\n- b\n"),
            (
                "requires:\n  - c # why\n",
                "requires:\n  - c # why\n  - b\n",
            ),
        ];
        for (before, after) in cases {
            assert_eq!(add(&front(before), "b"), front(after));
        }
        assert_eq!(
            added(&card(&front("requires: [b]\n")), &Stem::new("b")),
            None
        );
    }

    #[test]
    fn entries_are_taken_away_with_what_joins_them() {
        let front = |requires: &str| format!("---\n{requires}status: active\n---\n");
        let cases = [
            ("requires: [b, c]\n", "requires: [c]\n"),
            ("requires: [c, b]\n", "requires: [c]\n"),
            ("requires: [b]\n", "requires: []\n"),
            ("requires: b\n", "requires: []\n"),
            ("requires:\n  - b\n  - c\n", "requires:\n  - c\n"),
            ("requires:\n  - b\n", "requires: []\n"),
        ];
        for (before, after) in cases {
            assert_eq!(remove(&front(before), "b"), front(after));
        }
    }

    #[test]
    fn odd_stems_are_quoted() {
        assert_eq!(written("a b"), "'a b'");
        assert_eq!(written("null"), "'null'");
        assert_eq!(written("it's"), "'it''s'");
        assert_eq!(written("01-plan.v2"), "01-plan.v2");
    }

    proptest! {
        #[test]
        fn what_is_added_is_read_back_and_taken_away_again(
            stems in proptest::collection::btree_set("[a-z]{1,6}", 1..5),
            block in any::<bool>(),
            crlf in any::<bool>(),
        ) {
            let ending = if crlf { "\r\n" } else { "\n" };
            let stems: Vec<String> = stems.into_iter().collect();
            let requires = match block {
                true => stems.iter().fold(format!("requires:{ending}"), |all, s| format!("{all}  - {s}{ending}")),
                false => format!("requires: [{}]{ending}", stems.join(", ")),
            };
            let text = format!("---{ending}status: active{ending}{requires}---{ending}body");
            let new = Stem::new("new-one");
            let with = added(&card(&text), &new).unwrap();
            let again = read_again(&card(&text), with);
            let names: Vec<String> = again.requires().iter().map(|entry| entry.text.clone()).collect();
            prop_assert_eq!(names.len(), stems.len() + 1);
            prop_assert!(names.contains(&"new-one".to_owned()));
            prop_assert_eq!(removed(&again, &new).unwrap(), text.into_bytes());
        }
    }
}
