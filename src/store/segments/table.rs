//! Where the records of a segment are, as far as somebody scanned it: a sorted
//! table in a file beside the segment, so that who looks up few records reads no
//! heads.
//!
//! It is a guess that can be rebuilt: written beside and renamed, never flushed,
//! ignored when it is torn or of another segment. A frame is compared with its
//! whole key when it is read, so a wrong place is a miss.

use std::fs;
use std::path::Path;

use super::index::Short;
use crate::fail_point;

const MAGIC: &[u8; 8] = b"mikado\x01s";

/// Magic, the segment's salt, and how far it was scanned.
const HEAD: usize = 8 + 8 + 8;

/// The short key, and where the frame begins.
const ENTRY: usize = 16 + 8;

/// A table, as it was read. It is looked up in place.
#[derive(Debug)]
pub(super) struct Table {
    bytes: Vec<u8>,
}

impl Table {
    /// The table in `path` of the segment with this salt, which has `len` bytes.
    pub(super) fn read(path: &Path, salt: u64, len: u64) -> Option<Table> {
        let mut bytes = fs::read(path).ok()?;
        let (body, sum) = bytes.split_last_chunk::<4>()?;
        let is_good = body.starts_with(MAGIC)
            && body.len() >= HEAD
            && (body.len() - HEAD).is_multiple_of(ENTRY)
            && crc32fast::hash(body) == u32::from_le_bytes(*sum);
        bytes.truncate(bytes.len() - 4);
        let table = Table { bytes };
        (is_good && table.number(8) == salt && table.covers() <= len).then_some(table)
    }

    /// Writes the table of these entries, sorted by key, to `new`, and renames it to
    /// `path`. One that could not be written is none.
    pub(super) fn write(
        path: &Path,
        new: &Path,
        (salt, covers): (u64, u64),
        entries: impl IntoIterator<Item = (Short, u64)>,
    ) {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(salt.to_le_bytes());
        bytes.extend(covers.to_le_bytes());
        for (key, offset) in entries {
            bytes.extend(key);
            bytes.extend(offset.to_le_bytes());
        }
        let sum = crc32fast::hash(&bytes);
        bytes.extend(sum.to_le_bytes());
        if fail_point::reach("table.write").is_ok()
            && fs::write(new, &bytes).is_ok()
            && fail_point::reach("table.name").is_ok()
        {
            drop(fs::rename(new, path));
        }
    }

    /// How many bytes of the segment it knows.
    pub(super) fn covers(&self) -> u64 {
        self.number(16)
    }

    /// Where the frame of this key begins.
    pub(super) fn find(&self, key: &Short) -> Option<u64> {
        let entries = self.bytes[HEAD..].as_chunks::<ENTRY>().0;
        let at = entries
            .binary_search_by(|entry| entry[..16].cmp(key))
            .ok()?;
        entries.get(at).map(split).map(|(_, offset)| offset)
    }

    /// All keys with their places, sorted.
    pub(super) fn entries(&self) -> impl Iterator<Item = (Short, u64)> {
        self.bytes[HEAD..].as_chunks::<ENTRY>().0.iter().map(split)
    }

    fn number(&self, at: usize) -> u64 {
        let bytes = self.bytes.get(at..).and_then(<[u8]>::first_chunk);
        bytes.map_or(0, |bytes| u64::from_le_bytes(*bytes))
    }
}

fn split(entry: &[u8; ENTRY]) -> (Short, u64) {
    let (mut key, mut offset) = ([0; 16], [0; 8]);
    key.copy_from_slice(&entry[..16]);
    offset.copy_from_slice(&entry[16..]);
    (key, u64::from_le_bytes(offset))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed step is a failed test")]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_found_in_and_a_torn_or_foreign_one_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("table");
        let entries: Vec<(Short, u64)> = (0..50).map(|n| ([n; 16], u64::from(n) * 7)).collect();
        Table::write(&path, &dir.path().join("new"), (3, 1000), entries.clone());
        let table = Table::read(&path, 3, 1000).unwrap();
        assert_eq!(table.covers(), 1000);
        assert_eq!(table.find(&[49; 16]), Some(343));
        assert_eq!(table.find(&[50; 16]), None);
        assert_eq!(table.entries().collect::<Vec<_>>(), entries);
        assert!(Table::read(&path, 4, 1000).is_none(), "another segment's");
        assert!(Table::read(&path, 3, 999).is_none(), "of a longer one");
        let bytes = fs::read(&path).unwrap();
        for end in [0, 7, HEAD, HEAD + 4, bytes.len() - 1] {
            fs::write(&path, &bytes[..end]).unwrap();
            assert!(Table::read(&path, 3, 1000).is_none(), "cut at {end}");
        }
    }
}
