//! `bin/` of a provisioned tree: relative links and small launchers.
//!
//! A link `bin/NAME -> ../site/..` needs nothing. A `.jar` and a Python entry
//! point get a launcher of the shell that finds its tree from its own place, so
//! that the tree works wherever it lies. The text of the launchers is part of the
//! tree's digest: to change it makes every lock stale.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, symlink};
use std::path::Path;

use indexmap::IndexMap;

use crate::runner::tools::ToolFault;
use crate::runner::wheel::Commands;

/// Makes `bin/` hold what a runner's `bin:` says, paths relative to `payload`
/// (`site` or `node_modules`).
pub(crate) fn declared_bin(
    root: &Path,
    payload: &str,
    bin: &IndexMap<String, String>,
) -> Result<(), ToolFault> {
    for (name, path) in bin {
        let file = root.join(payload).join(path);
        if !file.is_file() {
            return Err(ToolFault::NoPayload(path.clone()));
        }
        let made = match path.ends_with(".jar") {
            true => launcher(
                root,
                name,
                &format!(
                    "exec java ${{JAVA_OPTS-}} -jar \"${{0%/*}}/../{payload}/{path}\" \"$@\"\n"
                ),
            ),
            false => link(root, name, &format!("{payload}/{path}")),
        };
        made.map_err(ToolFault::disk(format!("making the command `{name}`")))?;
    }
    Ok(())
}

/// Makes `bin/` hold the scripts and console scripts of a wheel.
pub(crate) fn wheel_bin(root: &Path, commands: &Commands) -> Result<(), ToolFault> {
    for (name, object) in &commands.entry_points {
        let Some(code) = entry_point(object) else {
            continue;
        };
        launcher(root, name, &python(&format!("-c '{code}' \"$@\"\n")))
            .map_err(ToolFault::disk(format!("making the command `{name}`")))?;
    }
    for name in &commands.scripts {
        let script = root.join("scripts").join(name);
        let made = fs::read(&script).and_then(|text| match text.starts_with(b"#!python") {
            true => launcher(
                root,
                name,
                &python(&format!("\"${{0%/*}}/../scripts/{name}\" \"$@\"\n")),
            ),
            false => link(root, name, &format!("scripts/{name}")),
        });
        made.map_err(ToolFault::disk(format!("making the command `{name}`")))?;
    }
    Ok(())
}

/// Makes `bin/` hold the commands of an npm package, by its `package.json`.
pub(crate) fn npm_bin(root: &Path, package: &str) -> Result<(), ToolFault> {
    #[derive(serde::Deserialize)]
    struct Manifest {
        #[serde(default)]
        bin: Option<Bin>,
    }
    #[derive(serde::Deserialize)]
    #[serde(untagged)]
    enum Bin {
        One(String),
        Many(BTreeMap<String, String>),
    }
    let folder = format!("node_modules/{package}");
    let reading = format!("reading `{package}/package.json`");
    let text =
        fs::read(root.join(&folder).join("package.json")).map_err(ToolFault::disk(&reading))?;
    let manifest: Manifest = serde_json::from_slice(&text)
        .map_err(|error| ToolFault::disk(&reading)(io::Error::other(error)))?;
    let bare = package.rsplit('/').next().unwrap_or(package).to_owned();
    let bin = match manifest.bin {
        None => BTreeMap::new(),
        Some(Bin::One(path)) => BTreeMap::from([(bare, path)]),
        Some(Bin::Many(bin)) => bin,
    };
    let bin = bin
        .into_iter()
        .map(|(name, path)| {
            let name = name.rsplit('/').next().unwrap_or(&name).to_owned();
            (name, format!("{package}/{}", path.trim_start_matches("./")))
        })
        .collect();
    declared_bin(root, "node_modules", &bin)
}

/// `python3` with the tree's `site/` on its path, and without its own
/// bytecode files, which would change the tree.
fn python(arguments: &str) -> String {
    format!(
        "PYTHONPATH=\"${{0%/*}}/../site${{PYTHONPATH:+:$PYTHONPATH}}\" exec python3 -B {arguments}"
    )
}

/// The Python code that calls `MODULE:FUNCTION`; `None` where it is no such thing.
/// The working directory, which `-c` puts first on the path, is taken away again.
fn entry_point(object: &str) -> Option<String> {
    let plain = |text: &str| {
        !text.is_empty()
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"_.".contains(&b))
    };
    let (module, function) = object.split_once(':')?;
    let (module, function) = (module.trim(), function.trim());
    let first = function.split('.').next()?;
    (plain(module) && plain(function)).then(|| {
        format!("import sys; sys.path[:] = [p for p in sys.path if p]; sys.argv[0] = \"{module}\"; from {module} import {first}; sys.exit({function}())")
    })
}

fn launcher(root: &Path, name: &str, command: &str) -> io::Result<()> {
    let path = fresh(root, name)?;
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o755)
        .open(path)?;
    io::Write::write_all(&mut file, format!("#!/bin/sh\n{command}").as_bytes())
}

fn link(root: &Path, name: &str, target: &str) -> io::Result<()> {
    fs::set_permissions(root.join(target), fs::Permissions::from_mode(0o755))?;
    symlink(format!("../{target}"), fresh(root, name)?)
}

/// The path of a command that is not there yet.
fn fresh(root: &Path, name: &str) -> io::Result<std::path::PathBuf> {
    let bin = root.join("bin");
    fs::create_dir_all(&bin)?;
    let path = bin.join(crate::runner::payload::checked(name)?);
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(path),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use std::process::Command;

    fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        folder
    }

    fn bin(entries: &[(&str, &str)]) -> IndexMap<String, String> {
        entries
            .iter()
            .map(|(name, path)| ((*name).to_owned(), (*path).to_owned()))
            .collect()
    }

    fn output(command: &mut Command) -> String {
        // Another test's fork may hold the file that was written just now, until
        // it executes its own program.
        let output = loop {
            match command.output() {
                Err(error) if error.kind() == std::io::ErrorKind::ExecutableFileBusy => {
                    std::thread::yield_now();
                }
                output => break output.unwrap(),
            }
        };
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    }

    #[test]
    fn declared_file_becomes_a_relative_link_that_runs_from_a_moved_tree() {
        let folder = tree(&[("t/site/go/bin/go", "#!/bin/sh\necho go $1\n")]);
        declared_bin(
            &folder.path().join("t"),
            "site",
            &bin(&[("go", "go/bin/go")]),
        )
        .unwrap();
        let moved = folder.path().join("moved");
        fs::rename(folder.path().join("t"), &moved).unwrap();
        assert_eq!(
            fs::read_link(moved.join("bin/go")).unwrap(),
            Path::new("../site/go/bin/go")
        );
        assert_eq!(
            output(Command::new(moved.join("bin/go")).arg("version")),
            "go version\n"
        );
    }

    #[test]
    fn jar_gets_a_launcher_that_splits_the_options() {
        let folder = tree(&[
            ("t/site/x/y.jar", ""),
            ("java/java", "#!/bin/sh\nprintf '[%s]' \"$@\"\n"),
        ]);
        fs::set_permissions(
            folder.path().join("java/java"),
            fs::Permissions::from_mode(0o755),
        )
        .unwrap();
        let root = folder.path().join("t");
        declared_bin(&root, "site", &bin(&[("y", "x/y.jar")])).unwrap();
        let run = Command::new(root.join("bin/y"))
            .arg("a b")
            .env("PATH", folder.path().join("java"))
            .env("JAVA_OPTS", "-Xmx1g -Dz=1")
            .output()
            .unwrap();
        let jar = root.join("bin/../site/x/y.jar");
        assert_eq!(
            String::from_utf8(run.stdout).unwrap(),
            format!("[-Xmx1g][-Dz=1][-jar][{}][a b]", jar.display())
        );
    }

    #[test]
    fn file_that_is_not_there_is_named() {
        let folder = tree(&[]);
        let error = declared_bin(folder.path(), "site", &bin(&[("go", "go/bin/go")])).unwrap_err();
        assert_eq!(
            error.to_string(),
            "`bin` names `go/bin/go`, which its packages do not have"
        );
    }

    #[test]
    fn entry_point_runs_with_its_site_and_leaves_no_bytecode() {
        let folder = tree(&[
            ("t/site/a/__init__.py", ""),
            (
                "t/site/a/cli.py",
                "import sys\ndef main():\n    print(sys.argv[1:])\n    return 0\n",
            ),
            ("work/a.py", "raise SystemExit(9)\n"),
        ]);
        let root = folder.path().join("t");
        let entry_points = BTreeMap::from([("a".to_owned(), "a.cli:main".to_owned())]);
        wheel_bin(
            &root,
            &Commands {
                entry_points,
                ..Commands::default()
            },
        )
        .unwrap();
        let printed = output(
            Command::new(root.join("bin/a"))
                .args(["x", "y z"])
                .current_dir(folder.path().join("work")),
        );
        assert_eq!(printed, "['x', 'y z']\n");
        assert!(!root.join("site/a/__pycache__").exists());
    }

    #[test]
    fn python_script_of_a_wheel_is_launched_and_a_program_linked() {
        let folder = tree(&[
            ("scripts/p", "#!python\nimport m\nprint(m.x)\n"),
            ("site/m.py", "x = 5\n"),
            ("scripts/q", "#!/bin/sh\necho q\n"),
        ]);
        let scripts = ["p", "q"].map(str::to_owned).into_iter().collect();
        wheel_bin(
            folder.path(),
            &Commands {
                scripts,
                ..Commands::default()
            },
        )
        .unwrap();
        assert_eq!(
            output(&mut Command::new(folder.path().join("bin/p"))),
            "5\n"
        );
        assert_eq!(
            output(&mut Command::new(folder.path().join("bin/q"))),
            "q\n"
        );
    }

    #[test]
    fn npm_package_says_its_own_commands() {
        let folder = tree(&[
            ("node_modules/@s/a/package.json", r#"{"bin": "./cli.js"}"#),
            ("node_modules/@s/a/cli.js", "x"),
            (
                "node_modules/b/package.json",
                r#"{"bin": {"b1": "bin/b1", "b2": "bin/b2"}}"#,
            ),
            ("node_modules/b/bin/b1", "x"),
            ("node_modules/b/bin/b2", "x"),
        ]);
        npm_bin(folder.path(), "@s/a").unwrap();
        npm_bin(folder.path(), "b").unwrap();
        let target = |name: &str| fs::read_link(folder.path().join("bin").join(name)).unwrap();
        assert_eq!(target("a"), Path::new("../node_modules/@s/a/cli.js"));
        assert_eq!(target("b2"), Path::new("../node_modules/b/bin/b2"));
    }
}
