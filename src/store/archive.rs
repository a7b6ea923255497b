//! An artifact with its action's record in one file, for another store.
//!
//! A zstd-compressed tar: `mikado.json` (what this is), `result` (the
//! `ActionResult`), `messages/HEX` (the action, its command and the folders of
//! its own inputs) and `tree/` (the artifact). The same record gives the same
//! bytes: entries are sorted, and time, owner and modes are constant. Nothing in
//! such a file is believed: every message and every file is hashed, and what is
//! taken in has the digests that the record names. What can't be proved is that
//! the action makes this artifact; whoever takes a file in trusts who made it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt as _, symlink};
use std::path::{Path, PathBuf};

use prost::Message as _;
use serde::{Deserialize, Serialize};
use tar::{Archive, Builder, EntryType, Header};

use super::error::{During as _, StoreError};
use super::listing::EntryKind;
use super::results::Provenance;
use super::scan::TREE_TIME;
use super::scratch::remove_all;
use super::{Store, StoredResult};
use crate::digest::Digest;
use crate::reapi::{Action, ActionResult, DigestMessage, Directory};

/// The version of this format.
const FORMAT: u32 = 1;

/// The largest part that is no artifact: larger ones are no record of ours.
const LARGEST: u64 = 64 << 20;

/// How hard it is compressed; part of what makes equal bytes.
const LEVEL: i32 = 3;

/// What is wrong with a file, or with what it should hold.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The file can't be read or written.
    #[error("the archive can't be read or written: {0}")]
    Io(#[from] io::Error),
    /// It is not what it says.
    #[error("the archive is refused: {0}")]
    Refused(String),
}

/// What a file holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Packed {
    /// The version of the format.
    pub format: u32,
    /// The card's stem.
    pub card: String,
    /// The action's digest.
    pub action: Digest,
    /// The artifact's digest.
    pub artifact: Digest,
    /// Where it came from.
    pub provenance: Provenance,
}

fn refused(why: impl Into<String>) -> ArchiveError {
    ArchiveError::Refused(why.into())
}

impl Store {
    /// Writes the artifact of `action` with its record.
    ///
    /// # Errors
    ///
    /// Where the store does not have them, or `out` can't be written.
    pub fn pack(
        &self,
        card: &str,
        action: &Digest,
        out: impl Write,
    ) -> Result<Packed, ArchiveError> {
        let stored = self.lookup(action)?;
        let stored =
            stored.ok_or_else(|| refused(format!("the store has no result for `{card}`")))?;
        let packed = Packed {
            format: FORMAT,
            card: card.to_owned(),
            action: *action,
            artifact: stored.artifact,
            provenance: stored.provenance.clone(),
        };
        let mut zstd = zstd::Encoder::new(out, LEVEL)?;
        zstd.include_checksum(true)?;
        let mut tar = Builder::new(zstd);
        let about = serde_json::to_vec_pretty(&packed).map_err(io::Error::from)?;
        append(&mut tar, "mikado.json", false, &about)?;
        append(&mut tar, "result", false, &stored.result.encode_to_vec())?;
        for (digest, bytes) in self.messages(action)? {
            append(
                &mut tar,
                &format!("messages/{}", digest.hex()),
                false,
                &bytes,
            )?;
        }
        self.append_tree(&mut tar, &stored)?;
        tar.into_inner()?.finish()?.flush()?;
        Ok(packed)
    }

    /// The messages that spell an action out. The folders of tools, fetches and
    /// of what is required stand by their digests: they are artifacts too.
    fn messages(&self, action: &Digest) -> Result<BTreeMap<Digest, Vec<u8>>, ArchiveError> {
        let mut messages = BTreeMap::new();
        let Some(bytes) = self.blob(action)? else {
            return Err(refused("the store has lost the action"));
        };
        let message = Action::decode(bytes.as_slice()).map_err(|e| refused(e.to_string()))?;
        messages.insert(*action, bytes);
        let digest =
            |message: &Option<DigestMessage>| message.as_ref().and_then(DigestMessage::digest);
        let mut keep = |digest: Option<Digest>| -> Result<Option<Vec<u8>>, ArchiveError> {
            let Some(digest) = digest else {
                return Ok(None);
            };
            let bytes = self.blob(&digest)?;
            if let Some(bytes) = &bytes {
                messages.insert(digest, bytes.clone());
            }
            Ok(bytes)
        };
        keep(digest(&message.command_digest))?;
        let mut pending = vec![(digest(&message.input_root_digest), true)];
        while let Some((folder, is_root)) = pending.pop() {
            let Some(bytes) = keep(folder)? else {
                continue;
            };
            let folder = Directory::decode(bytes.as_slice()).map_err(|e| refused(e.to_string()))?;
            for inside in &folder.directories {
                let is_artifact = matches!(
                    inside.name.as_str(),
                    "tools" | "fetch" | "requires" | "artifact"
                );
                if !(is_root && is_artifact) {
                    pending.push((digest(&inside.digest), false));
                }
            }
        }
        Ok(messages)
    }

    fn append_tree<W: Write>(
        &self,
        tar: &mut Builder<W>,
        stored: &StoredResult,
    ) -> Result<(), ArchiveError> {
        let root = self.path_of_tree(&stored.artifact);
        append_folder(tar, "tree/")?;
        for entry in self.entries(&stored.artifact)? {
            let name = format!("tree/{}", entry.path);
            match &entry.kind {
                EntryKind::Folder { .. } => append_folder(tar, &format!("{name}/"))?,
                EntryKind::Link { target } => {
                    let mut header = header(EntryType::Symlink, 0o777, 0);
                    tar.append_link(&mut header, &name, target)?;
                }
                EntryKind::File { digest, executable } => {
                    let path = root.join(&entry.path);
                    let file = File::open(&path).during("read", &path)?;
                    let mut header = header(EntryType::Regular, mode(*executable), digest.size);
                    tar.append_data(&mut header, &name, file.take(digest.size))?;
                }
            }
        }
        Ok(())
    }

    /// Takes a file in: its artifact and its record are durable afterwards.
    ///
    /// # Errors
    ///
    /// Where something in it has another digest than its record names, or the
    /// store can't be written.
    pub fn unpack(&self, input: impl Read) -> Result<Packed, ArchiveError> {
        self.layout.writable("take an artifact in")?;
        let root = self.scratch()?.fresh("import");
        let unpacked = self.unpack_to(input, &root);
        remove_all(&root)?;
        let packed = unpacked?;
        self.flush()?;
        Ok(packed)
    }

    fn unpack_to(&self, input: impl Read, root: &Path) -> Result<Packed, ArchiveError> {
        fs::create_dir(root).during("make the folder", root)?;
        let parts = Parts::read(input, root)?;
        let packed = parts.packed()?;
        let result = parts.result(&packed)?;
        parts.proves(&packed)?;
        let tree = root.join("tree");
        let found = self.hash_dir(&tree)?;
        if found.digest != packed.artifact {
            return Err(refused(format!(
                "its artifact is {}, and its record says {}",
                found.digest.short(),
                packed.artifact.short()
            )));
        }
        self.adopt(&tree)?;
        for bytes in parts.messages.values() {
            self.put_blob(bytes)?;
        }
        self.record(&packed.action, &result, &packed.provenance)?;
        Ok(packed)
    }
}

/// What was read from a file; the artifact lies in a folder.
#[derive(Default)]
struct Parts {
    about: Option<Vec<u8>>,
    result: Option<Vec<u8>>,
    messages: BTreeMap<Digest, Vec<u8>>,
}

impl Parts {
    fn read(input: impl Read, root: &Path) -> Result<Parts, ArchiveError> {
        let mut parts = Parts::default();
        let mut seen = BTreeSet::new();
        // Links come last, so that none leads a file out of the folder.
        let mut links: Vec<(PathBuf, String)> = Vec::new();
        let mut archive = Archive::new(zstd::Decoder::new(input)?);
        for entry in archive.entries()? {
            let mut entry = entry?;
            let name = String::from_utf8(entry.path_bytes().into_owned());
            let name = name.map_err(|_| refused("it has a name that is not UTF-8"))?;
            let name = name.trim_end_matches('/').to_owned();
            let is_odd = |part: &str| matches!(part, "" | "." | "..") || part.contains('\0');
            if name.split('/').any(is_odd) || !seen.insert(name.clone()) {
                return Err(refused(format!(
                    "`{name}` is no name, or stands there twice"
                )));
            }
            let path = root.join(&name);
            let is_tree = name == "tree" || name.starts_with("tree/");
            match (entry.header().entry_type(), is_tree) {
                (EntryType::Directory, true) => {
                    fs::create_dir(&path).during("make the folder", &path)?
                }
                (EntryType::Symlink, true) if name != "tree" => {
                    let target = entry.link_name_bytes().unwrap_or_default().into_owned();
                    let target = String::from_utf8(target);
                    links.push((path, target.map_err(|_| refused("a link is not UTF-8"))?));
                }
                (EntryType::Regular, true) if name != "tree" => {
                    let executable = entry.header().mode()? & 0o100 != 0;
                    let mut options = OpenOptions::new();
                    options.write(true).create_new(true).mode(mode(executable));
                    let mut file = options.open(&path).during("make the file", &path)?;
                    io::copy(&mut entry, &mut file)?;
                }
                (EntryType::Regular, false) => {
                    if entry.size() > LARGEST {
                        return Err(refused(format!("`{name}` is too large")));
                    }
                    let mut bytes = Vec::new();
                    entry.read_to_end(&mut bytes)?;
                    parts.take(&name, bytes)?;
                }
                _ => return Err(refused(format!("`{name}` has no place in it"))),
            }
        }
        for (path, target) in links {
            symlink(target, &path).during("make the link", &path)?;
        }
        Ok(parts)
    }

    fn take(&mut self, name: &str, bytes: Vec<u8>) -> Result<(), ArchiveError> {
        match name.strip_prefix("messages/") {
            Some(hex) => {
                let digest = Digest::of(&bytes);
                if digest.hex() != hex {
                    return Err(refused(format!("`{name}` has another digest")));
                }
                self.messages.insert(digest, bytes);
            }
            None if name == "mikado.json" => self.about = Some(bytes),
            None if name == "result" => self.result = Some(bytes),
            None => return Err(refused(format!("`{name}` has no place in it"))),
        }
        Ok(())
    }

    fn packed(&self) -> Result<Packed, ArchiveError> {
        let bytes = self.about.as_ref();
        let bytes = bytes.ok_or_else(|| refused("it has no `mikado.json`"))?;
        let packed: Packed = serde_json::from_slice(bytes)
            .map_err(|error| refused(format!("`mikado.json` can't be read: {error}")))?;
        match packed.format {
            FORMAT => Ok(packed),
            other => Err(refused(format!(
                "it has format {other}, and this mikado knows {FORMAT}"
            ))),
        }
    }

    fn result(&self, packed: &Packed) -> Result<ActionResult, ArchiveError> {
        let bytes = self
            .result
            .as_ref()
            .ok_or_else(|| refused("it has no `result`"))?;
        let result = ActionResult::decode(bytes.as_slice()).map_err(|e| refused(e.to_string()))?;
        match result.artifact() == Some(packed.artifact) && result.exit_code == 0 {
            true => Ok(result),
            false => Err(refused("its result names another artifact")),
        }
    }

    /// Refuses a record whose action is not spelled out.
    fn proves(&self, packed: &Packed) -> Result<(), ArchiveError> {
        let missing = |what: &str| refused(format!("{what} is not in it"));
        let bytes = self.messages.get(&packed.action);
        let bytes = bytes.ok_or_else(|| missing("its action"))?;
        let action = Action::decode(bytes.as_slice()).map_err(|e| refused(e.to_string()))?;
        if !crate::action::is_of_this_format(&action.salt) {
            return Err(refused("it was made by a mikado whose keys are others"));
        }
        for (what, digest) in [
            ("its command", &action.command_digest),
            ("the folder of its inputs", &action.input_root_digest),
        ] {
            let digest = digest.as_ref().and_then(DigestMessage::digest);
            let known = digest.is_some_and(|digest| self.messages.contains_key(&digest));
            if !known {
                return Err(missing(what));
            }
        }
        Ok(())
    }
}

fn mode(executable: bool) -> u32 {
    match executable {
        true => 0o755,
        false => 0o644,
    }
}

fn header(kind: EntryType, mode: u32, size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(size);
    header.set_mtime(TREE_TIME as u64);
    header.set_uid(0);
    header.set_gid(0);
    header
}

fn append<W: Write>(
    tar: &mut Builder<W>,
    name: &str,
    executable: bool,
    bytes: &[u8],
) -> io::Result<()> {
    let mut header = header(EntryType::Regular, mode(executable), bytes.len() as u64);
    tar.append_data(&mut header, name, bytes)
}

fn append_folder<W: Write>(tar: &mut Builder<W>, name: &str) -> io::Result<()> {
    let mut header = header(EntryType::Directory, 0o755, 0);
    tar.append_data(&mut header, name, io::empty())
}
