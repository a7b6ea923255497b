//! What a server that executes was sent in this run, and what it is sent just now.
//!
//! Cards that start together share blobs: each blob goes once, and whoever else
//! needs it waits for that. Whoever ends, sent or not, gives back what is left, and
//! another one sends it then.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use tokio::sync::watch;

use super::cache::hold;
use super::client::Client;
use super::executor_tally::ExecutorTally;
use super::fault::Fault;
use super::origin::Origin;
use super::tally::add;
use super::transfer;
use crate::digest::Digest;

/// The blobs of a server, as far as this run knows.
#[derive(Debug, Default)]
pub(super) struct Sending {
    blobs: Mutex<Blobs>,
    /// A word whenever a card has sent something, or gives it up.
    moved: watch::Sender<()>,
}

#[derive(Debug, Default)]
struct Blobs {
    /// It has these.
    there: BTreeSet<Digest>,
    /// Of these it said that it lacks them, whatever it says when it is asked.
    lost: BTreeSet<Digest>,
    /// A card sends these just now.
    under_way: BTreeSet<Digest>,
}

impl Sending {
    /// Uploads what the server lacks of `blobs`, or waits until others have.
    ///
    /// # Errors
    ///
    /// Where one of them could not be uploaded, or is not here.
    pub(super) async fn send(
        &self,
        client: &Client,
        blobs: &BTreeMap<Digest, Option<Origin>>,
        tally: &ExecutorTally,
        is_down: impl Fn() -> Option<Fault>,
    ) -> Result<(), Fault> {
        let mut pending: BTreeSet<Digest> = blobs.keys().copied().collect();
        loop {
            // Before the look, so that no word comes between.
            let mut moved = self.moved.subscribe();
            let mine = self.claimed(&mut pending);
            if !mine.blobs.is_empty() {
                if let Some(fault) = is_down() {
                    return Err(fault);
                }
                mine.send(client, blobs, tally).await?;
            } else if pending.is_empty() {
                return Ok(());
            } else {
                // It lasts as long as this.
                drop(moved.changed().await);
            }
        }
    }

    /// What of the `pending` blobs nobody has sent or sends, to be sent by who asks.
    /// What others send just now stays pending.
    fn claimed(&self, pending: &mut BTreeSet<Digest>) -> Claim<'_> {
        let mut known = hold(&self.blobs);
        pending.retain(|digest| !known.there.contains(digest));
        let mine: BTreeSet<Digest> = pending.difference(&known.under_way).copied().collect();
        pending.retain(|digest| known.under_way.contains(digest));
        known.under_way.extend(&mine);
        Claim {
            sending: self,
            blobs: mine,
        }
    }

    /// Takes back that the server has these, which are `said` to be missing or were
    /// not found.
    pub(super) fn forget(&self, blobs: &BTreeSet<Digest>, said: bool) {
        let mut known = hold(&self.blobs);
        for digest in blobs {
            known.there.remove(digest);
        }
        if said {
            known.lost.extend(blobs);
        }
    }
}

/// Blobs that one card sends; what is left of them is given back when it is dropped.
struct Claim<'a> {
    sending: &'a Sending,
    blobs: BTreeSet<Digest>,
}

impl Claim<'_> {
    async fn send(
        mut self,
        client: &Client,
        blobs: &BTreeMap<Digest, Option<Origin>>,
        tally: &ExecutorTally,
    ) -> Result<(), Fault> {
        let mut missing = transfer::missing(client, &self.blobs).await?;
        missing.extend(hold(&self.sending.blobs).lost.intersection(&self.blobs));
        let mut sent = BTreeMap::new();
        for digest in &missing {
            match blobs.get(digest) {
                Some(Some(origin)) => drop(sent.insert(*digest, origin.clone())),
                _ => return Err(Fault::Gone(*digest)),
            }
        }
        self.are_there(&self.blobs.difference(&missing).copied().collect());
        // Nobody waits for what is large who needs what is small alone.
        let limits = client.limits().await?;
        let (small, large): (BTreeMap<_, _>, BTreeMap<_, _>) = sent
            .into_iter()
            .partition(|(digest, _)| limits.is_small(digest.size));
        for part in [small, large] {
            let digests: BTreeSet<Digest> = part.keys().copied().collect();
            transfer::send(client, part).await?;
            add(&tally.blobs_up, digests.len() as u64);
            self.are_there(&digests);
        }
        Ok(())
    }

    /// Notes that the server has these.
    fn are_there(&mut self, blobs: &BTreeSet<Digest>) {
        if blobs.is_empty() {
            return;
        }
        let mut known = hold(&self.sending.blobs);
        for digest in blobs {
            self.blobs.remove(digest);
            known.under_way.remove(digest);
            known.lost.remove(digest);
        }
        known.there.extend(blobs);
        drop(known);
        self.sending.moved.send_modify(|()| {});
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        if self.blobs.is_empty() {
            return;
        }
        let mut known = hold(&self.sending.blobs);
        for digest in &self.blobs {
            known.under_way.remove(digest);
        }
        drop(known);
        self.sending.moved.send_modify(|()| {});
    }
}
