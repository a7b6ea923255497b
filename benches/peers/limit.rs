//! The floor of a cold run: the commands, in topological order, two at a time,
//! and nothing else. No check, no cache, no output but the commands' own.
//!
//! It is a process of its own (`__limit`), so that it is measured like a tool.
//! `std` starts processes by posix_spawn here, since nothing is done in between.

use std::collections::{BTreeMap, VecDeque};
use std::error::Error;
use std::path::Path;
use std::process::Command;

use rustix::process::{WaitOptions, wait};

use crate::synthetic::Graph;
use crate::tool::sum_command;

/// The argument that makes this program the floor: `__limit SHELL SIZE JOBS`.
pub(crate) const ARGUMENT: &str = "__limit";

/// Executes the commands of a graph in the current folder.
pub(crate) fn main(arguments: &[String]) -> Result<(), Box<dyn Error>> {
    let [shell, size, jobs] = arguments else {
        return Err("expected: __limit SHELL SIZE JOBS".into());
    };
    execute(&Graph::new(size.parse()?), shell, jobs.parse()?)
}

/// The words before a command, as `mikado` has them for bash and ninja for sh.
fn shell_words(shell: &str) -> &'static [&'static str] {
    match shell {
        "bash" => &["-euo", "pipefail", "-c"],
        _ => &["-c"],
    }
}

fn execute(graph: &Graph, shell: &str, jobs: usize) -> Result<(), Box<dyn Error>> {
    let program = Path::new("/bin").join(shell);
    let mut missing: Vec<usize> = graph.requires.iter().map(Vec::len).collect();
    let mut dependents = vec![Vec::new(); graph.size()];
    for (node, before) in graph.requires.iter().enumerate() {
        for &prerequisite in before {
            dependents[prerequisite].push(node);
        }
    }
    let mut ready: VecDeque<usize> = (0..graph.size())
        .filter(|&node| missing[node] == 0)
        .collect();
    let mut running = BTreeMap::new();
    loop {
        while running.len() < jobs
            && let Some(node) = ready.pop_front()
        {
            let child = Command::new(&program)
                .args(shell_words(shell))
                .arg(sum_command(graph, node))
                .spawn()?;
            running.insert(child.id(), node);
        }
        if running.is_empty() {
            return Ok(());
        }
        let Some((pid, status)) = wait(WaitOptions::empty())? else {
            continue;
        };
        let Some(node) = running.remove(&pid.as_raw_nonzero().get().unsigned_abs()) else {
            continue;
        };
        if status.exit_status() != Some(0) {
            return Err(format!("the command of `{}` failed", Graph::name(node)).into());
        }
        for &dependent in &dependents[node] {
            missing[dependent] -= 1;
            if missing[dependent] == 0 {
                ready.push_back(dependent);
            }
        }
    }
}
