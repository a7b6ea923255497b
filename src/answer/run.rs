//! The lines of `run --format json`.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Serialize;

use super::SCHEMA_VERSION;
use crate::card::Stem;
use crate::digest::Digest;
use crate::event::{Event, How, Outcome, WaitKind};
use crate::remote::{CacheCounts, ExecutorCounts};

/// One line: something that happened in a run. The last one is `runFinished`.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RunLine {
    /// The version of this format: 1.
    pub schema_version: u32,
    /// What happened.
    #[serde(flatten)]
    pub event: RunEvent,
    /// The card that it is about; null where it is about none.
    pub card: Option<Stem>,
    /// Milliseconds since the run began.
    pub time: u64,
}

/// What happened.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(
    tag = "event",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
pub enum RunEvent {
    /// The run began.
    RunStarted {
        /// How many cards it looks at.
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
        /// Why it is not fresh.
        reasons: Vec<String>,
        /// How long it took last time, in milliseconds.
        expected: Option<u64>,
        /// Where its output goes.
        log: PathBuf,
    },
    /// Another process executes the same action; this one waits for it.
    CardAwaited {
        /// Who holds it.
        holder: String,
    },
    /// A part of a card began.
    PartStarted {
        /// Such as `fetch vendor`, `build`, `check prints its help`.
        part: String,
    },
    /// A card ended.
    CardFinished {
        /// How.
        #[serde(flatten)]
        ended: Ended,
    },
    /// A card was marked complete.
    CardMarked {},
    /// A check that is to be shown printed something.
    CheckShown {
        /// The check.
        check: String,
        /// What it printed; bytes that are not UTF-8 are replaced.
        output: String,
    },
    /// A result was found; this was printed when it was made (with `--replay`).
    LogReplayed {
        /// Such as `build` or `check 1`.
        part: String,
        /// The end of what was printed; bytes that are not UTF-8 are replaced.
        output: String,
    },
    /// The run ended.
    RunFinished {
        /// The exit code.
        exit: u8,
        /// How long it took, in milliseconds.
        took: u64,
        /// What was done with the shared cache; null where nothing was.
        cache: Option<CacheCounts>,
        /// What was done with the server that executes; null where nothing was.
        executor: Option<ExecutorCounts>,
    },
}

/// How a card ended.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(
    tag = "outcome",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
pub enum Ended {
    /// It is done.
    Passed {
        /// `built`, `fresh`, `restored`, `ran`, `held` or `passedOver`.
        how: &'static str,
        /// The artifact of a build.
        artifact: Option<Digest>,
        /// How long it took here, in milliseconds.
        took: u64,
        /// Whether it was complete already.
        was_complete: bool,
        /// Why it is not cached, where it is not.
        not_cached: Option<String>,
    },
    /// It failed.
    Failed {
        /// A stable word.
        code: &'static str,
        /// What happened.
        message: String,
        /// What to do; may be empty.
        help: String,
        /// The exit code, where a process ended with one.
        exit: Option<i32>,
        /// The log, where there is one.
        log: Option<PathBuf>,
        /// The last lines of its output.
        tail: Vec<String>,
    },
    /// It waits.
    Waits {
        /// `hand`, `probe`, `confirm` or `stuck`.
        code: &'static str,
        /// For what.
        message: String,
        /// What to do, or the last lines of its probe.
        lines: Vec<String>,
        /// What somebody does, from the card's text.
        steps: Vec<String>,
        /// The log, where there is one.
        log: Option<PathBuf>,
    },
    /// It was not started: others failed, wait, or the run was stopped.
    NotStarted {
        /// The cards that it lacks; empty where the run was stopped.
        lacks: Vec<Stem>,
    },
}

impl RunLine {
    /// The line of an event, `time` milliseconds after the run began.
    pub fn new(event: &Event, time: u64) -> RunLine {
        let (card, event) = line(event);
        RunLine {
            schema_version: SCHEMA_VERSION,
            event,
            card: card.cloned(),
            time,
        }
    }
}

fn line(event: &Event) -> (Option<&Stem>, RunEvent) {
    match event {
        Event::RunStarted { cards, jobs } => {
            let (cards, jobs) = (*cards, *jobs);
            (None, RunEvent::RunStarted { cards, jobs })
        }
        Event::Noted { message } => {
            let message = message.clone();
            (None, RunEvent::Noted { message })
        }
        Event::ToolProvisioning { tool } => {
            (None, RunEvent::ToolProvisioning { tool: tool.clone() })
        }
        Event::CardStarted {
            card,
            reasons,
            expected,
            log,
        } => (
            Some(card),
            RunEvent::CardStarted {
                reasons: reasons.iter().map(ToString::to_string).collect(),
                expected: expected.map(|time| time.as_millis() as u64),
                log: log.clone(),
            },
        ),
        Event::CardAwaited { card, holder } => {
            let holder = holder.clone();
            (Some(card), RunEvent::CardAwaited { holder })
        }
        Event::PartStarted { card, part } => {
            let part = part.clone();
            (Some(card), RunEvent::PartStarted { part })
        }
        Event::CardFinished { card, outcome } => {
            let ended = Ended::from(outcome);
            (Some(card), RunEvent::CardFinished { ended })
        }
        Event::CardMarked { card } => (Some(card), RunEvent::CardMarked {}),
        Event::CheckShown {
            card,
            check,
            output,
        } => (
            Some(card),
            RunEvent::CheckShown {
                check: check.clone(),
                output: String::from_utf8_lossy(output).into_owned(),
            },
        ),
        Event::LogReplayed { card, part, output } => (
            Some(card),
            RunEvent::LogReplayed {
                part: part.clone(),
                output: String::from_utf8_lossy(output).into_owned(),
            },
        ),
        Event::RunFinished {
            exit,
            took,
            cache,
            executor,
        } => (
            None,
            RunEvent::RunFinished {
                exit: *exit,
                took: took.as_millis() as u64,
                cache: *cache,
                executor: *executor,
            },
        ),
    }
}

impl From<&Outcome> for Ended {
    fn from(outcome: &Outcome) -> Ended {
        match outcome {
            Outcome::Passed {
                how,
                artifact,
                took,
                was_complete,
                not_cached,
            } => Ended::Passed {
                how: match how {
                    How::Built => "built",
                    How::Fresh => "fresh",
                    How::Restored => "restored",
                    How::Ran => "ran",
                    How::Held => "held",
                    How::PassedOver => "passedOver",
                    How::Repeated => "repeated",
                },
                artifact: *artifact,
                took: took.as_millis() as u64,
                was_complete: *was_complete,
                not_cached: not_cached.clone(),
            },
            Outcome::Failed(failure) => Ended::Failed {
                code: failure.code,
                message: failure.message.clone(),
                help: failure.help.clone(),
                exit: failure.exit,
                log: failure.log.clone(),
                tail: failure.tail.clone(),
            },
            Outcome::Waits(wait) => Ended::Waits {
                code: wait_code(wait.kind),
                message: wait.message.clone(),
                lines: wait.lines.clone(),
                steps: wait.steps.clone(),
                log: wait.log.clone(),
            },
            Outcome::NotStarted { lacks } => Ended::NotStarted {
                lacks: lacks.clone(),
            },
        }
    }
}

/// The word for a kind of waiting.
fn wait_code(kind: WaitKind) -> &'static str {
    match kind {
        WaitKind::Hand => "hand",
        WaitKind::Probe => "probe",
        WaitKind::Confirm => "confirm",
        WaitKind::Stuck => "stuck",
    }
}
