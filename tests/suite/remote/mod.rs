//! The cache that machines share, against real servers on the loopback interface.

mod ahead;
pub mod execution;
mod far;
mod faults;
mod hidden;
mod killed;
mod liar;
mod line;
mod nginx;
mod poison;
mod rude;
mod rude_executor;
pub mod scheduler;
pub mod servers;
mod shared;
mod tls;
mod told;

use std::fs;

use crate::support::events::is_built;
use crate::support::sandbox::{Ran, Sandbox};

/// A chain of three builds with all that a build has: inputs, a fetch, checks, an
/// artifact that is used, links, modes, an empty file, a large one.
pub fn chain() -> Sandbox {
    Sandbox::new()
        .file("source.txt", "a text\n")
        .card("one", "status: active\nrunner: one")
        .card("two", "status: active\nrequires: [one]\nrunner: two")
        .card("three", "status: active\nrequires: [two]\nrunner: three")
        .runner(
            "one",
            r##"inputs: [{paths: [source.txt]}]
steps:
  - run: |
      cp source.txt "$OUT/one"
      mkdir -p "$OUT/deep/er"
      echo inside > "$OUT/deep/er/file"
      ln -s ../one "$OUT/deep/link"
      printf '#!/bin/sh\necho runs\n' > "$OUT/program"
      chmod +x "$OUT/program"
      : > "$OUT/empty"
      echo this was printed
verify:
  - { name: has its file, run: 'test -f "$ARTIFACT/one" && echo all is there', show: true }
"##,
        )
        .runner(
            "two",
            r#"inputs: [{requires: one}]
steps: [{run: 'cat one deep/er/file > "$OUT/two"; seq 1500000 > "$OUT/large"'}]
"#,
        )
        .runner(
            "three",
            r#"inputs: [{fetch: thing}]
fetch: {thing: {locked: true, run: 'echo fetched > "$OUT/thing"'}}
steps: [{run: 'cat thing "$REQUIRES/two/two" > "$OUT/three"'}]
verify: [{run: 'grep -q fetched "$ARTIFACT/three"'}]
"#,
        )
        .committed()
}

/// The sandbox as a machine that may write, or only read.
pub fn with_cache(sandbox: Sandbox, url: &str, mode: &str) -> Sandbox {
    sandbox
        .env("MIKADO_CACHE", url)
        .env("MIKADO_CACHE_MODE", mode)
}

/// A machine that writes, with a token that no server here looks at.
pub fn writer(url: &str) -> Sandbox {
    with_cache(chain(), url, "read-write").env("MIKADO_CACHE_TOKEN", "nobody-looks-at-it")
}

/// Another machine, with an empty store, that reads.
pub fn reader(url: &str) -> Sandbox {
    with_cache(chain(), url, "read")
}

/// Runs the whole chain, which must pass, and tells its events.
pub fn run(sandbox: &Sandbox) -> Ran {
    sandbox.mikado("run three --no-mark --format json").exits(0)
}

/// How many builds were executed.
pub fn executed(ran: &Ran) -> usize {
    ran.json_lines()
        .iter()
        .filter(|event| is_built(event))
        .count()
}

/// How many parts (fetches, builds, checks) were executed.
pub fn parts(ran: &Ran) -> usize {
    let is_part = |event: &&serde_json::Value| event["event"] == "partStarted";
    ran.json_lines().iter().filter(is_part).count()
}

/// What the run says of its cache at its end.
pub fn counts(ran: &Ran) -> serde_json::Value {
    let lines = ran.json_lines();
    let last = lines.last().expect("an end");
    assert_eq!(last["event"], "runFinished");
    last["cache"].clone()
}

/// The notes of a run.
pub fn notes(ran: &Ran) -> Vec<String> {
    let lines = ran.json_lines();
    let noted = lines.iter().filter(|event| event["event"] == "noted");
    noted
        .map(|event| event["message"].as_str().unwrap_or_default().to_owned())
        .collect()
}

/// The names of the artifacts of the chain, by card.
pub fn artifacts(sandbox: &Sandbox) -> Vec<String> {
    let name = |stem: &str| {
        let link = sandbox.path(&format!(".mikado/artifacts/{stem}"));
        let tree = fs::read_link(&link).unwrap_or_else(|e| panic!("{}: {e}", link.display()));
        tree.file_name()
            .expect("a name")
            .to_string_lossy()
            .into_owned()
    };
    ["one", "two", "three"].map(name).to_vec()
}

/// Asserts that the store is whole.
pub fn is_whole(sandbox: &Sandbox) {
    drop(sandbox.mikado("store verify").exits(0));
}
