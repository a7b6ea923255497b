//! `mikado complete` and `mikado reopen`.

use clap::Args;

use crate::card::{Card, Deck, PlanState, Stem, edit};
use crate::chain::{Chain, State};
use crate::cli::Context;
use crate::engine::store_error;
use crate::error::{Error, Exit};
use crate::runner::definition::Kind;
use crate::store::{CardRun, Local};
use crate::words::list;

use super::say;
use super::selection::{Selection, SelectionArgs};
use super::view::View;

/// Mark a card complete
///
/// Refuses a card with open prerequisites, and one whose runner failed last or
/// never passed.
#[derive(Clone, Debug, Args)]
pub struct CompleteArgs {
    /// Which card: an exact stem or alias
    #[arg(value_name = "CARD")]
    pub card: String,
    /// Mark it all the same
    #[arg(long, requires = "reason")]
    pub force: bool,
    /// Why it is marked all the same; kept in this work tree's records
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
}

/// Open a card again
#[derive(Clone, Debug, Args)]
pub struct ReopenArgs {
    /// Which card: an exact stem or alias
    #[arg(value_name = "CARD")]
    pub card: String,
}

/// Carries `complete` out.
///
/// # Errors
///
/// Where the card may not be marked, or can't be written.
pub fn complete(args: CompleteArgs, context: &Context) -> Result<Exit, Error> {
    let selection = Selection::read(&SelectionArgs::default(), context)?;
    let stem = selection.find_exactly(&args.card)?;
    let card = readable(&selection, &stem)?;
    if card.plan == PlanState::Complete {
        return say(&format!("{stem} is complete already"));
    }
    if !args.force {
        may_be_complete(&selection, &stem)?;
    }
    edit::complete(&selection.project.root, card, selection.completion())?;
    if let Some(reason) = &args.reason {
        remember(&selection, &stem, reason)?;
    }
    let freed = turned(&selection, &stem, State::Blocked, State::Ready)?;
    match freed.as_slice() {
        [] => say(&format!("{stem} is complete")),
        freed => say(&format!("{stem} is complete; now ready: {}", list(freed))),
    }
}

/// Carries `reopen` out.
///
/// # Errors
///
/// Where the card can't be written.
pub fn reopen(args: ReopenArgs, context: &Context) -> Result<Exit, Error> {
    let selection = Selection::read(&SelectionArgs::default(), context)?;
    let stem = selection.find_exactly(&args.card)?;
    let card = readable(&selection, &stem)?;
    // Where completion takes the status away, a card can have become a page.
    if card.page && card.front.keys.is_empty() {
        return Err(Error::usage(
            format!("`{stem}` is a page, not a card"),
            "give it a block between `---` lines with `status: active` to make it a card",
        ));
    }
    if card.plan == PlanState::Open {
        return say(&format!("{stem} is open already"));
    }
    edit::reopen(&selection.project.root, card)?;
    let blocked = turned(&selection, &stem, State::Ready, State::Blocked)?;
    match blocked.as_slice() {
        [] => say(&format!("{stem} is open")),
        blocked => say(&format!("{stem} is open; now blocked: {}", list(blocked))),
    }
}

/// Refuses what has not been shown to be done.
fn may_be_complete(selection: &Selection, stem: &Stem) -> Result<(), Error> {
    let override_it =
        format!("`mikado complete {stem} --force --reason TEXT` marks it all the same");
    let chain = &selection.chain;
    if chain.state(stem) == State::Blocked {
        let mut lacks: Vec<String> = chain.blocked_by(stem).iter().map(Stem::to_string).collect();
        lacks.extend(chain.unknown(stem).iter().cloned());
        let message = format!(
            "`{stem}` requires {}, which {} not complete",
            list(&lacks),
            if lacks.len() == 1 { "is" } else { "are" }
        );
        return Err(Error::usage(message, override_it));
    }
    let view = View::new(selection);
    let kind = view.kind_of(stem);
    if !matches!(kind, Some(Kind::Build | Kind::Command | Kind::Probe)) {
        return Ok(());
    }
    match view.last_run(stem) {
        Some(run) if run.failed.is_some() => Err(Error::usage(
            format!("the runner of `{stem}` failed when it was run last"),
            format!("mend it and run it: mikado run {stem}; {override_it}"),
        )),
        None => Err(Error::usage(
            format!("the runner of `{stem}` has never passed in this work tree"),
            format!("run it: mikado run {stem}; {override_it}"),
        )),
        Some(_) => Ok(()),
    }
}

fn readable<'a>(selection: &'a Selection, stem: &Stem) -> Result<&'a Card, Error> {
    let card = selection.deck.card(stem);
    let card = card.ok_or_else(|| Error::Bug(format!("no card `{stem}`")))?;
    match card.plan {
        PlanState::Unreadable => Err(Error::Findings(card.findings.clone())),
        _ => Ok(card),
    }
}

fn remember(selection: &Selection, stem: &Stem, reason: &str) -> Result<(), Error> {
    let local = Local::open(&selection.project.root.join(".mikado"));
    let local = local.map_err(|e| store_error(&e))?;
    let run = CardRun {
        stem: stem.to_string(),
        started_ms: jiff::Timestamp::now()
            .as_millisecond()
            .try_into()
            .unwrap_or(0),
        hit: true,
        marked_because: Some(reason.to_owned()),
        ..CardRun::default()
    };
    local.add(&run).map_err(|e| store_error(&e))
}

/// The dependents of `stem` that were `from` before the write and are `to` now.
fn turned(selection: &Selection, stem: &Stem, from: State, to: State) -> Result<Vec<Stem>, Error> {
    let project = &selection.project;
    let deck = Deck::read(&project.root, &project.card_dirs)?;
    let chain = Chain::new(&deck);
    let dependents = selection.chain.dependents(stem).into_iter();
    Ok(dependents
        .filter(|other| selection.chain.state(other) == from && chain.state(other) == to)
        .collect())
}
