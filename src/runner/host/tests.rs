//! Tools of a machine that is made for each test.

use super::*;
use crate::runner::tools::ToolSpec;
use std::os::unix::fs::{PermissionsExt, symlink};

struct Machine(tempfile::TempDir);

impl Machine {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["path", "store", "opt/bin"] {
            fs::create_dir_all(folder.path().join(name)).unwrap();
        }
        Machine(folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn program(&self, name: &str, text: &str) {
        fs::write(self.path(name), format!("#!/bin/sh\n{text}\n")).unwrap();
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn tools(&self) -> HostTools {
        let path = format!("{}:/usr/bin:/bin", self.path("path").display());
        let user = UserEnvironment::of([("PATH", path), ("HOME", "/h".to_owned())]);
        HostTools::new(user, self.0.path(), &self.path("store"))
    }

    fn find(&self, name: &str, spec: &str) -> Result<HostTool, String> {
        let spec: ToolSpec = serde_yaml::from_str(spec).unwrap();
        let declared = Declared {
            runner: "r",
            name,
            spec: &spec,
        };
        self.tools()
            .find(&declared)
            .map_err(|error| error.to_string())
    }
}

#[test]
fn tool_is_found_with_its_version_and_prefix() {
    let machine = Machine::new();
    machine.program("opt/bin/gofoo", "echo foo version 1.26.6 $HOME");
    symlink(machine.path("opt/bin/gofoo"), machine.path("path/gofoo")).unwrap();
    let tool = machine
        .find("foo", "{command: gofoo version, version: '>=1.20'}")
        .unwrap();
    let opt = fs::canonicalize(machine.path("opt")).unwrap();
    assert_eq!(
        (tool.version.as_str(), tool.command.as_str()),
        ("1.26.6", "gofoo")
    );
    assert_eq!(
        (tool.prefix.clone(), tool.program.clone()),
        (opt.clone(), opt.join("bin/gofoo"))
    );
    assert_eq!(
        tool.property(),
        ("tool:foo".to_owned(), "1.26.6".to_owned())
    );
}

#[test]
fn shim_leads_to_the_program_below_its_prefix() {
    let machine = Machine::new();
    machine.program("path/py", "echo Python 3.11.7 >&2");
    machine.program("opt/bin/py", "");
    let prefix = machine.path("opt");
    let tool = machine
        .find("py", &format!("{{prefix: 'echo {}'}}", prefix.display()))
        .unwrap();
    assert_eq!((tool.program, tool.prefix), (prefix.join("bin/py"), prefix));
}

#[test]
fn missing_and_other_versions_say_what_was_found() {
    let machine = Machine::new();
    machine.program("path/py", "echo Python 3.11.7");
    let path = machine.path("path/py");
    assert_eq!(
        machine
            .find("python", "{command: py -V, version: '>=3.14'}")
            .unwrap_err(),
        format!(
            "tool `python` of runner `r`: `py` >=3.14 needed, 3.11.7 found at {}; install one that fits, or put its folder first on PATH",
            path.display()
        )
    );
    assert_eq!(
        machine.find("nope-tool", "{version: 20}").unwrap_err(),
        "tool `nope-tool` of runner `r`: `nope-tool` 20 needed, none found on PATH; install it or put its folder on PATH"
    );
}

#[test]
fn command_that_fails_or_says_nothing_is_named() {
    let machine = Machine::new();
    machine.program("path/a", "echo broken https://u:p@h/ >&2; exit 3");
    machine.program("path/b", "echo hello");
    let failed = machine.find("a", "{}").unwrap_err();
    assert!(
        failed.ends_with("`a --version` failed (exit status: 3): broken https://***@h/"),
        "{failed}"
    );
    let silent = machine.find("b", "{}").unwrap_err();
    assert!(
        silent.ends_with("`b --version` printed no version, but: hello"),
        "{silent}"
    );
}

#[test]
fn program_is_asked_once_and_again_when_it_changed() {
    let machine = Machine::new();
    // A real program: a copy of `true` that says its version through the command.
    let copy = |from: &str| {
        fs::copy(from, machine.path("path/prog")).unwrap();
    };
    copy("/bin/true");
    let spec = format!(
        "{{command: 'prog ; echo x >> {}; echo 1.2'}}",
        machine.path("asked").display()
    );
    let asked = || {
        fs::read_to_string(machine.path("asked"))
            .unwrap()
            .lines()
            .count()
    };
    for _ in 0..2 {
        machine.find("prog", &spec).unwrap();
    }
    assert_eq!(asked(), 1);
    fs::remove_file(machine.path("path/prog")).unwrap();
    copy("/bin/echo");
    machine.find("prog", &spec).unwrap();
    assert_eq!(asked(), 2);
    fs::write(machine.path("store/host-tools.json"), "{torn").unwrap();
    machine.find("prog", &spec).unwrap();
    assert_eq!(asked(), 3);
}

#[test]
fn shim_is_asked_in_every_run_and_in_no_plan() {
    let machine = Machine::new();
    let asked = machine.path("asked");
    machine.program(
        "path/shim",
        &format!("echo x >> {}; echo 1.2", asked.display()),
    );
    let planned = || {
        let spec = ToolSpec::default();
        let declared = Declared {
            runner: "r",
            name: "shim",
            spec: &spec,
        };
        let found = machine.tools().without_asking().find(&declared);
        found.map(|tool| tool.version).map_err(|e| e.to_string())
    };
    assert_eq!(
        planned().unwrap_err(),
        "tool `shim` of runner `r`: it was not asked for its version yet"
    );
    assert!(!asked.exists());
    for _ in 0..2 {
        machine.find("shim", "{}").unwrap();
    }
    assert_eq!(planned().as_deref(), Ok("1.2"));
    assert_eq!(fs::read_to_string(asked).unwrap().lines().count(), 2);
    machine.program("path/shim", "echo 1.3 and more");
    assert!(planned().is_err());
}

#[test]
fn shim_that_leads_elsewhere_is_asked_again_when_a_setting_changed() {
    let machine = Machine::new();
    let asked = machine.path("asked");
    machine.program(
        "path/py",
        &format!("echo x >> {}; echo 3.11", asked.display()),
    );
    fs::copy("/bin/true", machine.path("opt/bin/py")).unwrap();
    let spec = format!("{{prefix: 'echo {}'}}", machine.path("opt").display());
    let times = || {
        machine.find("py", &spec).unwrap();
        fs::read_to_string(&asked).unwrap().lines().count()
    };
    assert_eq!((times(), times()), (1, 1));
    fs::write(machine.path(".python-version"), "3.12").unwrap();
    assert_eq!((times(), times()), (2, 2));
    fs::copy("/bin/echo", machine.path("opt/bin/py")).unwrap();
    assert_eq!((times(), times()), (3, 3));
}

#[test]
fn nix_store_path_is_found() {
    assert_eq!(
        store_path(Path::new("/nix/store/abc-go-1/bin/go")),
        Some(PathBuf::from("/nix/store/abc-go-1"))
    );
    assert_eq!(store_path(Path::new("/usr/bin/go")), None);
}
