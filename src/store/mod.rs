//! The store: trees named by their digest, and small records beside them.
//!
//! Synchronous, shared by threads (`Arc<Store>`) and by processes. What is put
//! is known to this process at once and to all after `flush`, in an order that
//! makes a crash at any moment leave a miss, never a hit: files of trees, then
//! one group of records. It knows nothing of cards, runners or keys: an action
//! is a digest here.

mod archive;
mod copy;
mod error;
mod export;
mod failed;
mod frame;
mod gc;
mod journal;
mod layout;
mod listing;
mod live;
mod local;
mod lockfile;
mod results;
mod scan;
mod scratch;
mod segments;
mod sri;
mod trees;
mod verify;
mod witness;

use std::fs::File;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::SystemTime;

use serde::Serialize;
use serde::de::DeserializeOwned;

pub use archive::{ArchiveError, Packed};
pub use error::StoreError;
pub use failed::FailedRoot;
pub(crate) use gc::note_of;
pub use gc::{Collected, Limits};
pub use listing::{Entry, EntryKind};
pub use local::{CardHistory, CardRun, Local};
pub use lockfile::{ActionLock, Holder, Lock, TryLock};
pub use results::{Provenance, StoredResult};
pub use scan::TREE_TIME;
pub use sri::{NoSri, Sri, nar_hash};
pub use trees::{HashedTree, TreeSize};
pub use verify::{Damage, Stats, Verified};

use crate::digest::Digest;
use crate::fail_point;
use error::During as _;
use layout::Layout;
use scratch::Scratch;
use segments::{Key, Kind, Segments};

/// A store, open.
#[derive(Debug)]
pub struct Store {
    layout: Layout,
    segments: Segments,
    known: trees::Known,
    scratch: Mutex<Option<Arc<Scratch>>>,
    /// Lock files that are used again.
    spare_locks: OnceLock<Arc<lockfile::Spares>>,
    /// Held by the thread that flushes.
    flushing: Mutex<()>,
    /// When this was opened, in milliseconds since 1970.
    opened_ms: u64,
}

impl Store {
    /// Opens the store in `folder`, making it where it is missing. A store
    /// that can't be written is opened for reading.
    pub fn open(folder: &Path) -> Result<Store, StoreError> {
        let layout = Layout::open(folder)?;
        let lock = layout.locks.join("segments");
        Ok(Store {
            segments: Segments::new(layout.segments.clone(), lock, layout.writable),
            layout,
            known: trees::Known::default(),
            scratch: Mutex::default(),
            spare_locks: OnceLock::new(),
            flushing: Mutex::default(),
            opened_ms: now_ms(),
        })
    }

    /// The store's folder, absolute.
    pub fn folder(&self) -> &Path {
        &self.layout.root
    }

    /// Whether this process may write to the store.
    pub fn is_writable(&self) -> bool {
        self.layout.writable
    }

    /// Leaves what this process learned of where records are for the next one.
    pub fn keep_tables(&self) {
        if self.is_writable() {
            self.segments.keep_tables();
        }
    }

    /// Where a tree lies, or would lie. Only `tree` says whether it is there.
    pub fn path_of_tree(&self, digest: &Digest) -> PathBuf {
        self.tree_path(digest)
    }

    /// The folder that all trees lie in.
    pub fn trees_folder(&self) -> &Path {
        &self.layout.trees
    }

    /// The folder of the cache `name`, made where it is missing, and noted as
    /// used now.
    pub fn cache(&self, name: &str) -> Result<PathBuf, StoreError> {
        let path = self.layout.caches.join(name);
        layout::ensure_folder(&path)?;
        let used = self.layout.caches.join(gc::note_of(name));
        let touched = fail_point::reach("cache.note")
            .and_then(|()| File::options().create(true).append(true).open(&used));
        match touched.and_then(|file| file.set_modified(SystemTime::now())) {
            Err(error) if layout::is_refusal(&error) => {}
            touched => touched.during("note the use in", &used)?,
        }
        Ok(path)
    }

    /// A folder of this process, on the disk of the trees, deleted when the
    /// store is dropped. As long as it is there, no collection takes what this
    /// process uses.
    pub fn scratch_folder(&self) -> Result<PathBuf, StoreError> {
        Ok(self.scratch()?.path().to_owned())
    }

    /// Lets the program that this process is about to become hold this
    /// process's scratch folder. Those that nobody holds any more are deleted.
    pub fn pass_on_scratch(&self) -> Result<(), StoreError> {
        let scratch = self.scratch()?;
        scratch::sweep(&self.layout.tmp, Some(scratch.path()))?;
        scratch.pass_on().during("hold", scratch.path())
    }

    /// Keeps some bytes, and returns their digest.
    pub fn put_blob(&self, bytes: &[u8]) -> Result<Digest, StoreError> {
        let digest = Digest::of(bytes);
        self.put_known_blob(&digest, bytes)?;
        Ok(digest)
    }

    fn put_known_blob(&self, digest: &Digest, bytes: &[u8]) -> Result<(), StoreError> {
        let key = Key::Digest(digest);
        if bytes.is_empty() || self.segments.has(Kind::Blob, key)? {
            return Ok(());
        }
        self.segments.put(Kind::Blob, key, bytes.to_vec())
    }

    /// The bytes with this digest. The empty blob is always there.
    pub fn blob(&self, digest: &Digest) -> Result<Option<Vec<u8>>, StoreError> {
        if *digest == Digest::of(b"") {
            return Ok(Some(Vec::new()));
        }
        let bytes = self.segments.read(Kind::Blob, Key::Digest(digest))?;
        Ok(bytes.filter(|bytes| Digest::of(bytes) == *digest))
    }

    /// Keeps the outcome of a check.
    pub fn put_check<T: Serialize>(&self, check: &Digest, value: &T) -> Result<(), StoreError> {
        self.put_json(Kind::Check, Key::Digest(check), value)
    }

    /// The outcome of a check, as it was last put.
    pub fn check<T: DeserializeOwned>(&self, check: &Digest) -> Result<Option<T>, StoreError> {
        self.json(Kind::Check, Key::Digest(check))
    }

    /// Keeps anything small under a name.
    pub fn put_note<T: Serialize>(&self, name: &str, value: &T) -> Result<(), StoreError> {
        self.put_json(Kind::Note, Key::Text(name), value)
    }

    /// What was last put under a name; `None` also where it is of another
    /// shape.
    pub fn note<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, StoreError> {
        self.json(Kind::Note, Key::Text(name))
    }

    fn put_json<T: Serialize>(
        &self,
        kind: Kind,
        key: Key<'_>,
        value: &T,
    ) -> Result<(), StoreError> {
        let bytes = serde_json::to_vec(value).unwrap_or_default();
        if self.segments.read(kind, key)?.as_ref() == Some(&bytes) {
            return Ok(());
        }
        self.segments.put(kind, key, bytes)
    }

    fn json<T: DeserializeOwned>(&self, kind: Kind, key: Key<'_>) -> Result<Option<T>, StoreError> {
        let bytes = self.segments.read(kind, key)?;
        Ok(bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
    }

    /// Makes everything that was put or adopted durable: the trees first, then
    /// the records in one group. On an error nothing new is recorded, and all
    /// of it waits for the next flush.
    pub fn flush(&self) -> Result<(), StoreError> {
        if !self.segments.is_pending() {
            return Ok(());
        }
        self.layout.writable("record results")?;
        let _turn = self.flushing.lock().unwrap_or_else(PoisonError::into_inner);
        // Taken before the trees are synced: what is put later names trees
        // that this flush has not synced.
        let group = self.segments.group();
        self.sync_trees()?;
        self.segments.append(group)
    }

    /// Learns what other processes recorded; costs two looks at the disk.
    pub fn refresh(&self) -> Result<(), StoreError> {
        self.segments.refresh()
    }

    /// Tries to become the only one that has a lock, for `card`.
    pub fn try_lock(&self, what: &Lock, card: &str) -> Result<TryLock, StoreError> {
        self.layout.writable("lock an action")?;
        let spares = self.spare_locks()?;
        let path = self.layout.locks.join(what.name());
        let lock = lockfile::try_lock(&path, &Holder::this_process(card), Some(&spares))?;
        if matches!(lock, TryLock::Acquired(_)) {
            // The holder before may just have recorded what is wanted.
            self.refresh()?;
        }
        Ok(lock)
    }

    /// Becomes the only one that has a lock. While another has it, `wait`
    /// is asked every few milliseconds whether to go on waiting; `None` if it
    /// said no.
    pub fn lock(
        &self,
        what: &Lock,
        card: &str,
        wait: impl FnMut(&Holder) -> ControlFlow<()>,
    ) -> Result<Option<ActionLock>, StoreError> {
        self.layout.writable("lock an action")?;
        let spares = self.spare_locks()?;
        let path = self.layout.locks.join(what.name());
        let holder = Holder::this_process(card);
        let lock = lockfile::lock(&path, &holder, Some(&spares), wait)?;
        if lock.is_some() {
            self.refresh()?;
        }
        Ok(lock)
    }

    fn spare_locks(&self) -> Result<Arc<lockfile::Spares>, StoreError> {
        let scratch = self.scratch()?;
        let made = || lockfile::Spares::new(scratch.path().to_owned());
        Ok(self.spare_locks.get_or_init(made).clone())
    }

    fn scratch(&self) -> Result<Arc<Scratch>, StoreError> {
        let mut scratch = self.scratch.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(scratch) = &*scratch {
            return Ok(scratch.clone());
        }
        self.layout.writable("make a scratch folder")?;
        let made = Arc::new(Scratch::new(&self.layout.tmp, self.opened_ms)?);
        // A deletion that has not seen the folder is over before anything is
        // looked for.
        drop(lockfile::lock_briefly(&self.layout.gate(), true)?);
        *scratch = Some(made.clone());
        Ok(made)
    }
}

/// No collection of the store in `root` takes anything away until this is dropped.
/// `None` where its lock can't be had, as in a store that can only be read.
pub(crate) fn keep_collections_out(root: &Path) -> Option<File> {
    lockfile::lock_briefly(&layout::gate(root), true).ok()
}

/// Locks a mutex. What a panicking thread left in it is whole: every change
/// of the store's maps is one step.
fn hold<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Milliseconds since 1970.
fn now_ms() -> u64 {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |age| age.as_millis() as u64)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed step is a failed test")]
mod tests;
