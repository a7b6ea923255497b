//! What is still of use: the trees that are there, the results whose artifact
//! is among them, and the messages that these are made of.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use prost::Message as _;

use super::error::{During as _, StoreError};
use super::local::Local;
use super::segments::{Kind, digest_of_key};
use super::trees::TreeSize;
use super::witness::Witness;
use super::{Store, results};
use crate::digest::Digest;
use crate::reapi::{Action, DigestMessage};

/// The name of a note that a work tree is of this store.
const WORK_TREE: &str = "work-tree:";

/// What is still of use.
#[derive(Debug, Default)]
pub(super) struct Live {
    /// Hashes of trees that are there.
    pub(super) trees: BTreeSet<[u8; 32]>,
    /// Actions whose artifact is there.
    pub(super) results: BTreeSet<Digest>,
    /// Blobs of those trees and results.
    pub(super) blobs: BTreeSet<Digest>,
}

/// A folder of `trees/`.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) hash: [u8; 32],
    pub(super) path: PathBuf,
    /// Its whole name and its size; `None` where a crash left it without a
    /// record.
    pub(super) record: Option<(Digest, TreeSize)>,
    /// When it was last used, as far as that was noted.
    pub(super) used: SystemTime,
}

impl Store {
    /// Notes that a work tree's records are about this store, so that no
    /// collection takes what they need.
    pub fn register(&self, local: &Local) -> Result<(), StoreError> {
        let folder = local.folder().to_string_lossy();
        self.put_note(&format!("{WORK_TREE}{folder}"), &folder)
    }

    /// The trees that the newest records of the work trees need, of those that
    /// are still there.
    pub fn kept_by_work_trees(&self) -> Result<BTreeSet<Digest>, StoreError> {
        let mut folders = Vec::new();
        self.segments.each(Kind::Note, |head, payload| {
            if head.key.starts_with(WORK_TREE.as_bytes()) {
                folders.extend(serde_json::from_slice::<PathBuf>(payload));
            }
            Ok(())
        })?;
        let mut kept = BTreeSet::new();
        for folder in folders {
            for history in Local::read(&folder)?.values() {
                if let Some(run) = history.success() {
                    kept.extend(run.artifact);
                    kept.extend(&run.needs);
                }
            }
        }
        Ok(kept)
    }

    /// All folders in `trees/` that are named like a tree, by name.
    pub(super) fn found_trees(&self) -> Result<Vec<Found>, StoreError> {
        let mut records = BTreeMap::new();
        self.segments.each(Kind::Tree, |head, payload| {
            let size = Witness::decode(payload).ok().map(TreeSize::from);
            let digest = digest_of_key(&head.key);
            records.extend(
                digest
                    .zip(size)
                    .map(|(digest, size)| (digest.hash, (digest, size))),
            );
            Ok(())
        })?;
        let folder = &self.layout.trees;
        let mut found = Vec::new();
        for entry in fs::read_dir(folder).during("read the folder", folder)? {
            let entry = entry.during("read the folder", folder)?;
            let name = entry.file_name();
            let hash = name.to_str().and_then(|name| Digest::from_hex(name, 0));
            if let Some(Digest { hash, .. }) = hash {
                let path = entry.path();
                let used = used(&self.layout.used.join(name), &path);
                let record = records.get(&hash).copied();
                found.push(Found {
                    hash,
                    path,
                    record,
                    used,
                });
            }
        }
        found.sort_by_key(|found| found.hash);
        Ok(found)
    }

    /// Follows everything that is of use from the trees that are there.
    pub(super) fn live(&self) -> Result<Live, StoreError> {
        let trees = self.found_trees()?;
        let mut live = Live {
            trees: trees.iter().map(|tree| tree.hash).collect(),
            ..Live::default()
        };
        let mut roots: Vec<Digest> = trees
            .iter()
            .filter_map(|tree| Some(tree.record?.0))
            .collect();
        let mut results = Vec::new();
        self.segments.each(Kind::Result, |head, payload| {
            let action = digest_of_key(&head.key);
            results.extend(action.zip(results::decode(payload)));
            Ok(())
        })?;
        for (action, stored) in results {
            if !live.trees.contains(&stored.artifact.hash) {
                continue;
            }
            live.results.insert(action);
            let output = stored.result.stdout_digest.as_ref();
            live.blobs.extend(output.and_then(DigestMessage::digest));
            live.blobs.extend(stored.provenance.manifest);
            live.blobs.extend(stored.provenance.log);
            live.blobs.insert(action);
            let bytes = self.blob(&action)?.unwrap_or_default();
            if let Ok(action) = Action::decode(bytes.as_slice()) {
                let digest = |message: Option<DigestMessage>| message?.digest();
                live.blobs.extend(digest(action.command_digest));
                roots.extend(digest(action.input_root_digest));
            }
        }
        while let Some(digest) = roots.pop() {
            if live.blobs.insert(digest)
                && let Some(directory) = self.directory(&digest)?
            {
                let below = directory.directories.into_iter();
                roots.extend(below.filter_map(|node| node.digest?.digest()));
            }
        }
        Ok(live)
    }
}

/// When a tree was last used; without a note, when it came.
pub(super) fn used(note: &Path, tree: &Path) -> SystemTime {
    use std::os::unix::fs::MetadataExt as _;

    let noted = fs::metadata(note).and_then(|meta| meta.modified());
    noted.unwrap_or_else(|_| {
        let changed = fs::symlink_metadata(tree).map_or(0, |meta| meta.ctime());
        let age = std::time::Duration::from_secs(u64::try_from(changed).unwrap_or(0));
        SystemTime::UNIX_EPOCH + age
    })
}
