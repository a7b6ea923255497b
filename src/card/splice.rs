//! Cuts and lines of a card's bytes, for edits that keep every other byte.

use super::source::{BOM, line_end};
use super::{Card, Span};

/// `bytes` with `with` in the place of `span`.
pub(super) fn replaced(bytes: &[u8], span: &Span, with: &[u8]) -> Vec<u8> {
    let mut all = Vec::with_capacity(bytes.len() + with.len());
    all.extend(&bytes[..span.start]);
    all.extend(with);
    all.extend(&bytes[span.end..]);
    all
}

/// The text of a scalar together with its quotes, where it has any.
pub(super) fn with_quotes(bytes: &[u8], span: &Span) -> Span {
    let is_in = |quote: u8| {
        span.start > 0 && bytes[span.start - 1] == quote && bytes.get(span.end) == Some(&quote)
    };
    match is_in(b'"') || is_in(b'\'') {
        true => span.start - 1..span.end + 1,
        false => span.clone(),
    }
}

/// The line around `at` with its ending.
pub(super) fn line_around(bytes: &[u8], at: usize) -> Span {
    let is_start = |at: &usize| match bytes.get(at - 1) {
        Some(b'\n') => true,
        Some(b'\r') => bytes.get(*at) != Some(&b'\n'),
        _ => false,
    };
    let start = (1..=at).rev().find(is_start).unwrap_or(0);
    start..line_end(bytes, start).max(at)
}

/// The line ending that a new line before `at` should have: that of the line
/// before it.
pub(super) fn ending_before(bytes: &[u8], at: usize) -> &'static str {
    match &bytes[..at] {
        [.., b'\r', b'\n'] => "\r\n",
        [.., b'\r'] => "\r",
        _ => "\n",
    }
}

/// Where the front matter of a card ends, which is where its closing fence
/// starts; `None` where it has none.
pub(super) fn front_end(card: &Card) -> Option<usize> {
    let bytes = card.source.bytes();
    let has_fences = card.body_start > BOM.len() && card.body_start <= bytes.len();
    let fence = line_around(bytes, card.body_start.checked_sub(1)?).start;
    (has_fences && card.plan != super::PlanState::Unreadable).then_some(fence)
}

/// The place of a key of the front matter, and all between its colon and the
/// next key or the closing fence.
pub(super) fn key_and_value(card: &Card, key: &str) -> Option<(Span, Span)> {
    let bytes = card.source.bytes();
    let keys = &card.front.keys;
    let index = keys.iter().position(|known| known.text == key)?;
    let span = keys[index].span.clone();
    // A key over several lines has no place of its own, and is passed over.
    let later = keys[index + 1..].iter().map(|next| next.span.start);
    let end = match later.filter(|start| *start > span.end).min() {
        Some(next) => next,
        None => front_end(card)?,
    };
    let colon = bytes
        .get(span.end..end)?
        .iter()
        .position(|byte| *byte == b':')?;
    Some((span.clone(), span.end + colon + 1..end))
}

/// Where the value on the line around `start` ends, without a comment.
pub(super) fn end_of_value(bytes: &[u8], start: usize) -> usize {
    let rest = &bytes[start..line_around(bytes, start).end];
    let is_comment = |at: &usize| rest[*at] == b'#' && (*at == 0 || is_blank(&rest[*at - 1]));
    let end = (0..rest.len()).find(is_comment).unwrap_or(rest.len());
    start + rest[..end].trim_ascii_end().len()
}

/// Where the last line of an area ends that is neither blank nor a comment.
pub(super) fn end_of_content(bytes: &[u8], area: &Span) -> usize {
    let mut end = area.start;
    let mut at = area.start;
    while at < area.end {
        let next = line_end(bytes, at).min(area.end);
        let line = bytes[at..next].trim_ascii();
        if !line.is_empty() && !line.starts_with(b"#") {
            end = at + bytes[at..next].trim_ascii_end().len();
        }
        at = next;
    }
    end
}

fn is_blank(byte: &u8) -> bool {
    matches!(byte, b' ' | b'\t')
}
