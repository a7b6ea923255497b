//! A chain as text: layers of lines, what comes first at the top.
//!
//! A card's layer is one more than that of its deepest prerequisite; a card that
//! several require is there once, and each says what it requires. On a terminal
//! the lines are cut or wrapped at its width, in a pipe never. Pure.

use super::Graph;
use super::layers::{Arrows, longest};
use crate::columns::{Screen, columns, padded};
use crate::standing::Standing;

/// Where stems begin.
const STEMS: usize = 15;

/// Where what a card requires begins.
const NEEDS: usize = 20;

/// The graph in lines.
pub fn draw(graph: &Graph, screen: Screen) -> String {
    let layers = longest(graph.cards.len(), &Arrows::new(graph));
    let deepest = layers.iter().max().map_or(0, |deepest| deepest + 1);
    let mut inside: Vec<Vec<usize>> = vec![Vec::new(); deepest];
    for (card, layer) in layers.iter().enumerate() {
        // What is missing is said where it is required.
        if graph.cards[card].standing != Standing::Missing {
            inside[*layer].push(card);
        }
    }
    inside.retain(|cards| !cards.is_empty());
    let mut needs: Vec<Vec<String>> = vec![Vec::new(); graph.cards.len()];
    for edge in &graph.edges {
        let before = &graph.cards[edge.before];
        let stem = &before.stem;
        needs[edge.after].push(match (before.standing, edge.uses) {
            (Standing::Missing, _) => format!("{stem} (no such card)"),
            (_, true) => format!("{stem} (used)"),
            (_, false) => stem.to_string(),
        });
    }
    let mut text = String::new();
    for (layer, cards) in inside.iter().enumerate() {
        for (index, number) in cards.iter().enumerate() {
            let card = &graph.cards[*number];
            let head = match index {
                0 => (layer + 1).to_string(),
                _ => String::new(),
            };
            let word = screen
                .paint
                .with(card.standing.style(), card.standing.word());
            let word = format!("{word}{}", padded("", 10 - card.standing.word().len()));
            let goal = if card.goal { " (goal)" } else { "" };
            let line = format!("{head:>3} {word} {}{goal}", card.stem);
            text.push_str(&line);
            // A title that says no more than the stem is left out.
            let used = STEMS + columns(card.stem.as_str()) + columns(goal) + 2;
            let title = screen.rest(&card.title, used);
            if card.title != card.stem.as_str() && !title.is_empty() {
                text.push_str(&format!("  {title}"));
            }
            text.push('\n');
            if !needs[*number].is_empty() {
                let all = screen.wrapped(&needs[*number].join(", "), NEEDS, NEEDS);
                text.push_str(&format!("{:17}<- {all}\n", ""));
            }
        }
    }
    text
}
