//! One package of the lock: resolved or taken as locked, downloaded, unpacked.
//!
//! A package is pinned for one platform by pip, for all of them at once by npm,
//! whose own lock names the files of every platform.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::{Job, Wanted};
use crate::digest::Digest;
use crate::runner::archives::Archives;
use crate::runner::client::Failed;
use crate::runner::lock::{LockedFile, LockedPackage, LockedTree, ToolLock};
use crate::runner::npm::{self, Npm, Placed};
use crate::runner::platform::Platform;
use crate::runner::provision::{Provisioner, ToolProgress, refused};
use crate::runner::pypi;
use crate::runner::tools::ToolFault;
use crate::runner::unpack::unpack;
use crate::store::Store;

/// What came of a job: a fault of all its platforms, or one outcome for each.
pub(super) type Outcomes = Result<Vec<(Platform, Result<LockedPackage, ToolFault>)>, ToolFault>;

/// Pins packages, several at once.
pub(super) struct Pinner<'a> {
    provisioner: Provisioner<'a>,
    store: &'a Store,
    old: &'a ToolLock,
    upgrade: bool,
    npm: Option<Npm>,
    progress: &'a (dyn Fn(ToolProgress) + Sync),
}

/// The files of a package on each platform, or why there are none.
type FilesOf = Vec<(Platform, Result<Files, ToolFault>)>;

/// The files of a package, known before or only after they are downloaded.
enum Files {
    Locked(Vec<LockedFile>),
    Wheels,
    Packages(Vec<Placed>),
}

impl Files {
    fn list(self, archives: &Archives) -> Result<Vec<LockedFile>, ToolFault> {
        match self {
            Files::Locked(files) => Ok(files),
            Files::Wheels => pypi::locked_files(archives),
            Files::Packages(placed) => npm::locked_files(&placed, archives),
        }
    }
}

impl<'a> Pinner<'a> {
    pub(super) fn new(
        provisioner: Provisioner<'a>,
        store: &'a Store,
        old: &'a ToolLock,
        upgrade: bool,
        npm: Option<Npm>,
        progress: &'a (dyn Fn(ToolProgress) + Sync),
    ) -> Self {
        Pinner {
            provisioner,
            store,
            old,
            upgrade,
            npm,
            progress,
        }
    }

    /// Pins one package on the platforms of its job.
    pub(super) fn pin(&self, job: &Job<'_, '_>) -> Outcomes {
        let key = job.wanted.package.key();
        let platforms: Vec<&str> = job
            .platforms
            .iter()
            .map(|platform| platform.name())
            .collect();
        let platforms = platforms.join(", ");
        (self.progress)(ToolProgress::Locking(key.clone(), platforms.clone()));
        let scratch = self.provisioner.scratch()?;
        let folder = scratch.path().join("archives");
        fs::create_dir(&folder).map_err(ToolFault::disk("making a folder for downloads"))?;
        let files = match &self.npm {
            None => self.wheels(job, &folder)?,
            Some(npm) => self.packages(job, npm, &folder)?,
        };
        let archives = Archives::read(&folder).map_err(ToolFault::disk("hashing downloads"))?;
        let trees = |platform, files: Result<Files, ToolFault>| {
            self.trees(
                job.wanted,
                platform,
                files?.list(&archives)?,
                &archives,
                scratch.path(),
            )
        };
        let outcomes = files
            .into_iter()
            .map(|(platform, files)| (platform, trees(platform, files)))
            .collect();
        (self.progress)(ToolProgress::Locked(key, platforms));
        Ok(outcomes)
    }

    /// The files of the old lock, where they are to be kept.
    fn locked(&self, job: &Job<'_, '_>, platform: Platform) -> Option<Vec<LockedFile>> {
        let locked = self
            .old
            .tools
            .get(&job.wanted.package.key())?
            .get(&platform)?;
        (!self.upgrade).then(|| locked.files.clone())
    }

    fn wheels(&self, job: &Job<'_, '_>, folder: &Path) -> Result<FilesOf, ToolFault> {
        let package = &job.wanted.package;
        let mut all = Vec::new();
        for platform in job.platforms.iter().copied() {
            let files = match self.locked(job, platform) {
                Some(files) => {
                    self.provisioner.download(package, &files, None, folder)?;
                    Files::Locked(files)
                }
                None => {
                    let pip = self.provisioner.pip()?;
                    pip.resolve(package.text(), platform, folder)
                        .map_err(|failed| refused(package, Some(platform), failed))?;
                    Files::Wheels
                }
            };
            all.push((platform, Ok(files)));
        }
        Ok(all)
    }

    fn packages(&self, job: &Job<'_, '_>, npm: &Npm, folder: &Path) -> Result<FilesOf, ToolFault> {
        let package = &job.wanted.package;
        let refusal = |failed| refused(package, None, failed);
        let (mut all, mut names, mut resolved) = (Vec::new(), BTreeSet::new(), None);
        for platform in job.platforms.iter().copied() {
            if let Some(files) = self.locked(job, platform) {
                names.extend(
                    files
                        .iter()
                        .map(|file| (file.project.clone(), file.version.clone())),
                );
                all.push((platform, Ok(Files::Locked(files))));
                continue;
            }
            let lock = match resolved.take() {
                Some(lock) => lock,
                None => npm
                    .resolve(package.name(), package.version(), folder)
                    .map_err(refusal)?,
            };
            let files = lock
                .packages(platform)
                .map_err(|said| refused(package, Some(platform), Failed { said }));
            if let Ok(placed) = &files {
                names.extend(
                    placed
                        .iter()
                        .map(|placed| (placed.project.clone(), placed.version.clone())),
                );
            }
            all.push((platform, files.map(Files::Packages)));
            resolved = Some(lock);
        }
        let names = names
            .iter()
            .map(|(name, version)| (name.as_str(), version.as_str()));
        npm.fetch(names, folder).map_err(refusal)?;
        Ok(all)
    }

    /// Unpacks the files once for each `bin`.
    fn trees(
        &self,
        wanted: &Wanted<'_>,
        platform: Platform,
        files: Vec<LockedFile>,
        archives: &Archives,
        scratch: &Path,
    ) -> Result<LockedPackage, ToolFault> {
        let mut trees = Vec::new();
        for bin in &wanted.bins {
            let root = scratch.join("tree");
            unpack(&wanted.package, &files, archives, bin, &root)?;
            let tree = self.digest(platform, &root)?;
            fs::remove_dir_all(&root)
                .or_else(|error| match error.kind() {
                    std::io::ErrorKind::NotFound => Ok(()),
                    _ => Err(error),
                })
                .map_err(ToolFault::disk("removing a temporary folder"))?;
            trees.push(LockedTree {
                bin: bin.iter().map(|(k, v)| (k.clone(), v.clone())).collect(),
                tree,
            });
        }
        trees.sort();
        Ok(LockedPackage { files, trees })
    }

    /// Keeps this machine's tree; of another platform's only the digest is wanted.
    fn digest(&self, platform: Platform, root: &Path) -> Result<Digest, ToolFault> {
        let tree = match Some(platform) == Platform::current() {
            true => self.store.adopt(root),
            false => self.store.hash_dir(root),
        };
        Ok(tree?.digest)
    }
}
