//! What git says of a folder of inputs: whether its ignore files count there,
//! and what it tracks in spite of them. Everything else about ignoring is the
//! `ignore` crate's.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::index::{Kind, Watched};

/// What git says of a folder.
#[derive(Debug, Default)]
pub(super) struct GitFolder {
    /// Whether ignore files count: it lies in a work tree that does not itself
    /// ignore it. In a tree without git, and in one that was fetched into an
    /// ignored folder, every file is there on purpose.
    pub(super) rules: bool,
    /// Files that git tracks although its ignore files name them.
    pub(super) tracked: Vec<String>,
}

impl GitFolder {
    /// Asks git about a folder, once; without git it says nothing.
    pub(super) fn of(folder: &Path) -> GitFolder {
        let in_work_tree = folder.ancestors().any(|dir| dir.join(".git").exists());
        if !in_work_tree {
            return GitFolder::default();
        }
        let git = |arguments: &[&str]| {
            let mut git = Command::new("git");
            git.arg("-C").arg(folder).args(arguments);
            git.env_remove("GIT_DIR")
                .env_remove("GIT_WORK_TREE")
                .env_remove("GIT_INDEX_FILE");
            git.output()
        };
        let is_ignored =
            git(&["check-ignore", "--quiet", "."]).is_ok_and(|out| out.status.success());
        if is_ignored {
            return GitFolder::default();
        }
        let listed = git(&[
            "ls-files",
            "-z",
            "--cached",
            "--ignored",
            "--exclude-standard",
        ]);
        let listed = listed.map(|output| output.stdout).unwrap_or_default();
        let names = listed
            .split(|byte| *byte == 0)
            .filter_map(|name| std::str::from_utf8(name).ok());
        GitFolder {
            rules: true,
            tracked: names
                .filter(|name| !name.is_empty())
                .map(str::to_owned)
                .collect(),
        }
    }
}

/// Adds what git's answers about `folder` depend on, beside the ignore files in
/// it: its index, its settings and the user's.
pub(super) fn watch(folder: &Path, watched: &Watched) {
    watched.add_above(folder);
    let repository = folder.ancestors().find(|dir| dir.join(".git").exists());
    let Some(repository) = repository.map(|dir| dir.join(".git")) else {
        return;
    };
    for file in ["index", "config"] {
        watched.add(repository.join(file), Kind::Entry);
    }
    // In a linked work tree and a submodule a file leads to the folder.
    if repository.is_file() {
        watched.add(&repository, Kind::Entry);
        let text = std::fs::read_to_string(&repository).unwrap_or_default();
        let named = text
            .strip_prefix("gitdir:")
            .map(|text| text.trim().to_owned());
        let folder = repository.with_file_name(named.unwrap_or_default());
        for file in [
            "index",
            "config",
            "config.worktree",
            "commondir",
            "info/exclude",
        ] {
            watched.add(folder.join(file), Kind::Entry);
        }
        for file in ["../../config", "../../info/exclude"] {
            watched.add(folder.join(file), Kind::Entry);
        }
    }
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let settings = std::env::var_os("XDG_CONFIG_HOME").map(PathBuf::from);
    let settings = settings.or_else(|| Some(home.as_ref()?.join(".config")));
    for folder in settings.into_iter().map(|folder| folder.join("git")) {
        watched.add(folder.join("config"), Kind::Target);
        watched.add(folder.join("ignore"), Kind::Target);
    }
    if let Some(home) = home {
        watched.add(home.join(".gitconfig"), Kind::Target);
    }
    watched.add("/etc/gitconfig", Kind::Target);
}
