//! The pipeline: jobs and what each needs, for no system in particular.
//!
//! Invariants: every job comes after all that it needs; `needs` is a transitive
//! reduction; what a job reads was made by a job that comes before it. A card
//! that a run would pass over has no job, and what requires it requires what it
//! required. A command, and all that comes after one, is for trusted code only.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::names::Names;
use super::node::Node;
use super::reduction::reduce;
use super::{CiConfig, Group};
use crate::card::Stem;
use crate::runner::definition::Kind;
use crate::words;

/// What a job does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Task {
    /// Runs cards.
    Run,
    /// Runs a command that a person is asked about.
    Confirmed,
    /// Looks whether a probe is true.
    Probe,
    /// Waits for a person.
    Gate,
}

/// One job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// Letters, digits, `-` and `_`, begins with a letter, one job's alone.
    pub id: String,
    /// The title, on one line, one job's alone.
    pub name: String,
    /// The cards, prerequisites first.
    pub cards: Vec<Stem>,
    /// What it does.
    pub task: Task,
    /// Whether it runs commands.
    pub commands: bool,
    /// Whether it may run for the base branch, or when asked for by hand, alone.
    pub trusted: bool,
    /// The jobs before it, by number, without those that others imply.
    pub needs: BTreeSet<usize>,
    /// The cards of other jobs whose artifacts it reads.
    pub imports: BTreeSet<Stem>,
    /// Its cards whose artifacts it hands over.
    pub exports: BTreeSet<Stem>,
    /// The labels of its machine; empty where nothing is said.
    pub labels: Vec<String>,
    /// The variables that its runners take from secrets: the variable, the secret.
    pub secrets: BTreeMap<String, String>,
    /// How long it may take.
    pub timeout: Option<Duration>,
    /// What a person does.
    pub steps: Vec<String>,
}

/// A card that has no job because only a person can go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// Which.
    pub stem: Stem,
    /// The card that it comes after and that is done by hand; `None` for one
    /// that is itself.
    pub behind: Option<Stem>,
}

/// The pipeline.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pipeline {
    /// The jobs, prerequisites first.
    pub jobs: Vec<Job>,
    /// The cards that have none because only a person can go on.
    pub left_out: Vec<LeftOut>,
    /// The name of each card's artifact, as a file and for the CI system.
    pub files: BTreeMap<Stem, String>,
    /// What its maker has to know.
    pub notes: Vec<String>,
}

impl Pipeline {
    /// The pipeline of `nodes`, which stand prerequisites first. Without
    /// `gates` no job waits for a person.
    pub fn new(nodes: &[Node], group: Group, gates: bool, config: &CiConfig) -> Pipeline {
        let (kept, left_out) = chosen(nodes, gates);
        let cards = Cards::new(kept);
        let groups = cards.grouped(group, config);
        let mut pipeline = cards.pipeline(&groups, group, config);
        pipeline.left_out = left_out;
        pipeline
    }

    /// The number of the job that makes the artifact of `stem`.
    pub(super) fn maker(&self, stem: &Stem) -> Option<usize> {
        let mut jobs = self.jobs.iter();
        jobs.position(|job| job.cards.contains(stem))
    }

    /// The jobs whose files `job` reads.
    pub(super) fn makers(&self, job: &Job) -> BTreeSet<usize> {
        let imports = job.imports.iter();
        imports.filter_map(|stem| self.maker(stem)).collect()
    }
}

/// A card with the numbers of those before it.
struct Chosen<'a> {
    node: &'a Node,
    before: BTreeSet<usize>,
    trusted: bool,
}

impl Chosen<'_> {
    fn task(&self) -> Task {
        match self.node.kind {
            Kind::Hand => Task::Gate,
            Kind::Probe => Task::Probe,
            Kind::Command if self.node.confirm => Task::Confirmed,
            Kind::Command | Kind::Build | Kind::Page => Task::Run,
        }
    }
}

/// The cards that have jobs, and those that have none because of a person.
fn chosen(nodes: &[Node], gates: bool) -> (Vec<Chosen<'_>>, Vec<LeftOut>) {
    let mut chosen: Vec<Chosen<'_>> = Vec::new();
    let mut left_out: Vec<LeftOut> = Vec::new();
    // What it means to come after a card: the jobs, and the person's card.
    let mut after: BTreeMap<&Stem, (BTreeSet<usize>, Option<Stem>)> = BTreeMap::new();
    for node in nodes {
        let mut before = BTreeSet::new();
        let mut hand = None;
        for stem in &node.before {
            if let Some((jobs, by_hand)) = after.get(stem) {
                before.extend(jobs);
                hand = hand.or_else(|| by_hand.clone());
            }
        }
        let mut meaning = (before.clone(), hand.clone());
        if !node.is_passed_over() {
            let is_hand = node.kind == Kind::Hand && !gates;
            if hand.is_some() || is_hand {
                left_out.push(LeftOut {
                    stem: node.stem.clone(),
                    behind: hand.clone(),
                });
                meaning.1 = Some(hand.unwrap_or_else(|| node.stem.clone()));
            } else {
                meaning.0 = BTreeSet::from([chosen.len()]);
                let trusted = before.iter().any(|before| chosen[*before].trusted);
                chosen.push(Chosen {
                    trusted: trusted || node.kind == Kind::Command,
                    before,
                    node,
                });
            }
        }
        after.insert(&node.stem, meaning);
    }
    (chosen, left_out)
}

/// What the cards of one job have in common. Its order makes every job come
/// after those that it needs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    level: usize,
    trusted: bool,
    labels: Vec<String>,
    /// A card that is a job of its own.
    alone: Option<usize>,
}

struct Cards<'a> {
    chosen: Vec<Chosen<'a>>,
    reduced: Vec<BTreeSet<usize>>,
}

impl<'a> Cards<'a> {
    fn new(chosen: Vec<Chosen<'a>>) -> Cards<'a> {
        let before: Vec<_> = chosen.iter().map(|card| card.before.clone()).collect();
        Cards {
            reduced: reduce(&before),
            chosen,
        }
    }

    /// The cards of each job, prerequisites first.
    fn grouped(&self, group: Group, config: &CiConfig) -> Vec<Vec<usize>> {
        if group == Group::Card {
            return (0..self.chosen.len()).map(|number| vec![number]).collect();
        }
        let mut levels: Vec<usize> = Vec::new();
        let mut groups: BTreeMap<Key, Vec<usize>> = BTreeMap::new();
        for (number, card) in self.chosen.iter().enumerate() {
            // A chain goes on after each card that has to be waited for.
            let counts = |before: usize| match group {
                Group::Chain => usize::from(self.chosen[before].task() != Task::Run),
                Group::Card | Group::Layer => 1,
            };
            let below = self.reduced[number].iter();
            let level = below.map(|before| levels[*before] + counts(*before)).max();
            let level = level.unwrap_or(0);
            levels.push(level);
            let labels = match group {
                Group::Layer => config.labels(card.node.runner.as_deref()),
                Group::Card | Group::Chain => Vec::new(),
            };
            let key = Key {
                level,
                trusted: card.trusted,
                labels,
                alone: (card.task() != Task::Run).then_some(number),
            };
            groups.entry(key).or_default().push(number);
        }
        // By level, trust and the first card; a job that waits comes after the
        // cards of its own level, which it may need.
        let mut sorted: Vec<(Key, Vec<usize>)> = groups.into_iter().collect();
        sorted.sort_by(|(a, cards), (b, others)| {
            let rank = |key: &Key, cards: &[usize]| {
                let first = cards.first().copied();
                (key.level, key.alone.is_some(), key.trusted, first)
            };
            rank(a, cards).cmp(&rank(b, others))
        });
        sorted.into_iter().map(|(_, cards)| cards).collect()
    }

    fn pipeline(&self, groups: &[Vec<usize>], group: Group, config: &CiConfig) -> Pipeline {
        let mut pipeline = Pipeline::default();
        let mut names = Names::default();
        let mut files = Names::default();
        let mut job_of = vec![0; self.chosen.len()];
        for (job, cards) in groups.iter().enumerate() {
            cards.iter().for_each(|card| job_of[*card] = job);
        }
        let used: BTreeSet<&Stem> = self
            .chosen
            .iter()
            .flat_map(|card| &card.node.uses)
            .collect();
        let before: Vec<BTreeSet<usize>> = groups
            .iter()
            .enumerate()
            .map(|(job, cards)| {
                let before = cards.iter().flat_map(|card| &self.reduced[*card]);
                let before = before.map(|card| job_of[*card]);
                before.filter(|other| *other != job).collect()
            })
            .collect();
        for (cards, needs) in groups.iter().zip(reduce(&before)) {
            let job = self.job(cards, needs, &used, &mut names, config);
            for stem in &job.exports {
                pipeline.files.insert(stem.clone(), files.id(stem.as_str()));
            }
            pipeline.jobs.push(job);
        }
        if group == Group::Chain {
            pipeline.note_machines(&self.chosen, groups, config);
        }
        pipeline
    }

    fn job(
        &self,
        numbers: &[usize],
        needs: BTreeSet<usize>,
        used: &BTreeSet<&Stem>,
        names: &mut Names,
        config: &CiConfig,
    ) -> Job {
        let cards: Vec<&Chosen<'_>> = numbers.iter().map(|number| &self.chosen[*number]).collect();
        let stems: Vec<Stem> = cards.iter().map(|card| card.node.stem.clone()).collect();
        let inside: BTreeSet<&Stem> = stems.iter().collect();
        let outside = |stem: &&Stem| !inside.contains(*stem);
        let read_inside: BTreeSet<&Stem> = cards.iter().flat_map(|card| &card.node.uses).collect();
        // What others read, and what nobody does: that is what was wanted.
        let read_outside = |stem: &Stem| {
            let others = self
                .chosen
                .iter()
                .filter(|card| !inside.contains(&card.node.stem));
            others
                .flat_map(|card| &card.node.uses)
                .any(|used| used == stem)
        };
        let exports = cards
            .iter()
            .filter(|card| card.node.kind == Kind::Build)
            .map(|card| &card.node.stem)
            .filter(|stem| {
                !used.contains(stem) || !read_inside.contains(stem) || read_outside(stem)
            });
        let mut secrets = BTreeMap::new();
        for variable in cards.iter().flat_map(|card| &card.node.variables) {
            if let Some(secret) = config.secrets.get(variable) {
                secrets.insert(variable.clone(), secret.clone());
            }
        }
        let bounds = cards
            .iter()
            .map(|card| card.node.timeout.or(config.default_timeout()));
        let labels = cards
            .iter()
            .map(|card| config.labels(card.node.runner.as_deref()));
        let labels: BTreeSet<Vec<String>> = labels.collect();
        let labels = match labels.len() {
            1 => labels.into_iter().next().unwrap_or_default(),
            _ => config.labels(None),
        };
        let title = match cards.as_slice() {
            [only] => only.node.title.clone(),
            several => {
                let last = several.last().map_or("", |card| card.node.title.as_str());
                format!("{} up to {last}", words::count(several.len(), "card"))
            }
        };
        let named = stems.first().map_or("", Stem::as_str);
        Job {
            id: names.id(named),
            name: names.title(&title, named),
            task: cards.first().map_or(Task::Run, |card| card.task()),
            commands: cards.iter().any(|card| card.node.kind == Kind::Command),
            trusted: cards.iter().any(|card| card.trusted),
            needs,
            imports: read_inside
                .iter()
                .copied()
                .filter(outside)
                .cloned()
                .collect(),
            exports: exports.cloned().collect(),
            labels,
            secrets,
            timeout: bounds.sum(),
            steps: cards
                .iter()
                .flat_map(|card| card.node.steps.clone())
                .collect(),
            cards: stems,
        }
    }
}

impl Pipeline {
    /// Says where the cards of one job want different machines.
    fn note_machines(&mut self, chosen: &[Chosen<'_>], groups: &[Vec<usize>], config: &CiConfig) {
        for (job, cards) in self.jobs.iter().zip(groups) {
            let nodes = cards.iter().map(|card| chosen[*card].node);
            let labels: BTreeSet<_> = nodes.map(|n| config.labels(n.runner.as_deref())).collect();
            if labels.len() > 1 {
                self.notes.push(format!(
                    "the cards of the job `{}` want different machines: it takes the default one",
                    job.name
                ));
            }
        }
    }
}

#[cfg(test)]
mod tests;
