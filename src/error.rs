//! Faults of the world, and the exit code of each kind.
//!
//! A fault in a card or a runner is a finding ([`crate::diagnostic`]); what is
//! here stops a command: what was being done, to what, and what to do next.

use std::path::PathBuf;

use crate::diagnostic::Diagnostic;

/// The exit codes, as documented in the README.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Everything that was asked for is done.
    Done = 0,
    /// A card failed, or a fetch could not reach its registry.
    Failed = 1,
    /// Wrong usage, an unknown or ambiguous card.
    Usage = 2,
    /// Findings of severity error.
    Findings = 3,
    /// The store or the disk.
    Disk = 4,
    /// Nothing failed, and a card that was asked for waits.
    Waits = 5,
    /// A bug in mikado.
    Bug = 70,
    /// SIGHUP.
    Hangup = 129,
    /// SIGINT.
    Interrupted = 130,
    /// SIGTERM.
    Terminated = 143,
}

/// Why a command could not be carried out.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Wrong usage.
    #[error("{message}")]
    Usage {
        /// What is wrong.
        message: String,
        /// What to do next; may be empty.
        help: String,
    },
    /// Findings that are in the way.
    #[error("{} in the way", crate::words::count(.0.len(), "finding"))]
    Findings(Vec<Diagnostic>),
    /// The disk.
    #[error("could not {doing} `{}`: {source}", .path.display())]
    Disk {
        /// What was being done.
        doing: &'static str,
        /// To what.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The store.
    #[error("{message}")]
    Store {
        /// What is wrong.
        message: String,
        /// What to do next; may be empty.
        help: String,
    },
    /// Tools that can't be had.
    #[error("{0}")]
    Tools(String),
    /// Something that can't be, is.
    #[error("BUG: {0}")]
    Bug(String),
}

impl Error {
    /// Wrong usage with what to do next.
    pub fn usage(message: impl Into<String>, help: impl Into<String>) -> Error {
        Error::Usage {
            message: message.into(),
            help: help.into(),
        }
    }

    /// A fault of the disk while `doing` something to `path`.
    pub fn disk(
        doing: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(std::io::Error) -> Error {
        let path = path.into();
        move |source| Error::Disk {
            doing,
            path,
            source,
        }
    }

    /// The exit code.
    pub fn exit(&self) -> Exit {
        match self {
            Error::Usage { .. } => Exit::Usage,
            Error::Findings(_) => Exit::Findings,
            Error::Disk { .. } | Error::Store { .. } => Exit::Disk,
            Error::Tools(_) => Exit::Failed,
            Error::Bug(_) => Exit::Bug,
        }
    }

    /// What to do next; may be empty.
    pub fn help(&self) -> &str {
        match self {
            Error::Usage { help, .. } | Error::Store { help, .. } => help,
            _ => "",
        }
    }

    /// A stable word for JSON.
    pub fn code(&self) -> &'static str {
        match self {
            Error::Usage { .. } => "usage",
            Error::Findings(_) => "findings",
            Error::Disk { .. } => "disk",
            Error::Store { .. } => "store",
            Error::Tools(_) => "tools",
            Error::Bug(_) => "bug",
        }
    }
}
