//! Small chains of their own: the four kinds of work, hits and misses, failures
//! and what they leave behind, marks.

mod asked;
mod fresh;
mod kinds;
mod refusals;

use crate::support::events::{cards_of, is_built};
use crate::support::sandbox::Sandbox;

/// A build that copies its one input, and writes how often it ran into nothing:
/// whether it ran is seen in the events.
const COPY: &str = "
with: { file: ~ }
inputs: [{ paths: ['${with.file}'] }]
steps: [{ name: copy, run: 'cp \"$WITH_FILE\" \"$OUT/copy\"' }]
";

/// A build that joins the artifacts that it uses.
const JOIN: &str = "
inputs: []
steps: [{ name: join, run: 'cat \"$REQUIRES\"/*/copy > \"$OUT/copy\"' }]
";

fn copies() -> Sandbox {
    Sandbox::new()
        .runner("copy", COPY)
        .runner("join", JOIN)
        .file("a.txt", "a\n")
        .file("b.txt", "b\n")
        .card("a", "status: active\nrunner: copy\nwith: {file: a.txt}")
        .card("b", "status: active\nrunner: copy\nwith: {file: b.txt}")
        .card("both", "status: active\nrequires: [a, b]\nrunner: join")
}

/// Runs, and returns the cards that were executed, sorted.
fn executed(sandbox: &Sandbox, arguments: &str) -> Vec<String> {
    let ran = sandbox
        .mikado(&format!("run --format json {arguments}"))
        .exits(0);
    let events = ran.json_lines();
    let mut cards: Vec<String> = cards_of(&events, is_built).map(str::to_owned).collect();
    cards.sort();
    cards
}
