//! Executes what a shared cache has a result of, and compares: is that what these
//! inputs make on this machine? Nothing of it is recorded.

use std::sync::Arc;

use crate::card::Stem;
use crate::digest::Digest;
use crate::event::How;
use crate::plan::PlannedCard;
use crate::store::Provenance;

use super::fault::Obstacle;
use super::perform::{ClearedFolder, blocking};
use super::telling::restart;
use super::{Engine, Finished};

/// How a card compares with what the cache has.
#[derive(Clone, Debug)]
pub struct Compared {
    /// The card.
    pub card: Stem,
    /// What the cache has and what this machine makes; `None` where it has nothing.
    pub artifacts: Option<(Digest, Digest)>,
    /// Who made what the cache has.
    pub made_by: Provenance,
}

impl Engine {
    /// Executes the build once more where the cache has a result of it.
    pub(super) async fn compared(&self, card: &Arc<PlannedCard>) -> Result<Finished, Obstacle> {
        let order = self.ready_order(card).await?;
        let mut compared = Compared {
            card: card.stem.clone(),
            artifacts: None,
            made_by: Provenance::default(),
        };
        if let Some((theirs, made_by)) = self.shared_name(&order).await? {
            let logs = self.workspace.local.logs();
            let log = logs.join(format!("{}.compared.log", card.stem));
            restart(&log);
            let scratch = self.workspace.store.scratch_folder()?;
            let place = scratch.join(self.fresh_name());
            let root: ClearedFolder = self.executed_in(card, &order, &place, &log).await?;
            let store = Arc::clone(&self.workspace.store);
            let ours = blocking(move || store.hash_dir(&root.0.join("out"))).await??;
            compared.artifacts = Some((theirs, ours.digest));
            compared.made_by = made_by;
        }
        self.comparisons.borrow_mut().push(compared);
        Ok(Finished::passed(How::Repeated, card))
    }
}
