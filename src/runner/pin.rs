//! Pins declared tools: what `mikado lock` does.
//!
//! What is locked already stays as it is, unless an upgrade is asked for; what no
//! runner declares any more goes. Each missing package is resolved per platform
//! by the user's package client, downloaded and unpacked, so that the digest of
//! its tree is known for platforms other than this one too. Trees of this machine
//! are kept in the store: the run after a lock downloads nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use indexmap::IndexMap;

use crate::digest::Digest;
use crate::runner::archives::Archives;
use crate::runner::client::UserEnvironment;
use crate::runner::lock::{LockedFile, LockedPackage, LockedTree, ToolLock};
use crate::runner::npm::{self, Npm};
use crate::runner::platform::Platform;
use crate::runner::provision::{Provisioner, ToolProgress, at_once, refused};
use crate::runner::pypi;
use crate::runner::tools::{Declared, Package, ToolError, ToolFault};
use crate::runner::unpack::unpack;
use crate::store::Store;

/// How to pin.
#[derive(Debug, Clone)]
pub struct Pinning {
    /// The platforms to lock for.
    pub platforms: Vec<Platform>,
    /// Those of them without which a package is an error; for the others it is a note.
    pub needed: Vec<Platform>,
    /// Resolve anew what is locked already.
    pub upgrade: bool,
}

impl Pinning {
    /// Locks for this machine and the platforms that were `asked` for, or for all
    /// there are where none was.
    pub fn of(asked: &[Platform], upgrade: bool) -> Self {
        let mut needed: BTreeSet<Platform> = asked.iter().copied().collect();
        needed.extend(Platform::current());
        let platforms = match asked.is_empty() {
            true => Platform::ALL.to_vec(),
            false => needed.iter().copied().collect(),
        };
        Pinning {
            platforms,
            needed: needed.into_iter().collect(),
            upgrade,
        }
    }
}

/// A new lock and what is to be said about it.
#[derive(Debug)]
pub struct Pinned {
    /// The lock.
    pub lock: ToolLock,
    /// Packages that are not to be had for a platform that is not needed.
    pub notes: Vec<String>,
}

/// One package and the `bin` maps that runners give it.
struct Wanted<'a> {
    declared: Declared<'a>,
    package: Package<'a>,
    bins: Vec<&'a IndexMap<String, String>>,
}

/// One package to pin on some platforms.
struct Job<'a, 'w> {
    wanted: &'w Wanted<'a>,
    platforms: Vec<Platform>,
}

type Outcome = Vec<(String, Platform, Result<LockedPackage, ToolError>)>;

/// Pins the tools that runners declare; `old` is the lock that is there.
///
/// # Errors
///
/// All declarations that are wrong, or all packages that can't be had on a
/// platform that is needed.
pub fn pin(
    old: &ToolLock,
    declared: &[Declared<'_>],
    pinning: &Pinning,
    store: &Store,
    user: &UserEnvironment,
    progress: &(dyn Fn(ToolProgress) + Sync),
) -> Result<Pinned, Vec<ToolError>> {
    let wanted = wanted(declared)?;
    let mut pinned = Pinned {
        lock: kept(old, &wanted),
        notes: Vec::new(),
    };
    let mut errors = Vec::new();
    for npm in [false, true] {
        let jobs = jobs(&wanted, &pinned.lock, pinning, npm);
        let lock = pinned.lock.clone();
        let provisioner = Provisioner::new(store, &lock, declared, user, progress);
        let client = match npm && !jobs.is_empty() {
            false => None,
            true => match provisioner.npm(&jobs[0].wanted.declared) {
                Ok(client) => Some(client),
                Err(error) => {
                    errors.push(error);
                    break;
                }
            },
        };
        let pinner = Pinner {
            provisioner,
            store,
            old: &lock,
            upgrade: pinning.upgrade,
            npm: client,
            progress,
        };
        for (key, platform, outcome) in at_once(&jobs, |job| pinner.pin(job)).into_iter().flatten()
        {
            match outcome {
                Ok(locked) => {
                    pinned
                        .lock
                        .tools
                        .entry(key)
                        .or_default()
                        .insert(platform, locked);
                }
                Err(error) if pinning.needed.contains(&platform) => errors.push(error),
                Err(error) => {
                    if let Some(platforms) = pinned.lock.tools.get_mut(&key) {
                        platforms.remove(&platform);
                    }
                    pinned.notes.push(format!(
                        "{key} is not locked for {platform}: {}",
                        first_line(&error)
                    ));
                }
            }
        }
        if !errors.is_empty() {
            break;
        }
    }
    pinned
        .lock
        .tools
        .retain(|_, platforms| !platforms.is_empty());
    match errors.is_empty() {
        true => Ok(pinned),
        false => Err(errors),
    }
}

/// The line of an error that says most: a package client's own first one.
fn first_line(error: &ToolError) -> String {
    match &error.fault {
        ToolFault::Refused { said, .. } => said
            .lines()
            .map(str::trim)
            .find(|line| line.starts_with("ERROR") || line.starts_with("npm error"))
            .or(said.lines().map(str::trim).next())
            .map(|line| {
                line.split(" (from versions")
                    .next()
                    .unwrap_or(line)
                    .to_owned()
            })
            .unwrap_or_default(),
        other => other.to_string(),
    }
}

fn wanted<'a>(declared: &[Declared<'a>]) -> Result<Vec<Wanted<'a>>, Vec<ToolError>> {
    let mut found: BTreeMap<String, Wanted<'a>> = BTreeMap::new();
    let mut errors = Vec::new();
    for declared in declared {
        match declared.spec.package() {
            Err(fault) => errors.push(declared.error(fault)),
            Ok(None) => {}
            Ok(Some(package)) => {
                let entry = found.entry(package.key()).or_insert_with(|| Wanted {
                    declared: *declared,
                    package,
                    bins: Vec::new(),
                });
                if !entry.bins.contains(&&declared.spec.bin) {
                    entry.bins.push(&declared.spec.bin);
                }
            }
        }
    }
    match errors.is_empty() {
        true => Ok(found.into_values().collect()),
        false => Err(errors),
    }
}

/// What of the old lock is still declared.
fn kept(old: &ToolLock, wanted: &[Wanted<'_>]) -> ToolLock {
    let mut lock = ToolLock::default();
    for wanted in wanted {
        let Some(platforms) = old.tools.get(&wanted.package.key()) else {
            continue;
        };
        let mut platforms = platforms.clone();
        for locked in platforms.values_mut() {
            let declared = |tree: &LockedTree| {
                wanted.bins.iter().any(|bin| {
                    tree.bin.len() == bin.len()
                        && bin
                            .iter()
                            .all(|(name, path)| tree.bin.get(name) == Some(path))
                })
            };
            locked.trees.retain(declared);
        }
        lock.tools.insert(wanted.package.key(), platforms);
    }
    lock
}

fn jobs<'a, 'w>(
    wanted: &'w [Wanted<'a>],
    lock: &ToolLock,
    pinning: &Pinning,
    npm: bool,
) -> Vec<Job<'a, 'w>> {
    let mut jobs = Vec::new();
    for wanted in wanted
        .iter()
        .filter(|wanted| matches!(wanted.package, Package::Npm(..)) == npm)
    {
        let locked = lock.tools.get(&wanted.package.key());
        let lacks = |platform: &Platform| {
            let locked = locked.and_then(|platforms| platforms.get(platform));
            pinning.upgrade
                || locked
                    .is_none_or(|locked| wanted.bins.iter().any(|bin| locked.tree(bin).is_none()))
        };
        let mut platforms: Vec<Platform> =
            pinning.platforms.iter().copied().filter(lacks).collect();
        // npm resolves once for all platforms; pip once for each.
        match npm {
            true if platforms.is_empty() => {}
            true => jobs.push(Job { wanted, platforms }),
            false => {
                platforms.sort_by_key(|platform| Some(*platform) != Platform::current());
                jobs.extend(platforms.into_iter().map(|platform| Job {
                    wanted,
                    platforms: vec![platform],
                }));
            }
        }
    }
    jobs.sort_by_key(|job| {
        job.platforms
            .iter()
            .all(|platform| Some(*platform) != Platform::current())
    });
    jobs
}

struct Pinner<'a> {
    provisioner: Provisioner<'a>,
    store: &'a Store,
    old: &'a ToolLock,
    upgrade: bool,
    npm: Option<Npm>,
    progress: &'a (dyn Fn(ToolProgress) + Sync),
}

impl Pinner<'_> {
    fn pin(&self, job: &Job<'_, '_>) -> Outcome {
        let wanted = job.wanted;
        let key = wanted.package.key();
        let name = format!(
            "{} ({})",
            wanted.declared.name,
            job.platforms
                .iter()
                .map(|p| p.name())
                .collect::<Vec<_>>()
                .join(", ")
        );
        (self.progress)(ToolProgress::Downloading(name.clone(), 0, 0));
        let outcome = self.with_archives(job);
        (self.progress)(ToolProgress::Provisioned(name));
        let all = |fault: ToolFault| vec![(job.platforms[0], Err(fault))];
        outcome
            .unwrap_or_else(all)
            .into_iter()
            .map(|(platform, locked)| {
                (
                    key.clone(),
                    platform,
                    locked.map_err(|fault| wanted.declared.error(fault)),
                )
            })
            .collect()
    }

    fn with_archives(
        &self,
        job: &Job<'_, '_>,
    ) -> Result<Vec<(Platform, Result<LockedPackage, ToolFault>)>, ToolFault> {
        let scratch = self.provisioner.scratch()?;
        let folder = scratch.path().join("archives");
        fs::create_dir(&folder).map_err(ToolFault::disk("making a folder for downloads"))?;
        let (files, mut refusals) = match &self.npm {
            None => (self.python_files(job, &folder)?, Vec::new()),
            Some(npm) => self.npm_files(job, npm, &folder)?,
        };
        let archives = Archives::read(&folder).map_err(ToolFault::disk("hashing downloads"))?;
        for (platform, files) in files {
            let locked = files(&archives).and_then(|files| {
                self.trees(job.wanted, platform, files, &archives, scratch.path())
            });
            refusals.push((platform, locked));
        }
        Ok(refusals)
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

    fn python_files<'s>(
        &'s self,
        job: &Job<'_, '_>,
        folder: &Path,
    ) -> Result<Vec<(Platform, Files<'s>)>, ToolFault> {
        let platform = job.platforms[0];
        let package = &job.wanted.package;
        let Package::Pypi(requirement, ..) = package else {
            return Ok(Vec::new());
        };
        if let Some(files) = self.locked(job, platform) {
            self.provisioner.download(package, &files, None, folder)?;
            return Ok(vec![(platform, Box::new(move |_| Ok(files)))]);
        }
        let pip = self.provisioner.pip()?;
        pip.resolve(requirement, platform, folder)
            .map_err(|failed| refused(package, failed))?;
        Ok(vec![(platform, Box::new(pypi::locked_files))])
    }

    #[expect(clippy::type_complexity, reason = "two lists by platform")]
    fn npm_files<'s>(
        &'s self,
        job: &Job<'_, '_>,
        npm: &Npm,
        folder: &Path,
    ) -> Result<
        (
            Vec<(Platform, Files<'s>)>,
            Vec<(Platform, Result<LockedPackage, ToolFault>)>,
        ),
        ToolFault,
    > {
        let package = &job.wanted.package;
        let Package::Npm(_, name, version) = package else {
            return Ok((Vec::new(), Vec::new()));
        };
        let (mut files, mut refusals): (Vec<(Platform, Files<'s>)>, Vec<_>) =
            (Vec::new(), Vec::new());
        let mut names: BTreeSet<(String, String)> = BTreeSet::new();
        let mut resolved = None;
        for platform in job.platforms.iter().copied() {
            if let Some(locked) = self.locked(job, platform) {
                names.extend(
                    locked
                        .iter()
                        .map(|file| (file.project.clone(), file.version.clone())),
                );
                files.push((platform, Box::new(move |_| Ok(locked))));
                continue;
            }
            let lock = match resolved.take() {
                Some(lock) => lock,
                None => npm
                    .resolve(name, version, folder)
                    .map_err(|failed| refused(package, failed))?,
            };
            match lock.packages(platform) {
                Ok(placed) => {
                    names.extend(
                        placed
                            .iter()
                            .map(|package| (package.project.clone(), package.version.clone())),
                    );
                    files.push((
                        platform,
                        Box::new(move |archives| npm::locked_files(&placed, archives)),
                    ));
                }
                Err(said) => refusals.push((
                    platform,
                    Err(ToolFault::Refused {
                        client: "npm",
                        package: (*name).to_owned(),
                        said,
                    }),
                )),
            }
            resolved = Some(lock);
        }
        let names = names
            .iter()
            .map(|(name, version)| (name.as_str(), version.as_str()));
        npm.fetch(names, folder)
            .map_err(|failed| refused(package, failed))?;
        Ok((files, refusals))
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

/// The lock's list of files, once the archives are there.
type Files<'s> = Box<dyn FnOnce(&Archives) -> Result<Vec<LockedFile>, ToolFault> + 's>;
