//! The commands that a failure is told with: they work when they are pasted, so
//! they have every option of the run that changed what was run.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::ValueEnum;

use crate::card::Stem;
use crate::cli::Global;
use crate::event::{Failure, Outcome};
use crate::plan::{Plan, PlannedCard};
use crate::runner::definition::Kind;
use crate::words::shell_word;

use super::selection::{Selection, SelectionArgs};

type Options = Vec<(&'static str, String)>;

/// The command that runs the same again; `None` where there are no options, and
/// the name of a failed card is enough.
pub(crate) fn run_again(args: &SelectionArgs, global: &Global, twice: bool) -> Option<String> {
    let mut options = of_place(args, global);
    options.extend(args.given.with.iter().map(|with| ("--with", with.clone())));
    if options.is_empty() && !twice {
        return None;
    }
    let mut command = vec!["mikado run".to_owned()];
    command.extend(args.cards.iter().map(|card| shell_word(card)));
    command.extend(args.all.then(|| "--all".to_owned()));
    command.extend(args.only.then(|| "--only".to_owned()));
    command.extend(twice.then(|| "--check-deterministic".to_owned()));
    command.extend(words(&options));
    Some(command.join(" "))
}

/// The command that opens a shell where a card failed, for each card that
/// something was executed of.
pub(crate) fn shells(
    plan: &Plan,
    outcomes: &[Outcome],
    selection: &Selection,
    args: &SelectionArgs,
    global: &Global,
) -> BTreeMap<Stem, String> {
    let failed = plan.cards.iter().zip(outcomes).filter(|(card, outcome)| {
        let has_place = matches!(card.work.kind, Kind::Build | Kind::Command);
        has_place && matches!(outcome, Outcome::Failed(failure) if was_executed(failure))
    });
    failed
        .map(|(card, _)| (card.stem.clone(), shell(card, selection, args, global)))
        .collect()
}

/// Whether a process of the card ran, and left something to look at.
fn was_executed(failure: &Failure) -> bool {
    matches!(failure.code, "step" | "out" | "hash")
}

fn shell(
    card: &PlannedCard,
    selection: &Selection,
    args: &SelectionArgs,
    global: &Global,
) -> String {
    let mut options = of_place(args, global);
    // Those of other cards would be refused.
    let concerns = |with: &&String| {
        let name = with.split('=').next().unwrap_or_default();
        match name.split_once(':') {
            Some((named, _)) => selection.find(named).is_ok_and(|stem| stem == card.stem),
            None => card.work.definition.with.contains_key(name),
        }
    };
    let with = args.given.with.iter().filter(concerns);
    options.extend(with.map(|with| ("--with", with.clone())));
    let mut command = vec![format!("mikado shell {}", shell_word(card.stem.as_str()))];
    command.extend(words(&options));
    command.join(" ")
}

/// The options that say where everything is, and what sources and tools are.
fn of_place(args: &SelectionArgs, global: &Global) -> Options {
    let path = |path: &PathBuf| path.display().to_string();
    let mut options: Options = Vec::new();
    options.extend(global.directory.iter().map(|dir| ("-C", path(dir))));
    options.extend(global.cards.iter().map(|dir| ("--cards", path(dir))));
    options.extend(global.cache.iter().map(|url| ("--cache", url.clone())));
    let mode = global.cache_mode.and_then(|mode| mode.to_possible_value());
    options.extend(mode.map(|mode| ("--cache-mode", mode.get_name().to_owned())));
    options.extend(global.store.iter().map(|dir| ("--store", path(dir))));
    options.extend(args.given.sources.iter().map(|s| ("--source", s.clone())));
    let tools = args.given.tools.and_then(|tools| tools.to_possible_value());
    options.extend(tools.map(|tools| ("--tools", tools.get_name().to_owned())));
    options
}

fn words(options: &Options) -> impl Iterator<Item = String> {
    let word = |(name, value): &(&str, String)| format!("{name} {}", shell_word(value));
    options.iter().map(word)
}
