//! `mikado run` where nothing is to be done: told from the index of the last
//! run of the same words, before anything else is read or started.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, IsTerminal};
use std::time::Instant;

use crate::card::Stem;
use crate::cli::{Context, Format, terminal_columns};
use crate::diagnostic::Paint;
use crate::digest::Digest;
use crate::event::Outcome;
use crate::index::{self, Index, Kind, Request, Told, Verdict, Watched};
use crate::plan::{Plan, PlannedCard};
use crate::project::CONFIG;
use crate::report::folded::Folded;
use crate::report::{PlainReport, Report, Summary};
use crate::runner::definition::{Kind as WorkKind, Root};
use crate::runner::lock::TOOL_LOCK;
use crate::runner::sources::SOURCES;
use crate::workspace::Workspace;

use super::run::RunArgs;
use super::run_ci;
use super::selection::Selection;

/// Tells that nothing is to be done, where the index of the last run of the same
/// words shows it: the exit code. `None` where it has to be found out.
pub(crate) fn nothing_to_do(arguments: &[OsString]) -> Option<u8> {
    let began = Instant::now();
    if !arguments.iter().any(|word| word == "run") {
        return None;
    }
    let request = Request::of(arguments)?;
    let index = Index::open(&request)?;
    let told = index.told()?;
    let is_same = |(name, digest): (&String, &Option<Digest>)| value_of(name) == *digest;
    if !told.variables.iter().all(is_same) || index.verdict() != Verdict::Same {
        return None;
    }
    // A closed pipe ends the talk, as in a run.
    drop(tell(&index, told, began));
    Some(0)
}

fn value_of(name: &str) -> Option<Digest> {
    std::env::var_os(name).map(|value| Digest::of(value.as_encoded_bytes()))
}

fn tell(index: &Index, told: Told, began: Instant) -> io::Result<()> {
    let columns = terminal_columns(io::stdout());
    let colour = told.colour.unwrap_or_else(|| {
        io::stdout().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
    });
    let out = Box::new(Folded::new(io::stdout().lock(), columns));
    let mut report = PlainReport::new(out, Paint(colour), false, false);
    report.fresh(index.cards())?;
    let shown = told.shown.into_iter();
    report.finish(&Summary {
        fresh: index.count(),
        took: began.elapsed(),
        shown: shown
            .map(|(card, check, output)| (Stem::new(&card), check, output))
            .collect(),
        ..Summary::default()
    })
}

/// A run that has ended, with all that it went by.
pub(super) struct Ended<'a> {
    pub(super) args: &'a RunArgs,
    pub(super) context: &'a Context,
    pub(super) selection: &'a Selection,
    pub(super) workspace: &'a Workspace,
    pub(super) plan: &'a Plan,
    pub(super) outcomes: &'a [Outcome],
    pub(super) summary: &'a Summary,
    /// A moment before anything was read, in nanoseconds since 1970.
    pub(super) began_ns: i64,
}

impl Ended<'_> {
    /// Keeps what the run went by, for the next one of the same words, where
    /// that one would find that nothing is to be done.
    pub(super) fn remember(&self) {
        if !self.is_usual() || !self.is_done() {
            return;
        }
        let arguments: Vec<OsString> = std::env::args_os().collect();
        let (Some(request), Some(trees)) = (Request::of(&arguments), self.trees()) else {
            return;
        };
        let watched = self.watched();
        let cards = self.plan.cards.iter();
        let numbers: BTreeMap<&Stem, u32> = cards.clone().map(|card| &card.stem).zip(0..).collect();
        self.workspace
            .watch(&watched, |stem| numbers.get(stem).copied());
        let cards: Vec<(&str, bool)> = cards
            .map(|card| (card.stem.as_str(), card.work.kind == WorkKind::Build))
            .collect();
        let local = self.workspace.local.folder();
        let told = self.told();
        index::write(
            local,
            &request,
            self.began_ns,
            watched,
            trees,
            &cards,
            &told,
        );
    }

    fn told(&self) -> Told {
        let cards = self.plan.cards.iter();
        let variables = cards.flat_map(|card| &card.work.definition.key_env);
        let shown = self.summary.shown.iter();
        Told {
            colour: self.context.colour_that_is_said(),
            shown: shown
                .map(|(card, check, output)| (card.to_string(), check.clone(), output.clone()))
                .collect(),
            variables: variables
                .map(|name| (name.clone(), value_of(name)))
                .collect(),
        }
    }

    /// Whether a run of these words tells of nothing but its cards.
    fn is_usual(&self) -> bool {
        let (args, selection) = (self.args, &self.args.selection);
        let is_odd = args.force
            || args.check_deterministic
            || args.replay
            || args.junit.is_some()
            || selection.only
            || selection.refresh
            || !selection.sources.is_empty();
        let in_ci =
            run_ci::log(self.context).is_some() || self.context.is_set("GITHUB_STEP_SUMMARY");
        !is_odd && !in_ci && args.format == Format::Text
    }

    /// Whether the next run would find nothing to do.
    fn is_done(&self) -> bool {
        let has_passed = |outcome: &Outcome| match outcome {
            Outcome::Passed { not_cached, .. } => not_cached.is_none(),
            _ => false,
        };
        let has_namespaces = self.workspace.kernel().mount_namespaces;
        // What depends on more than files: a check of each run, and a root that a
        // mount namespace may or may not put at its place.
        let is_settled = |card: &PlannedCard| {
            let definition = &card.work.definition;
            (definition.root != Root::Fixed || has_namespaces)
                && !definition.verify.iter().any(|check| check.always)
        };
        self.summary.passed_unmarked.is_empty()
            && self.summary.sources.is_empty()
            && self.outcomes.iter().all(has_passed)
            && self.plan.cards.iter().all(is_settled)
    }

    /// What the reading of cards, runners and settings went by.
    fn watched(&self) -> Watched {
        let (selection, context) = (self.selection, self.context);
        let watched = Watched::default();
        let project = &selection.project;
        let here = context
            .here
            .canonicalize()
            .unwrap_or_else(|_| context.here.clone());
        for folder in here.ancestors().chain(project.root.ancestors()) {
            watched.add(folder.join(".git"), Kind::Presence);
            watched.add(folder.join("cards"), Kind::Presence);
            watched.add(folder.join(CONFIG), Kind::Presence);
        }
        watched.add(project.root.join(CONFIG), Kind::Target);
        for folder in &project.config.cards {
            watched.add(project.root.join(folder), Kind::Target);
        }
        watched.add(project.root.join("cards"), Kind::Target);
        for folder in &context.global.cards {
            watched.add(here.join(folder), Kind::Target);
        }
        for folder in &project.card_dirs {
            watched.add_above(folder);
        }
        for folder in selection.deck.folders() {
            watched.add_walked(folder);
        }
        for card in selection.deck.cards() {
            watched.add(project.root.join(card.path()), Kind::Target);
        }
        let runners = &project.runners_dir;
        watched.add(runners, Kind::Target);
        for name in [TOOL_LOCK, SOURCES] {
            watched.add(runners.join(name), Kind::Target);
        }
        for name in selection.runner_names() {
            watched.add(runners.join(format!("{name}.yaml")), Kind::Target);
            watched.add(runners.join(name), Kind::Presence);
        }
        watched.add(self.workspace.local.folder().join("artifacts"), Kind::Entry);
        watched
    }

    /// The artifacts, as the store last saw them whole.
    fn trees(&self) -> Option<Vec<index::Tree>> {
        let mut owners: BTreeMap<Digest, u32> = BTreeMap::new();
        for (number, outcome) in (0..).zip(self.outcomes) {
            if let Outcome::Passed {
                artifact: Some(artifact),
                ..
            } = outcome
            {
                let owner = owners.entry(*artifact).or_insert(number);
                if *owner != number {
                    *owner = index::NO_CARD;
                }
            }
        }
        let mut trees = Vec::new();
        for (digest, owner) in owners {
            let states = self.workspace.store.tree_states(&digest).ok()??;
            trees.push((owner, self.workspace.store.path_of_tree(&digest), states));
        }
        Some(trees)
    }
}
