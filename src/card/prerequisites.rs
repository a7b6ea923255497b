//! Adds and takes away one entry of `requires`, and no other byte.
//!
//! A list keeps its form: a block list gets a line like its last one, an inline
//! list a further item. Pure: bytes in, bytes out.

use super::splice::{ending_before, line_around, replaced, with_quotes};
use super::{Card, PlanState, Source, Span, Stem, edit};

/// The bytes of `card` when it requires `stem` as well; `None` where it does
/// already, or has no front matter to say it in.
pub fn added(card: &Card, stem: &Stem) -> Option<Vec<u8>> {
    if card.plan == PlanState::Unreadable || entry(card, stem).is_some() {
        return None;
    }
    let bytes = card.source.bytes();
    let text = written(stem.as_str());
    let Some(key) = key(card) else {
        return edit::with_lines(card, &format!("requires:\n  - {text}\n"));
    };
    let entries = card.requires();
    let Some(last) = entries.last() else {
        let rest = line_around(bytes, key.end);
        return Some(match find(bytes, key.end..rest.end, b']') {
            Some(at) => replaced(bytes, &(at..at), text.as_bytes()),
            None => replaced(
                bytes,
                &value_of(bytes, &key),
                format!(" [{text}]").as_bytes(),
            ),
        });
    };
    let last = with_quotes(bytes, &last.span);
    if is_inline(bytes, &key, &last) {
        return Some(replaced(
            bytes,
            &(last.end..last.end),
            format!(", {text}").as_bytes(),
        ));
    }
    let whole = line_around(bytes, last.start);
    let before = std::str::from_utf8(&bytes[whole.start..last.start]).ok()?;
    match before.trim_start().starts_with('-') {
        true => {
            let ending = ending_before(bytes, whole.end);
            // The last line of a file without an end has none to begin with.
            let lead = if bytes[..whole.end].ends_with(b"\n") {
                ""
            } else {
                ending
            };
            let new = format!("{lead}{before}{text}{ending}");
            Some(replaced(bytes, &(whole.end..whole.end), new.as_bytes()))
        }
        // `requires: one`.
        false => {
            let old = std::str::from_utf8(&bytes[last.clone()]).ok()?;
            Some(replaced(
                bytes,
                &last,
                format!("[{old}, {text}]").as_bytes(),
            ))
        }
    }
}

/// The bytes of `card` when it does not require `stem`; `None` where it does
/// not already.
pub fn removed(card: &Card, stem: &Stem) -> Option<Vec<u8>> {
    let bytes = card.source.bytes();
    let key = key(card)?;
    let span = with_quotes(bytes, &card.requires().get(entry(card, stem)?)?.span);
    if is_inline(bytes, &key, &span) {
        // With the comma after it, or else the one before.
        let after = line_around(bytes, span.end);
        let comma = find(bytes, span.end..after.end, b',').filter(|at| {
            bytes[span.end..*at]
                .iter()
                .all(|byte| byte.is_ascii_whitespace())
        });
        let cut = match comma {
            Some(at) => {
                let blanks = bytes[at + 1..]
                    .iter()
                    .take_while(|byte| **byte == b' ')
                    .count();
                span.start..at + 1 + blanks
            }
            None => {
                let before = &bytes[key.end..span.start];
                let comma = before.iter().rposition(|byte| !byte.is_ascii_whitespace());
                match comma.filter(|at| before[*at] == b',') {
                    Some(at) => key.end + at..span.end,
                    None => span,
                }
            }
        };
        return Some(replaced(bytes, &cut, "".as_bytes()));
    }
    let whole = line_around(bytes, span.start);
    let is_item = bytes[whole.start..span.start]
        .trim_ascii()
        .starts_with(b"-");
    Some(match (is_item, card.requires().len()) {
        // An empty block list would be no list at all.
        (true, 1) => {
            let without = replaced(bytes, &whole, "".as_bytes());
            replaced(&without, &value_of(bytes, &key), " []".as_bytes())
        }
        (true, _) => replaced(bytes, &whole, "".as_bytes()),
        (false, _) => replaced(bytes, &span, "[]".as_bytes()),
    })
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

fn key(card: &Card) -> Option<Span> {
    let key = card.front.keys.iter().find(|key| key.text == "requires")?;
    Some(key.span.clone())
}

/// From after the colon of a key to the end of its line's content.
fn value_of(bytes: &[u8], key: &Span) -> Span {
    let whole = line_around(bytes, key.end);
    let colon = find(bytes, key.end..whole.end, b':').map_or(key.end, |at| at + 1);
    let content = &bytes[colon..whole.end];
    // A comment stays.
    let end = content
        .iter()
        .position(|byte| *byte == b'#')
        .unwrap_or(content.len());
    let blanks = content[..end]
        .iter()
        .rev()
        .take_while(|byte| byte.is_ascii_whitespace())
        .count();
    colon..colon + end - blanks
}

fn is_inline(bytes: &[u8], key: &Span, entry: &Span) -> bool {
    bytes[key.end..entry.start].contains(&b'[')
}

fn find(bytes: &[u8], span: Span, wanted: u8) -> Option<usize> {
    let found = bytes[span.clone()]
        .iter()
        .position(|byte| *byte == wanted)?;
    Some(span.start + found)
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
