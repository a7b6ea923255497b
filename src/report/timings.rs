//! The times of a command's phases, for people: a line for each as it happens, or
//! a table of phases and one of cards at the end.
//!
//! Both are Markdown on standard error: what the command itself answers stays as
//! it is. The cards are those that took longest.

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::time::Duration;

use crate::card::Stem;
use crate::timings::{CARD, Taken, WAIT};
use crate::words;

/// How many cards the table has.
const CARDS: usize = 20;

/// Tells of a phase that is over.
pub(crate) fn tell(phase: &Taken) {
    let card = phase.card.as_ref().map_or("", Stem::as_str);
    let line = format!(
        "mikado: {:>10} ms  {:>10} ms  {:>7}  {} {card}",
        ms(phase.at + phase.took),
        ms(phase.took),
        phase.count,
        phase.name
    );
    // Nobody listens: then nobody is told.
    drop(writeln!(io::stderr(), "{}", line.trim_end()));
}

/// The tables of all phases of a command that took `all`.
pub(crate) fn tables(all: Duration, phases: &[Taken]) -> String {
    let mut text = of_phases(all, phases);
    let mut cards: BTreeMap<&Stem, Times> = BTreeMap::new();
    for phase in phases {
        if let Some(card) = &phase.card {
            cards.entry(card).or_default().add(phase);
        }
    }
    // What was only described has no time of its own.
    let mut cards: Vec<(&Stem, Times)> = cards.into_iter().collect();
    cards.retain(|(_, times)| !times.total.is_zero());
    if !cards.is_empty() {
        cards.sort_by_key(|(_, times)| std::cmp::Reverse(times.total));
        text.push('\n');
        text.push_str(&of_cards(&cards));
    }
    text
}

fn of_phases(all: Duration, phases: &[Taken]) -> String {
    // In the order in which they began first.
    let mut begun: Vec<&Taken> = phases.iter().filter(|phase| phase.name != WAIT).collect();
    begun.sort_by_key(|phase| phase.at);
    let mut rows: Vec<(&str, usize, Duration, Duration)> = Vec::new();
    for phase in begun {
        match rows.iter_mut().find(|(name, ..)| *name == phase.name) {
            Some((_, count, total, longest)) => {
                *count += phase.count;
                *total += phase.took;
                *longest = phase.took.max(*longest);
            }
            None => rows.push((phase.name, phase.count, phase.took, phase.took)),
        }
    }
    let mut lines = vec![["phase", "count", "total ms", "longest ms"].map(str::to_owned)];
    lines.extend(rows.into_iter().map(|(name, count, total, longest)| {
        [name.to_owned(), count.to_string(), ms(total), ms(longest)]
    }));
    lines.push(["**all**".to_owned(), String::new(), ms(all), String::new()]);
    table(&lines)
}

/// The times of one card.
#[derive(Default)]
struct Times {
    wait: Duration,
    look_up: Duration,
    stage: Duration,
    execute: Duration,
    store: Duration,
    total: Duration,
}

impl Times {
    fn add(&mut self, phase: &Taken) {
        let time = match phase.name {
            WAIT => &mut self.wait,
            "describe" | "look up" => &mut self.look_up,
            "stage" => &mut self.stage,
            "execute" => &mut self.execute,
            "take in" | "record" => &mut self.store,
            CARD => &mut self.total,
            _ => return,
        };
        *time += phase.took;
    }
}

fn of_cards(cards: &[(&Stem, Times)]) -> String {
    let head = [
        "card",
        "wait ms",
        "look up ms",
        "stage ms",
        "execute ms",
        "store ms",
        "total ms",
    ];
    let mut lines = vec![head.map(str::to_owned)];
    lines.extend(cards.iter().take(CARDS).map(|(card, times)| {
        [
            card.to_string(),
            ms(times.wait),
            ms(times.look_up),
            ms(times.stage),
            ms(times.execute),
            ms(times.store),
            ms(times.total),
        ]
    }));
    let mut text = table(&lines);
    if let Some(more @ 1..) = cards.len().checked_sub(CARDS) {
        let more = words::count(more, "further card");
        text.push_str(&format!("\n{more} took less\n"));
    }
    text
}

/// A table of Markdown whose columns also stand below each other as text.
fn table<const N: usize>(lines: &[[String; N]]) -> String {
    let width = |column: usize| {
        let cells = lines.iter().map(|line| line[column].chars().count());
        cells.max().unwrap_or(0).max(4)
    };
    let widths: [usize; N] = std::array::from_fn(width);
    let mut text = String::new();
    for (number, line) in lines.iter().enumerate() {
        for (column, (cell, width)) in line.iter().zip(widths).enumerate() {
            text.push_str("| ");
            text.push_str(&match column {
                0 => format!("{cell:<width$} "),
                _ => format!("{cell:>width$} "),
            });
        }
        text.push_str("|\n");
        if number == 0 {
            for (column, width) in widths.into_iter().enumerate() {
                text.push_str(&match column {
                    0 => format!("| {} ", "-".repeat(width)),
                    _ => format!("| {}: ", "-".repeat(width - 1)),
                });
            }
            text.push_str("|\n");
        }
    }
    text
}

fn ms(time: Duration) -> String {
    format!("{:.2}", time.as_secs_f64() * 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_stand_in_their_order_and_cards_by_their_time() {
        let phases = [
            Taken::of_ms("execute", Some("a"), 2, 5),
            Taken::of_ms(CARD, Some("a"), 1, 7),
            Taken::of_ms("execute", Some("b"), 2, 8),
            Taken::of_ms(CARD, Some("b"), 1, 9),
            Taken::of_ms(WAIT, Some("b"), 0, 1),
            Taken::of_ms("read cards", None, 0, 1),
        ];
        let expected = "\
| phase      | count | total ms | longest ms |
| ---------- | ----: | -------: | ---------: |
| read cards |     1 |     1.00 |       1.00 |
| card       |     2 |    16.00 |       9.00 |
| execute    |     2 |    13.00 |       8.00 |
| **all**    |       |    12.00 |            |

| card | wait ms | look up ms | stage ms | execute ms | store ms | total ms |
| ---- | ------: | ---------: | -------: | ---------: | -------: | -------: |
| b    |    1.00 |       0.00 |     0.00 |       8.00 |     0.00 |     9.00 |
| a    |    0.00 |       0.00 |     0.00 |       5.00 |     0.00 |     7.00 |
";
        assert_eq!(tables(Duration::from_millis(12), &phases), expected);
    }
}
