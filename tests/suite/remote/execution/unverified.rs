//! Servers that verify nothing: whatever comes under a digest is kept, halves are
//! taken for the whole, and what comes back is something else.

use std::sync::atomic::Ordering;

use mikado::digest::Digest;

use super::super::rude::{self, Manners, RudeServer};
use super::super::servers::{self, Server};
use super::super::{artifacts, chain, is_whole};
use super::{counts_of, ending, executor_counts, until, with_executor};
use crate::support::followed::Run;
use crate::support::sandbox::Sandbox;

/// A line of what is read.
const LINE: &str = "a line of an input\n";

/// A card that reads one input that is small and one that goes in a stream.
fn reads() -> Sandbox {
    Sandbox::new()
        .file("small", LINE)
        .file("large", &LINE.repeat(300_000))
        .runner(
            "reads",
            "inputs: [{paths: [small, large]}]\nsteps: [{run: 'cat small large | cksum > \"$OUT/sum\"'}]",
        )
        .card("reads", "status: active\nrunner: reads")
}

/// A server that verifies nothing, before a real one.
fn careless(manners: Manners) -> (RudeServer, Server) {
    let server = servers::executing_casd(&[]);
    let manners = Manners {
        verifies_nothing: true,
        ..manners
    };
    (rude::before(server.grpc, manners), server)
}

/// Asserts that all that the server keeps is what it came as; how much it is.
#[track_caller]
fn keeps_what_is_right(rude: &RudeServer) -> usize {
    let kept = rude.asked.kept();
    for (hash, bytes) in &kept {
        assert_eq!(Digest::of(bytes).hex(), *hash, "{} bytes", bytes.len());
    }
    kept.len()
}

/// What the card has as its artifact where it is executed here.
fn sum_of(sandbox: &Sandbox) -> String {
    let here = reads();
    for path in ["small", "large"] {
        here.write(path, &sandbox.read(path));
    }
    drop(here.mikado("run reads --no-mark").exits(0));
    here.read(".mikado/artifacts/reads/sum")
}

#[test]
fn input_that_changes_on_its_way_is_not_kept_as_what_it_was() {
    for changed in ["small", "large"] {
        let (rude, _server) = careless(Manners {
            waits_before_missing: true,
            ..Manners::default()
        });
        let sandbox = with_executor(reads(), &rude.url);
        let run = Run::start(&sandbox, "reads --no-mark");
        let asked = || rude.asked.missing_asked.load(Ordering::SeqCst) > 0;
        until("nothing is sent", asked);
        sandbox.edit(changed, LINE, "another one\n");
        rude.asked.let_go.store(true, Ordering::SeqCst);
        let events = run.exits(1);
        let end = ending(&events, "reads");
        let message = end["message"].as_str().unwrap_or_default();
        assert!(message.contains("changed while it was uploaded"), "{end}");
        assert_eq!(counts_of(&events)["failed"], 1);
        let kept = keeps_what_is_right(&rude);
        let ran = sandbox.mikado("run reads --no-mark --format json").exits(0);
        assert_eq!(executor_counts(&ran)["executed"], 1);
        assert_eq!(
            sandbox.read(".mikado/artifacts/reads/sum"),
            sum_of(&sandbox)
        );
        assert!(keeps_what_is_right(&rude) > kept);
    }
}

#[test]
fn half_of_a_blob_that_is_taken_for_the_whole_is_sent_again() {
    let (rude, _server) = careless(Manners {
        halves: true,
        ..Manners::default()
    });
    let sandbox = with_executor(reads(), &rude.url);
    let ran = sandbox.mikado("run reads --no-mark --format json").exits(0);
    let counts = executor_counts(&ran);
    assert_eq!(
        (&counts["executed"], &counts["failed"]),
        (&1.into(), &0.into()),
        "{counts}"
    );
    assert_eq!(rude.asked.halved.load(Ordering::SeqCst), 2);
    assert_eq!(
        sandbox.read(".mikado/artifacts/reads/sum"),
        sum_of(&sandbox)
    );
    assert!(keeps_what_is_right(&rude) > 0);
}

#[test]
fn wrong_bytes_of_an_artifact_are_an_error_or_done_without() {
    let (rude, _server) = careless(Manners {
        lies: true,
        ..Manners::default()
    });
    let here = chain();
    drop(super::run(&here));
    let there = with_executor(chain(), &rude.url);
    let ran = there.mikado("run three --no-mark --format json").exits(1);
    let end = ending(&ran.json_lines(), "one");
    let message = end["message"].as_str().unwrap_or_default();
    assert!(message.contains("it sent something else than"), "{end}");
    assert_eq!(executor_counts(&ran)["failed"], 1);
    is_whole(&there);
    let ran = there.mikado("run three --no-mark --format json --local-fallback");
    let counts = executor_counts(&ran.exits(0));
    assert_eq!(counts["here"], 3, "{counts}");
    assert_eq!(artifacts(&here), artifacts(&there));
    is_whole(&there);
}
