//! A card's runner as it is written: where a key of it stands in its file.
//!
//! The typed runner has no places. A fault that is found in it names the way to
//! its key, and this reads the YAML once more to find that.

use std::path::Path;

use super::work::{Runners, Work};
use crate::card::{Card, Runner, Source, Span};
use crate::diagnostic::Place;
use crate::yaml::{self, Node};

/// The file that a runner is written in, and where it is in there.
#[derive(Debug)]
pub struct Written {
    source: Source,
    span: Span,
}

impl Written {
    /// The runner of a card; `None` where it is made of code blocks alone, or
    /// its file can't be read (again).
    pub fn read(root: &Path, runners: &Runners, card: &Card, work: &Work) -> Option<Written> {
        if let Some(Runner::Inline { span, .. }) = &card.front.runner {
            let bytes = card.source.bytes().to_vec();
            return Some(Written {
                source: Source::new(card.path().to_owned(), bytes),
                span: span.clone(),
            });
        }
        let path = runners.path(work.runner.as_ref()?);
        let bytes = std::fs::read(root.join(&path)).ok()?;
        let span = 0..bytes.len();
        Some(Written {
            source: Source::new(path, bytes),
            span,
        })
    }

    /// The place of the value at `way`: keys of maps, numbers or texts of lists.
    /// Where it is no text, the place of its first key.
    pub fn place(&self, way: &[&str]) -> Option<Place> {
        let text = self.source.text()?.get(self.span.clone())?;
        let tree = yaml::read(text).ok()?;
        let mut node = &tree;
        let mut last = None;
        for step in way {
            (node, last) = match node {
                Node::Map(entries) => {
                    let is_key = |key: &Node<'_>| matches!(key, Node::Scalar(k) if k.text == *step);
                    let (key, value) = entries.iter().find(|(key, _)| is_key(key))?;
                    (value, key.span())
                }
                Node::List(items) => {
                    let is_item =
                        |item: &&Node<'_>| matches!(item, Node::Scalar(s) if s.text == *step);
                    let numbered = step.parse().ok().and_then(|at: usize| items.get(at));
                    (numbered.or_else(|| items.iter().find(is_item))?, last)
                }
                Node::Scalar(_) => return None,
            };
        }
        let span = node.span().or(last)?;
        let start = self.span.start;
        Some(self.source.place(start + span.start..start + span.end, ""))
    }
}
