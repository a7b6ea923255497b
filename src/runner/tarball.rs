//! Unpacks npm packages.
//!
//! As npm does: the first segment of each name is taken away, and links and
//! devices inside of an archive are left out. No script of a package is run.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use flate2::read::GzDecoder;
use tar::{Archive, EntryType};

use crate::runner::payload::Payload;

/// Unpacks the archive into the folder `root`.
///
/// # Errors
///
/// What is wrong with the archive, in words.
pub(crate) fn unpack(archive: &Path, root: &Path) -> Result<(), String> {
    let file = File::open(archive).map_err(|e| e.to_string())?;
    let mut tar = Archive::new(GzDecoder::new(BufReader::new(file)));
    let mut payload = Payload::new(root);
    let mut empty = true;
    for entry in tar.entries().map_err(|e| e.to_string())? {
        let mut entry = entry.map_err(|e| e.to_string())?;
        if !matches!(
            entry.header().entry_type(),
            EntryType::Regular | EntryType::Continuous
        ) {
            continue;
        }
        let name = entry.path_bytes().into_owned();
        let name =
            String::from_utf8(name).map_err(|_| "it has a name that is not UTF-8".to_owned())?;
        let Some((_, inner)) = name.strip_prefix("./").unwrap_or(&name).split_once('/') else {
            continue;
        };
        let executable = entry.header().mode().is_ok_and(|mode| mode & 0o100 != 0);
        payload
            .write(inner, executable, &mut entry)
            .map_err(|e| format!("`{name}`: {e}"))?;
        empty = false;
    }
    match empty {
        true => Err("it has no files".to_owned()),
        false => Ok(()),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
pub(crate) mod tests {
    use super::*;
    use flate2::{Compression, write::GzEncoder};
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    /// Makes an npm package of `(name, mode, text)`.
    pub(crate) fn tarball(files: &[(&str, u32, &str)]) -> Vec<u8> {
        let mut tar = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
        for (name, mode, text) in files {
            let mut header = tar::Header::new_gnu();
            header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
            header.set_size(text.len() as u64);
            header.set_mode(*mode);
            header.set_cksum();
            tar.append(&header, text.as_bytes()).unwrap();
        }
        tar.into_inner().unwrap().finish().unwrap()
    }

    fn unpacked(bytes: &[u8]) -> (tempfile::TempDir, Result<(), String>) {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("x.tgz"), bytes).unwrap();
        let result = unpack(&folder.path().join("x.tgz"), &folder.path().join("tree"));
        (folder, result)
    }

    #[test]
    fn package_is_unpacked_without_its_first_folder() {
        let (folder, result) = unpacked(&tarball(&[
            ("package/package.json", 0o644, "{}"),
            ("package/bin/x", 0o755, "#!"),
        ]));
        result.unwrap();
        let path = folder.path().join("tree/bin/x");
        assert_eq!(
            fs::metadata(path).unwrap().permissions().mode() & 0o777,
            0o755
        );
        assert!(folder.path().join("tree/package.json").is_file());
    }

    #[test]
    fn names_that_leave_the_folder_are_refused() {
        for name in [
            "package/../evil",
            "package//evil",
            "package/a/../../../evil",
        ] {
            let (folder, result) = unpacked(&tarball(&[(name, 0o644, "x")]));
            assert!(result.is_err(), "{name}");
            assert!(!folder.path().join("evil").exists());
        }
    }

    #[test]
    fn links_are_left_out() {
        let mut tar = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(EntryType::Symlink);
        header.set_size(0);
        tar.append_link(&mut header, "package/link", "/etc")
            .unwrap();
        let mut header = tar::Header::new_gnu();
        header.set_size(1);
        header.set_mode(0o644);
        tar.append_data(&mut header, "package/a", &b"x"[..])
            .unwrap();
        let (folder, result) = unpacked(&tar.into_inner().unwrap().finish().unwrap());
        result.unwrap();
        assert!(fs::symlink_metadata(folder.path().join("tree/link")).is_err());
    }

    #[test]
    fn what_is_no_package_is_refused() {
        assert!(unpacked(b"nonsense").1.is_err());
        assert!(unpacked(&tarball(&[])).1.is_err());
    }
}
