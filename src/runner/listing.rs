//! Which files of a folder match a list of globs.
//!
//! One walk below the literal beginning of each pattern, with git's ignore
//! files obeyed; files that git tracks although it ignores them are found as
//! well. Links are reported, never followed. Contents are not read here.

mod git_folder;

use std::collections::BTreeMap;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::glob::{self, Pattern};
use crate::index::{Kind, Watched};
use git_folder::GitFolder;

/// A file or link that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Where it is on the disk.
    pub origin: PathBuf,
    /// What it is.
    pub kind: FoundKind,
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FoundKind {
    /// A file, with what tells whether it changed.
    File {
        /// Whether its owner may execute it.
        executable: bool,
        /// Size, times and inode.
        stamp: Stamp,
    },
    /// A link, as text.
    Link {
        /// Its text.
        target: String,
    },
}

/// What tells cheaply whether a file changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Stamp {
    /// Bytes.
    pub size: u64,
    /// Modification time, nanoseconds since 1970.
    pub mtime_ns: i128,
    /// Change time, nanoseconds since 1970.
    pub ctime_ns: i128,
    /// Inode.
    pub inode: u64,
}

impl Stamp {
    /// The stamp of a file.
    pub fn of(metadata: &Metadata) -> Stamp {
        let ns = |seconds: i64, rest: i64| i128::from(seconds) * 1_000_000_000 + i128::from(rest);
        Stamp {
            size: metadata.size(),
            mtime_ns: ns(metadata.mtime(), metadata.mtime_nsec()),
            ctime_ns: ns(metadata.ctime(), metadata.ctime_nsec()),
            inode: metadata.ino(),
        }
    }
}

/// Why a list of globs could not be carried out.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// A pattern matches nothing.
    #[error("`{pattern}` matches nothing in {}", .folder.display())]
    MatchesNothing {
        /// The pattern.
        pattern: String,
        /// Where it was looked for.
        folder: PathBuf,
    },
    /// A path without a wildcard is a folder.
    #[error("`{pattern}` is a folder; write `{pattern}/**` for the files in it")]
    IsFolder {
        /// The path.
        pattern: String,
    },
    /// A path leaves its source.
    #[error("`{pattern}` leaves its source")]
    Leaves {
        /// The path.
        pattern: String,
    },
    /// A link points out of its source.
    #[error("the link `{path}` points to `{target}`, out of its source")]
    LinkLeaves {
        /// The link.
        path: String,
        /// Its text.
        target: String,
    },
    /// Neither a file nor a link.
    #[error("`{path}` is neither a file, a folder nor a link")]
    Special {
        /// Which.
        path: String,
    },
    /// A name that is not UTF-8.
    #[error("the name of `{}` is not UTF-8", .path.display())]
    Name {
        /// Which.
        path: PathBuf,
    },
    /// The disk.
    #[error("could not read {}: {source}", .path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// Lists folders; remembers what git says of each.
#[derive(Debug, Default)]
pub struct Lister {
    hidden: Vec<PathBuf>,
    folders: Mutex<BTreeMap<PathBuf, Arc<GitFolder>>>,
    /// What decided what was found, beside the files themselves.
    pub watched: Watched,
}

impl Lister {
    /// A lister for which no wildcard ever matches below the folders `hidden`:
    /// the cards and the runners of a repository.
    pub fn new(hidden: Vec<PathBuf>) -> Lister {
        Lister {
            hidden,
            folders: Mutex::default(),
            watched: Watched::default(),
        }
    }

    /// Finds the files of `folder` that `patterns` select, by their path below
    /// it.
    ///
    /// # Errors
    ///
    /// Where a positive pattern matches nothing (unless `optional`), a path
    /// leaves the source, a link points out of it, or the disk can't be read.
    pub fn list(
        &self,
        folder: &Path,
        patterns: &[Pattern],
        optional: bool,
    ) -> Result<BTreeMap<String, Found>, Fault> {
        let mut candidates: BTreeMap<String, Found> = BTreeMap::new();
        let mut bases: Vec<String> = Vec::new();
        for pattern in patterns.iter().filter(|p| !p.negative) {
            if pattern.text.starts_with('/') || pattern.text.split('/').any(|s| s == "..") {
                let pattern = pattern.text.clone();
                return Err(Fault::Leaves { pattern });
            }
            if pattern.is_literal() {
                let found = literal(folder, pattern)?;
                let is_file = |found: &Found| matches!(found.kind, FoundKind::File { .. });
                if !found.as_ref().is_some_and(is_file) {
                    self.watched.add(folder.join(&pattern.text), Kind::Entry);
                }
                if let Some(found) = found {
                    candidates.insert(pattern.text.clone(), found);
                }
            } else {
                bases.push(pattern.base());
            }
        }
        bases.sort();
        let mut walked: Option<String> = None;
        for base in bases {
            let inside = |outer: &String| {
                outer.is_empty() || base == *outer || base.starts_with(&format!("{outer}/"))
            };
            if walked.as_ref().is_some_and(inside) {
                continue;
            }
            self.walk(folder, &base, patterns, &mut candidates)?;
            walked = Some(base);
        }
        if !optional {
            let unmatched = |pattern: &&Pattern| {
                !pattern.negative && !candidates.keys().any(|path| pattern.matches(path))
            };
            if let Some(pattern) = patterns.iter().find(unmatched) {
                return Err(Fault::MatchesNothing {
                    pattern: pattern.text.clone(),
                    folder: folder.to_owned(),
                });
            }
        }
        candidates.retain(|path, _| glob::selects(patterns, path));
        for (path, found) in &candidates {
            if let FoundKind::Link { target } = &found.kind
                && leaves(path, target)
            {
                return Err(Fault::LinkLeaves {
                    path: path.clone(),
                    target: target.clone(),
                });
            }
        }
        Ok(candidates)
    }

    fn walk(
        &self,
        folder: &Path,
        base: &str,
        patterns: &[Pattern],
        candidates: &mut BTreeMap<String, Found>,
    ) -> Result<(), Fault> {
        let top = folder.join(base);
        if !top.is_dir() || self.hides(&top) {
            self.watched.add(top, Kind::Target);
            return Ok(());
        }
        let hidden = self.hidden.clone();
        let git = self.git_folder(folder);
        self.watched.add_above(&top);
        let walker = ignore::WalkBuilder::new(&top)
            .hidden(false)
            .ignore(false)
            .git_global(false)
            .git_ignore(git.rules)
            .git_exclude(git.rules)
            .require_git(true)
            .parents(git.rules)
            .follow_links(false)
            .filter_entry(move |entry| {
                let name = entry.file_name();
                name != ".git" && name != ".mikado" && !hidden.iter().any(|h| entry.path() == h)
            })
            .build();
        for entry in walker {
            let entry = entry.map_err(|error| Fault::Unreadable {
                path: top.clone(),
                source: error
                    .into_io_error()
                    .unwrap_or_else(|| std::io::Error::other("the walk failed")),
            })?;
            if entry.file_type().is_some_and(|kind| kind.is_dir()) {
                self.watched.add_walked(entry.path());
            } else {
                add(folder, entry.path(), patterns, candidates)?;
            }
        }
        for path in &git.tracked {
            let origin = folder.join(path);
            let below = base.is_empty() || path.starts_with(&format!("{base}/"));
            if below && !self.hides(&origin) && origin.symlink_metadata().is_ok_and(|m| !m.is_dir())
            {
                add(folder, &origin, patterns, candidates)?;
            }
        }
        Ok(())
    }

    fn hides(&self, path: &Path) -> bool {
        self.hidden.iter().any(|hidden| path.starts_with(hidden))
    }

    fn git_folder(&self, folder: &Path) -> Arc<GitFolder> {
        let mut known = self.folders.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = known.entry(folder.to_owned());
        Arc::clone(entry.or_insert_with(|| {
            git_folder::watch(folder, &self.watched);
            Arc::new(GitFolder::of(folder))
        }))
    }
}

fn literal(folder: &Path, pattern: &Pattern) -> Result<Option<Found>, Fault> {
    let origin = folder.join(&pattern.text);
    match origin.symlink_metadata() {
        Ok(metadata) if metadata.is_dir() => Err(Fault::IsFolder {
            pattern: pattern.text.clone(),
        }),
        Ok(metadata) => found(origin, &metadata, &pattern.text).map(Some),
        Err(error) if absent(&error) => Ok(None),
        Err(source) => Err(Fault::Unreadable {
            path: origin,
            source,
        }),
    }
}

fn absent(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{NotADirectory, NotFound};
    matches!(error.kind(), NotFound | NotADirectory)
}

fn add(
    folder: &Path,
    origin: &Path,
    patterns: &[Pattern],
    candidates: &mut BTreeMap<String, Found>,
) -> Result<(), Fault> {
    let below = origin.strip_prefix(folder).unwrap_or(origin);
    let Some(path) = below.to_str() else {
        // Only what is asked for must have a name that can be written down.
        let lossy = below.to_string_lossy();
        return match patterns.iter().any(|p| !p.negative && p.matches(&lossy)) {
            true => Err(Fault::Name {
                path: origin.to_owned(),
            }),
            false => Ok(()),
        };
    };
    if candidates.contains_key(path) || !patterns.iter().any(|p| !p.negative && p.matches(path)) {
        return Ok(());
    }
    let metadata = origin
        .symlink_metadata()
        .map_err(|source| Fault::Unreadable {
            path: origin.to_owned(),
            source,
        })?;
    candidates.insert(path.to_owned(), found(origin.to_owned(), &metadata, path)?);
    Ok(())
}

fn found(origin: PathBuf, metadata: &Metadata, path: &str) -> Result<Found, Fault> {
    let kind = if metadata.is_symlink() {
        let target = std::fs::read_link(&origin).map_err(|source| Fault::Unreadable {
            path: origin.clone(),
            source,
        })?;
        let target = target.into_os_string().into_string();
        FoundKind::Link {
            target: target.map_err(|_| Fault::Name {
                path: origin.clone(),
            })?,
        }
    } else if metadata.is_file() {
        FoundKind::File {
            executable: metadata.mode() & 0o100 != 0,
            stamp: Stamp::of(metadata),
        }
    } else {
        return Err(Fault::Special {
            path: path.to_owned(),
        });
    };
    Ok(Found { origin, kind })
}

/// Whether the link at `path` with the text `target` points out of its source.
fn leaves(path: &str, target: &str) -> bool {
    if target.starts_with('/') {
        return true;
    }
    let mut depth = path.split('/').count() as i64 - 1;
    for segment in target.split('/') {
        match segment {
            "" | "." => {}
            ".." => depth -= 1,
            _ => depth += 1,
        }
        if depth < 0 {
            return true;
        }
    }
    false
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test stops at its first surprise")]
mod tests {
    use super::*;
    use std::fs;
    use std::process::Command;

    fn tree(files: &[&str]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for file in files {
            let path = dir.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, file).unwrap();
        }
        dir
    }

    fn names(dir: &Path, patterns: &[&str]) -> Result<Vec<String>, String> {
        let patterns: Vec<_> = patterns.iter().map(|p| Pattern::new(p)).collect();
        Lister::new(vec![dir.join("cards")])
            .list(dir, &patterns, false)
            .map(|found| found.into_keys().collect())
            .map_err(|fault| fault.to_string())
    }

    #[test]
    fn globs_select_files() {
        let dir = tree(&["a.go", "cmd/b.go", "cmd/.dot", "vendor/c.go", "cards/x.go"]);
        assert_eq!(
            names(dir.path(), &["**/*.go", "!vendor/**"]).unwrap(),
            ["a.go", "cmd/b.go"]
        );
        assert_eq!(
            names(dir.path(), &["cmd/**"]).unwrap(),
            ["cmd/.dot", "cmd/b.go"]
        );
        assert_eq!(names(dir.path(), &["cards/x.go"]).unwrap(), ["cards/x.go"]);
    }

    #[test]
    fn ignored_files_are_inputs_only_by_name() {
        let dir = tree(&["a.txt", "b.txt"]);
        fs::write(dir.path().join(".gitignore"), "b.txt\n").unwrap();
        assert_eq!(names(dir.path(), &["*.txt"]).unwrap(), ["a.txt", "b.txt"]);
        git(dir.path(), &["init", "-q"]);
        assert_eq!(names(dir.path(), &["*.txt"]).unwrap(), ["a.txt"]);
        assert_eq!(names(dir.path(), &["b.txt"]).unwrap(), ["b.txt"]);
    }

    fn git(folder: &Path, arguments: &[&str]) {
        let mut git = Command::new("git");
        git.arg("-C")
            .arg(folder)
            .args(["-c", "user.name=a", "-c", "user.email=a@b"]);
        assert!(git.args(arguments).status().unwrap().success());
    }

    #[test]
    fn a_tree_in_an_ignored_folder_is_a_tree_of_its_own() {
        let dir = tree(&["kept/a.txt", "store/source/a.txt", "store/source/b.txt"]);
        fs::write(dir.path().join(".gitignore"), "store\n*.txt\n").unwrap();
        fs::write(dir.path().join("store/source/.gitignore"), "b.txt\n").unwrap();
        git(dir.path(), &["init", "-q"]);
        let source = dir.path().join("store/source");
        assert_eq!(names(&source, &["*.txt"]).unwrap(), ["a.txt", "b.txt"]);
        assert!(names(&dir.path().join("kept"), &["*.txt"]).is_err());
    }

    #[test]
    fn a_tracked_file_is_an_input_although_it_is_ignored() {
        let dir = tree(&["lib/a.py", "lib/b.py"]);
        fs::write(dir.path().join(".gitignore"), "lib/\n").unwrap();
        git(dir.path(), &["init", "-q"]);
        git(dir.path(), &["add", "-f", "lib/a.py"]);
        assert_eq!(names(dir.path(), &["**/*.py"]).unwrap(), ["lib/a.py"]);
    }

    #[test]
    fn faults_name_the_pattern() {
        let dir = tree(&["a/b"]);
        assert!(
            names(dir.path(), &["*.go"])
                .unwrap_err()
                .starts_with("`*.go` matches nothing")
        );
        assert!(
            names(dir.path(), &["a"])
                .unwrap_err()
                .contains("is a folder")
        );
        assert!(names(dir.path(), &["../x"]).unwrap_err().contains("leaves"));
    }

    #[test]
    fn links_are_text_and_may_not_leave() {
        let dir = tree(&["a/b"]);
        std::os::unix::fs::symlink("b", dir.path().join("a/in")).unwrap();
        assert_eq!(names(dir.path(), &["a/**"]).unwrap(), ["a/b", "a/in"]);
        std::os::unix::fs::symlink("../../out", dir.path().join("a/out")).unwrap();
        assert!(
            names(dir.path(), &["a/**"])
                .unwrap_err()
                .contains("`a/out`")
        );
    }
}
