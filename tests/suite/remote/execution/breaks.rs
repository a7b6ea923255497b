//! What happens to a server that executes, and to the line to it: the right
//! artifact, or an error that says what happened.

use serde_json::Value;

use super::super::line::{Line, Spoilt};
use super::super::servers::{self, Server};
use super::super::{chain, executed, is_whole, notes};
use super::layers::{self, layers};
use super::{Gate, artifact, counts_of, ending, executor_counts, until, with_executor};
use crate::support::followed::Run;
use crate::support::puppet::{Puppet, Stage};
use crate::support::sandbox::Sandbox;

const FALLBACK: &str = "--local-fallback";

/// The server of that address again, with nothing in it.
pub fn empty_again(server: &mut Server, options: &[&str]) -> Server {
    server.kill();
    let folder = tempfile::tempdir().expect("a folder for a server");
    servers::executing_casd_at(server.grpc, folder, options)
}

/// A card that waits at a gate before it makes its artifact.
fn held(gate: &Gate) -> Sandbox {
    let wait = gate.wait("held");
    let runner =
        format!("inputs: [{{paths: [input]}}]\nsteps: [{{run: '{wait}; cp input \"$OUT/made\"'}}]");
    let sandbox = Sandbox::new().file("input", "what goes in\n");
    let sandbox = sandbox.runner("held", &runner);
    sandbox.card("held", "status: active\nrunner: held")
}

/// Asserts that a card could not be executed, for a reason that is told.
#[track_caller]
fn is_refused(events: &[Value], card: &str) {
    let end = ending(events, card);
    assert_eq!(end["code"], "executor", "{end}");
    let message = end["message"].as_str().unwrap_or_default();
    assert!(message.contains("could not execute it on grpc://"), "{end}");
    assert!(message.contains("it can't be reached"), "{end}");
    let help = end["help"].as_str().unwrap_or_default();
    assert!(help.contains(FALLBACK), "{end}");
}

#[test]
fn server_that_is_not_there_is_an_error_or_is_done_without() {
    let here = chain();
    drop(super::run(&here));
    for scheme in ["grpc", "grpcs"] {
        let url = format!("{scheme}://{}", servers::free());
        let sandbox = with_executor(chain(), &url);
        let ran = sandbox.mikado("run three --no-mark --format json").exits(1);
        let end = ending(&ran.json_lines(), "one");
        assert_eq!(end["code"], "executor", "{end}");
        let ran = sandbox.mikado(&format!("run three --no-mark --format json {FALLBACK}"));
        let ran = ran.exits(0);
        assert_eq!((executed(&ran), notes(&ran).len()), (3, 1), "{}", ran.all());
        assert_eq!(executor_counts(&ran)["here"], 3);
        assert_eq!(super::artifacts(&sandbox), super::artifacts(&here));
        is_whole(&sandbox);
    }
}

#[test]
fn server_that_dies_in_an_execution_is_an_error_or_is_done_without() {
    for fallback in [false, true] {
        let gate = Gate::new();
        let mut server = servers::executing_casd(&[&gate.option()]);
        let sandbox = with_executor(held(&gate), &server.url());
        let words = ["held", "held --local-fallback"][usize::from(fallback)];
        let run = Run::start(&sandbox, words);
        until("it is not executed", || gate.waiting("held").len() == 1);
        server.kill();
        if fallback {
            let events = run.exits(0);
            assert_eq!(counts_of(&events)["here"], 1);
            let made = sandbox.read(".mikado/artifacts/held/made");
            assert_eq!(made, "what goes in\n");
            is_whole(&sandbox);
        } else {
            is_refused(&run.exits(1), "held");
            drop(
                sandbox
                    .mikado("why held")
                    .exits(0)
                    .says("it can't be reached"),
            );
        }
    }
}

#[test]
fn server_that_comes_back_in_an_execution_is_asked_again() {
    let gate = Gate::new();
    let option = gate.option();
    let mut server = servers::executing_casd(&[&option]);
    let sandbox = with_executor(held(&gate), &server.url());
    let run = Run::start(&sandbox, "held");
    until("it is not executed", || gate.waiting("held").len() == 1);
    let first = gate.waiting("held");
    // It comes back without anything: no execution of that name, no blobs.
    let _server = empty_again(&mut server, &[&option]);
    until("it is not executed again", || {
        !gate.waiting("held").is_subset(&first)
    });
    gate.open();
    let counts = counts_of(&run.exits(0));
    assert_eq!(
        (&counts["executed"], &counts["failed"]),
        (&1.into(), &0.into())
    );
    assert!(counts["repeated"].as_u64() > Some(0), "{counts}");
    assert_eq!(
        sandbox.read(".mikado/artifacts/held/made"),
        "what goes in\n"
    );
}

/// A chain in which a card that stays here lies between two that do not, and a
/// large input and artifact.
fn interrupted(puppet: &Puppet) -> Sandbox {
    let between = puppet.step("between");
    Sandbox::new()
        .file("input", &"a line of an input\n".repeat(300_000))
        .runner(
            "one",
            "inputs: [{paths: [input]}]\nsteps: [{run: 'wc -l < input > \"$OUT/lines\"; cp input \"$OUT/copy\"'}]",
        )
        .runner(
            "between",
            &format!("isolation: none\ninputs: []\nsteps: ['{between}']"),
        )
        .runner(
            "two",
            "inputs: []\nsteps: [{run: 'cat \"$REQUIRES/one/lines\" > \"$OUT/two\"; cp \"$REQUIRES/one/copy\" \"$OUT/copy\"'}]",
        )
        .card("one", "status: active\nrunner: one")
        .card("between", "status: active\nrequires: [one]\nrunner: between")
        .card("two", "status: active\nrequires: [one, between]\nrunner: two")
}

#[test]
fn server_that_was_emptied_during_a_run_gets_what_it_lacks() {
    let puppet = Puppet::new();
    let mut server = servers::executing_casd(&[]);
    let sandbox = with_executor(interrupted(&puppet), &server.url());
    let run = Run::start(&sandbox, "two");
    let between = puppet.wait_for("between");
    let server = empty_again(&mut server, &[]);
    between.release(Stage::Passes);
    let counts = counts_of(&run.exits(0));
    assert_eq!(
        (&counts["executed"], &counts["failed"]),
        (&2.into(), &0.into())
    );
    assert!(counts["repeated"].as_u64() > Some(0), "{counts}");
    assert_eq!(sandbox.read(".mikado/artifacts/two/two"), "300000\n");
    is_whole(&sandbox);
    drop(server);
}

#[test]
fn server_that_was_emptied_between_runs_gets_what_it_lacks() {
    let mut server = servers::executing_casd(&[]);
    let here = layers(20);
    drop(layers::run(&here));
    let there = with_executor(layers(20), &server.url());
    drop(layers::run(&there));
    let _server = empty_again(&mut server, &[]);
    // All is here, so nobody asks.
    assert!(executor_counts(&layers::run(&there)).is_null());
    for sandbox in [&here, &there] {
        sandbox.edit("inputs/c001.txt", "is read", "is new");
    }
    let changed = executed(&layers::run(&here));
    let ran = layers::run(&there);
    assert_eq!(executed(&ran), changed);
    assert_eq!(executor_counts(&ran)["failed"], 0);
    assert_eq!(layers::artifacts(&here, 20), layers::artifacts(&there, 20));
}

#[test]
fn server_that_dies_in_an_upload_or_a_download_is_an_error_or_is_done_without() {
    let puppet = Puppet::new();
    for (how, at) in [
        (Spoilt::StalledUp(2_000_000), 2_000_000),
        // Down comes the artifact, of 5.7 MB, after as much went up.
        (Spoilt::Stalled(2_000_000), 7_000_000),
    ] {
        for fallback in [false, true] {
            let mut server = servers::executing_casd(&[]);
            let line = Line::to(server.grpc, how);
            let sandbox = with_executor(interrupted(&puppet), &line.url());
            let words = ["one", "one --local-fallback"][usize::from(fallback)];
            let run = Run::start(&sandbox, words);
            until("nothing moves", || line.passed() >= at);
            server.kill();
            if fallback {
                let counts = counts_of(&run.exits(0));
                assert_eq!(counts["here"], 1, "{how:?}: {counts}");
                assert_eq!(sandbox.read(".mikado/artifacts/one/lines"), "300000\n");
            } else {
                is_refused(&run.exits(1), "one");
            }
            is_whole(&sandbox);
        }
    }
}

#[test]
fn line_that_breaks_is_taken_up_again() {
    let here = layers(20);
    drop(layers::run(&here));
    for cut in [
        Spoilt::CutDown {
            after: 3_000,
            lines: 3,
        },
        Spoilt::CutUp {
            after: 3_000,
            lines: 3,
        },
    ] {
        let server = servers::executing_casd(&[]);
        let line = Line::to(server.grpc, cut);
        let there = with_executor(layers(20), &line.url());
        let ran = layers::run(&there);
        let counts = executor_counts(&ran);
        assert_eq!(counts["failed"], 0, "{cut:?}: {counts}");
        assert_eq!(line.lines(), 4, "{cut:?}");
        assert_eq!(layers::artifacts(&here, 20), layers::artifacts(&there, 20));
    }
    assert_eq!(artifact(&here, "goal").len(), 64);
}
