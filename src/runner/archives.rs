//! Downloaded archives on their way into a tree.
//!
//! Whatever a package client says it did, an archive counts only by its own
//! SHA-256. An archive is found by that hash, not by its name, since a mirror may
//! name it otherwise.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use crate::digest::{Digest, Hasher};
use crate::runner::lock::LockedFile;
use crate::runner::tools::ToolFault;

/// The archives below a folder, by digest.
#[derive(Debug, Default)]
pub(crate) struct Archives(BTreeMap<Digest, PathBuf>);

impl Archives {
    /// Hashes every file below `folder`.
    pub(crate) fn read(folder: &Path) -> io::Result<Self> {
        let mut archives = Archives::default();
        archives.add(folder)?;
        Ok(archives)
    }

    fn add(&mut self, folder: &Path) -> io::Result<()> {
        let mut entries = fs::read_dir(folder)?.collect::<Result<Vec<_>, _>>()?;
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            match entry.file_type()?.is_dir() {
                true => self.add(&entry.path())?,
                false => {
                    let mut hasher = Hasher::default();
                    io::copy(&mut File::open(entry.path())?, &mut hasher)?;
                    self.0.insert(hasher.finish(), entry.path());
                }
            }
        }
        Ok(())
    }

    /// All of them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Digest, &Path)> {
        self.0.iter().map(|(digest, path)| (digest, path.as_path()))
    }

    /// The archive that the lock means.
    pub(crate) fn find(&self, file: &LockedFile) -> Result<&Path, ToolFault> {
        let wanted = Digest::from_hex(&file.sha256, file.size);
        if let Some(path) = wanted.and_then(|wanted| self.0.get(&wanted)) {
            return Ok(path);
        }
        let named = |(_, path): &(&Digest, &Path)| {
            path.file_name()
                .is_some_and(|name| name == file.name.as_str())
        };
        Err(ToolFault::Altered {
            file: file.name.clone(),
            wanted: file.sha256.clone(),
            found: self
                .iter()
                .find(named)
                .map_or("no such file".to_owned(), |(digest, _)| digest.hex()),
        })
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn archive_is_found_by_its_hash_and_another_is_named() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("1")).unwrap();
        fs::write(folder.path().join("1/renamed.whl"), "x").unwrap();
        let archives = Archives::read(folder.path()).unwrap();
        let mut file = LockedFile {
            project: "a".into(),
            version: "1".into(),
            name: "a.whl".into(),
            at: None,
            sha256: Digest::of(b"x").hex(),
            size: 1,
        };
        assert_eq!(
            archives.find(&file).unwrap(),
            folder.path().join("1/renamed.whl")
        );
        file.name = "renamed.whl".into();
        file.sha256 = Digest::of(b"y").hex();
        let error = archives.find(&file).unwrap_err().to_string();
        assert!(
            error.contains(&format!(
                "expected sha256 {}, found {}",
                Digest::of(b"y").hex(),
                Digest::of(b"x").hex()
            )),
            "{error}"
        );
    }
}
