//! How a card stands, as people see it: one word, and its colours.
//!
//! The chain decides whether a card is complete, ready or blocked; what is
//! known of a ready card's runs and runner says whether it is stuck or waits.
//! Every list, picture and report takes its words and colours from here, so
//! that they mean the same everywhere. Pure.

use anstyle::{AnsiColor, Style};
use schemars::JsonSchema;
use serde::Serialize;

use crate::chain::State;

/// How a card stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    /// It is done.
    Complete,
    /// It is open, and can be worked on.
    Ready,
    /// It is ready, and waits for something to become true.
    Waiting,
    /// It is ready, and can't go on here: it failed, or something is missing.
    Stuck,
    /// It is open, and lacks something.
    Blocked,
    /// Its file can't be read.
    Unreadable,
    /// A card requires it, and there is no such card.
    Missing,
}

/// What a standing is filled and framed with in a picture, as `#rrggbb`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shades {
    /// The fill on a light background.
    pub fill: &'static str,
    /// The frame on a light background.
    pub frame: &'static str,
    /// The fill on a dark background.
    pub dark_fill: &'static str,
    /// The frame on a dark background.
    pub dark_frame: &'static str,
}

impl Standing {
    /// All of them, in the order of a card's life.
    pub const ALL: [Standing; 7] = [
        Standing::Complete,
        Standing::Ready,
        Standing::Waiting,
        Standing::Stuck,
        Standing::Blocked,
        Standing::Unreadable,
        Standing::Missing,
    ];

    /// How a card of this state stands; `stuck` and `waits` are asked of ready
    /// cards alone.
    pub fn new(state: State, stuck: bool, waits: bool) -> Standing {
        match state {
            State::Complete => Standing::Complete,
            State::Ready if stuck => Standing::Stuck,
            State::Ready if waits => Standing::Waiting,
            State::Ready => Standing::Ready,
            State::Blocked => Standing::Blocked,
            State::Unreadable => Standing::Unreadable,
        }
    }

    /// The word for it, of at most ten letters.
    pub fn word(self) -> &'static str {
        match self {
            Standing::Complete => "complete",
            Standing::Ready => "ready",
            Standing::Waiting => "waiting",
            Standing::Stuck => "stuck",
            Standing::Blocked => "blocked",
            Standing::Unreadable => "unreadable",
            Standing::Missing => "missing",
        }
    }

    /// Its style on a terminal: what can be read on black and on white, and
    /// never without the word. What needs nobody's eye has none.
    pub fn style(self) -> Style {
        let colour = |colour: AnsiColor| Style::new().bold().fg_color(Some(colour.into()));
        match self {
            Standing::Complete | Standing::Blocked => Style::new(),
            Standing::Ready => colour(AnsiColor::Green),
            Standing::Waiting => colour(AnsiColor::Magenta),
            Standing::Stuck | Standing::Unreadable | Standing::Missing => colour(AnsiColor::Red),
        }
    }

    /// Its colours in a picture.
    pub fn shades(self) -> Shades {
        let shades = |fill, frame, dark_fill, dark_frame| Shades {
            fill,
            frame,
            dark_fill,
            dark_frame,
        };
        match self {
            Standing::Complete => shades("#dbe8fb", "#5b83bd", "#16304f", "#6f9bd8"),
            Standing::Ready => shades("#d6f3d9", "#2f8f46", "#153d22", "#56b870"),
            Standing::Waiting => shades("#fdeec7", "#a8780f", "#43330b", "#d0a136"),
            Standing::Stuck => shades("#fbd9d7", "#c0392f", "#4d1a18", "#e5706a"),
            Standing::Blocked => shades("#eeeeee", "#808080", "#2d3138", "#8b929c"),
            Standing::Unreadable | Standing::Missing => {
                shades("#ffffff", "#c0392f", "#14171b", "#e5706a")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The contrast of two colours, after WCAG 2.1.
    fn contrast(one: &str, other: &str) -> f64 {
        let light = |text: &str| {
            let part = |at: usize| {
                let part = text.get(at..at + 2).unwrap_or("00");
                let value = f64::from(u8::from_str_radix(part, 16).unwrap_or(0)) / 255.0;
                match value <= 0.03928 {
                    true => value / 12.92,
                    false => ((value + 0.055) / 1.055).powf(2.4),
                }
            };
            0.2126 * part(1) + 0.7152 * part(3) + 0.0722 * part(5)
        };
        let (one, other) = (light(one), light(other));
        (one.max(other) + 0.05) / (one.min(other) + 0.05)
    }

    #[test]
    fn letters_and_frames_can_be_read_on_both_backgrounds() {
        for standing in Standing::ALL {
            let shades = standing.shades();
            assert!(contrast(shades.fill, "#1b1f24") > 7.0, "{standing:?}");
            assert!(contrast(shades.dark_fill, "#e6e9ed") > 7.0, "{standing:?}");
            assert!(contrast(shades.frame, "#ffffff") > 3.0, "{standing:?}");
            assert!(contrast(shades.dark_frame, "#14171b") > 3.0, "{standing:?}");
        }
    }

    #[test]
    fn only_ready_cards_are_stuck_or_wait() {
        assert_eq!(Standing::new(State::Ready, true, true), Standing::Stuck);
        assert_eq!(Standing::new(State::Ready, false, true), Standing::Waiting);
        assert_eq!(Standing::new(State::Blocked, true, true), Standing::Blocked);
        assert_eq!(
            Standing::new(State::Complete, true, true),
            Standing::Complete
        );
    }
}
