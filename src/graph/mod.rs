//! A chain as it is drawn: cards, what they require, how they stand; as text,
//! mermaid, Graphviz's language, SVG or JSON.
//!
//! Every edge is drawn as the cards have it: each entry of `requires` once,
//! and dashed what a card uses without requiring it. What names no card is
//! drawn too, since it holds a card up. Nothing depends on anything but the
//! cards, so a small change of them is a small change of a drawing. Pure.

pub mod dot;
pub mod layout;
pub mod lettering;
pub mod mermaid;
pub mod svg;
pub mod text;

mod crossings;
mod lanes;
mod layers;
mod place;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use crate::answer::{GraphCard, GraphObject, RequiredBy, SCHEMA_VERSION, UsedBy};
use crate::card::Stem;
use crate::chain::State;
use crate::standing::Standing;

/// What is drawn. Prerequisites stand before what requires them, but in a cycle.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    /// The cards, and what is required and names none.
    pub cards: Vec<Drawn>,
    /// The edges, sorted by the dependent, in its own order.
    pub edges: Vec<Edge>,
}

/// A card as it is drawn.
#[derive(Clone, Debug)]
pub struct Drawn {
    /// Which.
    pub stem: Stem,
    /// Its title, in one line.
    pub title: String,
    /// Its file, relative to the root; `None` where there is no such card.
    pub path: Option<PathBuf>,
    /// Its state in the chain.
    pub state: State,
    /// How it stands.
    pub standing: Standing,
    /// Whether it is a goal.
    pub goal: bool,
}

/// An edge; numbers are places in [`Graph::cards`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edge {
    /// The prerequisite.
    pub before: usize,
    /// What requires it.
    pub after: usize,
    /// Whether the card uses the other's artifact and does not require it.
    pub uses: bool,
}

/// The direction of a drawing: where dependents are, seen from what they require.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Way {
    /// From top to bottom.
    #[default]
    #[value(aliases = ["TB", "TD", "tb", "td"])]
    Down,
    /// From left to right.
    #[value(aliases = ["LR", "lr"])]
    Right,
}

impl Graph {
    /// A graph of these cards, each with the names that it requires and those
    /// that it uses. A name of no card given becomes a card that is missing.
    pub fn new(cards: Vec<(Drawn, Vec<Stem>, Vec<Stem>)>) -> Graph {
        let mut graph = Graph::default();
        let mut numbers: BTreeMap<Stem, usize> = BTreeMap::new();
        let mut links = Vec::with_capacity(cards.len());
        let mut missing: BTreeSet<Stem> = BTreeSet::new();
        let known: BTreeSet<Stem> = cards.iter().map(|card| card.0.stem.clone()).collect();
        for (card, requires, uses) in cards {
            for stem in &requires {
                if !known.contains(stem) && missing.insert(stem.clone()) {
                    graph.add(Drawn::missing(stem), &mut numbers);
                }
            }
            graph.add(card, &mut numbers);
            links.push((graph.cards.len() - 1, requires, uses));
        }
        for (after, requires, uses) in links {
            for (stems, uses) in [(&requires, false), (&uses, true)] {
                for stem in stems {
                    let Some(before) = numbers.get(stem).copied() else {
                        continue;
                    };
                    let is_new = !(uses && requires.contains(stem));
                    if before != after && is_new {
                        graph.edges.push(Edge {
                            before,
                            after,
                            uses,
                        });
                    }
                }
            }
        }
        graph
    }

    fn add(&mut self, card: Drawn, numbers: &mut BTreeMap<Stem, usize>) {
        numbers.insert(card.stem.clone(), self.cards.len());
        self.cards.push(card);
    }

    /// The graph for programs.
    pub fn answer(&self) -> GraphObject {
        let layers = layers::longest(self.cards.len(), &layers::Arrows::new(self));
        let cards = self.cards.iter().zip(&layers).filter_map(|(card, layer)| {
            Some(GraphCard {
                stem: card.stem.clone(),
                title: card.title.clone(),
                path: card.path.clone()?,
                state: card.state,
                standing: card.standing,
                goal: card.goal,
                layer: layer + 1,
            })
        });
        let mut answer = GraphObject {
            schema_version: SCHEMA_VERSION,
            cards: cards.collect(),
            requires: Vec::new(),
            uses: Vec::new(),
            unknown: Vec::new(),
        };
        for edge in &self.edges {
            let before = &self.cards[edge.before];
            let card = self.cards[edge.after].stem.clone();
            let stem = before.stem.clone();
            match (&before.path, edge.uses) {
                (None, _) => answer.unknown.push(RequiredBy {
                    card,
                    requires: stem,
                }),
                (Some(_), false) => answer.requires.push(RequiredBy {
                    card,
                    requires: stem,
                }),
                (Some(_), true) => answer.uses.push(UsedBy { card, uses: stem }),
            }
        }
        answer
    }
}

impl Drawn {
    fn missing(stem: &Stem) -> Drawn {
        Drawn {
            stem: stem.clone(),
            title: stem.to_string(),
            path: None,
            state: State::Unreadable,
            standing: Standing::Missing,
            goal: false,
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
