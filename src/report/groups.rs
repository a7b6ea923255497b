//! Plain lines with the output of each card in a group, as CI systems fold it.
//!
//! A card's output is shown when the card ends, so that those of cards that run
//! at once do not mix. Until then it is in the card's log, on the disk: nothing
//! is lost if the job is killed.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::card::Stem;
use crate::event::{Event, Outcome};

use super::github::{self, Level};
use super::{PlainReport, Report, Summary, gitlab, write_block};

/// How much of a card's output is shown.
const SHOWN: u64 = 4 << 20;

/// Whose log it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Log {
    /// GitHub's or Forgejo's.
    Github,
    /// GitLab's.
    Gitlab,
}

/// Writes plain lines and groups.
pub struct GroupReport {
    plain: PlainReport,
    out: Box<dyn Write>,
    log: Log,
    logs: BTreeMap<Stem, PathBuf>,
}

impl GroupReport {
    /// A report to `out`, to which `plain` writes as well.
    pub fn new(plain: PlainReport, out: Box<dyn Write>, log: Log) -> GroupReport {
        GroupReport {
            plain,
            out,
            log,
            logs: BTreeMap::new(),
        }
    }

    /// Shows the output of a card that was executed.
    fn output(&mut self, card: &Stem, path: &Path) -> io::Result<()> {
        let Ok((bytes, left_out)) = tail(path) else {
            // It is not there where nothing was printed.
            return Ok(());
        };
        if bytes.is_empty() {
            return Ok(());
        }
        let name = format!("output of {card}");
        let (begin, end) = match self.log {
            Log::Github => github::group(&name),
            Log::Gitlab => gitlab::group(&name, jiff::Timestamp::now().as_second()),
        };
        self.out.write_all(begin.as_bytes())?;
        if left_out > 0 {
            writeln!(
                self.out,
                "({left_out} bytes before this are in {})",
                path.display()
            )?;
        }
        write_block(&mut self.out, &bytes)?;
        self.out.write_all(end.as_bytes())
    }
}

/// The end of a file, and how much comes before.
fn tail(path: &Path) -> io::Result<(Vec<u8>, u64)> {
    let mut file = File::open(path)?;
    let left_out = file.metadata()?.len().saturating_sub(SHOWN);
    file.seek(SeekFrom::Start(left_out))?;
    let mut bytes = Vec::new();
    file.take(SHOWN).read_to_end(&mut bytes)?;
    Ok((bytes, left_out))
}

impl Report for GroupReport {
    fn event(&mut self, event: &Event) -> io::Result<()> {
        match event {
            Event::CardStarted { card, log, .. } => {
                self.logs.insert(card.clone(), log.clone());
            }
            Event::CardFinished { card, outcome } => {
                let ended = !matches!(outcome, Outcome::NotStarted { .. });
                if let Some(log) = self.logs.remove(card).filter(|_| ended) {
                    self.output(card, &log)?;
                }
            }
            _ => {}
        }
        self.plain.event(event)
    }

    fn finish(&mut self, summary: &Summary) -> io::Result<()> {
        if self.log == Log::Github {
            for row in &summary.rows {
                if let Outcome::Failed(failure) = &row.outcome {
                    let place = Some((row.path.as_path(), row.line, None));
                    let message = match failure.help.is_empty() {
                        true => failure.message.clone(),
                        false => format!("{}\n{}", failure.message, failure.help),
                    };
                    let title = Some(row.card.as_str());
                    let line = github::annotation(Level::Error, place, title, &message);
                    writeln!(self.out, "{line}")?;
                }
            }
        }
        // What programs printed is shown here as well.
        let (begin, end) = match self.log {
            Log::Github => github::quiet(),
            Log::Gitlab => Default::default(),
        };
        self.out.write_all(begin.as_bytes())?;
        self.plain.finish(summary)?;
        self.out.write_all(end.as_bytes())
    }
}
