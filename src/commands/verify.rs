//! `mikado verify`.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use schemars::JsonSchema;
use serde::Serialize;

use crate::answer::SCHEMA_VERSION;
use crate::card::{Card, Stem};
use crate::chain::State;
use crate::cli::{Context, Format};
use crate::engine::{Engine, Mark, Marked, Options};
use crate::error::{Error, Exit};
use crate::event::{Event, Outcome};
use crate::plan::{Plan, PlannedCard};
use crate::process::GRACE;
use crate::report::junit;
use crate::runner::definition::Kind;
use crate::words::{self, count};

use super::run::processors;
use super::selection::{GivenArgs, Selection, SelectionArgs};

/// Look whether what is complete still holds
///
/// Runs the probes and checks of complete cards, marks and records nothing, and
/// exits 1 where something is no longer true; 5 where nothing is broken, and
/// something could not be looked at. What a check printed is in
/// `.mikado/logs/verify/`.
#[derive(Clone, Debug, Args)]
pub struct VerifyArgs {
    /// Which cards [default: every complete card that has a check]
    #[arg(id = "CARD")]
    pub cards: Vec<String>,
    /// Every complete card that has a check
    #[arg(long, conflicts_with = "CARD")]
    pub all: bool,
    /// How to print what was found
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub format: VerifyFormat,
    /// Write a report to FILE as JUnit's XML, for CI
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
}

/// How what was found is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum VerifyFormat {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
    /// As JUnit's XML, for CI.
    Junit,
}

/// What `verify --format json` prints.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields)]
pub struct Verified {
    /// The version of this format.
    pub schema_version: u32,
    /// What was looked at, by stem.
    pub cards: Vec<VerifiedCard>,
    /// How many are no longer true.
    pub broken: usize,
    /// How many could not be looked at.
    pub unknown: usize,
    /// The complete cards that have no check.
    pub unchecked: Vec<String>,
}

/// One card that was looked at.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields)]
pub struct VerifiedCard {
    /// Its stem.
    pub stem: String,
    /// Its title.
    pub title: String,
    /// Its file, relative to the root.
    pub path: PathBuf,
    /// What kind of work it is; null where its runner is at fault.
    pub kind: Option<Kind>,
    /// What came of it.
    pub verdict: Verdict,
    /// What is no longer true, or why it could not be looked at; else empty.
    pub message: String,
    /// The last lines that its checks printed, where it does not hold.
    pub tail: Vec<String>,
    /// How long it took, in milliseconds.
    pub took: u64,
    /// What its checks printed; null where none was run.
    pub log: Option<PathBuf>,
}

/// What came of looking at a card.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// All of its checks hold.
    Holds,
    /// One of them does not.
    Broken,
    /// It could not be looked at.
    Unknown,
}

/// Carries `verify` out.
///
/// # Errors
///
/// Where the cards, the store or the disk are in the way.
pub fn run(args: VerifyArgs, context: &Context) -> Result<Exit, Error> {
    let began = Instant::now();
    let selection = Selection::read(&SelectionArgs::default(), context)?;
    let mut planned = Vec::new();
    let mut cards = Vec::new();
    for stem in asked(&args, &selection)? {
        match alone(&selection, &stem) {
            Ok(card) => planned.push(card),
            // One card at fault hides no other.
            Err(Error::Findings(findings)) => cards.push(VerifiedCard::at_fault(
                &stem,
                &selection,
                findings.first().map_or("", |finding| &finding.message),
            )),
            Err(error) => return Err(error),
        }
    }
    let (checked, unchecked): (Vec<PlannedCard>, Vec<PlannedCard>) = planned
        .into_iter()
        .partition(|card| !card.work.definition.verify.is_empty());
    let plan = Plan::new(checked);
    let none = SelectionArgs::default();
    let workspace = Arc::new(selection.workspace_with_executor(&none, false)?);
    let options = Options {
        jobs: processors(),
        keep_going: true,
        memory: u64::MAX,
        verify: true,
        grace: GRACE,
        ..Options::default()
    };
    let mark: Mark = Arc::new(|stems| Ok(vec![Marked::Before; stems.len()]));
    let mut looks: BTreeMap<Stem, Look> = BTreeMap::new();
    let mut listener = |event: &Event| match event {
        Event::CardStarted { card, log, .. } => drop(looks.insert(card.clone(), Look::at(log))),
        Event::CardFinished { card, .. } => {
            if let Some(look) = looks.get_mut(card) {
                look.took = look.began.elapsed();
            }
        }
        _ => {}
    };
    let ran = Engine::run(workspace, &plan, options, &mark, &mut listener)?;
    for (card, outcome) in plan.cards.iter().zip(&ran.outcomes) {
        let look = looks.get(&card.stem);
        cards.push(VerifiedCard::new(card, outcome, &selection, look));
    }
    cards.sort_by(|a, b| a.stem.cmp(&b.stem));
    let of = |verdict| cards.iter().filter(|card| card.verdict == verdict).count();
    let verified = Verified {
        schema_version: SCHEMA_VERSION,
        broken: of(Verdict::Broken),
        unknown: of(Verdict::Unknown),
        unchecked: unchecked.iter().map(|card| card.stem.to_string()).collect(),
        cards,
    };
    if let Some(file) = &args.junit {
        let file = context.here.join(file);
        let xml = verified.junit(began.elapsed()).to_xml();
        std::fs::write(&file, xml).map_err(Error::disk("write", &file))?;
    }
    let text = match args.format {
        VerifyFormat::Text => verified.text(),
        VerifyFormat::Json => serde_json::to_string(&verified).unwrap_or_default(),
        VerifyFormat::Junit => verified
            .junit(began.elapsed())
            .to_xml()
            .trim_end()
            .to_owned(),
    };
    let folds = match args.format {
        VerifyFormat::Text => Format::Text,
        VerifyFormat::Json | VerifyFormat::Junit => Format::Json,
    };
    writeln!(context.out(folds), "{text}").map_err(Error::disk("write to", "standard output"))?;
    Ok(match (verified.broken, verified.unknown) {
        _ if ran.exit as u8 > 128 => ran.exit,
        (0, 0) => Exit::Done,
        (0, _) => Exit::Waits,
        _ => Exit::Failed,
    })
}

/// The complete cards that are asked for.
fn asked(args: &VerifyArgs, selection: &Selection) -> Result<Vec<Stem>, Error> {
    let state = |stem: &Stem| selection.chain.state(stem);
    if args.cards.is_empty() {
        let is_page = |stem: &Stem| selection.deck.card(stem).is_none_or(|card| card.page);
        let complete = |stem: &&Stem| state(stem) == State::Complete && !is_page(stem);
        return Ok(selection.deck.stems().filter(complete).cloned().collect());
    }
    let named = args.cards.iter().map(|name| selection.find(name));
    let named: Vec<Stem> = named.collect::<Result<_, _>>()?;
    let is_open = |stem: &&Stem| state(stem).is_open();
    match named.iter().find(is_open) {
        Some(open) => Err(Error::usage(
            format!("`{open}` is open: only what is complete is looked at"),
            format!("run it: mikado run {open}"),
        )),
        None => Ok(named),
    }
}

/// What is planned for a card by itself: what it stands on is looked at in its
/// own right.
fn alone(selection: &Selection, stem: &Stem) -> Result<PlannedCard, Error> {
    let select = SelectionArgs::alone(stem.as_str(), &GivenArgs::default());
    Ok(PlannedCard {
        before: Default::default(),
        ..selection.planned(&select, stem)?
    })
}

/// When a card was looked at.
struct Look {
    began: Instant,
    took: Duration,
    log: PathBuf,
}

impl Look {
    fn at(log: &Path) -> Look {
        Look {
            began: Instant::now(),
            took: Duration::ZERO,
            log: log.to_owned(),
        }
    }
}

impl VerifiedCard {
    fn new(
        card: &PlannedCard,
        outcome: &Outcome,
        selection: &Selection,
        look: Option<&Look>,
    ) -> VerifiedCard {
        let root = &selection.project.root;
        let (verdict, message, tail) = match outcome {
            Outcome::Passed { .. } => (Verdict::Holds, String::new(), Vec::new()),
            Outcome::Failed(failure) => (
                Verdict::Broken,
                failure.message.clone(),
                failure.tail.clone(),
            ),
            Outcome::Waits(wait) => (Verdict::Unknown, wait.message.clone(), wait.lines.clone()),
            Outcome::NotStarted { .. } => (Verdict::Unknown, "not looked at".into(), Vec::new()),
        };
        VerifiedCard {
            stem: card.stem.to_string(),
            title: card.title.clone(),
            path: path_of(selection, &card.stem),
            kind: Some(card.work.kind),
            verdict,
            message,
            tail,
            took: look.map_or(0, |look| look.took.as_millis() as u64),
            log: look.map(|look| look.log.strip_prefix(root).unwrap_or(&look.log).to_owned()),
        }
    }

    /// A card that can't be planned.
    fn at_fault(stem: &Stem, selection: &Selection, message: &str) -> VerifiedCard {
        let card = selection.deck.card(stem);
        VerifiedCard {
            stem: stem.to_string(),
            title: card.map(Card::title).unwrap_or_default(),
            path: path_of(selection, stem),
            kind: None,
            verdict: Verdict::Unknown,
            message: format!("at fault: {message}"),
            tail: Vec::new(),
            took: 0,
            log: None,
        }
    }
}

fn path_of(selection: &Selection, stem: &Stem) -> PathBuf {
    let card = selection.deck.card(stem);
    card.map(|card| card.path().to_owned()).unwrap_or_default()
}

impl Verified {
    fn text(&self) -> String {
        let mut lines = Vec::new();
        for card in &self.cards {
            let word = match card.verdict {
                Verdict::Holds => "holds",
                Verdict::Broken => "broken",
                Verdict::Unknown => "unknown",
            };
            let colon = if card.message.is_empty() { "" } else { ": " };
            lines.push(format!("{word:>9} {}{colon}{}", card.stem, card.message));
            lines.extend(card.tail.iter().map(|line| format!("          | {line}")));
            if let (Verdict::Broken, Some(log)) = (card.verdict, &card.log) {
                lines.push(format!("            log: {}", log.display()));
            }
        }
        let mut parts = vec![
            format!("{} looked at", count(self.cards.len(), "card")),
            format!("{} no longer true", self.broken),
        ];
        if self.unknown > 0 {
            parts.push(format!("{} unknown", self.unknown));
        }
        parts.push(format!("{} without a check", self.unchecked.len()));
        lines.push(parts.join(", "));
        let broken = self.cards.iter().filter(|c| c.verdict == Verdict::Broken);
        let broken: Vec<String> = broken.map(|card| card.stem.clone()).collect();
        match broken.as_slice() {
            [] => {}
            [one] => lines.push(format!("to work on it again: mikado reopen {one}")),
            all => lines.push(format!(
                "to work on {} again: mikado reopen CARD",
                words::list(all)
            )),
        }
        lines.join("\n")
    }

    fn junit(&self, took: Duration) -> junit::Suite {
        let case = |card: &VerifiedCard| junit::Case {
            name: card.stem.clone(),
            class: card.kind.map_or("card", Kind::word).to_owned(),
            file: card.path.display().to_string(),
            took: Duration::from_millis(card.took),
            verdict: match card.verdict {
                Verdict::Holds => junit::Verdict::Passed,
                Verdict::Broken => junit::Verdict::Failed(card.message.clone(), card.tail.clone()),
                Verdict::Unknown => junit::Verdict::Skipped(card.message.clone()),
            },
        };
        junit::Suite {
            name: "mikado verify".into(),
            took,
            cases: self.cards.iter().map(case).collect(),
        }
    }
}
