//! `mikado list`.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

use clap::Args;
use serde_json::{Value, json};

use crate::card::{Card, PlanState, Stem};
use crate::chain::State;
use crate::cli::{Context, Format};
use crate::diagnostic::{self, Diagnostic};
use crate::error::{Error, Exit};
use crate::report::SCHEMA_VERSION;
use crate::runner::definition::Kind;
use crate::runner::work::{Runners, Work};
use crate::store::{CardHistory, CardRun, Local};

use super::selection::{Selection, SelectionArgs};

/// List the cards with their states
///
/// Shows open cards; `--all` shows every card and page.
#[derive(Clone, Debug, Default, Args)]
pub struct ListArgs {
    /// Every card and page
    #[arg(long)]
    pub all: bool,
    /// Cards that can be worked on now
    #[arg(long)]
    pub ready: bool,
    /// Cards that lack something
    #[arg(long)]
    pub blocked: bool,
    /// Open cards, ready or blocked
    #[arg(long)]
    pub open: bool,
    /// Cards that are done
    #[arg(long)]
    pub complete: bool,
    /// The chain of this card alone
    #[arg(long, value_name = "CARD")]
    pub goal: Option<String>,
    /// How to print the list
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub format: Format,
}

/// Carries `list` out.
///
/// # Errors
///
/// Where the cards can't be read, or the output can't be written.
pub fn run(args: ListArgs, context: &Context) -> Result<Exit, Error> {
    let selection = Selection::read(&SelectionArgs::default(), context)?;
    let view = View::new(&selection);
    let chain = match &args.goal {
        Some(name) => Some(selection.chain.closure(&[selection.find(name)?])),
        None => None,
    };
    let chosen: Vec<&Card> = selection
        .deck
        .cards()
        .iter()
        .filter(|card| {
            chain
                .as_ref()
                .is_none_or(|chain| chain.contains(&card.stem))
        })
        .filter(|card| args.shows(card, selection.chain.state(&card.stem)))
        .collect();
    let findings = view.findings();
    let out = &mut io::stdout().lock();
    let written = match args.format {
        Format::Json => {
            let object = json!({
                "schemaVersion": SCHEMA_VERSION,
                "cards": chosen.iter().map(|card| view.card_json(card)).collect::<Vec<_>>(),
                "findings": findings.iter().map(Diagnostic::json).collect::<Vec<_>>(),
            });
            writeln!(out, "{object}")
        }
        Format::Text => view.table(out, &chosen, &findings),
    };
    written.map_err(Error::disk("write to", "standard output"))?;
    Ok(Exit::Done)
}

impl ListArgs {
    fn shows(&self, card: &Card, state: State) -> bool {
        let is_open = matches!(state, State::Ready | State::Blocked);
        let any = self.ready || self.blocked || self.open || self.complete;
        let chosen = (self.ready && state == State::Ready)
            || (self.blocked && state == State::Blocked)
            || (self.open && is_open)
            || (self.complete && state == State::Complete && !card.page);
        match (any, self.all) {
            (true, _) => chosen,
            (false, true) => true,
            (false, false) => is_open || state == State::Unreadable,
        }
    }
}

/// The cards of a project, with what is known of them.
pub(crate) struct View<'a> {
    selection: &'a Selection,
    works: BTreeMap<String, Work>,
    faults: Vec<Diagnostic>,
    histories: BTreeMap<String, CardHistory>,
    goals: BTreeSet<Stem>,
}

impl<'a> View<'a> {
    /// Looks at all cards of a project; executes and writes nothing.
    pub(crate) fn new(selection: &'a Selection) -> View<'a> {
        let project = &selection.project;
        let mut runners = Runners::new(&project.root, &project.runners_dir);
        let headings = project.config.headings();
        let mut works = BTreeMap::new();
        let mut faults = Vec::new();
        for card in selection.deck.cards() {
            match runners.work(card, &headings) {
                Ok(work) => drop(works.insert(card.stem.to_string(), work)),
                Err(found) => faults.extend(found),
            }
        }
        View {
            // Without records only what was run last is missing.
            goals: selection.chain.goals().into_iter().collect(),
            histories: Local::read(&project.root.join(".mikado")).unwrap_or_default(),
            selection,
            works,
            faults,
        }
    }

    /// All findings, sorted.
    pub(crate) fn findings(&self) -> Vec<Diagnostic> {
        let deck = self.selection.deck.findings();
        let chain = self.selection.chain.findings();
        let mut all: Vec<Diagnostic> = deck.chain(chain).chain(&self.faults).cloned().collect();
        diagnostic::sort(&mut all);
        all
    }

    fn kind(&self, card: &Card) -> Option<Kind> {
        self.kind_of(&card.stem)
    }

    /// The kind of work of a card; `None` where its runner is at fault.
    pub(crate) fn kind_of(&self, stem: &Stem) -> Option<Kind> {
        self.works.get(stem.as_str()).map(|work| work.kind)
    }

    /// The work of a card.
    pub(crate) fn work_of(&self, stem: &Stem) -> Option<&Work> {
        self.works.get(stem.as_str())
    }

    /// What a person does for a card, from its text.
    pub(crate) fn steps_of(&self, stem: &Stem) -> Vec<String> {
        let Some(card) = self.selection.deck.card(stem) else {
            return Vec::new();
        };
        let body = card.body(&self.selection.project.config.headings());
        body.steps.into_iter().map(|item| item.text).collect()
    }

    /// The last run of a card in this work tree.
    pub(crate) fn last_run(&self, stem: &Stem) -> Option<&CardRun> {
        self.histories.get(stem.as_str())?.last()
    }

    /// The object of a card, as `list --format json` has it.
    pub(crate) fn card_json(&self, card: &Card) -> Value {
        let chain = &self.selection.chain;
        let stem = &card.stem;
        let state = chain.state(stem);
        let work = self.works.get(stem.as_str());
        let last = self
            .histories
            .get(stem.as_str())
            .and_then(CardHistory::last);
        let leaves = match state {
            State::Blocked => chain.leaves(stem),
            _ => Vec::new(),
        };
        let coded = |code: &str, message: &str| json!({"code": code, "message": message});
        let waits = match (state, self.kind(card)) {
            (State::Ready, Some(Kind::Hand)) => coded("hand", "to be done by hand"),
            (State::Ready, Some(Kind::Probe)) if last.is_none_or(|run| run.failed.is_none()) => {
                coded("probe", "its probe is not true yet")
            }
            _ => Value::Null,
        };
        let stuck = match last.and_then(|run| run.failed.as_ref()) {
            Some(message) if state == State::Ready => coded("failed", message),
            _ => Value::Null,
        };
        json!({
            "stem": stem,
            "title": card.title(),
            "path": card.path(),
            "page": card.page,
            "status": card.status(),
            "branch": card.branch(),
            "kind": self.kind(card),
            "state": state,
            "goal": self.goals.contains(stem),
            "requires": card.requires().iter().map(|r| &r.text).collect::<Vec<_>>(),
            "requiredBy": chain.dependents(stem),
            "blockedBy": chain.blocked_by(stem),
            "unknown": chain.unknown(stem),
            "leaves": leaves,
            "runner": work.and_then(|work| work.runner.as_ref()),
            "waits": waits,
            "stuck": stuck,
            "lastRun": last,
        })
    }

    fn table(
        &self,
        out: &mut dyn Write,
        cards: &[&Card],
        findings: &[Diagnostic],
    ) -> io::Result<()> {
        let chain = &self.selection.chain;
        let width = cards
            .iter()
            .map(|card| card.stem.as_str().chars().count())
            .max();
        let width = width.unwrap_or(0).min(44);
        for card in cards {
            let state = match chain.state(&card.stem) {
                State::Complete if card.page => "page",
                State::Complete => "complete",
                State::Ready => "ready",
                State::Blocked => "blocked",
                State::Unreadable => "unreadable",
            };
            let kind = match card.page {
                true => "",
                false => self.kind(card).map_or("", Kind::word),
            };
            let stem = card.stem.as_str();
            let line = format!("{state:<10} {kind:<7} {stem:<width$}  {}", card.title());
            writeln!(out, "{}", line.trim_end())?;
        }
        if cards.is_empty() {
            writeln!(
                out,
                "no open cards; `mikado list --all` shows every card and page"
            )?;
        }
        for card in cards
            .iter()
            .filter(|card| card.plan == PlanState::Unreadable)
        {
            for finding in &card.findings {
                writeln!(
                    out,
                    "unreadable: {}: {}",
                    card.path().display(),
                    finding.message
                )?;
            }
        }
        let unsaid = |card: &&&Card| card.status().is_none() && card.front.runner.is_some();
        for card in cards.iter().filter(unsaid) {
            let stem = &card.stem;
            writeln!(
                out,
                "note: {stem} has a runner and no status, and so counts as complete; `mikado reopen {stem}` opens it"
            )?;
        }
        let faults = findings.len();
        if faults > 0 {
            let count = crate::words::count(faults, "finding");
            writeln!(
                out,
                "{count}; `mikado check` shows {}",
                if faults == 1 { "it" } else { "them" }
            )?;
        }
        Ok(())
    }
}
