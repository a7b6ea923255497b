//! How a program and all that it started are brought to their end.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::time::{Duration, Instant};

use mikado::process::{Execution, Exit, GRACE};

use super::{Bench, DAEMON, block_on, ended, keeper, read_to_end, run};

#[test]
fn a_timeout_terminates_and_the_grace_kills() {
    let bench = Bench::new();
    bench.fifo("hold");
    let ready = bench.fifo("ready");
    let script = "exec 4<> hold; trap 'echo ignored' TERM; echo ready > ready; while :; do read -t 0.1 -u 4 || :; done";
    let execution = Execution {
        timeout: Some(Duration::from_secs(1200)),
        ..bench.shell(script)
    };
    let begun = Instant::now();
    // With the clock stopped, it jumps to the next timeout as soon as there is nothing else to do.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    let (outcome, waited) = runtime.block_on(async {
        let keeper = keeper();
        let running = keeper.execute(execution).await;
        assert_eq!(read_to_end(&ready), "ready\n");
        let begun = tokio::time::Instant::now();
        (running.wait().await, begun.elapsed())
    });
    assert_eq!(outcome.exit, Exit::TimedOut);
    assert_eq!(waited.as_secs(), 1200 + GRACE.as_secs());
    assert!(begun.elapsed() < Duration::from_secs(100));
}

#[test]
fn a_polite_program_ends_within_the_grace() {
    let bench = Bench::new();
    bench.fifo("hold");
    let ready = bench.fifo("ready");
    let script = "exec 4<> hold; trap 'echo cleaning; exit 3' TERM; echo ready > ready; while :; do read -t 0.1 -u 4 || :; done";
    block_on(async {
        let keeper = keeper();
        let running = keeper.execute(bench.shell(script)).await;
        assert_eq!(read_to_end(&ready), "ready\n");
        running.terminate();
        assert_eq!(running.wait().await.exit, Exit::Cancelled);
    });
    assert_eq!(bench.log(), "cleaning\n");
}

#[test]
fn what_a_terminated_leader_leaves_has_the_grace_as_well() {
    let bench = Bench::new();
    bench.fifo("hold");
    let ready = bench.fifo("ready");
    // The shell dies of the signal at once; its daemon, in a session of its own, needs longer.
    let daemon = "exec 4<> hold; trap 'sleep 0.5; echo saved; exit' TERM; echo ready > ready; while :; do read -t 0.1 -u 4 || :; done";
    let script = format!("setsid bash -c \"{daemon}\" & sleep 1000");
    block_on(async {
        let keeper = keeper();
        let running = keeper.execute(bench.shell(&script)).await;
        assert_eq!(read_to_end(&ready), "ready\n");
        running.terminate();
        running.wait().await
    });
    assert_eq!(bench.log(), "saved\n");
}

#[test]
fn a_daemon_is_killed_when_its_maker_ends() {
    let bench = Bench::new();
    bench.fifo("started");
    let alive = bench.fifo("alive");
    let holder = std::thread::spawn(move || read_to_end(&alive));
    let outcome = run(bench.shell(DAEMON));
    assert_eq!(outcome.exit, Exit::Code(0));
    assert_eq!(outcome.strays, 1);
    assert_eq!(holder.join().unwrap(), "");
}

#[test]
fn what_ends_by_itself_soon_is_no_stray() {
    let bench = Bench::new();
    let outcome = run(bench.shell("exec > >(sleep 0.05; sed s/^/-/); echo last words"));
    assert_eq!((outcome.exit, outcome.strays), (Exit::Code(0), 0));
    assert_eq!(bench.log(), "-last words\n");
}

#[test]
fn a_daemon_without_output_is_not_waited_for() {
    let bench = Bench::new();
    let begun = Instant::now();
    let outcome = run(bench.shell("setsid sleep 1000 > /dev/null 2>&1 & exit 6"));
    assert_eq!((outcome.exit, outcome.strays), (Exit::Code(6), 1));
    assert!(begun.elapsed() < Duration::from_secs(100));
}

#[test]
fn a_program_that_closes_its_output_is_waited_for() {
    let bench = Bench::new();
    let outcome = run(bench.shell("echo one; exec > /dev/null 2>&1; sleep 0.1; exit 4"));
    assert_eq!(
        (outcome.exit, bench.log().as_str()),
        (Exit::Code(4), "one\n")
    );
    assert!(outcome.wall > Duration::from_millis(100));
}

#[test]
fn a_running_that_is_dropped_is_killed() {
    let bench = Bench::new();
    let (ready, alive) = (bench.fifo("ready"), bench.fifo("alive"));
    block_on(async {
        let keeper = keeper();
        let running = keeper
            .execute(bench.shell("exec 3> alive; echo ready > ready; sleep 1000"))
            .await;
        let alive = File::open(alive).unwrap();
        assert_eq!(read_to_end(&ready), "ready\n");
        drop(running);
        let mut nothing = String::new();
        { alive }.read_to_string(&mut nothing).unwrap();
        assert_eq!(
            ended(&keeper, bench.execution(&["true"])).await.exit,
            Exit::Code(0)
        );
    });
}

#[test]
fn cancelling_all_ends_what_runs_and_refuses_what_comes() {
    let bench = Bench::new();
    let ready = bench.fifo("ready");
    block_on(async {
        let keeper = keeper();
        let mut running = Vec::new();
        for _ in 0..5 {
            running.push(
                keeper
                    .execute(bench.shell("echo ready > ready; sleep 1000"))
                    .await,
            );
        }
        let mut lines = BufReader::new(File::open(&ready).unwrap()).lines();
        for _ in 0..5 {
            match lines.next() {
                Some(line) => assert_eq!(line.unwrap(), "ready"),
                // The writers that came by now are gone; the others come.
                None => lines = BufReader::new(File::open(&ready).unwrap()).lines(),
            }
        }
        keeper.cancel_all(false);
        for running in running {
            assert_eq!(running.wait().await.exit, Exit::Cancelled);
        }
        assert_eq!(
            ended(&keeper, bench.execution(&["true"])).await.exit,
            Exit::Cancelled
        );
    });
}

#[test]
fn cancelling_immediately_kills_what_ignores_the_request() {
    let bench = Bench::new();
    let ready = bench.fifo("ready");
    let script = "trap '' TERM; echo ready > ready; sleep 1000; sleep 1000";
    block_on(async {
        let keeper = keeper();
        let running = keeper.execute(bench.shell(script)).await;
        assert_eq!(read_to_end(&ready), "ready\n");
        keeper.cancel_all(false);
        keeper.cancel_all(true);
        assert_eq!(running.wait().await.exit, Exit::Cancelled);
    });
}
