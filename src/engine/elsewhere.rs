//! Executes an order on another machine, through a server that does.
//!
//! The action is the same, byte for byte; only who lays its root is another. What
//! a failure is, what is logged, recorded and marked is as for an execution here.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::action::{Node, driver};
use crate::card::Stem;
use crate::digest::Digest;
use crate::event::{Event, Failure};
use crate::plan::PlannedCard;
use crate::remote::{End, Executed, Executor, Fault, Job, Need, Origin, Undone, Wanted};
use crate::runner::definition::Kind;
use crate::runner::units;
use crate::store::{EntryKind, Store, StoreError, StoredResult};

use super::Engine;
use super::fault::Obstacle;
use super::order::{Order, Performed, Terms};
use super::perform::{Again, blocking, last_lines, open_log};

/// What a shell exits with that finds no such program.
const NO_PROGRAM: i32 = 127;

impl Engine {
    /// Whether `card` is executed elsewhere, so that it takes no job here.
    pub(super) fn goes_elsewhere(&self, card: &PlannedCard) -> bool {
        self.workspace.executor.is_some()
            && card.work.kind == Kind::Build
            && card.work.definition.goes_elsewhere()
            && !self.options.verify
            && !self.is_repeated(card)
    }

    /// How many cards are executed elsewhere at once.
    pub(super) fn remote_jobs(&self) -> usize {
        let executor = self.workspace.executor.as_ref();
        executor.map_or(0, |executor| executor.settings.jobs)
    }

    /// The server that executes `order`, where it is not executed here.
    pub(super) fn executor_for(&self, order: &Order) -> Option<&Arc<Executor>> {
        let executor = self.workspace.executor.as_ref()?;
        let goes = order.elsewhere && !self.options.verify && self.stays_local(order).is_none();
        goes.then_some(executor)
    }

    /// The result of `order` that the executing server has, recorded here.
    pub(super) async fn found_elsewhere(
        &self,
        order: &Order,
        need: Need,
    ) -> Result<Option<StoredResult>, Obstacle> {
        let Some(executor) = self.executor_for(order) else {
            return Ok(None);
        };
        let cache = self.workspace.cache.as_ref();
        if cache.is_some_and(|cache| executor.is_cache(cache)) {
            // It was asked as the cache.
            return Ok(None);
        }
        let wanted = Wanted {
            key: order.action.key,
            messages: order.action.blobs.clone(),
        };
        let found = executor.find(&self.workspace.store, wanted, need);
        let found = self.unless_cancelled(found).await?;
        if found.is_some() {
            self.touch();
        }
        Ok(found)
    }

    /// Whether the shared cache has what was executed, since it is the same server.
    pub(super) fn is_shared_already(&self, performed: &Performed) -> bool {
        let (Some(executor), Some(cache)) = (&self.workspace.executor, &self.workspace.cache)
        else {
            return false;
        };
        performed.worker.is_some() && executor.is_cache(cache)
    }

    /// Executes `order` elsewhere; here, where that is not possible and the user
    /// wants it so.
    pub(super) async fn attempt_elsewhere(
        &self,
        executor: &Arc<Executor>,
        card: &Stem,
        order: &Arc<Order>,
        terms: Terms,
        again: &Again,
    ) -> Result<Performed, Obstacle> {
        let started = Instant::now();
        if !self.options.verify {
            self.forget_scene(card).await?;
        }
        self.emit(Event::PartStarted {
            card: card.clone(),
            part: order.step_name(1),
        });
        let (store, of_order) = (Arc::clone(&self.workspace.store), Arc::clone(order));
        let blobs = blocking(move || blobs(&store, &of_order)).await??;
        let job = Job {
            key: order.action.key,
            blobs,
            anew: terms.forced,
            timeout: limit(order),
            need: terms.need,
        };
        let done = executor.execute(&self.workspace.store, job, self.cancelled.subscribe());
        match done.await {
            Ok(executed) => {
                self.taken(executor, card, order, again, executed, started)
                    .await
            }
            Err(Undone::Cancelled(note)) => {
                if let Some(note) = note {
                    self.emit(Event::Noted {
                        message: format!("`{card}` on {}: {note}", executor.address()),
                    });
                }
                Err(Obstacle::Cancelled)
            }
            Err(Undone::Fault(Fault::Gone(_))) if !self.absent_from(order).is_empty() => {
                Err(Obstacle::Lacks(self.absent_from(order)))
            }
            Err(Undone::Fault(fault)) if executor.settings.local_fallback => {
                if !self.told_fallback.replace(true) {
                    self.emit(Event::Noted {
                        message: format!(
                            "the executor {}: {fault}; what it does not execute is executed here",
                            executor.address()
                        ),
                    });
                }
                executor.was_replaced();
                let _turn = self.turns.acquire().await;
                self.attempt(card, order, again).await
            }
            Err(Undone::Fault(fault)) => Err(refused(executor, order, &fault)),
        }
    }

    /// What an execution elsewhere means for its card.
    async fn taken(
        &self,
        executor: &Executor,
        card: &Stem,
        order: &Arc<Order>,
        again: &Again,
        executed: Executed,
        started: Instant,
    ) -> Result<Performed, Obstacle> {
        let log = self.log_of(card);
        let (_, from) = open_log(&log)?;
        let said = driver::failed_step(&executed.output);
        let (step, output) = match (&executed.end, said) {
            (End::Exit(_), Some((number, before))) => (Some(number), before),
            _ => (None, executed.output.as_slice()),
        };
        let written = OpenOptions::new()
            .append(true)
            .open(&log)
            .and_then(|mut file| file.write_all(output));
        if let Err(error) = written {
            let message = format!("could not write the log: {error}");
            return Err(Obstacle::failed("log", message, "free some space").with_log(log));
        }
        let to = from + output.len() as u64;
        let artifact = match executed.end {
            End::Artifact(artifact) => artifact,
            End::NoOut => {
                let message = "the steps took `$OUT` away: it must be a folder at the end";
                return Err(Obstacle::failed("out", message, "").with_log(log));
            }
            End::Exit(code) => return Err(failed(executor, order, (step, code), &log)),
            End::TooLong => {
                let limit = match limit(order) {
                    Some(limit) => format!("longer than {}", units::show_duration(limit)),
                    None => "longer than the executor allows".to_owned(),
                };
                let message = format!("{} took {limit}", what(order, None));
                return Err(step_failure(message, String::new(), None, &log));
            }
        };
        let (again, key) = (Arc::clone(again), order.action.key);
        // A vanished input is one that moved, too.
        let moved = blocking(move || again().ok() != Some(key)).await?;
        let worker = match executed.worker.as_str() {
            "" => executor.address(),
            name => format!("{name} of {}", executor.address()),
        };
        Ok(Performed {
            artifact,
            executed: executed.executed,
            moved,
            took: started.elapsed(),
            worker: Some(worker),
            output: Some((log, from..to)),
        })
    }
}

/// How long the whole may take: the steps are timed on this machine alone.
fn limit(order: &Order) -> Option<Duration> {
    let steps: Option<Duration> = order.steps.iter().map(|step| step.timeout).sum();
    match (order.timeout, steps.filter(|steps| !steps.is_zero())) {
        (Some(all), Some(steps)) => Some(all.min(steps)),
        (all, steps) => all.or(steps),
    }
}

/// What failed, as far as is known.
fn what(order: &Order, step: Option<usize>) -> String {
    match (step, order.steps.len()) {
        (Some(step), _) => format!("`{}`", order.step_name(step)),
        (None, 0 | 1) => format!("`{}`", order.step_name(1)),
        (None, _) => "one of its steps".to_owned(),
    }
}

fn step_failure(message: String, help: String, exit: Option<i32>, log: &Path) -> Obstacle {
    Obstacle::Failed(Box::new(Failure {
        code: "step",
        message,
        help,
        exit,
        log: Some(log.to_owned()),
        tail: last_lines(log),
    }))
}

fn failed(
    executor: &Executor,
    order: &Order,
    (step, code): (Option<usize>, i32),
    log: &Path,
) -> Obstacle {
    let tail = last_lines(log);
    let lacks = |name: &str| {
        let line = |line: &String| line.contains(&format!("{name}: command not found"));
        tail.iter().any(line)
    };
    let mut tools = order.host.iter().flat_map(|program| &program.names);
    let help = match tools.find(|name| code == NO_PROGRAM && lacks(name)) {
        Some(tool) => format!(
            "the worker of {} has no `{tool}`, which the runner takes from PATH: pin it (`pypi`, `npm`), use workers that have it, or say `remote: false` in the runner",
            executor.address()
        ),
        None => String::new(),
    };
    step_failure(
        format!("{} exited with {code}", what(order, step)),
        help,
        Some(code),
        log,
    )
}

/// Why the server did not execute, and what to do.
fn refused(executor: &Executor, order: &Order, fault: &Fault) -> Obstacle {
    let message = format!("could not execute it on {}: {fault}", executor.address());
    let help = match fault {
        Fault::Answer(_) => {
            let platform = order.action.command.platform.iter();
            let wanted = platform.flat_map(|platform| &platform.properties);
            let wanted: Vec<String> = wanted.map(|p| format!("{}={}", p.name, p.value)).collect();
            format!(
                "it needs a worker with {}; `remote: false` in the runner keeps it here, and `--local-fallback` executes here what can't be executed there",
                wanted.join(", ")
            )
        }
        Fault::Here(_) => "run it again".to_owned(),
        _ => "`--local-fallback` executes here what can't be executed there".to_owned(),
    };
    Obstacle::failed("executor", message, help)
}

/// Every blob that `order` needs elsewhere, and where it is here.
fn blobs(store: &Store, order: &Order) -> Result<BTreeMap<Digest, Option<Origin>>, StoreError> {
    let mut blobs = BTreeMap::new();
    let bytes = |bytes: &Vec<u8>| Some(Origin::Bytes(Arc::new(bytes.clone())));
    for (digest, message) in &order.action.blobs {
        blobs.insert(*digest, bytes(message));
    }
    let mut trees = BTreeSet::new();
    for (_, node) in order.action.root.iter() {
        match node {
            Node::File { digest, origin, .. } => {
                blobs.insert(*digest, Some(Origin::Input(origin.clone(), *digest)));
            }
            Node::Generated { digest, bytes, .. } => {
                blobs.insert(*digest, Some(Origin::Bytes(Arc::clone(bytes))));
            }
            Node::Tree { digest } => {
                trees.insert(*digest);
            }
            Node::Link { .. } | Node::Folder => {}
        }
    }
    for tree in trees {
        let folder = store.tree(&tree)?;
        let mut folders = vec![tree];
        for entry in store.entries(&tree)? {
            match entry.kind {
                EntryKind::File { digest, .. } => {
                    let origin = folder.as_ref();
                    let origin = origin.map(|folder| Origin::File(folder.join(&entry.path)));
                    blobs.entry(digest).or_insert(origin);
                }
                EntryKind::Folder { digest } => folders.push(digest),
                EntryKind::Link { .. } => {}
            }
        }
        for folder in folders {
            let message = store.blob(&folder)?;
            blobs.insert(folder, message.as_ref().and_then(bytes));
        }
    }
    // The empty blob is a folder without anything in it, and needs no message.
    let empty = Digest::of(b"");
    if let Some(origin) = blobs.get_mut(&empty) {
        *origin = Some(Origin::Bytes(Arc::default()));
    }
    Ok(blobs)
}
