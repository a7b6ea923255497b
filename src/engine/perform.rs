//! Performs one action: finds its result, or executes it.
//!
//! One process at a time executes an action (a lock by its key); who waits for
//! it finds the result afterwards. A result is put into the store before it is
//! used, and made durable by the engine's next flush.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::card::Stem;
use crate::digest::Digest;
use crate::event::{Event, Failure};
use crate::fail_point;
use crate::process::{Execution, Exit, Isolation, Outcome, capture};
use crate::reapi::{ActionResult, ExecutedActionMetadata, Timestamp};
use crate::runner::definition::Retries;
use crate::runner::units;
use crate::store::{Provenance, StoreError, nar_hash};
use crate::timings;

use super::Engine;
use super::absent::looked_up;
use super::confine;
use super::denial::Reach;
use super::fault::Obstacle;
use super::kept::{Kept, Laid, tells_changes_apart};
use super::order::{Order, Part, Performed, Terms};
use super::step_clock::{Look, StepClock};
use super::surroundings::Surroundings;
use super::{retry, stage, straight};

/// How many lines of a log are shown of a failure.
const TAIL: usize = 20;

/// How often the driver's progress is looked at.
const TICK: Duration = Duration::from_millis(200);

/// Gives the key of an order as its inputs are now: blocking code.
pub(super) type Again = Arc<dyn Fn() -> Result<Digest, Obstacle> + Send + Sync>;

impl Engine {
    /// Executes `order` for `card`, unless another process did so meanwhile.
    ///
    /// `again` gives the key as the inputs are after the execution: where it is
    /// another one, they moved meanwhile, and the result is not recorded.
    pub(super) async fn perform(
        &self,
        card: &Stem,
        order: &Arc<Order>,
        terms: Terms,
        again: Again,
    ) -> Result<Performed, Obstacle> {
        let phase = timings::phase_of("lock", card);
        let lock = self.lock_action(card, order).await?;
        drop(phase);
        if !terms.forced && order.part_is_cached() {
            let store = Arc::clone(&self.workspace.store);
            let key = order.action.key;
            let local = self.stays_local(order).is_some();
            // What others recorded is known since the lock was had.
            let found = match store.recorded(&key)? {
                Some(_) => blocking(move || looked_up(&store, &key, terms.need)).await??,
                None => None,
            };
            if let Some(found) = found.filter(|found| found.suits(local)) {
                return Ok(Performed {
                    artifact: found.artifact,
                    executed: false,
                    moved: false,
                    took: Duration::from_millis(found.provenance.took_ms),
                    worker: None,
                    output: None,
                });
            }
        }
        let _group = match &order.group {
            Some(group) => Some(self.lock_group(card, group).await?),
            None => None,
        };
        let started_at = jiff::Timestamp::now();
        let attempt = async || match self.executor_for(order) {
            Some(executor) => {
                self.attempt_elsewhere(executor, card, order, terms, &again)
                    .await
            }
            None => self.attempt(card, order, &again).await,
        };
        let performed = self.tried(card, &order.retries, attempt).await?;
        if !order.part_is_cached() {
            return Ok(performed);
        }
        if !performed.moved {
            self.record(card, order, &performed, started_at)?;
            // The lock is held until the result is durable: who waits for it
            // must find it, in the store's files.
            self.hold_until_flushed(lock);
        }
        Ok(performed)
    }

    fn record(
        &self,
        card: &Stem,
        order: &Order,
        performed: &Performed,
        started_at: jiff::Timestamp,
    ) -> Result<(), Obstacle> {
        let _phase = timings::phase_of("record", card);
        let store = &self.workspace.store;
        for (_, bytes) in &order.action.blobs {
            store.put_blob(bytes)?;
        }
        let output = performed.kept_output();
        let log = match output.is_empty() {
            true => None,
            false => Some(store.put_blob(&output)?),
        };
        let provenance = Provenance {
            log,
            ..self.provenance(card, order, performed, started_at)
        };
        let result = result(&performed.artifact, started_at);
        store.record(&order.action.key, &result, &provenance)?;
        // Another server could not be given files that are not here.
        if !self.workspace.has_files(&performed.artifact) {
            self.to_be_skipped();
        } else if !self.is_shared_already(performed) {
            self.to_be_shared(order, || {
                Engine::made_of(order, Some(performed.artifact), output, provenance)
            });
        }
        self.touch();
        Ok(())
    }

    /// Where the result of `order` comes from.
    pub(super) fn provenance(
        &self,
        card: &Stem,
        order: &Order,
        performed: &Performed,
        started_at: jiff::Timestamp,
    ) -> Provenance {
        Provenance {
            card: card.to_string(),
            started_ms: started_at.as_millisecond().try_into().unwrap_or(0),
            took_ms: performed.took.as_millis() as u64,
            commit: self.workspace.commit.clone(),
            host: match &performed.worker {
                Some(worker) => worker.clone(),
                None => self.workspace.host_name.clone(),
            },
            local: self.stays_local(order),
            ..Provenance::default()
        }
    }

    /// Why the result of `order` must not be shared, if it must not.
    pub(super) fn stays_local(&self, order: &Order) -> Option<String> {
        order.stays_local(&self.workspace)
    }

    /// Tries as often as `retries` says, and tells of each failure between.
    pub(super) async fn tried<T>(
        &self,
        card: &Stem,
        retries: &Retries,
        attempt: impl AsyncFn() -> Result<T, Obstacle>,
    ) -> Result<T, Obstacle> {
        let telling = |failure: &Failure, next: u32, of: u32| {
            self.emit(Event::Noted {
                message: format!("`{card}`: {}, attempt {next} of {of}", failure.message),
            });
        };
        retry::tried(retries, attempt, telling, async || self.cancelled().await).await
    }

    pub(super) async fn attempt(
        &self,
        card: &Stem,
        order: &Arc<Order>,
        again: &Again,
    ) -> Result<Performed, Obstacle> {
        let absent = self.absent_from(order);
        if !absent.is_empty() {
            return Err(Obstacle::Lacks(absent));
        }
        let started = Instant::now();
        let store = Arc::clone(&self.workspace.store);
        let scratch = store.scratch_folder()?;
        let (root, kept) = match self.emptied.borrow_mut().pop() {
            Some((root, kept)) => (root, Some(kept)),
            None => (scratch.join(self.fresh_name()), None),
        };
        let root = ClearedFolder(root);
        // What is only looked at leaves the scene of the last run alone.
        let is_run = !self.options.verify;
        if is_run {
            self.forget_scene(card).await?;
        }
        let phase = timings::phase_of("stage", card);
        let moved = order.is_moved(&self.workspace);
        let laid = self.lay_over(&root.0, kept, order, moved).await?;
        let trees = laid.0.clone();
        drop(phase);
        let attempted = self
            .carry_out(card, order, again, &root.0, laid, started)
            .await;
        if let Err(Obstacle::Failed(failure)) = &attempted
            && is_run
        {
            self.keep_scene(card, order, &root.0, trees, &failure.message);
        }
        let (performed, kept) = attempted?;
        if let Some(kept) = kept {
            self.emptied.borrow_mut().push((root.keep(), kept));
        }
        Ok(performed)
    }

    /// Executes what is laid in `root`, and takes what it made.
    async fn carry_out(
        &self,
        card: &Stem,
        order: &Arc<Order>,
        again: &Again,
        root: &Path,
        (trees, laid): (Vec<PathBuf>, Laid),
        started: Instant,
    ) -> Result<(Performed, Option<Kept>), Obstacle> {
        let log = self.log_of(card);
        let (output, from) = open_log(&log)?;
        self.emit(Event::PartStarted {
            card: card.clone(),
            part: order.step_name(1),
        });
        let empty_caches = self.options.no_caches;
        let mut execution = self.execution(order, root, trees, output, empty_caches)?;
        let (isolation, seen_root) = (execution.isolation.clone(), execution.cwd.clone());
        straight::without_driver(&mut execution, order, root, &self.roots);
        let outcome = self.watch(card, order, root, execution).await?;
        if outcome.without_spaces && !self.told_open.replace(true) {
            self.emit(Event::Noted {
                message: "the kernel refused namespaces this time: this build saw the machine's `/tmp` and its sockets".into(),
            });
        }
        let to = log.metadata().map_or(from, |metadata| metadata.len());
        if let Some(failure) = self.failure(order, root, &outcome, &log) {
            return Err(match &isolation {
                Some(isolation) => self.with_denial(failure, order, [root, &seen_root], isolation),
                None => failure,
            });
        }
        if let Some(errno) = outcome.output_error {
            let error = std::io::Error::from_raw_os_error(errno);
            let message = format!("could not write the log: {error}");
            return Err(Obstacle::failed("log", message, "free some space").with_log(log));
        }
        let took = started.elapsed();
        let (artifact, moved, kept) = match order.part {
            Part::Check(..) => (Digest::of(b""), false, None),
            _ => self
                .adopt(card, order, again, root, laid)
                .await
                .map_err(|fault| fault.with_log(log.clone()))?,
        };
        let performed = Performed {
            artifact,
            executed: true,
            moved,
            took,
            worker: None,
            output: Some((log, from..to)),
        };
        Ok((performed, kept))
    }

    /// Lays the root of `order`; `moved` says whether its steps see it at its
    /// fixed place. Returns the trees that it links to.
    pub(super) async fn lay(
        &self,
        root: &Path,
        order: &Arc<Order>,
        moved: bool,
    ) -> Result<Vec<PathBuf>, Obstacle> {
        Ok(self.lay_over(root, None, order, moved).await?.0)
    }

    /// The same in a root of which some is there already.
    async fn lay_over(
        &self,
        root: &Path,
        kept: Option<Kept>,
        order: &Arc<Order>,
        moved: bool,
    ) -> Result<(Vec<PathBuf>, Laid), Obstacle> {
        let store = Arc::clone(&self.workspace.store);
        let (root, order) = (root.to_owned(), Arc::clone(order));
        let laid = blocking(move || {
            let tree = |digest: &Digest| store.path_of_tree(digest);
            let linked = |digest: &Digest| match moved {
                true => Path::new(confine::FIXED_TREES).join(digest.hex()),
                false => store.path_of_tree(digest),
            };
            let inputs = &order.action.root;
            let kept = kept.unwrap_or_default();
            stage::stage_over(&root, kept, inputs, &tree, &linked, &order.host)
        });
        laid.await?
            .map_err(|fault| Obstacle::failed("stage", fault.to_string(), ""))
    }

    pub(super) fn execution(
        &self,
        order: &Order,
        root: &Path,
        trees: Vec<PathBuf>,
        output: OwnedFd,
        empty_caches: bool,
    ) -> Result<Execution, Obstacle> {
        let surroundings = Surroundings::of(order, trees);
        let given = surroundings.given(&self.workspace, root, empty_caches)?;
        Ok(Execution {
            argv: order
                .action
                .command
                .arguments
                .iter()
                .map(Into::into)
                .collect(),
            env: given.env,
            cwd: given.root,
            output,
            isolation: given.isolation,
            secrets: given.secrets,
            timeout: order.timeout,
            grace: self.options.grace,
        })
    }

    /// Runs to its end, telling of each step and ending one that takes too long.
    pub(super) async fn watch(
        &self,
        card: &Stem,
        order: &Order,
        root: &Path,
        execution: Execution,
    ) -> Result<Outcome, Obstacle> {
        let _phase = timings::phase_of("execute", card);
        let keeper = self.keeper().await?;
        let running = keeper.execute(execution).await;
        let stopper = running.stopper();
        let wait = running.wait();
        tokio::pin!(wait);
        let mut clock = StepClock::start();
        loop {
            tokio::select! {
                mut outcome = &mut wait => {
                    if clock.is_over() {
                        outcome.exit = Exit::TimedOut;
                    }
                    return Ok(outcome);
                }
                () = tokio::time::sleep(TICK) => {
                    let number = Order::step_of(root).max(1);
                    let limit = order.steps.get(number - 1).and_then(|step| step.timeout);
                    match clock.look(number, limit) {
                        Look::Same => {}
                        Look::TooLong => stopper.terminate(),
                        Look::Began => self.emit(Event::PartStarted {
                            card: card.clone(),
                            part: order.step_name(number),
                        }),
                    }
                }
            }
        }
    }

    pub(super) fn failure(
        &self,
        order: &Order,
        root: &Path,
        outcome: &Outcome,
        log: &Path,
    ) -> Option<Obstacle> {
        let step = match &order.part {
            Part::Check(..) => order.part.name(),
            _ => format!("`{}`", order.step_name(Order::step_of(root).max(1))),
        };
        let (what, exit) = match &outcome.exit {
            Exit::Code(0) => return None,
            Exit::Code(code) => (format!("{step} exited with {code}"), Some(*code)),
            Exit::Cancelled => return Some(Obstacle::Cancelled),
            Exit::TimedOut => {
                let number = Order::step_of(root).max(1);
                let own = order.steps.get(number - 1).and_then(|step| step.timeout);
                let limit = own.or(order.timeout).unwrap_or_default();
                let limit = units::show_duration(limit);
                (format!("{step} took longer than {limit}"), None)
            }
            Exit::Signal(signal) => (format!("{step} was ended by signal {signal}"), None),
            other => (format!("{step}: {other}"), None),
        };
        // A full disk takes the message of the step with it.
        let help = match outcome.output_error {
            Some(errno) => {
                let error = std::io::Error::from_raw_os_error(errno);
                format!("its log could not be written either ({error}): free some space")
            }
            None => String::new(),
        };
        Some(Obstacle::Failed(Box::new(Failure {
            code: "step",
            message: what,
            help,
            exit,
            log: Some(log.to_owned()),
            tail: last_lines(log),
        })))
    }

    /// Adds what to do, where the step failed because it was confined.
    fn with_denial(
        &self,
        mut failure: Obstacle,
        order: &Order,
        roots: [&Path; 2],
        isolation: &Isolation,
    ) -> Obstacle {
        if let Obstacle::Failed(failure) = &mut failure
            && failure.help.is_empty()
        {
            let home = self.workspace.user.value("HOME").map(PathBuf::from);
            let is_input = |below: &str| {
                let mut laid = order.action.root.iter();
                laid.any(|(path, _)| {
                    let path = path.strip_prefix("work/").map(Path::new);
                    path.is_some_and(|path| path.starts_with(below))
                })
            };
            let reach = Reach {
                part: &order.part,
                repository: &self.workspace.project.root,
                home: home.as_deref(),
                roots,
                isolation,
                sockets: confine::known_sockets(&self.workspace),
                is_input: &is_input,
            };
            failure.help = reach.help(&failure.tail).unwrap_or_default();
        }
        failure
    }

    /// Takes `out/` into the store, once it is what it must be; tells whether an
    /// input moved meanwhile, and what is left of the root to be used again.
    async fn adopt(
        &self,
        card: &Stem,
        order: &Arc<Order>,
        again: &Again,
        root: &Path,
        laid: Laid,
    ) -> Result<(Digest, bool, Option<Kept>), Obstacle> {
        let _phase = timings::phase_of("take in", card);
        let store = Arc::clone(&self.workspace.store);
        let scratch = store.scratch_folder()?;
        let tells = self
            .tells_changes
            .get_or_init(|| tells_changes_apart(&scratch));
        let laid = tells.then_some(laid);
        let (again, root) = (Arc::clone(again), root.to_owned());
        let (out, order) = (root.join("out"), Arc::clone(order));
        let adopted = blocking(move || {
            if !out.is_dir() {
                let message = "the steps took `$OUT` away: it must be a folder at the end";
                return Err(Obstacle::failed("out", message, ""));
            }
            if let Some(wanted) = &order.hash {
                let found = nar_hash(&out).map_err(|error| refusal(error, &out))?;
                if found != *wanted {
                    let message = format!(
                        "{}: the output is not what its `hash` says\n  wanted: {wanted}\n  got:    {found}",
                        order.part.name()
                    );
                    let help =
                        "if the change is meant, write the new hash into the card or its runner";
                    return Err(Obstacle::failed("hash", message, help));
                }
            }
            let laid = laid.filter(|laid| laid.is_whole(&root));
            match store.adopt(&out) {
                Ok(tree) => {
                    // A vanished input is one that moved, too.
                    let moved = again().ok() != Some(order.action.key);
                    let kept = laid.and_then(|laid| laid.empty(&root).ok());
                    if kept.is_none() {
                        stage::clear(&root);
                    }
                    Ok((tree.digest, moved, kept))
                }
                Err(error) => Err(refusal(error, &out)),
            }
        });
        adopted.await?
    }
}

impl Order {
    fn part_is_cached(&self) -> bool {
        !matches!(self.part, Part::Check(..))
    }
}

/// Why `out` is not taken: by the steps' fault, who know it as `$OUT`, or the store's.
fn refusal(mut error: StoreError, out: &Path) -> Obstacle {
    let (StoreError::NoFolder { path, .. }
    | StoreError::OddEntry { path, .. }
    | StoreError::OddName { path, .. }
    | StoreError::Moved { path }) = &mut error
    else {
        return error.into();
    };
    if let Ok(below) = path.strip_prefix(out) {
        // By components: `out` itself gets no slash.
        *path = Path::new("$OUT").join(below).components().collect();
    }
    Obstacle::failed("out", error.to_string(), error.help())
}

/// A folder that is deleted when it is no longer needed.
pub(super) struct ClearedFolder(pub(super) PathBuf);

impl ClearedFolder {
    /// The folder, which stays.
    fn keep(mut self) -> PathBuf {
        std::mem::take(&mut self.0)
    }
}

impl Drop for ClearedFolder {
    fn drop(&mut self) {
        if !self.0.as_os_str().is_empty() {
            stage::clear(&self.0);
        }
    }
}

pub(super) fn open_log(path: &Path) -> Result<(OwnedFd, u64), Obstacle> {
    let opened = fail_point::reach("log.open").and_then(|()| capture::open(path));
    let opened = opened.and_then(|file| {
        let length = file.metadata()?.len();
        Ok((OwnedFd::from(file), length))
    });
    opened.map_err(|error| {
        let message = format!("could not open the log `{}`: {error}", path.display());
        Obstacle::failed("log", message, "")
    })
}

fn result(artifact: &Digest, started: jiff::Timestamp) -> ActionResult {
    let stamp = |time: jiff::Timestamp| Timestamp {
        seconds: time.as_second(),
        nanos: time.subsec_nanosecond(),
    };
    ActionResult {
        execution_metadata: Some(ExecutedActionMetadata {
            worker: "mikado".into(),
            execution_start_timestamp: Some(stamp(started)),
            execution_completed_timestamp: Some(stamp(jiff::Timestamp::now())),
            ..ExecutedActionMetadata::default()
        }),
        ..ActionResult::of(*artifact)
    }
}

/// The last lines of a log, for people; none where it can't be read.
pub(super) fn last_lines(log: &Path) -> Vec<String> {
    capture::tail(log, TAIL)
}

/// Runs blocking code beside the event loop.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Obstacle> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Obstacle::failed("bug", format!("BUG: {error}"), ""))
}
