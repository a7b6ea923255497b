//! What of an action's root is used again by the next one.
//!
//! Making and deleting the folders that every root has would cost a short card
//! more than most else, and ext4 finds a new inode slowly where many were just deleted.
//! So when an action is over, its folders stay, with mikado's own files and small copies to
//! be written anew, as far as they are untouched: each still has the inode and the change time that it had before
//! the steps began. The kernel changes that time with every entry, mode, owner
//! and attribute, and no program can set it back. Where the file system's
//! times are too coarse to tell two changes apart, nothing is used again.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, StatxFlags, mkdir, renameat, rmdir, statx, unlinkat};
use rustix::io::Errno;

use crate::digest::Digest;

use super::stage::{clear, open_folder};

/// What is left of a root: what all of it is, and nothing else is in it.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    /// Folders, by their path below the root.
    pub(super) folders: BTreeSet<String>,
    /// Files, with what is in them.
    pub(super) files: BTreeMap<String, Contents>,
    /// Files to be written anew under any name, and whether they may be executed.
    spares: BTreeMap<String, bool>,
}

/// What is in a file, and whether it may be executed.
type Contents = (Digest, bool);

/// A file that may stay.
pub(super) struct KeptFile<'a> {
    /// Its contents.
    pub(super) bytes: &'a [u8],
    /// Whether it may be executed.
    pub(super) executable: bool,
    /// The digest of its contents.
    pub(super) digest: Digest,
}

/// How a file or folder was when all was laid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Mark {
    inode: u64,
    changed: (i64, u32),
}

/// A root that was laid, as it was before the steps began.
#[derive(Debug)]
pub(crate) struct Laid {
    root: Mark,
    folders: BTreeMap<String, Mark>,
    files: BTreeMap<String, (Mark, Contents)>,
    /// Small copies, and whether they may be executed.
    copies: Vec<(String, Mark, bool)>,
    /// Paths of everything else.
    others: Vec<String>,
}

impl Kept {
    /// Whether there is nothing, and so no root.
    pub(super) fn is_empty(&self) -> bool {
        self.folders.is_empty()
    }

    /// Deletes what a root that has these folders and files does not want.
    pub(super) fn leave(
        &mut self,
        base: &OwnedFd,
        folders: &BTreeSet<&str>,
        files: &BTreeMap<&str, KeptFile<'_>>,
        is_free: impl Fn(&str) -> bool,
    ) -> io::Result<()> {
        let mut failed = Ok(());
        let mut delete = |path: &str, flags| {
            if let Err(error) = unlinkat(base, path, flags) {
                failed = Err(error.into());
            }
            false
        };
        self.files.retain(|path, contents| {
            let wanted = files.get(path.as_str());
            wanted.is_some_and(|file| (file.digest, file.executable) == *contents)
                || delete(path, AtFlags::empty())
        });
        self.spares.retain(|path, _| {
            let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
            (folders.contains(parent) && !folders.contains(path.as_str()) && is_free(path))
                || delete(path, AtFlags::empty())
        });
        // What is in a folder comes after it, and goes before it.
        let unwanted = self.folders.iter().rev();
        let unwanted: Vec<String> = unwanted
            .filter(|folder| !folders.contains(folder.as_str()))
            .cloned()
            .collect();
        for folder in unwanted {
            delete(&folder, AtFlags::REMOVEDIR);
            self.folders.remove(&folder);
        }
        failed
    }

    /// Gives a file that may be written anew the name `path`, in the place of
    /// another such file; false where there is none, and then nothing is there.
    pub(super) fn rename_spare(&mut self, base: &OwnedFd, path: &str, executable: bool) -> bool {
        let there = self.spares.remove(path);
        if there == Some(executable) {
            return true;
        }
        let suits = self.spares.iter().find(|(_, is)| **is == executable);
        let Some(from) = suits.map(|(from, _)| from.clone()) else {
            if there.is_some() {
                let _ = unlinkat(base, path, AtFlags::empty());
            }
            return false;
        };
        self.spares.remove(&from);
        let renamed = renameat(base, &from, base, path).is_ok();
        if !renamed {
            let _ = unlinkat(base, &from, AtFlags::empty());
        }
        renamed
    }

    /// Deletes the files that nothing was written to.
    pub(super) fn drop_spares(self, base: &OwnedFd) -> io::Result<()> {
        for path in self.spares.into_keys() {
            unlinkat(base, path, AtFlags::empty())?;
        }
        Ok(())
    }
}

impl Laid {
    /// Looks at what was laid, for the last time before the steps.
    pub(super) fn look(
        base: &OwnedFd,
        folders: &BTreeSet<&str>,
        files: &BTreeMap<&str, KeptFile<'_>>,
        copies: Vec<(String, bool)>,
        others: Vec<String>,
    ) -> io::Result<Laid> {
        let copies = copies.into_iter().map(|(path, executable)| {
            let mark = mark(base, &path)?;
            Ok((path, mark, executable))
        });
        let folders = folders.iter().map(|&path| {
            let mark = mark(base, path)?;
            Ok((path.to_owned(), mark))
        });
        let files = files.iter().map(|(&path, file)| {
            let contents = (file.digest, file.executable);
            Ok((path.to_owned(), (mark(base, path)?, contents)))
        });
        Ok(Laid {
            root: mark(base, "")?,
            folders: folders.collect::<io::Result<_>>()?,
            files: files.collect::<io::Result<_>>()?,
            copies: copies.collect::<io::Result<_>>()?,
            others,
        })
    }

    /// Whether the folder of the root is as it was: to be asked before anything
    /// is taken out of it.
    pub(super) fn is_whole(&self, root: &Path) -> bool {
        open_folder(root)
            .and_then(|base| mark(&base, ""))
            .is_ok_and(|now| now == self.root)
    }

    /// Empties a root that was whole before its `out` was taken, for the next action.
    /// Where that fails it is not to be used again.
    pub(super) fn empty(mut self, root: &Path) -> io::Result<Kept> {
        self.folders.remove("out");
        let base = open_folder(root)?;
        let mut kept = Kept::default();
        // Each folder after the one that it lies in: as that one is untouched,
        // no link leads elsewhere.
        let stands = |kept: &Kept, path: &str| {
            let parent = path.rsplit_once('/').map(|(parent, _)| parent);
            parent.is_none_or(|parent| kept.folders.contains(parent))
        };
        for (path, then) in self.folders {
            if !stands(&kept, &path) {
                continue;
            }
            if mark(&base, &path).is_ok_and(|now| now == then) {
                kept.folders.insert(path);
            } else {
                let changed = root.join(&path);
                clear(&changed);
                // A link or a file in its place.
                match unlinkat(&base, &path, AtFlags::empty()) {
                    Ok(()) | Err(Errno::NOENT) => {}
                    Err(error) => return Err(error.into()),
                }
            }
        }
        for path in self.others {
            if stands(&kept, &path) {
                unlinkat(&base, &path, AtFlags::empty())?;
            }
        }
        // A file that is not goes.
        let is_untouched = |path: &str, then: Mark| -> io::Result<bool> {
            let untouched = mark(&base, path)? == then;
            if !untouched {
                unlinkat(&base, path, AtFlags::empty())?;
            }
            Ok(untouched)
        };
        for (path, then, executable) in self.copies {
            if !stands(&kept, &path) {
                continue;
            }
            if is_untouched(&path, then)? {
                kept.spares.insert(path, executable);
            }
        }
        for (path, (then, contents)) in self.files {
            if !stands(&kept, &path) {
                continue;
            }
            if is_untouched(&path, then)? {
                kept.files.insert(path, contents);
            }
        }
        Ok(kept)
    }
}

fn mark(base: &OwnedFd, path: &str) -> io::Result<Mark> {
    let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::EMPTY_PATH;
    let now = statx(base, path, flags, StatxFlags::INO | StatxFlags::CTIME)?;
    Ok(Mark {
        inode: now.stx_ino,
        changed: (now.stx_ctime.tv_sec, now.stx_ctime.tv_nsec),
    })
}

/// Whether two changes of a folder below `scratch` always have two times, however soon
/// the second comes, if the first was looked at.
pub(super) fn tells_changes_apart(scratch: &Path) -> bool {
    let (tried, inside) = (scratch.join("times"), scratch.join("times/inside"));
    let look = || open_folder(&tried).and_then(|folder| mark(&folder, ""));
    let changes = || -> io::Result<bool> {
        let mut differ = true;
        let mut last = look()?;
        // A coarse clock may go on once meanwhile.
        for _ in 0..4 {
            mkdir(&inside, 0o700.into())?;
            let made = look()?;
            rmdir(&inside)?;
            let gone = look()?;
            differ &= made != last && gone != made;
            last = gone;
        }
        Ok(differ)
    };
    let differ = mkdir(&tried, 0o700.into()).is_ok() && changes().unwrap_or(false);
    let _ = unlinkat(CWD, &tried, AtFlags::REMOVEDIR);
    differ
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test stops at its first surprise")]
mod tests {
    use super::*;
    use crate::action::{InputRoot, Node};
    use crate::engine::stage::stage_over;
    use crate::runner::listing::Stamp;
    use std::fs;
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
    use std::path::PathBuf;

    /// Its name, what it does to a root, and whether the root is used again.
    type Touch<'a> = (&'a str, &'a dyn Fn(&Path), bool);

    /// The inputs of two actions that have some paths in common.
    fn inputs(origins: &Path, second: bool) -> InputRoot {
        let mut inputs = InputRoot::default();
        let mut copy = |path: &str, text: &[u8], executable| {
            let name = format!("{second}-{}", path.replace('/', "-"));
            let origin = origins.join(name);
            fs::write(&origin, text).unwrap();
            let node = Node::File {
                digest: Digest::of(text),
                executable,
                stamp: Stamp::of(&origin.metadata().unwrap()),
                origin,
            };
            inputs.insert(path, node).unwrap();
        };
        let large = vec![b'x'; 40_000];
        match second {
            false => {
                copy("work/in/long", b"a long text", false);
                copy("work/in/same", b"1", false);
                copy("work/in/program", b"#!", true);
                copy("work/in/grows", b"small", false);
                copy("work/in/shrinks", &large, false);
                copy("work/in/folder", b"a file here, a folder there", false);
                copy("work/gone/x", b"its folder goes", false);
                copy("work/made", b"a copy here, generated there", false);
            }
            true => {
                copy("work/in/early", b"short", false);
                copy("work/in/empty", b"", false);
                copy("work/in/same", b"2", true);
                copy("work/in/program", b"text", false);
                copy("work/in/grows", &large, false);
                copy("work/in/shrinks", b"small", false);
                copy("work/in/folder/x", b"x", false);
                copy("work/more", b"in another folder", false);
            }
        }
        let mut lay = |path: &str, text: &str| {
            let node = Node::generated(text.as_bytes().to_vec(), second);
            inputs.insert(path, node).unwrap();
        };
        lay(".mikado/drive", "drive");
        match second {
            false => {
                lay("work/in/a", "a");
                lay("work/b", "a file here, a folder there");
                lay(".mikado/more", "1");
            }
            true => {
                lay("work/in/c", "c");
                lay("work/made", "made");
                lay("work/b/d", "d");
                lay(".mikado/more", "2");
            }
        }
        let link = |target: &str| Node::Link {
            target: target.into(),
        };
        inputs.insert("requires/x", link("x")).unwrap();
        let target = if second { "y" } else { "z" };
        inputs.insert("requires/y", link(target)).unwrap();
        inputs
    }

    fn lay(root: &Path, kept: Kept, second: bool) -> Laid {
        let origins = tempfile::tempdir().unwrap();
        let nowhere = |_: &Digest| PathBuf::new();
        let laid = stage_over(
            root,
            kept,
            &inputs(origins.path(), second),
            &nowhere,
            &nowhere,
            &[],
        );
        laid.unwrap().1
    }

    /// Everything in a folder: path, kind and mode, contents.
    fn listing(folder: &Path) -> Vec<(PathBuf, u32, Vec<u8>)> {
        let mut found = Vec::new();
        let mut folders = vec![folder.to_owned()];
        while let Some(at) = folders.pop() {
            for entry in fs::read_dir(&at).unwrap() {
                let path = entry.unwrap().path();
                let meta = path.symlink_metadata().unwrap();
                let contents = match meta.file_type() {
                    kind if kind.is_symlink() => fs::read_link(&path)
                        .unwrap()
                        .into_os_string()
                        .into_encoded_bytes(),
                    kind if kind.is_dir() => {
                        folders.push(path.clone());
                        Vec::new()
                    }
                    _ => fs::read(&path).unwrap(),
                };
                let path = path.strip_prefix(folder).unwrap().to_owned();
                found.push((path, meta.mode(), contents));
            }
        }
        found.sort();
        found
    }

    /// Lays an action's root, does `touch` to it, and lays another over it.
    fn reused(name: &str, touch: impl FnOnce(&Path)) -> Option<[bool; 4]> {
        let dir = tempfile::tempdir().unwrap();
        let (root, fresh) = (dir.path().join("root"), dir.path().join("fresh"));
        fs::create_dir(dir.path().join("outside")).unwrap();
        fs::write(dir.path().join("outside/file"), "kept").unwrap();
        let laid = lay(&root, Kept::default(), false);
        let inode = |path: &str| root.join(path).symlink_metadata().map_or(0, |m| m.ino());
        let before = ["tmp", "work/in", ".mikado/drive"].map(inode);
        let copies = ["long", "same"].map(|name| inode(&format!("work/in/{name}")));
        // As long as they are open, no other file gets their inodes.
        let names = [
            "tmp",
            "work/in",
            ".mikado/drive",
            "work/in/long",
            "work/in/same",
        ];
        let _open = names.map(|name| fs::File::open(root.join(name)).unwrap());
        touch(&root);
        let is_whole = laid.is_whole(&root);
        fs::rename(root.join("out"), dir.path().join("artifact")).unwrap();
        if !is_whole {
            return None;
        }
        let kept = laid.empty(&root).unwrap();
        lay(&root, kept, true);
        lay(&fresh, Kept::default(), true);
        assert_eq!(listing(&root), listing(&fresh), "{name}");
        let outside = fs::read(dir.path().join("outside/file")).unwrap();
        assert_eq!(outside, b"kept", "{name}");
        let after = ["tmp", "work/in", ".mikado/drive"].map(inode);
        let [tmp, folder, driver] = [0, 1, 2].map(|at| before[at] == after[at]);
        let copied = copies.contains(&inode("work/in/early"));
        Some([tmp, folder, driver, copied])
    }

    #[test]
    fn what_was_not_touched_is_used_again() {
        let dir = tempfile::tempdir().unwrap();
        if !tells_changes_apart(dir.path()) {
            return;
        }
        assert!(!dir.path().join("times").exists());
        let step = |root: &Path| {
            fs::read_dir(root.join("tmp")).unwrap();
            fs::read(root.join(".mikado/drive")).unwrap();
            fs::write(root.join("out/x"), "x").unwrap();
        };
        // The driver of the second may be executed, so it is another file.
        assert_eq!(reused("nothing", step), Some([true, true, false, true]));
    }

    #[test]
    fn the_driver_stays_where_it_is_the_same() {
        let dir = tempfile::tempdir().unwrap();
        if !tells_changes_apart(dir.path()) {
            return;
        }
        let root = dir.path().join("root");
        let laid = lay(&root, Kept::default(), false);
        let inode = || root.join(".mikado/drive").metadata().unwrap().ino();
        let before = inode();
        fs::remove_dir(root.join("out")).unwrap();
        let kept = laid.empty(&root).unwrap();
        let laid = lay(&root, kept, false);
        assert_eq!(inode(), before);
        fs::write(root.join(".mikado/drive"), "other").unwrap();
        fs::remove_dir(root.join("out")).unwrap();
        let kept = laid.empty(&root).unwrap();
        lay(&root, kept, false);
        assert_eq!(fs::read(root.join(".mikado/drive")).unwrap(), b"drive");
    }

    #[test]
    fn whatever_a_step_does_the_next_root_is_like_a_new_one() {
        let dir = tempfile::tempdir().unwrap();
        if !tells_changes_apart(dir.path()) {
            return;
        }
        let mode =
            |path: PathBuf, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode));
        let touches: [Touch<'_>; 14] = [
            (
                "a file in tmp",
                &|root| fs::write(root.join("tmp/x"), "x").unwrap(),
                true,
            ),
            (
                "a folder in home",
                &|root| fs::create_dir_all(root.join("home/a/b")).unwrap(),
                true,
            ),
            (
                "mode of tmp",
                &|root| mode(root.join("tmp"), 0o500).unwrap(),
                true,
            ),
            (
                "mode of home, and within",
                &|root| {
                    fs::create_dir_all(root.join("home/a/b")).unwrap();
                    mode(root.join("home/a"), 0o000).unwrap();
                    mode(root.join("home"), 0o000).unwrap();
                },
                true,
            ),
            (
                "an input changed",
                &|root| fs::write(root.join("work/in/a"), "b").unwrap(),
                true,
            ),
            (
                "modes of inputs",
                &|root| {
                    mode(root.join("work/in/long"), 0o600).unwrap();
                    mode(root.join("work/in/same"), 0o755).unwrap();
                },
                true,
            ),
            (
                "a second name of an input",
                &|root| {
                    fs::hard_link(root.join("work/in/long"), root.join("out/x")).unwrap();
                },
                true,
            ),
            (
                "an input gone",
                &|root| fs::remove_file(root.join("work/in/a")).unwrap(),
                true,
            ),
            (
                "a folder gone",
                &|root| fs::remove_dir_all(root.join("work")).unwrap(),
                false,
            ),
            (
                "made and deleted",
                &|root| {
                    fs::write(root.join("tmp/x"), "x").unwrap();
                    fs::remove_file(root.join("tmp/x")).unwrap();
                },
                true,
            ),
            (
                "a link in its place",
                &|root| {
                    fs::remove_dir_all(root.join("work/in")).unwrap();
                    symlink("../../outside", root.join("work/in")).unwrap();
                },
                true,
            ),
            (
                "a link in a folder",
                &|root| symlink("../../outside", root.join("tmp/x")).unwrap(),
                true,
            ),
            (
                "a second name of the driver",
                &|root| {
                    fs::hard_link(root.join(".mikado/drive"), root.join("tmp/x")).unwrap();
                },
                true,
            ),
            (
                "a file beside",
                &|root| fs::write(root.join("x"), "x").unwrap(),
                false,
            ),
        ];
        for (name, touch, again) in touches {
            assert_eq!(reused(name, touch).is_some(), again, "{name}");
        }
    }
}
