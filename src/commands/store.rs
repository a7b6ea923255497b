//! `mikado store`: what the store holds, keeping it within bounds, and reading
//! all of it again.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::time::Duration;

use clap::{Args, Subcommand};
use serde::Serialize;

use crate::answer::Versioned;
use crate::cli::{Context, Format};
use crate::digest::Digest;
use crate::engine::store_error;
use crate::error::{Error, Exit};
use crate::runner::units::{duration, show_duration, show_size, size};
use crate::store::{Collected, Damage, Limits, Stats, Store, Verified};
use crate::words::count;

use super::selection::{Selection, SelectionArgs};
use super::write_json;

/// Look after the store
#[derive(Clone, Debug, Args)]
pub struct StoreArgs {
    /// What to do
    #[command(subcommand)]
    pub command: StoreCommand,
}

/// What to do with the store.
#[derive(Clone, Debug, Subcommand)]
pub enum StoreCommand {
    /// Show what the store holds
    Stats {
        /// How to print it
        #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
        format: Format,
    },
    /// Delete what is over the bounds, least recently used first
    ///
    /// What the newest runs of a work tree need stays, and what is in use now.
    Gc {
        /// The size to shrink to, such as 5GiB [default: store.max-size]
        #[arg(long, value_name = "SIZE", value_parser = parse_size)]
        max_size: Option<u64>,
        /// How long something may lie unused, such as 7d [default: store.max-age]
        #[arg(long, value_name = "AGE", value_parser = parse_age)]
        max_age: Option<Duration>,
        /// How to print what was done
        #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
        format: Format,
    },
    /// Read everything again, and drop what is damaged
    ///
    /// Exits 4 where something was damaged; the next run makes it again.
    Verify {
        /// How to print what was found
        #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
        format: Format,
    },
}

impl StoreCommand {
    /// How the answer is to be printed.
    pub fn format(&self) -> Format {
        match self {
            StoreCommand::Stats { format }
            | StoreCommand::Gc { format, .. }
            | StoreCommand::Verify { format } => *format,
        }
    }
}

/// Carries `store` out in the project around.
///
/// # Errors
///
/// Where there is no project, the disk is in the way, or the output can't be
/// written.
pub fn run_here(args: &StoreArgs, context: &Context) -> Result<Exit, Error> {
    let none = SelectionArgs::default();
    let selection = Selection::read(&none, context)?;
    let workspace = selection.workspace(&none, true)?;
    let kept = workspace.store.kept_by_work_trees();
    let kept = kept.map_err(|e| store_error(&e))?;
    let limits = selection.project.config.store.limits()?;
    run(
        args,
        &workspace.store,
        limits,
        &kept,
        &mut context.out(args.command.format()),
    )
}

/// Carries `store` out on an open store. `limits` are the project's own; `keep`
/// are the trees that no collection may take.
///
/// # Errors
///
/// Where the disk is in the way, or the output can't be written.
pub fn run(
    args: &StoreArgs,
    store: &Store,
    limits: Limits,
    keep: &BTreeSet<Digest>,
    out: &mut dyn Write,
) -> Result<Exit, Error> {
    let json = args.command.format() == Format::Json;
    let (written, exit) = match &args.command {
        StoreCommand::Stats { .. } => {
            let stats = store.stats().map_err(|e| store_error(&e))?;
            (write(out, json, &stats, stats_text), Exit::Done)
        }
        StoreCommand::Gc {
            max_size, max_age, ..
        } => {
            let limits = Limits {
                max_size: max_size.unwrap_or(limits.max_size),
                max_age: max_age.unwrap_or(limits.max_age),
            };
            let collected = store.collect(&limits, keep).map_err(|e| store_error(&e))?;
            (write(out, json, &collected, collected_text), Exit::Done)
        }
        StoreCommand::Verify { .. } => {
            let verified = store.verify(|_, _| ()).map_err(|e| store_error(&e))?;
            let exit = match verified.damaged.is_empty() {
                true => Exit::Done,
                false => Exit::Disk,
            };
            (write(out, json, &verified, verified_text), exit)
        }
    };
    written.map_err(Error::disk("write to", "standard output"))?;
    Ok(exit)
}

/// Writes an answer as JSON, or as `text` has it.
fn write<T: Serialize>(
    out: &mut dyn Write,
    json: bool,
    answer: &T,
    text: fn(&T) -> String,
) -> io::Result<()> {
    if !json {
        return out.write_all(text(answer).as_bytes());
    }
    write_json(out, &Versioned::new(answer))
}

fn stats_text(stats: &Stats) -> String {
    let mut text = format!("{}\n", stats.folder);
    let mut line = |name: &str, bytes: u64, what: String| {
        text.push_str(format!("  {name:<9}{:>10}  {what}", show_size(bytes)).trim_end());
        text.push('\n');
    };
    let artifacts = format!(
        "{}, {}",
        count(stats.trees as usize, "artifact"),
        count(stats.files as usize, "file"),
    );
    line("trees", stats.trees_disk, artifacts);
    let results = count(stats.results as usize, "result");
    line("records", stats.records_disk, results);
    line("caches", stats.caches_disk, String::new());
    line("sources", stats.sources_disk, String::new());
    line("failed", stats.failed_disk, String::new());
    line("scratch", stats.scratch_disk, String::new());
    let all = stats.trees_disk
        + stats.records_disk
        + stats.caches_disk
        + stats.sources_disk
        + stats.failed_disk
        + stats.scratch_disk;
    line("all", all, String::new());
    if stats.trees > 0 {
        let age = show_duration(Duration::from_secs(stats.oldest_seconds));
        text.push_str(&format!("longest unused: {age}\n"));
    }
    text
}

fn collected_text(collected: &Collected) -> String {
    if collected.busy {
        return "another process is collecting; nothing was done\n".to_owned();
    }
    let mut text = format!(
        "deleted {}, {} and {}, {}; {} left\n",
        count(collected.trees as usize, "artifact"),
        count(collected.caches as usize, "cache"),
        count(collected.sources as usize, "source"),
        show_size(collected.bytes),
        show_size(collected.left),
    );
    if collected.failures > 0 {
        let roots = count(collected.failures as usize, "folder");
        text.push_str(&format!("{roots} of failed cards among it\n"));
    }
    if collected.kept > 0 {
        let kept = show_size(collected.kept);
        text.push_str(&format!("kept {kept} that is needed or in use\n"));
    }
    text
}

fn verified_text(verified: &Verified) -> String {
    let mut text = String::new();
    for damage in &verified.damaged {
        match damage {
            Damage::Tree { hash, paths } => {
                let short = hash.get(..12).unwrap_or(hash);
                text.push_str(&format!("damaged: artifact {short}\n"));
                for path in paths {
                    text.push_str(&format!("  {path}\n"));
                }
            }
            Damage::Records { of, count } => {
                text.push_str(&format!("damaged: {count} of the {of} records\n"));
            }
        }
    }
    text.push_str(&format!(
        "read {} with {}, {}, and {}; ",
        count(verified.trees as usize, "sound artifact"),
        count(verified.files as usize, "file"),
        show_size(verified.bytes),
        count(verified.records as usize, "record"),
    ));
    match (verified.damaged.is_empty(), verified.dropped) {
        (true, _) => text.push_str("nothing is damaged\n"),
        (false, dropped) => text.push_str(&format!(
            "dropped what is damaged and {}; the next run makes it again\n",
            count(dropped as usize, "result"),
        )),
    }
    text
}

fn parse_size(text: &str) -> Result<u64, String> {
    size(text).ok_or_else(|| "expected a size such as `5GiB` or `500MB`".to_owned())
}

fn parse_age(text: &str) -> Result<Duration, String> {
    duration(text).ok_or_else(|| "expected a duration such as `7d` or `12h`".to_owned())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed step is a failed test")]
mod tests {
    use super::*;
    use std::fs;

    fn answer(store: &Store, command: StoreCommand) -> (String, Exit) {
        let mut out = Vec::new();
        let args = StoreArgs { command };
        let limits = Limits::default();
        let exit = run(&args, store, limits, &BTreeSet::new(), &mut out).unwrap();
        (String::from_utf8(out).unwrap(), exit)
    }

    fn verify(format: Format) -> StoreCommand {
        StoreCommand::Verify { format }
    }

    fn gc(max_size: u64, format: Format) -> StoreCommand {
        StoreCommand::Gc {
            max_size: Some(max_size),
            max_age: None,
            format,
        }
    }

    #[test]
    fn damage_is_named_and_the_exit_code_says_so() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("store")).unwrap();
        let out = dir.path().join("out");
        fs::create_dir(&out).unwrap();
        fs::write(out.join("bin"), "x").unwrap();
        let digest = store.adopt(&out).unwrap().digest;
        store.flush().unwrap();
        let (text, exit) = answer(&store, verify(Format::Text));
        assert!(text.contains("1 sound artifact with 1 file"), "{text}");
        assert!(text.ends_with("nothing is damaged\n"), "{text}");
        assert_eq!(exit, Exit::Done);
        let file = store.path_of_tree(&digest).join("bin");
        fs::remove_file(&file).unwrap();
        fs::write(&file, "y").unwrap();
        let (text, exit) = answer(&store, verify(Format::Text));
        let short = &digest.hex()[..12];
        assert!(
            text.starts_with(&format!("damaged: artifact {short}\n  bin\n")),
            "{text}"
        );
        assert_eq!(exit, Exit::Disk);
        let (text, _) = answer(&store, verify(Format::Json));
        assert!(
            text.starts_with(r#"{"schemaVersion":1,"trees":0,"#),
            "{text}"
        );
    }

    #[test]
    fn statistics_and_collection_are_told_in_few_lines() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("store")).unwrap();
        let format = Format::Text;
        let (text, _) = answer(&store, StoreCommand::Stats { format });
        assert!(text.contains("0 artifacts, 0 files"), "{text}");
        let (text, exit) = answer(&store, gc(0, format));
        assert!(
            text.starts_with("deleted 0 artifacts, 0 caches and 0 sources"),
            "{text}"
        );
        assert_eq!(exit, Exit::Done);
        let (text, _) = answer(&store, gc(0, Format::Json));
        assert!(text.contains(r#""busy":false"#), "{text}");
    }

    #[test]
    fn bounds_are_read_as_people_write_them() {
        assert_eq!(parse_size("5GiB"), Ok(5 << 30));
        assert_eq!(parse_age("7d"), Ok(Duration::from_secs(7 * 24 * 3600)));
        assert!(parse_size("much").is_err() && parse_age("long").is_err());
    }
}
