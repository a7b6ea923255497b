//! Giving an artifact to the user: a private copy that may be changed.
//!
//! The copy is made beside the destination and renamed into place, so nobody
//! sees half of it, and what was there before stays until then.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};

use super::Store;
use super::copy::{Modes, copy_tree};
use super::error::{During as _, StoreError};
use super::scratch::remove_all;
use crate::digest::Digest;
use crate::fail_point;

impl Store {
    /// Copies an artifact to `destination`, which must be missing or an empty
    /// folder, unless `force` says to replace what is there. Files become 0644
    /// or 0755, links stay as they are.
    pub fn export(
        &self,
        digest: &Digest,
        destination: &Path,
        force: bool,
    ) -> Result<(), StoreError> {
        if self.is_writable() {
            self.scratch()?;
        }
        let Some(tree) = self.tree(digest)? else {
            return Err(StoreError::NoTree { digest: *digest });
        };
        if self.is_writable() {
            // What was found out by reading all of it is not to be read again.
            self.flush()?;
        }
        let destination = real_path(destination)?;
        let found = what_is_there(&destination)?;
        match found {
            There::Full | There::Other if !force => {
                return Err(StoreError::NotEmpty { path: destination });
            }
            There::Full => self.refuse_precious(&destination)?,
            _ => {}
        }
        match copy_beside(&tree, &destination, found) {
            // The folder that holds it can't be written, or the destination
            // is where a disk is mounted: the copy is made inside.
            Err(error) if found == There::Empty && is_immovable(&error) => {
                copy_inside(&tree, &destination)
            }
            copied => copied,
        }
    }

    /// Refuses to replace what nobody can want replaced by an artifact.
    fn refuse_precious(&self, destination: &Path) -> Result<(), StoreError> {
        let found = if destination.join(".git").exists() {
            "a repository"
        } else if self.folder().starts_with(destination) {
            "the store"
        } else if std::env::home_dir().is_some_and(|home| home.starts_with(destination)) {
            "the home folder"
        } else {
            return Ok(());
        };
        Err(StoreError::Precious {
            path: destination.to_owned(),
            found,
        })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum There {
    Nothing,
    Empty,
    Full,
    /// A file, or something else that is no folder.
    Other,
}

fn what_is_there(path: &Path) -> Result<There, StoreError> {
    match fs::read_dir(path) {
        Ok(mut entries) => Ok(match entries.next() {
            None => There::Empty,
            Some(_) => There::Full,
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(There::Nothing),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => Ok(There::Other),
        Err(error) => Err(error).during("read the folder", path),
    }
}

/// The path without links, so that a link to a folder stays a link.
fn real_path(path: &Path) -> Result<PathBuf, StoreError> {
    match fs::canonicalize(path) {
        Ok(path) => Ok(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            std::path::absolute(path).during("find", path)
        }
        Err(error) => Err(error).during("find", path),
    }
}

fn copy_beside(tree: &Path, destination: &Path, found: There) -> Result<(), StoreError> {
    let folder = destination.parent().unwrap_or(destination);
    fs::create_dir_all(folder).during("make the folder", folder)?;
    let (made, _lock) = new_folder(folder)?;
    let copied = made.path().join("copy");
    copy_tree(tree, &copied, Modes::Writable)?;
    fail_point::reach("export.name").during("move the copy to", destination)?;
    match found {
        There::Nothing | There::Empty => {
            fs::rename(&copied, destination).during("move the copy to", destination)
        }
        There::Full | There::Other => {
            exchange(&copied, destination, &made.path().join("old"))
                .during("move the copy to", destination)?;
            remove_all(&made.keep())
        }
    }
}

/// What the names of folders begin with whose contents are to be renamed.
const PREFIX: &str = ".mikado-export-";

/// A new folder in `folder`, which is locked as long as its maker lives. What
/// dead ones left there is deleted.
fn new_folder(folder: &Path) -> Result<(tempfile::TempDir, File), StoreError> {
    for entry in fs::read_dir(folder).during("read the folder", folder)? {
        let path = entry.during("read the folder", folder)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with(PREFIX)
            && let Ok(opened) = File::open(&path)
            && opened.try_lock().is_ok()
        {
            remove_all(&path)?;
        }
    }
    let made = tempfile::Builder::new()
        .prefix(PREFIX)
        .tempdir_in(folder)
        .during("make a folder in", folder)?;
    let opened = File::open(made.path()).during("open the folder", made.path())?;
    // Where nothing can be locked, nothing is swept.
    let _locked = opened.try_lock();
    Ok((made, opened))
}

/// Puts `new` in the place of `old`, in one step where the system can.
fn exchange(new: &Path, old: &Path, aside: &Path) -> io::Result<()> {
    match renameat_with(CWD, new, CWD, old, RenameFlags::EXCHANGE) {
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => {
            fs::rename(old, aside)?;
            fs::rename(new, old)
        }
        exchanged => Ok(exchanged?),
    }
}

fn copy_inside(tree: &Path, destination: &Path) -> Result<(), StoreError> {
    let (made, _lock) = new_folder(destination)?;
    let copied = made.path().join("copy");
    copy_tree(tree, &copied, Modes::Writable)?;
    for entry in fs::read_dir(&copied).during("read the folder", &copied)? {
        let entry = entry.during("read the folder", &copied)?;
        let to = destination.join(entry.file_name());
        fs::rename(entry.path(), &to).during("move the copy to", &to)?;
    }
    Ok(())
}

fn is_immovable(error: &StoreError) -> bool {
    let StoreError::Io { source, .. } = error else {
        return false;
    };
    matches!(
        source.kind(),
        io::ErrorKind::PermissionDenied
            | io::ErrorKind::ReadOnlyFilesystem
            | io::ErrorKind::ResourceBusy
            | io::ErrorKind::CrossesDevices
    )
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed step is a failed test")]
mod tests {
    use super::*;
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};

    struct World {
        dir: tempfile::TempDir,
        store: Store,
        artifact: Digest,
    }

    fn world() -> World {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("store")).unwrap();
        let out = dir.path().join("out");
        fs::create_dir_all(out.join("bin")).unwrap();
        fs::create_dir(out.join("empty")).unwrap();
        fs::write(out.join("bin/x"), "x").unwrap();
        fs::set_permissions(out.join("bin/x"), fs::Permissions::from_mode(0o755)).unwrap();
        fs::write(out.join("y"), "y").unwrap();
        symlink("bin/x", out.join("link")).unwrap();
        let artifact = store.adopt(&out).unwrap().digest;
        World {
            dir,
            store,
            artifact,
        }
    }

    fn names(path: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(path)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    impl World {
        fn is_right(&self, path: &Path) {
            let tree = self.store.hash_dir(path).unwrap();
            assert_eq!(tree.digest, self.artifact);
            let mode = |name: &str| fs::metadata(path.join(name)).unwrap().mode() & 0o7777;
            assert_eq!(
                (mode("bin/x"), mode("y"), mode("bin"), mode(".")),
                (0o755, 0o644, 0o755, 0o755)
            );
            assert!(
                fs::symlink_metadata(path.join("link"))
                    .unwrap()
                    .is_symlink()
            );
        }
    }

    #[test]
    fn copy_is_writable_and_the_store_untouched() {
        let world = world();
        let to = world.dir.path().join("deep/new place");
        world.store.export(&world.artifact, &to, false).unwrap();
        world.is_right(&to);
        fs::write(to.join("y"), "changed").unwrap();
        let other = Store::open(world.store.folder()).unwrap();
        assert!(other.tree(&world.artifact).unwrap().is_some());
        assert_eq!(names(&world.dir.path().join("deep")), ["new place"]);
    }

    #[test]
    fn only_an_empty_folder_is_taken_without_force() {
        let world = world();
        let to = world.dir.path().join("to");
        fs::create_dir(&to).unwrap();
        world.store.export(&world.artifact, &to, false).unwrap();
        world.is_right(&to);
        fs::write(to.join("mine"), "").unwrap();
        let error = world.store.export(&world.artifact, &to, false).unwrap_err();
        assert!(error.help().contains("--force"), "{error}");
        assert!(to.join("mine").exists());
        world.store.export(&world.artifact, &to, true).unwrap();
        world.is_right(&to);
        assert!(!to.join("mine").exists());
        fs::remove_dir_all(&to).unwrap();
        fs::write(&to, "a file").unwrap();
        world.store.export(&world.artifact, &to, false).unwrap_err();
        world.store.export(&world.artifact, &to, true).unwrap();
        world.is_right(&to);
    }

    #[test]
    fn repository_and_store_are_not_replaced_by_force() {
        let world = world();
        fs::create_dir_all(world.dir.path().join("repo/.git")).unwrap();
        for to in ["repo", "store", "."] {
            let to = world.dir.path().join(to);
            let error = world.store.export(&world.artifact, &to, true).unwrap_err();
            assert!(matches!(error, StoreError::Precious { .. }), "{error}");
        }
    }

    #[test]
    fn link_to_a_folder_stays_a_link() {
        let world = world();
        let (to, link) = (world.dir.path().join("to"), world.dir.path().join("link"));
        fs::create_dir(&to).unwrap();
        symlink(&to, &link).unwrap();
        world.store.export(&world.artifact, &link, false).unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        world.is_right(&to);
    }

    #[test]
    fn copy_is_made_inside_where_the_folder_cannot_be_moved() {
        let world = world();
        let to = world.dir.path().join("to");
        fs::create_dir(&to).unwrap();
        let tree = world.store.tree(&world.artifact).unwrap().unwrap();
        copy_inside(&tree, &to).unwrap();
        world.is_right(&to);
    }

    #[test]
    fn unknown_artifact_is_an_error() {
        let world = world();
        let error = world
            .store
            .export(&Digest::of(b"?"), &world.dir.path().join("to"), true)
            .unwrap_err();
        assert!(matches!(error, StoreError::NoTree { .. }));
    }
}
