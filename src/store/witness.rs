//! A tree's witness: what the file system said of each entry when the tree was
//! last known to be whole.
//!
//! As long as it says the same, the tree is taken for unchanged without being
//! read. A difference is no verdict, only a reason to hash again: copying a
//! store to another disk changes every inode and no content.

use std::collections::BTreeMap;
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use prost::Message;

use super::scan::TREE_TIME;
use crate::index::State;
use crate::parallel;

const KIND: u32 = 0o170_000;
const FOLDER: u32 = 0o040_000;
const LINK: u32 = 0o120_000;

/// An entry, as the file system has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    /// Below the root, with `/`; empty for the root.
    pub(super) path: String,
    mode: u32,
    size: u64,
    inode: u64,
    modified_ns: i64,
    changed_ns: i64,
    disk: u64,
    links: u64,
}

impl Seen {
    pub(super) fn of(path: String, meta: &Metadata) -> Seen {
        let ns = |sec: i64, nsec: i64| sec.saturating_mul(1_000_000_000).saturating_add(nsec);
        let folder = meta.is_dir();
        Seen {
            mode: meta.mode(),
            // The size of a folder is the file system's own affair.
            size: if folder { 0 } else { meta.len() },
            inode: meta.ino(),
            modified_ns: ns(meta.mtime(), meta.mtime_nsec()),
            // That of the root changes when it is renamed into the store.
            changed_ns: match path.is_empty() {
                true => 0,
                false => ns(meta.ctime(), meta.ctime_nsec()),
            },
            disk: meta.blocks() * 512,
            links: if folder { 1 } else { meta.nlink() },
            path,
        }
    }

    /// Whether the entry has the form that all entries of trees have.
    pub(super) fn is_settled(&self) -> bool {
        let mode = match self.mode & KIND {
            FOLDER => self.mode & 0o7777 == 0o755,
            LINK => true,
            _ => matches!(self.mode & 0o7777, 0o444 | 0o555),
        };
        mode && self.links == 1 && self.modified_ns == TREE_TIME * 1_000_000_000
    }

    fn is_folder(&self) -> bool {
        self.mode & KIND == FOLDER
    }
}

/// The witness of a tree, as it is kept.
#[derive(Clone, PartialEq, Eq, Message)]
pub(super) struct Witness {
    /// How many files.
    #[prost(uint64, tag = "1")]
    pub(super) files: u64,
    /// Bytes of their contents.
    #[prost(uint64, tag = "2")]
    pub(super) bytes: u64,
    /// Bytes on the disk, folders included.
    #[prost(uint64, tag = "3")]
    pub(super) disk: u64,
    /// The paths of all entries in byte order, joined by NUL; the root first.
    #[prost(string, tag = "4")]
    paths: String,
    #[prost(uint32, repeated, tag = "5")]
    modes: Vec<u32>,
    #[prost(uint64, repeated, tag = "6")]
    sizes: Vec<u64>,
    #[prost(uint64, repeated, tag = "7")]
    inodes: Vec<u64>,
    #[prost(sfixed64, repeated, tag = "8")]
    modified: Vec<i64>,
    #[prost(sfixed64, repeated, tag = "9")]
    changed: Vec<i64>,
}

impl Witness {
    /// The witness of these entries.
    pub(super) fn of(mut seen: Vec<Seen>) -> Witness {
        seen.sort_by(|a, b| a.path.cmp(&b.path));
        let files = || {
            seen.iter()
                .filter(|s| !s.is_folder() && s.mode & KIND != LINK)
        };
        let paths: Vec<&str> = seen.iter().map(|s| s.path.as_str()).collect();
        Witness {
            files: files().count() as u64,
            bytes: files().map(|s| s.size).sum(),
            disk: seen.iter().map(|s| s.disk).sum(),
            paths: paths.join("\0"),
            modes: seen.iter().map(|s| s.mode).collect(),
            sizes: seen.iter().map(|s| s.size).collect(),
            inodes: seen.iter().map(|s| s.inode).collect(),
            modified: seen.iter().map(|s| s.modified_ns).collect(),
            changed: seen.iter().map(|s| s.changed_ns).collect(),
        }
    }

    /// The paths of all entries below the root, which is the empty path.
    pub(super) fn paths(&self) -> impl Iterator<Item = &str> {
        self.paths.split('\0')
    }

    /// Each path that is a file or a folder, with whether it is a folder.
    pub(super) fn synced(&self) -> impl Iterator<Item = (&str, bool)> {
        let kinds = self.modes.iter().map(|mode| mode & KIND);
        self.paths()
            .zip(kinds)
            .filter(|(_, kind)| *kind != LINK)
            .map(|(path, kind)| (path, kind == FOLDER))
    }

    /// A path that is in one of two witnesses alone, or whose size or mode differs
    /// in them, or else whose times do: a file sooner than a folder.
    pub(super) fn difference(&self, other: &Witness) -> Option<String> {
        let known: BTreeMap<String, State> = self.states().into_iter().collect();
        let now: BTreeMap<String, State> = other.states().into_iter().collect();
        let form = |state: &State| (state.mode & KIND, state.mode & 0o111, state.size);
        let alone = known.keys().filter(|path| !now.contains_key(*path));
        let alone = alone.chain(now.keys().filter(|path| !known.contains_key(*path)));
        let common = || {
            known
                .iter()
                .filter_map(|(path, then)| Some((path, then, now.get(path)?)))
        };
        let formed = common().filter(|(_, then, now)| form(then) != form(now));
        let touched = common().filter(|(_, then, now)| {
            then.mode & KIND != FOLDER
                && (then.changed_ns, then.inode) != (now.changed_ns, now.inode)
        });
        let changed = formed.chain(touched).map(|(path, ..)| path);
        alone.chain(changed).find(|path| !path.is_empty()).cloned()
    }

    /// Each entry below the root, which is the empty path, as it was seen.
    pub(super) fn states(&self) -> Vec<(String, State)> {
        let state = |(at, path): (usize, &str)| {
            let state = State {
                mode: *self.modes.get(at)?,
                size: *self.sizes.get(at)?,
                modified_ns: *self.modified.get(at)?,
                changed_ns: *self.changed.get(at)?,
                inode: *self.inodes.get(at)?,
                device: 0,
            };
            Some((path.to_owned(), state))
        };
        self.paths().enumerate().filter_map(state).collect()
    }

    /// Whether every entry below `root` is as it was.
    pub(super) fn holds(&self, root: &Path) -> bool {
        let paths: Vec<(usize, &str)> = self.paths().enumerate().collect();
        let threads = match paths.len() > 2000 {
            true => parallel::cpus(),
            false => 1,
        };
        let chunks: Vec<_> = paths.chunks(500).collect();
        let holds = parallel::each(&chunks, threads, |chunk| {
            let mut entries = chunk.iter();
            let holds = entries.all(|(at, path)| self.entry_holds(root, *at, path));
            holds.then_some(()).ok_or(())
        });
        holds.is_ok()
    }

    fn entry_holds(&self, root: &Path, at: usize, path: &str) -> bool {
        let full = match path {
            "" => root.to_owned(),
            _ => root.join(path),
        };
        let Ok(meta) = fs::symlink_metadata(full) else {
            return false;
        };
        let now = Seen::of(path.to_owned(), &meta);
        let then = |numbers: &[u64]| numbers.get(at).copied();
        self.modes.get(at) == Some(&now.mode)
            && then(&self.sizes) == Some(now.size)
            && then(&self.inodes) == Some(now.inode)
            && self.modified.get(at) == Some(&now.modified_ns)
            && self.changed.get(at) == Some(&now.changed_ns)
            && now.links == 1
    }
}
