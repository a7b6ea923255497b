//! What happened in a run, in the past tense, as data.
//!
//! The engine emits events; reports show them. Both human output and
//! `run --format json` are made from these alone.

use std::path::PathBuf;
use std::time::Duration;

use crate::action::reason::Reason;
use crate::card::Stem;
use crate::digest::Digest;
use crate::remote::{CacheCounts, ExecutorCounts};

/// One thing that happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// The run began.
    RunStarted {
        /// How many cards are in the chain.
        cards: usize,
        /// How many run at once.
        jobs: usize,
    },
    /// Something worth saying once.
    Noted {
        /// What.
        message: String,
    },
    /// A tool is being fetched and unpacked.
    ToolProvisioning {
        /// Its name.
        tool: String,
    },
    /// A card's action is about to be executed.
    CardStarted {
        /// Which.
        card: Stem,
        /// Why it is not fresh.
        reasons: Vec<Reason>,
        /// How long it took last time.
        expected: Option<Duration>,
        /// Where its output goes.
        log: PathBuf,
    },
    /// Another process executes the same action; this one waits for it.
    CardAwaited {
        /// Which.
        card: Stem,
        /// Who holds it, such as `process 4242`.
        holder: String,
    },
    /// A part of a card began.
    PartStarted {
        /// Which card.
        card: Stem,
        /// Such as `fetch vendor`, `build`, `check prints its help`.
        part: String,
    },
    /// A card ended.
    CardFinished {
        /// Which.
        card: Stem,
        /// How.
        outcome: Outcome,
    },
    /// A card was marked complete.
    CardMarked {
        /// Which.
        card: Stem,
    },
    /// A check that is to be shown printed something.
    CheckShown {
        /// Which card.
        card: Stem,
        /// The check.
        check: String,
        /// What it printed.
        output: Vec<u8>,
    },
    /// A result was found, and this is what was printed when it was made.
    LogReplayed {
        /// Which card.
        card: Stem,
        /// Such as `build` or `check 1`.
        part: String,
        /// The end of what it printed.
        output: Vec<u8>,
    },
    /// The run ended.
    RunFinished {
        /// The exit code.
        exit: u8,
        /// How long it took.
        took: Duration,
        /// What was done with the shared cache, if anything was.
        cache: Option<CacheCounts>,
        /// What was done with the server that executes, if anything was.
        executor: Option<ExecutorCounts>,
    },
}

/// How a card ended.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// It is done.
    Passed {
        /// How it came to be.
        how: How,
        /// The artifact of a build.
        artifact: Option<Digest>,
        /// How long it took here.
        took: Duration,
        /// Whether it was complete already.
        was_complete: bool,
        /// Why it is not cached, where it is not.
        not_cached: Option<String>,
    },
    /// It failed.
    Failed(Failure),
    /// It waits.
    Waits(Wait),
    /// It was not started, since others failed, wait, or the run was stopped.
    NotStarted {
        /// The cards that it lacks; empty where the run was stopped.
        lacks: Vec<Stem>,
    },
}

/// How a card that is done came to be so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// Its action was executed.
    Built,
    /// Its action's result was found and its artifact is in place.
    Fresh,
    /// Its action's result was found, and its artifact put in place.
    Restored,
    /// Its steps were run.
    Ran,
    /// It held already, and nothing was run.
    Held,
    /// It is complete, and nothing is looked at.
    PassedOver,
    /// Its action was executed twice, and the same came out.
    Repeated,
}

/// What went wrong with a card.
#[derive(Clone, Debug)]
pub struct Failure {
    /// A stable word.
    pub code: &'static str,
    /// What happened, in one line.
    pub message: String,
    /// What to do next; may be empty.
    pub help: String,
    /// The exit code, where a process ended with one.
    pub exit: Option<i32>,
    /// The log, where there is one.
    pub log: Option<PathBuf>,
    /// The last lines of its output.
    pub tail: Vec<String>,
}

/// What a card waits for.
#[derive(Clone, Debug)]
pub struct Wait {
    /// What kind of wait.
    pub kind: WaitKind,
    /// In one line.
    pub message: String,
    /// The last lines of its probe, or what helps.
    pub lines: Vec<String>,
    /// What a person does, as the card's text says.
    pub steps: Vec<String>,
    /// The log, where there is one.
    pub log: Option<PathBuf>,
}

/// Kinds of waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitKind {
    /// Somebody has to do it.
    Hand,
    /// A probe is not true yet.
    Probe,
    /// A question has to be answered first.
    Confirm,
    /// A tool, source, input or platform is missing.
    Stuck,
}
