//! Locks among all processes that use the store: one for each action, and the
//! groups that runners name. Who waits says for whom, and stops when the run is
//! cancelled.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::card::Stem;
use crate::digest::Digest;
use crate::event::Event;
use crate::store::{ActionLock, Holder, Lock, TryLock};

use super::Engine;
use super::fault::Obstacle;
use super::order::Order;
use super::perform::blocking;

impl Engine {
    pub(super) async fn lock_action(
        &self,
        card: &Stem,
        order: &Arc<Order>,
    ) -> Result<ActionLock, Obstacle> {
        self.lock(card, Lock::Action(order.action.key)).await
    }

    /// The mutex `group`, among all processes that use the store.
    pub(super) async fn lock_group(
        &self,
        card: &Stem,
        group: &str,
    ) -> Result<ActionLock, Obstacle> {
        self.lock(card, Lock::Group(Digest::of(group.as_bytes())))
            .await
    }

    /// Waits for a lock, and tells who has it, until the run is cancelled.
    async fn lock(&self, card: &Stem, lock: Lock) -> Result<ActionLock, Obstacle> {
        let store = Arc::clone(&self.workspace.store);
        let name = card.to_string();
        match store.try_lock(&lock, &name)? {
            TryLock::Acquired(lock) => return Ok(lock),
            TryLock::Held(holder) => self.emit(Event::CardAwaited {
                card: card.clone(),
                holder: told(&holder, card),
            }),
        }
        // This process's own results may be what the holder waits for.
        self.flush().await?;
        let stop = Arc::new(AtomicBool::new(false));
        let asked = Arc::clone(&stop);
        let waiting = blocking(move || {
            store.lock(&lock, &name, |_| match asked.load(Ordering::Relaxed) {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            })
        });
        tokio::select! {
            lock = waiting => lock??.ok_or(Obstacle::Cancelled),
            () = self.cancelled() => {
                stop.store(true, Ordering::Relaxed);
                Err(Obstacle::Cancelled)
            }
        }
    }
}

/// Who holds what `card` waits for, such as "process 42" or "process 42 (`b`)".
fn told(holder: &Holder, card: &Stem) -> String {
    match holder.card.as_str() {
        // It has the lock, and has not come to write who it is.
        _ if holder.pid == 0 => "another process".to_owned(),
        other if other == card.as_str() => format!("process {}", holder.pid),
        other => format!("process {} (`{other}`)", holder.pid),
    }
}
