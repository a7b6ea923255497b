//! Leaves a server alone that fails: after a few faults nothing is asked of it
//! any more in this run, and one warning says why.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use super::fault::Fault;

/// After this many faults a server is left alone.
pub(super) const FAULTS: u32 = 3;

/// Counts faults.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    faults: AtomicU32,
    reading_stopped: AtomicBool,
    writing_stopped: AtomicBool,
    warned: AtomicBool,
    warned_of_writing: AtomicBool,
}

/// What a fault is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Doing {
    /// Looking up and fetching.
    Reading,
    /// Uploading.
    Writing,
}

impl Breaker {
    /// Whether this may still be asked of the server.
    pub(super) fn lets(&self, doing: Doing) -> bool {
        let stopped = match doing {
            Doing::Reading => self.reading_stopped.load(Ordering::Relaxed),
            Doing::Writing => self.is_refused() || self.reading_stopped.load(Ordering::Relaxed),
        };
        !stopped
    }

    fn is_refused(&self) -> bool {
        self.writing_stopped.load(Ordering::Relaxed)
    }

    /// Takes a fault; returns the words of a warning where one is due: once for
    /// reading, and once for writing where that alone is refused.
    pub(super) fn take(&self, doing: Doing, fault: &Fault) -> Option<String> {
        if let Fault::Gone(_) = fault {
            return None;
        }
        let first = || !self.warned.swap(true, Ordering::Relaxed);
        if let Fault::Here(_) = fault {
            return first().then(|| format!("{fault}; the run goes on without what it had"));
        }
        if doing == Doing::Writing && matches!(fault, Fault::Refused(_)) {
            self.writing_stopped.store(true, Ordering::Relaxed);
            let first = !self.warned_of_writing.swap(true, Ordering::Relaxed);
            return first.then(|| format!("{fault}; results are not uploaded in this run"));
        }
        let faults = self.faults.fetch_add(1, Ordering::Relaxed) + 1;
        // Who is not let in is not let in the next time either.
        let is_final = matches!(fault, Fault::Refused(_) | Fault::Settings(_));
        if faults >= FAULTS || is_final {
            self.reading_stopped.store(true, Ordering::Relaxed);
        }
        first().then(|| format!("{fault}; the run goes on without it"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_warning_and_then_silence() {
        let breaker = Breaker::default();
        let fault = Fault::Answer("500".into());
        assert!(breaker.take(Doing::Reading, &fault).is_some());
        assert!(breaker.lets(Doing::Reading));
        assert_eq!(breaker.take(Doing::Writing, &fault), None);
        assert!(breaker.lets(Doing::Writing));
        assert_eq!(breaker.take(Doing::Reading, &fault), None);
        assert!(!breaker.lets(Doing::Reading) && !breaker.lets(Doing::Writing));
    }

    #[test]
    fn refused_write_stops_writing_alone() {
        let breaker = Breaker::default();
        let fault = Fault::Refused("read only".into());
        assert!(breaker.take(Doing::Writing, &fault).is_some());
        assert!(breaker.lets(Doing::Reading) && !breaker.lets(Doing::Writing));
        assert_eq!(breaker.take(Doing::Writing, &fault), None);
    }

    #[test]
    fn blob_that_is_gone_is_nobodys_fault() {
        let breaker = Breaker::default();
        for _ in 0..9 {
            let gone = Fault::Gone(crate::digest::Digest::of(b"x"));
            assert_eq!(breaker.take(Doing::Reading, &gone), None);
        }
        assert!(breaker.lets(Doing::Reading));
    }
}
