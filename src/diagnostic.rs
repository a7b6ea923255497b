//! A finding: a fault in a card or a runner, as data.
//!
//! Findings are collected over all files, never thrown: one bad card never
//! hides the others. Each has a stable code, a message, the places it speaks
//! of, and help that says what to do next. Pure: no disk, no printing.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::PathBuf;

use anstyle::{AnsiColor, Style};
use schemars::JsonSchema;
use serde::Serialize;

pub use crate::columns::Paint;
use crate::columns::{columns, cut as first_columns, last as last_columns};

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing; never stops anything.
    Note,
    /// Probably not what was meant; never stops anything.
    Warning,
    /// A fault: `check` exits 3, and `run` refuses where it is in the way.
    Error,
}

/// A stretch of a line of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file, relative to the project's root.
    pub path: PathBuf,
    /// The line, from 1.
    pub line: u32,
    /// The column of the first character, from 1, in characters.
    pub column: u32,
    /// How many characters are meant; at least 1.
    pub width: u32,
    /// The whole line as it is in the file, without its line ending.
    pub text: String,
    /// What to say of this place, under the caret; may be empty.
    pub label: String,
}

/// A fault in a card or a runner, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// What kind of fault: kebab-case, never changed once released.
    pub code: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong: lower case, no full stop, names in backticks.
    pub message: String,
    /// Where; the first place is the main one.
    pub places: Vec<Place>,
    /// What to do next; may be empty.
    pub help: String,
}

impl Diagnostic {
    /// An error of this kind; add places and help with the other methods.
    pub fn error(code: &'static str, message: impl Into<String>) -> Self {
        Diagnostic::new(code, Severity::Error, message.into())
    }

    /// A warning of this kind.
    pub fn warning(code: &'static str, message: impl Into<String>) -> Self {
        Diagnostic::new(code, Severity::Warning, message.into())
    }

    /// A note of this kind.
    pub fn note(code: &'static str, message: impl Into<String>) -> Self {
        Diagnostic::new(code, Severity::Note, message.into())
    }

    fn new(code: &'static str, severity: Severity, message: String) -> Self {
        Diagnostic {
            code,
            severity,
            message,
            places: Vec::new(),
            help: String::new(),
        }
    }

    /// The same with one more place; the first is the main one.
    #[must_use]
    pub fn at(mut self, place: Place) -> Self {
        self.places.push(place);
        self
    }

    /// The same with what to do next.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = help.into();
        self
    }
}

/// Sorts findings by file, line and column, then the worse first, then by
/// code and message; what speaks of no file comes first.
pub fn sort(findings: &mut [Diagnostic]) {
    findings.sort_by(|a, b| order(a).cmp(&order(b)));
}

/// Findings that say the same of the same place, once each and as bad as the
/// worst of them: several cards use one runner.
pub fn once(findings: Vec<Diagnostic>) -> Vec<Diagnostic> {
    let mut once: Vec<Diagnostic> = Vec::new();
    let mut known: BTreeMap<_, usize> = BTreeMap::new();
    for finding in findings {
        let place = finding.places.first();
        let place = place.map(|place| (place.path.clone(), place.line, place.column));
        match known.entry((finding.code, finding.message.clone(), place)) {
            Entry::Occupied(at) => {
                let severity = &mut once[*at.get()].severity;
                *severity = finding.severity.max(*severity);
            }
            Entry::Vacant(new) => {
                new.insert(once.len());
                once.push(finding);
            }
        }
    }
    once
}

fn order(finding: &Diagnostic) -> impl Ord + '_ {
    let place = finding
        .places
        .first()
        .map(|place| (&place.path, place.line, place.column));
    (
        place,
        std::cmp::Reverse(finding.severity),
        finding.code,
        &finding.message,
    )
}

/// How findings are drawn.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    /// Whether to use colours (ANSI escapes).
    pub colour: bool,
    /// How many columns there are; longer source lines are cut.
    pub width: usize,
}

impl Default for Look {
    fn default() -> Self {
        Look {
            colour: false,
            width: 100,
        }
    }
}

/// The style of the word for a severity.
pub fn severity_style(severity: Severity) -> Style {
    let colour = match severity {
        Severity::Error => AnsiColor::Red,
        Severity::Warning => AnsiColor::Yellow,
        Severity::Note => AnsiColor::Cyan,
    };
    Style::new().bold().fg_color(Some(colour.into()))
}

/// Draws a finding as text of several lines, with a line feed at the end.
///
/// ```text
/// error: `server` requires `clinet`, which names no card
///   --> cards/server.md:4:5
///    |
///  4 |   - clinet
///    |     ^^^^^^ no card has this stem
///    = help: did you mean `client`?
///    = code: unknown-prerequisite
/// ```
pub fn render(finding: &Diagnostic, look: Look) -> String {
    let paint = Paint(look.colour);
    let word = match finding.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "note",
    };
    let strong = severity_style(finding.severity);
    let edge = Style::new().bold().fg_color(Some(AnsiColor::Blue.into()));
    let bold = Style::new().bold();

    let mut out = String::new();
    out += &paint.with(strong, word);
    out += &paint.with(bold, &format!(": {}", visible(&finding.message)));
    out.push('\n');
    let lines = finding.places.iter().map(|place| place.line);
    let margin = lines.max().map_or(1, |line| line.to_string().len());
    let empty = " ".repeat(margin);
    for (index, place) in finding.places.iter().enumerate() {
        let arrow = if index == 0 { "-->" } else { "::>" };
        let Place {
            path, line, column, ..
        } = place;
        let path = visible(&path.display().to_string());
        out += &format!(
            "{empty}{} {path}:{line}:{column}\n",
            paint.with(edge, arrow)
        );
        let (text, mark) = excerpt(place, look.width.saturating_sub(margin + 4).max(20));
        if index == 0 {
            out += &format!("{empty} {}\n", paint.with(edge, "|"));
        }
        let number = paint.with(edge, &format!("{line:>margin$} |"));
        out += format!("{number} {text}").trim_end();
        let label = match &place.label {
            label if label.is_empty() => String::new(),
            label => format!(" {}", visible(label)),
        };
        let (indent, carets) = mark;
        let caret = paint.with(strong, &format!("{carets}{label}"));
        let bar = paint.with(edge, "|");
        out += &format!("\n{empty} {bar} {indent}{caret}\n");
    }
    for (name, text) in [("help", finding.help.as_str()), ("code", finding.code)] {
        for (index, line) in text.lines().enumerate() {
            let head = match index {
                0 => format!("{} {}", paint.with(edge, "="), paint.with(bold, name) + ":"),
                _ => " ".repeat(name.len() + 3),
            };
            out += &format!("{empty} {head} {}\n", visible(line));
        }
    }
    out
}

/// The part of a place's line that fits `width`, and the white space and the
/// carets that stand below it.
fn excerpt(place: &Place, width: usize) -> (String, (String, String)) {
    let start = place.column.saturating_sub(1) as usize;
    let before: String = place.text.chars().take(start).collect();
    let meant: String = place
        .text
        .chars()
        .skip(start)
        .take(place.width as usize)
        .collect();
    let after: String = place
        .text
        .chars()
        .skip(start + place.width as usize)
        .collect();
    let (before, cut) = match columns(&before) {
        wide if wide > width / 2 && columns(&place.text) > width => {
            (last_columns(&before, width / 3), "…")
        }
        _ => (before, ""),
    };
    let meant = first_columns(&meant, (width * 2) / 3);
    let used = columns(cut) + columns(&before) + columns(&meant);
    let after = first_columns(&after, width.saturating_sub(used));
    let text = visible(&format!("{cut}{before}{meant}{after}"));
    let indent = " ".repeat(columns(cut) + columns(&before));
    (text, (indent, "^".repeat(columns(&meant).max(1))))
}

/// The text with tabs as spaces and control characters made harmless.
fn visible(text: &str) -> String {
    let text = text.replace('\t', "    ");
    text.replace(|c: char| c.is_control(), "\u{fffd}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(text: &str, column: u32, width: u32, label: &str) -> Place {
        Place {
            path: "cards/server.md".into(),
            line: 4,
            column,
            width,
            text: text.into(),
            label: label.into(),
        }
    }

    #[test]
    fn a_finding_shows_its_line_a_caret_and_help() {
        let finding = Diagnostic::error("unknown-prerequisite", "`server` requires `clinet`")
            .at(place("  - clinet", 5, 6, "no card has this stem"))
            .help("did you mean `client`?");
        let expected = "\
error: `server` requires `clinet`
 --> cards/server.md:4:5
  |
4 |   - clinet
  |     ^^^^^^ no card has this stem
  = help: did you mean `client`?
  = code: unknown-prerequisite
";
        assert_eq!(render(&finding, Look::default()), expected);
    }

    #[test]
    fn carets_stand_below_wide_characters_and_tabs() {
        let finding = Diagnostic::note("x", "m").at(place("\t日本: 本", 6, 1, ""));
        let text = render(&finding, Look::default());
        assert!(
            text.contains("4 |     日本: 本\n  |           ^^\n"),
            "{text}"
        );
    }

    #[test]
    fn a_long_line_is_cut_around_what_is_meant() {
        let line = format!("{}MEANT{}", "a".repeat(500), "b".repeat(500));
        let finding = Diagnostic::note("x", "m").at(place(&line, 501, 5, "here"));
        let look = Look {
            width: 60,
            ..Look::default()
        };
        let text = render(&finding, look);
        assert!(text.contains("aMEANTb"), "{text}");
        assert!(text.lines().all(|line| columns(line) <= 60), "{text}");
    }

    #[test]
    fn what_a_file_says_never_reaches_the_terminal_as_an_escape() {
        let finding = Diagnostic::error("odd-status", "the status `\u{1b}[31m\n` is odd")
            .at(place("status: \u{1b}[31m", 9, 5, "\u{7}"))
            .help("not `\u{9b}`");
        let text = render(&finding, Look::default());
        assert_eq!(text.lines().count(), 7, "{text:?}");
        let control = |c: char| c.is_control() && c != '\n';
        assert!(!text.contains(control), "{text:?}");
    }

    #[test]
    fn colour_changes_nothing_but_escapes() {
        let finding = Diagnostic::warning("odd-status", "`a` has a status")
            .at(place("status: wip", 9, 3, ""))
            .help("two\nlines");
        let coloured = render(
            &finding,
            Look {
                colour: true,
                width: 100,
            },
        );
        let mut plain = String::new();
        let mut rest = coloured.as_str();
        while let Some((head, tail)) = rest.split_once('\u{1b}') {
            plain += head;
            rest = tail.split_once('m').map_or("", |(_, rest)| rest);
        }
        plain += rest;
        assert_ne!(plain, coloured);
        assert_eq!(plain, render(&finding, Look::default()));
    }

    #[test]
    fn findings_are_sorted_by_place_then_the_worse_first() {
        let mut findings = vec![
            Diagnostic::note("c", "note").at(place("x", 1, 1, "")),
            Diagnostic::error("b", "error").at(place("x", 1, 1, "")),
            Diagnostic::error("a", "later").at(place("x", 2, 1, "")),
            Diagnostic::error("d", "nowhere"),
        ];
        sort(&mut findings);
        let codes: Vec<_> = findings.iter().map(|finding| finding.code).collect();
        assert_eq!(codes, ["d", "b", "c", "a"]);
    }
}
