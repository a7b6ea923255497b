//! What `run` would do with each card of a plan, found out without executing
//! anything: keys are computed and looked up, tools count as what they said last.
//!
//! Cards are looked at in the plan's order. A build whose artifact is open makes
//! all that use it "after" it.

use std::collections::{BTreeMap, BTreeSet};

use serde::de::IgnoredAny;

use crate::action::reason::Reason;
use crate::card::Stem;
use crate::digest::Digest;
use crate::engine::absent::{looked_up, need};
use crate::engine::describe::Describer;
use crate::engine::fault::{NOT_ASKED, Obstacle};
use crate::engine::store_error;
use crate::error::Error;
use crate::plan::PlannedCard;
use crate::runner::definition::Kind;
use crate::workspace::Workspace;

/// What `run` would do with a card.
pub(crate) struct Foreseen {
    /// One word.
    pub(crate) verb: &'static str,
    /// Why, for people.
    pub(crate) why: Vec<String>,
}

/// Looks at one card after the other, prerequisites first.
pub(crate) struct Foresight<'a> {
    workspace: &'a Workspace,
    artifacts: BTreeMap<Stem, Digest>,
    /// Builds whose artifact is open.
    unknown: BTreeSet<Stem>,
    /// Whether the artifact of a build with this verb is open.
    is_open: fn(&str) -> bool,
}

impl<'a> Foresight<'a> {
    /// Of one run: open is what it would make.
    pub(crate) fn of_run(workspace: &'a Workspace) -> Self {
        Foresight {
            workspace,
            artifacts: BTreeMap::new(),
            unknown: BTreeSet::new(),
            is_open: |verb| verb == "run",
        }
    }

    /// Of jobs of CI: open is also what another job has to check, or lacks.
    pub(crate) fn of_jobs(workspace: &'a Workspace) -> Self {
        Foresight {
            is_open: |verb| verb != "fresh",
            ..Foresight::of_run(workspace)
        }
    }

    /// What `run` would do with `card`, whose prerequisites were looked at before.
    pub(crate) fn look(&mut self, card: &PlannedCard) -> Result<Foreseen, Error> {
        let foreseen = foresee(card, self.workspace, &mut self.artifacts, &self.unknown)?;
        if card.work.kind == Kind::Build && (self.is_open)(foreseen.verb) {
            self.unknown.insert(card.stem.clone());
        }
        Ok(foreseen)
    }

    /// The artifacts that the store has for what was looked at.
    pub(crate) fn artifacts(self) -> BTreeMap<Stem, Digest> {
        self.artifacts
    }
}

/// What `run` would do with `card`; `artifacts` learns what is known.
fn foresee(
    card: &PlannedCard,
    workspace: &Workspace,
    artifacts: &mut BTreeMap<Stem, Digest>,
    unknown: &BTreeSet<Stem>,
) -> Result<Foreseen, Error> {
    let plain = |verb, why: &[&str]| Foreseen {
        verb,
        why: why.iter().map(|w| (*w).to_owned()).collect(),
    };
    Ok(match card.work.kind {
        Kind::Page => plain("complete", &["a page"]),
        _ if card.work.kind != Kind::Build && !card.open => plain("complete", &[]),
        Kind::Hand => plain("wait", &["to be done by hand"]),
        Kind::Probe => plain("check", &["a probe"]),
        Kind::Command if card.work.definition.verify.is_empty() => plain("run", &["a command"]),
        Kind::Command => plain("run", &["a command, unless its check holds already"]),
        Kind::Build => {
            let after: Vec<String> = card
                .uses
                .iter()
                .filter(|(_, stem)| unknown.contains(stem))
                .map(|(_, stem)| format!("after {stem}"))
                .collect();
            if !after.is_empty() {
                return Ok(Foreseen {
                    verb: "run",
                    why: after,
                });
            }
            match build(card, workspace, artifacts) {
                Ok(foreseen) => foreseen,
                Err(Obstacle::Failed(failure)) if failure.code == NOT_ASKED => {
                    plain("run", &["not known before a run", &failure.message])
                }
                Err(Obstacle::Failed(failure)) => plain("fail", &[&failure.message]),
                Err(Obstacle::Waits(wait)) => plain("wait", &[&wait.message]),
                Err(Obstacle::Store(error)) => return Err(store_error(&error)),
                Err(Obstacle::Lacks(_) | Obstacle::Cancelled) => plain("wait", &[]),
            }
        }
    })
}

fn build(
    card: &PlannedCard,
    workspace: &Workspace,
    artifacts: &mut BTreeMap<Stem, Digest>,
) -> Result<Foreseen, Obstacle> {
    let store = &workspace.store;
    let mut requires = BTreeMap::new();
    for (role, stem) in &card.uses {
        let known = artifacts.get(stem).copied();
        let recorded = || {
            let history = workspace.local.history(stem.as_str());
            history.success().and_then(|run| run.artifact)
        };
        match known.or_else(recorded) {
            Some(digest) => requires.insert(role.clone(), digest),
            None => {
                let why = vec![format!("the artifact of {stem} is not in the store")];
                return Ok(Foreseen { verb: "run", why });
            }
        };
    }
    let describer = Describer {
        workspace,
        card,
        requires: &requires,
    };
    let mut fetched = BTreeMap::new();
    for (name, fetch) in &card.work.definition.fetch {
        let order = describer.fetch(name, fetch)?;
        let local = order.stays_local(workspace).is_some();
        match store.recorded(&order.action.key)? {
            Some(result) if result.suits(local) => fetched.insert(name.clone(), result.artifact),
            _ => {
                let reasons = workspace.reasons_to_fetch(&card.stem, name, &order);
                let why = reasons.iter().map(ToString::to_string).collect();
                return Ok(Foreseen { verb: "run", why });
            }
        };
    }
    let order = describer.build(&fetched)?;
    let local = order.stays_local(workspace).is_some();
    let found = looked_up(store, &order.action.key, need(card, workspace))?;
    if let Some(found) = found.filter(|found| found.suits(local)) {
        artifacts.insert(card.stem.clone(), found.artifact);
        for number in 0..card.work.definition.verify.len() {
            let check = describer.check(number, &found.artifact)?;
            let passed: Option<IgnoredAny> = store.check(&check.action.key)?;
            if passed.is_none() {
                let name = check.part.own_name();
                let why = vec![Reason::Check { name }.to_string()];
                return Ok(Foreseen { verb: "check", why });
            }
        }
        return Ok(Foreseen {
            verb: "fresh",
            why: vec![],
        });
    }
    let reasons = workspace.reasons(&card.stem, &order);
    Ok(Foreseen {
        verb: "run",
        why: reasons.iter().map(ToString::to_string).collect(),
    })
}
