//! Cards of both kinds in one run: some are executed elsewhere, some stay.

use super::super::{notes, servers};
use super::{Gate, artifact, counts_of, ending, executor_counts, until, with_executor};
use crate::support::followed::Run;
use crate::support::puppet::{Puppet, Stage};
use crate::support::sandbox::Sandbox;

/// A sandbox with these runners, each with a card of its name that uses the
/// cards before it.
fn cards(runners: &[(&str, String)]) -> Sandbox {
    let mut sandbox = Sandbox::new();
    let mut before: Vec<&str> = Vec::new();
    for (name, runner) in runners {
        let front = format!(
            "status: active\nrequires: [{}]\nrunner: {name}",
            before.join(", ")
        );
        sandbox = sandbox.runner(name, runner).card(name, &front);
        before.push(name);
    }
    sandbox
}

#[test]
fn local_and_remote_cards_run_at_once_each_with_limits_of_their_own() {
    let (gate, puppet) = (Gate::new(), Puppet::new());
    let server = servers::executing_casd(&["--jobs", "8", &gate.option()]);
    let mut sandbox = Sandbox::new();
    for name in ["a", "b", "c", "d"] {
        let there = format!("inputs: []\nsteps: [{{run: '{}'}}]", gate.wait(name));
        let here = format!(
            "inputs: []\nisolation: none\nsteps: ['{}']",
            puppet.step(name)
        );
        for (kind, runner) in [("there", there), ("here", here)] {
            let stem = format!("{name}-{kind}");
            sandbox = sandbox.runner(&stem, &runner);
            sandbox = sandbox.card(&stem, &format!("status: active\nrunner: {stem}"));
        }
    }
    let sandbox = with_executor(sandbox, &server.url());
    let run = Run::start(&sandbox, "--all --jobs 1 --remote-jobs 3");
    let at_once = || ["a", "b", "c", "d"].map(|name| gate.waiting(name).len());
    until("three are not executed at once", || {
        at_once().iter().sum::<usize>() == 3
    });
    // One here, beside them, while the fourth there waits for its turn.
    let first = puppet.wait_for("a");
    assert_eq!(puppet.waiting(), Vec::<String>::new());
    assert_eq!(at_once().iter().sum::<usize>(), 3);
    first.release(Stage::Passes);
    for name in ["b", "c", "d"] {
        let next = puppet.wait_for(name);
        assert_eq!(puppet.waiting(), Vec::<String>::new());
        assert_eq!(at_once().iter().sum::<usize>(), 3);
        next.release(Stage::Passes);
    }
    gate.open();
    let events = run.exits(0);
    assert_eq!(counts_of(&events)["executed"], 4);
}

#[test]
fn what_stays_uses_what_was_executed_elsewhere_and_the_other_way_round() {
    let server = servers::executing_casd(&[]);
    let runners = [
        ("one", // A worker's root may be `/`: no path begins with two slashes.
            "inputs: []\nsteps: [{run: 'case $OUT$TMPDIR in *//*) exit 9 ;; esac; echo 1 > \"$OUT/one\"'}]"),
        (
            "two",
            "remote: false\ninputs: [{requires: one}]\nsteps: [{run: 'cat one > \"$OUT/two\"; echo 2 >> \"$OUT/two\"'}]",
        ),
        (
            "three",
            "inputs: []\nsteps: [{run: 'cat \"$REQUIRES/one/one\" \"$REQUIRES/two/two\" > \"$OUT/three\"'}]\nverify: [{run: 'grep -q 2 \"$ARTIFACT/three\"'}]",
        ),
    ]
    .map(|(name, runner)| (name, runner.to_owned()));
    let here = cards(&runners);
    drop(here.mikado("run three --no-mark").exits(0));
    let there = with_executor(cards(&runners), &server.url());
    let ran = there.mikado("run three --no-mark --format json").exits(0);
    assert_eq!(executor_counts(&ran)["executed"], 2);
    for stem in ["one", "two", "three"] {
        assert_eq!(artifact(&here, stem), artifact(&there, stem));
    }
    // `why` tells the machines apart.
    let is_there = |stem: &str| {
        let why = there.mikado(&format!("why {stem}")).exits(0);
        why.all().contains(&server.url())
    };
    assert_eq!(["one", "two", "three"].map(is_there), [true, false, true]);
}

#[test]
fn what_is_opened_up_to_this_machine_stays_on_it() {
    let server = servers::executing_casd(&[]);
    for opened in [
        "isolation: none",
        "network: true",
        "home: user",
        "root: fixed",
        "remote: false",
    ] {
        let runner = format!("{opened}\ninputs: []\nsteps: [{{run: 'echo x > \"$OUT/x\"'}}]");
        let sandbox = with_executor(cards(&[("it", runner)]), &server.url());
        let ran = sandbox.mikado("run it --format json").exits(0);
        assert!(executor_counts(&ran).is_null(), "{opened}");
        assert_eq!(notes(&ran), Vec::<String>::new(), "{opened}");
    }
}

#[test]
fn tool_that_a_worker_lacks_is_named() {
    let server = servers::executing_casd(&[]);
    // A tool of this machine's PATH alone.
    let runner = "tools: {only-here: {version: '>=1', command: 'only-here --version'}}\ninputs: []\nsteps: [{run: 'only-here'}]";
    let sandbox = cards(&[("it", runner.to_owned())]);
    let bin = sandbox.home().join("bin");
    std::fs::create_dir_all(&bin).expect("a folder");
    let program = bin.join("only-here");
    std::fs::write(&program, "#!/bin/sh\necho only-here 1.2.3\n").expect("a program");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&program, mode).expect("a mode");
    let path = std::env::var("PATH").unwrap_or_default();
    let sandbox = sandbox.env("PATH", format!("{}:{path}", bin.display()));
    drop(sandbox.mikado("run it --no-mark").exits(0));
    let sandbox = with_executor(sandbox, &server.url());
    let ran = sandbox.mikado("run it --force --format json").exits(1);
    let end = ending(&ran.json_lines(), "it");
    assert_eq!((&end["code"], &end["exit"]), (&"step".into(), &127.into()));
    let help = end["help"].as_str().unwrap_or_default();
    assert!(help.contains("has no `only-here`"), "{end}");
    assert!(help.contains("remote: false"), "{end}");
}
