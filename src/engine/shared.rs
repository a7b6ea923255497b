//! What the engine asks of a cache that machines share, and what it tells it.
//!
//! Asked is what the store does not have and what need not stay on this machine;
//! told is what was executed here, once it is durable. The engine decides nothing
//! by how the server fares: a fault is a miss.

use std::sync::Arc;
use std::time::Duration;

use crate::digest::Digest;
use crate::error::Exit;
use crate::event::Event;
use crate::remote::{Cache, FoundCheck, Made, Need, Wanted};
use crate::store::{Provenance, StoredResult};

use super::fault::Obstacle;
use super::order::Order;
use super::signals::Signals;
use super::{CheckRecord, Engine};

/// After this long it is said what a run waits for at its end.
const SILENT: Duration = Duration::from_secs(2);

impl Engine {
    /// The shared cache, where the result of `order` may come from it.
    fn cache_for(&self, order: &Order) -> Option<&Arc<Cache>> {
        let cache = self.workspace.cache.as_ref()?;
        let is_shared = self.stays_local(order).is_none() && self.workspace.store.is_writable();
        is_shared.then_some(cache)
    }

    /// The result of `order` from the shared cache, recorded here.
    pub(super) async fn shared(
        &self,
        order: &Order,
        need: Need,
    ) -> Result<Option<StoredResult>, Obstacle> {
        let Some(cache) = self.cache_for(order) else {
            return Ok(None);
        };
        self.lacked.set(true);
        let wanted = Wanted {
            key: order.action.key,
            messages: order.action.blobs.clone(),
        };
        let found = self.unless_cancelled(cache.find(&self.workspace.store, wanted, need));
        let found = found.await?;
        self.tell_of_cache();
        if found.is_some() {
            self.touch();
        }
        Ok(found)
    }

    /// The artifact that the shared cache has of `order`, by name alone, and who
    /// made it.
    pub(super) async fn shared_name(
        &self,
        order: &Order,
    ) -> Result<Option<(Digest, Provenance)>, Obstacle> {
        let Some(cache) = self.cache_for(order) else {
            return Ok(None);
        };
        let found = self.unless_cancelled(cache.find_name(order.action.key));
        let found = found.await?;
        self.tell_of_cache();
        Ok(found)
    }

    /// That the check of `order` passed elsewhere.
    pub(super) async fn shared_check(&self, order: &Order) -> Result<Option<FoundCheck>, Obstacle> {
        let Some(cache) = self.cache_for(order) else {
            return Ok(None);
        };
        let found = self.unless_cancelled(cache.find_check(order.action.key));
        let found = found.await?;
        self.tell_of_cache();
        Ok(found)
    }

    /// Whether it is recorded here that a check passed.
    pub(super) fn knows_check(&self, key: &Digest) -> bool {
        let known = self.workspace.store.check::<CheckRecord>(key);
        known.is_ok_and(|known| known.is_some())
    }

    pub(super) async fn unless_cancelled<T>(
        &self,
        asked: impl Future<Output = T>,
    ) -> Result<T, Obstacle> {
        tokio::select! {
            answer = asked => Ok(answer),
            () = self.cancelled() => Err(Obstacle::Cancelled),
        }
    }

    /// Remembers what was executed, to be uploaded once it is durable.
    pub(super) fn to_be_shared(&self, order: &Order, made: impl FnOnce() -> Made) {
        let Some(cache) = self
            .workspace
            .cache
            .as_ref()
            .filter(|cache| cache.is_to_be_written())
        else {
            return;
        };
        match self.stays_local(order) {
            Some(_) => cache.skip(1),
            None => self.made.borrow_mut().push(made()),
        }
    }

    /// Counts what is not uploaded, where results are.
    pub(super) fn to_be_skipped(&self) {
        let cache = self.workspace.cache.as_ref();
        if let Some(cache) = cache.filter(|cache| cache.is_to_be_written()) {
            cache.skip(1);
        }
    }

    /// What `order` left, for others; without an artifact where it is a check.
    pub(super) fn made_of(
        order: &Order,
        artifact: Option<Digest>,
        output: Vec<u8>,
        provenance: Provenance,
    ) -> Made {
        Made {
            key: order.action.key,
            messages: order.action.spelled().to_vec(),
            artifact,
            output,
            provenance,
        }
    }

    /// Uploads what has become durable.
    pub(super) fn share(&self, made: Vec<Made>) {
        if let Some(cache) = &self.workspace.cache {
            cache.upload(&self.workspace.store, made);
            self.tell_of_cache();
        }
    }

    /// Waits for all uploads, unless a signal comes; returns what that means.
    pub(super) async fn uploaded(&self, signals: &mut Signals, goes_on: bool) -> Option<Exit> {
        let cache = self.workspace.cache.as_ref()?;
        if !goes_on {
            cache.abandon_uploads();
        }
        let waiting = async {
            tokio::select! {
                () = cache.uploaded() => return,
                () = tokio::time::sleep(SILENT) => {}
            }
            self.emit(Event::Noted {
                message: format!(
                    "what was built is still being uploaded to the cache {}",
                    cache.address()
                ),
            });
            cache.uploaded().await;
        };
        let interrupted = tokio::select! {
            () = waiting => None,
            exit = signals.next() => {
                cache.abandon_uploads();
                Some(exit)
            }
        };
        self.tell_of_cache();
        interrupted
    }

    /// Tells what the cache has to say.
    fn tell_of_cache(&self) {
        let notes = self.workspace.cache.iter().flat_map(|cache| cache.notes());
        for message in notes {
            self.emit(Event::Noted { message });
        }
    }
}
