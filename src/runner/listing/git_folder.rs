//! What git says of a folder of inputs: whether its ignore files count there,
//! and what it tracks in spite of them. Everything else about ignoring is the
//! `ignore` crate's.

use std::path::Path;
use std::process::Command;

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
