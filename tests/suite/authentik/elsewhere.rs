//! The same chain, executed by other machines: their workers have no network, and
//! of this machine what the runners name.
//!
//! The machine that has it executed has the tools of the first run. A namespace
//! keeps the results of that from it, so that its fetches are executed here and its
//! builds there.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{ALL, GOAL, NOTHING, artifacts, begun, cold, events, warm};
use crate::remote::execution::{executor_counts, with_executor};
use crate::remote::scheduler::Cluster;
use crate::remote::{is_whole, servers, with_cache};
use crate::support::sandbox::{Ran, Sandbox};

/// Where the Python lies that the runners take from PATH.
fn python_prefix() -> PathBuf {
    let mut python = Command::new("python3");
    let output = python.args(["-c", "import sys; print(sys.base_prefix)"]);
    let output = output.output().expect("python3");
    assert!(output.status.success(), "{output:?}");
    PathBuf::from(String::from_utf8_lossy(&output.stdout).trim())
}

/// This Python in the words of an action's platform.
fn python() -> String {
    let output = Command::new("python3").arg("--version").output();
    let output = output.expect("python3");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let version = said.trim().strip_prefix("Python ").expect("a version");
    format!("tool:python3={version}")
}

/// What gives workers this Python, as the first on their PATH: options of
/// buildbox-run.
fn with_python(folder: &Path) -> Vec<String> {
    let prefix = python_prefix();
    symlink(prefix.join("bin/python3"), folder.join("python3")).expect("a link");
    let folder = folder.display();
    let mut options = vec![format!("--ro-bind-mount={folder}:/usr/local/bin")];
    if !prefix.starts_with("/usr") {
        let prefix = prefix.display();
        options.push(format!("--ro-bind-mount={prefix}:{prefix}"));
    }
    options
}

/// A folder of programs that workers see.
fn programs() -> tempfile::TempDir {
    let programs = tempfile::tempdir().expect("a folder of programs");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(programs.path(), mode).expect("a mode");
    programs
}

/// A machine whose builds are executed by the server that is its cache, too. The
/// `namespace` is of one test alone, since they share the store of the first run.
fn machine(sandbox: Sandbox, url: &str, namespace: &str, mode: &str) -> Sandbox {
    let sandbox = with_cache(with_executor(sandbox, url), url, mode);
    sandbox.env("MIKADO_CACHE_NAMESPACE", namespace)
}

fn run(sandbox: &Sandbox) -> Ran {
    let words = format!("run {GOAL} --no-mark --format json");
    sandbox.mikado(&words).exits(0)
}

/// Has all builds executed by a server, which must come out as they do here; then
/// nothing is, for a fresh clone with an empty store.
fn executes_all_of_it_once(url: &str, namespace: &str) {
    let first = machine(warm(), url, namespace, "read-write");
    let first = first.env("MIKADO_CACHE_TOKEN", "nobody-looks-at-it");
    let ran = run(&first);
    let counts = executor_counts(&ran);
    assert_eq!(counts["executed"], ALL.len(), "{counts}");
    assert_eq!((&counts["failed"], &counts["here"]), (&0.into(), &0.into()));
    let mut all = ALL.map(str::to_owned);
    all.sort();
    assert_eq!(begun(&ran), all);
    assert_eq!(artifacts(&ran), cold().artifacts);

    let second = machine(Sandbox::of_checkout(), url, namespace, "read");
    let ran = run(&second);
    assert_eq!(begun(&ran), NOTHING, "{}", ran.all());
    for kind in ["partStarted", "toolProvisioning"] {
        assert!(events(&ran, kind).is_empty(), "{}", ran.all());
    }
    let counts = executor_counts(&ran);
    assert!(counts.is_null() || counts["executed"] == 0, "{counts}");
    assert_eq!(artifacts(&ran), cold().artifacts);
    is_whole(&second);
}

#[test]
fn whole_chain_is_executed_elsewhere_with_the_artifacts_of_a_run_here() {
    let programs = programs();
    let options = with_python(programs.path()).into_iter();
    let options: Vec<String> = options.map(|o| format!("--runner-arg={o}")).collect();
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let server = servers::executing_casd(&options);
    executes_all_of_it_once(&server.url(), "on-a-worker");
}

#[test]
fn whole_chain_comes_out_of_another_engine_and_a_second_machine_executes_nothing() {
    let programs = programs();
    let cluster = Cluster::with_tools(&with_python(programs.path()), &[python()]);
    executes_all_of_it_once(&cluster.url(), "on-workers-of-a-scheduler");
}
