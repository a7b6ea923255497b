//! `mikado doctor`: what this machine can do, and what is missing on it.
//!
//! It changes nothing but what it tries in the store's scratch folder. It asks
//! bash, git and Python for their versions, and runs nothing of a runner.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use clap::Args;

use crate::answer::{Diagnosis, Health, HealthFinding, SCHEMA_VERSION};
use crate::cli::{Context, Format};
use crate::error::{Error, Exit};
use crate::process::Kernel;
use crate::project::Project;
use crate::runner::tools::{Declared, ToolError, ToolFault, ToolSpec};
use crate::runner::units::show_size;
use crate::store::Store;
use crate::words;
use crate::workspace::{Setting, Workspace, store_folder};

use super::run::processors;
use super::selection::{Selection, SelectionArgs};
use super::write_json;

/// Say what this machine can do, and what is missing
///
/// Exits 4 where the store can't be used.
#[derive(Clone, Debug, Args)]
pub struct DoctorArgs {
    /// How to print it
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub format: Format,
}

fn finding(
    name: &str,
    health: Health,
    says: impl Into<String>,
    help: impl Into<String>,
) -> HealthFinding {
    HealthFinding {
        name: name.to_owned(),
        health,
        says: says.into(),
        help: help.into(),
    }
}

/// Carries `doctor` out.
///
/// # Errors
///
/// Where the output can't be written.
pub fn run(args: DoctorArgs, context: &Context) -> Result<Exit, Error> {
    let mut findings = vec![version()];
    findings.extend(kernel());
    findings.extend(machine());
    findings.extend(["bash", "git", "python3"].map(|name| program(name, context)));
    findings.extend(project(context));
    let out = &mut context.out(args.format);
    let written = match args.format {
        Format::Json => {
            let answer = Diagnosis {
                schema_version: SCHEMA_VERSION,
                findings: findings.clone(),
                not_isolated: UNCOVERED.to_vec(),
            };
            write_json(out, &answer)
        }
        Format::Text => text(out, &findings, context),
    };
    written.map_err(Error::disk("write to", "standard output"))?;
    let broken = findings.iter().any(|one| one.health == Health::Broken);
    Ok(if broken { Exit::Disk } else { Exit::Done })
}

/// What no isolation of ours covers, on any kernel.
const UNCOVERED: [&str; 4] = [
    "whether a file outside is there, its size and its times",
    "what is in the system's folders, such as a compiler in /usr/bin: declare it as a tool",
    "the time, the load, the number of processors",
    "commands and probes: they are yours, and see what you see",
];

fn text(out: &mut dyn Write, findings: &[HealthFinding], context: &Context) -> io::Result<()> {
    use anstyle::{AnsiColor, Style};
    let paint = context.paint();
    for one in findings {
        let (word, colour) = match one.health {
            Health::Ok => ("ok", AnsiColor::Green),
            Health::Note => ("note", AnsiColor::Cyan),
            Health::Missing => ("missing", AnsiColor::Yellow),
            Health::Broken => ("broken", AnsiColor::Red),
        };
        let style = Style::new().bold().fg_color(Some(colour.into()));
        let word = paint.with(style, &format!("{word:>9}"));
        writeln!(out, "{word} {}: {}", one.name, one.says)?;
        if !one.help.is_empty() {
            writeln!(out, "{:>9} {}", "", one.help)?;
        }
    }
    writeln!(out, "what isolation never covers:")?;
    for one in UNCOVERED {
        writeln!(out, "  - {one}")?;
    }
    Ok(())
}

fn version() -> HealthFinding {
    let program = std::env::current_exe().unwrap_or_default();
    let says = format!("{}, {}", env!("CARGO_PKG_VERSION"), program.display());
    finding("mikado", Health::Ok, says, "")
}

fn kernel() -> Vec<HealthFinding> {
    let name = rustix::system::uname();
    let text = |part: &std::ffi::CStr| part.to_string_lossy().into_owned();
    let release = format!(
        "{} {} on {}",
        text(name.sysname()),
        text(name.release()),
        text(name.machine())
    );
    let mut findings = vec![finding("kernel", Health::Ok, release, "")];
    let probed = Kernel::probe();
    let kernel = probed.unwrap_or_else(|_| Kernel::landlock());
    let gaps = kernel.gaps();
    findings.push(match (kernel.landlock, gaps.is_empty()) {
        (0, _) => finding(
            "landlock",
            Health::Missing,
            "this kernel has none: builds run unconfined",
            "use Linux 5.13 or newer, with `landlock` in /sys/kernel/security/lsm",
        ),
        (version, true) => finding("landlock", Health::Ok, format!("version {version}"), ""),
        (version, false) => finding(
            "landlock",
            Health::Note,
            format!(
                "version {version}: builds are not kept from {}",
                plain_list(&gaps)
            ),
            "a newer kernel has the rest",
        ),
    });
    let spaces = [
        ("user", kernel.user_namespaces),
        ("mount", kernel.mount_namespaces),
        ("network", kernel.network_namespaces),
    ];
    let named = |wanted: bool| -> Vec<&str> {
        let all = spaces.iter().filter(|(_, there)| *there == wanted);
        all.map(|(name, _)| *name).collect()
    };
    findings.push(match named(false).as_slice() {
        [] => finding("namespaces", Health::Ok, plain_list(&named(true)), ""),
        missing => finding(
            "namespaces",
            Health::Note,
            format!("not granted: {}", plain_list(missing)),
            "look at the settings kernel.unprivileged_userns_clone, user.max_user_namespaces and kernel.apparmor_restrict_unprivileged_userns, or at the container's profile",
        ),
    });
    let actions = fs::read_to_string("/proc/sys/kernel/seccomp/actions_avail");
    let watches =
        actions.is_ok_and(|actions| actions.split_whitespace().any(|a| a == "user_notif"));
    findings.push(match watches {
        true => finding("seccomp", Health::Ok, "system calls can be watched", ""),
        false => finding(
            "seccomp",
            Health::Missing,
            "system calls can't be watched: `mikado audit` does not work",
            "use Linux 5.5 or newer",
        ),
    });
    findings
}

/// Whether digests are made by the processor's own instructions: asked as the
/// crate sha2 asks it.
fn hashes_by_instructions() -> bool {
    #[cfg(target_arch = "x86_64")]
    return std::arch::is_x86_feature_detected!("sha")
        && std::arch::is_x86_feature_detected!("sse4.1");
    #[cfg(target_arch = "aarch64")]
    return std::arch::is_aarch64_feature_detected!("sha2");
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    return false;
}

fn sha256(by_instructions: bool) -> HealthFinding {
    match by_instructions {
        true => finding(
            "sha-256",
            Health::Ok,
            "by the processor's own instructions",
            "",
        ),
        false => finding(
            "sha-256",
            Health::Missing,
            "by software, since this processor shows no instructions for it: hashing takes several times as long",
            "use a processor with SHA-NI (x86) or SHA2 (ARMv8), or a virtual machine that passes them on",
        ),
    }
}

fn machine() -> Vec<HealthFinding> {
    let mut findings = vec![sha256(hashes_by_instructions())];
    let says = words::count(processors(), "job");
    findings.push(finding(
        "processors",
        Health::Ok,
        format!("{says} at once"),
        "",
    ));
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    findings.push(match limit {
        Some(limit) if limit < 256 => finding(
            "open files",
            Health::Note,
            format!("a process may have {limit}"),
            "raise it before large runs: ulimit -n 1024",
        ),
        Some(limit) => finding(
            "open files",
            Health::Ok,
            format!("a process may have {limit}"),
            "",
        ),
        None => finding("open files", Health::Ok, "no limit", ""),
    });
    findings
}

/// A program that steps and `mikado` itself want.
fn program(name: &str, context: &Context) -> HealthFinding {
    let help = match name {
        "bash" => "install it: every step is run by bash",
        "git" => "install it for sources that are git repositories",
        _ => "install it for runners that use it, and for tools from PyPI",
    };
    let path = context.user.value("PATH").unwrap_or_default();
    let found = std::env::split_paths(path)
        .map(|folder| folder.join(name))
        .find(|path| path.is_file());
    let Some(path) = found else {
        return finding(name, Health::Missing, "not on PATH", help);
    };
    let output = Command::new(&path)
        .arg("--version")
        .env_clear()
        .envs(context.user.variables())
        .stdin(Stdio::null())
        .output();
    let says = output.ok().filter(|output| output.status.success());
    let says = says.and_then(|output| {
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.lines().next().map(str::to_owned)
    });
    match says {
        Some(says) => finding(name, Health::Ok, format!("{says}, {}", path.display()), ""),
        None => finding(
            name,
            Health::Missing,
            format!("{} does not say its version", path.display()),
            help,
        ),
    }
}

fn project(context: &Context) -> Vec<HealthFinding> {
    let project = match Project::find(&context.here, &context.global.cards) {
        Ok(project) => project,
        Err(error) => {
            let help = error.help().to_owned();
            return vec![finding("cards", Health::Note, error.to_string(), help)];
        }
    };
    let setting = Setting {
        store: context.global.store.clone(),
        offline: true,
        ..Setting::default()
    };
    let folder = store_folder(&project, &setting, &context.here, &context.user);
    let store = match Store::open(&folder) {
        Ok(store) if store.is_writable() => store,
        Ok(_) => {
            let says = format!("`{}` can't be written", folder.display());
            let help = "give it to your user, or put the store elsewhere with `--store DIR`";
            return vec![finding("store", Health::Broken, says, help)];
        }
        Err(error) => {
            let help = error.help().to_owned();
            return vec![finding("store", Health::Broken, error.to_string(), help)];
        }
    };
    let mut findings = store_findings(&store, &project);
    findings.extend(tools(context));
    findings
}

fn store_findings(store: &Store, project: &Project) -> Vec<HealthFinding> {
    let folder = store.folder();
    let mut findings = vec![finding(
        "store",
        Health::Ok,
        folder.display().to_string(),
        "",
    )];
    let device = |path: &Path| path.metadata().map(|metadata| metadata.dev()).ok();
    if device(folder) != device(&project.root) {
        findings.push(finding(
            "file systems",
            Health::Note,
            "the store lies on another file system than the work tree: inputs are copied across",
            "",
        ));
    }
    if let Ok(space) = rustix::fs::statvfs(folder) {
        let free = space.f_bavail.saturating_mul(space.f_frsize);
        let limits = project.config.store.limits().unwrap_or_default();
        let says = format!(
            "{} free; the store keeps within {}",
            show_size(free),
            show_size(limits.max_size)
        );
        findings.push(match free {
            free if free < 1 << 30 => finding(
                "disk",
                Health::Note,
                says,
                "free some space, or set a smaller `store.max-size` in mikado.yaml and run `mikado store gc`",
            ),
            _ => finding("disk", Health::Ok, says, ""),
        });
    }
    let tried = store.scratch_folder().map_err(|error| error.to_string());
    let tried = tried.and_then(|scratch| try_disk(&scratch).map_err(|error| error.to_string()));
    match tried {
        Ok(clones) => {
            findings.push(finding(
                "locks and renames",
                Health::Ok,
                "the store's disk has both",
                "",
            ));
            findings.push(match clones {
                true => finding(
                    "copies",
                    Health::Ok,
                    "files share their blocks (reflink)",
                    "",
                ),
                false => finding(
                    "copies",
                    Health::Note,
                    "this file system can't share blocks: inputs are copied byte by byte",
                    "btrfs and xfs can",
                ),
            });
        }
        Err(error) => findings.push(finding(
            "locks and renames",
            Health::Broken,
            error,
            "put the store on a local disk with `--store DIR` or `store.path` in mikado.yaml",
        )),
    }
    findings
}

/// Tries what the store needs of a disk; says whether it shares blocks.
fn try_disk(scratch: &Path) -> io::Result<bool> {
    let folder = scratch.join("doctor");
    fs::create_dir(&folder)?;
    fs::write(folder.join("a"), "some bytes")?;
    let file = File::open(folder.join("a"))?;
    file.try_lock()?;
    let renamed = scratch.join("doctor-renamed");
    fs::rename(&folder, &renamed)?;
    let copy = File::create(renamed.join("b"))?;
    #[cfg(target_os = "linux")]
    let clones = rustix::fs::ioctl_ficlone(&copy, &file).is_ok();
    #[cfg(not(target_os = "linux"))]
    let clones = {
        drop(copy);
        false
    };
    fs::remove_dir_all(&renamed)?;
    Ok(clones)
}

/// The tools that runners want.
fn tools(context: &Context) -> Vec<HealthFinding> {
    let none = SelectionArgs::default();
    let opened = Selection::read(&none, context)
        .and_then(|selection| Ok((selection.workspace(&none, true)?, selection)));
    let (workspace, selection) = match opened {
        Ok(opened) => opened,
        Err(error) => {
            let help = error.help().to_owned();
            return vec![finding("project", Health::Note, error.to_string(), help)];
        }
    };
    let tools = selection.all_tools();
    let mut findings: Vec<HealthFinding> = Vec::new();
    for (runner, name, spec) in &tools {
        let one = tool(&workspace, runner, name, spec);
        let same = |known: &&HealthFinding| known.name == one.name && known.says == one.says;
        if findings.iter().find(same).is_none() {
            findings.push(one);
        }
    }
    findings
}

fn tool(workspace: &Workspace, runner: &str, name: &str, spec: &ToolSpec) -> HealthFinding {
    let shown = format!("tool {name}");
    let texts = [&spec.pypi, &spec.npm, &spec.command, &spec.prefix];
    if texts
        .iter()
        .any(|text| text.as_deref().is_some_and(|text| text.contains("${")))
    {
        let says = format!("depends on a parameter of the runner `{runner}`");
        return finding(
            &shown,
            Health::Note,
            says,
            "`mikado plan CARD` looks for it",
        );
    }
    let declared = Declared { runner, name, spec };
    let missing = |error: ToolError| {
        // Like `plan`, this asks no tool of a runner.
        let health = match *error.fault {
            ToolFault::NotAsked => Health::Note,
            _ => Health::Missing,
        };
        finding(&shown, health, error.fault.to_string(), "")
    };
    match workspace.tool_tree(&declared) {
        Err(error) => missing(error),
        Ok(Some(digest)) => {
            let there = workspace
                .store
                .tree(&digest)
                .is_ok_and(|tree| tree.is_some());
            let says = match there {
                true => "locked, in the store",
                false => "locked, fetched when it is needed",
            };
            finding(&shown, Health::Ok, says, "")
        }
        Ok(None) => match workspace.host_tool(&declared) {
            Err(error) => missing(error),
            Ok(tool) => {
                let (_, version) = tool.property();
                let program: &PathBuf = &tool.program;
                let says = format!("{version}, {}", program.display());
                finding(&shown, Health::Ok, says, "")
            }
        },
    }
}

fn plain_list(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [most @ .., last] => format!("{} and {last}", most.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashing_in_software_is_warned_of() {
        assert_eq!(sha256(true).health, Health::Ok);
        let warned = sha256(false);
        assert_eq!(warned.health, Health::Missing);
        assert!(warned.says.starts_with("by software"), "{}", warned.says);
        assert!(!warned.help.is_empty());
    }
}
