//! An order: one action to be performed, with all that is not in its key.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::action::{Action, driver};
use crate::remote::Need;
use crate::runner::definition::{Retries, Socket, Step};
use crate::store::Sri;
use crate::workspace::Workspace;

use super::confine;
use super::stage::HostProgram;

/// What an action is to its card.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// The build itself.
    Build,
    /// A fetch.
    Fetch(String),
    /// A check: its name, where it has one, and its number.
    Check(Option<String>, usize),
}

impl Part {
    /// For people.
    pub(crate) fn name(&self) -> String {
        match self {
            Part::Build => "build".into(),
            Part::Fetch(name) => format!("fetch {name}"),
            Part::Check(Some(name), _) => format!("check `{name}`"),
            Part::Check(None, number) => format!("check {number}"),
        }
    }

    /// For people who know what it is to its card.
    pub(crate) fn own_name(&self) -> String {
        match self {
            Part::Build => "build".into(),
            Part::Fetch(name) | Part::Check(Some(name), _) => name.clone(),
            Part::Check(None, number) => number.to_string(),
        }
    }
}

/// An action to be performed.
#[derive(Debug)]
pub(crate) struct Order {
    /// What it is to its card.
    pub(crate) part: Part,
    /// The action.
    pub(crate) action: Action,
    /// Its steps, for their names and timeouts.
    pub(crate) steps: Vec<Step>,
    /// Programs of the machine.
    pub(crate) host: Vec<HostProgram>,
    /// Caches that it sees.
    pub(crate) caches: Vec<String>,
    /// How long it may take.
    pub(crate) timeout: Option<Duration>,
    /// How often a failure is tried again.
    pub(crate) retries: Retries,
    /// The access that it has beyond its own root.
    pub(crate) access: Access,
    /// What its output must be.
    pub(crate) hash: Option<Sri>,
    /// A mutex across the processes of one store.
    pub(crate) group: Option<String>,
    /// The names of the variables that are passed and not keyed.
    pub(crate) pass_env: Vec<String>,
    /// Whether its root is to lie at one path.
    pub(crate) fixed: bool,
    /// Why its result must not be shared, if it must not.
    pub(crate) local: Option<String>,
    /// Whether its runner lets it be executed on another machine.
    pub(crate) elsewhere: bool,
}

/// What an action may touch beyond its own root.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Access {
    /// What its runner opens up, and no more.
    Steps(Opened),
    /// The network, with the user's registry settings.
    Fetch {
        /// Further files of the user's home folder.
        home: Vec<String>,
    },
    /// Everything.
    Free,
}

/// What a runner opens up to its steps and checks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Opened {
    /// The network, without the user's settings of registries.
    pub(crate) network: bool,
    /// The user's home folder.
    pub(crate) home: bool,
    /// Sockets of the machine's services.
    pub(crate) sockets: Vec<Socket>,
}

impl Order {
    /// Why the result must not be shared, if it must not: what its runner opens
    /// up, or that its root can't lie at its fixed place here.
    pub(crate) fn stays_local(&self, workspace: &Workspace) -> Option<String> {
        let lies_elsewhere = || {
            let is_elsewhere = self.fixed && !self.is_moved(workspace);
            is_elsewhere.then(|| "no mount namespace for `root: fixed`".to_owned())
        };
        self.local.clone().or_else(lies_elsewhere)
    }

    /// Whether its steps see its root at the fixed place.
    pub(crate) fn is_moved(&self, workspace: &Workspace) -> bool {
        confine::is_moved(workspace, &self.access, self.fixed)
    }

    /// The name of the step with the number that the driver reports.
    pub(crate) fn step_name(&self, number: usize) -> String {
        let step = number
            .checked_sub(1)
            .and_then(|index| self.steps.get(index));
        match step.and_then(|step| step.name.clone()) {
            Some(name) => name,
            None if self.steps.len() > 1 => format!("step {number}"),
            None => self.part.name(),
        }
    }

    /// The number of the step that the driver of `root` started last; 0 before
    /// the first.
    pub(crate) fn step_of(root: &std::path::Path) -> usize {
        let text = std::fs::read_to_string(root.join(driver::STEP));
        text.ok()
            .and_then(|text| text.trim().parse().ok())
            .unwrap_or(0)
    }
}

/// What is wanted of an order.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    /// Whether it is executed although there is a result.
    pub(crate) forced: bool,
    /// What of its artifact must be here.
    pub(crate) need: Need,
}

impl Terms {
    /// All of its artifact, executed only where there is no result.
    pub(crate) const USUAL: Terms = Terms {
        forced: false,
        need: Need::Files,
    };

    /// The same, executed in any case.
    pub(crate) const FORCED: Terms = Terms {
        forced: true,
        ..Terms::USUAL
    };
}

/// What came of an order.
#[derive(Clone, Debug)]
pub(crate) struct Performed {
    /// The artifact.
    pub(crate) artifact: crate::digest::Digest,
    /// Whether it was executed, and not found.
    pub(crate) executed: bool,
    /// Whether an input changed meanwhile, so that the result is not recorded.
    pub(crate) moved: bool,
    /// How long the execution took.
    pub(crate) took: Duration,
    /// The worker elsewhere that executed it, if one did.
    pub(crate) worker: Option<String>,
    /// The log it was written to, and where in it.
    pub(crate) output: Option<(PathBuf, std::ops::Range<u64>)>,
}
