//! Collection: keeping the store within bounds of size and age.
//!
//! Least recently used trees go first. Never taken: what the caller keeps,
//! what this process has used, and what any process that has the store open
//! may have used. The latter is known from two things: each use is noted
//! before the tree is looked for, at most an hour late, and each process that
//! runs something holds a scratch folder that says since when. A deletion
//! looks at both again behind a gate that each new note passes, and each new
//! scratch folder before its process looks for anything.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::error::{During as _, StoreError};
use super::failed::KeptFailure;
use super::frame::Head;
use super::live::{Found, Live, used};
use super::segments::{Kind, digest_of_key};
use super::trees::USE_GRAIN;
use super::{Store, hold, lockfile, now_ms, scratch};
use crate::digest::Digest;
use crate::fail_point;

/// Records that are younger are kept whether or not they are of use yet: what
/// names them may not have been flushed.
const YOUNG: Duration = Duration::from_secs(24 * 3600);
/// How often a collection is due though nothing says that the store is full.
const DAILY: Duration = Duration::from_secs(24 * 3600);
/// The note that says when a collection was last made.
const NOTE: &str = "collection";

/// The bounds of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes on the disk.
    pub max_size: u64,
    /// How long a tree may lie unused.
    pub max_age: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            max_size: 20 << 30,
            max_age: Duration::from_secs(30 * 24 * 3600),
        }
    }
}

/// What a collection did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Collected {
    /// Trees that were deleted.
    pub trees: u64,
    /// Caches that were deleted.
    pub caches: u64,
    /// Checkouts of sources that were deleted.
    pub sources: u64,
    /// Roots of failures that were deleted.
    pub failures: u64,
    /// Bytes that were won, on the disk.
    pub bytes: u64,
    /// Bytes that the store has now.
    pub left: u64,
    /// Bytes of trees that had to stay because they are kept or in use.
    pub kept: u64,
    /// Whether another process was collecting, so that nothing was done.
    pub busy: bool,
}

/// The note of the last collection.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Last {
    at_ms: u64,
    /// Bytes after it, and of what was adopted since.
    size: u64,
}

/// Something that can be deleted.
struct Candidate {
    used: SystemTime,
    disk: u64,
    what: What,
}

enum What {
    Tree(Found),
    /// A folder of this name in the folder of caches.
    Cache(String),
    /// A folder of this name in the folder of sources.
    Source(String),
    Failure(std::path::PathBuf),
}

impl Store {
    /// Deletes what is over the limits, and records that are of no use. `keep`
    /// is never taken, whatever the limits.
    pub fn collect(
        &self,
        limits: &Limits,
        keep: &BTreeSet<Digest>,
    ) -> Result<Collected, StoreError> {
        self.layout.writable("collect what is not used")?;
        let scratch = self.scratch()?;
        let gate = self.layout.locks.join("gc");
        fail_point::reach("gc.lock").during("open the lock", &gate)?;
        let turn = fs::File::create(&gate).during("open the lock", &gate)?;
        if turn.try_lock().is_err() {
            return Ok(Collected {
                busy: true,
                ..Collected::default()
            });
        }
        let alive = scratch::sweep(&self.layout.tmp, Some(scratch.path()))?;
        lockfile::sweep(&self.layout.locks)?;
        self.segments.sweep()?;
        self.refresh()?;
        let protected = self.protection(&alive, keep);
        let mut collected = Collected::default();
        let mut candidates = Vec::new();
        for tree in self.found_trees()? {
            let disk = match tree.record {
                Some((_, size)) => size.disk,
                None => size_of_folder(&tree.path)?,
            };
            collected.left += disk;
            match protected.covers(&tree) {
                true => collected.kept += disk,
                false => candidates.push(Candidate {
                    used: tree.used,
                    disk,
                    what: What::Tree(tree),
                }),
            }
        }
        let caches = candidates_in(&self.layout.caches, What::Cache)?;
        let sources = candidates_in(&self.layout.sources, What::Source)?;
        let opened = SystemTime::UNIX_EPOCH + Duration::from_millis(self.opened_ms);
        for folder in caches.into_iter().chain(sources) {
            collected.left += folder.disk;
            // A process that runs writes to its caches and reads its sources
            // without any note.
            if alive.is_empty() && folder.used < opened {
                candidates.push(folder);
            }
        }
        for KeptFailure { path, since, disk } in self.kept_failures()? {
            collected.left += disk;
            candidates.push(Candidate {
                used: since,
                disk,
                what: What::Failure(path),
            });
        }
        let before = self.segments.size()?;
        collected.left += before;
        candidates.sort_by_key(|candidate| candidate.used);
        let now = SystemTime::now();
        for candidate in candidates {
            let age = now.duration_since(candidate.used).unwrap_or_default();
            if collected.left <= limits.max_size && age <= limits.max_age {
                continue;
            }
            if self.delete(&candidate)? {
                match candidate.what {
                    What::Tree(_) => collected.trees += 1,
                    What::Cache(_) => collected.caches += 1,
                    What::Source(_) => collected.sources += 1,
                    What::Failure(_) => collected.failures += 1,
                }
                collected.bytes += candidate.disk;
                collected.left -= candidate.disk;
            }
        }
        let won = self.drop_records()?;
        collected.bytes += won;
        collected.left = collected.left.saturating_sub(won);
        let last = Last {
            at_ms: now_ms(),
            size: collected.left,
        };
        self.put_note(NOTE, &last)?;
        self.flush()?;
        Ok(collected)
    }

    /// Deletes what killed processes left, and collects where it is due: once a
    /// day, or when what was adopted since may have filled the store. To be
    /// called at the end of a run. `keep` says what must stay, where it is due.
    pub fn collect_if_due(
        &self,
        limits: &Limits,
        keep: impl FnOnce() -> Result<BTreeSet<Digest>, StoreError>,
    ) -> Result<Option<Collected>, StoreError> {
        if !self.is_writable() {
            return Ok(None);
        }
        // What a killed process left is not worth waiting a day for.
        let own = hold(&self.scratch).clone();
        let own = own.as_ref().map(|scratch| scratch.path());
        scratch::sweep(&self.layout.tmp, own)?;
        self.segments.sweep()?;
        let adopted = std::mem::take(&mut *hold(&self.known.adopted));
        let noted: Option<Last> = self.note(NOTE)?;
        let first = noted.is_none();
        let mut last = noted.unwrap_or_default();
        last.size += adopted;
        let age = now_ms().saturating_sub(last.at_ms);
        // In the future: the clock was put back since.
        let odd = last.at_ms > now_ms();
        let due = last.size > limits.max_size || odd || u128::from(age) > DAILY.as_millis();
        if due && !first {
            // A little more, so that the next run is not at the bound again.
            let lower = Limits {
                max_size: limits.max_size / 10 * 9,
                ..*limits
            };
            return self.collect(&lower, &keep()?).map(Some);
        }
        if first {
            last.at_ms = now_ms();
        }
        if first || adopted > 0 {
            self.put_note(NOTE, &last)?;
            self.flush()?;
        }
        Ok(None)
    }

    /// Keeps out who comes, as long as the lock is held, and says since when those that
    /// came before have had the store open.
    fn close_gate(&self) -> Result<(fs::File, Vec<u64>), StoreError> {
        let scratch = self.scratch()?;
        let gate = lockfile::lock_briefly(&self.layout.gate(), false)?;
        let alive = scratch::alive(&self.layout.tmp, Some(scratch.path()))?;
        Ok((gate, alive))
    }

    fn protection(&self, alive: &[u64], keep: &BTreeSet<Digest>) -> Protection {
        let ours = self.used_here();
        Protection {
            hashes: keep.union(&ours).map(|digest| digest.hash).collect(),
            since: in_use_since(alive),
        }
    }

    /// Deletes a candidate, unless it was used meanwhile, or may be by a process
    /// that has come since.
    fn delete(&self, candidate: &Candidate) -> Result<bool, StoreError> {
        let (path, notes) = match &candidate.what {
            What::Failure(folder) => return self.delete_failed(folder),
            What::Tree(tree) => {
                let note = self.layout.used.join(crate::digest::hex(&tree.hash));
                (tree.path.clone(), vec![note])
            }
            What::Cache(name) => {
                let folder = &self.layout.caches;
                (folder.join(name), vec![folder.join(note_of(name))])
            }
            What::Source(name) => {
                let folder = &self.layout.sources;
                // And its hash and its lock.
                let notes = [note_of(name), format!("{name}.nar"), format!("{name}.lock")];
                (
                    folder.join(name),
                    notes.map(|note| folder.join(note)).into(),
                )
            }
        };
        let aside = self.scratch()?.fresh("deleted");
        let (gate, alive) = self.close_gate()?;
        let since = in_use_since(&alive);
        let may_be_used = match &candidate.what {
            What::Tree(_) => since.is_some_and(|since| candidate.used >= since),
            _ => since.is_some(),
        };
        if may_be_used || used(&notes[0], &path) != candidate.used || !rename_away(&path, &aside)? {
            return Ok(false);
        }
        for note in notes {
            fail_point::reach("gc.note").during("delete", &note)?;
            let _ = fs::remove_file(note);
        }
        drop(gate);
        fail_point::reach("gc.delete").during("delete", &aside)?;
        scratch::remove_all(&aside)?;
        Ok(true)
    }

    /// Rewrites the segments without the records that are of no use. Returns
    /// the bytes won.
    fn drop_records(&self) -> Result<u64, StoreError> {
        // Who comes meanwhile waits, and finds no record that goes.
        let (_gate, alive) = self.close_gate()?;
        let others_run = !alive.is_empty();
        let young_ms = now_ms().saturating_sub(YOUNG.as_millis() as u64);
        let live = self.live()?;
        self.flush()?;
        let _turn = hold(&self.flushing);
        self.segments
            .compact(|head| head.time_ms >= young_ms || is_wanted(&live, head, others_run))
    }
}

/// The file beside a cache or a source whose time is when it was last used.
pub(crate) fn note_of(name: &str) -> String {
    format!(".used-{name}")
}

/// The folders in `folder`, which may be missing; each could be deleted.
fn candidates_in(folder: &Path, what: fn(String) -> What) -> Result<Vec<Candidate>, StoreError> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).during("read the folder", folder),
    };
    let mut candidates = Vec::new();
    for entry in entries {
        let entry = entry.during("read the folder", folder)?;
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        if is_folder && !name.starts_with('.') {
            candidates.push(Candidate {
                used: used(&folder.join(note_of(&name)), &entry.path()),
                disk: size_of_folder(&entry.path())?,
                what: what(name),
            });
        }
    }
    Ok(candidates)
}

/// Whether a record is of use.
pub(super) fn is_wanted(live: &Live, head: &Head, others_run: bool) -> bool {
    let Some(digest) = digest_of_key(&head.key) else {
        return true;
    };
    match head.kind {
        // Another process may have found it there and not put it again.
        kind if kind == Kind::Blob as u8 => others_run || live.blobs.contains(&digest),
        kind if kind == Kind::Tree as u8 => live.trees.contains(&digest.hash),
        kind if kind == Kind::Result as u8 => live.results.contains(&digest),
        _ => true,
    }
}

/// Since when uses are to be heeded, where processes are `alive` that opened the
/// store at these moments, the earliest first.
fn in_use_since(alive: &[u64]) -> Option<SystemTime> {
    // A process that opened the store in the future: the clock was put back,
    // and no note of use can be compared with anything.
    if alive.last().is_some_and(|opened| *opened > now_ms()) {
        return Some(SystemTime::UNIX_EPOCH);
    }
    let opened = SystemTime::UNIX_EPOCH + Duration::from_millis(*alive.first()?);
    let since = opened.checked_sub(USE_GRAIN);
    Some(since.unwrap_or(SystemTime::UNIX_EPOCH))
}

/// What may not be taken.
struct Protection {
    hashes: BTreeSet<[u8; 32]>,
    /// Everything used since then.
    since: Option<SystemTime>,
}

impl Protection {
    fn covers(&self, tree: &Found) -> bool {
        self.hashes.contains(&tree.hash) || self.since.is_some_and(|since| tree.used >= since)
    }
}

/// Renames a folder; false where it is gone already.
fn rename_away(from: &Path, to: &Path) -> Result<bool, StoreError> {
    fail_point::reach("gc.aside").during("set aside", from)?;
    match fs::rename(from, to) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error).during("set aside", from),
    }
}

/// Bytes on the disk of all that is in a folder. What vanishes or can't be
/// read while it is counted counts as nothing.
pub(super) fn size_of_folder(folder: &Path) -> Result<u64, StoreError> {
    use std::os::unix::fs::MetadataExt as _;

    let mut size = 0;
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else {
            continue;
        };
        for entry in entries {
            let entry = entry.during("read the folder", &folder)?;
            let Ok(meta) = entry.metadata() else {
                continue;
            };
            size += meta.blocks() * 512;
            if meta.is_dir() {
                folders.push(entry.path());
            }
        }
    }
    Ok(size)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed step is a failed test")]
mod tests;
