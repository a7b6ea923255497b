//! Executes a build twice, in two places and with empty caches, and compares
//! what came out.
//!
//! Nothing of it is recorded: neither a result nor a run of the card. What the
//! card stands on, its fetches included, is brought up to date as in any run.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use crate::event::{Event, Failure, How, Outcome};
use crate::plan::PlannedCard;

use super::difference::{self, Difference};
use super::fault::Obstacle;
use super::order::Order;
use super::perform::{ClearedFolder, blocking, open_log};
use super::telling::restart;
use super::{Engine, Finished};

impl Engine {
    /// Whether `card` is one that is executed twice.
    pub(super) fn is_repeated(&self, card: &PlannedCard) -> bool {
        self.options.twice && card.asked
    }

    /// Executes the build twice; it fails where its outputs differ.
    pub(super) async fn twice(&self, card: &Arc<PlannedCard>) -> Result<Finished, Obstacle> {
        let started = Instant::now();
        let order = self.ready_order(card).await?;
        let logs = self.workspace.local.logs();
        let log = logs.join(format!("{}.deterministic.log", card.stem));
        restart(&log);
        // What it had to fetch was a start already.
        if self.told.borrow_mut().insert(card.stem.clone()) {
            self.emit(Event::CardStarted {
                card: card.stem.clone(),
                reasons: Vec::new(),
                expected: self.expected(&card.stem).map(|took| 2 * took),
                log: log.clone(),
            });
        }
        let scratch = self.workspace.store.scratch_folder()?;
        // Of another length, too: a tool may bake its folder in.
        let places = [scratch.join(self.fresh_name()), {
            let elsewhere = scratch.join("elsewhere");
            elsewhere.join(self.fresh_name())
        }];
        let first = self.executed_in(card, &order, &places[0], &log).await?;
        let second = self.executed_in(card, &order, &places[1], &log).await?;
        let roots = [first.0.clone(), second.0.clone()];
        let compared = blocking(move || compare(&roots)).await?;
        let found = compared.map_err(|error| {
            Obstacle::failed("out", format!("could not compare its outputs: {error}"), "")
        })?;
        match found {
            Some((difference, help)) => Err(Obstacle::Failed(Box::new(Failure {
                code: "not-deterministic",
                message: format!("two executions differ: {difference}"),
                help,
                exit: None,
                tail: difference.sides(),
                log: Some(log),
            }))),
            None => {
                let mut finished = Finished::passed(How::Repeated, card);
                if let Outcome::Passed { took, .. } = &mut finished.outcome {
                    *took = started.elapsed();
                }
                Ok(finished)
            }
        }
    }

    /// Executes the order in the folder `place`, which lies in the scratch folder.
    pub(super) async fn executed_in(
        &self,
        card: &Arc<PlannedCard>,
        order: &Arc<Order>,
        place: &Path,
        log: &Path,
    ) -> Result<ClearedFolder, Obstacle> {
        let root = ClearedFolder(place.to_owned());
        let trees = self
            .lay(&root.0, order, order.is_moved(&self.workspace))
            .await?;
        let (output, _) = open_log(log)?;
        self.emit(Event::PartStarted {
            card: card.stem.clone(),
            part: order.step_name(1),
        });
        let execution = self.execution(order, &root.0, trees, output, true)?;
        let outcome = self.watch(&card.stem, order, &root.0, execution).await?;
        match self.failure(order, &root.0, &outcome, log) {
            Some(failure) => Err(failure),
            None => Ok(root),
        }
    }
}

/// The first difference between the outputs in two roots, and what helps.
fn compare(roots: &[PathBuf; 2]) -> std::io::Result<Option<(Difference, String)>> {
    let outs = roots.each_ref().map(|root| root.join("out"));
    let Some(difference) = difference::between(&outs[0], &outs[1])? else {
        return Ok(None);
    };
    let names_its_place = [0, 1].into_iter().any(|side| {
        let place = roots[side].as_os_str().as_encoded_bytes();
        let path = outs[side].join(&difference.path);
        let bytes = match std::fs::read_link(&path) {
            Ok(text) => text.into_os_string().into_encoded_bytes(),
            Err(_) => std::fs::read(&path).unwrap_or_default(),
        };
        bytes.windows(place.len()).any(|window| window == place)
    });
    let help = match names_its_place {
        true => {
            "it holds the folder that it was built in: look for an option of the tool that leaves it out, or write `root: fixed` into the runner"
        }
        false => {
            "look for a time, a random number, an order of files or of threads that gets in; SOURCE_DATE_EPOCH and TZ are set"
        }
    };
    Ok(Some((difference, help.to_owned())))
}
