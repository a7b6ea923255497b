//! Where an upload comes from: bytes, or a file that is read in parts beside the
//! event loop.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::mpsc;

use super::fault::Fault;

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
    /// Those of a file.
    File(PathBuf),
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
        }
    }

    fn open(&self, from: u64) -> io::Result<Box<dyn Read + Send>> {
        match self {
            Origin::Bytes(bytes) => {
                let mut bytes = io::Cursor::new(bytes.to_vec());
                bytes.set_position(from);
                Ok(Box::new(bytes))
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
