//! What a configured cache costs where everything is in the local store.

use std::sync::atomic::Ordering;

use crate::machine::Machine;
use crate::synthetic::Graph;
use crate::{middle, servers};

pub fn measure(program: &str, cards: usize, rounds: usize) {
    let (url, calls) = servers::counting();
    let graph = Graph::new(cards);
    let machine = || {
        let write = |folder: &std::path::Path| graph.write_project(folder, true);
        Machine::new(program, |folder| write(folder).expect("a project"))
    };
    let without = machine();
    let with = machine();
    assert_eq!((without.run().built, with.run().built), (cards, cards));
    let with = with.with_cache(&url, "read-write");
    println!("## Everything is here: {cards} cards\n");
    println!("| | without a cache | with one | overhead | connections |");
    println!("|---|---|---|---|---|");
    // A look at the file system by the index of the last run, and all keys anew.
    for (what, forgotten) in [("nothing changed", None), ("no index", Some("index"))] {
        let took = |machine: &Machine| {
            if let Some(folder) = forgotten {
                machine.forget(&format!(".mikado/{folder}"));
            }
            let ran = machine.run();
            assert_eq!((ran.built, ran.cache.is_null()), (0, true));
            ran.took.as_secs_f64() * 1e3
        };
        let (mut plain, mut cached) = (Vec::new(), Vec::new());
        for _ in 0..rounds * 10 {
            // Turn by turn, so that a busy machine is so for both.
            plain.push(took(&without));
            cached.push(took(&with));
        }
        let (plain, cached) = (middle(plain), middle(cached));
        let overhead = (cached / plain - 1.0) * 100.0;
        let calls = calls.load(Ordering::SeqCst);
        println!("| {what} | {plain:.1} ms | {cached:.1} ms | {overhead:+.1} % | {calls} |");
    }
    println!();
}
