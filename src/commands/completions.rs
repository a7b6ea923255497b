//! `mikado completions`, and what the scripts that it prints ask for.
//!
//! A script calls the program again with `MIKADO_COMPLETE` set and the words
//! that were typed, so that the stems of the cards that are there now can be
//! completed. Whatever is wrong with cards or settings, the answer is shorter
//! and nothing is said: somebody is in the middle of a line.

use std::ffi::{OsStr, OsString};
use std::io::{self, Write};
use std::path::PathBuf;

use clap::builder::ValueHint;
use clap::{Arg, Args, Command, CommandFactory};
use clap_complete::Shell;
use clap_complete::engine::{ArgValueCandidates, CompletionCandidate};
use clap_complete::env::{CompleteEnv, Shells};

use crate::card::{Card, PlanState, Stem};
use crate::cli::{Cli, Context, Global, When};
use crate::error::{Error, Exit};
use crate::runner::client::UserEnvironment;
use crate::runner::sources::{SOURCES, Sources};
use crate::runner::work::Runners;

use super::explain::CODES;
use super::selection::{Selection, SelectionArgs};

/// The variable that says that a shell asks.
const ASKED: &str = "MIKADO_COMPLETE";

/// Print a script that completes commands and cards in a shell
///
/// bash: `source <(mikado completions bash)` in `~/.bashrc`. zsh: the same, after
/// `compinit`. fish: `mikado completions fish | source` in `config.fish`.
#[derive(Clone, Debug, Args)]
pub struct CompletionsArgs {
    /// Which shell
    #[arg(value_enum, value_name = "SHELL")]
    pub shell: Shell,
}

/// Carries `completions` out.
///
/// # Errors
///
/// Where the output can't be written.
pub fn run(args: CompletionsArgs, _: &Context) -> Result<Exit, Error> {
    let shells = Shells::builtins();
    let name = args.shell.to_string();
    let shell = shells
        .completer(&name)
        .ok_or_else(|| Error::Bug(format!("no completions for {name}")))?;
    let mut script = Vec::new();
    let written = shell
        .write_registration(ASKED, "mikado", "mikado", "mikado", &mut script)
        .and_then(|()| io::stdout().write_all(&script));
    super::done(written)
}

/// Answers a shell, where one asks; whether it did.
pub(crate) fn answer() -> bool {
    let asked = std::env::var_os(ASKED).is_some_and(|shell| !shell.is_empty());
    if !asked {
        return false;
    }
    let here = std::env::current_dir().ok();
    // A shell that is not known has no use for an error either.
    drop(
        CompleteEnv::with_factory(command)
            .var(ASKED)
            .try_complete(std::env::args_os(), here.as_deref()),
    );
    true
}

/// The command line with what completes its values.
fn command() -> Command {
    with_candidates(Cli::command(), "")
}

fn with_candidates(command: Command, above: &str) -> Command {
    let name = match above {
        "" => command.get_name().to_owned(),
        above => above.to_owned(),
    };
    let command = command.mut_args(|argument| of_argument(argument, &name));
    let below: Vec<String> = command
        .get_subcommands()
        .map(|command| command.get_name().to_owned())
        .collect();
    below.into_iter().fold(command, |command, name| {
        command.mut_subcommand(name.clone(), |below| with_candidates(below, &name))
    })
}

/// Every argument that takes a card says so by its value's name.
fn of_argument(argument: Arg, command: &str) -> Arg {
    let value = argument
        .get_value_names()
        .and_then(|names| names.first())
        .map_or_else(|| argument.get_id().to_string(), ToString::to_string);
    match (value.as_str(), argument.get_id().as_str()) {
        ("CODE", _) => argument.add(ArgValueCandidates::new(codes)),
        ("PREREQUISITE", _) if command == "unrequire" => {
            argument.add(ArgValueCandidates::new(required))
        }
        ("CARD" | "PARENT" | "PREREQUISITE", _) => {
            let shown: fn(&Card) -> bool = match command {
                "complete" => |card| card.plan == PlanState::Open,
                "reopen" | "verify" => |card| card.plan == PlanState::Complete && !card.page,
                "require" | "unrequire" => |_| true,
                _ => |card| !card.page,
            };
            argument.add(ArgValueCandidates::new(move || stems(shown)))
        }
        (_, "with") => argument.add(ArgValueCandidates::new(parameters)),
        (_, "sources") => argument.add(ArgValueCandidates::new(sources)),
        ("DIR", _) => argument.value_hint(ValueHint::DirPath),
        ("FILE", _) => argument.value_hint(ValueHint::FilePath),
        _ => argument,
    }
}

/// The stems of the cards that are `shown`, with their titles.
fn stems(shown: fn(&Card) -> bool) -> Vec<CompletionCandidate> {
    let Some((selection, _)) = selection() else {
        return Vec::new();
    };
    let cards = selection.deck.cards().iter().filter(|card| shown(card));
    cards.map(candidate).collect()
}

/// The codes of findings, with what they mean.
fn codes() -> Vec<CompletionCandidate> {
    let codes = CODES.iter();
    codes
        .map(|(code, what, ..)| CompletionCandidate::new(*code).help(Some((*what).into())))
        .collect()
}

/// What the card that was typed before requires; every card, where none was.
fn required() -> Vec<CompletionCandidate> {
    let Some((selection, _)) = selection() else {
        return Vec::new();
    };
    let typed = std::env::args().skip_while(|word| word != "unrequire");
    let Some(stem) = typed.skip(1).find_map(|word| selection.find(&word).ok()) else {
        return stems(|_| true);
    };
    let required = selection.chain.requires(&stem).iter();
    let required = required.filter_map(|stem| selection.deck.card(stem));
    required.map(candidate).collect()
}

/// A card as it is offered.
fn candidate(card: &Card) -> CompletionCandidate {
    CompletionCandidate::new(word(&card.stem)).help(Some(card.title().into()))
}

/// A stem as it is to be inserted: bash inserts what it is given, so what it
/// would take for something else gets a backslash; the other shells do so
/// themselves.
fn word(stem: &Stem) -> String {
    if std::env::var_os(ASKED).is_none_or(|shell| shell != "bash") {
        return stem.to_string();
    }
    let mut word = String::new();
    for c in stem.as_str().chars() {
        if c.is_whitespace() || " \\\"'`$&|;<>()[]{}*?!#~^".contains(c) {
            word.push('\\');
        }
        word.push(c);
    }
    word
}

/// The names of all runners' parameters, each with its `=`.
fn parameters() -> Vec<CompletionCandidate> {
    let Some((selection, _)) = selection() else {
        return Vec::new();
    };
    let project = &selection.project;
    let mut runners = Runners::new(&project.root, &project.runners_dir);
    let mut names: Vec<String> = runners
        .names()
        .iter()
        .filter_map(|runner| runners.definition(runner)?.ok())
        .flat_map(|definition| definition.with.keys().cloned().collect::<Vec<_>>())
        .collect();
    names.sort();
    names.dedup();
    let names = names.iter().map(|name| format!("{name}="));
    names.map(CompletionCandidate::new).collect()
}

/// The names of the sources, each with its `=`.
fn sources() -> Vec<CompletionCandidate> {
    let Some((selection, context)) = selection() else {
        return Vec::new();
    };
    let project = &selection.project;
    let text = std::fs::read_to_string(project.runners_dir.join(SOURCES)).unwrap_or_default();
    let read = Sources::new(&project.root, &text, &context.user, &[], &context.here);
    let Ok(sources) = read else {
        return Vec::new();
    };
    let names = sources.names().map(|name| format!("{name}="));
    names.map(CompletionCandidate::new).collect()
}

/// The project of the line that is being typed.
fn selection() -> Option<(Selection, Context)> {
    let words = std::env::args_os().skip_while(|word| word != "--").skip(1);
    let context = Context::new(global(words), UserEnvironment::current()).ok()?;
    let selection = Selection::read(&SelectionArgs::default(), &context).ok()?;
    Some((selection, context))
}

/// What the words typed so far say about where things are. The line is not
/// whole, so it is not parsed.
fn global(words: impl Iterator<Item = OsString>) -> Global {
    let mut global = Global {
        timings: None,
        directory: None,
        cards: Vec::new(),
        store: None,
        cache: None,
        cache_mode: None,
        color: When::Never,
    };
    let mut words = words.peekable();
    while let Some(word) = words.next() {
        let text = word.to_string_lossy();
        let mut next = || words.next().map(PathBuf::from);
        if text == "-C" {
            global.directory = next();
        } else if text == "--cards" {
            global.cards.extend(next());
        } else if let Some(folder) = text.strip_prefix("--cards=") {
            global.cards.push(folder.into());
        } else if let Some(folder) = text.strip_prefix("-C").filter(|f| !f.is_empty()) {
            global.directory = Some(OsStr::new(folder).into());
        }
    }
    global
}
