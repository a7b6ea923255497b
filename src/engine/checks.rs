//! The checks of a build: they look at its artifact here, whoever made it. What has
//! passed for an artifact is not run again, unless its runner says so.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::action::reason::Reason;
use crate::digest::Digest;
use crate::plan::PlannedCard;

use super::describe::Describer;
use super::fault::Obstacle;
use super::order::{Order, Terms};
use super::perform::{Again, blocking};
use super::{CheckRecord, Engine};

/// A check is keyed by an artifact, which can't move.
fn unmoved() -> Again {
    Arc::new(|| Ok(Digest::of(b"")))
}

impl Engine {
    /// Whether a check that runs on a hit as well does not hold any more.
    pub(super) async fn always_fails(
        &self,
        card: &Arc<PlannedCard>,
        requires: &BTreeMap<String, Digest>,
        artifact: &Digest,
    ) -> Result<bool, Obstacle> {
        for (number, check) in card.work.definition.verify.iter().enumerate() {
            if !check.always {
                continue;
            }
            let order = self.check_order(card, requires, artifact, number).await?;
            self.provide_tools(card).await?;
            match self
                .perform(&card.stem, &order, Terms::FORCED, unmoved())
                .await
            {
                Ok(_) => {}
                Err(Obstacle::Failed(_)) => return Ok(true),
                Err(other) => return Err(other),
            }
        }
        Ok(false)
    }

    /// Runs every check of a build's artifact again.
    pub(super) async fn recheck(&self, card: &Arc<PlannedCard>) -> Result<(), Obstacle> {
        let requires = self.used_here(card).await?;
        let artifact = self.stored_artifact(&card.stem)?;
        self.bring(&BTreeSet::from([artifact])).await?;
        for number in 0..card.work.definition.verify.len() {
            let order = self.check_order(card, &requires, &artifact, number).await?;
            self.begin(card, Vec::new());
            self.provide_tools(card).await?;
            let terms = Terms::FORCED;
            self.perform(&card.stem, &order, terms, unmoved()).await?;
        }
        Ok(())
    }

    /// Runs the checks that have not passed for this artifact; returns all.
    pub(super) async fn checks(
        &self,
        card: &Arc<PlannedCard>,
        requires: &BTreeMap<String, Digest>,
        artifact: &Digest,
        announced: &mut bool,
    ) -> Result<Vec<Digest>, Obstacle> {
        let mut passed = Vec::new();
        for (number, check) in card.work.definition.verify.iter().enumerate() {
            let order = self.check_order(card, requires, artifact, number).await?;
            let key = order.action.key;
            let mut known: Option<CheckRecord> = self.workspace.store.check(&key)?;
            if known.is_none()
                && let Some(found) = self.shared_check(&order).await?
            {
                let record = CheckRecord {
                    took_ms: found.took_ms,
                    output: String::from_utf8_lossy(&found.output).into_owned(),
                };
                self.put_check(key, record.clone())?;
                known = Some(record);
            }
            let record = match known {
                Some(record) => {
                    let output = record.output.clone().into_bytes();
                    self.replay_output(&card.stem, &order.part.name(), output);
                    record
                }
                None => {
                    if !*announced {
                        let name = order.part.own_name();
                        self.begin(card, vec![Reason::Check { name }]);
                        *announced = true;
                    }
                    self.provide_tools(card).await?;
                    let started_at = jiff::Timestamp::now();
                    self.bring(&self.absent_from(&order)).await?;
                    let terms = Terms::FORCED;
                    let performed = self.perform(&card.stem, &order, terms, unmoved()).await?;
                    let record = CheckRecord {
                        took_ms: performed.took.as_millis() as u64,
                        output: String::from_utf8_lossy(&performed.kept_output()).into_owned(),
                    };
                    self.put_check(key, record.clone())?;
                    self.to_be_shared(&order, || {
                        let output = record.output.clone().into_bytes();
                        let provenance =
                            self.provenance(&card.stem, &order, &performed, started_at);
                        Engine::made_of(&order, None, output, provenance)
                    });
                    record
                }
            };
            if check.show && card.asked {
                let name = order.part.own_name();
                let mut shown = self.shown.borrow_mut();
                shown.push((card.stem.clone(), name, record.output));
            }
            passed.push(key);
        }
        Ok(passed)
    }

    pub(super) async fn check_order(
        &self,
        card: &Arc<PlannedCard>,
        requires: &BTreeMap<String, Digest>,
        artifact: &Digest,
        number: usize,
    ) -> Result<Arc<Order>, Obstacle> {
        let workspace = Arc::clone(&self.workspace);
        let (planned, requires) = (Arc::clone(card), requires.clone());
        let artifact = *artifact;
        let order = blocking(move || {
            Describer {
                workspace: &workspace,
                card: &planned,
                requires: &requires,
            }
            .check(number, &artifact)
        });
        order.await?.map(Arc::new)
    }
}
