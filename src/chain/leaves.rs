//! What lies below each blocked card, for all cards at once.
//!
//! Asked card by card this would walk the whole chain for each: a chain of
//! thousands would take minutes. So the answers are made once, prerequisites
//! first, and cards that wait for the same share one list.

use std::collections::BTreeSet;
use std::sync::Arc;

use petgraph::algo::kosaraju_scc;
use petgraph::graph::{DiGraph, NodeIndex};

use super::{Chain, State};
use crate::card::Stem;

/// For each node of the chain those at it and below it, sorted by stem.
pub(super) type Below = Vec<Arc<Vec<NodeIndex>>>;

impl Chain {
    /// The ready cards below a blocked one, sorted.
    pub fn leaves(&self, stem: &Stem) -> Vec<Stem> {
        let is_leaf = |stem: &Stem| self.state(stem) == State::Ready;
        let leaves = self.leaves.get_or_init(|| self.below(is_leaf));
        self.stems_below(stem, leaves)
    }

    /// The stems that are listed for a blocked card.
    pub(super) fn stems_below(&self, stem: &Stem, below: &Below) -> Vec<Stem> {
        match self.nodes.get(stem) {
            // Nodes were made in the order of their stems.
            Some(node) if self.state(stem) == State::Blocked => {
                let below = below[node.index()].iter();
                below.map(|node| self.graph[*node].clone()).collect()
            }
            _ => Vec::new(),
        }
    }

    /// For each node the cards at it and below it, through blocked cards, that
    /// `counts` counts.
    pub(super) fn below(&self, counts: impl Fn(&Stem) -> bool) -> Below {
        let mut blocked: DiGraph<(), ()> = DiGraph::new();
        for _ in self.graph.node_indices() {
            blocked.add_node(());
        }
        for (stem, node) in &self.nodes {
            for below in self.blocked_by(stem) {
                if let Some(below) = self.nodes.get(&below) {
                    blocked.add_edge(*node, *below, ());
                }
            }
        }
        let nothing: Arc<Vec<NodeIndex>> = Arc::default();
        let mut found = vec![nothing; blocked.node_count()];
        // Prerequisites first; cards in a circle come together and have the same.
        for knot in kosaraju_scc(&blocked) {
            let within: BTreeSet<NodeIndex> = knot.iter().copied().collect();
            let mut parts: Vec<Arc<Vec<NodeIndex>>> = Vec::new();
            let counted = within.iter().filter(|node| counts(&self.graph[**node]));
            let own: Vec<NodeIndex> = counted.copied().collect();
            if !own.is_empty() {
                parts.push(Arc::new(own));
            }
            for below in knot.iter().flat_map(|node| blocked.neighbors(*node)) {
                let part = &found[below.index()];
                if !within.contains(&below) && !part.is_empty() && !parts.contains(part) {
                    parts.push(part.clone());
                }
            }
            let all = match parts.as_slice() {
                [one] => one.clone(),
                parts => {
                    let all: BTreeSet<NodeIndex> =
                        parts.iter().flat_map(|part| part.iter().copied()).collect();
                    Arc::new(all.into_iter().collect())
                }
            };
            for node in knot {
                found[node.index()] = all.clone();
            }
        }
        found
    }
}
