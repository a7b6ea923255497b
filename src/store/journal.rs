//! A file of JSON lines that several processes append to.
//!
//! Appending is one write under a lock on the file. A line that was torn by a
//! crash, or that is no JSON, is passed over; the next append starts a new
//! line. Rewriting replaces the file, which whoever waits for its lock sees.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::error::{During as _, StoreError};
use super::{layout, lockfile, scratch};
use crate::fail_point;

/// A journal, and how far it has been read.
#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
    /// Where what replaces it is written.
    new: PathBuf,
    inode: u64,
    read: u64,
}

/// What came of reading on.
pub(super) struct News {
    /// Whether the file was replaced, so that what was known is void.
    pub(super) anew: bool,
    /// The lines that were not read before, each with its end.
    pub(super) lines: Vec<u8>,
}

impl Journal {
    /// The journal at `path`, which need not exist yet. What replaces it is
    /// written in the folder `new`.
    pub(super) fn new(path: PathBuf, new: PathBuf) -> Journal {
        Journal {
            path,
            new,
            inode: 0,
            read: 0,
        }
    }

    /// How many bytes have been read.
    pub(super) fn len(&self) -> u64 {
        self.read
    }

    /// Reads what is new. A last line without its end is left for later.
    pub(super) fn read_on(&mut self) -> Result<News, StoreError> {
        let file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let anew = self.inode != 0;
                (self.inode, self.read) = (0, 0);
                let lines = Vec::new();
                return Ok(News { anew, lines });
            }
            Err(error) => return Err(error).during("open", &self.path),
        };
        let meta = file.metadata().during("look at", &self.path)?;
        let anew = self.inode != 0 && (meta.ino() != self.inode || meta.len() < self.read);
        if anew {
            self.read = 0;
        }
        self.inode = meta.ino();
        let mut bytes = vec![0; meta.len().saturating_sub(self.read) as usize];
        file.read_exact_at(&mut bytes, self.read)
            .during("read", &self.path)?;
        let whole = bytes
            .iter()
            .rposition(|b| *b == b'\n')
            .map_or(0, |at| at + 1);
        self.read += whole as u64;
        bytes.truncate(whole);
        let lines = bytes;
        Ok(News { anew, lines })
    }

    /// Appends lines, in one piece.
    pub(super) fn append<'l, T: Serialize + 'l>(
        &self,
        lines: impl IntoIterator<Item = &'l T>,
    ) -> Result<(), StoreError> {
        let mut bytes: Vec<u8> = lines.into_iter().flat_map(json_line).collect();
        if bytes.is_empty() {
            return Ok(());
        }
        let mut file = self.locked()?;
        let len = file.metadata().during("look at", &self.path)?.len();
        if len > 0 {
            let mut last = [0];
            file.read_exact_at(&mut last, len - 1)
                .during("read", &self.path)?;
            if last != *b"\n" {
                bytes.insert(0, b'\n');
            }
        }
        fail_point::reach("record.append").during("append to", &self.path)?;
        file.write_all(&bytes).during("append to", &self.path)
    }

    /// Replaces all lines by what `lines` makes of them, once the file is
    /// locked and `self` has read all of it.
    pub(super) fn rewrite<T: Serialize>(
        &mut self,
        lines: impl FnOnce(News) -> Vec<T>,
    ) -> Result<(), StoreError> {
        let _locked = self.locked()?;
        let bytes: Vec<u8> = lines(self.read_on()?).iter().flat_map(json_line).collect();
        let mut file = layout::temporary(&self.new).during("write", &self.path)?;
        fail_point::reach("record.rewrite").during("write", &self.path)?;
        file.write_all(&bytes).during("write", &self.path)?;
        fail_point::reach("record.replace").during("write", &self.path)?;
        // Not synced: what a crash tears here is found out by running again.
        let file = file
            .persist(&self.path)
            .map_err(|e| e.error)
            .during("write", &self.path)?;
        self.inode = file.metadata().during("look at", &self.path)?.ino();
        self.read = bytes.len() as u64;
        Ok(())
    }

    /// The file, open for appending and locked.
    fn locked(&self) -> Result<File, StoreError> {
        loop {
            let file = File::options()
                .create(true)
                .read(true)
                .append(true)
                .open(&self.path)
                .during("open", &self.path)?;
            file.lock().during("lock", &self.path)?;
            if lockfile::is_at(&file, &self.path)? {
                return Ok(file);
            }
        }
    }
}

fn json_line<T: Serialize>(line: &T) -> Vec<u8> {
    let mut bytes = serde_json::to_vec(line).unwrap_or_default();
    bytes.push(b'\n');
    bytes
}

/// How often a link is made anew that was swept before it got its name.
const LINK_ATTEMPTS: usize = 8;

/// Makes `link` a symbolic link to `target`, replacing in one step what was
/// there. It is made in the folder `new`, which another process may sweep.
pub(super) fn replace_link(link: &Path, target: &Path, new: &Path) -> Result<(), StoreError> {
    // Where there is none yet, it appears as it is.
    fail_point::reach("link.make").during("make the link", link)?;
    match std::os::unix::fs::symlink(target, link) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        made => return made.during("make the link", link),
    }
    let mut attempt = 1;
    loop {
        let made = tempfile::Builder::new()
            .make_in(new, |path| std::os::unix::fs::symlink(target, path))
            .during("make a link in", new)?;
        fail_point::reach("link.replace").during("make the link", link)?;
        let error = match made.into_temp_path().persist(link) {
            Ok(()) => return Ok(()),
            Err(refused) => refused.error,
        };
        match error.kind() {
            // Somebody put a folder there. It is no artifact's, so it goes.
            io::ErrorKind::IsADirectory | io::ErrorKind::DirectoryNotEmpty => {
                scratch::remove_all(link)?;
            }
            io::ErrorKind::NotFound if attempt < LINK_ATTEMPTS => attempt += 1,
            _ => return Err(error).during("make the link", link),
        }
    }
}

/// The text of a link; `None` where there is none.
pub(super) fn link_text(link: &Path) -> Result<Option<PathBuf>, StoreError> {
    match fs::read_link(link) {
        Ok(target) => Ok(Some(target)),
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::InvalidInput
            ) =>
        {
            Ok(None)
        }
        Err(error) => Err(error).during("read the link", link),
    }
}
