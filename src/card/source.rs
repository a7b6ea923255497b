//! The bytes of a file, and places in them.
//!
//! A span is a range of bytes of the file as it lies on disk; it becomes a
//! line and a column only where a finding speaks of it. Lines end as YAML and
//! CommonMark have it: with a line feed, a carriage return, or both. A byte
//! order mark is no part of the first line. Knows nothing of what the file
//! means.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::diagnostic::Place;

/// A range of bytes of a [`Source`].
pub type Span = Range<usize>;

/// The byte order mark of UTF-8.
pub const BOM: &str = "\u{feff}";

/// Where the line that starts at `start` ends, with its ending: a line feed, a
/// carriage return, or both.
pub(crate) fn line_end(bytes: &[u8], start: usize) -> usize {
    let rest = &bytes[start..];
    match rest.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
        Some(at) if rest[at..].starts_with(b"\r\n") => start + at + 2,
        Some(at) => start + at + 1,
        None => bytes.len(),
    }
}

/// The lines of a text, each with its ending.
pub(crate) fn lines_of(mut text: &str) -> impl Iterator<Item = &str> {
    std::iter::from_fn(move || {
        let (line, rest) = text.split_at(line_end(text.as_bytes(), 0));
        text = rest;
        (!line.is_empty()).then_some(line)
    })
}

/// A file's path and its bytes as they were read.
#[derive(Debug)]
pub struct Source {
    path: PathBuf,
    bytes: Vec<u8>,
    lines: OnceLock<Vec<usize>>,
}

impl Source {
    /// A file with these bytes; `path` is relative to the project's root.
    pub fn new(path: PathBuf, bytes: Vec<u8>) -> Self {
        Source {
            path,
            bytes,
            lines: OnceLock::new(),
        }
    }

    /// The path, relative to the project's root.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The bytes, all of them.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The bytes as text, byte order mark included; `None` where they are not
    /// UTF-8.
    pub fn text(&self) -> Option<&str> {
        std::str::from_utf8(&self.bytes).ok()
    }

    /// The line (from 1) in which a byte lies.
    pub fn line(&self, at: usize) -> u32 {
        let after = self.lines().partition_point(|start| *start <= at);
        u32::try_from(after.max(1)).unwrap_or(u32::MAX)
    }

    /// The bytes of a line (from 1) without its ending; empty where there is
    /// no such line.
    pub fn line_span(&self, line: u32) -> Span {
        let index = (line as usize).saturating_sub(1);
        let lines = self.lines();
        let Some(mut start) = lines.get(index).copied() else {
            return self.bytes.len()..self.bytes.len();
        };
        let mut end = lines.get(index + 1).copied().unwrap_or(self.bytes.len());
        for ending in [b'\n', b'\r'] {
            if self.bytes[start..end].last() == Some(&ending) {
                end -= 1;
            }
        }
        if start == 0 && self.bytes[..end].starts_with(BOM.as_bytes()) {
            start = BOM.len();
        }
        start..end
    }

    /// Where a span lies, for a finding. What reaches beyond the end of its
    /// first line is cut there.
    pub fn place(&self, span: Span, label: impl Into<String>) -> Place {
        let line = self.line(span.start);
        let bounds = self.line_span(line);
        let start = span.start.clamp(bounds.start, bounds.end);
        let end = span.end.clamp(start, bounds.end);
        let count = |range: Span| String::from_utf8_lossy(&self.bytes[range]).chars().count();
        let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        Place {
            path: self.path.clone(),
            line,
            column: number(count(bounds.start..start) + 1),
            width: number(count(start..end).max(1)),
            text: String::from_utf8_lossy(&self.bytes[bounds]).into_owned(),
            label: label.into(),
        }
    }

    /// The place of a whole line (from 1), without the white space around it.
    pub fn line_place(&self, line: u32, label: impl Into<String>) -> Place {
        let span = self.line_span(line);
        let text = &self.bytes[span.clone()];
        let blank = text.len() - text.trim_ascii_start().len();
        let start = span.start + blank;
        self.place(start..start + text.trim_ascii().len(), label)
    }

    fn lines(&self) -> &[usize] {
        self.lines.get_or_init(|| {
            let ends_line = |at: &usize| match self.bytes[*at] {
                b'\n' => true,
                b'\r' => self.bytes.get(at + 1) != Some(&b'\n'),
                _ => false,
            };
            let ends = (0..self.bytes.len()).filter(ends_line);
            std::iter::once(0).chain(ends.map(|at| at + 1)).collect()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> Source {
        Source::new("cards/a.md".into(), text.into())
    }

    #[test]
    fn a_place_counts_characters_and_not_the_byte_order_mark() {
        let source = source("\u{feff}---\r\ntitle: é x\r\n");
        let place = source.place(3..6, "");
        assert_eq!((place.line, place.column, place.width), (1, 1, 3));
        assert_eq!(place.text, "---");
        let place = source.place(18..19, "here");
        assert_eq!((place.line, place.column, place.width), (2, 10, 1));
        assert_eq!(place.text, "title: é x");
    }

    #[test]
    fn a_span_beyond_its_line_is_cut() {
        let source = source("ab\ncd\n");
        let place = source.place(1..5, "");
        assert_eq!((place.line, place.column, place.width), (1, 2, 1));
        let place = source.place(6..6, "");
        assert_eq!((place.line, place.column, place.width), (3, 1, 1));
        let place = source.place(99..120, "");
        assert_eq!((place.line, place.text.as_str()), (3, ""));
    }

    #[test]
    fn lines_end_with_a_line_feed_a_carriage_return_or_both() {
        let text = "a\rb\n\nc\r\nd\r\r\ne";
        let lines: Vec<&str> = lines_of(text).collect();
        assert_eq!(lines, ["a\r", "b\n", "\n", "c\r\n", "d\r", "\r\n", "e"]);
        let source = source(text);
        for (number, line) in (1..).zip(lines) {
            let span = source.line_span(number);
            assert_eq!(&text[span.clone()], line.trim_end());
            assert_eq!(source.line(span.start), number);
        }
    }

    #[test]
    fn a_whole_line_is_meant_without_white_space() {
        let place = source("  - x \n").line_place(1, "");
        assert_eq!((place.column, place.width), (3, 3));
    }
}
