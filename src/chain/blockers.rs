//! What blocks a card and is no ready card.
//!
//! A blocked card has leaves below it, or something that no run can change: a
//! file that can't be read, an entry that names no card, a cycle. Those are
//! told in words, since a plan that only says "blocked" helps nobody.

use std::collections::BTreeSet;

use super::{Chain, State};
use crate::card::Stem;
use crate::words;

impl Chain {
    /// What blocks `stem`, itself or further down, and is no ready card: one
    /// line each, in a stable order; empty unless it is blocked.
    pub fn faults_below(&self, stem: &Stem) -> Vec<String> {
        // Most chains have no such thing: then nothing is looked through.
        if !self.above_faults().contains(stem) {
            return Vec::new();
        }
        let mut seen = BTreeSet::new();
        let mut pending = vec![stem.clone()];
        while let Some(next) = pending.pop() {
            if seen.insert(next.clone()) {
                pending.extend(self.blocked_by(&next));
            }
        }
        let mut lines = Vec::new();
        for below in &seen {
            match self.state(below) {
                State::Unreadable => lines.push(format!(
                    "`{below}` can't be read, or several files have this stem"
                )),
                State::Blocked => {
                    let unknown = self.unknown(below).iter();
                    lines.extend(
                        unknown.map(|text| {
                            format!("`{below}` requires `{text}`, which names no card")
                        }),
                    );
                }
                State::Complete | State::Ready => {}
            }
        }
        let knot: Vec<&Stem> = seen.intersection(&self.cyclic).collect();
        if !knot.is_empty() {
            lines.push(format!(
                "a cycle through {}; `mikado check` shows its edges",
                words::list(&knot)
            ));
        }
        lines
    }

    /// The blocked cards that have such a fault at them or below.
    fn above_faults(&self) -> &BTreeSet<Stem> {
        self.above_faults.get_or_init(|| {
            let is_fault = |stem: &&Stem| match self.state(stem) {
                State::Unreadable => true,
                State::Blocked => !self.unknown(stem).is_empty() || self.cyclic.contains(*stem),
                State::Complete | State::Ready => false,
            };
            let faults = self.nodes.keys().filter(is_fault);
            let mut pending: Vec<Stem> = faults.cloned().collect();
            let mut above: BTreeSet<Stem> = pending.iter().cloned().collect();
            while let Some(stem) = pending.pop() {
                for dependent in self.dependents(&stem) {
                    if self.state(&dependent) == State::Blocked && above.insert(dependent.clone()) {
                        pending.push(dependent);
                    }
                }
            }
            above
        })
    }
}
