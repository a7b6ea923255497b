//! What `check` finds in runners, beyond what reading them shows.

use std::collections::BTreeSet;

use crate::card::Card;
use crate::chain::State;
use crate::cli::Context;
use crate::diagnostic::{Diagnostic, Place, Severity};
use crate::runner::definition::{Definition, Input};
use crate::runner::lock::{TOOL_LOCK, ToolLock};
use crate::runner::parameters::Parameters;
use crate::runner::platform::Platform;
use crate::runner::sources::{SOURCES, Sources};
use crate::runner::tools::Declared;
use crate::runner::work::{self, Overrides, Runners, runner_place};
use crate::words;

use super::selection::Selection;
use super::view::View;

/// Every fault of the runners that cards use, and a note for each runner that
/// none uses. A fault of a card that is blocked is a note: open cards speak of
/// what does not exist yet.
pub(crate) fn find(selection: &Selection, view: &View<'_>, context: &Context) -> Vec<Diagnostic> {
    let project = &selection.project;
    let mut findings = Vec::new();
    let read =
        |name: &str| std::fs::read_to_string(project.runners_dir.join(name)).unwrap_or_default();
    let sources = match Sources::new(
        &project.root,
        &read(SOURCES),
        &context.user,
        &[],
        &context.here,
    ) {
        Ok(sources) => Some(sources),
        Err(error) => {
            findings.push(Diagnostic::error("sources-invalid", error.to_string()));
            None
        }
    };
    let lock = match ToolLock::parse(&read(TOOL_LOCK)) {
        Ok(lock) => Some(lock),
        Err(error) => {
            let finding = Diagnostic::error(
                "lock-invalid",
                format!("the lock of tools can't be read: {error}"),
            );
            findings.push(finding.help("make it again with `mikado lock`"));
            None
        }
    };
    let overrides = Overrides {
        project: project.config.with.clone(),
        ..Overrides::default()
    };
    let mut used: BTreeSet<String> = BTreeSet::new();
    for card in selection.deck.cards() {
        let Some(work) = view.work_of(&card.stem) else {
            continue;
        };
        used.extend(work.runner.clone());
        let mut found = Vec::new();
        match work::parameters(card, work, &overrides) {
            Ok(parameters) => {
                let checker = Checker {
                    card,
                    definition: &work.definition,
                    parameters: &parameters,
                };
                checker.shapes(&mut found);
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
    let mut runners = Runners::new(&project.root, &project.runners_dir);
    for name in runners.names() {
        match runners.definition(&name) {
            Some(Err(finding)) if !used.contains(&name) => findings.push(finding),
            _ if !used.contains(&name) => {
                let path = runners.path(&name);
                let message = format!("no card uses the runner `{name}`");
                findings.push(Diagnostic::note("unused-runner", message).at(Place {
                    path,
                    line: 1,
                    column: 1,
                    width: 1,
                    text: String::new(),
                    label: String::new(),
                }));
            }
            _ => {}
        }
    }
    findings
}

/// Looks at one card's runner.
struct Checker<'a> {
    card: &'a Card,
    definition: &'a Definition,
    parameters: &'a Parameters,
}

impl Checker<'_> {
    fn error(&self, code: &'static str, message: String) -> Diagnostic {
        Diagnostic::error(code, message).at(runner_place(self.card, None))
    }

    fn inputs(&self) -> impl Iterator<Item = &Input> {
        let own = self.definition.inputs.iter().flatten();
        own.chain(
            self.definition
                .fetch
                .values()
                .flat_map(|fetch| &fetch.inputs),
        )
    }

    /// Names within the runner that name nothing, and inputs of no shape.
    fn shapes(&self, found: &mut Vec<Diagnostic>) {
        let definition = self.definition;
        for (name, fetch) in &definition.fetch {
            for tool in fetch
                .tools
                .iter()
                .filter(|tool| !definition.tools.contains_key(*tool))
            {
                let message = format!(
                    "the fetch `{name}` names the tool `{tool}`, which the runner does not declare"
                );
                found.push(self.error("unknown-tool", message));
            }
            for parameter in fetch
                .with
                .iter()
                .filter(|p| !definition.with.contains_key(*p))
            {
                let message = format!(
                    "the fetch `{name}` names the parameter `{parameter}`, which the runner does not declare"
                );
                found.push(self.error("parameter", message));
            }
        }
        for input in self.inputs() {
            let places = [
                !input.paths.is_empty(),
                input.requires.is_some(),
                input.fetch.is_some(),
            ];
            if places.iter().filter(|given| **given).count() != 1 {
                let message = "an input wants exactly one of `paths`, `requires` and `fetch`";
                found.push(self.error("input", message.into()));
            }
            if let Some(name) = &input.fetch
                && !definition.fetch.contains_key(name)
            {
                let message =
                    format!("an input names the fetch `{name}`, which the runner does not have");
                found.push(self.error("unknown-fetch", message));
            }
            if let Err(fault) = self.parameters.expand_list(&input.paths) {
                found.push(self.error("parameter", fault.to_string()));
            }
        }
        for cache in definition.caches.iter().filter(|cache| *cache == "target") {
            let message = format!(
                "the cache `{cache}` is for tools that key by content, which this one's is not"
            );
            let mut finding = self.error("cache", message);
            finding.severity = Severity::Warning;
            found.push(finding);
        }
    }

    fn sources(&self, sources: &Sources, found: &mut Vec<Diagnostic>) {
        let mut told = BTreeSet::new();
        for name in self.inputs().filter_map(|input| input.source.as_ref()) {
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
                found.push(self.error("unknown-source", message).help(help));
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
                found.push(self.error("tool", error.to_string()));
            }
        }
    }
}
