//! A finding: a fault in a card or a runner, as data.
//!
//! Findings are collected over all files, never thrown: one bad card never
//! hides the others. Each has a stable code, a message, the places it speaks
//! of, and help that says what to do next. Pure: no disk, no printing.

use std::path::PathBuf;

use serde::Serialize;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
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
