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
    /// Those that were looked up by what they used the last time, with that, and
    /// whether their result was found.
    guessed: BTreeMap<Number, (Used, bool)>,
    /// From here on no card was looked up in that way.
    next: Number,
    pub(super) tasks: JoinSet<Looked>,
}

/// The artifacts that a card uses, by role.
type Used = BTreeMap<String, Digest>;

/// A card that was looked up.
pub(super) struct Looked {
    card: Number,
    /// What it was taken to use, where that was a guess.
    guess: Option<Used>,
    /// Whether its result was found.
    found: bool,
}

impl Ahead {
    pub(super) fn new() -> Ahead {
        Ahead {
            looked: BTreeSet::new(),
            guessed: BTreeMap::new(),
            next: 0,
            tasks: JoinSet::new(),
        }
    }

    /// Begins with as many cards as there is room for, and holds those that could
    /// start until they are looked up.
    pub(super) fn go_on(
        &mut self,
        engine: &Rc<Engine>,
        cards: &[Arc<PlannedCard>],
        schedule: &mut Schedule,
    ) {
        if !engine.lacked.get() || schedule.is_stopped() {
            return;
        }
        let room = AT_ONCE.saturating_sub(self.tasks.len());
        let ready = schedule
            .waiting()
            .take(WITHIN)
            .filter(|card| !self.looked.contains(card));
        let ready: Vec<Number> = ready.take(room).collect();
        for number in ready {
            self.looked.insert(number);
            schedule.hold(number);
            let used = engine.guessed_artifacts(&cards[number]);
            match (used, self.guessed.remove(&number)) {
                (Some(used), Some((guess, found))) if used == guess => {
                    schedule.release(number, found);
                }
                (Some(used), _) => self.begin(engine, cards, number, used, false),
                (None, _) => schedule.release(number, false),
            }
        }
        while self.tasks.len() < AT_ONCE && self.next < cards.len() {
            let number = self.next;
            self.next += 1;
            let is_open = !schedule.was_started(number) && !self.looked.contains(&number);
            if is_open && let Some(used) = engine.guessed_artifacts(&cards[number]) {
                self.begin(engine, cards, number, used, true);
            }
        }
    }

    fn begin(
        &mut self,
        engine: &Rc<Engine>,
        cards: &[Arc<PlannedCard>],
        number: Number,
        used: Used,
        is_guess: bool,
    ) {
        let (engine, card) = (Rc::clone(engine), Arc::clone(&cards[number]));
        self.tasks.spawn_local(async move {
            let found = engine.look_ahead(&card, &used).await.is_some();
            Looked {
                card: number,
                guess: is_guess.then_some(used),
                found,
            }
        });
    }

    /// Takes what came of one card; it may start where that was no guess.
    pub(super) fn take(&mut self, looked: Looked, schedule: &mut Schedule) {
        match looked.guess {
            Some(used) => drop(self.guessed.insert(looked.card, (used, looked.found))),
            None => schedule.release(looked.card, looked.found),
        }
    }
}

impl Engine {
    /// Has the result of `card` brought, as if it uses these, with those of its checks;
    /// `None` where nobody has one of them, or that can't be told yet.
    async fn look_ahead(&self, card: &Arc<PlannedCard>, requires: &Used) -> Option<()> {
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
        let none = BTreeMap::new();
        let need = self.need(card);
        let look = Some(need);
        let (order, found) = self.looked_up(card, requires, &none, look).await.ok()?;
        let artifact = match found {
            Some(found) => found.artifact,
            None => self.shared(&order, need).await.ok()??.artifact,
        };
        let mut has_passed = true;
        for (number, check) in definition.verify.iter().enumerate() {
            let order = self.check_order(card, requires, &artifact, number).await;
            let order = order.ok().filter(|_| !check.always)?;
            if !self.knows_check(&order.action.key) {
                has_passed &= matches!(self.shared_check(&order).await, Ok(Some(_)));
            }
        }
        has_passed.then_some(())
    }

    /// The artifacts that the card uses: those of this run, else the last ones.
    fn guessed_artifacts(&self, card: &PlannedCard) -> Option<Used> {
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
