//! How executions end elsewhere: they fail, take too long, are interrupted, are
//! wanted by two at once.

use std::sync::atomic::Ordering;

use serde_json::Value;
use tonic::Code;

use super::super::rude::{self, Call, Manners};
use super::super::rude_executor::Executing;
use super::super::servers;
use super::{Gate, artifact, counts_of, ending, until, with_executor};
use crate::support::followed::Run;
use crate::support::sandbox::{Ran, Sandbox};

/// Two cards with this runner below, and a third that passes.
fn cards(runner: &str) -> Sandbox {
    Sandbox::new()
        .runner("it", runner)
        .runner(
            "fine",
            "inputs: []\nsteps: [{run: 'echo fine > \"$OUT/fine\"'}]",
        )
        .card("it", "status: active\nrunner: it")
        .card(
            "above",
            "status: active\nrequires: [it, fine]\nrunner: fine",
        )
        .card("fine", "status: active\nrunner: fine\nwith: {}")
        .committed()
}

/// The events of a run without what differs between two runs or two machines.
fn told(ran: &Ran, sandbox: &Sandbox) -> Vec<String> {
    let mut told: Vec<String> = Vec::new();
    for mut event in ran.json_lines() {
        for key in ["time", "took", "executor"] {
            event.as_object_mut().expect("an event").remove(key);
        }
        let root = sandbox.root().canonicalize().expect("a root");
        let text = event.to_string();
        told.push(text.replace(&root.display().to_string(), "[ROOT]"));
    }
    told.sort();
    told
}

/// What there is to read of a card after a run.
fn read(sandbox: &Sandbox, card: &str) -> Vec<String> {
    let commands = [
        format!("why {card}"),
        format!("log {card}"),
        "list --all".to_owned(),
        format!("next {card}"),
    ];
    let words = |command: &String| {
        let ran = sandbox.mikado(command);
        format!("{command}: {} {}", ran.code(), ran.all())
    };
    let mut read: Vec<String> = commands.iter().map(words).collect();
    for card in ["it", "above", "fine"] {
        read.push(sandbox.read(&format!("cards/{card}.md")));
    }
    read
}

#[test]
fn failed_card_is_told_of_as_one_that_failed_here() {
    for fails in [
        "inputs: []\nsteps: [{name: compile, run: 'echo to one; echo to the other >&2; exit 7'}]",
        "inputs: []\nsteps: [{run: 'no-such-program'}]",
        "inputs: []\nsteps: [{run: 'echo first'}, {name: second, run: 'printf unended; exit 9'}]",
        "inputs: []\nsteps: [{run: 'rm -r \"$OUT\"'}]",
        "inputs: []\nretries: 1\nsteps: [{run: 'exit 3'}]",
        "inputs: []\nsteps: [{run: 'echo x > \"$OUT/x\"'}]\nverify: [{run: 'exit 4'}]",
    ] {
        let server = servers::executing_casd(&[]);
        let here = cards(fails);
        let there = with_executor(cards(fails), &server.url());
        let [of_here, of_there] = [&here, &there].map(|sandbox| {
            let ran = sandbox
                .mikado("run above --keep-going --format json")
                .exits(1);
            (told(&ran, sandbox), read(sandbox, "it"), ran)
        });
        assert_eq!(of_here.0, of_there.0, "{fails}");
        assert_eq!(of_here.1, of_there.1, "{fails}");
        // Nothing that failed is kept there: it is executed again. Checks are
        // looked at here.
        let failed = &executor(&of_there.2)["failed"];
        if *failed == 0 {
            continue;
        }
        let again = there
            .mikado("run above --keep-going --format json")
            .exits(1);
        assert_eq!(&executor(&again)["failed"], failed, "{fails}");
    }
}

fn executor(ran: &Ran) -> Value {
    counts_of(&ran.json_lines())
}

#[test]
fn what_takes_too_long_is_ended_there() {
    let gate = Gate::new();
    let server = servers::executing_casd(&[&gate.option()]);
    let step = gate.wait("slow");
    for limit in ["timeout: 1s\nsteps: [{", "steps: [{timeout: 1s, "] {
        let runner = format!("inputs: []\n{limit}run: '{step}'}}]");
        let sandbox = with_executor(cards(&runner), &server.url());
        let ran = sandbox.mikado("run it --format json").exits(1);
        let end = ending(&ran.json_lines(), "it");
        assert_eq!(end["message"], "`build` took longer than 1.0 s", "{end}");
        assert_eq!(end["exit"], Value::Null);
        until("it runs on", || gate.waiting("slow").is_empty());
    }
}

#[test]
fn interrupt_leaves_nothing_running_there() {
    let gate = Gate::new();
    let server = servers::executing_casd(&["--jobs", "4", &gate.option()]);
    let mut sandbox = Sandbox::new();
    for name in ["one", "two", "three"] {
        let runner = format!("inputs: []\nsteps: [{{run: '{}'}}]", gate.wait(name));
        sandbox = sandbox.runner(name, &runner);
        sandbox = sandbox.card(name, &format!("status: active\nrunner: {name}"));
    }
    let sandbox = with_executor(sandbox, &server.url());
    let run = Run::start(&sandbox, "one two three");
    for name in ["one", "two", "three"] {
        until("it is not executed", || gate.waiting(name).len() == 1);
    }
    run.interrupt();
    let events = run.exits(130);
    for name in ["one", "two", "three"] {
        assert_eq!(gate.waiting(name).len(), 0, "{name}: {events:#?}");
        assert_eq!(ending(&events, name)["outcome"], "notStarted");
    }
    // It is no failure, and the next run executes them.
    gate.open();
    drop(sandbox.mikado("run one two three").exits(0));
}

#[test]
fn interrupt_ends_whatever_a_server_is_waited_for() {
    let fails = Executing {
        ends_with: Some(Code::Internal),
        ..Executing::default()
    };
    for (silent, executing) in [
        ((Call::Capabilities, 0), Executing::default()),
        // Where an artifact comes.
        ((Call::Read, 0), Executing::default()),
        // Where it is asked whether something is missing that was there.
        ((Call::Missing, 1), fails),
    ] {
        let server = servers::executing_casd(&[]);
        let manners = Manners {
            silent: Some(silent),
            executing,
            ..Manners::default()
        };
        let rude = rude::before(server.grpc, manners);
        let sandbox = with_executor(cards("inputs: []\nsteps: [{run: 'true'}]"), &rude.url);
        sandbox.write("mikado.yaml", "executor: {stall: 10m}\n");
        let mut run = Run::start(&sandbox, "fine");
        let unanswered = || rude.asked.unanswered.load(Ordering::SeqCst) > 0;
        until("it asks nothing", unanswered);
        run.interrupt();
        until("it waits on", || run.has_ended());
        let events = run.exits(130);
        assert_eq!(
            ending(&events, "fine")["outcome"],
            "notStarted",
            "{silent:?}"
        );
    }
}

#[test]
fn action_that_two_want_is_executed_once() {
    let gate = Gate::new();
    // With more jobs this server executes one action twice at times.
    let server = servers::executing_casd(&["--jobs", "1", &gate.option()]);
    let wait = gate.wait("common");
    let runner = format!("inputs: []\nsteps: [{{run: '{wait}; echo common > \"$OUT/x\"'}}]");
    let sandbox = || {
        let sandbox = Sandbox::new().runner("common", &runner);
        let sandbox = sandbox.card("common", "status: active\nrunner: common");
        with_executor(sandbox, &server.url())
    };
    let two = [sandbox(), sandbox()];
    let mut runs = two.each_ref().map(|sandbox| Run::start(sandbox, "common"));
    for run in &mut runs {
        run.until(|event| event["event"] == "partStarted");
    }
    until("it is not executed", || gate.waiting("common").len() == 1);
    let first = gate.waiting("common");
    gate.open();
    for run in runs {
        let events = run.exits(0);
        assert_eq!(counts_of(&events)["failed"], 0);
        // Whoever waits now is a second one.
        assert!(gate.waiting("common").is_subset(&first));
    }
    let [one, other] = two.each_ref().map(|sandbox| artifact(sandbox, "common"));
    assert_eq!(one, other);
    assert!(server.log().is_empty(), "{}", server.log());
}
