//! Lock files: who works on an action, who writes to the segments, who runs.
//!
//! All are `flock` on a file of `locks/`, so the death of a process frees what
//! it held. A lock file may be deleted by whoever holds its lock; whoever gets
//! a lock therefore looks whether the file is still the one at that path.
//!
//! A file system makes and deletes files slowly, so a process keeps those that it has
//! done with, locked, in its scratch folder: renamed to the name of another
//! lock, such a file is held by it from the moment that it is there. To others
//! that is a file that was made and locked in one step.

use std::fs::{File, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::ops::ControlFlow;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use rustix::fs::{CWD, RenameFlags, renameat_with};
use serde::{Deserialize, Serialize};

use super::error::{During as _, StoreError};
use crate::digest::Digest;
use crate::fail_point;

/// Who holds a lock, for messages.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Holder {
    /// The process; 0 where the holder has not written it yet.
    pub pid: u32,
    /// What for: a card's stem; may be empty.
    pub card: String,
    /// Since when, in milliseconds since 1970.
    pub since_ms: u64,
}

impl Holder {
    /// This process, now, for `card`.
    pub fn this_process(card: &str) -> Holder {
        Holder {
            pid: std::process::id(),
            card: card.to_owned(),
            since_ms: super::now_ms(),
        }
    }
}

/// What only one process may have at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lock {
    /// An action, by its key.
    Action(Digest),
    /// A mutex that runners name, by the digest of its name.
    Group(Digest),
}

impl Lock {
    /// The name of its file.
    pub(super) fn name(&self) -> String {
        match self {
            Lock::Action(key) => key.hex(),
            Lock::Group(name) => format!("group-{}", name.hex()),
        }
    }
}

/// A lock that this process alone has, until this is dropped.
#[derive(Debug)]
pub struct ActionLock {
    /// Held open: closing it frees the lock. There until this is dropped.
    file: Option<File>,
    path: PathBuf,
    /// Where the file goes when the lock is freed, if not away.
    spares: Option<Arc<Spares>>,
}

/// Lock files that this process has done with, and holds.
#[derive(Debug)]
pub(super) struct Spares {
    /// Where they lie: the process's scratch folder.
    folder: PathBuf,
    files: Mutex<Named>,
}

#[derive(Debug, Default)]
struct Named {
    idle: Vec<(File, PathBuf)>,
    /// How many names there were.
    count: u64,
}

impl Spares {
    /// None yet, in the scratch folder of this process.
    pub(super) fn new(folder: PathBuf) -> Arc<Spares> {
        let files = Mutex::default();
        Arc::new(Spares { folder, files })
    }

    /// A spare file as the lock at `path`; `None` where one is there, or it
    /// can't be made so.
    fn renamed(self: &Arc<Spares>, path: &Path, text: &str) -> io::Result<Option<ActionLock>> {
        let Some((file, name)) = super::hold(&self.files).idle.pop() else {
            return Ok(None);
        };
        fail_point::reach("lock.holder")?;
        file.write_all_at(text.as_bytes(), 0)?;
        if file.metadata()?.len() != text.len() as u64 {
            file.set_len(text.len() as u64)?;
        }
        // Not where it would take the place of another's.
        match renameat_with(CWD, &name, CWD, path, RenameFlags::NOREPLACE) {
            Ok(()) => Ok(Some(ActionLock {
                file: Some(file),
                path: path.to_owned(),
                spares: Some(self.clone()),
            })),
            Err(_) => {
                super::hold(&self.files).idle.push((file, name));
                Ok(None)
            }
        }
    }

    /// Takes `file`, which lies at `path`, away to be used again; it stays locked.
    fn take(&self, file: &mut Option<File>, path: &Path) -> io::Result<()> {
        let mut files = super::hold(&self.files);
        let name = self.folder.join(format!("lock-{}", files.count));
        std::fs::rename(path, &name)?;
        files.count += 1;
        files.idle.extend(file.take().map(|file| (file, name)));
        Ok(())
    }
}

impl Drop for ActionLock {
    fn drop(&mut self) {
        // Deleted before it is freed; who waits for it sees that and makes a
        // new one. Otherwise there would be one file for each action ever.
        let _ = fail_point::reach("lock.free");
        // Closed after that, whatever comes of it.
        let spared = match &self.spares {
            Some(spares) => spares.take(&mut self.file, &self.path),
            None => Err(io::ErrorKind::Unsupported.into()),
        };
        if spared.is_err() {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// What came of trying to lock an action.
#[derive(Debug)]
pub enum TryLock {
    /// It is ours.
    Acquired(ActionLock),
    /// Somebody else has it.
    Held(Holder),
}

/// Tries to lock the file at `path`.
pub(super) fn try_lock(
    path: &Path,
    holder: &Holder,
    spares: Option<&Arc<Spares>>,
) -> Result<TryLock, StoreError> {
    let text = serde_json::to_string(holder).unwrap_or_default();
    if let Some(spares) = spares
        && let Some(lock) = spares.renamed(path, &text).during("write", path)?
    {
        return Ok(TryLock::Acquired(lock));
    }
    loop {
        let mut file = open(path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(TryLock::Held(read_holder(&mut file))),
            Err(TryLockError::Error(error)) => return Err(error).during("lock", path),
        }
        if !is_at(&file, path)? {
            continue;
        }
        fail_point::reach("lock.holder").during("write", path)?;
        file.set_len(0).during("write", path)?;
        file.write_all(text.as_bytes()).during("write", path)?;
        return Ok(TryLock::Acquired(ActionLock {
            file: Some(file),
            path: path.to_owned(),
            spares: spares.cloned(),
        }));
    }
}

/// Locks the file at `path`; while another holds it, `wait` is asked every few
/// milliseconds whether to go on waiting. `None` if it said no.
pub(super) fn lock(
    path: &Path,
    holder: &Holder,
    spares: Option<&Arc<Spares>>,
    mut wait: impl FnMut(&Holder) -> ControlFlow<()>,
) -> Result<Option<ActionLock>, StoreError> {
    // A blocking flock could not be given up, so it is asked for again and
    // again: soon at first, since most holders are about to finish.
    let mut pause = Duration::from_millis(1);
    loop {
        match try_lock(path, holder, spares)? {
            TryLock::Acquired(lock) => return Ok(Some(lock)),
            TryLock::Held(other) => {
                if wait(&other).is_break() {
                    return Ok(None);
                }
            }
        }
        thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(20));
    }
}

/// Waits for a lock that is only ever held for a moment, alone or shared.
pub(super) fn lock_briefly(path: &Path, shared: bool) -> Result<File, StoreError> {
    let file = open(path)?;
    let result = match shared {
        true => file.lock_shared(),
        false => file.lock(),
    };
    result.during("lock", path)?;
    Ok(file)
}

/// Opens a lock file, making it where it is missing.
fn open(path: &Path) -> Result<File, StoreError> {
    fail_point::reach("lock.open").during("open the lock", path)?;
    File::options()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .open(path)
        .during("open the lock", path)
}

/// Whether `file` is what lies at `path` now.
pub(super) fn is_at(file: &File, path: &Path) -> Result<bool, StoreError> {
    let ours = file.metadata().during("look at", path)?;
    match std::fs::metadata(path) {
        Ok(there) => Ok((there.dev(), there.ino()) == (ours.dev(), ours.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error).during("look at", path),
    }
}

/// Who holds a lock; a default where it has not been written yet.
pub(super) fn read_holder(file: &mut File) -> Holder {
    let mut text = String::new();
    let _ = file.read_to_string(&mut text);
    serde_json::from_str(&text).unwrap_or_default()
}

/// Deletes the lock files that outlived their holders.
pub(super) fn sweep(folder: &Path) -> Result<(), StoreError> {
    for entry in std::fs::read_dir(folder).during("read the folder", folder)? {
        let path = entry.during("read the folder", folder)?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        let is_one = name.is_some_and(|name| {
            let hex = name.strip_prefix("group-").unwrap_or(name);
            Digest::from_hex(hex, 0).is_some()
        });
        if is_one && let TryLock::Acquired(lock) = try_lock(&path, &Holder::default(), None)? {
            drop(lock);
        }
    }
    Ok(())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed step is a failed test")]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn second_holder_is_told_of_the_first() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let first = Holder::this_process("go-server");
        let TryLock::Acquired(lock) = try_lock(&path, &first, None).unwrap() else {
            panic!("the lock is free");
        };
        let TryLock::Held(holder) = try_lock(&path, &Holder::this_process("x"), None).unwrap()
        else {
            panic!("the lock is held");
        };
        assert_eq!(holder, first);
        drop(lock);
        assert!(!path.exists());
        assert!(matches!(
            try_lock(&path, &first, None).unwrap(),
            TryLock::Acquired(_)
        ));
    }

    #[test]
    fn waiting_can_be_given_up() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let holder = Holder::this_process("a");
        let _held = try_lock(&path, &holder, None).unwrap();
        let mut asked = 0;
        let lock = lock(&path, &holder, None, |other| {
            assert_eq!(other.card, "a");
            asked += 1;
            match asked {
                3 => ControlFlow::Break(()),
                _ => ControlFlow::Continue(()),
            }
        });
        assert!(lock.unwrap().is_none());
        assert_eq!(asked, 3);
    }

    #[test]
    fn a_file_is_used_again_for_another_lock_and_is_never_free_between() {
        let dir = tempfile::tempdir().unwrap();
        let (one, two) = (dir.path().join("one"), dir.path().join("two"));
        let spares = Spares::new(dir.path().to_owned());
        let take = |path: &Path, holder: &Holder| match try_lock(path, holder, Some(&spares)) {
            Ok(TryLock::Acquired(lock)) => lock,
            other => panic!("{other:?}"),
        };
        let long = take(&one, &Holder::this_process("a card with a long name"));
        let inode = one.metadata().unwrap().ino();
        // Who came while it was held, and asks again when it is not.
        let mut waits = File::open(&one).unwrap();
        drop(long);
        assert!(!one.exists());
        assert!(waits.try_lock().is_err());
        let short = Holder::this_process("b");
        let lock = take(&two, &short);
        assert_eq!(two.metadata().unwrap().ino(), inode);
        assert_eq!(read_holder(&mut waits), short);
        assert!(matches!(try_lock(&two, &short, None), Ok(TryLock::Held(held)) if held == short));
        // One that is held by another is not replaced.
        let other = try_lock(&one, &short, None).unwrap();
        drop(lock);
        assert!(matches!(
            try_lock(&one, &short, Some(&spares)),
            Ok(TryLock::Held(_))
        ));
        drop(other);
        let lock = take(&one, &short);
        assert_eq!(one.metadata().unwrap().ino(), inode);
        drop(lock);
        // What a dead process left is no hindrance.
        std::fs::write(&two, "left").unwrap();
        drop(take(&two, &short));
        assert!(!two.exists());
    }

    #[test]
    fn never_two_hold_one_lock() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let (inside, times) = (AtomicUsize::new(0), AtomicUsize::new(0));
        thread::scope(|scope| {
            for number in 0..8 {
                let spares = (number % 2 == 0).then(|| {
                    let folder = dir.path().join(number.to_string());
                    std::fs::create_dir(&folder).unwrap();
                    Spares::new(folder)
                });
                let (path, inside, times) = (&path, &inside, &times);
                scope.spawn(move || {
                    for _ in 0..20 {
                        let holder = Holder::this_process("a");
                        let lock =
                            lock(
                                path,
                                &holder,
                                spares.as_ref(),
                                |_| ControlFlow::Continue(()),
                            )
                            .unwrap();
                        assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                        thread::yield_now();
                        inside.fetch_sub(1, Ordering::SeqCst);
                        times.fetch_add(1, Ordering::SeqCst);
                        drop(lock);
                    }
                });
            }
        });
        assert_eq!(times.into_inner(), 160);
    }
}
