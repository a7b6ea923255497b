//! The deck: all cards and pages of the card folders.
//!
//! One bad card never hides the others, and no file ever vanishes: what can't
//! be read keeps its stem. A stem that several files have names none of them
//! where it matters; the chain decides where.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::{Card, PlanState, Source, Stem, discover};
use crate::diagnostic::Diagnostic;
use crate::error::Error;
use crate::parallel;

/// All cards and pages, sorted by stem, then path.
#[derive(Debug, Default)]
pub struct Deck {
    cards: Vec<Card>,
    by_stem: BTreeMap<Stem, Vec<usize>>,
    by_alias: BTreeMap<String, Vec<usize>>,
    folders: Vec<PathBuf>,
    /// How completion is written, where this is a part of a deck.
    removes: Option<bool>,
}

/// What a text names.
#[derive(Debug)]
pub enum Named<'a> {
    /// One card.
    One(&'a Card),
    /// Several; their order is that of the deck.
    Several(Vec<&'a Card>),
    /// None.
    Nothing,
}

impl Deck {
    /// Reads the Markdown files of `folders`; paths are told relative to `root`.
    ///
    /// # Errors
    ///
    /// Where a folder can't be walked. A file that can't be read is a card.
    pub fn read(root: &Path, folders: &[PathBuf]) -> Result<Deck, Error> {
        let mut paths = Vec::new();
        let mut walked = Vec::new();
        for folder in folders {
            let found = discover::markdown_files(folder);
            let found = found.map_err(Error::disk("read", folder))?;
            paths.extend(found.files);
            walked.extend(found.folders);
        }
        paths.sort();
        paths.dedup();
        let mut deck = Deck::new(read_cards(root, &paths));
        deck.folders = walked;
        Ok(deck)
    }

    /// The folders that were looked into.
    pub fn folders(&self) -> &[PathBuf] {
        &self.folders
    }

    /// A deck of these cards.
    pub fn new(mut cards: Vec<Card>) -> Deck {
        cards.sort_by(|a, b| (&a.stem, a.path()).cmp(&(&b.stem, b.path())));
        let mut by_stem: BTreeMap<Stem, Vec<usize>> = BTreeMap::new();
        let mut by_alias: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (number, card) in cards.iter().enumerate() {
            by_stem.entry(card.stem.clone()).or_default().push(number);
            for alias in &card.front.aliases {
                let numbers = by_alias.entry(alias.text.clone()).or_default();
                if numbers.last() != Some(&number) {
                    numbers.push(number);
                }
            }
        }
        Deck {
            cards,
            by_stem,
            by_alias,
            folders: Vec::new(),
            removes: None,
        }
    }

    /// The deck as a part of one in which completion is, or is not, written by
    /// taking the status away.
    #[must_use]
    pub fn completed_by_removal(mut self, removes: bool) -> Deck {
        self.removes = Some(removes);
        self
    }

    /// The deck with `card` in the place of the file of the same path.
    #[must_use]
    pub fn with(self, card: Card) -> Deck {
        let mut cards = self.cards;
        cards.retain(|other| other.path() != card.path());
        cards.push(card);
        Deck::new(cards)
    }

    /// All cards and pages, sorted by stem, then path.
    pub fn cards(&self) -> &[Card] {
        &self.cards
    }

    /// The card with this stem, where there is exactly one.
    pub fn card(&self, stem: &Stem) -> Option<&Card> {
        match self.by_stem.get(stem)?.as_slice() {
            [number] => Some(&self.cards[*number]),
            _ => None,
        }
    }

    /// All files with this stem.
    pub fn files(&self, stem: &str) -> Vec<&Card> {
        let numbers = self.by_stem.get(stem).into_iter().flatten();
        numbers.map(|number| &self.cards[*number]).collect()
    }

    /// The cards with this alias.
    pub fn aliased(&self, alias: &str) -> Vec<&Card> {
        let numbers = self.by_alias.get(alias).into_iter().flatten();
        numbers.map(|number| &self.cards[*number]).collect()
    }

    /// All aliases, in order, with the cards that have them.
    pub fn aliases(&self) -> impl Iterator<Item = (&str, Vec<&Card>)> {
        self.by_alias.iter().map(|(alias, numbers)| {
            let cards = numbers.iter().map(|number| &self.cards[*number]).collect();
            (alias.as_str(), cards)
        })
    }

    /// All stems, in order.
    pub fn stems(&self) -> impl Iterator<Item = &Stem> {
        self.by_stem.keys()
    }

    /// What `text` names in a card: a stem, or else an alias.
    pub fn named(&self, text: &str) -> Named<'_> {
        let mut found = self.files(text);
        if found.is_empty() {
            found = self.aliased(text);
        }
        match found.as_slice() {
            [] => Named::Nothing,
            [one] => Named::One(one),
            _ => Named::Several(found),
        }
    }

    /// The faults of the files themselves.
    pub fn findings(&self) -> impl Iterator<Item = &Diagnostic> {
        self.cards.iter().flat_map(|card| &card.findings)
    }

    /// Whether completion is written here by taking the status away: some card
    /// with `requires`, `branch` or `runner` has no status, and none says that
    /// it is complete.
    pub fn completes_by_removal(&self) -> bool {
        if let Some(removes) = self.removes {
            return removes;
        }
        let mut without = false;
        for card in &self.cards {
            match card.status() {
                None => without |= !card.page && card.plan == PlanState::Complete,
                Some("complete" | "completed" | "done") => return false,
                Some(_) => {}
            }
        }
        without
    }
}

/// How many files a thread reads in one turn.
const TURN: usize = 64;

/// The cards at `paths`, in their order.
fn read_cards(root: &Path, paths: &[PathBuf]) -> Vec<Card> {
    let turns: Vec<&[PathBuf]> = paths.chunks(TURN).collect();
    let read = |paths: &&[PathBuf]| -> Result<Vec<Card>, Infallible> {
        let cards = paths.iter().map(|path| read_card(root, path));
        Ok(cards.collect())
    };
    match parallel::each(&turns, parallel::cpus(), read) {
        Ok(cards) => cards.into_iter().flatten().collect(),
        Err(never) => match never {},
    }
}

fn read_card(root: &Path, path: &Path) -> Card {
    let shown = path.strip_prefix(root).unwrap_or(path).to_owned();
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    let stem = Stem::new(&name);
    match read_file(path) {
        Ok(bytes) => Card::read(stem, Source::new(shown, bytes)),
        Err(error) => {
            let message = format!("`{}` can't be read: {error}", shown.display());
            let source = Source::new(shown, Vec::new());
            let place = source.line_place(1, "");
            let finding = Diagnostic::error("unreadable", message)
                .at(place)
                .help("make the file readable, or take it out of the card folders");
            Card::unreadable(stem, source, finding)
        }
    }
}

/// The bytes of a plain file. A pipe or a device would never end, or never
/// begin, and so is refused without being waited for.
fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    let waits_for_nobody = rustix::fs::OFlags::NONBLOCK.bits();
    let mut file = File::options()
        .read(true)
        .custom_flags(waits_for_nobody.cast_signed())
        .open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is no file"));
    }
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}
