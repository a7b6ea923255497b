//! `mikado plan`.

use std::io::{self, Write};

use anstyle::Style;
use clap::Args;

use crate::answer::{PlanList, PlannedObject, SCHEMA_VERSION};
use crate::cli::{Context, Format};
use crate::columns::Screen;
use crate::error::{Error, Exit};
use crate::plan::PlannedCard;
use crate::standing::Standing;
use crate::timings;

use super::foresight::{Foreseen, Foresight};
use super::selection::{Selection, SelectionArgs};
use super::{done, workers, write_json};

/// Show what `run` would do with each card, and why
///
/// Executes nothing and downloads nothing: a tool of this machine counts as what
/// it said in the last run, and of one that was not asked yet the plan says so.
#[derive(Clone, Debug, Default, Args)]
pub struct PlanArgs {
    /// What to plan, and with what
    #[command(flatten)]
    pub selection: SelectionArgs,
    /// Tell instead what 1, 2, 4 .. N workers would take for all of these cards,
    /// executed anew, by the durations of the last runs
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub workers: Option<u32>,
    /// What each execution costs a worker beside the work: upload, queue, download
    #[arg(long, value_name = "MS", requires = "workers", default_value_t = 0)]
    pub latency: u32,
    /// How to print the plan
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub format: Format,
}

/// Carries `plan` out.
///
/// # Errors
///
/// Where the cards, the store or the disk are in the way.
pub fn run(args: PlanArgs, context: &Context) -> Result<Exit, Error> {
    let selection = Selection::read(&args.selection, context)?;
    let plan = selection.plan(&args.selection)?;
    let workspace = selection.workspace_with_executor(&args.selection, true)?;
    if let Some(workers) = args.workers {
        let fleet = (workers as usize, u64::from(args.latency));
        return workers::run(&plan, &workspace, fleet, args.format, context);
    }
    let phase = timings::phase("foresee").about(plan.cards.len());
    let mut foresight = Foresight::of_run(&workspace);
    let mut rows = Vec::new();
    for card in &plan.cards {
        rows.push((card, foresight.look(card)?));
    }
    drop(phase);
    workspace.trace.save(&workspace.local.new_folder());
    let out = &mut context.out(args.format);
    let written = match args.format {
        Format::Text => text(out, &rows, context.screen()),
        Format::Json => as_json(out, &rows),
    };
    done(written)
}

fn text(out: &mut dyn Write, rows: &[(&PlannedCard, Foreseen)], screen: Screen) -> io::Result<()> {
    for (card, foreseen) in rows {
        let why = match foreseen.why.is_empty() {
            true => String::new(),
            false => format!(" ({})", foreseen.why.join(", ")),
        };
        let style = match foreseen.verb {
            "wait" => Standing::Waiting.style(),
            "fail" => Standing::Stuck.style(),
            "run" | "check" => Style::new().bold(),
            _ => Style::new(),
        };
        let verb = screen.paint.with(style, &format!("{:>9}", foreseen.verb));
        let line = screen.wrapped(&format!("{}{why}", card.stem), 10, 10);
        writeln!(out, "{verb} {line}")?;
    }
    Ok(())
}

fn as_json(out: &mut dyn Write, rows: &[(&PlannedCard, Foreseen)]) -> io::Result<()> {
    let object = |(card, foreseen): &(&PlannedCard, Foreseen)| PlannedObject {
        stem: card.stem.clone(),
        title: card.title.clone(),
        kind: card.work.kind,
        open: card.open,
        verb: foreseen.verb,
        why: foreseen.why.clone(),
    };
    let answer = PlanList {
        schema_version: SCHEMA_VERSION,
        cards: rows.iter().map(object).collect(),
    };
    write_json(out, &answer)
}
