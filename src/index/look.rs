//! Compares an index with the file system.

use std::collections::BTreeSet;
use std::ffi::{CStr, OsStr};
use std::fs::File;
use std::io::Read as _;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;

use super::encode::Table;
use super::{
    ANSWER, FOLDER, Kind, MAGIC, Member, NO_CARD, RECORD, RECORD_HEAD, Request, State, Told,
};
use crate::parallel;
use crate::timings;

/// Below so many records a second thread is not worth its start.
const FEW: usize = 1500;

/// How many records a thread looks at in one turn.
const TURN: usize = 500;

/// No more threads than this: looking is the kernel's work, and shares its locks.
const THREADS: usize = 4;

/// What came of the comparison.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// All is as it was.
    Same,
    /// Something differs that concerns these cards alone.
    Cards(Changed),
    /// Something differs that concerns the whole run, or can't be looked at.
    Differs,
}

/// The cards of which something differs, by their number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changed {
    /// All of them.
    pub cards: BTreeSet<u32>,
    /// Those whose artifact in the store differs.
    pub trees: BTreeSet<u32>,
}

/// An index, as it was read.
#[derive(Debug)]
pub struct Index {
    /// The work tree's `.mikado` that it lies in.
    pub local: PathBuf,
    bytes: Vec<u8>,
    records: usize,
    cards: usize,
    /// Where the parts begin: places, records, paths, cards, what is told, the
    /// answer, and the end.
    parts: [usize; 7],
}

/// What is kept of a path beside its state.
struct Head<'a> {
    path: &'a CStr,
    card: u32,
    place: u8,
    kind: Kind,
}

const HEAD: usize = MAGIC.len() + 32 + 7 * 4;

impl Index {
    /// The index of `request`, looked for from its folder upward.
    pub fn open(request: &Request) -> Option<Index> {
        Index::open_file(request, &request.file_name())
    }

    /// The index of an answer to `request`.
    pub fn open_answer(request: &Request) -> Option<Index> {
        Index::open_file(request, &(request.file_name() + ANSWER))
    }

    fn open_file(request: &Request, name: &str) -> Option<Index> {
        request.here.ancestors().find_map(|folder| {
            let local = folder.join(".mikado");
            let mut file = File::open(local.join(FOLDER).join(name)).ok()?;
            let length = file.metadata().ok()?.len();
            let mut bytes = Vec::with_capacity(usize::try_from(length).ok()? + 1);
            file.read_to_end(&mut bytes).ok()?;
            Index::decode(local, bytes, request)
        })
    }

    fn decode(local: PathBuf, mut bytes: Vec<u8>, request: &Request) -> Option<Index> {
        let (body, sum) = bytes.split_last_chunk::<4>()?;
        let rest = body.strip_prefix(MAGIC.as_slice())?;
        if !rest.starts_with(&request.digest.hash)
            || crc32fast::hash(body) != u32::from_le_bytes(*sum)
        {
            return None;
        }
        let count = |at: usize| -> Option<usize> {
            let at = MAGIC.len() + 32 + at * 4;
            let bytes = body.get(at..at + 4)?;
            Some(u32::from_le_bytes(bytes.try_into().ok()?) as usize)
        };
        let records = count(0)?;
        let sizes = [
            count(1)?,
            records.checked_mul(RECORD)?,
            count(2)?,
            count(4)?,
            count(5)?,
            count(6)?,
        ];
        let mut parts = [HEAD; 7];
        for (at, size) in sizes.into_iter().enumerate() {
            parts[at + 1] = parts[at].checked_add(size)?;
        }
        let cards = count(3)?;
        if parts[6] != body.len() {
            return None;
        }
        bytes.truncate(parts[6]);
        Some(Index {
            local,
            bytes,
            records,
            cards,
            parts,
        })
    }

    fn part(&self, number: usize) -> &[u8] {
        &self.bytes[self.parts[number]..self.parts[number + 1]]
    }

    /// Compares everything with the file system as it is.
    pub fn verdict(&self) -> Verdict {
        let _phase = timings::phase("look at files").about(self.records);
        let Some(bases) = self.bases() else {
            return Verdict::Differs;
        };
        let starts: Vec<usize> = (0..self.records).step_by(TURN).collect();
        let threads = match self.records < FEW {
            true => 1,
            false => parallel::cpus().min(THREADS),
        };
        let verdicts = parallel::each(&starts, threads, |start| {
            match self.look(&bases, *start, TURN) {
                // Nothing else matters then.
                Verdict::Differs => Err(Verdict::Differs),
                verdict => Ok(verdict),
            }
        });
        match verdicts {
            Ok(verdicts) => verdicts.into_iter().fold(Verdict::Same, Verdict::and),
            Err(verdict) => verdict,
        }
    }

    /// Opens the folders that paths are kept below; one that is gone has nothing
    /// below it.
    fn bases(&self) -> Option<Vec<Option<OwnedFd>>> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        self.each_place(|path| match openat(CWD, path, flags, Mode::empty()) {
            Ok(folder) => Some(Some(folder)),
            Err(Errno::NOENT | Errno::NOTDIR) => Some(None),
            Err(_) => None,
        })
    }

    /// The folders that paths are kept below.
    pub(super) fn places(&self) -> Option<Vec<PathBuf>> {
        self.each_place(|path| Some(PathBuf::from(OsStr::from_bytes(path.to_bytes()))))
    }

    fn each_place<T>(&self, each: impl Fn(&CStr) -> Option<T>) -> Option<Vec<T>> {
        let mut places = Vec::new();
        let mut rest = self.part(0);
        while !rest.is_empty() {
            let path = CStr::from_bytes_until_nul(rest).ok()?;
            places.push(each(path)?);
            rest = &rest[path.to_bytes_with_nul().len()..];
        }
        Some(places)
    }

    /// Takes the head of a record apart.
    fn head(&self, record: &[u8]) -> Option<Head<'_>> {
        let head = record.first_chunk::<RECORD_HEAD>()?;
        let number = |at: usize| Some(u32::from_le_bytes(head[at..at + 4].try_into().ok()?));
        let path = self.part(2).get(number(0)? as usize..)?;
        Some(Head {
            path: CStr::from_bytes_until_nul(path).ok()?,
            card: number(4)?,
            place: head[8],
            kind: Kind::of(head[9])?,
        })
    }

    fn look(&self, bases: &[Option<OwnedFd>], start: usize, count: usize) -> Verdict {
        let mut changed = Changed::default();
        let records = self.part(1).chunks_exact(RECORD);
        for record in records.skip(start).take(count) {
            match self.differs(bases, record) {
                Some(None) => {}
                Some(Some((card, kind))) if card != NO_CARD => {
                    changed.cards.insert(card);
                    if kind.is_of_tree() {
                        changed.trees.insert(card);
                    }
                }
                _ => return Verdict::Differs,
            }
        }
        match changed.cards.is_empty() {
            true => Verdict::Same,
            false => Verdict::Cards(changed),
        }
    }

    /// The card of a record that does not hold any more, and the record's kind; `None`
    /// where that can't be told.
    fn differs(&self, bases: &[Option<OwnedFd>], record: &[u8]) -> Option<Option<(u32, Kind)>> {
        let head = self.head(record)?;
        let then = State::decode(record.last_chunk()?)?;
        let now = match bases.get(usize::from(head.place))? {
            Some(base) => State::look(base.as_fd(), head.path, head.kind)?,
            None => State::default(),
        };
        Some((now != then).then_some((head.card, head.kind)))
    }

    /// The cards of the run in their order: the stem, and whether it is a build.
    pub fn cards(&self) -> impl Iterator<Item = (&OsStr, bool)> {
        let mut rest = self.part(3);
        std::iter::from_fn(move || {
            let (card, after) = Member::skim(rest)?;
            rest = after;
            Some(card)
        })
    }

    /// The cards with all that is kept of them; `None` where they can't be read.
    pub fn members(&self) -> Option<Vec<Member>> {
        let mut rest = self.part(3);
        let mut members = Vec::with_capacity(self.cards);
        while !rest.is_empty() {
            let (member, after) = Member::decode(rest)?;
            members.push(member);
            rest = after;
        }
        Some(members)
    }

    /// Adds to a table below the same places what is kept of each path: of artifacts
    /// of one card where `is_tree_kept` says so of that, of others where `is_kept` does
    /// of the card, the path and how it is looked at. `None` where it can't be read.
    pub(super) fn keep(
        &self,
        table: &mut Table,
        is_tree_kept: impl Fn(u32) -> bool,
        is_kept: impl Fn(u32, &Path, Kind) -> bool,
    ) -> Option<()> {
        let places = self.places()?;
        let mut whole = PathBuf::new();
        for record in self.part(1).chunks_exact(RECORD) {
            let head = self.head(record)?;
            let path = head.path.to_bytes();
            let stays = if head.kind.is_of_tree() && head.card != NO_CARD {
                is_tree_kept(head.card)
            } else {
                whole.clear();
                whole.push(places.get(usize::from(head.place))?);
                whole.push(OsStr::from_bytes(path));
                is_kept(head.card, &whole, head.kind)
            };
            if stays {
                table.push(head.place, path, head.kind, head.card)?;
                table.records.extend(&record[RECORD_HEAD..]);
            }
        }
        Some(())
    }

    /// How many cards the run has.
    pub fn count(&self) -> usize {
        self.cards
    }

    /// The answer, as it was written.
    pub fn answer(&self) -> &[u8] {
        self.part(5)
    }

    /// What is told beside the cards; `None` where it can't be read.
    pub fn told(&self) -> Option<Told> {
        serde_json::from_slice(self.part(4)).ok()
    }
}

impl Verdict {
    fn and(self, other: Verdict) -> Verdict {
        match (self, other) {
            (Verdict::Differs, _) | (_, Verdict::Differs) => Verdict::Differs,
            (Verdict::Same, other) => other,
            (this, Verdict::Same) => this,
            (Verdict::Cards(mut these), Verdict::Cards(those)) => {
                these.cards.extend(those.cards);
                these.trees.extend(those.trees);
                Verdict::Cards(these)
            }
        }
    }
}
