//! Reading a folder as an artifact: its files hashed, its folders as Remote
//! Execution API `Directory` messages, its odd entries refused by name.
//!
//! `Scan::settle` also gives a folder the form that all trees of the store
//! have: files 0444 or 0555 by the owner's exec bit, folders 0755, one time
//! for all, no file with a second name. `Scan::look` changes nothing. Names
//! and link texts must be UTF-8, since the messages hold text.

use std::collections::BTreeMap;
use std::fs::{self, File, FileTimes, Metadata};
use std::io::{self, Read as _};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, UTIME_OMIT, utimensat};

use super::error::{During as _, StoreError};
use super::witness::{Seen, Witness};
use crate::digest::{Digest, Hasher};
use crate::fail_point;
use crate::parallel;
use crate::reapi::{Directory, DirectoryNode, FileNode, SymlinkNode, encode};

/// The time of everything in a tree, in seconds since 1970: 1980-01-02, since
/// zip knows nothing earlier. An edit leaves another time, whenever it is made.
pub const TREE_TIME: i64 = 315_619_200;

/// A folder, read.
#[derive(Debug)]
pub(super) struct Scan {
    /// The digest of the root `Directory`.
    pub(super) digest: Digest,
    /// Every folder's message with its digest, each below before its parent.
    pub(super) directories: Vec<(Digest, Vec<u8>)>,
    /// What the file system says of each entry.
    pub(super) witness: Witness,
    /// Whether all entries have the form that `settle` gives.
    pub(super) settled: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum How {
    Look,
    Settle,
}

/// A folder that was found, and what is directly in it.
struct Folder {
    path: PathBuf,
    /// Below the root, with `/`; empty for the root.
    name: String,
    parent: usize,
    message: Directory,
}

/// A file that was found.
struct Found {
    path: PathBuf,
    name: String,
    folder: usize,
    meta: Metadata,
}

/// Digests of files that this process wrote, by path: they are not read again.
pub(super) type Written = BTreeMap<PathBuf, Digest>;

impl Scan {
    /// Reads `root` as it is.
    pub(super) fn look(root: &Path) -> Result<Scan, StoreError> {
        scan(root, How::Look, &Written::new())
    }

    /// Reads `root`, but for what was `written`, and gives it the form of a tree of
    /// the store.
    pub(super) fn settle(root: &Path, written: &Written) -> Result<Scan, StoreError> {
        scan(root, How::Settle, written)
    }
}

fn scan(root: &Path, how: How, written: &Written) -> Result<Scan, StoreError> {
    let mut seen = Vec::new();
    let (mut folders, files) = walk(root, how, &mut seen)?;
    let bytes: u64 = files.iter().map(|file| file.meta.len()).sum();
    let threads = match files.len() >= 64 || bytes >= 4 << 20 {
        true => parallel::cpus(),
        false => 1,
    };
    let hashed = parallel::each(&files, threads, |file| {
        read_file(file, how, written.get(&file.path))
    })?;
    for (file, (digest, meta)) in files.into_iter().zip(hashed) {
        let folder = &mut folders[file.folder];
        folder.message.files.push(FileNode {
            name: file.name.clone(),
            digest: Some(digest.into()),
            is_executable: meta.mode() & 0o100 != 0,
        });
        seen.push(Seen::of(below(&folder.name, &file.name), &meta));
    }
    let directories = finish(&mut folders, how, &mut seen)?;
    let digest = directories
        .last()
        .map_or_else(|| Digest::of(b""), |(digest, _)| *digest);
    let settled = seen.iter().all(Seen::is_settled);
    Ok(Scan {
        digest,
        directories,
        witness: Witness::of(seen),
        settled,
    })
}

/// All folders, each after its parent, and all files. Links are entered at
/// once.
fn walk(
    root: &Path,
    how: How,
    seen: &mut Vec<Seen>,
) -> Result<(Vec<Folder>, Vec<Found>), StoreError> {
    let meta = match fs::symlink_metadata(root) {
        Ok(meta) if meta.is_dir() => meta,
        Ok(meta) => return Err(no_folder(root, kind(&meta))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(no_folder(root, "missing"));
        }
        Err(error) => return Err(error).during("look at", root),
    };
    open_up(root, &meta, how)?;
    let mut folders = vec![Folder {
        path: root.to_owned(),
        name: String::new(),
        parent: 0,
        message: Directory::default(),
    }];
    let mut files = Vec::new();
    let mut at = 0;
    while at < folders.len() {
        let (path, name) = (folders[at].path.clone(), folders[at].name.clone());
        for entry in fs::read_dir(&path).during("read the folder", &path)? {
            let entry = entry.during("read the folder", &path)?;
            let path = entry.path();
            let Ok(entry_name) = entry.file_name().into_string() else {
                return Err(StoreError::OddName {
                    what: "the name",
                    path,
                });
            };
            let meta = fs::symlink_metadata(&path).during("look at", &path)?;
            if meta.is_dir() {
                open_up(&path, &meta, how)?;
                folders.push(Folder {
                    path,
                    name: below(&name, &entry_name),
                    parent: at,
                    message: Directory::default(),
                });
            } else if meta.is_symlink() {
                let (target, meta) = read_link(&path, meta, how)?;
                seen.push(Seen::of(below(&name, &entry_name), &meta));
                folders[at].message.symlinks.push(SymlinkNode {
                    name: entry_name,
                    target,
                });
            } else if meta.is_file() {
                files.push(Found {
                    path,
                    name: entry_name,
                    folder: at,
                    meta,
                });
            } else {
                return Err(StoreError::OddEntry {
                    path,
                    found: kind(&meta),
                });
            }
        }
        at += 1;
    }
    Ok((folders, files))
}

/// Closes the folders from the deepest up: sorts, encodes, gives them their
/// form. Returns the messages, the root's last.
fn finish(
    folders: &mut [Folder],
    how: How,
    seen: &mut Vec<Seen>,
) -> Result<Vec<(Digest, Vec<u8>)>, StoreError> {
    let mut directories = Vec::with_capacity(folders.len());
    for at in (0..folders.len()).rev() {
        let Folder {
            path,
            name,
            parent,
            message,
        } = &mut folders[at];
        message.files.sort_by(|a, b| a.name.cmp(&b.name));
        message.directories.sort_by(|a, b| a.name.cmp(&b.name));
        message.symlinks.sort_by(|a, b| a.name.cmp(&b.name));
        let (digest, bytes) = encode(message);
        directories.push((digest, bytes));
        if how == How::Settle {
            fail_point::reach("tree.settle").during("set the mode of", path)?;
            chmod(path, 0o755, None)?;
            set_time(path)?;
        }
        let meta = fs::symlink_metadata(&*path).during("look at", path)?;
        seen.push(Seen::of(name.clone(), &meta));
        if at > 0 {
            let node = DirectoryNode {
                name: name.rsplit('/').next().unwrap_or_default().to_owned(),
                digest: Some(digest.into()),
            };
            let parent = *parent;
            folders[parent].message.directories.push(node);
        }
    }
    Ok(directories)
}

/// Makes a folder readable, where settling may.
fn open_up(path: &Path, meta: &Metadata, how: How) -> Result<(), StoreError> {
    match how == How::Settle && meta.mode() & 0o700 != 0o700 {
        true => chmod(path, 0o755, Some(meta)),
        false => Ok(()),
    }
}

fn read_link(path: &Path, meta: Metadata, how: How) -> Result<(String, Metadata), StoreError> {
    let target = fs::read_link(path).during("read the link", path)?;
    let target = target
        .into_os_string()
        .into_string()
        .map_err(|_| StoreError::OddName {
            what: "the text of the link",
            path: path.to_owned(),
        })?;
    if how == How::Look {
        return Ok((target, meta));
    }
    set_time(path)?;
    let meta = fs::symlink_metadata(path).during("look at", path)?;
    Ok((target, meta))
}

/// Hashes a file, unless its digest is known; the metadata is that of the moment
/// after.
fn read_file(
    found: &Found,
    how: How,
    known: Option<&Digest>,
) -> Result<(Digest, Metadata), StoreError> {
    let path = &found.path;
    if how == How::Settle {
        if found.meta.nlink() > 1 {
            make_own(path)?;
        }
        let mode = match found.meta.mode() & 0o100 {
            0 => 0o444,
            _ => 0o555,
        };
        chmod(path, mode, Some(&found.meta).filter(|m| m.nlink() == 1))?;
    }
    let mut file = File::open(path).during("open", path)?;
    if how == How::Settle {
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(TREE_TIME as u64);
        file.set_times(FileTimes::new().set_modified(time))
            .during("set the time of", path)?;
    }
    let before = file.metadata().during("look at", path)?;
    let digest = match known {
        Some(known) => *known,
        None => hash_open(&mut file).during("read", path)?,
    };
    let after = file.metadata().during("look at", path)?;
    let same = |m: &Metadata| (m.len(), m.mtime(), m.mtime_nsec());
    if same(&before) != same(&after) || after.len() != digest.size {
        return Err(StoreError::Moved { path: path.clone() });
    }
    Ok((digest, after))
}

/// The digest of what is left of an open file.
pub(super) fn hash_open(file: &mut File) -> io::Result<Digest> {
    let mut hasher = Hasher::default();
    // A small file needs no large buffer, which the system would have to map.
    let size = file.metadata()?.len().saturating_add(1);
    let mut buffer = vec![0; size.clamp(512, 128 * 1024) as usize];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(hasher.finish()),
            Ok(n) => hasher.update(&buffer[..n]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Gives a file that has other names (in a cache, in `work/`) a body of its
/// own, since whoever has the other name could write into the store.
fn make_own(path: &Path) -> Result<(), StoreError> {
    let folder = path.parent().unwrap_or(path);
    let copy = tempfile::Builder::new()
        .prefix(".mikado-")
        .tempfile_in(folder)
        .during("copy", path)?
        .into_temp_path();
    fs::copy(path, &copy).during("copy", path)?;
    copy.persist(path).map_err(|e| e.error).during("copy", path)
}

/// Sets the mode, unless `meta` says that the path has it.
fn chmod(path: &Path, mode: u32, meta: Option<&Metadata>) -> Result<(), StoreError> {
    let current = match meta {
        Some(meta) => meta.mode(),
        None => fs::symlink_metadata(path).during("look at", path)?.mode(),
    };
    if current & 0o7777 == mode {
        return Ok(());
    }
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).during("set the mode of", path)
}

/// Sets the one time of all trees on a folder or a link, not on its target.
pub(super) fn set_time(path: &Path) -> Result<(), StoreError> {
    let omit = Timespec {
        tv_sec: 0,
        tv_nsec: UTIME_OMIT,
    };
    let times = Timestamps {
        last_access: omit,
        last_modification: Timespec {
            tv_sec: TREE_TIME,
            tv_nsec: 0,
        },
    };
    utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).during("set the time of", path)
}

fn below(folder: &str, name: &str) -> String {
    match folder {
        "" => name.to_owned(),
        _ => format!("{folder}/{name}"),
    }
}

fn no_folder(path: &Path, found: &'static str) -> StoreError {
    StoreError::NoFolder {
        path: path.to_owned(),
        found,
    }
}

/// What an entry is, with its article.
pub(super) fn kind(meta: &Metadata) -> &'static str {
    let kind = meta.file_type();
    match () {
        () if kind.is_file() => "a file",
        () if kind.is_symlink() => "a link",
        () if kind.is_fifo() => "a named pipe",
        () if kind.is_socket() => "a socket",
        () if kind.is_char_device() || kind.is_block_device() => "a device",
        () => "of an unknown kind",
    }
}
