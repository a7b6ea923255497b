//! What `check` finds in runners, beyond what reading them shows.

use std::collections::BTreeSet;

use crate::card::{Card, Runner, Source, Stem};
use crate::chain::State;
use crate::cli::Context;
use crate::diagnostic::{Diagnostic, Place, Severity};
use crate::runner::definition::{Definition, Input, Kind};
use crate::runner::lock::{TOOL_LOCK, ToolLock};
use crate::runner::parameters::Parameters;
use crate::runner::platform::Platform;
use crate::runner::sources::{SOURCES, SourceError, Sources};
use crate::runner::tools::Declared;
use crate::runner::work::{self, Overrides, Runners, runner_place};
use crate::runner::written::Written;
use crate::words;

use super::selection::{Selection, uses_of};
use super::view::View;

/// Every fault of the runners that cards use, and a note for each runner that
/// none uses. A fault of a card that is blocked is a note: open cards speak of
/// what does not exist yet.
pub(crate) fn find(selection: &Selection, view: &View<'_>, context: &Context) -> Vec<Diagnostic> {
    let project = &selection.project;
    let mut findings = Vec::new();
    let read = |name: &str| {
        let path = project.runners_dir.join(name);
        let shown = path.strip_prefix(&project.root).unwrap_or(&path);
        let bytes = std::fs::read(&path).unwrap_or_default();
        Source::new(shown.to_owned(), bytes)
    };
    let listed = read(SOURCES);
    let text = String::from_utf8_lossy(listed.bytes());
    let sources = match Sources::new(&project.root, &text, &context.user, &[], &context.here) {
        Ok(sources) => Some(sources),
        Err(error) => {
            let line = match &error {
                SourceError::List(error) => error.location().map_or(1, |at| at.line()),
                _ => 1,
            };
            let help = "write `NAME: {path: DIR}` or `NAME: {git: URL, commit: 40 digits}`";
            findings.push(
                Diagnostic::error("sources-invalid", without_place(&error.to_string()))
                    .at(listed.line_place(line as u32, ""))
                    .help(help),
            );
            None
        }
    };
    let locked = read(TOOL_LOCK);
    let lock = match ToolLock::parse(&String::from_utf8_lossy(locked.bytes())) {
        Ok(lock) => Some(lock),
        Err(error) => {
            let line = error.location().map_or(1, |at| at.line());
            let text = error.to_string();
            let why = without_place(&text);
            findings.push(
                Diagnostic::error(
                    "lock-invalid",
                    format!("the lock of tools can't be read: {why}"),
                )
                .at(locked.line_place(line as u32, ""))
                .help("make it again with `mikado lock`"),
            );
            None
        }
    };
    let overrides = Overrides {
        project: project.config.with.clone(),
        ..Overrides::default()
    };
    let mut used: BTreeSet<String> = BTreeSet::new();
    let mut runners = Runners::new(&project.root, &project.runners_dir);
    for card in selection.deck.cards() {
        if let Some(Runner::Named(name)) = &card.front.runner {
            used.insert(name.text.clone());
        }
        let Some(work) = view.work_of(&card.stem) else {
            continue;
        };
        let is_build = |stem: &Stem| view.kind_of(stem).is_none_or(|kind| kind == Kind::Build);
        findings.extend(uses_of(card, &selection.chain, is_build).err());
        let mut found = Vec::new();
        match work::parameters(card, work, &overrides) {
            Ok(parameters) => {
                let checker = Checker {
                    card,
                    definition: &work.definition,
                    parameters: &parameters,
                    written: Written::read(&project.root, &runners, card, work),
                };
                checker.shapes(&mut found);
                if work.kind == Kind::Build {
                    checker.openings(&mut found);
                }
                if let Some(sources) = &sources {
                    checker.sources(sources, &mut found);
                }
                if let Some(lock) = &lock {
                    checker.tools(lock, work.runner.as_deref(), &mut found);
                }
            }
            Err(finding) => found.push(finding),
        }
        if selection.chain.state(&card.stem) == State::Blocked {
            found
                .iter_mut()
                .for_each(|finding| finding.severity = Severity::Note);
        }
        findings.extend(found);
    }
    for name in runners.names() {
        match runners.definition(&name) {
            Some(Err(finding)) if !used.contains(&name) => findings.push(finding),
            _ if !used.contains(&name) => {
                let message = format!("no card uses the runner `{name}`");
                findings.push(
                    Diagnostic::note("unused-runner", message)
                        .at(read(&format!("{name}.yaml")).line_place(1, ""))
                        .help(format!(
                            "write `runner: {name}` in a card, or delete the file"
                        )),
                );
            }
            _ => {}
        }
    }
    findings
}

/// A decoder's message without the place, which is shown by itself.
fn without_place(message: &str) -> &str {
    message.split(" at line ").next().unwrap_or(message)
}

/// Looks at one card's runner.
struct Checker<'a> {
    card: &'a Card,
    definition: &'a Definition,
    parameters: &'a Parameters,
    written: Option<Written>,
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
    fn shapes(&self, found: &mut Vec<Diagnostic>) {
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
    fn openings(&self, found: &mut Vec<Diagnostic>) {
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

    fn sources(&self, sources: &Sources, found: &mut Vec<Diagnostic>) {
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

    fn tools(&self, lock: &ToolLock, runner: Option<&str>, found: &mut Vec<Diagnostic>) {
        let Some(platform) = Platform::current() else {
            return;
        };
        let runner = runner.unwrap_or(self.card.stem.as_str());
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
}
