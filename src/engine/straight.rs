//! The only step of an action, without its driver.
//!
//! The driver is what makes an action whole on a machine that knows nothing of
//! mikado: it exports what steps see and starts them. Where there is one step,
//! in bash, and the root was laid here, the engine gives the step the very same
//! environment and starts it itself, which saves a shell. The key is that of
//! the driver, so the two must never differ; a test compares them.

use std::cell::OnceCell;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::action::Node;
use crate::process::Execution;
use crate::runner::definition::Language;

use super::confine::FIXED_ROOT;
use super::order::{Access, Order};

/// Folders of the root that variables name.
const FOLDERS: [(&str, &str); 6] = [
    ("TMPDIR", "tmp"),
    ("OUT", "out"),
    ("REQUIRES", "requires"),
    ("FETCH", "fetch"),
    ("TOOLS", "tools"),
    ("RUNNER", "runner"),
];

/// Makes of the execution of a driver that of its only step; leaves it alone
/// where only the driver will do. `root` is where it lies, `real` remembers the
/// real path of the folder of all roots.
pub(super) fn without_driver(
    execution: &mut Execution,
    order: &Order,
    root: &Path,
    real: &OnceCell<Option<PathBuf>>,
) {
    let [step] = order.steps.as_slice() else {
        return;
    };
    if step.language != Language::Bash {
        return;
    }
    // A shell names its folder by its real path.
    let seen = match execution.cwd == Path::new(FIXED_ROOT) {
        true => (!Path::new("/tmp").is_symlink()).then(|| FIXED_ROOT.into()),
        false => {
            let roots = real.get_or_init(|| root.parent()?.canonicalize().ok());
            roots
                .as_ref()
                .zip(root.file_name())
                .map(|(roots, name)| roots.join(name))
        }
    };
    let Some(seen) = seen else {
        return;
    };
    let artifact = match artifact(order, root, execution.cwd != root) {
        Some(artifact) => artifact,
        None => return,
    };
    let env = &mut execution.env;
    let home = match (value(env, "HOME"), &order.access) {
        (Some(home), Access::Steps(opened)) if opened.home => home,
        (None, _) | (Some(_), Access::Steps(_)) => seen.join("home").into(),
        (Some(_), _) => return,
    };
    set(env, "HOME", home);
    for (name, folder) in FOLDERS {
        set(env, name, seen.join(folder).into());
    }
    if value(env, "CACHE").is_none() {
        set(env, "CACHE", seen.join("tmp/cache").into());
    }
    if let Some(artifact) = artifact {
        set(env, "ARTIFACT", artifact.into());
    }
    let level = value(env, "SHLVL").and_then(|level| level.to_str()?.parse::<u32>().ok());
    set(env, "SHLVL", (level.unwrap_or(0) + 1).to_string().into());
    set(env, "PWD", seen.join("work").into());
    set(env, "OLDPWD", seen.into());
    let argv = step.language.argv().iter().map(OsString::from);
    execution.argv = argv.chain([OsString::from(&step.run)]).collect();
    execution.cwd.push("work");
}

/// What ARTIFACT is to be, if anything; `None` where that is not known here.
fn artifact(order: &Order, root: &Path, moved: bool) -> Option<Option<PathBuf>> {
    let mut nodes = order.action.root.iter();
    match nodes.find(|(path, _)| *path == "artifact") {
        None => Some(None),
        Some((_, Node::Tree { .. })) if !moved => {
            root.join("artifact").canonicalize().ok().map(Some)
        }
        Some(_) => None,
    }
}

/// The value of a variable, unless it is empty.
fn value(env: &[(OsString, OsString)], name: &str) -> Option<OsString> {
    let mut values = env.iter().rev();
    let (_, value) = values.find(|(known, _)| known == OsStr::new(name))?;
    (!value.as_bytes().is_empty()).then(|| value.clone())
}

fn set(env: &mut Vec<(OsString, OsString)>, name: &str, value: OsString) {
    env.retain(|(known, _)| known != OsStr::new(name));
    env.push((name.into(), value));
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test stops at its first surprise")]
mod tests {
    use super::*;
    use crate::action::{Action, Description, Machine, driver};
    use crate::engine::order::{Opened, Part};
    use crate::engine::stage;
    use crate::process::GRACE;
    use crate::runner::definition::Step;
    use std::fs::File;
    use std::process::Command;

    /// All that a step can learn of how it was started, but for its ancestors.
    const LOOK: &str =
        r#"echo "$0 $# $- $SHLVL $BASHOPTS $SHELLOPTS" *; pwd; pwd -P; cd -; env | LC_ALL=C sort"#;

    fn order(home: bool) -> Order {
        let steps = vec![Step {
            run: LOOK.into(),
            ..Step::default()
        }];
        let description = Description {
            steps: steps.clone(),
            user_home: home,
            env: vec![
                ("OUT".into(), "elsewhere".into()),
                ("A".into(), "'b c".into()),
            ],
            ..Description::default()
        };
        let machine = Machine {
            os: "Linux".into(),
            isa: "x86-64".into(),
            libc: "gnu".into(),
        };
        Order {
            part: Part::Build,
            action: Action::new(description, &machine).unwrap(),
            steps,
            host: Vec::new(),
            caches: Vec::new(),
            timeout: None,
            retries: Default::default(),
            access: Access::Steps(Opened {
                home,
                ..Opened::default()
            }),
            hash: None,
            group: None,
            pass_env: Vec::new(),
            fixed: false,
            local: None,
            elsewhere: true,
        }
    }

    fn printed(execution: &Execution) -> String {
        let mut command = Command::new(&execution.argv[0]);
        command.args(&execution.argv[1..]).env_clear();
        command.envs(execution.env.iter().map(|(name, value)| (name, value)));
        let output = command.current_dir(&execution.cwd).output().unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap()
    }

    #[test]
    fn a_step_sees_the_same_without_its_driver() {
        for (home, more) in [
            (false, &[][..]),
            (false, &[("HOME", "/nowhere"), ("CACHE", "/var")]),
            (true, &[("HOME", "/nowhere"), ("SHLVL", "4")]),
            (true, &[("CACHE", "")]),
        ] {
            let folder = tempfile::tempdir().unwrap();
            // A link on the way, as the folder of a repository may have one.
            let way = folder.path().join("way");
            std::os::unix::fs::symlink(folder.path(), &way).unwrap();
            let root = way.join("root");
            let order = order(home);
            let nowhere = |_: &_| PathBuf::new();
            stage::stage(&root, &order.action.root, &nowhere, &nowhere, &[]).unwrap();
            let variables = order.action.command.environment_variables.iter();
            let env = variables.map(|v| (v.name.clone().into(), v.value.clone().into()));
            let more = more.iter().map(|(name, value)| (name.into(), value.into()));
            let mut execution = Execution {
                argv: vec!["bash".into(), driver::PATH.into()],
                env: env.chain(more).collect(),
                cwd: root.clone(),
                output: File::open("/dev/null").unwrap().into(),
                isolation: None,
                secrets: Vec::new(),
                timeout: None,
                grace: GRACE,
            };
            set(&mut execution.env, "PATH", "/usr/bin:/bin".into());
            let driven = printed(&execution);
            without_driver(&mut execution, &order, &root, &OnceCell::new());
            assert_eq!(execution.argv[0], "bash");
            assert_eq!(execution.argv.len(), 5);
            assert_eq!(printed(&execution), driven);
            assert!(driven.contains("A='b c\n"));
        }
    }
}
