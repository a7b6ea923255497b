//! Appending a group of records, and rewriting what is still wanted.
//!
//! Both hold the lock of all writers. A group is one write and one wait for
//! the disk; if either fails, the file is cut back and everything stays
//! pending, so that nobody ever finds a record of a failed flush.

use std::fs::{self, File};
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::super::error::{During as _, StoreError};
use super::super::frame::{self, Head, SEGMENT_HEADER};
use super::super::lockfile;
use super::index::{Pending, Segment, Segments, State, segment_numbers};
use crate::fail_point;

/// A segment that has grown to this is followed by a new one.
const ROLL: u64 = 64 * 1024 * 1024;

impl Segments {
    /// Whether anything waits to be appended.
    pub(in super::super) fn is_pending(&self) -> bool {
        !self.lock_state().pending.is_empty()
    }

    /// Everything that waits to be appended.
    pub(in super::super) fn group(&self) -> Vec<Arc<Pending>> {
        self.lock_state().pending.clone()
    }

    /// Makes a group durable and known to all processes. One thread of a
    /// process at a time.
    pub(in super::super) fn append(&self, mut group: Vec<Arc<Pending>>) -> Result<(), StoreError> {
        if group.is_empty() {
            return Ok(());
        }
        // What a record names comes before it, so that no prefix of the group
        // has a result without its tree.
        group.sort_by_key(|pending| pending.head.kind);
        let _writing = lockfile::lock_briefly(&self.lock, false)?;
        let mut state = self.lock_state();
        self.refresh_state(&mut state)?;
        let segment = self.segment_to_append(&mut state)?;
        let start = state.read.map_or(SEGMENT_HEADER, |end| end.good);
        drop(state);
        let (bytes, offsets) = encode(&group, segment.salt, start);
        let path = self.path(segment.number);
        let written = fail_point::reach("segment.append")
            .and_then(|()| segment.file.write_all_at(&bytes, start))
            .and_then(|()| fail_point::reach("segment.sync"))
            .and_then(|()| segment.file.sync_data());
        if let Err(error) = written {
            let _ = segment.file.set_len(start);
            return Err(error).during("append to", &path);
        }
        let mut state = self.lock_state();
        for (pending, offset) in group.iter().zip(offsets) {
            state.settle(segment.number, offset, pending);
        }
        state.forget_pending(&group);
        // Another thread may have read the new frames already.
        let good = start + bytes.len() as u64;
        if state.last().map(|last| last.number) == Some(segment.number) {
            let good = state.read.map_or(good, |end| end.good.max(good));
            state.read = Some(frame::End { good, torn: false });
        }
        Ok(())
    }

    /// The segment for the next group, without a torn tail. The writers' lock
    /// must be held.
    fn segment_to_append(&self, state: &mut State) -> Result<Arc<Segment>, StoreError> {
        let newest = segment_numbers(&self.folder)?.last().copied();
        if let (Some(last), Some(end)) = (state.last().cloned(), state.read)
            && newest == Some(last.number)
            && end.good < ROLL
        {
            if end.torn {
                let path = self.path(last.number);
                fail_point::reach("segment.cut").during("cut", &path)?;
                last.file.set_len(end.good).during("cut", &path)?;
                state.read = Some(frame::End { torn: false, ..end });
            }
            return Ok(last);
        }
        let number = newest.map_or(1, |newest| newest + 1);
        let segment = self.new_segment(number)?;
        self.read_segment(state, segment)?;
        state.last().cloned().ok_or_else(|| StoreError::Io {
            doing: "open",
            path: self.path(number),
            source: std::io::ErrorKind::NotFound.into(),
        })
    }

    /// Makes a segment, which appears with its header in it. The writers' lock
    /// must be held, so one name is enough for what has no number yet.
    fn new_segment(&self, number: u32) -> Result<Segment, StoreError> {
        let path = self.path(number);
        let salt = random();
        let new = self.unnamed();
        fail_point::reach("segment.new").during("write", &path)?;
        let mut options = File::options();
        options.create(true).truncate(true).read(true).write(true);
        let mut file = options.open(&new).during("write", &path)?;
        fail_point::reach("segment.header").during("write", &path)?;
        file.write_all(&frame::segment_header(salt))
            .and_then(|()| file.sync_all())
            .during("write", &path)?;
        fail_point::reach("segment.name").during("make", &path)?;
        fs::rename(&new, &path).during("make", &path)?;
        sync_folder(&self.folder)?;
        Ok(Segment {
            number,
            salt,
            file,
            table: None,
        })
    }

    /// Writes the newest record of each key for which `keep` says yes into new
    /// segments, and deletes the old ones. Returns the bytes won. No thread of
    /// this process may append meanwhile.
    pub(in super::super) fn compact(
        &self,
        mut keep: impl FnMut(&Head) -> bool,
    ) -> Result<u64, StoreError> {
        let _writing = lockfile::lock_briefly(&self.lock, false)?;
        // What is pending in this process hides nothing that is on the disk.
        let mut state = State::default();
        self.load(&mut state)?;
        let old = segment_numbers(&self.folder)?;
        let mut number = old.last().map_or(1, |last| last + 1);
        let (mut before, mut after) = (0, 0);
        let mut target: Option<(Segment, u64)> = None;
        for segment in state.segments.clone() {
            let path = self.path(segment.number);
            let len = segment.file.metadata().during("look at", &path)?.len();
            before += len;
            let mut heads = Vec::new();
            frame::scan(
                &segment.file,
                segment.salt,
                SEGMENT_HEADER,
                len,
                |at, head| {
                    if state.is_newest(segment.number, at, &head) && keep(&head) {
                        heads.push(at);
                    }
                },
            )
            .during("read", &path)?;
            for at in heads {
                let frame = frame::read_at(&segment.file, segment.salt, at);
                let Some((head, payload)) = frame.during("read", &path)? else {
                    continue;
                };
                let (to, len) = match target.take() {
                    Some((to, len)) if len < ROLL => (to, len),
                    full => {
                        self.finish(full)?;
                        let to = self.new_segment(number)?;
                        number += 1;
                        (to, SEGMENT_HEADER)
                    }
                };
                let mut bytes = Vec::new();
                head.write(to.salt, &payload, &mut bytes);
                fail_point::reach("segment.copy").during("append to", &self.path(to.number))?;
                to.file
                    .write_all_at(&bytes, len)
                    .during("append to", &self.path(to.number))?;
                after += bytes.len() as u64;
                target = Some((to, len + bytes.len() as u64));
            }
        }
        self.finish(target)?;
        // From here on the copies are there twice, which is no harm.
        for number in old {
            let path = self.path(number);
            fail_point::reach("segment.delete").during("delete", &path)?;
            fs::remove_file(&path).during("delete", &path)?;
            drop(fs::remove_file(self.table_path(number)));
        }
        sync_folder(&self.folder)?;
        self.load(&mut self.lock_state())?;
        Ok(before.saturating_sub(after))
    }

    /// Deletes the segment and the table that a killed process did not come to
    /// name.
    pub(in super::super) fn sweep(&self) -> Result<(), StoreError> {
        for new in [self.unnamed(), self.unnamed_table()] {
            if !new.exists() {
                continue;
            }
            let _writing = lockfile::lock_briefly(&self.lock, false)?;
            match fs::remove_file(&new) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                removed => removed.during("delete", &new)?,
            }
        }
        Ok(())
    }

    /// Where a segment is made before it is named.
    fn unnamed(&self) -> PathBuf {
        self.folder.join(".new")
    }

    fn finish(&self, target: Option<(Segment, u64)>) -> Result<(), StoreError> {
        match target {
            Some((segment, _)) => {
                let path = self.path(segment.number);
                segment.file.sync_all().during("sync", &path)
            }
            None => Ok(()),
        }
    }
}

fn encode(group: &[Arc<Pending>], salt: u64, start: u64) -> (Vec<u8>, Vec<u64>) {
    let mut bytes = Vec::new();
    let mut offsets = Vec::new();
    for pending in group {
        offsets.push(start + bytes.len() as u64);
        pending.head.write(salt, &pending.payload, &mut bytes);
    }
    (bytes, offsets)
}

/// A number that no other segment has.
fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// Makes the names in a folder durable.
pub(in super::super) fn sync_folder(path: &Path) -> Result<(), StoreError> {
    File::open(path)
        .and_then(|folder| folder.sync_all())
        .during("sync the folder", path)
}
