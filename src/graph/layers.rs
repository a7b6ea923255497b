//! Which layer each card of a graph is in.
//!
//! An edge that closes a cycle is turned round, so that what is left has
//! layers; it is drawn the way that it is meant. Linear, and nothing recurses:
//! chains of thousands of cards are real.

use super::Graph;

/// The edges of a graph without its cycles, as neighbours by number.
pub(crate) struct Arrows {
    /// For each edge of the graph, whether it was turned round.
    pub(crate) turned: Vec<bool>,
    /// For each card, what comes before it.
    pub(crate) before: Vec<Vec<usize>>,
    /// For each card, what comes after it.
    pub(crate) after: Vec<Vec<usize>>,
}

impl Arrows {
    pub(crate) fn new(graph: &Graph) -> Arrows {
        let count = graph.cards.len();
        let turned = turned(graph);
        let mut before = vec![Vec::new(); count];
        let mut after = vec![Vec::new(); count];
        for (edge, turned) in graph.edges.iter().zip(&turned) {
            let (from, to) = match turned {
                false => (edge.before, edge.after),
                true => (edge.after, edge.before),
            };
            before[to].push(from);
            after[from].push(to);
        }
        Arrows {
            turned,
            before,
            after,
        }
    }

    /// The cards in topological order, ties by number.
    pub(crate) fn order(&self) -> Vec<usize> {
        let mut open: Vec<usize> = self.before.iter().map(Vec::len).collect();
        let free = (0..open.len()).filter(|number| open[*number] == 0);
        let mut order: Vec<usize> = free.collect();
        let mut next = 0;
        while let Some(number) = order.get(next).copied() {
            next += 1;
            for after in &self.after[number] {
                open[*after] -= 1;
                if open[*after] == 0 {
                    order.push(*after);
                }
            }
        }
        order
    }
}

/// For each edge, whether it leads back in a walk from goals to what they
/// require, which is to say that it closes a cycle.
fn turned(graph: &Graph) -> Vec<bool> {
    let count = graph.cards.len();
    let mut turned = vec![false; graph.edges.len()];
    let mut down: Vec<Vec<usize>> = vec![Vec::new(); count];
    let mut is_required = vec![false; count];
    for (number, edge) in graph.edges.iter().enumerate() {
        down[edge.after].push(number);
        is_required[edge.before] = true;
    }
    let (goals, others): (Vec<usize>, Vec<usize>) = (0..count).partition(|n| !is_required[*n]);
    let mut seen = vec![false; count];
    let mut on_the_way = vec![false; count];
    for start in goals.into_iter().chain(others) {
        if seen[start] {
            continue;
        }
        let mut way = vec![(start, 0)];
        seen[start] = true;
        on_the_way[start] = true;
        while let Some((card, next)) = way.last_mut() {
            let Some(edge) = down[*card].get(*next).copied() else {
                on_the_way[*card] = false;
                way.pop();
                continue;
            };
            *next += 1;
            let below = graph.edges[edge].before;
            if on_the_way[below] {
                turned[edge] = true;
            } else if !seen[below] {
                seen[below] = true;
                on_the_way[below] = true;
                way.push((below, 0));
            }
        }
    }
    turned
}

/// The layer of each card: one more than its deepest prerequisite's, from 0.
pub(crate) fn longest(count: usize, arrows: &Arrows) -> Vec<usize> {
    let mut layers = vec![0; count];
    for number in arrows.order() {
        let deepest = arrows.before[number].iter().map(|n| layers[*n] + 1).max();
        layers[number] = deepest.unwrap_or(0);
    }
    layers
}

/// The same for a picture: a card that is needed late and needs little stands
/// next to what requires it, which makes edges short and layers narrow.
pub(crate) fn tight(count: usize, arrows: &Arrows) -> Vec<usize> {
    let mut layers = longest(count, arrows);
    for number in arrows.order().into_iter().rev() {
        let after = &arrows.after[number];
        let nearest = after.iter().map(|n| layers[*n] - 1).min();
        if let Some(nearest) = nearest
            && after.len() >= arrows.before[number].len()
        {
            layers[number] = nearest;
        }
    }
    layers
}
