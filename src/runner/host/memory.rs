//! What programs of this machine answered, kept between runs.
//!
//! An answer holds while the program that was found, the program that it led to
//! and what decides between versions are the same: path, size, time and inode of
//! files, and the settings of version managers. A shim (a script, or a program
//! called by a name that is not its own) may listen to settings that nobody here
//! knows, so its answer counts in a later run only where it led to another
//! program: then the worst is a version that the user had before, under its true
//! name. A plan, which asks nobody, takes any answer.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::runner::client::UserEnvironment;

/// What a program answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Answer {
    pub(super) version: String,
    pub(super) prefix: PathBuf,
    /// The program to link to.
    pub(super) program: PathBuf,
}

/// Answers by question.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Memory {
    version: u32,
    answers: BTreeMap<String, Kept>,
    /// The questions that were asked in this process.
    #[serde(skip)]
    asked: BTreeSet<String>,
}

/// The version of the file.
const VERSION: u32 = 2;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Kept {
    /// What the answer depends on, when it was given.
    state: String,
    answer: Answer,
    /// Whether it counts for one process alone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    passing: bool,
}

/// A question to a program: where it was found, and the commands that ask it.
#[derive(Debug)]
pub(super) struct Question<'a> {
    pub(super) found: &'a Path,
    /// `found` with all links followed.
    pub(super) real: &'a Path,
    pub(super) word: &'a str,
    pub(super) command: &'a str,
    pub(super) prefix: Option<&'a str>,
}

impl Question<'_> {
    fn key(&self) -> String {
        let prefix = self.prefix.unwrap_or_default();
        format!("{}\n{}\n{prefix}", self.found.display(), self.command)
    }

    /// What an answer that leads to `program` depends on.
    fn state(&self, program: &Path, user: &UserEnvironment, folder: &Path) -> String {
        let mut state = format!("{} {}", self.real.display(), identity(self.real));
        if program != self.real {
            let settings = settings(self.found, user, folder);
            let _ = write!(
                state,
                "\n{}\n{}",
                identity(program),
                Digest::of(settings.as_bytes())
            );
        }
        state
    }
}

impl Memory {
    /// Reads a memory; a torn or foreign file is none.
    pub(super) fn read(file: &Path) -> Self {
        fs::read(file)
            .ok()
            .and_then(|text| serde_json::from_slice::<Memory>(&text).ok())
            .filter(|memory| memory.version == VERSION)
            .unwrap_or_default()
    }

    /// The answer to a question, if it still holds in `folder`.
    pub(super) fn answer(
        &self,
        question: &Question<'_>,
        user: &UserEnvironment,
        folder: &Path,
    ) -> Option<Answer> {
        let key = question.key();
        let is_passing = self.answers.get(&key).is_some_and(|kept| kept.passing);
        match is_passing && !self.asked.contains(&key) {
            true => None,
            false => self.last_answer(question, user, folder),
        }
    }

    /// The answer that was given last, as far as the files that it depends on
    /// are the same.
    pub(super) fn last_answer(
        &self,
        question: &Question<'_>,
        user: &UserEnvironment,
        folder: &Path,
    ) -> Option<Answer> {
        let key = question.key();
        let kept = self.answers.get(&key)?;
        let state = question.state(&kept.answer.program, user, folder);
        (state == kept.state).then(|| kept.answer.clone())
    }

    /// Keeps an answer, in `file`.
    pub(super) fn keep(
        &mut self,
        question: &Question<'_>,
        answer: Answer,
        user: &UserEnvironment,
        folder: &Path,
        file: &Path,
    ) {
        let state = question.state(&answer.program, user, folder);
        let passing = is_passing(&answer, question.real, question.word);
        let kept = Kept {
            state,
            answer,
            passing,
        };
        self.version = VERSION;
        self.asked.insert(question.key());
        let before = self.answers.insert(question.key(), kept.clone());
        if before.as_ref() == Some(&kept) {
            return;
        }
        // Where it can't be written, the tools are asked again in the next run.
        let _written = self.write(file);
    }

    fn write(&self, file: &Path) -> io::Result<()> {
        // What a crash leaves there is swept by the next run.
        let folder = file.parent().unwrap_or(file).join("tmp");
        fs::create_dir_all(&folder)?;
        let mut temporary = tempfile::NamedTempFile::new_in(folder)?;
        serde_json::to_writer(&mut temporary, self)?;
        temporary.persist(file)?;
        Ok(())
    }
}

/// Size, time and inode of a file.
fn identity(path: &Path) -> String {
    fs::metadata(path).map_or("absent".to_owned(), |found| {
        format!(
            "{} {}.{:09} {}",
            found.size(),
            found.mtime(),
            found.mtime_nsec(),
            found.ino()
        )
    })
}

/// Whether an answer of the program `real`, called as `word`, counts for one process alone.
pub(super) fn is_passing(answer: &Answer, real: &Path, word: &str) -> bool {
    answer.program == real && is_shim(real, word)
}

/// A script, or a program that is called by a name that is not its own.
fn is_shim(real: &Path, word: &str) -> bool {
    let mut start = [0; 2];
    let read = File::open(real).and_then(|mut file| file.read_exact(&mut start));
    let name = real.file_name().unwrap_or_default().to_string_lossy();
    // `python3 -> python3.11` is a program of the same name, `cargo -> rustup` is not.
    let stem = |text: &str| {
        text.trim_end_matches(|c: char| c.is_ascii_digit() || matches!(c, '.' | '-'))
            .to_owned()
    };
    (read.is_ok() && start == *b"#!") || stem(&name) != stem(word)
}

/// All that the known version managers go by: their variables, and the files
/// in which a folder, the user or the manager's own root names a version.
fn settings(found: &Path, user: &UserEnvironment, folder: &Path) -> String {
    const VARIABLES: [&str; 9] = [
        "ASDF_", "GOENV_", "JENV_", "MISE_", "NODENV_", "PYENV_", "RBENV_", "RUSTUP_", "VOLTA_",
    ];
    let mut text = String::new();
    for (name, value) in user.variables() {
        let name = name.to_string_lossy();
        if VARIABLES.iter().any(|start| name.starts_with(start)) {
            let _ = writeln!(text, "{name}={}", value.to_string_lossy());
        }
    }
    for file in setting_files(found, user, folder).filter(|file| file.exists()) {
        let _ = writeln!(text, "{} {}", file.display(), identity(&file));
    }
    text
}

/// The files of `settings`, those that are not there among them.
pub(super) fn setting_files(
    found: &Path,
    user: &UserEnvironment,
    folder: &Path,
) -> impl Iterator<Item = PathBuf> {
    const IN_FOLDERS: [&str; 11] = [
        ".go-version",
        ".java-version",
        ".mise.toml",
        ".node-version",
        ".nvmrc",
        ".python-version",
        ".ruby-version",
        ".tool-versions",
        "mise.toml",
        "rust-toolchain",
        "rust-toolchain.toml",
    ];
    const AT_HOME: [&str; 4] = [
        ".config/mise/config.toml",
        ".mise.toml",
        ".rustup/settings.toml",
        ".tool-versions",
    ];
    let home = user.value("HOME").map(PathBuf::from);
    // `~/.pyenv/shims/python3` goes by `~/.pyenv/version`.
    let manager = found
        .parent()
        .and_then(Path::parent)
        .map(|root| root.join("version"));
    let in_folders = folder
        .ancestors()
        .flat_map(|folder| IN_FOLDERS.iter().map(|name| folder.join(name)));
    let at_home = home
        .iter()
        .flat_map(|home| AT_HOME.iter().map(|name| home.join(name)));
    let files: Vec<PathBuf> = in_folders.chain(at_home).chain(manager).collect();
    files.into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_the_same_program_are_no_shims() {
        assert!(!is_shim(Path::new("/usr/bin/python3.11"), "python3"));
        assert!(is_shim(Path::new("/usr/bin/rustup"), "cargo"));
    }

    #[test]
    fn settings_are_variables_and_files_of_version_managers() -> io::Result<()> {
        let folder = tempfile::tempdir()?;
        let place = folder.path().join("a/b");
        fs::create_dir_all(&place)?;
        fs::create_dir(folder.path().join("shims"))?;
        let found = folder.path().join("shims/python3");
        let now = |value: &str| {
            let user = UserEnvironment::of([("PYENV_VERSION", value), ("OTHER", value)]);
            settings(&found, &user, &place)
        };
        let first = now("");
        assert_ne!(now("3.12"), first);
        fs::write(folder.path().join("a/.python-version"), "3.12")?;
        let second = now("");
        assert_ne!(second, first);
        fs::write(folder.path().join("version"), "3.13")?;
        assert_ne!(now(""), second);
        Ok(())
    }
}
