//! What a run would take on more machines: the schedule of a real run, driven by
//! recorded durations instead of processes.
//!
//! A worker executes one card at a time. Pure.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::schedule::{Ended, Limits, Number, Schedule, Weight};

/// Doubling the workers pays as long as it saves so much of the time.
const WORTH: f64 = 0.05;

/// A run to be simulated.
#[derive(Debug)]
pub struct Run<'a> {
    /// For each card those that come before it, free of cycles.
    pub prerequisites: &'a [Vec<Number>],
    /// How long each card holds a worker, in milliseconds.
    pub costs_ms: &'a [u64],
    /// The group of which only one card runs at once, by its number.
    pub groups: &'a [Option<usize>],
}

/// What a number of workers makes of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outcome {
    /// How many workers there are.
    pub workers: usize,
    /// From the first start to the last end, in milliseconds.
    pub took_ms: u64,
    /// The share of the workers' time in which they execute, from 0 to 1.
    pub busy: f64,
}

impl Run<'_> {
    /// How long `workers` take.
    pub fn with(&self, workers: usize) -> Outcome {
        let workers = workers.max(1);
        let weight = |group: &Option<usize>| Weight {
            group: *group,
            ..Weight::default()
        };
        let limits = Limits {
            jobs: workers,
            remote_jobs: workers,
            memory: u64::MAX,
            keep_going: false,
        };
        let costs = self.costs_ms;
        let weights = self.groups.iter().map(weight).collect();
        let mut schedule = Schedule::new(self.prerequisites, costs, weights, limits);
        let mut running: BinaryHeap<Reverse<(u64, Number)>> = BinaryHeap::new();
        let mut now = 0;
        loop {
            while let Some(card) = schedule.start() {
                running.push(Reverse((now + costs[card], card)));
            }
            let Some(Reverse((end, card))) = running.pop() else {
                break;
            };
            now = end;
            schedule.finish(card, Ended::Satisfied);
        }
        let work: u64 = costs.iter().sum();
        let offered = now as f64 * workers as f64;
        Outcome {
            workers,
            took_ms: now,
            busy: match offered > 0.0 {
                true => work as f64 / offered,
                false => 0.0,
            },
        }
    }

    /// What 1, 2, 4 and so on up to `most` workers take, `most` among them.
    pub fn up_to(&self, most: usize) -> Vec<Outcome> {
        let most = most.max(1);
        let powers = std::iter::successors(Some(1_usize), |n| n.checked_mul(2));
        let powers = powers.take_while(|n| *n < most);
        powers.chain([most]).map(|n| self.with(n)).collect()
    }

    /// The longest way through the cards, from its first to its last; no number of
    /// workers takes less. Of equal ways the one with the smallest numbers.
    pub fn critical_path(&self) -> Vec<Number> {
        let mut ends: Vec<u64> = vec![0; self.costs_ms.len()];
        let mut from: Vec<Option<Number>> = vec![None; self.costs_ms.len()];
        for card in order(self.prerequisites) {
            let before = self.prerequisites[card].iter();
            let last = before.max_by_key(|before| (ends[**before], Reverse(**before)));
            from[card] = last.copied();
            ends[card] = self.costs_ms[card] + last.map_or(0, |before| ends[*before]);
        }
        let last = (0..ends.len()).max_by_key(|card| (ends[*card], Reverse(*card)));
        let mut path: Vec<Number> = std::iter::successors(last, |card| from[*card]).collect();
        path.reverse();
        path
    }
}

/// The number of workers beyond which more stop paying: the next step saves less
/// than a twentieth of the time. `None` where the last step still pays.
pub fn enough(outcomes: &[Outcome]) -> Option<usize> {
    let pays = |pair: &&[Outcome]| {
        let (before, after) = (pair[0].took_ms as f64, pair[1].took_ms as f64);
        before - after < before * WORTH
    };
    let first = outcomes.windows(2).find(pays)?;
    Some(first[0].workers)
}

/// The cards in topological order.
fn order(prerequisites: &[Vec<Number>]) -> Vec<Number> {
    let mut open: Vec<usize> = prerequisites.iter().map(Vec::len).collect();
    let mut dependents = vec![Vec::new(); prerequisites.len()];
    for (card, before) in prerequisites.iter().enumerate() {
        for before in before {
            dependents[*before].push(card);
        }
    }
    let mut order: Vec<Number> = (0..open.len()).filter(|card| open[*card] == 0).collect();
    let mut at = 0;
    while let Some(card) = order.get(at).copied() {
        at += 1;
        for dependent in &dependents[card] {
            open[*dependent] -= 1;
            if open[*dependent] == 0 {
                order.push(*dependent);
            }
        }
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn run<'a>(
        prerequisites: &'a [Vec<Number>],
        costs_ms: &'a [u64],
        groups: &'a [Option<usize>],
    ) -> Run<'a> {
        Run {
            prerequisites,
            costs_ms,
            groups,
        }
    }

    #[test]
    fn a_diamond_takes_its_longer_arm_with_two_workers_and_all_of_it_with_one() {
        let before = [vec![], vec![0], vec![0], vec![1, 2]];
        let run = run(&before, &[10, 20, 30, 5], &[None; 4]);
        assert_eq!(run.with(1).took_ms, 65);
        assert_eq!(run.with(2).took_ms, 45);
        assert_eq!(run.critical_path(), [0, 2, 3]);
        assert_eq!(enough(&run.up_to(8)), Some(2));
        assert_eq!(enough(&run.up_to(2)), None);
    }

    #[test]
    fn a_group_runs_one_by_one() {
        let before = [vec![], vec![]];
        assert_eq!(
            run(&before, &[10, 10], &[Some(0), Some(0)]).with(2).took_ms,
            20
        );
        assert_eq!(run(&before, &[10, 10], &[None; 2]).with(2).took_ms, 10);
    }

    #[test]
    fn no_card_takes_no_time() {
        let run = run(&[], &[], &[]);
        assert_eq!(run.with(4).took_ms, 0);
        assert_eq!(run.critical_path(), [0_usize; 0]);
    }

    fn graphs() -> impl Strategy<Value = (Vec<Vec<Number>>, Vec<u64>)> {
        let card = (proptest::collection::vec(0_usize..64, 0..4), 0_u64..100);
        proptest::collection::vec(card, 1..30).prop_map(|cards| {
            let numbered = cards.into_iter().enumerate();
            numbered
                .map(|(n, (draws, cost))| {
                    let mut before: Vec<Number> = draws
                        .into_iter()
                        .filter(|_| n > 0)
                        .map(|d| d % n.max(1))
                        .collect();
                    before.sort_unstable();
                    before.dedup();
                    (before, cost)
                })
                .unzip()
        })
    }

    proptest! {
        /// Graham's bounds of list scheduling: no run is shorter than its longest
        /// path or its work shared out, and none is longer than both together.
        #[test]
        fn times_lie_between_the_bounds_of_list_scheduling(
            (before, durations) in graphs(),
            workers in 1_usize..6,
        ) {
            let groups = vec![None; before.len()];
            let run = run(&before, &durations, &groups);
            let path: u64 = run.critical_path().iter().map(|card| durations[*card]).sum();
            let work: u64 = durations.iter().sum();
            let took = run.with(workers).took_ms;
            let share = work.div_ceil(workers as u64);
            prop_assert!(took >= path.max(share), "{} < {} or {}", took, path, share);
            prop_assert!(took <= path + share, "{} > {} + {}", took, path, share);
            prop_assert_eq!(run.with(1).took_ms, work);
            prop_assert_eq!(run.with(before.len()).took_ms, path);
        }
    }
}
