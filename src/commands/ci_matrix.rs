//! `mikado ci matrix`: the jobs of a pipeline, and which of them are needed.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use clap::Args;
use schemars::JsonSchema;
use serde::Serialize;

use crate::answer::SCHEMA_VERSION;
use crate::card::Stem;
use crate::ci::{Job, Node, Pipeline};
use crate::cli::{Context, Format};
use crate::error::{Error, Exit};

use super::ci::{JobArgs, planned};
use super::foresight::{Foreseen, Foresight};
use super::selection::SelectionArgs;

/// How many jobs a matrix of GitHub's may have.
const LARGEST: usize = 256;

/// The jobs with what each needs, and whether it would do anything
///
/// Executes nothing and downloads nothing. With a store that jobs share, a first
/// job can start those alone that would do something: `include` is a matrix as
/// GitHub and Forgejo read it.
#[derive(Clone, Debug, Args)]
pub struct MatrixArgs {
    /// What is in it
    #[command(flatten)]
    pub jobs: JobArgs,
    /// How to print them
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub format: Format,
}

/// What `ci matrix --format json` prints.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Matrix {
    /// The version of this format.
    pub schema_version: u32,
    /// Every job, prerequisites first.
    pub jobs: Vec<MatrixJob>,
    /// The jobs that would do something, as a matrix reads them.
    pub include: Vec<Included>,
}

/// A job.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MatrixJob {
    /// Its id, as in the pipeline.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its cards, prerequisites first.
    pub cards: Vec<Stem>,
    /// The ids of the jobs before it, without those that others imply.
    pub needs: Vec<String>,
    /// The labels of its machine.
    pub runs_on: Vec<String>,
    /// Whether it may run for the base branch, or by hand, alone.
    pub trusted: bool,
    /// Whether a run would execute one of its cards.
    pub runs: bool,
    /// Why, for people.
    pub why: Vec<String>,
}

/// A job that would do something.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Included {
    /// Its id, as in the pipeline.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its cards as words of a shell.
    pub cards: String,
}

/// Carries `ci matrix` out.
///
/// # Errors
///
/// Where the cards, the store or the disk are in the way.
pub fn run(args: &MatrixArgs, context: &Context) -> Result<Exit, Error> {
    let matrix = matrix(args, context)?;
    if args.format == Format::Text {
        for job in &matrix.jobs {
            let word = if job.runs { "run" } else { "fresh" };
            let why = match job.why.is_empty() {
                true => String::new(),
                false => format!(" ({})", job.why.join(", ")),
            };
            super::say(&format!("{word:>9} {}{why}", job.id))?;
        }
        return Ok(Exit::Done);
    }
    let written = super::write_json(&mut io::stdout().lock(), &matrix);
    super::done(written)
}

fn matrix(args: &MatrixArgs, context: &Context) -> Result<Matrix, Error> {
    let (selection, plan) = planned(&args.jobs, context)?;
    let workspace = selection.workspace(&SelectionArgs::default(), true)?;
    let mut foresight = Foresight::of_jobs(&workspace);
    let mut foreseen: BTreeMap<&Stem, Foreseen> = BTreeMap::new();
    for card in &plan.cards {
        foreseen.insert(&card.stem, foresight.look(card)?);
    }
    workspace.trace.save(&workspace.local.new_folder());
    let nodes: Vec<Node> = plan.cards.iter().map(Node::of).collect();
    let config = &selection.project.config.ci;
    let pipeline = Pipeline::new(&nodes, args.jobs.group, false, config);
    let described: Vec<MatrixJob> = pipeline
        .jobs
        .iter()
        .map(|job| described(job, &pipeline, &foreseen))
        .collect();
    let runs = described.iter().filter(|job| job.runs);
    let include: Vec<Included> = runs.map(Included::of).collect();
    if include.len() > LARGEST {
        let message = format!(
            "note: a matrix may have {LARGEST} jobs, and this has {}",
            include.len()
        );
        use std::io::Write as _;
        let told = writeln!(io::stderr(), "{message}: try `--group layer`");
        told.map_err(Error::disk("write to", "standard error"))?;
    }
    Ok(Matrix {
        schema_version: SCHEMA_VERSION,
        jobs: described,
        include,
    })
}

fn described(job: &Job, pipeline: &Pipeline, foreseen: &BTreeMap<&Stem, Foreseen>) -> MatrixJob {
    let seen = job.cards.iter().filter_map(|stem| foreseen.get(stem));
    let moving: Vec<&Foreseen> = seen
        .filter(|seen| !matches!(seen.verb, "fresh" | "complete"))
        .collect();
    let mut told = BTreeSet::new();
    let why = moving.iter().flat_map(|seen| &seen.why);
    MatrixJob {
        id: job.id.clone(),
        name: job.name.clone(),
        cards: job.cards.clone(),
        needs: job
            .needs
            .iter()
            .map(|n| pipeline.jobs[*n].id.clone())
            .collect(),
        runs_on: job.labels.clone(),
        trusted: job.trusted,
        runs: !moving.is_empty(),
        why: why
            .filter(|why| told.insert((*why).clone()))
            .cloned()
            .collect(),
    }
}

impl Included {
    fn of(job: &MatrixJob) -> Included {
        let cards = job.cards.iter();
        let words: Vec<String> = cards
            .map(|stem| crate::words::shell_word(stem.as_str()))
            .collect();
        Included {
            id: job.id.clone(),
            name: job.name.clone(),
            cards: words.join(" "),
        }
    }
}
