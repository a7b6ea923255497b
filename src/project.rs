//! The project: where the cards, runners and settings are.
//!
//! The root is the nearest folder upward with a `mikado.yaml`, else with a
//! folder `cards`. The search for `cards` ends at the border of the repository
//! (a `.git`, which is a file in linked work trees and submodules): a folder of
//! that name outside is somebody else's. Beyond it only a `mikado.yaml` counts.
//! `mikado.yaml` is optional; `--cards` overrides what it says.

use std::path::{Path, PathBuf};

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::card::body::Headings;
use crate::card::edit::Completion;
use crate::card::{Card, Deck, Source, Stem, discover};
use crate::ci::CiConfig;
use crate::diagnostic::Diagnostic;
use crate::error::Error;
use crate::remote::{CacheConfig, ExecutorConfig};
use crate::runner::units;
use crate::runner::value::Value;
use crate::store::Limits;
use crate::words;

/// The name of the settings file.
pub const CONFIG: &str = "mikado.yaml";

/// How many folders are looked into for cards where none are set up.
const LOOKED_AT: usize = 2_000;

/// Where everything is.
#[derive(Clone, Debug, Default)]
pub struct Project {
    /// The root, absolute.
    pub root: PathBuf,
    /// The settings.
    pub config: Config,
    /// The folders of cards, absolute.
    pub card_dirs: Vec<PathBuf>,
    /// The folder of runners, absolute.
    pub runners_dir: PathBuf,
}

/// What `mikado.yaml` says.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Config {
    /// The folders of cards; `[cards]` where nothing is said.
    pub cards: Vec<PathBuf>,
    /// The folder of runners.
    pub runners: Option<PathBuf>,
    /// Parameters for every runner that declares them.
    #[serde(skip)]
    pub with: IndexMap<String, Value>,
    /// The store.
    pub store: StoreConfig,
    /// The cache that machines share.
    pub cache: CacheConfig,
    /// The server that executes.
    pub executor: ExecutorConfig,
    /// How completion is written.
    pub complete: Option<CompleteConfig>,
    /// Whether a run marks cards.
    pub mark: Option<MarkConfig>,
    /// The branch that others start from.
    pub base: Option<String>,
    /// Where tools come from.
    pub tools: Option<ToolsConfig>,
    /// The headings under which steps and checks stand.
    pub headings: Option<HeadingsConfig>,
    /// Generated pipelines.
    pub ci: CiConfig,
}

/// The store.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct StoreConfig {
    /// Its folder.
    pub path: Option<PathBuf>,
    /// How large it may grow, such as `20GiB`.
    pub max_size: Option<String>,
    /// How long something unused is kept, such as `30d`.
    pub max_age: Option<String>,
}

/// How completion is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum CompleteConfig {
    /// `status: complete`.
    Set,
    /// The status line is taken away.
    Remove,
}

/// Whether a run marks cards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum MarkConfig {
    /// It does.
    Run,
    /// It does not.
    Never,
}

/// Where tools come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ToolsConfig {
    /// From the registries, by the lock.
    Lock,
    /// From PATH, where their version fits.
    Path,
}

/// The headings under which steps and checks stand.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct HeadingsConfig {
    /// Those of steps.
    pub steps: Vec<String>,
    /// Those of checks.
    pub checks: Vec<String>,
}

impl StoreConfig {
    /// The bounds of the store.
    ///
    /// # Errors
    ///
    /// Where one of them is no size, or no duration.
    pub fn limits(&self) -> Result<Limits, Error> {
        let mut limits = Limits::default();
        let wrong = |key: &str, text: &str, like: &str| {
            let message = format!("`store.{key}: {text}` in `mikado.yaml` can't be read");
            Error::usage(message, format!("write something like `{like}`"))
        };
        if let Some(text) = &self.max_size {
            let size = units::size(text);
            limits.max_size = size.ok_or_else(|| wrong("max-size", text, "20GiB"))?;
        }
        if let Some(text) = &self.max_age {
            let age = units::duration(text);
            limits.max_age = age.ok_or_else(|| wrong("max-age", text, "30d"))?;
        }
        Ok(limits)
    }
}

impl Config {
    /// Whether a run marks cards complete.
    pub fn marks_on_run(&self) -> bool {
        self.mark != Some(MarkConfig::Never)
    }

    /// Whether tools are taken from PATH.
    pub fn tools_from_path(&self) -> bool {
        self.tools == Some(ToolsConfig::Path)
    }

    /// How completion is written among the cards of `deck`.
    pub fn completion(&self, deck: &Deck) -> Completion {
        match self.complete {
            Some(CompleteConfig::Set) => Completion::Set,
            Some(CompleteConfig::Remove) => Completion::Remove,
            None if deck.completes_by_removal() => Completion::Remove,
            None => Completion::Set,
        }
    }

    /// The headings under which steps and checks stand.
    pub fn headings(&self) -> Headings {
        let mut headings = Headings::default();
        if let Some(config) = &self.headings {
            if !config.steps.is_empty() {
                headings.steps = config.steps.clone();
            }
            if !config.checks.is_empty() {
                headings.checks = config.checks.clone();
            }
        }
        headings
    }
}

impl Project {
    /// Finds the project around the folder `here`; `cards` are the folders of
    /// `--cards`, relative to it.
    ///
    /// # Errors
    ///
    /// Where there are no cards, or `mikado.yaml` can't be read.
    pub fn find(here: &Path, cards: &[PathBuf]) -> Result<Project, Error> {
        let here = here.canonicalize().map_err(Error::disk("find", here))?;
        let border = here.ancestors().find(|dir| dir.join(".git").exists());
        let root = match root_above(&here, border) {
            Some(root) => root.to_owned(),
            None if cards.is_empty() => return Err(no_cards(&here, border)),
            None => border.unwrap_or(&here).to_owned(),
        };
        let config = read_config(&root)?;
        let card_dirs = match cards {
            [] if config.cards.is_empty() => vec![root.join("cards")],
            [] => config.cards.iter().map(|dir| root.join(dir)).collect(),
            given => given.iter().map(|dir| here.join(dir)).collect(),
        };
        for folder in &card_dirs {
            if !folder.is_dir() {
                let message = format!("the folder of cards `{}` is not there", folder.display());
                let help = "name one that is with `--cards DIR`, or mend `cards:` in `mikado.yaml`";
                return Err(Error::usage(message, help));
            }
        }
        let card_dirs = card_dirs
            .iter()
            .map(|dir| dir.canonicalize().unwrap_or(dir.clone()));
        let runners = config.runners.clone().unwrap_or_else(|| "runners".into());
        Ok(Project {
            card_dirs: card_dirs.collect(),
            runners_dir: root.join(runners),
            config,
            root,
        })
    }
}

/// The root of the project around `here`, in a repository that begins at
/// `border`.
fn root_above<'a>(here: &'a Path, border: Option<&Path>) -> Option<&'a Path> {
    let is_inside = |dir: &&Path| border.is_none_or(|border| dir.starts_with(border));
    let inside = || here.ancestors().take_while(is_inside);
    let has_config = |dir: &&Path| dir.join(CONFIG).exists();
    inside()
        .find(has_config)
        .or_else(|| inside().find(|dir| dir.join("cards").is_dir()))
        .or_else(|| here.ancestors().find(has_config))
}

fn read_config(root: &Path) -> Result<Config, Error> {
    let path = root.join(CONFIG);
    let bytes = match std::fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Ok(Config::default());
        }
        Err(error) => return Err(Error::disk("read", path)(error)),
    };
    let source = Source::new(CONFIG.into(), bytes);
    let invalid = |message: String, line: u32| {
        let finding = Diagnostic::error("config-invalid", message)
            .at(source.line_place(line, ""))
            .help("`mikado schema config` has every key and its type");
        Error::Findings(vec![finding])
    };
    let text = source
        .text()
        .ok_or_else(|| invalid("`mikado.yaml` is not UTF-8".into(), 1))?;
    let failed = |error: serde_yaml::Error| {
        let line = error
            .location()
            .map_or(1, |location| location.line() as u32);
        let text = error.to_string();
        invalid(
            text.split(" at line ").next().unwrap_or(&text).to_owned(),
            line,
        )
    };
    // `with` is decoded by its own reader, which keeps scalars as written.
    let (document, with) = without_with(text);
    let mut config: Config = serde_yaml::from_str::<Option<Config>>(&document)
        .map_err(failed)?
        .unwrap_or_default();
    if with && let Some(Value::Map(values)) = Value::from_yaml(text).map_err(failed)?.entry("with")
    {
        config.with = values.clone();
    }
    Ok(config)
}

/// The document with the lines of its key `with` emptied, so that lines keep
/// their numbers; whether there were any.
fn without_with(text: &str) -> (String, bool) {
    let mut out = String::new();
    let (mut inside, mut found) = (false, false);
    for line in text.split_inclusive('\n') {
        let is_key = line.starts_with("with:");
        let continues = line.starts_with([' ', '\t', '}', ']']) || line.trim().is_empty();
        inside = is_key || (inside && continues);
        found |= is_key;
        out.push_str(if inside { "\n" } else { line });
    }
    (out, found)
}

/// What to say where no cards are set up: a bounded look says where some are.
fn no_cards(here: &Path, border: Option<&Path>) -> Error {
    let seen = folders_with_cards(here);
    let outside = border.and_then(|border| {
        let mut above = border.ancestors().skip(1);
        above.find(|dir| dir.join("cards").is_dir())
    });
    let message = format!(
        "no cards here: `{}` has neither `mikado.yaml` nor `cards/`",
        here.display()
    );
    let help = match seen.as_slice() {
        [] if outside.is_some() => format!(
            "`cards/` in `{}` is outside of this repository: `-C {0}` acts there; `mikado init` makes a folder of cards here",
            outside.unwrap_or(here).display()
        ),
        [] => "`mikado init` makes a folder of cards; `-C DIR` acts elsewhere".to_owned(),
        [(first, open), others @ ..] => {
            let first = words::shell_word(&first.display().to_string());
            let others: Vec<String> = others
                .iter()
                .map(|(folder, open)| format!("{open} in `{}`", folder.display()))
                .collect();
            let others = match others.is_empty() {
                true => String::new(),
                false => format!(", {}", others.join(", ")),
            };
            format!(
                "{} seen in `{first}`{others}\n  read them: `mikado --cards {first} list`\n  set mikado up for them: `mikado init --cards {first}`\n  act elsewhere: `-C DIR`",
                match open {
                    1 => "1 open card was".to_owned(),
                    open => format!("{open} open cards were"),
                }
            )
        }
    };
    Error::usage(message, help)
}

/// The top folders below `here` in which open cards lie, the fullest first, each
/// with how many.
fn folders_with_cards(here: &Path) -> Vec<(PathBuf, usize)> {
    let Ok(files) = discover::some_markdown_files(here) else {
        return Vec::new();
    };
    let mut counts: IndexMap<PathBuf, usize> = IndexMap::new();
    for path in files.into_iter().take(LOOKED_AT) {
        let Ok(bytes) = std::fs::read(&path) else {
            continue;
        };
        let below = path.strip_prefix(here).unwrap_or(&path).to_owned();
        let card = Card::read(Stem::new(""), Source::new(below.clone(), bytes));
        if card.is_open() && !card.page {
            let top = below
                .components()
                .next()
                .filter(|_| below.components().count() > 1);
            let folder =
                top.map_or_else(|| PathBuf::from("."), |top| PathBuf::from(top.as_os_str()));
            *counts.entry(folder).or_insert(0) += 1;
        }
    }
    let mut folders: Vec<(PathBuf, usize)> = counts.into_iter().collect();
    folders.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
    folders.truncate(3);
    folders
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn search_for_cards_ends_at_the_border_of_a_repository() -> std::io::Result<()> {
        let folder = tempfile::tempdir()?;
        let at = |path: &str| folder.path().join(path);
        for path in ["cards", "main/.git", "main/sub/deep", "tree/deep"] {
            std::fs::create_dir_all(at(path))?;
        }
        // A submodule and a linked work tree have a file there.
        std::fs::write(at("main/sub/.git"), "gitdir: ../.git/modules/sub\n")?;
        std::fs::write(at("tree/.git"), "gitdir: ../main/.git/worktrees/tree\n")?;
        let root = |path: &str| {
            let here = at(path);
            let border = here.ancestors().find(|dir| dir.join(".git").exists());
            let root = root_above(&here, border)?;
            Some(root.strip_prefix(folder.path()).ok()?.to_owned())
        };
        let found = |path: &str| Some(PathBuf::from(path));
        assert_eq!(root(""), found(""));
        for path in ["main", "main/sub/deep", "tree/deep"] {
            assert_eq!(root(path), None, "{path}");
        }
        std::fs::create_dir(at("main/cards"))?;
        assert_eq!(root("main"), found("main"));
        assert_eq!(root("main/sub/deep"), None);
        // What is plainly meant counts from outside, but the own cards come first.
        std::fs::write(at("mikado.yaml"), "")?;
        assert_eq!(root("main/sub/deep"), found(""));
        assert_eq!(root("main"), found("main"));
        std::fs::write(at("main/sub/mikado.yaml"), "")?;
        assert_eq!(root("main/sub/deep"), found("main/sub"));
        Ok(())
    }

    #[test]
    fn parameters_of_the_project_keep_their_text() {
        let (rest, found) = without_with("cards: [a]\nwith:\n  version: 1.10\nbase: main\n");
        assert!(found);
        assert_eq!(rest, "cards: [a]\n\n\nbase: main\n");
    }
}
