//! Logs on disk: opening them, their last lines, and following them as they
//! grow.
//!
//! A log is what a program wrote, byte for byte (but for masked secrets). What
//! is shown of it is text: invalid UTF-8 replaced, control sequences taken
//! away, of a line that a program drew again and again the last state, and
//! very long lines cut. Nothing here reads a whole log into memory.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// The longest line that is shown, in bytes; the rest becomes `…`.
const LONGEST_LINE: usize = 400;

/// The most that `Follower::lines` reads at once.
const STRIDE: u64 = 1 << 20;

/// The most that `tail` reads.
const TAIL: u64 = 256 << 10;

/// Opens a log for appending, and makes it (mode 0644) if it is not there.
///
/// # Errors
/// Those of opening the file.
pub fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o644)
        .open(path)
}

/// The last lines of a log, at most `count` and without blank ones at its end, as text. Of a log that ends in a very
/// long text without line ends they may be fewer, and of one that can't be read there are none.
pub fn tail(path: &Path, count: usize) -> Vec<String> {
    let mut kept = last_lines(path).unwrap_or_default();
    let end = kept.iter().rposition(|line| !line.is_empty());
    kept.truncate(end.map_or(0, |last| last + 1));
    kept.split_off(kept.len().saturating_sub(count))
}

fn last_lines(path: &Path) -> io::Result<Vec<String>> {
    let mut file = File::open(path)?;
    let length = file.seek(SeekFrom::End(0))?;
    let from = length.saturating_sub(TAIL);
    file.seek(SeekFrom::Start(from))?;
    let mut lines = Lines::default();
    let mut found = Vec::new();
    lines.read(&mut file.take(TAIL), &mut |line| found.push(line))?;
    found.extend(lines.rest());
    if from > 0 && found.len() > 1 {
        // It may have begun before.
        found.remove(0);
    }
    Ok(found)
}

/// Reads a log that grows, line by line.
#[derive(Debug)]
pub struct Follower {
    file: File,
    lines: Lines,
}

impl Follower {
    /// Begins at the start of the log.
    ///
    /// # Errors
    /// Those of opening the file.
    pub fn open(path: &Path) -> io::Result<Follower> {
        Ok(Follower {
            file: File::open(path)?,
            lines: Lines::default(),
        })
    }

    /// The whole lines that came since the last call, as text. It reads a megabyte at most, so a caller that wants all
    /// calls it until it finds none.
    ///
    /// # Errors
    /// Those of reading the file.
    pub fn lines(&mut self) -> io::Result<Vec<String>> {
        let mut found = Vec::new();
        // A stretch without a line end is passed over, so that no lines means that there are no more.
        while found.is_empty() {
            let mut stretch = (&mut self.file).take(STRIDE);
            self.lines
                .read(&mut stretch, &mut |line| found.push(line))?;
            if stretch.limit() == STRIDE {
                break;
            }
        }
        Ok(found)
    }

    /// What stands after the last line end, once nothing more is written.
    pub fn rest(&mut self) -> Option<String> {
        self.lines.rest()
    }
}

/// Cuts bytes into lines, and holds the beginning of the last one, cut if it is very long.
#[derive(Debug, Default)]
struct Lines {
    begun: Vec<u8>,
}

impl Lines {
    fn read(&mut self, from: &mut impl Read, each: &mut impl FnMut(String)) -> io::Result<()> {
        let mut chunk = vec![0; 64 << 10];
        loop {
            let count = match from.read(&mut chunk) {
                Ok(0) => return Ok(()),
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            for part in chunk[..count].split_inclusive(|byte| *byte == b'\n') {
                let (part, ended) = match part.split_last() {
                    Some((b'\n', line)) => (line, true),
                    _ => (part, false),
                };
                self.extend(part);
                if ended {
                    each(shown(&std::mem::take(&mut self.begun)));
                }
            }
        }
    }

    /// Keeps what can be shown: of a line that is drawn again and again, the last states.
    fn extend(&mut self, mut part: &[u8]) {
        const ROOM: usize = 4 * LONGEST_LINE;
        let goes_back = |bytes: &[u8]| bytes.iter().rposition(|byte| *byte == b'\r');
        if self.begun.len() + part.len() > ROOM
            && let Some(last) = goes_back(part)
        {
            self.begun.clear();
            // The last state may be empty still.
            part = &part[goes_back(&part[..last]).unwrap_or(0)..];
        }
        let room = ROOM.saturating_sub(self.begun.len());
        self.begun.extend(&part[..part.len().min(room)]);
    }

    fn rest(&mut self) -> Option<String> {
        let rest = std::mem::take(&mut self.begun);
        (!rest.is_empty()).then(|| shown(&rest))
    }
}

/// A line as text.
fn shown(line: &[u8]) -> String {
    let text = plain(&String::from_utf8_lossy(line));
    // A carriage return goes back to the start: what was written last is seen.
    let text = text
        .rsplit('\r')
        .find(|state| !state.trim().is_empty())
        .unwrap_or_default();
    let mut text = text.trim_end().to_owned();
    if text.len() > LONGEST_LINE {
        let end = (0..=LONGEST_LINE)
            .rev()
            .find(|end| text.is_char_boundary(*end));
        text.truncate(end.unwrap_or_default());
        text.push('…');
    }
    text
}

/// The text without control sequences (ECMA-48, and those that end in BEL) and control characters, but for tabs and
/// carriage returns.
fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(char) = rest.next() {
        match char {
            '\x1b' => match rest.next() {
                // CSI: parameters, then one final character.
                Some('[') => while rest.next().is_some_and(|char| !('@'..='~').contains(&char)) {},
                // OSC, DCS, SOS, PM, APC: a text up to BEL or ST.
                Some(']' | 'P' | 'X' | '^' | '_') => {
                    while let Some(char) = rest.next() {
                        if char == '\x07' || (char == '\x1b' && rest.next_if_eq(&'\\').is_some()) {
                            break;
                        }
                    }
                }
                // Intermediate characters, then one final character.
                Some(' '..='/') => {
                    while rest.next().is_some_and(|char| (' '..='/').contains(&char)) {}
                }
                _ => {}
            },
            '\t' | '\r' => plain.push(char),
            char if char.is_control() => {}
            char => plain.push(char),
        }
    }
    plain
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Write;
    use std::os::unix::fs::PermissionsExt;

    fn log(bytes: &[u8]) -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        open(&path).unwrap().write_all(bytes).unwrap();
        (folder, path)
    }

    #[test]
    fn a_log_is_made_once_and_then_appended_to() {
        let (_folder, path) = log(b"one\n");
        open(&path).unwrap().write_all(b"two\n").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"one\ntwo\n");
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777 & !0o644, 0);
    }

    #[test]
    fn the_last_lines_are_the_last_and_the_unfinished_one_counts() {
        let (_folder, path) = log(b"one\ntwo\nthree\nfour");
        assert_eq!(tail(&path, 2), ["three", "four"]);
        assert_eq!(tail(&path, 9), ["one", "two", "three", "four"]);
        assert!(tail(&path, 0).is_empty());
    }

    #[test]
    fn blank_lines_at_the_end_are_passed_over_and_a_missing_log_has_no_lines() {
        let (_folder, path) = log(b"one\n\ntwo\n \n\n");
        assert_eq!(tail(&path, 2), ["", "two"]);
        assert!(tail(Path::new("/no/such/log"), 2).is_empty());
    }

    #[test]
    fn the_tail_of_one_long_line_is_its_end() {
        let (_folder, path) = log(&vec![b'x'; 1 << 20]);
        assert_eq!(tail(&path, 2)[0].len(), LONGEST_LINE + '…'.len_utf8());
    }

    #[test]
    fn the_tail_of_a_long_log_has_no_half_line() {
        let lines: Vec<String> = (0..60_000).map(|line| format!("line {line}")).collect();
        let (_folder, path) = log(lines.join("\n").as_bytes());
        let tail = tail(&path, 100_000);
        assert!(tail.len() > 10_000);
        assert_eq!(tail, lines[lines.len() - tail.len()..]);
    }

    #[test]
    fn what_is_shown_is_plain_text() {
        for (line, text) in [
            (&b"\x1b[1;31merror\x1b[0m: no\x1b[K"[..], "error: no"),
            (
                b"\x1b]8;;http://example.org\x07link\x1b]8;;\x1b\\ end",
                "link end",
            ),
            (b"\x1b(Bplain\x07\x08 \xff\ttab  ", "plain \u{fffd}\ttab"),
            (b" 10%\r 50%\r100%", "100%"),
            (b"done\r", "done"),
            (b"cut \x1b[3", "cut"),
        ] {
            assert_eq!(shown(line), text);
        }
        let long = shown("ü".repeat(300).as_bytes());
        assert_eq!(long.chars().count(), LONGEST_LINE / 2 + 1);
        assert!(long.ends_with("ü…"));
    }

    #[test]
    fn a_follower_gives_whole_lines_as_they_come() {
        let (_folder, path) = log(b"");
        let mut writer = open(&path).unwrap();
        let mut follower = Follower::open(&path).unwrap();
        for (written, lines) in [
            ("one", &[][..]),
            (" line\ntwo", &["one line"]),
            ("", &[]),
            ("\n\nthree", &["two", ""]),
        ] {
            writer.write_all(written.as_bytes()).unwrap();
            assert_eq!(follower.lines().unwrap(), lines);
        }
        assert_eq!(follower.rest().as_deref(), Some("three"));
        assert_eq!(follower.rest(), None);
    }

    #[test]
    fn a_line_without_end_takes_no_memory() {
        let (_folder, path) = log(&vec![b'x'; 5 << 20]);
        let mut follower = Follower::open(&path).unwrap();
        assert!(follower.lines().unwrap().is_empty());
        assert!(follower.lines.begun.len() <= 4 * LONGEST_LINE);
        assert_eq!(
            follower.rest().unwrap().len(),
            LONGEST_LINE + '…'.len_utf8()
        );
    }

    #[test]
    fn of_a_line_that_is_drawn_ten_thousand_times_the_last_state_is_shown() {
        let states: String = (0..10_000)
            .map(|state| format!("\r{state} of 9999"))
            .collect();
        let (_folder, path) = log(format!("{states}\r\nend\n").as_bytes());
        assert_eq!(tail(&path, 2), ["9999 of 9999", "end"]);
    }

    proptest! {
        #[test]
        fn following_in_pieces_gives_the_lines_of_the_whole(pieces in proptest::collection::vec("[a\n]{0,9}", 0..9)) {
            let (_folder, path) = log(b"");
            let mut writer = open(&path).unwrap();
            let mut follower = Follower::open(&path).unwrap();
            let mut lines = Vec::new();
            for piece in &pieces {
                writer.write_all(piece.as_bytes()).unwrap();
                lines.extend(follower.lines().unwrap());
            }
            lines.extend(follower.rest());
            let whole = pieces.concat();
            prop_assert_eq!(&lines, &whole.lines().collect::<Vec<_>>());
            let end = lines.iter().rposition(|line| !line.is_empty()).map_or(0, |last| last + 1);
            prop_assert_eq!(tail(&path, usize::MAX), &lines[..end]);
        }

        #[test]
        fn any_bytes_can_be_shown(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let text = shown(&bytes);
            prop_assert!(!text.chars().any(|char| char.is_control() && char != '\t'));
        }
    }
}
