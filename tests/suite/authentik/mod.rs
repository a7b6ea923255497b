//! The chain that builds authentik, with the real tools from the registries.
//!
//! The cold run costs a minute, so it is done once, in a store that the other
//! tests share; each test has a repository of its own.

mod broken;
mod changes;
mod determinism;
mod headline;
mod server;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::OnceLock;

use serde_json::Value;

use crate::support::sandbox::{Ran, Sandbox};

const CLIENT: &str = "authentik-api-client-generation";
const BACKEND: &str = "authentik-python-backend-derivation";
const SERVER: &str = "authentik-go-server-derivation";
const WEB: &str = "authentik-web-ui-derivation";
const GOAL: &str = "build-authentik-from-source";

/// What the cold run did, and the store that it filled.
struct Cold {
    store: PathBuf,
    server: Ran,
    diff: String,
    goal: Ran,
    artifacts: BTreeMap<String, String>,
}

/// The cold run: the README's first command, then the goal.
fn cold() -> &'static Cold {
    static COLD: OnceLock<Cold> = OnceLock::new();
    COLD.get_or_init(|| {
        let folder = tempfile::Builder::new()
            .prefix("store-")
            .tempdir_in(env!("CARGO_TARGET_TMPDIR"));
        // Kept for the other tests; the build's own folder of scratch.
        let store = folder.expect("a folder for the store").keep();
        let sandbox = Sandbox::of_checkout().store(&store);
        let server = sandbox.mikado("run authentik-go-server");
        let diff = sandbox.git("diff --unified=0");
        let goal = sandbox.mikado("run build-authentik-from-source --format json");
        let artifacts = artifacts(&goal);
        Cold {
            store,
            server,
            diff,
            goal,
            artifacts,
        }
    })
}

/// A repository that shares the store of the cold run.
fn warm() -> Sandbox {
    let cold = cold();
    assert_eq!(
        cold.goal.code(),
        0,
        "{}\n{}",
        cold.server.all(),
        cold.goal.all()
    );
    Sandbox::of_checkout().store(&cold.store)
}

/// The artifact of each card, as the events of a run have it.
fn artifacts(ran: &Ran) -> BTreeMap<String, String> {
    finished(ran)
        .iter()
        .filter_map(|event| {
            let artifact = event["artifact"].as_str()?;
            Some((event["card"].as_str()?.to_owned(), artifact.to_owned()))
        })
        .collect()
}

/// How each card of a run ended.
fn finished(ran: &Ran) -> Vec<Value> {
    let events = ran.json_lines();
    events
        .into_iter()
        .filter(|event| event["event"] == "cardFinished")
        .collect()
}

/// The cards that a run executed, sorted; the run must succeed.
fn executed(sandbox: &Sandbox, arguments: &str) -> Vec<String> {
    let ran = sandbox
        .mikado(&format!("run --format json {arguments}"))
        .exits(0);
    let mut cards: Vec<String> = finished(&ran)
        .iter()
        .filter(|event| event["how"] == "built")
        .filter_map(|event| Some(event["card"].as_str()?.to_owned()))
        .collect();
    cards.sort();
    cards
}
