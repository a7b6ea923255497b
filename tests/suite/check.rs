//! `check`: faults of runners, each with its place and what to do.

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
fn values_of_the_wrong_type_are_found_at_their_line() {
    let help = "`mikado schema runner` has every key and its type";
    finds(
        "inputs: []\nsteps: 7\n",
        3,
        "error runner-invalid runners/r.yaml:2:1",
        "steps: invalid type: integer `7`, expected a sequence",
        help,
    );
    finds(
        "steps: ['true']\ntimeout: soon\n",
        3,
        "error runner-invalid runners/r.yaml:1:1",
        "`soon` is not a duration: expected something like `30s`, `20m` or `1h30m`",
        help,
    );
}

#[test]
fn names_that_name_nothing_are_found_in_the_runner() {
    finds(
        "inputs:\n  - { source: upstraem, paths: [x] }\n",
        3,
        "error unknown-source runners/r.yaml:2:15",
        "no source is called `upstraem`",
        "add `upstraem` to `runners/sources.yaml`",
    );
    finds(
        "inputs: []\ntools: { python3: {} }\nfetch:\n  f:\n    tools: [pyhton3]\n    run: 'true'\n",
        3,
        "error unknown-tool runners/r.yaml:5:13",
        "the fetch `f` names the tool `pyhton3`, which the runner does not declare",
        "did you mean `python3`?",
    );
    finds(
        "with: { width: 1 }\ninputs: []\nfetch:\n  f: { with: [height], run: 'true' }\n",
        3,
        "error parameter runners/r.yaml:4:15",
        "the fetch `f` names the parameter `height`, which the runner does not declare",
        "declare it under `with`",
    );
    finds(
        "inputs:\n  - { fetch: modules, at: m }\nfetch: { module: { run: 'true' } }\n",
        3,
        "error unknown-fetch runners/r.yaml:2:14",
        "an input names the fetch `modules`, which the runner does not have",
        "did you mean `module`?",
    );
    finds(
        "inputs:\n  - paths: ['${with.files}']\n",
        3,
        "error parameter runners/r.yaml:2:14",
        "`${with.files}` names no parameter of the runner; it declares none",
        "`mikado schema runner` says what may stand there",
    );
    finds(
        "inputs: [{ at: x }]\n",
        3,
        "error input runners/r.yaml:1:1",
        "an input wants exactly one of `paths`, `requires` and `fetch`",
        "write an entry for each",
    );
    finds(
        "inputs:\n  - { paths: [x], at: ../up }\n",
        3,
        "error input runners/r.yaml:2:23",
        "`at: ../up` leaves the action's folder",
        "name a folder below `work/`, such as `at: vendor`",
    );
    finds(
        "inputs: []\ncaches: [target]\n",
        0,
        "warning cache runners/r.yaml:2:10",
        "the cache `target` is for tools that key by content, which this one's is not",
        "take it away, or name a cache of Go, ccache, npm or pip",
    );
}

#[test]
fn parameters_are_found_in_the_card() {
    let sandbox = Sandbox::new()
        .runner(
            "r",
            "with: { width: ~, source: s }\ninputs: [{ source: '${with.source}', paths: [x] }]\n",
        )
        .file("runners/sources.yaml", "s: { path: s }\n")
        .card("lacks", "status: active\nrunner: r")
        .card(
            "odd",
            "status: active\nrunner: r\nwith:\n  width: 1\n  widht: 2",
        )
        .card(
            "other",
            "status: active\nrunner: r\nwith:\n  width: 1\n  source: upstream",
        );
    let found = findings(&sandbox, 3);
    let expected = [
        (
            "error parameter cards/lacks.md:3:9",
            "the runner needs the parameter `width`, and nothing gives it",
            "give it in the card: `with: {width: ...}`",
        ),
        (
            "error parameter cards/odd.md:6:3",
            "the runner has no parameter `widht`; it declares `width` and `source`",
            "did you mean `width`?",
        ),
        (
            "error unknown-source cards/other.md:6:3",
            "no source is called `upstream`",
            "add `upstream` to `runners/sources.yaml`",
        ),
    ];
    let expected = expected.map(|(a, b, c)| (a.to_owned(), b.to_owned(), c.to_owned()));
    assert_eq!(found, expected);
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
        "error one-place runners/r.yaml:4:3",
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
fn unused_and_unreadable_files_are_found_without_a_card() {
    let sandbox = Sandbox::new()
        .runner("idle", "steps: ['true']\n")
        .card("a", "status: active");
    let found = findings(&sandbox, 0);
    assert_eq!(
        found,
        [(
            "note unused-runner runners/idle.yaml:1:1".to_owned(),
            "no card uses the runner `idle`".to_owned(),
            "write `runner: idle` into a card, or delete it".to_owned()
        )]
    );
    let sandbox = sandbox
        .runner("broken", "steps: {\n")
        .file("runners/sources.yaml", "a: { path: x }\nb: { pth: y }\n")
        .file("runners/tools.lock.yaml", "version: 1\ntools: 7\n");
    let found = findings(&sandbox, 3);
    let places: Vec<&str> = found.iter().map(|f| f.0.as_str()).collect();
    assert_eq!(
        places,
        [
            "error runner-invalid runners/broken.yaml:1:1",
            "note unused-runner runners/broken.yaml:1:1",
            "note unused-runner runners/idle.yaml:1:1",
            "error sources-invalid runners/sources.yaml:2:1",
            "error lock-invalid runners/tools.lock.yaml:2:1",
        ]
    );
    assert!(found.iter().all(|f| !f.2.is_empty()), "{found:?}");
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
