//! A chain as it is drawn, for programs that draw it themselves.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Serialize;

use crate::card::Stem;
use crate::chain::State;
use crate::standing::Standing;

/// What `graph` answers.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields)]
pub struct GraphObject {
    /// The version of this format: 1.
    pub schema_version: u32,
    /// The cards; prerequisites come before what requires them, but in a cycle.
    pub cards: Vec<GraphCard>,
    /// What requires what, among these cards.
    pub requires: Vec<RequiredBy>,
    /// What uses the artifact of what, without requiring it.
    pub uses: Vec<UsedBy>,
    /// What is required and names no card.
    pub unknown: Vec<RequiredBy>,
}

/// A card of a drawing.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct GraphCard {
    /// The card.
    pub stem: Stem,
    /// Its title.
    pub title: String,
    /// Its file, relative to the project's root.
    pub path: PathBuf,
    /// Its state in the plan.
    pub state: State,
    /// How it stands: its state, but `stuck` or `waiting` for what is ready and
    /// can't go on by itself.
    pub standing: Standing,
    /// Whether it is open and no open card requires it.
    pub goal: bool,
    /// One more than the layer of its deepest prerequisite; from 1.
    pub layer: usize,
}

/// A card and what it requires.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct RequiredBy {
    /// The card.
    pub card: Stem,
    /// What it requires.
    pub requires: Stem,
}

/// A card and what it uses.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct UsedBy {
    /// The card.
    pub card: Stem,
    /// Whose artifact it uses.
    pub uses: Stem,
}
