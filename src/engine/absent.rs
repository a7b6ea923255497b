//! Artifacts of which only the names are here, since they were executed elsewhere
//! and nothing here used them (`--download`).
//!
//! Names are enough to describe what uses such an artifact, and to have that
//! executed elsewhere, too. Whoever needs the files says which (`Obstacle::Lacks`)
//! and begins anew once they were brought: from the server, else from the shared
//! cache, else by executing again what made them, and before that what made what
//! that one uses. A tree is in the store whole, or not at all: names alone make no
//! tree, no link and no entry in the index.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;
use std::sync::Arc;

use crate::action::Node;
use crate::card::Stem;
use crate::digest::Digest;
use crate::error::Error;
use crate::event::Event;
use crate::plan::PlannedCard;
use crate::remote::Need;
use crate::runner::definition::Kind;
use crate::store::{Store, StoreError, StoredResult};
use crate::workspace::Workspace;

use super::Engine;
use super::fault::Obstacle;
use super::order::{Order, Terms};
use super::perform::Again;

/// How often a card begins anew for what it lacks: whatever is executed again may
/// come out as another artifact, which has to be brought in its turn.
const TRIES: u32 = 4;

/// What of the artifact of `card` a run has here at its end.
pub(crate) fn need(card: &PlannedCard, workspace: &Workspace) -> Need {
    let goes = card.work.kind == Kind::Build && card.work.definition.goes_elsewhere();
    match &workspace.executor {
        Some(executor) if goes => executor.need(card.asked),
        _ => Need::Files,
    }
}

/// The result that is known of an action, as far as it is needed.
pub(crate) fn looked_up(
    store: &Store,
    key: &Digest,
    need: Need,
) -> Result<Option<StoredResult>, StoreError> {
    match (store.lookup(key)?, need) {
        (None, Need::Names) => store.named(key),
        (found, _) => Ok(found),
    }
}

impl Engine {
    /// What of the artifact of `card` has to be here at its end.
    pub(super) fn need(&self, card: &PlannedCard) -> Need {
        match self.goes_elsewhere(card) {
            true => need(card, &self.workspace),
            false => Need::Files,
        }
    }

    /// Has the files of an artifact brought beside a run, where somebody may have
    /// them; whether they are in the store now.
    ///
    /// # Errors
    ///
    /// Where the store can't be read.
    pub(crate) fn brought(workspace: Arc<Workspace>, artifact: Digest) -> Result<bool, Error> {
        Engine::beside_a_run(workspace, &mut |_| {}, async |engine: &Engine| {
            Ok(engine.may_be_brought(&artifact)? && engine.is_brought(&artifact).await?)
        })
    }

    /// Whether `artifact` is what `card` had the last time.
    pub(super) fn was_last(&self, card: &Stem, artifact: &Digest) -> bool {
        let history = self.workspace.local.history(card.as_str());
        history.success().and_then(|run| run.artifact) == Some(*artifact)
    }

    /// Whether an artifact is known by its names, and somebody may have its files.
    pub(super) fn may_be_brought(&self, artifact: &Digest) -> Result<bool, Obstacle> {
        let store = &self.workspace.store;
        Ok(self.workspace.executor.is_some() && store.tree_message(artifact)?.is_some())
    }

    /// The artifacts that `order` reads and that are not here.
    pub(super) fn absent_from(&self, order: &Order) -> BTreeSet<Digest> {
        let is_artifact = |path: &str| path == "artifact" || path.starts_with("requires/");
        let nodes = order.action.root.iter();
        let read = nodes.filter_map(|(path, node)| match node {
            Node::Tree { digest } if is_artifact(path) => Some(*digest),
            _ => None,
        });
        read.filter(|artifact| !self.workspace.has_files(artifact))
            .collect()
    }

    /// Does `work`, and brings what it lacks as often as it says so.
    pub(super) async fn with_what_it_lacks<T>(
        &self,
        work: impl AsyncFn() -> Result<T, Obstacle>,
    ) -> Result<T, Obstacle> {
        for _ in 1..TRIES {
            match work().await {
                Err(Obstacle::Lacks(absent)) => self.bring(&absent).await?,
                ended => return ended,
            }
        }
        work().await
    }

    /// The artifacts that `card` uses, by role, with their files here.
    pub(super) async fn used_here(
        &self,
        card: &PlannedCard,
    ) -> Result<BTreeMap<String, Digest>, Obstacle> {
        self.with_what_it_lacks(async || {
            let used = self.used_artifacts(card)?;
            let absent = used
                .values()
                .filter(|artifact| !self.workspace.has_files(artifact));
            let absent: BTreeSet<Digest> = absent.copied().collect();
            match absent.is_empty() {
                true => Ok(used),
                false => Err(Obstacle::Lacks(absent)),
            }
        })
        .await
    }

    /// Brings the files of artifacts. Where one had to be executed again, its card
    /// may have another artifact afterwards.
    pub(super) fn bring<'a>(
        &'a self,
        artifacts: &'a BTreeSet<Digest>,
    ) -> Pin<Box<dyn Future<Output = Result<(), Obstacle>> + 'a>> {
        // What is executed again may lack something itself.
        Box::pin(async move {
            for artifact in artifacts {
                let is_here = self.workspace.store.tree(artifact)?.is_some();
                if !is_here && !self.is_brought(artifact).await? {
                    self.made_again(artifact).await?;
                }
            }
            Ok(())
        })
    }

    /// Asks those who may have the files of an artifact.
    async fn is_brought(&self, artifact: &Digest) -> Result<bool, Obstacle> {
        let workspace = &self.workspace;
        let store = &workspace.store;
        if let Some(executor) = &workspace.executor
            && self
                .unless_cancelled(executor.bring(store, *artifact))
                .await?
        {
            return Ok(true);
        }
        match &workspace.cache {
            Some(cache) => self.unless_cancelled(cache.bring(store, *artifact)).await,
            None => Ok(false),
        }
    }

    /// Executes the card that made an artifact once more.
    async fn made_again(&self, artifact: &Digest) -> Result<(), Obstacle> {
        if self.replaced.borrow().contains(artifact) {
            // Who described itself with it does so anew.
            return Ok(());
        }
        let card = {
            let (artifacts, planned) = (self.artifacts.borrow(), self.planned.borrow());
            let mut makers = artifacts.iter().filter(|(_, made)| *made == artifact);
            makers.find_map(|(stem, _)| planned.get(stem).cloned())
        };
        let Some(card) = card else {
            return Err(Obstacle::lost(&BTreeSet::from([*artifact])));
        };
        self.emit(Event::Noted {
            message: format!(
                "`{}` is executed again: its artifact is used here, and nobody has it any more",
                card.stem
            ),
        });
        let made = self.with_what_it_lacks(async || self.remade(&card).await);
        let made = made.await?;
        if made != *artifact {
            self.replaced.borrow_mut().insert(*artifact);
        }
        self.artifacts.borrow_mut().insert(card.stem.clone(), made);
        Ok(())
    }

    async fn remade(&self, card: &Arc<PlannedCard>) -> Result<Digest, Obstacle> {
        let requires = self.used_artifacts(card)?;
        let fetched = self.fetched(card, &requires, true).await?;
        let order = self.described(card, &requires, &fetched).await?;
        self.provide_tools(card).await?;
        let describe = self.describing(card, &requires, &fetched);
        let again: Again = Arc::new(move || Ok(describe()?.action.key));
        let performed = self.perform(&card.stem, &order, Terms::USUAL, again);
        let artifact = performed.await?.artifact;
        // It may be another one, of which nothing is known yet.
        self.checks(card, &requires, &artifact, &mut true).await?;
        Ok(artifact)
    }
}
