//! What `check` finds in runners, beyond what reading them shows.
//!
//! A fault of a runner is shown in the runner's file, once for all the cards
//! that use it; one of what a card gives it, in the card. What is found is
//! found without executing anything.

mod checker;
mod files;
mod one_place;

use std::collections::BTreeSet;
use std::path::Path;

use crate::card::{Card, Runner};
use crate::chain::State;
use crate::cli::Context;
use crate::diagnostic::{Diagnostic, Severity};
use crate::runner::lock::{TOOL_LOCK, ToolLock};
use crate::runner::sources::{SOURCES, SourceError, Sources};
use crate::runner::work::{self, Overrides, Runners};

use super::selection::Selection;
use super::view::View;
use checker::Checker;
use files::RunnerFiles;
use one_place::User;

/// Every fault of the runners that cards use, and a note for each runner that
/// none uses. A fault of a card that is blocked is a note: open cards speak of
/// what does not exist yet.
pub(crate) fn find(selection: &Selection, view: &View<'_>, context: &Context) -> Vec<Diagnostic> {
    let project = &selection.project;
    let files = RunnerFiles::new(&project.root, &project.runners_dir);
    let mut findings = Vec::new();
    let list = files.text(SOURCES);
    let sources = match Sources::new(&project.root, &list, &context.user, &[], &context.here) {
        Ok(sources) => Some(sources),
        Err(error) => {
            findings.push(unreadable_sources(&error, &files));
            None
        }
    };
    let lock = match ToolLock::parse(&files.text(TOOL_LOCK)) {
        Ok(lock) => Some(lock),
        Err(error) => {
            let line = error.location().map_or(1, |place| place.line() as u32);
            let message = format!("the lock of tools can't be read: {error}");
            let finding =
                Diagnostic::error("lock-invalid", message).help("make it again with `mikado lock`");
            findings.push(files.at_line(finding, TOOL_LOCK, line));
            None
        }
    };
    let overrides = Overrides {
        project: project.config.with.clone(),
        ..Overrides::default()
    };
    let mut users = Vec::new();
    for card in selection.deck.cards() {
        let Some(work) = view.work_of(&card.stem) else {
            continue;
        };
        let mut found = Vec::new();
        match work::parameters(card, work, &overrides) {
            Ok(parameters) => {
                let checker = Checker {
                    card,
                    work,
                    parameters: &parameters,
                    files: &files,
                };
                checker.shapes(&mut found);
                if let Some(sources) = &sources {
                    checker.sources(sources, &mut found);
                }
                if let Some(lock) = &lock {
                    checker.tools(lock, &mut found);
                }
                users.push(User {
                    card,
                    work,
                    parameters,
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
    findings.extend(one_place::find(&users, &selection.chain, &files));
    let used = selection.deck.cards().iter().filter_map(named_runner);
    findings.extend(of_files(
        &used.collect(),
        &files,
        project.runners_dir.as_path(),
    ));
    let mut runners = Runners::new(&project.root, &project.runners_dir);
    let unread = runners.names().into_iter().filter_map(|name| {
        let is_used = selection
            .deck
            .cards()
            .iter()
            .any(|card| named_runner(card) == Some(&name));
        let read = runners.definition(&name)?;
        read.err().filter(|_| !is_used)
    });
    findings.extend(unread);
    findings
}

fn named_runner(card: &Card) -> Option<&String> {
    match &card.front.runner {
        Some(Runner::Named(name)) => Some(&name.text),
        _ => None,
    }
}

fn unreadable_sources(error: &SourceError, files: &RunnerFiles) -> Diagnostic {
    let finding = Diagnostic::error("sources-invalid", error.to_string());
    match error {
        SourceError::List(yaml) => {
            let line = yaml.location().map_or(1, |place| place.line() as u32);
            let help = "write `NAME: { path: FOLDER }` or `NAME: { git: URL, commit: COMMIT }`";
            files.at_line(finding.help(help), SOURCES, line)
        }
        _ => finding.help("mend the variable, or take it out of the environment"),
    }
}

/// Notes on files of the folder of runners that nothing uses, and warnings of
/// those that can't be used.
fn of_files(used: &BTreeSet<&String>, files: &RunnerFiles, folder: &Path) -> Vec<Diagnostic> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    names.sort();
    let mut findings = Vec::new();
    for file in &names {
        if let Some(name) = file.strip_suffix(".yml") {
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
            let finding = Diagnostic::warning("runner-file", message).help(help);
            findings.push(files.at_line(finding, file, 1));
        }
        let Some(name) = file.strip_suffix(".yaml") else {
            continue;
        };
        if name.contains('.') || file == SOURCES || used.contains(&name.to_owned()) {
            continue;
        }
        let message = format!("no card uses the runner `{name}`");
        let help = format!("write `runner: {name}` into a card, or delete it");
        let finding = Diagnostic::note("unused-runner", message).help(help);
        findings.push(files.at_line(finding, file, 1));
    }
    findings
}
