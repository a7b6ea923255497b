//! A `Tree` message of a server as folders, files and links to be made.
//!
//! Nothing in it is believed: names are single segments and each stands once in
//! its folder, folders are found by the digest of their bytes, and there is an
//! end to how many entries a message unfolds to.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use prost::Message as _;

use super::fault::Fault;
use crate::digest::Digest;
use crate::reapi::{self, DigestMessage, Directory, Tree};

/// More entries than any artifact has.
const MOST: usize = 1_000_000;

/// A tree as it is to be made.
#[derive(Debug)]
pub(super) struct Listing {
    /// The digest of the root `Directory`.
    pub root: Digest,
    /// Every folder's message with its digest.
    pub directories: BTreeMap<Digest, Vec<u8>>,
    /// Folders below the root, each after the one it is in.
    folders: Vec<String>,
    /// Files: the path, the contents, whether they may be executed.
    files: Vec<(String, Digest, bool)>,
    /// Links: the path, the text.
    links: Vec<(String, String)>,
}

fn malformed(why: impl Into<String>) -> Fault {
    Fault::Malformed(why.into())
}

impl Listing {
    /// Reads a `Tree` message.
    ///
    /// # Errors
    ///
    /// Where it can't be an artifact.
    pub(super) fn read(bytes: &[u8]) -> Result<Listing, Fault> {
        Listing::of(Tree::decode(bytes).map_err(|error| malformed(error.to_string()))?)
    }

    /// Reads a tree that was decoded.
    ///
    /// # Errors
    ///
    /// Where it can't be an artifact.
    pub(super) fn of(tree: Tree) -> Result<Listing, Fault> {
        let root = tree
            .root
            .ok_or_else(|| malformed("a tree without a root"))?;
        let mut listing = Listing {
            root: reapi::encode(&root).0,
            directories: BTreeMap::new(),
            folders: Vec::new(),
            files: Vec::new(),
            links: Vec::new(),
        };
        let mut known = BTreeMap::new();
        for directory in [root].into_iter().chain(tree.children) {
            let (digest, bytes) = reapi::encode(&directory);
            listing.directories.insert(digest, bytes);
            known.insert(digest, directory);
        }
        let mut pending = vec![(String::new(), listing.root)];
        while let Some((prefix, digest)) = pending.pop() {
            let directory = known.get(&digest);
            let directory =
                directory.ok_or_else(|| malformed("a tree that lacks one of its folders"))?;
            listing.add(&prefix, directory, &mut pending)?;
        }
        Ok(listing)
    }

    fn add(
        &mut self,
        prefix: &str,
        directory: &Directory,
        pending: &mut Vec<(String, Digest)>,
    ) -> Result<(), Fault> {
        let mut names = BTreeSet::new();
        let mut path = |name: &str| {
            let is_odd = matches!(name, "" | "." | "..") || name.contains(['/', '\0']);
            match !is_odd && names.insert(name.to_owned()) {
                true => Ok(format!("{prefix}{name}")),
                false => Err(malformed(format!(
                    "`{name}` is no name, or stands there twice"
                ))),
            }
        };
        for file in &directory.files {
            let digest = read_digest(file.digest.as_ref())?;
            self.files
                .push((path(&file.name)?, digest, file.is_executable));
        }
        for link in &directory.symlinks {
            if link.target.is_empty() || link.target.contains('\0') {
                return Err(malformed("a link without a text"));
            }
            self.links.push((path(&link.name)?, link.target.clone()));
        }
        for folder in &directory.directories {
            let path = path(&folder.name)?;
            pending.push((format!("{path}/"), read_digest(folder.digest.as_ref())?));
            self.folders.push(path);
        }
        let entries = self.folders.len() + self.files.len() + self.links.len();
        match entries > MOST {
            true => Err(malformed("a tree of too many entries")),
            false => Ok(()),
        }
    }

    /// Makes the folders below `root`, which must not be there; returns the files
    /// that are to be written, by contents.
    pub(super) fn make_folders(
        &self,
        root: &Path,
    ) -> std::io::Result<BTreeMap<Digest, Vec<PathBuf>>> {
        fs::create_dir(root)?;
        for folder in &self.folders {
            fs::create_dir(root.join(folder))?;
        }
        let mut files: BTreeMap<Digest, Vec<PathBuf>> = BTreeMap::new();
        for (path, digest, _) in &self.files {
            files.entry(*digest).or_default().push(root.join(path));
        }
        Ok(files)
    }

    /// The files below `root` and what they are.
    pub(super) fn written(&self, root: &Path) -> BTreeMap<PathBuf, Digest> {
        let files = self.files.iter();
        files
            .map(|(path, digest, _)| (root.join(path), *digest))
            .collect()
    }

    /// Gives the files their modes, and makes the links: last, so that no file was
    /// written through one.
    pub(super) fn finish(&self, root: &Path) -> std::io::Result<()> {
        for (path, _, executable) in &self.files {
            if *executable {
                fs::set_permissions(root.join(path), fs::Permissions::from_mode(0o755))?;
            }
        }
        for (path, target) in &self.links {
            symlink(target, root.join(path))?;
        }
        Ok(())
    }
}

fn read_digest(message: Option<&DigestMessage>) -> Result<Digest, Fault> {
    let digest = message.and_then(DigestMessage::digest);
    digest.ok_or_else(|| malformed("a digest that is none"))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test stops at its first surprise")]
mod tests {
    use super::*;
    use crate::reapi::{DirectoryNode, FileNode, SymlinkNode};

    fn file(name: &str) -> FileNode {
        FileNode {
            name: name.into(),
            digest: Some(Digest::of(b"x").into()),
            is_executable: false,
        }
    }

    fn read(root: Directory, children: Vec<Directory>) -> Result<Listing, Fault> {
        let tree = Tree {
            root: Some(root),
            children,
        };
        Listing::read(&tree.encode_to_vec())
    }

    fn folder(name: &str, directory: &Directory) -> DirectoryNode {
        DirectoryNode {
            name: name.into(),
            digest: Some(reapi::encode(directory).0.into()),
        }
    }

    #[test]
    fn tree_is_made_as_it_is_described() {
        let inner = Directory {
            files: vec![file("f")],
            symlinks: vec![SymlinkNode {
                name: "l".into(),
                target: "../a".into(),
            }],
            ..Directory::default()
        };
        let root = Directory {
            files: vec![file("a")],
            directories: vec![folder("d", &inner), folder("e", &inner)],
            ..Directory::default()
        };
        let listing = read(root.clone(), vec![inner]).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let made = folder.path().join("made");
        let files = listing.make_folders(&made).unwrap();
        for path in files.values().flatten() {
            fs::write(path, "x").unwrap();
        }
        listing.finish(&made).unwrap();
        let store = crate::store::Store::open(&folder.path().join("store")).unwrap();
        assert_eq!(store.hash_dir(&made).unwrap().digest, listing.root);
        assert_eq!(files.values().flatten().count(), 3);
    }

    #[test]
    fn names_that_lead_elsewhere_are_refused() {
        for name in ["..", ".", "", "a/b", "/etc/passwd", "a\0b"] {
            let root = Directory {
                files: vec![file(name)],
                ..Directory::default()
            };
            assert!(
                matches!(read(root, vec![]), Err(Fault::Malformed(_))),
                "{name}"
            );
        }
        let twice = Directory {
            files: vec![file("a")],
            symlinks: vec![SymlinkNode {
                name: "a".into(),
                target: "/etc".into(),
            }],
            ..Directory::default()
        };
        assert!(read(twice, vec![]).is_err());
    }

    #[test]
    fn folder_that_is_not_there_is_told() {
        let inner = Directory::default();
        let other = Directory {
            files: vec![file("a")],
            ..Directory::default()
        };
        let root = Directory {
            directories: vec![folder("d", &other)],
            ..Directory::default()
        };
        assert!(read(root, vec![inner]).is_err());
    }

    #[test]
    fn small_message_does_not_unfold_without_end() {
        let mut children = vec![Directory {
            files: (0..100).map(|n| file(&format!("f{n}"))).collect(),
            ..Directory::default()
        }];
        for _ in 0..12 {
            let below = children.last().unwrap();
            let nodes = (0..8).map(|n| folder(&format!("d{n}"), below)).collect();
            children.push(Directory {
                directories: nodes,
                ..Directory::default()
            });
        }
        let root = children.last().unwrap().clone();
        assert!(matches!(read(root, children), Err(Fault::Malformed(_))));
    }
}
