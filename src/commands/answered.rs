//! Answers to programs, kept with all that they were read from: the next question
//! of the same words is a look at the file system.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io::{self, Write as _};

use serde::Serialize;

use crate::card::Runner;
use crate::cli::{Context, Format};
use crate::error::{Error, Exit};
use crate::index::{Answer, Index, Kind, Request, Verdict, Watched};
use crate::project::CONFIG;
use crate::runner::lock::TOOL_LOCK;
use crate::runner::sources::SOURCES;
use crate::timings;

use super::selection::Selection;
use super::view::View;
use super::{done, write_json};

/// The commands whose answers are kept.
const COMMANDS: [&str; 4] = ["list", "ready", "blocked", "next"];

/// Of fewer cards than this an answer is not kept: they are read as fast.
const FEW: usize = 100;

/// Gives the answer of an earlier question of the same words, where nothing that it
/// was read from has changed; whether it was given.
pub(crate) fn give_again(arguments: &[OsString]) -> bool {
    let asks = |word: &OsString| COMMANDS.iter().any(|command| word == command);
    if !arguments.iter().any(asks) {
        return false;
    }
    let phase = timings::phase("read index");
    let index = Request::of(arguments).and_then(|request| Index::open_answer(&request));
    drop(phase);
    let Some(index) = index.filter(|index| index.verdict() == Verdict::Same) else {
        return false;
    };
    // A closed pipe ends the answer, as it does a new one.
    io::stdout().lock().write_all(index.answer()).is_ok()
}

/// Gives an answer to a program, and keeps it for the next question of the same
/// words.
///
/// # Errors
///
/// Where it can't be written out.
pub(super) fn give(
    answer: &impl Serialize,
    view: &View<'_>,
    context: &Context,
) -> Result<Exit, Error> {
    let mut bytes = Vec::new();
    let written = write_json(&mut bytes, answer);
    let written = written.and_then(|()| context.out(Format::Json).write_all(&bytes));
    let exit = done(written)?;
    // That it is not kept costs time alone.
    let _kept = keep(&bytes, view, context);
    Ok(exit)
}

fn keep(bytes: &[u8], view: &View<'_>, context: &Context) -> Option<bool> {
    let selection = view.selection();
    let local = selection.project.root.join(".mikado");
    // Who only asks leaves no folder behind.
    if selection.deck.cards().len() < FEW || !local.is_dir() {
        return None;
    }
    let _phase = timings::phase("keep answer");
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let watched = gone_by(selection, context);
    view.watch(&watched);
    let answer = Answer {
        request: &Request::of(&arguments)?,
        began_ns: selection.began_ns,
        watched,
        bytes,
    };
    Some(answer.write(&local))
}

/// What the reading of cards, runners and settings went by.
pub(super) fn gone_by(selection: &Selection, context: &Context) -> Watched {
    let watched = Watched::default();
    let project = &selection.project;
    let here = context
        .here
        .canonicalize()
        .unwrap_or_else(|_| context.here.clone());
    for folder in here.ancestors().chain(project.root.ancestors()) {
        watched.add(folder.join(".git"), Kind::Presence);
        watched.add(folder.join("cards"), Kind::Presence);
        watched.add(folder.join(CONFIG), Kind::Presence);
    }
    watched.add(project.root.join(CONFIG), Kind::Target);
    for folder in &project.config.cards {
        watched.add(project.root.join(folder), Kind::Target);
    }
    watched.add(project.root.join("cards"), Kind::Target);
    for folder in &context.global.cards {
        watched.add(here.join(folder), Kind::Target);
    }
    for folder in &project.card_dirs {
        watched.add_above(folder);
    }
    for folder in selection.deck.folders() {
        watched.add_walked(folder);
    }
    for card in selection.deck.cards() {
        watched.add(project.root.join(card.path()), Kind::Target);
    }
    let runners = &project.runners_dir;
    watched.add(runners, Kind::Target);
    for name in [TOOL_LOCK, SOURCES] {
        watched.add(runners.join(name), Kind::Target);
    }
    // Those that are there, and those that cards name, which may lie deeper.
    let named = selection.deck.cards().iter();
    let named = named.filter_map(|card| match &card.front.runner {
        Some(Runner::Named(name)) => Some(name.text.clone()),
        _ => None,
    });
    let names: BTreeSet<String> = named.chain(selection.runner_names()).collect();
    for name in names {
        watched.add(runners.join(format!("{name}.yaml")), Kind::Target);
        watched.add(runners.join(name), Kind::Presence);
    }
    watched
}
