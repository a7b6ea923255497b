//! Cards that wait for their turn in a group, and take no job meanwhile.
//!
//! The loop of the run owns the schedule; a card tells it that it waits, and asks
//! for its share when the group is its own. Within a process those that want one
//! group wait here, so that one thread alone waits for the lock among processes.
//! Beside a run nobody listens, and there is nothing to ask for.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::{Mutex, OwnedMutexGuard, mpsc, oneshot};

use crate::card::Stem;

/// What a card tells the loop.
#[derive(Debug)]
pub(super) enum Turn {
    /// It waits.
    Paused,
    /// It wants to go on.
    Resumes(Granted),
}

/// The way to tell a card that it may go on.
#[derive(Debug)]
pub(super) struct Granted(oneshot::Sender<()>);

impl Granted {
    pub(super) fn tell(self) {
        // Who is gone needs it no more: its end gives the share back.
        let _ = self.0.send(());
    }
}

/// The turns of one run.
#[derive(Debug, Default)]
pub(super) struct Turns {
    listener: RefCell<Option<mpsc::UnboundedSender<(Stem, Turn)>>>,
    groups: RefCell<BTreeMap<String, Arc<Mutex<()>>>>,
}

impl Turns {
    /// What cards tell from now on.
    pub(super) fn listen(&self) -> mpsc::UnboundedReceiver<(Stem, Turn)> {
        let (listener, told) = mpsc::unbounded_channel();
        self.listener.replace(Some(listener));
        told
    }

    fn tell(&self, card: &Stem, turn: Turn) {
        if let Some(listener) = &*self.listener.borrow() {
            // The loop ends after the cards.
            let _ = listener.send((card.clone(), turn));
        }
    }

    /// `card` waits: others may have what it takes.
    pub(super) fn pause(&self, card: &Stem) {
        self.tell(card, Turn::Paused);
    }

    /// Waits until there is room for `card` again.
    pub(super) async fn resume(&self, card: &Stem) {
        let (granted, told) = oneshot::channel();
        self.tell(card, Turn::Resumes(Granted(granted)));
        // Where nobody listens it is dropped, and that is an answer as well.
        let _ = told.await;
    }

    /// The turn among those of this process that want `group`.
    pub(super) async fn first_in(&self, group: &str) -> OwnedMutexGuard<()> {
        let mutex = {
            let mut groups = self.groups.borrow_mut();
            Arc::clone(groups.entry(group.to_owned()).or_default())
        };
        mutex.lock_owned().await
    }
}
