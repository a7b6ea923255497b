//! What a build touches and does not declare.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Serialize;

use crate::card::Stem;

/// What `audit` answers.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields)]
pub struct Audited {
    /// The version of this format: 1.
    pub schema_version: u32,
    /// The card.
    pub stem: Stem,
    /// How its steps failed; null where they passed.
    pub failed: Option<String>,
    /// What it touched and does not declare.
    pub undeclared: Vec<UndeclaredObject>,
    /// The lines of the runner that declare all that can be declared.
    pub add: Vec<String>,
    /// The cards that the card would have to require.
    pub requires: Vec<String>,
    /// The output of the steps.
    pub log: PathBuf,
}

/// Something that was touched and is not declared.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct UndeclaredObject {
    /// What was done.
    pub deed: DeedWord,
    /// The file, the folder with all that is below it, or the address.
    pub place: String,
    /// How many files it stands for.
    pub files: usize,
    /// The lines of the runner that declare it.
    pub add: Vec<String>,
    /// The cards whose artifact it is.
    pub requires: Vec<String>,
    /// What to do where no line declares it.
    pub advice: Option<String>,
}

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DeedWord {
    /// A file was read, or a folder listed.
    Read,
    /// A program was run.
    Execute,
    /// A file was made, changed or taken away.
    Write,
    /// A socket on disk was connected to.
    Talk,
    /// An address was connected or sent to.
    Connect,
    /// An address was listened on.
    Listen,
}
