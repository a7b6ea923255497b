//! `mikado verify`.

use std::io::{self, Write};
use std::sync::Arc;

use clap::Args;
use serde_json::json;

use crate::answer::SCHEMA_VERSION;
use crate::card::Stem;
use crate::cli::{Context, Format};
use crate::engine::{Engine, Marked, Options};
use crate::error::{Error, Exit};
use crate::event::{Event, Outcome};
use crate::plan::{Plan, PlannedCard};
use crate::process::GRACE;

use super::run::processors;
use super::selection::{Selection, SelectionArgs};

/// Look whether what is complete still holds
///
/// Runs the probes and checks of complete cards, marks nothing, and exits 1
/// where something is no longer true.
#[derive(Clone, Debug, Args)]
pub struct VerifyArgs {
    /// Which cards [default: every complete card that has a check]
    #[arg(value_name = "CARD")]
    pub cards: Vec<String>,
    /// Every complete card that has a check
    #[arg(long, conflicts_with = "cards")]
    pub all: bool,
    /// How to print what was found
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub format: Format,
}

/// Carries `verify` out.
///
/// # Errors
///
/// Where the cards, the store or the disk are in the way.
pub fn run(args: VerifyArgs, context: &Context) -> Result<Exit, Error> {
    let selection = Selection::read(&SelectionArgs::default(), context)?;
    let asked: Vec<Stem> = match args.cards.is_empty() {
        false => args
            .cards
            .iter()
            .map(|name| selection.find(name))
            .collect::<Result<_, _>>()?,
        true => {
            let complete = |stem: &&Stem| {
                selection
                    .deck
                    .card(stem)
                    .is_some_and(|card| !card.is_open() && !card.page)
            };
            selection.deck.stems().filter(complete).cloned().collect()
        }
    };
    let select = SelectionArgs {
        cards: asked.iter().map(Stem::to_string).collect(),
        only: true,
        ..SelectionArgs::default()
    };
    let cards: Vec<PlannedCard> = match asked.is_empty() {
        true => Vec::new(),
        false => selection.plan(&select, context)?.cards,
    };
    // Each by itself: what a card stands on is looked at in its own right.
    let cards: Vec<PlannedCard> = cards
        .into_iter()
        .filter(|card| !card.open && !card.work.definition.verify.is_empty())
        .map(|card| PlannedCard {
            before: Default::default(),
            ..card
        })
        .collect();
    let plan = Plan::new(cards);
    let workspace = Arc::new(selection.workspace(&select, context, false)?);
    let options = Options {
        jobs: processors(),
        keep_going: true,
        force: false,
        mark: false,
        no_caches: false,
        yes: Default::default(),
        grace: GRACE,
        memory: u64::MAX,
        verify: true,
        given: BTreeMap::new(),
    };
    let mark = |_: &Stem| Ok(Marked::Before);
    let mut listener = |_: &Event| {};
    let ran = Engine::run(workspace, &plan, options, &mark, &mut listener)?;
    let out = &mut io::stdout().lock();
    let rows = plan.cards.iter().zip(&ran.outcomes);
    let mut failed = 0;
    let mut objects = Vec::new();
    let mut lines = Vec::new();
    for (card, outcome) in rows {
        let (word, message, tail) = match outcome {
            Outcome::Passed { .. } => ("holds", String::new(), &[][..]),
            Outcome::Failed(failure) => ("broken", failure.message.clone(), &failure.tail[..]),
            Outcome::Waits(wait) => ("unknown", wait.message.clone(), &wait.lines[..]),
            Outcome::NotStarted { .. } => ("unknown", "not looked at".into(), &[][..]),
        };
        failed += usize::from(word == "broken");
        let colon = if message.is_empty() { "" } else { ": " };
        lines.push(format!("{word:>9} {}{colon}{message}", card.stem));
        lines.extend(tail.iter().map(|line| format!("          | {line}")));
        objects.push(json!({"stem": card.stem, "verdict": word, "message": message, "tail": tail}));
    }
    let looked_at = crate::words::count(plan.cards.len(), "card");
    let unchecked = asked.len() - plan.cards.len();
    lines.push(format!(
        "{looked_at} looked at, {failed} no longer true, {unchecked} without a check"
    ));
    let text = match args.format {
        Format::Text => lines.join("\n"),
        Format::Json => json!({"schemaVersion": SCHEMA_VERSION, "cards": objects}).to_string(),
    };
    writeln!(out, "{text}").map_err(Error::disk("write to", "standard output"))?;
    Ok(match failed {
        _ if ran.exit as u8 > 128 => ran.exit,
        0 => Exit::Done,
        _ => Exit::Failed,
    })
}
