//! A card: one Markdown file, what it says of itself, and where it says so.
//!
//! A card is read once, from bytes, and never changes after that; faults in
//! it are findings beside it, and a file that can't be read is a card too,
//! which is neither open nor complete. What the edges between cards mean is
//! the chain's business; what a runner means is the runner's.

pub mod body;
pub mod deck;
pub mod discover;
pub mod edit;
pub mod find;
mod front_matter;
pub(crate) mod markdown;
mod parse;
pub mod prerequisites;
mod proof;
pub mod source;
mod splice;
mod stem;

use std::path::Path;

use indexmap::IndexMap;
use serde_yaml::{Mapping, Value};

use crate::diagnostic::Diagnostic;
pub use body::Body;
pub use deck::Deck;
pub use source::{Source, Span};
pub use stem::Stem;

/// One Markdown file of the card folders.
#[derive(Debug)]
pub struct Card {
    /// Its identity: the file name without `.md`.
    pub stem: Stem,
    /// The file: its path and bytes.
    pub source: Source,
    /// What the front matter says.
    pub front: FrontMatter,
    /// Where the body starts in the file.
    pub body_start: usize,
    /// Whether it stands open, is complete, or can't be read.
    pub plan: PlanState,
    /// Whether it is a page: a file with neither `status`, `requires` nor
    /// `runner`. A page is complete.
    pub page: bool,
    /// The faults of the file itself.
    pub findings: Vec<Diagnostic>,
}

/// The plan state of a card, read from the card and nowhere else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlanState {
    /// `status: active`, or a status that means nothing.
    Open,
    /// No status, an empty one, or `complete`, `completed`, `done`.
    Complete,
    /// The file can't be read as a card; a finding says why.
    Unreadable,
}

/// The keys of the front matter that mean something here, as written.
#[derive(Debug, Default)]
pub struct FrontMatter {
    /// The title.
    pub title: Option<Text>,
    /// The status, as written; an empty text where the key has no value.
    pub status: Option<Text>,
    /// The git branch of a goal.
    pub branch: Option<Text>,
    /// The date of the last change, as written.
    pub modified: Option<Text>,
    /// What this card requires, in its own order; `None` without the key.
    pub requires: Option<Vec<Requirement>>,
    /// The tags.
    pub tags: Vec<Text>,
    /// Other names of the card.
    pub aliases: Vec<Text>,
    /// What executes the card.
    pub runner: Option<Runner>,
    /// The runner's parameters; numbers are kept as they are written.
    pub with: Mapping,
    /// The place of each parameter's name in `with`.
    pub with_spans: IndexMap<String, Span>,
    /// Whose artifacts the runner reads.
    pub uses: Uses,
    /// Where the keys stand, all of them, in the file's order.
    pub keys: Vec<Text>,
}

/// A text and where it stands; where the text is not in the file as such
/// (escapes, several lines), the place of its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    /// The text.
    pub text: String,
    /// Its bytes in the file.
    pub span: Span,
}

/// One entry of `requires`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requirement {
    /// The entry as it is written.
    pub text: String,
    /// Its bytes in the file.
    pub span: Span,
    /// What it looks like.
    pub form: Form,
}

/// What an entry of `requires` looks like. Only a stem (or an alias) counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Form {
    /// A stem or an alias.
    Stem,
    /// `[[x]]`, with the stem that is meant.
    WikiLink(String),
    /// `x.md`, with the stem that is meant.
    FileName(String),
    /// A path, with the stem that is meant.
    Path(String),
    /// A list or a map.
    NotText,
}

/// What executes a card, as the card says it.
#[derive(Clone, Debug, PartialEq)]
pub enum Runner {
    /// `runner: human`: only a person may do it.
    Human(Span),
    /// The name of a file in `runners/`.
    Named(Text),
    /// A runner written in the card.
    Inline {
        /// The runner; numbers are kept as they are written.
        value: Value,
        /// Its YAML text in the file, from after `runner:` to the next key.
        span: Span,
    },
}

/// Whose artifacts a card's runner reads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Uses {
    /// Nothing said: the required cards that are builds, by stem.
    #[default]
    Default,
    /// These stems; the role of each is its stem.
    List(Vec<Text>),
    /// The stem of each role.
    Map(IndexMap<String, Text>),
}

impl Uses {
    /// Each role with the stem as written, in the card's order; empty where
    /// the card says nothing.
    pub fn roles(&self) -> Vec<(&str, &Text)> {
        match self {
            Uses::Default => Vec::new(),
            Uses::List(stems) => stems.iter().map(|stem| (&*stem.text, stem)).collect(),
            Uses::Map(roles) => roles.iter().map(|(role, stem)| (&**role, stem)).collect(),
        }
    }
}

impl Card {
    /// Reads a card. Never fails: faults are findings beside the card.
    pub fn read(stem: Stem, source: Source) -> Card {
        parse::card(stem, source)
    }

    /// A card whose file can't be read at all.
    pub fn unreadable(stem: Stem, source: Source, finding: Diagnostic) -> Card {
        Card {
            stem,
            body_start: source.bytes().len(),
            source,
            front: FrontMatter::default(),
            plan: PlanState::Unreadable,
            page: false,
            findings: vec![finding],
        }
    }

    /// The file's path, relative to the project's root.
    pub fn path(&self) -> &Path {
        self.source.path()
    }

    /// Whether it is open.
    pub fn is_open(&self) -> bool {
        self.plan == PlanState::Open
    }

    /// The title: of the front matter, else the first heading, else the stem.
    pub fn title(&self) -> String {
        let written = self.front.title.as_ref().map(|title| title.text.trim());
        match written.filter(|title| !title.is_empty()) {
            Some(title) => one_line(title),
            None => markdown::first_heading(self.text())
                .map(|heading| one_line(&heading))
                .unwrap_or_else(|| self.stem.to_string()),
        }
    }

    /// The status as written; `None` without the key.
    pub fn status(&self) -> Option<&str> {
        self.front.status.as_ref().map(|status| &*status.text)
    }

    /// The branch as written; `None` without the key.
    pub fn branch(&self) -> Option<&str> {
        self.front.branch.as_ref().map(|branch| &*branch.text)
    }

    /// What it requires, in its own order.
    pub fn requires(&self) -> &[Requirement] {
        self.front.requires.as_deref().unwrap_or_default()
    }

    /// The Markdown after the front matter; empty where it can't be read.
    pub fn text(&self) -> &str {
        let text = self.source.text();
        text.and_then(|text| text.get(self.body_start..))
            .unwrap_or_default()
    }

    /// The body, read as Markdown; costs a parse each time.
    pub fn body(&self, headings: &body::Headings) -> Body {
        Body::read(self, headings)
    }

    /// Whether `other`, the same card at another time, asks for the same work:
    /// the same runner, parameters, prerequisites and code blocks that run.
    pub fn asks_for_the_same(&self, other: &Card) -> bool {
        let names = |card: &Card| -> Vec<String> {
            let required = card.requires().iter().map(|entry| entry.text.clone());
            let roles = card.front.uses.roles();
            let used = roles
                .iter()
                .map(|(role, stem)| format!("{role}: {}", stem.text));
            required.chain(used).collect()
        };
        let blocks = |card: &Card| -> Vec<(String, String)> {
            let all = match card.may_run() {
                true => card.body(&body::Headings::default()).blocks,
                false => Vec::new(),
            };
            all.into_iter()
                .map(|block| (block.language, block.code))
                .collect()
        };
        self.runner_value() == other.runner_value()
            && self.front.with == other.front.with
            && names(self) == names(other)
            && blocks(self) == blocks(other)
    }

    /// The runner without its place; null for `human`.
    fn runner_value(&self) -> Option<Value> {
        match &self.front.runner {
            None => None,
            Some(Runner::Human(_)) => Some(Value::Null),
            Some(Runner::Named(name)) => Some(Value::String(name.text.clone())),
            Some(Runner::Inline { value, .. }) => Some(value.clone()),
        }
    }

    /// Whether the body may have code blocks that run, without parsing it; never
    /// `false` where it has.
    pub fn may_run(&self) -> bool {
        markdown::may_have_runnable_fence(self.text())
    }
}

/// The text with each run of white space as one space.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
