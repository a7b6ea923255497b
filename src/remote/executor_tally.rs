//! What a run did with a server that executes: counted as it happens, told at its
//! end.

use std::sync::atomic::{AtomicU64, Ordering};

use schemars::JsonSchema;
use serde::Serialize;

/// What was done, so far.
#[derive(Debug, Default)]
pub(super) struct ExecutorTally {
    pub(super) executed: AtomicU64,
    pub(super) found: AtomicU64,
    pub(super) failed: AtomicU64,
    pub(super) repeated: AtomicU64,
    pub(super) here: AtomicU64,
    pub(super) blobs_up: AtomicU64,
}

/// What a run did with a server that executes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields)]
pub struct ExecutorCounts {
    /// Actions that were executed there.
    pub executed: u64,
    /// Actions whose result it had.
    pub found: u64,
    /// Actions that failed there, or could not be executed there.
    pub failed: u64,
    /// How often a stream was taken up, an upload repeated or an execution asked for
    /// again.
    pub repeated: u64,
    /// Actions that were executed here in its place (`--local-fallback`).
    pub here: u64,
    /// Blobs that went.
    pub blobs_up: u64,
    /// Bytes of blobs that went; where the cache is the same server, those of the
    /// cache, too.
    pub bytes_up: u64,
    /// Bytes of blobs that came; likewise.
    pub bytes_down: u64,
}

impl ExecutorTally {
    /// What was done so far; `None` where nothing was.
    pub(super) fn counts(&self, bytes_up: u64, bytes_down: u64) -> Option<ExecutorCounts> {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let counts = ExecutorCounts {
            executed: of(&self.executed),
            found: of(&self.found),
            failed: of(&self.failed),
            repeated: of(&self.repeated),
            here: of(&self.here),
            blobs_up: of(&self.blobs_up),
            bytes_up: 0,
            bytes_down: 0,
        };
        (counts != ExecutorCounts::default()).then_some(ExecutorCounts {
            bytes_up,
            bytes_down,
            ..counts
        })
    }
}
