//! Copying trees: out of the store for the user, or into it from another disk.
//!
//! Contents are copied by the kernel (`copy_file_range`, which shares blocks
//! where the file system can); links stay text. Never a hard link: root writes
//! through any mode.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use super::error::{During as _, StoreError};
use crate::fail_point;
use crate::parallel;

/// The modes of a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Modes {
    /// Those of the original.
    Kept,
    /// 0644, or 0755 where the owner may execute; folders 0755.
    Writable,
}

/// Copies the folder `from` to `to`, which must not exist.
pub(super) fn copy_tree(from: &Path, to: &Path, modes: Modes) -> Result<(), StoreError> {
    let mut folders = vec![(from.to_owned(), to.to_owned())];
    let mut files = Vec::new();
    let mut at = 0;
    while let Some((from, to)) = folders.get(at).cloned() {
        fs::create_dir(&to).during("make the folder", &to)?;
        for entry in fs::read_dir(&from).during("read the folder", &from)? {
            let entry = entry.during("read the folder", &from)?;
            let (from, to) = (entry.path(), to.join(entry.file_name()));
            let kind = entry.file_type().during("look at", &from)?;
            if kind.is_dir() {
                folders.push((from, to));
            } else if kind.is_symlink() {
                let target = fs::read_link(&from).during("read the link", &from)?;
                std::os::unix::fs::symlink(target, &to).during("make the link", &to)?;
            } else {
                files.push((from, to));
            }
        }
        at += 1;
    }
    let threads = match files.len() > 64 {
        true => parallel::cpus(),
        false => 1,
    };
    parallel::each(&files, threads, |(from, to)| copy_file(from, to, modes))?;
    // Last, since a folder may not be writable.
    for (from, to) in folders.iter().rev() {
        copy_folder_mode(from, to, modes)?;
    }
    Ok(())
}

fn copy_file(from: &PathBuf, to: &PathBuf, modes: Modes) -> Result<(), StoreError> {
    fail_point::reach("copy.file").during("copy a file to", to)?;
    let original = File::open(from).during("open", from)?;
    let meta = original.metadata().during("look at", from)?;
    let mode = match modes {
        Modes::Kept => meta.mode() & 0o777,
        Modes::Writable if meta.mode() & 0o100 == 0 => 0o644,
        Modes::Writable => 0o755,
    };
    let mut options = File::options();
    let copy = options.write(true).create_new(true).mode(mode).open(to);
    let copy = copy.during("make the file", to)?;
    copy_contents(&original, &copy, meta.len()).during("copy a file to", to)?;
    // The umask may have taken some of it.
    let mode = fs::Permissions::from_mode(mode);
    copy.set_permissions(mode).during("set the mode of", to)
}

/// Copies `size` bytes by the kernel: without reading them where the file system
/// can share them, and within the kernel where it can't.
#[cfg(target_os = "linux")]
fn copy_contents(original: &File, copy: &File, size: u64) -> io::Result<()> {
    // What Linux copies in one call.
    const MOST: usize = 0x7fff_f000;
    let mut left = size;
    while left > 0 {
        let turn = usize::try_from(left).unwrap_or(MOST).min(MOST);
        match rustix::fs::copy_file_range(original, None, copy, None, turn) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(copied) => left -= copied as u64,
            // Between file systems, or unknown to one: sendfile is left.
            Err(_) if left == size => return by_library(original, copy),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn copy_contents(original: &File, copy: &File, _size: u64) -> io::Result<()> {
    by_library(original, copy)
}

fn by_library(mut original: &File, mut copy: &File) -> io::Result<()> {
    io::copy(&mut original, &mut copy).map(drop)
}

fn copy_folder_mode(from: &Path, to: &Path, modes: Modes) -> Result<(), StoreError> {
    let mode = match modes {
        Modes::Kept => fs::metadata(from).during("look at", from)?.mode() & 0o777,
        Modes::Writable => 0o755,
    };
    fs::set_permissions(to, fs::Permissions::from_mode(mode)).during("set the mode of", to)
}
