//! What is in a tree, read from its `Directory` messages alone.

use std::collections::BTreeMap;

use prost::Message as _;

use super::Store;
use super::error::StoreError;
use super::scan::Scan;
use super::trees::root_of;
use crate::digest::Digest;
use crate::reapi::{Directory, DirectoryNode, Tree};

/// An entry of a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Below the root, with `/`.
    pub path: String,
    /// What it is.
    pub kind: EntryKind,
}

/// What an entry of a tree is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// A file with these contents.
    File {
        /// The digest of the contents.
        digest: Digest,
        /// Whether the owner may execute it.
        executable: bool,
    },
    /// A folder; what is in it follows.
    Folder {
        /// The digest of its `Directory` message.
        digest: Digest,
    },
    /// A symbolic link with this text.
    Link {
        /// The text.
        target: String,
    },
}

impl Store {
    /// The `Directory` message with this digest.
    pub fn directory(&self, digest: &Digest) -> Result<Option<Directory>, StoreError> {
        let bytes = self.blob(digest)?;
        Ok(bytes.and_then(|bytes| Directory::decode(bytes.as_slice()).ok()))
    }

    /// All entries of a tree, sorted by path, each folder before what is in
    /// it. Where a message was lost, the folder itself is read again.
    pub fn entries(&self, digest: &Digest) -> Result<Vec<Entry>, StoreError> {
        if let Some(entries) = self.listed(digest)? {
            return Ok(entries);
        }
        let path = self.tree_path(digest);
        let absent = StoreError::NoTree { digest: *digest };
        let Some(_) = root_of(&path)? else {
            return Err(absent);
        };
        let scan = Scan::look(&path)?;
        if scan.digest != *digest {
            return Err(absent);
        }
        let messages: BTreeMap<_, _> = scan.directories.into_iter().collect();
        for (digest, bytes) in &messages {
            self.put_known_blob(digest, bytes)?;
        }
        self.listed(digest)?.ok_or(absent)
    }

    /// The tree with all its folders in one message, as the Remote Execution
    /// API keeps output folders.
    pub fn tree_message(&self, digest: &Digest) -> Result<Option<Tree>, StoreError> {
        let Some(root) = self.directory(digest)? else {
            return Ok(None);
        };
        let mut children = BTreeMap::new();
        let mut queue = root.directories.clone();
        while let Some(node) = queue.pop() {
            let Some(digest) = folder_digest(&node) else {
                return Ok(None);
            };
            if children.contains_key(&digest) {
                continue;
            }
            let Some(directory) = self.directory(&digest)? else {
                return Ok(None);
            };
            queue.extend(directory.directories.iter().cloned());
            children.insert(digest, directory);
        }
        Ok(Some(Tree {
            root: Some(root),
            children: children.into_values().collect(),
        }))
    }

    fn listed(&self, digest: &Digest) -> Result<Option<Vec<Entry>>, StoreError> {
        list(digest, |digest| self.directory(digest))
    }
}

/// All entries of a tree, sorted by path, from the messages that `read` gives;
/// `None` where one is missing or malformed.
pub(super) fn list(
    digest: &Digest,
    read: impl Fn(&Digest) -> Result<Option<Directory>, StoreError>,
) -> Result<Option<Vec<Entry>>, StoreError> {
    let mut entries = Vec::new();
    let mut queue = vec![(String::new(), *digest)];
    while let Some((prefix, digest)) = queue.pop() {
        let Some(directory) = read(&digest)? else {
            return Ok(None);
        };
        let mut push = |name: &str, kind| {
            let path = format!("{prefix}{name}");
            entries.push(Entry { path, kind });
        };
        for node in &directory.files {
            let Some(digest) = node.digest.as_ref().and_then(|d| d.digest()) else {
                return Ok(None);
            };
            let executable = node.is_executable;
            push(&node.name, EntryKind::File { digest, executable });
        }
        for node in &directory.symlinks {
            let target = node.target.clone();
            push(&node.name, EntryKind::Link { target });
        }
        for node in &directory.directories {
            let Some(digest) = folder_digest(node) else {
                return Ok(None);
            };
            push(&node.name, EntryKind::Folder { digest });
            queue.push((format!("{prefix}{}/", node.name), digest));
        }
    }
    entries.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(Some(entries))
}

fn folder_digest(node: &DirectoryNode) -> Option<Digest> {
    node.digest.as_ref()?.digest()
}
