//! `cargo bench --bench instructions`: how many instructions a run with nothing
//! to do takes, by valgrind's callgrind, which counts the same on a busy machine.
//!
//! It counts the process that the user waits for, in user space, on one graph of
//! 1,000 cards, in a folder whose path always has the same length and with an
//! environment of its own. `--record` writes the number to
//! `benches/noop-instructions.txt`; `--check` fails where it grew by more than a
//! tenth over the recorded one.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command that prints what it counted"
)]

use std::error::Error;
use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use clap::Parser;

use crate::synthetic::Graph;

#[path = "synthetic/mod.rs"]
#[expect(dead_code, reason = "the other benches use the rest of it")]
mod synthetic;

/// How many cards the pinned case has.
const CARDS: usize = 1_000;

/// The recorded number, below the crate's folder.
const RECORD: &str = "benches/noop-instructions.txt";

/// How it is recorded: of the program that `.ci/run` counts.
const TO_RECORD: &str = "cargo build --release && cargo bench --profile dev --bench instructions \
                         -- --record --mikado target/release/mikado";

/// Count the instructions of a run with nothing to do
#[derive(Debug, Parser)]
struct Args {
    /// Fail where the number grew by more than 10 %
    #[arg(long, conflicts_with = "record")]
    check: bool,
    /// Record the number
    #[arg(long)]
    record: bool,
    /// The program to measure
    #[arg(long, default_value = env!("CARGO_BIN_EXE_mikado"))]
    mikado: String,
    /// What cargo says to every bench
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    match count(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn count(args: &Args) -> Result<(), Box<dyn Error>> {
    // Not below TMPDIR: the length of a path is part of what is counted.
    let folder = tempfile::Builder::new()
        .prefix("mikado-count-")
        .tempdir_in("/tmp")?;
    let folder = folder.path();
    Graph::new(CARDS).write_project(folder, true)?;
    // It is run in another folder.
    let mikado = fs::canonicalize(&args.mikado)
        .map_err(|error| format!("could not find `{}`: {error}", args.mikado))?;
    run(in_folder(Command::new(&mikado), folder))?;
    // Everything is built. Below valgrind the program is another to itself: what
    // it remembers of a run has to be from below it.
    let counted = folder.join("counted");
    run(below_valgrind(&mikado, folder, &counted))?;
    let printed = run(below_valgrind(&mikado, folder, &counted))?;
    let told = format!("{CARDS} cards: {CARDS} up to date");
    if !printed.contains(&told) {
        return Err(format!("expected `{told}`, found:\n{printed}").into());
    }
    let all = instructions(&fs::read_to_string(&counted)?)
        .ok_or("callgrind has written no `summary:` or `totals:`")?;
    println!(
        "nothing to do, {CARDS} cards: {all} instructions, {} a card",
        all / CARDS as u64
    );
    compare(args, all)
}

fn compare(args: &Args, all: u64) -> Result<(), Box<dyn Error>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(RECORD);
    if args.record {
        fs::write(&path, format!("{all}\n"))?;
        println!("recorded in {RECORD}");
        return Ok(());
    }
    let recorded: u64 = fs::read_to_string(&path)?.trim().parse()?;
    let grown = (all as f64 / recorded as f64 - 1.0) * 100.0;
    println!("recorded: {recorded}; that is {grown:+.1} %");
    if args.check && all > recorded + recorded / 10 {
        let words = "it grew by more than 10 %: mend it, or record it with a reason";
        return Err(format!("{words}: {TO_RECORD}").into());
    }
    if args.check && all < recorded - recorded / 10 {
        println!("it is less by more than 10 %: {TO_RECORD}");
    }
    Ok(())
}

fn below_valgrind(program: &Path, folder: &Path, counted: &Path) -> Command {
    let mut valgrind = Command::new("valgrind");
    valgrind
        .args(["--quiet", "--tool=callgrind"])
        .arg(format!("--callgrind-out-file={}", counted.display()))
        .arg(program);
    in_folder(valgrind, folder)
}

/// `command` with the words of the run, in `folder`.
fn in_folder(mut command: Command, folder: &Path) -> Command {
    command
        .args(["run", "--all", "--jobs", "2"])
        .current_dir(folder)
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .env("HOME", "/nonexistent")
        .stdin(Stdio::null());
    command
}

/// What the command printed; an error where it fails.
fn run(mut command: Command) -> Result<String, Box<dyn Error>> {
    let program = command.get_program().display().to_string();
    let output = command
        .output()
        .map_err(|error| format!("`{program}` could not be started: {error}"))?;
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr);
        return Err(format!("`{program}` failed:\n{printed}{errors}").into());
    }
    Ok(printed)
}

/// The sum of a file of callgrind's.
fn instructions(counted: &str) -> Option<u64> {
    let line = counted.lines().find_map(|line| {
        line.strip_prefix("summary:")
            .or(line.strip_prefix("totals:"))
    })?;
    line.trim().parse().ok()
}
