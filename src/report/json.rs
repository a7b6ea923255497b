//! `run --format json`: one object a line, as [`RunLine`] says.

use std::io::{self, Write};
use std::time::Instant;

use crate::answer::RunLine;
use crate::event::Event;

use super::{Report, Summary};

/// Writes events as JSON lines.
pub struct JsonReport {
    out: Box<dyn Write>,
    began: Instant,
}

impl JsonReport {
    /// A report to `out`.
    pub fn new(out: Box<dyn Write>) -> JsonReport {
        JsonReport {
            out,
            began: Instant::now(),
        }
    }
}

impl Report for JsonReport {
    fn event(&mut self, event: &Event) -> io::Result<()> {
        let time = self.began.elapsed().as_millis() as u64;
        serde_json::to_writer(&mut self.out, &RunLine::new(event, time))?;
        writeln!(self.out)?;
        self.out.flush()
    }

    fn finish(&mut self, summary: &Summary) -> io::Result<()> {
        self.event(&Event::RunFinished {
            exit: summary.exit,
            took: summary.took,
            cache: summary.cache,
            executor: summary.executor,
        })
    }
}
