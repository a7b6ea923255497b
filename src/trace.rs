//! The verifying trace: digests of files last seen, so that a file whose size,
//! times and inode are known is not read again.
//!
//! It is a guess that can be rebuilt: blocks that are appended, each with a
//! checksum, never flushed; what comes after a torn one is ignored, and where
//! half of it is old it is written anew. A file changed within the clock's grain
//! of the moment it was hashed is never trusted (git calls such an entry racily
//! clean).

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::digest::{Digest, Hasher};
use crate::fail_point;
use crate::runner::listing::Stamp;

const MAGIC: &[u8; 8] = b"mikado\x02t";

/// File systems keep times as coarsely as the kernel's tick; two files written
/// within it can have the same times.
const GRAIN_NS: i128 = 20_000_000;

/// Digests of files by path.
#[derive(Debug, Default)]
pub struct Trace {
    path: Option<PathBuf>,
    known: Mutex<Known>,
}

impl Known {
    fn learn(&mut self, path: &Path, entry: Entry) {
        self.files.insert(path.to_owned(), entry);
        self.unsaved.insert(path.to_owned(), entry);
    }
}

type Entry = (Stamp, Digest);

#[derive(Debug, Default)]
struct Known {
    files: HashMap<PathBuf, Entry>,
    /// What the file does not say yet.
    unsaved: BTreeMap<PathBuf, Entry>,
    /// Bytes of the file, where all of it was good.
    whole: Option<u64>,
}

impl Trace {
    /// Opens the trace kept in the file `path`; a missing one is empty, and a torn
    /// one ends where it is torn.
    pub fn open(path: &Path) -> Trace {
        let bytes = std::fs::read(path).unwrap_or_default();
        let (files, good) = decode(&bytes);
        let is_whole = good == bytes.len() && good > 0;
        Trace {
            path: Some(path.to_owned()),
            known: Mutex::new(Known {
                files,
                unsaved: BTreeMap::new(),
                whole: is_whole.then_some(good as u64),
            }),
        }
    }

    /// The digest of the file `path`, which had `stamp` when it was listed.
    ///
    /// # Errors
    ///
    /// Where the file can't be read.
    pub fn digest(&self, path: &Path, stamp: Stamp) -> io::Result<Digest> {
        if let Some((known, digest)) = self.locked().files.get(path)
            && *known == stamp
        {
            return Ok(*digest);
        }
        let started = now_ns();
        let digest = hash_file(path)?;
        let after = Stamp::of(&path.metadata()?);
        let settled = stamp.mtime_ns.max(stamp.ctime_ns) + GRAIN_NS < started;
        if after == stamp && settled {
            self.locked().learn(path, (stamp, digest));
        }
        Ok(digest)
    }

    /// Writes down what is new: at the end of the file, or where too much of it is
    /// old all of it, in the folder `new`, from where it is renamed. Never fails:
    /// a trace that could not be written is only slower.
    pub fn save(&self, new: &Path) {
        let Some(path) = &self.path else { return };
        let mut known = self.locked();
        if known.unsaved.is_empty() {
            return;
        }
        let block = block(&std::mem::take(&mut known.unsaved));
        let needed: usize = known.files.keys().map(|path| entry_size(path)).sum();
        // It was renamed from a whole one, so it has no torn end of our own.
        if let Some(before) = known.whole.take()
            && before + block.len() as u64 <= 2 * needed as u64
        {
            let after = before + block.len() as u64;
            let appended = append(path, &block);
            known.whole = appended.is_ok().then_some(after);
            return;
        }
        let files = known.files.iter();
        let files = files.map(|(path, entry)| (path.clone(), *entry));
        let mut bytes = MAGIC.to_vec();
        bytes.extend(self::block(&files.collect()));
        drop(known);
        if let Ok(mut file) = tempfile::NamedTempFile::new_in(new)
            && fail_point::reach("trace.write").is_ok()
            && file.write_all(&bytes).is_ok()
            && fail_point::reach("trace.name").is_ok()
        {
            // A trace that was not replaced is still a right one.
            drop(file.persist(path));
        }
    }

    fn locked(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn now_ns() -> i128 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |d| d.as_nanos() as i128)
}

/// The digest of a file's contents, read in parts.
///
/// # Errors
///
/// Where the file can't be read.
pub fn hash_file(path: &Path) -> io::Result<Digest> {
    let mut file = File::open(path)?;
    let mut hasher = Hasher::default();
    // A small file needs no large buffer, which the system would have to map.
    let size = file.metadata()?.len().saturating_add(1);
    let mut buffer = vec![0; size.clamp(512, 128 * 1024) as usize];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(hasher.finish()),
            Ok(read) => hasher.update(&buffer[..read]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// One block at the end of the file, in one piece.
fn append(path: &Path, block: &[u8]) -> io::Result<()> {
    let mut file = File::options().append(true).open(path)?;
    fail_point::reach("trace.append")?;
    file.write_all(block)
}

/// Bytes of an entry beside its path.
const ENTRY: usize = 4 + 8 + 16 + 16 + 8 + 32 + 8;

fn entry_size(path: &Path) -> usize {
    ENTRY + path.as_os_str().len()
}

/// Entries with their length and checksum before them. Numbers are little endian.
fn block(files: &BTreeMap<PathBuf, Entry>) -> Vec<u8> {
    use std::os::unix::ffi::OsStrExt;
    let mut bytes = vec![0; 8];
    for (path, (stamp, digest)) in files {
        let path = path.as_os_str().as_bytes();
        bytes.extend((path.len() as u32).to_le_bytes());
        bytes.extend(path);
        bytes.extend(stamp.size.to_le_bytes());
        bytes.extend(stamp.mtime_ns.to_le_bytes());
        bytes.extend(stamp.ctime_ns.to_le_bytes());
        bytes.extend(stamp.inode.to_le_bytes());
        bytes.extend(digest.hash);
        bytes.extend(digest.size.to_le_bytes());
    }
    let length = bytes.len() as u32 - 8;
    let sum = crc32fast::hash(&bytes[8..]);
    bytes[..4].copy_from_slice(&length.to_le_bytes());
    bytes[4..8].copy_from_slice(&sum.to_le_bytes());
    bytes
}

/// All entries up to the first torn block, and how many bytes that is.
fn decode(bytes: &[u8]) -> (HashMap<PathBuf, Entry>, usize) {
    let mut files = HashMap::new();
    let Some(mut rest) = bytes.strip_prefix(MAGIC.as_slice()) else {
        return (files, 0);
    };
    while let Some((entries, after)) = first_block(rest) {
        if decode_entries(entries, &mut files).is_none() {
            break;
        }
        rest = after;
    }
    (files, bytes.len() - rest.len())
}

fn first_block(mut rest: &[u8]) -> Option<(&[u8], &[u8])> {
    let length = u32::from_le_bytes(take(&mut rest)?) as usize;
    let sum = u32::from_le_bytes(take(&mut rest)?);
    let (entries, after) = rest.split_at_checked(length)?;
    (crc32fast::hash(entries) == sum).then_some((entries, after))
}

fn decode_entries(mut rest: &[u8], files: &mut HashMap<PathBuf, Entry>) -> Option<()> {
    use std::os::unix::ffi::OsStringExt;
    while !rest.is_empty() {
        let length = u32::from_le_bytes(take(&mut rest)?) as usize;
        let path = rest.get(..length)?.to_vec();
        rest = &rest[length..];
        let stamp = Stamp {
            size: u64::from_le_bytes(take(&mut rest)?),
            mtime_ns: i128::from_le_bytes(take(&mut rest)?),
            ctime_ns: i128::from_le_bytes(take(&mut rest)?),
            inode: u64::from_le_bytes(take(&mut rest)?),
        };
        let digest = Digest {
            hash: take(&mut rest)?,
            size: u64::from_le_bytes(take(&mut rest)?),
        };
        let path = PathBuf::from(std::ffi::OsString::from_vec(path));
        files.insert(path, (stamp, digest));
    }
    Some(())
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (head, tail) = rest.split_first_chunk::<N>()?;
    *rest = tail;
    Some(*head)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test stops at its first surprise")]
mod tests {
    use super::*;

    fn stamp_of(path: &Path) -> Stamp {
        Stamp::of(&path.metadata().unwrap())
    }

    fn age(path: &Path) {
        let old = SystemTime::now() - std::time::Duration::from_secs(3600);
        File::options()
            .write(true)
            .open(path)
            .unwrap()
            .set_modified(old)
            .unwrap();
    }

    #[test]
    fn a_fresh_file_is_never_trusted() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("f");
        std::fs::write(&file, "one").unwrap();
        let trace = Trace::open(&dir.path().join("trace"));
        let stamp = stamp_of(&file);
        trace.digest(&file, stamp).unwrap();
        assert!(trace.locked().files.is_empty());
    }

    /// Opens the trace at `path`, which learns of one file more, and saves it.
    fn saved(path: &Path, name: &str, text: &str) -> Digest {
        let dir = path.parent().unwrap();
        let digest = Digest::of(text.as_bytes());
        let stamp = Stamp {
            size: digest.size,
            mtime_ns: 1,
            ctime_ns: 2,
            inode: 3,
        };
        let trace = Trace::open(path);
        trace.locked().learn(&dir.join(name), (stamp, digest));
        trace.save(dir);
        digest
    }

    #[test]
    fn what_is_new_is_appended_and_read_back_and_a_torn_end_is_ignored() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("trace");
        let known = |name: &str| {
            let trace = Trace::open(&path);
            let known = trace.locked();
            let entry = known.files.get(&dir.path().join(name));
            entry.map(|(_, digest)| *digest)
        };
        let first = saved(&path, "a", "one");
        let one = std::fs::read(&path).unwrap();
        let second = saved(&path, "b", "two");
        let both = std::fs::read(&path).unwrap();
        assert!(both.starts_with(&one));
        assert_eq!((known("a"), known("b")), (Some(first), Some(second)));
        for end in 0..both.len() {
            std::fs::write(&path, &both[..end]).unwrap();
            let first = (end >= one.len()).then_some(first);
            assert_eq!((known("a"), known("b")), (first, None), "cut at {end}");
        }
        // After a torn end nothing is appended: all is written anew.
        std::fs::write(&path, &both[..both.len() - 1]).unwrap();
        let third = saved(&path, "c", "three");
        assert_eq!((known("a"), known("c")), (Some(first), Some(third)));
    }

    #[test]
    fn a_trace_that_is_mostly_old_is_written_anew() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("trace");
        for text in ["one", "two", "three", "four", "five", "six"] {
            saved(&path, "a", text);
        }
        let entry = entry_size(&dir.path().join("a"));
        let size = std::fs::metadata(&path).unwrap().len() as usize;
        assert!(
            size <= 2 * entry + 100,
            "{size} bytes for entries of {entry}"
        );
    }

    #[test]
    fn a_changed_file_has_a_new_digest() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("f");
        std::fs::write(&file, "one").unwrap();
        age(&file);
        let trace = Trace::open(&dir.path().join("trace"));
        let first = trace.digest(&file, stamp_of(&file)).unwrap();
        std::fs::write(&file, "two").unwrap();
        assert_ne!(trace.digest(&file, stamp_of(&file)).unwrap(), first);
    }
}
