//! Folders that all tests of one run share. They lie in the build's own folder,
//! and the next run of the tests deletes them.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use rustix::process::{Pid, test_kill_process};

/// What cards get from the registries, under all names that machines have for it.
const TOOLS: &[&str] = &[
    "corepack",
    "esbuild",
    "go",
    "gofmt",
    "hatch",
    "hatchling",
    "java",
    "node",
    "nodejs",
    "npm",
    "npx",
    "openapi-generator-cli",
    "tsc",
    "uv",
    "uvx",
];

/// A folder of that name for this run of the tests, made at the first call.
pub fn folder(name: &str) -> PathBuf {
    static ALL: OnceLock<PathBuf> = OnceLock::new();
    let all = ALL.get_or_init(|| {
        let scratch = Path::new(env!("CARGO_TARGET_TMPDIR"));
        delete_left_over(scratch);
        let all = scratch.join(std::process::id().to_string());
        fs::create_dir_all(&all).expect("a folder for the tests");
        all
    });
    let folder = all.join(name);
    fs::create_dir_all(&folder).expect("a folder for the tests");
    folder
}

/// Deletes the folders of runs that are over.
fn delete_left_over(scratch: &Path) {
    let entries = fs::read_dir(scratch).into_iter().flatten();
    for entry in entries.filter_map(Result::ok) {
        let owner = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok());
        let is_over = owner
            .and_then(Pid::from_raw)
            .is_some_and(|pid| test_kill_process(pid).is_err());
        if is_over {
            // Two runs may delete at once, and what stays is deleted by the next.
            drop(fs::remove_dir_all(entry.path()));
        }
    }
}

/// A PATH on which there is Python, git and what every machine has, and none of
/// [`TOOLS`], wherever this machine keeps them.
pub fn path_without_tools() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let folder = folder("path");
        let path = std::env::var_os("PATH").unwrap_or_default();
        for name in ["python3", "git"] {
            let found = std::env::split_paths(&path).map(|folder| folder.join(name));
            let program = found.into_iter().find(|program| program.is_file());
            let program = program.unwrap_or_else(|| panic!("{name} is not on PATH: install it"));
            symlink(program, folder.join(name)).expect("a link");
        }
        for system in ["/usr/bin", "/bin"] {
            let entries = fs::read_dir(system).into_iter().flatten();
            for entry in entries.filter_map(Result::ok) {
                let name = entry.file_name();
                if !TOOLS.iter().any(|tool| name == *tool) {
                    // What is linked already stays: the first of a name counts.
                    drop(symlink(entry.path(), folder.join(name)));
                }
            }
        }
        folder
    })
}
