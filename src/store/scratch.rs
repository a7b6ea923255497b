//! A scratch folder for each process, in `tmp/` of the store, so that what is
//! made there can be renamed into the store.
//!
//! The process holds a `flock` on its folder. Whoever can get that lock knows
//! that the owner is dead, and may delete the folder. The folder's name says
//! since when its owner has the store open, so the folders are also the list
//! of who uses the store now.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::error::{During as _, StoreError};
use super::lockfile;
use crate::fail_point;

/// This process's scratch folder; deleted when dropped.
#[derive(Debug)]
pub(super) struct Scratch {
    path: PathBuf,
    /// Held open for its lock.
    lock: File,
    next: AtomicU64,
}

impl Scratch {
    /// Makes a folder in `tmp` that no other process will delete.
    pub(super) fn new(tmp: &Path, opened_ms: u64) -> Result<Scratch, StoreError> {
        loop {
            fail_point::reach("scratch.make").during("make a folder in", tmp)?;
            let path = tempfile::Builder::new()
                .prefix(&format!("run-{opened_ms}-"))
                .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o755))
                .tempdir_in(tmp)
                .during("make a folder in", tmp)?
                .keep();
            let folder = match File::open(&path) {
                Ok(folder) => folder,
                // Swept before it was locked.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error).during("open the folder", &path),
            };
            fail_point::reach("scratch.lock").during("lock", &path)?;
            if folder.try_lock().is_ok() && lockfile::is_at(&folder, &path)? {
                return Ok(Scratch {
                    path,
                    lock: folder,
                    next: AtomicU64::new(0),
                });
            }
        }
    }

    /// The folder.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Lets the program that this process becomes hold the folder as well.
    pub(super) fn pass_on(&self) -> std::io::Result<()> {
        rustix::io::fcntl_setfd(&self.lock, rustix::io::FdFlags::empty())?;
        Ok(())
    }

    /// A path in the folder that nothing has yet.
    pub(super) fn fresh(&self, name: &str) -> PathBuf {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        self.path.join(format!("{name}-{number}"))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = remove_all(&self.path);
    }
}

/// Deletes the scratch folders of processes that are dead. Returns what `alive`
/// does.
pub(super) fn sweep(tmp: &Path, own: Option<&Path>) -> Result<Vec<u64>, StoreError> {
    look(tmp, own, remove_all)
}

/// Since when each process but the owner of `own` has had the store open, in
/// milliseconds since 1970, the earliest first; 0 where that is not known.
pub(super) fn alive(tmp: &Path, own: Option<&Path>) -> Result<Vec<u64>, StoreError> {
    look(tmp, own, |_| Ok(()))
}

fn look(
    tmp: &Path,
    own: Option<&Path>,
    on_dead: fn(&Path) -> Result<(), StoreError>,
) -> Result<Vec<u64>, StoreError> {
    let mut alive = Vec::new();
    for entry in fs::read_dir(tmp).during("read the folder", tmp)? {
        let entry = entry.during("read the folder", tmp)?;
        let path = entry.path();
        if own == Some(path.as_path()) {
            continue;
        }
        let Ok(folder) = File::open(&path) else {
            // Just deleted by its owner.
            continue;
        };
        match folder.try_lock() {
            Ok(()) => on_dead(&path)?,
            Err(TryLockError::WouldBlock) => {
                let name = entry.file_name();
                let opened = name.to_str().and_then(|name| name.split('-').nth(1));
                alive.push(opened.and_then(|ms| ms.parse().ok()).unwrap_or(0));
            }
            Err(TryLockError::Error(error)) => return Err(error).during("lock", &path),
        }
    }
    alive.sort_unstable();
    Ok(alive)
}

/// Deletes a folder with folders in it that can't be read or written.
pub(super) fn remove_all(path: &Path) -> Result<(), StoreError> {
    use std::os::unix::fs::PermissionsExt as _;

    fail_point::reach("scratch.delete").during("delete", path)?;
    match fs::remove_dir_all(path) {
        Ok(()) => return Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::NotADirectory => {
            return fs::remove_file(path).during("delete", path);
        }
        Err(_) => {}
    }
    let mut folders = vec![path.to_owned()];
    while let Some(folder) = folders.pop() {
        let _ = fs::set_permissions(&folder, fs::Permissions::from_mode(0o700));
        for entry in fs::read_dir(&folder).during("read the folder", &folder)? {
            let entry = entry.during("read the folder", &folder)?;
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                folders.push(entry.path());
            }
        }
    }
    fs::remove_dir_all(path).during("delete", path)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed step is a failed test")]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn only_the_dead_are_swept() {
        let tmp = tempfile::tempdir().unwrap();
        let alive = Scratch::new(tmp.path(), 17).unwrap();
        let dead = tmp.path().join("run-dead");
        fs::create_dir_all(dead.join("a/b")).unwrap();
        fs::write(dead.join("a/b/file"), "x").unwrap();
        fs::set_permissions(dead.join("a"), fs::Permissions::from_mode(0o000)).unwrap();
        let own = Scratch::new(tmp.path(), 18).unwrap();
        assert_eq!(sweep(tmp.path(), Some(own.path())).unwrap(), [17]);
        assert!(!dead.exists());
        assert!(alive.path().exists() && own.path().exists());
        let path = alive.path().to_owned();
        drop(alive);
        assert!(!path.exists());
    }
}
