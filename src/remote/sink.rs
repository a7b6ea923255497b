//! Where a download goes: a new file, written beside the event loop, hashed beside
//! that, and never longer than its digest says.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, mpsc as threads};

use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::fault::Fault;
use crate::digest::{Digest, Hasher};

/// How many parts wait for the disk.
const WAITING: usize = 8;

/// A file that is being written.
#[derive(Debug)]
pub(super) struct Sink {
    parts: mpsc::Sender<Vec<u8>>,
    writer: JoinHandle<Result<JoinHandle<Digest>, Fault>>,
    wanted: Digest,
}

/// Writes and counts, and has hashed what it writes.
struct Checked {
    file: File,
    left: u64,
    hasher: threads::SyncSender<Arc<Vec<u8>>>,
    hashed: JoinHandle<Digest>,
}

impl Checked {
    fn new(file: File, size: u64) -> Checked {
        let (hasher, coming) = threads::sync_channel::<Arc<Vec<u8>>>(WAITING);
        let hashed = tokio::task::spawn_blocking(move || {
            let mut hasher = Hasher::default();
            for part in coming {
                hasher.update(&part);
            }
            hasher.finish()
        });
        Checked {
            file,
            left: size,
            hasher,
            hashed,
        }
    }

    fn take(&mut self, part: Vec<u8>) -> io::Result<()> {
        if part.len() as u64 > self.left {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.left -= part.len() as u64;
        let part = Arc::new(part);
        let gone = |_| io::Error::from(io::ErrorKind::BrokenPipe);
        self.hasher.send(Arc::clone(&part)).map_err(gone)?;
        self.file.write_all(&part)
    }
}

impl Write for Checked {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.take(bytes.to_vec())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Sink {
    /// A sink into a file at `path`, which must not be there; what comes is
    /// compressed with `zstd`, or it is not.
    pub(super) fn open(path: &Path, wanted: Digest, zstd: bool) -> Result<Sink, Fault> {
        let file = File::options().write(true).create_new(true).open(path)?;
        let mut checked = Checked::new(file, wanted.size);
        let (parts, mut coming) = mpsc::channel::<Vec<u8>>(WAITING);
        let writer = tokio::task::spawn_blocking(move || {
            // A server that sends anything else than asked for sends no good blob.
            let is_wrong = |error: &io::Error| {
                error.kind() == io::ErrorKind::FileTooLarge || error.raw_os_error().is_none()
            };
            let fault = |error: io::Error| match is_wrong(&error) {
                true => Fault::Wrong(wanted),
                false => Fault::from(error),
            };
            if zstd {
                let mut decoder = zstd::stream::write::Decoder::new(&mut checked)?;
                while let Some(part) = coming.blocking_recv() {
                    decoder.write_all(&part).map_err(fault)?;
                }
                decoder.flush().map_err(fault)?;
            } else {
                while let Some(part) = coming.blocking_recv() {
                    checked.take(part).map_err(fault)?;
                }
            }
            Ok(checked.hashed)
        });
        Ok(Sink {
            parts,
            writer,
            wanted,
        })
    }

    /// Takes the next part. False where the writer has given up; `finish` says why.
    pub(super) async fn take(&self, part: Vec<u8>) -> bool {
        self.parts.send(part).await.is_ok()
    }

    /// Ends the file.
    ///
    /// # Errors
    ///
    /// Where it is not what its digest says, or could not be written.
    pub(super) async fn finish(self) -> Result<(), Fault> {
        drop(self.parts);
        let bug = |error| Fault::Here(format!("BUG: {error}"));
        let hashed = self.writer.await.map_err(bug)??;
        match hashed.await.map_err(bug)? == self.wanted {
            true => Ok(()),
            false => Err(Fault::Wrong(self.wanted)),
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test stops at its first surprise")]
mod tests {
    use super::*;

    async fn written(parts: &[&[u8]], wanted: Digest, zstd: bool) -> Result<(), Fault> {
        let folder = tempfile::tempdir().unwrap();
        let sink = Sink::open(&folder.path().join("file"), wanted, zstd)?;
        for part in parts {
            if !sink.take(part.to_vec()).await {
                break;
            }
        }
        sink.finish().await
    }

    #[tokio::test]
    async fn only_what_was_asked_for_is_taken() {
        let wanted = Digest::of(b"some text");
        let wrong = Err(Fault::Wrong(wanted));
        assert_eq!(written(&[b"some ", b"text"], wanted, false).await, Ok(()));
        assert_eq!(written(&[b"some", b"tex"], wanted, false).await, wrong);
        assert_eq!(written(&[b"some_text"], wanted, false).await, wrong);
        assert_eq!(
            written(&[b"some text and more"], wanted, false).await,
            wrong
        );
        let packed = zstd::encode_all(&b"some text"[..], 1).unwrap();
        let (start, end) = packed.split_at(7);
        assert_eq!(written(&[start, end], wanted, true).await, Ok(()));
        assert_eq!(written(&[start], wanted, true).await, wrong);
        assert_eq!(written(&[b"no zstd at all"], wanted, true).await, wrong);
        // A little that unpacks to a lot.
        let bomb = zstd::encode_all(&vec![0; 8 << 20][..], 1).unwrap();
        assert_eq!(written(&[&bomb], wanted, true).await, wrong);
    }
}
