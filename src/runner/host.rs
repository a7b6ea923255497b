//! Tools of this machine: found on the user's PATH, asked for their version.
//!
//! A tool is asked with the user's own HOME and environment, since shims (pyenv,
//! rustup, mise) need them, and what it answered is kept in `memory`. A shim that
//! tells its `prefix` leads to the real program below it: that one is linked, and
//! its version is the one in the key.

mod memory;

use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

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
        }
    }

    /// The same, without executing anything: a tool's last answer counts, and
    /// one that has none is a fault.
    #[must_use]
    pub fn without_asking(mut self) -> Self {
        self.asks = false;
        self
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
        let asked = Cell::new(true);
        let found = self.look_up(declared, |question| {
            let memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
            memory
                .answer(question, &self.user, &self.folder)
                .ok_or_else(|| {
                    asked.set(false);
                    ToolFault::Command {
                        command: question.command.to_owned(),
                        how: "was not asked yet".to_owned(),
                    }
                })
        });
        asked
            .get()
            .then(|| found.map_err(|fault| declared.error(fault)))
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
        })?;
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

    fn answer(&self, question: &Question<'_>) -> Result<Answer, ToolFault> {
        let memory = || self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.asks {
            let last = memory().last_answer(question, &self.user, &self.folder);
            return last.ok_or(ToolFault::NotAsked);
        }
        if let Some(answer) = memory().answer(question, &self.user, &self.folder) {
            return Ok(answer);
        }
        let answer = self.ask(question)?;
        memory().keep(
            question,
            answer.clone(),
            &self.user,
            &self.folder,
            &self.file,
        );
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
mod tests {
    use super::*;
    use crate::runner::tools::ToolSpec;
    use std::os::unix::fs::{PermissionsExt, symlink};

    struct Machine(tempfile::TempDir);

    impl Machine {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            for name in ["path", "store", "opt/bin"] {
                fs::create_dir_all(folder.path().join(name)).unwrap();
            }
            Machine(folder)
        }

        fn path(&self, name: &str) -> PathBuf {
            self.0.path().join(name)
        }

        fn program(&self, name: &str, text: &str) {
            fs::write(self.path(name), format!("#!/bin/sh\n{text}\n")).unwrap();
            fs::set_permissions(self.path(name), fs::Permissions::from_mode(0o755)).unwrap();
        }

        fn tools(&self) -> HostTools {
            let path = format!("{}:/usr/bin:/bin", self.path("path").display());
            let user = UserEnvironment::of([("PATH", path), ("HOME", "/h".to_owned())]);
            HostTools::new(user, self.0.path(), &self.path("store"))
        }

        fn find(&self, name: &str, spec: &str) -> Result<HostTool, String> {
            let spec: ToolSpec = serde_yaml::from_str(spec).unwrap();
            let declared = Declared {
                runner: "r",
                name,
                spec: &spec,
            };
            self.tools()
                .find(&declared)
                .map_err(|error| error.to_string())
        }
    }

    #[test]
    fn tool_is_found_with_its_version_and_prefix() {
        let machine = Machine::new();
        machine.program("opt/bin/gofoo", "echo foo version 1.26.6 $HOME");
        symlink(machine.path("opt/bin/gofoo"), machine.path("path/gofoo")).unwrap();
        let tool = machine
            .find("foo", "{command: gofoo version, version: '>=1.20'}")
            .unwrap();
        let opt = fs::canonicalize(machine.path("opt")).unwrap();
        assert_eq!(
            (tool.version.as_str(), tool.command.as_str()),
            ("1.26.6", "gofoo")
        );
        assert_eq!(
            (tool.prefix.clone(), tool.program.clone()),
            (opt.clone(), opt.join("bin/gofoo"))
        );
        assert_eq!(
            tool.property(),
            ("tool:foo".to_owned(), "1.26.6".to_owned())
        );
    }

    #[test]
    fn shim_leads_to_the_program_below_its_prefix() {
        let machine = Machine::new();
        machine.program("path/py", "echo Python 3.11.7 >&2");
        machine.program("opt/bin/py", "");
        let prefix = machine.path("opt");
        let tool = machine
            .find("py", &format!("{{prefix: 'echo {}'}}", prefix.display()))
            .unwrap();
        assert_eq!((tool.program, tool.prefix), (prefix.join("bin/py"), prefix));
    }

    #[test]
    fn missing_and_other_versions_say_what_was_found() {
        let machine = Machine::new();
        machine.program("path/py", "echo Python 3.11.7");
        let path = machine.path("path/py");
        assert_eq!(
            machine
                .find("python", "{command: py -V, version: '>=3.14'}")
                .unwrap_err(),
            format!(
                "tool `python` of runner `r`: `py` >=3.14 needed, 3.11.7 found at {}; install one that fits, or put its folder first on PATH",
                path.display()
            )
        );
        assert_eq!(
            machine.find("nope-tool", "{version: 20}").unwrap_err(),
            "tool `nope-tool` of runner `r`: `nope-tool` 20 needed, none found on PATH; install it or put its folder on PATH"
        );
    }

    #[test]
    fn command_that_fails_or_says_nothing_is_named() {
        let machine = Machine::new();
        machine.program("path/a", "echo broken https://u:p@h/ >&2; exit 3");
        machine.program("path/b", "echo hello");
        let failed = machine.find("a", "{}").unwrap_err();
        assert!(
            failed.ends_with("`a --version` failed (exit status: 3): broken https://***@h/"),
            "{failed}"
        );
        let silent = machine.find("b", "{}").unwrap_err();
        assert!(
            silent.ends_with("`b --version` printed no version, but: hello"),
            "{silent}"
        );
    }

    #[test]
    fn program_is_asked_once_and_again_when_it_changed() {
        let machine = Machine::new();
        // A real program: a copy of `true` that says its version through the command.
        let copy = |from: &str| {
            fs::copy(from, machine.path("path/prog")).unwrap();
        };
        copy("/bin/true");
        let spec = format!(
            "{{command: 'prog ; echo x >> {}; echo 1.2'}}",
            machine.path("asked").display()
        );
        let asked = || {
            fs::read_to_string(machine.path("asked"))
                .unwrap()
                .lines()
                .count()
        };
        for _ in 0..2 {
            machine.find("prog", &spec).unwrap();
        }
        assert_eq!(asked(), 1);
        fs::remove_file(machine.path("path/prog")).unwrap();
        copy("/bin/echo");
        machine.find("prog", &spec).unwrap();
        assert_eq!(asked(), 2);
        fs::write(machine.path("store/host-tools.json"), "{torn").unwrap();
        machine.find("prog", &spec).unwrap();
        assert_eq!(asked(), 3);
    }

    #[test]
    fn shim_is_asked_in_every_run_and_in_no_plan() {
        let machine = Machine::new();
        let asked = machine.path("asked");
        machine.program(
            "path/shim",
            &format!("echo x >> {}; echo 1.2", asked.display()),
        );
        let planned = || {
            let spec = ToolSpec::default();
            let declared = Declared {
                runner: "r",
                name: "shim",
                spec: &spec,
            };
            let found = machine.tools().without_asking().find(&declared);
            found.map(|tool| tool.version).map_err(|e| e.to_string())
        };
        assert_eq!(
            planned().unwrap_err(),
            "tool `shim` of runner `r`: it was not asked for its version yet"
        );
        assert!(!asked.exists());
        for _ in 0..2 {
            machine.find("shim", "{}").unwrap();
        }
        assert_eq!(planned().as_deref(), Ok("1.2"));
        assert_eq!(fs::read_to_string(asked).unwrap().lines().count(), 2);
        machine.program("path/shim", "echo 1.3 and more");
        assert!(planned().is_err());
    }

    #[test]
    fn shim_that_leads_elsewhere_is_asked_again_when_a_setting_changed() {
        let machine = Machine::new();
        let asked = machine.path("asked");
        machine.program(
            "path/py",
            &format!("echo x >> {}; echo 3.11", asked.display()),
        );
        fs::copy("/bin/true", machine.path("opt/bin/py")).unwrap();
        let spec = format!("{{prefix: 'echo {}'}}", machine.path("opt").display());
        let times = || {
            machine.find("py", &spec).unwrap();
            fs::read_to_string(&asked).unwrap().lines().count()
        };
        assert_eq!((times(), times()), (1, 1));
        fs::write(machine.path(".python-version"), "3.12").unwrap();
        assert_eq!((times(), times()), (2, 2));
        fs::copy("/bin/echo", machine.path("opt/bin/py")).unwrap();
        assert_eq!((times(), times()), (3, 3));
    }

    #[test]
    fn nix_store_path_is_found() {
        assert_eq!(
            store_path(Path::new("/nix/store/abc-go-1/bin/go")),
            Some(PathBuf::from("/nix/store/abc-go-1"))
        );
        assert_eq!(store_path(Path::new("/usr/bin/go")), None);
    }
}
