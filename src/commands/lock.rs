//! `mikado lock`: pins the tools that runners declare.
//!
//! Reads the lock that is there, pins what it lacks, and writes it in one rename
//! only if it changed. Says what changed; prints nothing itself.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use crate::runner::client::UserEnvironment;
use crate::runner::lock::ToolLock;
use crate::runner::pin::{Pinning, pin};
use crate::runner::provision::ToolProgress;
use crate::runner::tools::{Declared, ToolError};
use crate::store::Store;

/// What came of locking.
#[derive(Debug)]
pub struct Locked {
    /// The lock, as it is now on disk.
    pub lock: ToolLock,
    /// What changed, one line each: `added KEY`, `removed KEY`, `changed KEY`.
    pub changes: Vec<String>,
    /// What could not be locked and is not needed here.
    pub notes: Vec<String>,
}

/// Why nothing was locked.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// The lock that is there can't be read.
    #[error("{}: {source}; delete it and run `mikado lock` to make a new one", path.display())]
    Unreadable {
        /// The lock.
        path: PathBuf,
        /// What is wrong with it.
        source: serde_yaml::Error,
    },
    /// The disk.
    #[error("could not {doing} `{}`: {source}", path.display())]
    Disk {
        /// What was being done.
        doing: &'static str,
        /// To what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Tools that can't be had.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Tools(Vec<ToolError>),
}

/// Reads the lock at `path`; one that is missing is empty.
///
/// # Errors
///
/// The file can't be read, or is no lock of this version.
pub fn read(path: &Path) -> Result<ToolLock, LockError> {
    let text = match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        other => other.map_err(disk("read", path))?,
    };
    ToolLock::parse(&text).map_err(|source| LockError::Unreadable {
        path: path.to_owned(),
        source,
    })
}

/// Pins the tools of a project in the lock at `path`.
///
/// # Errors
///
/// A declaration is wrong, a needed tool can't be had, or the lock can't be
/// read or written.
pub fn lock(
    path: &Path,
    declared: &[Declared<'_>],
    pinning: &Pinning,
    store: &Store,
    user: &UserEnvironment,
    progress: &(dyn Fn(ToolProgress) + Sync),
) -> Result<Locked, LockError> {
    let old = read(path)?;
    let pinned = pin(&old, declared, pinning, store, user, progress).map_err(LockError::Tools)?;
    if pinned.lock != old || !path.exists() {
        write(path, &pinned.lock.to_string())?;
    }
    Ok(Locked {
        changes: changes(&old, &pinned.lock),
        lock: pinned.lock,
        notes: pinned.notes,
    })
}

fn write(path: &Path, text: &str) -> Result<(), LockError> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let write = || -> io::Result<()> {
        fs::create_dir_all(folder)?;
        let mut file = tempfile::Builder::new()
            .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))
            .tempfile_in(folder)?;
        file.write_all(text.as_bytes())?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        Ok(())
    };
    write().map_err(disk("write", path))
}

fn changes(old: &ToolLock, new: &ToolLock) -> Vec<String> {
    let keys: BTreeSet<&String> = old.tools.keys().chain(new.tools.keys()).collect();
    keys.into_iter()
        .filter_map(|key| match (old.tools.get(key), new.tools.get(key)) {
            (None, Some(_)) => Some(format!("added {key}")),
            (Some(_), None) => Some(format!("removed {key}")),
            (old, new) if old != new => Some(format!("changed {key}")),
            _ => None,
        })
        .collect()
}

fn disk(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> LockError {
    let path = path.to_owned();
    move |source| LockError::Disk {
        doing,
        path,
        source,
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::runner::lock::{LockedFile, LockedPackage};
    use crate::runner::platform::Platform;
    use crate::runner::tools::ToolSpec;
    use std::collections::BTreeMap;

    #[test]
    fn project_without_packages_gets_an_empty_lock_and_keeps_it() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("store")).unwrap();
        let path = folder.path().join("runners/tools.lock.yaml");
        let spec = ToolSpec::default();
        let declared = [Declared {
            runner: "r",
            name: "bash",
            spec: &spec,
        }];
        let lock = || {
            lock(
                &path,
                &declared,
                &Pinning::of(&[], false),
                &store,
                &UserEnvironment::default(),
                &|_| (),
            )
        };
        assert!(lock().unwrap().changes.is_empty());
        let made = fs::metadata(&path).unwrap().modified().unwrap();
        lock().unwrap();
        assert_eq!(fs::metadata(&path).unwrap().modified().unwrap(), made);
    }

    #[test]
    fn unreadable_lock_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("l.yaml");
        fs::write(&path, "<<<<<<< HEAD\nversion: 1\n").unwrap();
        let error = read(&path).unwrap_err().to_string();
        assert!(
            error.ends_with("delete it and run `mikado lock` to make a new one"),
            "{error}"
        );
    }

    #[test]
    fn changes_are_named() {
        let with = |entries: &[(&str, usize)]| {
            let file = LockedFile {
                project: "a".into(),
                version: "1".into(),
                name: "a".into(),
                at: None,
                sha256: "0".repeat(64),
                size: 1,
            };
            let locked = |files| LockedPackage {
                files: vec![file.clone(); files],
                trees: Vec::new(),
            };
            let platforms = |files| BTreeMap::from([(Platform::LinuxX8664, locked(files))]);
            let mut lock = ToolLock::default();
            lock.tools.extend(
                entries
                    .iter()
                    .map(|(key, files)| ((*key).to_owned(), platforms(*files))),
            );
            lock
        };
        let (old, new) = (
            with(&[("a", 1), ("b", 1), ("c", 1)]),
            with(&[("b", 1), ("c", 2), ("d", 1)]),
        );
        assert_eq!(changes(&old, &new), ["removed a", "changed c", "added d"]);
    }
}
