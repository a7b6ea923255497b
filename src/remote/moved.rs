//! When something moved last: what tells a slow line from a dead one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// When something moved last, in milliseconds since this was made.
#[derive(Debug)]
pub(super) struct Moved {
    began: Instant,
    last: AtomicU64,
}

impl Moved {
    pub(super) fn new() -> Arc<Moved> {
        Arc::new(Moved {
            began: Instant::now(),
            last: AtomicU64::new(0),
        })
    }

    pub(super) fn now(&self) {
        let now = self.began.elapsed().as_millis() as u64;
        self.last.store(now, Ordering::Relaxed);
    }

    /// Ends once nothing has moved for this long.
    pub(super) async fn stops_for(&self, stall: Duration) {
        loop {
            let last = Duration::from_millis(self.last.load(Ordering::Relaxed));
            let due = (last + stall).saturating_sub(self.began.elapsed());
            if due.is_zero() {
                return;
            }
            tokio::time::sleep(due).await;
        }
    }
}
