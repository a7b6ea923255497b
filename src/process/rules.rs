//! An isolation as rules of Landlock (landlock(7)).
//!
//! The rules are made in the reaper, before the child: opening paths and
//! building the set allocate, which the child must not. They hold for inodes,
//! so a bind mount made later does not change them. The system's folders are
//! opened once and kept; others may be another folder the next time. All is
//! best effort: what this kernel's version does not know is left out, and
//! without Landlock there is no ruleset at all. `kernel` says what there is.

use std::collections::BTreeMap;
use std::fmt;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, PathBeneath, Ruleset, RulesetAttr, RulesetCreated,
    RulesetCreatedAttr, Scope,
};
use rustix::fs::{FileType, Mode, OFlags, fstat, open};
use rustix::io::Errno;

use super::isolation::Isolation;

const NEWEST: ABI = ABI::V10;

/// Why there is no ruleset: the number of the system's error.
pub(super) struct RulesetError(pub(super) i32);

impl fmt::Display for RulesetError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        std::io::Error::from_raw_os_error(self.0).fmt(out)
    }
}

impl From<landlock::RulesetError> for RulesetError {
    fn from(error: landlock::RulesetError) -> RulesetError {
        let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&error);
        while let Some(error) = cause {
            if let Some(number) = error.downcast_ref().and_then(std::io::Error::raw_os_error) {
                return RulesetError(number);
            }
            cause = error.source();
        }
        RulesetError(libc::EINVAL)
    }
}

/// A hold on `path`, and whether it is a folder; `None` if it is not there. Want of files or memory is an error: it
/// would leave the rule out.
fn hold(path: &PathBuf) -> Result<Option<(OwnedFd, bool)>, RulesetError> {
    let held = open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty());
    let held = held.and_then(|fd| {
        let folder = FileType::from_raw_mode(fstat(&fd)?.st_mode).is_dir();
        Ok((fd, folder))
    });
    match held {
        Ok(held) => Ok(Some(held)),
        Err(want @ (Errno::MFILE | Errno::NFILE | Errno::NOMEM)) => {
            Err(RulesetError(want.raw_os_error()))
        }
        Err(_) => Ok(None),
    }
}

/// What makes rulesets.
pub(super) struct Rules {
    /// Which files those of `Isolation::of_system` are; false for what is no folder.
    system: BTreeMap<PathBuf, (OwnedFd, bool)>,
}

impl Rules {
    pub(super) fn new() -> Rules {
        let Isolation { read, write, .. } = Isolation::of_system();
        let opened = read.into_iter().chain(write).filter_map(|path| {
            let held = hold(&path).ok()??;
            Some((path, held))
        });
        Rules {
            system: opened.collect(),
        }
    }

    /// The ruleset of an isolation; `None` where the kernel has no Landlock, or it is to be left out.
    pub(super) fn ruleset(&self, isolation: &Isolation) -> Result<Option<OwnedFd>, RulesetError> {
        if isolation.without_landlock {
            return Ok(None);
        }
        let mut ruleset = Ruleset::default()
            .handle_access(AccessFs::from_all(NEWEST))?
            .scope(Scope::Signal | Scope::AbstractUnixSocket)?;
        if !isolation.network {
            ruleset = ruleset.handle_access(AccessNet::from_all(NEWEST))?;
        }
        let mut created = ruleset.create()?;
        for (paths, access) in [
            (&isolation.read, AccessFs::from_read(NEWEST)),
            // With sockets on disk, so that a step reaches those that it made itself.
            (&isolation.write, AccessFs::from_all(NEWEST)),
            (&isolation.sockets, AccessFs::ResolveUnix.into()),
        ] {
            created = self.allow(created, paths, access)?;
        }
        Ok(created.into())
    }

    fn allow(
        &self,
        mut created: RulesetCreated,
        paths: &[PathBuf],
        access: BitFlags<AccessFs>,
    ) -> Result<RulesetCreated, RulesetError> {
        let file = AccessFs::from_file(NEWEST);
        for path in paths {
            let own;
            let (fd, folder) = match self.system.get(path) {
                Some(held) => held,
                None => match hold(path)? {
                    Some(held) => {
                        own = held;
                        &own
                    }
                    None => continue,
                },
            };
            let access = if *folder { access } else { access & file };
            let fd: BorrowedFd<'_> = fd.as_fd();
            created = created.add_rule(PathBeneath::new(fd, access))?;
        }
        Ok(created)
    }
}
