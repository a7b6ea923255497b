//! The transitive reduction of an acyclic graph.
//!
//! An edge that a longer way implies says nothing new, and CI systems draw and
//! limit edges. Bits, not sets: a chain of thousands of cards takes a moment.

use std::collections::BTreeSet;

/// For each node, which come in an order where those before it come first: the
/// nodes that come before it, without those that others of them imply.
pub fn reduce(before: &[BTreeSet<usize>]) -> Vec<BTreeSet<usize>> {
    let words = before.len().div_ceil(64);
    let mut reaches: Vec<Vec<u64>> = Vec::with_capacity(before.len());
    let mut reduced = Vec::with_capacity(before.len());
    for nodes in before {
        let mut implied = vec![0_u64; words];
        for node in nodes {
            for (word, more) in implied.iter_mut().zip(&reaches[*node]) {
                *word |= more;
            }
        }
        let is_implied = |node: &usize| implied[node / 64] >> (node % 64) & 1 == 1;
        let needed: BTreeSet<usize> = nodes.iter().copied().filter(|n| !is_implied(n)).collect();
        for node in nodes {
            implied[node / 64] |= 1 << (node % 64);
        }
        reaches.push(implied);
        reduced.push(needed);
    }
    reduced
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed step is a failed test")]
mod tests {
    use super::*;
    use petgraph::algo::tred::{
        dag_to_toposorted_adjacency_list, dag_transitive_reduction_closure,
    };
    use petgraph::graph::{DiGraph, NodeIndex};
    use petgraph::visit::IntoNeighbors;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn reduction_is_that_of_petgraph(edges in proptest::collection::vec((0_usize..70, 0_usize..70), 0..200)) {
            let mut before = vec![BTreeSet::new(); 70];
            let mut graph: DiGraph<(), ()> = DiGraph::new();
            let nodes: Vec<NodeIndex> = (0..70).map(|_| graph.add_node(())).collect();
            for (a, b) in edges {
                if a != b && before[a.max(b)].insert(a.min(b)) {
                    graph.add_edge(nodes[a.min(b)], nodes[a.max(b)], ());
                }
            }
            let (list, _) = dag_to_toposorted_adjacency_list::<_, u32>(&graph, &nodes);
            let (expected, _) = dag_transitive_reduction_closure(&list);
            let mut theirs = vec![BTreeSet::new(); 70];
            for from in 0..70_u32 {
                for to in expected.neighbors(from) {
                    theirs[usize::try_from(to).unwrap()].insert(usize::try_from(from).unwrap());
                }
            }
            prop_assert_eq!(reduce(&before), theirs);
        }
    }
}
