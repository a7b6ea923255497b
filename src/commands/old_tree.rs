//! The files of a commit in a folder of their own, beside the user's work tree.
//!
//! git writes them through an index of ours: the user's index, branch, hooks and
//! work tree are not touched, and attributes that leave files out of archives
//! leave none out here. The folder looks like a repository to what asks git which
//! files are tracked, and is deleted in the end.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::cli::Context;
use crate::error::Error;

/// The files of a commit.
pub(crate) struct OldTree {
    /// The folder that stands for the repository's root.
    pub(crate) top: PathBuf,
    /// The commit.
    pub(crate) commit: String,
    _folder: tempfile::TempDir,
}

impl OldTree {
    /// Writes the files of `reference` of the repository at `top`.
    ///
    /// # Errors
    ///
    /// Where there is no repository, no such commit, or no place for the files.
    pub(crate) fn write(top: &Path, reference: &str, context: &Context) -> Result<OldTree, Error> {
        let git = Git { top, context };
        let commit = format!("{reference}^{{commit}}");
        let found = git.run(
            &[
                "rev-parse",
                "--verify",
                "--quiet",
                "--end-of-options",
                &commit,
            ],
            None,
        );
        let commit = found.map_err(|_| {
            Error::usage(
                format!("`{reference}` names no commit here"),
                "in CI the history has to be fetched: `fetch-depth: 0` for actions/checkout, `GIT_DEPTH: 0` for GitLab",
            )
        })?;
        let folder = tempfile::Builder::new()
            .prefix("mikado-affected-")
            .tempdir();
        let folder = folder.map_err(Error::disk("make a folder in", std::env::temp_dir()))?;
        let tree = folder.path().join("tree");
        git.run(&["init", "--quiet", "--template="], Some(&tree))?;
        let index = tree.join(".git/index");
        git.with_index(&index, &tree, &["read-tree", &commit])?;
        git.with_index(&index, &tree, &["checkout-index", "--all", "--force"])?;
        Ok(OldTree {
            top: tree,
            commit,
            _folder: folder,
        })
    }
}

struct Git<'a> {
    top: &'a Path,
    context: &'a Context,
}

impl Git<'_> {
    fn command(&self) -> Result<Command, Error> {
        let git = self.context.user.programs("git").next();
        let git =
            git.ok_or_else(|| Error::usage("git is not on PATH", "install it, or put it on PATH"))?;
        let mut command = Command::new(git);
        command.env_clear().envs(self.context.user.variables());
        // These would make it another repository.
        for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX"] {
            command.env_remove(name);
        }
        command.current_dir(self.top).stdin(Stdio::null());
        Ok(command)
    }

    fn run(&self, arguments: &[&str], last: Option<&Path>) -> Result<String, Error> {
        let mut command = self.command()?;
        command.args(arguments).args(last.map(Path::as_os_str));
        finish(command, arguments)
    }

    fn with_index(&self, index: &Path, tree: &Path, arguments: &[&str]) -> Result<(), Error> {
        let git_dir = self.run(&["rev-parse", "--absolute-git-dir"], None)?;
        let mut command = self.command()?;
        command.current_dir(tree);
        command.env("GIT_INDEX_FILE", index);
        command
            .arg("--git-dir")
            .arg(git_dir)
            .arg("--work-tree")
            .arg(tree);
        command
            .args(["-c", "core.hooksPath=/dev/null"])
            .args(arguments);
        finish(command, arguments).map(drop)
    }
}

fn finish(mut command: Command, arguments: &[&str]) -> Result<String, Error> {
    let failed = Error::disk("start", "git");
    let output = command.output().map_err(failed)?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let verb = arguments.iter().map(OsStr::new).next().unwrap_or_default();
        let message = format!("git {}: {}", verb.to_string_lossy(), said.trim());
        return Err(Error::usage(message, ""));
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
