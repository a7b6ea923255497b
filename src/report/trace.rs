//! The times of a command's phases as a trace of Chrome's, which chrome://tracing
//! and Perfetto open: a JSON array of complete events, in microseconds.
//!
//! Each job has a lane, in which cards stand one after the other with their parts
//! below them. What belongs to no card has lanes of its own, as many as it takes
//! so that what overlaps lies in different ones: viewers draw an event below the
//! one that it lies in. The format is the "Trace Event Format" of the Chromium
//! project.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use serde_json::{Value, json};

use crate::card::Stem;
use crate::timings::{CARD, Taken, WAIT};

/// Writes the trace.
///
/// # Errors
///
/// Where it can't be written.
pub(crate) fn write(out: &mut dyn io::Write, phases: &[Taken]) -> io::Result<()> {
    let mut separator = "[\n";
    for event in events(phases) {
        write!(out, "{separator}{event}")?;
        separator = ",\n";
    }
    writeln!(out, "\n]")
}

/// All events: the names first.
fn events(phases: &[Taken]) -> Vec<Value> {
    let mut sorted: Vec<&Taken> = phases.iter().filter(|phase| phase.name != WAIT).collect();
    // What began together: the longer one holds the other.
    sorted.sort_by_key(|phase| (phase.at, std::cmp::Reverse(phase.took)));
    let mut jobs = Lanes::default();
    // The last one that began is the one that a part belongs to.
    let mut jobs_of: BTreeMap<&Stem, usize> = BTreeMap::new();
    let mut others = Lanes::default();
    let mut placed: Vec<(Lane, &Taken)> = Vec::new();
    for phase in sorted {
        let of_card = phase.card.as_ref();
        let lane = match of_card {
            Some(card) if phase.name == CARD => {
                let lane = jobs.free(phase);
                jobs_of.insert(card, lane);
                Lane::Job(lane)
            }
            _ => match of_card.and_then(|card| jobs_of.get(card)) {
                Some(lane) => Lane::Job(*lane),
                None => Lane::Other(others.around(phase)),
            },
        };
        placed.push((lane, phase));
    }
    let pid = std::process::id();
    // Lanes stand in the order of their numbers: first those of no job.
    let first = others.0.len();
    let number = |lane: Lane| match lane {
        Lane::Other(at) => at,
        Lane::Job(at) => first + at,
    };
    let name = |tid: usize| match tid.checked_sub(first) {
        Some(job) => format!("job {}", job + 1),
        None if tid == 0 => "mikado".to_owned(),
        None => format!("mikado, beside it {tid}"),
    };
    let named = json!({"name": "process_name", "ph": "M", "pid": pid, "tid": 0, "args": {"name": "mikado"}});
    let mut events = vec![named];
    for tid in 0..first + jobs.0.len() {
        let named = json!({"name": "thread_name", "ph": "M", "pid": pid, "tid": tid, "args": {"name": name(tid)}});
        let sorted = json!({"name": "thread_sort_index", "ph": "M", "pid": pid, "tid": tid, "args": {"sort_index": tid}});
        events.extend([named, sorted]);
    }
    events.extend(placed.into_iter().map(|(lane, phase)| {
        let shown = match &phase.card {
            Some(card) if phase.name == CARD => card.as_str(),
            _ => phase.name,
        };
        json!({
            "name": shown, "cat": phase.name, "ph": "X", "pid": pid, "tid": number(lane),
            "ts": us(phase.at), "dur": us(phase.took),
            "args": {"card": phase.card, "count": phase.count},
        })
    }));
    events
}

#[derive(Clone, Copy)]
enum Lane {
    Job(usize),
    Other(usize),
}

/// Lanes, each with the ends of what goes on in it, the outermost first.
#[derive(Default)]
struct Lanes(Vec<Vec<Duration>>);

impl Lanes {
    /// A lane in which nothing goes on when `phase` begins.
    fn free(&mut self, phase: &Taken) -> usize {
        self.place(phase, |open| open.is_none())
    }

    /// A lane in which nothing goes on, or what does goes on for longer.
    fn around(&mut self, phase: &Taken) -> usize {
        let end = phase.at + phase.took;
        self.place(phase, |open| open.is_none_or(|open| *open >= end))
    }

    fn place(&mut self, phase: &Taken, fits: impl Fn(Option<&Duration>) -> bool) -> usize {
        for lane in &mut self.0 {
            while lane.last().is_some_and(|end| *end <= phase.at) {
                lane.pop();
            }
        }
        let found = self.0.iter().position(|lane| fits(lane.last()));
        let at = found.unwrap_or_else(|| {
            self.0.push(Vec::new());
            self.0.len() - 1
        });
        self.0[at].push(phase.at + phase.took);
        at
    }
}

/// Microseconds, to the nanosecond.
fn us(time: Duration) -> f64 {
    time.as_nanos() as f64 / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cards_that_overlap_lie_in_different_lanes_and_parts_with_their_card() {
        let phases = [
            Taken::of_ms("run", None, 0, 100),
            Taken::of_ms("flush", None, 90, 20),
            Taken::of_ms(CARD, Some("a"), 1, 50),
            Taken::of_ms("execute", Some("a"), 10, 20),
            Taken::of_ms(CARD, Some("b"), 2, 10),
            Taken::of_ms("execute", Some("b"), 3, 5),
            Taken::of_ms(CARD, Some("c"), 12, 5),
        ];
        let lanes: Vec<(String, u64)> = events(&phases)
            .iter()
            .filter(|event| event["ph"] == "X")
            .map(|event| {
                let name = event["name"].as_str().unwrap_or_default().to_owned();
                (name, event["tid"].as_u64().unwrap_or(99))
            })
            .collect();
        let expected = [
            ("run", 0),
            ("a", 2),
            ("b", 3),
            ("execute", 3),
            ("execute", 2),
            ("c", 3),
            ("flush", 1),
        ];
        assert_eq!(lanes, expected.map(|(name, lane)| (name.to_owned(), lane)));
    }
}
