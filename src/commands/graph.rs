//! `mikado graph`.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

use clap::{Args, ValueEnum};
use serde_json::json;

use crate::answer::SCHEMA_VERSION;
use crate::card::Stem;
use crate::chain::State;
use crate::cli::Context;
use crate::error::{Error, Exit};

use super::selection::{Selection, SelectionArgs};
use super::svg;
use super::view::View;

/// Draw the chain
#[derive(Clone, Debug, Default, Args)]
pub struct GraphArgs {
    /// The chain of this card alone
    #[arg(long, value_name = "CARD")]
    pub goal: Option<String>,
    /// Open cards alone
    #[arg(long)]
    pub open: bool,
    /// Which way prerequisites point to what needs them
    #[arg(long, value_enum, default_value_t, value_name = "WAY")]
    pub direction: Way,
    /// What to draw it as
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub format: GraphFormat,
}

/// The direction of a drawing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Way {
    /// From top to bottom.
    #[default]
    Down,
    /// From left to right.
    Right,
}

/// What a graph is drawn as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum GraphFormat {
    /// Layers of lines, what comes first at the top.
    #[default]
    Text,
    /// A flowchart of mermaid, as forges render it.
    Mermaid,
    /// Graphviz's language.
    Dot,
    /// A picture.
    Svg,
    /// For programs.
    Json,
}

/// A card as it is drawn.
struct Drawn {
    stem: Stem,
    title: String,
    /// `complete`, `ready`, `blocked`, `stuck` or `unreadable`.
    state: &'static str,
    goal: bool,
    requires: Vec<Stem>,
}

/// Carries `graph` out.
///
/// # Errors
///
/// Where the cards can't be read, or the output can't be written.
pub fn run(args: GraphArgs, context: &Context) -> Result<Exit, Error> {
    let selection = Selection::read(&SelectionArgs::default(), context)?;
    let cards = drawn(&args, &selection)?;
    let text = match args.format {
        GraphFormat::Text => layers(&cards),
        GraphFormat::Mermaid => mermaid(&cards, args.direction),
        GraphFormat::Dot => dot(&cards, args.direction),
        GraphFormat::Svg => svg::draw(&boxes(&cards), args.direction == Way::Right),
        GraphFormat::Json => as_json(&cards),
    };
    let written = io::stdout().lock().write_all(text.as_bytes());
    written.map_err(Error::disk("write to", "standard output"))?;
    Ok(Exit::Done)
}

fn drawn(args: &GraphArgs, selection: &Selection) -> Result<Vec<Drawn>, Error> {
    let chain = &selection.chain;
    let view = View::new(selection);
    let within = match &args.goal {
        Some(name) => Some(chain.closure(&[selection.find(name)?])),
        None => None,
    };
    let goals: BTreeSet<Stem> = chain.goals().into_iter().collect();
    let is_drawn = |stem: &&Stem| {
        let state = chain.state(stem);
        let is_open = matches!(state, State::Ready | State::Blocked);
        let files = selection.deck.files(stem.as_str());
        // A page is drawn only where a card requires it.
        let is_card = files.iter().any(|card| !card.page) || !chain.dependents(stem).is_empty();
        within.as_ref().is_none_or(|within| within.contains(*stem))
            && (is_open || !args.open)
            && is_card
    };
    let stems: BTreeSet<Stem> = selection.deck.stems().filter(is_drawn).cloned().collect();
    let order = chain.order(&stems);
    Ok(order
        .into_iter()
        .map(|stem| {
            let failed = view.last_run(&stem).is_some_and(|run| run.failed.is_some());
            let requires = chain
                .requires(&stem)
                .iter()
                .filter(|s| stems.contains(*s))
                .cloned()
                .collect();
            Drawn {
                title: selection
                    .deck
                    .files(stem.as_str())
                    .first()
                    .map(|card| card.title())
                    .unwrap_or_default(),
                state: match chain.state(&stem) {
                    State::Complete => "complete",
                    State::Ready if failed => "stuck",
                    State::Ready => "ready",
                    State::Blocked => "blocked",
                    State::Unreadable => "unreadable",
                },
                goal: goals.contains(&stem),
                requires,
                stem,
            }
        })
        .collect())
}

/// The layer of each card: one more than its deepest prerequisite's.
fn depths(cards: &[Drawn]) -> BTreeMap<&Stem, usize> {
    let mut depths: BTreeMap<&Stem, usize> = BTreeMap::new();
    for card in cards {
        let deepest = card
            .requires
            .iter()
            .filter_map(|stem| depths.get(stem))
            .max();
        depths.insert(&card.stem, deepest.map_or(0, |depth| depth + 1));
    }
    depths
}

fn layers(cards: &[Drawn]) -> String {
    let depths = depths(cards);
    let mut text = String::new();
    let deepest = depths.values().max().copied().unwrap_or(0);
    for layer in 0..=deepest {
        let inside = cards
            .iter()
            .filter(|card| depths.get(&card.stem) == Some(&layer));
        for (index, card) in inside.enumerate() {
            let number = if index == 0 {
                (layer + 1).to_string()
            } else {
                String::new()
            };
            let goal = if card.goal { " (goal)" } else { "" };
            text.push_str(&format!(
                "{number:>3} {:<10} {}{goal}\n",
                card.state, card.stem
            ));
            let needs: Vec<String> = card.requires.iter().map(Stem::to_string).collect();
            if !needs.is_empty() {
                text.push_str(&format!("{:>3} {:<10}   <- {}\n", "", "", needs.join(", ")));
            }
        }
    }
    text
}

fn mermaid(cards: &[Drawn], way: Way) -> String {
    let way = match way {
        Way::Down => "TD",
        Way::Right => "LR",
    };
    let ids = ids(cards);
    let mut text = format!("flowchart {way}\n");
    for card in cards {
        let class = if card.goal { "goal" } else { card.state };
        // Quotes and marks of Markdown are written as entities.
        let title: String = card
            .title
            .chars()
            .map(|c| match c {
                '"' | '#' | '<' | '>' | '&' | '`' => format!("#{};", u32::from(c)),
                c if c.is_control() => " ".into(),
                c => c.to_string(),
            })
            .collect();
        text.push_str(&format!("  {}[\"{title}\"]:::{class}\n", ids[&card.stem]));
    }
    for card in cards {
        for before in &card.requires {
            text.push_str(&format!("  {} --> {}\n", ids[before], ids[&card.stem]));
        }
    }
    text.push_str(
        "  classDef goal stroke-width:3px\n  classDef ready fill:#d5f5d5,color:#000\n  classDef blocked fill:#eee,color:#000\n  \
         classDef stuck fill:#f8d0d0,color:#000\n  classDef complete fill:#d0e0f8,color:#000\n  classDef unreadable stroke-dasharray:4\n",
    );
    text
}

/// Names for mermaid: letters, digits and `_`, made from the stem, so that a
/// changed card changes no other line.
fn ids(cards: &[Drawn]) -> BTreeMap<Stem, String> {
    let mut taken: BTreeSet<String> = BTreeSet::new();
    let mut ids = BTreeMap::new();
    for card in cards {
        let plain: String = card
            .stem
            .as_str()
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
            .collect();
        // `end` is a word of mermaid's, and a digit can't come first.
        let mut id = format!("c_{plain}");
        while !taken.insert(id.clone()) {
            id.push('_');
        }
        ids.insert(card.stem.clone(), id);
    }
    ids
}

fn dot(cards: &[Drawn], way: Way) -> String {
    let way = match way {
        Way::Down => "TB",
        Way::Right => "LR",
    };
    let quoted = |text: &str| {
        format!(
            "\"{}\"",
            text.replace('\\', "\\\\")
                .replace('"', "\\\"")
                .replace('\n', " ")
        )
    };
    let mut text = format!(
        "digraph mikado {{\n  rankdir={way}\n  node [shape=box, style=filled, fillcolor=white]\n"
    );
    for card in cards {
        let fill = match card.state {
            "ready" => "palegreen",
            "stuck" => "lightpink",
            "complete" => "lightblue",
            _ => "whitesmoke",
        };
        let width = if card.goal { ", penwidth=3" } else { "" };
        text.push_str(&format!(
            "  {} [label={}, fillcolor={fill}{width}]\n",
            quoted(card.stem.as_str()),
            quoted(&card.title)
        ));
    }
    for card in cards {
        for before in &card.requires {
            text.push_str(&format!(
                "  {} -> {}\n",
                quoted(before.as_str()),
                quoted(card.stem.as_str())
            ));
        }
    }
    text.push_str("}\n");
    text
}

fn boxes(cards: &[Drawn]) -> Vec<svg::Box> {
    let one = |card: &Drawn| svg::Box {
        name: card.stem.to_string(),
        title: card.title.clone(),
        class: card.state,
        thick: card.goal,
        before: card.requires.iter().map(Stem::to_string).collect(),
    };
    cards.iter().map(one).collect()
}

fn as_json(cards: &[Drawn]) -> String {
    let nodes: Vec<_> = cards
        .iter()
        .map(|card| json!({"stem": card.stem, "title": card.title, "state": card.state, "goal": card.goal}))
        .collect();
    let edges: Vec<_> = cards
        .iter()
        .flat_map(|card| {
            card.requires
                .iter()
                .map(|before| json!({"card": card.stem, "requires": before}))
        })
        .collect();
    format!(
        "{}\n",
        json!({"schemaVersion": SCHEMA_VERSION, "cards": nodes, "requires": edges})
    )
}
