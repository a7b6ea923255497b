//! `mikado schema`.

use std::io::{self, Write};

use clap::{Args, ValueEnum};
use indexmap::IndexMap;
use schemars::{JsonSchema, generate::SchemaSettings};
use serde_json::Value;

use crate::answer::{self, Versioned};
use crate::cli::Context;
use crate::commands::affected::Affected;
use crate::commands::ci_matrix::Matrix;
use crate::commands::verify::Verified as VerifiedCards;
use crate::error::{Error, Exit};
use crate::project::Config;
use crate::runner::definition::Definition;
use crate::store::{Collected, Stats, Verified};

/// Print the JSON Schema of a file format or of an answer
#[derive(Clone, Debug, Args)]
pub struct SchemaArgs {
    /// Of what
    #[arg(value_enum, value_name = "WHAT")]
    pub of: SchemaOf,
}

/// What has a schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SchemaOf {
    /// The front matter of a card.
    Card,
    /// A runner in `runners/`.
    Runner,
    /// `mikado.yaml`.
    Config,
    /// What `list` and `ready` answer.
    List,
    /// What `blocked` answers.
    Blocked,
    /// What `next` answers.
    Next,
    /// What `show` answers.
    Show,
    /// What `why` answers.
    Why,
    /// What `graph --format json` answers.
    Graph,
    /// What `check` answers.
    Check,
    /// What `plan` answers.
    Plan,
    /// A line of `run --format json`.
    Run,
    /// What `verify` answers.
    Verify,
    /// What `doctor` answers.
    Doctor,
    /// What `audit` answers.
    Audit,
    /// What `cache verify` answers.
    CacheVerify,
    /// What `affected` answers.
    Affected,
    /// What `ci matrix` answers.
    CiMatrix,
    /// What `store stats` answers.
    StoreStats,
    /// What `store gc` answers.
    StoreGc,
    /// What `store verify` answers.
    StoreVerify,
    /// What any command answers that can't be carried out.
    Error,
}

/// The front matter of a card. Unknown keys are kept and ignored.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "its schema is wanted, and no value")]
struct Card {
    /// What it is called.
    title: Option<String>,
    /// `active` is open; none, an empty one, `complete`, `completed` or `done` is complete.
    status: Option<String>,
    /// The stems of the cards that come before it.
    requires: Option<OneOrMany>,
    /// The git branch of a goal.
    branch: Option<String>,
    /// When it was changed.
    modified: Option<String>,
    /// Words to find it by.
    tags: Option<OneOrMany>,
    /// Other names of it.
    aliases: Option<OneOrMany>,
    /// A runner's name, a whole runner, or `human`.
    runner: Option<Runner>,
    /// The runner's parameters.
    with: Option<IndexMap<String, Value>>,
    /// Whose artifacts the runner reads: stems, or a stem for each role.
    uses: Option<Uses>,
}

/// One text, or a list.
#[derive(JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "its schema is wanted, and no value")]
enum OneOrMany {
    /// One.
    One(String),
    /// Several.
    Many(Vec<String>),
}

/// What executes a card.
#[derive(JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "its schema is wanted, and no value")]
enum Runner {
    /// The name of a file in `runners/`, or `human`.
    Named(String),
    /// A runner of its own.
    Inline(Box<Definition>),
}

/// Whose artifacts a runner reads.
#[derive(JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "its schema is wanted, and no value")]
enum Uses {
    /// By stem.
    Stems(Vec<String>),
    /// By role.
    Roles(IndexMap<String, String>),
}

/// Carries `schema` out.
///
/// # Errors
///
/// Where the output can't be written.
pub fn run(args: SchemaArgs, _: &Context) -> Result<Exit, Error> {
    let text = serde_json::to_string_pretty(&schema(args.of)).unwrap_or_default();
    writeln!(io::stdout(), "{text}").map_err(Error::disk("write to", "standard output"))?;
    Ok(Exit::Done)
}

fn schema(of: SchemaOf) -> Value {
    let settings = SchemaSettings::draft07();
    let generator = match of {
        SchemaOf::Card | SchemaOf::Runner | SchemaOf::Config => settings,
        // A reader of answers finds keys that a writer of files may leave out.
        _ => settings.for_serialize(),
    }
    .into_generator();
    let schema = match of {
        SchemaOf::Card => generator.into_root_schema_for::<Card>(),
        SchemaOf::Runner => generator.into_root_schema_for::<Definition>(),
        SchemaOf::Config => generator.into_root_schema_for::<Config>(),
        SchemaOf::List => generator.into_root_schema_for::<answer::CardList>(),
        SchemaOf::Blocked => generator.into_root_schema_for::<answer::Blockers>(),
        SchemaOf::Next => generator.into_root_schema_for::<answer::Next>(),
        SchemaOf::Show => generator.into_root_schema_for::<answer::Shown>(),
        SchemaOf::Why => generator.into_root_schema_for::<answer::Reasons>(),
        SchemaOf::Graph => generator.into_root_schema_for::<answer::GraphObject>(),
        SchemaOf::Check => generator.into_root_schema_for::<answer::FindingList>(),
        SchemaOf::Plan => generator.into_root_schema_for::<answer::PlanList>(),
        SchemaOf::Run => generator.into_root_schema_for::<answer::RunLine>(),
        SchemaOf::Verify => generator.into_root_schema_for::<VerifiedCards>(),
        SchemaOf::Doctor => generator.into_root_schema_for::<answer::Diagnosis>(),
        SchemaOf::CacheVerify => generator.into_root_schema_for::<answer::CacheVerified>(),
        SchemaOf::Audit => generator.into_root_schema_for::<answer::AuditObject>(),
        SchemaOf::Affected => generator.into_root_schema_for::<Affected>(),
        SchemaOf::CiMatrix => generator.into_root_schema_for::<Matrix>(),
        SchemaOf::StoreStats => generator.into_root_schema_for::<Versioned<Stats>>(),
        SchemaOf::StoreGc => generator.into_root_schema_for::<Versioned<Collected>>(),
        SchemaOf::StoreVerify => generator.into_root_schema_for::<Versioned<Verified>>(),
        SchemaOf::Error => generator.into_root_schema_for::<answer::Fault>(),
    };
    let mut schema = schema.to_value();
    if of == SchemaOf::Config {
        // It has a reader of its own, which keeps scalars as written.
        schema["properties"]["with"] = serde_json::json!({
            "description": "Parameters for every runner that declares them.",
            "type": "object",
        });
    }
    schema
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Calls `visit` with every object of properties in a schema.
    fn properties(schema: &Value, visit: &mut dyn FnMut(&str, &Value)) {
        match schema {
            Value::Object(object) => {
                if let Some(Value::Object(all)) = object.get("properties") {
                    all.iter()
                        .for_each(|(name, property)| visit(name, property));
                }
                object.values().for_each(|part| properties(part, visit));
            }
            Value::Array(parts) => parts.iter().for_each(|part| properties(part, visit)),
            _ => {}
        }
    }

    #[test]
    fn every_key_has_a_description() {
        for of in SchemaOf::value_variants() {
            let mut count = 0;
            properties(&schema(*of), &mut |name, property| {
                count += 1;
                let is_tag = property.get("const").is_some();
                let is_reference = property.get("$ref").is_some();
                let is_described = property.get("description").is_some();
                assert!(is_described || is_tag || is_reference, "{of:?}: {name}");
            });
            assert!(count > 1, "{of:?}");
        }
    }
}
