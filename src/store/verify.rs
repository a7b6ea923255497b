//! Reading everything again: what the disk has changed since it was written is
//! found, set aside, and forgotten with all that depends on it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use prost::Message as _;
use schemars::JsonSchema;
use serde::Serialize;

use super::gc::{is_wanted, size_of_folder};
use super::live::Found;
use super::scan::Scan;
use super::segments::{Kind, digest_of_key};
use super::{Entry, EntryKind, Store, StoreError, hold, now_ms, results};
use crate::digest::Digest;
use crate::reapi::Directory;

/// What a verification found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Verified {
    /// Trees that were read.
    pub trees: u64,
    /// Files in them.
    pub files: u64,
    /// Bytes of their contents.
    pub bytes: u64,
    /// Records that were read.
    pub records: u64,
    /// What is wrong, and was dropped.
    pub damaged: Vec<Damage>,
    /// Results that were dropped because they depend on it.
    pub dropped: u64,
}

/// Something that is not what was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", tag = "kind")]
pub enum Damage {
    /// A tree whose contents have another digest.
    Tree {
        /// The name of its folder.
        hash: String,
        /// The first paths that differ, as far as that can be said.
        paths: Vec<String>,
    },
    /// Records with a wrong checksum or wrong contents.
    Records {
        /// What they are.
        of: &'static str,
        /// How many.
        count: u64,
    },
}

impl Store {
    /// Reads all trees and records, and drops what is damaged. `progress` is
    /// told how many trees of how many are done.
    pub fn verify(&self, mut progress: impl FnMut(u64, u64)) -> Result<Verified, StoreError> {
        self.layout.writable("drop what is damaged")?;
        self.flush()?;
        self.refresh()?;
        let mut verified = Verified::default();
        let began_ms = now_ms();
        let wrong = self.verify_records(&mut verified)?;
        let trees = self.found_trees()?;
        for (at, tree) in trees.iter().enumerate() {
            progress(at as u64, trees.len() as u64);
            self.verify_tree(tree, &mut verified)?;
        }
        progress(trees.len() as u64, trees.len() as u64);
        verified.dropped = self.results_without_tree()?;
        if !verified.damaged.is_empty() {
            // Everything else stays: this is no collection.
            let live = self.live()?;
            self.flush()?;
            let _turn = hold(&self.flushing);
            // What others have recorded meanwhile is none of our business.
            self.segments.compact(|head| {
                let digest = digest_of_key(&head.key);
                let is_wrong = head.kind == Kind::Blob as u8
                    && digest.is_some_and(|digest| wrong.contains(&digest));
                !is_wrong && (head.time_ms >= began_ms || is_wanted(&live, head, true))
            })?;
        }
        Ok(verified)
    }

    /// Reads all records. Returns the blobs whose contents are not theirs
    /// though their checksum is right.
    fn verify_records(&self, verified: &mut Verified) -> Result<BTreeSet<Digest>, StoreError> {
        let kinds = [
            (Kind::Blob, "blobs"),
            (Kind::Tree, "trees"),
            (Kind::Result, "results"),
            (Kind::Check, "checks"),
            (Kind::Note, "notes"),
        ];
        let mut wrong = BTreeSet::new();
        for (kind, of) in kinds {
            let mut records = 0;
            let mut count = self.segments.each(kind, |head, payload| {
                records += 1;
                if kind == Kind::Blob {
                    let digest = digest_of_key(&head.key);
                    wrong.extend(digest.filter(|digest| Digest::of(payload) != *digest));
                }
                Ok(())
            })?;
            if kind == Kind::Blob {
                count += wrong.len() as u64;
            }
            verified.records += records;
            if count > 0 {
                verified.damaged.push(Damage::Records { of, count });
            }
        }
        Ok(wrong)
    }

    fn verify_tree(&self, tree: &Found, verified: &mut Verified) -> Result<(), StoreError> {
        let Ok(meta) = fs::symlink_metadata(&tree.path) else {
            // Collected meanwhile.
            return Ok(());
        };
        let scan = Scan::look(&tree.path);
        if let Ok(scan) = &scan
            && scan.digest.hash == tree.hash
        {
            verified.trees += 1;
            verified.files += scan.witness.files;
            verified.bytes += scan.witness.bytes;
            let digest = scan.digest;
            if !self.witness(&digest)?.is_some_and(|w| w.holds(&tree.path)) {
                // Right, though something about it is new: noted anew.
                self.rehashed_tree(&digest, tree.path.clone(), meta.ino())?;
            }
            return Ok(());
        }
        let paths = match (&scan, tree.record) {
            (Ok(scan), Some((digest, _))) => self.differences(&digest, scan)?,
            (Err(StoreError::Io { path, .. }), _) => vec![relative(path, &tree.path)],
            _ => Vec::new(),
        };
        let digest = tree.record.map_or(
            Digest {
                hash: tree.hash,
                size: 0,
            },
            |(digest, _)| digest,
        );
        self.set_aside(&digest, meta.ino())?;
        verified.damaged.push(Damage::Tree {
            hash: crate::digest::hex(&tree.hash),
            paths,
        });
        Ok(())
    }

    /// The first paths at which a folder differs from the tree it should be.
    fn differences(&self, digest: &Digest, scan: &Scan) -> Result<Vec<String>, StoreError> {
        let found: BTreeMap<_, _> = scan.directories.iter().cloned().collect();
        let read = |digest: &Digest| {
            let bytes = found.get(digest).map(Vec::as_slice).unwrap_or_default();
            Ok(Directory::decode(bytes).ok())
        };
        let is = super::listing::list(&scan.digest, read)?.unwrap_or_default();
        let Some(was) = super::listing::list(digest, |digest| self.directory(digest))? else {
            return Ok(Vec::new());
        };
        let by_path = |entries: Vec<Entry>| -> BTreeMap<String, Entry> {
            let file = |entry: Entry| (entry.path.clone(), entry);
            let no_folder = |entry: &Entry| !matches!(entry.kind, EntryKind::Folder { .. });
            entries.into_iter().filter(no_folder).map(file).collect()
        };
        let (was, is) = (by_path(was), by_path(is));
        let all: BTreeSet<&String> = was.keys().chain(is.keys()).collect();
        let differs = |path: &&&String| was.get(**path) != is.get(**path);
        Ok(all
            .iter()
            .filter(differs)
            .take(10)
            .map(|p| (*p).clone())
            .collect())
    }

    fn results_without_tree(&self) -> Result<u64, StoreError> {
        let there: BTreeSet<_> = self.found_trees()?.iter().map(|tree| tree.hash).collect();
        let mut dropped = 0;
        self.segments.each(Kind::Result, |_, payload| {
            let artifact = results::decode(payload).map(|stored| stored.artifact.hash);
            dropped += u64::from(!artifact.is_some_and(|hash| there.contains(&hash)));
            Ok(())
        })?;
        Ok(dropped)
    }

    /// What the store holds.
    pub fn stats(&self) -> Result<Stats, StoreError> {
        self.refresh()?;
        let mut stats = Stats {
            folder: self.folder().to_string_lossy().into_owned(),
            records_disk: self.segments.size()?,
            ..Stats::default()
        };
        for tree in self.found_trees()? {
            stats.trees += 1;
            let size = tree.record.map(|(_, size)| size);
            stats.files += size.map_or(0, |size| size.files);
            stats.bytes += size.map_or(0, |size| size.bytes);
            stats.trees_disk += match size {
                Some(size) => size.disk,
                None => size_of_folder(&tree.path)?,
            };
            let age = tree.used.elapsed().unwrap_or_default().as_secs();
            stats.oldest_seconds = stats.oldest_seconds.max(age);
        }
        self.segments.each(Kind::Result, |_, _| {
            stats.results += 1;
            Ok(())
        })?;
        stats.caches_disk = size_of_folder(&self.layout.caches)?;
        stats.sources_disk = size_of_folder(&self.layout.sources)?;
        stats.failed_disk = self.kept_failures()?.iter().map(|kept| kept.disk).sum();
        stats.scratch_disk = size_of_folder(&self.layout.tmp)?;
        Ok(stats)
    }
}

/// What a store holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Stats {
    /// The store's folder.
    pub folder: String,
    /// Trees.
    pub trees: u64,
    /// Files in them.
    pub files: u64,
    /// Bytes of their contents.
    pub bytes: u64,
    /// Results of actions.
    pub results: u64,
    /// Bytes on the disk of the trees.
    pub trees_disk: u64,
    /// Bytes on the disk of messages, results and other records.
    pub records_disk: u64,
    /// Bytes on the disk of the caches.
    pub caches_disk: u64,
    /// Bytes on the disk of the checkouts of sources.
    pub sources_disk: u64,
    /// Bytes on the disk of the roots that are kept of failures.
    pub failed_disk: u64,
    /// Bytes on the disk of what runs are working on, or left when they died.
    pub scratch_disk: u64,
    /// How long ago the tree was used that was not used for longest.
    pub oldest_seconds: u64,
}

fn relative(path: &Path, root: &Path) -> String {
    let relative = path.strip_prefix(root).unwrap_or(path);
    relative.to_string_lossy().into_owned()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed step is a failed test")]
mod tests {
    use super::*;
    use crate::reapi::ActionResult;
    use crate::store::Provenance;

    struct World {
        dir: tempfile::TempDir,
    }

    impl World {
        fn open(&self) -> Store {
            Store::open(&self.dir.path().join("store")).unwrap()
        }

        /// An action that leaves one file with this text.
        fn run(&self, store: &Store, text: &str) -> (Digest, Digest) {
            let out = self.dir.path().join("out");
            fs::create_dir_all(out.join("bin")).unwrap();
            fs::write(out.join("bin/x"), text).unwrap();
            let artifact = store.adopt(&out).unwrap().digest;
            let action = store.put_blob(format!("action {text}").as_bytes()).unwrap();
            let result = ActionResult::of(artifact);
            store
                .record(&action, &result, &Provenance::default())
                .unwrap();
            store.flush().unwrap();
            (action, artifact)
        }
    }

    fn world() -> World {
        World {
            dir: tempfile::tempdir().unwrap(),
        }
    }

    #[test]
    fn whole_store_has_no_damage() {
        let world = world();
        let store = world.open();
        world.run(&store, "1");
        world.run(&store, "2");
        let mut steps = Vec::new();
        let verified = store.verify(|done, of| steps.push((done, of))).unwrap();
        assert_eq!(steps, [(0, 2), (1, 2), (2, 2)]);
        assert_eq!((verified.trees, verified.files, verified.bytes), (2, 2, 2));
        assert_eq!((&verified.damaged[..], verified.dropped), (&[][..], 0));
        let stats = store.stats().unwrap();
        assert_eq!((stats.trees, stats.files, stats.results), (2, 2, 2));
    }

    #[test]
    fn flipped_bit_in_a_file_is_found_named_and_its_result_dropped() {
        let world = world();
        let store = world.open();
        let (action, artifact) = world.run(&store, "precious");
        let (other, _) = world.run(&store, "other");
        let file = store.path_of_tree(&artifact).join("bin/x");
        // As the disk does it: neither size nor any time says so.
        let meta = fs::metadata(&file).unwrap();
        let writable = std::os::unix::fs::PermissionsExt::from_mode(0o644);
        fs::set_permissions(&file, writable).unwrap();
        fs::write(&file, "preciouS").unwrap();
        fs::set_permissions(&file, meta.permissions()).unwrap();
        let opened = fs::File::open(&file).unwrap();
        opened.set_modified(meta.modified().unwrap()).unwrap();
        let verified = store.verify(|_, _| ()).unwrap();
        let damage = Damage::Tree {
            hash: artifact.hex(),
            paths: vec!["bin/x".to_owned()],
        };
        assert_eq!(
            (&verified.damaged[..], verified.dropped),
            (&[damage][..], 1)
        );
        let fresh = world.open();
        assert_eq!(fresh.recorded(&action).unwrap(), None);
        assert_eq!(fresh.lookup(&action).unwrap(), None);
        assert!(fresh.lookup(&other).unwrap().is_some());
        assert!(fresh.blob(&action).unwrap().is_some());
        assert_eq!(fresh.verify(|_, _| ()).unwrap().damaged, []);
        world.run(&fresh, "precious");
        assert!(world.open().lookup(&action).unwrap().is_some());
    }

    #[test]
    fn every_flipped_byte_of_a_segment_is_survived() {
        let world = world();
        let (action, artifact) = world.run(&world.open(), "1");
        let path = world.open().folder().join("segments/00000001.seg");
        let whole = fs::read(&path).unwrap();
        let mut found = 0;
        for at in (16..whole.len()).step_by(3) {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x10;
            fs::write(&path, bytes).unwrap();
            let store = world.open();
            // A hit is a right hit; a miss is built again.
            match store.lookup(&action).unwrap() {
                Some(stored) => assert_eq!(stored.artifact, artifact),
                None => assert_eq!(world.run(&store, "1"), (action, artifact)),
            }
            let verified = store.verify(|_, _| ()).unwrap();
            found += verified.damaged.len();
            assert_eq!(world.open().verify(|_, _| ()).unwrap().damaged, []);
            for entry in fs::read_dir(store.folder().join("segments")).unwrap() {
                fs::remove_file(entry.unwrap().path()).unwrap();
            }
        }
        assert!(found > 50, "{found}");
    }
}
