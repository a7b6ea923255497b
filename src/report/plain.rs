//! Plain lines: one for each thing that happened, and the end in full.

use std::ffi::OsStr;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use anstyle::{AnsiColor, Style};

use crate::card::Stem;
use crate::diagnostic::Paint;
use crate::event::{Event, Failure, How, Outcome, Wait, WaitKind};
use crate::remote::{CacheCounts, ExecutorCounts};
use crate::runner::units::{show_duration, show_size};
use crate::words::{count, list};

use super::{Blocked, Report, Summary, without_controls, write_block};

/// How many reasons are shown in a line.
const REASONS: usize = 3;

/// How many bytes of lines are written at once.
const AT_ONCE: usize = 64 * 1024;

/// Writes plain lines.
pub struct PlainReport {
    out: Box<dyn Write>,
    paint: Paint,
    /// Whether starts are told of; a terminal shows what runs by itself.
    starts: bool,
    /// Whether all reasons are told, one a line.
    explain: bool,
}

impl PlainReport {
    /// A report to `out`.
    pub fn new(out: Box<dyn Write>, paint: Paint, starts: bool, explain: bool) -> PlainReport {
        PlainReport {
            out,
            paint,
            starts,
            explain,
        }
    }

    fn line(&mut self, verb: &str, color: AnsiColor, rest: &str) -> io::Result<()> {
        let style = Style::new().bold().fg_color(Some(color.into()));
        let verb = self.paint.with(style, &format!("{verb:>9}"));
        writeln!(self.out, "{verb} {rest}")
    }

    fn heading(&mut self, color: AnsiColor, word: &str, rest: &str) -> io::Result<()> {
        let style = Style::new().bold().fg_color(Some(color.into()));
        let word = self.paint.with(style, word);
        writeln!(self.out, "{word}{rest}")
    }

    fn finished(&mut self, card: &Stem, outcome: &Outcome) -> io::Result<()> {
        match outcome {
            Outcome::Passed { how, took, .. } => match how {
                How::Built => {
                    let rest = format!("{card} in {}", show_duration(*took));
                    self.line("Built", AnsiColor::Green, &rest)
                }
                How::Ran => {
                    let rest = format!("{card} in {}", show_duration(*took));
                    self.line("Ran", AnsiColor::Green, &rest)
                }
                How::Repeated => {
                    let rest = format!("{card}, executed twice in {}", show_duration(*took));
                    self.line("Same", AnsiColor::Green, &rest)
                }
                How::Fresh => self.line("Fresh", AnsiColor::Green, card.as_str()),
                How::Restored => self.line("Restored", AnsiColor::Green, card.as_str()),
                How::Held => self.line("Holds", AnsiColor::Green, card.as_str()),
                How::PassedOver => self.line("Complete", AnsiColor::Green, card.as_str()),
            },
            // What happened is told of at the end, where it is not overlooked.
            Outcome::Failed(_) => self.line("Failed", AnsiColor::Red, card.as_str()),
            Outcome::Waits(_) => self.line("Waits", AnsiColor::Magenta, card.as_str()),
            Outcome::NotStarted { .. } => Ok(()),
        }
    }

    fn started(&mut self, card: &Stem, reasons: &[String]) -> io::Result<()> {
        if self.explain {
            self.line("Running", AnsiColor::Cyan, card.as_str())?;
            for reason in reasons {
                writeln!(self.out, "{:>9} {reason}", "")?;
            }
            return Ok(());
        }
        let shown = reasons.iter().take(REASONS).cloned().collect::<Vec<_>>();
        let more = match reasons.len().saturating_sub(REASONS) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let why = match shown.is_empty() {
            true => String::new(),
            false => format!(" ({}{more})", shown.join(", ")),
        };
        self.line("Running", AnsiColor::Cyan, &format!("{card}{why}"))
    }

    fn wait(&mut self, card: &Stem, wait: &Wait, blocks: &[Stem]) -> io::Result<()> {
        let (word, color) = match wait.kind {
            WaitKind::Stuck => ("stuck", AnsiColor::Red),
            _ => ("waiting", AnsiColor::Magenta),
        };
        self.heading(color, word, &format!(": {card}: {}", wait.message))?;
        for line in &wait.lines {
            match wait.kind {
                WaitKind::Probe => writeln!(self.out, "  | {line}")?,
                WaitKind::Hand | WaitKind::Confirm | WaitKind::Stuck => {
                    writeln!(self.out, "  {line}")?;
                }
            }
        }
        for (number, step) in wait.steps.iter().enumerate() {
            writeln!(self.out, "  {}. {step}", number + 1)?;
        }
        match wait.kind {
            WaitKind::Hand => writeln!(self.out, "  when it is done: mikado complete {card}")?,
            WaitKind::Probe => writeln!(self.out, "  when it is true: mikado run {card}")?,
            WaitKind::Confirm | WaitKind::Stuck => {}
        }
        if !blocks.is_empty() {
            writeln!(self.out, "  it blocks {}", list(blocks))?;
        }
        Ok(())
    }

    fn failure(&mut self, card: &Stem, failure: &Failure, summary: &Summary) -> io::Result<()> {
        self.heading(
            AnsiColor::Red,
            "error",
            &format!(": {card}: {}", failure.message),
        )?;
        for line in &failure.tail {
            writeln!(self.out, "  | {line}")?;
        }
        if let Some(log) = &failure.log {
            let log = log.strip_prefix(&summary.root).unwrap_or(log);
            writeln!(self.out, "  log: {}", log.display())?;
        }
        if !failure.help.is_empty() {
            writeln!(self.out, "  help: {}", failure.help)?;
        }
        if let Some(command) = summary.shells.get(card) {
            writeln!(self.out, "  shell: {command}")?;
        }
        match &summary.again {
            Some(command) => writeln!(self.out, "  try again: {command}"),
            None => writeln!(self.out, "  try again: mikado run {card}"),
        }
    }
}

impl Report for PlainReport {
    fn fresh(&mut self, cards: &mut dyn Iterator<Item = (&OsStr, bool)>) -> io::Result<()> {
        let style = Style::new().bold().fg_color(Some(AnsiColor::Green.into()));
        let [built, other] = ["Fresh", "Complete"].map(|verb| {
            let verb = self.paint.with(style, &format!("{verb:>9}"));
            format!("{verb} ").into_bytes()
        });
        let mut lines = Vec::new();
        for (stem, is_build) in cards {
            lines.extend(if is_build { &built } else { &other });
            lines.extend(stem.as_bytes());
            lines.push(b'\n');
            if lines.len() > AT_ONCE {
                self.out.write_all(&lines)?;
                lines.clear();
            }
        }
        self.out.write_all(&lines)
    }

    fn event(&mut self, event: &Event) -> io::Result<()> {
        match event {
            Event::Noted { message } => self.line("Note", AnsiColor::Cyan, message),
            Event::ToolProvisioning { tool } => {
                self.line("Fetching", AnsiColor::Cyan, &format!("tool {tool}"))
            }
            Event::CardStarted { card, reasons, .. } if self.starts || self.explain => {
                let reasons: Vec<_> = reasons.iter().map(ToString::to_string).collect();
                self.started(card, &reasons)
            }
            Event::CardAwaited { card, holder } => self.line(
                "Awaiting",
                AnsiColor::Cyan,
                &format!("{card}: {holder} is at it"),
            ),
            Event::CardFinished { card, outcome } => self.finished(card, outcome),
            Event::LogReplayed { card, output, .. } => {
                let text = without_controls(&String::from_utf8_lossy(output));
                let mut lines = text.lines();
                lines.try_for_each(|line| writeln!(self.out, "{card} | {line}"))
            }
            Event::RunStarted { .. }
            | Event::CardStarted { .. }
            | Event::PartStarted { .. }
            | Event::CardMarked { .. }
            | Event::CheckShown { .. }
            | Event::RunFinished { .. } => Ok(()),
        }
    }

    fn finish(&mut self, summary: &Summary) -> io::Result<()> {
        for (card, why) in &summary.not_cached {
            self.heading(
                AnsiColor::Yellow,
                "warning",
                &format!(": {card} is not recorded: {why}"),
            )?;
        }
        for (card, wait, blocks) in &summary.waits {
            self.wait(card, wait, blocks)?;
        }
        let is_interrupted = summary.exit > 128;
        let lacking = |blocked: &&Blocked| !blocked.lacks.is_empty() && !is_interrupted;
        for blocked in summary.blocked.iter().filter(lacking) {
            let rest = format!(": {} lacks {}", blocked.card, list(&blocked.lacks));
            self.heading(AnsiColor::Magenta, "blocked", &rest)?;
        }
        for (card, failure) in &summary.failures {
            self.failure(card, failure, summary)?;
        }
        if !summary.rebuilt_complete.is_empty() {
            let rest = format!(
                ": {} complete already, and built again",
                list(&summary.rebuilt_complete)
            );
            let verb = if summary.rebuilt_complete.len() == 1 {
                " was"
            } else {
                " were"
            };
            let rest = rest.replacen(" complete", &format!("{verb} complete"), 1);
            self.heading(AnsiColor::Cyan, "note", &rest)?;
        }
        for card in &summary.passed_unmarked {
            writeln!(
                self.out,
                "{card}: passed; mark with: mikado complete {card}"
            )?;
        }
        for (name, described) in &summary.sources {
            writeln!(self.out, "source {name}: {described}")?;
        }
        if is_interrupted {
            self.heading(
                AnsiColor::Yellow,
                "interrupted",
                ": nothing is left running",
            )?;
        }
        let mut parts = Vec::new();
        let mut part = |number: usize, words: &str| {
            if number > 0 {
                parts.push(format!("{number} {words}"));
            }
        };
        part(summary.executed, "executed");
        part(summary.fresh, "up to date");
        part(summary.failures.len(), "failed");
        part(summary.waits.len(), "waiting");
        let stopped = match is_interrupted {
            true => "not finished",
            false => "not started",
        };
        part(summary.blocked.len(), stopped);
        part(summary.marked, "marked complete");
        let cards = summary.executed
            + summary.fresh
            + summary.failures.len()
            + summary.waits.len()
            + summary.blocked.len();
        writeln!(
            self.out,
            "{}: {} in {}",
            count(cards, "card"),
            parts.join(", "),
            show_duration(summary.took)
        )?;
        if let Some(cache) = &summary.cache {
            writeln!(self.out, "{}", cache_line(cache))?;
        }
        if let Some(executor) = &summary.executor {
            writeln!(self.out, "{}", executor_line(executor))?;
        }
        for (card, check, output) in &summary.shown {
            writeln!(self.out, "\n{card}: {check}")?;
            write_block(&mut self.out, output)?;
        }
        self.out.flush()
    }
}

/// What was done with the server that executes.
fn executor_line(executor: &ExecutorCounts) -> String {
    let mut parts = vec![format!("{} executed", executor.executed)];
    let mut part = |number: u64, words: &str| {
        if number > 0 {
            parts.push(format!("{number} {words}"));
        }
    };
    part(executor.found, "found");
    part(executor.failed, "failed");
    part(executor.here, "executed here instead");
    part(executor.repeated, "repeated");
    format!(
        "executor: {}; {} up, {} down",
        parts.join(", "),
        show_size(executor.bytes_up),
        show_size(executor.bytes_down)
    )
}

/// What was done with the shared cache.
fn cache_line(cache: &CacheCounts) -> String {
    let mut parts = vec![format!(
        "{} of {} found",
        cache.found,
        count(cache.asked as usize, "action")
    )];
    let mut part = |number: u64, words: String| {
        if number > 0 {
            parts.push(format!("{number} {words}"));
        }
    };
    part(
        cache.fetched,
        format!("fetched ({})", show_size(cache.bytes_down)),
    );
    part(
        cache.uploaded,
        format!("uploaded ({})", show_size(cache.bytes_up)),
    );
    part(cache.skipped, "not uploaded".into());
    part(cache.failed, "failed".into());
    let waited = show_duration(Duration::from_millis(cache.busy));
    format!("cache: {}, in {waited}", parts.join(", "))
}
