//! What holds a plan up, and what to do next.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Serialize;

use super::{Coded, LastRun};
use crate::card::Stem;
use crate::chain::State;
use crate::runner::definition::Kind;

/// What `blocked` answers.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields)]
pub struct Blockers {
    /// The version of this format: 1.
    pub schema_version: u32,
    /// The ready cards: stuck ones first, then those that wait, those to be done
    /// by hand, and those that can be run; each group sorted by stem.
    pub leaves: Vec<Leaf>,
    /// The blocked cards, sorted by stem.
    pub blocked: Vec<BlockedCard>,
}

/// What holds a ready card up, the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Hold {
    /// It can't go on here: it failed last, or a tool, a source or the platform is missing.
    Stuck,
    /// Its probe is not true yet.
    Waiting,
    /// Somebody has to do it.
    Hand,
    /// Nothing: it can be run.
    Ready,
}

impl Hold {
    /// The word for people.
    pub fn word(self) -> &'static str {
        match self {
            Hold::Stuck => "stuck",
            Hold::Waiting => "waiting",
            Hold::Hand => "by hand",
            Hold::Ready => "ready",
        }
    }
}

/// A ready card, and what holds it up.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields)]
pub struct Leaf {
    /// The card.
    pub stem: Stem,
    /// Its title.
    pub title: String,
    /// What holds it up.
    pub hold: Hold,
    /// The same with its reason; null where it can be run.
    pub reason: Option<Coded>,
    /// What somebody does, from its text: of cards by hand and of probes.
    pub steps: Vec<String>,
    /// The last lines of its last run's log, where it is stuck or waits.
    pub tail: Vec<String>,
    /// The open cards that wait for it, directly or not, sorted.
    pub frees: Vec<Stem>,
    /// Its last run in this work tree.
    pub last_run: Option<LastRun>,
}

/// A blocked card, and what blocks it.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields)]
pub struct BlockedCard {
    /// The card.
    pub stem: Stem,
    /// What it requires and is not complete, in the order written.
    pub blocked_by: Vec<Stem>,
    /// What it requires and names no card.
    pub unknown: Vec<String>,
    /// The ready cards below it, sorted.
    pub leaves: Vec<Stem>,
    /// What blocks it and is no ready card: files that can't be read, stems that
    /// several files have, entries that name no card, cycles. One line each.
    pub faults: Vec<String>,
}

/// What `next` answers.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum Next {
    /// The card to work on.
    Card(Box<NextCard>),
    /// There is none.
    None {
        /// The version of this format: 1.
        #[serde(rename = "schemaVersion")]
        schema_version: u32,
        /// Always null.
        next: Option<()>,
    },
}

/// The card to work on, and what is needed to start.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields)]
pub struct NextCard {
    /// The version of this format: 1.
    pub schema_version: u32,
    /// The card.
    pub stem: Stem,
    /// Its title.
    pub title: String,
    /// Its file, relative to the project's root.
    pub path: PathBuf,
    /// Why this one.
    pub why: String,
    /// The kind of its work; null where its runner can't be read.
    pub kind: Option<Kind>,
    /// Its state: `ready`.
    pub state: State,
    /// What it waits for.
    pub waits: Option<Coded>,
    /// Why it can't go on here.
    pub stuck: Option<Coded>,
    /// What is to be done, from its text.
    pub steps: Vec<String>,
    /// How to see that it is done, from its text.
    pub checks: Vec<String>,
    /// The open cards that wait for it, directly or not, sorted.
    pub frees: Vec<Stem>,
    /// What to type.
    pub commands: Commands,
    /// Its last run in this work tree.
    pub last_run: Option<LastRun>,
}

/// Commands for a card, as they are typed in a shell.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Commands {
    /// Shows its text.
    pub show: String,
    /// Runs it; null where nothing runs it.
    pub run: Option<String>,
    /// Prints the log of its last run; null where nothing runs it.
    pub log: Option<String>,
    /// Marks it complete.
    pub complete: String,
}
