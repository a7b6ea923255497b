//! A card's text and artifact, why it is as it is, and what a run would do.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::{BlockedCard, CardObject, LastRun};
use crate::card::Stem;
use crate::chain::State;
use crate::digest::Digest;
use crate::runner::definition::Kind;

/// What `show` answers.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields)]
pub struct Shown {
    /// The version of this format: 1.
    pub schema_version: u32,
    /// The card, as `list` has it.
    pub card: CardObject,
    /// Its file as text; bytes that are not UTF-8 are replaced.
    pub text: String,
    /// The states of the cards that it requires, by stem.
    pub requires: BTreeMap<Stem, State>,
    /// The states of the cards that require it, by stem.
    pub required_by: BTreeMap<Stem, State>,
    /// Its runner's parameters with their values.
    pub parameters: BTreeMap<String, Value>,
    /// Its last artifact.
    pub artifact: Option<ArtifactObject>,
    /// Whether that is up to date; null for what is no build.
    pub freshness: Option<Freshness>,
}

/// An artifact, and who made it.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields)]
pub struct ArtifactObject {
    /// Its digest.
    pub digest: Digest,
    /// Where it is; null where the store lost it.
    pub path: Option<PathBuf>,
    /// Its size in bytes.
    pub bytes: Option<u64>,
    /// How many files it has.
    pub files: Option<u64>,
    /// Who made it; null where that is not known.
    pub made_by: Option<MadeBy>,
}

/// Who made an artifact.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct MadeBy {
    /// The card for which it was made: another one may have the same action.
    pub card: String,
    /// The machine.
    pub host: String,
    /// The commit that was checked out.
    pub commit: Option<String>,
    /// When: RFC 3339, UTC.
    pub at: String,
    /// How long it took, in milliseconds.
    pub took: u64,
    /// Why it stays on this machine; null where it need not.
    pub local: Option<String>,
    /// The shared cache that it was taken from; null where it was made here.
    pub cache: Option<String>,
}

/// Whether a build's last artifact is today's.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Freshness {
    /// Whether nothing that its key holds has changed.
    pub fresh: bool,
    /// What has changed; empty where nothing has.
    pub reasons: Vec<String>,
}

/// What `why` answers.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields)]
pub struct Reasons {
    /// The version of this format: 1.
    pub schema_version: u32,
    /// The card.
    pub stem: Stem,
    /// Its state.
    pub state: State,
    /// The ready cards below it, sorted; empty unless it is blocked.
    pub leaves: Vec<Stem>,
    /// What blocks it; null unless it is blocked.
    pub blocked: Option<BlockedCard>,
    /// Faults of its runner or its parameters.
    pub faults: Vec<String>,
    /// Whether its artifact is up to date; null for what is no build.
    pub freshness: Option<Freshness>,
    /// Its last artifact.
    pub artifact: Option<ArtifactObject>,
    /// Its last run in this work tree.
    pub last_run: Option<LastRun>,
}

/// What `plan` answers.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields)]
pub struct PlanList {
    /// The version of this format: 1.
    pub schema_version: u32,
    /// The cards in the order in which they would be looked at.
    pub cards: Vec<PlannedObject>,
}

/// What a run would do with a card.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields)]
pub struct PlannedObject {
    /// The card.
    pub stem: Stem,
    /// Its title.
    pub title: String,
    /// The kind of its work.
    pub kind: Kind,
    /// Whether it is open.
    pub open: bool,
    /// `run`, `check`, `fresh`, `complete`, `wait` or `fail`.
    pub verb: &'static str,
    /// Why, in words.
    pub why: Vec<String>,
}
