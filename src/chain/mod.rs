//! The chain: cards as a graph, and the one function that decides their state.
//!
//! An edge of `requires` orders; an edge of `uses` says whose artifact is read,
//! and orders as well. Nothing here recurses and nothing is quadratic: chains
//! of thousands of cards are real. Pure: no disk, no printing.

mod blockers;
mod findings;
mod leaves;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::OnceLock;

use petgraph::Direction;
use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::EdgeRef;
use schemars::JsonSchema;
use serde::Serialize;

use crate::card::deck::Named;
use crate::card::{Card, Deck, Form, PlanState, Requirement, Span, Stem};
use crate::diagnostic::Diagnostic;
use crate::words;

/// So many unknown names are compared with every stem; where there are more, a
/// whole folder is missing, and no name was mistyped.
const GUESSES: usize = 100;

/// The state of a card in its plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It is done.
    Complete,
    /// It is open, and all its prerequisites are complete.
    Ready,
    /// It is open, and some prerequisite is open, unreadable, ambiguous or
    /// names no card.
    Blocked,
    /// Its file can't be read as a card, or several files have its stem.
    Unreadable,
}

impl State {
    /// Whether something is left to be done, and the card can be read.
    pub(crate) fn is_open(self) -> bool {
        matches!(self, State::Ready | State::Blocked)
    }

    /// Its word, as in JSON.
    pub fn word(self) -> &'static str {
        match self {
            State::Complete => "complete",
            State::Ready => "ready",
            State::Blocked => "blocked",
            State::Unreadable => "unreadable",
        }
    }
}

/// An edge: the source requires, or uses, the target.
#[derive(Clone, Debug)]
struct Edge {
    /// Where the card says so.
    span: Span,
    /// Whether it is of `uses` alone.
    uses: bool,
}

/// The cards as a graph.
#[derive(Debug)]
pub struct Chain {
    graph: DiGraph<Stem, Edge>,
    nodes: BTreeMap<Stem, NodeIndex>,
    states: BTreeMap<Stem, State>,
    requires: BTreeMap<Stem, Vec<Stem>>,
    unknown: BTreeMap<Stem, Vec<String>>,
    findings: Vec<Diagnostic>,
    names: BTreeMap<String, Stem>,
    /// The cards that lie in a cycle.
    cyclic: BTreeSet<Stem>,
    leaves: OnceLock<leaves::Below>,
    /// The cards at fault, at each card and below it.
    faults: OnceLock<leaves::Below>,
    /// For each entry of `unknown` what is wrong with it.
    unknown_because: BTreeMap<Stem, Vec<String>>,
    /// How many more unknown names are compared with all that are known.
    guesses: usize,
}

impl Chain {
    /// The chain of a deck.
    pub fn new(deck: &Deck) -> Chain {
        let mut chain = Chain {
            graph: DiGraph::new(),
            nodes: BTreeMap::new(),
            states: BTreeMap::new(),
            requires: BTreeMap::new(),
            unknown: BTreeMap::new(),
            findings: Vec::new(),
            names: BTreeMap::new(),
            cyclic: BTreeSet::new(),
            leaves: OnceLock::new(),
            faults: OnceLock::new(),
            unknown_because: BTreeMap::new(),
            guesses: GUESSES,
        };
        for stem in deck.stems() {
            let node = chain.graph.add_node(stem.clone());
            chain.nodes.insert(stem.clone(), node);
        }
        for (alias, cards) in deck.aliases() {
            if let [one] = cards.as_slice() {
                chain.names.insert(alias.to_owned(), one.stem.clone());
            }
        }
        let mut required: BTreeSet<Stem> = BTreeSet::new();
        for card in deck.cards() {
            chain.connect(deck, card, &mut required);
        }
        for card in deck.cards() {
            let state = chain.decide(deck, card, &required);
            chain.states.insert(card.stem.clone(), state);
        }
        chain.find_duplicates(deck, &required);
        chain.find_aliases(deck);
        chain.find_cycles(deck);
        chain.find_odd_completion(deck);
        crate::diagnostic::sort(&mut chain.findings);
        chain
    }

    /// The state of a card; the only place where it is decided.
    pub fn state(&self, stem: &Stem) -> State {
        self.states.get(stem).copied().unwrap_or(State::Unreadable)
    }

    fn decide(&self, deck: &Deck, card: &Card, required: &BTreeSet<Stem>) -> State {
        // Pages of one name, such as `index`, matter to nobody who names none.
        let files = deck.files(card.stem.as_str());
        if files.len() > 1 {
            let matters = required.contains(&card.stem) || files.iter().any(|card| !card.page);
            return if matters {
                State::Unreadable
            } else {
                State::Complete
            };
        }
        if card.plan == PlanState::Unreadable {
            return State::Unreadable;
        }
        if card.plan == PlanState::Complete {
            return State::Complete;
        }
        let is_complete = |stem: &Stem| {
            deck.card(stem)
                .is_some_and(|card| card.plan == PlanState::Complete)
        };
        let all_known = self.unknown.get(&card.stem).is_none_or(Vec::is_empty);
        match all_known && self.requires(&card.stem).iter().all(is_complete) {
            true => State::Ready,
            false => State::Blocked,
        }
    }

    /// The cards that `stem` requires, in the order written; those that name no
    /// card are in [`Chain::unknown`].
    pub fn requires(&self, stem: &Stem) -> &[Stem] {
        self.requires.get(stem).map_or(&[], Vec::as_slice)
    }

    /// What `stem` requires and names no card.
    pub fn unknown(&self, stem: &Stem) -> &[String] {
        self.unknown.get(stem).map_or(&[], Vec::as_slice)
    }

    /// The cards that require `stem`, sorted.
    pub fn dependents(&self, stem: &Stem) -> Vec<Stem> {
        let Some(node) = self.nodes.get(stem) else {
            return Vec::new();
        };
        let edges = self.graph.edges_directed(*node, Direction::Incoming);
        let all: BTreeSet<Stem> = edges
            .filter(|edge| !edge.weight().uses)
            .map(|edge| self.graph[edge.source()].clone())
            .collect();
        all.into_iter().collect()
    }

    /// The cards whose artifacts `stem` uses, sorted.
    pub fn uses(&self, stem: &Stem) -> Vec<Stem> {
        let Some(node) = self.nodes.get(stem) else {
            return Vec::new();
        };
        let edges = self.graph.edges(*node);
        let all: BTreeSet<Stem> = edges
            .filter(|edge| edge.weight().uses)
            .map(|edge| self.graph[edge.target()].clone())
            .collect();
        all.into_iter().collect()
    }

    /// The direct prerequisites that block `stem`, in the order written.
    pub fn blocked_by(&self, stem: &Stem) -> Vec<Stem> {
        match self.state(stem) {
            State::Blocked => {
                let required = self.requires(stem).iter();
                required
                    .filter(|stem| self.state(stem) != State::Complete)
                    .cloned()
                    .collect()
            }
            _ => Vec::new(),
        }
    }

    /// The open cards that no open card requires, sorted.
    pub fn goals(&self) -> Vec<Stem> {
        let open = |stem: &Stem| self.state(stem).is_open();
        self.nodes
            .keys()
            .filter(|stem| open(stem) && !self.dependents(stem).iter().any(open))
            .cloned()
            .collect()
    }

    /// These cards with everything that they require or use, transitively.
    pub fn closure(&self, stems: &[Stem]) -> BTreeSet<Stem> {
        let mut all: BTreeSet<Stem> = stems.iter().cloned().collect();
        let mut pending: VecDeque<Stem> = stems.iter().cloned().collect();
        while let Some(stem) = pending.pop_front() {
            let Some(node) = self.nodes.get(&stem) else {
                continue;
            };
            for next in self.graph.neighbors(*node) {
                let next = &self.graph[next];
                if all.insert(next.clone()) {
                    pending.push_back(next.clone());
                }
            }
        }
        all
    }

    /// `stems` in topological order, prerequisites first, ties by stem. Cards
    /// in a cycle come last.
    pub fn order(&self, stems: &BTreeSet<Stem>) -> Vec<Stem> {
        let mut open: BTreeMap<&Stem, usize> = BTreeMap::new();
        let mut dependents: BTreeMap<&Stem, Vec<&Stem>> = BTreeMap::new();
        for stem in stems {
            let before: BTreeSet<&Stem> = match self.nodes.get(stem) {
                Some(node) => self
                    .graph
                    .neighbors(*node)
                    .map(|next| &self.graph[next])
                    // A card that requires itself comes where it would without that.
                    .filter(|next| stems.contains(*next) && *next != stem)
                    .collect(),
                None => BTreeSet::new(),
            };
            open.insert(stem, before.len());
            for next in before {
                dependents.entry(next).or_default().push(stem);
            }
        }
        let free = open
            .iter()
            .filter(|(_, count)| **count == 0)
            .map(|(stem, _)| *stem);
        let mut ready: BTreeSet<&Stem> = free.collect();
        let mut order = Vec::with_capacity(stems.len());
        while let Some(stem) = ready.pop_first() {
            order.push(stem.clone());
            open.remove(stem);
            for dependent in dependents.get(stem).into_iter().flatten() {
                if let Some(count) = open.get_mut(dependent) {
                    *count -= 1;
                    if *count == 0 {
                        ready.insert(dependent);
                    }
                }
            }
        }
        order.extend(open.into_keys().cloned());
        order
    }

    /// The card that a text of a card names: a stem, or an alias of one card.
    pub fn resolve(&self, text: &str) -> Option<Stem> {
        let stem = self.nodes.get_key_value(text).map(|(stem, _)| stem.clone());
        stem.or_else(|| self.names.get(text).cloned())
    }

    /// The stem that is nearest to a text that names no card.
    pub fn nearest(&self, text: &str) -> Option<&str> {
        words::nearest(text, self.nodes.keys().map(Stem::as_str))
    }

    /// The faults of the graph.
    pub fn findings(&self) -> &[Diagnostic] {
        &self.findings
    }

    fn connect(&mut self, deck: &Deck, card: &Card, required: &mut BTreeSet<Stem>) {
        let Some(from) = self.nodes.get(&card.stem).copied() else {
            return;
        };
        let mut stems = Vec::new();
        let mut known = BTreeSet::new();
        let mut unknown = Vec::new();
        let mut told = BTreeSet::new();
        for requirement in card.requires() {
            match self.required(deck, card, requirement) {
                Some(stem) => {
                    required.insert(stem.clone());
                    if let Some(to) = self.nodes.get(&stem) {
                        let span = requirement.span.clone();
                        self.graph.add_edge(from, *to, Edge { span, uses: false });
                    }
                    if known.insert(stem.clone()) {
                        stems.push(stem);
                    }
                }
                None if told.insert(requirement.text.clone()) => {
                    unknown.push(requirement.text.clone());
                    if let Some(finding) = self.findings.last() {
                        let because = match finding.code {
                            "unknown-prerequisite" => finding.message.clone(),
                            _ => format!("`{}`: {}; {}", card.stem, finding.message, finding.help),
                        };
                        let all = self.unknown_because.entry(card.stem.clone());
                        all.or_default().push(because);
                    }
                }
                None => {}
            }
        }
        for (_, text) in card.front.uses.roles() {
            if let Some(stem) = self.resolve(&text.text)
                && let Some(to) = self.nodes.get(&stem)
                && stem != card.stem
            {
                let span = text.span.clone();
                self.graph.add_edge(from, *to, Edge { span, uses: true });
            }
        }
        self.requires
            .entry(card.stem.clone())
            .or_default()
            .extend(stems);
        self.unknown
            .entry(card.stem.clone())
            .or_default()
            .extend(unknown);
    }

    /// The card that an entry of `requires` means, or a finding.
    fn required(&mut self, deck: &Deck, card: &Card, entry: &Requirement) -> Option<Stem> {
        let place = |label: &str| card.source.place(entry.span.clone(), label);
        let odd = |meant: &str, what: &str| {
            let message = format!("`{}` in `requires` is {what}", entry.text);
            Diagnostic::error("odd-prerequisite", message)
                .at(place("does not count as a card"))
                .help(format!("write the stem alone: `{meant}`"))
        };
        let finding = match &entry.form {
            Form::WikiLink(meant) => odd(meant, "a link"),
            Form::FileName(meant) => odd(meant, "a file name"),
            Form::Path(meant) => odd(meant, "a path"),
            Form::NotText => {
                Diagnostic::error("odd-prerequisite", "an entry of `requires` is no text")
                    .at(place(""))
                    .help("write a list of stems")
            }
            Form::Stem => match deck.named(&entry.text) {
                Named::One(found) if found.stem == card.stem => {
                    // It is a card, and holds itself up.
                    let message = format!("`{}` requires itself", card.stem);
                    self.findings.push(
                        Diagnostic::error("self-require", message)
                            .at(place(""))
                            .help("take the entry away"),
                    );
                    return Some(found.stem.clone());
                }
                Named::One(found) => return Some(found.stem.clone()),
                Named::Several(found) => {
                    if found.iter().all(|other| other.stem.as_str() == entry.text) {
                        // Told of once, with all its files.
                        return Some(found[0].stem.clone());
                    }
                    let stems: Vec<_> = found.iter().map(|c| c.stem.to_string()).collect();
                    let message =
                        format!("`{}` is an alias of {}", entry.text, words::list(&stems));
                    Diagnostic::error("ambiguous-prerequisite", message)
                        .at(place(""))
                        .help("write the stem")
                }
                Named::Nothing => {
                    let stems = deck.stems().map(Stem::as_str).take(match self.guesses {
                        0 => 0,
                        _ => usize::MAX,
                    });
                    self.guesses = self.guesses.saturating_sub(1);
                    let help = match words::nearest(&entry.text, stems) {
                        Some(near) => format!("did you mean `{near}`?"),
                        None => {
                            format!("write the card `{}.md`, or take the entry away", entry.text)
                        }
                    };
                    let message = format!(
                        "`{}` requires `{}`, which names no card",
                        card.stem, entry.text
                    );
                    Diagnostic::error("unknown-prerequisite", message)
                        .at(place("no card has this stem"))
                        .help(help)
                }
            },
        };
        self.findings.push(finding);
        None
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test stops at its first surprise")]
mod tests;
