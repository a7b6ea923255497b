//! What `check` finds in runners, beyond what reading them shows.
//!
//! A fault of a runner is shown in the runner's file, one of what a card gives
//! it in the card. What is found is found without executing anything.

mod checker;
mod one_place;

use std::collections::BTreeSet;
use std::path::Path;

use crate::card::{Runner, Source, Stem};
use crate::chain::State;
use crate::cli::Context;
use crate::diagnostic::{Diagnostic, Severity};
use crate::runner::definition::Kind;
use crate::runner::lock::{TOOL_LOCK, ToolLock};
use crate::runner::sources::{SOURCES, SourceError, Sources};
use crate::runner::work::{self, Overrides, Runners};
use crate::runner::written::Written;
use crate::timings;

use super::selection::{Selection, uses_of};
use super::view::View;
use checker::Checker;
use one_place::User;

/// Every fault of the runners that cards use, and a note for each runner that
/// none uses. A fault of a card that is blocked is a note: open cards speak of
/// what does not exist yet.
pub(crate) fn find(selection: &Selection, view: &View<'_>, context: &Context) -> Vec<Diagnostic> {
    let _phase = timings::phase("find faults").about(selection.deck.cards().len());
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
    let mut users = Vec::new();
    let mut runners = Runners::new(&project.root, &project.runners_dir);
    for card in selection.deck.cards() {
        if let Some(Runner::Named(name)) = &card.front.runner {
            used.insert(name.text.clone());
        }
        let Some(work) = view.work_of(&card.stem) else {
            continue;
        };
        let is_build = |stem: &Stem| view.kind_of(stem).is_none_or(|kind| kind == Kind::Build);
        let roles = match uses_of(card, &selection.chain, is_build) {
            // An entry that names no card was told of, and is no role.
            Ok(_) if !selection.chain.unknown(&card.stem).is_empty() => None,
            Ok(uses) => Some(uses.into_iter().map(|(role, _)| role).collect()),
            Err(finding) => {
                findings.push(finding);
                None
            }
        };
        let mut found = Vec::new();
        match work::parameters(card, work, &overrides) {
            Ok(parameters) => {
                let checker = Checker {
                    card,
                    definition: &work.definition,
                    parameters: &parameters,
                    written: Written::read(&project.root, &runners, card, work),
                    roles: roles.filter(|_| work.kind == Kind::Build),
                };
                checker.shapes(&mut found);
                checker.one_name(&mut found);
                if work.kind == Kind::Build {
                    checker.openings(&mut found);
                }
                if let Some(sources) = &sources {
                    checker.sources(sources, &mut found);
                }
                if let Some(lock) = &lock {
                    checker.tools(lock, work.runner_name(&card.stem), &mut found);
                }
                let written = checker.written;
                users.push(User {
                    card,
                    work,
                    parameters,
                    written,
                });
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
    findings.extend(one_place::find(&users, &selection.chain));
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
    findings.extend(unread(&project.runners_dir, read));
    findings
}

/// A decoder's message without the place, which is shown by itself.
fn without_place(message: &str) -> &str {
    message.split(" at line ").next().unwrap_or(message)
}

/// Warnings of files of the folder of runners that nobody reads.
fn unread(folder: &Path, read: impl Fn(&str) -> Source) -> Vec<Diagnostic> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let names: BTreeSet<String> = entries
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    let mut findings = Vec::new();
    for file in &names {
        let Some(name) = file.strip_suffix(".yml") else {
            continue;
        };
        let yaml = format!("{name}.yaml");
        let (message, help) = match names.contains(&yaml) {
            true => (
                format!("there are two runners `{name}`: only `{yaml}` is read"),
                format!("keep one of them, as `{yaml}`"),
            ),
            false => (
                format!("`{file}` is not read: the file of a runner ends in `.yaml`"),
                format!("rename it to `{yaml}`"),
            ),
        };
        findings.push(
            Diagnostic::warning("runner-file", message)
                .at(read(file).line_place(1, ""))
                .help(help),
        );
    }
    findings
}
