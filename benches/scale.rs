//! `cargo bench --bench scale`: what many workers make of a large chain, by the
//! simulation that `mikado plan --workers` runs, and what the schedule itself
//! costs. Prints the table of `SCALE.md`.
//!
//! The chain is the synthetic graph of 100,000 cards. Durations are drawn log-uniformly
//! from 1 s to 100 s (mean 21 s), and each execution costs 100 ms of latency.

#[path = "synthetic/mod.rs"]
#[expect(dead_code, reason = "the other benches write its files")]
mod synthetic;

use std::time::Instant;

use mikado::simulation::{Run, enough};
use nix::sys::resource::{UsageWho, getrusage};

use synthetic::Graph;
use synthetic::random::Random;

const CARDS: usize = 100_000;
const LATENCY_MS: u64 = 100;
const MOST: usize = 4096;

#[expect(clippy::print_stdout, reason = "the table is what it is for")]
fn main() {
    let graph = Graph::new(CARDS);
    let mut random = Random(7);
    let costs: Vec<u64> = (0..CARDS)
        .map(|_| {
            (1000.0 * 100.0_f64.powf(random.below(1_000_000) as f64 / 1e6)) as u64 + LATENCY_MS
        })
        .collect();
    let groups = vec![None; CARDS];
    let run = Run {
        prerequisites: &graph.requires,
        costs_ms: &costs,
        groups: &groups,
    };
    println!("| workers | time | speed-up | busy | schedule, µs a card |");
    println!("|---|---|---|---|---|");
    let alone = run.with(1).took_ms as f64;
    let mut outcomes = Vec::new();
    let powers = std::iter::successors(Some(1), |n| (n * 2 <= MOST).then_some(n * 2));
    let mut workers: Vec<usize> = powers.chain([1000]).collect();
    workers.sort_unstable();
    for workers in workers {
        let began = Instant::now();
        let outcome = run.with(workers);
        let took = began.elapsed().as_secs_f64() * 1e6 / CARDS as f64;
        let hours = outcome.took_ms as f64 / 3_600_000.0;
        println!(
            "| {} | {hours:.2} h | {:.1} x | {:.0} % | {took:.2} |",
            outcome.workers,
            alone / outcome.took_ms as f64,
            outcome.busy * 100.0,
        );
        // Each twice as many as before: 24 more of 1,000 say nothing.
        if outcome.workers.is_power_of_two() {
            outcomes.push(outcome);
        }
    }
    let path = run.critical_path();
    let ms: u64 = path.iter().map(|card| costs[*card]).sum();
    println!();
    println!(
        "critical path: {} cards, {:.2} h",
        path.len(),
        ms as f64 / 3_600_000.0
    );
    if let Ok(usage) = getrusage(UsageWho::RUSAGE_SELF) {
        println!("peak memory: {} MB", usage.max_rss() / 1000);
    }
    if let Some(enough) = enough(&outcomes) {
        println!("beyond {enough} workers the next step saves less than 5 %");
    }
}
