//! `--timings` and `MIKADO_LOG`: where the time of a command goes.

use serde_json::Value;

use crate::support::sandbox::{Ran, Sandbox};

/// `b` uses `a`.
fn sandbox() -> Sandbox {
    let runner = "inputs: []\nsteps: ['ls $REQUIRES > $OUT/x']";
    Sandbox::new()
        .runner("r", runner)
        .card("a", "status: active\nrunner: r")
        .card("b", "status: active\nrequires: [a]\nrunner: r")
}

/// The first column of the tables.
fn rows(ran: &Ran) -> Vec<String> {
    let text = ran.stderr();
    let lines = text.lines().filter_map(|line| line.strip_prefix("| "));
    let names = lines.filter_map(|line| Some(line.split_once('|')?.0.trim().to_owned()));
    names.filter(|name| !name.starts_with('-')).collect()
}

/// The complete events of a trace.
fn events(text: &str) -> Vec<Value> {
    let trace: Vec<Value> = serde_json::from_str(text).expect("a JSON array");
    let complete = trace.into_iter().filter(|event| event["ph"] == "X");
    complete.collect()
}

#[test]
fn run_tells_of_its_phases_and_cards_and_leaves_a_trace() {
    let sandbox = sandbox();
    let ran = sandbox.mikado("--timings run b").exits(0);
    assert!(!ran.stdout().contains("| "), "{}", ran.stdout());
    let found = rows(&ran);
    for row in [
        "phase",
        "read cards",
        "chain",
        "plan",
        "describe",
        "look up",
        "stage",
        "execute",
        "take in",
        "flush",
        "mark",
        "remember run",
        "card",
        "a",
        "b",
    ] {
        assert!(
            found.iter().any(|found| found == row),
            "no {row}\n{}",
            ran.all()
        );
    }
    ran.says("| stage          |     2 |")
        .says("\n\ntrace: [ROOT]/.mikado/timings.json\n");
    let text = sandbox.read(".mikado/timings.json");
    let events = events(&text);
    let of = |name: &str| {
        let found = events.iter().find(|event| event["name"] == name);
        found
            .unwrap_or_else(|| panic!("no {name} in {text}"))
            .clone()
    };
    let lane = of("b")["tid"].clone();
    assert!(text.contains(r#"{"name":"job 1"}"#), "{text}");
    let executed = |event: &&Value| event["name"] == "execute" && event["args"]["card"] == "b";
    let part = events.iter().find(executed).expect("the execution of b");
    assert_eq!(part["tid"], lane);
    let span = |event: &Value| {
        let number = |key: &str| event[key].as_f64().expect("a number");
        (number("ts"), number("ts") + number("dur"))
    };
    assert!(
        span(&of("b")).0 >= span(&of("a")).1,
        "b began before a ended"
    );
    assert!(span(&of("run")).0 <= span(part).0 && span(part).1 <= span(&of("run")).1);
}

#[test]
fn run_with_nothing_to_do_is_the_same_run_with_times() {
    let sandbox = sandbox();
    for _ in 0..3 {
        sandbox.mikado("run b").exits(0).says_nothing_of("phase");
    }
    let ran = sandbox.mikado("run b --timings").exits(0);
    let expected = ["phase", "read index", "look at files", "tell", "**all**"];
    assert_eq!(rows(&ran), expected, "{}", ran.all());
    assert_eq!(ran.stdout(), sandbox.mikado("run b").stdout());
    // What it left is nothing that a run goes by.
    let ran = sandbox.mikado("--timings run b").exits(0);
    assert_eq!(rows(&ran), expected, "{}", ran.all());
}

#[test]
fn every_command_tells_of_its_phases_and_json_stays_json() {
    let sandbox = sandbox();
    let listed = sandbox
        .mikado("list --format json --timings=list.json")
        .exits(0);
    assert_eq!(listed.json()["cards"].as_array().map(Vec::len), Some(2));
    let found = rows(&listed);
    assert!(found.contains(&"read cards".to_owned()), "{found:?}");
    listed.says("trace: [ROOT]/list.json");
    assert!(!events(&sandbox.read("list.json")).is_empty());
    let none = sandbox.mikado("list --timings").exits(0);
    none.says("no trace: there is no `.mikado` here; name a file: --timings=FILE");
    let planned = sandbox.mikado("plan b --timings").exits(0);
    assert!(
        rows(&planned).contains(&"describe".to_owned()),
        "{}",
        planned.all()
    );
    let refused = sandbox.mikado("list --timings=no/such/folder/x.json");
    refused
        .exits(0)
        .says("no trace: could not write `[ROOT]/no/such/folder/x.json`");
}

#[test]
fn log_shows_phases_as_they_happen() {
    let sandbox = sandbox().env("MIKADO_LOG", "debug");
    let ran = sandbox.mikado("run b").exits(0);
    let text = ran.stderr();
    let at = |words: &str| {
        text.find(words)
            .unwrap_or_else(|| panic!("no {words} in {text}"))
    };
    assert!(at(" 2  read cards\n") < at(" 1  execute a\n"));
    assert!(at(" 1  execute a\n") < at(" 1  execute b\n"));
    assert!(!ran.stdout().contains("execute a"), "{}", ran.stdout());
}

#[test]
fn log_of_an_unknown_value_is_an_error_that_names_the_values() {
    let sandbox = sandbox().env("MIKADO_LOG", "trace");
    let ran = sandbox.mikado("run b").exits(2);
    ran.says("error: `MIKADO_LOG` is `trace`, and can be `debug` or `off`\nhelp: unset MIKADO_LOG");
    let ran = sandbox.mikado("run b --format json").exits(2);
    assert_eq!(ran.json()["code"], "usage");
    let off = sandbox.env("MIKADO_LOG", "off").mikado("list").exits(0);
    off.says_nothing_of("read cards");
}
