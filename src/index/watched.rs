//! What a run goes by, gathered while it reads.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use super::Kind;

/// What belongs to no card, or to several: where it changed, all is read anew.
pub const NO_CARD: u32 = u32::MAX;

/// Paths that a run goes by, each with the number of the card that it is for.
#[derive(Debug, Default)]
pub struct Watched {
    paths: Mutex<BTreeMap<(PathBuf, Kind), u32>>,
    incomplete: AtomicBool,
}

impl Watched {
    /// Adds a path that concerns the whole run.
    pub fn add(&self, path: impl Into<PathBuf>, kind: Kind) {
        self.add_for(NO_CARD, path, kind);
    }

    /// Adds a path that one card goes by.
    pub fn add_for(&self, card: u32, path: impl Into<PathBuf>, kind: Kind) {
        let mut paths = self.paths.lock().unwrap_or_else(PoisonError::into_inner);
        let owner = paths.entry((path.into(), kind)).or_insert(card);
        if *owner != card {
            *owner = NO_CARD;
        }
    }

    /// Adds what decides which files of `folder` git ignores, from outside of it:
    /// ignore files and repositories above it.
    pub fn add_above(&self, folder: &Path) {
        for above in folder.ancestors() {
            self.add(above.join(".gitignore"), Kind::Entry);
            self.add(above.join(".git"), Kind::Presence);
            self.add(above.join(".git/info/exclude"), Kind::Entry);
        }
    }

    /// Adds a folder that was walked, with its ignore file.
    pub fn add_walked(&self, folder: &Path) {
        self.add(folder, Kind::Entry);
        self.add(folder.join(".gitignore"), Kind::Entry);
    }

    /// Says that the run goes by something that no path tells of.
    pub fn give_up(&self) {
        self.incomplete.store(true, Ordering::Relaxed);
    }

    /// All paths, in order, with the number of their card; `None` where they are
    /// not all that the run goes by.
    pub(super) fn into_paths(self) -> Option<BTreeMap<(PathBuf, Kind), u32>> {
        let paths = self.paths.into_inner();
        let is_complete = !self.incomplete.into_inner();
        is_complete.then(|| paths.unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes over all paths of `other`.
    pub fn take(&self, other: &Watched) {
        let others = other.paths.lock().unwrap_or_else(PoisonError::into_inner);
        for ((path, kind), card) in others.iter() {
            self.add_for(*card, path, *kind);
        }
        if other.incomplete.load(Ordering::Relaxed) {
            self.give_up();
        }
    }
}
