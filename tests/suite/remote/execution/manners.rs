//! Servers that execute in other ways than buildbox-casd, played by a server of the
//! tests before it: the right artifact, or an error that says what it answered.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tonic::Code;

use super::super::rude::{self, Manners, RudeServer};
use super::super::rude_executor::Executing;
use super::super::servers::{self, Server};
use super::super::{artifacts, chain, executed, is_whole, notes, run};
use super::{Gate, counts_of, ending, executor_counts, until, with_executor};
use crate::support::followed::Run;
use crate::support::sandbox::{Ran, Sandbox};

/// A server that executes in this way, before a real one.
fn rude(executing: Executing) -> (RudeServer, Server) {
    let server = servers::executing_casd(&[]);
    let manners = Manners {
        executing,
        ..Manners::default()
    };
    (rude::before(server.grpc, manners), server)
}

/// Cards that have nothing to do with each other.
fn apart(names: &[&str]) -> Sandbox {
    let mut sandbox = Sandbox::new();
    for name in names {
        let runner = format!("inputs: []\nsteps: [{{run: 'echo {name} > \"$OUT/made\"'}}]");
        sandbox = sandbox.runner(name, &runner);
        sandbox = sandbox.card(name, &format!("status: active\nrunner: {name}"));
    }
    sandbox
}

/// A card that waits at a gate, and a server that executes it in this way.
fn held(gate: &Gate, executing: Executing) -> (Sandbox, RudeServer, Server) {
    let server = servers::executing_casd(&[&gate.option()]);
    let manners = Manners {
        executing,
        ..Manners::default()
    };
    let rude = rude::before(server.grpc, manners);
    let runner = format!("inputs: []\nsteps: [{{run: '{}'}}]", gate.wait("it"));
    let sandbox = Sandbox::new()
        .runner("it", &runner)
        .card("it", "status: active\nrunner: it");
    (with_executor(sandbox, &rude.url), rude, server)
}

/// Has the chain executed, which must come out as it does here; what the run said.
#[track_caller]
fn comes_out_right(rude: &RudeServer) -> Ran {
    let here = chain();
    drop(run(&here));
    let there = with_executor(chain(), &rude.url);
    let ran = run(&there);
    assert_eq!(artifacts(&here), artifacts(&there), "{}", ran.all());
    is_whole(&there);
    assert_eq!(executor_counts(&ran)["failed"], 0, "{}", ran.all());
    ran
}

#[test]
fn what_is_said_to_be_missing_is_sent_again_and_nothing_else() {
    let (rude, _server) = rude(Executing {
        says_missing: 2,
        ..Executing::default()
    });
    let there = with_executor(chain(), &rude.url);
    let ran = there.mikado("run one --no-mark --format json").exits(0);
    let (sent, missing) = rude.asked.sent_again();
    let missing = missing.expect("something was missing");
    // It looks for it in vain: the real server has it.
    for batch in &sent {
        assert_eq!(batch.iter().collect::<Vec<_>>(), [&missing], "{sent:?}");
    }
    assert_eq!(sent.len(), 2, "{sent:?}");
    assert_eq!(executor_counts(&ran)["repeated"], 2);
    assert_eq!(rude.asked.executions.load(Ordering::SeqCst), 3);
}

#[test]
fn server_that_lacks_something_for_ever_is_given_up() {
    let (rude, _server) = rude(Executing {
        says_missing: usize::MAX,
        ..Executing::default()
    });
    let there = with_executor(chain(), &rude.url);
    let ran = there.mikado("run one --no-mark --format json").exits(1);
    let end = ending(&ran.json_lines(), "one");
    let message = end["message"].as_str().unwrap_or_default();
    assert!(
        message.contains("FailedPrecondition: a blob is missing"),
        "{end}"
    );
    assert_eq!(rude.asked.executions.load(Ordering::SeqCst), 4);
    let ran = there.mikado("run one --no-mark --format json --local-fallback");
    assert_eq!(executor_counts(&ran.exits(0))["here"], 1);
}

#[test]
fn results_are_looked_for_where_the_server_does_not() {
    let (rude, _server) = rude(Executing {
        looks_nothing_up: true,
        ..Executing::default()
    });
    drop(comes_out_right(&rude));
    assert_eq!(rude.asked.executions.load(Ordering::SeqCst), 3);
    let ran = comes_out_right(&rude);
    assert_eq!(
        (executed(&ran), &executor_counts(&ran)["found"]),
        (0, &3.into())
    );
    assert_eq!(rude.asked.executions.load(Ordering::SeqCst), 3);
}

#[test]
fn result_whose_output_is_nowhere_is_made_anew() {
    let (rude, _server) = rude(Executing {
        forgets: 1,
        ..Executing::default()
    });
    let ran = comes_out_right(&rude);
    assert_eq!(executor_counts(&ran)["repeated"], 1);
    // And is given up where that goes on.
    let (rude, _server) = self::rude(Executing {
        forgets: usize::MAX,
        ..Executing::default()
    });
    let there = with_executor(chain(), &rude.url);
    let ran = there.mikado("run one --no-mark --format json").exits(1);
    let end = ending(&ran.json_lines(), "one");
    let message = end["message"].as_str().unwrap_or_default();
    assert!(message.contains("it no longer has the blob"), "{end}");
    assert_eq!(rude.asked.executions.load(Ordering::SeqCst), 2);
}

#[test]
fn stream_that_breaks_is_taken_up_or_asked_for_again() {
    for on_waiting in [None, Some(Code::Unimplemented), Some(Code::NotFound)] {
        let (rude, _server) = rude(Executing {
            breaks: 3,
            on_waiting,
            ..Executing::default()
        });
        let ran = comes_out_right(&rude);
        let waits = rude.asked.waits.load(Ordering::SeqCst);
        assert!((1..=3).contains(&waits), "{on_waiting:?}: {waits}");
        let executions = rude.asked.executions.load(Ordering::SeqCst);
        assert_eq!(executions > 3, on_waiting.is_some(), "{}", ran.all());
    }
}

#[test]
fn card_that_a_server_does_not_execute_is_not_the_end_of_the_server() {
    let (rude, _server) = rude(Executing {
        refuses_first: Some(Code::Unavailable),
        ..Executing::default()
    });
    let there = with_executor(apart(&["a", "b", "c"]), &rude.url);
    let ran = there.mikado("run a b c --keep-going --remote-jobs 1 --format json");
    let counts = executor_counts(&ran.exits(1));
    assert_eq!(
        (&counts["executed"], &counts["failed"]),
        (&2.into(), &1.into()),
        "{counts}"
    );
    // One that was tried again, and two at once.
    assert_eq!(rude.asked.executions.load(Ordering::SeqCst), 5 + 2);
}

#[test]
fn server_that_executes_nothing_for_now_is_left_alone_after_a_few_cards() {
    let (rude, _server) = rude(Executing {
        refuses: Some(Code::Unavailable),
        ..Executing::default()
    });
    let sandbox = apart(&["a", "b", "c"]);
    let above = "status: active\nrequires: [a, b, c]\nrunner: a\nwith: {}";
    let there = with_executor(sandbox.card("above", above), &rude.url);
    let ran = there.mikado("run above --local-fallback --format json");
    let ran = ran.exits(0);
    assert_eq!(executor_counts(&ran)["here"], 4);
    assert_eq!(notes(&ran).len(), 1, "{:?}", notes(&ran));
    // The fourth was not asked for.
    assert_eq!(rude.asked.executions.load(Ordering::SeqCst), 3 * 5);
}

#[test]
fn time_in_the_servers_queue_is_none_of_the_cards() {
    let (rude, _server) = rude(Executing {
        queues: Some(Duration::from_secs(11)),
        ..Executing::default()
    });
    let runner = "timeout: 10s\ninputs: []\nsteps: [{run: 'echo made > \"$OUT/made\"'}]";
    let sandbox = Sandbox::new()
        .runner("it", runner)
        .card("it", "status: active\nrunner: it");
    let sandbox = with_executor(sandbox, &rude.url);
    let ran = sandbox.mikado("run it --format json").exits(0);
    assert_eq!(executor_counts(&ran)["executed"], 1, "{}", ran.all());
    assert_eq!(sandbox.read(".mikado/artifacts/it/made"), "made\n");
}

#[test]
fn stream_that_breaks_again_and_again_is_taken_up_while_it_tells_something() {
    let gate = Gate::new();
    let breaks = Executing {
        breaks: 1,
        breaks_again: 9,
        ..Executing::default()
    };
    let (sandbox, rude, _server) = held(&gate, breaks);
    let run = Run::start(&sandbox, "it");
    let waits = || rude.asked.waits.load(Ordering::SeqCst);
    until("it is not taken up", || waits() == 10);
    gate.open();
    let counts = counts_of(&run.exits(0));
    assert_eq!(
        (&counts["executed"], &counts["failed"]),
        (&1.into(), &0.into()),
        "{counts}"
    );
    assert_eq!(rude.asked.executions.load(Ordering::SeqCst), 1);
}

#[test]
fn stream_that_always_breaks_is_given_up() {
    for (on_waiting, executions, waits) in [(Code::Unavailable, 1, 4), (Code::NotFound, 3, 2)] {
        let gate = Gate::new();
        let breaks = Executing {
            breaks: usize::MAX,
            on_waiting: Some(on_waiting),
            ..Executing::default()
        };
        let (sandbox, rude, _server) = held(&gate, breaks);
        let ran = sandbox.mikado("run it --format json").exits(1);
        let end = ending(&ran.json_lines(), "it");
        let message = end["message"].as_str().unwrap_or_default();
        assert!(message.contains("it can't be reached"), "{end}");
        let asked = [&rude.asked.executions, &rude.asked.waits];
        let asked = asked.map(|count| count.load(Ordering::SeqCst));
        assert_eq!(asked, [executions, waits], "{on_waiting:?}");
    }
}

#[test]
fn execution_that_can_not_be_ended_is_told_of() {
    let gate = Gate::new();
    let never_ends = Executing {
        never_ends: true,
        ..Executing::default()
    };
    let (sandbox, _rude, _server) = held(&gate, never_ends);
    let run = Run::start(&sandbox, "it");
    until("it is not executed", || gate.waiting("it").len() == 1);
    run.interrupt();
    let events = run.exits(130);
    let says = |event: &serde_json::Value| {
        let message = event["message"].as_str().unwrap_or_default();
        message.contains("it runs on there to its end: the server can't cancel")
    };
    assert!(events.iter().any(says), "{events:#?}");
    assert_eq!(gate.waiting("it").len(), 1);
    assert!(counts_of(&events).is_null() || counts_of(&events)["executed"] == 0);
}

#[test]
fn errors_of_all_codes_are_told_or_done_without() {
    let answers = [
        Code::InvalidArgument,
        Code::Internal,
        Code::Unimplemented,
        Code::FailedPrecondition,
        Code::PermissionDenied,
        Code::Unauthenticated,
    ];
    for code in answers {
        let refuses = Executing {
            refuses: Some(code),
            ..Executing::default()
        };
        let ends = Executing {
            ends_with: Some(code),
            ..Executing::default()
        };
        for how in [refuses, ends] {
            let (rude, _server) = rude(how);
            let there = with_executor(chain(), &rude.url);
            let ran = there.mikado("run one --no-mark --format json").exits(1);
            let end = ending(&ran.json_lines(), "one");
            assert_eq!(end["code"], "executor", "{code:?}: {end}");
            let message = end["message"].as_str().unwrap_or_default();
            assert!(message.contains("that is how it"), "{code:?}: {end}");
            let ran = there.mikado("run one --no-mark --format json --local-fallback");
            let ran = ran.exits(0);
            assert_eq!(notes(&ran).len(), 1, "{code:?}: {:?}", notes(&ran));
            assert_eq!(executor_counts(&ran)["here"], 1, "{code:?}");
        }
    }
}
