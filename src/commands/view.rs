//! What is known of a project's cards: their work, their last runs, what holds
//! them up. `list`, `ready`, `blocked`, `next`, `show`, `why` and `graph` all
//! ask it, so that they can't disagree. Executes and writes nothing.

use std::cell::{OnceCell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::thread;

use anstyle::Style;

use crate::answer::{BlockedCard, CardObject, Coded, Hold, LastRun};
use crate::card::body::Body;
use crate::card::{Card, Stem};
use crate::chain::State;
use crate::diagnostic::{self, Diagnostic, Severity};
use crate::index::{self, Watched};
use crate::process::capture;
use crate::runner::definition::Kind;
use crate::runner::work::{Runners, Work};
use crate::standing::Standing;
use crate::store::{CardHistory, CardRun, Local};
use crate::timings;

use super::lack::Lack;
use super::selection::Selection;

/// How many lines of a log are shown.
const TAIL: usize = 5;

/// The cards of a project, with what is known of them.
pub(crate) struct View<'a> {
    selection: &'a Selection,
    works: BTreeMap<String, Work>,
    faults: Vec<Diagnostic>,
    /// The first fault of a card's runner.
    faulty: BTreeMap<Stem, String>,
    histories: BTreeMap<String, CardHistory>,
    goals: BTreeSet<Stem>,
    lack: OnceCell<Lack<'a>>,
    /// Logs of which the end was asked for, there or not.
    tails: RefCell<BTreeSet<PathBuf>>,
}

impl<'a> View<'a> {
    /// Looks at all cards of a project.
    pub(crate) fn new(selection: &'a Selection) -> View<'a> {
        let _phase = timings::phase("look at runners").about(selection.deck.cards().len());
        let local = selection.project.root.join(".mikado");
        thread::scope(|scope| {
            // Without records only what was run last is missing.
            let histories = || Local::read(&local).unwrap_or_default();
            let beside = thread::Builder::new().spawn_scoped(scope, histories);
            let view = View::without_histories(selection);
            let histories = match beside.map(thread::ScopedJoinHandle::join) {
                Ok(Ok(read)) => read,
                Ok(Err(panic)) => std::panic::resume_unwind(panic),
                Err(_) => histories(),
            };
            View { histories, ..view }
        })
    }

    fn without_histories(selection: &'a Selection) -> View<'a> {
        let project = &selection.project;
        let mut runners = Runners::new(&project.root, &project.runners_dir);
        let headings = project.config.headings();
        let mut works = BTreeMap::new();
        let mut faults: Vec<Diagnostic> = Vec::new();
        let mut faulty = BTreeMap::new();
        for card in selection.deck.cards() {
            match runners.work(card, &headings) {
                Ok(work) => drop(works.insert(card.stem.to_string(), work)),
                Err(found) => {
                    if let Some(first) = found.first() {
                        faulty.insert(card.stem.clone(), first.message.clone());
                    }
                    faults.extend(found);
                }
            }
        }
        View {
            goals: selection.chain.goals().into_iter().collect(),
            histories: BTreeMap::new(),
            selection,
            works,
            faults,
            faulty,
            lack: OnceCell::new(),
            tails: RefCell::default(),
        }
    }

    /// The cards that it looks at.
    pub(crate) fn selection(&self) -> &Selection {
        self.selection
    }

    /// Adds what it knows from elsewhere than from cards, runners and settings.
    pub(crate) fn watch(&self, watched: &Watched) {
        let root = &self.selection.project.root;
        let local = root.join(".mikado");
        watched.add(local.join("records.jsonl"), index::Kind::Entry);
        for log in self.tails.borrow().iter() {
            watched.add(log, index::Kind::Target);
        }
        if let Some(lack) = self.lack.get() {
            lack.watch(watched);
        }
    }

    /// All findings, sorted.
    pub(crate) fn findings(&self) -> Vec<Diagnostic> {
        let deck = self.selection.deck.findings();
        let chain = self.selection.chain.findings();
        let all = deck.chain(chain).chain(&self.faults).cloned();
        let mut all = diagnostic::once(all.collect());
        diagnostic::sort(&mut all);
        all
    }

    /// How many findings are errors, and how many there are.
    pub(crate) fn fault_counts(findings: &[Diagnostic]) -> (usize, usize) {
        let is_error = |finding: &&Diagnostic| finding.severity == Severity::Error;
        (findings.iter().filter(is_error).count(), findings.len())
    }

    /// The kind of work of a card; `None` where its runner is at fault.
    pub(crate) fn kind_of(&self, stem: &Stem) -> Option<Kind> {
        let is_unreadable = self.state(stem) == State::Unreadable;
        let work = self.works.get(stem.as_str());
        work.filter(|_| !is_unreadable).map(|work| work.kind)
    }

    /// The work of a card.
    pub(crate) fn work_of(&self, stem: &Stem) -> Option<&Work> {
        self.works.get(stem.as_str())
    }

    /// The state of a card.
    pub(crate) fn state(&self, stem: &Stem) -> State {
        self.selection.chain.state(stem)
    }

    /// Whether a card is a goal.
    pub(crate) fn is_goal(&self, stem: &Stem) -> bool {
        self.goals.contains(stem)
    }

    /// The title of a card.
    pub(crate) fn title(&self, stem: &Stem) -> String {
        let files = self.selection.deck.files(stem.as_str());
        files.first().map(|card| card.title()).unwrap_or_default()
    }

    /// What a card's text says.
    pub(crate) fn body(&self, stem: &Stem) -> Body {
        let card = self.selection.deck.card(stem);
        card.map(|card| card.body(&self.selection.project.config.headings()))
            .unwrap_or_default()
    }

    /// What a person does for a card, from its text.
    pub(crate) fn steps_of(&self, stem: &Stem) -> Vec<String> {
        let steps = self.body(stem).steps;
        steps.into_iter().map(|item| item.text).collect()
    }

    /// The last run of a card in this work tree, as recorded.
    pub(crate) fn last_run(&self, stem: &Stem) -> Option<&CardRun> {
        self.histories.get(stem.as_str())?.last()
    }

    /// The last run of a card, as programs see it.
    pub(crate) fn last_run_object(&self, stem: &Stem) -> Option<LastRun> {
        let run = self.last_run(stem)?;
        let tail = match run.failed {
            Some(_) => self.tail(stem),
            None => Vec::new(),
        };
        let root = &self.selection.project.root;
        let log = run.log.as_ref();
        let log = log.map(|log| log.strip_prefix(root).unwrap_or(log).to_owned());
        Some(LastRun::new(run, log, tail))
    }

    /// The last lines of a card's log.
    pub(crate) fn tail(&self, stem: &Stem) -> Vec<String> {
        let logs = self.selection.project.root.join(".mikado/logs");
        let log = logs.join(format!("{stem}.log"));
        let tail = capture::tail(&log, TAIL);
        self.tails.borrow_mut().insert(log);
        tail
    }

    /// Why a ready card can't go on here.
    pub(crate) fn stuck(&self, stem: &Stem) -> Option<Coded> {
        if self.state(stem) != State::Ready {
            return None;
        }
        if let Some(message) = self.faulty.get(stem) {
            return Some(Coded::new("runner", message.clone()));
        }
        let work = self.work_of(stem)?;
        if matches!(work.kind, Kind::Hand | Kind::Page) {
            return None;
        }
        let card = self.selection.deck.card(stem)?;
        let lack = self.lack.get_or_init(|| Lack::new(self.selection));
        if let Some(lacking) = lack.of(card, work) {
            return Some(lacking);
        }
        let failed = self.last_run(stem)?.failed.clone()?;
        Some(Coded::new("failed", failed))
    }

    /// What a ready card waits for.
    pub(crate) fn waits(&self, stem: &Stem) -> Option<Coded> {
        if self.state(stem) != State::Ready || self.stuck(stem).is_some() {
            return None;
        }
        match self.kind_of(stem)? {
            Kind::Hand => Some(Coded::new("hand", "to be done by hand")),
            Kind::Probe => Some(Coded::new("probe", "its probe is not true yet")),
            _ => None,
        }
    }

    /// Whether a card is done by hand for want of a runner.
    pub(crate) fn can_be_run(&self, stem: &Stem) -> bool {
        let work = self.work_of(stem);
        work.is_some_and(|work| work.kind == Kind::Hand && !work.human)
    }

    /// What holds a ready card up.
    pub(crate) fn hold(&self, stem: &Stem) -> Hold {
        match (self.stuck(stem), self.kind_of(stem)) {
            (Some(_), _) => Hold::Stuck,
            (None, Some(Kind::Probe)) => Hold::Waiting,
            (None, Some(Kind::Hand)) => Hold::Hand,
            (None, _) => Hold::Ready,
        }
    }

    /// The word for a card's state in lists and pictures: `stuck` and `page`
    /// are told apart.
    pub(crate) fn word(&self, card: &Card) -> &'static str {
        match self.state(&card.stem) {
            State::Complete if card.page => "page",
            State::Ready if self.stuck(&card.stem).is_some() => "stuck",
            state => state.word(),
        }
    }

    /// How a card stands.
    pub(crate) fn standing(&self, stem: &Stem) -> Standing {
        // What somebody does by hand can be worked on: it is ready.
        let waits = self.kind_of(stem) == Some(Kind::Probe);
        Standing::new(self.state(stem), self.stuck(stem).is_some(), waits)
    }

    /// The style of [`View::word`], which calls ready what waits as well.
    pub(crate) fn style(&self, stem: &Stem) -> Style {
        Standing::new(self.state(stem), self.stuck(stem).is_some(), false).style()
    }

    /// The open cards that wait for `stem`, directly or not, sorted.
    pub(crate) fn frees(&self, stem: &Stem) -> Vec<Stem> {
        let chain = &self.selection.chain;
        let mut waiting: BTreeSet<Stem> = BTreeSet::new();
        let mut pending = vec![stem.clone()];
        while let Some(next) = pending.pop() {
            for above in chain.dependents(&next) {
                if chain.state(&above) == State::Blocked && waiting.insert(above.clone()) {
                    pending.push(above);
                }
            }
        }
        waiting.into_iter().collect()
    }

    /// What blocks a blocked card.
    pub(crate) fn blocked(&self, stem: &Stem) -> BlockedCard {
        let chain = &self.selection.chain;
        BlockedCard {
            stem: stem.clone(),
            blocked_by: chain.blocked_by(stem),
            unknown: chain.unknown(stem).to_vec(),
            leaves: chain.leaves(stem),
            faults: chain.faults_below(stem),
        }
    }

    /// A card as programs see it.
    pub(crate) fn card_object(&self, card: &Card) -> CardObject {
        let chain = &self.selection.chain;
        let stem = &card.stem;
        let state = chain.state(stem);
        let leaves = match state {
            State::Blocked => chain.leaves(stem),
            _ => Vec::new(),
        };
        CardObject {
            stem: stem.clone(),
            title: card.title(),
            path: card.path().to_owned(),
            page: card.page,
            status: card.status().map(str::to_owned),
            branch: card.branch().map(str::to_owned),
            kind: self.kind_of(stem),
            state,
            goal: self.is_goal(stem),
            requires: card.requires().iter().map(|r| r.text.clone()).collect(),
            required_by: chain.dependents(stem),
            blocked_by: chain.blocked_by(stem),
            unknown: chain.unknown(stem).to_vec(),
            leaves,
            runner: self.work_of(stem).and_then(|work| work.runner.clone()),
            waits: self.waits(stem),
            stuck: self.stuck(stem),
            last_run: self.last_run_object(stem),
        }
    }
}
