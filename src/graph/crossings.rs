//! The order of cards and lanes within their layers, with few crossings.
//!
//! The layers are swept down and up, each put into the order of the middles of
//! its neighbours (the barycentre method of Sugiyama, Tagawa and Toda, 1981),
//! ties as they stand; then neighbours that cross less the other way round
//! change places. Crossings are counted as Barth, Jünger and Mutzel do (2002).

use super::lanes::Lanes;

/// How often all layers are swept, at most.
const SWEEPS: usize = 24;

/// How many sweeps in a row may find nothing better.
const PATIENCE: usize = 6;

/// About how many looks at a neighbour all sweeps may take together.
const WORK: usize = 6_000_000;

/// The layers of a graph, each in order.
pub(crate) fn order(lanes: &Lanes) -> Vec<Vec<usize>> {
    let mut layers = first_order(lanes);
    let mut position = vec![0; lanes.layer.len()];
    settle_all(&layers, &mut position);
    let mut best = layers.clone();
    let mut fewest = crossings(lanes, &layers, &position);
    let joints: usize = lanes.after.iter().map(Vec::len).sum();
    let sweeps = (WORK / (4 * (joints + lanes.layer.len()) + 1)).clamp(2, SWEEPS);
    let mut idle = 0;
    for sweep in 0..sweeps {
        if fewest == 0 || idle == PATIENCE {
            break;
        }
        let down = sweep % 2 == 0;
        for step in 0..layers.len() {
            let layer = if down { step } else { layers.len() - 1 - step };
            let joined = if down { &lanes.before } else { &lanes.after };
            sort_by_middles(&mut layers[layer], joined, &mut position);
        }
        exchange(lanes, &mut layers, &mut position);
        let now = crossings(lanes, &layers, &position);
        idle += 1;
        if now < fewest {
            fewest = now;
            best.clone_from(&layers);
            idle = 0;
        }
    }
    best
}

/// Each layer in the order in which a walk along the edges comes by, so that
/// what hangs together stands together.
fn first_order(lanes: &Lanes) -> Vec<Vec<usize>> {
    let deepest = lanes.layer.iter().max().map_or(0, |deepest| deepest + 1);
    let mut layers = vec![Vec::new(); deepest];
    let mut seen = vec![false; lanes.layer.len()];
    let starts = (0..lanes.cards).filter(|card| lanes.before[*card].is_empty());
    for start in starts.chain(0..lanes.cards) {
        let mut pending = vec![start];
        while let Some(next) = pending.pop() {
            if std::mem::replace(&mut seen[next], true) {
                continue;
            }
            layers[lanes.layer[next]].push(next);
            pending.extend(lanes.after[next].iter().rev());
        }
    }
    layers
}

fn settle(layer: &[usize], position: &mut [usize]) {
    for (index, number) in layer.iter().enumerate() {
        position[*number] = index;
    }
}

fn settle_all(layers: &[Vec<usize>], position: &mut [usize]) {
    for layer in layers {
        settle(layer, position);
    }
}

fn sort_by_middles(layer: &mut [usize], joined: &[Vec<usize>], position: &mut [usize]) {
    let middle = |number: usize| {
        let others = &joined[number];
        let sum: usize = others.iter().map(|other| position[*other]).sum();
        (!others.is_empty()).then(|| sum as f64 / others.len() as f64)
    };
    // What has no neighbour keeps its place, and the others go round it.
    let mut moving: Vec<(f64, usize)> = layer
        .iter()
        .filter_map(|number| Some((middle(*number)?, *number)))
        .collect();
    moving.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut moving = moving.into_iter();
    for slot in layer.iter_mut() {
        if !joined[*slot].is_empty()
            && let Some((_, number)) = moving.next()
        {
            *slot = number;
        }
    }
    settle(layer, position);
}

/// Lets neighbours within a layer change places where that saves crossings.
fn exchange(lanes: &Lanes, layers: &mut [Vec<usize>], position: &mut [usize]) {
    for layer in layers.iter_mut() {
        for at in 1..layer.len() {
            let (left, right) = (layer[at - 1], layer[at]);
            let cost = |a: usize, b: usize| {
                let above = between(&lanes.before[a], &lanes.before[b], position);
                above + between(&lanes.after[a], &lanes.after[b], position)
            };
            if cost(right, left) < cost(left, right) {
                layer.swap(at - 1, at);
                position[left] = at;
                position[right] = at - 1;
            }
        }
    }
}

/// How often edges to `left` and to `right` cross if they stand in this order.
fn between(left: &[usize], right: &[usize], position: &[usize]) -> usize {
    // Wide fans cross everything anyway, and would cost their product.
    if left.len() * right.len() > 4096 {
        return 0;
    }
    let crossing = |a: &usize| {
        let before = |b: &&usize| position[**b] < position[*a];
        right.iter().filter(before).count()
    };
    left.iter().map(crossing).sum()
}

/// How often edges cross in all.
fn crossings(lanes: &Lanes, layers: &[Vec<usize>], position: &[usize]) -> usize {
    let mut all = 0;
    for pair in layers.windows(2) {
        let width = pair[1].len();
        let mut tree = vec![0usize; width + 1];
        let mut inserted = 0;
        for number in &pair[0] {
            let mut ends: Vec<usize> = lanes.after[*number].iter().map(|n| position[*n]).collect();
            ends.sort_unstable();
            // How many ends of earlier edges lie further right: a Fenwick tree.
            for end in &ends {
                let mut at = end + 1;
                let mut not_right = 0;
                while at > 0 {
                    not_right += tree[at];
                    at &= at - 1;
                }
                all += inserted - not_right;
            }
            for end in &ends {
                let mut at = end + 1;
                while at <= width {
                    tree[at] += 1;
                    at += at & at.wrapping_neg();
                }
            }
            inserted += ends.len();
        }
    }
    all
}
