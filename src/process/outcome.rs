//! How an execution ended, and what it took.
//!
//! Data and words only: what happened is decided by the reaper (the exit, the
//! cost) and by the client (a timeout, a cancellation, a lost keeper).

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// What an execution came to. When it is known, no process of the execution is left and its log is complete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// How it ended.
    pub exit: Exit,
    /// From the start of its first process to that one's end.
    pub wall: Duration,
    /// User and system time of all its processes.
    pub cpu: Duration,
    /// The largest resident set of one of its processes, in bytes.
    pub max_rss: u64,
    /// How many processes it left behind, which were killed.
    pub strays: u32,
    /// The system's error number for the first write to its log that failed (a full disk): the log is cut there.
    pub output_error: Option<i32>,
    /// Whether the kernel refused the namespaces that it was to have, and it ran without.
    pub without_spaces: bool,
}

/// How an execution ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exit {
    /// Its first process exited with this code.
    Code(i32),
    /// This signal killed its first process.
    Signal(i32),
    /// It ran longer than its timeout, and was stopped.
    TimedOut,
    /// It was stopped on request, or refused since everything is being stopped.
    Cancelled,
    /// It was never started.
    NotStarted(NotStarted),
    /// The process that started and watched it is gone.
    KeeperLost,
}

/// Why an execution could not be started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotStarted {
    /// What failed.
    pub stage: Stage,
    /// The program that was to be started, as it was asked for.
    pub program: PathBuf,
    /// The folder it was to be started in.
    pub cwd: PathBuf,
    /// The system's error number.
    pub errno: i32,
}

/// The stages of a start, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Handing the request to the keeper.
    Request,
    /// Making a process.
    Fork,
    /// Making its namespaces.
    Separate,
    /// Setting up the isolation.
    Isolate,
    /// Changing to the working directory.
    ChangeFolder,
    /// Connecting the output.
    Output,
    /// Executing the program.
    Exec,
}

impl Stage {
    const ALL: [Stage; 7] = [
        Stage::Request,
        Stage::Fork,
        Stage::Separate,
        Stage::Isolate,
        Stage::ChangeFolder,
        Stage::Output,
        Stage::Exec,
    ];

    /// Its number on the wire, from 1.
    pub(super) fn number(self) -> i32 {
        self as i32 + 1
    }

    /// The stage of a number on the wire.
    pub(super) fn from_number(number: i32) -> Option<Stage> {
        Stage::ALL
            .into_iter()
            .find(|stage| stage.number() == number)
    }
}

impl Exit {
    /// Whether the program ran and exited with 0.
    pub fn success(&self) -> bool {
        *self == Exit::Code(0)
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Exit::Code(code) => write!(out, "exited with {code}"),
            Exit::Signal(signal) => match signal_name(*signal) {
                Some(name) => write!(out, "was killed by {name}"),
                None => write!(out, "was killed by signal {signal}"),
            },
            Exit::TimedOut => write!(out, "timed out"),
            Exit::Cancelled => write!(out, "was cancelled"),
            Exit::NotStarted(failure) => failure.fmt(out),
            Exit::KeeperLost => write!(
                out,
                "was lost: the process that `mikado` starts programs with is gone"
            ),
        }
    }
}

impl fmt::Display for NotStarted {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let program = self.program.display();
        let cwd = self.cwd.display();
        let cause = io::Error::from_raw_os_error(self.errno);
        match self.stage {
            Stage::Request => write!(out, "cannot ask the keeper to start `{program}`: {cause}"),
            Stage::Fork => write!(out, "cannot make a process for `{program}`: {cause}"),
            Stage::Separate => write!(out, "cannot make namespaces for `{program}`: {cause}"),
            Stage::Isolate => write!(out, "cannot isolate `{program}`: {cause}"),
            Stage::ChangeFolder => write!(
                out,
                "cannot start `{program}` in the folder `{cwd}`: {cause}"
            ),
            Stage::Output => write!(out, "cannot connect the output of `{program}`: {cause}"),
            Stage::Exec
                if self.errno == libc::ENOENT
                    && self.program.is_absolute()
                    && self.program.exists() =>
            {
                write!(
                    out,
                    "cannot execute `{program}`: the interpreter that its first line names is not there"
                )
            }
            Stage::Exec if self.errno == libc::ENOENT => {
                write!(out, "cannot execute `{program}`: not found")
            }
            Stage::Exec => write!(out, "cannot execute `{program}`: {cause}"),
        }
    }
}

impl std::error::Error for NotStarted {}

/// The name of a common signal.
fn signal_name(signal: i32) -> Option<&'static str> {
    Some(match signal {
        libc::SIGHUP => "SIGHUP",
        libc::SIGINT => "SIGINT",
        libc::SIGQUIT => "SIGQUIT",
        libc::SIGILL => "SIGILL",
        libc::SIGTRAP => "SIGTRAP",
        libc::SIGABRT => "SIGABRT",
        libc::SIGBUS => "SIGBUS",
        libc::SIGFPE => "SIGFPE",
        libc::SIGKILL => "SIGKILL",
        libc::SIGSEGV => "SIGSEGV",
        libc::SIGPIPE => "SIGPIPE",
        libc::SIGALRM => "SIGALRM",
        libc::SIGTERM => "SIGTERM",
        libc::SIGXCPU => "SIGXCPU",
        libc::SIGXFSZ => "SIGXFSZ",
        libc::SIGSYS => "SIGSYS",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn not_started(stage: Stage, program: &str, errno: i32) -> String {
        Exit::NotStarted(NotStarted {
            stage,
            program: program.into(),
            cwd: "/work".into(),
            errno,
        })
        .to_string()
    }

    #[test]
    fn a_failed_start_names_the_program_or_the_folder() {
        assert_eq!(
            not_started(Stage::Exec, "no-such", libc::ENOENT),
            "cannot execute `no-such`: not found"
        );
        assert_eq!(
            not_started(Stage::Exec, "/", libc::EACCES),
            "cannot execute `/`: Permission denied (os error 13)"
        );
        assert_eq!(
            not_started(Stage::ChangeFolder, "sh", libc::ENOENT),
            "cannot start `sh` in the folder `/work`: No such file or directory (os error 2)"
        );
    }

    #[test]
    fn a_program_that_is_there_and_not_found_lacks_its_interpreter() {
        assert!(not_started(Stage::Exec, "/proc/self/exe", libc::ENOENT).contains("interpreter"));
    }

    #[test]
    fn common_signals_have_their_names() {
        assert_eq!(
            Exit::Signal(libc::SIGSEGV).to_string(),
            "was killed by SIGSEGV"
        );
        assert_eq!(Exit::Signal(62).to_string(), "was killed by signal 62");
    }

    #[test]
    fn every_stage_has_its_number() {
        for stage in Stage::ALL {
            assert_eq!(Stage::from_number(stage.number()), Some(stage));
        }
        assert_eq!(Stage::from_number(0), None);
        assert_eq!(Stage::from_number(8), None);
    }
}
