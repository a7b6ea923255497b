//! Runs the user's package clients (pip, npm) and git.
//!
//! They are asked with the user's own environment, so that registries, proxies,
//! certificates and secrets are those that the user has set up; mikado knows none
//! of them. What they print is kept for the error alone, with credentials taken
//! out. They read no input, and their temporary files go to a private folder.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::runner::child::{self, End, Stop};

/// The environment of the user, passed on to what is run in the user's name.
#[derive(Debug, Clone, Default)]
pub struct UserEnvironment(BTreeMap<OsString, OsString>, Stop);

impl UserEnvironment {
    /// The environment of this process.
    pub fn current() -> Self {
        UserEnvironment(std::env::vars_os().collect(), Stop::default())
    }

    /// Another one.
    pub fn of<K: Into<OsString>, V: Into<OsString>>(
        variables: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        let variables = variables.into_iter().map(|(k, v)| (k.into(), v.into()));
        UserEnvironment(variables.collect(), Stop::default())
    }

    /// Ends what is run with this environment or a copy of it.
    pub fn stop(&self) -> &Stop {
        &self.1
    }

    /// The value of a variable.
    pub fn value(&self, name: &str) -> Option<&OsStr> {
        self.0.get(OsStr::new(name)).map(OsString::as_os_str)
    }

    /// All variables.
    pub fn variables(&self) -> &BTreeMap<OsString, OsString> {
        &self.0
    }

    /// Where a program called `name` may be, in the order of the PATH.
    pub fn program_places(&self, name: &str) -> impl Iterator<Item = PathBuf> {
        let path = self.value("PATH").unwrap_or_default();
        let folders: Vec<PathBuf> = std::env::split_paths(path)
            .filter(|folder| folder.is_absolute())
            .collect();
        let name = name.to_owned();
        folders.into_iter().map(move |folder| folder.join(&name))
    }

    /// The programs called `name` on the PATH, the first first.
    pub fn programs(&self, name: &str) -> impl Iterator<Item = PathBuf> {
        self.program_places(name).filter(|program| {
            program
                .metadata()
                .is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
        })
    }
}

/// A program that is run in the user's name.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    program: PathBuf,
    leading: Vec<OsString>,
    user: UserEnvironment,
}

/// A program that did not do what it was asked for.
#[derive(Debug)]
pub(crate) struct Failed {
    /// The last lines that it printed, credentials masked.
    pub(crate) said: String,
}

impl Client {
    pub(crate) fn new(
        program: impl Into<PathBuf>,
        leading: &[&str],
        user: &UserEnvironment,
    ) -> Self {
        Client {
            program: program.into(),
            leading: leading.iter().map(OsString::from).collect(),
            user: user.clone(),
        }
    }

    /// Sets a variable over the user's.
    pub(crate) fn with(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.user.0.insert(name.into(), value.into());
        self
    }

    /// Takes variables of the user away.
    pub(crate) fn without(mut self, names: &[&str]) -> Self {
        for name in names {
            self.user.0.remove(OsStr::new(name));
        }
        self
    }

    /// Runs it in `folder`, which also takes its temporary files, and returns
    /// what it printed.
    ///
    /// # Errors
    ///
    /// It could not be started, or failed.
    pub(crate) fn run<A: AsRef<OsStr>>(
        &self,
        folder: &Path,
        arguments: &[A],
    ) -> Result<Vec<u8>, Failed> {
        let mut command = Command::new(&self.program);
        command
            .args(&self.leading)
            .args(arguments)
            .env_clear()
            .envs(&self.user.0)
            .env("TMPDIR", folder)
            .current_dir(folder);
        let (status, out, err) = match child::run(&mut command, None, &self.user.1) {
            Ok(End::Exited(status, out, err)) => (status, out, err),
            Ok(End::TooLong | End::Stopped) => {
                return Err(Failed {
                    said: "  (stopped)".to_owned(),
                });
            }
            Err(error) => return Err(self.not_started(&error)),
        };
        if status.success() {
            return Ok(out);
        }
        let said = last_lines(&String::from_utf8_lossy(&[out, err].concat()));
        let said = match said.is_empty() {
            true => format!("  ({status})"),
            false => said,
        };
        Err(Failed { said })
    }

    fn not_started(&self, error: &io::Error) -> Failed {
        Failed {
            said: format!(
                "  `{}` could not be started: {error}",
                self.program.display()
            ),
        }
    }
}

/// The last lines that say something, indented, credentials masked.
fn last_lines(text: &str) -> String {
    const KEPT: usize = 12;
    let lines: Vec<&str> = text
        .lines()
        .map(|line| {
            line.rsplit('\r')
                .find(|part| !part.trim().is_empty())
                .unwrap_or("")
                .trim_end()
        })
        .filter(|line| !line.is_empty() && !line.starts_with("[notice]"))
        .filter(|line| !line.contains("complete log of this run can be found"))
        .collect();
    let lines: Vec<String> = lines[lines.len().saturating_sub(KEPT)..]
        .iter()
        .map(|line| format!("  {}", masked(line)))
        .collect();
    lines.join("\n")
}

/// `text` with what looks like a credential taken out: user and password of
/// addresses, values of keys that name a token or a password.
pub fn masked(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        out.push_str(before);
        let end = after
            .find(|c: char| {
                c.is_whitespace() || matches!(c, '/' | '?' | '#' | '"' | '\'' | '`' | '<' | '>')
            })
            .unwrap_or(after.len());
        rest = match after[..end].rfind('@') {
            Some(sign) => {
                out.push_str("***");
                &after[sign..]
            }
            None => after,
        };
    }
    out.push_str(rest);
    mask_values(&out)
}

fn mask_values(text: &str) -> String {
    const KEYS: [&str; 8] = [
        "token=",
        "_auth=",
        "authtoken=",
        "password=",
        "passwd=",
        "secret=",
        "bearer ",
        "basic ",
    ];
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    loop {
        let lower = rest.to_ascii_lowercase();
        let found = KEYS
            .iter()
            .filter_map(|key| Some((lower.find(key)? + key.len(), *key)))
            .min();
        let Some((start, _)) = found else {
            out.push_str(rest);
            return out;
        };
        out.push_str(&rest[..start]);
        let value = &rest[start..];
        let end = value
            .find(|c: char| c.is_whitespace() || matches!(c, '&' | '"' | '\'' | '`' | ',' | ';'))
            .unwrap_or(value.len());
        if end > 0 {
            out.push_str("***");
        }
        rest = &value[end..];
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn credentials_are_masked() {
        assert_eq!(
            masked(
                "Looking in indexes: https://user:p@ss@host.example/simple, http://plain.example/x"
            ),
            "Looking in indexes: https://***@host.example/simple, http://plain.example/x"
        );
        assert_eq!(masked("//r/:_authToken=abc123 x"), "//r/:_authToken=*** x");
        assert_eq!(
            masked("GET https://h/x?token=abc&y=1"),
            "GET https://h/x?token=***&y=1"
        );
        assert_eq!(masked("mail me@example.org"), "mail me@example.org");
    }

    #[test]
    fn failure_keeps_the_last_lines() {
        let folder = tempfile::tempdir().unwrap();
        let client = Client::new("/bin/sh", &["-c"], &UserEnvironment::default());
        let failed = client
            .run(
                folder.path(),
                &["seq 20; echo 'ERROR: no https://u:p@h/' >&2; exit 3"],
            )
            .unwrap_err();
        assert!(
            failed.said.ends_with("  20\n  ERROR: no https://***@h/"),
            "{}",
            failed.said
        );
        assert_eq!(failed.said.lines().count(), 12);
        assert_eq!(
            client.run(folder.path(), &["echo $HOME$TMPDIR"]).unwrap(),
            format!("{}\n", folder.path().display()).as_bytes()
        );
    }

    #[test]
    fn only_executables_of_the_path_are_programs() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("x"), "").unwrap();
        let path = format!("{}::.:/bin", folder.path().display());
        let user = UserEnvironment::of([("PATH", path)]);
        assert_eq!(user.programs("x").count(), 0);
        assert_eq!(user.programs("sh").next(), Some(PathBuf::from("/bin/sh")));
    }

    proptest! {
        #[test]
        fn password_in_an_address_never_survives(password in "[a-zA-Z0-9:@%]{6,12}") {
            let text = format!("error: https://me:{password}Q7@host/x failed");
            prop_assert!(!masked(&text).contains("Q7"));
        }

        #[test]
        fn masking_takes_any_text(text in "\\PC{0,40}") {
            let _ = masked(&text);
        }
    }
}
