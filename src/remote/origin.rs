//! Where an upload comes from: bytes, or a file that is read in parts beside the
//! event loop.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use tokio::sync::mpsc;

use super::fault::Fault;
use crate::digest::Digest;

/// How large the parts are.
const PART: usize = 512 << 10;

/// How many parts wait for the line.
const WAITING: usize = 4;

/// How hard streams are compressed: for the line, not for the disk.
const LEVEL: i32 = 1;

/// What a blob's contents are.
#[derive(Clone, Debug)]
pub enum Origin {
    /// These.
    Bytes(Arc<Vec<u8>>),
    /// Those of a file of the store.
    File(PathBuf),
    /// Those of a file that somebody may change meanwhile: they must be these.
    Input(PathBuf, Digest),
}

/// A part of a stream.
pub(super) struct Part {
    pub(super) offset: u64,
    pub(super) bytes: Vec<u8>,
    pub(super) last: bool,
}

impl Origin {
    /// All of it.
    pub(super) fn read(&self) -> io::Result<Vec<u8>> {
        match self {
            Origin::Bytes(bytes) => Ok(bytes.to_vec()),
            Origin::File(path) => std::fs::read(path),
            Origin::Input(path, digest) => {
                let bytes = std::fs::read(path)?;
                match Digest::of(&bytes) == *digest {
                    true => Ok(bytes),
                    false => Err(changed(path)),
                }
            }
        }
    }

    fn open(&self, from: u64) -> io::Result<Box<dyn Read + Send>> {
        match self {
            Origin::Bytes(bytes) => {
                let mut bytes = io::Cursor::new(bytes.to_vec());
                bytes.set_position(from);
                Ok(Box::new(bytes))
            }
            Origin::Input(path, digest) => {
                let mut checked = Checked {
                    file: File::open(path)?,
                    hasher: Sha256::new(),
                    wanted: *digest,
                    path: path.clone(),
                };
                io::copy(&mut (&mut checked).take(from), &mut io::sink())?;
                Ok(Box::new(checked))
            }
            Origin::File(path) => {
                let mut file = File::open(path)?;
                file.seek(SeekFrom::Start(from))?;
                Ok(Box::new(file))
            }
        }
    }

    /// Its parts from this byte on; with `zstd` those of the compressed whole.
    pub(super) fn parts(self, from: u64, zstd: bool) -> mpsc::Receiver<Result<Part, Fault>> {
        let (sender, parts) = mpsc::channel(WAITING);
        tokio::task::spawn_blocking(move || {
            let sent = send(&self, from, zstd, &sender);
            if let Err(error) = sent {
                // Who does not listen any more needs no more.
                drop(sender.blocking_send(Err(error.into())));
            }
        });
        parts
    }
}

fn changed(path: &Path) -> io::Error {
    let message = format!("`{}` changed while it was uploaded", path.display());
    io::Error::new(io::ErrorKind::InvalidData, message)
}

/// Fails at its end where what was read is not what it must be.
struct Checked {
    file: File,
    hasher: Sha256,
    wanted: Digest,
    path: PathBuf,
}

impl Read for Checked {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(buffer)?;
        self.hasher.update(&buffer[..count]);
        let is_other = || self.hasher.clone().finalize()[..] != self.wanted.hash;
        match count == 0 && !buffer.is_empty() && is_other() {
            true => Err(changed(&self.path)),
            false => Ok(count),
        }
    }
}

fn send(
    origin: &Origin,
    from: u64,
    zstd: bool,
    sender: &mpsc::Sender<Result<Part, Fault>>,
) -> io::Result<()> {
    let plain = origin.open(from)?;
    let mut reader: Box<dyn Read> = match zstd {
        true => Box::new(zstd::stream::read::Encoder::new(plain, LEVEL)?),
        false => plain,
    };
    let mut offset = from;
    let mut part = filled(&mut reader)?;
    loop {
        // The last one is said to be, so one is read ahead.
        let next = match part.len() == PART {
            true => filled(&mut reader)?,
            false => Vec::new(),
        };
        let last = next.is_empty();
        let length = part.len() as u64;
        let bytes = std::mem::replace(&mut part, next);
        let sent = sender.blocking_send(Ok(Part {
            offset,
            bytes,
            last,
        }));
        if last || sent.is_err() {
            return Ok(());
        }
        offset += length;
    }
}

fn filled(reader: &mut dyn Read) -> io::Result<Vec<u8>> {
    let mut part = Vec::with_capacity(PART);
    reader.take(PART as u64).read_to_end(&mut part)?;
    Ok(part)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test stops at its first surprise")]
mod tests {
    use super::*;

    fn input(of: usize, path: &Path) -> Origin {
        let bytes = vec![7; of];
        std::fs::write(path, &bytes).unwrap();
        Origin::Input(path.to_owned(), Digest::of(&bytes))
    }

    fn streamed(origin: &Origin, from: u64) -> io::Result<u64> {
        let mut reader = origin.open(from)?;
        io::copy(&mut reader, &mut io::sink())
    }

    #[test]
    fn input_that_changed_is_not_read_to_its_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("input");
        for size in [0, 10, PART, 2 * PART + 1] {
            let origin = input(size, &path);
            assert_eq!(origin.read().unwrap().len(), size);
            assert_eq!(streamed(&origin, 0).unwrap(), size as u64);
            let half = size as u64 / 2;
            assert_eq!(streamed(&origin, half).unwrap(), size as u64 - half);
            std::fs::write(&path, vec![8; size + 1]).unwrap();
            assert!(origin.read().is_err());
            assert!(streamed(&origin, 0).is_err() && streamed(&origin, half).is_err());
        }
    }
}
