//! Python packages, by the user's own pip.
//!
//! `pip download` is asked for wheels alone, for a platform that is always named,
//! so that the answer depends on neither pip's nor Python's idea of this machine.
//! To lock is to resolve a requirement to a closed set of wheels; to provision is
//! to download that set by hash. Environment markers are decided by the Python
//! that runs pip, also for other platforms: that is pip's own limit.

use std::ffi::OsString;
use std::path::Path;

use crate::runner::archives::Archives;
use crate::runner::client::{Client, Failed, UserEnvironment};
use crate::runner::lock::LockedFile;
use crate::runner::platform::Platform;
use crate::runner::tools::ToolFault;
use crate::runner::wheel::{WheelName, normal_name};

/// The user's pip.
#[derive(Debug)]
pub(crate) struct Pip {
    client: Client,
    /// A virtual environment made for it, gone with it.
    _environment: Option<tempfile::TempDir>,
}

impl Pip {
    /// Finds a Python with pip on the PATH, else makes a virtual environment
    /// in `scratch` that has one.
    pub(crate) fn find(user: &UserEnvironment, scratch: &Path) -> Result<Self, ToolFault> {
        let mut tried = String::new();
        for python in user.programs("python3") {
            let client =
                Client::new(&python, &["-m", "pip"], user).with("PIP_REQUIRE_VIRTUALENV", "0");
            match client.run(scratch, &["--version"]) {
                Ok(_) => {
                    return Ok(Pip {
                        client,
                        _environment: None,
                    });
                }
                Err(Failed { said }) => tried = said,
            }
        }
        for python in user.programs("python3") {
            let folder = tempfile::Builder::new()
                .prefix("pip-")
                .tempdir_in(scratch)
                .map_err(ToolFault::disk("making a folder for pip"))?;
            match Client::new(&python, &["-m", "venv"], user).run(scratch, &[folder.path()]) {
                Ok(_) => {
                    let client =
                        Client::new(folder.path().join("bin/python"), &["-m", "pip"], user);
                    return Ok(Pip {
                        client,
                        _environment: Some(folder),
                    });
                }
                Err(Failed { said }) => tried = said,
            }
        }
        Err(ToolFault::NoClient(match tried.is_empty() {
            true => "python3 is needed to download Python packages, none found on PATH; install Python 3 with pip".to_owned(),
            false => format!("pip is needed to download Python packages, and python3 has neither pip nor venv; install one of them (on Debian: python3-pip or python3-venv):\n{tried}"),
        }))
    }

    /// Downloads the closed set of wheels of `requirement` for `platform`.
    pub(crate) fn resolve(
        &self,
        requirement: &str,
        platform: Platform,
        into: &Path,
    ) -> Result<(), Failed> {
        let mut arguments = vec![OsString::from(requirement)];
        for tag in platform.wheel_tags() {
            arguments.extend(["--platform".into(), tag.into()]);
        }
        self.download(arguments, into)
    }

    /// Downloads locked wheels by their hashes, without their dependencies, into a
    /// folder that has a folder of its own for what pip needs beside it.
    pub(crate) fn fetch(&self, files: &[LockedFile], into: &Path) -> Result<(), Failed> {
        let mut rest: Vec<&LockedFile> = files.iter().collect();
        while let Some(first) = rest.first() {
            let flags = tag_flags(&first.name);
            let (batch, others): (Vec<_>, Vec<_>) =
                rest.iter().partition(|file| tag_flags(&file.name) == flags);
            rest = others;
            let lines: Vec<String> = batch
                .iter()
                .map(|file| {
                    format!(
                        "{}=={} --hash=sha256:{}\n",
                        file.project, file.version, file.sha256
                    )
                })
                .collect();
            let list = into.with_extension("txt");
            std::fs::write(&list, lines.concat()).map_err(|error| Failed {
                said: format!("  {}: {error}", list.display()),
            })?;
            let mut arguments: Vec<OsString> = vec![
                "--no-deps".into(),
                "--require-hashes".into(),
                "-r".into(),
                list.into(),
            ];
            arguments.extend(flags.into_iter().map(OsString::from));
            self.download(arguments, into)?;
        }
        Ok(())
    }

    fn download(&self, mut arguments: Vec<OsString>, into: &Path) -> Result<(), Failed> {
        const ALWAYS: [&str; 6] = [
            "download",
            "--disable-pip-version-check",
            "--no-input",
            "--progress-bar=off",
            "--only-binary=:all:",
            "--dest",
        ];
        let mut all: Vec<OsString> = ALWAYS.iter().map(OsString::from).collect();
        all.push(into.into());
        all.append(&mut arguments);
        self.client
            .run(into.parent().unwrap_or(into), &all)
            .map(|_| ())
    }
}

/// pip's options that make a wheel fit whatever Python runs pip, by its name.
fn tag_flags(name: &str) -> Vec<String> {
    let Some(wheel) = WheelName::parse(name) else {
        return Vec::new();
    };
    let mut flags = Vec::new();
    if wheel.platform != "any" {
        flags.extend(
            wheel
                .platform
                .split('.')
                .map(|tag| format!("--platform={tag}")),
        );
    }
    let python = wheel.python.split('.').next_back().unwrap_or(wheel.python);
    if let Some(number) = python.strip_prefix("cp") {
        flags.push(format!("--python-version={number}"));
        flags.push("--implementation=cp".to_owned());
        flags.extend(wheel.abi.split('.').map(|abi| format!("--abi={abi}")));
    }
    flags
}

/// The lock's list of what was resolved, sorted by project.
pub(crate) fn locked_files(archives: &Archives) -> Result<Vec<LockedFile>, ToolFault> {
    let mut files = Vec::new();
    for (digest, path) in archives.iter() {
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let Some(wheel) = WheelName::parse(&name) else {
            return Err(ToolFault::Archive {
                file: name,
                reason: "it is no wheel".to_owned(),
            });
        };
        files.push(LockedFile {
            project: normal_name(wheel.project),
            version: wheel.version.replace('_', "-"),
            at: None,
            sha256: digest.hex(),
            size: digest.size,
            name,
        });
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::runner::wheel::tests::wheel;
    use std::fs;

    /// pip that knows a folder of wheels and no registry.
    fn pip(wheels: &Path, scratch: &Path) -> Pip {
        let user = UserEnvironment::of([
            ("PATH", std::env::var_os("PATH").unwrap()),
            ("HOME", std::env::var_os("HOME").unwrap()),
            ("PIP_CONFIG_FILE", OsString::from("/dev/null")),
            ("PIP_NO_INDEX", "1".into()),
            ("PIP_FIND_LINKS", wheels.into()),
        ]);
        Pip::find(&user, scratch).unwrap()
    }

    fn made(wheels: &Path) {
        let metadata = "Metadata-Version: 2.1\nName: a\nVersion: 1\nRequires-Dist: b\n";
        let bytes = wheel(
            "a",
            "1",
            &[
                ("a.py", 0o644, "a"),
                ("a-1.dist-info/METADATA", 0o644, metadata),
            ],
        );
        fs::write(wheels.join("a-1-py3-none-any.whl"), bytes).unwrap();
        for platform in ["manylinux_2_17_x86_64", "macosx_11_0_arm64"] {
            let bytes = wheel("b", "2", &[("b.py", 0o644, platform)]);
            fs::write(wheels.join(format!("b-2-py3-none-{platform}.whl")), bytes).unwrap();
        }
    }

    #[test]
    fn requirement_is_resolved_for_any_platform_and_fetched_by_hash() {
        let folder = tempfile::tempdir().unwrap();
        let [wheels, first, second] =
            ["wheels", "first", "second"].map(|name| folder.path().join(name));
        for path in [&wheels, &first, &second] {
            fs::create_dir(path).unwrap();
        }
        made(&wheels);
        let pip = pip(&wheels, folder.path());
        pip.resolve("a==1", Platform::MacosAarch64, &first).unwrap();
        let files = locked_files(&Archives::read(&first).unwrap()).unwrap();
        let names: Vec<&str> = files.iter().map(|file| file.name.as_str()).collect();
        assert_eq!(
            names,
            ["a-1-py3-none-any.whl", "b-2-py3-none-macosx_11_0_arm64.whl"]
        );
        pip.fetch(&files, &second).unwrap();
        let archives = Archives::read(&second).unwrap();
        assert!(files.iter().all(|file| archives.find(file).is_ok()));
    }

    #[test]
    fn platform_without_a_wheel_and_an_altered_wheel_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let [wheels, first] = ["wheels", "first"].map(|name| folder.path().join(name));
        for path in [&wheels, &first] {
            fs::create_dir(path).unwrap();
        }
        made(&wheels);
        let pip = pip(&wheels, folder.path());
        let failed = pip
            .resolve("a==1", Platform::LinuxAarch64, &first)
            .unwrap_err();
        assert!(
            failed.said.contains("No matching distribution found for b"),
            "{}",
            failed.said
        );
        pip.resolve("a==1", Platform::LinuxX8664, &first).unwrap();
        let files = locked_files(&Archives::read(&first).unwrap()).unwrap();
        fs::write(
            wheels.join("a-1-py3-none-any.whl"),
            wheel("a", "1", &[("a.py", 0o644, "evil")]),
        )
        .unwrap();
        fs::create_dir(folder.path().join("second")).unwrap();
        let failed = pip
            .fetch(&files, &folder.path().join("second"))
            .unwrap_err();
        assert!(
            failed.said.contains("DO NOT MATCH THE HASHES"),
            "{}",
            failed.said
        );
    }

    #[test]
    fn wheel_for_one_python_is_asked_for_as_such() {
        assert_eq!(
            tag_flags("x-1-cp311-cp311-manylinux_2_17_x86_64.whl"),
            [
                "--platform=manylinux_2_17_x86_64",
                "--python-version=311",
                "--implementation=cp",
                "--abi=cp311"
            ]
        );
        assert!(tag_flags("x-1-py2.py3-none-any.whl").is_empty());
    }
}
