//! Executes a build once without isolation and records what it touches.
//!
//! Nothing of it reaches the store or the card: the root is deleted, and the
//! output goes to a log of its own.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::Error;
use crate::event::{Event, Failure};
use crate::plan::PlannedCard;
use crate::process::{self, Deed, Execution};
use crate::workspace::Workspace;

use super::Engine;
use super::fault::Obstacle;
use super::perform::{ClearedFolder, open_log};
use super::surroundings::Surroundings;
use super::undeclared::{Grants, Undeclared};

/// What an audit found.
#[derive(Debug)]
pub(crate) struct Audit {
    /// How the steps failed, where they did.
    pub(crate) failure: Option<Failure>,
    /// What is not declared.
    pub(crate) undeclared: Vec<Undeclared>,
    /// The output of the steps.
    pub(crate) log: PathBuf,
}

impl Audit {
    /// Audits a build. What it uses must be in the store; what it fetches and
    /// its tools are brought there.
    pub(crate) fn of(
        workspace: Arc<Workspace>,
        card: PlannedCard,
        listener: &mut dyn FnMut(&Event),
    ) -> Result<Audit, Error> {
        let card = Arc::new(card);
        Engine::beside_a_run(workspace, listener, async |engine: &Engine| {
            engine.audit(&card).await
        })
    }
}

impl Engine {
    async fn audit(&self, card: &Arc<PlannedCard>) -> Result<Audit, Obstacle> {
        let order = self.ready_order(card).await?;
        let workspace = &self.workspace;
        let scratch = workspace.store.scratch_folder()?;
        let root = ClearedFolder(scratch.join(self.fresh_name()));
        let record = scratch.join("audit");
        let trees = self.lay(&root.0, &order, false).await?;
        let log = workspace
            .local
            .logs()
            .join(format!("{}.audit.log", card.stem));
        // It tells of this audit alone.
        drop(std::fs::remove_file(&log));
        let (output, _) = open_log(&log)?;
        // Without a namespace its root is where it lies.
        let surroundings = Surroundings::of(&order, trees).unmoved();
        let given = surroundings.given(workspace, &root.0, false)?;
        let steps: Vec<_> = order
            .action
            .command
            .arguments
            .iter()
            .map(Into::into)
            .collect();
        let no_tracer = |error: std::io::Error| {
            Obstacle::failed(
                "audit",
                format!("could not record what it does: {error}"),
                "",
            )
        };
        let execution = Execution {
            argv: process::traced(&record, &steps).map_err(no_tracer)?,
            env: given.env,
            cwd: root.0.clone(),
            output,
            isolation: None,
            secrets: given.secrets,
            timeout: order.timeout,
            grace: self.options.grace,
        };
        let outcome = self.watch(&card.stem, &order, &root.0, execution).await?;
        let failure = match self.failure(&order, &root.0, &outcome, &log) {
            None => None,
            Some(Obstacle::Failed(failure)) => Some(*failure),
            Some(other) => return Err(other),
        };
        let deeds = process::recorded(&record).map_err(no_tracer)?;
        let grants = grants(workspace, surroundings.granted(workspace, &root.0));
        let work = root.0.join("work");
        let work = work.canonicalize().unwrap_or(work);
        let kind = |path: &Path| match path.metadata().ok()?.is_dir() {
            true => Some(Deed::List),
            false => Some(Deed::Read),
        };
        let deeds = grants.with_missed(deeds, &work, kind);
        Ok(Audit {
            failure,
            undeclared: grants.undeclared(&deeds),
            log,
        })
    }
}

fn grants(workspace: &Workspace, isolation: process::Isolation) -> Grants {
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let all = |paths: &[PathBuf]| paths.iter().map(|path| real(path)).collect();
    let links = std::fs::read_dir(workspace.local.folder().join("artifacts"));
    let links = links.into_iter().flatten().filter_map(Result::ok);
    let artifact = |link: std::fs::DirEntry| {
        let card = link.file_name().to_string_lossy().into_owned();
        Some((link.path().canonicalize().ok()?, card))
    };
    let home = workspace.user.value("HOME").map(PathBuf::from);
    Grants {
        read: all(&isolation.read),
        write: all(&isolation.write),
        sockets: all(&isolation.sockets),
        network: isolation.network,
        repository: real(&workspace.project.root),
        sources: workspace
            .source_folders()
            .into_iter()
            .map(|(name, folder)| (name, real(&folder)))
            .collect(),
        runners: real(&workspace.project.runners_dir),
        artifacts: links.filter_map(artifact).collect(),
        caches: real(&workspace.store.folder().join("caches")),
        home: home.map(|home| real(&home)),
    }
}
