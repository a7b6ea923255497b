//! What reading commands answer, as data: version 1 of the JSON.
//!
//! Each command's `--format json` is one object of a type here, so the schema
//! that `mikado schema` prints is the one that the program is made of. Within a
//! version keys are added, never renamed, taken away or given another meaning.
//! `JSON.md` is the page for its readers. Pure.

mod card;
mod fault;
mod graph;
mod leaf;
mod machine;
mod run;
mod why;

use schemars::JsonSchema;
use serde::Serialize;

pub use card::{CardList, CardObject, Coded, FindingList, FindingObject, LastRun};
pub use fault::Fault;
pub use graph::{GraphCard, GraphObject, RequiredBy, UsedBy};
pub use leaf::{BlockedCard, Blockers, Commands, Hold, Leaf, Next, NextCard};
pub use machine::{
    AuditObject, CacheVerified, ComparedObject, Diagnosis, Health, HealthFinding, UndeclaredObject,
};
pub use run::{Ended, RunEvent, RunLine};
pub use why::{ArtifactObject, Freshness, MadeBy, PlanList, PlannedObject, Reasons, Shown};

/// The version of every JSON output.
pub const SCHEMA_VERSION: u32 = 1;

/// An answer that is data of another module, with the version in front.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Versioned<T> {
    /// The version of this format: 1.
    pub schema_version: u32,
    /// What is answered.
    #[serde(flatten)]
    pub answer: T,
}

impl<T> Versioned<T> {
    /// This answer.
    pub fn new(answer: T) -> Versioned<T> {
        Versioned {
            schema_version: SCHEMA_VERSION,
            answer,
        }
    }
}

/// A time as text: RFC 3339, in UTC, to the second. `ms` are milliseconds since
/// 1970.
pub fn time(ms: u64) -> String {
    let time = jiff::Timestamp::from_millisecond(ms.try_into().unwrap_or(i64::MAX));
    time.map(|time| time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
        .unwrap_or_default()
}
