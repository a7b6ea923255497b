//! Which card a word of the command line means.

use super::{Card, Deck, Stem};
use crate::words;

/// So many cards are named in a line.
const FEW: usize = 8;

/// A word that means no card, or several.
#[derive(Debug, thiserror::Error)]
pub enum NotFound {
    /// Nothing of that name.
    #[error("no card is called `{name}`")]
    Unknown {
        /// The word.
        name: String,
        /// Names that are near.
        near: Vec<String>,
        /// All cards, where they are few.
        few: Vec<String>,
    },
    /// Several.
    #[error("`{name}` may be {}", words::list(.candidates))]
    Ambiguous {
        /// The word.
        name: String,
        /// What it may mean.
        candidates: Vec<String>,
    },
    /// Several files with one stem.
    #[error("`{name}` is the stem of several files: {}", words::list(.paths))]
    Duplicate {
        /// The stem.
        name: String,
        /// The files.
        paths: Vec<String>,
    },
}

impl NotFound {
    /// What to do next.
    pub fn help(&self) -> String {
        match self {
            NotFound::Unknown { near, .. } if !near.is_empty() => {
                format!("did you mean {}?", words::list(near))
            }
            NotFound::Unknown { few, .. } if !few.is_empty() => {
                format!("the cards are {}", words::list(few))
            }
            NotFound::Unknown { .. } => "`mikado list --all` shows every card".into(),
            NotFound::Ambiguous { candidates, .. } => {
                format!("write the stem: {}", words::list(candidates))
            }
            NotFound::Duplicate { .. } => "rename all but one".into(),
        }
    }
}

/// Finds a card by exact stem, then exact alias, then unique beginning of a stem.
///
/// # Errors
///
/// Where the word means no card, or more than one.
pub fn card(deck: &Deck, name: &str) -> Result<Stem, NotFound> {
    let several = |cards: &[&Card]| NotFound::Ambiguous {
        name: name.to_owned(),
        candidates: cards.iter().map(|card| card.stem.to_string()).collect(),
    };
    match deck.files(name).as_slice() {
        [] => {}
        [one] => return Ok(one.stem.clone()),
        files => {
            return Err(NotFound::Duplicate {
                name: name.to_owned(),
                paths: files
                    .iter()
                    .map(|c| c.path().display().to_string())
                    .collect(),
            });
        }
    }
    match deck.aliased(name).as_slice() {
        [] => {}
        [one] => return Ok(one.stem.clone()),
        cards => return Err(several(cards)),
    }
    let begins = |card: &&Card| !name.is_empty() && card.stem.as_str().starts_with(name);
    let all: Vec<&Card> = deck.cards().iter().filter(begins).collect();
    // Pages are meant only where no card is.
    let cards: Vec<&Card> = all.iter().copied().filter(|card| !card.page).collect();
    let candidates = if cards.is_empty() { all } else { cards };
    match candidates.as_slice() {
        [one] => Ok(one.stem.clone()),
        [] => Err(NotFound::Unknown {
            name: name.to_owned(),
            near: near(deck, name),
            few: few(deck),
        }),
        cards => Err(several(cards)),
    }
}

/// The stems of all cards; empty where there are too many for a line.
fn few(deck: &Deck) -> Vec<String> {
    let cards = deck.cards().iter().filter(|card| !card.page);
    let stems: Vec<String> = cards.map(|card| card.stem.to_string()).collect();
    if stems.len() <= FEW {
        stems
    } else {
        Vec::new()
    }
}

/// Names that are near `name`, the nearest first, three at most.
fn near(deck: &Deck, name: &str) -> Vec<String> {
    let limit = (name.chars().count() / 2).max(2);
    let mut near: Vec<(usize, &str)> = deck
        .stems()
        .map(|stem| stem.as_str())
        .chain(deck.aliases().map(|(alias, _)| alias))
        .map(|known| (strsim::damerau_levenshtein(name, known), known))
        .filter(|(distance, known)| *distance <= limit || known.contains(name))
        .collect();
    near.sort();
    near.into_iter()
        .take(3)
        .map(|(_, known)| known.to_owned())
        .collect()
}
