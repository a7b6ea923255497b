//! The chain that builds authentik, with the real tools from the registries.
//!
//! The cold run costs a minute, so it is done once, in a store that the other
//! tests share; each test has a repository of its own.

mod broken;
mod changes;
mod determinism;
mod elsewhere;
mod faults;
mod headline;
mod pipelines;
mod registries;
mod server;
mod shared;
mod sources;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::OnceLock;

use serde_json::Value;

use crate::support::sandbox::{Ran, Sandbox};
use crate::support::scratch;

const CLIENT: &str = "authentik-api-client-generation";
const BACKEND: &str = "authentik-python-backend-derivation";
const SERVER: &str = "authentik-go-server-derivation";
const WEB: &str = "authentik-web-ui-derivation";
const GOAL: &str = "build-authentik-from-source";

const ALL: [&str; 5] = [CLIENT, SERVER, BACKEND, WEB, GOAL];

/// The source that the cards are built from.
const FIXTURE: &str = "tests/fixtures/authentik";

/// Nothing executed.
const NOTHING: [&str; 0] = [];

/// What was done in the first repository, and the store that it filled.
struct Cold {
    store: PathBuf,
    /// The README's first command.
    server: Ran,
    /// What git has to say after it.
    numstat: String,
    diff: String,
    status: String,
    /// The same command again.
    again: Ran,
    again_events: Ran,
    /// Then the goal.
    goal: Ran,
    artifacts: BTreeMap<String, String>,
}

/// The first repository: the README's first command, twice, then the goal.
fn cold() -> &'static Cold {
    static COLD: OnceLock<Cold> = OnceLock::new();
    COLD.get_or_init(|| {
        let store = scratch::folder("store");
        let sandbox = Sandbox::of_checkout().store(&store);
        let server = sandbox.mikado("run authentik-go-server");
        let numstat = sandbox.git("diff --numstat");
        let diff = sandbox.git("diff --unified=0");
        let status = sandbox.git("status --porcelain");
        let again = sandbox.mikado("run authentik-go-server");
        let again_events = sandbox.mikado("run authentik-go-server --format json");
        let goal = sandbox.mikado(&format!("run {GOAL} --format json"));
        let artifacts = artifacts(&goal);
        Cold {
            store,
            server,
            numstat,
            diff,
            status,
            again,
            again_events,
            goal,
            artifacts,
        }
    })
}

/// A repository that shares the store of the first one.
fn warm() -> Sandbox {
    let cold = cold();
    let said = || format!("{}\n{}", cold.server.all(), cold.goal.all());
    assert_eq!(cold.goal.code(), 0, "{}", said());
    Sandbox::of_checkout().store(&cold.store)
}

/// A repository that shares the store, in which the whole chain has been run.
fn built() -> Sandbox {
    let sandbox = warm();
    assert_eq!(executed(&sandbox, GOAL), NOTHING);
    sandbox
}

/// The artifact of each card, as the events of a run have it.
fn artifacts(ran: &Ran) -> BTreeMap<String, String> {
    events(ran, "cardFinished")
        .iter()
        .filter_map(|event| {
            let artifact = event["artifact"].as_str()?;
            Some((event["card"].as_str()?.to_owned(), artifact.to_owned()))
        })
        .collect()
}

/// The events of a kind.
fn events(ran: &Ran, kind: &str) -> Vec<Value> {
    let events = ran.json_lines().into_iter();
    events.filter(|event| event["event"] == kind).collect()
}

/// The cards of which a run executed anything, be it a check alone, sorted.
fn begun(ran: &Ran) -> Vec<String> {
    let mut cards: Vec<String> = events(ran, "cardStarted")
        .iter()
        .filter_map(|event| Some(event["card"].as_str()?.to_owned()))
        .collect();
    cards.sort();
    cards
}

/// The cards of which a run executed anything, sorted; the run must succeed.
fn executed(sandbox: &Sandbox, arguments: &str) -> Vec<String> {
    let ran = sandbox.mikado(&format!("run --format json {arguments}"));
    begun(&ran.exits(0))
}

/// Adds a line at the end of a file.
fn append(sandbox: &Sandbox, path: &str, line: &str) {
    let text = sandbox.read(path);
    sandbox.write(path, &format!("{}\n{line}\n", text.trim_end()));
}

/// Whether a card's file says that it is open; it must say one of the two.
fn is_open(sandbox: &Sandbox, stem: &str) -> bool {
    let text = sandbox.read(&format!("cards/{stem}.md"));
    let is = |status: &str| text.contains(&format!("\nstatus: {status}\n"));
    assert_ne!(is("active"), is("complete"), "{text}");
    is("active")
}
