//! Pipelines executed: GitHub's and Forgejo's by act in host mode, GitLab's by
//! gitlab-ci-local. The files are run as they are written; stand-ins take the
//! place of the actions that hand artifacts over.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::sandbox::{MIKADO, Ran, Sandbox};

use super::tools;

const UPLOAD: &str = r#"
name: upload
description: keeps files for other jobs
inputs:
  name: { description: the name, required: true }
  path: { description: the file, required: true }
  if-no-files-found: { description: ignored }
  compression-level: { description: ignored }
  include-hidden-files: { description: ignored }
  overwrite: { description: ignored }
runs:
  using: composite
  steps:
    - shell: bash
      run: mkdir -p "$HANDED_OVER/${{ inputs.name }}" && cp "${{ inputs.path }}" "$HANDED_OVER/${{ inputs.name }}/"
"#;

const DOWNLOAD: &str = r#"
name: download
description: gets files of other jobs
inputs:
  name: { description: the name, required: true }
  path: { description: the folder, required: true }
runs:
  using: composite
  steps:
    - shell: bash
      run: mkdir -p "${{ inputs.path }}" && cp "$HANDED_OVER/${{ inputs.name }}/"* "${{ inputs.path }}/"
"#;

/// What a pipeline's execution left.
pub struct Executed {
    /// What was printed, and the exit code.
    pub ran: Ran,
    /// The folder that holds what was handed over.
    pub files: PathBuf,
    _folder: tempfile::TempDir,
}

impl Executed {
    /// The file with the artifact of the card, wherever the system puts it.
    pub fn file(&self, stem: &str) -> PathBuf {
        let name = format!("{stem}.tar.zst");
        let places = [self.files.join(stem).join(&name), self.files.join(&name)];
        let found = places.iter().find(|path| path.is_file());
        found
            .unwrap_or_else(|| panic!("no {name}\n{}", self.ran.all()))
            .clone()
    }

    /// Whether the card handed anything over.
    pub fn has(&self, stem: &str) -> bool {
        let name = format!("{stem}.tar.zst");
        self.files.join(stem).exists() || self.files.join(name).exists()
    }
}

/// A folder with `mikado`, which jobs find on PATH.
fn programs(folder: &Path) -> PathBuf {
    let programs = folder.join("bin");
    fs::create_dir_all(&programs).expect("a folder");
    symlink(MIKADO, programs.join("mikado")).expect("a link");
    programs
}

/// Puts a folder before the PATH that a command has.
fn prepend(command: &mut Command, folder: &Path) {
    let path = command.get_envs().find(|(name, _)| *name == "PATH");
    let path = path.and_then(|(_, value)| value).unwrap_or_default();
    let folders = std::iter::once(folder.to_owned()).chain(std::env::split_paths(path));
    let path = std::env::join_paths(folders).expect("a PATH");
    command.env("PATH", path);
}

/// The program `program` with what the sandbox's commands have.
fn command(sandbox: &Sandbox, program: &Path) -> Command {
    sandbox.command(program)
}

/// Runs the workflow that lies there by act.
pub fn act(sandbox: &Sandbox, system: &str) -> Executed {
    let folder = tempfile::tempdir().expect("a folder");
    let files = folder.path().join("files");
    for (name, text) in [("up", UPLOAD), ("down", DOWNLOAD)] {
        let action = folder.path().join(name);
        fs::create_dir_all(&action).expect("a folder");
        fs::write(action.join("action.yml"), text).expect("an action");
    }
    fs::create_dir_all(&files).expect("a folder");
    let (workflows, machine, owner) = match system {
        "github" => (".github/workflows", "ubuntu-latest", "actions"),
        _ => (".forgejo/workflows", "docker", "forgejo"),
    };
    let mut act = command(sandbox, &tools::act());
    prepend(&mut act, &programs(folder.path()));
    act.env("XDG_CACHE_HOME", folder.path().join("cache"));
    act.args(["push", "-W", workflows, "--no-cache-server", "-P"]);
    act.arg(format!("{machine}=-self-hosted"));
    for (action, stand_in) in [("upload-artifact", "up"), ("download-artifact", "down")] {
        let stand_in = folder.path().join(stand_in);
        act.arg("--local-repository");
        act.arg(format!("{owner}/{action}@v4={}", stand_in.display()));
    }
    act.arg("--env")
        .arg(format!("HANDED_OVER={}", files.display()));
    Executed {
        ran: sandbox.run(act, "(act)"),
        files,
        _folder: folder,
    }
}

/// Runs the pipeline that lies there by gitlab-ci-local, each job on its own.
pub fn gitlab(sandbox: &Sandbox) -> Executed {
    let folder = tempfile::tempdir().expect("a folder");
    let [node, script] = tools::gitlab();
    let mut local = command(sandbox, &node);
    prepend(&mut local, &programs(folder.path()));
    local.arg(script);
    local.args(["--force-shell-executor", "--shell-isolation"]);
    Executed {
        ran: sandbox.run(local, "(gitlab-ci-local)"),
        files: sandbox.path(".mikado/handover"),
        _folder: folder,
    }
}

/// A card that fails, one before it, one after it, and one beside it.
fn failing() -> Sandbox {
    Sandbox::new()
        .card(
            "before",
            "title: \"It's first: a ${{ x }}\"\nstatus: active\nrunner: {inputs: [], steps: [{run: 'echo 1 > $OUT/a'}]}",
        )
        .card(
            "beside",
            "status: active\nrequires: [before]\nrunner: {inputs: [], steps: [{run: 'cp $REQUIRES/before/a $OUT/b'}]}",
        )
        .card(
            "fails",
            "status: active\nrequires: [before]\nrunner: {inputs: [], steps: [{run: 'exit 3'}]}",
        )
        .card(
            "after",
            "status: active\nrequires: [fails]\nrunner: {inputs: [], steps: [{run: 'echo 2 > $OUT/c'}]}",
        )
        .committed()
}

#[test]
fn failing_card_fails_its_job_and_what_comes_after_does_not_start() {
    for system in ["github", "forgejo", "gitlab"] {
        let sandbox = failing();
        sandbox.mikado(&format!("ci {system} --write")).exits(0);
        sandbox.git("add -A");
        sandbox.git("commit -qm pipeline");
        let executed = match system {
            "gitlab" => gitlab(&sandbox),
            _ => act(&sandbox, system),
        };
        let all = executed.ran.all();
        assert_eq!(executed.ran.code(), 1, "{system}: {all}");
        assert!(
            all.contains("fails: `build` exited with 3"),
            "{system}: {all}"
        );
        for (stem, made) in [
            ("before", true),
            ("beside", true),
            ("fails", false),
            ("after", false),
        ] {
            assert_eq!(executed.has(stem), made, "{system}: {stem}\n{all}");
        }
        assert!(
            !all.contains("mikado run --only --no-mark after"),
            "{system}: {all}"
        );
    }
}

#[test]
fn probe_that_is_not_true_yet_holds_back_what_comes_after_and_is_no_failure() {
    let sandbox = Sandbox::new()
        .card_with("up", "status: active", "```sh verify\ntest -e up.txt\n```\n")
        .card(
            "after",
            "status: active\nrequires: [up]\nrunner: {inputs: [], steps: [{run: 'echo 2 > $OUT/c'}]}",
        )
        .committed();
    sandbox.mikado("ci github --write").exits(0);
    let waits = act(&sandbox, "github");
    assert_eq!(waits.ran.code(), 0, "{}", waits.ran.all());
    assert!(!waits.has("after"), "{}", waits.ran.all());
    sandbox.write("up.txt", "");
    let holds = act(&sandbox, "github");
    assert_eq!(holds.ran.code(), 0, "{}", holds.ran.all());
    assert!(holds.has("after"), "{}", holds.ran.all());
}

#[test]
fn workflow_by_hand_runs_cards_with_two_lines() {
    let sandbox = failing();
    sandbox.copy_from_checkout(".github/actions", ".github/actions");
    sandbox.write(
        ".github/workflows/own.yml",
        "name: own\non: push\njobs:\n  it:\n    runs-on: ubuntu-latest\n    steps:\n      - uses: actions/checkout@v4\n      - uses: ./.github/actions/mikado\n        with: { cards: beside, options: --no-mark --keep-going }\n",
    );
    tools::lints(&sandbox.path(".github/workflows/own.yml"));
    sandbox.git("add -A");
    sandbox.git("commit -qm workflow");
    let executed = act(&sandbox, "github");
    let all = executed.ran.all();
    assert_eq!(executed.ran.code(), 0, "{all}");
    assert!(all.contains("Built beside"), "{all}");
}

/// The block of code in the page on CI that begins with `start`.
fn block(start: &str) -> String {
    let page = include_str!("../../../CI.md");
    let mut blocks = page.split("```yaml\n").skip(1);
    let found = blocks.find(|block| block.starts_with(start));
    let found = found.unwrap_or_else(|| panic!("CI.md has no block that begins with {start:?}"));
    found.split("```").next().unwrap_or_default().to_owned()
}

#[test]
fn matrix_of_the_page_starts_what_would_do_something() {
    let sandbox = Sandbox::new()
        .card("one", "status: active\nrunner: {inputs: [], steps: [{run: 'echo made one'}]}")
        .card("two", "status: active\nrunner: {inputs: [{paths: [two.txt]}], steps: [{run: 'echo made two'}]}")
        .file("two.txt", "two")
        .committed();
    let store = tempfile::tempdir().expect("a folder");
    let sandbox = sandbox.store(store.path());
    sandbox.mikado("run --all --no-mark").exits(0);
    sandbox.write("two.txt", "changed");
    let text = format!("name: own\non: push\n{}", block("jobs:"));
    sandbox.write(".github/workflows/own.yml", &text);
    tools::lints(&sandbox.path(".github/workflows/own.yml"));
    let executed = act(&sandbox, "github");
    let all = executed.ran.all();
    assert_eq!(executed.ran.code(), 0, "{all}");
    assert!(
        all.contains("Built two") && !all.contains("one (") && !all.contains("Fresh one"),
        "{all}"
    );
    // What it made is there: nothing is left to start.
    let executed = act(&sandbox, "github");
    let all = executed.ran.all();
    assert_eq!(executed.ran.code(), 0, "{all}");
    assert!(!all.contains("mikado run"), "{all}");
}

#[test]
fn settings_of_the_page_are_settings() {
    let sandbox = failing();
    sandbox.write("mikado.yaml", &block("base:").replace("…", "0"));
    for system in ["github", "gitlab", "woodpecker", "buildkite"] {
        sandbox.mikado(&format!("ci {system}")).exits(0);
    }
}
