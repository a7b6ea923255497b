//! The plan of a run: the cards of a chain with their work, in a stable order.
//!
//! Built from the chain and the runners before anything is executed; a card
//! whose runner or parameters are at fault is not in a plan, its findings are.
//! Pure: what it needs of the disk was read before.

use std::collections::{BTreeMap, BTreeSet};

use crate::card::Stem;
use crate::runner::parameters::Parameters;
use crate::runner::work::Work;
use crate::schedule::Number;

/// A card that a run looks at.
#[derive(Clone, Debug)]
pub struct PlannedCard {
    /// Its stem.
    pub stem: Stem,
    /// Its title.
    pub title: String,
    /// Whether it is open.
    pub open: bool,
    /// Whether it was asked for by name, or is the goal.
    pub asked: bool,
    /// Its runner.
    pub work: Work,
    /// Its parameters with their values.
    pub parameters: Parameters,
    /// Whose artifacts it uses, by role.
    pub uses: Vec<(String, Stem)>,
    /// The cards that it requires or uses.
    pub before: BTreeSet<Stem>,
    /// What a person does, from its text; for hand cards and probes.
    pub steps: Vec<String>,
}

/// The cards of a run, in topological order with ties by stem.
#[derive(Debug, Default)]
pub struct Plan {
    /// The cards.
    pub cards: Vec<PlannedCard>,
    /// For each card the numbers of those that come before it.
    pub prerequisites: Vec<Vec<Number>>,
}

impl Plan {
    /// A plan of `cards`, which stand in topological order. Prerequisites that
    /// are not among them are taken as satisfied.
    pub fn new(cards: Vec<PlannedCard>) -> Plan {
        let numbers: BTreeMap<&Stem, Number> = cards
            .iter()
            .enumerate()
            .map(|(n, card)| (&card.stem, n))
            .collect();
        let prerequisites = cards
            .iter()
            .map(|card| {
                let before = card.before.iter();
                before
                    .filter_map(|stem| numbers.get(stem).copied())
                    .collect()
            })
            .collect();
        Plan {
            prerequisites,
            cards,
        }
    }

    /// For each card the group of which only one card runs at once, by its number.
    pub fn groups(&self) -> Vec<Option<usize>> {
        let mut numbers: BTreeMap<&str, usize> = BTreeMap::new();
        let of_card = self.cards.iter().map(|card| {
            let group = card.work.definition.resources.group.as_deref()?;
            let number = numbers.len();
            Some(*numbers.entry(group).or_insert(number))
        });
        of_card.collect()
    }

    /// The cards that come after `stem`.
    pub fn dependents_of(&self, stem: &Stem) -> Vec<Stem> {
        let after = self.cards.iter().filter(|card| card.before.contains(stem));
        after.map(|card| card.stem.clone()).collect()
    }
}
