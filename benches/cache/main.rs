//! `cargo bench --bench cache`: what a shared cache costs and gives, on the
//! loopback interface, with the real servers of the tests. Prints the tables of
//! `CACHE.md`.
//!
//! Three questions: what a cache costs where everything is here; how fast 1,000
//! small artifacts come, and in how many round trips; which share of a plain copy
//! over loopback an artifact of 1 GiB gets. `--only` answers one of them.
#![expect(
    unreachable_pub,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a command that prints what it measured, and ends at its first surprise"
)]

use clap::{Parser, ValueEnum};

mod bare;
mod ci;
mod here;
mod large;
mod late;
mod machine;
mod place;
mod small;

#[path = "../synthetic/mod.rs"]
#[expect(dead_code, reason = "the other benches use the rest of it")]
mod synthetic;

#[path = "../../tests/suite/remote/servers.rs"]
#[expect(dead_code, reason = "the tests use the rest of it")]
mod servers;

/// What is measured
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Question {
    /// Everything is in the local store
    Here,
    /// Many small artifacts
    Small,
    /// One large artifact
    Large,
}

/// Measure the shared cache
#[derive(Debug, Parser)]
struct Args {
    /// Answer one question alone
    #[arg(long)]
    only: Option<Question>,
    /// How many small artifacts there are
    #[arg(long, default_value_t = 1_000)]
    cards: usize,
    /// How large the large artifact is, in MiB
    #[arg(long, default_value_t = 1024)]
    mib: u64,
    /// How often everything is measured; the middle one counts
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// The program to measure
    #[arg(long, default_value = env!("CARGO_BIN_EXE_mikado"))]
    mikado: String,
    /// What cargo says to every bench
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() {
    let args = Args::parse();
    let asks = |question| args.only.is_none_or(|only| only == question);
    if asks(Question::Here) {
        here::measure(&args.mikado, args.cards, args.rounds);
    }
    if asks(Question::Small) {
        small::measure(&args.mikado, args.cards, args.rounds);
    }
    if asks(Question::Large) {
        large::measure(&args.mikado, args.mib << 20, args.rounds);
    }
}

/// The one in the middle.
fn middle(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers.get(numbers.len() / 2).copied().unwrap_or(f64::NAN)
}
