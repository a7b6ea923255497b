//! `mikado show` and `mikado why`.

use std::collections::BTreeMap;
use std::io::{self, Write};

use clap::Args;
use serde_json::{Value, json};

use crate::card::Stem;
use crate::chain::State;
use crate::cli::{Context, Format};
use crate::engine::store_error;
use crate::error::{Error, Exit};
use crate::plan::PlannedCard;
use crate::report::SCHEMA_VERSION;
use crate::runner::definition::Kind;
use crate::runner::units::{show_duration, show_size};
use crate::store::CardRun;
use crate::words::list;
use crate::workspace::Workspace;

use super::list::View;
use super::plan::{Foreseen, foresee};
use super::selection::{Selection, SelectionArgs};

/// Show a card: its text as written, and what is known of it
#[derive(Clone, Debug, Args)]
pub struct ShowArgs {
    /// Which card: a stem, an alias or the beginning of a stem
    #[arg(value_name = "CARD")]
    pub card: String,
    /// The text alone, byte for byte
    #[arg(long)]
    pub text: bool,
    /// The cards of its chain in order, instead
    #[arg(long, conflicts_with = "text")]
    pub chain: bool,
    /// How to print it
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub format: Format,
}

/// Say why a card is blocked, fresh or stale
#[derive(Clone, Debug, Args)]
pub struct WhyArgs {
    /// Which card: a stem, an alias or the beginning of a stem
    #[arg(value_name = "CARD")]
    pub card: String,
    /// How to print the answer
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub format: Format,
}

/// Carries `show` out.
///
/// # Errors
///
/// Where there is no such card, or the output can't be written.
pub fn show(args: ShowArgs, context: &Context) -> Result<Exit, Error> {
    let selection = Selection::read(&SelectionArgs::default(), context)?;
    let stem = selection.find(&args.card)?;
    let view = View::new(&selection);
    let card = selection.deck.card(&stem);
    let card = card.ok_or_else(|| Error::Bug(format!("no card `{stem}`")))?;
    let out = &mut io::stdout().lock();
    if args.text {
        let written = out.write_all(card.source.bytes());
        written.map_err(Error::disk("write to", "standard output"))?;
        return Ok(Exit::Done);
    }
    let chain = &selection.chain;
    if args.chain {
        let order = chain.order(&chain.closure(&[stem]));
        let written = order.iter().try_for_each(|stem| {
            let title = selection
                .deck
                .card(stem)
                .map(|card| card.title())
                .unwrap_or_default();
            writeln!(out, "{:<10} {stem}  {title}", state_word(chain.state(stem)))
        });
        written.map_err(Error::disk("write to", "standard output"))?;
        return Ok(Exit::Done);
    }
    let freshness = Freshness::of(&stem, &selection, context)?;
    let artifact = freshness.artifact(&stem);
    let written = match args.format {
        Format::Json => {
            let object = json!({
                "schemaVersion": SCHEMA_VERSION,
                "card": view.card_json(card),
                "text": String::from_utf8_lossy(card.source.bytes()),
                "parameters": freshness.parameters(),
                "artifact": artifact,
                "freshness": freshness.json(),
            });
            writeln!(out, "{object}")
        }
        Format::Text => {
            let mut text = format!(
                "{stem}: {}, {}\n",
                state_word(chain.state(&stem)),
                view.kind_of(&stem).map_or("faulty", Kind::word)
            );
            let mut line = |name: &str, value: String| {
                if !value.is_empty() {
                    text.push_str(&format!("  {name:<13} {value}\n"));
                }
            };
            line("path", card.path().display().to_string());
            line("requires", with_states(&selection, chain.requires(&stem)));
            line(
                "required by",
                with_states(&selection, &chain.dependents(&stem)),
            );
            if let Some(work) = view.work_of(&stem) {
                let summary = work.definition.summary.clone().unwrap_or_default();
                let runner = work.runner.clone().unwrap_or_default();
                line("runner", format!("{runner} {summary}").trim().to_owned());
            }
            for (name, value) in freshness.parameters() {
                line("with", format!("{name}: {value}"));
            }
            if let Some(found) = &artifact {
                line("artifact", found.clone());
            }
            line("freshness", freshness.line());
            if let Some(run) = view.last_run(&stem) {
                line("last run", run_line(run));
            }
            writeln!(out, "{text}").and_then(|()| out.write_all(card.source.bytes()))
        }
    };
    written.map_err(Error::disk("write to", "standard output"))?;
    Ok(Exit::Done)
}

/// Carries `why` out.
///
/// # Errors
///
/// Where there is no such card, or the output can't be written.
pub fn why(args: WhyArgs, context: &Context) -> Result<Exit, Error> {
    let selection = Selection::read(&SelectionArgs::default(), context)?;
    let stem = selection.find(&args.card)?;
    let chain = &selection.chain;
    let view = View::new(&selection);
    let state = chain.state(&stem);
    let leaves = chain.leaves(&stem);
    let freshness = Freshness::of(&stem, &selection, context)?;
    let provenance = freshness.provenance(&stem)?;
    let run = view.last_run(&stem);
    let out = &mut io::stdout().lock();
    let written = match args.format {
        Format::Json => {
            let object = json!({
                "schemaVersion": SCHEMA_VERSION,
                "stem": stem,
                "state": state,
                "leaves": leaves,
                "unknown": chain.unknown(&stem),
                "freshness": freshness.json(),
                "madeBy": provenance,
                "lastRun": run,
            });
            writeln!(out, "{object}")
        }
        Format::Text => {
            let mut text = match state {
                State::Blocked => {
                    let mut held: Vec<String> = leaves.iter().map(Stem::to_string).collect();
                    held.extend(
                        chain
                            .unknown(&stem)
                            .iter()
                            .map(|t| format!("{t} (no such card)")),
                    );
                    format!("{stem} is blocked by {}\n", list(&held))
                }
                state => format!("{stem} is {}\n", state_word(state)),
            };
            let line = freshness.line();
            if !line.is_empty() {
                text.push_str(&format!("  {line}\n"));
            }
            if let Some(made) = &provenance {
                let commit = made["commit"].as_str().map_or(String::new(), |commit| {
                    format!(", from commit {}", &commit[..commit.len().min(12)])
                });
                text.push_str(&format!(
                    "  its artifact was made by `{}` on {} at {}{commit}\n",
                    made["card"].as_str().unwrap_or_default(),
                    made["host"].as_str().unwrap_or_default(),
                    made["at"].as_str().unwrap_or_default(),
                ));
                if let Some(by) = made["local"].as_str() {
                    text.push_str(&format!("  it stays on this machine: made with {by}\n"));
                }
            }
            if let Some(run) = run {
                if let Some(reason) = &run.marked_because {
                    text.push_str(&format!("  it was marked by hand: {reason}\n"));
                }
                if let Some(failed) = &run.failed {
                    text.push_str(&format!("  its last run failed: {failed}\n"));
                }
            }
            write!(out, "{text}")
        }
    };
    written.map_err(Error::disk("write to", "standard output"))?;
    Ok(Exit::Done)
}

/// What `run` would do with a card, and the world it was found out in.
struct Freshness {
    foreseen: Option<Foreseen>,
    card: Option<PlannedCard>,
    workspace: Option<Workspace>,
    fault: Option<String>,
}

impl Freshness {
    /// Looks at a build's chain; other cards have no freshness.
    fn of(stem: &Stem, selection: &Selection, context: &Context) -> Result<Freshness, Error> {
        let args = SelectionArgs {
            cards: vec![stem.to_string()],
            ..SelectionArgs::default()
        };
        let mut none = Freshness {
            foreseen: None,
            card: None,
            workspace: None,
            fault: None,
        };
        let plan = match selection.plan(&args, context) {
            Ok(plan) => plan,
            Err(Error::Findings(findings)) => {
                none.fault = findings.first().map(|finding| finding.message.clone());
                return Ok(none);
            }
            Err(error) => return Err(error),
        };
        let workspace = selection.workspace(&args, context, true)?;
        let mut artifacts = BTreeMap::new();
        let mut unknown = BTreeMap::new();
        for card in &plan.cards {
            let foreseen = foresee(card, &workspace, &mut artifacts, &unknown)?;
            if foreseen.verb == "run" && card.work.kind == Kind::Build {
                unknown.insert(card.stem.clone(), ());
            }
            if card.stem == *stem {
                none.card = Some(card.clone());
                none.foreseen = Some(foreseen);
            }
        }
        none.workspace = Some(workspace);
        Ok(none)
    }

    fn is_build(&self) -> bool {
        self.card
            .as_ref()
            .is_some_and(|card| card.work.kind == Kind::Build)
    }

    fn line(&self) -> String {
        if let Some(fault) = &self.fault {
            return format!("at fault: {fault}");
        }
        match &self.foreseen {
            Some(foreseen) if self.is_build() && foreseen.verb == "fresh" => {
                "fresh: nothing that its key holds has changed".into()
            }
            Some(foreseen) if self.is_build() => format!("stale: {}", foreseen.why.join(", ")),
            _ => String::new(),
        }
    }

    fn json(&self) -> Value {
        match &self.foreseen {
            Some(foreseen) if self.is_build() => {
                json!({"fresh": foreseen.verb == "fresh", "reasons": foreseen.why})
            }
            _ => Value::Null,
        }
    }

    fn parameters(&self) -> BTreeMap<String, String> {
        let Some(card) = &self.card else {
            return BTreeMap::new();
        };
        let all = card.parameters.iter();
        all.map(|(name, value)| (name.to_owned(), value.to_json()))
            .collect()
    }

    fn run_with_artifact(&self, stem: &Stem) -> Option<CardRun> {
        let workspace = self.workspace.as_ref()?;
        let history = workspace.local.history(stem.as_str());
        history
            .success()
            .filter(|run| run.artifact.is_some())
            .cloned()
    }

    fn artifact(&self, stem: &Stem) -> Option<String> {
        let workspace = self.workspace.as_ref()?;
        let run = self.run_with_artifact(stem)?;
        let digest = run.artifact?;
        let size = workspace.store.tree_size(&digest).ok().flatten();
        let size = size.map_or(String::new(), |size| {
            format!(
                ", {}, {}",
                show_size(size.bytes),
                crate::words::count(size.files as usize, "file")
            )
        });
        Some(format!("{}{size}", digest.short()))
    }

    /// Who made the artifact, when and from which commit.
    fn provenance(&self, stem: &Stem) -> Result<Option<Value>, Error> {
        let (Some(workspace), Some(run)) = (&self.workspace, self.run_with_artifact(stem)) else {
            return Ok(None);
        };
        let Some(action) = run.action else {
            return Ok(None);
        };
        let recorded = workspace
            .store
            .recorded(&action)
            .map_err(|e| store_error(&e))?;
        Ok(recorded.map(|result| {
            let made = result.provenance;
            json!({
                "card": made.card,
                "host": made.host,
                "commit": made.commit,
                "at": when(made.started_ms),
                "took": made.took_ms,
                "artifact": result.artifact,
                "local": made.local,
            })
        }))
    }
}

fn when(ms: u64) -> String {
    let time = jiff::Timestamp::from_millisecond(ms.try_into().unwrap_or(i64::MAX));
    // Whole seconds are enough for people.
    time.map(|time| time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
        .unwrap_or_default()
}

fn run_line(run: &CardRun) -> String {
    let took = show_duration(std::time::Duration::from_millis(run.took_ms));
    let how = match (&run.failed, run.hit) {
        (Some(failed), _) => format!("failed: {failed}"),
        (None, true) => "found in the store".to_owned(),
        (None, false) => format!("passed in {took}"),
    };
    let log = run
        .log
        .as_ref()
        .map_or(String::new(), |log| format!("; log: {}", log.display()));
    format!("{}, {how}{log}", when(run.started_ms))
}

fn state_word(state: State) -> &'static str {
    match state {
        State::Complete => "complete",
        State::Ready => "ready",
        State::Blocked => "blocked",
        State::Unreadable => "unreadable",
    }
}

fn with_states(selection: &Selection, stems: &[Stem]) -> String {
    let one = |stem: &Stem| format!("{stem} ({})", state_word(selection.chain.state(stem)));
    stems.iter().map(one).collect::<Vec<_>>().join(", ")
}
