//! The command line: what can be asked for, and what all commands share.

use std::ffi::OsString;
use std::io::{self, IsTerminal, StdoutLock, Write};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::Arc;

use anstyle::Style;
use clap::{Args, FromArgMatches, Parser, Subcommand, ValueEnum};

use crate::columns::Screen;
use crate::commands::again::{self, Partial};
use crate::commands::answered;
use crate::commands::{
    self, check::CheckFormat, ci::CiCommand, graph::GraphFormat, verify::VerifyFormat,
};
use crate::diagnostic::{Look, Paint, Severity, severity_style};
use crate::error::{Error, Exit};
use crate::remote::{CacheGiven, Mode};
use crate::report::{self, folded::Folded};
use crate::runner::client::UserEnvironment;
use crate::timings::{self, Wanted};

/// Runs Mikado chains: Markdown cards become an executable, cached graph.
///
/// Without a command, `mikado` lists the open cards.
#[derive(Debug, Parser)]
#[command(
    name = "mikado",
    version,
    max_term_width = 100,
    disable_help_subcommand = true
)]
pub struct Cli {
    /// What all commands share.
    #[command(flatten)]
    pub global: Global,
    /// What is asked for.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What all commands share.
#[derive(Clone, Debug, Args)]
pub struct Global {
    /// Act as if started in DIR
    #[arg(
        short = 'C',
        global = true,
        value_name = "DIR",
        help_heading = "Global options"
    )]
    pub directory: Option<PathBuf>,
    /// Read cards from DIR; may be given several times
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        help_heading = "Global options"
    )]
    pub cards: Vec<PathBuf>,
    /// Keep the store in DIR (also: MIKADO_STORE)
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        help_heading = "Global options"
    )]
    pub store: Option<PathBuf>,
    /// Share results through URL (also: MIKADO_CACHE)
    #[arg(
        long,
        global = true,
        value_name = "URL",
        help_heading = "Global options"
    )]
    pub cache: Option<String>,
    /// off, read or read-write (also: MIKADO_CACHE_MODE)
    #[arg(
        long,
        global = true,
        value_name = "MODE",
        hide_possible_values = true,
        help_heading = "Global options"
    )]
    pub cache_mode: Option<Mode>,
    /// When to use colour: auto, always or never
    #[arg(
        long,
        global = true,
        value_name = "WHEN",
        default_value = "auto",
        hide_default_value = true,
        hide_possible_values = true,
        help_heading = "Global options"
    )]
    pub color: When,
    /// Tell how long phases took, and write a trace
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = ".mikado/timings.json",
        help_heading = "Global options"
    )]
    pub timings: Option<PathBuf>,
}

impl Global {
    /// What is said of the shared cache.
    pub(crate) fn cache_given(&self) -> CacheGiven {
        CacheGiven {
            url: self.cache.clone(),
            mode: self.cache_mode,
        }
    }
}

/// When to use colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum When {
    /// On a terminal, unless NO_COLOR says otherwise.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// How a command prints its answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a card with all that it requires
    Run(commands::run::RunArgs),
    /// List the cards with their states
    List(commands::list::ListArgs),
    /// List the cards that can be worked on now
    Ready(commands::blocked::ReadyArgs),
    /// Say what holds the open cards up
    Blocked(commands::blocked::BlockedArgs),
    /// Choose one card to work on next
    Next(commands::next::NextArgs),
    /// Show a card: its text as written, and what is known of it
    Show(commands::show::ShowArgs),
    /// Say why a card is blocked, fresh or stale
    Why(commands::why::WhyArgs),
    /// Draw the chain
    Graph(commands::graph::GraphArgs),
    /// Mark cards complete
    Complete(commands::complete::CompleteArgs),
    /// Open cards again
    Reopen(commands::complete::ReopenArgs),
    /// Write a new card
    New(commands::require::NewArgs),
    /// Let a card require other ones
    Require(commands::require::RequireArgs),
    /// Let a card no longer require other ones
    Unrequire(commands::require::RequireArgs),
    /// Write a runner
    Runner(commands::runner::RunnerArgs),
    /// Look whether what is complete still holds
    Verify(commands::verify::VerifyArgs),
    /// Set mikado up here
    Init(commands::init::InitArgs),
    /// Explain the code of a finding
    Explain(commands::explain::ExplainArgs),
    /// Print the JSON Schema of a file format
    Schema(commands::schema::SchemaArgs),
    /// Print the manual page, or write all pages to a folder
    Man(commands::man::ManArgs),
    /// Print a script that completes commands and cards in a shell
    Completions(commands::completions::CompletionsArgs),
    /// Check all cards and runners
    Check(commands::check::CheckArgs),
    /// Show what `run` would do, and why
    Plan(commands::plan::PlanArgs),
    /// Print the output of a card's last execution
    Log(commands::log::LogArgs),
    /// Open a shell where a card's steps run
    Shell(commands::shell::ShellArgs),
    /// Say what a build touches and does not declare
    Audit(commands::audit::AuditArgs),
    /// Find or copy what a card made
    Artifact(commands::artifact::ArtifactArgs),
    /// List the cards whose action is not that of another commit
    Affected(commands::affected::AffectedArgs),
    /// Make a CI pipeline with a job for each card
    Ci(commands::ci::CiArgs),
    /// Pin the tools of all runners to files with hashes
    Lock(commands::lock::LockArgs),
    /// Say what this machine can do, and what is missing
    Doctor(commands::doctor::DoctorArgs),
    /// Look after the cache that machines share
    Cache(commands::cache::CacheArgs),
    /// Look after the store
    Store(commands::store::StoreArgs),
}

/// What a command has at hand beside its own arguments.
#[derive(Clone, Debug)]
pub struct Context {
    /// What all commands share.
    pub global: Global,
    /// The folder that relative paths are below.
    pub here: PathBuf,
    /// The user's environment.
    pub user: UserEnvironment,
    /// What is known of an earlier run of the same words.
    pub(crate) partial: Option<Arc<Partial>>,
}

impl Context {
    /// The context of a command line.
    ///
    /// # Errors
    ///
    /// Where there is no current folder, or `-C` names none.
    pub fn new(global: Global, user: UserEnvironment) -> Result<Context, Error> {
        let current = std::env::current_dir().map_err(Error::disk("find", "."))?;
        let here = match &global.directory {
            None => current,
            Some(folder) => {
                let folder = current.join(folder);
                if !folder.is_dir() {
                    let message = format!("`-C {}` names no folder", folder.display());
                    return Err(Error::usage(message, ""));
                }
                folder
            }
        };
        Ok(Context {
            global,
            here,
            user,
            partial: None,
        })
    }

    /// Whether the variable is set to something.
    pub fn is_set(&self, name: &str) -> bool {
        self.user.value(name).is_some_and(|value| !value.is_empty())
    }

    /// Whether to use colour on a stream that is, or is not, a terminal.
    ///
    /// NO_COLOR and CLICOLOR_FORCE are those of no-color.org and
    /// bixense.com/clicolors.
    pub fn color(&self, is_terminal: bool) -> bool {
        self.colour_that_is_said().unwrap_or_else(|| {
            is_terminal && self.user.value("TERM").is_none_or(|term| term != "dumb")
        })
    }

    /// Whether to use colour, where the command line or the environment says so.
    pub(crate) fn colour_that_is_said(&self) -> Option<bool> {
        match self.global.color {
            When::Always => Some(true),
            When::Never => Some(false),
            When::Auto if self.is_set("NO_COLOR") => Some(false),
            When::Auto => {
                let forced = self.user.value("CLICOLOR_FORCE");
                forced.is_some_and(|value| value != "0").then_some(true)
            }
        }
    }

    /// Colour for standard output.
    pub fn paint(&self) -> Paint {
        Paint(self.color(io::stdout().is_terminal()))
    }

    /// What standard output is written to.
    pub fn screen(&self) -> Screen {
        Screen {
            columns: terminal_columns(io::stdout()),
            paint: self.paint(),
        }
    }

    /// Standard output for an answer: what people read is folded at the width of
    /// a terminal.
    pub fn out(&self, format: Format) -> Folded<StdoutLock<'static>> {
        let columns = match format {
            Format::Text => terminal_columns(io::stdout()),
            Format::Json => None,
        };
        Folded::new(io::stdout().lock(), columns)
    }

    /// How findings are drawn on standard error.
    pub fn look(&self) -> Look {
        Look {
            colour: self.color(io::stderr().is_terminal()),
            width: terminal_columns(io::stderr()).unwrap_or(Look::default().width),
        }
    }
}

impl Command {
    /// Carries the command out.
    ///
    /// # Errors
    ///
    /// Where it can't be.
    pub fn run(self, context: &Context) -> Result<Exit, Error> {
        match self {
            Command::Run(args) => commands::run::run(args, context),
            Command::List(args) => commands::list::run(args, context),
            Command::Ready(args) => commands::blocked::ready(args, context),
            Command::Blocked(args) => commands::blocked::blocked(args, context),
            Command::Next(args) => commands::next::next(args, context),
            Command::Show(args) => commands::show::show(args, context),
            Command::Why(args) => commands::why::why(args, context),
            Command::Graph(args) => commands::graph::run(args, context),
            Command::Complete(args) => commands::complete::complete(args, context),
            Command::Reopen(args) => commands::complete::reopen(args, context),
            Command::New(args) => commands::require::new(args, context),
            Command::Require(args) => commands::require::require(args, context),
            Command::Unrequire(args) => commands::require::unrequire(args, context),
            Command::Runner(args) => commands::runner::run(args, context),
            Command::Verify(args) => commands::verify::run(args, context),
            Command::Init(args) => commands::init::run(args, context),
            Command::Explain(args) => commands::explain::run(args, context),
            Command::Schema(args) => commands::schema::run(args, context),
            Command::Man(args) => commands::man::run(args, context),
            Command::Completions(args) => commands::completions::run(args, context),
            Command::Check(args) => commands::check::run(args, context),
            Command::Plan(args) => commands::plan::run(args, context),
            Command::Log(args) => commands::log::run(args, context),
            Command::Shell(args) => commands::shell::run(args, context),
            Command::Audit(args) => commands::audit::run(args, context),
            Command::Artifact(args) => commands::artifact::run(args, context),
            Command::Affected(args) => commands::affected::run(&args, context),
            Command::Ci(args) => commands::ci::run(args, context),
            Command::Lock(args) => commands::lock::run(args, context),
            Command::Doctor(args) => commands::doctor::run(args, context),
            Command::Cache(args) => commands::cache::run(args, context),
            Command::Store(args) => commands::store::run_here(&args, context),
        }
    }

    /// Whether the answer, and so an error too, is to be JSON.
    fn is_json(&self) -> bool {
        let format = match self {
            Command::Run(args) => args.format,
            Command::List(args) => args.format,
            Command::Ready(args) => args.format,
            Command::Blocked(args) => args.format,
            Command::Next(args) => args.format,
            Command::Show(args) => args.format,
            Command::Why(args) => args.format,
            Command::Graph(args) => match args.format {
                GraphFormat::Json => Format::Json,
                _ => Format::Text,
            },
            Command::Verify(args) => match args.format {
                VerifyFormat::Json => Format::Json,
                VerifyFormat::Text | VerifyFormat::Junit => Format::Text,
            },
            Command::Complete(_)
            | Command::Reopen(_)
            | Command::New(_)
            | Command::Require(_)
            | Command::Unrequire(_)
            | Command::Runner(_)
            | Command::Init(_)
            | Command::Explain(_)
            | Command::Schema(_)
            | Command::Man(_)
            | Command::Completions(_) => Format::Text,
            Command::Check(args) => match args.format {
                CheckFormat::Json => Format::Json,
                CheckFormat::Text | CheckFormat::Github => Format::Text,
            },
            Command::Plan(args) => args.format,
            Command::Affected(args) => args.format,
            Command::Ci(args) => match &args.command {
                CiCommand::Matrix(args) => args.format,
                _ => Format::Text,
            },
            Command::Doctor(args) => args.format,
            Command::Audit(args) => args.format,
            Command::Cache(args) => args.command.format(),
            Command::Store(args) => args.command.format(),
            Command::Log(_) | Command::Shell(_) | Command::Artifact(_) | Command::Lock(_) => {
                Format::Text
            }
        };
        format == Format::Json
    }
}

/// How many columns a terminal has; `None` where it is none.
pub(crate) fn terminal_columns(stream: impl IsTerminal + AsFd) -> Option<usize> {
    if !stream.is_terminal() {
        return None;
    }
    let size = rustix::termios::tcgetwinsize(stream);
    // Some terminals do not know their size and say 0.
    let own = size.map_or(0, |size| usize::from(size.ws_col));
    let told = std::env::var("COLUMNS").ok();
    let told = told.and_then(|text| text.parse().ok()).unwrap_or(0);
    [own, told]
        .into_iter()
        .find(|columns| *columns > 0)
        .or(Some(80))
}

/// Reads the command line, carries it out, and tells of an error.
pub fn main(arguments: impl Iterator<Item = OsString>) -> u8 {
    if commands::completions::answer() {
        return Exit::Done as u8;
    }
    let arguments: Vec<OsString> = arguments.collect();
    let wanted = match Wanted::of(&arguments) {
        Ok(wanted) => wanted,
        Err(error) => return tell(&error, wants_json(&arguments), None),
    };
    if wanted.table || wanted.log {
        timings::begin(wanted.log.then_some(report::timings::tell));
    }
    let exit = answer(&arguments);
    if wanted.table {
        commands::timed::tell(wanted.file, &arguments);
    }
    exit
}

fn wants_json(arguments: &[OsString]) -> bool {
    arguments.iter().any(|word| word == "--format=json")
        || arguments
            .windows(2)
            .any(|words| words[0] == "--format" && words[1] == "json")
}

/// Carries the words of a command line out.
fn answer(arguments: &[OsString]) -> u8 {
    if answered::give_again(arguments) {
        return Exit::Done as u8;
    }
    let partial = match again::look(arguments) {
        Some(again::Look::Told(exit)) => return exit,
        Some(again::Look::Partial(partial)) => Some(partial),
        None => None,
    };
    let phase = timings::phase("read words");
    let mut command = commands::help::command();
    let parsed = command.try_get_matches_from_mut(arguments);
    let parsed = parsed.and_then(|mut matches| Cli::from_arg_matches_mut(&mut matches));
    let cli = match parsed.map_err(|error| error.format(&mut command)) {
        Ok(cli) => cli,
        Err(error) if wants_json(arguments) && error.use_stderr() => {
            let text = error.to_string();
            let (message, help) = text.split_once("\n\n").unwrap_or((&text, ""));
            let message = message.trim_start_matches("error: ").trim();
            return tell(&Error::usage(message, help.trim()), true, None);
        }
        Err(error) => {
            // A closed pipe is no error of ours.
            drop(error.print());
            return match error.use_stderr() {
                true => Exit::Usage as u8,
                false => Exit::Done as u8,
            };
        }
    };
    drop(phase);
    let user = UserEnvironment::current();
    let command = cli.command.unwrap_or_else(default_command);
    let json = command.is_json();
    let context = match Context::new(cli.global, user) {
        Ok(context) => Context { partial, ..context },
        Err(error) => return tell(&error, json, None),
    };
    match command.run(&context) {
        Ok(exit) => exit as u8,
        Err(error) => tell(&error, json, Some(&context)),
    }
}

fn default_command() -> Command {
    Command::List(commands::list::ListArgs::default())
}

/// Tells of an error; returns its exit code.
fn tell(error: &Error, json: bool, context: Option<&Context>) -> u8 {
    if let Error::Disk { source, .. } = error
        && source.kind() == io::ErrorKind::BrokenPipe
    {
        return Exit::Done as u8;
    }
    let told = match json {
        true => tell_json(error),
        false => tell_text(error, context),
    };
    // Nobody listens: then nobody is told.
    drop(told);
    error.exit() as u8
}

fn tell_json(error: &Error) -> io::Result<()> {
    let answer = serde_json::to_string(&crate::answer::Fault::from(error))?;
    writeln!(io::stdout(), "{answer}")
}

fn tell_text(error: &Error, context: Option<&Context>) -> io::Result<()> {
    let mut err = Folded::new(io::stderr().lock(), terminal_columns(io::stderr()));
    let look = context.map(Context::look).unwrap_or_default();
    let paint = Paint(look.colour);
    if let Error::Findings(findings) = error {
        for finding in findings {
            writeln!(err, "{}", crate::diagnostic::render(finding, look))?;
        }
    }
    let error_word = paint.with(severity_style(Severity::Error), "error");
    writeln!(err, "{error_word}: {error}")?;
    if !error.help().is_empty() {
        writeln!(
            err,
            "{}: {}",
            paint.with(Style::new().bold(), "help"),
            error.help()
        )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn arguments_of_commands_and_of_all_commands_have_different_names() {
        // clap finds out only when such a command is called.
        let cli = Cli::command();
        cli.clone().debug_assert();
        let globals: Vec<_> = cli
            .get_arguments()
            .map(|arg| arg.get_id().clone())
            .collect();
        let mut pending: Vec<_> = cli.get_subcommands().collect();
        while let Some(command) = pending.pop() {
            pending.extend(command.get_subcommands());
            for argument in command.get_arguments() {
                let id = argument.get_id();
                assert!(!globals.contains(id), "`{id}` of {}", command.get_name());
            }
        }
    }
}
