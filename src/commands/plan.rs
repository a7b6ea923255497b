//! `mikado plan`.

use std::collections::BTreeMap;
use std::io::{self, Write};

use anstyle::Style;
use clap::Args;
use serde::de::IgnoredAny;

use crate::action::reason::Reason;
use crate::answer::{PlanList, PlannedObject, SCHEMA_VERSION};
use crate::card::Stem;
use crate::cli::{Context, Format};
use crate::columns::Screen;
use crate::digest::Digest;
use crate::engine::describe::Describer;
use crate::engine::fault::{NOT_ASKED, Obstacle};
use crate::engine::store_error;
use crate::error::{Error, Exit};
use crate::plan::PlannedCard;
use crate::runner::definition::Kind;
use crate::standing::Standing;
use crate::workspace::Workspace;

use super::selection::{Selection, SelectionArgs};
use super::write_json;

/// Show what `run` would do with each card, and why
///
/// Executes nothing and downloads nothing: a tool of this machine counts as what
/// it said in the last run, and of one that was not asked yet the plan says so.
#[derive(Clone, Debug, Default, Args)]
pub struct PlanArgs {
    /// What to plan, and with what
    #[command(flatten)]
    pub selection: SelectionArgs,
    /// How to print the plan
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub format: Format,
}

/// What `run` would do with a card.
pub(crate) struct Foreseen {
    /// One word.
    pub(crate) verb: &'static str,
    /// Why, for people.
    pub(crate) why: Vec<String>,
}

/// Carries `plan` out.
///
/// # Errors
///
/// Where the cards, the store or the disk are in the way.
pub fn run(args: PlanArgs, context: &Context) -> Result<Exit, Error> {
    let selection = Selection::read(&args.selection, context)?;
    let plan = selection.plan(&args.selection)?;
    let workspace = selection.workspace(&args.selection, true)?;
    let mut artifacts: BTreeMap<Stem, Digest> = BTreeMap::new();
    let mut unknown: BTreeMap<Stem, ()> = BTreeMap::new();
    let mut rows = Vec::new();
    for card in &plan.cards {
        let foreseen = foresee(card, &workspace, &mut artifacts, &unknown)?;
        if foreseen.verb == "run" && card.work.kind == Kind::Build {
            unknown.insert(card.stem.clone(), ());
        }
        rows.push((card, foreseen));
    }
    workspace.trace.save(&workspace.local.new_folder());
    let out = &mut context.out(args.format);
    let written = match args.format {
        Format::Text => text(out, &rows, context.screen()),
        Format::Json => as_json(out, &rows),
    };
    written.map_err(Error::disk("write to", "standard output"))?;
    Ok(Exit::Done)
}

fn text(out: &mut dyn Write, rows: &[(&PlannedCard, Foreseen)], screen: Screen) -> io::Result<()> {
    for (card, foreseen) in rows {
        let why = match foreseen.why.is_empty() {
            true => String::new(),
            false => format!(" ({})", foreseen.why.join(", ")),
        };
        let style = match foreseen.verb {
            "wait" => Standing::Waiting.style(),
            "fail" => Standing::Stuck.style(),
            "run" | "check" => Style::new().bold(),
            _ => Style::new(),
        };
        let verb = screen.paint.with(style, &format!("{:>9}", foreseen.verb));
        let line = screen.wrapped(&format!("{}{why}", card.stem), 10, 10);
        writeln!(out, "{verb} {line}")?;
    }
    Ok(())
}

fn as_json(out: &mut dyn Write, rows: &[(&PlannedCard, Foreseen)]) -> io::Result<()> {
    let object = |(card, foreseen): &(&PlannedCard, Foreseen)| PlannedObject {
        stem: card.stem.clone(),
        title: card.title.clone(),
        kind: card.work.kind,
        open: card.open,
        verb: foreseen.verb,
        why: foreseen.why.clone(),
    };
    let answer = PlanList {
        schema_version: SCHEMA_VERSION,
        cards: rows.iter().map(object).collect(),
    };
    write_json(out, &answer)
}

/// What `run` would do with `card`, whose prerequisites were looked at before;
/// `artifacts` learns what is known.
pub(crate) fn foresee(
    card: &PlannedCard,
    workspace: &Workspace,
    artifacts: &mut BTreeMap<Stem, Digest>,
    unknown: &BTreeMap<Stem, ()>,
) -> Result<Foreseen, Error> {
    let plain = |verb, why: &[&str]| Foreseen {
        verb,
        why: why.iter().map(|w| (*w).to_owned()).collect(),
    };
    Ok(match card.work.kind {
        Kind::Page => plain("complete", &["a page"]),
        _ if card.work.kind != Kind::Build && !card.open => plain("complete", &[]),
        Kind::Hand => plain("wait", &["to be done by hand"]),
        Kind::Probe => plain("check", &["a probe"]),
        Kind::Command if card.work.definition.verify.is_empty() => plain("run", &["a command"]),
        Kind::Command => plain("run", &["a command, unless its check holds already"]),
        Kind::Build => {
            let after: Vec<String> = card
                .uses
                .iter()
                .filter(|(_, stem)| unknown.contains_key(stem))
                .map(|(_, stem)| format!("after {stem}"))
                .collect();
            if !after.is_empty() {
                return Ok(Foreseen {
                    verb: "run",
                    why: after,
                });
            }
            match build(card, workspace, artifacts) {
                Ok(foreseen) => foreseen,
                Err(Obstacle::Failed(failure)) if failure.code == NOT_ASKED => {
                    plain("run", &["not known before a run", &failure.message])
                }
                Err(Obstacle::Failed(failure)) => plain("fail", &[&failure.message]),
                Err(Obstacle::Waits(wait)) => plain("wait", &[&wait.message]),
                Err(Obstacle::Store(error)) => return Err(store_error(&error)),
                Err(Obstacle::Cancelled) => plain("wait", &[]),
            }
        }
    })
}

fn build(
    card: &PlannedCard,
    workspace: &Workspace,
    artifacts: &mut BTreeMap<Stem, Digest>,
) -> Result<Foreseen, Obstacle> {
    let store = &workspace.store;
    let mut requires = BTreeMap::new();
    for (role, stem) in &card.uses {
        let known = artifacts.get(stem).copied();
        let recorded = || {
            let history = workspace.local.history(stem.as_str());
            history.success().and_then(|run| run.artifact)
        };
        match known.or_else(recorded) {
            Some(digest) => requires.insert(role.clone(), digest),
            None => {
                let why = vec![format!("the artifact of {stem} is not in the store")];
                return Ok(Foreseen { verb: "run", why });
            }
        };
    }
    let describer = Describer {
        workspace,
        card,
        requires: &requires,
    };
    let mut fetched = BTreeMap::new();
    for (name, fetch) in &card.work.definition.fetch {
        let order = describer.fetch(name, fetch)?;
        let local = order.stays_local(workspace).is_some();
        match store.recorded(&order.action.key)? {
            Some(result) if result.suits(local) => fetched.insert(name.clone(), result.artifact),
            _ => {
                let reasons = workspace.reasons_to_fetch(&card.stem, name, &order);
                let why = reasons.iter().map(ToString::to_string).collect();
                return Ok(Foreseen { verb: "run", why });
            }
        };
    }
    let order = describer.build(&fetched)?;
    let local = order.stays_local(workspace).is_some();
    let found = store.lookup(&order.action.key)?;
    if let Some(found) = found.filter(|found| found.suits(local)) {
        artifacts.insert(card.stem.clone(), found.artifact);
        for number in 0..card.work.definition.verify.len() {
            let check = describer.check(number, &found.artifact)?;
            let passed: Option<IgnoredAny> = store.check(&check.action.key)?;
            if passed.is_none() {
                let name = check.part.own_name();
                let why = vec![Reason::Check { name }.to_string()];
                return Ok(Foreseen { verb: "check", why });
            }
        }
        return Ok(Foreseen {
            verb: "fresh",
            why: vec![],
        });
    }
    let reasons = workspace.reasons(&card.stem, &order);
    Ok(Foreseen {
        verb: "run",
        why: reasons.iter().map(ToString::to_string).collect(),
    })
}
