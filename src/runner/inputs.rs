//! Lays the inputs of a runner below an action's root.
//!
//! Files of sources and of the repository become copies; artifacts of other
//! cards and fetches become real folders with relative links into
//! `requires/ROLE` and `fetch/NAME`, so that a step can add names beside them
//! and never writes through. Reads the disk, writes nothing.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::action::{InputRoot, Node, Twice};
use crate::digest::Digest;
use crate::reapi::Directory;
use crate::trace::Trace;

use super::definition::{Input, Links};
use super::glob::Pattern;
use super::listing::{self, FoundKind, Lister};
use super::parameters::{self, Parameters};

/// Why inputs could not be laid.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// A list of globs could not be carried out.
    #[error("{0}")]
    Listing(#[from] listing::Fault),
    /// A parameter.
    #[error("{0}")]
    Parameters(#[from] parameters::Fault),
    /// Two inputs at one path.
    #[error("{0}")]
    Twice(#[from] Twice),
    /// A source can't be had.
    #[error("{message}")]
    Source {
        /// What is wrong with it.
        message: String,
        /// What to do next.
        help: String,
    },
    /// A role that no prerequisite fills.
    #[error("an input names the role `{role}`, and {}", roles(.known))]
    UnknownRole {
        /// The role.
        role: String,
        /// The roles there are.
        known: Vec<String>,
    },
    /// A fetch that the runner does not have.
    #[error("an input names the fetch `{name}`, and the runner has none of that name")]
    UnknownFetch {
        /// The name.
        name: String,
    },
    /// `at` leaves `work/`.
    #[error("`at: {at}` leaves the action's folder")]
    At {
        /// What is written.
        at: String,
    },
    /// An entry without, or with more than one, place to take from.
    #[error(
        "an input wants exactly one of `paths` (with or without `source`), `requires` and `fetch`"
    )]
    Shape,
    /// A file could not be hashed.
    #[error("could not read `{}`: {source}", .path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// An artifact whose folders are not in the store.
    #[error("the artifact of `{role}` is not in the store")]
    Lost {
        /// The role or the fetch.
        role: String,
    },
}

fn roles(known: &[String]) -> String {
    match known {
        [] => "the card uses no artifact".into(),
        _ => format!("the card uses {}", crate::words::list(known)),
    }
}

/// Where inputs come from.
pub struct Origins<'a> {
    /// The repository's root.
    pub repository: &'a Path,
    /// Finds the folder of a named source.
    pub source: &'a dyn Fn(&str) -> Result<PathBuf, Fault>,
    /// The artifacts of the cards used, by role.
    pub requires: &'a BTreeMap<String, Digest>,
    /// The outputs of the runner's fetches, by name.
    pub fetch: &'a BTreeMap<String, Digest>,
    /// Reads a folder of an artifact.
    pub directory: &'a dyn Fn(&Digest) -> Option<Directory>,
    /// Lists files.
    pub lister: &'a Lister,
    /// Knows digests of files.
    pub trace: &'a Trace,
}

impl Origins<'_> {
    /// Lays each of `inputs` below `work/` of `root`.
    ///
    /// # Errors
    ///
    /// The first fault.
    pub fn lay(
        &self,
        inputs: &[Input],
        parameters: &Parameters,
        root: &mut InputRoot,
    ) -> Result<(), Fault> {
        for input in inputs {
            let at = match &input.at {
                Some(at) => below_work(&parameters.expand(at)?)?,
                None => "work".to_owned(),
            };
            match (&input.requires, &input.fetch) {
                (Some(role), None) if input.paths.is_empty() && input.source.is_none() => {
                    let role = parameters.expand(role)?;
                    match self.requires.get(&role) {
                        Some(digest) => {
                            let place = format!("requires/{role}");
                            self.lay_links(&at, &place, digest, input.links, root)?;
                        }
                        None if input.optional => {}
                        None => {
                            let known = self.requires.keys().cloned().collect();
                            return Err(Fault::UnknownRole { role, known });
                        }
                    }
                }
                (None, Some(name)) if input.paths.is_empty() && input.source.is_none() => {
                    let name = parameters.expand(name)?;
                    let Some(digest) = self.fetch.get(&name) else {
                        return Err(Fault::UnknownFetch { name });
                    };
                    let place = format!("fetch/{name}");
                    self.lay_links(&at, &place, digest, input.links, root)?;
                }
                (None, None) if !input.paths.is_empty() => {
                    self.lay_files(input, &at, parameters, root)?;
                }
                _ => return Err(Fault::Shape),
            }
        }
        Ok(())
    }

    fn lay_files(
        &self,
        input: &Input,
        at: &str,
        parameters: &Parameters,
        root: &mut InputRoot,
    ) -> Result<(), Fault> {
        let folder = match &input.source {
            Some(name) => (self.source)(&parameters.expand(name)?)?,
            None => self.repository.to_owned(),
        };
        let patterns: Vec<Pattern> = parameters
            .expand_list(&input.paths)?
            .iter()
            .filter(|text| !text.is_empty())
            .map(|text| Pattern::new(text))
            .collect();
        let found = self.lister.list(&folder, &patterns, input.optional)?;
        for (path, found) in found {
            let node = match found.kind {
                FoundKind::Link { target } => Node::Link { target },
                FoundKind::File { executable, stamp } => Node::File {
                    digest: self.trace.digest(&found.origin, stamp).map_err(|source| {
                        Fault::Unreadable {
                            path: found.origin.clone(),
                            source,
                        }
                    })?,
                    executable,
                    origin: found.origin,
                    stamp,
                },
            };
            root.insert(&format!("{at}/{path}"), node)?;
        }
        Ok(())
    }

    fn lay_links(
        &self,
        at: &str,
        place: &str,
        digest: &Digest,
        links: Links,
        root: &mut InputRoot,
    ) -> Result<(), Fault> {
        let lost = || Fault::Lost {
            role: place.to_owned(),
        };
        root.insert(at, Node::Folder)?;
        let mut pending = vec![(String::new(), *digest)];
        while let Some((below, digest)) = pending.pop() {
            let directory = (self.directory)(&digest).ok_or_else(lost)?;
            let depth = at.split('/').count() + below.split('/').filter(|s| !s.is_empty()).count();
            let up = "../".repeat(depth);
            let mut link = |name: &str| {
                let path = format!("{below}{name}");
                let target = format!("{up}{place}/{path}");
                root.insert(&format!("{at}/{path}"), Node::Link { target })
            };
            for file in &directory.files {
                link(&file.name)?;
            }
            for symlink in &directory.symlinks {
                link(&symlink.name)?;
            }
            for folder in &directory.directories {
                match links {
                    Links::Top => link(&folder.name)?,
                    Links::Files => {
                        let inner = folder.digest.as_ref().and_then(|d| d.digest());
                        pending.push((format!("{below}{}/", folder.name), inner.ok_or_else(lost)?));
                    }
                }
            }
            if links == Links::Files && !below.is_empty() {
                let folder = format!("{at}/{}", below.trim_end_matches('/'));
                root.insert(&folder, Node::Folder)?;
            }
        }
        Ok(())
    }
}

/// `at` as a path below the action's root.
pub(crate) fn below_work(at: &str) -> Result<String, Fault> {
    let mut path = String::from("work");
    if at.starts_with('/') {
        return Err(Fault::At { at: at.to_owned() });
    }
    for segment in at.split('/') {
        match segment {
            "" | "." => {}
            ".." => return Err(Fault::At { at: at.to_owned() }),
            name => {
                path.push('/');
                path.push_str(name);
            }
        }
    }
    Ok(path)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test stops at its first surprise")]
mod tests {
    use super::*;
    use crate::reapi::{self, DirectoryNode, FileNode};

    #[test]
    fn artifacts_are_laid_as_relative_links() {
        let inner = Directory {
            files: vec![FileNode {
                name: "f".into(),
                ..FileNode::default()
            }],
            ..Directory::default()
        };
        let inner_digest = reapi::encode(&inner).0;
        let outer = Directory {
            directories: vec![DirectoryNode {
                name: "d".into(),
                digest: Some(inner_digest.into()),
            }],
            files: vec![FileNode {
                name: "g".into(),
                ..FileNode::default()
            }],
            ..Directory::default()
        };
        let outer_digest = reapi::encode(&outer).0;
        let directory = |digest: &Digest| {
            [(outer_digest, &outer), (inner_digest, &inner)]
                .iter()
                .find(|(known, _)| known == digest)
                .map(|(_, directory)| (*directory).clone())
        };
        let requires = BTreeMap::from([("client".to_owned(), outer_digest)]);
        let lister = Lister::default();
        let trace = Trace::default();
        let origins = Origins {
            repository: Path::new("/"),
            source: &|_| Err(Fault::Shape),
            requires: &requires,
            fetch: &BTreeMap::new(),
            directory: &directory,
            lister: &lister,
            trace: &trace,
        };
        let laid = |links| {
            let input = Input {
                requires: Some("client".into()),
                at: Some("a/b".into()),
                links,
                ..Input::default()
            };
            let mut root = InputRoot::default();
            origins
                .lay(&[input], &Parameters::default(), &mut root)
                .unwrap();
            root.iter()
                .filter_map(|(path, node)| match node {
                    Node::Link { target } => Some(format!("{path} -> {target}")),
                    _ => None,
                })
                .collect::<Vec<_>>()
        };
        assert_eq!(
            laid(Links::Top),
            [
                "work/a/b/d -> ../../../requires/client/d",
                "work/a/b/g -> ../../../requires/client/g"
            ]
        );
        assert_eq!(
            laid(Links::Files),
            [
                "work/a/b/d/f -> ../../../../requires/client/d/f",
                "work/a/b/g -> ../../../requires/client/g"
            ]
        );
    }

    #[test]
    fn at_stays_below_work() {
        assert_eq!(below_work("./a//b").unwrap(), "work/a/b");
        assert!(below_work("../x").is_err());
        assert!(below_work("/x").is_err());
    }
}
