//! `mikado next`: one card to work on, and everything that is needed to start.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::io::{self, Write};

use clap::Args;

use crate::answer::{Commands, Next, NextCard, SCHEMA_VERSION};
use crate::card::Stem;
use crate::chain::State;
use crate::cli::{Context, Format};
use crate::error::{Error, Exit};
use crate::runner::definition::Kind;
use crate::words::{count, shell_word};

use super::selection::{Selection, SelectionArgs};
use super::view::View;
use super::{answered, done};

/// Choose one card to work on next
///
/// The leaf on the longest way to a goal; then the one that frees most cards;
/// then the first by stem. What only a person may do is left out.
#[derive(Clone, Debug, Default, Args)]
pub struct NextArgs {
    /// The chain of this card alone
    #[arg(value_name = "CARD")]
    pub goal: Option<String>,
    /// Also cards that only a person may do
    #[arg(long)]
    pub human: bool,
    /// How to print the answer
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub format: Format,
}

/// Carries `next` out.
///
/// # Errors
///
/// Where the cards can't be read, or the output can't be written.
pub fn next(args: NextArgs, context: &Context) -> Result<Exit, Error> {
    let selection = Selection::read(&SelectionArgs::default(), context)?;
    let view = View::new(&selection);
    let chain = &selection.chain;
    let within = selection.within(args.goal.as_deref())?;
    let heights = heights(&selection);
    let is_human = |stem: &Stem| view.work_of(stem).is_some_and(|work| work.human);
    let mut leaves: Vec<&Stem> = selection
        .deck
        .stems()
        .filter(|stem| chain.state(stem) == State::Ready)
        .filter(|stem| within.as_ref().is_none_or(|within| within.contains(*stem)))
        .filter(|stem| args.human || !is_human(stem))
        .collect();
    // Counting what a card frees is dear where there are thousands.
    let height = |stem: &Stem| heights.get(stem).copied().unwrap_or(0);
    let highest = leaves.iter().map(|stem| height(stem)).max();
    leaves.retain(|stem| Some(height(stem)) == highest);
    leaves.sort_by_cached_key(|stem| (Reverse(view.frees(stem).len()), *stem));
    let chosen = leaves
        .first()
        .and_then(|stem| card(stem, height(stem), &view, &selection));
    let is_any_open = selection
        .deck
        .stems()
        .filter(|stem| within.as_ref().is_none_or(|within| within.contains(*stem)))
        .any(|stem| chain.state(stem) != State::Complete);
    if args.format == Format::Json {
        let answer = match chosen {
            Some(card) => Next::Card(Box::new(card)),
            None => Next::None {
                schema_version: SCHEMA_VERSION,
                next: None,
            },
        };
        return answered::give(&answer, &view, context);
    }
    let out = &mut context.out(args.format);
    let written = match chosen {
        Some(card) => {
            let can_be_run = view.can_be_run(&card.stem);
            text(out, &card, can_be_run)
        }
        None if !is_any_open => writeln!(out, "nothing is open"),
        None => writeln!(
            out,
            "no card can be worked on now; `mikado blocked` says why"
        ),
    };
    done(written)
}

fn card(stem: &Stem, height: usize, view: &View<'_>, selection: &Selection) -> Option<NextCard> {
    let card = selection.deck.card(stem)?;
    let body = view.body(stem);
    let frees = view.frees(stem);
    let why = match height {
        0 => "it is a goal itself, and ready".to_owned(),
        height => format!(
            "it lies on the longest way to a goal ({}), and {} for it",
            count(height, "step"),
            match frees.len() {
                1 => "1 card waits".to_owned(),
                waiting => format!("{waiting} cards wait"),
            }
        ),
    };
    let kind = view.kind_of(stem);
    let runs = matches!(kind, Some(Kind::Build | Kind::Command | Kind::Probe));
    let word = shell_word(stem.as_str());
    Some(NextCard {
        schema_version: SCHEMA_VERSION,
        stem: stem.clone(),
        title: card.title(),
        path: card.path().to_owned(),
        why,
        kind,
        state: view.state(stem),
        waits: view.waits(stem),
        stuck: view.stuck(stem),
        steps: body.steps.into_iter().map(|item| item.text).collect(),
        checks: body.checks.into_iter().map(|item| item.text).collect(),
        frees,
        commands: Commands {
            show: format!("mikado show {word}"),
            run: runs.then(|| format!("mikado run {word}")),
            log: runs.then(|| format!("mikado log {word}")),
            complete: format!("mikado complete {word}"),
        },
        last_run: view.last_run_object(stem),
    })
}

fn text(out: &mut dyn Write, next: &NextCard, can_be_run: bool) -> io::Result<()> {
    writeln!(out, "{}  {}", next.stem, next.title)?;
    writeln!(out, "  {}", next.why)?;
    if let Some(stuck) = &next.stuck {
        writeln!(out, "  it is stuck: {}", stuck.message)?;
    }
    for (number, step) in next.steps.iter().enumerate() {
        writeln!(out, "  {}. {step}", number + 1)?;
    }
    let commands = &next.commands;
    writeln!(out, "  read it: {}", commands.show)?;
    writeln!(
        out,
        "  then: {}",
        commands.run.as_ref().unwrap_or(&commands.complete)
    )?;
    match can_be_run {
        true => writeln!(out, "  or let mikado do it: {}", runner_for(&next.stem)),
        false => Ok(()),
    }
}

/// The command that gives a card that is done by hand a runner.
pub(crate) fn runner_for(stem: &Stem) -> String {
    let word = shell_word(stem.as_str());
    format!("mikado runner new command --for {word}")
}

/// For each open card the most cards that lie between it and a goal above it.
fn heights(selection: &Selection) -> BTreeMap<Stem, usize> {
    let chain = &selection.chain;
    let open = |stem: &Stem| chain.state(stem).is_open();
    let all = selection
        .deck
        .stems()
        .filter(|stem| open(stem))
        .cloned()
        .collect();
    let mut heights: BTreeMap<Stem, usize> = BTreeMap::new();
    // Dependents come after in the order, so heights are known from the end.
    for stem in chain.order(&all).iter().rev() {
        let above = chain.dependents(stem).into_iter().filter(|stem| open(stem));
        let height = above
            .map(|above| heights.get(&above).map_or(1, |height| height + 1))
            .max();
        heights.insert(stem.clone(), height.unwrap_or(0));
    }
    heights
}
