//! Copying trees: out of the store for the user, or into it from another disk.
//!
//! Contents are copied by the kernel (`copy_file_range`, which shares blocks
//! where the file system can); links stay text. Never a hard link: root writes
//! through any mode.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
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
    fs::copy(from, to).during("copy a file to", to)?;
    if modes == Modes::Kept {
        return Ok(());
    }
    let mode = fs::metadata(to).during("look at", to)?.mode();
    let mode = match mode & 0o100 {
        0 => 0o644,
        _ => 0o755,
    };
    fs::set_permissions(to, fs::Permissions::from_mode(mode)).during("set the mode of", to)
}

fn copy_folder_mode(from: &Path, to: &Path, modes: Modes) -> Result<(), StoreError> {
    let mode = match modes {
        Modes::Kept => fs::metadata(from).during("look at", from)?.mode() & 0o777,
        Modes::Writable => 0o755,
    };
    fs::set_permissions(to, fs::Permissions::from_mode(mode)).during("set the mode of", to)
}
