//! Looks at the runner of one card, with the parameters that the card gives.

use std::collections::{BTreeMap, BTreeSet};

use crate::card::Card;
use crate::diagnostic::{Diagnostic, Severity};
use crate::runner::definition::Input;
use crate::runner::inputs;
use crate::runner::lock::ToolLock;
use crate::runner::parameters::Parameters;
use crate::runner::platform::Platform;
use crate::runner::sources::{SOURCES, Sources};
use crate::runner::tools::Declared;
use crate::runner::work::{Work, runner_place};
use crate::words;

use super::files::RunnerFiles;

/// Looks at one card's runner.
pub(super) struct Checker<'a> {
    pub(super) card: &'a Card,
    pub(super) work: &'a Work,
    pub(super) parameters: &'a Parameters,
    pub(super) files: &'a RunnerFiles,
}

impl Checker<'_> {
    /// A fault of the runner, which is shown where `words` stand in its file.
    fn error(&self, code: &'static str, message: String, words: &[&str]) -> Diagnostic {
        let finding = Diagnostic::error(code, message);
        match &self.work.runner {
            Some(name) => {
                let mut used = runner_place(self.card, None);
                used.label = "used here".into();
                finding.at(self.files.place(name, words)).at(used)
            }
            None => finding.at(runner_place(self.card, None)),
        }
    }

    fn inputs(&self) -> impl Iterator<Item = &Input> {
        let definition = &self.work.definition;
        let fetched = definition.fetch.values().flat_map(|fetch| &fetch.inputs);
        definition.inputs.iter().flatten().chain(fetched)
    }

    /// Names within the runner that name nothing, and inputs of no shape.
    pub(super) fn shapes(&self, found: &mut Vec<Diagnostic>) {
        let definition = &self.work.definition;
        for (name, fetch) in &definition.fetch {
            let unknown = |tool: &&String| !definition.tools.contains_key(*tool);
            for tool in fetch.tools.iter().filter(unknown) {
                let message = format!(
                    "the fetch `{name}` names the tool `{tool}`, which the runner does not declare"
                );
                let finding = self.error("unknown-tool", message, &["tools", tool]);
                found.push(finding.help(nearest(
                    tool,
                    definition.tools.keys(),
                    "declare it under `tools`",
                )));
            }
            let unknown = |parameter: &&String| !definition.with.contains_key(*parameter);
            for parameter in fetch.with.iter().filter(unknown) {
                let message = format!(
                    "the fetch `{name}` names the parameter `{parameter}`, which the runner does not declare"
                );
                let finding = self.error("parameter", message, &["with", parameter]);
                found.push(finding.help(nearest(
                    parameter,
                    definition.with.keys(),
                    "declare it under `with`",
                )));
            }
        }
        for input in self.inputs() {
            self.input(input, found);
        }
        for cache in definition.caches.iter().filter(|cache| *cache == "target") {
            let message = format!(
                "the cache `{cache}` is for tools that key by content, which this one's is not"
            );
            let mut finding = self.error("cache", message, &["caches", cache]);
            finding.severity = Severity::Warning;
            found.push(finding.help("take it away, or name a cache of Go, ccache, npm or pip"));
        }
    }

    fn input(&self, input: &Input, found: &mut Vec<Diagnostic>) {
        let kinds = [
            !input.paths.is_empty(),
            input.requires.is_some(),
            input.fetch.is_some(),
        ];
        if kinds.iter().filter(|given| **given).count() != 1 {
            let message = "an input wants exactly one of `paths`, `requires` and `fetch`";
            let finding = self.error("input", message.into(), &["inputs"]);
            found.push(finding.help("write an entry for each"));
        }
        let fetches = &self.work.definition.fetch;
        if let Some(name) = &input.fetch
            && !fetches.contains_key(name)
        {
            let message =
                format!("an input names the fetch `{name}`, which the runner does not have");
            let finding = self.error("unknown-fetch", message, &["fetch", name]);
            found.push(finding.help(nearest(name, fetches.keys(), "write it under `fetch`")));
        }
        let texts = input.paths.iter().chain(&input.at);
        for text in texts {
            if let Err(fault) = self.parameters.expand_list(std::slice::from_ref(text)) {
                let finding = self.error("parameter", fault.to_string(), &[text]);
                found.push(finding.help("`mikado schema runner` says what may stand there"));
            }
        }
        if let Some(at) = &input.at
            && let Ok(place) = self.parameters.expand(at)
            && let Err(fault) = inputs::below_work(&place)
        {
            let finding = self.error("input", fault.to_string(), &["at", at]);
            found.push(finding.help("name a folder below `work/`, such as `at: vendor`"));
        }
    }

    /// Sources that the list does not have.
    pub(super) fn sources(&self, sources: &Sources, found: &mut Vec<Diagnostic>) {
        let mut told = BTreeSet::new();
        for written in self.inputs().filter_map(|input| input.source.as_ref()) {
            // A parameter at fault was told of with its input.
            let Ok(name) = self.parameters.expand(written) else {
                continue;
            };
            if sources.spec(&name).is_ok() || !told.insert(name.clone()) {
                continue;
            }
            let help = match words::nearest(&name, sources.names()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("add `{name}` to `runners/{SOURCES}`"),
            };
            let message = format!("no source is called `{name}`");
            let finding = match written.contains("${") {
                // The card says it, or leaves the runner's default.
                true => {
                    let mut spans = self.card.front.with_spans.iter();
                    let span = spans.find(|(parameter, _)| written.contains(parameter.as_str()));
                    let span = span.map(|(_, span)| span.clone());
                    Diagnostic::error("unknown-source", message).at(runner_place(self.card, span))
                }
                false => self.error("unknown-source", message, &["source", written]),
            };
            found.push(finding.help(help));
        }
    }

    /// Tools that are not locked, and tools that a step could not tell apart.
    pub(super) fn tools(&self, lock: &ToolLock, found: &mut Vec<Diagnostic>) {
        let definition = &self.work.definition;
        let runner = self.work.runner.as_deref();
        let runner = runner.unwrap_or(self.card.stem.as_str());
        let mut words: BTreeMap<&str, (&str, &str)> = BTreeMap::new();
        for (name, spec) in &definition.tools {
            let declared = Declared { runner, name, spec };
            let key = format!("{name}:");
            if let Some(platform) = Platform::current()
                && let Err(error) = lock.find(&declared, platform)
            {
                let finding = self.error("tool", error.to_string(), &[&key]);
                found.push(finding.help("`mikado lock` pins the tools of all runners"));
            }
            if spec.pypi.is_some() || spec.npm.is_some() {
                continue;
            }
            // A program of the machine is called by the tool's name and by the
            // first word of its command.
            let command = spec.command.as_deref().unwrap_or(name);
            let word = command.split_whitespace().next().unwrap_or(name);
            for called in [name.as_str(), word] {
                let (before, other) = *words.entry(called).or_insert((name, word));
                if other != word {
                    let message = format!(
                        "the tools `{before}` and `{name}` would both be called by `{called}`, and are two programs"
                    );
                    let finding = self.error("one-place", message, &[&key]);
                    found.push(finding.help("give one of them another name"));
                }
            }
        }
    }
}

/// The name that may have been meant, or else what to do.
fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a String>, help: &str) -> String {
    match words::nearest(name, known.map(String::as_str)) {
        Some(near) => format!("did you mean `{near}`?"),
        None => help.to_owned(),
    }
}
