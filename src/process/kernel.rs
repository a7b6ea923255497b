//! What this kernel can do to isolate an execution, for `doctor` and for the
//! one line that `run` says where it can't.
//!
//! Namespaces are tried, not read off settings: distributions refuse them in
//! several ways, some only at the first mount. The engine has several threads
//! and could not try without changing itself, so `mikado __keeper probe` does.

use std::ffi::OsStr;
use std::io::{self, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use super::{keeper, sys};

/// The argument of the keeper that makes it answer and end.
pub(super) const PROBE: &str = "probe";

const NAMES: [&str; 3] = ["user", "mount", "network"];

/// What the kernel can do for a process without privileges.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Kernel {
    /// The version of Landlock, or 0: 1 refuses reads and writes of files, 2 lets files move between folders, 3
    /// refuses to cut files, 4 refuses TCP, 5 device control, 6 abstract sockets and signals, 9 sockets on disk, 10 UDP.
    pub landlock: i32,
    /// Whether a user namespace can be made.
    pub user_namespaces: bool,
    /// Whether it can mount in a namespace of its own.
    pub mount_namespaces: bool,
    /// Whether it can have a network of its own.
    pub network_namespaces: bool,
}

impl Kernel {
    /// Asks for Landlock alone, which costs one system call.
    pub fn landlock() -> Kernel {
        Kernel {
            landlock: sys::landlock_abi(),
            ..Kernel::default()
        }
    }

    /// Asks for everything, with the help of a process of `mikado`.
    ///
    /// # Errors
    /// The process can't be started.
    pub fn probe() -> io::Result<Kernel> {
        Kernel::probe_with(&super::client::this_program()?)
    }

    /// The same with another file of the program, for tests.
    ///
    /// # Errors
    /// The process can't be started.
    pub fn probe_with(program: &Path) -> io::Result<Kernel> {
        let output = Command::new(program)
            .args([keeper::ARGUMENT, PROBE])
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .output()?;
        Ok(Kernel::landlock().with_answer(&String::from_utf8_lossy(&output.stdout)))
    }

    /// What is left of it where only `landlock`, only `namespaces` or `none` of it is wanted; `None` for another word.
    #[must_use]
    pub fn limited(self, word: &str) -> Option<Kernel> {
        let landlock = self.landlock;
        match word {
            "landlock" => Some(Kernel {
                landlock,
                ..Kernel::default()
            }),
            "namespaces" => Some(Kernel {
                landlock: 0,
                ..self
            }),
            "none" => Some(Kernel::default()),
            _ => None,
        }
    }

    fn with_answer(self, answer: &str) -> Kernel {
        let [user_namespaces, mount_namespaces, network_namespaces] =
            NAMES.map(|name| answer.split_whitespace().any(|word| word == name));
        Kernel {
            user_namespaces,
            mount_namespaces,
            network_namespaces,
            ..self
        }
    }

    /// What an isolated execution on this kernel is *not* kept from, one phrase each; empty if nothing is missing.
    pub fn gaps(&self) -> Vec<&'static str> {
        let table = [
            (
                1,
                match self.mount_namespaces {
                    true => "reading any file that is not hidden, and writing to devices",
                    false => "reading and writing any file",
                },
            ),
            (3, "cutting files that it may not write"),
            (4, "TCP"),
            (6, "abstract Unix sockets, and signals to other processes"),
            (
                9,
                match self.mount_namespaces {
                    true => "Unix sockets on disk other than those that are hidden",
                    false => "Unix sockets on disk",
                },
            ),
            (10, "UDP"),
        ];
        // A network of its own has nobody in it, and what is mounted read-only is not cut.
        let is_covered = |version: i32| match version {
            4 | 10 => self.network_namespaces,
            3 => self.mount_namespaces,
            _ => false,
        };
        let modes =
            "changing modes, owners and times (`chmod`, `touch`) of files that it may not write";
        table
            .into_iter()
            .filter(|(version, _)| self.landlock < *version && !is_covered(*version))
            .map(|(_, gap)| gap)
            .chain((!self.mount_namespaces).then_some(modes))
            .collect()
    }
}

/// Tries, and writes what is granted to standard output.
pub(super) fn answer_probe() -> io::Result<()> {
    let granted = sys::try_namespaces();
    let words = NAMES
        .iter()
        .zip(granted)
        .filter(|(_, granted)| *granted)
        .map(|(name, _)| OsStr::new(*name));
    let mut out = io::stdout();
    for word in words {
        out.write_all(word.as_encoded_bytes())?;
        out.write_all(b"\n")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_of_the_probe_is_read() {
        let kernel = Kernel::default().with_answer("user\nnetwork\n");
        assert_eq!(
            kernel,
            Kernel {
                landlock: 0,
                user_namespaces: true,
                mount_namespaces: false,
                network_namespaces: true
            }
        );
    }

    #[test]
    fn an_old_kernel_has_the_most_gaps_and_a_new_one_none() {
        let modes =
            "changing modes, owners and times (`chmod`, `touch`) of files that it may not write";
        let gaps = |landlock: i32, namespaces: bool| {
            let kernel = Kernel {
                landlock,
                user_namespaces: namespaces,
                mount_namespaces: namespaces,
                network_namespaces: namespaces,
            };
            kernel.gaps()
        };
        assert_eq!(gaps(0, false).len(), 7);
        assert_eq!(gaps(7, false), ["Unix sockets on disk", "UDP", modes]);
        assert_eq!(gaps(10, false), [modes]);
        assert_eq!(
            gaps(7, true),
            ["Unix sockets on disk other than those that are hidden"]
        );
        assert!(gaps(10, true).is_empty());
        assert!(!gaps(0, true).contains(&"cutting files that it may not write"));
    }
}
