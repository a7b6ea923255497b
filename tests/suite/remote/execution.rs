//! Cards that are executed on another machine: the same action, the same artifact.

use serde_json::Value;

use super::servers;
use super::{artifacts, chain, executed, is_whole, run};
use crate::support::sandbox::{Ran, Sandbox};

/// The sandbox as a machine that has others execute.
pub fn with_executor(sandbox: Sandbox, url: &str) -> Sandbox {
    sandbox.env("MIKADO_EXECUTOR", url)
}

/// What the run says of its executor at its end.
pub fn executor_counts(ran: &Ran) -> Value {
    let lines = ran.json_lines();
    let last = lines.last().expect("an end");
    assert_eq!(last["event"], "runFinished");
    last["executor"].clone()
}

#[test]
fn chain_comes_out_elsewhere_as_it_does_here() {
    let server = servers::executing_casd(&[]);
    let here = chain();
    drop(run(&here));
    let there = with_executor(chain(), &server.url());
    let ran = run(&there);
    let counts = executor_counts(&ran);
    assert_eq!(executed(&ran), 3, "{}", ran.all());
    assert_eq!(counts["executed"], 3, "{counts}");
    assert_eq!(counts["failed"], 0, "{counts}");
    assert_eq!(artifacts(&here), artifacts(&there));
    is_whole(&there);
    // What was printed is in the log.
    let log = there.mikado("log one").exits(0);
    assert!(
        log.stdout().contains("this was printed"),
        "{}",
        log.stdout()
    );

    // Nothing is executed a second time, here or by another machine.
    let again = run(&there);
    assert_eq!(
        (executed(&again), executor_counts(&again)),
        (0, Value::Null)
    );
    let other = with_executor(chain(), &server.url());
    let ran = run(&other);
    assert_eq!(executed(&ran), 0, "{}", ran.all());
    assert_eq!(executor_counts(&ran)["found"], 3);
    assert_eq!(artifacts(&here), artifacts(&other));
}
