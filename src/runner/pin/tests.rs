//! What pinning keeps, resolves and drops, with a registry that is played.

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
