//! A graph whose edges all lead from one layer to the next: a long edge gets a
//! *lane*, a row of places between the cards that it passes.
//!
//! Long edges that leave one card share a lane, or those that reach one card,
//! whichever is more of them: so a base that everything requires, or a goal
//! that requires everything, is one line with branches and not a curtain.

use std::collections::BTreeMap;
use std::ops::Range;

/// How many places lanes may take. Beyond it the longest edges have no lane
/// and are drawn straight: they would be nothing but a grey area, and their
/// number can grow with the square of the cards.
const PLACES: usize = 40_000;

/// Cards and places of lanes, in layers. Numbers below `cards` are cards.
#[derive(Debug)]
pub(crate) struct Lanes {
    /// How many cards there are.
    pub(crate) cards: usize,
    /// The layer of each.
    pub(crate) layer: Vec<usize>,
    /// For each, its neighbours in the layer before.
    pub(crate) before: Vec<Vec<usize>>,
    /// For each, its neighbours in the layer after.
    pub(crate) after: Vec<Vec<usize>>,
    /// For each edge, the places that it leads through; `None` where it has no
    /// lane though it should.
    pub(crate) routes: Vec<Option<Range<usize>>>,
}

/// Which end of an edge its lane belongs to: the card, and whether it leaves it.
type End = (usize, bool);

impl Lanes {
    /// Lanes for `edges`, pairs of cards of which the first is in an earlier layer.
    pub(crate) fn new(layers: &[usize], edges: &[(usize, usize)]) -> Lanes {
        let cards = layers.len();
        let length = |(from, to): (usize, usize)| layers[to] - layers[from];
        let mut leave = vec![0usize; cards];
        let mut reach = vec![0usize; cards];
        for edge in edges.iter().filter(|edge| length(**edge) > 1) {
            leave[edge.0] += 1;
            reach[edge.1] += 1;
        }
        // The layers that each lane passes, and the edges that are in it.
        let mut lanes: BTreeMap<End, Range<usize>> = BTreeMap::new();
        let mut ends: Vec<Option<End>> = vec![None; edges.len()];
        let mut by_length: Vec<usize> =
            (0..edges.len()).filter(|n| length(edges[*n]) > 1).collect();
        by_length.sort_by_key(|number| (length(edges[*number]), *number));
        let mut places = 0;
        for number in by_length {
            let (from, to) = edges[number];
            let end = match reach[to] > leave[from] {
                true => (to, false),
                false => (from, true),
            };
            let own = layers[from] + 1..layers[to];
            let lane = match lanes.get(&end) {
                None => own,
                Some(lane) => lane.start.min(own.start)..lane.end.max(own.end),
            };
            let more = lane.len() - lanes.get(&end).map_or(0, Range::len);
            if places + more > PLACES {
                continue;
            }
            places += more;
            lanes.insert(end, lane);
            ends[number] = Some(end);
        }
        let mut graph = Lanes {
            cards,
            layer: layers.to_vec(),
            before: vec![Vec::new(); cards],
            after: vec![Vec::new(); cards],
            routes: vec![None; edges.len()],
        };
        let mut first: BTreeMap<End, usize> = BTreeMap::new();
        for (end, lane) in &lanes {
            first.insert(*end, graph.layer.len());
            for layer in lane.clone() {
                let place = graph.layer.len();
                graph.layer.push(layer);
                graph.before.push(Vec::new());
                graph.after.push(Vec::new());
                if layer > lane.start {
                    graph.join(place - 1, place);
                }
            }
        }
        for (number, (from, to)) in edges.iter().copied().enumerate() {
            let Some(end) = ends[number] else {
                if length((from, to)) == 1 {
                    graph.join(from, to);
                    graph.routes[number] = Some(0..0);
                }
                continue;
            };
            let (Some(first), Some(lane)) = (first.get(&end), lanes.get(&end)) else {
                continue;
            };
            let start = first + layers[from] + 1 - lane.start;
            let route = start..start + length((from, to)) - 1;
            // A shared lane has its own joint at the end that is shared.
            graph.join(from, route.start);
            graph.join(route.end - 1, to);
            graph.routes[number] = Some(route);
        }
        for neighbours in graph.before.iter_mut().chain(&mut graph.after) {
            neighbours.sort_unstable();
            neighbours.dedup();
        }
        graph
    }

    fn join(&mut self, from: usize, to: usize) {
        self.after[from].push(to);
        self.before[to].push(from);
    }

    /// Whether it is a place of a lane.
    pub(crate) fn is_place(&self, number: usize) -> bool {
        number >= self.cards
    }
}
