//! Starts one program and says what it took: wall time, CPU time, peak memory.
//!
//! The measuring is done by a process of its own (`__launch`), small and with
//! one child, so that its children's usage is that program's. As the kernel
//! counts it, the peak is that of the largest process below.

use std::error::Error;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use serde::{Deserialize, Serialize};

/// The argument that makes this program the launcher: `__launch ERRORS PROGRAM
/// ARGUMENT..`, where the file ERRORS takes the program's standard error.
pub(crate) const ARGUMENT: &str = "__launch";

/// What a program took.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub(crate) struct Sample {
    /// From the start to the end.
    pub(crate) wall: Duration,
    /// Of all processes, in user space and in the kernel.
    pub(crate) cpu: Duration,
    /// Of the largest process, in bytes.
    pub(crate) peak: u64,
}

/// What a launch came to.
#[derive(Deserialize, Serialize)]
struct Launch {
    sample: Sample,
    /// The exit code, if it was not ended by a signal.
    code: Option<i32>,
}

/// The launcher: what it prints is a [`Launch`] as JSON, on standard error.
pub(crate) fn main(arguments: &[String]) -> Result<(), Box<dyn Error>> {
    let [errors, program, arguments @ ..] = arguments else {
        return Err("launch what?".into());
    };
    let mut command = Command::new(program);
    command.args(arguments).stderr(File::create(errors)?);
    let began = Instant::now();
    let status = command.status()?;
    let wall = began.elapsed();
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let cpu = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    let launch = Launch {
        sample: Sample {
            wall,
            cpu: Duration::from_micros(cpu.unsigned_abs()),
            peak: usage.max_rss().unsigned_abs() * 1024,
        },
        code: status.code(),
    };
    serde_json::to_writer(std::io::stderr(), &launch)?;
    Ok(())
}

/// Runs `command` in `folder` with an environment of its own. What it prints goes
/// to the files `printed.out` and `printed.err` of the folder `prints`.
pub(crate) fn launch(
    command: &[String],
    folder: &Path,
    environment: &[(String, String)],
    prints: &Path,
) -> Result<Sample, Box<dyn Error>> {
    let (out, err) = (prints.join("printed.out"), prints.join("printed.err"));
    let launched = Command::new(std::env::current_exe()?)
        .arg(ARGUMENT)
        .arg(&err)
        .args(command)
        .current_dir(folder)
        .env_clear()
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(File::create(&out)?)
        .stderr(Stdio::piped())
        .output()?;
    let said = String::from_utf8_lossy(&launched.stderr);
    let launch: Launch = serde_json::from_str(&said)
        .map_err(|_| format!("`{}` could not be started: {said}", command.join(" ")))?;
    if launch.code != Some(0) {
        let (out, err) = (end_of(&out)?, end_of(&err)?);
        return Err(format!("`{}` failed:\n{out}\n{err}", command.join(" ")).into());
    }
    Ok(launch.sample)
}

/// The last lines of a file.
fn end_of(path: &Path) -> Result<String, Box<dyn Error>> {
    let text = String::from_utf8_lossy(&fs::read(path)?).into_owned();
    let lines: Vec<&str> = text.lines().collect();
    Ok(lines[lines.len().saturating_sub(12)..].join("\n"))
}
