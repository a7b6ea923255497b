//! The inputs of an action, as a tree of nodes below its root folder.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::digest::Digest;
use crate::reapi::{self, Directory, DirectoryNode, FileNode, SymlinkNode};
use crate::runner::listing::Stamp;

/// What lies at one path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    /// A file of a source or of the repository.
    File {
        /// The digest of its contents.
        digest: Digest,
        /// Whether it may be executed.
        executable: bool,
        /// Where it is copied from.
        origin: PathBuf,
        /// What it was like when it was hashed.
        stamp: Stamp,
    },
    /// A file that mikado writes.
    Generated {
        /// The digest of its contents.
        digest: Digest,
        /// Its contents.
        bytes: Arc<Vec<u8>>,
        /// Whether it may be executed.
        executable: bool,
    },
    /// A link, as text.
    Link {
        /// Its text.
        target: String,
    },
    /// A whole tree of the store, by the digest of its root `Directory`.
    Tree {
        /// That digest.
        digest: Digest,
    },
    /// A folder that is there even when nothing is in it.
    Folder,
}

impl Node {
    /// The file that it is a copy of, and what it was like.
    pub fn origin(&self) -> Option<(&Path, Stamp)> {
        match self {
            Node::File { origin, stamp, .. } => Some((origin, *stamp)),
            _ => None,
        }
    }

    /// A file that mikado writes.
    pub fn generated(bytes: Vec<u8>, executable: bool) -> Node {
        Node::Generated {
            digest: Digest::of(&bytes),
            bytes: Arc::new(bytes),
            executable,
        }
    }
}

/// Two inputs are laid at one path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("two inputs are laid at `{path}`")]
pub struct Twice {
    /// The path below the action's root.
    pub path: String,
}

/// Nodes by their path below the action's root.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InputRoot {
    nodes: BTreeMap<String, Node>,
}

impl InputRoot {
    /// Lays `node` at `path`; its parents are folders by themselves.
    ///
    /// # Errors
    ///
    /// Where something else lies there, or lies where a folder is needed.
    pub fn insert(&mut self, path: &str, node: Node) -> Result<(), Twice> {
        let twice = || Twice {
            path: path.to_owned(),
        };
        let mut parent = path;
        while let Some((outer, _)) = parent.rsplit_once('/') {
            if self.nodes.get(outer).is_some_and(|n| *n != Node::Folder) {
                return Err(Twice {
                    path: outer.to_owned(),
                });
            }
            parent = outer;
        }
        let inside = format!("{path}/");
        let has_inside = || {
            self.nodes
                .range(inside.clone()..)
                .next()
                .is_some_and(|(key, _)| key.starts_with(&inside))
        };
        match (self.nodes.get(path), &node) {
            (Some(Node::Folder), Node::Folder) => return Ok(()),
            (Some(_), _) => return Err(twice()),
            (None, Node::Folder) => {}
            (None, _) if has_inside() => return Err(twice()),
            (None, _) => {}
        }
        self.nodes.insert(path.to_owned(), node);
        Ok(())
    }

    /// What lies at `path`.
    pub fn get(&self, path: &str) -> Option<&Node> {
        self.nodes.get(path)
    }

    /// All nodes in byte order of their paths.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Node)> {
        self.nodes.iter().map(|(path, node)| (path.as_str(), node))
    }

    /// The digest of the root `Directory`, and every `Directory` message above
    /// the trees, each once.
    pub fn directories(&self) -> (Digest, Vec<(Digest, Vec<u8>)>) {
        let mut top = Folder::default();
        for (path, node) in &self.nodes {
            top.add(path, node);
        }
        let mut messages = Vec::new();
        let digest = top.encode(&mut messages);
        messages.sort_unstable();
        messages.dedup();
        (digest, messages)
    }
}

/// A folder while the flat list is made into messages.
#[derive(Default)]
struct Folder<'a> {
    folders: BTreeMap<&'a str, Folder<'a>>,
    leaves: BTreeMap<&'a str, &'a Node>,
}

impl<'a> Folder<'a> {
    fn add(&mut self, path: &'a str, node: &'a Node) {
        let mut folder = self;
        let mut rest = path;
        while let Some((name, inner)) = rest.split_once('/') {
            folder = folder.folders.entry(name).or_default();
            rest = inner;
        }
        match node {
            Node::Folder => {
                folder.folders.entry(rest).or_default();
            }
            leaf => {
                folder.leaves.insert(rest, leaf);
            }
        }
    }

    fn encode(&self, messages: &mut Vec<(Digest, Vec<u8>)>) -> Digest {
        let mut directory = Directory::default();
        for (name, folder) in &self.folders {
            let digest = folder.encode(messages);
            directory.directories.push(DirectoryNode {
                name: (*name).to_owned(),
                digest: Some(digest.into()),
            });
        }
        for (name, node) in &self.leaves {
            let name = (*name).to_owned();
            match node {
                Node::File {
                    digest, executable, ..
                }
                | Node::Generated {
                    digest, executable, ..
                } => directory.files.push(FileNode {
                    name,
                    digest: Some((*digest).into()),
                    is_executable: *executable,
                }),
                Node::Link { target } => directory.symlinks.push(SymlinkNode {
                    name,
                    target: target.clone(),
                }),
                Node::Tree { digest } => directory.directories.push(DirectoryNode {
                    name,
                    digest: Some((*digest).into()),
                }),
                Node::Folder => {}
            }
        }
        directory.directories.sort_by(|a, b| a.name.cmp(&b.name));
        let (digest, bytes) = reapi::encode(&directory);
        messages.push((digest, bytes));
        digest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_inputs_at_one_path_are_refused() -> Result<(), Twice> {
        let mut root = InputRoot::default();
        root.insert("work/a/b", Node::generated(vec![], false))?;
        assert!(
            root.insert("work/a/b", Node::generated(vec![], false))
                .is_err()
        );
        assert!(
            root.insert("work/a", Node::Link { target: "x".into() })
                .is_err()
        );
        assert!(root.insert("work/a/b/c", Node::Folder).is_err());
        root.insert("work", Node::Folder)
    }

    #[test]
    fn order_of_insertion_does_not_matter() -> Result<(), Twice> {
        let file = |text: &str| Node::generated(text.into(), false);
        let mut one = InputRoot::default();
        one.insert("b", file("1"))?;
        one.insert("a/c", file("2"))?;
        let mut two = InputRoot::default();
        two.insert("a/c", file("2"))?;
        two.insert("b", file("1"))?;
        assert_eq!(one.directories(), two.directories());
        Ok(())
    }
}
