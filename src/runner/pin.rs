//! Pins declared tools: what `mikado lock` does.
//!
//! What is locked already stays as it is, unless an upgrade is asked for; what no
//! runner declares any more goes. Each missing package is resolved per platform
//! by the user's package client, downloaded and unpacked, so that the digest of
//! its tree is known for platforms other than this one too. Trees of this machine
//! are kept in the store: the run after a lock downloads nothing.

mod package;

use std::collections::{BTreeMap, BTreeSet};

use indexmap::IndexMap;

use crate::runner::client::UserEnvironment;
use crate::runner::lock::ToolLock;
use crate::runner::platform::Platform;
use crate::runner::provision::{Provisioner, ToolProgress, at_once};
use crate::runner::tools::{Declared, Package, ToolError, ToolFault};
use crate::store::Store;
use package::Pinner;

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
    // Python packages first: one of them may bring the npm that the others need.
    for npm in [false, true] {
        let jobs = jobs(&wanted, &pinned.lock, pinning, npm);
        let Some(first) = jobs.first() else {
            continue;
        };
        let lock = pinned.lock.clone();
        let provisioner = Provisioner::new(store, &lock, declared, user, progress);
        let client = match npm {
            false => None,
            true => Some(
                provisioner
                    .npm(&first.wanted.declared)
                    .map_err(|error| vec![error])?,
            ),
        };
        let pinner = Pinner::new(provisioner, store, &lock, pinning.upgrade, client, progress);
        let mut errors = Vec::new();
        for (job, outcomes) in jobs.iter().zip(at_once(&jobs, |job| pinner.pin(job))) {
            pinned.take(job, outcomes, &pinning.needed, &mut errors);
        }
        if !errors.is_empty() {
            return Err(errors);
        }
    }
    pinned
        .lock
        .tools
        .retain(|_, platforms| !platforms.is_empty());
    Ok(pinned)
}

impl Pinned {
    fn take(
        &mut self,
        job: &Job<'_, '_>,
        outcomes: package::Outcomes,
        needed: &[Platform],
        errors: &mut Vec<ToolError>,
    ) {
        let key = job.wanted.package.key();
        let named = |fault| job.wanted.declared.error(fault);
        let outcomes = match outcomes {
            Ok(outcomes) => outcomes,
            Err(fault)
                if job
                    .platforms
                    .iter()
                    .any(|platform| needed.contains(platform)) =>
            {
                return errors.push(named(fault));
            }
            Err(fault) => {
                let error = named(fault);
                for platform in &job.platforms {
                    self.leave_out(&key, *platform, &error);
                }
                return;
            }
        };
        for (platform, outcome) in outcomes {
            match outcome {
                Ok(locked) => {
                    self.lock
                        .tools
                        .entry(key.clone())
                        .or_default()
                        .insert(platform, locked);
                }
                Err(fault) if needed.contains(&platform) => errors.push(named(fault)),
                Err(fault) => self.leave_out(&key, platform, &named(fault)),
            }
        }
    }

    fn leave_out(&mut self, key: &str, platform: Platform, error: &ToolError) {
        if let Some(platforms) = self.lock.tools.get_mut(key) {
            platforms.remove(&platform);
        }
        let why = first_line(error);
        self.notes
            .push(format!("{key} is not locked for {platform}: {why}"));
    }
}

/// The line of an error that says most: a package client's own first one.
fn first_line(error: &ToolError) -> String {
    match &*error.fault {
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
            locked
                .trees
                .retain(|tree| wanted.bins.iter().any(|bin| tree.is_for(bin)));
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

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests;
