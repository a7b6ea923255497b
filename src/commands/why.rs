//! `mikado why`.

use std::io::{self, Write};

use clap::Args;

use crate::answer::{MadeBy, Reasons, SCHEMA_VERSION};
use crate::card::Stem;
use crate::chain::State;
use crate::cli::{Context, Format};
use crate::error::{Error, Exit};
use crate::words::shell_word;

use super::blocked::held_by;
use super::freshness::Freshness;
use super::next::runner_for;
use super::selection::{Selection, SelectionArgs};
use super::view::View;
use super::{done, write_json};

/// Say why a card is blocked, fresh or stale
#[derive(Clone, Debug, Args)]
pub struct WhyArgs {
    /// Which card: a stem, an alias or the beginning of a stem
    #[arg(value_name = "CARD")]
    pub card: String,
    /// How to print the answer
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub format: Format,
}

/// Carries `why` out.
///
/// # Errors
///
/// Where there is no such card, or the output can't be written.
pub fn why(args: WhyArgs, context: &Context) -> Result<Exit, Error> {
    let selection = Selection::read(&SelectionArgs::default(), context)?;
    let stem = selection.find(&args.card)?;
    let view = View::new(&selection);
    let state = view.state(&stem);
    let freshness = Freshness::of(&stem, &selection)?;
    let blocked = (state == State::Blocked).then(|| view.blocked(&stem));
    let answer = Reasons {
        schema_version: SCHEMA_VERSION,
        leaves: blocked
            .iter()
            .flat_map(|card| card.leaves.clone())
            .collect(),
        blocked,
        state,
        faults: freshness.faults.clone(),
        freshness: freshness.answer(),
        artifact: freshness.artifact(&stem)?,
        last_run: view.last_run_object(&stem),
        stem,
    };
    let out = &mut context.out(args.format);
    let written = match args.format {
        Format::Json => write_json(out, &answer),
        Format::Text => text(out, &answer, &freshness, &view),
    };
    done(written)
}

fn text(
    out: &mut dyn Write,
    answer: &Reasons,
    freshness: &Freshness,
    view: &View<'_>,
) -> io::Result<()> {
    let stem = &answer.stem;
    match &answer.blocked {
        Some(card) => {
            writeln!(out, "{stem} is blocked by {}", held_by(card))?;
            for leaf in &card.leaves {
                let reason = view.stuck(leaf).or_else(|| view.waits(leaf));
                let reason = reason.map_or(String::new(), |reason| format!(": {}", reason.message));
                writeln!(out, "  {:<8} {leaf}{reason}", view.hold(leaf).word())?;
            }
            let by_hand = card.leaves.iter().find(|leaf| view.can_be_run(leaf));
            by_hand.map_or(Ok(()), |leaf| ways_on(out, leaf))?;
        }
        None => writeln!(out, "{stem} is {}", answer.state.word())?,
    }
    if let Some(reason) = view.stuck(stem) {
        writeln!(out, "  it is stuck: {}", reason.message)?;
    }
    if let Some(reason) = view.waits(stem) {
        writeln!(out, "  it waits: {}", reason.message)?;
        if view.can_be_run(stem) {
            ways_on(out, stem)?;
        }
    }
    let line = freshness.line();
    // What is missing was said just now.
    let is_lacking = view
        .stuck(stem)
        .is_some_and(|reason| reason.code != "failed");
    if !line.is_empty() && !is_lacking {
        writeln!(out, "  {line}")?;
    }
    if let Some(made) = answer
        .artifact
        .as_ref()
        .and_then(|found| found.made_by.as_ref())
    {
        writeln!(out, "  its artifact was made {}", made_line(made))?;
        if let Some(cache) = &made.cache {
            writeln!(out, "  it was taken from the cache {cache}")?;
        }
        if let Some(local) = &made.local {
            writeln!(
                out,
                "  it stays on this machine, since it was made with {local}"
            )?;
        }
    }
    let Some(run) = &answer.last_run else {
        return Ok(());
    };
    if let Some(reason) = &run.forced
        && answer.state == State::Complete
    {
        writeln!(out, "  it was marked by hand: {reason}")?;
    }
    if let Some(failed) = &run.failed {
        if view.stuck(stem).is_none() {
            writeln!(out, "  its last run failed: {failed}")?;
        }
        for line in &run.tail {
            writeln!(out, "  | {line}")?;
        }
        if let Some(log) = &run.log {
            writeln!(out, "  log: {}", log.display())?;
        }
    }
    Ok(())
}

/// What can be done about a card that is done by hand.
fn ways_on(out: &mut dyn Write, stem: &Stem) -> io::Result<()> {
    let word = shell_word(stem.as_str());
    writeln!(out, "  when it is done: mikado complete {word}")?;
    writeln!(out, "  or let mikado do it: {}", runner_for(stem))
}

/// Who made an artifact, when, and from which commit.
fn made_line(made: &MadeBy) -> String {
    let commit = made.commit.as_ref().map_or(String::new(), |commit| {
        format!(", from commit {}", &commit[..commit.len().min(12)])
    });
    format!("by `{}` on {} at {}{commit}", made.card, made.host, made.at)
}
