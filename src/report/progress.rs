//! Progress on a terminal: a line for each running card, and a bar for all.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::card::Stem;
use crate::event::Event;
use crate::runner::units::show_duration;

use super::{PlainReport, Report, Summary};

/// How often the times in the lines move on.
const TICK: Duration = Duration::from_millis(200);

/// Shows what runs, above what happened.
pub struct ProgressReport {
    lines: PlainReport,
    all: MultiProgress,
    total: Option<ProgressBar>,
    running: BTreeMap<Stem, (ProgressBar, Option<Duration>)>,
}

impl ProgressReport {
    /// A report that writes what happened through `lines`.
    pub fn new(lines: PlainReport) -> ProgressReport {
        ProgressReport {
            lines,
            all: MultiProgress::new(),
            total: None,
            running: BTreeMap::new(),
        }
    }

    fn message(part: &str, expected: Option<Duration>) -> String {
        match expected {
            Some(expected) => format!("{part} (about {})", show_duration(expected)),
            None => part.to_owned(),
        }
    }
}

impl Report for ProgressReport {
    fn fresh(&mut self, cards: &mut dyn Iterator<Item = (&OsStr, bool)>) -> io::Result<()> {
        self.lines.fresh(cards)
    }

    fn event(&mut self, event: &Event) -> io::Result<()> {
        match event {
            Event::RunStarted { cards, .. } => {
                let bar = ProgressBar::new(*cards as u64);
                if let Ok(style) = ProgressStyle::with_template(
                    "{pos}/{len} cards {wide_bar} {elapsed} (ETA {eta})",
                ) {
                    bar.set_style(style);
                }
                let bar = self.all.add(bar);
                bar.enable_steady_tick(TICK);
                self.total = Some(bar);
            }
            Event::CardStarted { card, expected, .. } => {
                let bar = ProgressBar::new_spinner();
                if let Ok(style) =
                    ProgressStyle::with_template("{spinner} {prefix} {elapsed} {wide_msg}")
                {
                    bar.set_style(style);
                }
                let bar = match &self.total {
                    Some(total) => self.all.insert_before(total, bar),
                    None => self.all.add(bar),
                };
                bar.set_prefix(card.to_string());
                bar.set_message(Self::message("", *expected));
                bar.enable_steady_tick(TICK);
                self.running.insert(card.clone(), (bar, *expected));
            }
            Event::PartStarted { card, part } => {
                if let Some((bar, expected)) = self.running.get(card) {
                    bar.set_message(Self::message(part, *expected));
                }
            }
            Event::CardFinished { card, .. } => {
                if let Some((bar, _)) = self.running.remove(card) {
                    bar.finish_and_clear();
                }
                if let Some(total) = &self.total {
                    total.inc(1);
                }
            }
            _ => {}
        }
        let lines = &mut self.lines;
        self.all.suspend(|| lines.event(event))
    }

    fn finish(&mut self, summary: &Summary) -> io::Result<()> {
        if let Some(total) = self.total.take() {
            total.finish_and_clear();
        }
        self.lines.finish(summary)
    }
}
