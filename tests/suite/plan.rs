//! `plan` and its like: what they say without executing anything.

use std::os::unix::fs::PermissionsExt;

use crate::support::sandbox::Sandbox;

/// A card whose tool leaves a trace of each time that it is asked.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new()
        .runner(
            "use",
            "tools: { oracle: { version: '>=1', command: 'oracle --version; echo >> asked' } }\ninputs: []\nsteps: ['touch \"$OUT/x\"']",
        )
        .card("a", "status: active\nrunner: use")
        .card("b", "status: active\nrunner: use\nrequires: [a]")
        .file("bin/oracle", "#!/bin/sh\necho 1.2\n");
    let oracle = sandbox.path("bin/oracle");
    std::fs::set_permissions(&oracle, PermissionsExt::from_mode(0o755)).expect("a mode");
    let path = format!("{}:/usr/bin:/bin", sandbox.path("bin").display());
    sandbox.env("PATH", path)
}

#[test]
fn plan_show_and_why_ask_no_tool() {
    let sandbox = sandbox();
    let asked = || match std::fs::read_to_string(sandbox.path("asked")) {
        Ok(text) => text.lines().count(),
        Err(_) => 0,
    };
    let unknown = "tool `oracle` of runner `use`: it was not asked for its version yet";
    for command in [
        "plan",
        "plan --tools path",
        "show a",
        "why a",
        "list",
        "check",
    ] {
        let ran = sandbox.mikado(command).exits(0);
        if !["list", "check"].contains(&command) {
            drop(ran.says(unknown));
        }
    }
    sandbox.mikado("plan b").exits(0).prints(format!(
        "      run a (not known before a run, {unknown})\n      run b (after a)\n"
    ));
    assert_eq!(asked(), 0);
    sandbox.mikado("run").exits(0);
    let once = asked();
    assert!(once > 0);
    // What it said last counts, although a script may say something else each time.
    sandbox
        .mikado("plan b")
        .exits(0)
        .prints("    fresh a\n    fresh b\n");
    sandbox.mikado("why a").exits(0).says("fresh");
    assert_eq!(asked(), once);
    sandbox.write("bin/oracle", "#!/bin/sh\necho 2.0 now\n");
    sandbox.mikado("plan a").exits(0).says(unknown);
    assert_eq!(asked(), once);
}

/// A record of a run as `mikado` keeps it, so that durations are known.
fn recorded(stem: &str, took_ms: u64) -> String {
    format!("{{\"stem\":\"{stem}\",\"startedMs\":1,\"tookMs\":{took_ms},\"exit\":0}}\n")
}

fn fleet() -> Sandbox {
    let records: String = [("a", 1000), ("b", 2000), ("c", 3000)]
        .map(|(stem, took)| recorded(stem, took))
        .concat();
    Sandbox::new()
        .runner("do", "inputs: []\nsteps: ['touch \"$OUT/x\"']")
        .card("a", "status: active\nrunner: do")
        .card("b", "status: active\nrunner: do\nrequires: [a]")
        .card("c", "status: active\nrunner: do\nrequires: [a]")
        .card("d", "status: active\nrunner: do\nrequires: [b, c]")
        .card("by-hand", "status: active\nrequires: [d]")
        .file(".mikado/records.jsonl", &records)
}

#[test]
fn plan_for_workers_tells_times_the_critical_path_and_where_more_stop_paying() {
    let sandbox = fleet();
    sandbox
        .mikado("plan --workers 4 --latency 100")
        .exits(0)
        .prints(
            "4 cards executed anew, as they last took, each with 100 ms of latency:

workers  time           speed-up  busy
      1  8.4 s              1.0x  100 %
      2  6.3 s              1.3x   67 %
      4  6.3 s              1.3x   33 %

more than 2 workers save less than 5 %
no number takes less than 6.3 s: a -> c -> d
1 card never executed here: counted as the median of the others
",
        );
    let json = sandbox
        .mikado("plan --workers 2 --format json")
        .exits(0)
        .json();
    assert_eq!(json["cards"], 4);
    assert_eq!(json["unknown"], 1);
    assert_eq!(json["workers"][1]["tookMs"], 6000);
    assert_eq!(json["criticalPath"][1]["stem"], "c");
    assert_eq!(json["criticalPathMs"], 6000);
    // It executes nothing and marks nothing.
    assert!(sandbox.read("cards/a.md").contains("active"));
}

#[test]
fn plan_for_no_workers_is_refused() {
    let ran = fleet().mikado("plan --workers 0").exits(2);
    drop(ran.says("1..=1000000"));
}
