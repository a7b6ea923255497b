//! What actions left: an `ActionResult` under the action's digest, with where
//! it came from.
//!
//! A result counts only as long as its artifact is in the store and right, so
//! `lookup` never gives a name without a tree. Who can do with the names in it, or
//! knows where to get its files, asks for what was `named`.

use std::collections::BTreeMap;

use prost::Message;
use serde::{Deserialize, Serialize};

use super::Store;
use super::error::StoreError;
use super::segments::{Key, Kind};
use crate::digest::Digest;
use crate::reapi::ActionResult;

/// Where a result came from. For people and `why`; never part of a key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Provenance {
    /// The stem of the card that was run.
    pub card: String,
    /// When the action began, in milliseconds since 1970.
    pub started_ms: u64,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
    /// The commit that was checked out, where there was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// The machine's name.
    pub host: String,
    /// The versions of the tools, by name.
    pub tools: BTreeMap<String, String>,
    /// The blob that holds the action's manifest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub manifest: Option<Digest>,
    /// The blob that holds the captured output.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log: Option<Digest>,
    /// Why the result must stay on this machine, if it must: what was opened up to
    /// the action. A cache that others share must not take such a result.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub local: Option<String>,
    /// The address of the shared cache that it was taken from, if it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache: Option<String>,
}

/// A result that is still good.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredResult {
    /// The artifact, which is in the store.
    pub artifact: Digest,
    /// The exit code of the action.
    pub exit: i32,
    /// The whole message.
    pub result: ActionResult,
    /// Where it came from.
    pub provenance: Provenance,
}

impl StoredResult {
    /// Whether it may be taken for an action that would itself stay on this
    /// machine (`local`): one that was opened up is no result of one that is not.
    pub fn suits(&self, local: bool) -> bool {
        local || self.provenance.local.is_none()
    }
}

/// A result as it lies in a segment.
#[derive(Clone, PartialEq, Eq, Message)]
struct Kept {
    #[prost(message, optional, tag = "1")]
    result: Option<ActionResult>,
    /// JSON, so that fields can be added.
    #[prost(string, tag = "2")]
    provenance: String,
}

impl Store {
    /// The result of an action, if there is one and its artifact is there and
    /// right.
    pub fn lookup(&self, action: &Digest) -> Result<Option<StoredResult>, StoreError> {
        let mut stored = self.recorded(action)?;
        if stored.is_none() {
            self.segments.refresh()?;
            stored = self.recorded(action)?;
        }
        match stored {
            Some(stored) if self.tree(&stored.artifact)?.is_some() => Ok(Some(stored)),
            _ => Ok(None),
        }
    }

    /// The result of an action as it was recorded, whether or not its artifact
    /// is still there.
    pub fn recorded(&self, action: &Digest) -> Result<Option<StoredResult>, StoreError> {
        let bytes = self.segments.read(Kind::Result, Key::Digest(action))?;
        Ok(bytes.and_then(|bytes| decode(&bytes)))
    }

    /// The result of an action, if there is one and what is in its artifact is
    /// known, wherever the files of it are.
    pub fn named(&self, action: &Digest) -> Result<Option<StoredResult>, StoreError> {
        match self.recorded(action)? {
            Some(stored) if self.tree_message(&stored.artifact)?.is_some() => Ok(Some(stored)),
            _ => Ok(None),
        }
    }

    /// Records what an action left. Its artifact must have been adopted, or be one
    /// of which the folders were put.
    ///
    /// Known to this process at once, durable after `flush`.
    pub fn record(
        &self,
        action: &Digest,
        result: &ActionResult,
        provenance: &Provenance,
    ) -> Result<(), StoreError> {
        let kept = Kept {
            result: Some(result.clone()),
            provenance: serde_json::to_string(provenance).unwrap_or_default(),
        };
        let key = Key::Digest(action);
        self.segments.put(Kind::Result, key, kept.encode_to_vec())
    }
}

/// Reads a result; `None` where it names no artifact.
pub(super) fn decode(bytes: &[u8]) -> Option<StoredResult> {
    let kept = Kept::decode(bytes).ok()?;
    let result = kept.result?;
    Some(StoredResult {
        artifact: result.artifact()?,
        exit: result.exit_code,
        provenance: serde_json::from_str(&kept.provenance).unwrap_or_default(),
        result,
    })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed step is a failed test")]
mod tests {
    use super::*;
    use std::fs;
    use std::path::PathBuf;

    fn provenance() -> Provenance {
        Provenance {
            card: "go-server".to_owned(),
            took_ms: 12,
            manifest: Some(Digest::of(b"manifest")),
            ..Provenance::default()
        }
    }

    struct World {
        dir: tempfile::TempDir,
        action: Digest,
    }

    impl World {
        fn new() -> World {
            World {
                dir: tempfile::tempdir().unwrap(),
                action: Digest::of(b"action"),
            }
        }

        fn folder(&self) -> PathBuf {
            self.dir.path().join("store")
        }

        fn open(&self) -> Store {
            Store::open(&self.folder()).unwrap()
        }

        fn run(&self, store: &Store) -> Digest {
            let out = self.dir.path().join("out");
            fs::create_dir_all(out.join("bin")).unwrap();
            fs::write(out.join("bin/x"), "x").unwrap();
            let artifact = store.adopt(&out).unwrap().digest;
            store
                .record(&self.action, &ActionResult::of(artifact), &provenance())
                .unwrap();
            artifact
        }
    }

    #[test]
    fn result_is_found_with_its_provenance() {
        let world = World::new();
        let store = world.open();
        let other = world.open();
        assert_eq!(other.lookup(&world.action).unwrap(), None);
        let artifact = world.run(&store);
        let found = store.lookup(&world.action).unwrap().unwrap();
        assert_eq!((found.artifact, found.exit), (artifact, 0));
        assert_eq!(found.provenance, provenance());
        assert_eq!(other.lookup(&world.action).unwrap(), None);
        store.flush().unwrap();
        assert_eq!(other.lookup(&world.action).unwrap(), Some(found));
    }

    #[test]
    fn result_without_its_tree_is_a_miss() {
        let world = World::new();
        let store = world.open();
        let artifact = world.run(&store);
        store.flush().unwrap();
        let path = store.path_of_tree(&artifact);
        fs::remove_file(path.join("bin/x")).unwrap();
        let other = world.open();
        assert_eq!(other.lookup(&world.action).unwrap(), None);
        assert!(other.recorded(&world.action).unwrap().is_some());
        world.run(&other);
        other.flush().unwrap();
        assert!(world.open().lookup(&world.action).unwrap().is_some());
    }

    /// The moments at which a process can die: after each, another process
    /// finds the whole result, or a miss.
    #[test]
    fn crash_between_any_two_writes_leaves_a_miss_or_the_whole() {
        let world = World::new();
        let store = world.open();
        let artifact = world.run(&store);
        store.flush().unwrap();
        let segment = world.folder().join("segments/00000001.seg");
        let whole = fs::read(&segment).unwrap();
        let mut hits = 0;
        for len in 0..=whole.len() {
            fs::write(&segment, &whole[..len]).unwrap();
            let found = world.open().lookup(&world.action).unwrap();
            hits += usize::from(found.is_some());
            assert_eq!(found.is_some(), len == whole.len(), "cut at {len}");
        }
        assert_eq!(hits, 1);
        fs::write(&segment, &whole).unwrap();
        // And with every record on the disk, but not the tree.
        fs::remove_dir_all(store.path_of_tree(&artifact)).unwrap();
        assert_eq!(world.open().lookup(&world.action).unwrap(), None);
    }
}
