//! A layered drawing: where each card stands, and where each edge runs.
//!
//! Cards that hang together are laid out together; the parts stand side by side
//! in rows, and cards without any edge in a block at the end. Edges run between
//! cards, never behind one, but for those of which there are far too many (see
//! `lanes`). Coordinates are whole numbers. Pure and deterministic.

use std::collections::BTreeMap;

use super::lanes::Lanes;
use super::layers::{self, Arrows};
use super::place::{self, Room};
use super::{Graph, Way, crossings};

/// The size of a card, and the room between things.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// The width of a card.
    pub width: i64,
    /// The height of a card.
    pub height: i64,
    /// Between cards of a layer.
    pub gap: i64,
    /// Between lanes of a layer.
    pub lane: i64,
    /// Between layers, at least.
    pub layers: i64,
}

/// A point: to the right, and down.
pub type Point = (i64, i64);

/// Where everything is.
#[derive(Clone, Debug, Default)]
pub struct Layout {
    /// The upper left corner of each card.
    pub cards: Vec<Point>,
    /// The way of each edge.
    pub edges: Vec<Route>,
    /// The width of all.
    pub width: i64,
    /// The height of all.
    pub height: i64,
}

/// The way of an edge, from the prerequisite to what requires it.
#[derive(Clone, Debug, Default)]
pub struct Route {
    /// Points; from an even one to the next it bends between two layers, from
    /// an odd one to the next it runs straight through a layer.
    pub points: Vec<Point>,
    /// Whether it closes a cycle, and so leads back.
    pub back: bool,
    /// Whether it runs behind whatever lies in its way.
    pub direct: bool,
}

/// Lays a graph out.
pub fn layout(graph: &Graph, way: Way, sizes: Sizes) -> Layout {
    let arrows = Arrows::new(graph);
    let ranks = layers::tight(graph.cards.len(), &arrows);
    let mut all = Layout {
        cards: vec![(0, 0); graph.cards.len()],
        edges: vec![Route::default(); graph.edges.len()],
        ..Layout::default()
    };
    let mut parts = Vec::new();
    let mut alone = Vec::new();
    for cards in together(graph, &arrows) {
        match cards.as_slice() {
            [one] => alone.push(*one),
            _ => parts.push(Part::new(graph, &arrows, &ranks, cards, way, sizes)),
        }
    }
    let limit = row_limit(&parts, &alone, sizes);
    let mut shelf = Shelf::new(limit, sizes.layers);
    for part in parts {
        let corner = shelf.put(part.width, part.height, 2 * sizes.gap);
        part.copy_to(&mut all, corner);
    }
    if !alone.is_empty() {
        shelf.next_row();
        shelf.gap = sizes.gap;
    }
    for card in alone {
        all.cards[card] = shelf.put(sizes.width, sizes.height, sizes.gap);
    }
    all.width = shelf.width;
    all.height = shelf.y + shelf.row;
    all
}

/// The cards in groups that hang together, by the first card of each.
fn together(graph: &Graph, arrows: &Arrows) -> Vec<Vec<usize>> {
    let mut seen = vec![false; graph.cards.len()];
    let mut groups = Vec::new();
    for start in 0..graph.cards.len() {
        if seen[start] {
            continue;
        }
        let mut group = Vec::new();
        let mut pending = vec![start];
        seen[start] = true;
        while let Some(next) = pending.pop() {
            group.push(next);
            for other in arrows.before[next].iter().chain(&arrows.after[next]) {
                if !std::mem::replace(&mut seen[*other], true) {
                    pending.push(*other);
                }
            }
        }
        group.sort_unstable();
        groups.push(group);
    }
    groups
}

/// How wide a row of parts may be: as the widest, or so that all of it is about
/// half as wide again as it is high.
fn row_limit(parts: &[Part], alone: &[usize], sizes: Sizes) -> i64 {
    let widest = parts.iter().map(|part| part.width).max().unwrap_or(0);
    let single = (sizes.width + sizes.gap) * (sizes.height + sizes.gap) * alone.len() as i64;
    let area: i64 = parts.iter().map(|part| part.width * part.height).sum();
    let side = ((area + single) as f64 * 1.6).sqrt() as i64;
    widest.max(side).max(sizes.width)
}

/// Rows that are filled from left to right.
struct Shelf {
    limit: i64,
    gap: i64,
    x: i64,
    y: i64,
    row: i64,
    width: i64,
}

impl Shelf {
    fn new(limit: i64, gap: i64) -> Shelf {
        Shelf {
            limit,
            gap,
            x: 0,
            y: 0,
            row: 0,
            width: 0,
        }
    }

    fn next_row(&mut self) {
        if self.row > 0 {
            self.y += self.row + self.gap;
        }
        (self.x, self.row) = (0, 0);
    }

    /// The corner of the next thing of this size.
    fn put(&mut self, width: i64, height: i64, gap: i64) -> Point {
        if self.x > 0 && self.x + width > self.limit {
            self.next_row();
        }
        let corner = (self.x, self.y);
        self.width = self.width.max(self.x + width);
        self.row = self.row.max(height);
        self.x += width + gap;
        corner
    }
}

/// Cards that hang together, laid out by themselves.
struct Part {
    cards: Vec<(usize, Point)>,
    edges: Vec<(usize, Route)>,
    width: i64,
    height: i64,
}

impl Part {
    fn new(
        graph: &Graph,
        arrows: &Arrows,
        ranks: &[usize],
        cards: Vec<usize>,
        way: Way,
        sizes: Sizes,
    ) -> Part {
        let own: BTreeMap<usize, usize> = cards.iter().enumerate().map(|(n, c)| (*c, n)).collect();
        let mut numbers = Vec::new();
        let mut pairs = Vec::new();
        for card in &cards {
            for number in edges_into(graph, *card) {
                let edge = graph.edges[number];
                let (from, to) = match arrows.turned[number] {
                    false => (edge.before, edge.after),
                    true => (edge.after, edge.before),
                };
                if let (Some(from), Some(to)) = (own.get(&from), own.get(&to)) {
                    numbers.push(number);
                    pairs.push((*from, *to));
                }
            }
        }
        let layers: Vec<usize> = cards.iter().map(|card| ranks[*card]).collect();
        let lanes = Lanes::new(&layers, &pairs);
        let ordered = crossings::order(&lanes);
        let (across, along) = match way {
            Way::Down => (sizes.width, sizes.height),
            Way::Right => (sizes.height, sizes.width),
        };
        let room = Room {
            card: across as f64,
            gap: sizes.gap as f64,
            lane: sizes.lane as f64,
        };
        let middles: Vec<i64> = place::across(&lanes, &ordered, room)
            .into_iter()
            .map(|middle| middle.round() as i64)
            .collect();
        let starts = starts(&lanes, &ordered, &middles, along, sizes.layers);
        let turn = |across: i64, along: i64| match way {
            Way::Down => (across, along),
            Way::Right => (along, across),
        };
        let start_of = |number: usize| starts[lanes.layer[number]];
        let edges = numbers.into_iter().zip(&pairs).zip(&lanes.routes);
        let edges = edges.map(|((number, (from, to)), route)| {
            let mut points = vec![(middles[*from], start_of(*from) + along)];
            for place in route.clone().unwrap_or_default() {
                points.push((middles[place], start_of(place)));
                points.push((middles[place], start_of(place) + along));
            }
            points.push((middles[*to], start_of(*to)));
            let route = Route {
                points: points.into_iter().map(|(x, y)| turn(x, y)).collect(),
                back: arrows.turned[number],
                direct: route.is_none(),
            };
            (number, route)
        });
        let edges: Vec<(usize, Route)> = edges.collect();
        let corner = |own: usize| turn(middles[own] - across / 2, start_of(own));
        let cards: Vec<(usize, Point)> = cards
            .iter()
            .enumerate()
            .map(|(own, card)| (*card, corner(own)))
            .collect();
        let breadth = (0..middles.len()).map(|n| match lanes.is_place(n) {
            true => middles[n],
            false => middles[n] + across / 2,
        });
        let breadth = breadth.max().unwrap_or(0);
        let length = starts.last().map_or(0, |start| start + along);
        let (width, height) = turn(breadth, length);
        Part {
            cards,
            edges,
            width,
            height,
        }
    }

    fn copy_to(self, all: &mut Layout, (right, down): Point) {
        for (card, (x, y)) in self.cards {
            all.cards[card] = (x + right, y + down);
        }
        for (number, mut route) in self.edges {
            for point in &mut route.points {
                *point = (point.0 + right, point.1 + down);
            }
            all.edges[number] = route;
        }
    }
}

/// The numbers of the edges that reach a card; they are sorted by it.
fn edges_into(graph: &Graph, card: usize) -> std::ops::Range<usize> {
    let start = graph.edges.partition_point(|edge| edge.after < card);
    let end = graph.edges.partition_point(|edge| edge.after <= card);
    start..end
}

/// Where each layer starts; wide bends between two layers get more room.
fn starts(
    lanes: &Lanes,
    ordered: &[Vec<usize>],
    middles: &[i64],
    along: i64,
    least: i64,
) -> Vec<i64> {
    let mut starts = Vec::with_capacity(ordered.len());
    let mut start = 0;
    for layer in ordered {
        starts.push(start);
        let bends = layer.iter().flat_map(|number| {
            let after = lanes.after[*number].iter();
            after.map(|other| (middles[*other] - middles[*number]).abs())
        });
        let widest = bends.max().unwrap_or(0);
        start += along + least + (widest / 12).min(2 * least);
    }
    starts
}
