//! The append-only files of small records: messages, tree records, results,
//! checks and notes, each under a kind and a key; the last one put wins.
//!
//! Invariants: a record is known to this process once it is put, and to all
//! after `flush`, which appends a whole group under an exclusive lock and
//! waits for the disk. Every payload's checksum and key are compared when it
//! is read, so a damaged record is a missing one. Segments are never changed
//! but at their torn end, and deleted only by `compact`.

mod append;
mod index;
mod table;

pub(super) use index::Segments;

use crate::digest::Digest;

/// What a record is. Unknown kinds (of a later version) are kept and ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(super) enum Kind {
    /// Bytes, under their own digest.
    Blob = 1,
    /// What a tree's files looked like when it was whole, under its digest.
    Tree = 2,
    /// What an action left, under the action's digest.
    Result = 3,
    /// The outcome of a check, under the digest of the check.
    Check = 4,
    /// Anything small, under a name.
    Note = 5,
}

/// What a record is found by.
#[derive(Clone, Copy, Debug)]
pub(super) enum Key<'k> {
    Digest(&'k Digest),
    Text(&'k str),
}

impl Key<'_> {
    fn bytes(self) -> Vec<u8> {
        match self {
            Key::Digest(digest) => digest_key(digest),
            Key::Text(text) => text.as_bytes().to_vec(),
        }
    }
}

/// A digest as a key: the hash, then the size.
fn digest_key(digest: &Digest) -> Vec<u8> {
    let mut key = digest.hash.to_vec();
    key.extend_from_slice(&digest.size.to_le_bytes());
    key
}

/// The digest that a key is.
pub(super) fn digest_of_key(key: &[u8]) -> Option<Digest> {
    let (hash, size) = key.split_at_checked(32)?;
    Some(Digest {
        hash: hash.try_into().ok()?,
        size: u64::from_le_bytes(size.try_into().ok()?),
    })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed step is a failed test")]
mod tests;
