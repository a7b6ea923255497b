//! Work of the engine that is no run: a root is laid to be looked at, or a card
//! is audited. Nothing is marked, and no card's history changes.

use std::sync::Arc;

use crate::error::Error;
use crate::event::Event;
use crate::process::GRACE;
use crate::workspace::Workspace;

use super::fault::Obstacle;
use super::{Engine, Options, runtime, store_error};

impl Engine {
    /// Does `work` with an engine; `listener` hears what happens meanwhile.
    pub(super) fn beside_a_run<T>(
        workspace: Arc<Workspace>,
        listener: &mut dyn FnMut(&Event),
        work: impl AsyncFnOnce(&Engine) -> Result<T, Obstacle>,
    ) -> Result<T, Error> {
        let runtime = runtime()?;
        let options = Options {
            jobs: 1,
            grace: GRACE,
            memory: u64::MAX,
            ..Options::default()
        };
        let (engine, mut received) = Engine::new(workspace, options);
        let done = runtime.block_on(async {
            let work = async {
                let done = work(&engine).await?;
                // What had to be fetched for it is a result like any other.
                engine.flush().await?;
                Ok(done)
            };
            tokio::pin!(work);
            loop {
                tokio::select! {
                    biased;
                    Some(event) = received.recv() => listener(&event),
                    done = &mut work => break done,
                }
            }
        });
        while let Ok(event) = received.try_recv() {
            listener(&event);
        }
        let new = engine.workspace.local.new_folder();
        engine.workspace.trace.save(&new);
        drop(engine);
        runtime.shutdown_background();
        done.map_err(|obstacle| match obstacle {
            Obstacle::Failed(failure) => Error::usage(failure.message, failure.help),
            Obstacle::Lacks(_) => Error::usage(
                "the files of what it uses are not here",
                "run it again with `--download all`",
            ),
            Obstacle::Waits(wait) => Error::usage(wait.message, wait.lines.join("; ")),
            Obstacle::Cancelled => Error::usage("interrupted", ""),
            Obstacle::Store(error) => store_error(&error),
        })
    }
}
