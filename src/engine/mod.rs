//! The engine: the only event loop.
//!
//! It owns the schedule, runs what may start, emits events, and makes results
//! durable in groups: a finished action is known to this run at once, recorded
//! when its group is flushed, and its card is marked after that. Dependents may
//! start before; if the flush fails, neither they nor it are recorded. It
//! prints nothing and decides nothing about cards: the plan says what to do.

pub(crate) mod absent;
mod ahead;
pub(crate) mod audit;
mod beside;
mod build;
mod checks;
mod compare;
pub(crate) mod confine;
mod denial;
pub(crate) mod describe;
mod difference;
mod direct;
mod durable;
mod elsewhere;
pub(crate) mod fault;
mod kept;
mod locks;
pub(crate) mod order;
mod output;
mod perform;
mod retry;
pub(crate) mod scene;
mod shared;
mod signals;
mod stage;
mod step_clock;
mod straight;
pub(crate) mod surroundings;
mod telling;
mod twice;
pub(crate) mod undeclared;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::future::poll_fn;
use std::path::PathBuf;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tokio::sync::{OnceCell, Semaphore, mpsc, watch};
use tokio::task::JoinSet;

use crate::card::Stem;
use crate::digest::Digest;
use crate::error::{Error, Exit};
use crate::event::{Event, Failure, How, Outcome};
use crate::plan::{Plan, PlannedCard};
use crate::process::Keeper;
use crate::remote::Made;
use crate::runner::definition::Kind;
use crate::runner::units;
use crate::schedule::{Ended, Limits, Number, Schedule, Weight};
use crate::store::{ActionLock, CardRun, StoreError};
use crate::timings;
use crate::workspace::Workspace;

pub use compare::Compared;

use ahead::Ahead;
use durable::GROUP;
use fault::Obstacle;
use signals::Signals;

/// How a run is to be done.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Jobs at once.
    pub jobs: usize,
    /// Go on after a failure.
    pub keep_going: bool,
    /// Execute the cards asked for although they are fresh.
    pub force: bool,
    /// Mark cards complete.
    pub mark: bool,
    /// Use empty caches.
    pub no_caches: bool,
    /// The cards whose question is answered with yes.
    pub yes: BTreeSet<Stem>,
    /// From SIGTERM to SIGKILL.
    pub grace: Duration,
    /// Bytes of memory that the running cards may ask for together.
    pub memory: u64,
    /// Try the checks of the cards alone.
    pub verify: bool,
    /// Artifacts of cards that are used and are no part of this run, where they
    /// are known to be today's.
    pub given: BTreeMap<Stem, Digest>,
    /// Execute the builds asked for twice and compare what comes out.
    pub twice: bool,
    /// Compare the builds asked for with what the shared cache has of them.
    pub compare: bool,
    /// Tell what was printed when a result that is found was made.
    pub replay: bool,
}

/// Marks cards complete; what came of each, in their order. It is called beside
/// the event loop.
pub type Mark = Arc<dyn Fn(&[Stem]) -> Result<Vec<Marked>, Error> + Send + Sync>;

/// What came of marking a card.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Marked {
    /// It was written.
    Now,
    /// It is complete already.
    Before,
    /// It can't be, since somebody changed it meanwhile; why.
    Refused(String),
}

/// Takes events.
pub type Listener<'a> = dyn FnMut(&Event) + 'a;

/// A group that becomes durable.
type Settling<'a> = Pin<Box<dyn Future<Output = Result<(), Error>> + 'a>>;

/// One run.
pub struct Engine {
    workspace: Arc<Workspace>,
    options: Options,
    events: mpsc::UnboundedSender<Event>,
    keeper: OnceCell<Keeper>,
    cancelled: watch::Sender<bool>,
    /// Artifacts of the cards that are done.
    artifacts: RefCell<BTreeMap<Stem, Digest>>,
    /// The cards of the run, where artifacts may be known by name alone.
    planned: RefCell<BTreeMap<Stem, Arc<PlannedCard>>>,
    /// Artifacts in whose place another one came out when they were made again.
    replaced: RefCell<BTreeSet<Digest>>,
    /// The actions of the fetches of cards, by name.
    fetches: RefCell<BTreeMap<Stem, BTreeMap<String, Digest>>>,
    /// Cards that were announced.
    told: RefCell<BTreeSet<Stem>>,
    /// Cards whose log was begun.
    begun: RefCell<BTreeSet<Stem>>,
    /// Cards whose tools are there.
    provided: RefCell<BTreeSet<Stem>>,
    /// Checks to be shown at the end.
    shown: RefCell<Vec<(Stem, String, String)>>,
    /// Locks of actions that are not durable yet.
    held: RefCell<Vec<ActionLock>>,
    /// What was executed and is to be uploaded once it is durable.
    made: RefCell<Vec<Made>>,
    /// Whether the shared cache was asked for something.
    lacked: Cell<bool>,
    /// What was compared with the shared cache.
    comparisons: RefCell<Vec<Compared>>,
    /// Cards that are done and not durable yet.
    pending: RefCell<Vec<(Arc<PlannedCard>, Finished)>>,
    pending_since: Cell<Option<Instant>>,
    names: Cell<u64>,
    /// Emptied roots, to be used again.
    emptied: RefCell<Vec<(PathBuf, kept::Kept)>>,
    /// Whether what is left of a root can be told from what was changed.
    tells_changes: std::cell::OnceCell<bool>,
    /// The real path of the folder of actions' roots.
    roots: std::cell::OnceCell<Option<PathBuf>>,
    /// Whether it was said that builds are not confined as they should be.
    told_open: Cell<bool>,
    /// Whether it was said that a root is not at its fixed place.
    told_fixed: Cell<bool>,
    /// Whether it was said that what is not executed elsewhere is executed here.
    told_fallback: Cell<bool>,
    /// Who executes something here for a card that has no job here.
    turns: Semaphore,
}

/// A card that is done, as far as can be told before it is durable.
#[derive(Debug)]
struct Finished {
    outcome: Outcome,
    /// What to remember of it.
    run: Option<CardRun>,
    /// Its artifact.
    link: Option<Digest>,
    /// Whether it may be marked.
    mark: bool,
}

/// A check that passed.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct CheckRecord {
    took_ms: u64,
    output: String,
}

/// What a run came to.
#[derive(Debug)]
pub struct Report {
    /// The exit code.
    pub exit: Exit,
    /// How each card of the plan ended, by its number.
    pub outcomes: Vec<Outcome>,
    /// What was compared with the shared cache.
    pub compared: Vec<Compared>,
}

impl Engine {
    /// Runs `plan`.
    ///
    /// # Errors
    ///
    /// Where the store or the disk gives out; what was recorded before stays.
    pub fn run(
        workspace: Arc<Workspace>,
        plan: &Plan,
        options: Options,
        mark: &Mark,
        listener: &mut Listener<'_>,
    ) -> Result<Report, Error> {
        let _phase = timings::phase("run").about(plan.cards.len());
        let runtime = runtime()?;
        let (engine, received) = Engine::new(workspace, options);
        let engine = Rc::new(engine);
        if engine.workspace.store.is_writable() {
            // From here on no collection takes what this run looks up. On a full
            // disk a run that finds everything needs no such folder.
            drop(engine.workspace.store.scratch_folder());
        }
        // A process has to try, while the first card is looked up.
        let asked = Arc::clone(&engine.workspace);
        let kernel = runtime.spawn_blocking(move || asked.kernel());
        let local = tokio::task::LocalSet::new();
        let ran = local.block_on(
            &runtime,
            Rc::clone(&engine).drive(plan, mark, listener, received),
        );
        // Its thread has the workspace, whose end deletes the scratch folder.
        drop(runtime.block_on(kernel));
        let new = engine.workspace.local.new_folder();
        engine.workspace.trace.save(&new);
        engine.workspace.store.keep_tables();
        // Nothing blocking is worth waiting for once the run is over.
        runtime.shutdown_background();
        ran
    }

    fn new(
        workspace: Arc<Workspace>,
        options: Options,
    ) -> (Engine, mpsc::UnboundedReceiver<Event>) {
        let (events, received) = mpsc::unbounded_channel();
        let jobs = options.jobs.max(1);
        let engine = Engine {
            workspace,
            artifacts: RefCell::new(options.given.clone()),
            options,
            events,
            keeper: OnceCell::new(),
            cancelled: watch::Sender::new(false),
            planned: RefCell::default(),
            replaced: RefCell::default(),
            fetches: RefCell::default(),
            told: RefCell::default(),
            begun: RefCell::default(),
            provided: RefCell::default(),
            shown: RefCell::default(),
            held: RefCell::default(),
            made: RefCell::default(),
            lacked: Cell::new(false),
            comparisons: RefCell::default(),
            pending: RefCell::default(),
            pending_since: Cell::new(None),
            names: Cell::new(0),
            emptied: RefCell::default(),
            tells_changes: Default::default(),
            roots: Default::default(),
            told_open: Cell::new(false),
            told_fixed: Cell::new(false),
            told_fallback: Cell::new(false),
            turns: Semaphore::new(jobs),
        };
        (engine, received)
    }

    async fn drive(
        self: Rc<Self>,
        plan: &Plan,
        mark: &Mark,
        listener: &mut Listener<'_>,
        mut received: mpsc::UnboundedReceiver<Event>,
    ) -> Result<Report, Error> {
        let cards: Vec<Arc<PlannedCard>> = plan.cards.iter().cloned().map(Arc::new).collect();
        if self.workspace.executor.is_some() {
            let named = cards
                .iter()
                .map(|card| (card.stem.clone(), Arc::clone(card)));
            self.planned.borrow_mut().extend(named);
        }
        let mut schedule = self.schedule(plan);
        let mut outcomes: Vec<Option<Outcome>> = vec![None; cards.len()];
        let mut signals = Signals::new()?;
        let mut interrupted: Option<Exit> = None;
        let mut tasks: JoinSet<(Number, Result<Finished, Obstacle>)> = JoinSet::new();
        let mut broken: Option<Error> = None;
        // One group at a time becomes durable, while others are executed.
        let mut settling: Option<Settling<'_>> = None;
        let mut ahead = Ahead::new();
        let mut running: BTreeSet<Number> = BTreeSet::new();
        // When each card ended, from when on its dependents wait for their turn.
        let began = Instant::now();
        let mut ends: Vec<Option<Instant>> = vec![None; cards.len()];
        self.emit(Event::RunStarted {
            cards: cards.len(),
            jobs: self.options.jobs,
        });
        loop {
            ahead.go_on(&self, &cards, &mut schedule);
            while let Some(number) = schedule.start() {
                let engine = Rc::clone(&self);
                let card = Arc::clone(&cards[number]);
                running.insert(number);
                let before = plan.prerequisites[number]
                    .iter()
                    .filter_map(|before| ends[*before]);
                let ready = before.max().unwrap_or(began);
                drop(timings::phase_of(timings::WAIT, &card.stem).since(ready));
                tasks.spawn_local(async move {
                    let _phase = timings::phase_of(timings::CARD, &card.stem);
                    (number, engine.card(&card).await)
                });
            }
            while let Ok(event) = received.try_recv() {
                listener(&event);
            }
            let pending = self.pending.borrow().len();
            let is_idle = tasks.is_empty() && !schedule.holds();
            let is_due = is_idle || pending >= GROUP || self.group_is_old();
            if settling.is_none() && pending > 0 && is_due {
                settling = Some(Box::pin(self.settle(mark)));
            }
            let settles = settling.is_some();
            if is_idle && !settles {
                break;
            }
            let age = self.until_flush();
            tokio::select! {
                Some(done) = tasks.join_next() => {
                    let (number, result) = done.map_err(|e| Error::Bug(e.to_string()))?;
                    running.remove(&number);
                    ends[number] = Some(Instant::now());
                    let (ended, outcome) = self.take(&cards[number], result, &mut broken);
                    if broken.is_some() {
                        schedule.stop();
                        self.cancel(false);
                    }
                    self.emit(Event::CardFinished {
                        card: cards[number].stem.clone(),
                        outcome: outcome.clone(),
                    });
                    outcomes[number] = Some(outcome);
                    // Those that lack it are told of at the end.
                    schedule.finish(number, ended);
                }
                Some(looked) = ahead.tasks.join_next() => {
                    let looked = looked.map_err(|e| Error::Bug(e.to_string()))?;
                    ahead.take(looked, &mut schedule);
                }
                Some(event) = received.recv() => listener(&event),
                exit = signals.next() => {
                    schedule.stop();
                    self.cancel(interrupted.is_some());
                    if interrupted.is_none() {
                        self.tell_of_stopping(exit, running.iter().map(|number| &cards[*number]));
                    }
                    interrupted.get_or_insert(exit);
                }
                settled = poll_fn(|turn| match &mut settling {
                    Some(settling) => settling.as_mut().poll(turn),
                    None => Poll::Pending,
                }), if settles => {
                    settling = None;
                    if let Err(error) = settled {
                        broken.get_or_insert(error);
                        schedule.stop();
                        self.cancel(false);
                    }
                }
                () = tokio::time::sleep(age), if pending > 0 && !settles => {}
            }
        }
        drop(ahead);
        let goes_on = broken.is_none() && interrupted.is_none();
        if let Some(exit) = self.uploaded(&mut signals, goes_on).await {
            interrupted.get_or_insert(exit);
        }
        let outcomes = self.told(&cards, outcomes);
        for (card, check, output) in self.shown.take() {
            let output = output.into_bytes();
            self.emit(Event::CheckShown {
                card,
                check,
                output,
            });
        }
        while let Ok(event) = received.try_recv() {
            listener(&event);
        }
        if let Some(error) = broken {
            return Err(error);
        }
        let exit = interrupted.unwrap_or_else(|| exit_of(&outcomes));
        let mut compared = self.comparisons.take();
        compared.sort_by(|a, b| a.card.cmp(&b.card));
        Ok(Report {
            exit,
            outcomes,
            compared,
        })
    }

    fn schedule(&self, plan: &Plan) -> Schedule {
        let limits = Limits {
            jobs: self.options.jobs,
            remote_jobs: self.remote_jobs(),
            memory: self.options.memory,
            keep_going: self.options.keep_going,
        };
        // In seconds: what differs by less is the machine's noise, and two equal
        // runs are to be equal.
        let cost = |card: &PlannedCard| {
            let expected = self.expected(&card.stem);
            expected
                .map_or(1, |d| d.as_secs_f64().round() as u64)
                .max(1)
        };
        let costs: Vec<u64> = plan.cards.iter().map(cost).collect();
        let cards = plan.cards.iter().zip(plan.groups());
        let weights = cards.map(|(card, group)| Weight {
            group,
            elsewhere: self.goes_elsewhere(card),
            ..self.weight(card)
        });
        let weights = weights.collect();
        Schedule::new(&plan.prerequisites, &costs, weights, limits)
    }

    fn weight(&self, card: &PlannedCard) -> Weight {
        let resources = &card.work.definition.resources;
        let text = |text: &Option<String>| {
            let text = text.as_deref()?;
            card.parameters.expand(text).ok()
        };
        Weight {
            jobs: text(&resources.jobs)
                .and_then(|jobs| jobs.parse().ok())
                .unwrap_or(1)
                .max(1),
            memory: text(&resources.memory)
                .and_then(|m| units::size(&m))
                .unwrap_or(0),
            ..Weight::default()
        }
    }

    /// Does what `card` asks for.
    async fn card(&self, card: &Arc<PlannedCard>) -> Result<Finished, Obstacle> {
        if !card.work.definition.platform.is_empty() {
            let here = crate::workspace::platform_name();
            if !card.work.definition.platform.contains(&here) {
                let wanted = crate::words::list(&card.work.definition.platform);
                return Err(Obstacle::stuck(
                    format!("its runner works on {wanted}, and this is `{here}`"),
                    "run it on such a machine, or take its artifact from a shared store",
                ));
            }
        }
        if self.options.verify {
            return self.verify(card).await;
        }
        if self.is_repeated(card) {
            return self.twice(card).await;
        }
        if self.options.compare && card.asked {
            return self.compared(card).await;
        }
        match card.work.kind {
            Kind::Page => Ok(Finished::passed(How::PassedOver, card)),
            Kind::Hand => self.hand(card),
            Kind::Probe => self.probe(card).await,
            Kind::Command => self.command(card).await,
            Kind::Build => self.build(card).await,
        }
    }

    /// What the end of a card means for the run.
    fn take(
        &self,
        card: &Arc<PlannedCard>,
        result: Result<Finished, Obstacle>,
        broken: &mut Option<Error>,
    ) -> (Ended, Outcome) {
        match result {
            Ok(finished) => {
                let outcome = finished.outcome.clone();
                self.pending.borrow_mut().push((Arc::clone(card), finished));
                self.touch();
                (Ended::Satisfied, outcome)
            }
            Err(Obstacle::Failed(failure)) => {
                // What is only looked at leaves no record.
                if !self.options.verify && !self.is_repeated(card) {
                    self.remember_failure(card, &failure);
                }
                (Ended::Failed, Outcome::Failed(*failure))
            }
            Err(Obstacle::Lacks(artifacts)) => {
                let lost = Obstacle::lost(&artifacts);
                self.take(card, Err(lost), broken)
            }
            Err(Obstacle::Waits(wait)) => (Ended::Waits, Outcome::Waits(*wait)),
            Err(Obstacle::Cancelled) => (Ended::Failed, Outcome::NotStarted { lacks: vec![] }),
            Err(Obstacle::Store(error)) => {
                broken.get_or_insert(store_error(&error));
                (Ended::Failed, Outcome::NotStarted { lacks: vec![] })
            }
        }
    }

    fn remember_failure(&self, card: &PlannedCard, failure: &Failure) {
        let run = CardRun {
            stem: card.stem.to_string(),
            started_ms: self.started_ms(Instant::now()),
            exit: failure.exit.unwrap_or(-1),
            log: failure.log.clone(),
            failed: Some(failure.message.clone()),
            ..CardRun::default()
        };
        // A failure that can't be remembered is still told of.
        drop(self.workspace.local.add(&run));
    }

    /// Tells of the cards that were not started, in the order of the plan.
    fn told(&self, cards: &[Arc<PlannedCard>], outcomes: Vec<Option<Outcome>>) -> Vec<Outcome> {
        let done: BTreeSet<&Stem> = cards
            .iter()
            .zip(&outcomes)
            .filter(|(_, outcome)| matches!(outcome, Some(Outcome::Passed { .. })))
            .map(|(card, _)| &card.stem)
            .collect();
        let known: BTreeSet<&Stem> = cards.iter().map(|card| &card.stem).collect();
        let mut all = Vec::new();
        for (card, outcome) in cards.iter().zip(&outcomes) {
            let outcome = outcome.clone().unwrap_or_else(|| {
                let lacks: Vec<Stem> = card
                    .before
                    .iter()
                    .filter(|stem| known.contains(stem) && !done.contains(stem))
                    .cloned()
                    .collect();
                let outcome = Outcome::NotStarted { lacks };
                self.emit(Event::CardFinished {
                    card: card.stem.clone(),
                    outcome: outcome.clone(),
                });
                outcome
            });
            all.push(outcome);
        }
        all
    }

    fn emit(&self, event: Event) {
        // The loop that listens ends last.
        drop(self.events.send(event));
    }

    fn link_points_to(&self, stem: &Stem, artifact: &Digest) -> bool {
        let link = self.workspace.local.link_path(stem.as_str());
        let tree = self.workspace.store.path_of_tree(artifact);
        link.canonicalize()
            .ok()
            .is_some_and(|at| tree.canonicalize().ok() == Some(at))
    }

    /// Whether `run` says something that the last success does not.
    fn is_news(&self, run: &CardRun) -> bool {
        let history = self.workspace.local.history(&run.stem);
        !history.last().is_some_and(|last| {
            last.failed.is_none()
                && last.action == run.action
                && last.artifact == run.artifact
                && last.checks == run.checks
                && last.needs == run.needs
                && last.fetches == run.fetches
        })
    }

    fn fresh_name(&self) -> String {
        let number = self.names.get();
        self.names.set(number + 1);
        // One length, so that tools that bake in their folder are no less alike.
        format!("action-{number:08}")
    }

    async fn keeper(&self) -> Result<&Keeper, Obstacle> {
        let start = || async { Keeper::start() };
        self.keeper.get_or_try_init(start).await.map_err(|error| {
            let message = format!("could not start the keeper of processes: {error}");
            Obstacle::failed(
                "keeper",
                message,
                "raise the limits of processes or open files",
            )
        })
    }

    fn cancel(&self, immediately: bool) {
        self.cancelled.send_replace(true);
        // pip, npm and git, which tools and sources come through.
        self.workspace.user.stop().stop();
        if let Some(keeper) = self.keeper.get() {
            keeper.cancel_all(immediately);
        }
    }

    /// Ends when the run is cancelled.
    async fn cancelled(&self) {
        let mut cancelled = self.cancelled.subscribe();
        // The sender lives as long as this does.
        drop(cancelled.wait_for(|cancelled| *cancelled).await);
    }
}

impl Finished {
    fn passed(how: How, card: &PlannedCard) -> Finished {
        Finished {
            outcome: Outcome::Passed {
                how,
                artifact: None,
                took: Duration::ZERO,
                was_complete: !card.open,
                not_cached: None,
            },
            run: None,
            link: None,
            mark: false,
        }
    }
}

fn runtime() -> Result<tokio::runtime::Runtime, Error> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::Bug(format!("no runtime: {error}")))
}

fn exit_of(outcomes: &[Outcome]) -> Exit {
    let any = |wanted: fn(&Outcome) -> bool| outcomes.iter().any(wanted);
    if any(|outcome| matches!(outcome, Outcome::Failed(_))) {
        Exit::Failed
    } else if any(|outcome| !matches!(outcome, Outcome::Passed { .. })) {
        Exit::Waits
    } else {
        Exit::Done
    }
}

/// A fault of the store as an error of a command.
pub(crate) fn store_error(error: &StoreError) -> Error {
    Error::Store {
        message: error.to_string(),
        help: error.help().to_owned(),
    }
}
