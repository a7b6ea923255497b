//! Writes the files of an archive below one folder.
//!
//! Names come from outside, so each is checked: relative, no `..`, no empty
//! segment, nothing but text. Links are never written, so no later file can be
//! led out of the folder by an earlier one. Of the modes only the owner's exec
//! bit counts. A later file replaces an earlier one, as with pip and npm.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::digest::{Digest, Hasher};

/// A folder that is being filled.
pub(crate) struct Payload {
    root: PathBuf,
    last: PathBuf,
    buffer: Vec<u8>,
}

impl Payload {
    /// Fills the folder `root`, which is made with the first file.
    pub(crate) fn new(root: &Path) -> Self {
        Payload {
            root: root.to_owned(),
            last: PathBuf::new(),
            buffer: vec![0; 256 * 1024],
        }
    }

    /// Writes one file and returns the digest of its contents.
    pub(crate) fn write(
        &mut self,
        name: &str,
        executable: bool,
        contents: &mut dyn Read,
    ) -> io::Result<Digest> {
        let path = self.root.join(checked(name)?);
        let mut file = self.create(&path, executable)?;
        let mut hasher = Hasher::default();
        loop {
            match contents.read(&mut self.buffer)? {
                0 => return Ok(hasher.finish()),
                read => {
                    hasher.update(&self.buffer[..read]);
                    file.write_all(&self.buffer[..read])?;
                }
            }
        }
    }

    fn create(&mut self, path: &Path, executable: bool) -> io::Result<File> {
        if let Some(folder) = path.parent()
            && self.last != folder
        {
            fs::create_dir_all(folder)?;
            folder.clone_into(&mut self.last);
        }
        let mode = if executable { 0o755 } else { 0o644 };
        let open = || {
            OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(mode)
                .open(path)
        };
        match open() {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                fs::remove_file(path)?;
                open()
            }
            other => other,
        }
    }
}

/// `name` as a path that stays below the folder it is joined to.
pub(crate) fn checked(name: &str) -> io::Result<&Path> {
    let plain = |part: &str| !matches!(part, "" | "." | "..") && !part.contains(['\0', '\\']);
    match name.split('/').all(plain) {
        true => Ok(Path::new(name)),
        false => Err(io::Error::other(format!(
            "it names `{}`, which is no plain path",
            name.escape_debug()
        ))),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn file_is_written_with_its_exec_bit_and_replaced_by_a_later_one() {
        let folder = tempfile::tempdir().unwrap();
        let mut payload = Payload::new(folder.path());
        let digest = payload.write("a/b", true, &mut &b"one"[..]).unwrap();
        assert_eq!(digest, Digest::of(b"one"));
        let path = folder.path().join("a/b");
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o755
        );
        payload.write("a/b", false, &mut &b"two"[..]).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o644
        );
    }

    proptest! {
        #[test]
        fn checked_names_never_leave_the_folder(name in "(\\.\\.|\\.|a|b|\\\\|/|//){0,8}") {
            if let Ok(path) = checked(&name) {
                prop_assert!(path.components().all(|part| matches!(part, std::path::Component::Normal(_))));
            }
        }
    }
}
