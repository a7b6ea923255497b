//! `mikado run`.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use clap::Args;

use crate::card::edit::{self, Completion};
use crate::card::{Card, PlanState, Source, Stem};
use crate::cli::{Context, Format, terminal_columns};
use crate::engine::{Engine, Mark, Marked, Options, store_error};
use crate::error::{Error, Exit};
use crate::event::{Event, Outcome};
use crate::parallel;
use crate::plan::PlannedCard;
use crate::process::GRACE;
use crate::remote::{Download, ExecutorGiven};
use crate::report::folded::Folded;
use crate::report::{GroupReport, JsonReport, PlainReport, ProgressReport, Report, Summary};
use crate::runner::definition::Kind;
use crate::store::Limits;
use crate::timings;
use crate::workspace::Workspace;

use super::again::Partial;
use super::remember::Ended;
use super::reproduce;
use super::run_ci;
use super::selection::{Selection, SelectionArgs};

/// Run a card with all that it requires
///
/// Every build of the chain is brought up to date, open or complete; commands
/// and probes run while their cards are open; what is to be done by hand is
/// listed at the end. A card that passed is marked complete.
#[derive(Clone, Debug, Args)]
pub struct RunArgs {
    /// What to run, and with what
    #[command(flatten)]
    pub selection: SelectionArgs,
    /// Run at most N jobs at once [default: the number of processors]
    #[arg(short, long, value_name = "N")]
    pub jobs: Option<usize>,
    /// After a failure, go on with all that does not depend on it
    #[arg(short, long)]
    pub keep_going: bool,
    /// Execute the cards named here although they are up to date
    #[arg(short, long)]
    pub force: bool,
    /// Mark no card complete
    #[arg(long)]
    pub no_mark: bool,
    /// Use empty caches, such as that of the Go compiler
    #[arg(long)]
    pub no_caches: bool,
    /// Execute the builds CARD twice, in two places and with empty caches, and
    /// show the first difference; nothing of them is recorded
    #[arg(
        long,
        requires = "CARD",
        conflicts_with_all = ["all", "force"]
    )]
    pub check_deterministic: bool,
    /// Print what was printed when a result that is found was made
    #[arg(long)]
    pub replay: bool,
    /// Say of each card that is executed every reason
    #[arg(long)]
    pub explain: bool,
    /// Answer the question of the command CARD with yes
    #[arg(long, value_name = "CARD")]
    pub yes: Vec<String>,
    /// Where builds are executed on other machines
    #[command(flatten)]
    pub executor: ExecutorArgs,
    /// How to print what happens
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub format: Format,
    /// Write a report to FILE as JUnit's XML, for CI
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
}

/// Where builds are executed on other machines.
#[derive(Clone, Debug, Default, Args)]
pub struct ExecutorArgs {
    /// Execute builds through the server at URL (also: MIKADO_EXECUTOR)
    #[arg(long, value_name = "URL")]
    pub executor: Option<String>,
    /// Execute at most N builds there at once [default: 50]
    #[arg(long, value_name = "N")]
    pub remote_jobs: Option<usize>,
    /// Which artifacts come back: all, goal or none [default: all]
    #[arg(long, value_name = "WHAT", hide_possible_values = true)]
    pub download: Option<Download>,
    /// Execute here what can't be executed there
    #[arg(long)]
    pub local_fallback: bool,
}

impl ExecutorArgs {
    /// The same, as the settings take it.
    pub(crate) fn given(&self) -> ExecutorGiven {
        ExecutorGiven {
            url: self.executor.clone(),
            jobs: self.remote_jobs,
            download: self.download,
            local_fallback: self.local_fallback,
        }
    }
}

/// Carries `run` out.
///
/// # Errors
///
/// Where the cards, the store or the disk are in the way.
pub fn run(args: RunArgs, context: &Context) -> Result<Exit, Error> {
    let began = Instant::now();
    let partial = context.partial.as_deref();
    let known = partial.and_then(|partial| Some((partial, partial.read(&args, context)?)));
    let (partial, (selection, plan, known)) = match known {
        Some((partial, known)) => (Some(partial), known),
        None => {
            let selection = Selection::read(&args.selection, context)?;
            let plan = selection.plan(&args.selection)?;
            (None, (selection, plan, BTreeMap::new()))
        }
    };
    let selection = Arc::new(selection);
    let is_no_build = |card: &&PlannedCard| card.asked && card.work.kind != Kind::Build;
    if args.check_deterministic
        && let Some(card) = plan.cards.iter().find(is_no_build)
    {
        let message = format!("`{}` is no build: it has no output to compare", card.stem);
        return Err(Error::usage(message, "name builds alone"));
    }
    let yes = args
        .yes
        .iter()
        .map(|name| selection.find(name))
        .collect::<Result<BTreeSet<Stem>, Error>>()?;
    let workspace = selection.workspace(&args.selection, false)?;
    let workspace = Arc::new(workspace.with_executor(&args.executor.given())?);
    let limits = selection.project.config.store.limits()?;
    let marks = !args.no_mark && selection.project.config.marks_on_run();
    let options = Options {
        jobs: args.jobs.unwrap_or_else(processors).max(1),
        keep_going: args.keep_going,
        force: args.force,
        mark: marks,
        no_caches: args.no_caches,
        yes,
        grace: GRACE,
        memory: memory(),
        twice: args.check_deterministic,
        replay: args.replay,
        given: match partial {
            Some(_) => known,
            None => run_ci::given(&plan, &selection, &args.selection, &workspace)?,
        },
        ..Options::default()
    };
    if workspace.store.is_writable() {
        let registered = workspace.store.register(&workspace.local);
        registered.map_err(|e| store_error(&e))?;
    }
    let mut report = report(&args, context);
    if let Some(partial) = partial {
        // A closed pipe ends the talk, not the work.
        drop(report.fresh(&mut partial.others()));
    }
    let mut marked = 0;
    let mut shown: Vec<_> = partial
        .into_iter()
        .flat_map(Partial::shown_of_others)
        .collect();
    let mut broken_pipe = false;
    let writer = edit::Writer::default();
    let marked_in = Arc::clone(&selection);
    // Asked once: all cards are looked at for it.
    let completion = selection.completion();
    let mark: Mark = Arc::new(move |stems| mark_all(&marked_in, &writer, completion, stems));
    let mut listener = |event: &Event| {
        match event {
            Event::CardMarked { .. } => marked += 1,
            Event::CheckShown {
                card,
                check,
                output,
            } => shown.push((card.clone(), check.clone(), output.clone())),
            _ => {}
        }
        // A closed pipe ends the talk, not the work.
        broken_pipe |= report.event(event).is_err();
    };
    let ran = Engine::run(Arc::clone(&workspace), &plan, options, &mark, &mut listener)?;
    let mut summary = Summary {
        exit: ran.exit as u8,
        took: began.elapsed(),
        marked,
        shown,
        again: reproduce::run_again(&args.selection, &context.global, args.check_deterministic),
        shells: reproduce::shells(
            &plan,
            &ran.outcomes,
            &selection,
            &args.selection,
            &context.global,
        ),
        root: selection.project.root.clone(),
        sources: workspace
            .sources_read()
            .into_iter()
            .filter(|(name, _)| selection.is_overridden(name))
            .collect(),
        rows: run_ci::rows(&plan, &ran.outcomes, &selection),
        cache: workspace.cache.as_ref().and_then(|cache| cache.counts()),
        executor: workspace.executor.as_ref().and_then(|e| e.counts()),
        ..Summary::default()
    };
    for (card, outcome) in plan.cards.iter().zip(&ran.outcomes) {
        let blocks = match outcome {
            Outcome::Waits(_) => plan.dependents_of(&card.stem),
            _ => Vec::new(),
        };
        summary.add(&card.stem, outcome, marks, blocks);
    }
    summary.fresh += partial.map_or(0, Partial::count_of_others);
    drop(report.finish(&summary));
    let ended = Ended {
        args: &args,
        context,
        selection: &selection,
        workspace: &workspace,
        plan: &plan,
        outcomes: &ran.outcomes,
        summary: &summary,
        partial,
        folders_stand: OnceCell::new(),
    };
    let phase = timings::phase("remember run");
    ended.remember();
    drop(phase);
    run_ci::leave(&mut summary, args.junit.as_deref(), &selection, context)?;
    tidy(&workspace, &limits);
    Ok(ran.exit)
}

/// How often a card is read again that somebody writes at the same moment.
const MARK_ATTEMPTS: usize = 5;

/// How many threads mark cards: each waits for the disk, which serves them together.
const MARK_THREADS: usize = 8;

/// Marks cards, and waits for the disk once a folder.
fn mark_all(
    selection: &Selection,
    writer: &edit::Writer,
    completion: Completion,
    stems: &[Stem],
) -> Result<Vec<Marked>, Error> {
    let each = |stem: &Stem| mark(selection, writer, completion, stem);
    let marked = parallel::each(stems, MARK_THREADS, each);
    // Also of those that came before one that failed.
    writer.flush()?;
    marked
}

/// Marks a card as it is now: a run is long, and people edit cards meanwhile.
/// Prose may have changed; what was run may not.
fn mark(
    selection: &Selection,
    writer: &edit::Writer,
    completion: Completion,
    stem: &Stem,
) -> Result<Marked, Error> {
    let root = &selection.project.root;
    let Some(before) = selection.deck.card(stem) else {
        return Err(Error::Bug(format!("no card `{stem}` to mark")));
    };
    let mut refused = String::new();
    for _ in 0..MARK_ATTEMPTS {
        let path = root.join(before.path());
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) => return Ok(Marked::Refused(format!("its file is gone: {error}"))),
        };
        let card = Card::read(stem.clone(), Source::new(before.path().to_owned(), bytes));
        match card.plan {
            PlanState::Complete => return Ok(Marked::Before),
            PlanState::Unreadable => {
                return Ok(Marked::Refused("its file can't be read any more".into()));
            }
            PlanState::Open => {}
        }
        if !before.asks_for_the_same(&card) {
            let why = "its runner, parameters or prerequisites were changed while it ran";
            return Ok(Marked::Refused(why.into()));
        }
        match writer.complete(root, &card, completion) {
            Ok(true) => return Ok(Marked::Now),
            Ok(false) => return Ok(Marked::Before),
            Err(error @ Error::Usage { .. }) => refused = error.to_string(),
            Err(error) => return Err(error),
        }
    }
    Ok(Marked::Refused(refused))
}

/// Keeps the store within its bounds. What fails here is tried again after the
/// next run, and is no failure of this one.
fn tidy(workspace: &Workspace, limits: &Limits) {
    if !workspace.store.is_writable() {
        return;
    }
    let kept = || workspace.store.kept_by_work_trees();
    let _phase = timings::phase("tidy");
    drop(workspace.store.collect_if_due(limits, kept));
}

fn report(args: &RunArgs, context: &Context) -> Box<dyn Report> {
    let columns = match args.format {
        Format::Json => None,
        Format::Text => terminal_columns(io::stdout()),
    };
    let out = Box::new(Folded::new(io::stdout(), columns));
    if args.format == Format::Json {
        return Box::new(JsonReport::new(out));
    }
    let live = io::stderr().is_terminal() && io::stdout().is_terminal() && !context.is_set("CI");
    let plain = PlainReport::new(out, context.paint(), !live, args.explain);
    match run_ci::log(context) {
        Some(log) => Box::new(GroupReport::new(plain, Box::new(io::stdout()), log)),
        None if live => Box::new(ProgressReport::new(plain)),
        None => Box::new(plain),
    }
}

/// How many jobs run at once, unless it is said.
pub(crate) fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// The memory that cards may ask for together: what the machine has, less an
/// eighth for everything else.
#[cfg(target_os = "linux")]
pub(crate) fn memory() -> u64 {
    let info = rustix::system::sysinfo();
    let total = info.totalram as u64 * u64::from(info.mem_unit.max(1));
    total - total / 8
}

/// Where the machine does not say, cards are held back by `--jobs` alone.
#[cfg(not(target_os = "linux"))]
pub(crate) fn memory() -> u64 {
    u64::MAX
}
