//! Provisions tools: from the lock to a tree in the store.
//!
//! A tree that is there is used; one that is not is downloaded by the hashes of
//! the lock, unpacked, and must come out as the very tree that the lock names. Two
//! processes that need one tool make it once. Only what is asked for is made, but
//! an npm tool brings the tool of the project that has `npm` or node, where there is one.

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use crate::digest::Digest;
use crate::runner::archives::Archives;
use crate::runner::client::{Failed, UserEnvironment};
use crate::runner::lock::{LockedFile, LockedPackage, ToolLock};
use crate::runner::npm::Npm;
use crate::runner::platform::Platform;
use crate::runner::pypi::Pip;
use crate::runner::tools::{Declared, Package, ToolError, ToolFault};
use crate::runner::unpack::unpack;
use crate::store::{Holder, Lock, Store, StoreError};

/// How many tools are downloaded and unpacked at once.
pub(crate) const AT_ONCE: usize = 4;

/// A provisioned tool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provisioned {
    /// The tool's name.
    pub name: String,
    /// The digest of its tree.
    pub digest: Digest,
    /// The tree's folder in the store.
    pub tree: PathBuf,
}

/// What provisioning is doing, for the one who waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToolProgress {
    /// Archives of a tool are downloaded: its name, how many, their bytes.
    Downloading(String, usize, u64),
    /// A package is resolved, downloaded and hashed for the lock: its name, the platforms.
    Locking(String, String),
    /// That is done.
    Locked(String, String),
    /// The archives are unpacked.
    Unpacking(String),
    /// Another process makes the tool: its name, that process.
    Waiting(String, u32),
    /// The tree is in the store.
    Provisioned(String),
}

/// Makes tools from a lock.
pub struct Provisioner<'a> {
    store: &'a Store,
    lock: &'a ToolLock,
    all: &'a [Declared<'a>],
    user: &'a UserEnvironment,
    platform: Option<Platform>,
    progress: &'a (dyn Fn(ToolProgress) + Sync),
    pip: Mutex<Option<Arc<Pip>>>,
}

impl<'a> Provisioner<'a> {
    /// Makes tools of this machine's platform. `all` are the tools of the whole
    /// project, in which one that brings `npm` is looked for.
    pub fn new(
        store: &'a Store,
        lock: &'a ToolLock,
        all: &'a [Declared<'a>],
        user: &'a UserEnvironment,
        progress: &'a (dyn Fn(ToolProgress) + Sync),
    ) -> Self {
        Provisioner {
            store,
            lock,
            all,
            user,
            platform: Platform::current(),
            progress,
            pip: Mutex::new(None),
        }
    }

    /// Provisions one tool, if it is not there; `None` for one without a package.
    ///
    /// # Errors
    ///
    /// It is not locked, can't be downloaded, or is not what the lock says.
    pub fn tree(&self, declared: &Declared<'_>) -> Result<Option<Provisioned>, ToolError> {
        let fault = |fault| declared.error(fault);
        let Some(package) = declared.spec.package().map_err(fault)? else {
            return Ok(None);
        };
        let Some(platform) = self.platform else {
            let machine = format!("{} {}", std::env::consts::OS, std::env::consts::ARCH);
            return Err(fault(ToolFault::NoPlatform(machine)));
        };
        let Some((digest, locked)) = self.lock.find(declared, platform)? else {
            return Ok(None);
        };
        let tree = match self.there(&digest).map_err(fault)? {
            Some(tree) => tree,
            None => {
                // The tool that has npm is made first: no two locks are ever held.
                let npm = match package {
                    Package::Npm(..) => Some(self.npm(declared)?),
                    Package::Pypi(..) => None,
                };
                self.make_alone(declared, &package, locked, npm.as_ref(), digest)
                    .map_err(fault)?
            }
        };
        Ok(Some(Provisioned {
            name: declared.name.to_owned(),
            digest,
            tree,
        }))
    }

    fn there(&self, digest: &Digest) -> Result<Option<PathBuf>, ToolFault> {
        Ok(self.store.tree(digest)?)
    }

    /// Makes the tree, unless another process has made it meanwhile.
    fn make_alone(
        &self,
        declared: &Declared<'_>,
        package: &Package<'_>,
        locked: &LockedPackage,
        npm: Option<&Npm>,
        digest: Digest,
    ) -> Result<PathBuf, ToolFault> {
        let mut said = false;
        let wait = |holder: &Holder| {
            if !said && holder.pid != std::process::id() {
                said = true;
                (self.progress)(ToolProgress::Waiting(declared.name.to_owned(), holder.pid));
            }
            match self.user.stop().is_set() {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        };
        let Some(_alone) = self.store.lock(
            &Lock::Action(digest),
            &format!("tool {}", declared.name),
            wait,
        )?
        else {
            return Err(refused(
                package,
                None,
                Failed {
                    said: "  (stopped)".to_owned(),
                },
            ));
        };
        if let Some(tree) = self.there(&digest)? {
            return Ok(tree);
        }
        self.make(declared, package, locked, npm, digest)?;
        self.store.flush()?;
        let vanished = || StoreError::NoTree { digest };
        Ok(self.there(&digest)?.ok_or_else(vanished)?)
    }

    /// Provisions tools, some at once; the results are in the order of `wanted`.
    pub fn trees(&self, wanted: &[Declared<'_>]) -> Vec<Result<Option<Provisioned>, ToolError>> {
        at_once(wanted, |declared| self.tree(declared))
    }

    /// The npm to ask: of the tool of this project that brings it, else the user's.
    pub(crate) fn npm(&self, asking: &Declared<'_>) -> Result<Npm, ToolError> {
        for declared in npm_tools(self.all) {
            if let Some(provisioned) = self.tree(declared)?
                && let Some(npm) = Npm::of_tree(&provisioned.tree, self.user)
            {
                return Ok(npm);
            }
        }
        Npm::find(self.user).map_err(|fault| asking.error(fault))
    }

    /// The user's pip, looked for once.
    pub(crate) fn pip(&self) -> Result<Arc<Pip>, ToolFault> {
        let mut pip = self.pip.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pip) = &*pip {
            return Ok(Arc::clone(pip));
        }
        let scratch = self.store.scratch_folder()?;
        let found = Arc::new(Pip::find(self.user, &scratch)?);
        *pip = Some(Arc::clone(&found));
        Ok(found)
    }

    fn make(
        &self,
        declared: &Declared<'_>,
        package: &Package<'_>,
        locked: &LockedPackage,
        npm: Option<&Npm>,
        wanted: Digest,
    ) -> Result<(), ToolFault> {
        let name = || declared.name.to_owned();
        let scratch = self.scratch()?;
        let folder = scratch.path().join("archives");
        fs::create_dir(&folder).map_err(ToolFault::disk("making a folder for downloads"))?;
        let bytes = locked.files.iter().map(|file| file.size).sum();
        (self.progress)(ToolProgress::Downloading(name(), locked.files.len(), bytes));
        self.download(package, &locked.files, npm, &folder)?;
        (self.progress)(ToolProgress::Unpacking(name()));
        let archives = Archives::read(&folder).map_err(ToolFault::disk("hashing downloads"))?;
        let root = scratch.path().join("tree");
        unpack(package, &locked.files, &archives, &declared.spec.bin, &root)?;
        let found = self.store.adopt(&root)?.digest;
        if found != wanted {
            return Err(ToolFault::OtherTree { wanted, found });
        }
        (self.progress)(ToolProgress::Provisioned(name()));
        Ok(())
    }

    /// A folder of its own, gone when dropped.
    pub(crate) fn scratch(&self) -> Result<tempfile::TempDir, ToolFault> {
        tempfile::Builder::new()
            .prefix("tool-")
            .tempdir_in(self.store.scratch_folder()?)
            .map_err(ToolFault::disk("making a temporary folder in the store"))
    }

    /// Downloads locked files by their hashes.
    pub(crate) fn download(
        &self,
        package: &Package<'_>,
        files: &[LockedFile],
        npm: Option<&Npm>,
        folder: &Path,
    ) -> Result<(), ToolFault> {
        match (package, npm) {
            (Package::Pypi(..), _) => {
                let pip = self.pip()?;
                pip.fetch(files, folder)
                    .map_err(|failed| refused(package, self.platform, failed))
            }
            (Package::Npm(..), Some(npm)) => {
                let wanted = files
                    .iter()
                    .map(|file| (file.project.as_str(), file.version.as_str()));
                npm.fetch(wanted, folder)
                    .map_err(|failed| refused(package, self.platform, failed))
            }
            (Package::Npm(..), None) => Err(ToolFault::NoClient(
                "BUG: an npm package without npm".to_owned(),
            )),
        }
    }
}

/// The fault of a package that its client could not get for `platform`.
pub(crate) fn refused(
    package: &Package<'_>,
    platform: Option<Platform>,
    failed: Failed,
) -> ToolFault {
    ToolFault::Refused {
        client: match package {
            Package::Pypi(..) => "pip",
            Package::Npm(..) => "npm",
        },
        package: package.text().to_owned(),
        platform: platform.filter(|platform| Some(*platform) != Platform::current()),
        said: failed.said,
    }
}

/// The tools of a project that may bring `npm` from a Python package: those
/// that say so, then those that bring node.
fn npm_tools<'a>(all: &'a [Declared<'a>]) -> impl Iterator<Item = &'a Declared<'a>> {
    ["npm", "node"].into_iter().flat_map(move |name| {
        all.iter().filter(move |declared| {
            declared.spec.pypi.is_some() && declared.spec.bin.contains_key(name)
        })
    })
}

/// Does `work` for each item, at most [`AT_ONCE`] at a time, and keeps their order.
pub(crate) fn at_once<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..AT_ONCE.min(items.len()) {
            scope.spawn(|| {
                while let Some((index, item)) = {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    items.get(index).map(|item| (index, item))
                } {
                    let result = work(item);
                    done.lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .push((index, result));
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, result)| result).collect()
}
