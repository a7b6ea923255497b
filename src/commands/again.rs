//! `mikado run` of the same words as before: from the index of that run, before
//! anything else is read or started.
//!
//! Where nothing differs, that is told and all is done. Where what differs
//! concerns some cards alone, only they and what comes after them are looked at.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::card::{Card, Source, Stem};
use crate::cli::{Context, terminal_columns};
use crate::diagnostic::Paint;
use crate::digest::Digest;
use crate::index::{Index, Member, Request, Told, Verdict};
use crate::plan::{Plan, PlannedCard};
use crate::report::folded::Folded;
use crate::report::{PlainReport, Report, Summary};
use crate::runner::work::{self, Overrides, Runners};
use crate::timings;

use super::run::RunArgs;
use super::selection::Selection;

/// What the index of an earlier run of the same words shows.
pub(crate) enum Look {
    /// Nothing is to be done, and that was told; the exit code.
    Told(u8),
    /// Some cards have to be looked at.
    Partial(Arc<Partial>),
}

/// An earlier run of the same words, of which only some cards have to be looked
/// at.
#[derive(Debug)]
pub(crate) struct Partial {
    pub(super) request: Request,
    pub(super) index: Index,
    pub(super) told: Told,
    pub(super) members: Vec<Member>,
    /// The cards of which something differs, and what comes after them.
    pub(super) cards: BTreeSet<u32>,
    /// Those whose artifact in the store differs.
    pub(super) changed_trees: BTreeSet<u32>,
    /// A moment before anything was looked at, in nanoseconds since 1970.
    began_ns: i64,
    numbers: BTreeMap<String, u32>,
}

/// Looks whether an earlier run of the same words left anything to do; `None`
/// where it has to be found out.
pub(crate) fn look(arguments: &[OsString]) -> Option<Look> {
    let began = Instant::now();
    if !arguments.iter().any(|word| word == "run") {
        return None;
    }
    let began_ns = now_ns();
    let phase = timings::phase("read index");
    let request = Request::of(arguments)?;
    let index = Index::open(&request)?;
    let told = index.told()?;
    drop(phase);
    let is_same = |(name, digest): (&String, &Option<Digest>)| value_of(name) == *digest;
    if !told.variables.iter().all(is_same) {
        return None;
    }
    match index.verdict() {
        Verdict::Same => {
            // A closed pipe ends the talk, as in a run.
            drop(tell(&index, told, began));
            Some(Look::Told(0))
        }
        Verdict::Cards(changed) => {
            let members = index.members()?;
            let cards = with_dependents(&members, changed.cards);
            let numbers = cards.iter().filter_map(|number| {
                let member = members.get(usize::try_from(*number).ok()?)?;
                Some((member.stem.clone(), *number))
            });
            Some(Look::Partial(Arc::new(Partial {
                numbers: numbers.collect(),
                request,
                told,
                members,
                cards,
                changed_trees: changed.trees,
                began_ns,
                index,
            })))
        }
        Verdict::Differs => None,
    }
}

/// These cards and all that come after them: a card comes before those that it
/// blocks.
fn with_dependents(members: &[Member], changed: BTreeSet<u32>) -> BTreeSet<u32> {
    let mut cards = changed;
    for (number, member) in (0..).zip(members) {
        if member.before.iter().any(|before| cards.contains(before)) {
            cards.insert(number);
        }
    }
    cards
}

/// Nanoseconds since 1970.
pub(super) fn now_ns() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| i64::try_from(since.as_nanos()).unwrap_or(0))
}

pub(super) fn value_of(name: &str) -> Option<Digest> {
    std::env::var_os(name).map(|value| Digest::of(value.as_encoded_bytes()))
}

impl Partial {
    /// The number of a card that is looked at.
    pub(super) fn number(&self, stem: &Stem) -> Option<u32> {
        self.numbers.get(stem.as_str()).copied()
    }

    /// The cards that are not looked at, in order: the stem, and whether it is a
    /// build.
    pub(super) fn others(&self) -> impl Iterator<Item = (&std::ffi::OsStr, bool)> {
        let cards = (0..).zip(self.index.cards());
        cards.filter_map(|(number, card)| (!self.cards.contains(&number)).then_some(card))
    }

    /// The checks that are shown of those: the card, the check, what it printed.
    pub(super) fn shown_of_others(&self) -> impl Iterator<Item = (Stem, String, Vec<u8>)> {
        let shown = self.told.shown.iter();
        let others = shown.filter(|(card, ..)| !self.numbers.contains_key(card));
        others.map(|(card, check, output)| (Stem::new(card), check.clone(), output.clone()))
    }

    /// How many those are.
    pub(super) fn count_of_others(&self) -> usize {
        self.index.count() - self.cards.len()
    }

    /// The cards to look at, read; their plan; and the artifacts of the others.
    /// `None` where that is not enough for what is asked.
    pub(super) fn read(
        &self,
        args: &RunArgs,
        context: &Context,
    ) -> Option<(Selection, Plan, BTreeMap<Stem, Digest>)> {
        if !args.selection.given.with.is_empty() || !args.yes.is_empty() {
            return None;
        }
        let _phase = timings::phase("read changed cards").about(self.cards.len());
        let member = |number: u32| self.members.get(usize::try_from(number).ok()?);
        let looked_at = || self.cards.iter().filter_map(|number| member(*number));
        let known = (self.told.removes, self.began_ns);
        let selection = Selection::of_some(&args.selection, context, known, |root| {
            let read = |member: &Member| {
                let bytes = std::fs::read(root.join(&member.path)).ok()?;
                let source = Source::new(member.path.clone(), bytes);
                Some(Card::read(Stem::new(&member.stem), source))
            };
            looked_at().map(read).collect()
        })?;
        let mut runners = Runners::new(&selection.project.root, &selection.project.runners_dir);
        let overrides = Overrides {
            project: selection.project.config.with.clone(),
            ..Overrides::default()
        };
        let mut cards = Vec::new();
        let mut given = BTreeMap::new();
        for of_run in looked_at() {
            let stem = Stem::new(&of_run.stem);
            let card = selection.deck.card(&stem)?;
            let work = runners.work(card, selection.headings()).ok()?;
            let mut uses = Vec::new();
            for (role, number) in &of_run.uses {
                let used = member(*number)?;
                let stem = Stem::new(&used.stem);
                if !self.cards.contains(number) {
                    given.insert(stem.clone(), used.artifact?);
                }
                uses.push((role.clone(), stem));
            }
            let before = of_run.before.iter();
            let before = before.map(|number| Some(Stem::new(&member(*number)?.stem)));
            cards.push(PlannedCard {
                title: card.title(),
                open: card.is_open(),
                asked: of_run.asked,
                parameters: work::parameters(card, &work, &overrides).ok()?,
                uses,
                before: before.collect::<Option<BTreeSet<Stem>>>()?,
                // Only builds have anything that differs beside their own file.
                steps: Vec::new(),
                work,
                stem,
            });
        }
        Some((selection, Plan::new(cards), given))
    }
}

fn tell(index: &Index, told: Told, began: Instant) -> io::Result<()> {
    let _phase = timings::phase("tell").about(index.count());
    let columns = terminal_columns(io::stdout());
    let colour = told.colour.unwrap_or_else(|| {
        io::stdout().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
    });
    let out = Box::new(Folded::new(io::stdout().lock(), columns));
    let mut report = PlainReport::new(out, Paint(colour), false, false);
    report.fresh(&mut index.cards())?;
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
