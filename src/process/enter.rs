//! Becoming a program that is confined: for a shell on the user's terminal.
//!
//! Nothing stands between the terminal and the shell, so that job control,
//! signals and the exit code are the shell's own: `mikado` becomes `mikado
//! __keeper enter` (one thread, which namespaces need), which confines itself
//! and becomes the program. The environment is inherited
//! on the way; the isolation and the working directory, which may be there only in
//! a namespace, travel as an argument.

use std::ffi::{CString, OsStr, OsString};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::isolation::Isolation;
use super::rules::Rules;
use super::spaces::Ways;
use super::sys;
use super::wire::{Request, Start, system_text};
use super::{client, keeper, spaces};

/// The argument of the keeper that makes it become a program.
pub(super) const ENTER: &str = "enter";

/// Becomes the program `argv[0]` (a path, or a name to be found on the `PATH` of `env`) in the folder `cwd`; it
/// returns only where that fails, and says why.
pub fn become_program(
    argv: &[OsString],
    env: &[(OsString, OsString)],
    cwd: &Path,
    isolation: Option<&Isolation>,
) -> io::Error {
    let mut command = match isolation {
        None => {
            let mut command = Command::new(argv.first().cloned().unwrap_or_default());
            command.args(argv.iter().skip(1)).current_dir(cwd);
            command
        }
        Some(isolation) => {
            let program = match client::this_program() {
                Ok(program) => program,
                Err(error) => return error,
            };
            let request = match encoded(isolation, cwd) {
                Ok(request) => request,
                Err(error) => return error,
            };
            let mut command = Command::new(program);
            command
                .arg0("mikado")
                .args([keeper::ARGUMENT, ENTER, &request])
                .args(argv)
                .current_dir("/");
            command
        }
    };
    command
        .env_clear()
        .envs(env.iter().map(|(name, value)| (name, value)))
        .exec()
}

fn encoded(isolation: &Isolation, cwd: &Path) -> io::Result<String> {
    let start = Start {
        argv: Vec::new(),
        env: Vec::new(),
        cwd: system_text(cwd.as_os_str())?,
        isolation: Some(isolation.clone()),
        mask: Vec::new(),
    };
    Ok(BASE64.encode(&Request::Start(Box::new(start)).encode()[4..]))
}

fn decoded(text: &OsString) -> io::Result<(Isolation, CString)> {
    let body = BASE64.decode(text.as_encoded_bytes());
    let body = body.map_err(|_| io::ErrorKind::InvalidInput)?;
    match Request::decode(&body)? {
        Request::Start(start) => match start.isolation {
            Some(isolation) => Ok((isolation, start.cwd)),
            None => Err(io::ErrorKind::InvalidInput.into()),
        },
        _ => Err(io::ErrorKind::InvalidInput.into()),
    }
}

/// The other side of `become_program`; it returns only where something failed.
pub(super) fn enter(mut arguments: impl Iterator<Item = OsString>) -> io::Result<()> {
    let (isolation, cwd) = decoded(&arguments.next().unwrap_or_default())?;
    let program = arguments.next().ok_or(io::ErrorKind::InvalidInput)?;
    let spaces = isolation.spaces.as_ref();
    let namespaces = spaces.map(|spaces| spaces::lay_out(&isolation, spaces, &mut Ways::default()));
    let ruleset = Rules::new()
        .ruleset(&isolation)
        .map_err(|error| io::Error::other(error.to_string()))?;
    sys::confine(ruleset.as_ref().map(AsFd::as_fd), namespaces.as_ref())
        .map_err(|error| io::Error::other(format!("could not confine the shell: {error}")))?;
    // It may be a place that is there only now.
    std::env::set_current_dir(OsStr::from_bytes(cwd.as_bytes()))?;
    let error = Command::new(&program).args(arguments).exec();
    Err(io::Error::new(
        error.kind(),
        format!("could not start `{}`: {error}", program.display()),
    ))
}
