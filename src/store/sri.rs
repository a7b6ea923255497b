//! Hashes of whole folders in the form in which people's build files carry
//! them: `sha256-` and base64, as in Subresource Integrity and in Nix.
//!
//! The hash is that of the folder's Nix archive: names in byte order, the
//! owner's exec bit, contents and link texts, no times and no owners. Values
//! such as `vendorHash` are compared with it unchanged.
//! Format: E. Dolstra, The Purely Functional Software Deployment Model, 2006,
//! figure 5.2.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

use super::error::{During as _, StoreError};

/// A SHA-256 in Subresource Integrity form: `sha256-` and base64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Sri(pub [u8; 32]);

/// What is wrong with a text that should be a hash.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a hash: expected `sha256-` and 44 characters of base64{found}")]
pub struct NoSri {
    text: String,
    /// What the text looks like, if that is known, with its comma.
    found: &'static str,
}

impl fmt::Display for Sri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256-{}", STANDARD.encode(self.0))
    }
}

impl FromStr for Sri {
    type Err = NoSri;

    fn from_str(text: &str) -> Result<Sri, NoSri> {
        let text = text.trim();
        let wrong = |found| NoSri {
            text: text.to_owned(),
            found,
        };
        let Some(base64) = text.strip_prefix("sha256-") else {
            return Err(wrong(match text.split_once(['-', ':']) {
                Some(("sha1" | "sha512" | "sha384" | "md5", _)) => ", found another function",
                Some(("sha256", _)) => {
                    ", found the older form with a colon (`nix hash to-sri` converts it)"
                }
                _ if text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit()) => {
                    ", found hexadecimal"
                }
                _ => "",
            }));
        };
        let bytes = STANDARD.decode(base64).map_err(|_| wrong(""))?;
        Ok(Sri(bytes.try_into().map_err(|_| wrong(""))?))
    }
}

/// The hash of the Nix archive of a folder, a file or a link.
pub fn nar_hash(path: &Path) -> Result<Sri, StoreError> {
    let mut archive = Archive(Sha256::new());
    archive.text(b"nix-archive-1");
    archive.node(path)?;
    Ok(Sri(archive.0.finalize().into()))
}

/// A Nix archive of which only the hash is wanted.
struct Archive(Sha256);

impl Archive {
    fn length(&mut self, length: u64) {
        self.0.update(length.to_le_bytes());
    }

    /// Zeros up to a multiple of eight bytes.
    fn pad(&mut self, length: u64) {
        self.0
            .update(&[0; 8][..(length.wrapping_neg() % 8) as usize]);
    }

    fn text(&mut self, bytes: &[u8]) {
        self.length(bytes.len() as u64);
        self.0.update(bytes);
        self.pad(bytes.len() as u64);
    }

    fn texts(&mut self, texts: &[&[u8]]) {
        texts.iter().for_each(|text| self.text(text));
    }

    fn node(&mut self, path: &Path) -> Result<(), StoreError> {
        let meta = fs::symlink_metadata(path).during("look at", path)?;
        self.texts(&[b"(", b"type"]);
        if meta.is_dir() {
            self.folder(path)?;
        } else if meta.is_symlink() {
            let target = fs::read_link(path).during("read the link", path)?;
            let target = target.as_os_str().as_bytes();
            self.texts(&[b"symlink", b"target", target]);
        } else if meta.is_file() {
            self.text(b"regular");
            if meta.mode() & 0o100 != 0 {
                self.texts(&[b"executable", b""]);
            }
            self.contents(path, meta.len())?;
        } else {
            return Err(StoreError::OddEntry {
                path: path.to_owned(),
                found: super::scan::kind(&meta),
            });
        }
        self.text(b")");
        Ok(())
    }

    fn folder(&mut self, path: &Path) -> Result<(), StoreError> {
        self.text(b"directory");
        let mut names = Vec::new();
        for entry in fs::read_dir(path).during("read the folder", path)? {
            names.push(entry.during("read the folder", path)?.file_name());
        }
        names.sort_unstable_by(|a, b| a.as_bytes().cmp(b.as_bytes()));
        for name in names {
            self.texts(&[b"entry", b"(", b"name", name.as_bytes(), b"node"]);
            self.node(&path.join(&name))?;
            self.text(b")");
        }
        Ok(())
    }

    /// Streams a file, whose length comes before it.
    fn contents(&mut self, path: &Path, length: u64) -> Result<(), StoreError> {
        self.text(b"contents");
        self.length(length);
        let mut file = File::open(path).during("open", path)?;
        let mut buffer = vec![0; 128 * 1024];
        let mut left = length;
        loop {
            match file.read(&mut buffer) {
                Ok(0) if left == 0 => break,
                Ok(n) if n > 0 && n as u64 <= left => {
                    self.0.update(&buffer[..n]);
                    left -= n as u64;
                }
                Ok(_) => {
                    return Err(StoreError::Moved {
                        path: path.to_owned(),
                    });
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error).during("read", path),
            }
        }
        self.pad(length);
        Ok(())
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed step is a failed test")]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    // The values were computed by a Python script of 20 lines that shares
    // nothing with this code; the first is also Nix's own for an empty folder.

    #[test]
    fn empty_folder_has_the_hash_that_nix_gives() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(
            nar_hash(dir.path()).unwrap().to_string(),
            "sha256-pQpattmS9VmO3ZIQUFn66az8GSmB4IvYhTTCFn6SUmo="
        );
    }

    #[test]
    fn folder_with_executables_links_and_odd_names_has_its_hash() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::create_dir(at("bin")).unwrap();
        fs::create_dir(at("none")).unwrap();
        let files: [(&str, &[u8]); 6] = [
            ("README.md", b"hello\n"),
            ("bin/run", b"#!/bin/sh\n"),
            ("eight", b"12345678"),
            ("empty", b""),
            ("Z", b"z"),
            ("ä", b"a"),
        ];
        for (name, bytes) in files {
            fs::write(at(name), bytes).unwrap();
        }
        // Neither the write bits nor the group's exec bit count.
        fs::set_permissions(at("bin/run"), fs::Permissions::from_mode(0o700)).unwrap();
        fs::set_permissions(at("Z"), fs::Permissions::from_mode(0o474)).unwrap();
        symlink("../README.md", at("bin/readme")).unwrap();
        assert_eq!(
            nar_hash(dir.path()).unwrap().to_string(),
            "sha256-GBeKoWwbWfDZSsLCHsFY2YEknCt4i0er39LzHl6PZhM="
        );
        assert_eq!(
            nar_hash(&at("README.md")).unwrap().to_string(),
            "sha256-HDfQGvQL4ugGkd48w99EN3ppmvuxfGjwgJZLL9Bx/BM="
        );
    }

    #[test]
    fn file_longer_than_a_buffer_has_its_hash() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("big");
        let bytes: Vec<u8> = (0..300_001u32).map(|n| (n % 251) as u8).collect();
        fs::write(&path, bytes).unwrap();
        assert_eq!(
            nar_hash(&path).unwrap().to_string(),
            "sha256-06uODFxBDZ9CZ5GMLLsK25URazRZGFJ5y64Aca6UaII="
        );
    }

    #[test]
    fn text_form_is_read_back_and_other_forms_are_named() {
        let text = "sha256-bdILiCQgDuzp+VJDVW3z2JxTtxlHkm9tmMHiA/Sx6ts=";
        assert_eq!(text.parse::<Sri>().unwrap().to_string(), text);
        let said = |text: &str| text.parse::<Sri>().unwrap_err().to_string();
        assert!(said("sha512-AAAA").contains("another function"));
        assert!(said("sha256:0mdq").contains("colon"));
        assert!(said(&"0a".repeat(32)).contains("hexadecimal"));
        for wrong in ["", "sha256-", "sha256-abc=", "sha256-AAAA"] {
            assert!(said(wrong).contains("expected"), "{wrong}");
        }
    }
}
