//! What can be wrong with a chain: duplicates, cycles, odd completion.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use petgraph::algo::kosaraju_scc;
use petgraph::graph::NodeIndex;

use super::{Chain, Edge};
use crate::card::{Card, Deck, PlanState, Stem};
use crate::diagnostic::Diagnostic;
use crate::words;

impl Chain {
    pub(super) fn find_duplicates(&mut self, deck: &Deck, required: &BTreeSet<Stem>) {
        for stem in deck.stems() {
            let files = deck.files(stem.as_str());
            let matters = files.iter().any(|card| !card.page) || required.contains(stem);
            if files.len() < 2 || !matters {
                continue;
            }
            let message = format!(
                "{} have the stem `{stem}`",
                words::count(files.len(), "file")
            );
            let mut finding = Diagnostic::error("duplicate-stem", message)
                .help("rename all but one: a card's file name is its identity");
            for card in files {
                finding = finding.at(card.source.line_place(1, ""));
            }
            self.findings.push(finding);
        }
    }

    pub(super) fn find_aliases(&mut self, deck: &Deck) {
        for (alias, cards) in deck.aliases() {
            let place = |card: &Card| {
                let text = card.front.aliases.iter().find(|text| text.text == alias);
                match text {
                    Some(text) => card.source.place(text.span.clone(), ""),
                    None => card.source.line_place(1, ""),
                }
            };
            if cards.len() > 1 {
                let message = format!(
                    "{} have the alias `{alias}`",
                    words::count(cards.len(), "card")
                );
                let mut finding = Diagnostic::warning("duplicate-alias", message)
                    .help("an alias that several cards have names none of them");
                for card in &cards {
                    finding = finding.at(place(card));
                }
                self.findings.push(finding);
            }
        }
    }

    pub(super) fn find_odd_completion(&mut self, deck: &Deck) {
        for card in deck.cards() {
            if card.plan != PlanState::Complete || card.page {
                continue;
            }
            let open: Vec<&Stem> = self
                .requires(&card.stem)
                .iter()
                .filter(|stem| self.state(stem).is_open())
                .collect();
            if !open.is_empty() {
                let message = format!(
                    "`{}` is complete, and requires {}, which is open",
                    card.stem,
                    words::list(&open)
                );
                let span = card.front.status.as_ref().map(|status| status.span.clone());
                let place = match span {
                    Some(span) => card.source.place(span, ""),
                    None => card.source.line_place(1, ""),
                };
                self.findings.push(
                    Diagnostic::warning("complete-over-open", message)
                        .at(place)
                        .help("complete the prerequisite, or open this card again"),
                );
            }
            if card.front.status.is_none() {
                let message = format!("`{}` has no status, and so counts as complete", card.stem);
                self.findings.push(
                    Diagnostic::warning("no-status", message)
                        .at(card.source.line_place(1, ""))
                        .help("write `status: active` to open it, or `status: complete`"),
                );
            }
        }
    }

    /// One finding for each knot of cycles, with every edge of one cycle.
    pub(super) fn find_cycles(&mut self, deck: &Deck) {
        let mut knots: Vec<BTreeSet<NodeIndex>> = kosaraju_scc(&self.graph)
            .into_iter()
            .filter(|knot| knot.len() > 1)
            .map(|knot| knot.into_iter().collect())
            .collect();
        knots.sort();
        for knot in knots {
            self.cyclic
                .extend(knot.iter().map(|node| self.graph[*node].clone()));
            let cycle = self.cycle_in(&knot);
            let stems: Vec<&Stem> = cycle.iter().map(|node| &self.graph[*node]).collect();
            let message = format!(
                "{} require each other in a circle: {}",
                words::count(stems.len(), "card"),
                words::list(&stems)
            );
            let mut finding = Diagnostic::error("cycle", message).help(
                "take one of these edges away; a cycle often means that a card is too big: split it",
            );
            for (index, from) in cycle.iter().enumerate() {
                let to = cycle[(index + 1) % cycle.len()];
                let stem = &self.graph[*from];
                let Some(card) = deck.files(stem.as_str()).into_iter().next() else {
                    continue;
                };
                let again = match index + 1 == cycle.len() {
                    true => " again",
                    false => "",
                };
                // A card that both requires and uses another has to let go of both.
                let edges = self.graph.edges_connecting(*from, to);
                let mut edges: Vec<&Edge> = edges.map(|edge| edge.weight()).collect();
                edges.sort_by_key(|edge| edge.span.start);
                for edge in edges {
                    let verb = if edge.uses { "uses" } else { "requires" };
                    let label = format!("`{stem}` {verb} `{}`{again}", self.graph[to]);
                    finding = finding.at(card.source.place(edge.span.clone(), label));
                }
            }
            self.findings.push(finding);
        }
    }

    /// The shortest cycle through the first card of a knot.
    fn cycle_in(&self, knot: &BTreeSet<NodeIndex>) -> Vec<NodeIndex> {
        let Some(start) = knot.iter().min_by_key(|node| &self.graph[**node]).copied() else {
            return Vec::new();
        };
        let mut came_from: BTreeMap<NodeIndex, NodeIndex> = BTreeMap::new();
        let mut pending = VecDeque::from([start]);
        while let Some(node) = pending.pop_front() {
            let mut next: Vec<NodeIndex> = self
                .graph
                .neighbors(node)
                .filter(|next| knot.contains(next))
                .collect();
            next.sort_by_key(|next| &self.graph[*next]);
            for to in next {
                if to == start {
                    let mut cycle = vec![node];
                    while let Some(before) = came_from.get(cycle.last().unwrap_or(&start)) {
                        cycle.push(*before);
                    }
                    cycle.reverse();
                    return cycle;
                }
                if let Entry::Vacant(entry) = came_from.entry(to) {
                    entry.insert(node);
                    pending.push_back(to);
                }
            }
        }
        Vec::new()
    }
}
