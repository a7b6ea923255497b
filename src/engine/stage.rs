//! Lays an action's root folder on the disk.
//!
//! Files become private copies with one constant time, so that a step can
//! change them and never what another card reads; whole trees become links into
//! the store, which is read-only.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, utimensat};

use crate::action::{HOST_TOOLS, InputRoot, Node, driver};
use crate::digest::Digest;
use crate::fail_point;

/// The folder below the root that a confined step has for `/tmp`.
pub(crate) const TEMPORARY: &str = ".mikado/tmp";

/// A program of the machine that the steps find by some names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HostProgram {
    /// The names.
    pub(crate) names: Vec<String>,
    /// The program.
    pub(crate) program: PathBuf,
    /// The folder of its installation.
    pub(crate) prefix: PathBuf,
}

/// Why a root could not be laid.
#[derive(Debug, thiserror::Error)]
#[error("could not lay `{}`: {source}", .path.display())]
pub(crate) struct Fault {
    /// Where.
    pub(crate) path: PathBuf,
    /// Why.
    pub(crate) source: io::Error,
}

/// Every staged file's time: 1980-01-02T00:00:00Z, since zip knows nothing
/// earlier than 1980 in any time zone.
const TIME: Duration = Duration::from_secs(315_619_200);

/// Lays `inputs` in the empty or missing folder `root`; returns the trees that
/// it links to. `tree` says where a tree is, `linked` where it will be when the
/// steps look.
///
/// # Errors
///
/// The first file that could not be laid; `root` is then of no use.
pub(crate) fn stage(
    root: &Path,
    inputs: &InputRoot,
    tree: &dyn Fn(&Digest) -> PathBuf,
    linked: &dyn Fn(&Digest) -> PathBuf,
    host: &[HostProgram],
) -> Result<Vec<PathBuf>, Fault> {
    let at = |path: &Path| {
        let path = path.to_owned();
        move |source| Fault { path, source }
    };
    for folder in [
        "work", "out", "tmp", "home", "requires", "fetch", "tools", HOST_TOOLS, TEMPORARY,
    ] {
        let path = root.join(folder);
        fs::create_dir_all(&path).map_err(at(&path))?;
    }
    let mut folders: BTreeSet<PathBuf> = BTreeSet::from([root.join("work")]);
    let mut trees = Vec::new();
    for (path, node) in inputs.iter() {
        let target = root.join(path);
        let parent = match node {
            Node::Folder => Some(target.as_path()),
            _ => target.parent(),
        };
        if let Some(parent) = parent
            && !folders.contains(parent)
        {
            fs::create_dir_all(parent).map_err(at(parent))?;
            let made = parent.ancestors().take_while(|dir| *dir != root);
            folders.extend(made.map(Path::to_owned));
        }
        match node {
            Node::Folder => {}
            Node::File {
                origin, executable, ..
            } => copy(origin, &target, *executable).map_err(at(&target))?,
            Node::Generated {
                bytes, executable, ..
            } => write(&target, bytes, *executable).map_err(at(&target))?,
            Node::Link { target: text } => link(text, &target).map_err(at(&target))?,
            Node::Tree { digest } => {
                link(linked(digest), &target).map_err(at(&target))?;
                trees.push(tree(digest));
            }
        }
    }
    for program in host {
        for name in &program.names {
            let link = root.join(HOST_TOOLS).join(name);
            match symlink(&program.program, &link) {
                // Two tools may be one program.
                Err(error)
                    if error.kind() == io::ErrorKind::AlreadyExists
                        && fs::read_link(&link).is_ok_and(|text| text == program.program) => {}
                made => made.map_err(at(&link))?,
            }
        }
    }
    for path in [driver::STAGED, driver::STEP] {
        let path = root.join(path);
        write(&path, b"", false).map_err(at(&path))?;
    }
    // Deepest first: laying a file changes its folder's time.
    for folder in folders.iter().rev() {
        set_time(&File::open(folder).map_err(at(folder))?).map_err(at(folder))?;
    }
    Ok(trees)
}

fn mode(executable: bool) -> u32 {
    if executable { 0o755 } else { 0o644 }
}

fn create(path: &Path, executable: bool) -> io::Result<File> {
    let file = File::options()
        .write(true)
        .create_new(true)
        .mode(mode(executable))
        .open(path)?;
    Ok(file)
}

fn copy(origin: &Path, target: &Path, executable: bool) -> io::Result<()> {
    fail_point::reach("stage.copy")?;
    let mut from = File::open(origin)?;
    let mut to = create(target, executable)?;
    // In the kernel, by reflink where the file system has it.
    io::copy(&mut from, &mut to)?;
    set_time(&to)
}

fn write(target: &Path, bytes: &[u8], executable: bool) -> io::Result<()> {
    fail_point::reach("stage.write")?;
    let mut file = create(target, executable)?;
    io::Write::write_all(&mut file, bytes)?;
    set_time(&file)
}

fn link(text: impl AsRef<Path>, target: &Path) -> io::Result<()> {
    symlink(text, target)?;
    let time = Timespec {
        tv_sec: TIME.as_secs() as i64,
        tv_nsec: 0,
    };
    let times = Timestamps {
        last_access: time,
        last_modification: time,
    };
    Ok(utimensat(CWD, target, &times, AtFlags::SYMLINK_NOFOLLOW)?)
}

fn set_time(file: &File) -> io::Result<()> {
    file.set_modified(SystemTime::UNIX_EPOCH + TIME)
}

/// Deletes a folder with all that is in it, whatever modes a step left behind.
/// What can't be deleted stays: the next run sweeps it.
pub(crate) fn clear(root: &Path) {
    if fs::remove_dir_all(root).is_ok() {
        return;
    }
    let mut pending = vec![root.to_owned()];
    while let Some(folder) = pending.pop() {
        // A folder that its owner may not read or change can't be emptied.
        if fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).is_err() {
            continue;
        }
        let entries = fs::read_dir(&folder).into_iter().flatten().flatten();
        pending.extend(
            entries
                .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
                .map(|entry| entry.path()),
        );
    }
    drop(fs::remove_dir_all(root));
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test stops at its first surprise")]
mod tests {
    use super::*;
    use crate::runner::listing::Stamp;

    #[test]
    fn copies_are_private_and_have_one_time() {
        let dir = tempfile::tempdir().unwrap();
        let origin = dir.path().join("origin");
        fs::write(&origin, "text").unwrap();
        let stamp = Stamp::of(&origin.metadata().unwrap());
        let mut inputs = InputRoot::default();
        let node = Node::File {
            digest: Digest::of(b"text"),
            executable: true,
            origin: origin.clone(),
            stamp,
        };
        inputs.insert("work/a/b", node).unwrap();
        inputs
            .insert(
                "requires/x",
                Node::Tree {
                    digest: Digest::of(b""),
                },
            )
            .unwrap();
        let root = dir.path().join("root");
        let (real, seen) = (
            |_: &Digest| dir.path().to_owned(),
            |_: &Digest| "/seen".into(),
        );
        let trees = stage(&root, &inputs, &real, &seen, &[]).unwrap();
        assert_eq!(trees, [dir.path()]);
        assert_eq!(
            fs::read_link(root.join("requires/x")).unwrap(),
            Path::new("/seen")
        );
        let linked = root.join("requires/x").symlink_metadata().unwrap();
        assert_eq!(linked.modified().unwrap(), SystemTime::UNIX_EPOCH + TIME);
        let laid = root.join("work/a/b");
        let metadata = laid.metadata().unwrap();
        assert_eq!(metadata.permissions().mode() & 0o777, 0o755);
        assert_eq!(metadata.modified().unwrap(), SystemTime::UNIX_EPOCH + TIME);
        fs::write(&laid, "changed").unwrap();
        assert_eq!(fs::read(&origin).unwrap(), b"text");
        fs::set_permissions(root.join("work/a"), fs::Permissions::from_mode(0o500)).unwrap();
        clear(&root);
        assert!(!root.exists());
    }
}
