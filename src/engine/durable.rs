//! When what is done becomes durable, in groups.
//!
//! A result is put at once, and known to this run. Its group is flushed when
//! nothing runs, when it is large or when it is old; then its locks are freed,
//! and its cards are remembered, linked and marked.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::card::Stem;
use crate::digest::Digest;
use crate::error::Error;
use crate::event::Event;
use crate::store::{ActionLock, StoreError};
use crate::timings;

use super::fault::Obstacle;
use super::perform::blocking;
use super::{CheckRecord, Engine, Mark, Marked, store_error};

/// A group of finished actions is flushed when it has this many.
pub(super) const GROUP: usize = 64;

/// ... or when its first one is this old.
const GROUP_AGE: Duration = Duration::from_millis(100);

impl Engine {
    /// Makes what is done durable, then remembers, links and marks it.
    pub(super) async fn settle(&self, mark: &Mark) -> Result<(), Error> {
        let pending = self.pending.take();
        self.flush().await.map_err(|obstacle| match obstacle {
            Obstacle::Store(error) => store_error(&error),
            other => Error::Bug(format!("{other:?}")),
        })?;
        let to_mark: Vec<Stem> = pending
            .iter()
            .filter(|(card, done)| done.mark && card.open && self.options.mark)
            .map(|(card, _)| card.stem.clone())
            .collect();
        let (workspace, mark) = (Arc::clone(&self.workspace), Arc::clone(mark));
        let stems = to_mark.clone();
        let marked = blocking(move || {
            let phase = timings::phase("remember cards").about(pending.len());
            let runs = pending.iter().filter_map(|(_, done)| done.run.as_ref());
            let added = workspace.local.add_all(runs);
            added.map_err(|e| store_error(&e))?;
            for (card, finished) in &pending {
                if let Some(artifact) = &finished.link {
                    let (local, stem) = (&workspace.local, card.stem.as_str());
                    let linked = match workspace.has_files(artifact) {
                        true => local.link(&workspace.store, stem, artifact),
                        // Its files are elsewhere: no link leads to an older one.
                        false => local.unlink(stem),
                    };
                    linked.map_err(|e| store_error(&e))?;
                }
            }
            drop(phase);
            if stems.is_empty() {
                return Ok(Vec::new());
            }
            let _phase = timings::phase("mark").about(stems.len());
            mark(&stems)
        });
        let marked = marked
            .await
            .map_err(|obstacle| Error::Bug(format!("{obstacle:?}")))??;
        for (card, marked) in to_mark.into_iter().zip(marked) {
            match marked {
                Marked::Now => self.emit(Event::CardMarked { card }),
                Marked::Before => {}
                Marked::Refused(why) => self.emit(Event::Noted {
                    message: format!("`{card}` is not marked: {why}"),
                }),
            }
        }
        Ok(())
    }

    /// Makes every result that was put durable, and frees its lock.
    pub(super) async fn flush(&self) -> Result<(), Obstacle> {
        let locks = self.held.take();
        let made = self.made.take();
        self.pending_since.set(None);
        let store = Arc::clone(&self.workspace.store);
        let _phase = timings::phase("flush").about(locks.len());
        blocking(move || store.flush()).await??;
        drop(locks);
        self.share(made);
        Ok(())
    }

    pub(super) fn touch(&self) {
        if self.pending_since.get().is_none() {
            self.pending_since.set(Some(Instant::now()));
        }
    }

    pub(super) fn group_is_old(&self) -> bool {
        self.until_flush().is_zero()
    }

    pub(super) fn until_flush(&self) -> Duration {
        match self.pending_since.get() {
            Some(since) => GROUP_AGE.saturating_sub(since.elapsed()),
            None => GROUP_AGE,
        }
    }

    pub(super) fn hold_until_flushed(&self, lock: ActionLock) {
        self.held.borrow_mut().push(lock);
    }

    pub(super) fn put_check(&self, key: Digest, record: CheckRecord) -> Result<(), StoreError> {
        self.workspace.store.put_check(&key, &record)?;
        self.touch();
        Ok(())
    }
}
