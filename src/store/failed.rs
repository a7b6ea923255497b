//! The root of a card's last failure, kept so that one can look at it.
//!
//! One a card and work tree, in `failed/` of the store, where a root can be
//! renamed to: `failed/TREE/STEM/root`, and `notes.json` beside it. Who looks at
//! one holds a shared lock on its folder; it is not replaced or deleted then.
//! Nothing depends on what is here, so nothing is synced.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::{During as _, StoreError};
use super::gc::size_of_folder;
use super::{Store, layout, scratch};
use crate::digest::Digest;

/// What is noted of a failure.
const NOTES: &str = "notes.json";

/// A failure's root that is being looked at: kept as long as this is.
#[derive(Debug)]
pub struct FailedRoot<T> {
    /// The action's root.
    pub root: PathBuf,
    /// What was noted of it.
    pub notes: T,
    /// Holds it.
    pub lock: File,
}

/// A failure that is kept, for collections.
pub(super) struct KeptFailure {
    pub(super) path: PathBuf,
    pub(super) since: SystemTime,
    pub(super) disk: u64,
}

impl Store {
    /// Keeps `root`, a folder in this process's scratch folder, as that of the
    /// last failure of `stem` in `work_tree`. False where somebody looks at the
    /// one before.
    pub fn keep_failed<T: Serialize>(
        &self,
        work_tree: &Path,
        stem: &str,
        root: &Path,
        notes: &T,
    ) -> Result<bool, StoreError> {
        if !self.forget_failed(work_tree, stem)? {
            return Ok(false);
        }
        let made = self.scratch()?.fresh("failed");
        fs::create_dir(&made).during("make the folder", &made)?;
        let text = serde_json::to_vec(notes).unwrap_or_default();
        fs::write(made.join(NOTES), text).during("write", &made)?;
        let place = made.join("root");
        fs::rename(root, &place).during("set aside", root)?;
        let folder = self.failed_folder(work_tree, stem);
        layout::ensure_folder(folder.parent().unwrap_or(&folder))?;
        fs::rename(&made, &folder).during("keep", &folder)?;
        Ok(true)
    }

    /// The root of the last failure of `stem` in `work_tree`, held.
    pub fn failed<T: DeserializeOwned>(
        &self,
        work_tree: &Path,
        stem: &str,
    ) -> Result<Option<FailedRoot<T>>, StoreError> {
        let folder = self.failed_folder(work_tree, stem);
        let lock = match File::open(&folder) {
            Ok(lock) => lock,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).during("open the folder", &folder),
        };
        lock.lock_shared().during("lock", &folder)?;
        let root = folder.join("root");
        // It may have been renamed away before it was locked, or come from
        // another version of this program.
        let notes = fs::read(folder.join(NOTES)).ok();
        let notes = notes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        Ok(notes
            .filter(|_| root.is_dir())
            .map(|notes| FailedRoot { root, notes, lock }))
    }

    /// Whether anything is kept of a failure.
    pub fn has_failed(&self, work_tree: &Path, stem: &str) -> bool {
        fs::symlink_metadata(self.failed_folder(work_tree, stem)).is_ok()
    }

    /// Deletes the root of the last failure of `stem` in `work_tree`, if there
    /// is one. False where somebody looks at it.
    pub fn forget_failed(&self, work_tree: &Path, stem: &str) -> Result<bool, StoreError> {
        self.delete_failed(&self.failed_folder(work_tree, stem))
    }

    /// Deletes what is kept of a failure; false where it is looked at.
    pub(super) fn delete_failed(&self, folder: &Path) -> Result<bool, StoreError> {
        let lock = match File::open(folder) {
            Ok(lock) => lock,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
            Err(error) => return Err(error).during("open the folder", folder),
        };
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(false),
            Err(TryLockError::Error(error)) => return Err(error).during("lock", folder),
        }
        let aside = self.scratch()?.fresh("deleted");
        match fs::rename(folder, &aside) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
            Err(error) => return Err(error).during("set aside", folder),
        }
        scratch::remove_all(&aside)?;
        Ok(true)
    }

    /// All failures that are kept, of all work trees.
    pub(super) fn kept_failures(&self) -> Result<Vec<KeptFailure>, StoreError> {
        let mut kept = Vec::new();
        for tree in folders(&self.failed_root())? {
            for path in folders(&tree)? {
                let notes = path.join(NOTES).metadata();
                kept.push(KeptFailure {
                    since: notes
                        .and_then(|notes| notes.modified())
                        .unwrap_or(SystemTime::UNIX_EPOCH),
                    disk: size_of_folder(&path)?,
                    path,
                });
            }
        }
        Ok(kept)
    }

    fn failed_root(&self) -> PathBuf {
        self.layout.root.join("failed")
    }

    fn failed_folder(&self, work_tree: &Path, stem: &str) -> PathBuf {
        let tree = Digest::of(work_tree.as_os_str().as_encoded_bytes()).hex();
        // A stem is a file's name, and so one segment of a path.
        self.failed_root().join(&tree[..12]).join(stem)
    }
}

/// The folders in a folder; none where it is not there.
fn folders(folder: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).during("read the folder", folder),
    };
    let mut found: Vec<PathBuf> = entries
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .filter(|path| path.is_dir())
        .collect();
    found.sort();
    Ok(found)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed step is a failed test")]
mod tests {
    use super::*;
    use crate::store::Limits;
    use std::collections::BTreeSet;
    use std::time::Duration;

    fn failed(store: &Store, text: &str) -> bool {
        let root = store.scratch_folder().unwrap().join(text);
        fs::create_dir(&root).unwrap();
        fs::write(root.join("half"), text).unwrap();
        store
            .keep_failed(Path::new("/tree"), "a b", &root, &text)
            .unwrap()
    }

    fn found(store: &Store) -> Option<FailedRoot<String>> {
        store.failed(Path::new("/tree"), "a b").unwrap()
    }

    #[test]
    fn newest_failure_is_kept_until_it_is_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        assert!(found(&store).is_none());
        assert!(failed(&store, "one") && failed(&store, "two"));
        let kept = found(&store).unwrap();
        assert_eq!(kept.notes, "two");
        assert_eq!(fs::read(kept.root.join("half")).unwrap(), b"two");
        assert!(store.stats().unwrap().failed_disk > 0);
        drop(kept);
        assert!(store.forget_failed(Path::new("/tree"), "a b").unwrap());
        assert!(found(&store).is_none());
        let other = store.failed::<String>(Path::new("/other"), "a b").unwrap();
        assert!(other.is_none());
    }

    #[test]
    fn what_is_looked_at_is_neither_replaced_nor_collected() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        assert!(failed(&store, "one"));
        let nothing = Limits {
            max_size: 0,
            max_age: Duration::ZERO,
        };
        let kept = found(&store).unwrap();
        assert!(!failed(&store, "two"));
        store.collect(&nothing, &BTreeSet::new()).unwrap();
        assert!(kept.root.join("half").is_file());
        drop(kept);
        let collected = store.collect(&nothing, &BTreeSet::new()).unwrap();
        assert_eq!(collected.failures, 1);
        assert!(found(&store).is_none());
    }
}
