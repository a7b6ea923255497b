//! Looking ahead in a shared cache: for cards that may start and have no job yet,
//! and for later ones as if what they use came out as it did the last time.
//!
//! What is found is in the store when its card starts; what is not found is known
//! not to be there. Nothing is executed, and a wrong guess costs a look-up. A card
//! that may start is held back while it is looked up, so that it takes no job to wait
//! in. It begins with the first result that this run lacks, so that a run that lacks
//! nothing describes nothing twice.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;

use tokio::task::JoinSet;

use crate::digest::Digest;
use crate::plan::PlannedCard;
use crate::runner::definition::Kind;
use crate::schedule::{Number, Schedule};

use super::Engine;

/// How many cards are looked up at once.
const AT_ONCE: usize = 48;
/// Among so many of the next cards that may start, those are chosen that were not
/// looked up yet.
const WITHIN: usize = 4 * AT_ONCE;

/// The cards that were looked up ahead.
pub(super) struct Ahead {
    /// Those that could start.
    looked: BTreeSet<Number>,
    /// From here on no card was looked up by what it used the last time.
    next: Number,
    /// Each ends with its card's number.
    pub(super) tasks: JoinSet<Number>,
}

impl Ahead {
    pub(super) fn new() -> Ahead {
        Ahead {
            looked: BTreeSet::new(),
            next: 0,
            tasks: JoinSet::new(),
        }
    }

    /// Begins with as many cards as there is room for, and holds those that could
    /// start until their task is over.
    pub(super) fn go_on(
        &mut self,
        engine: &Rc<Engine>,
        cards: &[Arc<PlannedCard>],
        schedule: &mut Schedule,
    ) {
        if !engine.lacked.get() {
            return;
        }
        let room = AT_ONCE.saturating_sub(self.tasks.len());
        let ready = schedule
            .waiting()
            .take(WITHIN)
            .filter(|card| !self.looked.contains(card));
        let mut chosen: Vec<Number> = ready.take(room).collect();
        for number in &chosen {
            self.looked.insert(*number);
            schedule.hold(*number);
        }
        while chosen.len() < room && self.next < cards.len() {
            if !schedule.was_started(self.next) && !self.looked.contains(&self.next) {
                chosen.push(self.next);
            }
            self.next += 1;
        }
        for number in chosen {
            let (engine, card) = (Rc::clone(engine), Arc::clone(&cards[number]));
            self.tasks.spawn_local(async move {
                engine.look_ahead(&card).await.unwrap_or(());
                number
            });
        }
    }
}

impl Engine {
    /// Has the result of `card` brought, if somebody has it; `None` where that
    /// can't be told yet.
    async fn look_ahead(&self, card: &Arc<PlannedCard>) -> Option<()> {
        let definition = &card.work.definition;
        let is_forced = self.options.force && card.asked;
        let is_usual = card.work.kind == Kind::Build
            && definition.fetch.is_empty()
            && definition.platform.is_empty();
        if is_forced
            || !is_usual
            || self.options.verify
            || self.options.compare
            || self.is_repeated(card)
        {
            return None;
        }
        let requires = self.guessed_artifacts(card)?;
        let none = BTreeMap::new();
        let need = self.need(card);
        let look = Some(need);
        let (order, found) = self.looked_up(card, &requires, &none, look).await.ok()?;
        let artifact = match found {
            Some(found) => found.artifact,
            None => self.shared(&order, need).await.ok()??.artifact,
        };
        for (number, check) in definition.verify.iter().enumerate() {
            let order = self.check_order(card, &requires, &artifact, number).await;
            let order = order.ok().filter(|_| !check.always)?;
            if !self.knows_check(&order.action.key) {
                drop(self.shared_check(&order).await);
            }
        }
        Some(())
    }

    /// The artifacts that the card uses: those of this run, else the last ones.
    fn guessed_artifacts(&self, card: &PlannedCard) -> Option<BTreeMap<String, Digest>> {
        let artifacts = self.artifacts.borrow();
        let guess = |(role, stem): &(String, crate::card::Stem)| {
            let last = || {
                let history = self.workspace.local.history(stem.as_str());
                history.success().and_then(|run| run.artifact)
            };
            let digest = artifacts.get(stem).copied().or_else(last)?;
            Some((role.clone(), digest))
        };
        card.uses.iter().map(guess).collect()
    }
}
