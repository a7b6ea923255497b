//! Proof of an edit: the card is read again, and must say what is meant.
//!
//! YAML can write one thing in many ways, and no edit of bytes foresees all of
//! them: anchors, folded texts, maps in one line. So an edit offers the ways it
//! knows, plainest first, and the first is taken after which everything but the
//! key that is meant reads as before. Pure: bytes in, bytes out.

use super::prerequisites::read_again;
use super::{Card, PlanState, Text};

/// The first of `ways` after which the card reads as `is_meant` says, and every
/// key but `key` and the body as before; `None` where none does.
pub(super) fn first_right(
    card: &Card,
    key: &str,
    ways: impl IntoIterator<Item = Vec<u8>>,
    is_meant: impl Fn(&Card) -> bool,
) -> Option<Vec<u8>> {
    ways.into_iter().find(|bytes| {
        let again = read_again(card, bytes.clone());
        again.plan != PlanState::Unreadable && is_meant(&again) && is_same_but(card, &again, key)
    })
}

/// Whether two readings of one card differ in `key` at most.
fn is_same_but(old: &Card, new: &Card, key: &str) -> bool {
    let (a, b) = (&old.front, &new.front);
    let text = |text: &Option<Text>| text.as_ref().map(|text| text.text.clone());
    let texts = |texts: &[Text]| -> Vec<String> {
        let texts = texts.iter();
        texts.map(|text| text.text.clone()).collect()
    };
    let keys = |card: &Card| -> Vec<String> {
        let mut keys = texts(&card.front.keys);
        keys.retain(|name| name != key);
        keys
    };
    let requires = |card: &Card| -> Vec<String> {
        let entries = card.requires().iter();
        entries.map(|entry| entry.text.clone()).collect()
    };
    let uses = |card: &Card| -> Vec<(String, String)> {
        let roles = card.front.uses.roles().into_iter();
        roles
            .map(|(role, stem)| (role.to_owned(), stem.text.clone()))
            .collect()
    };
    old.text() == new.text()
        && keys(old) == keys(new)
        && text(&a.title) == text(&b.title)
        && text(&a.branch) == text(&b.branch)
        && text(&a.modified) == text(&b.modified)
        && texts(&a.tags) == texts(&b.tags)
        && texts(&a.aliases) == texts(&b.aliases)
        && a.with == b.with
        && uses(old) == uses(new)
        && (key == "status" || text(&a.status) == text(&b.status))
        && (key == "requires" || requires(old) == requires(new))
        && (key == "runner" || old.runner_value() == new.runner_value())
}
