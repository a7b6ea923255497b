//! What may be written short: a step or a check as its script alone, retries as
//! a number alone. Each decodes from a scalar or a mapping, with the mapping's
//! own messages, and has the schema of both.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};

use super::{Check, Retries, Span, Step};

/// The schema of what is either a scalar or a mapping.
#[derive(JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "its schema is wanted, and no value")]
pub(super) enum ScalarOrFields<T> {
    /// The script, or the number, alone.
    Scalar(String),
    /// With more to say.
    Fields(T),
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct StepFields {
    /// What it is called in reports.
    name: Option<String>,
    /// The script.
    run: String,
    /// How long it may take.
    #[schemars(with = "Option<String>")]
    timeout: Option<Span>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct CheckFields {
    /// What it is called in reports.
    name: Option<String>,
    /// The script.
    run: String,
    /// How long it may take.
    #[schemars(with = "Option<String>")]
    timeout: Option<Span>,
    /// Whether its output is printed at the end of a run.
    #[serde(default)]
    show: bool,
    /// Whether it runs on a hit as well.
    #[serde(default)]
    always: bool,
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(super) struct RetriesFields {
    /// Further attempts after the first.
    attempts: u32,
    /// The wait before each.
    #[schemars(with = "Option<String>")]
    delay: Option<Span>,
    /// The exit codes that are tried again; all of them where it is empty.
    exit_codes: Vec<i32>,
}

/// Decodes either a scalar or a mapping, with the mapping's own messages:
/// `untagged` would say only that nothing fits.
struct ScalarOr<T>(std::marker::PhantomData<T>);

enum Either<T> {
    Scalar(String),
    Fields(T),
}

impl<'de, T: Deserialize<'de>> serde::de::Visitor<'de> for ScalarOr<T> {
    type Value = Either<T>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("text or a mapping")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Either<T>, E> {
        Ok(Either::Scalar(text.to_owned()))
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Either<T>, E> {
        Ok(Either::Scalar(number.to_string()))
    }

    fn visit_bool<E: serde::de::Error>(self, bool: bool) -> Result<Either<T>, E> {
        // `true` is a fine script.
        Ok(Either::Scalar(bool.to_string()))
    }

    fn visit_map<A: serde::de::MapAccess<'de>>(self, map: A) -> Result<Either<T>, A::Error> {
        T::deserialize(serde::de::value::MapAccessDeserializer::new(map)).map(Either::Fields)
    }
}

fn scalar_or<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Either<T>, D::Error> {
    deserializer.deserialize_any(ScalarOr(std::marker::PhantomData))
}

impl<'de> Deserialize<'de> for Step {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match scalar_or::<StepFields, D>(deserializer)? {
            Either::Scalar(run) => Step {
                run,
                ..Step::default()
            },
            Either::Fields(fields) => Step {
                name: fields.name,
                run: fields.run,
                timeout: fields.timeout.map(|span| span.0),
                ..Step::default()
            },
        })
    }
}

impl<'de> Deserialize<'de> for Check {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match scalar_or::<CheckFields, D>(deserializer)? {
            Either::Scalar(run) => Check {
                step: Step {
                    run,
                    ..Step::default()
                },
                ..Check::default()
            },
            Either::Fields(fields) => Check {
                step: Step {
                    name: fields.name,
                    run: fields.run,
                    timeout: fields.timeout.map(|span| span.0),
                    ..Step::default()
                },
                show: fields.show,
                always: fields.always,
            },
        })
    }
}

impl<'de> Deserialize<'de> for Retries {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match scalar_or::<RetriesFields, D>(deserializer)? {
            Either::Scalar(text) => Retries {
                attempts: text.parse().map_err(|_| {
                    serde::de::Error::custom(format_args!("`{text}` is not a number of attempts"))
                })?,
                ..Retries::default()
            },
            Either::Fields(fields) => Retries {
                attempts: fields.attempts,
                delay: fields.delay.map(|span| span.0).unwrap_or_default(),
                exit_codes: fields.exit_codes,
            },
        })
    }
}
