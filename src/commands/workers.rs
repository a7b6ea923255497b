//! `mikado plan --workers`: what more machines would make of a chain.

use std::io::{self, Write};
use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;

use crate::answer::Versioned;
use crate::card::Stem;
use crate::cli::{Context, Format};
use crate::error::{Error, Exit};
use crate::plan::{Plan, PlannedCard};
use crate::runner::definition::Kind;
use crate::runner::units::show_duration;
use crate::simulation::{self, Outcome, Run};
use crate::words::count;
use crate::workspace::Workspace;

use super::{done, write_json};

/// What a card takes that was never executed, where none was, in milliseconds.
const UNKNOWN_MS: u64 = 1000;

/// What numbers of workers would take for all cards of a plan, executed anew.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields)]
pub(crate) struct Simulated {
    /// How many cards are executed.
    cards: usize,
    /// How many of them were never executed here: they count as the median of the
    /// others.
    unknown: usize,
    /// What each execution costs beside the work, in milliseconds.
    latency_ms: u64,
    /// The time for 1, 2, 4 and so on workers.
    workers: Vec<Workers>,
    /// The number of workers beyond which doubling them saves less than 5 %; absent
    /// where the last step still pays.
    #[serde(skip_serializing_if = "Option::is_none")]
    enough: Option<usize>,
    /// The longest way through the chain, first card first.
    critical_path: Vec<Step>,
    /// How long that takes, in milliseconds: no number of workers takes less.
    critical_path_ms: u64,
}

/// What a number of workers takes.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields)]
pub(crate) struct Workers {
    /// How many workers, each executing one card at a time.
    workers: usize,
    /// How long they take, in milliseconds.
    took_ms: u64,
    /// The share of their time in which they execute, from 0 to 1.
    busy: f64,
}

/// A card of the critical path.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields)]
pub(crate) struct Step {
    /// The card.
    stem: Stem,
    /// How long it takes, in milliseconds, with the latency.
    took_ms: u64,
}

/// Tells what 1, 2, 4 .. `most` workers would take.
pub(super) fn run(
    plan: &Plan,
    workspace: &Workspace,
    (most, latency_ms): (usize, u64),
    format: Format,
    context: &Context,
) -> Result<Exit, Error> {
    let simulated = simulate(plan, workspace, most, latency_ms);
    let out = &mut context.out(format);
    done(match format {
        Format::Json => write_json(out, &Versioned::new(simulated)),
        Format::Text => text(out, &simulated),
    })
}

fn simulate(plan: &Plan, workspace: &Workspace, most: usize, latency_ms: u64) -> Simulated {
    let is_executed = |card: &&PlannedCard| !matches!(card.work.kind, Kind::Hand | Kind::Page);
    let expected = |card: &PlannedCard| {
        let history = workspace.local.history(card.stem.as_str());
        history.expected_ms()
    };
    let executed: Vec<&PlannedCard> = plan.cards.iter().filter(is_executed).collect();
    let mut known: Vec<u64> = executed.iter().filter_map(|card| expected(card)).collect();
    let unknown = executed.len() - known.len();
    known.sort_unstable();
    let usual = known.get(known.len() / 2).copied().unwrap_or(UNKNOWN_MS);
    // The latency holds the worker too, so that times are an upper bound.
    let cost = |card: &PlannedCard| match is_executed(&card) {
        true => expected(card).unwrap_or(usual).saturating_add(latency_ms),
        false => 0,
    };
    let costs: Vec<u64> = plan.cards.iter().map(cost).collect();
    let run = Run {
        prerequisites: &plan.prerequisites,
        costs_ms: &costs,
        groups: &plan.groups(),
    };
    let outcomes = run.up_to(most);
    let path = run.critical_path();
    Simulated {
        cards: executed.len(),
        unknown,
        latency_ms,
        enough: simulation::enough(&outcomes),
        workers: outcomes.into_iter().map(Workers::from).collect(),
        critical_path_ms: path.iter().map(|card| costs[*card]).sum(),
        critical_path: path
            .into_iter()
            .map(|card| Step {
                stem: plan.cards[card].stem.clone(),
                took_ms: costs[card],
            })
            .collect(),
    }
}

impl From<Outcome> for Workers {
    fn from(outcome: Outcome) -> Workers {
        Workers {
            workers: outcome.workers,
            took_ms: outcome.took_ms,
            // A thousandth says enough, and is the same text everywhere.
            busy: (outcome.busy * 1000.0).round() / 1000.0,
        }
    }
}

fn text(out: &mut dyn Write, simulated: &Simulated) -> io::Result<()> {
    let time = |ms: u64| show_duration(Duration::from_millis(ms));
    let latency = match simulated.latency_ms {
        0 => String::new(),
        ms => format!(", each with {ms} ms of latency"),
    };
    let cards = count(simulated.cards, "card");
    writeln!(out, "{cards} executed anew, as they last took{latency}:")?;
    writeln!(out)?;
    writeln!(out, "workers  time           speed-up  busy")?;
    let alone = simulated.workers.first().map_or(0, |row| row.took_ms);
    for row in &simulated.workers {
        let times = match row.took_ms {
            0 => 1.0,
            took => alone as f64 / took as f64,
        };
        let (workers, took, busy) = (row.workers, time(row.took_ms), row.busy * 100.0);
        writeln!(
            out,
            "{workers:>7}  {took:<13}  {times:>7.1}x  {busy:>3.0} %"
        )?;
    }
    writeln!(out)?;
    match simulated.enough {
        Some(enough) => writeln!(
            out,
            "more than {} save less than 5 %",
            count(enough, "worker")
        )?,
        None => writeln!(out, "more workers than that would pay as well")?,
    }
    let path = &simulated.critical_path;
    let stems: Vec<&str> = path.iter().map(|step| step.stem.as_str()).collect();
    let whole = time(simulated.critical_path_ms);
    writeln!(
        out,
        "no number takes less than {whole}: {}",
        stems.join(" -> ")
    )?;
    if simulated.unknown > 0 {
        let unknown = count(simulated.unknown, "card");
        writeln!(
            out,
            "{unknown} never executed here: counted as the median of the others"
        )?;
    }
    Ok(())
}
