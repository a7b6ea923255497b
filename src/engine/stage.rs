//! Lays an action's root folder on the disk.
//!
//! Files become private copies with one constant time, so that a step can
//! change them and never what another card reads; whole trees become links into
//! the store, which is read-only.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Read, Seek, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Mode, OFlags, Timespec, Timestamps, futimens, symlinkat, utimensat};
use rustix::io::Errno;

use crate::action::{HOST_TOOLS, InputRoot, Node, driver};
use crate::digest::Digest;
use crate::fail_point;

use super::kept::{Kept, KeptFile, Laid};

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
const TIME: Timespec = Timespec {
    tv_sec: 315_619_200,
    tv_nsec: 0,
};

const TIMES: Timestamps = Timestamps {
    last_access: TIME,
    last_modification: TIME,
};

/// Lays `inputs` in the empty or missing folder `root`; returns the trees that
/// it links to. `tree` says where a tree is, `linked` where it will be when the
/// steps look.
///
/// # Errors
///
/// The first file that could not be laid; `root` is then of no use.
#[cfg(test)]
pub(crate) fn stage(
    root: &Path,
    inputs: &InputRoot,
    tree: &dyn Fn(&Digest) -> PathBuf,
    linked: &dyn Fn(&Digest) -> PathBuf,
    host: &[HostProgram],
) -> Result<Vec<PathBuf>, Fault> {
    stage_over(root, Kept::default(), inputs, tree, linked, host).map(|(trees, _)| trees)
}

/// The same in a root of which `kept` is there already; also returns what is
/// needed to use it once more.
///
/// # Errors
///
/// The first file that could not be laid; `root` is then of no use.
pub(crate) fn stage_over(
    root: &Path,
    mut kept: Kept,
    inputs: &InputRoot,
    tree: &dyn Fn(&Digest) -> PathBuf,
    linked: &dyn Fn(&Digest) -> PathBuf,
    host: &[HostProgram],
) -> Result<(Vec<PathBuf>, Laid), Fault> {
    let at = |path: &Path| {
        let path = path.to_owned();
        move |source| Fault { path, source }
    };
    if kept.is_empty() {
        fs::create_dir_all(root).map_err(at(root))?;
    }
    let base = open_folder(root).map_err(at(root))?;
    // The folders of the inputs, which get the one time, and all.
    let mut made: BTreeSet<&str> = BTreeSet::from(["work"]);
    for (path, node) in inputs.iter() {
        let folder = match node {
            Node::Folder => Some(path),
            _ => path.rsplit_once('/').map(|(parent, _)| parent),
        };
        made.extend(folder.into_iter().flat_map(outer_first));
    }
    let folders: BTreeSet<&str> = FOLDERS.into_iter().chain(made.iter().copied()).collect();
    let files = kept_files(inputs);
    // Where a small copy may lie until it is written anew.
    let is_free = |path: &str| match inputs.get(path) {
        None => true,
        Some(Node::File { stamp, .. }) => stamp.size <= SMALL,
        Some(_) => false,
    };
    let left = kept.leave(&base, &folders, &files, is_free);
    left.map_err(at(root))?;
    for folder in &folders {
        if !kept.folders.contains(*folder) {
            make_folder(&base, folder).map_err(at(&root.join(folder)))?;
        }
    }
    let mut trees = Vec::new();
    let (mut copies, mut others) = (Vec::new(), Vec::new());
    for (path, node) in inputs.iter() {
        if files.contains_key(path) {
            continue;
        }
        let laid = match node {
            Node::Folder => continue,
            Node::File {
                origin,
                executable,
                stamp,
                ..
            } => {
                // Where the file is there already, only its contents are wanted.
                let old = stamp.size <= SMALL && kept.rename_spare(&base, path, *executable);
                let laid = copy(origin, stamp.size, &base, path, *executable, old);
                laid.map_err(at(&root.join(path)))?;
                match stamp.size <= SMALL {
                    true => copies.push((path.to_owned(), *executable)),
                    false => others.push(path.to_owned()),
                }
                continue;
            }
            Node::Generated {
                bytes, executable, ..
            } => write(&base, path, bytes, *executable),
            Node::Link { target: text } => link(text, &base, path),
            Node::Tree { digest } => {
                trees.push(tree(digest));
                link(linked(digest), &base, path)
            }
        };
        laid.map_err(at(&root.join(path)))?;
        others.push(path.to_owned());
    }
    for program in host {
        for name in &program.names {
            let path = format!("{HOST_TOOLS}/{name}");
            let link = root.join(&path);
            match symlink(&program.program, &link) {
                // Two tools may be one program.
                Err(error)
                    if error.kind() == io::ErrorKind::AlreadyExists
                        && fs::read_link(&link).is_ok_and(|text| text == program.program) => {}
                made => {
                    made.map_err(at(&link))?;
                    others.push(path);
                }
            }
        }
    }
    for (path, file) in &files {
        if !kept.files.contains_key(*path) {
            write(&base, path, file.bytes, file.executable).map_err(at(&root.join(path)))?;
        }
    }
    kept.drop_spares(&base).map_err(at(root))?;
    // Deepest first: laying a file changes its folder's time.
    for folder in made.iter().rev() {
        let timed = utimensat(&base, *folder, &TIMES, AtFlags::empty());
        timed.map_err(|error| at(&root.join(folder))(error.into()))?;
    }
    let laid = Laid::look(&base, &folders, &files, copies, others).map_err(at(root))?;
    Ok((trees, laid))
}

/// The files below `.mikado` that a root is to have.
fn kept_files(inputs: &InputRoot) -> BTreeMap<&str, KeptFile<'_>> {
    let own = OWN_FILES.map(|path| {
        let file = KeptFile {
            bytes: b"",
            executable: false,
            digest: Digest::of(b""),
        };
        (path, file)
    });
    let generated = inputs.iter().filter_map(|(path, node)| match node {
        Node::Generated {
            bytes,
            executable,
            digest,
        } if path
            .rsplit_once('/')
            .is_some_and(|(in_, _)| in_ == OWN_FOLDER) =>
        {
            let file = KeptFile {
                bytes,
                executable: *executable,
                digest: *digest,
            };
            Some((path, file))
        }
        _ => None,
    });
    own.into_iter().chain(generated).collect()
}

pub(super) fn open_folder(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(rustix::fs::open(path, flags, Mode::empty())?)
}

/// The folder of a root for what is no input.
const OWN_FOLDER: &str = ".mikado";

/// The folders that every root has, each after its parent.
const FOLDERS: [&str; 10] = [
    "work", "out", "tmp", "home", "requires", "fetch", "tools", OWN_FOLDER, HOST_TOOLS, TEMPORARY,
];

/// The files that every root has beside its inputs.
const OWN_FILES: [&str; 2] = [driver::STAGED, driver::STEP];

/// A folder and all that it lies in, the outermost first.
fn outer_first(folder: &str) -> impl Iterator<Item = &str> {
    let ends = folder.match_indices('/').map(|(at, _)| at);
    ends.chain([folder.len()]).map(|end| &folder[..end])
}

fn make_folder(base: &OwnedFd, path: &str) -> io::Result<()> {
    match rustix::fs::mkdirat(base, path, Mode::from(0o777)) {
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn create(base: &OwnedFd, path: &str, executable: bool) -> io::Result<File> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let mode = if executable { 0o755 } else { 0o644 };
    let file = rustix::fs::openat(base, path, flags, Mode::from(mode))?;
    Ok(file.into())
}

/// Up to this size a file is read and written, which is less work for the
/// kernel than to be asked for a copy.
const SMALL: u64 = 32 * 1024;

/// Copies a file; `old` says that there is one, whose contents are to go.
fn copy(
    origin: &Path,
    size: u64,
    base: &OwnedFd,
    path: &str,
    executable: bool,
    old: bool,
) -> io::Result<()> {
    fail_point::reach("stage.copy")?;
    let mut from = File::open(origin)?;
    let mut to = match old {
        true => {
            let flags = OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            File::from(rustix::fs::openat(base, path, flags, Mode::empty())?)
        }
        false => create(base, path, executable)?,
    };
    if size <= SMALL {
        let mut bytes = Vec::with_capacity(size as usize + 1);
        (&mut from).take(SMALL).read_to_end(&mut bytes)?;
        to.write_all(&bytes)?;
    }
    if size > SMALL || from.stream_position()? >= SMALL {
        // In the kernel, by reflink where the file system has it.
        io::copy(&mut from, &mut to)?;
    }
    if old {
        // Not before it was written: ext4 writes out at once what was cut to nothing.
        let end = to.stream_position()?;
        to.set_len(end)?;
    }
    set_time(&to)
}

fn write(base: &OwnedFd, path: &str, bytes: &[u8], executable: bool) -> io::Result<()> {
    fail_point::reach("stage.write")?;
    let mut file = create(base, path, executable)?;
    if !bytes.is_empty() {
        file.write_all(bytes)?;
    }
    set_time(&file)
}

fn link(text: impl AsRef<Path>, base: &OwnedFd, path: &str) -> io::Result<()> {
    symlinkat(text.as_ref(), base, path)?;
    Ok(utimensat(base, path, &TIMES, AtFlags::SYMLINK_NOFOLLOW)?)
}

fn set_time(file: &File) -> io::Result<()> {
    Ok(futimens(file, &TIMES)?)
}

/// Deletes a folder with all that is in it, whatever modes a step left behind.
/// What can't be deleted stays: the next run sweeps it.
pub(crate) fn clear(root: &Path) {
    match fs::remove_dir_all(root) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {}
        _ => return,
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
    use std::time::{Duration, SystemTime};

    const LAID: Duration = Duration::from_secs(TIME.tv_sec as u64);

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
        assert_eq!(linked.modified().unwrap(), SystemTime::UNIX_EPOCH + LAID);
        let laid = root.join("work/a/b");
        let metadata = laid.metadata().unwrap();
        assert_eq!(metadata.permissions().mode() & 0o777, 0o755);
        assert_eq!(metadata.modified().unwrap(), SystemTime::UNIX_EPOCH + LAID);
        fs::write(&laid, "changed").unwrap();
        assert_eq!(fs::read(&origin).unwrap(), b"text");
        fs::set_permissions(root.join("work/a"), fs::Permissions::from_mode(0o500)).unwrap();
        clear(&root);
        assert!(!root.exists());
    }
}
