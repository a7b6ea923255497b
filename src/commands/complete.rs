//! `mikado complete` and `mikado reopen`.

use std::collections::BTreeSet;

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

/// Mark cards complete
///
/// Refuses a card with open prerequisites, and one whose runner failed last or
/// never passed. Of several cards all are marked, or none.
#[derive(Clone, Debug, Args)]
pub struct CompleteArgs {
    /// Which cards: exact stems or aliases
    #[arg(id = "CARD", required = true)]
    pub cards: Vec<String>,
    /// Mark them all the same
    #[arg(long, requires = "reason")]
    pub force: bool,
    /// Why they are marked all the same; kept in this work tree's records
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
}

/// Open cards again
#[derive(Clone, Debug, Args)]
pub struct ReopenArgs {
    /// Which cards: exact stems or aliases
    #[arg(id = "CARD", required = true)]
    pub cards: Vec<String>,
}

/// Carries `complete` out.
///
/// # Errors
///
/// Where a card may not be marked, or can't be written.
pub fn complete(args: CompleteArgs, context: &Context) -> Result<Exit, Error> {
    let selection = Selection::read(&SelectionArgs::default(), context)?;
    let cards = named(&selection, &args.cards)?;
    let is_open = |card: &&&Card| card.plan != PlanState::Complete;
    let open: Vec<&Card> = cards.iter().filter(is_open).copied().collect();
    if !args.force {
        let together: Vec<&Stem> = open.iter().map(|card| &card.stem).collect();
        let view = View::new(&selection);
        for card in &open {
            may_be_complete(&view, &selection, &card.stem, &together)?;
        }
    }
    let completion = selection.completion();
    let unchangeable = |card: &&&Card| edit::completed(card, completion).is_none();
    if let Some(card) = open.iter().find(unchangeable) {
        return Err(edit::unchangeable(card));
    }
    for card in &open {
        edit::complete(&selection.project.root, card, completion)?;
        if let Some(reason) = &args.reason {
            remember(&selection, &card.stem, reason)?;
        }
    }
    let freed = turned(&selection, &open, State::Blocked, State::Ready)?;
    told(&cards, &open, "complete", ("now ready", &freed))
}

/// Carries `reopen` out.
///
/// # Errors
///
/// Where a card can't be written.
pub fn reopen(args: ReopenArgs, context: &Context) -> Result<Exit, Error> {
    let selection = Selection::read(&SelectionArgs::default(), context)?;
    let cards = named(&selection, &args.cards)?;
    // Where completion takes the status away, a card can have become a page.
    let is_page = |card: &&&Card| card.page && card.front.keys.is_empty();
    if let Some(card) = cards.iter().find(is_page) {
        return Err(Error::usage(
            format!("`{}` is a page, not a card", card.stem),
            "give it a block between `---` lines with `status: active` to make it a card",
        ));
    }
    let is_complete = |card: &&&Card| card.plan != PlanState::Open;
    let complete: Vec<&Card> = cards.iter().filter(is_complete).copied().collect();
    let unchangeable = |card: &&&Card| edit::reopened(card).is_none();
    if let Some(card) = complete.iter().find(unchangeable) {
        return Err(edit::unchangeable(card));
    }
    for card in &complete {
        edit::reopen(&selection.project.root, card)?;
    }
    let blocked = turned(&selection, &complete, State::Ready, State::Blocked)?;
    told(&cards, &complete, "open", ("now blocked", &blocked))
}

/// The cards that are named, each once.
fn named<'a>(selection: &'a Selection, names: &[String]) -> Result<Vec<&'a Card>, Error> {
    let mut cards: Vec<&Card> = Vec::new();
    for name in names {
        let card = readable(selection, &selection.find_exactly(name)?)?;
        if !cards.iter().any(|known| known.stem == card.stem) {
            cards.push(card);
        }
    }
    Ok(cards)
}

/// Tells what became of `cards`, of which `changed` were not so before.
fn told(
    cards: &[&Card],
    changed: &[&Card],
    word: &str,
    (turned, others): (&str, &[Stem]),
) -> Result<Exit, Error> {
    let mut lines: Vec<String> = Vec::new();
    for card in cards {
        let is_new = changed.iter().any(|other| other.stem == card.stem);
        let already = if is_new { "" } else { " already" };
        lines.push(format!("{} is {word}{already}", card.stem));
    }
    match (others, cards.len()) {
        ([], _) => {}
        (others, 1) => lines[0].push_str(&format!("; {turned}: {}", list(others))),
        (others, _) => lines.push(format!("{turned}: {}", list(others))),
    }
    say(&lines.join("\n"))
}

/// Refuses what has not been shown to be done, where the cards `together` are
/// marked in one go.
fn may_be_complete(
    view: &View<'_>,
    selection: &Selection,
    stem: &Stem,
    together: &[&Stem],
) -> Result<(), Error> {
    let override_it =
        format!("`mikado complete {stem} --force --reason TEXT` marks it all the same");
    let chain = &selection.chain;
    if chain.state(stem) == State::Blocked {
        let blocking = chain.blocked_by(stem);
        // What requires itself is never done.
        let open = blocking
            .iter()
            .filter(|other| *other == stem || !together.contains(other));
        let mut lacks: Vec<String> = open.map(Stem::to_string).collect();
        lacks.extend(chain.unknown(stem).iter().cloned());
        if !lacks.is_empty() {
            let message = format!(
                "`{stem}` requires {}, which {} not complete",
                list(&lacks),
                if lacks.len() == 1 { "is" } else { "are" }
            );
            return Err(Error::usage(message, override_it));
        }
    }
    if matches!(view.kind_of(stem), Some(Kind::Hand | Kind::Page)) {
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

/// The dependents of `cards` that were `from` before the write and are `to` now.
fn turned(
    selection: &Selection,
    cards: &[&Card],
    from: State,
    to: State,
) -> Result<Vec<Stem>, Error> {
    let project = &selection.project;
    let deck = Deck::read(&project.root, &project.card_dirs)?;
    let chain = Chain::new(&deck);
    let dependents = cards
        .iter()
        .flat_map(|card| selection.chain.dependents(&card.stem));
    let turned: BTreeSet<Stem> = dependents
        .filter(|other| selection.chain.state(other) == from && chain.state(other) == to)
        .collect();
    Ok(turned.into_iter().collect())
}
