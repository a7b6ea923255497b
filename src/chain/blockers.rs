//! What blocks a card and is no ready card.
//!
//! A blocked card has leaves below it, or something that no run can change: a
//! file that can't be read, an entry that names no card, a cycle. Those are
//! told in words, since a plan that only says "blocked" helps nobody.

use super::{Chain, State};
use crate::card::Stem;
use crate::words;

/// So many cards of a cycle are named; `check` shows all its edges.
const FEW: usize = 8;

impl Chain {
    /// What blocks `stem`, itself or further down, and is no ready card: one
    /// line each, in a stable order; empty unless it is blocked.
    pub fn faults_below(&self, stem: &Stem) -> Vec<String> {
        let is_at_fault = |stem: &Stem| match self.state(stem) {
            State::Unreadable => true,
            State::Blocked => {
                !self.unknown(stem).is_empty()
                    || self.cyclic.contains(stem)
                    || self.requires(stem).contains(stem)
            }
            State::Complete | State::Ready => false,
        };
        let faults = self.faults.get_or_init(|| self.below(is_at_fault));
        let mut lines = Vec::new();
        let mut knot = Vec::new();
        for below in self.stems_below(stem, faults) {
            if self.state(&below) == State::Unreadable {
                lines.push(format!(
                    "`{below}`, which can't be read or is the stem of several files"
                ));
            }
            if self.requires(&below).contains(&below) {
                lines.push(format!("`{below}`, which requires itself"));
            }
            lines.extend(
                self.unknown_because
                    .get(&below)
                    .into_iter()
                    .flatten()
                    .cloned(),
            );
            if self.cyclic.contains(&below) {
                knot.push(below);
            }
        }
        if !knot.is_empty() {
            let more = knot.len().saturating_sub(FEW);
            knot.truncate(FEW);
            let more = match more {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            lines.push(format!(
                "a cycle through {}{more}; `mikado check` shows its edges",
                words::list(&knot)
            ));
        }
        lines
    }
}
