//! A new file and the change of a card that names it.
//!
//! Either both are there in the end or, as far as the disk allows, neither; and
//! the file is durable before the card names it.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::PathBuf;

use crate::error::Error;

/// A file that was not there before.
pub(crate) struct NewFile {
    file: File,
    path: PathBuf,
}

impl NewFile {
    /// Makes it, empty.
    pub(crate) fn create(path: PathBuf) -> io::Result<NewFile> {
        let file = File::options().write(true).create_new(true).open(&path)?;
        Ok(NewFile { file, path })
    }

    /// Writes it, and then the change of the card.
    pub(crate) fn write_with(
        mut self,
        text: &str,
        change: impl FnOnce() -> Result<(), Error>,
    ) -> Result<(), Error> {
        let written = self.file.write_all(text.as_bytes());
        let written = written.and_then(|()| self.file.sync_all());
        let both = written.map_err(Error::disk("write", &self.path));
        let both = both.and_then(|()| change());
        if both.is_err() {
            drop(std::fs::remove_file(&self.path));
        }
        both
    }
}
