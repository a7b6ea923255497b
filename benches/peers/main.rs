//! `cargo bench --bench peers`: `mikado` beside the tools that are installed, on
//! the same graphs, in one run.
//!
//! In each repetition every tool is run once, in shuffled order; figures are
//! medians, ratios are taken within a repetition. It prints a page of Markdown,
//! and with `--write` writes it to `benches/RESULTS.md`.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command that prints what it measured"
)]

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Instant;

use clap::Parser;

use crate::results::Results;
use crate::round::Place;
use crate::synthetic::Graph;
use crate::synthetic::random::Random;
use crate::tool::{TOOLS, Tool};

mod launch;
mod limit;
mod machine;
mod others;
mod results;
mod round;
#[path = "../synthetic/mod.rs"]
mod synthetic;
mod tool;

/// How often slow peers go through large graphs.
const SLOW_REPETITIONS: usize = 3;

/// Measure mikado beside its peers on synthetic chains
#[derive(Debug, Parser)]
struct Args {
    /// How many cards
    #[arg(long, value_delimiter = ',', default_values_t = [10, 100, 1_000])]
    sizes: Vec<usize>,
    /// Which tools, by name, separated by `;` [default: all that are installed]
    #[arg(long, value_delimiter = ';')]
    peers: Vec<String>,
    /// How often; fewer for large graphs unless this is given
    #[arg(long)]
    repetitions: Option<usize>,
    /// Write the page to `benches/RESULTS.md`
    #[arg(long)]
    write: bool,
    /// The program to measure
    #[arg(long, default_value = env!("CARGO_BIN_EXE_mikado"))]
    mikado: String,
    /// Where the graphs are laid [default: the system's temporary folder]
    #[arg(long)]
    folder: Option<PathBuf>,
    /// What cargo says to every bench
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let done = match arguments.split_first() {
        Some((first, rest)) if first == launch::ARGUMENT => launch::main(rest),
        Some((first, rest)) if first == limit::ARGUMENT => limit::main(rest),
        _ => measure(&Args::parse()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// A tool that is there.
struct Found<'a> {
    tool: &'a Tool,
    program: String,
    version: String,
}

fn measure(args: &Args) -> Result<(), Box<dyn Error>> {
    let (found, missing) = find(args)?;
    for name in &missing {
        eprintln!("left out: {name} is not on PATH");
    }
    let above = args.folder.clone().unwrap_or_else(std::env::temp_dir);
    let base = tempfile::Builder::new()
        .prefix("mikado-peers-")
        .tempdir_in(above)?;
    let environment = environment(base.path())?;
    let machine = machine::describe(base.path());
    let mut results = Results::default();
    for &size in &args.sizes {
        let graph = Graph::new(size);
        let edges: usize = graph.requires.iter().map(Vec::len).sum();
        eprintln!("{size} cards, {edges} edges");
        let by_name = |tool: &Tool| args.peers.iter().any(|name| name == tool.name);
        let fits = |found: &&Found<'_>| size <= found.tool.largest || by_name(found.tool);
        let mut places = Vec::new();
        for (number, found) in found.iter().filter(fits).enumerate() {
            let command = found.tool.command(&args.mikado, &found.program, size);
            let folder = base.path().join(format!("{size}-{number}"));
            let environment = environment.clone();
            places.push(Place::new(
                found.tool,
                &graph,
                &folder,
                command,
                environment,
            )?);
        }
        let (usual, quiet) = repetitions(size);
        for repetition in 0..args.repetitions.unwrap_or(usual) {
            let mut order: Vec<&mut Place<'_>> = places.iter_mut().collect();
            Random(repetition as u64).shuffle(&mut order);
            for place in order {
                let began = Instant::now();
                let is_rare = place.tool.slow && size >= 1_000;
                if is_rare && repetition >= SLOW_REPETITIONS {
                    continue;
                }
                let quiet = if is_rare { 1 } else { quiet };
                // The chain of 100,000 is built once; then it is only looked at.
                let cold = repetition == 0 || size < 100_000;
                let samples = place.round(cold, quiet)?;
                results.add(size, place.tool, repetition, samples);
                let took = began.elapsed().as_secs_f64();
                eprintln!("  {repetition}: {} in {took:.1} s", place.tool.name);
            }
        }
    }
    let versions = found.iter().map(|f| (f.tool.name, f.version.as_str()));
    let page = results.page(&machine, versions);
    println!("{page}");
    if args.write {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/RESULTS.md");
        fs::write(&path, page)?;
        eprintln!("written: {}", path.display());
    }
    Ok(())
}

/// How often a graph is gone through, and how often nothing is done each time.
fn repetitions(size: usize) -> (usize, usize) {
    match size {
        0..10_000 => (7, 5),
        10_000..100_000 => (7, 3),
        _ => (3, 3),
    }
}

/// The tools that are there, and the names of those that are not.
type Tools<'a> = (Vec<Found<'a>>, Vec<&'static str>);

fn find(args: &Args) -> Result<Tools<'_>, Box<dyn Error>> {
    let unknown = |name: &&String| TOOLS.iter().all(|tool| tool.name != **name);
    if let Some(name) = args.peers.iter().find(unknown) {
        let names: Vec<&str> = TOOLS.iter().map(|tool| tool.name).collect();
        return Err(format!("`{name}` is none of: {}", names.join("; ")).into());
    }
    let own = std::env::current_exe()?.display().to_string();
    let (mut found, mut missing) = (Vec::new(), Vec::new());
    for tool in &TOOLS {
        if !args.peers.is_empty() && args.peers.iter().all(|name| name != tool.name) {
            continue;
        }
        let program = match tool.program {
            None => Some(own.clone()),
            Some(program) => on_path(program),
        };
        let Some(program) = program else {
            missing.push(tool.name);
            continue;
        };
        let asked = match tool.program {
            None => args.mikado.clone(),
            Some(_) => program.clone(),
        };
        found.push(Found {
            tool,
            program,
            version: version(&asked),
        });
    }
    Ok((found, missing))
}

fn on_path(program: &str) -> Option<String> {
    let path = std::env::var_os("PATH")?;
    let found = std::env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())?;
    Some(found.display().to_string())
}

/// The first number that a program says of itself.
fn version(program: &str) -> String {
    let said = Command::new(program).arg("--version").output();
    let text = said.map(|said| String::from_utf8_lossy(&said.stdout).into_owned());
    let is_number = |word: &&str| word.starts_with(|first: char| first.is_ascii_digit());
    text.unwrap_or_default()
        .split(|separator: char| separator.is_whitespace() || separator == 'v')
        .find(is_number)
        .unwrap_or_default()
        .to_owned()
}

/// What every tool sees: a home folder of its own, and no word to anybody.
fn environment(base: &Path) -> Result<Vec<(String, String)>, Box<dyn Error>> {
    let home = base.join("home");
    fs::create_dir_all(&home)?;
    let path = std::env::var("PATH")?;
    let own = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    Ok(vec![
        own("HOME", &home.display().to_string()),
        own("PATH", &path),
        own("LANG", "C.UTF-8"),
        own("DO_NOT_TRACK", "1"),
        own("TURBO_TELEMETRY_DISABLED", "1"),
    ])
}
