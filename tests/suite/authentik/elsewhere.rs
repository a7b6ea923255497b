//! The same chain, executed by another machine: its workers have no network, and
//! of this machine what the runners name.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{ALL, artifacts, begun, cold, warm};
use crate::remote::execution::{executor_counts, with_executor};
use crate::remote::servers;

/// Where the Python lies that the runners take from PATH.
fn python_prefix() -> PathBuf {
    let mut python = Command::new("python3");
    let output = python.args(["-c", "import sys; print(sys.base_prefix)"]);
    let output = output.output().expect("python3");
    assert!(output.status.success(), "{output:?}");
    PathBuf::from(String::from_utf8_lossy(&output.stdout).trim())
}

/// What gives workers this Python, as the first on their PATH.
fn with_python(folder: &Path) -> Vec<String> {
    let prefix = python_prefix();
    symlink(prefix.join("bin/python3"), folder.join("python3")).expect("a link");
    let mut options = vec![format!(
        "--runner-arg=--ro-bind-mount={}:/usr/local/bin",
        folder.display()
    )];
    if !prefix.starts_with("/usr") {
        let prefix = prefix.display();
        options.push(format!("--runner-arg=--ro-bind-mount={prefix}:{prefix}"));
    }
    options
}

#[test]
fn whole_chain_is_executed_elsewhere_with_the_artifacts_of_a_run_here() {
    let programs = tempfile::tempdir().expect("a folder of programs");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(programs.path(), mode).expect("a mode");
    let options = with_python(programs.path());
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let server = servers::executing_casd(&options);
    // What it fetches and its tools are in the store of the first run.
    let sandbox = with_executor(warm(), &server.url());
    let words = format!("run --force --no-mark --format json {}", ALL.join(" "));
    let ran = sandbox.mikado(&words).exits(0);
    let counts = executor_counts(&ran);
    assert_eq!(counts["executed"], ALL.len(), "{counts}");
    assert_eq!((&counts["failed"], &counts["here"]), (&0.into(), &0.into()));
    let mut all = ALL.map(str::to_owned);
    all.sort();
    assert_eq!(begun(&ran), all);
    assert_eq!(artifacts(&ran), cold().artifacts);
}
