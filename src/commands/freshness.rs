//! Whether a build's last artifact is today's, and who made it.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::answer::{self, ArtifactObject, MadeBy};
use crate::card::Stem;
use crate::engine::store_error;
use crate::error::Error;
use crate::plan::PlannedCard;
use crate::runner::definition::Kind;
use crate::workspace::Workspace;

use super::foresight::{Foreseen, Foresight};
use super::selection::{Selection, SelectionArgs};

/// What `run` would do with a card, and the world it was found out in.
pub(crate) struct Freshness {
    foreseen: Option<Foreseen>,
    card: Option<PlannedCard>,
    workspace: Option<Workspace>,
    /// What is in the way of a plan.
    pub(crate) faults: Vec<String>,
}

impl Freshness {
    /// Looks at a build's chain; other cards have no freshness.
    pub(crate) fn of(stem: &Stem, selection: &Selection) -> Result<Freshness, Error> {
        let args = SelectionArgs {
            cards: vec![stem.to_string()],
            ..SelectionArgs::default()
        };
        let mut none = Freshness {
            foreseen: None,
            card: None,
            workspace: None,
            faults: Vec::new(),
        };
        let plan = match selection.plan(&args) {
            Ok(plan) => plan,
            Err(Error::Findings(findings)) => {
                none.faults = findings
                    .into_iter()
                    .map(|finding| finding.message)
                    .collect();
                return Ok(none);
            }
            Err(error) => return Err(error),
        };
        let workspace = selection.workspace_with_executor(&args, true)?;
        let mut foresight = Foresight::of_run(&workspace);
        for card in &plan.cards {
            let foreseen = foresight.look(card)?;
            if card.stem == *stem {
                none.card = Some(card.clone());
                none.foreseen = Some(foreseen);
            }
        }
        none.workspace = Some(workspace);
        Ok(none)
    }

    /// One line for people; empty for what is no build.
    pub(crate) fn line(&self) -> String {
        if let Some(fault) = self.faults.first() {
            return format!("at fault: {fault}");
        }
        match self.answer() {
            Some(answer) if answer.fresh => "fresh: nothing that its key holds has changed".into(),
            Some(answer) => format!("stale: {}", answer.reasons.join(", ")),
            None => String::new(),
        }
    }

    /// The same for programs.
    pub(crate) fn answer(&self) -> Option<answer::Freshness> {
        let (card, foreseen) = (self.card.as_ref()?, self.foreseen.as_ref()?);
        (card.work.kind == Kind::Build).then(|| answer::Freshness {
            fresh: foreseen.verb == "fresh",
            reasons: foreseen.why.clone(),
        })
    }

    /// The runner's parameters with their values.
    pub(crate) fn parameters(&self) -> BTreeMap<String, Value> {
        let Some(card) = &self.card else {
            return BTreeMap::new();
        };
        let value = |text: String| serde_json::from_str(&text).unwrap_or(Value::String(text));
        let all = card.parameters.iter();
        all.map(|(name, given)| (name.to_owned(), value(given.to_json())))
            .collect()
    }

    /// The card's last artifact, and who made it.
    pub(crate) fn artifact(&self, stem: &Stem) -> Result<Option<ArtifactObject>, Error> {
        let Some(workspace) = &self.workspace else {
            return Ok(None);
        };
        let history = workspace.local.history(stem.as_str());
        let made = history
            .runs
            .iter()
            .rfind(|run| run.failed.is_none() && run.artifact.is_some());
        let Some((run, digest)) = made.and_then(|run| Some((run, run.artifact?))) else {
            return Ok(None);
        };
        let size = workspace.store.tree_size(&digest).ok().flatten();
        let recorded = match run.action {
            Some(action) => workspace
                .store
                .recorded(&action)
                .map_err(|e| store_error(&e))?,
            None => None,
        };
        let path = workspace.store.path_of_tree(&digest);
        Ok(Some(ArtifactObject {
            digest,
            path: path.is_dir().then_some(path),
            bytes: size.as_ref().map(|size| size.bytes),
            files: size.as_ref().map(|size| size.files),
            made_by: recorded.map(|result| MadeBy {
                card: result.provenance.card,
                host: result.provenance.host,
                commit: result.provenance.commit,
                at: answer::time(result.provenance.started_ms),
                took: result.provenance.took_ms,
                local: result.provenance.local,
                cache: result.provenance.cache,
            }),
        }))
    }
}
