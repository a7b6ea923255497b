//! What `ci:` in `mikado.yaml` says about generated pipelines.
//!
//! The types are the file format, as for runners: every key is a field, an
//! unknown key is an error. Nothing here is of one system alone, so that a
//! project can move from one to another without writing it again.

use std::path::PathBuf;
use std::time::Duration;

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};

use crate::runner::definition::Span;

/// What `ci:` says.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct CiConfig {
    /// How jobs get mikado; without it they have it on PATH.
    pub install: Option<Install>,
    /// The container image in which jobs run.
    pub image: Option<String>,
    /// The machines of jobs, by the runner's name; `default` for all others.
    #[schemars(with = "IndexMap<String, OneOrMany>")]
    pub runs_on: IndexMap<String, Labels>,
    /// Variables that runners name in `pass-env` or `key-env`, and the names of
    /// the system's secrets that they are filled from.
    pub secrets: IndexMap<String, String>,
    /// The actions that GitHub and Forgejo jobs use, with what they are pinned to.
    pub actions: Actions,
    /// The folder of a store that all jobs share.
    pub store: Option<PathBuf>,
    /// What starts the pipeline.
    pub triggers: Triggers,
    /// Whether only changes of files that the cards read start it.
    pub paths: bool,
    /// Whether a newer commit of a pull request ends the pipeline of an older one.
    pub cancel: Option<bool>,
    /// How long a job may take where its runner does not say.
    #[schemars(with = "Option<String>")]
    pub timeout: Option<Span>,
}

/// How jobs get mikado.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Install {
    /// `cargo install` from a folder of the repository.
    pub path: Option<PathBuf>,
    /// `cargo install` from a git repository.
    pub git: Option<String>,
    /// The commit of it.
    pub rev: Option<String>,
    /// The address of a `.tar.gz` with the binary at its top.
    pub release: Option<String>,
    /// Its SHA-256.
    pub sha256: Option<String>,
    /// Any other command.
    pub run: Option<String>,
}

impl Install {
    /// Reads `KEY=VALUE` of the command line: one of `path`, `git`, `release`,
    /// `run`, with `rev` and `sha256` after a comma.
    ///
    /// # Errors
    ///
    /// What is wrong with it, for people.
    pub fn parse(text: &str) -> Result<Install, String> {
        let mut install = Install::default();
        // A command may have commas.
        if let Some(command) = text.strip_prefix("run=") {
            install.run = Some(command.to_owned());
            return Ok(install);
        }
        for part in text.split(',') {
            let value = part.split_once('=').map(|(_, value)| value.to_owned());
            match (part.split('=').next().unwrap_or_default(), value) {
                ("path", Some(value)) => install.path = Some(value.into()),
                ("git", value @ Some(_)) => install.git = value,
                ("rev", value @ Some(_)) => install.rev = value,
                ("release", value @ Some(_)) => install.release = value,
                ("sha256", value @ Some(_)) => install.sha256 = value,
                _ => return Err(format!("`{part}` is no way to install mikado")),
            }
        }
        Ok(install)
    }
}

/// The actions of GitHub and Forgejo jobs.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Actions {
    /// Checks the repository out.
    pub checkout: Option<String>,
    /// Uploads an artifact.
    pub upload: Option<String>,
    /// Downloads an artifact.
    pub download: Option<String>,
}

/// What starts a pipeline.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Triggers {
    /// Pushes to these branches; the base branch where nothing is said.
    pub push: Option<Vec<String>>,
    /// Pull requests, or merge requests.
    pub pull_requests: Option<bool>,
    /// When `mikado verify --all` runs, as cron has it.
    pub nightly: Option<String>,
}

/// The labels of a machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Labels(pub Vec<String>);

/// One label, or several that a machine must all have.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
enum OneOrMany {
    /// One.
    One(String),
    /// Several.
    Many(Vec<String>),
}

impl<'de> Deserialize<'de> for Labels {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Labels(match OneOrMany::deserialize(deserializer)? {
            OneOrMany::One(label) => vec![label],
            OneOrMany::Many(labels) => labels,
        }))
    }
}

impl CiConfig {
    /// How long a job may take where its runner does not say.
    pub(crate) fn default_timeout(&self) -> Option<Duration> {
        self.timeout.map(|span| span.0)
    }

    /// The labels of the machine for `runner`.
    pub(crate) fn labels(&self, runner: Option<&str>) -> Vec<String> {
        let own = runner.and_then(|name| self.runs_on.get(name));
        let labels = own.or_else(|| self.runs_on.get("default"));
        labels.map(|labels| labels.0.clone()).unwrap_or_default()
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed step is a failed test")]
mod tests {
    use super::*;

    #[test]
    fn one_label_is_a_list_of_one_and_a_runner_without_labels_has_the_default() {
        let text = "runs-on: {default: small, go: [self-hosted, big]}";
        let config: CiConfig = serde_yaml::from_str(text).unwrap();
        assert_eq!(config.labels(Some("go")), ["self-hosted", "big"]);
        assert_eq!(config.labels(Some("npm")), ["small"]);
        assert_eq!(config.labels(None), ["small"]);
    }

    #[test]
    fn ways_to_install_are_read_from_the_command_line() {
        let install = Install::parse("git=https://example.org/m.git,rev=abc").unwrap();
        assert_eq!(install.git.as_deref(), Some("https://example.org/m.git"));
        assert_eq!(install.rev.as_deref(), Some("abc"));
        let install = Install::parse("run=a, b=c").unwrap();
        assert_eq!(install.run.as_deref(), Some("a, b=c"));
        Install::parse("brew").unwrap_err();
    }
}
