//! The files of the slower peers: just, go-task, doit, snakemake, turbo, moon.
//!
//! just keeps no state. turbo and moon key by the graph of tasks and want a
//! folder a project; to the others the prerequisites' outputs are inputs.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::synthetic::{Graph, input};
use crate::tool::{lay_inputs, output, read_paths, sum_command};

/// A node's input where each has a folder.
pub(crate) fn package_input(node: usize) -> PathBuf {
    PathBuf::from(format!("packages/{}/in.txt", Graph::name(node)))
}

/// A node's output where each has a folder.
pub(crate) fn package_output(node: usize) -> PathBuf {
    PathBuf::from(format!("packages/{}/out.txt", Graph::name(node)))
}

pub(crate) fn lay_just(graph: &Graph, folder: &Path) -> io::Result<()> {
    lay_inputs(graph, folder)?;
    let mut text = format!("all: {}\n", names(0..graph.size()).join(" "));
    for node in 0..graph.size() {
        let (name, before) = (Graph::name(node), requires(graph, node).join(" "));
        let command = sum_command(graph, node);
        let _ = writeln!(text, "{name}: {before}\n    @{command}");
    }
    fs::write(folder.join("justfile"), text)
}

pub(crate) fn lay_task(graph: &Graph, folder: &Path) -> io::Result<()> {
    lay_inputs(graph, folder)?;
    let all = names(0..graph.size()).join(", ");
    let mut text =
        format!("version: '3'\nrun: once\nsilent: true\ntasks:\n  default:\n    deps: [{all}]\n");
    for node in 0..graph.size() {
        let _ = writeln!(
            text,
            "  {}:\n    deps: [{}]\n    sources: [{}]\n    generates: ['{}']\n    cmds: ['{}']",
            Graph::name(node),
            requires(graph, node).join(", "),
            quoted(&read_paths(graph, node)),
            output(node).display(),
            sum_command(graph, node)
        );
    }
    fs::write(folder.join("Taskfile.yml"), text)
}

pub(crate) fn lay_doit(graph: &Graph, folder: &Path) -> io::Result<()> {
    lay_inputs(graph, folder)?;
    let mut text = "NODES = [\n".to_owned();
    for node in 0..graph.size() {
        let _ = writeln!(
            text,
            "    ('{}', '{}', [{}], '{}'),",
            Graph::name(node),
            output(node).display(),
            quoted(&read_paths(graph, node)),
            sum_command(graph, node)
        );
    }
    text.push_str(
        "]\n\n\ndef task_sum():\n    for name, made, read, command in NODES:\n        yield \
         {'name': name, 'file_dep': read, 'targets': [made], 'actions': [command]}\n",
    );
    fs::write(folder.join("dodo.py"), text)
}

pub(crate) fn lay_snakemake(graph: &Graph, folder: &Path) -> io::Result<()> {
    lay_inputs(graph, folder)?;
    let mut text = "REQUIRES = {\n".to_owned();
    for node in 0..graph.size() {
        let before = quoted(&requires(graph, node));
        let _ = writeln!(text, "    '{}': [{before}],", Graph::name(node));
    }
    text.push_str(
        "}\n\nrule all:\n    input: expand('out/{node}.txt', node=REQUIRES)\n\nrule sum:\n    \
         input:\n        'in/{node}.txt',\n        lambda wildcards: [f'out/{name}.txt' for name \
         in REQUIRES[wildcards.node]],\n    output: 'out/{node}.txt'\n    shell: 'cksum {input} > \
         {output}'\n",
    );
    fs::write(folder.join("Snakefile"), text)
}

pub(crate) fn lay_turbo(graph: &Graph, folder: &Path) -> io::Result<()> {
    lay_packages(graph, folder)?;
    fs::write(
        folder.join("package.json"),
        r#"{"name": "all", "private": true, "packageManager": "npm@10.9.0", "workspaces": ["packages/*"]}"#,
    )?;
    fs::write(
        folder.join("turbo.json"),
        r#"{"tasks": {"sum": {"dependsOn": ["^sum"], "inputs": ["in.txt"], "outputs": ["out.txt"]}}}"#,
    )?;
    for node in 0..graph.size() {
        let name = Graph::name(node);
        let before: Vec<String> = requires(graph, node)
            .iter()
            .map(|name| format!(r#""{name}": "*""#))
            .collect();
        let text = format!(
            r#"{{"name": "{name}", "version": "1.0.0", "scripts": {{"sum": "{}"}}, "dependencies": {{{}}}}}"#,
            package_command(graph, node),
            before.join(", ")
        );
        fs::write(folder.join(format!("packages/{name}/package.json")), text)?;
    }
    Ok(())
}

pub(crate) fn lay_moon(graph: &Graph, folder: &Path) -> io::Result<()> {
    lay_packages(graph, folder)?;
    fs::create_dir_all(folder.join(".moon"))?;
    fs::write(
        folder.join(".moon/workspace.yml"),
        "projects: ['packages/*']\ntelemetry: false\n",
    )?;
    for node in 0..graph.size() {
        let name = Graph::name(node);
        let before: Vec<String> = requires(graph, node)
            .iter()
            .map(|name| format!("'{name}:sum'"))
            .collect();
        let text = format!(
            "tasks:\n  sum:\n    script: '{}'\n    deps: [{}]\n    inputs: ['in.txt']\n    outputs: \
             ['out.txt']\n",
            package_command(graph, node),
            before.join(", ")
        );
        fs::write(folder.join(format!("packages/{name}/moon.yml")), text)?;
    }
    // Outside of a repository with a commit moon skips nothing.
    fs::write(folder.join(".gitignore"), ".moon/cache\nout.txt\n")?;
    git(folder, &["init", "--quiet"])?;
    git(folder, &["add", "--all"])?;
    git(folder, &["commit", "--quiet", "--message", "laid"])
}

fn git(folder: &Path, words: &[&str]) -> io::Result<()> {
    let status = Command::new("git")
        .args(["-c", "user.name=bench", "-c", "user.email=bench@localhost"])
        .args(words)
        .current_dir(folder)
        .status()?;
    match status.success() {
        true => Ok(()),
        false => Err(io::Error::other(format!("git {} failed", words.join(" ")))),
    }
}

/// A folder a node, with its input.
fn lay_packages(graph: &Graph, folder: &Path) -> io::Result<()> {
    for node in 0..graph.size() {
        fs::create_dir_all(folder.join(format!("packages/{}", Graph::name(node))))?;
        fs::write(folder.join(package_input(node)), input(node))?;
    }
    Ok(())
}

/// What a node's command is in its own folder.
fn package_command(graph: &Graph, node: usize) -> String {
    let mut words = "cksum in.txt".to_owned();
    for name in requires(graph, node) {
        let _ = write!(words, " ../{name}/out.txt");
    }
    words + " > out.txt"
}

fn names(nodes: impl IntoIterator<Item = usize>) -> Vec<String> {
    nodes.into_iter().map(Graph::name).collect()
}

fn requires(graph: &Graph, node: usize) -> Vec<String> {
    names(graph.requires[node].iter().copied())
}

/// Texts in single quotes, separated by commas.
fn quoted(texts: &[String]) -> String {
    let quoted: Vec<String> = texts.iter().map(|text| format!("'{text}'")).collect();
    quoted.join(", ")
}
