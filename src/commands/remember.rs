//! What a run leaves for the next one of the same words: its index.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::card::edit::Completion;
use crate::card::{Card, PlanState, Source, Stem, discover};
use crate::cli::{Context, Format};
use crate::digest::Digest;
use crate::event::Outcome;
use crate::index::{self, Kind, Member, New, Older, Request, Told, Watched};
use crate::plan::{Plan, PlannedCard};
use crate::report::Summary;
use crate::runner::definition::{Kind as WorkKind, Root};
use crate::workspace::Workspace;

use super::again::{Partial, value_of};
use super::answered::gone_by;
use super::run::RunArgs;
use super::run_ci;
use super::selection::Selection;

/// A run that has ended, with all that it went by.
pub(super) struct Ended<'a> {
    pub(super) args: &'a RunArgs,
    pub(super) context: &'a Context,
    pub(super) selection: &'a Selection,
    pub(super) workspace: &'a Workspace,
    pub(super) plan: &'a Plan,
    pub(super) outcomes: &'a [Outcome],
    pub(super) summary: &'a Summary,
    /// What was known before, where only some cards were looked at.
    pub(super) partial: Option<&'a Partial>,
    /// Whether the folders of cards hold the files that were read.
    pub(super) folders_stand: OnceCell<bool>,
}

impl Ended<'_> {
    /// Keeps what the run went by, for the next one of the same words, where
    /// that one would find that nothing is to be done.
    pub(super) fn remember(&self) {
        if !self.is_usual() || !self.is_done() {
            return;
        }
        match self.partial {
            Some(partial) => drop(self.remember_part(partial)),
            None => drop(self.remember_all()),
        }
    }

    fn remember_all(&self) -> Option<bool> {
        let arguments: Vec<OsString> = std::env::args_os().collect();
        let request = Request::of(&arguments)?;
        let cards = self.plan.cards.iter();
        let numbers: BTreeMap<&Stem, u32> = cards.map(|card| &card.stem).zip(0..).collect();
        let number = |stem: &Stem| numbers.get(stem).copied();
        let watched = gone_by(self.selection, self.context);
        watched.add(self.artifacts(), Kind::Entry);
        self.workspace.watch(&watched, number);
        let members = self.plan.cards.iter().zip(self.outcomes);
        let members = members.map(|(card, outcome)| self.member(card, outcome, &number));
        let members = members.collect::<Option<Vec<Member>>>()?;
        let new = New {
            request: &request,
            began_ns: self.selection.began_ns,
            watched,
            trees: self.trees(&number, &BTreeSet::new())?,
            older: None,
            members: &members,
            told: &self.told(),
            stands: &|path| self.stands(path, &members),
        };
        Some(new.write(self.workspace.local.folder()))
    }

    /// Keeps an index in which the cards of this run are those of the plan, and
    /// the others as they were.
    fn remember_part(&self, partial: &Partial) -> Option<bool> {
        let number = |stem: &Stem| partial.number(stem);
        let watched = Watched::default();
        watched.add(self.artifacts(), Kind::Entry);
        self.workspace.watch(&watched, number);
        let mut members = partial.members.clone();
        // Of those the old index knows the artifact as it is.
        let mut same_trees = BTreeSet::new();
        for (card, outcome) in self.plan.cards.iter().zip(self.outcomes) {
            let number = number(&card.stem)?;
            let member = members.get_mut(usize::try_from(number).ok()?)?;
            let artifact = artifact_of(outcome);
            if artifact == member.artifact && !partial.changed_trees.contains(&number) {
                same_trees.insert(number);
            }
            member.artifact = artifact;
        }
        let mut told = self.told();
        told.variables.extend(partial.told.variables.clone());
        told.removes = partial.told.removes;
        let new = New {
            request: &partial.request,
            began_ns: self.selection.began_ns,
            watched,
            trees: self.trees(&number, &same_trees)?,
            older: Some(Older {
                index: &partial.index,
                cards: &partial.cards,
                trees: &same_trees,
            }),
            members: &members,
            told: &told,
            stands: &|path| match path == self.artifacts() {
                true => self.links_stand(&members),
                false => self.workspace.is_as_read(path),
            },
        };
        Some(new.write(self.workspace.local.folder()))
    }

    fn member(
        &self,
        card: &PlannedCard,
        outcome: &Outcome,
        number: &impl Fn(&Stem) -> Option<u32>,
    ) -> Option<Member> {
        let uses = card.uses.iter();
        let uses = uses.map(|(role, stem)| Some((role.clone(), number(stem)?)));
        Some(Member {
            stem: card.stem.to_string(),
            is_build: card.work.kind == WorkKind::Build,
            asked: card.asked,
            path: self.selection.deck.card(&card.stem)?.path().to_owned(),
            artifact: artifact_of(outcome),
            before: card.before.iter().filter_map(number).collect(),
            uses: uses.collect::<Option<Vec<(String, u32)>>>()?,
        })
    }

    fn artifacts(&self) -> PathBuf {
        self.workspace.local.folder().join("artifacts")
    }

    /// Whether what this run may have changed itself is as it left it: links to
    /// artifacts, cards that it marked, and their folders.
    fn stands(&self, path: &Path, members: &[Member]) -> bool {
        if path == self.artifacts() {
            return self.links_stand(members);
        }
        let deck = &self.selection.deck;
        if deck.folders().iter().any(|folder| folder == path) {
            return *self.folders_stand.get_or_init(|| self.walk_stands());
        }
        let root = &self.selection.project.root;
        let Ok(below) = path.strip_prefix(root) else {
            return self.workspace.is_as_read(path);
        };
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        let mut cards = deck.files(&stem).into_iter();
        let Some(before) = cards.find(|card| card.path() == below) else {
            return self.workspace.is_as_read(path);
        };
        let Ok(bytes) = std::fs::read(path) else {
            return false;
        };
        if bytes == before.source.bytes() {
            return true;
        }
        let now = Card::read(before.stem.clone(), Source::new(below.to_owned(), bytes));
        let was_open = before.plan == PlanState::Open;
        was_open && now.plan == PlanState::Complete && before.asks_for_the_same(&now)
    }

    fn links_stand(&self, members: &[Member]) -> bool {
        let builds = members.iter().filter(|member| member.is_build);
        let links = builds.map(|member| Some((&*member.stem, member.artifact.as_ref()?)));
        links.collect::<Option<Vec<_>>>().is_some_and(|links| {
            let local = &self.workspace.local;
            local.all_link_to(&self.workspace.store, &links)
        })
    }

    fn walk_stands(&self) -> bool {
        let (deck, project) = (&self.selection.deck, &self.selection.project);
        let mut files: Vec<PathBuf> = Vec::new();
        for folder in &project.card_dirs {
            match discover::markdown_files(folder) {
                Ok(walked) => files.extend(walked.files),
                Err(_) => return false,
            }
        }
        files.sort();
        files.dedup();
        let cards = deck.cards().iter();
        let mut known: Vec<PathBuf> = cards.map(|card| project.root.join(card.path())).collect();
        known.sort();
        files == known
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
            removes: self.selection.completion() == Completion::Remove,
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
            || !selection.given.sources.is_empty();
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

    /// The artifacts, as the store last saw them whole, but for those that one of the
    /// `known` cards alone has.
    fn trees(
        &self,
        number: &impl Fn(&Stem) -> Option<u32>,
        known: &BTreeSet<u32>,
    ) -> Option<Vec<index::Tree>> {
        let mut owners: BTreeMap<Digest, u32> = BTreeMap::new();
        for (card, outcome) in self.plan.cards.iter().zip(self.outcomes) {
            let number = number(&card.stem)?;
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
        owners.retain(|_, owner| !known.contains(owner));
        for (digest, owner) in owners {
            let states = self.workspace.store.tree_states(&digest).ok()??;
            trees.push((owner, self.workspace.store.path_of_tree(&digest), states));
        }
        Some(trees)
    }
}

fn artifact_of(outcome: &Outcome) -> Option<Digest> {
    match outcome {
        Outcome::Passed { artifact, .. } => *artifact,
        _ => None,
    }
}
