//! Retries, timeouts, groups and weights, with puppets instead of clocks: what
//! may not run is seen by who has dialled in. The delays themselves are tested
//! with a paused clock, in the engine and the keeper.

use serde_json::Value;

use crate::support::followed::Run;
use crate::support::puppet::{Puppet, Stage};
use crate::support::sandbox::Sandbox;

fn is_noted(event: &Value, text: &str) -> bool {
    event["event"] == "noted"
        && event["message"]
            .as_str()
            .is_some_and(|message| message.contains(text))
}

fn awaits(event: &Value, card: &str) -> bool {
    event["event"] == "cardAwaited" && event["card"] == card
}

/// A build whose step is the puppet of that name, with further lines.
fn held(puppet: &Puppet, sandbox: Sandbox, name: &str, more: &str) -> Sandbox {
    let step = puppet.step(name);
    sandbox
        .runner(
            name,
            &format!("isolation: none\ninputs: []\nsteps: ['{step}']\n{more}\n"),
        )
        .card(name, &format!("status: active\nrunner: {name}"))
}

#[test]
fn failures_with_the_exit_codes_that_are_listed_are_tried_again() {
    let puppet = Puppet::new();
    let retries = "retries: { attempts: 2, exit-codes: [7] }";
    let sandbox = held(&puppet, Sandbox::new(), "again", retries);
    let mut run = Run::start(&sandbox, "again");
    puppet.wait_for("again").release(Stage::Fails);
    run.until(|event| is_noted(event, "`build` exited with 7, attempt 2 of 3"));
    puppet.wait_for("again").release(Stage::Fails);
    puppet.wait_for("again").release(Stage::Passes);
    run.exits(0);
    // Another code is not.
    sandbox.edit("runners/again.yaml", "[7]", "[8]");
    let run = Run::start(&sandbox, "again --force");
    puppet.wait_for("again").release(Stage::Fails);
    run.exits(1);
    assert_eq!(puppet.waiting(), Vec::<String>::new());
}

#[test]
fn an_interrupt_does_not_wait_for_the_delay_of_a_retry() {
    let puppet = Puppet::new();
    let sandbox = held(
        &puppet,
        Sandbox::new(),
        "later",
        "retries: { attempts: 1, delay: 24h }",
    );
    let mut run = Run::start(&sandbox, "later");
    puppet.wait_for("later").release(Stage::Fails);
    run.until(|event| is_noted(event, "attempt 2 of 2"));
    run.interrupt();
    run.exits(130);
    assert_eq!(puppet.waiting(), Vec::<String>::new());
}

#[test]
fn a_command_is_tried_again_as_well() {
    let puppet = Puppet::new();
    let step = puppet.step("do");
    let sandbox = Sandbox::new()
        .runner(
            "do",
            &format!("steps: [\"bash -c '{step}'\"]\nretries: 1\n"),
        )
        .card("do", "status: active\nrunner: do");
    let mut run = Run::start(&sandbox, "do");
    puppet.wait_for("do").release(Stage::Fails);
    run.until(|event| is_noted(event, "attempt 2 of 2"));
    puppet.wait_for("do").release(Stage::Passes);
    run.exits(0);
}

#[test]
fn a_group_runs_one_at_a_time_within_a_run_and_across_runs() {
    let puppet = Puppet::new();
    let group = "resources: { group: license }";
    let mut sandbox = Sandbox::new();
    for name in ["one", "two", "three"] {
        sandbox = held(&puppet, sandbox, name, group);
    }
    let sandbox = held(&puppet, sandbox, "free", "");
    let mut within = Run::start(&sandbox, "free one two --jobs 2");
    let (name, first) = puppet.wait_for_one_of(["one", "two"]);
    // Who waits for the group within a run takes no job meanwhile.
    let free = puppet.wait_for("free");
    let own = format!("process {} (`{name}`)", within.id());
    let mut across = Run::start(&sandbox, "three");
    let waits = across.until(|event| awaits(event, "three"));
    assert_eq!(waits["holder"], own.as_str());
    assert_eq!(puppet.waiting(), Vec::<String>::new());
    // A killed holder frees the group, as it frees everything.
    within.kill();
    first.ends();
    free.ends();
    puppet.wait_for("three").release(Stage::Passes);
    across.exits(0);
    let again = Run::start(&sandbox, "one two --jobs 2");
    for _ in 0..2 {
        puppet
            .wait_for_one_of(["one", "two"])
            .1
            .release(Stage::Passes);
    }
    again.exits(0);
}

#[test]
fn an_interrupt_does_not_wait_for_a_group() {
    let puppet = Puppet::new();
    let group = "resources: { group: license }";
    let mut sandbox = Sandbox::new();
    for name in ["one", "two"] {
        sandbox = held(&puppet, sandbox, name, group);
    }
    let holder = Run::start(&sandbox, "one");
    let first = puppet.wait_for("one");
    let mut waiting = Run::start(&sandbox, "two");
    waiting.until(|event| awaits(event, "two"));
    waiting.interrupt();
    waiting.exits(130);
    first.release(Stage::Passes);
    holder.exits(0);
}

#[test]
fn a_command_takes_its_turn_in_a_group() {
    let puppet = Puppet::new();
    let step = puppet.step("deploy");
    let sandbox = held(
        &puppet,
        Sandbox::new(),
        "build",
        "resources: { group: site }",
    )
    .runner(
        "deploy",
        &format!("steps: [\"bash -c '{step}'\"]\nresources: {{ group: site }}\n"),
    )
    .card("deploy", "status: active\nrunner: deploy");
    let sandbox = held(&puppet, sandbox, "free", "");
    let run = Run::start(&sandbox, "build deploy free --jobs 2");
    let (name, first) = puppet.wait_for_one_of(["build", "deploy"]);
    let other = if name == "build" { "deploy" } else { "build" };
    puppet.wait_for("free").release(Stage::Passes);
    assert_eq!(puppet.waiting(), Vec::<String>::new());
    first.release(Stage::Passes);
    puppet.wait_for(other).release(Stage::Passes);
    run.exits(0);
}

#[test]
fn a_card_that_takes_all_jobs_runs_alone() {
    let puppet = Puppet::new();
    let mut sandbox = held(&puppet, Sandbox::new(), "a-heavy", "resources: { jobs: 2 }");
    for name in ["b-light", "c-light"] {
        sandbox = held(&puppet, sandbox, name, "");
    }
    let mut run = Run::start(&sandbox, "--all --jobs 2");
    let heavy = puppet.wait_for("a-heavy");
    run.until(|event| event["event"] == "partStarted" && event["card"] == "a-heavy");
    assert_eq!(puppet.waiting(), Vec::<String>::new());
    heavy.release(Stage::Passes);
    // Both are alive at once, and the heavy one had ended before either.
    let started =
        run.until(|event| event["event"] == "cardStarted" || event["event"] == "cardFinished");
    assert_eq!(
        (&started["event"], &started["card"]),
        (&"cardFinished".into(), &"a-heavy".into())
    );
    let (b, c) = (puppet.wait_for("b-light"), puppet.wait_for("c-light"));
    b.release(Stage::Passes);
    c.release(Stage::Passes);
    run.exits(0);
}
