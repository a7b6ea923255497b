//! The tools that are compared: how each is laid out, called, and made to forget.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::limit;
use crate::others;
use crate::synthetic::{Graph, input_path};

/// How many jobs every tool runs at once.
pub(crate) const JOBS: &str = "2";

/// A tool.
pub(crate) struct Tool {
    /// Its name in tables and in `--peers`.
    pub(crate) name: &'static str,
    /// The program that is looked for on PATH; none for what is part of this one.
    pub(crate) program: Option<&'static str>,
    /// The words after the program that run everything.
    pub(crate) words: &'static [&'static str],
    /// The largest graph that it is tried with, unless asked for by name.
    pub(crate) largest: usize,
    /// Writes its files, nothing executed yet.
    pub(crate) lay: fn(&Graph, &Path) -> io::Result<()>,
    /// What is moved away before a cold run, beside the outputs.
    pub(crate) state: &'static [&'static str],
    /// Makes open again what a cold run wants open.
    pub(crate) reopen: fn(&Graph, &Path) -> io::Result<()>,
    /// Where a node's input lies.
    pub(crate) input: fn(usize) -> PathBuf,
    /// Where a node's output lies.
    pub(crate) output: fn(usize) -> PathBuf,
    /// Whether it knows when there is nothing to do.
    pub(crate) skips: bool,
    /// Whether it has outputs in a cache and puts them back.
    pub(crate) restores: bool,
    /// Whether large graphs take it so long that it is run less often.
    pub(crate) slow: bool,
    /// Whose cold time is its limit.
    pub(crate) limit: &'static str,
}

/// The plain tool that the others are made from.
const PLAIN: Tool = Tool {
    name: "",
    program: None,
    words: &[],
    largest: 100_000,
    lay: |_, _| Ok(()),
    state: &[],
    reopen: |_, _| Ok(()),
    input: input_path,
    output,
    skips: true,
    restores: false,
    slow: false,
    limit: LIMIT_SH,
};

const LIMIT_SH: &str = "limit, sh";
const LIMIT_BASH: &str = "limit, bash";

/// The name of this program's own.
pub(crate) const MIKADO: &str = "mikado";

/// All tools, `mikado` first.
pub(crate) const TOOLS: [Tool; 12] = [
    Tool {
        name: MIKADO,
        words: &["run", "--all", "--jobs", JOBS],
        lay: |graph, folder| graph.write_project(folder, true),
        state: &[".mikado"],
        reopen: Graph::write_cards,
        output: mikado_output,
        restores: true,
        limit: LIMIT_BASH,
        ..PLAIN
    },
    Tool {
        name: "mikado, isolation: none",
        words: &["run", "--all", "--jobs", JOBS],
        lay: |graph, folder| graph.write_project(folder, false),
        state: &[".mikado"],
        reopen: Graph::write_cards,
        output: mikado_output,
        restores: true,
        limit: LIMIT_BASH,
        ..PLAIN
    },
    Tool {
        name: LIMIT_BASH,
        lay: lay_inputs,
        skips: false,
        limit: LIMIT_BASH,
        ..PLAIN
    },
    Tool {
        name: LIMIT_SH,
        lay: lay_inputs,
        skips: false,
        ..PLAIN
    },
    Tool {
        name: "ninja",
        program: Some("ninja"),
        words: &["-j", JOBS],
        lay: lay_ninja,
        state: &[".ninja_log", ".ninja_deps"],
        ..PLAIN
    },
    Tool {
        name: "make",
        program: Some("make"),
        words: &["-j", JOBS],
        lay: lay_make,
        ..PLAIN
    },
    Tool {
        name: "just",
        program: Some("just"),
        words: &["all"],
        largest: 10_000,
        lay: others::lay_just,
        skips: false,
        ..PLAIN
    },
    Tool {
        name: "doit",
        program: Some("doit"),
        words: &["run", "-n", JOBS, "-P", "thread"],
        largest: 10_000,
        lay: others::lay_doit,
        slow: true,
        state: &[".doit.db", ".doit.db.bak", ".doit.db.dat", ".doit.db.dir"],
        ..PLAIN
    },
    Tool {
        name: "go-task",
        program: Some("task"),
        words: &["--concurrency", JOBS],
        largest: 1_000,
        lay: others::lay_task,
        slow: true,
        state: &[".task"],
        ..PLAIN
    },
    Tool {
        name: "turbo",
        program: Some("turbo"),
        words: &["run", "sum", "--concurrency", JOBS, "--no-daemon"],
        largest: 10,
        lay: others::lay_turbo,
        slow: true,
        state: &[".turbo", "node_modules"],
        input: others::package_input,
        output: others::package_output,
        restores: true,
        ..PLAIN
    },
    Tool {
        name: "moon",
        program: Some("moon"),
        words: &["run", ":sum", "--concurrency", JOBS],
        largest: 1_000,
        lay: others::lay_moon,
        slow: true,
        state: &[".moon/cache"],
        input: others::package_input,
        output: others::package_output,
        restores: true,
        ..PLAIN
    },
    Tool {
        name: "snakemake",
        program: Some("snakemake"),
        words: &["--quiet", "all", "--cores", JOBS],
        largest: 1_000,
        lay: others::lay_snakemake,
        slow: true,
        state: &[".snakemake"],
        ..PLAIN
    },
];

impl Tool {
    /// The command line that runs everything; `mikado` is the program to measure.
    pub(crate) fn command(&self, mikado: &str, found: &str, size: usize) -> Vec<String> {
        let own =
            |words: &[&str]| -> Vec<String> { words.iter().map(|&word| word.into()).collect() };
        match (self.name, self.program) {
            (LIMIT_BASH | LIMIT_SH, _) => {
                let shell = self.name.trim_start_matches("limit, ");
                let size = size.to_string();
                [own(&[found, limit::ARGUMENT, shell, &size]), own(&[JOBS])].concat()
            }
            (_, None) => [own(&[mikado]), own(self.words)].concat(),
            (_, Some(_)) => [own(&[found]), own(self.words)].concat(),
        }
    }

    /// Whether it is `mikado`.
    pub(crate) fn is_mikado(&self) -> bool {
        self.name.starts_with(MIKADO)
    }
}

/// What a node's command is where outputs lie in one folder.
pub(crate) fn sum_command(graph: &Graph, node: usize) -> String {
    let reads = read_paths(graph, node).join(" ");
    format!("cksum {reads} > {}", output(node).display())
}

/// The paths that a node reads: its input, the outputs of its prerequisites.
pub(crate) fn read_paths(graph: &Graph, node: usize) -> Vec<String> {
    let before = graph.requires[node].iter().map(|&before| output(before));
    [input_path(node)]
        .into_iter()
        .chain(before)
        .map(|path| path.display().to_string())
        .collect()
}

/// Where a node's output lies in most layouts.
pub(crate) fn output(node: usize) -> PathBuf {
    PathBuf::from(format!("out/{}.txt", Graph::name(node)))
}

fn mikado_output(node: usize) -> PathBuf {
    PathBuf::from(format!(".mikado/artifacts/{}", Graph::name(node)))
}

/// The inputs, and the folder of the outputs.
pub(crate) fn lay_inputs(graph: &Graph, folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder.join("out"))?;
    graph.write_inputs(folder)
}

fn lay_ninja(graph: &Graph, folder: &Path) -> io::Result<()> {
    lay_inputs(graph, folder)?;
    let mut text = "rule sum\n  command = cksum $in > $out\n\n".to_owned();
    for node in 0..graph.size() {
        let (name, reads) = (Graph::name(node), read_paths(graph, node).join(" "));
        let _ = writeln!(text, "build out/{name}.txt: sum {reads}");
    }
    fs::write(folder.join("build.ninja"), text)
}

fn lay_make(graph: &Graph, folder: &Path) -> io::Result<()> {
    lay_inputs(graph, folder)?;
    let mut text = "MAKEFLAGS += -rR\n.SUFFIXES:\nall:".to_owned();
    for node in 0..graph.size() {
        let _ = write!(text, " out/{}.txt", Graph::name(node));
    }
    text.push('\n');
    for node in 0..graph.size() {
        let (name, reads) = (Graph::name(node), read_paths(graph, node).join(" "));
        let command = sum_command(graph, node);
        let _ = writeln!(text, "out/{name}.txt: {reads}\n\t@{command}");
    }
    fs::write(folder.join("Makefile"), text)
}
