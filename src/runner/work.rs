//! The work of a card: its runner as read, its parameters with their values,
//! and whose artifacts it uses.
//!
//! A runner is a file in `runners/`, a mapping in the card, code blocks of the
//! card, or the last two together. Every fault found on the way is a finding
//! with its place. Reads runner files; executes nothing.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use indexmap::IndexMap;

use crate::card::body::{Block, Headings, Role};
use crate::card::{Card, Runner, Source, Span, Stem, Text};
use crate::diagnostic::{Diagnostic, Place};
use crate::words;

use super::definition::{Check, Definition, Kind, Language, Step};
use super::parameters::{Fault, Layer, Parameters};
use super::value::Value;

/// The runners of a project, each read once.
#[derive(Debug)]
pub struct Runners {
    root: PathBuf,
    folder: PathBuf,
    read: BTreeMap<String, Result<Arc<Definition>, Diagnostic>>,
}

/// What a card's runner is.
#[derive(Clone, Debug)]
pub struct Work {
    /// What kind of work it is.
    pub kind: Kind,
    /// Whether only a person may do it.
    pub human: bool,
    /// The runner's name, where it is a file.
    pub runner: Option<String>,
    /// The folder of the runner's scripts, where there is one.
    pub folder: Option<PathBuf>,
    /// The runner; empty for hand cards and pages.
    pub definition: Arc<Definition>,
}

impl Work {
    /// What its runner is called: by its file's name, or as the card that has it.
    pub(crate) fn runner_name<'a>(&'a self, card: &'a Stem) -> &'a str {
        self.runner.as_deref().unwrap_or(card.as_str())
    }
}

/// Values from outside of the cards.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// `with:` of the project.
    pub project: IndexMap<String, Value>,
    /// `--with NAME=VALUE`, as given.
    pub everywhere: Vec<(String, String)>,
    /// `--with CARD:NAME=VALUE`, with full stems.
    pub cards: Vec<(Stem, String, String)>,
}

impl Runners {
    /// The runners in `folder`, a folder of the project at `root`.
    pub fn new(root: &Path, folder: &Path) -> Runners {
        Runners {
            root: root.to_owned(),
            folder: folder.to_owned(),
            read: BTreeMap::new(),
        }
    }

    /// The names of all runners there are, in order.
    pub fn names(&self) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(&self.folder) else {
            return Vec::new();
        };
        let mut names: Vec<String> = entries
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .filter_map(|name| name.strip_suffix(".yaml").map(str::to_owned))
            .filter(|name| name != "sources" && !name.contains('.'))
            .collect();
        names.sort();
        names
    }

    /// The file of the runner `name`, relative to the project's root.
    pub fn path(&self, name: &str) -> PathBuf {
        let file = self.folder.join(format!("{name}.yaml"));
        file.strip_prefix(&self.root).unwrap_or(&file).to_owned()
    }

    /// The runner `name`.
    ///
    /// # Errors
    ///
    /// The finding, where it can't be read; `None` in it is a missing file.
    pub fn definition(&mut self, name: &str) -> Option<Result<Arc<Definition>, Diagnostic>> {
        if let Some(read) = self.read.get(name) {
            return Some(read.clone());
        }
        let path = self.path(name);
        let bytes = match std::fs::read(self.root.join(&path)) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return None,
            Err(error) => {
                let message = format!("could not read `{}`: {error}", path.display());
                let source = Source::new(path, Vec::new());
                let finding = Diagnostic::error("runner-unreadable", message)
                    .at(source.line_place(1, ""))
                    .help("make the file readable, or take it out of the folder");
                return Some(Err(finding));
            }
        };
        let source = Source::new(path, bytes);
        let read = read_file(&source).map(Arc::new);
        self.read.insert(name.to_owned(), read.clone());
        Some(read)
    }

    /// Reads the work of `card`.
    ///
    /// # Errors
    ///
    /// Every fault of its runner, as findings with their places.
    pub fn work(&mut self, card: &Card, headings: &Headings) -> Result<Work, Vec<Diagnostic>> {
        let blocks = match card.may_run() {
            true => card.body(headings).blocks,
            false => Vec::new(),
        };
        let mut work = Work {
            kind: if card.page { Kind::Page } else { Kind::Hand },
            human: false,
            runner: None,
            folder: None,
            definition: Arc::default(),
        };
        match &card.front.runner {
            Some(Runner::Human(_)) => {
                work.human = true;
                work.kind = Kind::Hand;
                return Ok(work);
            }
            Some(Runner::Named(name)) => {
                if let Some(block) = blocks.first() {
                    let message = format!(
                        "the card has the runner `{}` and code blocks that run",
                        name.text
                    );
                    return Err(vec![
                        Diagnostic::error("two-runners", message)
                            .at(card.source.place(name.span.clone(), "the runner"))
                            .at(card.source.line_place(block.line, "a block that runs"))
                            .help("take away one of them: `run` and `verify` in a fence's first line make its block run"),
                    ]);
                }
                work.definition = self.named(card, name)?;
                let folder = self.folder.join(&name.text);
                work.folder = folder.is_dir().then_some(folder);
                work.runner = Some(name.text.clone());
            }
            Some(Runner::Inline { span, .. }) => {
                let mut definition = inline(card, span).map_err(|finding| vec![finding])?;
                add_blocks(card, &blocks, &mut definition)?;
                work.definition = Arc::new(definition);
            }
            None if blocks.is_empty() => return Ok(work),
            None => {
                let mut definition = Definition::default();
                add_blocks(card, &blocks, &mut definition)?;
                work.definition = Arc::new(definition);
            }
        }
        work.kind = work.definition.kind();
        Ok(work)
    }

    fn named(&mut self, card: &Card, name: &Text) -> Result<Arc<Definition>, Vec<Diagnostic>> {
        match self.definition(&name.text) {
            Some(Ok(definition)) => Ok(definition),
            Some(Err(finding)) => {
                let place = card.source.place(name.span.clone(), "used here");
                Err(vec![finding.at(place)])
            }
            None => {
                let names = self.names();
                let help = match words::nearest(&name.text, names.iter().map(String::as_str)) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None if names.is_empty() => format!(
                        "write `{}`: `mikado runner new` begins one",
                        self.path(&name.text).display()
                    ),
                    None => format!(
                        "write `{}`, or name one of {}",
                        self.path(&name.text).display(),
                        words::list(&names)
                    ),
                };
                let message = format!("there is no runner `{}`", name.text);
                Err(vec![
                    Diagnostic::error("unknown-runner", message)
                        .at(card.source.place(name.span.clone(), ""))
                        .help(help),
                ])
            }
        }
    }
}

/// Gives the parameters of `card` their values.
///
/// # Errors
///
/// The finding at the place in the card that is at fault.
pub fn parameters(
    card: &Card,
    work: &Work,
    overrides: &Overrides,
) -> Result<Parameters, Diagnostic> {
    let own: IndexMap<String, Value> = card
        .front
        .with
        .iter()
        .filter_map(|(key, value)| Some((key.as_str()?.to_owned(), Value::from(value.clone()))))
        .collect();
    let defaults = &work.definition.with;
    let mut given = IndexMap::new();
    let named = overrides
        .cards
        .iter()
        .filter(|(stem, ..)| *stem == card.stem);
    let all = overrides
        .everywhere
        .iter()
        .map(|(name, value)| (name, value));
    for (name, text) in all.chain(named.map(|(_, name, value)| (name, value))) {
        if let Some(default) = defaults.get(name) {
            // What does not fit was told of before, or is by `resolve`.
            given.insert(name.clone(), from_command_line(text, default));
        }
    }
    let layer = |values, strict| Layer { values, strict };
    let layers = [
        layer(&overrides.project, false),
        layer(&own, true),
        layer(&given, false),
    ];
    Parameters::resolve(card.stem.as_str(), defaults, &layers).map_err(|fault| {
        let span = match &fault {
            Fault::Undeclared { name, .. } | Fault::Shape { name, .. } => {
                card.front.with_spans.get(name).cloned()
            }
            _ => None,
        };
        Diagnostic::error("parameter", fault.to_string())
            .at(runner_place(card, span))
            .help(fault.help())
    })
}

/// A value of the command line: YAML, unless the default is text. Nothing is an
/// empty list or mapping where the default is one.
pub fn from_command_line(text: &str, default: &Value) -> Value {
    match default {
        Value::Text(_) => Value::Text(text.to_owned()),
        Value::List(_) if text.trim().is_empty() => Value::List(Vec::new()),
        Value::Map(_) if text.trim().is_empty() => Value::Map(IndexMap::new()),
        _ => Value::from_yaml(text).unwrap_or_else(|_| Value::Text(text.to_owned())),
    }
}

/// The place in a card that a fault of its runner is shown at.
pub fn runner_place(card: &Card, span: Option<Span>) -> Place {
    let runner = match &card.front.runner {
        Some(Runner::Named(name)) => Some(name.span.clone()),
        Some(Runner::Human(span) | Runner::Inline { span, .. }) => Some(span.clone()),
        None => None,
    };
    match span.or(runner) {
        Some(span) => card.source.place(span, ""),
        None => card.source.line_place(1, ""),
    }
}

fn read_file(source: &Source) -> Result<Definition, Diagnostic> {
    let Some(text) = source.text() else {
        let message = format!("`{}` is not UTF-8", source.path().display());
        return Err(Diagnostic::error("runner-unreadable", message)
            .at(source.line_place(1, ""))
            .help("save the file as UTF-8"));
    };
    Definition::from_yaml(text).map_err(|error| yaml_finding(&error, source, 0))
}

fn inline(card: &Card, span: &Span) -> Result<Definition, Diagnostic> {
    let text = card.source.text().unwrap_or_default();
    let text = text.get(span.clone()).unwrap_or_default();
    let first = card.source.line(span.start);
    Definition::from_yaml(text).map_err(|error| yaml_finding(&error, &card.source, first - 1))
}

/// A decoder's error as a finding, `lines` further down in `source`.
fn yaml_finding(error: &serde_yaml::Error, source: &Source, lines: u32) -> Diagnostic {
    let line = error.location().map_or(1, |l| l.line() as u32) + lines;
    let text = error.to_string();
    // The place is shown by itself.
    let message = text.split(" at line ").next().unwrap_or(&text).to_owned();
    let all = "`mikado schema runner` has every key and its type";
    let Some((above, unknown)) = message.split_once("unknown field `") else {
        return Diagnostic::error("runner-invalid", message)
            .at(source.line_place(line, ""))
            .help(all);
    };
    // The decoder's own words: the key, and all that there are.
    let mut quoted = unknown.split('`');
    let key = quoted.next().unwrap_or_default();
    let known: Vec<&str> = quoted.skip(1).step_by(2).collect();
    let help = match words::nearest(key, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`? {all}"),
        None if known.is_empty() => all.to_owned(),
        None => format!("the keys here are {}; {all}", words::list(&known)),
    };
    let place = match key_in_line(source, line, key) {
        Some(span) => source.place(span, ""),
        None => source.line_place(line, ""),
    };
    Diagnostic::error("runner-unknown-key", format!("{above}unknown key `{key}`"))
        .at(place)
        .help(help)
}

/// Where a key stands in a line.
fn key_in_line(source: &Source, line: u32, key: &str) -> Option<Span> {
    let span = source.line_span(line);
    let text = source.text()?.get(span.clone())?;
    let starts = text.match_indices(key).map(|(at, _)| at);
    let is_key = |at: &usize| text[at + key.len()..].trim_start().starts_with(':');
    let at = starts.into_iter().find(is_key)? + span.start;
    Some(at..at + key.len())
}

fn add_blocks(
    card: &Card,
    blocks: &[Block],
    definition: &mut Definition,
) -> Result<(), Vec<Diagnostic>> {
    let mut findings = Vec::new();
    for block in blocks {
        let Some(language) = Language::from_word(&block.language) else {
            let message = format!("blocks in `{}` can't run", block.language);
            findings.push(
                Diagnostic::error("block-language", message)
                    .at(card.source.line_place(block.line, ""))
                    .help("write the block in `sh`, `bash`, `fish` or `python`"),
            );
            continue;
        };
        let has_both = match block.role {
            Role::Run => definition.steps.iter().any(|step| step.line.is_none()),
            Role::Verify => definition
                .verify
                .iter()
                .any(|check| check.step.line.is_none()),
        };
        if has_both {
            let message = "the card's runner and its code blocks both say what to run";
            findings.push(
                Diagnostic::error("two-runners", message)
                    .at(card.source.line_place(block.line, ""))
                    .help("keep the steps in one place"),
            );
            break;
        }
        let step = Step {
            name: block.heading.clone(),
            run: block.code.clone(),
            language,
            timeout: None,
            line: Some(block.line),
        };
        match block.role {
            Role::Run => definition.steps.push(step),
            Role::Verify => definition.verify.push(Check {
                step,
                ..Check::default()
            }),
        }
    }
    match findings.is_empty() {
        true => Ok(()),
        false => Err(findings),
    }
}
