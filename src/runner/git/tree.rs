//! The files of one commit, fetched and laid out in a folder.
//!
//! First the commit alone is asked for, then the tag that it had, then all there
//! is: not every server gives single commits. What comes out is checked for what
//! a plain checkout can't have, and appears by one rename.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use super::{GitFault, disk, said};
use crate::fail_point;
use crate::runner::client::{Client, Failed, masked};

/// Fetches `commit` with a temporary folder in `place` and renames it to `folder`.
pub(super) fn fetch(
    git: &Client,
    url: &str,
    commit: &str,
    tag: Option<&str>,
    place: &Path,
    folder: &Path,
) -> Result<(), GitFault> {
    let temporary = fail_point::reach("source.make")
        .and_then(|()| tempfile::Builder::new().prefix("fetch-").tempdir_in(place))
        .map_err(disk("making a folder for a source"))?;
    // What is locked is not deleted by other processes.
    let held = File::open(temporary.path())
        .and_then(|folder| folder.lock().map(|()| folder))
        .map_err(disk("locking a folder for a source"))?;
    let tree = temporary.path().join("tree");
    let run = |arguments: &[&str]| git.run(&tree, arguments);
    let has_it = || run(&["cat-file", "-e", &format!("{commit}^{{commit}}")]).is_ok();
    let shallow = |what: &str| {
        const SHALLOW: [&str; 6] = [
            "fetch",
            "--quiet",
            "--no-tags",
            "--no-recurse-submodules",
            "--depth=1",
            "--",
        ];
        run(&[&SHALLOW[..], &[url, what]].concat()).err()
    };
    new_repository(git, &tree)?;
    let mut failed = shallow(commit);
    if !has_it()
        && let Some(tag) = tag
    {
        failed = shallow(tag).or(failed);
    }
    if !has_it() {
        const ALL: [&str; 4] = ["fetch", "--quiet", "--no-recurse-submodules", "--"];
        new_repository(git, &tree)?;
        failed = run(&[&ALL[..], &[url, "+refs/*:refs/all/*"]].concat()).err();
    }
    if !has_it() {
        let doing = format!("fetch commit {commit} from `{}`", masked(url));
        let nothing = || Failed {
            said: "  the repository does not have it".to_owned(),
        };
        return Err(said(doing, failed.unwrap_or_else(nothing)));
    }
    check_out(git, &tree, commit)?;
    fs::remove_dir_all(tree.join(".git")).map_err(disk("removing the history of a source"))?;
    refuse_lfs(&tree)?;
    fail_point::reach("source.name")
        .and_then(|()| fs::rename(&tree, folder))
        .map_err(disk("storing a source"))?;
    drop(held);
    Ok(())
}

/// An empty repository at `tree`, whatever was there.
fn new_repository(git: &Client, tree: &Path) -> Result<(), GitFault> {
    let made = match fs::remove_dir_all(tree) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => fs::create_dir(tree),
    };
    made.map_err(disk("making a folder for a source"))?;
    git.run(tree, &["init", "--quiet", "--template="])
        .map_err(|failed| said("make a repository".to_owned(), failed))?;
    Ok(())
}

/// Lays out the files of a commit, with no setting of the user.
fn check_out(git: &Client, tree: &Path, commit: &str) -> Result<(), GitFault> {
    let plain = git
        .clone()
        .with("GIT_CONFIG_GLOBAL", "/dev/null")
        .with("GIT_CONFIG_NOSYSTEM", "1")
        .with("GIT_ATTR_NOSYSTEM", "1");
    let failed = |failed| said(format!("check out {commit}"), failed);
    let list = plain
        .run(tree, &["ls-tree", "-r", "-z", commit])
        .map_err(failed)?;
    let modules: Vec<String> = list
        .split(|byte| *byte == 0)
        .filter(|line| line.starts_with(b"160000 "))
        .filter_map(|line| line.splitn(2, |byte| *byte == b'\t').nth(1))
        .map(|name| String::from_utf8_lossy(name).into_owned())
        .collect();
    if !modules.is_empty() {
        return Err(GitFault::Submodules(some(&modules)));
    }
    const PLAIN: [&str; 6] = [
        "-c",
        "core.autocrlf=false",
        "-c",
        "core.hooksPath=/dev/null",
        "-c",
        "core.fsmonitor=false",
    ];
    const CHECKOUT: [&str; 4] = ["checkout", "--quiet", "--force", "--detach"];
    plain
        .run(tree, &[&PLAIN[..], &CHECKOUT, &[commit]].concat())
        .map_err(failed)?;
    Ok(())
}

/// Refuses a tree in which a pointer of git LFS stands for a file.
fn refuse_lfs(tree: &Path) -> Result<(), GitFault> {
    let reading = |error| disk("looking for LFS files")(error);
    let mut found = Vec::new();
    let mut folders = vec![tree.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).map_err(reading)? {
            let entry = entry.map_err(reading)?;
            let kind = entry.file_type().map_err(reading)?;
            let path = entry.path();
            if kind.is_dir() {
                folders.push(path);
            } else if kind.is_file()
                && (100..1024).contains(&entry.metadata().map_err(reading)?.len())
                && is_pointer(&path)
            {
                found.push(
                    path.strip_prefix(tree)
                        .unwrap_or(&path)
                        .display()
                        .to_string(),
                );
            }
        }
    }
    found.sort();
    match found.is_empty() {
        true => Ok(()),
        false => Err(GitFault::Lfs(some(&found))),
    }
}

fn is_pointer(path: &Path) -> bool {
    const POINTER: &[u8] = b"version https://git-lfs.github.com/spec/v1\n";
    let mut start = [0; POINTER.len()];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut start));
    read.is_ok() && start == POINTER
}

/// The first names of a list, in backticks.
fn some(names: &[String]) -> String {
    let mut first: Vec<String> = names
        .iter()
        .take(3)
        .map(|name| format!("`{name}`"))
        .collect();
    if names.len() > first.len() {
        first.push(format!("{} more", names.len() - first.len()));
    }
    first.join(", ")
}
