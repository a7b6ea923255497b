//! A card as a pipeline sees it.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::card::Stem;
use crate::plan::PlannedCard;
use crate::runner::definition::{Definition, Kind};

/// A card as a pipeline sees it.
#[derive(Clone, Debug)]
pub struct Node {
    /// Its stem.
    pub stem: Stem,
    /// Its title.
    pub title: String,
    /// What kind of work it is.
    pub kind: Kind,
    /// Whether it is open.
    pub open: bool,
    /// Its runner's name.
    pub runner: Option<String>,
    /// The cards that come before it.
    pub before: BTreeSet<Stem>,
    /// The cards whose artifacts it uses.
    pub uses: BTreeSet<Stem>,
    /// The variables that its runner takes from outside.
    pub variables: BTreeSet<String>,
    /// How long it may take, with all attempts.
    pub timeout: Option<Duration>,
    /// Whether a person is asked before it runs.
    pub confirm: bool,
    /// What a person does.
    pub steps: Vec<String>,
}

impl Node {
    /// A planned card as a pipeline sees it.
    pub fn of(card: &PlannedCard) -> Node {
        let definition = &card.work.definition;
        Node {
            stem: card.stem.clone(),
            title: card.title.clone(),
            kind: card.work.kind,
            open: card.open,
            runner: card.work.runner.clone(),
            before: card.before.clone(),
            uses: card.uses.iter().map(|(_, stem)| stem.clone()).collect(),
            variables: variables(definition),
            timeout: timeout(definition),
            confirm: definition.confirm.is_some(),
            steps: card.steps.clone(),
        }
    }

    /// Whether a run would pass it over: nothing is left to do, and nothing is
    /// made that others read.
    pub(super) fn is_passed_over(&self) -> bool {
        match self.kind {
            Kind::Build => false,
            Kind::Page => true,
            Kind::Command | Kind::Probe | Kind::Hand => !self.open,
        }
    }
}

fn variables(definition: &Definition) -> BTreeSet<String> {
    let fetches = definition.fetch.values().flat_map(|fetch| &fetch.pass_env);
    let own = definition.pass_env.iter().chain(&definition.key_env);
    own.chain(fetches).cloned().collect()
}

/// All attempts at the steps, with their fetches; `None` where one of them has
/// no bound.
fn timeout(definition: &Definition) -> Option<Duration> {
    let steps = definition.timeout?.0;
    let retries = &definition.retries;
    let mut whole = steps * (retries.attempts + 1) + retries.delay * retries.attempts;
    for fetch in definition.fetch.values() {
        whole += fetch.timeout?.0;
    }
    Some(whole)
}
