//! Places in the files of runners.
//!
//! A decoded runner knows no places, so a fault is shown at the first line of
//! its file that has the text at fault.

use std::path::{Path, PathBuf};

use crate::card::Source;
use crate::diagnostic::{Diagnostic, Place};

/// The folder of runners.
pub(super) struct RunnerFiles {
    folder: PathBuf,
    shown: PathBuf,
}

impl RunnerFiles {
    /// The files in `folder`, of the project at `root`.
    pub(super) fn new(root: &Path, folder: &Path) -> RunnerFiles {
        RunnerFiles {
            folder: folder.to_owned(),
            shown: folder.strip_prefix(root).unwrap_or(folder).to_owned(),
        }
    }

    /// The text of a file; empty where there is none.
    pub(super) fn text(&self, file: &str) -> String {
        std::fs::read_to_string(self.folder.join(file)).unwrap_or_default()
    }

    /// The finding at a line of a file.
    pub(super) fn at_line(&self, finding: Diagnostic, file: &str, line: u32) -> Diagnostic {
        finding.at(self.source(file).line_place(line, ""))
    }

    /// Where `words` stand together in the file of the runner `name`: the first
    /// line that has all of them, and in it the last one. Its first line where
    /// there is none.
    pub(super) fn place(&self, name: &str, words: &[&str]) -> Place {
        let source = self.source(&format!("{name}.yaml"));
        let text = source.text().unwrap_or_default();
        let lines = text.split_inclusive('\n');
        let starts = lines.scan(0, |start, line| {
            let at = *start;
            *start += line.len();
            Some((at, line))
        });
        let mut holding = starts.filter(|(_, line)| words.iter().all(|word| line.contains(word)));
        let last = words.last().copied().unwrap_or_default();
        let found = holding.next().and_then(|(start, line)| {
            let at = start + line.rfind(last)?;
            Some(source.place(at..at + last.len(), ""))
        });
        found.unwrap_or_else(|| source.line_place(1, ""))
    }

    fn source(&self, file: &str) -> Source {
        let bytes = std::fs::read(self.folder.join(file)).unwrap_or_default();
        Source::new(self.shown.join(file), bytes)
    }
}
