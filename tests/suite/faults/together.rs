//! Many runs at once over one chain: each action is executed once, and who waits
//! says for whom.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Stdio};

use serde_json::Value;

use super::chain::Chain;
use crate::support::events::{cards_of, is_built};
use crate::support::puppet::{Puppet, Stage};
use crate::support::sandbox::{MIKADO, Sandbox};

const CARDS: usize = 100;
const RUNS: usize = 8;

/// A chain in a git repository with a second work tree, which shares its store.
fn two_work_trees() -> (Chain, PathBuf) {
    let chain = Chain::new(CARDS);
    chain.sandbox.write(".gitignore", "/.mikado\n");
    chain.sandbox.git("init -q");
    chain.sandbox.git("add -A");
    chain.sandbox.git("commit -qm start");
    chain.sandbox.git("worktree add -q ../other");
    let other = chain
        .sandbox
        .path("../other")
        .canonicalize()
        .expect("a work tree");
    (chain, other)
}

/// Starts the runs, half of them in each work tree.
fn start(chain: &Chain, other: &PathBuf) -> Vec<Child> {
    let runs = (0..RUNS).map(|run| {
        let mut command = chain.sandbox.command(MIKADO);
        if run % 2 == 1 {
            command.current_dir(other);
        }
        command.args(["run", "--all", "--format", "json", "--jobs", "2"]);
        command
            .stdout(Stdio::piped())
            .spawn()
            .expect("a started program")
    });
    runs.collect()
}

/// What a run told of, and its exit code. `kill_after` so many events.
fn follow(mut run: Child, kill_after: Option<usize>) -> (Vec<Value>, Option<i32>) {
    let mut events = Vec::new();
    let lines = BufReader::new(run.stdout.take().expect("its output")).lines();
    for line in lines.map_while(Result::ok) {
        events.extend(serde_json::from_str::<Value>(&line));
        if Some(events.len()) == kill_after {
            run.kill().expect("a killed program");
        }
    }
    (events, run.wait().expect("its end").code())
}

/// Runs them all; some are killed after so many events. Returns the events of
/// each.
fn all_at_once(chain: &Chain, other: &PathBuf, killed: &BTreeMap<usize, usize>) -> Vec<Vec<Value>> {
    let runs = start(chain, other);
    let pids: Vec<String> = runs
        .iter()
        .map(|run| format!("process {}", run.id()))
        .collect();
    let followed: Vec<_> = std::thread::scope(|scope| {
        let runs: Vec<_> = runs
            .into_iter()
            .enumerate()
            .map(|(run, child)| scope.spawn(move || follow(child, killed.get(&run).copied())))
            .collect();
        runs.into_iter()
            .map(|run| run.join().expect("a run"))
            .collect()
    });
    let mut awaited = 0;
    for (run, (events, code)) in followed.iter().enumerate() {
        let expected = if killed.contains_key(&run) {
            None
        } else {
            Some(0)
        };
        assert_eq!(*code, expected, "run {run}: {:?}", events.last());
        for event in events
            .iter()
            .filter(|event| event["event"] == "cardAwaited")
        {
            let holder = event["holder"].as_str().expect("a holder");
            assert!(
                pids.iter().any(|pid| holder == pid) || holder == "another process",
                "{holder} of {pids:?}"
            );
            awaited += 1;
        }
    }
    report!(
        "{RUNS} runs of {CARDS} cards, {} killed: {awaited} waits, each for one of them",
        killed.len()
    );
    followed.into_iter().map(|(events, _)| events).collect()
}

#[test]
fn eight_runs_of_a_hundred_cards_execute_each_action_once() {
    let (chain, other) = two_work_trees();
    let events = all_at_once(&chain, &other, &BTreeMap::new());
    let mut built: Vec<&str> = events
        .iter()
        .flat_map(|events| cards_of(events, is_built))
        .collect();
    built.sort_unstable();
    let expected: Vec<&str> = chain.nodes.iter().map(|node| node.stem.as_str()).collect();
    assert_eq!(built.iter().copied().collect::<BTreeSet<_>>().len(), CARDS);
    assert_eq!(built.len(), expected.len(), "{built:?}");
    // And counted where they were executed.
    let counted = chain.sandbox.read(".mikado/caches/count/log");
    assert_eq!(counted.lines().count(), CARDS);
    chain.assert_right("the main work tree");
    chain.assert_right_in(&other, "the other work tree");
    chain.assert_complete("the main work tree");
    chain.assert_tidy("the main work tree");
}

#[test]
fn two_of_eight_runs_are_killed_and_the_others_do_the_rest_once() {
    let (chain, other) = two_work_trees();
    let killed = BTreeMap::from([(2, 60), (5, 90)]);
    let events = all_at_once(&chain, &other, &killed);
    let alive = || (0..RUNS).filter(|run| !killed.contains_key(run));
    let mut built: Vec<&str> = alive()
        .flat_map(|run| cards_of(&events[run], is_built))
        .collect();
    let count = built.len();
    built.sort_unstable();
    built.dedup();
    assert_eq!(
        built.len(),
        count,
        "no action is executed twice by those that live"
    );
    for run in killed.keys() {
        let marked: Vec<&str> =
            cards_of(&events[*run], |event| event["event"] == "cardMarked").collect();
        for card in cards_of(&events[*run], is_built).filter(|card| marked.contains(card)) {
            assert!(
                !built.contains(&card),
                "`{card}` was made and marked by a run that was killed, and lost"
            );
        }
    }
    let counted = chain.sandbox.read(".mikado/caches/count/log");
    let executed: BTreeSet<&str> = counted.lines().collect();
    assert_eq!(executed.len(), CARDS);
    report!("{} executions of {CARDS} actions", counted.lines().count());
    chain.assert_right("the main work tree");
    chain.assert_right_in(&other, "the other work tree");
    chain.assert_tidy("the main work tree");
    drop(chain.sandbox.mikado("store verify").exits(0));
}

#[test]
fn who_waits_says_for_whom_and_a_killed_holder_is_noticed() {
    let puppet = Puppet::new();
    let sandbox = Sandbox::new()
        .runner(
            "held",
            &format!(
                "isolation: none\ninputs: []\nsteps: ['{}']",
                puppet.step("held")
            ),
        )
        .card("held", "status: active\nrunner: held");
    let start = || {
        let mut command = sandbox.command(MIKADO);
        command
            .args(["run", "held", "--jobs", "1"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("a started program")
    };
    let mut first = start();
    let of_first = puppet.wait_for("held");
    let mut second = start();
    let mut lines = BufReader::new(second.stdout.take().expect("its output")).lines();
    let awaiting = format!(" Awaiting held: process {} is at it", first.id());
    let told = lines
        .by_ref()
        .map_while(Result::ok)
        .find(|line| line.contains("Awaiting"));
    assert_eq!(told.as_deref(), Some(awaiting.as_str()));
    first.kill().expect("a killed program");
    first.wait().expect("its end");
    of_first.ends();
    // The second comes to execute it itself.
    puppet.wait_for("held").release(Stage::Passes);
    assert!(second.wait().expect("its end").success());
    assert!(
        lines
            .map_while(Result::ok)
            .any(|line| line.starts_with("    Built held"))
    );
}
