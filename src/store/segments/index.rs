//! Where each record is: in a segment, or still waiting to be appended.
//!
//! The index is built when it is first needed, from the tables that lie beside
//! the segments and by scanning the heads of what they don't cover, and grows
//! with what other processes append. It is looked up by 16 bytes of the key
//! (a hash), and the whole key is compared with the frame that is read.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::super::error::{During as _, StoreError};
use super::super::frame::{self, Head, SEGMENT_HEADER};
use super::super::lockfile;
use super::table::Table;
use super::{Key, Kind};
use crate::digest::Digest;

/// So many bytes of heads are scanned again by the next process, rather than put
/// into a table.
const SCANNED: u64 = match cfg!(any(test, feature = "fail-points")) {
    true => 64,
    false => 32 * 1024,
};

/// All segments of a store.
#[derive(Debug)]
pub(in super::super) struct Segments {
    pub(super) folder: PathBuf,
    pub(super) lock: PathBuf,
    pub(super) writable: bool,
    pub(super) state: Mutex<State>,
}

#[derive(Debug, Default)]
pub(super) struct State {
    loaded: bool,
    pub(super) segments: Vec<Arc<Segment>>,
    /// How far the last segment has been read, and whether odd bytes follow.
    pub(super) read: Option<frame::End>,
    /// What was put, and what was scanned beyond the tables.
    index: HashMap<Short, Place>,
    pub(super) pending: Vec<Arc<Pending>>,
}

/// One open segment.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) number: u32,
    pub(super) salt: u64,
    pub(super) file: File,
    /// Where the records of its beginning are.
    pub(super) table: Option<Table>,
}

impl Segment {
    /// Where what its table does not know begins.
    fn beyond_table(&self) -> u64 {
        self.table.as_ref().map_or(SEGMENT_HEADER, Table::covers)
    }
}

/// A record that is put and not yet appended.
#[derive(Debug)]
pub(in super::super) struct Pending {
    pub(super) head: Head,
    pub(super) payload: Vec<u8>,
}

/// 15 bytes of the key's hash and the kind.
pub(super) type Short = [u8; 16];

#[derive(Clone, Debug)]
enum Place {
    Pending(Arc<Pending>),
    Segment {
        number: u32,
        offset: u64,
    },
    /// In some table, and damaged.
    Gone,
}

/// The short form of a key. A digest is a hash already.
fn short(kind: u8, key: &[u8]) -> Short {
    let hash = match (super::digest_of_key(key), kind == Kind::Note as u8) {
        (Some(digest), false) => digest.hash,
        _ => Digest::of(key).hash,
    };
    let mut short = [kind; 16];
    short[..15].copy_from_slice(&hash[..15]);
    short
}

impl State {
    pub(super) fn last(&self) -> Option<&Arc<Segment>> {
        self.segments.last()
    }

    /// Enters a frame that lies in a segment now.
    pub(super) fn enter(&mut self, number: u32, offset: u64, head: &Head) {
        let place = Place::Segment { number, offset };
        self.index.insert(short(head.kind, &head.key), place);
    }

    /// Where the newest record of a key is.
    fn find(&self, key: &Short) -> Option<Place> {
        let known = self.index.get(key);
        let since = match known {
            Some(Place::Pending(_)) => return known.cloned(),
            Some(Place::Gone) => return None,
            Some(Place::Segment { number, .. }) => *number,
            None => 0,
        };
        // A table of a later segment has what is newer.
        let later = self.segments.iter().rev();
        let mut later = later.take_while(|segment| known.is_none() || segment.number > since);
        let in_table = later.find_map(|segment| {
            let offset = segment.table.as_ref()?.find(key)?;
            let number = segment.number;
            Some(Place::Segment { number, offset })
        });
        in_table.or_else(|| known.cloned())
    }

    /// Every key with the place of its newest record, in the order of the keys.
    fn places(&self, kind: Kind) -> BTreeMap<Short, Place> {
        let tables = self.segments.iter().filter_map(|s| s.table.as_ref());
        let in_tables = tables.flat_map(Table::entries).map(|(key, _)| key);
        let keys: BTreeSet<Short> = in_tables
            .chain(self.index.keys().copied())
            .filter(|key| key[15] == kind as u8)
            .collect();
        let place = |key: Short| Some((key, self.find(&key)?));
        keys.into_iter().filter_map(place).collect()
    }

    /// Replaces a pending record by the frame that it became, unless it was
    /// put anew meanwhile.
    pub(super) fn settle(&mut self, number: u32, offset: u64, pending: &Arc<Pending>) {
        let key = short(pending.head.kind, &pending.head.key);
        if let Some(Place::Pending(there)) = self.index.get(&key)
            && Arc::ptr_eq(there, pending)
        {
            self.index.insert(key, Place::Segment { number, offset });
        }
    }

    /// Forgets a group that is no longer pending.
    pub(super) fn forget_pending(&mut self, group: &[Arc<Pending>]) {
        let group: HashSet<_> = group.iter().map(Arc::as_ptr).collect();
        self.pending
            .retain(|pending| !group.contains(&Arc::as_ptr(pending)));
    }

    /// Whether the frame at this place is the last with its key.
    pub(super) fn is_newest(&self, number: u32, at: u64, head: &Head) -> bool {
        matches!(self.find(&short(head.kind, &head.key)),
            Some(Place::Segment { number: n, offset }) if (n, offset) == (number, at))
    }

    fn segment(&self, number: u32) -> Option<Arc<Segment>> {
        let at = self
            .segments
            .binary_search_by_key(&number, |segment| segment.number)
            .ok()?;
        self.segments.get(at).cloned()
    }
}

impl Segments {
    /// The segments in `folder`, whose writers take turns by `lock`. Nothing
    /// is read yet.
    pub(in super::super) fn new(folder: PathBuf, lock: PathBuf, writable: bool) -> Segments {
        Segments {
            folder,
            lock,
            writable,
            state: Mutex::default(),
        }
    }

    /// Makes a record known to this process.
    pub(in super::super) fn put(
        &self,
        kind: Kind,
        key: Key<'_>,
        payload: Vec<u8>,
    ) -> Result<(), StoreError> {
        let head = Head::new(kind as u8, key.bytes(), &payload, super::super::now_ms());
        let mut state = self.loaded()?;
        let pending = Arc::new(Pending { head, payload });
        let key = short(kind as u8, &pending.head.key);
        if let Some(Place::Pending(old)) = state.index.get(&key).cloned() {
            state.pending.retain(|other| !Arc::ptr_eq(other, &old));
        }
        state.index.insert(key, Place::Pending(pending.clone()));
        state.pending.push(pending);
        Ok(())
    }

    /// Whether a record is known, without reading it.
    pub(in super::super) fn has(&self, kind: Kind, key: Key<'_>) -> Result<bool, StoreError> {
        let short = short(kind as u8, &key.bytes());
        Ok(self.loaded()?.find(&short).is_some())
    }

    /// The payload of a record; `None` where it is unknown or damaged.
    pub(in super::super) fn read(
        &self,
        kind: Kind,
        key: Key<'_>,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let bytes = key.bytes();
        let short = short(kind as u8, &bytes);
        let state = self.loaded()?;
        let (number, offset) = match state.find(&short) {
            None | Some(Place::Gone) => return Ok(None),
            Some(Place::Pending(pending)) => {
                let same = pending.head.key == bytes;
                return Ok(same.then(|| pending.payload.clone()));
            }
            Some(Place::Segment { number, offset }) => (number, offset),
        };
        let Some(segment) = state.segment(number) else {
            return Ok(None);
        };
        drop(state);
        match self.frame(&segment, offset)? {
            Some((head, payload)) if head.kind == kind as u8 && head.key == bytes => {
                Ok(Some(payload))
            }
            _ => {
                self.forget(&short, number, offset)?;
                Ok(None)
            }
        }
    }

    /// Learns what other processes appended.
    pub(in super::super) fn refresh(&self) -> Result<(), StoreError> {
        let mut state = self.lock_state();
        self.refresh_state(&mut state)
    }

    /// Calls `found` with each record of a kind, in the order in which they
    /// were put. Returns how many were damaged; those are forgotten.
    pub(in super::super) fn each(
        &self,
        kind: Kind,
        mut found: impl FnMut(&Head, &[u8]) -> Result<(), StoreError>,
    ) -> Result<u64, StoreError> {
        let state = self.loaded()?;
        let mut places = Vec::new();
        let mut waiting = Vec::new();
        for (short, place) in state.places(kind) {
            match place {
                Place::Segment { number, offset } => {
                    let segment = state.segment(number);
                    places.extend(segment.map(|segment| (number, offset, segment, short)));
                }
                Place::Pending(pending) => waiting.push(pending),
                Place::Gone => {}
            }
        }
        drop(state);
        places.sort_by_key(|(number, offset, ..)| (*number, *offset));
        let mut damaged = 0;
        for (number, offset, segment, short) in places {
            match self.frame(&segment, offset)? {
                Some((head, payload)) => found(&head, &payload)?,
                None => {
                    damaged += 1;
                    self.forget(&short, number, offset)?;
                }
            }
        }
        waiting.sort_by_key(|pending| pending.head.time_ms);
        for pending in waiting {
            found(&pending.head, &pending.payload)?;
        }
        Ok(damaged)
    }

    /// The frame at a place; `None` where it is damaged.
    fn frame(&self, segment: &Segment, offset: u64) -> Result<Option<(Head, Vec<u8>)>, StoreError> {
        match frame::read_at(&segment.file, segment.salt, offset) {
            // What the disk can't give back is as damaged as wrong bytes.
            Err(error) if error.raw_os_error() == Some(libc::EIO) => Ok(None),
            found => found.during("read", &self.path(segment.number)),
        }
    }

    /// Forgets a damaged record, so that it is put again by whoever makes it.
    fn forget(&self, short: &Short, number: u32, offset: u64) -> Result<(), StoreError> {
        let mut state = self.loaded()?;
        if matches!(state.find(short),
            Some(Place::Segment { number: n, offset: o }) if (n, o) == (number, offset))
        {
            state.index.insert(*short, Place::Gone);
        }
        Ok(())
    }

    /// Leaves tables for the next process, where this one had to scan much.
    pub(in super::super) fn keep_tables(&self) {
        // Writers take turns, so one name is enough for what is not whole yet.
        let Ok(_writing) = lockfile::lock_briefly(&self.lock, false) else {
            return;
        };
        let state = self.lock_state();
        // What is pending hides what older frames of its key say.
        if !state.pending.is_empty() {
            return;
        }
        let last = state.last().map(|last| last.number);
        for segment in &state.segments {
            let end = match (last == Some(segment.number), state.read) {
                (true, Some(end)) => end.good,
                // What comes after the good part of an older one is damage.
                (true, None) => continue,
                (false, _) => segment.file.metadata().map_or(0, |meta| meta.len()),
            };
            if end < segment.beyond_table() + SCANNED {
                continue;
            }
            let table = segment.table.iter();
            let mut entries: BTreeMap<Short, u64> = table.flat_map(Table::entries).collect();
            entries.extend(state.index.iter().filter_map(|(key, place)| match place {
                Place::Segment { number, offset } if *number == segment.number => {
                    Some((*key, *offset))
                }
                _ => None,
            }));
            let path = self.table_path(segment.number);
            Table::write(&path, &self.unnamed_table(), (segment.salt, end), entries);
        }
    }

    /// Bytes of all segments.
    pub(in super::super) fn size(&self) -> Result<u64, StoreError> {
        let mut size = 0;
        for number in segment_numbers(&self.folder)? {
            size += fs::metadata(self.path(number)).map_or(0, |meta| meta.len());
        }
        Ok(size)
    }

    pub(super) fn path(&self, number: u32) -> PathBuf {
        self.folder.join(format!("{number:08}.seg"))
    }

    /// Where a table is made before it is named.
    pub(super) fn unnamed_table(&self) -> PathBuf {
        self.folder.join(".table")
    }

    pub(super) fn table_path(&self, number: u32) -> PathBuf {
        self.folder.join(format!("{number:08}.table"))
    }

    pub(super) fn lock_state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn loaded(&self) -> Result<MutexGuard<'_, State>, StoreError> {
        let mut state = self.lock_state();
        if !state.loaded {
            self.load(&mut state)?;
        }
        Ok(state)
    }

    pub(super) fn refresh_state(&self, state: &mut State) -> Result<(), StoreError> {
        let Some(last) = state.last().cloned().filter(|_| state.loaded) else {
            return self.load(state);
        };
        let path = self.path(last.number);
        let meta = last.file.metadata().during("look at", &path)?;
        let read = state.read.unwrap_or(frame::End {
            good: SEGMENT_HEADER,
            torn: false,
        });
        // Deleted by a collection, or shorter than it can be: start again.
        if meta.nlink() == 0 || meta.len() < read.good {
            return self.load(state);
        }
        if read.torn || meta.len() > read.good {
            self.read_on(state, &last, read.good, meta.len())?;
        }
        while let Some(last) = state.last().map(|last| last.number) {
            let Some(next) = self.open_segment(last + 1)? else {
                break;
            };
            self.read_segment(state, next)?;
        }
        Ok(())
    }

    /// Reads all segments anew. What is pending stays.
    pub(super) fn load(&self, state: &mut State) -> Result<(), StoreError> {
        'again: loop {
            state.segments.clear();
            state.index.clear();
            state.read = None;
            for number in segment_numbers(&self.folder)? {
                match self.open_segment(number)? {
                    Some(segment) => self.read_segment(state, segment)?,
                    // A collection has replaced what the folder held.
                    None if !self.path(number).exists() => continue 'again,
                    None => {}
                }
            }
            break;
        }
        for pending in state.pending.clone() {
            let key = short(pending.head.kind, &pending.head.key);
            state.index.insert(key, Place::Pending(pending));
        }
        state.loaded = true;
        Ok(())
    }

    /// Opens a segment; `None` where there is none, or something else.
    fn open_segment(&self, number: u32) -> Result<Option<Segment>, StoreError> {
        let path = self.path(number);
        let file = match File::options().read(true).write(self.writable).open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).during("open", &path),
        };
        let salt = frame::read_salt(&file).during("read", &path)?;
        let len = file.metadata().during("look at", &path)?.len();
        Ok(salt.map(|salt| Segment {
            table: Table::read(&self.table_path(number), salt, len),
            number,
            salt,
            file,
        }))
    }

    pub(super) fn read_segment(
        &self,
        state: &mut State,
        segment: Segment,
    ) -> Result<(), StoreError> {
        let path = self.path(segment.number);
        let len = segment.file.metadata().during("look at", &path)?.len();
        let segment = Arc::new(segment);
        state.segments.push(segment.clone());
        self.read_on(state, &segment, segment.beyond_table(), len)
    }

    fn read_on(
        &self,
        state: &mut State,
        segment: &Segment,
        from: u64,
        len: u64,
    ) -> Result<(), StoreError> {
        let end = frame::scan(&segment.file, segment.salt, from, len, |at, head| {
            // What this process has put and not yet appended is newer.
            let key = short(head.kind, &head.key);
            if !matches!(state.index.get(&key), Some(Place::Pending(_))) {
                state.enter(segment.number, at, &head);
            }
        });
        state.read = Some(end.during("read", &self.path(segment.number))?);
        Ok(())
    }
}

/// The numbers of the segments in a folder, in order.
pub(super) fn segment_numbers(folder: &Path) -> Result<Vec<u32>, StoreError> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(folder).during("read the folder", folder)? {
        let name = entry.during("read the folder", folder)?.file_name();
        let number: Option<u32> = name
            .to_str()
            .and_then(|name| name.strip_suffix(".seg"))
            .and_then(|digits| digits.parse().ok());
        numbers.extend(number);
    }
    numbers.sort_unstable();
    Ok(numbers)
}
