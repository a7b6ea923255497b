//! `mikado ready` and `mikado blocked`.

use std::io::{self, Write};

use clap::Args;

use crate::answer::{BlockedCard, Blockers, Hold, Leaf, SCHEMA_VERSION};
use crate::card::Stem;
use crate::chain::State;
use crate::cli::{Context, Format};
use crate::columns::{Screen, columns};
use crate::error::{Error, Exit};
use crate::words::{series, shell_word};

use super::list::ListArgs;
use super::selection::{Selection, SelectionArgs};
use super::view::View;
use super::{answered, done};

/// List the cards that can be worked on now
#[derive(Clone, Debug, Default, Args)]
pub struct ReadyArgs {
    /// The chain of this card alone
    #[arg(value_name = "CARD")]
    pub goal: Option<String>,
    /// How to print the list
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub format: Format,
}

/// Say what holds the open cards up
///
/// The leaves first: stuck, waiting, to be done by hand; then each blocked card
/// with the leaves below it.
#[derive(Clone, Debug, Default, Args)]
pub struct BlockedArgs {
    /// What holds this card up
    #[arg(value_name = "CARD")]
    pub card: Option<String>,
    /// How to print the answer
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub format: Format,
}

/// Carries `ready` out.
///
/// # Errors
///
/// Where the cards can't be read, or the output can't be written.
pub fn ready(args: ReadyArgs, context: &Context) -> Result<Exit, Error> {
    let list = ListArgs {
        ready: true,
        goal: args.goal,
        format: args.format,
        ..ListArgs::default()
    };
    super::list::run(list, context)
}

/// Carries `blocked` out.
///
/// # Errors
///
/// Where the cards can't be read, or the output can't be written.
pub fn blocked(args: BlockedArgs, context: &Context) -> Result<Exit, Error> {
    let selection = Selection::read(&SelectionArgs::default(), context)?;
    let view = View::new(&selection);
    let asked = match &args.card {
        Some(name) => Some(selection.find(name)?),
        None => None,
    };
    let chain = &selection.chain;
    let cards: Vec<Stem> = match &asked {
        Some(stem) => vec![stem.clone()],
        None => selection
            .deck
            .stems()
            .filter(|stem| chain.state(stem) == State::Blocked)
            .cloned()
            .collect(),
    };
    let mut leaves: Vec<Stem> = match &asked {
        Some(stem) if chain.state(stem) == State::Ready => vec![stem.clone()],
        Some(stem) => chain.leaves(stem),
        None => {
            let ready = |stem: &&Stem| chain.state(stem) == State::Ready;
            selection.deck.stems().filter(ready).cloned().collect()
        }
    };
    leaves.sort_by_cached_key(|stem| (view.hold(stem), stem.clone()));
    let is_blocked = |stem: &&Stem| chain.state(stem) == State::Blocked;
    let answer = Blockers {
        schema_version: SCHEMA_VERSION,
        leaves: leaves.iter().map(|stem| leaf(stem, &view)).collect(),
        blocked: cards
            .iter()
            .filter(is_blocked)
            .map(|stem| view.blocked(stem))
            .collect(),
    };
    if args.format == Format::Json {
        return answered::give(&answer, &view, context);
    }
    let out = &mut context.out(args.format);
    done(text(out, &answer, asked.as_ref(), &view, context.screen()))
}

fn leaf(stem: &Stem, view: &View<'_>) -> Leaf {
    let hold = view.hold(stem);
    let by_hand = matches!(hold, Hold::Hand | Hold::Waiting);
    let looked_at = matches!(hold, Hold::Stuck | Hold::Waiting);
    Leaf {
        stem: stem.clone(),
        title: view.title(stem),
        hold,
        reason: view.stuck(stem).or_else(|| view.waits(stem)),
        steps: if by_hand {
            view.steps_of(stem)
        } else {
            Vec::new()
        },
        tail: if looked_at {
            view.tail(stem)
        } else {
            Vec::new()
        },
        frees: view.frees(stem),
        last_run: view.last_run_object(stem),
    }
}

fn text(
    out: &mut dyn Write,
    answer: &Blockers,
    asked: Option<&Stem>,
    view: &View<'_>,
    screen: Screen,
) -> io::Result<()> {
    for leaf in &answer.leaves {
        let word = format!("{:<8}", leaf.hold.word());
        let word = screen.paint.with(view.standing(&leaf.stem).style(), &word);
        let title = screen.rest(&leaf.title, 11 + columns(leaf.stem.as_str()));
        writeln!(
            out,
            "{}",
            format!("{word} {}  {title}", leaf.stem).trim_end()
        )?;
        leaf_lines(out, leaf)?;
    }
    for card in &answer.blocked {
        let line = format!("{}  by {}", card.stem, held_by(card));
        writeln!(out, "blocked  {}", screen.wrapped(&line, 9, 11))?;
    }
    match asked.map(|stem| (stem, view.state(stem))) {
        Some((stem, State::Complete)) => writeln!(out, "{stem} is complete"),
        Some((stem, State::Unreadable)) => {
            writeln!(out, "{stem} can't be read; `mikado check` says why")
        }
        None if answer.leaves.is_empty() && answer.blocked.is_empty() => {
            writeln!(out, "nothing is open")
        }
        _ => Ok(()),
    }
}

/// The leaves that block a card, and what else does.
pub(crate) fn held_by(card: &BlockedCard) -> String {
    let leaves = card.leaves.iter().map(|stem| format!("`{stem}`"));
    let held: Vec<String> = leaves.chain(card.faults.iter().cloned()).collect();
    series(&held)
}

/// Why a leaf is not done, and what to do about it.
fn leaf_lines(out: &mut dyn Write, leaf: &Leaf) -> io::Result<()> {
    let stem = shell_word(leaf.stem.as_str());
    if leaf.hold == Hold::Stuck
        && let Some(reason) = &leaf.reason
    {
        writeln!(out, "           {}", reason.message)?;
    }
    for line in &leaf.tail {
        writeln!(out, "         | {line}")?;
    }
    let failed = leaf
        .reason
        .as_ref()
        .is_some_and(|reason| reason.code == "failed");
    if let Some(log) = leaf.last_run.as_ref().and_then(|run| run.log.as_ref())
        && (failed || leaf.hold == Hold::Waiting)
    {
        writeln!(out, "           log: {}", log.display())?;
    }
    for (number, step) in leaf.steps.iter().enumerate() {
        writeln!(out, "           {}. {step}", number + 1)?;
    }
    match leaf.hold {
        Hold::Stuck => writeln!(out, "           try again: mikado run {stem}"),
        Hold::Waiting => writeln!(out, "           look again: mikado run {stem}"),
        Hold::Hand => writeln!(out, "           when it is done: mikado complete {stem}"),
        Hold::Ready => writeln!(out, "           run it: mikado run {stem}"),
    }
}
