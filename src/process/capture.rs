//! Logs of executions: opened for the kernel to write, and read at their end.
//!
//! A process writes to its log itself, so that what it says is in order, is
//! binary-safe, costs no memory, and is on the disk when everything else dies.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

/// How much of a log's end is looked at for its last lines.
const LOOKED_AT: u64 = 64 * 1024;

/// How much of a line is shown.
const LINE: usize = 400;

/// Opens a log for appending, and makes it where it is missing.
///
/// # Errors
///
/// Where the file can't be made or opened.
pub fn open(path: &Path) -> io::Result<File> {
    File::options().append(true).create(true).open(path)
}

/// The last `lines` lines of a log, for people: control characters are taken
/// out, long lines are cut. Empty where the log can't be read.
pub fn tail(path: &Path, lines: usize) -> Vec<String> {
    let Ok(bytes) = end_of(path) else {
        return Vec::new();
    };
    let text = String::from_utf8_lossy(&bytes);
    let all: Vec<String> = text
        .split('\n')
        .map(|line| {
            shown(
                line.rsplit('\r')
                    .find(|part| !part.is_empty())
                    .unwrap_or(""),
            )
        })
        .collect();
    let end = all
        .iter()
        .rposition(|line| !line.is_empty())
        .map_or(0, |last| last + 1);
    let start = end.saturating_sub(lines);
    all[start..end].to_vec()
}

fn end_of(path: &Path) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(LOOKED_AT)))?;
    let mut bytes = Vec::new();
    file.take(LOOKED_AT).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// A line without escape sequences and other control characters, cut to what
/// can be read.
fn shown(line: &str) -> String {
    let mut out = String::new();
    let mut characters = line.chars();
    let mut count = 0;
    while let Some(c) = characters.next() {
        match c {
            // A control sequence ends with a byte from `@` to `~` (ECMA-48).
            '\u{1b}' => {
                if characters.next() == Some('[') {
                    while characters.next().is_some_and(|c| !('@'..='~').contains(&c)) {}
                }
            }
            '\t' => out.push_str("    "),
            c if c.is_control() => {}
            c => out.push(c),
        }
        count += 1;
        if count > LINE {
            out.push('…');
            break;
        }
    }
    out.trim_end().to_owned()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test stops at its first surprise")]
mod tests {
    use super::*;

    fn tail_of(bytes: &[u8], lines: usize) -> Vec<String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        std::fs::write(&path, bytes).unwrap();
        tail(&path, lines)
    }

    #[test]
    fn the_last_lines_are_fit_to_be_read() {
        let log = b"one\n\x1b[31mtwo\x1b[0m\nthree\r 50%\r100%\n\xff\n\n";
        assert_eq!(tail_of(log, 3), ["two", "100%", "\u{fffd}"]);
        assert_eq!(tail_of(b"", 3), [""; 0]);
        assert_eq!(tail_of(&[b'x'; 100_000], 1)[0].chars().count(), LINE + 2);
    }

    #[test]
    fn a_missing_log_has_no_lines() {
        assert!(tail(Path::new("/nonexistent/log"), 3).is_empty());
    }
}
