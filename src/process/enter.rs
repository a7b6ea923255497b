//! Becoming a program that is confined: for a shell on the user's terminal.
//!
//! Nothing stands between the terminal and the shell, so that job control,
//! signals and the exit code are the shell's own: `mikado` becomes `mikado
//! __keeper enter` (one thread, which namespaces need), which confines itself
//! and becomes the program. The environment and the working directory are
//! inherited on the way, and the isolation travels as an argument.

use std::ffi::{CString, OsString};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::isolation::Isolation;
use super::rules::Rules;
use super::sys::{self, Namespaces};
use super::wire::{Request, Start};
use super::{client, keeper};

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
            command.args(argv.iter().skip(1));
            command
        }
        Some(isolation) => {
            let program = match client::this_program() {
                Ok(program) => program,
                Err(error) => return error,
            };
            let mut command = Command::new(program);
            command
                .arg0("mikado")
                .args([keeper::ARGUMENT, ENTER, &encoded(isolation)])
                .args(argv);
            command
        }
    };
    command
        .env_clear()
        .envs(env.iter().map(|(name, value)| (name, value)))
        .current_dir(cwd)
        .exec()
}

fn encoded(isolation: &Isolation) -> String {
    let start = Start {
        argv: Vec::new(),
        env: Vec::new(),
        cwd: CString::default(),
        isolation: Some(isolation.clone()),
        mask: Vec::new(),
    };
    BASE64.encode(&Request::Start(start).encode()[4..])
}

fn decoded(text: &OsString) -> io::Result<Isolation> {
    let body = BASE64.decode(text.as_encoded_bytes());
    let body = body.map_err(|_| io::ErrorKind::InvalidInput)?;
    match Request::decode(&body)? {
        Request::Start(Start {
            isolation: Some(isolation),
            ..
        }) => Ok(isolation),
        _ => Err(io::ErrorKind::InvalidInput.into()),
    }
}

/// The other side of `become_program`; it returns only where something failed.
pub(super) fn enter(mut arguments: impl Iterator<Item = OsString>) -> io::Result<()> {
    let isolation = decoded(&arguments.next().unwrap_or_default())?;
    let program = arguments.next().ok_or(io::ErrorKind::InvalidInput)?;
    let namespaces = isolation.private_network && !isolation.network;
    let ruleset = Rules::new()
        .ruleset(&isolation)
        .map_err(|error| io::Error::other(error.to_string()))?;
    let namespaces = namespaces.then(Namespaces::new);
    sys::confine(ruleset.as_ref().map(AsFd::as_fd), namespaces.as_ref())?;
    let error = Command::new(&program).args(arguments).exec();
    Err(io::Error::new(
        error.kind(),
        format!("could not start `{}`: {error}", program.display()),
    ))
}
