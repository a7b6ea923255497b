//! Where an action is carried out, apart from carrying it out: its root, its
//! surroundings and its steps.
//!
//! That of a failure is kept (one a card, see `store::failed`) and opened as the
//! failure left it; any other is laid anew from today's inputs. Nothing that is
//! done in one reaches the store.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::card::Stem;
use crate::error::Error;
use crate::event::Event;
use crate::plan::PlannedCard;
use crate::runner::definition::Step;
use crate::workspace::Workspace;

use super::fault::Obstacle;
use super::order::Order;
use super::perform::blocking;
use super::surroundings::Surroundings;
use super::{Engine, store_error};

/// An action's root with what belongs to it.
#[derive(Debug)]
pub(crate) struct Scene {
    /// The root.
    pub(crate) root: PathBuf,
    /// What is beside it.
    pub(crate) surroundings: Surroundings,
    /// The steps, in order.
    pub(crate) steps: Vec<SceneStep>,
    /// What happened here, where something did.
    pub(crate) failure: Option<SceneFailure>,
    /// Holds the root of a failure.
    pub(crate) lock: Option<File>,
}

/// A step, as it is run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SceneStep {
    /// Its name.
    pub(crate) name: String,
    /// The program and its arguments; the last one is the script.
    pub(crate) argv: Vec<String>,
}

/// How the last execution in a scene ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SceneFailure {
    /// In a line.
    pub(crate) message: String,
    /// The number of the step, from 1.
    pub(crate) step: usize,
}

/// What is written down with the root of a failure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Notes {
    surroundings: Surroundings,
    steps: Vec<SceneStep>,
    failure: SceneFailure,
}

impl SceneStep {
    /// A step with its name.
    pub(crate) fn new(name: String, step: &Step) -> SceneStep {
        let words = step.language.argv().iter().map(|word| (*word).to_owned());
        SceneStep {
            name,
            argv: words.chain([step.run.clone()]).collect(),
        }
    }
}

fn steps_of(order: &Order) -> Vec<SceneStep> {
    let steps = order.steps.iter().enumerate();
    steps
        .map(|(index, step)| SceneStep::new(order.step_name(index + 1), step))
        .collect()
}

impl Scene {
    /// That of the last failure of `stem`, if it is kept.
    pub(crate) fn of_failure(workspace: &Workspace, stem: &Stem) -> Result<Option<Scene>, Error> {
        let tree = &workspace.project.root;
        let kept = workspace.store.failed::<Notes>(tree, stem.as_str());
        let kept = kept.map_err(|error| store_error(&error))?;
        Ok(kept.map(|kept| Scene {
            root: kept.root,
            surroundings: kept.notes.surroundings,
            steps: kept.notes.steps,
            failure: Some(kept.notes.failure),
            lock: Some(kept.lock),
        }))
    }

    /// Lays the root of a build, or of one of its fetches, anew. What it uses
    /// must be in the store; what it fetches and its tools are brought there.
    pub(crate) fn laid(
        workspace: Arc<Workspace>,
        card: PlannedCard,
        fetch: Option<&str>,
        listener: &mut dyn FnMut(&Event),
    ) -> Result<Scene, Error> {
        let card = Arc::new(card);
        Engine::beside_a_run(workspace, listener, async |engine: &Engine| {
            let order = match fetch {
                None => engine.ready_order(&card).await?,
                Some(name) => engine.ready_fetch(&card, name).await?,
            };
            let store = &engine.workspace.store;
            let root = store.scratch_folder()?.join(engine.fresh_name());
            let trees = engine
                .lay(&root, &order, order.is_moved(&engine.workspace))
                .await?;
            Ok(Scene {
                surroundings: Surroundings::of(&order, trees),
                steps: steps_of(&order),
                failure: None,
                lock: None,
                root,
            })
        })
    }
}

impl Engine {
    /// Keeps `root` as the scene of a failure; whether it did.
    pub(super) fn keep_scene(
        &self,
        card: &Stem,
        order: &Order,
        root: &Path,
        trees: Vec<PathBuf>,
        message: &str,
    ) -> bool {
        let notes = Notes {
            surroundings: Surroundings::of(order, trees),
            steps: steps_of(order),
            failure: SceneFailure {
                message: message.to_owned(),
                step: Order::step_of(root).max(1),
            },
        };
        let workspace = &self.workspace;
        let tree = &workspace.project.root;
        let kept = workspace
            .store
            .keep_failed(tree, card.as_str(), root, &notes);
        // A failure that can't be kept is still told of.
        kept.unwrap_or(false)
    }

    /// Deletes the scene of the card's last failure. What can't be deleted is
    /// collected later.
    pub(super) async fn forget_scene(&self, card: &Stem) -> Result<(), Obstacle> {
        let (workspace, card) = (Arc::clone(&self.workspace), card.clone());
        let tree = &workspace.project.root;
        if workspace.store.is_writable() && workspace.store.has_failed(tree, card.as_str()) {
            let forget = move || {
                let tree = &workspace.project.root;
                drop(workspace.store.forget_failed(tree, card.as_str()));
            };
            blocking(forget).await?;
        }
        Ok(())
    }
}
