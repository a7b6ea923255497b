//! Many small artifacts: the seconds until an empty store has them all, the calls
//! that it took, and how many round trips were waited for one after the other.
//!
//! The last is had from a line on which every round trip takes `LATE`: what a run
//! takes longer over it, in round trips.

use std::fs;
use std::path::Path;
use std::time::Duration;

use mikado::digest::Digest;
use serde_json::Value;

use crate::machine::Machine;
use crate::place::Place;
use crate::synthetic::Graph;
use crate::{bare, late, middle};

/// How long a round trip takes on the late line.
const LATE: Duration = Duration::from_millis(20);

/// The actions of a machine's last builds.
fn actions(machine: &Machine) -> Vec<Digest> {
    let text = fs::read_to_string(machine.path(".mikado/records.jsonl")).expect("records");
    let lines = text
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok());
    let action = |run: Value| run["action"].as_str()?.parse().ok();
    lines.filter_map(action).collect()
}

pub fn measure(program: &str, cards: usize, rounds: usize) {
    let graph = Graph::new(cards);
    let write = |folder: &Path| graph.write_project(folder, true).expect("a project");
    println!("## An empty store and {cards} small artifacts\n");
    println!(
        "| server | fills it | empty store | calls a card | waits a card | a client that writes files | one that does not | their calls |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for place in Place::each(&[]) {
        let (name, is_http, url) = (place.name, place.is_http, place.url());
        let writes = Machine::new(program, write).with_cache(&url, "read-write");
        let filled = writes.run();
        assert_eq!(filled.cache["uploaded"], cards, "{}", filled.cache);
        let actions = actions(&writes);
        assert_eq!(actions.len(), cards);
        let reads = |url: &str| {
            let machine = Machine::new(program, write).with_cache(url, "read");
            let ran = machine.run();
            assert_eq!((ran.built, &ran.cache["fetched"]), (0, &cards.into()));
            ran
        };
        let mut took = Vec::new();
        let (mut bare, mut writing) = (Vec::new(), Vec::new());
        let mut calls = Value::Null;
        let mut asked = 0;
        for _ in 0..rounds {
            let ran = reads(&url);
            took.push(ran.took.as_secs_f64());
            calls = ran.cache["calls"].clone();
            if !is_http {
                let answer = bare::ask(place.server.grpc, &actions, None);
                asked = answer.calls;
                bare.push(answer.took.as_secs_f64());
                let folder = tempfile::tempdir().expect("a folder");
                let answer = bare::ask(place.server.grpc, &actions, Some(folder.path()));
                writing.push(answer.took.as_secs_f64());
            }
        }
        let took = middle(took);
        let begin = late::line(place.address(), LATE);
        let scheme = if is_http { "http" } else { "grpc" };
        let over = reads(&format!("{scheme}://{begin}")).took.as_secs_f64();
        let waits = (over - took) / LATE.as_secs_f64() / cards as f64;
        let calls = calls.as_f64().unwrap_or(f64::NAN) / cards as f64;
        let [writing, bare, asked] = match is_http {
            true => Default::default(),
            false => [
                format!("{:.2} s", middle(writing)),
                format!("{:.2} s", middle(bare)),
                format!("{:.2}", asked as f64 / cards as f64),
            ],
        };
        println!(
            "| {name} | {:.1} s | {took:.2} s | {calls:.2} | {waits:.3} | {writing} | {bare} | {asked} |",
            filled.took.as_secs_f64()
        );
    }
    println!();
}
