//! Named sources: the trees that runners take their inputs from.
//!
//! `runners/sources.yaml` names a folder or a git commit; `--source NAME=..` and
//! `MIKADO_SOURCE_NAME` put another in its place for one run. What a source is,
//! is decided here; what of it an action reads, by its inputs. The place of a
//! source on disk is never part of a key.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::runner::client::{UserEnvironment, masked};
use crate::runner::git::{GitFault, GitSources, Reach};
use crate::runner::source_spec::place;
pub use crate::runner::source_spec::{Override, SourceSpec};
use crate::words;

/// The name of the list of sources in the folder of runners.
pub const SOURCES: &str = "sources.yaml";

/// A source's tree, ready to be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceTree {
    /// The folder.
    pub path: PathBuf,
    /// The git commit, where it is one.
    pub revision: Option<String>,
    /// For people: what it is and where it is from.
    pub described: String,
}

/// What is wrong with a source.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// `runners/sources.yaml` can't be read.
    #[error("`{SOURCES}` can't be read: {0}")]
    List(#[from] serde_yaml::Error),
    /// A name that the list does not have.
    #[error("no source is called `{name}`{}; add it to `{SOURCES}`", nearest.as_ref().map_or(String::new(), |near| format!(" (did you mean `{near}`?)")))]
    Unknown {
        /// The name.
        name: String,
        /// One that is close.
        nearest: Option<String>,
    },
    /// An override that can't be read.
    #[error("`{text}` replaces no source: {what}; expected `NAME=PATH` or `NAME=git+URL?ref=REF`")]
    Override {
        /// The override, credentials masked.
        text: String,
        /// What is wrong.
        what: String,
    },
    /// The folder is not there.
    #[error("source `{name}`: the folder `{}` is not there; give another with `--source {name}=PATH`", path.display())]
    NoFolder {
        /// The source.
        name: String,
        /// The folder.
        path: PathBuf,
    },
    /// git could not give it.
    #[error("source `{name}`: {fault}")]
    Git {
        /// The source.
        name: String,
        /// What git said.
        #[source]
        fault: GitFault,
    },
}

/// The sources of a project, with what was put in their place for this run.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    root: PathBuf,
    specs: BTreeMap<String, SourceSpec>,
}

impl Sources {
    /// The sources that `text`, the list of the project at `root`, names, with
    /// `MIKADO_SOURCE_NAME` of the environment and then `overrides` put in their
    /// place. Relative paths of the environment are below `folder`.
    ///
    /// # Errors
    ///
    /// The list can't be read, or something replaces a source that it does not have.
    pub fn new(
        root: &Path,
        text: &str,
        user: &UserEnvironment,
        overrides: &[Override],
        folder: &Path,
    ) -> Result<Self, SourceError> {
        let blank = text
            .lines()
            .all(|line| line.trim().is_empty() || line.starts_with('#'));
        let mut sources = Sources {
            root: root.to_owned(),
            specs: if blank {
                BTreeMap::new()
            } else {
                serde_yaml::from_str(text)?
            },
        };
        for (name, spec) in &mut sources.specs {
            let variable = variable(name);
            if let Some(value) = user
                .value(&variable)
                .and_then(|value| value.to_str())
                .filter(|value| !value.is_empty())
            {
                *spec = place(value, folder).map_err(|what| SourceError::Override {
                    text: format!("{variable}={}", masked(value)),
                    what,
                })?;
            }
        }
        for Override { name, spec } in overrides {
            match sources.specs.get_mut(name) {
                Some(old) => *old = spec.clone(),
                None => return Err(sources.unknown(name)),
            }
        }
        Ok(sources)
    }

    /// The names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.specs.keys().map(String::as_str)
    }

    /// What `name` is, without looking at a disk.
    ///
    /// # Errors
    ///
    /// No source is called so.
    pub fn spec(&self, name: &str) -> Result<&SourceSpec, SourceError> {
        self.specs.get(name).ok_or_else(|| self.unknown(name))
    }

    /// The folders of this machine that are sources.
    pub(crate) fn folders(&self) -> impl Iterator<Item = &Path> {
        self.specs.values().filter_map(|spec| match spec {
            SourceSpec::Folder(path) => Some(path.as_path()),
            _ => None,
        })
    }

    /// The tree of a source, fetched by git where it must be and `reach` allows it.
    ///
    /// # Errors
    ///
    /// No source is called so, its folder is missing, or git can't give it.
    pub fn resolve(
        &self,
        name: &str,
        git: &GitSources,
        reach: Reach,
    ) -> Result<SourceTree, SourceError> {
        let failed = |fault| SourceError::Git {
            name: name.to_owned(),
            fault,
        };
        let (url, commit, tag, hash) = match self.spec(name)? {
            SourceSpec::Folder(path) => {
                let full = self.root.join(path);
                return match full.is_dir() {
                    false => Err(SourceError::NoFolder {
                        name: name.to_owned(),
                        path: full,
                    }),
                    true => {
                        let revision = git.head_of(&full);
                        let at = revision
                            .as_ref()
                            .map_or(String::new(), |commit| format!(" (at {})", &commit[..12]));
                        let described = format!("folder {}{at}", path.display());
                        Ok(SourceTree {
                            path: full,
                            revision,
                            described,
                        })
                    }
                };
            }
            SourceSpec::Commit {
                url,
                commit,
                tag,
                hash,
            } => (url, commit.clone(), tag.as_deref(), *hash),
            SourceSpec::Ref { url, reference } => {
                let commit = git
                    .commit_of(url, reference.as_deref(), reach)
                    .map_err(failed)?;
                (url, commit, reference.as_deref(), None)
            }
        };
        let path = git
            .checkout(url, &commit, tag, hash, reach)
            .map_err(failed)?;
        let tag = tag.map_or(String::new(), |tag| format!(" {tag}"));
        let described = format!("git {}{tag} ({})", masked(url), &commit[..12]);
        Ok(SourceTree {
            path,
            revision: Some(commit),
            described,
        })
    }

    fn unknown(&self, name: &str) -> SourceError {
        let nearest = words::nearest(name, self.names()).map(str::to_owned);
        SourceError::Unknown {
            name: name.to_owned(),
            nearest,
        }
    }
}

/// The environment variable that replaces a source.
pub fn variable(name: &str) -> String {
    format!(
        "MIKADO_SOURCE_{}",
        name.to_ascii_uppercase().replace('-', "_")
    )
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

    fn sources(
        text: &str,
        environment: &[(&str, &str)],
        overrides: &[&str],
    ) -> Result<Sources, String> {
        let user = UserEnvironment::of(environment.iter().copied());
        let overrides: Result<Vec<_>, _> = overrides
            .iter()
            .map(|text| Override::parse(text, Path::new("/cwd")))
            .collect();
        overrides
            .and_then(|overrides| {
                Sources::new(
                    Path::new("/root"),
                    text,
                    &user,
                    &overrides,
                    Path::new("/cwd"),
                )
            })
            .map_err(|error| error.to_string())
    }

    #[test]
    fn list_names_folders_and_commits() {
        let text = format!(
            "a: {{path: x}}\nb: {{git: 'https://h/r', commit: {COMMIT}, tag: v1, hash: ''}}\n"
        );
        let sources = sources(&text, &[], &[]).unwrap();
        assert_eq!(sources.spec("a").unwrap(), &SourceSpec::Folder("x".into()));
        let commit = SourceSpec::Commit {
            url: "https://h/r".into(),
            commit: COMMIT.into(),
            tag: Some("v1".into()),
            hash: None,
        };
        assert_eq!(sources.spec("b").unwrap(), &commit);
        assert_eq!(sources.names().collect::<Vec<_>>(), ["a", "b"]);
    }

    #[test]
    fn wrong_lists_are_refused_with_the_reason() {
        for (text, reason) in [
            ("a: {git: x}", "needs `commit`"),
            ("a: {git: x, commit: v1}", "no full commit"),
            ("a: {path: x, git: y}", "either `path: DIR` or"),
            ("a: {url: x}", "unknown field `url`"),
            (
                &format!("a: {{git: x, commit: {COMMIT}, hash: abc}}"),
                "`hash`: `abc` is not a hash",
            ),
        ] {
            let error = sources(text, &[], &[]).unwrap_err();
            assert!(error.contains(reason), "{error}");
        }
        assert!(
            sources("# nothing\n\n", &[], &[])
                .unwrap()
                .names()
                .next()
                .is_none()
        );
    }

    #[test]
    fn override_is_stronger_than_the_environment_and_that_than_the_list() {
        let list = "my-src: {path: x}\nother: {path: y}\n";
        let environment = [
            ("MIKADO_SOURCE_MY_SRC", "here"),
            ("MIKADO_SOURCE_OTHER", "git+https://h/r?ref=v/1"),
        ];
        let found = sources(list, &environment, &["my-src=/abs"]).unwrap();
        assert_eq!(
            found.spec("my-src").unwrap(),
            &SourceSpec::Folder("/abs".into())
        );
        let reference = SourceSpec::Ref {
            url: "https://h/r".into(),
            reference: Some("v/1".into()),
        };
        assert_eq!(found.spec("other").unwrap(), &reference);
        let found = sources(list, &environment, &[]).unwrap();
        assert_eq!(
            found.spec("my-src").unwrap(),
            &SourceSpec::Folder("/cwd/here".into())
        );
    }

    #[test]
    fn unknown_name_suggests_one() {
        assert_eq!(
            sources("authentik: {path: x}", &[], &["autentik=y"]).unwrap_err(),
            "no source is called `autentik` (did you mean `authentik`?); add it to `sources.yaml`"
        );
    }
}
