//! Cuts and lines of a card's bytes, for edits that keep every other byte.

use super::Span;

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
    let before = bytes[..at].iter().rposition(|byte| *byte == b'\n');
    let end = bytes[at..].iter().position(|byte| *byte == b'\n');
    before.map_or(0, |found| found + 1)..end.map_or(bytes.len(), |found| at + found + 1)
}

/// The line ending that a new line before `at` should have: that of the line
/// before it.
pub(super) fn ending_before(bytes: &[u8], at: usize) -> &'static str {
    match bytes[..at].ends_with(b"\r\n") {
        true => "\r\n",
        false => "\n",
    }
}
