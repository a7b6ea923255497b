//! The verifying trace: digests of files last seen, so that a file whose size,
//! times and inode are known is not read again.
//!
//! It is a guess that can be rebuilt: written to a temporary file and renamed,
//! never flushed, and ignored when it is torn. A file changed within the
//! clock's grain of the moment it was hashed is never trusted (git calls such
//! an entry racily clean).

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::digest::{Digest, Hasher};
use crate::fail_point;
use crate::runner::listing::Stamp;

const MAGIC: &[u8; 8] = b"mikado\x01t";

/// File systems keep times as coarsely as the kernel's tick; two files written
/// within it can have the same times.
const GRAIN_NS: i128 = 20_000_000;

/// Digests of files by path.
#[derive(Debug, Default)]
pub struct Trace {
    path: Option<PathBuf>,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    files: HashMap<PathBuf, (Stamp, Digest)>,
    changed: bool,
}

impl Trace {
    /// Opens the trace kept in the file `path`; a torn or missing one is empty.
    pub fn open(path: &Path) -> Trace {
        let files = std::fs::read(path)
            .ok()
            .and_then(|bytes| decode(&bytes))
            .unwrap_or_default();
        Trace {
            path: Some(path.to_owned()),
            known: Mutex::new(Known {
                files,
                changed: false,
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
            let mut known = self.locked();
            known.files.insert(path.to_owned(), (stamp, digest));
            known.changed = true;
        }
        Ok(digest)
    }

    /// Writes the trace down, if there is anything new: in the folder `new`,
    /// from where it is renamed. Never fails: a trace that could not be written
    /// is only slower.
    pub fn save(&self, new: &Path) {
        let Some(path) = &self.path else { return };
        let mut known = self.locked();
        if !known.changed {
            return;
        }
        known.changed = false;
        let bytes = encode(&known.files);
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

fn encode(files: &HashMap<PathBuf, (Stamp, Digest)>) -> Vec<u8> {
    use std::os::unix::ffi::OsStrExt;
    let mut bytes = MAGIC.to_vec();
    let mut sorted: Vec<_> = files.iter().collect();
    sorted.sort_by_key(|(path, _)| *path);
    for (path, (stamp, digest)) in sorted {
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
    let sum = crc32fast::hash(&bytes);
    bytes.extend(sum.to_le_bytes());
    bytes
}

fn decode(bytes: &[u8]) -> Option<HashMap<PathBuf, (Stamp, Digest)>> {
    use std::os::unix::ffi::OsStringExt;
    let (body, sum) = bytes.split_last_chunk::<4>()?;
    if crc32fast::hash(body) != u32::from_le_bytes(*sum) {
        return None;
    }
    let mut rest = body.strip_prefix(MAGIC.as_slice())?;
    let mut files = HashMap::new();
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
    Some(files)
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

    #[test]
    fn a_trace_is_read_back_and_a_torn_one_is_empty() {
        let stamp = Stamp {
            size: 3,
            mtime_ns: 1,
            ctime_ns: 2,
            inode: 3,
        };
        let files = HashMap::from([(PathBuf::from("/a b"), (stamp, Digest::of(b"one")))]);
        let bytes = encode(&files);
        assert_eq!(decode(&bytes), Some(files));
        for end in 0..bytes.len() {
            assert_eq!(decode(&bytes[..end]), None);
        }
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
