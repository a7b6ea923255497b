//! What a runner file says.
//!
//! The types are the file format: every key is a field, an unknown key is an
//! error, and the JSON Schema is made from them. Reading a definition executes
//! nothing and reads no other file.

mod shorthand;

use std::time::Duration;

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use super::tools::{self, ToolSpec};
use super::value::Value;
use super::{platform, units};
use shorthand::{CheckFields, RetriesFields, ScalarOrFields, StepFields};

/// A runner.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Definition {
    /// One line on what it does.
    pub summary: Option<String>,
    /// Parameters and their defaults; `~` is one that the card must give.
    // Read apart, by `from_yaml`, which keeps scalars as written.
    #[serde(deserialize_with = "skipped")]
    #[schemars(with = "IndexMap<String, serde_json::Value>")]
    pub with: IndexMap<String, Value>,
    /// Tools by name, in the order of PATH.
    #[serde(deserialize_with = "tools::deserialize_tools")]
    #[schemars(with = "IndexMap<String, Option<ToolSpec>>")]
    pub tools: IndexMap<String, ToolSpec>,
    /// Variables of steps and checks.
    pub env: IndexMap<String, String>,
    /// Variables that reach the steps and never a key.
    pub pass_env: Vec<String>,
    /// Variables that reach the steps and are part of the key.
    pub key_env: Vec<String>,
    /// Roles whose `bin/` is on PATH after the system's folders.
    pub path: Vec<String>,
    /// What is laid below `work/`; a runner that has it is a build.
    pub inputs: Option<Vec<Input>>,
    /// The only places with network, by name.
    pub fetch: IndexMap<String, Fetch>,
    /// What is executed, one after the other.
    #[schemars(with = "Vec<ScalarOrFields<StepFields>>")]
    pub steps: Vec<Step>,
    /// What must hold of the artifact, or of the world.
    #[schemars(with = "Vec<ScalarOrFields<CheckFields>>")]
    pub verify: Vec<Check>,
    /// Folders that outlive a run and are never part of a key.
    pub caches: Vec<String>,
    /// How long the steps together may take.
    #[schemars(with = "Option<String>")]
    pub timeout: Option<Span>,
    /// How often a failure is tried again.
    #[schemars(with = "ScalarOrFields<RetriesFields>")]
    pub retries: Retries,
    /// What it needs of the machine.
    pub resources: Resources,
    /// Whether its processes are confined.
    pub isolation: Isolation,
    /// Whether the action's root must lie at one path.
    pub root: Root,
    /// Whether the steps may use the network.
    pub network: bool,
    /// Whether the steps see the user's home folder.
    pub home: Option<Home>,
    /// Sockets that the steps may use.
    pub sockets: Vec<Socket>,
    /// The platforms that it works on, such as `x86_64-linux`; empty for all.
    #[serde(deserialize_with = "platforms")]
    pub platform: Vec<String>,
    /// What to ask before a command runs.
    pub confirm: Option<String>,
    /// Whether it may be executed on another machine.
    pub remote: Option<bool>,
}

/// The four kinds of work that a card can have, and a page's none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A runner with `inputs`: cached and isolated.
    Build,
    /// Steps without `inputs`: runs in the repository's root.
    Command,
    /// Checks alone.
    Probe,
    /// No runner: somebody does it.
    Hand,
    /// No card: prose.
    Page,
}

impl Kind {
    /// Its word, as in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Kind::Build => "build",
            Kind::Command => "command",
            Kind::Probe => "probe",
            Kind::Hand => "hand",
            Kind::Page => "page",
        }
    }
}

impl Definition {
    /// The inputs of its steps and of its fetches.
    pub(crate) fn all_inputs(&self) -> impl Iterator<Item = &Input> {
        let fetched = self.fetch.values().flat_map(|fetch| &fetch.inputs);
        self.inputs.iter().flatten().chain(fetched)
    }

    /// Reads a runner from a YAML document.
    ///
    /// # Errors
    ///
    /// The decoder's words, with line and column, where the text is no YAML, has
    /// an unknown key, or a value of the wrong type.
    pub fn from_yaml(text: &str) -> Result<Definition, serde_yaml::Error> {
        let mut definition: Definition =
            serde_yaml::from_str::<Option<Definition>>(text)?.unwrap_or_default();
        if let Some(Value::Map(with)) = Value::from_yaml(text)?.entry("with") {
            definition.with = with.clone();
        }
        Ok(definition)
    }

    /// Whether its steps may be executed on another machine: nothing of this one is
    /// opened up to them, and their root need not lie at one path.
    pub fn goes_elsewhere(&self) -> bool {
        self.remote != Some(false) && self.root != Root::Fixed && self.opened_keys().is_empty()
    }

    /// What a build opens up to its steps and checks, as its keys say it; `None`
    /// where it opens nothing up. What comes out stays on this machine.
    pub fn opened_up(&self) -> Option<String> {
        let keys = self.opened_keys();
        (!keys.is_empty()).then(|| crate::words::list(&keys))
    }

    /// The same, a text for each key: `KEY: VALUE`.
    pub fn opened_keys(&self) -> Vec<String> {
        let mut keys = Vec::new();
        if self.isolation == Isolation::None {
            keys.push("isolation: none".to_owned());
        }
        if self.network {
            keys.push("network: true".to_owned());
        }
        if self.home == Some(Home::User) {
            keys.push("home: user".to_owned());
        }
        if !self.sockets.is_empty() {
            let words: Vec<&str> = self.sockets.iter().map(|socket| socket.word()).collect();
            keys.push(format!("sockets: [{}]", words.join(", ")));
        }
        if !self.pass_env.is_empty() {
            keys.push(format!("pass-env: [{}]", self.pass_env.join(", ")));
        }
        keys
    }

    /// What kind of work it does: found from what it has.
    pub fn kind(&self) -> Kind {
        if self.inputs.is_some() {
            Kind::Build
        } else if !self.steps.is_empty() {
            Kind::Command
        } else if !self.verify.is_empty() {
            Kind::Probe
        } else {
            Kind::Hand
        }
    }
}

/// One entry of `inputs`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Input {
    /// A named source; without it `paths` are the repository's.
    pub source: Option<String>,
    /// Globs; later ones win, `!` takes away.
    pub paths: Vec<String>,
    /// A role: the artifact of a card that is used.
    pub requires: Option<String>,
    /// A fetch of this runner.
    pub fetch: Option<String>,
    /// The folder below `work/`.
    pub at: Option<String>,
    /// Whether each of its patterns may match nothing.
    pub optional: bool,
    /// How an artifact is laid.
    pub links: Links,
}

/// How an artifact is laid below `work/`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Links {
    /// One link for each entry at its top.
    #[default]
    Top,
    /// Real folders all the way down, and a link for each file.
    Files,
}

/// A step with network, cached by its own inputs.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Fetch {
    /// What is laid below its `work/`.
    pub inputs: Vec<Input>,
    /// The names of the runner's tools that it uses.
    pub tools: Vec<String>,
    /// The names of the runner's parameters that it sees.
    pub with: Vec<String>,
    /// Folders that outlive a run.
    pub caches: Vec<String>,
    /// Files of the runner's own folder that it sees.
    pub scripts: Vec<String>,
    /// Its variables.
    pub env: IndexMap<String, String>,
    /// The script.
    pub run: String,
    /// What the output must be: `sha256-…` of its Nix archive, or empty.
    pub hash: String,
    /// Whether its tool checks a lock with hashes, so that it may be shared.
    pub locked: bool,
    /// Whether it may be executed on another machine: workers have network.
    pub remote: bool,
    /// Further files of the user's home folder that it reads.
    pub home: Vec<String>,
    /// Variables that reach it and never a key.
    pub pass_env: Vec<String>,
    /// How long it may take.
    #[schemars(with = "Option<String>")]
    pub timeout: Option<Span>,
}

/// One step.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// What it is called in reports.
    pub name: Option<String>,
    /// The script.
    pub run: String,
    /// What reads the script.
    pub language: Language,
    /// How long it may take.
    pub timeout: Option<Duration>,
    /// The line of the card that it stands in, where it is a code block.
    pub line: Option<u32>,
}

/// One check.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Check {
    /// The script and its name.
    pub step: Step,
    /// Whether its output is printed at the end of a run.
    pub show: bool,
    /// Whether it runs on a hit as well.
    pub always: bool,
}

/// What reads a script.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Language {
    /// `bash -euo pipefail -c`.
    #[default]
    Bash,
    /// `sh -eu -c`.
    Sh,
    /// `fish -c`.
    Fish,
    /// `python3 -c`.
    Python,
}

impl Language {
    /// The language of a fence's word, or `None` where it is not runnable.
    pub fn from_word(word: &str) -> Option<Language> {
        match word {
            "bash" => Some(Language::Bash),
            "sh" | "shell" => Some(Language::Sh),
            "fish" => Some(Language::Fish),
            "python" | "python3" | "py" => Some(Language::Python),
            _ => None,
        }
    }

    /// The program that reads it.
    pub fn program(self) -> &'static str {
        match self {
            Language::Bash => "bash",
            Language::Sh => "sh",
            Language::Fish => "fish",
            Language::Python => "python3",
        }
    }

    /// The program and the arguments before the script.
    pub fn argv(self) -> &'static [&'static str] {
        match self {
            Language::Bash => &["bash", "-euo", "pipefail", "-c"],
            Language::Sh => &["sh", "-eu", "-c"],
            Language::Fish => &["fish", "-c"],
            Language::Python => &["python3", "-c"],
        }
    }
}

/// A duration as text in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span(pub Duration);

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        units::duration(&text).map(Span).ok_or_else(|| {
            serde::de::Error::custom(format_args!(
                "`{text}` is not a duration: expected something like `30s`, `20m` or `1h30m`"
            ))
        })
    }
}

/// A size as text in a file, or an expression with a parameter in it.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Resources {
    /// Memory that it needs at its peak, such as `2.5GiB`.
    pub memory: Option<String>,
    /// How many of the run's jobs it takes.
    pub jobs: Option<String>,
    /// A mutex across the processes of one store.
    pub group: Option<String>,
}

/// How often a failure is tried again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Retries {
    /// Further attempts after the first.
    pub attempts: u32,
    /// The wait before each.
    pub delay: Duration,
    /// The exit codes that are tried again; empty for all.
    pub exit_codes: Vec<i32>,
}

/// Whether processes are confined.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Isolation {
    /// As far as the kernel can.
    #[default]
    Default,
    /// Not at all.
    None,
}

/// Where the action's root lies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Root {
    /// Anywhere.
    #[default]
    Any,
    /// At one path, for tools that bake it in.
    Fixed,
}

/// Which home folder the steps see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Home {
    /// The user's own.
    User,
}

/// A socket of a service of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Socket {
    /// That of Nix's daemon.
    Nix,
    /// That of Docker or Podman.
    Docker,
    /// That of the user's ssh agent.
    SshAgent,
}

impl Socket {
    /// Its word in a runner.
    pub fn word(self) -> &'static str {
        match self {
            Socket::Nix => "nix",
            Socket::Docker => "docker",
            Socket::SshAgent => "ssh-agent",
        }
    }
}

/// The names of platforms, in either order, as `ISA-OS`.
fn platforms<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let texts = Vec::<String>::deserialize(deserializer)?;
    let name = |text: &String| platform::isa_and_os(text).map_err(serde::de::Error::custom);
    texts.iter().map(name).collect()
}

fn skipped<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<IndexMap<String, Value>, D::Error> {
    // Checks the shape alone; the values are read again with their text kept.
    let shape = Option::<IndexMap<String, serde_yaml::Value>>::deserialize(deserializer)?;
    drop(shape);
    Ok(IndexMap::new())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kind_is_found_from_what_a_runner_has() -> Result<(), serde_yaml::Error> {
        let kind = |text| Definition::from_yaml(text).map(|d| d.kind());
        assert_eq!(kind("inputs: []\nsteps: [true]")?, Kind::Build);
        assert_eq!(kind("steps: ['echo hi']")?, Kind::Command);
        assert_eq!(kind("verify: [{run: 'test -e x'}]")?, Kind::Probe);
        assert_eq!(kind("summary: nothing yet")?, Kind::Hand);
        Ok(())
    }

    #[test]
    fn unknown_keys_are_named_with_their_line() {
        let error = Definition::from_yaml("summary: x\nsteps:\n  - {run: a, shell: b}\n");
        let text = error.map(|_| ()).map_err(|e| e.to_string());
        assert!(
            text.as_ref()
                .is_err_and(|t| t.contains("shell") && t.contains("line 3")),
            "{text:?}"
        );
    }

    #[test]
    fn parameters_keep_their_text() -> Result<(), serde_yaml::Error> {
        let definition = Definition::from_yaml("with: {version: 1.10, package: ~}\n")?;
        assert_eq!(definition.with["version"], Value::Number("1.10".into()));
        assert_eq!(definition.with["package"], Value::Null);
        Ok(())
    }
}
