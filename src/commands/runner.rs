//! `mikado runner`.

use clap::{Args, Subcommand, ValueEnum};

use crate::card::edit;
use crate::cli::Context;
use crate::error::{Error, Exit};

use super::new_file::NewFile;
use super::say;
use super::selection::{Selection, SelectionArgs};

/// Write a runner
#[derive(Clone, Debug, Args)]
pub struct RunnerArgs {
    /// What to do
    #[command(subcommand)]
    pub command: RunnerCommand,
}

/// What to do with runners.
#[derive(Clone, Debug, Subcommand)]
pub enum RunnerCommand {
    /// Write a runner to begin with, and let a card use it
    New {
        /// What kind of work it does
        #[arg(value_enum, value_name = "KIND")]
        kind: NewKind,
        /// The card that uses it: an exact stem or alias
        #[arg(long = "for", value_name = "CARD")]
        card: String,
        /// The runner's name [default: the card's stem]
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
    },
}

/// Kinds of runners.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum NewKind {
    /// Makes an artifact from inputs.
    Build,
    /// Changes something in the repository or the world.
    Command,
    /// Looks whether something is true.
    Probe,
}

const BUILD: &str = "summary: What this makes
inputs:
  - { paths: [README.md] }          # what it reads; globs
steps:
  - { name: make it, run: 'cp README.md \"$OUT/\"' }
verify:
  - { name: it is there, run: 'test -s \"$ARTIFACT/README.md\"' }
";

const COMMAND: &str = "summary: What this changes
steps:
  - { name: change it, run: 'echo \"write here what is to be run\"; false' }
verify:                             # tried before the steps as well: what holds is not done again
  - { name: it is changed, run: 'false' }
";

const PROBE: &str = "summary: What has to be true
verify:
  - { name: it is true, run: 'echo \"write here how one can tell\"; false' }
";

/// Carries `runner` out.
///
/// # Errors
///
/// Where the card is not there or has a runner, or the disk is in the way.
pub fn run(args: RunnerArgs, context: &Context) -> Result<Exit, Error> {
    let RunnerCommand::New { kind, card, name } = args.command;
    let selection = Selection::read(&SelectionArgs::default(), context)?;
    let stem = selection.find_exactly(&card)?;
    let card = selection.deck.card(&stem);
    let card = card.ok_or_else(|| Error::Bug(format!("no card `{stem}`")))?;
    if card.front.runner.is_some() {
        let message = format!("`{stem}` has a runner already");
        return Err(Error::usage(
            message,
            format!("`mikado show {stem}` has it"),
        ));
    }
    let name = name.unwrap_or_else(|| stem.to_string());
    if name.is_empty()
        || name.contains(['/', '\0', '\n', ':', '#', '.'])
        || name == "human"
        || name == "sources"
    {
        return Err(Error::usage(
            format!("`{name}` can't be the name of a runner"),
            "give another with `--name`",
        ));
    }
    let line = format!("runner: {name}\n");
    let bytes = edit::with_lines(card, &line).ok_or_else(|| {
        let message = format!(
            "`{}` has no front matter that could be changed",
            card.path().display()
        );
        Error::usage(
            message,
            "give it a block between `---` lines with `status: active`",
        )
    })?;
    let text = match kind {
        NewKind::Build => BUILD,
        NewKind::Command => COMMAND,
        NewKind::Probe => PROBE,
    };
    let folder = &selection.project.runners_dir;
    std::fs::create_dir_all(folder).map_err(Error::disk("make", folder))?;
    let path = folder.join(format!("{name}.yaml"));
    let file = match NewFile::create(path.clone()) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            let message = format!("the runner `{name}` is there already");
            return Err(Error::usage(
                message,
                "give another name with `--name`, or write `runner:` into the card",
            ));
        }
        other => other.map_err(Error::disk("write", &path))?,
    };
    file.write_with(text, || {
        edit::write(&selection.project.root, &card.source, &bytes)
    })?;
    let shown = path
        .strip_prefix(&selection.project.root)
        .unwrap_or(&path)
        .display()
        .to_string();
    let added: String = text.lines().map(|line| format!("+{line}\n")).collect();
    say(&format!(
        "{}\n+runner: {name}\n{shown}\n{added}next: write into {shown} what is to be done, then: mikado plan {stem}, mikado run {stem}",
        card.path().display()
    ))
}
