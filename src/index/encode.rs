//! Writes an index.

use std::collections::BTreeMap;
use std::ffi::CString;
use std::fs;
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::CWD;
use serde::{Deserialize, Serialize};

use super::{FOLDER, GRAIN_NS, KEPT, Kind, MAGIC, Request, State, Watched};
use crate::digest::Digest;
use crate::fail_point;

/// What is told where nothing is to be done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// Whether output has colours: `None` where it depends on the terminal.
    pub colour: Option<bool>,
    /// Checks that are shown: the card, the check, what it printed.
    pub shown: Vec<(String, String, Vec<u8>)>,
    /// Variables that runners read into keys, by name, with the digest of each
    /// value, where it is set.
    pub variables: BTreeMap<String, Option<Digest>>,
}

/// A tree that has to be as it was: the card that it is for, its folder, and
/// each entry with its state.
pub type Tree = (u32, PathBuf, Vec<(String, State)>);

/// One record of the index, before it is written.
struct Record {
    path: PathBuf,
    kind: Kind,
    card: u32,
    state: State,
}

/// Writes the index of `request` in the folder `local`, a work tree's `.mikado`,
/// where all that is watched has been as it is since `began_ns`; whether it was.
/// `cards` are the stems in the order of the run, with whether each is a build.
///
/// An index that could not be written is none; that costs time alone.
pub fn write(
    local: &Path,
    request: &Request,
    began_ns: i64,
    watched: Watched,
    trees: Vec<Tree>,
    cards: &[(&str, bool)],
    told: &Told,
) -> bool {
    let Some(mut records) = watched
        .into_paths()
        .and_then(|paths| looked_at(paths, began_ns))
    else {
        return false;
    };
    for (card, folder, entries) in trees {
        for (path, state) in entries {
            let (path, kind) = match path.as_str() {
                "" => (folder.clone(), Kind::Tree),
                path => (folder.join(path), Kind::Stored),
            };
            records.push(Record {
                path,
                kind,
                card,
                state,
            });
        }
    }
    let Some(bytes) = encode(request, &mut records, cards, told) else {
        return false;
    };
    keep(local, request, &bytes).is_some()
}

/// What the file system says now; `None` where something changed since.
fn looked_at(paths: BTreeMap<(PathBuf, Kind), u32>, began_ns: i64) -> Option<Vec<Record>> {
    let mut records = Vec::new();
    for ((path, kind), card) in paths {
        let text = CString::new(path.as_os_str().as_bytes()).ok()?;
        let state = State::look(CWD, &text, kind)?;
        let settled = state.changed_ns.saturating_add(GRAIN_NS) < began_ns;
        if !settled && state.is_there() && kind != Kind::Presence {
            return None;
        }
        records.push(Record {
            path,
            kind,
            card,
            state,
        });
    }
    Some(records)
}

/// The bytes: magic, request, then counts, bases, records, paths, cards, what is
/// told, and a checksum of all before it. Numbers are little endian.
fn encode(
    request: &Request,
    records: &mut [Record],
    cards: &[(&str, bool)],
    told: &Told,
) -> Option<Vec<u8>> {
    let bases = bases(records);
    let mut table = Vec::new();
    let mut paths: Vec<u8> = Vec::new();
    for record in records.iter() {
        let base = bases.iter().rposition(|base| {
            let below = record.path.strip_prefix(base);
            below.is_ok_and(|below| !below.as_os_str().is_empty())
        });
        let base = base?;
        let below = record.path.strip_prefix(&bases[base]).ok()?;
        table.extend(u32::try_from(paths.len()).ok()?.to_le_bytes());
        table.extend(record.card.to_le_bytes());
        table.extend([u8::try_from(base).ok()?, record.kind as u8, 0, 0]);
        record.state.encode(&mut table);
        paths.extend(below.as_os_str().as_bytes());
        paths.push(0);
    }
    let mut lines: Vec<u8> = Vec::new();
    for (stem, is_build) in cards {
        lines.push(u8::from(*is_build));
        lines.extend(u32::try_from(stem.len()).ok()?.to_le_bytes());
        lines.extend(stem.as_bytes());
    }
    let mut places: Vec<u8> = Vec::new();
    for base in &bases {
        places.extend(base.as_os_str().as_bytes());
        places.push(0);
    }
    let told = serde_json::to_vec(told).ok()?;
    let mut bytes = MAGIC.to_vec();
    bytes.extend(request.digest.hash);
    let counts = [
        records.len(),
        places.len(),
        paths.len(),
        cards.len(),
        lines.len(),
        told.len(),
    ];
    for count in counts {
        bytes.extend(u32::try_from(count).ok()?.to_le_bytes());
    }
    for part in [places, table, paths, lines, told] {
        bytes.extend(part);
    }
    let sum = crc32fast::hash(&bytes);
    bytes.extend(sum.to_le_bytes());
    Some(bytes)
}

/// Folders that paths are kept below, so that looking at one is short: the root,
/// and those in which many are. A path belongs to the last that it is below.
fn bases(records: &[Record]) -> Vec<PathBuf> {
    const MOST: usize = 100;
    let mut counts: BTreeMap<&Path, usize> = BTreeMap::new();
    for record in records {
        // A tree's folder is one of many; what they are in counts.
        let above = match record.kind {
            Kind::Stored => None,
            _ => record.path.parent(),
        };
        if let Some(above) = above {
            *counts.entry(above).or_default() += 1;
        }
    }
    let mut often: Vec<(usize, &Path)> = counts
        .into_iter()
        .filter(|(path, count)| *count > 1 && path.parent().is_some())
        .map(|(path, count)| (count, path))
        .collect();
    often.sort_by(|a, b| b.cmp(a));
    often.truncate(MOST);
    let mut bases: Vec<PathBuf> = often.into_iter().map(|(_, path)| path.to_owned()).collect();
    bases.push(PathBuf::from("/"));
    bases.sort();
    bases
}

/// Puts the bytes at their place, and deletes indexes that are not used any more.
fn keep(local: &Path, request: &Request, bytes: &[u8]) -> Option<()> {
    let folder = local.join(FOLDER);
    let mut file = tempfile::NamedTempFile::new_in(local.join("new")).ok()?;
    fail_point::reach("index.write").ok()?;
    file.write_all(bytes).ok()?;
    fs::create_dir_all(&folder).ok()?;
    fail_point::reach("index.name").ok()?;
    file.persist(folder.join(request.file_name())).ok()?;
    forget_old(&folder);
    Some(())
}

fn forget_old(folder: &Path) {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut files: Vec<_> = entries
        .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
        .collect();
    files.sort();
    let old = files.len().saturating_sub(KEPT);
    for (_, path) in files.into_iter().take(old) {
        drop(fs::remove_file(path));
    }
}
