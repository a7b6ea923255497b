//! What the machine can do, and what a build touches that it does not declare.

use schemars::JsonSchema;
use serde::Serialize;

use crate::card::Stem;
use crate::digest::Digest;

/// What `doctor` answers.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields)]
pub struct Diagnosis {
    /// The version of this format: 1.
    pub schema_version: u32,
    /// What was looked at, in order.
    pub findings: Vec<HealthFinding>,
    /// What isolation never covers, in words.
    pub not_isolated: Vec<&'static str>,
}

/// One thing that was looked at.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct HealthFinding {
    /// What was looked at.
    pub name: String,
    /// How it is.
    pub health: Health,
    /// What was found.
    pub says: String,
    /// What to do; may be empty.
    pub help: String,
}

/// How something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// As it should be.
    Ok,
    /// Worth knowing.
    Note,
    /// Something is not here, and mikado does without it.
    Missing,
    /// Nothing can be run.
    Broken,
}

/// What `audit` answers.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields)]
pub struct AuditObject {
    /// The version of this format: 1.
    pub schema_version: u32,
    /// The card.
    pub stem: Stem,
    /// Why it failed; null where it did not.
    pub failed: Option<String>,
    /// What it touched and does not declare.
    pub undeclared: Vec<UndeclaredObject>,
    /// All lines to add to the runner.
    pub add: Vec<String>,
    /// The cards to add to `requires`.
    pub requires: Vec<String>,
    /// The log, absolute.
    pub log: String,
}

/// Something that a build touched and does not declare.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct UndeclaredObject {
    /// `read`, `execute`, `write`, `talk`, `connect` or `listen`.
    pub deed: &'static str,
    /// The file, the folder with all that is below it, or the address.
    pub place: String,
    /// How many files it stands for.
    pub files: usize,
    /// The lines to add to the runner for it.
    pub add: Vec<String>,
    /// The cards to add to `requires` for it.
    pub requires: Vec<String>,
    /// What to do where no line helps; null where one does.
    pub advice: Option<String>,
}

/// What `cache verify` answers.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields)]
pub struct CacheVerified {
    /// The version of this format: 1.
    pub schema_version: u32,
    /// The address of the cache.
    pub cache: String,
    /// The builds that were looked up.
    pub compared: Vec<ComparedObject>,
    /// What went wrong meanwhile.
    pub notes: Vec<String>,
}

/// A build beside what the cache has of it.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields)]
pub struct ComparedObject {
    /// The card.
    pub stem: Stem,
    /// `same`, `different`, or `absent`: the cache has nothing of it.
    pub verdict: &'static str,
    /// The artifact that the cache has.
    pub cached: Option<Digest>,
    /// The artifact that this machine makes.
    pub made: Option<Digest>,
    /// Who made the one of the cache.
    pub by: Option<String>,
    /// From which commit.
    pub commit: Option<String>,
    /// When: RFC 3339, UTC.
    pub at: Option<String>,
}
