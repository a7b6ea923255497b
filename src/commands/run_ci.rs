//! What `run` does for a CI job: what it may know of cards that are no part of
//! it, and what it leaves for the job's page.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;

use crate::card::Stem;
use crate::cli::Context;
use crate::digest::Digest;
use crate::error::Error;
use crate::event::Outcome;
use crate::plan::Plan;
use crate::report::junit::{Case, Suite, Verdict};
use crate::report::{Log, Row, Summary, markdown};
use crate::runner::definition::Kind;
use crate::runner::work::runner_place;
use crate::workspace::Workspace;

use super::ci::top_of;
use super::foresight::Foresight;
use super::selection::{Selection, SelectionArgs};

/// The CI system whose log this is, where it reads one.
pub(crate) fn log(context: &Context) -> Option<Log> {
    match () {
        () if context.is_set("GITHUB_ACTIONS") => Some(Log::Github),
        () if context.is_set("GITLAB_CI") => Some(Log::Gitlab),
        () => None,
    }
}

/// Artifacts of cards that `plan` uses and has no work for, where the store has
/// the results of their actions of today: a work tree that never ran them, with a
/// store that another one filled.
pub(crate) fn given(
    plan: &Plan,
    selection: &Selection,
    args: &SelectionArgs,
    workspace: &Workspace,
) -> Result<BTreeMap<Stem, Digest>, Error> {
    let own = |stem: &Stem| plan.cards.iter().any(|card| card.stem == *stem);
    let used = plan.cards.iter().flat_map(|card| &card.uses);
    if !args.only || used.into_iter().all(|(_, stem)| own(stem)) {
        return Ok(BTreeMap::new());
    }
    let whole = SelectionArgs {
        only: false,
        ..args.clone()
    };
    // What is at fault there is not run here.
    let Ok(whole) = selection.plan(&whole) else {
        return Ok(BTreeMap::new());
    };
    let mut foresight = Foresight::of_jobs(workspace);
    for card in whole.cards.iter().filter(|card| !own(&card.stem)) {
        foresight.look(card)?;
    }
    Ok(foresight.artifacts())
}

/// How each card ended, with where it stands in the repository.
pub(crate) fn rows(plan: &Plan, outcomes: &[Outcome], selection: &Selection) -> Vec<Row> {
    let root = &selection.project.root;
    let folder = root
        .strip_prefix(top_of(root))
        .unwrap_or(Path::new(""))
        .to_owned();
    let cards = plan.cards.iter().zip(outcomes);
    cards
        .map(|(card, outcome)| {
            let place = selection.deck.card(&card.stem);
            let place = place.map(|card| runner_place(card, None));
            let (path, line) = place.map_or((Path::new("").into(), 1), |p| (p.path, p.line));
            Row {
                card: card.stem.clone(),
                title: card.title.clone(),
                kind: card.work.kind.word(),
                path: folder.join(path),
                line,
                outcome: outcome.clone(),
                before: card.before.iter().cloned().collect(),
            }
        })
        .collect()
}

/// Writes what the job's page shows, and the report for `--junit`.
pub(crate) fn leave(
    summary: &mut Summary,
    junit: Option<&Path>,
    selection: &Selection,
    context: &Context,
) -> Result<(), Error> {
    if let Some(path) = junit {
        let path = context.here.join(path);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(Error::disk("make the folder", folder))?;
        }
        std::fs::write(&path, suite(summary).to_xml()).map_err(Error::disk("write", &path))?;
    }
    let page = context.user.value("GITHUB_STEP_SUMMARY");
    if let Some(page) = page.filter(|page| !page.is_empty()) {
        summary.by_hand = by_hand(summary, selection);
        let mut options = std::fs::OpenOptions::new();
        let opened = options.create(true).append(true).open(page);
        let text = markdown::summary(summary);
        let written = opened.and_then(|mut file| file.write_all(text.as_bytes()));
        written.map_err(Error::disk("write", page))?;
    }
    Ok(())
}

/// The open hand cards of the plan that no part of this run is about.
fn by_hand(summary: &Summary, selection: &Selection) -> Vec<(Stem, String)> {
    let all = SelectionArgs {
        all: true,
        ..SelectionArgs::default()
    };
    // A fault elsewhere is told of by `check`.
    let Ok(plan) = selection.plan(&all) else {
        return Vec::new();
    };
    let told = |stem: &Stem| summary.rows.iter().any(|row| row.card == *stem);
    let hand = plan.cards.into_iter();
    hand.filter(|card| card.open && card.work.kind == Kind::Hand && !told(&card.stem))
        .map(|card| (card.stem, card.title))
        .collect()
}

/// The cards as the cases of a suite.
fn suite(summary: &Summary) -> Suite {
    let cases = summary.rows.iter().map(|row| {
        let (took, verdict) = match &row.outcome {
            Outcome::Passed { took, .. } => (*took, Verdict::Passed),
            Outcome::Failed(failure) => {
                let verdict = Verdict::Failed(failure.message.clone(), failure.tail.clone());
                (Default::default(), verdict)
            }
            Outcome::Waits(wait) => (Default::default(), Verdict::Skipped(wait.message.clone())),
            Outcome::NotStarted { lacks } => {
                let message = match lacks.is_empty() {
                    true => "the run was stopped".to_owned(),
                    false => format!("it lacks {}", crate::words::list(lacks)),
                };
                (Default::default(), Verdict::Skipped(message))
            }
        };
        Case {
            name: row.card.to_string(),
            class: row.kind.to_owned(),
            file: row.path.display().to_string(),
            took,
            verdict,
        }
    });
    Suite {
        name: "mikado run".to_owned(),
        took: summary.took,
        cases: cases.collect(),
    }
}
