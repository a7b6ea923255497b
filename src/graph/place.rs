//! Where cards and lanes stand across the layers.
//!
//! Brandes and Köpf, "Fast and Simple Horizontal Coordinate Assignment" (2001):
//! what is joined is lined up four times, leaning to either side and from either
//! end, and each stands in the middle of the four. Lanes come out straight. The
//! lines are pushed together by longest paths over whole lines, which is what
//! dagre does, and free of the fault in the paper's own way. Linear.

use std::collections::HashSet;

use super::lanes::Lanes;

/// How much room things take across the layers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room {
    /// The extent of a card.
    pub(crate) card: f64,
    /// Between two cards.
    pub(crate) gap: f64,
    /// Between two lanes.
    pub(crate) lane: f64,
}

impl Room {
    /// The distance of the middles of two neighbours.
    fn between(self, lanes: &Lanes, left: usize, right: usize) -> f64 {
        let half = |number: usize| {
            if lanes.is_place(number) {
                0.0
            } else {
                self.card / 2.0
            }
        };
        let gap = match (lanes.is_place(left), lanes.is_place(right)) {
            (false, false) => self.gap,
            (true, true) => self.lane,
            _ => self.gap / 2.0 + self.lane / 2.0,
        };
        half(left) + gap + half(right)
    }
}

/// The middle of each card and place; the first begins at 0.
pub(crate) fn across(lanes: &Lanes, layers: &[Vec<usize>], room: Room) -> Vec<f64> {
    let count = lanes.layer.len();
    let conflicts = conflicts(lanes, layers);
    let mut four: Vec<Vec<f64>> = Vec::with_capacity(4);
    for from_end in [false, true] {
        for from_right in [false, true] {
            let mut turned: Vec<Vec<usize>> = layers.to_vec();
            if from_end {
                turned.reverse();
            }
            if from_right {
                turned.iter_mut().for_each(|layer| layer.reverse());
            }
            let joined = if from_end {
                &lanes.after
            } else {
                &lanes.before
            };
            let root = lines(count, &turned, joined, &conflicts);
            let width = |left, right| match from_right {
                false => room.between(lanes, left, right),
                true => room.between(lanes, right, left),
            };
            let mut places = pushed_together(count, &turned, &root, width);
            if from_right {
                places.iter_mut().for_each(|place| *place = -*place);
            }
            four.push(places);
        }
    }
    let bounds = |places: &Vec<f64>| {
        let least = places.iter().copied().fold(f64::INFINITY, f64::min);
        let most = places.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        (least, most)
    };
    let narrowest = four
        .iter()
        .map(bounds)
        .min_by(|a, b| (a.1 - a.0).total_cmp(&(b.1 - b.0)));
    let (least, most) = narrowest.unwrap_or_default();
    for (number, places) in four.iter_mut().enumerate() {
        let own = bounds(places);
        let shift = if number % 2 == 0 {
            least - own.0
        } else {
            most - own.1
        };
        places.iter_mut().for_each(|place| *place += shift);
    }
    let mut middles: Vec<f64> = (0..count)
        .map(|number| {
            let mut of_four = [0, 1, 2, 3].map(|way: usize| four[way][number]);
            of_four.sort_by(f64::total_cmp);
            (of_four[1] + of_four[2]) / 2.0
        })
        .collect();
    let half = |number: usize| {
        if lanes.is_place(number) {
            0.0
        } else {
            room.card / 2.0
        }
    };
    let edges = middles
        .iter()
        .enumerate()
        .map(|(number, place)| place - half(number));
    let start = edges.fold(f64::INFINITY, f64::min);
    middles.iter_mut().for_each(|place| *place -= start);
    middles
}

/// The joints that cross a straight piece of a lane, and give way to it.
fn conflicts(lanes: &Lanes, layers: &[Vec<usize>]) -> HashSet<(usize, usize)> {
    let mut found = HashSet::new();
    let mut position = vec![0; lanes.layer.len()];
    for layer in layers {
        for (index, number) in layer.iter().enumerate() {
            position[*number] = index;
        }
    }
    for pair in layers.windows(2) {
        let mut left = 0;
        let mut scanned = 0;
        for (index, number) in pair[1].iter().enumerate() {
            let is_place = lanes.is_place(*number);
            let inner = lanes.before[*number]
                .iter()
                .find(|n| is_place && lanes.is_place(**n));
            if inner.is_none() && index + 1 < pair[1].len() {
                continue;
            }
            let right = inner.map_or(pair[0].len(), |n| position[*n]);
            for lower in &pair[1][scanned..=index] {
                for upper in &lanes.before[*lower] {
                    let crosses = position[*upper] < left || position[*upper] > right;
                    if crosses && !(lanes.is_place(*upper) && lanes.is_place(*lower)) {
                        found.insert((*upper, *lower));
                    }
                }
            }
            scanned = index + 1;
            left = right;
        }
    }
    found
}

/// For each card and place the first of the line that it stands in: a line
/// holds at most one of each layer, joined one to the next.
fn lines(
    count: usize,
    layers: &[Vec<usize>],
    joined: &[Vec<usize>],
    conflicts: &HashSet<(usize, usize)>,
) -> Vec<usize> {
    let mut root: Vec<usize> = (0..count).collect();
    let mut taken = vec![false; count];
    let mut position = vec![0; count];
    for layer in layers {
        for (index, number) in layer.iter().enumerate() {
            position[*number] = index;
        }
    }
    for layer in layers {
        // The next line may start no further left than this.
        let mut free = 0;
        for number in layer {
            let mut others = joined[*number].clone();
            others.sort_by_key(|other| position[*other]);
            let (Some(low), high) = (others.len().checked_sub(1), others.len() / 2) else {
                continue;
            };
            for other in &others[low / 2..=high.min(low)] {
                let crosses = conflicts.contains(&(*number, *other))
                    || conflicts.contains(&(*other, *number));
                let is_free = !taken[*other] && position[*other] >= free;
                if root[*number] == *number && is_free && !crosses {
                    root[*number] = root[*other];
                    taken[*other] = true;
                    free = position[*other] + 1;
                }
            }
        }
    }
    root
}

/// Places for whole lines, as close together as `width` lets them.
fn pushed_together(
    count: usize,
    layers: &[Vec<usize>],
    root: &[usize],
    width: impl Fn(usize, usize) -> f64,
) -> Vec<f64> {
    let mut right: Vec<Vec<(usize, f64)>> = vec![Vec::new(); count];
    let mut left: Vec<Vec<(usize, f64)>> = vec![Vec::new(); count];
    let mut open = vec![0; count];
    for layer in layers {
        for pair in layer.windows(2) {
            let (one, other) = (root[pair[0]], root[pair[1]]);
            let distance = width(pair[0], pair[1]);
            right[one].push((other, distance));
            left[other].push((one, distance));
            open[other] += 1;
        }
    }
    let roots = (0..count).filter(|number| root[*number] == *number);
    let mut order: Vec<usize> = roots.filter(|number| open[*number] == 0).collect();
    let mut place = vec![0.0f64; count];
    let mut next = 0;
    while let Some(line) = order.get(next).copied() {
        next += 1;
        let wish = left[line]
            .iter()
            .map(|(other, width)| place[*other] + width);
        place[line] = wish.fold(0.0, f64::max);
        for (other, _) in &right[line] {
            open[*other] -= 1;
            if open[*other] == 0 {
                order.push(*other);
            }
        }
    }
    // What has room to its right moves there, towards what it is joined to.
    for line in order.into_iter().rev() {
        let limit = right[line]
            .iter()
            .map(|(other, width)| place[*other] - width);
        let limit = limit.fold(f64::INFINITY, f64::min);
        if limit.is_finite() {
            place[line] = place[line].max(limit);
        }
    }
    (0..count).map(|number| place[root[number]]).collect()
}
