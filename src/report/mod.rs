//! Reports: what a run shows, made from its events alone.

pub mod folded;
pub mod github;
pub mod gitlab;
mod groups;
mod json;
pub mod junit;
pub mod markdown;
pub mod page;
mod plain;
mod progress;
mod summary;
pub(crate) mod timings;
pub(crate) mod trace;

use std::ffi::OsStr;
use std::io::{self, Write};

use crate::event::Event;

pub use groups::{GroupReport, Log};
pub use json::JsonReport;
pub use plain::PlainReport;
pub use progress::ProgressReport;
pub use summary::{Blocked, Row, Summary};

/// Shows a run.
pub trait Report {
    /// Takes cards of which nothing has to be looked at: the stem of each, and
    /// whether it is a build.
    ///
    /// # Errors
    ///
    /// Where the output can't be written; a closed pipe among them.
    fn fresh(&mut self, cards: &mut dyn Iterator<Item = (&OsStr, bool)>) -> io::Result<()> {
        let _ = cards;
        Ok(())
    }

    /// Takes the next event.
    ///
    /// # Errors
    ///
    /// Where the output can't be written; a closed pipe among them.
    fn event(&mut self, event: &Event) -> io::Result<()>;

    /// Shows how it all ended.
    ///
    /// # Errors
    ///
    /// Where the output can't be written; a closed pipe among them.
    fn finish(&mut self, summary: &Summary) -> io::Result<()>;
}

/// Bytes of a program's output as text for a terminal: escape sequences and
/// other control characters are taken out.
pub(crate) fn without_controls(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\u{1b}' => {
                // CSI sequences end with a letter or `~`; others are two long.
                if rest.next() == Some('[') {
                    while rest
                        .next()
                        .is_some_and(|c| !matches!(c, '\u{40}'..='\u{7e}'))
                    {}
                }
            }
            '\n' | '\t' => out.push(c),
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
    out
}

/// Writes `output` as it is, and a line end where it lacks one.
fn write_block(out: &mut dyn Write, output: &[u8]) -> io::Result<()> {
    out.write_all(without_controls(&String::from_utf8_lossy(output)).as_bytes())?;
    if !output.ends_with(b"\n") && !output.is_empty() {
        writeln!(out)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_sequences_are_taken_out() {
        assert_eq!(
            without_controls("a\u{1b}[31mb\u{1b}[0m\tc\r\n\u{7}"),
            "ab\tc\n"
        );
    }
}
