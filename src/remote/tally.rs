//! What a run did with a shared cache: counted as it happens, told at its end.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use schemars::JsonSchema;
use serde::Serialize;

use super::cache::hold;

/// What was done, so far.
#[derive(Debug, Default)]
pub struct Tally {
    pub(super) asked: AtomicU64,
    pub(super) found: AtomicU64,
    pub(super) fetched: AtomicU64,
    pub(super) uploaded: AtomicU64,
    pub(super) skipped: AtomicU64,
    pub(super) failed: AtomicU64,
    pub(super) bytes_down: AtomicU64,
    pub(super) bytes_up: AtomicU64,
    pub(super) calls: AtomicU64,
    busy: Mutex<Busy>,
}

/// The time in which anything was waited for.
#[derive(Debug, Default)]
struct Busy {
    at_once: usize,
    since: Option<Instant>,
    before: Duration,
}

/// Something is being waited for as long as this is kept.
pub(super) struct Waiting<'t>(&'t Tally);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut busy = hold(&self.0.busy);
        busy.at_once -= 1;
        if busy.at_once == 0
            && let Some(since) = busy.since.take()
        {
            busy.before += since.elapsed();
        }
    }
}

/// What a run did with a shared cache.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields)]
pub struct CacheCounts {
    /// Actions that were looked up.
    pub asked: u64,
    /// Actions whose result it had.
    pub found: u64,
    /// Actions whose artifact came from it.
    pub fetched: u64,
    /// Actions whose result was uploaded.
    pub uploaded: u64,
    /// Actions that were executed and not uploaded: they must stay on this machine,
    /// or the cache is not written to.
    pub skipped: u64,
    /// Actions that could not be looked up, fetched or uploaded.
    pub failed: u64,
    /// Bytes of blobs that came.
    pub bytes_down: u64,
    /// Bytes of blobs that went.
    pub bytes_up: u64,
    /// Calls to the server.
    pub calls: u64,
    /// Milliseconds in which anything of it was waited for.
    pub busy: u64,
}

pub(super) fn add(counter: &AtomicU64, number: u64) {
    counter.fetch_add(number, Ordering::Relaxed);
}

impl Tally {
    /// What was done so far; `None` where nothing was.
    pub fn counts(&self) -> Option<CacheCounts> {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let counts = CacheCounts {
            asked: of(&self.asked),
            found: of(&self.found),
            fetched: of(&self.fetched),
            uploaded: of(&self.uploaded),
            skipped: of(&self.skipped),
            failed: of(&self.failed),
            bytes_down: of(&self.bytes_down),
            bytes_up: of(&self.bytes_up),
            calls: of(&self.calls),
            busy: hold(&self.busy).before.as_millis() as u64,
        };
        (counts != CacheCounts::default()).then_some(counts)
    }

    /// Begins to wait for something.
    pub(super) fn wait(&self) -> Waiting<'_> {
        let mut busy = hold(&self.busy);
        busy.at_once += 1;
        busy.since.get_or_insert_with(Instant::now);
        Waiting(self)
    }
}
