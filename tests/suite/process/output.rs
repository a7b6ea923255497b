//! What a program writes, and what its end tells: the log, exit codes, the cost.

use std::fs;
use std::time::Duration;

use mikado::process::{Execution, Exit};

use super::{Bench, block_on, keeper, run};

#[test]
fn exit_codes_and_signals_arrive() {
    let bench = Bench::new();
    for (script, exit) in [
        ("exit 0", Exit::Code(0)),
        ("exit 7", Exit::Code(7)),
        ("kill -SEGV $$", Exit::Signal(11)),
        ("kill -KILL $$", Exit::Signal(9)),
        ("kill -TERM $$", Exit::Signal(15)),
    ] {
        let outcome = run(bench.shell(script));
        assert_eq!(
            (outcome.exit, outcome.strays, outcome.output_error),
            (exit, 0, None),
            "{script}"
        );
    }
}

#[test]
fn output_and_errors_come_in_order_and_are_appended() {
    let bench = Bench::new();
    fs::write(bench.path("log"), "before\n").unwrap();
    run(bench
        .shell("for i in 1 2 3; do echo out $i; echo err $i >&2; done; printf '\\xff\\x00end'"));
    let expected = b"before\nout 1\nerr 1\nout 2\nerr 2\nout 3\nerr 3\n\xff\x00end";
    assert_eq!(fs::read(bench.path("log")).unwrap(), expected);
}

#[test]
fn a_program_that_opens_its_standard_error_anew_loses_no_output() {
    let bench = Bench::new();
    let outcome = run(
        bench.isolated("echo one; echo two > /dev/stderr; echo three > /dev/stdout; echo four")
    );
    assert_eq!(
        (outcome.exit, bench.log().as_str()),
        (Exit::Code(0), "one\ntwo\nthree\nfour\n")
    );
}

#[test]
fn the_cost_of_the_whole_family_is_reported() {
    let bench = Bench::new();
    let script = "(i=0; while ((i < 200000)); do ((++i)); done); head -c 60000000 /dev/zero | tail -c 50000000 > /dev/null";
    let outcome = run(bench.shell(script));
    assert_eq!(outcome.exit, Exit::Code(0));
    assert!(outcome.cpu > Duration::from_millis(50), "{outcome:?}");
    assert!(outcome.wall > Duration::from_millis(50), "{outcome:?}");
    assert!(outcome.max_rss > 40 << 20, "{outcome:?}");
}

#[test]
fn many_run_at_once_and_one_after_the_other() {
    let bench = Bench::new();
    block_on(async {
        let keeper = std::sync::Arc::new(keeper());
        for _ in 0..3 {
            let mut tasks = tokio::task::JoinSet::new();
            for code in 0..50 {
                let (keeper, execution) = (
                    keeper.clone(),
                    bench.shell(&format!("sleep 0.1; exit {code}")),
                );
                tasks.spawn(
                    async move { (code, keeper.execute(execution).await.wait().await.exit) },
                );
            }
            while let Some(ended) = tasks.join_next().await {
                let (code, exit) = ended.unwrap();
                assert_eq!(exit, Exit::Code(code));
            }
        }
    });
}

#[test]
fn a_hundred_megabytes_in_one_line_arrive() {
    let bench = Bench::new();
    let outcome = run(bench.shell("head -c 104857600 /dev/zero | tr '\\0' x"));
    assert_eq!(outcome.exit, Exit::Code(0));
    assert_eq!(fs::metadata(bench.path("log")).unwrap().len(), 104_857_600);
}

#[test]
fn a_full_disk_is_told_and_the_program_goes_on() {
    let bench = Bench::new();
    let full = fs::OpenOptions::new()
        .append(true)
        .open("/dev/full")
        .unwrap();
    let outcome = run(Execution {
        output: full.into(),
        ..bench.shell("echo lost; exit 3")
    });
    assert_eq!(
        (outcome.exit, outcome.output_error),
        (Exit::Code(3), Some(28))
    );
}

#[test]
fn secrets_never_reach_the_log() {
    let bench = Bench::new();
    let script = "echo token=s3cr3t/x; printf s3cr; sleep 0.05; printf '3t/x\\n'; echo s3cr3t%2Fx; printf s3cr3t/x | base64";
    run(Execution {
        secrets: vec![b"s3cr3t/x".to_vec()],
        ..bench.shell(script)
    });
    assert_eq!(bench.log(), "token=***\n***\n***\n***\n");
}
