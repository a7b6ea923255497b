//! Where everything lies in a store's folder, and what may be opened as one.
//!
//! The parts that work trees share are `trees segments locks caches failed tmp`; a
//! work tree's own are `artifacts logs records.jsonl trace` (see `local`). Both are
//! usually one folder, `.mikado`. The `format` file guards against a newer
//! mikado, and against a folder that is no store at all.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::error::{During as _, StoreError};
use crate::fail_point;

/// The format that this version reads and writes.
const FORMAT: u64 = 1;

/// The folders of a store that are made when it is opened.
const FOLDERS: [&str; 6] = ["trees", "trees/.used", "segments", "locks", "caches", "tmp"];

/// What else may lie in a folder that has no `format` file yet.
const KNOWN: [&str; 8] = [
    "artifacts",
    "failed",
    "format",
    // Where CI jobs get the artifacts of others before a store is there.
    "handover",
    "logs",
    "new",
    "records.jsonl",
    "trace",
];

/// The paths of a store.
#[derive(Debug)]
pub(super) struct Layout {
    /// The store's folder, absolute.
    pub(super) root: PathBuf,
    /// One folder an artifact, named by the digest of its root `Directory`.
    pub(super) trees: PathBuf,
    /// One empty file a tree; its time is when the tree was last used.
    pub(super) used: PathBuf,
    /// The append-only files of small records.
    pub(super) segments: PathBuf,
    /// Lock files.
    pub(super) locks: PathBuf,
    /// Folders that outlive runs and are never part of a key.
    pub(super) caches: PathBuf,
    /// Checkouts of git sources, by commit, and what belongs to them.
    pub(super) sources: PathBuf,
    /// Scratch folders, one a process.
    pub(super) tmp: PathBuf,
    /// Whether this process may write here.
    pub(super) writable: bool,
}

impl Layout {
    /// Makes what is missing in `root`, and checks that it is a store that
    /// this version understands.
    pub(super) fn open(root: &Path) -> Result<Layout, StoreError> {
        let root = std::path::absolute(root).during("find the store", root)?;
        let known = read_format(&root)?;
        if known.is_none() {
            refuse_foreign(&root)?;
        }
        let writable = match prepare(&root, known.is_none()) {
            Ok(()) => true,
            // Reading is all that is left, and enough for a store that exists.
            Err(StoreError::Io { source, .. }) if known.is_some() && is_refusal(&source) => false,
            Err(error) => return Err(error),
        };
        Ok(Layout {
            trees: root.join("trees"),
            used: root.join("trees/.used"),
            segments: root.join("segments"),
            locks: root.join("locks"),
            caches: root.join("caches"),
            sources: root.join("sources"),
            tmp: root.join("tmp"),
            root,
            writable,
        })
    }

    /// The lock that a collection holds alone while it takes something away.
    pub(super) fn gate(&self) -> PathBuf {
        gate(&self.root)
    }

    /// The error for a write where only reading is possible, or nothing.
    pub(super) fn writable(&self, doing: &'static str) -> Result<(), StoreError> {
        if self.writable {
            return Ok(());
        }
        Err(StoreError::ReadOnly {
            doing,
            path: self.root.clone(),
        })
    }
}

/// The lock that a collection of the store in `root` holds alone while it takes
/// something away.
pub(super) fn gate(root: &Path) -> PathBuf {
    root.join("locks/trees")
}

/// Whether the system refused for want of permission, not for a fault.
pub(super) fn is_refusal(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem
    )
}

/// The number in the `format` file, or `None` where there is no such file.
fn read_format(root: &Path) -> Result<Option<u64>, StoreError> {
    let path = root.join("format");
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).during("read", &path),
    };
    // An empty file is what a crash between creating and writing leaves.
    if text.is_empty() {
        return Ok(None);
    }
    match text.trim().parse() {
        Ok(found) if found > FORMAT => Err(StoreError::NewerFormat {
            path: root.to_owned(),
            found,
            known: FORMAT,
        }),
        Ok(found) => Ok(Some(found)),
        Err(_) => Err(StoreError::OddFormat {
            path,
            found: text.chars().take(20).collect(),
        }),
    }
}

/// Refuses a folder that holds what no store holds, since collection and
/// clean-up delete in there.
fn refuse_foreign(root: &Path) -> Result<(), StoreError> {
    let entries = match fs::read_dir(root) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error).during("read the folder", root),
    };
    for entry in entries {
        let name = entry.during("read the folder", root)?.file_name();
        let name = name.to_string_lossy();
        let ours = FOLDERS.contains(&&*name) || KNOWN.contains(&&*name) || name.starts_with('.');
        if !ours {
            return Err(StoreError::NoStore {
                path: root.to_owned(),
                found: name.into_owned(),
            });
        }
    }
    Ok(())
}

/// Makes the folders, and where the store is new its two files.
fn prepare(root: &Path, new: bool) -> Result<(), StoreError> {
    ensure_folder(root)?;
    for folder in FOLDERS {
        ensure_folder(&root.join(folder))?;
    }
    ignore_in_git(root)?;
    if new {
        write_small(&root.join("format"), format!("{FORMAT}\n").as_bytes())?;
    }
    // A file system that was mounted read-only has all folders already.
    let lock = root.join("locks/segments");
    fail_point::reach("store.lock").during("write", &lock)?;
    fs::File::options()
        .create(true)
        .append(true)
        .open(&lock)
        .during("write", &lock)?;
    Ok(())
}

/// Makes a folder and its parents, where they are missing.
pub(super) fn ensure_folder(path: &Path) -> Result<(), StoreError> {
    if path.is_dir() {
        return Ok(());
    }
    fail_point::reach("store.folder").during("make the folder", path)?;
    fs::create_dir_all(path).during("make the folder", path)
}

/// Writes the `.gitignore` that hides the folder, where there is none.
pub(super) fn ignore_in_git(root: &Path) -> Result<(), StoreError> {
    let path = root.join(".gitignore");
    // An empty one is what a crash between creating and writing leaves.
    if fs::metadata(&path).is_ok_and(|meta| meta.len() > 0) {
        return Ok(());
    }
    write_small(&path, b"*\n")
}

/// Writes a file of a few bytes, of which a part is as good as nothing: so no
/// temporary file is left by a crash.
fn write_small(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    fail_point::reach("store.file").during("make", path)?;
    let mut file = fs::File::create(path).during("make", path)?;
    fail_point::reach("store.file.write").during("write", path)?;
    file.write_all(bytes).during("write", path)?;
    file.sync_all().during("write", path)
}

/// A file in `folder` that has no name to keep yet. Others may read it as far
/// as the umask allows, so that users can share a store.
pub(super) fn temporary(folder: &Path) -> io::Result<tempfile::NamedTempFile> {
    tempfile::Builder::new()
        .permissions(fs::Permissions::from_mode(0o666))
        .tempfile_in(folder)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed step is a failed test")]
mod tests {
    use super::*;

    #[test]
    fn new_folder_becomes_a_store_that_git_ignores() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("a b/ä");
        assert!(Layout::open(&root).unwrap().writable);
        assert_eq!(fs::read_to_string(root.join(".gitignore")).unwrap(), "*\n");
        assert_eq!(fs::read_to_string(root.join("format")).unwrap(), "1\n");
        assert!(Layout::open(&root).unwrap().writable);
    }

    #[test]
    fn newer_format_is_refused_with_both_numbers() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("format"), "7\n").unwrap();
        let message = Layout::open(dir.path()).unwrap_err().to_string();
        assert!(
            message.contains("format 7") && message.contains("up to 1"),
            "{message}"
        );
    }

    #[test]
    fn folder_with_other_things_is_no_store() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("thesis.tex"), "").unwrap();
        let message = Layout::open(dir.path()).unwrap_err().to_string();
        assert!(message.contains("thesis.tex"), "{message}");
        assert!(!dir.path().join("trees").exists());
    }

    #[test]
    fn folder_without_write_permission_is_opened_for_reading() {
        let dir = tempfile::tempdir().unwrap();
        Layout::open(dir.path()).unwrap();
        let locks = dir.path().join("locks");
        fs::remove_file(locks.join("segments")).unwrap();
        fs::set_permissions(&locks, fs::Permissions::from_mode(0o555)).unwrap();
        let root = rustix::process::geteuid().is_root();
        assert_eq!(Layout::open(dir.path()).unwrap().writable, root);
        fs::set_permissions(&locks, fs::Permissions::from_mode(0o755)).unwrap();
    }

    #[test]
    fn damaged_format_is_refused_and_an_empty_one_mended() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("format"), "one").unwrap();
        assert!(matches!(
            Layout::open(dir.path()),
            Err(StoreError::OddFormat { .. })
        ));
        fs::write(dir.path().join("format"), "").unwrap();
        Layout::open(dir.path()).unwrap();
    }
}
