//! What any command answers in JSON mode when it can't be carried out.

use schemars::JsonSchema;
use serde::Serialize;

use super::{FindingObject, SCHEMA_VERSION};
use crate::error::Error;

/// Why a command was not carried out; on standard output, like every answer.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields)]
pub struct Fault {
    /// The version of this format: 1.
    pub schema_version: u32,
    /// `usage`, `findings`, `disk`, `store`, `tools` or `bug`.
    pub code: &'static str,
    /// What is wrong.
    pub message: String,
    /// What to do; may be empty.
    pub help: String,
    /// A command that helps on; null where there is none.
    pub command: Option<String>,
    /// The findings that are in the way.
    pub findings: Vec<FindingObject>,
}

impl From<&Error> for Fault {
    fn from(error: &Error) -> Fault {
        let findings = match error {
            Error::Findings(findings) => findings.iter().map(FindingObject::from).collect(),
            _ => Vec::new(),
        };
        Fault {
            schema_version: SCHEMA_VERSION,
            code: error.code(),
            message: error.to_string(),
            help: error.help().to_owned(),
            command: command_in(error.help()),
            findings,
        }
    }
}

/// The first command in backticks that a help text names, where it can be typed
/// as it stands: words in capitals are for the reader to fill in.
fn command_in(help: &str) -> Option<String> {
    let quoted = help.split('`').skip(1).step_by(2);
    let is_whole = |command: &&str| {
        command.starts_with("mikado ")
            && !command
                .split_whitespace()
                .any(|word| word.len() > 1 && word.chars().all(|c| c.is_ascii_uppercase()))
    };
    quoted.into_iter().find(is_whole).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_of_a_help_text_is_one_that_can_be_typed() {
        let found = command_in("`mikado complete STEM` marks it; `mikado check` shows more");
        assert_eq!(found.as_deref(), Some("mikado check"));
        assert_eq!(command_in("write `a: b` into `mikado.yaml`"), None);
    }
}
