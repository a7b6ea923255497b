//! Writes an index.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ffi::{CString, OsStr};
use std::fs;
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::CWD;
use serde::{Deserialize, Serialize};

use super::{
    ANSWER, FOLDER, GRAIN_NS, Index, KEPT, Kind, MAGIC, Member, RECORD, Request, State, Watched,
};
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
    /// Whether completion is written by taking the status away.
    pub removes: bool,
}

/// A tree that has to be as it was: the card that it is for, its folder, and
/// each entry with its state.
pub type Tree = (u32, PathBuf, Vec<(String, State)>);

/// What is kept of one path.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) path: PathBuf,
    pub(super) kind: Kind,
    pub(super) card: u32,
    pub(super) state: State,
}

/// An index that is to be written.
pub struct New<'a> {
    /// Whose it is.
    pub request: &'a Request,
    /// A moment before anything was read, in nanoseconds since 1970.
    pub began_ns: i64,
    /// What the run went by.
    pub watched: Watched,
    /// The artifacts.
    pub trees: Vec<Tree>,
    /// An older index, some records of which stand.
    pub older: Option<Older<'a>>,
    /// The cards of the run, in order.
    pub members: &'a [Member],
    /// What is told beside them.
    pub told: &'a Told,
    /// Whether what this run itself may have changed says what it said: asked of
    /// a path that was changed since the run began.
    pub stands: &'a dyn Fn(&Path) -> bool,
}

/// An index whose records stand, but for some.
#[derive(Clone, Copy, Debug)]
pub struct Older<'a> {
    /// The index.
    pub index: &'a Index,
    /// The cards of which no record stands, nor of what is watched anew.
    pub cards: &'a BTreeSet<u32>,
    /// Those of them whose artifact stands.
    pub trees: &'a BTreeSet<u32>,
}

/// An answer that is to be kept with what it was read from.
#[derive(Debug)]
pub struct Answer<'a> {
    /// Whose it is.
    pub request: &'a Request,
    /// A moment before anything was read, in nanoseconds since 1970.
    pub began_ns: i64,
    /// What it was read from.
    pub watched: Watched,
    /// What was written.
    pub bytes: &'a [u8],
}

impl Answer<'_> {
    /// Writes it in the folder `local`, a work tree's `.mikado`, as [`New::write`]
    /// does.
    pub fn write(self, local: &Path) -> bool {
        let new = New {
            request: self.request,
            began_ns: self.began_ns,
            watched: self.watched,
            trees: Vec::new(),
            older: None,
            members: &[],
            told: &Told::default(),
            stands: &|_| false,
        };
        new.write_as(local, &(self.request.file_name() + ANSWER), self.bytes)
    }
}

impl New<'_> {
    /// Writes it in the folder `local`, a work tree's `.mikado`, where all that is
    /// watched is as it was when the run read it; whether it was.
    ///
    /// An index that could not be written is none; that costs time alone.
    pub fn write(self, local: &Path) -> bool {
        let name = self.request.file_name();
        self.write_as(local, &name, &[])
    }

    fn write_as(self, local: &Path, name: &str, answer: &[u8]) -> bool {
        let written = self.bytes(answer);
        written.is_some_and(|bytes| keep(local, name, &bytes).is_some())
    }

    fn bytes(mut self, answer: &[u8]) -> Option<Vec<u8>> {
        let paths = std::mem::take(&mut self.watched).into_paths()?;
        let mut records = Vec::new();
        for ((path, kind), card) in paths {
            records.push(self.looked_at(path, kind, card)?);
        }
        for (card, folder, entries) in std::mem::take(&mut self.trees) {
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
        let table = match self.older {
            Some(Older {
                index,
                cards,
                trees,
            }) => {
                let new = records.iter().filter(|record| !record.kind.is_of_tree());
                let new: HashSet<(&Path, Kind)> =
                    new.map(|record| (&*record.path, record.kind)).collect();
                let trees_anew = records.iter().filter(|record| record.kind == Kind::Tree);
                let trees_anew: HashSet<&Path> = trees_anew.map(|record| &*record.path).collect();
                let is_anew = |path: &Path| path.ancestors().any(|at| trees_anew.contains(at));
                let mut table = Table::below(index.places()?);
                index.keep(
                    &mut table,
                    |card| !cards.contains(&card) || trees.contains(&card),
                    |card, path, kind| match kind.is_of_tree() {
                        true => !is_anew(path),
                        false => !cards.contains(&card) && !new.contains(&(path, kind)),
                    },
                )?;
                table
            }
            None => Table::below(bases(&records)),
        };
        let table = table.with(&records)?;
        encode(self.request, table, self.members, self.told, answer)
    }

    /// What the file system says now; `None` where it may not be what was read.
    fn looked_at(&self, path: PathBuf, kind: Kind, card: u32) -> Option<Record> {
        let text = CString::new(path.as_os_str().as_bytes()).ok()?;
        let state = State::look(CWD, &text, kind)?;
        let settled = state.changed_ns.saturating_add(GRAIN_NS) < self.began_ns;
        if !settled && state.is_there() && kind != Kind::Presence {
            // What changes from here on has other times, if they are fine enough.
            let stands = has_fine_times() && (self.stands)(&path);
            if !stands || State::look(CWD, &text, kind)? != state {
                return None;
            }
        }
        Some(Record {
            path,
            kind,
            card,
            state,
        })
    }
}

/// Whether two changes of a file have two times, since the first was looked at:
/// file systems of Linux have multigrain timestamps from 6.13 on.
fn has_fine_times() -> bool {
    let name = rustix::system::uname();
    let release = name.release().to_string_lossy();
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    let mut number = || numbers.next()?.parse::<u32>().ok();
    cfg!(target_os = "linux") && number().zip(number()) >= Some((6, 13))
}

/// Paths with what was there, as they are kept: each below one of a few folders.
pub(super) struct Table {
    bases: Vec<PathBuf>,
    pub(super) records: Vec<u8>,
    pub(super) paths: Vec<u8>,
}

impl Table {
    fn below(bases: Vec<PathBuf>) -> Table {
        Table {
            bases,
            records: Vec::new(),
            paths: Vec::new(),
        }
    }

    fn with(mut self, records: &[Record]) -> Option<Table> {
        // The root's own path ends with a slash, and others do not.
        let bytes_of = |base: &PathBuf| match base.as_os_str().as_bytes() {
            b"/" => Vec::new(),
            bytes => bytes.to_vec(),
        };
        let numbers: BTreeMap<Vec<u8>, usize> = self.bases.iter().map(bytes_of).zip(0..).collect();
        // Most paths lie in the same folder as the one before.
        let mut last: (&[u8], usize) = (b"", *numbers.get(b"".as_slice())?);
        for record in records {
            let path = without_slashes_after(record.path.as_os_str().as_bytes());
            let (folder, _) = split_last(path)?;
            if folder != last.0 {
                last = (folder, nearest(folder, &numbers)?);
            }
            let base = last.1;
            let mut below = &path[self.bases[base].as_os_str().len()..];
            while let Some(shorter) = below.strip_prefix(b"/") {
                below = shorter;
            }
            if below.is_empty() {
                return None;
            }
            self.push(u8::try_from(base).ok()?, below, record.kind, record.card)?;
            record.state.encode(&mut self.records);
        }
        Some(self)
    }

    /// Adds the head of a record, whose state has to come next.
    pub(super) fn push(&mut self, base: u8, path: &[u8], kind: Kind, card: u32) -> Option<()> {
        let at = u32::try_from(self.paths.len()).ok()?;
        self.records.extend(at.to_le_bytes());
        self.records.extend(card.to_le_bytes());
        self.records.extend([base, kind as u8, 0, 0]);
        self.paths.extend(path);
        self.paths.push(0);
        Some(())
    }
}

/// The bytes: magic, request, then counts, bases, records, paths, cards, what is
/// told, the answer, and a checksum of all before it. Numbers are little endian.
fn encode(
    request: &Request,
    table: Table,
    members: &[Member],
    told: &Told,
    answer: &[u8],
) -> Option<Vec<u8>> {
    let mut lines: Vec<u8> = Vec::new();
    for member in members {
        member.encode(&mut lines)?;
    }
    let mut places: Vec<u8> = Vec::new();
    for base in &table.bases {
        places.extend(base.as_os_str().as_bytes());
        places.push(0);
    }
    let told = serde_json::to_vec(told).ok()?;
    let mut bytes = MAGIC.to_vec();
    bytes.extend(request.digest.hash);
    let counts = [
        table.records.len() / RECORD,
        places.len(),
        table.paths.len(),
        members.len(),
        lines.len(),
        told.len(),
        answer.len(),
    ];
    for count in counts {
        bytes.extend(u32::try_from(count).ok()?.to_le_bytes());
    }
    for part in [&places, &table.records, &table.paths, &lines, &told] {
        bytes.extend(part);
    }
    bytes.extend(answer);
    let sum = crc32fast::hash(&bytes);
    bytes.extend(sum.to_le_bytes());
    Some(bytes)
}

/// The number of the deepest of these folders that is `folder` or above it.
fn nearest(mut folder: &[u8], numbers: &BTreeMap<Vec<u8>, usize>) -> Option<usize> {
    loop {
        if let Some(number) = numbers.get(folder) {
            return Some(*number);
        }
        folder = split_last(folder)?.0;
    }
}

/// A path as its folder and its name; `None` where it is not absolute.
fn split_last(path: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = path.iter().rposition(|byte| *byte == b'/')?;
    Some((without_slashes_after(&path[..at]), &path[at + 1..]))
}

fn without_slashes_after(mut path: &[u8]) -> &[u8] {
    while let Some(shorter) = path.strip_suffix(b"/") {
        path = shorter;
    }
    path
}

/// How many folders paths are kept below, at most: each is opened before a look.
const MOST_BASES: usize = 100;

/// Below so few paths a folder is not worth its opening.
const FEW_BELOW: usize = 16;

/// Folders that paths are kept below, so that the kernel walks few folders for
/// each: the root, and the deepest ones below which many lie that are in no deeper
/// one of these. A path belongs to the last that it is below.
fn bases(records: &[Record]) -> Vec<PathBuf> {
    let enough = FEW_BELOW.max(records.len() / MOST_BASES + 1);
    let mut bases = BTreeSet::from([PathBuf::from("/")]);
    // The folders above the last path: where the text of each ends, and how many
    // paths are below it and below no base.
    let mut above: Vec<(usize, usize)> = Vec::new();
    let mut last: &[u8] = b"";
    // What is not there may lie in a folder that is not there.
    let there = records.iter().filter(|record| record.state.is_there());
    let paths = there.map(|record| record.path.as_os_str().as_bytes());
    // The last one leaves all folders.
    for path in paths.chain([b"".as_slice()]) {
        let path = without_slashes_after(path);
        let is_in = |end: usize| path.get(end) == Some(&b'/') && path.get(..end) == last.get(..end);
        while let Some((end, count)) = above.pop_if(|(end, _)| !is_in(*end)) {
            match (count >= enough, above.last_mut()) {
                (true, _) => drop(bases.insert(PathBuf::from(OsStr::from_bytes(&last[..end])))),
                (false, Some((_, counted))) => *counted += count,
                (false, None) => {}
            }
        }
        let known = above.last().map_or(0, |(end, _)| *end);
        let slashes = path.iter().enumerate().skip(known + 1);
        let ends = slashes.filter(|(_, byte)| **byte == b'/');
        above.extend(ends.map(|(end, _)| (end, 0)));
        if let Some((_, count)) = above.last_mut() {
            *count += 1;
        }
        last = path;
    }
    bases.into_iter().collect()
}

/// Puts the bytes at their place, and deletes indexes that are not used any more.
fn keep(local: &Path, name: &str, bytes: &[u8]) -> Option<()> {
    let folder = local.join(FOLDER);
    let mut file = tempfile::NamedTempFile::new_in(local.join("new")).ok()?;
    fail_point::reach("index.write").ok()?;
    file.write_all(bytes).ok()?;
    fs::create_dir_all(&folder).ok()?;
    fail_point::reach("index.name").ok()?;
    file.persist(folder.join(name)).ok()?;
    forget_old(&folder, name.ends_with(ANSWER));
    Some(())
}

fn forget_old(folder: &Path, answers: bool) {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let is_answer = |entry: &fs::DirEntry| entry.file_name().to_string_lossy().ends_with(ANSWER);
    let entries = entries.filter(|entry| is_answer(entry) == answers);
    let mut files: Vec<_> = entries
        .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
        .collect();
    files.sort();
    let old = files.len().saturating_sub(KEPT);
    for (_, path) in files.into_iter().take(old) {
        drop(fs::remove_file(path));
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed step is a failed test")]
mod tests {
    use super::*;

    fn bases_of(paths: impl Iterator<Item = String>) -> Vec<String> {
        let state = State {
            mode: 1,
            ..State::default()
        };
        let record = |path: String| Record {
            path: PathBuf::from(path),
            kind: Kind::Stored,
            card: 0,
            state,
        };
        let records: Vec<Record> = paths.map(record).collect();
        let found = bases(&records);
        assert!(found.len() <= MOST_BASES + 1);
        found
            .iter()
            .map(|base| base.display().to_string())
            .collect()
    }

    #[test]
    fn paths_are_kept_below_the_deepest_folders_that_hold_many() {
        let many = |folder: &str| {
            let folder = folder.to_owned();
            (0..FEW_BELOW).map(move |number| format!("{folder}/{number}"))
        };
        let few = ["/a/b/x/1", "/a/b/y/1", "/a/c"].map(str::to_owned);
        assert_eq!(bases_of(few.into_iter()), ["/"]);
        assert_eq!(bases_of(many("/a/b")), ["/", "/a/b"]);
        assert_eq!(
            bases_of(many("/a/b").chain(many("/a/c/d"))),
            ["/", "/a/b", "/a/c/d"]
        );
        // Where each of its folders has few, the one above has many; and what lies
        // beside a base is not counted with it.
        let spread = (0..FEW_BELOW).map(|number| format!("/a/locale/{number}/text"));
        let beside = ["/a/1".to_owned(), "/a/2".to_owned()];
        assert_eq!(bases_of(spread.chain(beside)), ["/", "/a/locale"]);
        // A name that begins like a folder is not in it.
        let like = many("/a/b").chain(["/a/bc/1".to_owned()]);
        assert_eq!(bases_of(like), ["/", "/a/b"]);
        assert_eq!(bases_of(std::iter::empty()), ["/"]);
        // However many folders there are, few of them are opened.
        let folders = (0..1_000).flat_map(|folder| many(&format!("/f{folder}")));
        assert_eq!(bases_of(folders).len(), 1);
    }

    #[test]
    fn path_belongs_to_the_deepest_folder_that_it_lies_in() {
        let folders = ["", "/a", "/a/b"].map(|folder| folder.as_bytes().to_vec());
        let numbers: BTreeMap<Vec<u8>, usize> = folders.into_iter().zip(0..).collect();
        let of = |path: &str| nearest(split_last(path.as_bytes()).unwrap().0, &numbers);
        assert_eq!(of("/x"), Some(0));
        assert_eq!(of("/ab/x"), Some(0));
        assert_eq!(of("/a"), Some(0));
        assert_eq!(of("/a/x/y"), Some(1));
        assert_eq!(of("/a//x"), Some(1));
        assert_eq!(of("/a/b/c/d"), Some(2));
        assert_eq!(split_last(b"x"), None);
    }
}
