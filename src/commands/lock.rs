//! `mikado lock`.

use std::io::{self, Write};

use clap::Args;

use crate::cli::Context;
use crate::engine::store_error;
use crate::error::{Error, Exit};
use crate::runner::lock::{TOOL_LOCK, ToolLock};
use crate::runner::pin::{Pinning, pin};
use crate::runner::platform::Platform;
use crate::runner::provision::ToolProgress;
use crate::runner::tools::Declared;
use crate::store::Store;
use crate::words::count;
use crate::workspace::{self, Setting, read_or_empty};

use super::selection::{Selection, SelectionArgs};

/// Pin the tools of all runners to files with hashes
///
/// Writes `runners/tools.lock.yaml`, which belongs into the repository. What is
/// locked already stays as it is.
#[derive(Clone, Debug, Args)]
pub struct LockArgs {
    /// Resolve anew what is locked already
    #[arg(long)]
    pub upgrade: bool,
    /// Lock for this platform; may be given several times [default: all]
    #[arg(long, value_name = "PLATFORM")]
    pub platform: Vec<Platform>,
    /// Change nothing; exit 3 where the lock lacks something
    #[arg(long)]
    pub check: bool,
}

/// Carries `lock` out.
///
/// # Errors
///
/// Where a tool can't be had, or the disk is in the way.
pub fn run(args: LockArgs, context: &Context) -> Result<Exit, Error> {
    let selection = Selection::read(&SelectionArgs::default(), context)?;
    let project = &selection.project;
    let path = project.runners_dir.join(TOOL_LOCK);
    let old = read_or_empty(&path)?;
    let old_lock = ToolLock::parse(&old)
        .map_err(|e| Error::usage(format!("`{}` can't be read: {e}", path.display()), ""))?;
    let tools = selection.all_tools();
    let declared: Vec<Declared<'_>> = tools
        .iter()
        .map(|(runner, name, spec)| Declared { runner, name, spec })
        .collect();
    let out = |line: String| {
        writeln!(io::stdout(), "{line}").map_err(Error::disk("write to", "standard output"))
    };
    if args.check {
        let here = Platform::current();
        let lacking: Vec<String> = declared
            .iter()
            .filter_map(|tool| old_lock.find(tool, here?).err())
            .map(|error| error.to_string())
            .collect();
        for line in &lacking {
            out(line.clone())?;
        }
        return Ok(if lacking.is_empty() {
            Exit::Done
        } else {
            Exit::Findings
        });
    }
    let setting = Setting {
        store: context.global.store.clone(),
        ..Setting::default()
    };
    let folder = workspace::store_folder(project, &setting, &context.here, &context.user);
    let store = Store::open(&folder).map_err(|e| store_error(&e))?;
    let progress = |step: ToolProgress| {
        if let ToolProgress::Locking(package, platforms) = step {
            // Only who looks at it misses it.
            drop(writeln!(io::stderr(), "{package} for {platforms}"));
        }
    };
    let pinning = Pinning::of(&args.platform, args.upgrade);
    let pinned = pin(
        &old_lock,
        &declared,
        &pinning,
        &store,
        &context.user,
        &progress,
    );
    let pinned = pinned.map_err(|errors| {
        let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
        Error::Tools(lines.join("\n"))
    })?;
    for note in &pinned.notes {
        out(format!("note: {note}"))?;
    }
    let text = pinned.lock.to_string();
    if text == old {
        out(format!("{} is up to date", path.display()))?;
    } else {
        write(&path, &text)?;
        let packages = count(pinned.lock.tools.len(), "package");
        out(format!("{}: {packages} locked", path.display()))?;
    }
    Ok(Exit::Done)
}

fn write(path: &std::path::Path, text: &str) -> Result<(), Error> {
    let folder = path.parent().unwrap_or(path);
    let mut file =
        tempfile::NamedTempFile::new_in(folder).map_err(Error::disk("write in", folder))?;
    file.write_all(text.as_bytes())
        .map_err(Error::disk("write", path))?;
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    file.as_file()
        .set_permissions(mode)
        .map_err(Error::disk("write", path))?;
    file.persist(path)
        .map_err(|error| Error::disk("replace", path)(error.error))?;
    Ok(())
}
