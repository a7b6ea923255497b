//! The schedule: which card starts next.
//!
//! A pure state machine over numbered cards. A card may start when each of its
//! prerequisites is satisfied; among those that may, the one with the longest
//! remaining path goes first, then the one with the smallest number, so that
//! two equal runs are equal. It knows nothing of time, processes or files: the
//! engine calls [`Schedule::start`] and [`Schedule::finish`].

use std::cmp::Reverse;
use std::collections::BTreeSet;

/// A card's number in its plan.
pub type Number = usize;

/// What a card asks of the machine while it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Weight {
    /// How many of the run's jobs it takes.
    pub jobs: usize,
    /// Bytes of memory.
    pub memory: u64,
    /// The group of which only one card runs at once, by its number.
    pub group: Option<usize>,
    /// Whether it runs on another machine: then it takes none of the jobs and of the
    /// memory of this one.
    pub elsewhere: bool,
}

impl Default for Weight {
    fn default() -> Self {
        Weight {
            jobs: 1,
            memory: 0,
            group: None,
            elsewhere: false,
        }
    }
}

/// How a card ended, as far as its dependents care.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Its dependents may start.
    Satisfied,
    /// It failed: its dependents can't start, and no new card does unless the
    /// run keeps going.
    Failed,
    /// It waits for something: its dependents can't start, others may.
    Waits,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Some prerequisites are not satisfied yet; how many.
    Waiting(usize),
    /// It may start.
    Ready,
    /// It may start, and is not to before it is released.
    Held,
    /// It was started.
    Running,
    /// It ended, or can't start any more.
    Over,
}

/// The limits of a run.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How many jobs run at once; at least 1.
    pub jobs: usize,
    /// How many cards run on other machines at once.
    pub remote_jobs: usize,
    /// Bytes of memory that the running cards may ask for together.
    pub memory: u64,
    /// Whether to go on after a failure.
    pub keep_going: bool,
}

/// Cards, those with the longest way before them first.
type Ready = BTreeSet<(Reverse<u64>, Number)>;

/// Which cards may start, run, or are over.
#[derive(Debug)]
pub struct Schedule {
    states: Vec<State>,
    dependents: Vec<Vec<Number>>,
    weights: Vec<Weight>,
    /// Those that may start here, and those that may on other machines: where one is
    /// full, only the others are looked through.
    ready: Ready,
    ready_elsewhere: Ready,
    /// Those that may start and take no time, here or elsewhere.
    ready_short: Ready,
    held: Ready,
    is_short: Vec<bool>,
    remaining: Vec<u64>,
    running_jobs: usize,
    running_memory: u64,
    running_groups: BTreeSet<usize>,
    /// Those that run here.
    running_cards: usize,
    running_elsewhere: usize,
    limits: Limits,
    stopped: bool,
}

impl Schedule {
    /// A schedule of cards numbered from 0, where `prerequisites[n]` are those
    /// of card `n`, `costs[n]` its expected duration in milliseconds and
    /// `weights[n]` what it takes.
    ///
    /// The prerequisites must be free of cycles: a card in a cycle would never
    /// start.
    pub fn new(
        prerequisites: &[Vec<Number>],
        costs: &[u64],
        weights: Vec<Weight>,
        limits: Limits,
    ) -> Schedule {
        let count = prerequisites.len();
        let mut dependents = vec![Vec::new(); count];
        let mut states = Vec::with_capacity(count);
        for (card, before) in prerequisites.iter().enumerate() {
            states.push(match before.len() {
                0 => State::Ready,
                waiting => State::Waiting(waiting),
            });
            for prerequisite in before {
                dependents[*prerequisite].push(card);
            }
        }
        let remaining = longest_paths(prerequisites, &dependents, costs);
        let (ready_elsewhere, ready) = (0..count)
            .filter(|card| states[*card] == State::Ready)
            .map(|card| (Reverse(remaining[card]), card))
            .partition(|(_, card): &(_, Number)| weights[*card].elsewhere);
        Schedule {
            states,
            dependents,
            weights,
            ready,
            ready_elsewhere,
            ready_short: Ready::new(),
            held: Ready::new(),
            is_short: vec![false; count],
            remaining,
            running_jobs: 0,
            running_memory: 0,
            running_groups: BTreeSet::new(),
            running_cards: 0,
            running_elsewhere: 0,
            limits,
            stopped: false,
        }
    }

    /// Starts the next card that may, if there is one and the limits allow it.
    ///
    /// A card larger than the limits runs alone here.
    pub fn start(&mut self) -> Option<Number> {
        // Each takes one job at least: then there is nothing to look for.
        let is_full = self.running_cards > 0 && self.running_jobs >= self.limits.jobs;
        let is_full_elsewhere = self.running_elsewhere >= self.limits.remote_jobs;
        if self.stopped || is_full && is_full_elsewhere {
            return None;
        }
        let is_free = |group: usize| !self.running_groups.contains(&group);
        let fits = |weight: Weight| {
            let has_room = self.running_jobs + weight.jobs <= self.limits.jobs
                && self.running_memory.saturating_add(weight.memory) <= self.limits.memory;
            let starts = match weight.elsewhere {
                true => !is_full_elsewhere,
                false => self.running_cards == 0 || has_room,
            };
            starts && weight.group.is_none_or(is_free)
        };
        let first = |ready: &Ready| {
            let mut ready = ready.iter();
            ready.find(|(_, card)| fits(self.weights[*card])).copied()
        };
        // Room for those that are held and go before it.
        let leaves_room = |entry: &(Reverse<u64>, Number)| {
            let weight = self.weights[entry.1];
            let before = self
                .held
                .range(..entry)
                .map(|(_, card)| self.weights[*card]);
            let before = before.filter(|held| held.elsewhere == weight.elsewhere);
            match weight.elsewhere {
                true => self.running_elsewhere + before.count() < self.limits.remote_jobs,
                false => match before.map(|held| held.jobs).sum() {
                    0 => true,
                    held => self.running_jobs + held + weight.jobs <= self.limits.jobs,
                },
            }
        };
        let long = |ready: &Ready, is_full: bool| match is_full {
            true => None,
            false => first(ready).filter(leaves_room),
        };
        let entries = [
            long(&self.ready, is_full),
            long(&self.ready_elsewhere, is_full_elsewhere),
            first(&self.ready_short),
        ];
        let entry = entries.into_iter().flatten().min()?;
        let card = entry.1;
        self.ready_of(card).remove(&entry);
        self.states[card] = State::Running;
        let weight = self.weights[card];
        match weight.elsewhere {
            true => self.running_elsewhere += 1,
            false => {
                self.running_cards += 1;
                self.running_jobs += weight.jobs;
                self.running_memory += weight.memory;
            }
        }
        self.running_groups.extend(weight.group);
        Some(card)
    }

    /// Takes the end of a running card; returns the cards that can't start any
    /// more because of it, in order.
    pub fn finish(&mut self, card: Number, ended: Ended) -> Vec<Number> {
        if self.states[card] != State::Running {
            return Vec::new();
        }
        self.states[card] = State::Over;
        let weight = self.weights[card];
        match weight.elsewhere {
            true => self.running_elsewhere -= 1,
            false => {
                self.running_cards -= 1;
                self.running_jobs -= weight.jobs;
                self.running_memory -= weight.memory;
            }
        }
        if let Some(group) = weight.group {
            self.running_groups.remove(&group);
        }
        if ended == Ended::Satisfied {
            for dependent in self.dependents[card].clone() {
                if let State::Waiting(count) = self.states[dependent] {
                    self.states[dependent] = match count {
                        1 => {
                            let entry = self.entry(dependent);
                            self.ready_of(dependent).insert(entry);
                            State::Ready
                        }
                        more => State::Waiting(more - 1),
                    };
                }
            }
            return Vec::new();
        }
        if ended == Ended::Failed && !self.limits.keep_going {
            self.stopped = true;
        }
        let mut lost = BTreeSet::new();
        let mut pending = self.dependents[card].clone();
        while let Some(next) = pending.pop() {
            if matches!(self.states[next], State::Waiting(_)) {
                self.states[next] = State::Over;
                lost.insert(next);
                pending.extend(&self.dependents[next]);
            }
        }
        lost.into_iter().collect()
    }

    /// A card's place among those that may start.
    fn entry(&self, card: Number) -> (Reverse<u64>, Number) {
        (Reverse(self.remaining[card]), card)
    }

    fn ready_of(&mut self, card: Number) -> &mut Ready {
        match (self.is_short[card], self.weights[card].elsewhere) {
            (true, _) => &mut self.ready_short,
            (false, true) => &mut self.ready_elsewhere,
            (false, false) => &mut self.ready,
        }
    }

    /// Keeps a card that may start from starting until it is released. Its room is
    /// kept for it, but for those that take no time.
    pub fn hold(&mut self, card: Number) {
        if self.states[card] == State::Ready {
            let entry = self.entry(card);
            self.ready_of(card).remove(&entry);
            self.held.insert(entry);
            self.states[card] = State::Held;
        }
    }

    /// Lets a card start that was held. `is_short` says that it takes no time.
    pub fn release(&mut self, card: Number, is_short: bool) {
        if self.states[card] == State::Held {
            let entry = self.entry(card);
            self.held.remove(&entry);
            self.is_short[card] = is_short;
            self.ready_of(card).insert(entry);
            self.states[card] = State::Ready;
        }
    }

    /// Whether a card is held that will start when it is released.
    pub fn holds(&self) -> bool {
        !self.held.is_empty() && !self.stopped
    }

    /// Whether nothing more starts.
    pub fn is_stopped(&self) -> bool {
        self.stopped
    }

    /// Starts nothing more.
    pub fn stop(&mut self) {
        self.stopped = true;
    }

    /// The cards that may start and for which the limits leave no room, the next
    /// first; without those that take no time.
    pub fn waiting(&self) -> impl Iterator<Item = Number> {
        let mut here = self.ready.iter().peekable();
        let mut elsewhere = self.ready_elsewhere.iter().peekable();
        std::iter::from_fn(move || {
            let next = match (here.peek(), elsewhere.peek()) {
                (Some(one), Some(other)) if other < one => elsewhere.next(),
                (Some(_), _) => here.next(),
                (None, _) => elsewhere.next(),
            };
            next.map(|(_, card)| *card)
        })
    }

    /// Whether a card was started, or can't be any more.
    pub fn was_started(&self, card: Number) -> bool {
        matches!(self.states[card], State::Running | State::Over)
    }

    /// How many cards are running.
    pub fn running(&self) -> usize {
        self.running_cards + self.running_elsewhere
    }

    /// Whether nothing runs and nothing more will start.
    pub fn is_over(&self) -> bool {
        let waits = [
            &self.ready,
            &self.ready_elsewhere,
            &self.ready_short,
            &self.held,
        ];
        self.running() == 0 && (self.stopped || waits.iter().all(|ready| ready.is_empty()))
    }
}

/// For each card its own cost and the longest way through its dependents.
fn longest_paths(
    prerequisites: &[Vec<Number>],
    dependents: &[Vec<Number>],
    costs: &[u64],
) -> Vec<u64> {
    let mut open: Vec<usize> = dependents.iter().map(Vec::len).collect();
    let mut remaining = costs.to_vec();
    let mut pending: Vec<Number> = (0..costs.len()).filter(|card| open[*card] == 0).collect();
    while let Some(card) = pending.pop() {
        for before in &prerequisites[card] {
            remaining[*before] = remaining[*before].max(costs[*before] + remaining[card]);
            open[*before] -= 1;
            if open[*before] == 0 {
                pending.push(*before);
            }
        }
    }
    remaining
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn limits(jobs: usize) -> Limits {
        Limits {
            jobs,
            remote_jobs: 0,
            memory: u64::MAX,
            keep_going: false,
        }
    }

    fn schedule(prerequisites: &[Vec<Number>], limits: Limits) -> Schedule {
        let count = prerequisites.len();
        let weights = vec![Weight::default(); count];
        Schedule::new(prerequisites, &vec![1; count], weights, limits)
    }

    #[test]
    fn the_longest_remaining_path_goes_first() {
        // 0 alone; 1 before 2.
        let mut schedule = schedule(&[vec![], vec![], vec![1]], limits(1));
        assert_eq!(schedule.start(), Some(1));
        assert_eq!(schedule.start(), None);
        schedule.finish(1, Ended::Satisfied);
        assert_eq!(schedule.start(), Some(0));
    }

    #[test]
    fn room_is_kept_for_a_held_card_but_for_what_takes_no_time() {
        // 0, then 1 and 2 after it; 3, 4 and 5 alone.
        let before = [vec![], vec![0], vec![1], vec![], vec![], vec![]];
        let mut schedule = schedule(&before, limits(1));
        for card in [0, 3, 4] {
            schedule.hold(card);
        }
        schedule.release(3, false);
        schedule.release(4, true);
        assert_eq!(schedule.start(), Some(4));
        schedule.finish(4, Ended::Satisfied);
        assert_eq!((schedule.start(), schedule.holds()), (None, true));
        schedule.release(0, false);
        assert_eq!((schedule.start(), schedule.holds()), (Some(0), false));
        schedule.finish(0, Ended::Satisfied);
        // With room for both, one goes on beside the other.
        schedule.limits.jobs = 2;
        schedule.hold(1);
        assert_eq!((schedule.start(), schedule.start()), (Some(3), None));
    }

    #[test]
    fn a_card_that_waits_for_its_group_takes_no_job() {
        let grouped = Weight {
            group: Some(0),
            ..Weight::default()
        };
        let weights = vec![grouped, grouped, Weight::default()];
        let mut schedule = Schedule::new(&[vec![], vec![], vec![]], &[1; 3], weights, limits(2));
        assert_eq!((schedule.start(), schedule.start()), (Some(0), Some(2)));
        schedule.finish(2, Ended::Satisfied);
        assert_eq!(schedule.start(), None);
        schedule.finish(0, Ended::Satisfied);
        assert_eq!(schedule.start(), Some(1));
    }

    #[test]
    fn cards_here_and_elsewhere_have_limits_of_their_own() {
        let far = Weight {
            elsewhere: true,
            memory: u64::MAX,
            ..Weight::default()
        };
        let near = Weight::default();
        let weights = vec![near, near, far, far, far];
        let limits = Limits {
            remote_jobs: 2,
            ..limits(1)
        };
        let mut schedule = Schedule::new(&vec![vec![]; 5], &[1; 5], weights, limits);
        let started: Vec<_> = std::iter::from_fn(|| schedule.start()).collect();
        assert_eq!(started, [0, 2, 3]);
        schedule.finish(3, Ended::Satisfied);
        assert_eq!((schedule.start(), schedule.start()), (Some(4), None));
        schedule.finish(0, Ended::Satisfied);
        assert_eq!((schedule.start(), schedule.start()), (Some(1), None));
        assert_eq!(schedule.running(), 3);
    }

    #[test]
    fn a_failed_card_blocks_its_dependents_and_stops_new_work() {
        let mut schedule = schedule(&[vec![], vec![0], vec![1], vec![]], limits(1));
        assert_eq!(schedule.start(), Some(0));
        assert_eq!(schedule.finish(0, Ended::Failed), [1, 2]);
        assert_eq!(schedule.start(), None);
        assert!(schedule.is_over());
    }

    #[test]
    fn a_waiting_card_lets_others_go_on() {
        let mut schedule = schedule(&[vec![], vec![0], vec![]], limits(1));
        assert_eq!(schedule.start(), Some(0));
        assert_eq!(schedule.finish(0, Ended::Waits), [1]);
        assert_eq!(schedule.start(), Some(2));
    }

    #[test]
    fn a_heavy_card_runs_alone() {
        let heavy = Weight {
            jobs: 1,
            memory: 10,
            ..Weight::default()
        };
        let light = Weight {
            memory: 1,
            ..Weight::default()
        };
        let mut schedule = Schedule::new(
            &[vec![], vec![], vec![]],
            &[1, 3, 2],
            vec![light, heavy, light],
            Limits {
                jobs: 4,
                remote_jobs: 0,
                memory: 5,
                keep_going: false,
            },
        );
        assert_eq!(schedule.start(), Some(1));
        assert_eq!(schedule.start(), None);
        schedule.finish(1, Ended::Satisfied);
        assert_eq!((schedule.start(), schedule.start()), (Some(2), Some(0)));
    }

    fn dags() -> impl Strategy<Value = Vec<Vec<Number>>> {
        proptest::collection::vec(proptest::collection::vec(0usize..64, 0..4), 1..24).prop_map(
            |draws| {
                let mut all = Vec::new();
                for (card, draw) in draws.into_iter().enumerate() {
                    let before: BTreeSet<Number> = draw
                        .into_iter()
                        .filter(|_| card > 0)
                        .map(|d| d % card.max(1))
                        .collect();
                    all.push(before.into_iter().collect());
                }
                all
            },
        )
    }

    proptest! {
        #[test]
        fn every_card_starts_once_after_its_prerequisites(
            before in dags(),
            jobs in 1usize..4,
            order in proptest::collection::vec(0usize..64, 64),
            failing in proptest::collection::vec(proptest::bool::weighted(0.2), 24),
            holding in proptest::collection::vec(proptest::bool::weighted(0.3), 64),
        ) {
            let mut schedule = schedule(&before, Limits { keep_going: true, ..limits(jobs) });
            let (mut running, mut satisfied) = (Vec::new(), BTreeSet::new());
            let (mut started, mut lost, mut failed) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
            let mut order = order.into_iter().cycle();
            let (mut holding, mut held) = (holding.into_iter().cycle(), Vec::new());
            while !schedule.is_over() {
                let waiting: Vec<Number> = schedule.waiting().collect();
                for card in waiting.into_iter().filter(|_| holding.next() == Some(true)) {
                    schedule.hold(card);
                    held.push(card);
                }
                prop_assert_eq!(schedule.holds(), !held.is_empty());
                while let Some(card) = schedule.start() {
                    prop_assert!(before[card].iter().all(|p| satisfied.contains(p)));
                    prop_assert!(!held.contains(&card));
                    prop_assert!(started.insert(card));
                    running.push(card);
                }
                prop_assert!(running.len() <= jobs);
                if running.is_empty() {
                    for card in held.drain(..) {
                        schedule.release(card, card % 3 == 0);
                    }
                    continue;
                }
                let card = running.remove(order.next().unwrap_or(0) % running.len());
                if failing[card] {
                    failed.insert(card);
                    lost.extend(schedule.finish(card, Ended::Failed));
                } else {
                    satisfied.insert(card);
                    prop_assert!(schedule.finish(card, Ended::Satisfied).is_empty());
                }
            }
            // Brute force: what depends on a failure never starts, all else does.
            let mut expected = BTreeSet::new();
            for (card, before) in before.iter().enumerate() {
                if before.iter().any(|p| failed.contains(p) || expected.contains(p)) {
                    expected.insert(card);
                }
            }
            prop_assert_eq!(&lost, &expected);
            prop_assert_eq!(started.len() + lost.len(), before.len());
        }
    }
}
