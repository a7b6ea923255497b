//! `mikado list`.

use std::io::{self, Write};

use clap::Args;

use crate::answer::{CardList, CardObject};
use crate::card::{Card, PlanState};
use crate::chain::State;
use crate::cli::{Context, Format};
use crate::columns::{Screen, columns, padded};
use crate::diagnostic::Diagnostic;
use crate::error::{Error, Exit};
use crate::runner::definition::Kind;
use crate::words::count;

use super::selection::{Selection, SelectionArgs};
use super::view::View;
use super::{answered, done};

/// List the cards with their states
///
/// Shows open cards; `--all` shows every card and page.
#[derive(Clone, Debug, Default, Args)]
pub struct ListArgs {
    /// Every card and page
    #[arg(long)]
    pub all: bool,
    /// Cards that can be worked on now
    #[arg(long)]
    pub ready: bool,
    /// Cards that lack something
    #[arg(long)]
    pub blocked: bool,
    /// Open cards, ready or blocked
    #[arg(long)]
    pub open: bool,
    /// Cards that are done
    #[arg(long)]
    pub complete: bool,
    /// The chain of this card alone
    #[arg(long, value_name = "CARD")]
    pub goal: Option<String>,
    /// How to print the list
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub format: Format,
}

/// Carries `list` out.
///
/// # Errors
///
/// Where the cards can't be read, or the output can't be written.
pub fn run(args: ListArgs, context: &Context) -> Result<Exit, Error> {
    let selection = Selection::read(&SelectionArgs::default(), context)?;
    let view = View::new(&selection);
    let chain = selection.within(args.goal.as_deref())?;
    let chosen: Vec<&Card> = selection
        .deck
        .cards()
        .iter()
        .filter(|card| {
            chain
                .as_ref()
                .is_none_or(|chain| chain.contains(&card.stem))
        })
        .filter(|card| args.shows(card, selection.chain.state(&card.stem)))
        .collect();
    let findings = view.findings();
    if args.format == Format::Json {
        let cards: Vec<CardObject> = chosen.iter().map(|card| view.card_object(card)).collect();
        return answered::give(&CardList::new(cards, &findings), &view, context);
    }
    let out = &mut context.out(args.format);
    let said = match chosen.is_empty() {
        true => writeln!(out, "{}", args.none()),
        false => Ok(()),
    };
    done(said.and_then(|()| table(out, &view, &chosen, &findings, context.screen())))
}

impl ListArgs {
    /// What is said where nothing is to be shown.
    fn none(&self) -> &'static str {
        match (self.ready, self.blocked, self.open || self.complete) {
            (true, false, false) => "no card is ready; `mikado blocked` says what holds them up",
            (false, true, false) => "no card is blocked",
            (_, _, true) | (true, true, _) => "no such card; `mikado list --all` shows every one",
            _ => "no open cards; `mikado list --all` shows every card and page",
        }
    }

    fn shows(&self, card: &Card, state: State) -> bool {
        let is_open = state.is_open();
        let any = self.ready || self.blocked || self.open || self.complete;
        let chosen = (self.ready && state == State::Ready)
            || (self.blocked && state == State::Blocked)
            || (self.open && is_open)
            || (self.complete && state == State::Complete && !card.page);
        match (any, self.all) {
            (true, _) => chosen,
            (false, true) => true,
            (false, false) => is_open || state == State::Unreadable,
        }
    }
}

/// One line a card: state, kind, stem, title, and what is odd about it.
fn table(
    out: &mut dyn Write,
    view: &View<'_>,
    cards: &[&Card],
    findings: &[Diagnostic],
    screen: Screen,
) -> io::Result<()> {
    let widths = cards.iter().map(|card| columns(card.stem.as_str()));
    let most = screen
        .columns
        .map_or(44, |columns| (columns * 2 / 5).min(44));
    let width = widths.max().unwrap_or(0).min(most);
    for card in cards {
        let kind = match card.page {
            true => "",
            false => view.kind_of(&card.stem).map_or("", Kind::word),
        };
        let word = format!("{:<10}", view.word(card));
        let word = screen.paint.with(view.style(&card.stem), &word);
        let stem = padded(card.stem.as_str(), width);
        let remark = remark(view, card);
        // What is odd is more than a title: it stays whole, on a further line if need be.
        let used = 21 + columns(&stem) + columns(&remark);
        let title = screen.rest(&card.title(), used);
        let line = format!("{word} {kind:<7} {stem}  {title}{remark}");
        writeln!(out, "{}", line.trim_end())?;
    }
    for card in cards {
        let path = card.path().display();
        if card.plan == PlanState::Unreadable {
            let named = format!("`{path}` ");
            for finding in &card.findings {
                let message = finding.message.strip_prefix(&named);
                writeln!(
                    out,
                    "unreadable: {path}: {}",
                    message.unwrap_or(&finding.message)
                )?;
            }
        } else if view.state(&card.stem) == State::Unreadable {
            writeln!(out, "unreadable: {path}: several files have this stem")?;
        }
    }
    let unsaid = |card: &&&Card| card.status().is_none() && card.front.runner.is_some();
    for card in cards.iter().filter(unsaid) {
        writeln!(out, "{}", no_status(card))?;
    }
    let (errors, all) = View::fault_counts(findings);
    if all > 0 {
        let them = if all == 1 { "it" } else { "them" };
        writeln!(
            out,
            "{} ({}); `mikado check` shows {them}",
            count(all, "finding"),
            count(errors, "error")
        )?;
    }
    Ok(())
}

/// What is odd about a card, in brackets after its title.
fn remark(view: &View<'_>, card: &Card) -> String {
    if let Some(stuck) = view.stuck(&card.stem) {
        return format!("  ({})", stuck.message);
    }
    let failed = view
        .last_run(&card.stem)
        .and_then(|run| run.failed.as_ref());
    match (view.state(&card.stem), failed) {
        (State::Complete, Some(_)) => "  (last run failed)".to_owned(),
        _ => String::new(),
    }
}

/// Says that a card with a runner has no status, and what to do about it.
pub(crate) fn no_status(card: &Card) -> String {
    let stem = &card.stem;
    format!(
        "note: {stem} has a runner and no status, and so counts as complete; `mikado reopen {stem}` opens it"
    )
}
