//! `mikado cache`: looking after a cache that machines share.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::io::{self, Write};
use std::sync::Arc;

use clap::{Args, Subcommand};

use crate::answer::{self, CacheVerified, ComparedObject, SCHEMA_VERSION};
use crate::cli::{Context, Format};
use crate::engine::{Compared, Engine, Mark, Options};
use crate::error::{Error, Exit};
use crate::event::{Event, Outcome};
use crate::plan::PlannedCard;
use crate::process::GRACE;
use crate::runner::definition::Kind;
use crate::words::count;

use super::run::{memory, processors};
use super::selection::{Selection, SelectionArgs};
use super::write_json;

/// How many results are compared, unless it is said.
const SAMPLE: usize = 10;

/// Look after the cache that machines share
#[derive(Clone, Debug, Args)]
pub struct CacheArgs {
    /// What to do
    #[command(subcommand)]
    pub command: CacheCommand,
}

/// What to do with the cache.
#[derive(Clone, Debug, Subcommand)]
pub enum CacheCommand {
    /// Execute a sample of what the cache has again, and compare
    ///
    /// What a build of the sample stands on is brought up to date first, as in any
    /// run; of the comparison nothing is recorded. Exits 1 where a result differs.
    Verify(VerifyArgs),
}

/// What to compare.
#[derive(Clone, Debug, Args)]
pub struct VerifyArgs {
    /// Of what, and with what
    #[command(flatten)]
    pub selection: SelectionArgs,
    /// Compare so many builds, chosen at random [default: 10]
    #[arg(long, value_name = "N")]
    pub sample: Option<usize>,
    /// How to print what was found
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub format: Format,
}

impl CacheCommand {
    /// How the answer is to be printed.
    pub fn format(&self) -> Format {
        match self {
            CacheCommand::Verify(args) => args.format,
        }
    }
}

/// Carries `cache` out.
///
/// # Errors
///
/// Where no cache is set up, or the cards, the store or the disk are in the way.
pub fn run(args: CacheArgs, context: &Context) -> Result<Exit, Error> {
    let CacheCommand::Verify(args) = args.command;
    let selection = Selection::read(&args.selection, context)?;
    let mut plan = selection.plan(&args.selection)?;
    choose(&mut plan.cards, args.sample.unwrap_or(SAMPLE));
    let workspace = Arc::new(selection.workspace(&args.selection, false)?);
    let Some(cache) = workspace.cache.clone() else {
        return Err(Error::usage(
            "no cache is set up here",
            "name one with `--cache URL`, MIKADO_CACHE or `cache.url` in `mikado.yaml`",
        ));
    };
    let options = Options {
        jobs: processors().max(1),
        memory: memory(),
        grace: GRACE,
        keep_going: true,
        compare: true,
        ..Options::default()
    };
    let mark: Mark = Arc::new(|_| Ok(Vec::new()));
    let mut notes = Vec::new();
    let mut listener = |event: &Event| {
        if let Event::Noted { message } = event {
            notes.push(message.clone());
        }
    };
    let ran = Engine::run(workspace, &plan, options, &mark, &mut listener)?;
    let failed = plan.cards.iter().zip(&ran.outcomes);
    let failed = failed.filter_map(|(card, outcome)| match outcome {
        Outcome::Failed(failure) => Some(format!("{}: {}", card.stem, failure.message)),
        _ => None,
    });
    notes.extend(failed);
    let answer = CacheVerified {
        schema_version: SCHEMA_VERSION,
        cache: cache.address(),
        compared: ran.compared.iter().map(object).collect(),
        notes,
    };
    let out = &mut context.out(args.format);
    let written = match args.format {
        Format::Json => write_json(out, &answer),
        Format::Text => text(out, &answer),
    };
    let written = written.and_then(|()| out.flush());
    written.map_err(Error::disk("write to", "standard output"))?;
    let differs = answer.compared.iter().any(|one| one.verdict == "different");
    Ok(match (ran.exit, differs) {
        (Exit::Done, true) => Exit::Failed,
        (exit, _) => exit,
    })
}

/// Asks for so many builds of the plan, chosen at random.
fn choose(cards: &mut [PlannedCard], sample: usize) {
    let random = RandomState::new();
    let builds = cards.iter().filter(|card| card.work.kind == Kind::Build);
    let mut drawn: Vec<u64> = builds.map(|card| random.hash_one(&card.stem)).collect();
    drawn.sort_unstable();
    drawn.truncate(sample);
    for card in cards {
        let is_build = card.work.kind == Kind::Build;
        card.asked = is_build && drawn.contains(&random.hash_one(&card.stem));
    }
}

fn object(compared: &Compared) -> ComparedObject {
    let (cached, made) = compared.artifacts.unzip();
    ComparedObject {
        stem: compared.card.clone(),
        verdict: match compared.artifacts {
            None => "absent",
            Some((cached, made)) if cached == made => "same",
            Some(_) => "different",
        },
        cached,
        made,
        by: (!compared.made_by.host.is_empty()).then(|| compared.made_by.host.clone()),
        commit: compared.made_by.commit.clone(),
        at: cached.map(|_| answer::time(compared.made_by.started_ms)),
    }
}

fn text(out: &mut dyn Write, answer: &CacheVerified) -> io::Result<()> {
    for note in &answer.notes {
        writeln!(out, "note: {note}")?;
    }
    for one in &answer.compared {
        writeln!(out, "{:>9} {}", one.verdict, one.stem)?;
        if let (Some(cached), Some(made)) = (&one.cached, &one.made)
            && cached != made
        {
            let by = one.by.as_deref().unwrap_or("somebody");
            let commit = one.commit.as_ref().map_or(String::new(), |commit| {
                format!(", from commit {}", &commit[..commit.len().min(12)])
            });
            writeln!(
                out,
                "          cached: {} (by {by}{commit})",
                cached.short()
            )?;
            writeln!(out, "          made here: {}", made.short())?;
            writeln!(
                out,
                "          is it deterministic? mikado run --check-deterministic {}",
                one.stem
            )?;
        }
    }
    let of = |verdict: &str| {
        answer
            .compared
            .iter()
            .filter(|one| one.verdict == verdict)
            .count()
    };
    writeln!(
        out,
        "{} looked up in {}: {} the same, {} different, {} not there",
        count(answer.compared.len(), "build"),
        answer.cache,
        of("same"),
        of("different"),
        of("absent")
    )
}
