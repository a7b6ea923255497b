//! `check`: what goes beyond one finding and its picture (see `diagnostics`).

use serde_json::Value;

use crate::support::sandbox::Sandbox;

/// The findings as `severity code path:line:column`, with message and help.
fn findings(sandbox: &Sandbox, code: i32) -> Vec<(String, String, String)> {
    let json = sandbox.mikado("check --format json").exits(code).json();
    let findings = json["findings"].as_array().expect("findings").clone();
    let text = |finding: &Value, key: &str| match &finding[key] {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    findings
        .iter()
        .map(|f| {
            let place = format!(
                "{} {} {}:{}:{}",
                text(f, "severity"),
                text(f, "code"),
                text(f, "path"),
                text(f, "line"),
                text(f, "column")
            );
            (place, text(f, "message"), text(f, "help"))
        })
        .collect()
}

/// Asserts the only finding of a runner that a ready card uses.
#[track_caller]
fn finds(runner: &str, exit: i32, place: &str, message: &str, help: &str) {
    let sandbox = Sandbox::new()
        .runner("r", runner)
        .card("a", "status: active\nrunner: r")
        .card("b", "status: complete\nrunner: r");
    let found = findings(&sandbox, exit);
    let expected = (place.to_owned(), message.to_owned(), help.to_owned());
    assert_eq!(found, [expected]);
}

#[test]
fn fault_of_a_runner_is_told_once_and_as_bad_as_for_the_worst_of_its_cards() {
    let sandbox = Sandbox::new()
        .runner("r", "inputs:\n  - { paths: [x], at: ../up }\n")
        .card("later", "status: active\nrunner: r\nrequires: [now]")
        .card("now", "status: active\nrunner: r");
    let found = findings(&sandbox, 3);
    let expected = (
        "error input runners/r.yaml:2:23".to_owned(),
        "`at: ../up` leaves the action's folder".to_owned(),
        "name a folder below `work/`, such as `at: vendor`".to_owned(),
    );
    assert_eq!(found, [expected]);
    sandbox.edit("cards/now.md", "runner: r", "tags: [x]");
    assert_eq!(findings(&sandbox, 0)[0].0, "note input runners/r.yaml:2:23");
}

#[test]
fn unknown_keys_are_found_at_their_place_with_what_was_meant() {
    finds(
        "inputs: []\nstpes: ['true']\n",
        3,
        "error runner-unknown-key runners/r.yaml:2:1",
        "unknown key `stpes`",
        "did you mean `steps`? `mikado schema runner` has every key and its type",
    );
    finds(
        "inputs:\n  - { paths: [x], too: y }\n",
        3,
        "error runner-unknown-key runners/r.yaml:2:19",
        "inputs[0]: unknown key `too`",
        "the keys here are `source`, `paths`, `requires`, `fetch`, `at`, `optional` and `links`; `mikado schema runner` has every key and its type",
    );
}

#[test]
fn two_that_write_one_place_are_found() {
    // Two open cards that run one command, unless one comes after the other.
    let sandbox = Sandbox::new()
        .runner(
            "push",
            "with: { to: a }\nsteps: ['echo x > \"$WITH_TO\"']\n",
        )
        .card("one", "status: active\nrunner: push")
        .card("two", "status: active\nrunner: push")
        .card("elsewhere", "status: active\nrunner: push\nwith: { to: b }")
        .card(
            "after",
            "status: active\nrunner: push\nrequires: [one, two]",
        )
        .card("done", "status: complete\nrunner: push");
    let found = findings(&sandbox, 0);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].0, "warning one-place cards/one.md:3:9");
    assert_eq!(
        found[0].1,
        "`one` and `two` run the same command, so both write one place"
    );
    sandbox.edit(
        "cards/two.md",
        "runner: push",
        "runner: push\nrequires: [one]",
    );
    assert_eq!(findings(&sandbox, 0), []);
    // A cache of two tools.
    let sandbox = Sandbox::new()
        .runner("go", "inputs: []\ntools: { bash: {} }\ncaches: [build]\n")
        .runner("more-go", "inputs: []\ntools: { bash: {}, sh: {} }\ncaches: [build]\n")
        .runner("node", "inputs: []\nfetch:\n  f: { tools: [sh], run: 'true', caches: [build] }\ntools: { sh: {} }\n")
        .card("a", "status: active\nrunner: go")
        .card("b", "status: active\nrunner: more-go")
        .card("c", "status: active\nrunner: node");
    let found = findings(&sandbox, 0);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].0, "warning one-place runners/node.yaml:3:43");
    assert_eq!(
        found[0].1,
        "the runners `go` and `node` write one cache, `build`, and have no tool in common"
    );
    // Two programs under one name; the same one twice is none.
    finds(
        "inputs: []\ntools:\n  sh: { command: bash --version }\n  bash: { command: env --version }\n",
        3,
        "error one-place runners/r.yaml:4:11",
        "the tools `sh` and `bash` would both be called by `bash`, and are two programs",
        "give one of them another name",
    );
    let sandbox = Sandbox::new()
        .runner("r", "inputs: []\ntools:\n  bash: {}\n  shell: { command: bash --version }\nsteps: ['shell -c true; bash -c true']\n")
        .card("a", "status: active\nrunner: r");
    assert_eq!(findings(&sandbox, 0), []);
    sandbox.mikado("run a").exits(0);
    // Two files for one runner, and one that nothing reads.
    let sandbox = Sandbox::new()
        .runner("r", "steps: ['true']\n")
        .file("runners/r.yml", "steps: ['false']\n")
        .file("runners/s.yml", "steps: ['false']\n")
        .card("a", "status: active\nrunner: r");
    let found: Vec<String> = findings(&sandbox, 0).into_iter().map(|f| f.1).collect();
    assert_eq!(
        found,
        [
            "there are two runners `r`: only `r.yaml` is read",
            "`s.yml` is not read: the file of a runner ends in `.yaml`"
        ]
    );
}

#[test]
fn annotations_are_escaped() {
    let sandbox = Sandbox::new().file(
        "cards/50%, a:b.md",
        "---\nstatus: active\nrequires: ['x % y']\n---\n",
    );
    sandbox.mikado("check --format github").exits(3).prints(
        "::error file=cards/50%25%2C a%3Ab.md,line=3,col=13::`50%25, a:b` requires `x %25 y`, which names no card%0Awrite the card `x %25 y.md`, or take the entry away\n",
    );
}

#[test]
fn commands_of_one_group_run_one_at_a_time() {
    // The way out that the warning names.
    let mut sandbox = Sandbox::new().runner(
        "r",
        "resources: { group: tree }\nsteps: ['mkdir busy; for i in {1..20000}; do :; done; rmdir busy']\n",
    );
    for number in 0..6 {
        sandbox = sandbox.card(&format!("c{number}"), "status: active\nrunner: r");
    }
    assert_eq!(findings(&sandbox, 0), []);
    sandbox.mikado("run --all --jobs 6").exits(0);
}

#[test]
fn several_stems_in_one_text_are_told_to_be_a_list() {
    for value in ["a, b", "|\n  a\n  b"] {
        let sandbox = Sandbox::new()
            .card("a", "status: active")
            .card("b", "status: active")
            .card("top", &format!("status: active\nrequires: {value}"));
        sandbox
            .mikado("check")
            .exits(3)
            .says("which names no card\n")
            .says("  = help: write a list of stems: `requires: [a, b]`\n");
    }
}
