//! Where a source comes from: a folder, a commit, or a tag or branch.
//!
//! Read from the list of sources and from what replaces one of them on the
//! command line or in the environment; nothing here looks at a disk.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::runner::client::masked;
use crate::runner::sources::SourceError;
use crate::store::{NoSri, Sri};

/// Where a source comes from.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Written")]
pub enum SourceSpec {
    /// A folder, as written; relative to the project's root.
    Folder(PathBuf),
    /// A commit of a git repository.
    Commit {
        /// The repository's address.
        url: String,
        /// 40 hexadecimal digits.
        commit: String,
        /// The tag or branch it was, for people and for servers that give no single commits.
        tag: Option<String>,
        /// The hash of the tree's Nix archive.
        hash: Option<Sri>,
    },
    /// A tag or branch of a git repository, or its HEAD; only by an override.
    Ref {
        /// The repository's address.
        url: String,
        /// The tag or branch.
        reference: Option<String>,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    path: Option<PathBuf>,
    git: Option<String>,
    commit: Option<String>,
    tag: Option<String>,
    hash: Option<String>,
}

impl TryFrom<Written> for SourceSpec {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        match written {
            Written {
                path: Some(path),
                git: None,
                commit: None,
                tag: None,
                hash: None,
            } => Ok(SourceSpec::Folder(path)),
            Written {
                path: None,
                git: Some(url),
                commit: Some(commit),
                tag,
                hash,
            } => match is_commit(&commit) {
                true => {
                    let hash = hash.filter(|hash| !hash.is_empty());
                    let hash = hash.map(|hash| {
                        hash.parse()
                            .map_err(|error: NoSri| format!("`hash`: {error}"))
                    });
                    Ok(SourceSpec::Commit {
                        url,
                        commit,
                        tag,
                        hash: hash.transpose()?,
                    })
                }
                false => Err(format!(
                    "`commit: {commit}` is no full commit: expected 40 lower-case hexadecimal digits"
                )),
            },
            Written {
                path: None,
                git: Some(_),
                commit: None,
                ..
            } => Err(
                "`git` needs `commit` with 40 hexadecimal digits; a tag may stand beside it"
                    .to_owned(),
            ),
            _ => Err(
                "a source is either `path: DIR` or `git: URL` with `commit`, `tag` and `hash`"
                    .to_owned(),
            ),
        }
    }
}

pub(crate) fn is_commit(text: &str) -> bool {
    text.len() == 40 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// One `NAME=PATH` or `NAME=git+URL?ref=REF`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Override {
    /// The source it stands for.
    pub name: String,
    /// What stands in its place; paths are absolute.
    pub spec: SourceSpec,
}

impl Override {
    /// Reads an override; relative paths are below `folder`.
    ///
    /// # Errors
    ///
    /// It has not that form.
    pub fn parse(text: &str, folder: &Path) -> Result<Self, SourceError> {
        let wrong = |what: &str| SourceError::Override {
            text: masked(text),
            what: what.to_owned(),
        };
        let (name, value) = text.split_once('=').ok_or_else(|| wrong("no `=`"))?;
        if name.is_empty() || value.is_empty() {
            return Err(wrong("nothing on one side of `=`"));
        }
        let spec = place(value, folder).map_err(|what| wrong(&what))?;
        Ok(Override {
            name: name.to_owned(),
            spec,
        })
    }
}

/// Reads `PATH` or `git+URL?ref=REF`.
pub(crate) fn place(value: &str, folder: &Path) -> Result<SourceSpec, String> {
    let Some(address) = value.strip_prefix("git+") else {
        return Ok(SourceSpec::Folder(folder.join(value)));
    };
    let (url, reference) = match address.split_once('?') {
        None => (address, None),
        Some((url, query)) => match query.strip_prefix("ref=") {
            Some(reference) if !reference.is_empty() && !reference.starts_with('-') => {
                (url, Some(reference))
            }
            _ => return Err(format!("`?{query}` is not `?ref=REF`")),
        },
    };
    if url.is_empty() || url.starts_with('-') {
        return Err("no address after `git+`".to_owned());
    }
    let first = url.split('/').next().unwrap_or(url);
    let url = match url.contains("://") || first.contains(':') {
        true => url.to_owned(),
        false => folder.join(url).display().to_string(),
    };
    Ok(match reference {
        Some(commit) if is_commit(commit) => SourceSpec::Commit {
            url,
            commit: commit.to_owned(),
            tag: None,
            hash: None,
        },
        reference => SourceSpec::Ref {
            url,
            reference: reference.map(str::to_owned),
        },
    })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

    #[test]
    fn overrides_are_read() {
        let by_commit = format!("a=git+ssh://h/r?ref={COMMIT}");
        let spec = |text| Override::parse(text, Path::new("/cwd")).map(|found| found.spec);
        assert_eq!(
            spec("a=git+../r").unwrap(),
            SourceSpec::Ref {
                url: "/cwd/../r".into(),
                reference: None
            }
        );
        assert_eq!(
            spec("a=git+git@h:r").unwrap(),
            SourceSpec::Ref {
                url: "git@h:r".into(),
                reference: None
            }
        );
        let commit = SourceSpec::Commit {
            url: "ssh://h/r".into(),
            commit: COMMIT.into(),
            tag: None,
            hash: None,
        };
        assert_eq!(spec(&by_commit).unwrap(), commit);
        for text in [
            "a",
            "=x",
            "a=",
            "a=git+",
            "a=git+https://u:p@h?rev=x",
            "a=git+x?ref=--upload-pack=y",
        ] {
            let error = spec(text).unwrap_err().to_string();
            assert!(!error.contains("u:p"), "{error}");
        }
    }
}
