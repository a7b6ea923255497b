//! A card as programs see it, and findings.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Serialize;

use super::SCHEMA_VERSION;
use crate::card::Stem;
use crate::chain::State;
use crate::diagnostic::{Diagnostic, Severity};
use crate::digest::Digest;
use crate::runner::definition::Kind;
use crate::store::CardRun;

/// What `list` and `ready` answer.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields)]
pub struct CardList {
    /// The version of this format: 1.
    pub schema_version: u32,
    /// The cards that were asked for, sorted by stem, then path.
    pub cards: Vec<CardObject>,
    /// All findings in cards and runners.
    pub findings: Vec<FindingObject>,
}

impl CardList {
    /// The answer with these cards.
    pub fn new(cards: Vec<CardObject>, findings: &[Diagnostic]) -> CardList {
        CardList {
            schema_version: SCHEMA_VERSION,
            cards,
            findings: findings.iter().map(FindingObject::from).collect(),
        }
    }
}

/// A card, its state, and what is known of it.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields)]
pub struct CardObject {
    /// Its identity: the file's name without `.md`.
    pub stem: Stem,
    /// Its title, its first heading, or its stem; on one line.
    pub title: String,
    /// Its file, relative to the project's root.
    pub path: PathBuf,
    /// Whether it is a page: prose without `status`, `requires` and `runner`.
    pub page: bool,
    /// Its status as written; null where there is none.
    pub status: Option<String>,
    /// Its branch as written; null where there is none.
    pub branch: Option<String>,
    /// The kind of its work; null where its runner can't be read.
    pub kind: Option<Kind>,
    /// Its state in the plan.
    pub state: State,
    /// Whether it is open and no open card requires it.
    pub goal: bool,
    /// What it requires, as written.
    pub requires: Vec<String>,
    /// The cards that require it, sorted.
    pub required_by: Vec<Stem>,
    /// Of a blocked card: what it requires and is not complete, in the order written.
    pub blocked_by: Vec<Stem>,
    /// What it requires and names no card.
    pub unknown: Vec<String>,
    /// Of a blocked card: the ready cards below it, sorted.
    pub leaves: Vec<Stem>,
    /// The name of its runner's file; null where it has none.
    pub runner: Option<String>,
    /// Of a ready card: what it waits for (`hand`, `probe`).
    pub waits: Option<Coded>,
    /// Of a ready card: why it can't go on here (`failed`, `tool`, `source`,
    /// `platform`, `runner`).
    pub stuck: Option<Coded>,
    /// Its last run in this work tree.
    pub last_run: Option<LastRun>,
}

/// A stable word, and the same for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Coded {
    /// The word.
    pub code: &'static str,
    /// One line for people.
    pub message: String,
}

impl Coded {
    /// This word with this message.
    pub fn new(code: &'static str, message: impl Into<String>) -> Coded {
        Coded {
            code,
            message: message.into(),
        }
    }
}

/// A run of a card in this work tree.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields)]
pub struct LastRun {
    /// When it began: RFC 3339, UTC.
    pub at: String,
    /// How long it took, in milliseconds.
    pub took: u64,
    /// The exit code of the last process; 0 where none failed.
    pub exit: i32,
    /// Whether nothing was executed, since the store had the result.
    pub hit: bool,
    /// Why it failed; null where it did not.
    pub failed: Option<String>,
    /// Why the card was marked complete without having passed.
    pub forced: Option<String>,
    /// The action's digest, of a build.
    pub action: Option<Digest>,
    /// The artifact's digest, of a build that succeeded.
    pub artifact: Option<Digest>,
    /// The log, relative to the project's root.
    pub log: Option<PathBuf>,
    /// Where it failed: the log's last lines.
    pub tail: Vec<String>,
}

impl LastRun {
    /// A run, its log and the last lines of it.
    pub fn new(run: &CardRun, log: Option<PathBuf>, tail: Vec<String>) -> LastRun {
        LastRun {
            at: super::time(run.started_ms),
            took: run.took_ms,
            exit: run.exit,
            hit: run.hit,
            failed: run.failed.clone(),
            forced: run.marked_because.clone(),
            action: run.action,
            artifact: run.artifact,
            log,
            tail,
        }
    }
}

/// What `check` answers.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields)]
pub struct FindingList {
    /// The version of this format: 1.
    pub schema_version: u32,
    /// The findings, sorted by file, line and column.
    pub findings: Vec<FindingObject>,
}

impl FindingList {
    /// The answer with these findings.
    pub fn new(findings: &[Diagnostic]) -> FindingList {
        FindingList {
            schema_version: SCHEMA_VERSION,
            findings: findings.iter().map(FindingObject::from).collect(),
        }
    }
}

/// A finding.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct FindingObject {
    /// Its stable word; `mikado explain CODE` says more.
    pub code: String,
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong.
    pub message: String,
    /// The file, relative to the project's root; null where it speaks of none.
    pub path: Option<PathBuf>,
    /// The line, from 1.
    pub line: Option<u32>,
    /// The column, from 1, in characters.
    pub column: Option<u32>,
    /// What to do.
    pub help: String,
}

impl From<&Diagnostic> for FindingObject {
    fn from(finding: &Diagnostic) -> FindingObject {
        let place = finding.places.first();
        FindingObject {
            code: finding.code.to_owned(),
            severity: finding.severity,
            message: finding.message.clone(),
            path: place.map(|place| place.path.clone()),
            line: place.map(|place| place.line),
            column: place.map(|place| place.column),
            help: finding.help.clone(),
        }
    }
}
