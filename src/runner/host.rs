//! Tools of this machine: found on the user's PATH, asked for their version.
//!
//! A tool is asked with the user's own HOME and environment, since shims (pyenv,
//! rustup, mise) need them, and what it answered is kept in `memory`. A shim that
//! tells its `prefix` leads to the real program below it: that one is linked, and
//! its version is the one in the key.

mod memory;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::index::{Kind, Watched};
use crate::runner::child::{self, End};
use crate::runner::client::{UserEnvironment, masked};
use crate::runner::tools::{Declared, ToolError, ToolFault};
use crate::runner::version::Version;
use memory::{Answer, Memory, Question};

/// How long a tool may take to say its version.
const PATIENCE: Duration = Duration::from_secs(10);

/// A tool of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostTool {
    /// The name that the runner gives it.
    pub name: String,
    /// The word by which it was found, such as `python3`: a step calls it by this
    /// word or by its name.
    pub command: String,
    /// The real program to link to.
    pub program: PathBuf,
    /// What it said.
    pub version: String,
    /// The folder in which it is installed; a step must be able to read it.
    pub prefix: PathBuf,
    /// Its store path, where it lies in `/nix/store`.
    pub nix: Option<PathBuf>,
}

impl HostTool {
    /// A tool that is what is asked of it, wherever it may be.
    pub(crate) fn assumed(declared: &Declared<'_>) -> HostTool {
        let wanted = declared.spec.version.as_ref();
        HostTool {
            name: declared.name.to_owned(),
            command: declared.name.to_owned(),
            program: PathBuf::new(),
            version: wanted.map_or_else(String::new, ToString::to_string),
            prefix: PathBuf::new(),
            nix: None,
        }
    }

    /// The platform property that stands for it in an action: its name with
    /// `tool:` before it, and its Nix store path or its version.
    pub fn property(&self) -> (String, String) {
        let value = match &self.nix {
            Some(path) => path.display().to_string(),
            None => self.version.clone(),
        };
        (format!("tool:{}", self.name), value)
    }
}

/// Finds tools on a PATH.
#[derive(Debug)]
pub struct HostTools {
    user: UserEnvironment,
    folder: PathBuf,
    file: PathBuf,
    memory: Mutex<Memory>,
    asks: bool,
    /// What the answers that were given depend on.
    watched: Watched,
}

impl HostTools {
    /// Finds tools on the PATH of `user`. Commands are run in `folder`, the
    /// project's root; answers are remembered in the file `host-tools.json` of
    /// the folder `store`.
    pub fn new(user: UserEnvironment, folder: &Path, store: &Path) -> Self {
        let file = store.join("host-tools.json");
        HostTools {
            user,
            folder: folder.to_owned(),
            memory: Mutex::new(Memory::read(&file)),
            file,
            asks: true,
            watched: Watched::default(),
        }
    }

    /// The same, without executing anything: a tool's last answer counts, and
    /// one that has none is a fault.
    #[must_use]
    pub fn without_asking(mut self) -> Self {
        self.asks = false;
        self
    }

    /// The file of what tools answered.
    pub(crate) fn file(&self) -> &Path {
        &self.file
    }

    /// Adds all that the tools that were found depend on.
    pub(crate) fn watch(&self, watched: &Watched) {
        watched.take(&self.watched);
    }

    /// Finds a declared tool and checks its version.
    ///
    /// # Errors
    ///
    /// It is not on the PATH, does not say its version, or has another one.
    pub fn find(&self, declared: &Declared<'_>) -> Result<HostTool, ToolError> {
        self.look_up(declared, |question| self.answer(question))
            .map_err(|fault| declared.error(fault))
    }

    /// The same from what is remembered: executes nothing. `None` for a tool
    /// that is there and was not asked yet.
    pub fn recall(&self, declared: &Declared<'_>) -> Option<Result<HostTool, ToolError>> {
        let found = self.look_up(declared, |question| {
            self.memory().answer(question).ok_or(ToolFault::NotAsked)
        });
        match found {
            Err(ToolFault::NotAsked) => None,
            found => Some(found.map_err(|fault| declared.error(fault))),
        }
    }

    fn look_up(
        &self,
        declared: &Declared<'_>,
        answer: impl FnOnce(&Question<'_>) -> Result<Answer, ToolFault>,
    ) -> Result<HostTool, ToolFault> {
        let spec = declared.spec;
        let command = spec
            .command
            .clone()
            .unwrap_or_else(|| format!("{} --version", declared.name));
        let word = command
            .split_whitespace()
            .next()
            .unwrap_or(declared.name)
            .to_owned();
        for place in self.user.program_places(&word) {
            self.watched.add(place, Kind::Target);
        }
        let Some(found) = self.user.programs(&word).next() else {
            let wanted = spec
                .version
                .as_ref()
                .map_or(String::new(), |version| format!("{version} "));
            return Err(ToolFault::Missing {
                command: word,
                wanted,
            });
        };
        let looking = ToolFault::disk(format!("looking at `{}`", found.display()));
        let real = fs::canonicalize(&found).map_err(looking)?;
        let answer = answer(&Question {
            found: &found,
            real: &real,
            word: &word,
            command: &command,
            prefix: spec.prefix.as_deref(),
            user: &self.user,
            folder: &self.folder,
        })?;
        self.watched.add(&answer.program, Kind::Target);
        if memory::is_passing(&answer, &real, &word) {
            self.watched.give_up();
        }
        if answer.program != real {
            for file in memory::setting_files(&found, &self.user, &self.folder) {
                self.watched.add(file, Kind::Target);
            }
        }
        if let Some(wanted) = &spec.version {
            let version = Version::find(&answer.version);
            if !version.is_some_and(|version| wanted.matches(&version)) {
                let (wanted, found_version) = (wanted.clone(), answer.version);
                return Err(ToolFault::OtherVersion {
                    command: word,
                    wanted,
                    found: found_version,
                    path: found,
                });
            }
        }
        Ok(HostTool {
            name: declared.name.to_owned(),
            command: word,
            nix: store_path(&answer.program),
            program: answer.program,
            version: answer.version,
            prefix: answer.prefix,
        })
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answer(&self, question: &Question<'_>) -> Result<Answer, ToolFault> {
        if !self.asks {
            let last = self.memory().last_answer(question);
            return last.ok_or(ToolFault::NotAsked);
        }
        if let Some(answer) = self.memory().answer(question) {
            return Ok(answer);
        }
        let answer = self.ask(question)?;
        self.memory().keep(question, answer.clone(), &self.file);
        Ok(answer)
    }

    fn ask(&self, question: &Question<'_>) -> Result<Answer, ToolFault> {
        let Question {
            real,
            word,
            command,
            ..
        } = *question;
        let said = self.run(command)?;
        let version = Version::find(&said).ok_or_else(|| ToolFault::Command {
            command: command.to_owned(),
            how: format!(
                "printed no version, but: {}",
                masked(said.lines().next().unwrap_or("nothing"))
            ),
        })?;
        let (prefix, program) = match question.prefix {
            None => (own_prefix(real), real.to_owned()),
            Some(prefix) => {
                let said = self.run(prefix)?;
                let folder = PathBuf::from(said.trim());
                if !folder.is_absolute() || !folder.is_dir() {
                    return Err(ToolFault::Command {
                        command: prefix.to_owned(),
                        how: format!(
                            "printed no folder, but: {}",
                            masked(said.lines().next().unwrap_or("nothing"))
                        ),
                    });
                }
                let below = folder.join("bin").join(word);
                let program = if below.is_file() {
                    below
                } else {
                    real.to_owned()
                };
                (folder, program)
            }
        };
        Ok(Answer {
            version: version.to_string(),
            prefix,
            program,
        })
    }

    /// Runs a command of a declaration and returns what it printed.
    fn run(&self, command: &str) -> Result<String, ToolFault> {
        let failed = |how: String| ToolFault::Command {
            command: command.to_owned(),
            how,
        };
        let mut shell = Command::new("/bin/sh");
        shell
            .args(["-c", command])
            .env_clear()
            .envs(self.user.variables())
            .current_dir(&self.folder);
        let (status, out, err) = match child::run(&mut shell, Some(PATIENCE), self.user.stop()) {
            Ok(End::Exited(status, out, err)) => (status, out, err),
            Ok(End::TooLong) => {
                return Err(failed(format!(
                    "did not end within {} s",
                    PATIENCE.as_secs()
                )));
            }
            Ok(End::Stopped) => return Err(failed("was stopped".to_owned())),
            Err(error) => return Err(failed(format!("could not be started: {error}"))),
        };
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        let (out, err) = (text(out), text(err));
        match status.success() {
            true if out.trim().is_empty() => Ok(err),
            true => Ok(out),
            false => {
                let last = err
                    .lines()
                    .chain(out.lines())
                    .rfind(|line| !line.trim().is_empty());
                let last = masked(last.unwrap_or("it printed nothing"));
                Err(failed(format!("failed ({status}): {last}")))
            }
        }
    }
}

/// The folder above the `bin` in which the program lies, else its own.
fn own_prefix(real: &Path) -> PathBuf {
    let folder = real.parent().unwrap_or(real);
    match (folder.file_name(), folder.parent()) {
        (Some(name), Some(above)) if name == "bin" || name == "sbin" => above.to_owned(),
        _ => folder.to_owned(),
    }
}

/// `/nix/store/HASH-NAME` of a path below it.
fn store_path(program: &Path) -> Option<PathBuf> {
    let rest = program.strip_prefix("/nix/store").ok()?;
    Some(Path::new("/nix/store").join(rest.components().next()?))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests;
