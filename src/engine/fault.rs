//! What stops a card: a failure, or a wait.

use std::collections::BTreeSet;
use std::path::PathBuf;

use crate::digest::Digest;
use crate::event::{Failure, Wait, WaitKind};
use crate::runner::tools::{ToolError, ToolFault};
use crate::runner::{inputs, parameters};
use crate::store::StoreError;

/// The code of what a plan can't know, since it asks no tool.
pub(crate) const NOT_ASKED: &str = "not-asked";

/// Why a card is not done.
#[derive(Debug)]
pub(crate) enum Obstacle {
    /// It failed.
    Failed(Box<Failure>),
    /// It can't go on here, through no fault of its own.
    Waits(Box<Wait>),
    /// It needs the files of artifacts of which only the names are here.
    Lacks(BTreeSet<Digest>),
    /// The run was interrupted.
    Cancelled,
    /// The store or the disk: it ends the run.
    Store(StoreError),
}

impl Obstacle {
    /// A failure without a process.
    pub(crate) fn failed(
        code: &'static str,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> Obstacle {
        Obstacle::Failed(Box::new(Failure {
            code,
            message: message.into(),
            help: help.into(),
            exit: None,
            log: None,
            tail: Vec::new(),
        }))
    }

    /// Something is missing here.
    pub(crate) fn stuck(message: impl Into<String>, help: impl Into<String>) -> Obstacle {
        let help: String = help.into();
        Obstacle::Waits(Box::new(Wait {
            kind: WaitKind::Stuck,
            message: message.into(),
            lines: if help.is_empty() { vec![] } else { vec![help] },
            steps: Vec::new(),
            log: None,
        }))
    }

    /// What a card comes to that still lacks artifacts after all was tried.
    pub(crate) fn lost(artifacts: &BTreeSet<Digest>) -> Obstacle {
        let names: Vec<String> = artifacts.iter().map(Digest::short).collect();
        let message = format!(
            "the files of what it uses are nowhere to be had: {}",
            crate::words::list(&names)
        );
        Obstacle::failed(
            "artifact",
            message,
            "`mikado run` of the cards that it requires makes them again, with `--download all`",
        )
    }

    /// The same with its log.
    pub(crate) fn with_log(mut self, path: PathBuf) -> Obstacle {
        match &mut self {
            Obstacle::Failed(failure) => failure.log = failure.log.take().or(Some(path)),
            Obstacle::Waits(wait) => wait.log = wait.log.take().or(Some(path)),
            Obstacle::Lacks(_) | Obstacle::Cancelled | Obstacle::Store(_) => {}
        }
        self
    }
}

impl From<StoreError> for Obstacle {
    fn from(error: StoreError) -> Self {
        Obstacle::Store(error)
    }
}

impl From<inputs::Fault> for Obstacle {
    fn from(fault: inputs::Fault) -> Self {
        match fault {
            inputs::Fault::Source { message, help } => Obstacle::stuck(message, help),
            other => {
                let help = match &other {
                    inputs::Fault::Listing(crate::runner::listing::Fault::MatchesNothing {
                        ..
                    }) => {
                        "mend the pattern in the runner or the card, or add `optional: true` to its entry"
                    }
                    _ => "",
                };
                Obstacle::failed("input", other.to_string(), help)
            }
        }
    }
}

impl From<parameters::Fault> for Obstacle {
    fn from(fault: parameters::Fault) -> Self {
        Obstacle::failed("parameter", fault.to_string(), "")
    }
}

impl From<crate::action::Twice> for Obstacle {
    fn from(fault: crate::action::Twice) -> Self {
        Obstacle::from(inputs::Fault::Twice(fault))
    }
}

impl From<ToolError> for Obstacle {
    fn from(error: ToolError) -> Self {
        let message = error.to_string();
        match &*error.fault {
            // The registry, or what came from it: somebody has to look.
            ToolFault::Refused { .. }
            | ToolFault::Altered { .. }
            | ToolFault::Archive { .. }
            | ToolFault::NoPayload(_)
            | ToolFault::OtherTree { .. }
            | ToolFault::Store(_)
            | ToolFault::Disk { .. } => Obstacle::failed("tool", message, ""),
            ToolFault::NotAsked => Obstacle::failed(NOT_ASKED, message, ""),
            _ => Obstacle::stuck(message, ""),
        }
    }
}
