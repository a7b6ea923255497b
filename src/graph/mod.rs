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

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use crate::card::Stem;
use crate::chain::State;
use crate::report::SCHEMA_VERSION;
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
    pub path: Option<String>,
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
    Down,
    /// From left to right.
    Right,
}

impl Graph {
    /// A graph of these cards, each with the names that it requires and those
    /// that it uses. A name of no card given becomes a card that is missing.
    pub fn new(cards: Vec<(Drawn, Vec<Stem>, Vec<Stem>)>) -> Graph {
        let mut graph = Graph::default();
        let mut numbers: BTreeMap<Stem, usize> = BTreeMap::new();
        let mut links = Vec::with_capacity(cards.len());
        let mut missing: BTreeMap<Stem, ()> = BTreeMap::new();
        let known: BTreeMap<Stem, ()> = cards.iter().map(|c| (c.0.stem.clone(), ())).collect();
        for (card, requires, uses) in cards {
            for stem in &requires {
                if !known.contains_key(stem) && missing.insert(stem.clone(), ()).is_none() {
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
    pub fn document(&self) -> GraphDocument {
        let layers = layers::longest(self.cards.len(), &layers::Arrows::new(self));
        let is_card = |number: usize| self.cards[number].path.is_some();
        let cards = self.cards.iter().zip(&layers).filter_map(|(card, layer)| {
            Some(GraphCard {
                stem: card.stem.to_string(),
                title: card.title.clone(),
                path: card.path.clone()?,
                state: card.state,
                standing: card.standing,
                goal: card.goal,
                layer: layer + 1,
            })
        });
        let edges = self.edges.iter();
        let name = |number: usize| self.cards[number].stem.to_string();
        let required = edges.clone().filter(|edge| !edge.uses);
        GraphDocument {
            schema_version: SCHEMA_VERSION,
            cards: cards.collect(),
            requires: required
                .clone()
                .filter(|edge| is_card(edge.before))
                .map(|edge| GraphRequires {
                    card: name(edge.after),
                    requires: name(edge.before),
                })
                .collect(),
            uses: edges
                .filter(|edge| edge.uses)
                .map(|edge| GraphUses {
                    card: name(edge.after),
                    uses: name(edge.before),
                })
                .collect(),
            unknown: required
                .filter(|edge| !is_card(edge.before))
                .map(|edge| GraphRequires {
                    card: name(edge.after),
                    requires: name(edge.before),
                })
                .collect(),
        }
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

/// `graph --format json`.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GraphDocument {
    /// The version of this format.
    pub schema_version: u32,
    /// The cards; prerequisites come before what requires them, but in a cycle.
    pub cards: Vec<GraphCard>,
    /// What requires what, among these cards.
    pub requires: Vec<GraphRequires>,
    /// What uses the artifact of what without requiring it.
    pub uses: Vec<GraphUses>,
    /// What is required and names no card.
    pub unknown: Vec<GraphRequires>,
}

/// A card of a drawing.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct GraphCard {
    /// Its stem.
    pub stem: String,
    /// Its title.
    pub title: String,
    /// Its file, relative to the root.
    pub path: String,
    /// Its state in the chain, as `list` has it.
    #[schemars(with = "StateSchema")]
    pub state: State,
    /// How it stands: its state, but `stuck` or `waiting` for what is ready and
    /// can't go on.
    pub standing: Standing,
    /// Whether no open card requires it, though it is open.
    pub goal: bool,
    /// One more than the layer of its deepest prerequisite; from 1.
    pub layer: usize,
}

/// A card and what it requires.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct GraphRequires {
    /// The card.
    pub card: String,
    /// What it requires.
    pub requires: String,
}

/// A card and what it uses.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct GraphUses {
    /// The card.
    pub card: String,
    /// Whose artifact it uses.
    pub uses: String,
}

/// The states of the chain, for the schema.
#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
#[expect(dead_code, reason = "its schema is wanted, and no value")]
enum StateSchema {
    Complete,
    Ready,
    Blocked,
    Unreadable,
}

#[cfg(test)]
pub(crate) mod tests;
