//! The trees: `out/` folders that became artifacts, each at `trees/HEX`.
//!
//! Invariants: a tree appears whole, by one rename. It is handed out only
//! after its witness was compared, or its contents hashed. What turns out
//! wrong is renamed away, never mended in place, so that a tree under a name
//! is right or absent. Nothing in here is linked into a writable folder.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime};

use prost::Message as _;
use rustix::fs::{CWD, RenameFlags, renameat_with};

use super::error::{During as _, StoreError};
use super::layout::is_refusal;
use super::scan::Scan;
use super::segments::{Key, Kind};
use super::witness::Witness;
use super::{Store, copy, hold, lockfile, scratch};
use crate::digest::Digest;
use crate::fail_point;
use crate::index::State;
use crate::parallel;

/// How long a tree that was found whole is not looked at again.
const TRUST: Duration = Duration::from_secs(1);
/// How old a tree's note of use may become before it is renewed.
pub(super) const USE_GRAIN: Duration = Duration::from_secs(3600);
/// From how many files on the whole disk is waited for at once: each wait of its
/// own may be one for the disk's head, and other writers have to wait then, too.
const SYNC_ALL: usize = 1000;
/// How many threads wait for the disk at once.
const SYNC_THREADS: usize = 8;

/// A folder, hashed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HashedTree {
    /// The digest of the root `Directory` message: the artifact's name.
    pub digest: Digest,
    /// How many files.
    pub files: u64,
    /// Bytes of their contents.
    pub bytes: u64,
    /// Each folder's encoded `Directory` message; the root's is the last.
    pub directories: Vec<(Digest, Vec<u8>)>,
}

impl From<Scan> for HashedTree {
    fn from(scan: Scan) -> HashedTree {
        HashedTree {
            digest: scan.digest,
            files: scan.witness.files,
            bytes: scan.witness.bytes,
            directories: scan.directories,
        }
    }
}

/// What this process knows of trees and has not written down.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// Found whole, and when.
    checked: Mutex<HashMap<Digest, Instant>>,
    /// In the store, and perhaps not on the disk yet.
    unsynced: Mutex<BTreeSet<Digest>>,
    /// Bytes on the disk of what was adopted, until a collection asks.
    pub(super) adopted: Mutex<u64>,
}

impl Store {
    /// The digest that `folder` would have as an artifact. Changes nothing.
    pub fn hash_dir(&self, folder: &Path) -> Result<HashedTree, StoreError> {
        Scan::look(folder).map(HashedTree::from)
    }

    /// Makes `folder` an artifact of the store. It is gone afterwards: renamed
    /// into the store, or deleted where the store has the same tree already.
    /// On an error it stays, perhaps with other modes and times.
    ///
    /// Known to this process at once, durable after `flush`.
    pub fn adopt(&self, folder: &Path) -> Result<HashedTree, StoreError> {
        self.adopt_written(folder, &BTreeMap::new())
    }

    /// The same of a folder of which this process itself wrote some files, and
    /// hashed what it wrote: those are not read again.
    pub fn adopt_written(
        &self,
        folder: &Path,
        written: &BTreeMap<PathBuf, Digest>,
    ) -> Result<HashedTree, StoreError> {
        self.layout.writable("keep an artifact")?;
        let scan = Scan::settle(folder, written)?;
        let target = self.tree_path(&scan.digest);
        // Each turn but the last sets one wrong tree aside.
        for _ in 0..64 {
            match rename_new(folder, &target) {
                Ok(()) => {
                    fail_point::reach("tree.note").during("move into the store", folder)?;
                    self.note_tree(&scan)?;
                    self.forget_edit(&scan.digest)?;
                    self.note_use(&scan.digest)?;
                    *hold(&self.known.adopted) += scan.witness.disk;
                    return Ok(scan.into());
                }
                Err(error) if is_taken(&error) => {
                    if self.checked_tree(&scan.digest, false)?.is_some() {
                        scratch::remove_all(folder)?;
                        self.put_directories(&scan)?;
                        return Ok(scan.into());
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
                    let copied = self.scratch()?.fresh("copy");
                    copy::copy_tree(folder, &copied, copy::Modes::Kept)?;
                    let tree = self.adopt(&copied)?;
                    scratch::remove_all(folder)?;
                    return Ok(tree);
                }
                Err(error) => return Err(error).during("move into the store", folder),
            }
        }
        Err(io::Error::from(io::ErrorKind::AlreadyExists)).during("move into the store", folder)
    }

    /// Where the tree is, if it is there and right. A tree that was changed
    /// behind the store's back is set aside, and absent from then on.
    pub fn tree(&self, digest: &Digest) -> Result<Option<PathBuf>, StoreError> {
        self.checked_tree(digest, true)
    }

    fn checked_tree(&self, digest: &Digest, trust: bool) -> Result<Option<PathBuf>, StoreError> {
        let path = self.tree_path(digest);
        if trust && self.was_checked(digest) {
            return Ok(Some(path));
        }
        let Some(meta) = root_of(&path)? else {
            return Ok(None);
        };
        self.note_use(digest)?;
        if let Some(witness) = self.witness(digest)?
            && witness.holds(&path)
        {
            self.trust(digest);
            return Ok(Some(path));
        }
        self.rehashed_tree(digest, path, meta.ino())
    }

    /// The tree, after reading all of it.
    pub(super) fn rehashed_tree(
        &self,
        digest: &Digest,
        path: PathBuf,
        inode: u64,
    ) -> Result<Option<PathBuf>, StoreError> {
        let mut scan = match Scan::look(&path) {
            Ok(scan) if scan.digest == *digest => scan,
            Err(error @ StoreError::Io { .. }) if error.is_absent() => return Ok(None),
            // A fault of this process, not of the tree.
            Err(error) if is_want(&error) => return Err(error),
            Ok(scan) => {
                self.note_edit(digest, &scan)?;
                self.set_aside(digest, inode)?;
                return Ok(None);
            }
            Err(_) => {
                self.set_aside(digest, inode)?;
                return Ok(None);
            }
        };
        if self.layout.writable {
            if !scan.settled {
                match Scan::settle(&path, &BTreeMap::new()) {
                    Ok(settled) if settled.digest == *digest => scan = settled,
                    // Another user's tree; it is right, and that is enough.
                    _ if meta_is_foreign(&path) => {}
                    _ => {
                        self.set_aside(digest, inode)?;
                        return Ok(None);
                    }
                }
            }
            self.note_tree(&scan)?;
        }
        self.trust(digest);
        Ok(Some(path))
    }

    /// Remembers what of a tree is not as it was, for people.
    fn note_edit(&self, digest: &Digest, now: &Scan) -> Result<(), StoreError> {
        let then = self.witness(digest)?;
        let Some(path) = then.and_then(|then| then.difference(&now.witness)) else {
            return Ok(());
        };
        if self.layout.writable {
            self.put_note(&edit_note(digest), &path)?;
            // What can't be written down is not explained later, and no more.
            drop(self.flush());
        }
        Ok(())
    }

    /// The path in a tree that somebody changed, so that it was set aside.
    pub fn edited(&self, digest: &Digest) -> Result<Option<String>, StoreError> {
        let path: Option<String> = self.note(&edit_note(digest))?;
        Ok(path.filter(|path| !path.is_empty()))
    }

    /// Forgets that a tree was changed, now that it is whole again.
    fn forget_edit(&self, digest: &Digest) -> Result<(), StoreError> {
        match self.edited(digest)? {
            Some(_) => self.put_note(&edit_note(digest), &String::new()),
            None => Ok(()),
        }
    }

    /// How many files a tree has, and bytes: of the contents, and on the disk.
    pub fn tree_size(&self, digest: &Digest) -> Result<Option<TreeSize>, StoreError> {
        Ok(self.witness(digest)?.map(TreeSize::from))
    }

    /// What was seen of each entry of a tree when it was last known to be whole;
    /// `None` where nothing is recorded.
    pub fn tree_states(&self, digest: &Digest) -> Result<Option<Vec<(String, State)>>, StoreError> {
        Ok(self.witness(digest)?.map(|witness| witness.states()))
    }

    /// Puts a tree's record and messages, to be made durable by `flush`.
    fn note_tree(&self, scan: &Scan) -> Result<(), StoreError> {
        self.put_directories(scan)?;
        let key = Key::Digest(&scan.digest);
        let bytes = scan.witness.encode_to_vec();
        if self.segments.read(Kind::Tree, key)?.as_ref() != Some(&bytes) {
            // In this order: a flush that sees the record must see this.
            hold(&self.known.unsynced).insert(scan.digest);
            self.segments.put(Kind::Tree, key, bytes)?;
        }
        self.trust(&scan.digest);
        Ok(())
    }

    fn put_directories(&self, scan: &Scan) -> Result<(), StoreError> {
        for (digest, bytes) in &scan.directories {
            self.put_known_blob(digest, bytes)?;
        }
        Ok(())
    }

    pub(super) fn witness(&self, digest: &Digest) -> Result<Option<Witness>, StoreError> {
        let key = Key::Digest(digest);
        let mut bytes = self.segments.read(Kind::Tree, key)?;
        if bytes.is_none() {
            self.segments.refresh()?;
            bytes = self.segments.read(Kind::Tree, key)?;
        }
        Ok(bytes.and_then(|bytes| Witness::decode(bytes.as_slice()).ok()))
    }

    pub(super) fn tree_path(&self, digest: &Digest) -> PathBuf {
        self.layout.trees.join(digest.hex())
    }

    /// Renames a wrong tree away, unless another took its place meanwhile.
    pub(super) fn set_aside(&self, digest: &Digest, inode: u64) -> Result<(), StoreError> {
        hold(&self.known.checked).remove(digest);
        if !self.layout.writable {
            return Ok(());
        }
        let aside = self.scratch()?.fresh("aside");
        let path = self.tree_path(digest);
        let _gate = lockfile::lock_briefly(&self.layout.gate(), false)?;
        match root_of(&path)? {
            Some(meta) if meta.ino() == inode => {
                fail_point::reach("tree.aside").during("set aside", &path)?;
                fs::rename(&path, &aside).during("set aside", &path)
            }
            _ => Ok(()),
        }
    }

    /// Notes that a tree is in use, so that no collection takes it. To be
    /// called before looking whether it is there.
    fn note_use(&self, digest: &Digest) -> Result<(), StoreError> {
        let path = self.layout.used.join(digest.hex());
        let now = SystemTime::now();
        let recent = fs::metadata(&path)
            .and_then(|meta| meta.modified())
            .is_ok_and(|then| now.duration_since(then).is_ok_and(|age| age < USE_GRAIN));
        if recent || !self.layout.writable {
            return Ok(());
        }
        // A collection reads these notes and deletes behind the same gate.
        let _gate = lockfile::lock_briefly(&self.layout.gate(), true)?;
        let touched = fail_point::reach("tree.use")
            .and_then(|()| File::options().create(true).append(true).open(&path))
            .and_then(|file| file.set_modified(now));
        match touched {
            Err(error) if is_refusal(&error) => Ok(()),
            touched => touched.during("note the use in", &path),
        }
    }

    /// The trees that this process has used.
    pub(super) fn used_here(&self) -> BTreeSet<Digest> {
        hold(&self.known.checked).keys().copied().collect()
    }

    fn was_checked(&self, digest: &Digest) -> bool {
        hold(&self.known.checked)
            .get(digest)
            .is_some_and(|when| when.elapsed() < TRUST)
    }

    fn trust(&self, digest: &Digest) {
        hold(&self.known.checked).insert(*digest, Instant::now());
    }

    /// Makes the files of all trees that were adopted durable.
    pub(super) fn sync_trees(&self) -> Result<(), StoreError> {
        let digests = hold(&self.known.unsynced).clone();
        if digests.is_empty() {
            return Ok(());
        }
        let mut paths = Vec::new();
        for digest in &digests {
            let root = self.tree_path(digest);
            if let Some(witness) = self.witness(digest)? {
                paths.extend(witness.synced().map(|(path, _)| match path {
                    "" => root.clone(),
                    _ => root.join(path),
                }));
            }
        }
        paths.push(self.layout.trees.clone());
        let trees = &self.layout.trees;
        fail_point::reach("tree.sync").during("sync", trees)?;
        if paths.len() >= SYNC_ALL && sync_disk_of(trees).during("sync", trees)? {
            hold(&self.known.unsynced).retain(|digest| !digests.contains(digest));
            return Ok(());
        }
        parallel::each(&paths, SYNC_THREADS, |path| {
            match File::open(path).and_then(|file| file.sync_all()) {
                // Set aside meanwhile: then its record is a miss.
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
                synced => synced.during("sync", path),
            }
        })?;
        hold(&self.known.unsynced).retain(|digest| !digests.contains(digest));
        Ok(())
    }
}

/// How large a tree is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TreeSize {
    /// How many files.
    pub files: u64,
    /// Bytes of their contents.
    pub bytes: u64,
    /// Bytes on the disk, folders included.
    pub disk: u64,
}

impl From<Witness> for TreeSize {
    fn from(witness: Witness) -> TreeSize {
        TreeSize {
            files: witness.files,
            bytes: witness.bytes,
            disk: witness.disk,
        }
    }
}

/// The name of the note of what somebody changed in a tree.
fn edit_note(digest: &Digest) -> String {
    format!("edited {}", digest.hex())
}

/// What is at the root of a tree; `None` where nothing is.
pub(super) fn root_of(path: &Path) -> Result<Option<fs::Metadata>, StoreError> {
    match fs::symlink_metadata(path) {
        Ok(meta) => Ok(Some(meta)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).during("look at", path),
    }
}

/// Renames `from` to a name that must be free.
fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    fail_point::reach("tree.name")?;
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // A file system that can't promise it. Renaming a folder replaces
        // nothing but an empty folder, which is then an equal tree or wrong.
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => fs::rename(from, to),
        renamed => Ok(renamed?),
    }
}

/// Waits for everything on the disk of a folder (syncfs(2), which tells of
/// failures since Linux 5.8); false where that can't be asked for.
#[cfg(target_os = "linux")]
fn sync_disk_of(folder: &Path) -> io::Result<bool> {
    rustix::fs::syncfs(File::open(folder)?)?;
    Ok(true)
}

#[cfg(not(target_os = "linux"))]
fn sync_disk_of(_folder: &Path) -> io::Result<bool> {
    Ok(false)
}

fn is_taken(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::AlreadyExists
            | io::ErrorKind::DirectoryNotEmpty
            | io::ErrorKind::NotADirectory
    )
}

/// Whether the machine lacks something, so that nothing is said of the tree.
fn is_want(error: &StoreError) -> bool {
    let StoreError::Io { source, .. } = error else {
        return false;
    };
    matches!(
        source.raw_os_error(),
        Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM)
    )
}

/// Whether the tree belongs to another user, so that its modes can't be set.
fn meta_is_foreign(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|meta| meta.uid() != rustix::process::geteuid().as_raw())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed step is a failed test")]
mod tests;
