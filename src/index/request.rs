//! What was asked, and by whom: the words, the place, the program, and what of
//! the environment a run reads. Two equal requests read the same things.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::digest::{Digest, Hasher};
use crate::remote::NAMESPACE;

/// Variables that decide what a run reads, beside those that runners name.
const NAMES: [&str; 9] = [
    "CI",
    "GITHUB_ACTIONS",
    "GITHUB_STEP_SUMMARY",
    "GITLAB_CI",
    "HOME",
    "NO_COLOR",
    "PATH",
    "CLICOLOR_FORCE",
    "XDG_CONFIG_HOME",
];

/// ... and the beginnings of the names of others: ours, git's, and those of the
/// version managers that tools of the machine may be shims of.
const BEGINNINGS: [&str; 11] = [
    "ASDF_", "GIT_", "GOENV_", "JENV_", "MIKADO_", "MISE_", "NODENV_", "PYENV_", "RBENV_",
    "RUSTUP_", "VOLTA_",
];

/// A request, by which its index is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The digest of all that it is.
    pub digest: Digest,
    /// The folder from which on its index is looked for, upward.
    pub here: PathBuf,
}

impl Request {
    /// The request of this process, whose words these are, the program's own
    /// first; `None` where the system does not say where it stands.
    pub fn of(arguments: &[OsString]) -> Option<Request> {
        let current = std::env::current_dir().ok()?;
        let mut hasher = Hasher::default();
        let mut put = |bytes: &[u8]| {
            hasher.update(&(bytes.len() as u64).to_le_bytes());
            hasher.update(bytes);
        };
        put(env!("CARGO_PKG_VERSION").as_bytes());
        put(&own_program());
        put(&rustix::process::geteuid().as_raw().to_le_bytes());
        put(current.as_os_str().as_bytes());
        for argument in arguments.iter().skip(1) {
            put(argument.as_bytes());
        }
        put(b"");
        let mut variables: Vec<(OsString, OsString)> = std::env::vars_os()
            .filter(|(name, _)| is_read(name))
            .collect();
        variables.sort();
        for (name, value) in variables {
            put(name.as_bytes());
            put(value.as_bytes());
        }
        let here = match directory(arguments) {
            Some(folder) => current.join(folder),
            None => current,
        };
        Some(Request {
            digest: hasher.finish(),
            here,
        })
    }

    /// The name of its index.
    pub(super) fn file_name(&self) -> String {
        self.digest.hex()
    }
}

fn is_read(name: &OsStr) -> bool {
    let name = name.as_bytes();
    // A cache changes nothing of what is up to date, but its namespace does. Its
    // token may be another one in each job.
    if name.starts_with(b"MIKADO_CACHE") {
        return name == NAMESPACE.as_bytes();
    }
    NAMES.iter().any(|known| name == known.as_bytes())
        || BEGINNINGS
            .iter()
            .any(|beginning| name.starts_with(beginning.as_bytes()))
}

/// What tells this program from another build of it.
fn own_program() -> Vec<u8> {
    let Ok(stat) = rustix::fs::stat("/proc/self/exe") else {
        return Vec::new();
    };
    let numbers = [
        stat.st_dev,
        stat.st_ino,
        stat.st_size.cast_unsigned(),
        stat.st_mtime.cast_unsigned(),
        stat.st_mtime_nsec,
    ];
    numbers
        .iter()
        .flat_map(|number| number.to_le_bytes())
        .collect()
}

/// The folder of `-C`, where it is given as a word of its own.
fn directory(arguments: &[OsString]) -> Option<&Path> {
    let at = arguments.iter().position(|word| word == "-C")?;
    arguments.get(at + 1).map(Path::new)
}
