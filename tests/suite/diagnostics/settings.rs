//! Findings in the files beside cards and runners: settings, the lock of tools, sources.

use snapbox::str;

use super::check;
use crate::support::sandbox::Sandbox;

#[test]
fn an_unknown_setting() {
    let sandbox = Sandbox::new()
        .card("a", "status: active")
        .file("mikado.yaml", "runners: runners\ncard: [docs]\n");
    sandbox.mikado("check").exits(3).warns(str![[r#"
error: unknown field `card`, expected one of [..]
 --> mikado.yaml:2:1
  |
2 | card: [docs]
  | ^^^^^^^^^^^^
  = help: `mikado schema config` has every key and its type
  = code: config-invalid

error: 1 finding in the way

"#]]);
    let json = sandbox.mikado("check --format json").exits(3);
    json.says("config-invalid").says("mikado.yaml");
}

#[test]
fn a_lock_that_can_not_be_read() {
    let sandbox = Sandbox::new()
        .card("a", "status: active")
        .file("runners/tools.lock.yaml", "version: 1\ntools: [x]\n");
    check(
        &sandbox,
        3,
        str![[r#"
error: the lock of tools can't be read: tools: invalid type: sequence, expected a map
 --> runners/tools.lock.yaml:2:1
  |
2 | tools: [x]
  | ^^^^^^^^^^
  = help: make it again with `mikado lock`
  = code: lock-invalid

1 file read: 1 error, 0 warnings, 0 notes

"#]],
    );
}

#[test]
fn a_list_of_sources_that_can_not_be_read() {
    let sandbox = Sandbox::new().card("a", "status: active").file(
        "runners/sources.yaml",
        "notes: { path: notes }\nauthentik: { paht: x }\n",
    );
    check(
        &sandbox,
        3,
        str![[r#"
error: `sources.yaml` can't be read: authentik: unknown field `paht`, expected one of `path`, `git`, `commit`, `tag`, `hash`
 --> runners/sources.yaml:2:1
  |
2 | authentik: { paht: x }
  | ^^^^^^^^^^^^^^^^^^^^^^
  = help: write `NAME: {path: DIR}` or `NAME: {git: URL, commit: 40 digits}`
  = code: sources-invalid

1 file read: 1 error, 0 warnings, 0 notes

"#]],
    );
}
