//! What a machine can do.

use schemars::JsonSchema;
use serde::Serialize;

/// What `doctor` answers.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields)]
pub struct Diagnosis {
    /// The version of this format: 1.
    pub schema_version: u32,
    /// What was looked at.
    pub looked_at: Vec<Condition>,
    /// What isolation never covers.
    pub not_isolated: Vec<String>,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Condition {
    /// What.
    pub name: String,
    /// How it is, in a word.
    pub health: Health,
    /// How it is.
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
    /// It works; something is to be known.
    Note,
    /// It is not there, and something will not work.
    Missing,
    /// Nothing works without it.
    Broken,
}
