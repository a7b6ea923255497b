//! `mikado ready`, `mikado blocked` and `mikado next`.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

use clap::Args;
use serde_json::{Value, json};

use crate::card::Stem;
use crate::chain::State;
use crate::cli::{Context, Format};
use crate::error::{Error, Exit};
use crate::process::capture;
use crate::report::SCHEMA_VERSION;
use crate::runner::definition::Kind;
use crate::words::{count, list};

use super::list::{ListArgs, View};
use super::selection::{Selection, SelectionArgs};

/// How many lines of a failed run are shown.
const TAIL: usize = 5;

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
    leaves.sort_by_key(|stem| (Hold::of(stem, &view), stem.clone()));
    let out = &mut io::stdout().lock();
    let written = match args.format {
        Format::Json => {
            let leaves: Vec<Value> = leaves
                .iter()
                .map(|stem| leaf_json(stem, &view, &selection))
                .collect();
            let cards: Vec<Value> = cards
                .iter()
                .filter(|stem| chain.state(stem) == State::Blocked)
                .map(|stem| json!({"stem": stem, "blockedBy": chain.blocked_by(stem), "unknown": chain.unknown(stem), "leaves": chain.leaves(stem)}))
                .collect();
            let object =
                json!({"schemaVersion": SCHEMA_VERSION, "leaves": leaves, "blocked": cards});
            writeln!(out, "{object}")
        }
        Format::Text => text(out, &leaves, &cards, &view, &selection),
    };
    written.map_err(Error::disk("write to", "standard output"))?;
    Ok(Exit::Done)
}

/// What holds a leaf up, the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Hold {
    Failed,
    Probe,
    Hand,
    Ready,
}

impl Hold {
    fn of(stem: &Stem, view: &View<'_>) -> Hold {
        let failed = view.last_run(stem).is_some_and(|run| run.failed.is_some());
        match view.kind_of(stem) {
            _ if failed => Hold::Failed,
            Some(Kind::Probe) => Hold::Probe,
            Some(Kind::Hand) => Hold::Hand,
            _ => Hold::Ready,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Hold::Failed => "stuck",
            Hold::Probe => "waiting",
            Hold::Hand => "by hand",
            Hold::Ready => "ready",
        }
    }
}

/// The last lines of a card's log.
fn tail(stem: &Stem, selection: &Selection) -> Vec<String> {
    let log = selection
        .project
        .root
        .join(".mikado/logs")
        .join(format!("{stem}.log"));
    capture::tail(&log, TAIL)
}

fn leaf_json(stem: &Stem, view: &View<'_>, selection: &Selection) -> Value {
    let hold = Hold::of(stem, view);
    json!({
        "stem": stem,
        "hold": hold.word(),
        "lastRun": view.last_run(stem),
        "tail": if hold == Hold::Ready { vec![] } else { tail(stem, selection) },
        "frees": frees(stem, selection),
    })
}

/// The open cards that wait for `stem`, directly or not, sorted.
fn frees(stem: &Stem, selection: &Selection) -> Vec<Stem> {
    let chain = &selection.chain;
    let mut waiting: BTreeSet<Stem> = BTreeSet::new();
    let mut pending = vec![stem.clone()];
    while let Some(next) = pending.pop() {
        for above in chain.dependents(&next) {
            if chain.state(&above) == State::Blocked && waiting.insert(above.clone()) {
                pending.push(above);
            }
        }
    }
    waiting.into_iter().collect()
}

fn text(
    out: &mut dyn Write,
    leaves: &[Stem],
    cards: &[Stem],
    view: &View<'_>,
    selection: &Selection,
) -> io::Result<()> {
    let chain = &selection.chain;
    for stem in leaves {
        let hold = Hold::of(stem, view);
        let title = selection
            .deck
            .card(stem)
            .map(|card| card.title())
            .unwrap_or_default();
        writeln!(out, "{:<8} {stem}  {title}", hold.word())?;
        match hold {
            Hold::Failed => {
                if let Some(run) = view.last_run(stem) {
                    writeln!(
                        out,
                        "           {}",
                        run.failed.as_deref().unwrap_or_default()
                    )?;
                }
                for line in tail(stem, selection) {
                    writeln!(out, "         | {line}")?;
                }
                writeln!(
                    out,
                    "           log: .mikado/logs/{stem}.log; try again: mikado run {stem}"
                )?;
            }
            Hold::Probe => {
                for line in tail(stem, selection) {
                    writeln!(out, "         | {line}")?;
                }
                writeln!(out, "           look again: mikado run {stem}")?;
            }
            Hold::Hand => {
                for (number, step) in view.steps_of(stem).iter().enumerate() {
                    writeln!(out, "           {}. {step}", number + 1)?;
                }
                writeln!(out, "           when it is done: mikado complete {stem}")?;
            }
            Hold::Ready => writeln!(out, "           run it: mikado run {stem}")?,
        }
    }
    for stem in cards {
        match chain.state(stem) {
            State::Blocked => {
                let mut by = chain.leaves(stem);
                by.sort();
                let unknown = chain.unknown(stem);
                let mut held: Vec<String> = by.iter().map(Stem::to_string).collect();
                held.extend(unknown.iter().map(|text| format!("{text} (no such card)")));
                writeln!(out, "blocked  {stem}  by {}", list(&held))?;
            }
            State::Complete => writeln!(out, "{stem} is complete")?,
            State::Unreadable => writeln!(out, "{stem} can't be read; `mikado check` says why")?,
            State::Ready => {}
        }
    }
    if leaves.is_empty() && cards.is_empty() {
        writeln!(out, "nothing is open")?;
    }
    Ok(())
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
    let within = match &args.goal {
        Some(name) => Some(chain.closure(&[selection.find(name)?])),
        None => None,
    };
    let heights = heights(&selection);
    let is_human = |stem: &Stem| view.work_of(stem).is_some_and(|work| work.human);
    let mut leaves: Vec<&Stem> = selection
        .deck
        .stems()
        .filter(|stem| chain.state(stem) == State::Ready)
        .filter(|stem| within.as_ref().is_none_or(|within| within.contains(*stem)))
        .filter(|stem| args.human || !is_human(stem))
        .collect();
    let rank = |stem: &Stem| {
        let height = heights.get(stem).copied().unwrap_or(0);
        (
            std::cmp::Reverse(height),
            std::cmp::Reverse(frees(stem, &selection).len()),
        )
    };
    leaves.sort_by_cached_key(|stem| (rank(stem), (*stem).clone()));
    let out = &mut io::stdout().lock();
    let written = match (leaves.first(), args.format) {
        (None, Format::Text) => writeln!(
            out,
            "no card can be worked on now; `mikado blocked` says why"
        ),
        (None, Format::Json) => {
            writeln!(
                out,
                "{}",
                json!({"schemaVersion": SCHEMA_VERSION, "next": null})
            )
        }
        (Some(stem), format) => {
            let object = next_json(stem, &view, &selection, &heights);
            match format {
                Format::Json => writeln!(out, "{object}"),
                Format::Text => next_text(out, &object),
            }
        }
    };
    written.map_err(Error::disk("write to", "standard output"))?;
    Ok(Exit::Done)
}

fn next_json(
    stem: &Stem,
    view: &View<'_>,
    selection: &Selection,
    heights: &BTreeMap<Stem, usize>,
) -> Value {
    let card = selection.deck.card(stem);
    let body = card
        .map(|card| card.body(&selection.project.config.headings()))
        .unwrap_or_default();
    let height = heights.get(stem).copied().unwrap_or(0);
    let frees = frees(stem, selection);
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
    let is_hand = matches!(kind, Some(Kind::Hand) | None);
    let last = view.last_run(stem).map(|run| {
        json!({"exit": run.exit, "at": run.started_ms, "log": run.log, "failed": run.failed, "tail": tail(stem, selection)})
    });
    json!({
        "schemaVersion": SCHEMA_VERSION,
        "stem": stem,
        "title": card.map(|card| card.title()),
        "path": card.map(|card| card.path().to_owned()),
        "why": why,
        "kind": kind,
        "state": selection.chain.state(stem),
        "steps": body.steps.iter().map(|item| &item.text).collect::<Vec<_>>(),
        "checks": body.checks.iter().map(|item| &item.text).collect::<Vec<_>>(),
        "frees": frees,
        "commands": {
            "show": format!("mikado show {stem}"),
            "run": if is_hand { Value::Null } else { format!("mikado run {stem}").into() },
            "log": format!("mikado log {stem}"),
            "complete": format!("mikado complete {stem}"),
        },
        "lastRun": last,
    })
}

fn next_text(out: &mut dyn Write, next: &Value) -> io::Result<()> {
    let text = |key: &str| next[key].as_str().unwrap_or_default().to_owned();
    writeln!(out, "{}  {}", text("stem"), text("title"))?;
    writeln!(out, "  {}", text("why"))?;
    for (number, step) in next["steps"].as_array().into_iter().flatten().enumerate() {
        writeln!(
            out,
            "  {}. {}",
            number + 1,
            step.as_str().unwrap_or_default()
        )?;
    }
    let commands = &next["commands"];
    let first = commands["run"].as_str().or(commands["complete"].as_str());
    writeln!(
        out,
        "  read it: {}",
        commands["show"].as_str().unwrap_or_default()
    )?;
    writeln!(out, "  then: {}", first.unwrap_or_default())
}

/// For each open card the most cards that lie between it and a goal above it.
fn heights(selection: &Selection) -> BTreeMap<Stem, usize> {
    let chain = &selection.chain;
    let open = |stem: &Stem| matches!(chain.state(stem), State::Ready | State::Blocked);
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
