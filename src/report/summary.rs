//! How a run ended, as it is told at its end.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use crate::card::Stem;
use crate::event::{Failure, How, Outcome, Wait};
use crate::remote::{CacheCounts, ExecutorCounts};

/// How a run ended.
#[derive(Debug, Default)]
pub struct Summary {
    /// The exit code.
    pub exit: u8,
    /// How long it took.
    pub took: Duration,
    /// Cards that were executed.
    pub executed: usize,
    /// Cards of which nothing had to be executed.
    pub fresh: usize,
    /// Cards that were marked.
    pub marked: usize,
    /// Cards that passed and are still open, since nothing is marked.
    pub passed_unmarked: Vec<Stem>,
    /// Complete cards that were executed again.
    pub rebuilt_complete: Vec<Stem>,
    /// Cards whose result is not recorded, and why.
    pub not_cached: Vec<(Stem, String)>,
    /// Failed cards; the first to fail last.
    pub failures: Vec<(Stem, Failure)>,
    /// Cards that wait.
    pub waits: Vec<(Stem, Wait, Vec<Stem>)>,
    /// Cards that were not started.
    pub blocked: Vec<Blocked>,
    /// Checks to be shown: the card, the check, what it printed.
    pub shown: Vec<(Stem, String, Vec<u8>)>,
    /// Sources that were read: the name, what it is.
    pub sources: Vec<(String, String)>,
    /// The command that tries again, where a failed card's name is not enough.
    pub again: Option<String>,
    /// The command that opens a shell where a card failed, for those that have
    /// such a place.
    pub shells: BTreeMap<Stem, String>,
    /// How each card ended, prerequisites first.
    pub rows: Vec<Row>,
    /// Open hand cards that are no part of this run: the stem, the title.
    pub by_hand: Vec<(Stem, String)>,
    /// What was done with the shared cache, if anything was.
    pub cache: Option<CacheCounts>,
    /// What was done with the server that executes, if anything was.
    pub executor: Option<ExecutorCounts>,
    /// The folder of the logs' paths, for short ones.
    pub root: PathBuf,
}

/// How a card ended, with where it stands.
#[derive(Clone, Debug)]
pub struct Row {
    /// Its stem.
    pub card: Stem,
    /// Its title.
    pub title: String,
    /// What kind of work it is, in a word.
    pub kind: &'static str,
    /// Its file, below the root of the repository.
    pub path: PathBuf,
    /// The line of its runner.
    pub line: u32,
    /// How it ended.
    pub outcome: Outcome,
    /// What comes before it.
    pub before: Vec<Stem>,
}

/// A card that was not started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blocked {
    /// Which.
    pub card: Stem,
    /// What it lacks; empty where the run was stopped.
    pub lacks: Vec<Stem>,
}

impl Summary {
    /// Takes how `card` ended.
    pub fn add(&mut self, card: &Stem, outcome: &Outcome, marks: bool, blocks: Vec<Stem>) {
        match outcome {
            Outcome::Passed {
                how,
                was_complete,
                not_cached,
                ..
            } => {
                match how {
                    How::Built | How::Ran | How::Repeated => self.executed += 1,
                    How::Fresh | How::Restored | How::Held | How::PassedOver => self.fresh += 1,
                }
                if *how == How::Built && *was_complete {
                    self.rebuilt_complete.push(card.clone());
                }
                if !marks && !was_complete && *how != How::Repeated {
                    self.passed_unmarked.push(card.clone());
                }
                if let Some(why) = not_cached {
                    self.not_cached.push((card.clone(), why.clone()));
                }
            }
            Outcome::Failed(failure) => self.failures.push((card.clone(), failure.clone())),
            Outcome::Waits(wait) => self.waits.push((card.clone(), wait.clone(), blocks)),
            Outcome::NotStarted { lacks } => self.blocked.push(Blocked {
                card: card.clone(),
                lacks: lacks.clone(),
            }),
        }
    }
}
