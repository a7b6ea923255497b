//! A writer that folds lines at the width of a terminal.
//!
//! A terminal breaks a long line in the middle of a word and begins the next at
//! its edge; here it is broken at a space and goes on under its own beginning.
//! Colours take no room. Where there is no terminal every byte passes as it is.

use std::io::{self, Write};

use crate::columns::fold;

/// Folds what is written to `W`.
pub struct Folded<W: Write> {
    inner: W,
    columns: Option<usize>,
    line: Vec<u8>,
}

impl<W: Write> Folded<W> {
    /// Folds at this many columns, or not at all.
    pub fn new(inner: W, columns: Option<usize>) -> Folded<W> {
        Folded {
            inner,
            columns,
            line: Vec::new(),
        }
    }
}

impl<W: Write> Folded<W> {
    /// Writes bytes as they are.
    ///
    /// # Errors
    ///
    /// Where they can't be written.
    pub fn raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.flush()?;
        self.inner.write_all(bytes)
    }
}

impl<W: Write> Write for Folded<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(columns) = self.columns else {
            return self.inner.write(bytes);
        };
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.line.extend_from_slice(part);
            if part.ends_with(b"\n") {
                let line = std::mem::take(&mut self.line);
                let line = String::from_utf8_lossy(&line);
                self.inner.write_all(fold(&line, columns).as_bytes())?;
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let line = std::mem::take(&mut self.line);
        self.inner.write_all(&line)?;
        self.inner.flush()
    }
}

impl<W: Write> Drop for Folded<W> {
    fn drop(&mut self) {
        // Who cares for the last bytes flushes; an error has nobody to go to.
        drop(self.flush());
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed step is a failed test")]
mod tests {
    use super::*;

    fn folded(parts: &[&str], columns: Option<usize>) -> String {
        let mut out = Vec::new();
        let mut writer = Folded::new(&mut out, columns);
        for part in parts {
            writer.write_all(part.as_bytes()).unwrap();
        }
        drop(writer);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_long_line_goes_on_under_its_beginning() {
        let text = "  log: one two three four five six\nshort\n";
        let parts = ["  log: one two", " three four five six\nsho", "rt\n"];
        assert_eq!(folded(&parts, None), text);
        let expected = "  log: one two three\n    four five six\nshort\n";
        assert_eq!(folded(&parts, Some(22)), expected);
    }

    #[test]
    fn the_last_line_needs_no_end() {
        assert_eq!(folded(&["proceed? "], Some(80)), "proceed? ");
    }
}
