//! `mikado new`, `mikado require` and `mikado unrequire`.

use std::collections::BTreeSet;
use std::path::PathBuf;

use clap::Args;

use crate::card::{Card, Deck, PlanState, Stem, edit, prerequisites};
use crate::chain::Chain;
use crate::cli::Context;
use crate::error::{Error, Exit};

use super::new_file::NewFile;
use super::say;
use super::selection::{Selection, SelectionArgs};

/// Write a new card
///
/// With `--for` the parent requires it from the same moment: both files are
/// written, or neither.
#[derive(Clone, Debug, Args)]
pub struct NewArgs {
    /// The new card's stem
    #[arg(value_name = "STEM")]
    pub stem: String,
    /// The card that needs it: an exact stem or alias
    #[arg(long = "for", value_name = "PARENT")]
    pub parent: Option<String>,
    /// Its title [default: made from the stem]
    #[arg(long, value_name = "TEXT")]
    pub title: Option<String>,
}

/// Let a card require other ones
#[derive(Clone, Debug, Args)]
pub struct RequireArgs {
    /// The card that needs something: an exact stem or alias
    #[arg(value_name = "CARD")]
    pub card: String,
    /// What it needs: exact stems or aliases
    #[arg(id = "PREREQUISITE", required = true)]
    pub prerequisites: Vec<String>,
}

/// Carries `new` out.
///
/// # Errors
///
/// Where the stem is taken or odd, or the disk is in the way.
pub fn new(args: NewArgs, context: &Context) -> Result<Exit, Error> {
    let selection = Selection::read(&SelectionArgs::default(), context)?;
    let stem = args.stem.strip_suffix(".md").unwrap_or(&args.stem);
    if stem.is_empty() || stem.starts_with('.') || stem.contains(['/', '\0', '\n']) {
        let message = format!("`{}` can't be the name of a card", args.stem);
        return Err(Error::usage(message, "write letters, digits and `-`"));
    }
    if let Some(card) = selection.deck.files(stem).first() {
        let message = format!("`{stem}` is there already: {}", card.path().display());
        return Err(Error::usage(message, "choose another stem"));
    }
    let parent = match &args.parent {
        Some(name) => Some(parent(&selection, name)?),
        None => None,
    };
    let folder = match parent {
        Some(card) => selection
            .project
            .root
            .join(card.path())
            .parent()
            .map(PathBuf::from),
        None => selection.project.card_dirs.first().cloned(),
    };
    let path = folder.unwrap_or_default().join(format!("{stem}.md"));
    let title = args.title.unwrap_or_else(|| titled(stem));
    let change = match parent {
        None => None,
        Some(card) => {
            let bytes = prerequisites::added(card, &Stem::new(stem));
            Some((card, bytes.ok_or_else(|| edit::unchangeable(card))?))
        }
    };
    let file = NewFile::create(path.clone()).map_err(Error::disk("write", &path))?;
    let quoted = serde_yaml::to_string(&title).unwrap_or_default();
    let text = format!(
        "---\ntitle: {}\nstatus: active\nrequires: []\n---\n# {title}\n",
        quoted.trim_end()
    );
    file.write_with(&text, || match &change {
        Some((card, bytes)) => edit::write(&selection.project.root, &card.source, bytes),
        None => Ok(()),
    })?;
    let shown = path
        .strip_prefix(&selection.project.root)
        .unwrap_or(&path)
        .display();
    match change {
        Some((card, _)) => say(&format!("{shown}: {} requires it", card.stem)),
        None => say(&format!("{shown}")),
    }
}

/// Carries `require` out.
///
/// # Errors
///
/// Where a card is not there, a cycle would be made, or the disk is in the way.
pub fn require(args: RequireArgs, context: &Context) -> Result<Exit, Error> {
    let selection = Selection::read(&SelectionArgs::default(), context)?;
    let card = parent(&selection, &args.card)?;
    let mut bytes = card.source.bytes().to_vec();
    let mut added: Vec<Stem> = Vec::new();
    let mut lines = Vec::new();
    for name in &args.prerequisites {
        let other = selection.find_exactly(name)?;
        if other == card.stem {
            let message = format!("`{other}` can't require itself");
            return Err(Error::usage(message, ""));
        }
        // By its stem, or by an alias.
        let is_there = selection.chain.requires(&card.stem).contains(&other);
        if is_there || added.contains(&other) {
            lines.push(format!("{} requires {other} already", card.stem));
            continue;
        }
        let now = prerequisites::read_again(card, bytes);
        bytes = prerequisites::added(&now, &other).ok_or_else(|| edit::unchangeable(card))?;
        lines.push(format!("{} requires {other}", card.stem));
        added.push(other);
    }
    // The chain as it would be says whether there would be a cycle, with every edge.
    if selection.chain.closure(&added).contains(&card.stem) {
        let changed = prerequisites::read_again(card, bytes);
        let project = &selection.project;
        let others = Deck::read(&project.root, &project.card_dirs)?;
        let deck = others.with(changed);
        let chain = Chain::new(&deck);
        let cycles = chain
            .findings()
            .iter()
            .filter(|finding| finding.code == "cycle");
        return Err(Error::Findings(cycles.cloned().collect()));
    }
    if !added.is_empty() {
        edit::write(&selection.project.root, &card.source, &bytes)?;
    }
    say(&lines.join("\n"))
}

/// Carries `unrequire` out.
///
/// # Errors
///
/// Where a card is not there, or the disk is in the way.
pub fn unrequire(args: RequireArgs, context: &Context) -> Result<Exit, Error> {
    let selection = Selection::read(&SelectionArgs::default(), context)?;
    let card = parent(&selection, &args.card)?;
    let mut bytes = card.source.bytes().to_vec();
    let mut lines = Vec::new();
    for name in &args.prerequisites {
        // What names no card can be taken away as well, and a card by any name.
        let names_it = |text: &str| {
            let meant = selection.chain.resolve(name);
            text == name || meant.is_some() && selection.chain.resolve(text) == meant
        };
        let entries = card.requires().iter().map(|entry| Stem::new(&entry.text));
        let named: BTreeSet<Stem> = entries.filter(|text| names_it(text.as_str())).collect();
        if named.is_empty() {
            let message = format!("`{}` does not require `{name}`", card.stem);
            let help = format!("`mikado show {}` has what it requires", card.stem);
            return Err(Error::usage(message, help));
        }
        for text in named {
            let now = prerequisites::read_again(card, bytes);
            // Named twice, it is taken away once.
            let is_there = now
                .requires()
                .iter()
                .any(|entry| entry.text == text.as_str());
            bytes = match is_there {
                true => {
                    prerequisites::removed(&now, &text).ok_or_else(|| edit::unchangeable(card))?
                }
                false => now.source.bytes().to_vec(),
            };
        }
        lines.push(format!("{} no longer requires {name}", card.stem));
    }
    edit::write(&selection.project.root, &card.source, &bytes)?;
    say(&lines.join("\n"))
}

fn parent<'a>(selection: &'a Selection, name: &str) -> Result<&'a Card, Error> {
    let stem = selection.find_exactly(name)?;
    let card = selection.deck.card(&stem);
    let card = card.ok_or_else(|| Error::Bug(format!("no card `{stem}`")))?;
    match card.plan {
        PlanState::Unreadable => Err(Error::Findings(card.findings.clone())),
        _ => Ok(card),
    }
}

/// `carry-bricks` is `Carry bricks`.
fn titled(stem: &str) -> String {
    let words = stem.replace(['-', '_'], " ");
    let mut letters = words.chars();
    match letters.next() {
        Some(first) => first.to_uppercase().chain(letters).collect(),
        None => words,
    }
}
