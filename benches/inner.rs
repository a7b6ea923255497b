//! `cargo bench --bench inner`: the inner parts, each by itself, by divan.
//!
//! After them the speed of hashing is compared with `openssl speed`, where there
//! is openssl: both use the CPU's own instructions, or ours does not.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command that prints what it measured"
)]

use std::error::Error;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, black_box};
use mikado::action::{Action, Description, InputRoot, Machine, Node};
use mikado::card::{Card, Deck, Source, Stem};
use mikado::chain::Chain;
use mikado::digest::Digest;
use mikado::runner::definition::Step;
use mikado::schedule::{Ended, Limits, Schedule, Weight};
use mikado::store::Store;
use tempfile::TempDir;

use crate::synthetic::Graph;

#[path = "synthetic/mod.rs"]
#[expect(dead_code, reason = "the other benches use the rest of it")]
mod synthetic;

/// How many cards a long chain has.
const CARDS: usize = 10_000;

/// A tree to hash: how many files, and how large each is.
const TREE: (usize, usize) = (64, 1 << 20);

fn main() {
    divan::main();
    if let Err(error) = compare_hashes() {
        eprintln!("the speeds of hashing could not be compared: {error}");
    }
}

#[divan::bench]
fn parse_a_card(bencher: Bencher<'_, '_>) {
    let text = Graph::new(1_000).card(999);
    bencher
        .counter(BytesCount::of_str(&text))
        .bench(|| read(&text, 999));
}

#[divan::bench(sample_count = 20)]
fn chain_of_10_000(bencher: Bencher<'_, '_>) {
    let graph = Graph::new(CARDS);
    let cards = (0..CARDS).map(|node| read(&graph.card(node), node));
    let deck = Deck::new(cards.collect());
    bencher
        .counter(ItemsCount::new(CARDS))
        .bench(|| Chain::new(black_box(&deck)));
}

#[divan::bench]
fn action_key(bencher: Bencher<'_, '_>) {
    let machine = Machine {
        os: "Linux".into(),
        isa: "x86-64".into(),
        libc: "gnu".into(),
    };
    bencher
        .with_inputs(description)
        .bench_values(|description| Action::new(description, &machine));
}

#[divan::bench(sample_count = 20)]
fn schedule_of_10_000(bencher: Bencher<'_, '_>) {
    let requires = Graph::new(CARDS).requires;
    let limits = Limits {
        remote_jobs: 0,
        jobs: 2,
        memory: u64::MAX,
        keep_going: false,
    };
    bencher.counter(ItemsCount::new(CARDS)).bench(|| {
        let weights = vec![Weight::default(); CARDS];
        let mut schedule = Schedule::new(&requires, &[1; CARDS], weights, limits);
        while let Some(card) = schedule.start() {
            black_box(schedule.finish(card, Ended::Satisfied));
        }
    });
}

#[divan::bench(sample_count = 10)]
fn tree_hash_of_64_mib(bencher: Bencher<'_, '_>) {
    let Ok((folder, store)) = tree() else {
        return;
    };
    bencher
        .counter(BytesCount::new(TREE.0 * TREE.1))
        .bench(|| store.hash_dir(&folder.path().join("tree")));
}

fn read(text: &str, node: usize) -> Card {
    let name = Graph::name(node);
    let path = PathBuf::from(format!("cards/{name}.md"));
    Card::read(Stem::new(&name), Source::new(path, text.into()))
}

/// What a card with three inputs and two prerequisites asks for.
fn description() -> Description {
    let mut root = InputRoot::default();
    for name in ["one", "two", "three"] {
        let text = name.repeat(80).into_bytes();
        let laid = root.insert(&format!("work/in/{name}.txt"), Node::generated(text, false));
        black_box(laid.is_ok());
    }
    Description {
        steps: vec![Step {
            run: "cksum in/*.txt > \"$OUT/sum.txt\"".into(),
            ..Step::default()
        }],
        env: vec![("WITH_INPUT".into(), "in/n000001.txt".into())],
        root,
        ..Description::default()
    }
}

/// A folder with a tree, `tree`, and a store beside it.
fn tree() -> Result<(TempDir, Store), Box<dyn Error>> {
    let folder = tempfile::Builder::new().prefix("mikado-inner-").tempdir()?;
    fs::create_dir(folder.path().join("tree"))?;
    for file in 0..TREE.0 {
        let path = folder.path().join(format!("tree/{file}"));
        fs::write(path, vec![file as u8; TREE.1])?;
    }
    let store = Store::open(&folder.path().join("store"))?;
    Ok((folder, store))
}

/// Prints the speed of a digest, of a tree's digest, and of openssl's.
fn compare_hashes() -> Result<(), Box<dyn Error>> {
    let bytes = vec![1_u8; TREE.0 * TREE.1];
    let alone = fastest(bytes.len(), || {
        black_box(Digest::of(black_box(&bytes)));
        Ok(())
    })?;
    let (folder, store) = tree()?;
    let whole = fastest(bytes.len(), || {
        black_box(store.hash_dir(&folder.path().join("tree"))?);
        Ok(())
    })?;
    println!("\nSHA-256, MB/s: one digest {alone:.0}, a tree of files {whole:.0}");
    match openssl() {
        Some(theirs) => println!(
            "openssl speed -evp sha256: {theirs:.0}; one digest is {:.2} of it",
            alone / theirs
        ),
        None => println!("openssl is not on PATH"),
    }
    Ok(())
}

/// The best of five, in MB/s.
fn fastest(
    bytes: usize,
    mut work: impl FnMut() -> Result<(), Box<dyn Error>>,
) -> Result<f64, Box<dyn Error>> {
    let mut best = 0_f64;
    for _ in 0..5 {
        let began = Instant::now();
        work()?;
        best = best.max(bytes as f64 / 1e6 / began.elapsed().as_secs_f64());
    }
    Ok(best)
}

/// What openssl says of itself, in MB/s: its last line ends in thousands of bytes
/// a second, as `1481234.43k`.
fn openssl() -> Option<f64> {
    let speed = Command::new("openssl")
        .args([
            "speed", "-seconds", "1", "-bytes", "1048576", "-evp", "sha256",
        ])
        .output()
        .ok()?;
    let said = String::from_utf8_lossy(&speed.stdout).into_owned();
    let last = said.lines().last()?.split_whitespace().last()?.to_owned();
    let thousands: f64 = last.strip_suffix('k')?.parse().ok()?;
    Some(thousands / 1e3)
}
