//! The ready cards below each blocked one, for all cards at once.
//!
//! Asked card by card this would walk the whole chain for each: a chain of
//! thousands would take minutes. So the answers are made once, prerequisites
//! first, and cards that wait for the same leaves share one list.

use std::collections::BTreeSet;
use std::sync::Arc;

use petgraph::algo::kosaraju_scc;
use petgraph::graph::{DiGraph, NodeIndex};

use super::{Chain, State};
use crate::card::Stem;

/// For each node of the chain its leaves, sorted.
pub(super) type Leaves = Vec<Arc<Vec<NodeIndex>>>;

impl Chain {
    /// The ready cards below a blocked one, sorted.
    pub fn leaves(&self, stem: &Stem) -> Vec<Stem> {
        let leaves = self.leaves.get_or_init(|| self.all_leaves());
        match self.nodes.get(stem) {
            // Nodes were made in the order of their stems.
            Some(node) => {
                let below = leaves[node.index()].iter();
                below.map(|node| self.graph[*node].clone()).collect()
            }
            None => Vec::new(),
        }
    }

    fn all_leaves(&self) -> Leaves {
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
            for below in knot.iter().flat_map(|node| blocked.neighbors(*node)) {
                if within.contains(&below) {
                    continue;
                }
                let part = match self.state(&self.graph[below]) {
                    State::Ready => Arc::new(vec![below]),
                    _ => found[below.index()].clone(),
                };
                if !parts.contains(&part) {
                    parts.push(part);
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
