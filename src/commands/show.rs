//! `mikado show`.

use std::io::{self, StdoutLock, Write};
use std::time::Duration;

use clap::Args;

use crate::answer::{ArtifactObject, LastRun, SCHEMA_VERSION, Shown};
use crate::card::{Card, Stem};
use crate::cli::{Context, Format};
use crate::columns::{Screen, columns};
use crate::error::{Error, Exit};
use crate::report::folded::Folded;
use crate::report::page;
use crate::runner::definition::Kind;
use crate::runner::units::{show_duration, show_size};
use crate::words::count;

use super::freshness::Freshness;
use super::list::no_status;
use super::selection::{Selection, SelectionArgs};
use super::view::View;
use super::{done, write_json};

/// Show a card: its text as written, and what is known of it
#[derive(Clone, Debug, Args)]
pub struct ShowArgs {
    /// Which card: a stem, an alias or the beginning of a stem
    #[arg(value_name = "CARD")]
    pub card: String,
    /// The text alone, byte for byte
    #[arg(long)]
    pub text: bool,
    /// Its Markdown laid out for a terminal instead of as written
    #[arg(long, conflicts_with_all = ["text", "format"])]
    pub render: bool,
    /// The cards of its chain in order, instead
    #[arg(long, conflicts_with_all = ["text", "render"])]
    pub chain: bool,
    /// How to print it
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub format: Format,
}

/// Carries `show` out.
///
/// # Errors
///
/// Where there is no such card, or the output can't be written.
pub fn show(args: ShowArgs, context: &Context) -> Result<Exit, Error> {
    let selection = Selection::read(&SelectionArgs::default(), context)?;
    let stem = selection.find(&args.card)?;
    let card = selection.deck.files(stem.as_str()).into_iter().next();
    let card = card.ok_or_else(|| Error::Bug(format!("no card `{stem}`")))?;
    let written = if args.text {
        io::stdout().write_all(card.source.bytes())
    } else if args.chain {
        chain(
            &mut context.out(Format::Text),
            &stem,
            &selection,
            context.screen(),
        )
    } else {
        let freshness = Freshness::of(&stem, &selection)?;
        let artifact = freshness.artifact(&stem)?;
        let view = View::new(&selection);
        match args.format {
            Format::Json => {
                let states = |stems: &[Stem]| {
                    let states = stems.iter().map(|stem| (stem.clone(), view.state(stem)));
                    states.collect()
                };
                let answer = Shown {
                    schema_version: SCHEMA_VERSION,
                    card: view.card_object(card),
                    text: String::from_utf8_lossy(card.source.bytes()).into_owned(),
                    requires: states(selection.chain.requires(&stem)),
                    required_by: states(&selection.chain.dependents(&stem)),
                    parameters: freshness.parameters(),
                    artifact,
                    freshness: freshness.answer(),
                };
                write_json(&mut io::stdout(), &answer)
            }
            Format::Text => {
                let screen = context.screen();
                let head = head(
                    card,
                    &view,
                    &selection,
                    &freshness,
                    artifact.as_ref(),
                    screen,
                );
                let out = &mut context.out(Format::Text);
                out.write_all(head.as_bytes())
                    .and_then(|()| body(out, card, args.render, screen))
                    .and_then(|()| end(out, card))
            }
        }
    };
    done(written)
}

/// The cards of a chain in order.
fn chain(
    out: &mut dyn Write,
    stem: &Stem,
    selection: &Selection,
    screen: Screen,
) -> io::Result<()> {
    let view = View::new(selection);
    let chain = &selection.chain;
    let order = chain.order(&chain.closure(std::slice::from_ref(stem)));
    order.iter().try_for_each(|stem| {
        let word = format!("{:<10}", view.state(stem).word());
        let word = screen.paint.with(view.style(stem), &word);
        let title = screen.rest(&view.title(stem), 13 + columns(stem.as_str()));
        writeln!(out, "{}", format!("{word} {stem}  {title}").trim_end())
    })
}

/// What is known of a card, before its text.
fn head(
    card: &Card,
    view: &View<'_>,
    selection: &Selection,
    freshness: &Freshness,
    artifact: Option<&ArtifactObject>,
    screen: Screen,
) -> String {
    let (chain, stem) = (&selection.chain, &card.stem);
    let kind = view.kind_of(stem).map_or("faulty", Kind::word);
    let word = screen.paint.with(view.style(stem), view.state(stem).word());
    let mut text = format!("{stem}: {word}, {kind}\n");
    let mut line = |name: &str, value: String| {
        if !value.is_empty() {
            let value = screen.wrapped(&value, 16, 16);
            text.push_str(&format!("  {name:<13} {value}\n"));
        }
    };
    line("path", card.path().display().to_string());
    if let Some(stuck) = view.stuck(stem) {
        line("stuck", stuck.message);
    }
    if let Some(waits) = view.waits(stem) {
        line("waits", waits.message);
    }
    line("requires", with_states(view, chain.requires(stem)));
    line("required by", with_states(view, &chain.dependents(stem)));
    if let Some(work) = view.work_of(stem) {
        let summary = work.definition.summary.clone().unwrap_or_default();
        let runner = work.runner.clone().unwrap_or_default();
        line("runner", format!("{runner} {summary}").trim().to_owned());
    }
    for (name, value) in freshness.parameters() {
        line("with", format!("{name}: {value}"));
    }
    if let Some(artifact) = artifact {
        line("artifact", artifact_line(artifact));
    }
    line("freshness", freshness.line());
    if let Some(run) = view.last_run_object(stem) {
        line("last run", run_line(&run));
    }
    text.push('\n');
    text
}

/// The card's text: byte for byte, or laid out.
fn body(
    out: &mut Folded<StdoutLock<'_>>,
    card: &Card,
    render: bool,
    screen: Screen,
) -> io::Result<()> {
    let bytes = card.source.bytes();
    if !render {
        return out.raw(bytes);
    }
    let text = String::from_utf8_lossy(bytes.get(card.body_start..).unwrap_or_default());
    // Longer lines are hard to read, however wide the terminal is.
    let width = screen.columns.unwrap_or(80).min(100);
    out.raw(page::render(&text, width, screen.paint).as_bytes())
}

/// What follows the text: why it counts as complete, where nothing says so.
fn end(out: &mut dyn Write, card: &Card) -> io::Result<()> {
    if card.status().is_some() || card.front.runner.is_none() {
        return Ok(());
    }
    let bytes = card.source.bytes();
    if !bytes.is_empty() && !bytes.ends_with(b"\n") {
        writeln!(out)?;
    }
    writeln!(out, "{}", no_status(card))
}

/// Digest, size, when it was made and how long that took.
pub(crate) fn artifact_line(artifact: &ArtifactObject) -> String {
    let mut parts = vec![artifact.digest.short().to_string()];
    if let (Some(bytes), Some(files)) = (artifact.bytes, artifact.files) {
        parts.push(show_size(bytes));
        parts.push(count(files as usize, "file"));
    }
    if let Some(made) = &artifact.made_by {
        let took = show_duration(Duration::from_millis(made.took));
        parts.push(format!("made {} in {took}", made.at));
    }
    if artifact.path.is_none() {
        parts.push("no longer in the store".to_owned());
    }
    parts.join(", ")
}

fn run_line(run: &LastRun) -> String {
    let took = show_duration(Duration::from_millis(run.took));
    let how = match (&run.failed, &run.forced, run.hit) {
        (Some(failed), ..) => format!("failed: {failed}"),
        (None, Some(reason), _) => format!("marked by hand: {reason}"),
        (None, None, true) => "found in the store".to_owned(),
        (None, None, false) => format!("passed in {took}"),
    };
    let log = run.log.as_ref();
    let log = log.map_or(String::new(), |log| format!("; log: {}", log.display()));
    format!("{}, {how}{log}", run.at)
}

fn with_states(view: &View<'_>, stems: &[Stem]) -> String {
    let one = |stem: &Stem| format!("{stem} ({})", view.state(stem).word());
    stems.iter().map(one).collect::<Vec<_>>().join(", ")
}
