//! Makes a tool's tree from its archives.
//!
//! Everything in it is decided by the archives and the runner's `bin`: the same
//! tree comes out on every machine and for every platform's archives.

use std::path::Path;

use indexmap::IndexMap;

use crate::runner::archives::Archives;
use crate::runner::launcher;
use crate::runner::lock::LockedFile;
use crate::runner::tarball;
use crate::runner::tools::{Package, ToolFault};
use crate::runner::wheel::{self, Commands, normal_name};

/// Unpacks `files` into the new folder `root` and makes its `bin/`.
pub(crate) fn unpack(
    package: &Package<'_>,
    files: &[LockedFile],
    archives: &Archives,
    bin: &IndexMap<String, String>,
    root: &Path,
) -> Result<(), ToolFault> {
    let mut own = Commands::default();
    for file in files {
        let archive = archives.find(file)?;
        let unpacked = match package {
            Package::Pypi(..) => wheel::unpack(archive, root).map(|commands| {
                if file.project == normal_name(package.name()) {
                    own = commands;
                }
            }),
            Package::Npm(..) => match &file.at {
                Some(at)
                    if at.starts_with("node_modules/")
                        && crate::runner::payload::checked(at).is_ok() =>
                {
                    tarball::unpack(archive, &root.join(at))
                }
                _ => Err("the lock says no place for it below `node_modules/`".to_owned()),
            },
        };
        unpacked.map_err(|reason| ToolFault::Archive {
            file: file.name.clone(),
            reason,
        })?;
    }
    match package {
        Package::Pypi(..) if bin.is_empty() => launcher::wheel_bin(root, &own),
        Package::Pypi(..) => launcher::declared_bin(root, "site", bin),
        Package::Npm(..) if bin.is_empty() => launcher::npm_bin(root, package.name()),
        Package::Npm(..) => launcher::declared_bin(root, "node_modules", bin),
    }
}
