//! What can go wrong with the store, which is always a fault of the world: a
//! disk, a permission, a folder that is something else.
//!
//! Every error says what was being done and to what path, keeps the system's
//! own cause, and knows a way out (`StoreError::help`).

use std::io;
use std::path::{Path, PathBuf};

use crate::digest::Digest;

/// A fault of the store, its disk or what it was given to keep.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The system refused something.
    #[error("cannot {doing} `{}`: {source}", .path.display())]
    Io {
        /// What was being done, as the words after "cannot".
        doing: &'static str,
        /// To what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The store was written by a newer mikado.
    #[error("the store `{}` has format {found}, and this mikado knows formats up to {known}", .path.display())]
    NewerFormat {
        /// The store's folder.
        path: PathBuf,
        /// The number in its `format` file.
        found: u64,
        /// The newest number that is understood here.
        known: u64,
    },
    /// The `format` file holds no number.
    #[error("`{}` is not the format of a store: expected a number, found {found:?}", .path.display())]
    OddFormat {
        /// The `format` file.
        path: PathBuf,
        /// What it holds, shortened.
        found: String,
    },
    /// The folder holds something, and it is no store.
    #[error("`{}` is not a store: it holds `{found}`", .path.display())]
    NoStore {
        /// The folder.
        path: PathBuf,
        /// One of the entries that no store has.
        found: String,
    },
    /// Something should be written, and the store can only be read.
    #[error("cannot {doing}: the store `{}` can only be read", .path.display())]
    ReadOnly {
        /// What was being done, as the words after "cannot".
        doing: &'static str,
        /// The store's folder.
        path: PathBuf,
    },
    /// What should become an artifact is no folder.
    #[error("`{}` is {found}, not a folder", .path.display())]
    NoFolder {
        /// Where the folder should be.
        path: PathBuf,
        /// What is there, with its article.
        found: &'static str,
    },
    /// An artifact holds a socket, a device or the like.
    #[error("`{}` is {found}, which an artifact cannot hold", .path.display())]
    OddEntry {
        /// The entry.
        path: PathBuf,
        /// What it is, with its article.
        found: &'static str,
    },
    /// A name or a link's text is not UTF-8.
    #[error("{what} `{}` is not UTF-8, which an artifact cannot hold", .path.display())]
    OddName {
        /// "the name" or "the link text of".
        what: &'static str,
        /// The entry; the bytes that are not UTF-8 are replaced in messages.
        path: PathBuf,
    },
    /// A file was written to while it was hashed.
    #[error("`{}` was changed while it was being read", .path.display())]
    Moved {
        /// The file.
        path: PathBuf,
    },
    /// The destination of an export holds something already.
    #[error("`{}` is not empty", .path.display())]
    NotEmpty {
        /// The destination.
        path: PathBuf,
    },
    /// The destination of an export holds what nobody wants replaced.
    #[error("`{}` holds {found} and is not replaced", .path.display())]
    Precious {
        /// The destination.
        path: PathBuf,
        /// What it holds, with its article.
        found: &'static str,
    },
    /// A tree that was asked for is not in the store, or was damaged.
    #[error("the artifact {} is not in the store", .digest.short())]
    NoTree {
        /// Its digest.
        digest: Digest,
    },
    /// A stem that can't be a file name.
    #[error("`{stem}` cannot be the name of a link")]
    OddStem {
        /// The stem.
        stem: String,
    },
}

impl StoreError {
    /// What the user can do next; empty where there is nothing to say.
    pub fn help(&self) -> &'static str {
        match self {
            StoreError::Io { source, .. } => match source.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                    "free some space (`mikado store gc --max-size 5GiB` shrinks the store), or choose another disk with `--store DIR`"
                }
                io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                    "make the folder writable for this user, or choose another with `--store DIR` or MIKADO_STORE"
                }
                _ if source.raw_os_error() == Some(libc::EMFILE) => {
                    "raise the limit of open files (`ulimit -n 1024`)"
                }
                _ if source.raw_os_error() == Some(libc::EIO) => {
                    "the disk may be failing: `mikado store verify` finds and drops what is damaged"
                }
                _ => "",
            },
            StoreError::NewerFormat { .. } => {
                "use the mikado that wrote it, or another store with `--store DIR` or MIKADO_STORE"
            }
            StoreError::OddFormat { .. } => {
                "if this folder is a store, delete its `format` file; otherwise choose another with `--store DIR`"
            }
            StoreError::NoStore { .. } => {
                "name an empty or a new folder with `--store DIR` or MIKADO_STORE"
            }
            StoreError::ReadOnly { .. } => {
                "make it writable for this user, or choose another with `--store DIR` or MIKADO_STORE"
            }
            StoreError::NoFolder { .. } => "the steps must leave a folder at `$OUT`",
            StoreError::OddEntry { .. } => "delete it at the end of the last step",
            StoreError::OddName { .. } => "rename it in the last step",
            StoreError::Moved { .. } => {
                "a process that outlived its step still writes there: wait for it in the step"
            }
            StoreError::NotEmpty { .. } => {
                "name a folder that is empty or new, or add `--force` to replace what is there"
            }
            StoreError::Precious { .. } => "name a folder of its own",
            StoreError::NoTree { .. } => "run the card again: `mikado run CARD`",
            StoreError::OddStem { .. } => "rename the card's file",
        }
    }

    /// Whether the system said that there is no such file or folder.
    pub(super) fn is_absent(&self) -> bool {
        matches!(self, StoreError::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }
}

/// Names what was being done where an input or output failed.
pub(super) trait During<T> {
    /// `doing` completes "cannot …"; `path` is what it was done to.
    fn during(self, doing: &'static str, path: &Path) -> Result<T, StoreError>;
}

impl<T, E: Into<io::Error>> During<T> for Result<T, E> {
    fn during(self, doing: &'static str, path: &Path) -> Result<T, StoreError> {
        self.map_err(|error| StoreError::Io {
            doing,
            path: path.to_owned(),
            source: error.into(),
        })
    }
}
