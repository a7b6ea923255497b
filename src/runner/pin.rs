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
mod tests {
    use super::*;
    use crate::runner::lock::LockedFile;
    use crate::runner::provision::Provisioned;
    use crate::runner::tarball::tests::tarball;
    use crate::runner::tools::ToolSpec;
    use crate::runner::wheel::tests::wheel;
    use std::ffi::OsString;
    use std::fs;
    use std::path::PathBuf;
    use std::process::Command;

    /// A registry of both kinds in a folder, with an npm that a wheel brings.
    struct Registry {
        folder: tempfile::TempDir,
        tools: IndexMap<String, ToolSpec>,
    }

    const NPM: &str = r#"#!/bin/sh
case $1 in
install) exec cp "$FAKE/package-lock.json" . ;;
pack)
    for package; do
        case $package in *@*) cp "$FAKE/${package%@*}-${package##*@}.tgz" . || { echo "npm error 404 $package" >&2; exit 1; } ;; esac
    done ;;
esac
"#;

    impl Registry {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let registry = Registry {
                folder,
                tools: serde_yaml::from_str(
                    "{tool: {pypi: tool==1}, node: {pypi: fakenode==2, bin: {npm: fakenode/npm}}, web: {npm: web@1.0.0}, bash: {}}",
                )
                .unwrap(),
            };
            for name in ["wheels", "npm", "store", "other"] {
                fs::create_dir(registry.path(name)).unwrap();
            }
            registry.add_wheel("tool", "1", "any", "[console_scripts]\ntool = tool:main\n");
            registry.add_wheel("fakenode", "2", "manylinux_2_17_x86_64", "");
            registry.add_wheel("fakenode", "2", "manylinux_2_17_aarch64", "");
            registry.add_wheel("fakenode", "2", "macosx_11_0_arm64", "");
            let package = [
                ("package/package.json", 0o644, r#"{"bin": "cli.js"}"#),
                ("package/cli.js", 0o644, "#!/bin/sh\necho web\n"),
            ];
            fs::write(registry.path("npm/web-1.0.0.tgz"), tarball(&package)).unwrap();
            let lock = r#"{"packages": {"": {}, "node_modules/web": {"version": "1.0.0"}}}"#;
            fs::write(registry.path("npm/package-lock.json"), lock).unwrap();
            registry
        }

        fn add_wheel(&self, name: &str, version: &str, platform: &str, entry_points: &str) {
            let module = format!("{name}/__init__.py");
            let npm = format!("{name}/npm");
            let points = format!("{name}-{version}.dist-info/entry_points.txt");
            let files = [
                (module.as_str(), 0o644, "def main():\n    print('tool 1')\n"),
                (npm.as_str(), 0o644, NPM),
                (points.as_str(), 0o644, entry_points),
            ];
            let path = self
                .path("wheels")
                .join(format!("{name}-{version}-py3-none-{platform}.whl"));
            fs::write(path, wheel(name, version, &files)).unwrap();
        }

        fn path(&self, name: &str) -> PathBuf {
            self.folder.path().join(name)
        }

        fn user(&self) -> UserEnvironment {
            UserEnvironment::of([
                ("PATH", std::env::var_os("PATH").unwrap()),
                ("HOME", std::env::var_os("HOME").unwrap()),
                ("PIP_CONFIG_FILE", OsString::from("/dev/null")),
                ("PIP_NO_INDEX", "1".into()),
                ("PIP_FIND_LINKS", self.path("wheels").into()),
                ("FAKE", self.path("npm").into()),
            ])
        }

        fn declared(&self) -> Vec<Declared<'_>> {
            self.tools
                .iter()
                .map(|(name, spec)| Declared {
                    runner: "r",
                    name,
                    spec,
                })
                .collect()
        }

        fn pin(
            &self,
            old: &ToolLock,
            pinning: &Pinning,
            user: &UserEnvironment,
        ) -> Result<Pinned, String> {
            let store = Store::open(&self.path("store")).unwrap();
            pin(old, &self.declared(), pinning, &store, user, &|_| ()).map_err(|errors| {
                errors
                    .iter()
                    .map(ToString::to_string)
                    .collect::<Vec<_>>()
                    .join("\n")
            })
        }

        /// Provisions all tools into the store of this name.
        fn provision(
            &self,
            store: &str,
            lock: &ToolLock,
            user: &UserEnvironment,
        ) -> Vec<Result<Option<Provisioned>, String>> {
            let store = Store::open(&self.path(store)).unwrap();
            let declared = self.declared();
            Provisioner::new(&store, lock, &declared, user, &|_| ())
                .trees(&declared)
                .into_iter()
                .map(|result| result.map_err(|error| error.to_string()))
                .collect()
        }
    }

    /// This machine and one more platform.
    fn here_and(platform: Platform) -> Pinning {
        let here = Platform::current().unwrap();
        Pinning {
            platforms: vec![here, platform],
            needed: vec![here],
            upgrade: false,
        }
    }

    /// Nothing that could download anything.
    fn offline() -> UserEnvironment {
        UserEnvironment::of([("PATH", "/nowhere")])
    }

    #[test]
    fn locked_tools_are_provisioned_as_the_same_trees_in_another_store() {
        let registry = Registry::new();
        let user = registry.user();
        let pinned = registry
            .pin(
                &ToolLock::default(),
                &here_and(Platform::MacosAarch64),
                &user,
            )
            .unwrap();
        assert_eq!(pinned.notes, [""; 0]);
        let files: Vec<(Platform, &LockedFile)> = pinned
            .lock
            .tools
            .values()
            .flatten()
            .flat_map(|(platform, locked)| locked.files.iter().map(|file| (*platform, file)))
            .collect();
        assert_eq!(files.len(), 6);
        let provisioned = registry.provision("store", &pinned.lock, &offline());
        let elsewhere = registry.provision("other", &pinned.lock, &user);
        for (here, there) in provisioned.into_iter().zip(elsewhere) {
            let (here, there) = (here.unwrap(), there.unwrap());
            assert_eq!(
                here.as_ref().map(|tool| tool.digest),
                there.as_ref().map(|tool| tool.digest)
            );
            let Some(there) = there else { continue };
            let run = |arguments: &[&str]| {
                Command::new(there.tree.join("bin").join(&there.name))
                    .args(arguments)
                    .output()
                    .unwrap()
            };
            match there.name.as_str() {
                "tool" => assert_eq!(run(&[]).stdout, b"tool 1\n"),
                "web" => assert_eq!(run(&[]).stdout, b"web\n"),
                _ => assert!(there.tree.join("bin/npm").is_file()),
            }
        }
    }

    #[test]
    fn what_is_locked_stays_and_what_is_not_declared_goes() {
        let mut registry = Registry::new();
        let here = here_and(Platform::current().unwrap());
        let pinned = registry
            .pin(&ToolLock::default(), &here, &registry.user())
            .unwrap();
        assert_eq!(
            registry.pin(&pinned.lock, &here, &offline()).unwrap().lock,
            pinned.lock
        );
        registry.tools.shift_remove("tool");
        let fewer = registry.pin(&pinned.lock, &here, &offline()).unwrap().lock;
        assert_eq!(
            fewer.tools.keys().collect::<Vec<_>>(),
            ["npm:web@1.0.0", "pypi:fakenode==2"]
        );
    }

    #[test]
    fn platform_without_files_is_a_note_unless_it_is_needed() {
        let registry = Registry::new();
        let mut pinning = here_and(Platform::MacosX8664);
        let pinned = registry
            .pin(&ToolLock::default(), &pinning, &registry.user())
            .unwrap();
        assert_eq!(pinned.notes.len(), 1);
        assert!(
            pinned.notes[0].starts_with("pypi:fakenode==2 is not locked for macos-x86_64: ERROR: "),
            "{:?}",
            pinned.notes
        );
        pinning.needed = pinning.platforms.clone();
        let error = registry
            .pin(&ToolLock::default(), &pinning, &registry.user())
            .unwrap_err();
        assert!(
            error.starts_with(
                "tool `node` of runner `r`: pip could not get `fakenode==2` for macos-x86_64:\n"
            ),
            "{error}"
        );
    }

    #[test]
    fn package_that_is_refused_is_named_with_who_asked_for_it() {
        let registry = Registry::new();
        fs::remove_file(registry.path("npm/web-1.0.0.tgz")).unwrap();
        let error = registry
            .pin(
                &ToolLock::default(),
                &here_and(Platform::LinuxAarch64),
                &registry.user(),
            )
            .unwrap_err();
        assert!(
            error.starts_with("tool `web` of runner `r`: npm could not get `web@1.0.0`:"),
            "{error}"
        );
        assert!(error.ends_with("npm error 404 web@1.0.0"), "{error}");
    }

    #[test]
    fn altered_archive_is_refused_and_the_others_are_provisioned() {
        let registry = Registry::new();
        let here = here_and(Platform::current().unwrap());
        let lock = registry
            .pin(&ToolLock::default(), &here, &registry.user())
            .unwrap()
            .lock;
        registry.add_wheel("tool", "1", "any", "");
        let evil = [("package/package.json", 0o644, "{}")];
        fs::write(registry.path("npm/web-1.0.0.tgz"), tarball(&evil)).unwrap();
        let results = registry.provision("other", &lock, &registry.user());
        let error = |index: usize| results[index].clone().unwrap_err();
        assert!(error(0).contains("DO NOT MATCH THE HASHES"), "{}", error(0));
        assert!(results[1].is_ok());
        assert!(error(2).starts_with("tool `web` of runner `r`: `web-1.0.0.tgz` is not the file of the lock: expected sha256 "), "{}", error(2));
        assert_eq!(results[3], Ok(None));
    }
}
