//! One function decides a card's state: over random chains all commands give the
//! same answers, which are those of a brute-force reading in this file.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::Value;

use crate::support::sandbox::Sandbox;

/// A drawn card: whether it is open, and the numbers of what it requires; a
/// number past the last card names none.
type Drawn = (bool, BTreeSet<usize>);

/// The chain by brute force.
struct Oracle<'a>(&'a [Drawn]);

impl Oracle<'_> {
    fn exists(&self, card: usize) -> bool {
        card < self.0.len()
    }

    fn state(&self, card: usize) -> &'static str {
        let (open, requires) = &self.0[card];
        let done = |other: &usize| self.exists(*other) && !self.0[*other].0;
        match (open, requires.iter().all(done)) {
            (false, _) => "complete",
            (true, true) => "ready",
            (true, false) => "blocked",
        }
    }

    fn all(&self, state: &str) -> BTreeSet<usize> {
        (0..self.0.len())
            .filter(|card| self.state(*card) == state)
            .collect()
    }

    fn dependents(&self, card: usize) -> BTreeSet<usize> {
        let requires = |other: &usize| self.0[*other].1.contains(&card);
        (0..self.0.len()).filter(requires).collect()
    }

    fn goals(&self) -> BTreeSet<usize> {
        let open = |card: &usize| self.0[*card].0;
        let no_open_dependent = |card: &usize| !self.dependents(*card).iter().any(open);
        (0..self.0.len())
            .filter(open)
            .filter(no_open_dependent)
            .collect()
    }

    /// Everything that can be reached, by edges of cards in `through` alone.
    fn below(&self, card: usize, through: &dyn Fn(usize) -> bool) -> BTreeSet<usize> {
        let mut found = BTreeSet::from([card]);
        loop {
            let more: BTreeSet<usize> = found
                .iter()
                .filter(|other| through(**other))
                .flat_map(|other| &self.0[*other].1)
                .filter(|other| self.exists(**other) && !found.contains(other))
                .copied()
                .collect();
            if more.is_empty() {
                return found;
            }
            found.extend(more);
        }
    }

    fn leaves(&self, card: usize) -> BTreeSet<usize> {
        let below = self.below(card, &|other| self.state(other) == "blocked");
        let ready = |other: &usize| *other != card && self.state(*other) == "ready";
        below.into_iter().filter(ready).collect()
    }

    fn closure(&self, card: usize) -> BTreeSet<usize> {
        self.below(card, &|_| true)
    }

    /// Whether a run of `card` has to be refused.
    fn is_at_fault(&self, card: usize) -> bool {
        self.closure(card).iter().any(|other| {
            let requires = &self.0[*other].1;
            let unknown = requires.iter().any(|before| !self.exists(*before));
            let in_cycle =
                |before: &usize| self.exists(*before) && self.closure(*before).contains(other);
            unknown || requires.iter().any(in_cycle)
        })
    }

    /// The most open cards above `card`, by trying every way; `None` in a cycle.
    fn height(&self, card: usize, way: &mut Vec<usize>) -> Option<usize> {
        if way.contains(&card) {
            return None;
        }
        way.push(card);
        let mut height = 0;
        for above in self
            .dependents(card)
            .into_iter()
            .filter(|other| self.0[*other].0)
        {
            height = height.max(1 + self.height(above, way)?);
        }
        way.pop();
        Some(height)
    }

    fn frees(&self, card: usize) -> BTreeSet<usize> {
        let above = |other: &usize| {
            self.state(*other) == "blocked"
                && self
                    .below(*other, &|o| self.state(o) == "blocked")
                    .contains(&card)
        };
        (0..self.0.len())
            .filter(above)
            .filter(|other| *other != card)
            .collect()
    }

    fn next(&self) -> Option<usize> {
        let rank = |card: &usize| {
            let height = self.height(*card, &mut Vec::new()).unwrap_or(0);
            (
                usize::MAX - height,
                usize::MAX - self.frees(*card).len(),
                name(*card),
            )
        };
        self.all("ready").into_iter().min_by_key(rank)
    }
}

fn name(card: usize) -> String {
    format!("c{card:02}")
}

fn names(cards: &BTreeSet<usize>) -> BTreeSet<String> {
    cards.iter().map(|card| name(*card)).collect()
}

fn texts(value: &Value) -> BTreeSet<String> {
    let all = value.as_array().into_iter().flatten();
    all.map(|text| text.as_str().unwrap_or_default().to_owned())
        .collect()
}

/// The texts under `key` of all objects of `list` that `keep` keeps.
fn pick(list: &Value, key: &str, keep: impl Fn(&Value) -> bool) -> BTreeSet<String> {
    let all = list
        .as_array()
        .into_iter()
        .flatten()
        .filter(|object| keep(object));
    all.map(|object| object[key].as_str().unwrap_or_default().to_owned())
        .collect()
}

fn write(cards: &[Drawn]) -> Sandbox {
    let mut sandbox = Sandbox::new();
    for (number, (open, requires)) in cards.iter().enumerate() {
        let status = if *open { "active" } else { "complete" };
        let requires: Vec<String> = requires.iter().map(|card| name(*card)).collect();
        let front = format!("status: {status}\nrequires: [{}]", requires.join(", "));
        sandbox = sandbox.card(&name(number), &front);
    }
    sandbox
}

fn agree(cards: &[Drawn]) {
    let sandbox = write(cards);
    let oracle = Oracle(cards);
    let json = |arguments: &str| sandbox.mikado(&format!("{arguments} --format json")).json();

    let list = &json("list --all")["cards"];
    let by_stem: BTreeMap<&str, &Value> = list
        .as_array()
        .into_iter()
        .flatten()
        .map(|card| (card["stem"].as_str().unwrap_or_default(), card))
        .collect();
    let ready = pick(&json("ready")["cards"], "stem", |_| true);
    assert_eq!(ready, names(&oracle.all("ready")));
    assert_eq!(
        pick(list, "stem", |card| card["goal"] == true),
        names(&oracle.goals())
    );

    let blocked = json("blocked");
    assert_eq!(pick(&blocked["leaves"], "stem", |_| true), ready);
    assert_eq!(
        pick(&blocked["blocked"], "stem", |_| true),
        names(&oracle.all("blocked"))
    );
    let graph = &json("graph")["cards"];

    for (number, (_, requires)) in cards.iter().enumerate() {
        let stem = name(number);
        let state = oracle.state(number);
        let listed = by_stem[stem.as_str()];
        assert_eq!(listed["state"], state, "{stem}");
        let is_blocked = state == "blocked";
        let leaves = match is_blocked {
            true => names(&oracle.leaves(number)),
            false => BTreeSet::new(),
        };
        assert_eq!(texts(&listed["leaves"]), leaves, "{stem}");
        assert_eq!(
            texts(&listed["requiredBy"]),
            names(&oracle.dependents(number))
        );
        let unknown: BTreeSet<usize> = requires
            .iter()
            .filter(|card| !oracle.exists(**card))
            .copied()
            .collect();
        assert_eq!(texts(&listed["unknown"]), names(&unknown), "{stem}");

        let why = json(&format!("why {stem}"));
        assert_eq!(why["state"], state, "{stem}");
        assert_eq!(texts(&why["leaves"]), leaves, "{stem}");
        let one = json(&format!("blocked {stem}"));
        let held = match state {
            "ready" => BTreeSet::from([stem.clone()]),
            _ => leaves.clone(),
        };
        assert_eq!(pick(&one["leaves"], "stem", |_| true), held, "{stem}");
        if is_blocked {
            let entry = &one["blocked"][0];
            assert_eq!(texts(&entry["leaves"]), leaves, "{stem}");
            let explained = !leaves.is_empty() || entry["faults"] != serde_json::json!([]);
            assert!(explained, "nothing blocks {stem}: {entry}");
        }
        let drawn = pick(graph, "state", |card| card["stem"] == stem.as_str());
        assert_eq!(drawn, BTreeSet::from([state.to_owned()]), "{stem}");
        run(&sandbox, &oracle, number);
    }
    let is_acyclic = (0..cards.len()).all(|card| oracle.height(card, &mut Vec::new()).is_some());
    if is_acyclic {
        let next = json("next");
        let expected = oracle.next().map(name);
        assert_eq!(next["stem"].as_str().map(str::to_owned), expected);
    }
}

/// A run of hand cards: refused where the chain is at fault; else the ready ones
/// wait, the blocked ones are not started, the complete ones are passed over.
fn run(sandbox: &Sandbox, oracle: &Oracle<'_>, card: usize) {
    let stem = name(card);
    let ran = sandbox.mikado(&format!("run {stem} --format json"));
    if oracle.is_at_fault(card) {
        ran.exits(3);
        return;
    }
    let closure = oracle.closure(card);
    let of = |state: &str| -> BTreeSet<String> {
        let all = oracle.all(state);
        names(&all.intersection(&closure).copied().collect())
    };
    let lines = Value::Array(ran.json_lines());
    let ended = |outcome: &str| pick(&lines, "card", |line| line["outcome"] == outcome);
    assert_eq!(ended("waits"), of("ready"), "run {stem}");
    assert_eq!(ended("notStarted"), of("blocked"), "run {stem}");
    assert_eq!(ended("passed"), of("complete"), "run {stem}");
    let code = if of("ready").is_empty() { 0 } else { 5 };
    ran.exits(code);
}

#[test]
fn all_commands_agree_with_a_brute_force_reading() {
    let card = (any::<bool>(), prop::collection::btree_set(0_usize..9, 0..4));
    let any_chain = prop::collection::vec(card, 1..8);
    // Most random graphs have a cycle; those that point back alone have none.
    let acyclic = any_chain.clone().prop_map(|mut cards| {
        for (number, (_, requires)) in cards.iter_mut().enumerate() {
            requires.retain(|before| *before < number);
        }
        cards
    });
    let config = Config {
        cases: 24,
        failure_persistence: None,
        ..Config::default()
    };
    for strategy in [any_chain.boxed(), acyclic.boxed()] {
        let ran = TestRunner::new(config.clone()).run(&strategy, |cards| {
            agree(&cards);
            Ok(())
        });
        ran.unwrap_or_else(|error| panic!("{error}"));
    }
}
