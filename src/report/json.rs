//! `run --format json`: one object a line.
//!
//! Each has `schemaVersion`, `event`, `card` (null where it speaks of none) and
//! `time` (milliseconds since the run began); the last is `runFinished`.

use std::io::{self, Write};
use std::time::Instant;

use serde_json::{Value, json};

use crate::event::{Event, How, Outcome, WaitKind};

use super::{Report, Summary};

/// The version of every JSON output.
pub const SCHEMA_VERSION: u32 = 1;

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

    fn write(&mut self, event: &str, card: Option<&str>, rest: Value) -> io::Result<()> {
        let mut object = serde_json::Map::new();
        object.insert("schemaVersion".into(), SCHEMA_VERSION.into());
        object.insert("event".into(), event.into());
        object.insert("card".into(), card.into());
        let time = self.began.elapsed().as_millis() as u64;
        object.insert("time".into(), time.into());
        if let Value::Object(rest) = rest {
            object.extend(rest);
        }
        serde_json::to_writer(&mut self.out, &object)?;
        writeln!(self.out)?;
        self.out.flush()
    }
}

/// How a card ended, as an object.
fn outcome_json(outcome: &Outcome) -> Value {
    match outcome {
        Outcome::Passed {
            how,
            artifact,
            took,
            was_complete,
            not_cached,
        } => json!({
            "outcome": "passed",
            "how": match how {
                How::Built => "built",
                How::Fresh => "fresh",
                How::Restored => "restored",
                How::Ran => "ran",
                How::Held => "held",
                How::PassedOver => "passedOver",
            },
            "artifact": artifact,
            "took": took.as_millis() as u64,
            "wasComplete": was_complete,
            "notCached": not_cached,
        }),
        Outcome::Failed(failure) => json!({
            "outcome": "failed",
            "code": failure.code,
            "message": failure.message,
            "help": failure.help,
            "exit": failure.exit,
            "log": failure.log,
            "tail": failure.tail,
        }),
        Outcome::Waits(wait) => json!({
            "outcome": "waits",
            "code": wait_code(wait.kind),
            "message": wait.message,
            "lines": wait.lines,
            "steps": wait.steps,
            "log": wait.log,
        }),
        Outcome::NotStarted { lacks } => json!({"outcome": "notStarted", "lacks": lacks}),
    }
}

/// The word for a kind of waiting.
pub(crate) fn wait_code(kind: WaitKind) -> &'static str {
    match kind {
        WaitKind::Hand => "hand",
        WaitKind::Probe => "probe",
        WaitKind::Confirm => "confirm",
        WaitKind::Stuck => "stuck",
    }
}

impl Report for JsonReport {
    fn event(&mut self, event: &Event) -> io::Result<()> {
        match event {
            Event::RunStarted { cards, jobs } => {
                self.write("runStarted", None, json!({"cards": cards, "jobs": jobs}))
            }
            Event::Noted { message } => self.write("noted", None, json!({"message": message})),
            Event::ToolProvisioning { tool } => {
                self.write("toolProvisioning", None, json!({"tool": tool}))
            }
            Event::CardStarted {
                card,
                reasons,
                expected,
                log,
            } => {
                let text: Vec<String> = reasons.iter().map(ToString::to_string).collect();
                let rest = json!({
                    "reasons": text,
                    "expected": expected.map(|d| d.as_millis() as u64),
                    "log": log,
                });
                self.write("cardStarted", Some(card.as_str()), rest)
            }
            Event::CardAwaited { card, holder } => self.write(
                "cardAwaited",
                Some(card.as_str()),
                json!({"holder": holder}),
            ),
            Event::PartStarted { card, part } => {
                self.write("partStarted", Some(card.as_str()), json!({"part": part}))
            }
            Event::CardFinished { card, outcome } => {
                self.write("cardFinished", Some(card.as_str()), outcome_json(outcome))
            }
            Event::CardMarked { card } => self.write("cardMarked", Some(card.as_str()), json!({})),
            Event::CheckShown {
                card,
                check,
                output,
            } => {
                let output = String::from_utf8_lossy(output);
                let rest = json!({"check": check, "output": output});
                self.write("checkShown", Some(card.as_str()), rest)
            }
            Event::RunFinished { exit, took } => {
                let rest = json!({"exit": exit, "took": took.as_millis() as u64});
                self.write("runFinished", None, rest)
            }
        }
    }

    fn finish(&mut self, summary: &Summary) -> io::Result<()> {
        self.event(&Event::RunFinished {
            exit: summary.exit,
            took: summary.took,
        })
    }
}
