//! Looks at the runner of one card, with the parameters that the card gives.

use std::collections::{BTreeMap, BTreeSet};

use crate::card::Card;
use crate::diagnostic::{Diagnostic, Place, Severity};
use crate::runner::definition::{Definition, Input};
use crate::runner::inputs;
use crate::runner::lock::ToolLock;
use crate::runner::parameters::Parameters;
use crate::runner::platform::Platform;
use crate::runner::sources::{SOURCES, Sources};
use crate::runner::tools::Declared;
use crate::runner::work::runner_place;
use crate::runner::written::Written;
use crate::words;

/// Looks at one card's runner.
pub(super) struct Checker<'a> {
    pub(super) card: &'a Card,
    pub(super) definition: &'a Definition,
    pub(super) parameters: &'a Parameters,
    pub(super) written: Option<Written>,
}

impl Checker<'_> {
    /// A fault of the runner's value at `way`, which is shown in its file.
    fn error(&self, code: &'static str, way: &[&str], message: String) -> Diagnostic {
        let here = runner_place(self.card, None);
        let finding = Diagnostic::error(code, message);
        match self.written.as_ref().and_then(|file| file.place(way)) {
            None => finding.at(here),
            Some(place) if place.path == here.path => finding.at(place),
            Some(place) => finding.at(place).at(Place {
                label: "used here".into(),
                ..here
            }),
        }
    }

    /// All inputs, each with the way to its list and its number in it.
    fn inputs(&self) -> impl Iterator<Item = (Vec<&str>, String, &Input)> {
        let own = self.definition.inputs.iter().flatten().enumerate();
        let own = own.map(|(at, input)| (vec!["inputs"], at.to_string(), input));
        own.chain(self.definition.fetch.iter().flat_map(|(name, fetch)| {
            let inputs = fetch.inputs.iter().enumerate();
            inputs.map(move |(at, input)| {
                (
                    vec!["fetch", name.as_str(), "inputs"],
                    at.to_string(),
                    input,
                )
            })
        }))
    }

    /// Names within the runner that name nothing, and inputs of no shape.
    pub(super) fn shapes(&self, found: &mut Vec<Diagnostic>) {
        let definition = self.definition;
        let nearest = |name: &str, known: Vec<&str>, what: &str| match words::nearest(
            name,
            known.iter().copied(),
        ) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("add `{name}` to the runner's `{what}`, or take it away here"),
        };
        for (name, fetch) in &definition.fetch {
            let tools = fetch.tools.iter();
            for tool in tools.filter(|tool| !definition.tools.contains_key(*tool)) {
                let message = format!(
                    "the fetch `{name}` names the tool `{tool}`, which the runner does not declare"
                );
                let known = definition.tools.keys().map(String::as_str).collect();
                found.push(
                    self.error("unknown-tool", &["fetch", name, "tools", tool], message)
                        .help(nearest(tool, known, "tools")),
                );
            }
            let parameters = fetch.with.iter();
            for parameter in parameters.filter(|p| !definition.with.contains_key(*p)) {
                let message = format!(
                    "the fetch `{name}` names the parameter `{parameter}`, which the runner does not declare"
                );
                let known = definition.with.keys().map(String::as_str).collect();
                found.push(
                    self.error("parameter", &["fetch", name, "with", parameter], message)
                        .help(nearest(parameter, known, "with")),
                );
            }
        }
        for (list, number, input) in self.inputs() {
            let way = |key: Option<&'static str>| -> Vec<&str> {
                let start = list.iter().copied().chain([number.as_str()]);
                start.chain(key).collect()
            };
            let places = [
                !input.paths.is_empty(),
                input.requires.is_some(),
                input.fetch.is_some(),
            ];
            if places.iter().filter(|given| **given).count() != 1 {
                let message = "an input wants exactly one of `paths`, `requires` and `fetch`";
                found.push(
                    self.error("input", &way(None), message.into())
                        .help("write each of them as an entry of its own"),
                );
            }
            if let Some(name) = &input.fetch
                && !definition.fetch.contains_key(name)
            {
                let message =
                    format!("an input names the fetch `{name}`, which the runner does not have");
                let known = definition.fetch.keys().map(String::as_str).collect();
                found.push(
                    self.error("unknown-fetch", &way(Some("fetch")), message)
                        .help(nearest(name, known, "fetch")),
                );
            }
            if let Some(at) = &input.at
                && let Ok(place) = self.parameters.expand(at)
                && let Err(fault) = inputs::below_work(&place)
            {
                found.push(
                    self.error("input", &way(Some("at")), fault.to_string())
                        .help("name a folder below `work/`, such as `at: vendor`"),
                );
            }
            if let Err(fault) = self.parameters.expand_list(&input.paths) {
                found.push(
                    self.error("parameter", &way(Some("paths")), fault.to_string())
                        .help(fault.help()),
                );
            }
        }
        for cache in definition.caches.iter().filter(|cache| *cache == "target") {
            let message = format!(
                "the cache `{cache}` is for tools that key by content, which this one's is not"
            );
            let mut finding = self.error("cache", &["caches", cache], message);
            finding.severity = Severity::Warning;
            found.push(finding.help("take it away, or name a cache of Go, ccache, npm or pip"));
        }
    }

    /// A note for each key that opens the steps of a build up.
    pub(super) fn openings(&self, found: &mut Vec<Diagnostic>) {
        for opening in self.definition.opened_keys() {
            let key = opening.split(':').next().unwrap_or_default();
            let message = format!("`{opening}` opens the steps up; the result stays local");
            let mut finding = self.error("opened-up", &[key], message);
            finding.severity = Severity::Note;
            found.push(finding.help(
                "nothing has to be done; a `fetch`, an input or `key-env` would keep the result sharable",
            ));
        }
    }

    pub(super) fn sources(&self, sources: &Sources, found: &mut Vec<Diagnostic>) {
        let mut told = BTreeSet::new();
        for (list, number, input) in self.inputs() {
            let Some(name) = &input.source else {
                continue;
            };
            // A parameter at fault was told of with its input.
            let Ok(name) = self.parameters.expand(name) else {
                continue;
            };
            if sources.spec(&name).is_err() && told.insert(name.clone()) {
                let help = match words::nearest(&name, sources.names()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("add `{name}` to `runners/{SOURCES}`"),
                };
                let message = format!("no source is called `{name}`");
                let way = [&list[..], &[&number, "source"]].concat();
                found.push(self.error("unknown-source", &way, message).help(help));
            }
        }
    }

    pub(super) fn tools(&self, lock: &ToolLock, runner: &str, found: &mut Vec<Diagnostic>) {
        let Some(platform) = Platform::current() else {
            return;
        };
        for (name, spec) in &self.definition.tools {
            let declared = Declared { runner, name, spec };
            if let Err(error) = lock.find(&declared, platform) {
                // Its message has what to do behind a colon.
                let text = error.to_string();
                let (message, help) = text.rsplit_once(": ").unwrap_or((&text, "see the README"));
                found.push(
                    self.error("tool", &["tools", name], message.to_owned())
                        .help(help),
                );
            }
        }
    }

    /// Tools of this machine that a step would call by one name, although they
    /// are two programs.
    pub(super) fn one_name(&self, found: &mut Vec<Diagnostic>) {
        let mut words: BTreeMap<&str, (&str, &str)> = BTreeMap::new();
        for (name, spec) in &self.definition.tools {
            if spec.pypi.is_some() || spec.npm.is_some() {
                continue;
            }
            // It is called by its name, and by the first word of its command.
            let command = spec.command.as_deref().unwrap_or(name);
            let word = command.split_whitespace().next().unwrap_or(name);
            for called in [name.as_str(), word] {
                let (before, other) = *words.entry(called).or_insert((name, word));
                if other != word {
                    let message = format!(
                        "the tools `{before}` and `{name}` would both be called by `{called}`, and are two programs"
                    );
                    found.push(
                        self.error("one-place", &["tools", name], message)
                            .help("give one of them another name"),
                    );
                }
            }
        }
    }
}
