//! Which files of the card folders are read.
//!
//! Every `.md` file, wherever it lies, but not in dot folders, in
//! `changelog.d`, or where git ignores it. Folders that are links are not
//! entered, so a loop of links is no loop here; files that are links are read.

use std::io;
use std::path::{Path, PathBuf};

/// How deep, and at how many files and folders, a short look goes.
const DEPTH: usize = 6;
const ENTRIES: usize = 20_000;

/// What a walk came across.
#[derive(Debug, Default)]
pub struct Walked {
    /// The Markdown files, in byte order of their paths.
    pub files: Vec<PathBuf>,
    /// The folders that were looked into, the first among them.
    pub folders: Vec<PathBuf>,
}

/// The Markdown files of `folder`.
///
/// # Errors
///
/// Where a folder can't be read.
pub fn markdown_files(folder: &Path) -> io::Result<Walked> {
    collect(walker(folder).build(), usize::MAX)
}

/// Some Markdown files of `folder`: a look that ends soon, wherever it begins.
///
/// # Errors
///
/// Where the folder can't be read.
pub fn some_markdown_files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let walk = walker(folder).max_depth(Some(DEPTH)).build();
    collect(walk, ENTRIES).map(|walked| walked.files)
}

fn walker(folder: &Path) -> ignore::WalkBuilder {
    // What ignores a repository from outside says nothing of what is in it.
    let in_git = folder.ancestors().any(|dir| dir.join(".git").exists());
    let mut walker = ignore::WalkBuilder::new(folder);
    walker
        .hidden(true)
        .ignore(false)
        .git_global(false)
        .git_ignore(true)
        .git_exclude(true)
        .require_git(in_git)
        .parents(true)
        .follow_links(false)
        .filter_entry(|entry| {
            entry.depth() == 0
                || entry.file_name() != "changelog.d"
                || !entry.file_type().is_some_and(|kind| kind.is_dir())
        });
    walker
}

fn collect(walk: ignore::Walk, limit: usize) -> io::Result<Walked> {
    let mut walked = Walked::default();
    for entry in walk.take(limit) {
        let entry = match entry {
            Ok(entry) => entry,
            // A folder that vanished, or that only others may read, hides
            // nothing else; a top folder that can't be read is a fault.
            Err(error) if error.depth().is_some_and(|depth| depth > 0) => continue,
            Err(error) => {
                return Err(error
                    .into_io_error()
                    .unwrap_or_else(|| io::Error::other("the folder can't be walked")));
            }
        };
        let kind = entry.file_type();
        if kind.is_some_and(|kind| kind.is_dir()) {
            walked.folders.push(entry.path().to_owned());
        }
        let is_markdown = entry
            .path()
            .extension()
            .is_some_and(|extension| extension.eq_ignore_ascii_case("md"));
        // Only what a link leads to is not known from the walk.
        let is_folder = || match kind {
            Some(kind) if !kind.is_symlink() => kind.is_dir(),
            _ => entry.path().is_dir(),
        };
        if is_markdown && entry.depth() > 0 && !is_folder() {
            walked.files.push(entry.into_path());
        }
    }
    walked.files.sort();
    Ok(walked)
}
