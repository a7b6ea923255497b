//! `mikado doctor`: what the machine can do, and what is missing on it.

use crate::support::sandbox::{MIKADO, Sandbox};

/// The finding of that name, as JSON.
fn found(object: &serde_json::Value, name: &str) -> serde_json::Value {
    let findings = object["findings"].as_array().expect("findings");
    let one = findings.iter().find(|one| one["name"] == name);
    one.unwrap_or_else(|| panic!("no {name} in {object:#}"))
        .clone()
}

#[test]
fn the_machine_and_the_store_are_told_of() {
    let sandbox = Sandbox::new().card("a", "status: active");
    let json = sandbox.mikado("doctor --format json").exits(0).json();
    assert_eq!(json["schemaVersion"], 1);
    for name in [
        "kernel",
        "sha-256",
        "open files",
        "bash",
        "git",
        "store",
        "disk",
        "copies",
    ] {
        let health = found(&json, name)["health"].as_str().map(str::to_owned);
        // A processor may have no instructions for SHA-256.
        let may_miss = name == "sha-256" && health.as_deref() == Some("missing");
        assert!(
            matches!(health.as_deref(), Some("ok" | "note")) || may_miss,
            "{name}: {json:#}"
        );
    }
    assert!(
        json["notIsolated"]
            .as_array()
            .is_some_and(|all| all.len() == 4)
    );
    sandbox
        .mikado("doctor")
        .exits(0)
        .says("       ok bash: GNU bash")
        .says("what isolation never covers:");
}

#[test]
fn how_sha_256_is_made_is_told_as_the_kernel_lists_it() {
    let listed = std::fs::read_to_string("/proc/cpuinfo").expect("processors");
    let has = |flag: &str| listed.split_whitespace().any(|word| word == flag);
    let by_instructions = match std::env::consts::ARCH {
        "x86_64" => has("sha_ni") && has("sse4_1"),
        _ => has("sha2"),
    };
    let (health, says) = match by_instructions {
        true => ("ok", "by the processor's own instructions"),
        false => ("missing", "by software"),
    };
    let sandbox = Sandbox::new();
    let finding = found(&sandbox.mikado("doctor --format json").json(), "sha-256");
    assert_eq!(finding["health"], health, "{finding}");
    let told = finding["says"].as_str().expect("words");
    assert!(told.starts_with(says), "{finding}");
    let line = format!("{health:>9} sha-256: {says}");
    sandbox.mikado("doctor").exits(0).says(&line);
}

#[test]
fn what_is_missing_is_told_with_what_to_do() {
    let runner =
        "tools: { no-such-tool: { version: \">=2\" } }\ninputs: []\nsteps: [{ run: 'true' }]\n";
    let sandbox = Sandbox::new()
        .runner("wants", runner)
        .card("a", "status: active\nrunner: wants")
        .env("PATH", "/nowhere");
    let json = sandbox.mikado("doctor --format json").exits(0).json();
    let bash = found(&json, "bash");
    assert_eq!(bash["health"], "missing");
    assert_eq!(bash["help"], "install it: every step is run by bash");
    let tool = found(&json, "tool no-such-tool");
    assert_eq!(tool["health"], "missing", "{tool}");
    let mut few = sandbox.command("/bin/bash");
    few.args(["-c", &format!("ulimit -n 100; exec {MIKADO} doctor")]);
    sandbox
        .run(few, "doctor")
        .exits(0)
        .says("note open files: a process may have 100\n          raise it before large runs: ulimit -n 1024\n");
}

#[test]
fn a_store_that_can_not_be_used_is_exit_4() {
    Sandbox::new()
        .card("a", "status: active")
        .file(".mikado/format", "7\n")
        .mikado("doctor")
        .exits(4)
        .says("   broken store: ");
}

#[test]
fn without_cards_the_machine_is_told_of_nevertheless() {
    Sandbox::new()
        .mikado("doctor")
        .exits(0)
        .says("note cards: no cards here");
}
