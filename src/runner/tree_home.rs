//! What provisioning asks of the store: trees by digest, room for a new one.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::digest::{Digest, Hasher};
use crate::reapi::{self, Directory, DirectoryNode, FileNode, SymlinkNode};

/// Where provisioned trees are kept.
pub trait TreeHome: Sync {
    /// The folder of a tree that is there and unharmed.
    fn tree(&self, digest: &Digest) -> io::Result<Option<PathBuf>>;
    /// Takes over the folder and all in it; returns its digest.
    fn adopt(&self, folder: &Path) -> io::Result<Digest>;
    /// A folder for temporary files, on the disk of the trees.
    fn scratch(&self) -> io::Result<PathBuf>;
    /// Waits until no other process works under this name; works until dropped.
    fn lock(&self, name: &str) -> io::Result<File>;
}

/// Trees in a plain folder.
#[derive(Debug)]
pub struct FolderHome(pub PathBuf);

impl TreeHome for FolderHome {
    fn tree(&self, digest: &Digest) -> io::Result<Option<PathBuf>> {
        let folder = self.0.join("trees").join(digest.hex());
        Ok(folder.is_dir().then_some(folder))
    }

    fn adopt(&self, folder: &Path) -> io::Result<Digest> {
        let digest = digest_of_folder(folder)?;
        fs::create_dir_all(self.0.join("trees"))?;
        match fs::rename(folder, self.0.join("trees").join(digest.hex())) {
            Err(error) if error.kind() != io::ErrorKind::DirectoryNotEmpty => Err(error),
            _ => Ok(digest),
        }
    }

    fn scratch(&self) -> io::Result<PathBuf> {
        let folder = self.0.join("tmp");
        fs::create_dir_all(&folder)?;
        Ok(folder)
    }

    fn lock(&self, name: &str) -> io::Result<File> {
        fs::create_dir_all(self.0.join("locks"))?;
        let file = File::create(self.0.join("locks").join(name))?;
        file.lock()?;
        Ok(file)
    }
}

/// The digest of the root `Directory` of a folder.
pub fn digest_of_folder(folder: &Path) -> io::Result<Digest> {
    let mut entries = fs::read_dir(folder)?.collect::<Result<Vec<_>, _>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    let mut directory = Directory::default();
    for entry in entries {
        let name = entry.file_name().to_string_lossy().into_owned();
        let kind = entry.file_type()?;
        if kind.is_dir() {
            let digest = digest_of_folder(&entry.path())?;
            directory.directories.push(DirectoryNode {
                name,
                digest: Some(digest.into()),
            });
        } else if kind.is_symlink() {
            let target = fs::read_link(entry.path())?.to_string_lossy().into_owned();
            directory.symlinks.push(SymlinkNode { name, target });
        } else {
            let mut hasher = Hasher::default();
            io::copy(&mut File::open(entry.path())?, &mut hasher)?;
            let is_executable = entry.metadata()?.permissions().mode() & 0o100 != 0;
            directory.files.push(FileNode {
                name,
                digest: Some(hasher.finish().into()),
                is_executable,
            });
        }
    }
    Ok(reapi::encode(&directory).0)
}
