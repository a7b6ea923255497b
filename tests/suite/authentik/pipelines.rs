//! The chain as pipelines, executed: the last job's artifact is that of a run on
//! one machine.

use crate::ci::executed::{Executed, act, gitlab};
use crate::support::sandbox::Sandbox;

use super::{ALL, GOAL, cold};

/// A fresh repository with the pipeline of a system in it.
fn repository(system: &str, config: &str) -> Sandbox {
    let sandbox = Sandbox::of_checkout();
    if !config.is_empty() {
        sandbox.write("mikado.yaml", config);
    }
    sandbox.mikado(&format!("ci {system} --write")).exits(0);
    sandbox.git("add -A");
    sandbox.git("commit -qm pipeline");
    sandbox
}

fn passed(executed: &Executed) {
    let all = executed.ran.all();
    assert_eq!(executed.ran.code(), 0, "{all}");
    for card in ALL {
        let (built, fresh, restored) = (
            format!("Built {card}"),
            format!("Fresh {card}"),
            format!("Restored {card}"),
        );
        let ends = [built, fresh, restored];
        assert!(ends.iter().any(|end| all.contains(end)), "{card}: {all}");
    }
}

/// Takes the goal's artifact in, and asserts that it is that of a local run.
fn is_the_local_one(executed: &Executed) {
    let sandbox = Sandbox::of_checkout();
    let file = executed.file(GOAL);
    sandbox
        .mikado(&format!("artifact import {}", file.display()))
        .exits(0);
    let path = sandbox
        .mikado(&format!("artifact path {GOAL}"))
        .exits(0)
        .stdout();
    let expected = &cold().artifacts[GOAL];
    let hex = expected.split('/').next().unwrap_or(expected);
    assert!(path.trim_end().ends_with(hex), "{path} {expected}");
}

#[test]
fn github_workflow_with_artifacts_makes_the_local_artifact() {
    let sandbox = repository("github", "");
    let executed = act(&sandbox, "github");
    passed(&executed);
    is_the_local_one(&executed);
}

#[test]
fn github_workflow_with_a_shared_store_makes_the_local_artifact() {
    // The jobs find in it what a run on one machine made, and hand it on.
    let store = &cold().store;
    let path = store.display();
    let sandbox = repository("github", &format!("ci: {{ store: {path} }}\n"));
    let executed = act(&sandbox, "github");
    passed(&executed);
    let clone = Sandbox::of_checkout().store(store);
    let ran = clone.mikado(&format!("run {GOAL} --format json")).exits(0);
    assert_eq!(super::begun(&ran), super::NOTHING);
    assert_eq!(super::artifacts(&ran)[GOAL], cold().artifacts[GOAL]);
}

#[test]
fn forgejo_workflow_makes_the_local_artifact() {
    // The store is that of the tests: what is new is how jobs hand over.
    let path = cold().store.display();
    let sandbox = repository("forgejo", &format!("ci: {{ store: {path} }}\n"));
    let executed = act(&sandbox, "forgejo");
    passed(&executed);
    assert!(
        executed.ran.all().contains(&format!("Restored {GOAL}")),
        "{}",
        executed.ran.all()
    );
}

#[test]
fn gitlab_pipeline_makes_the_local_artifact() {
    let sandbox = repository("gitlab", "");
    let executed = gitlab(&sandbox);
    passed(&executed);
    is_the_local_one(&executed);
}
