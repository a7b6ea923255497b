//! `mikado audit`: what a build touches and does not declare.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use clap::Args;

use crate::answer::{AuditObject, SCHEMA_VERSION, UndeclaredObject};
use crate::card::Stem;
use crate::cli::{Context, Format};
use crate::engine::audit::Audit;
use crate::engine::undeclared::{Remedy, Undeclared};
use crate::error::{Error, Exit};
use crate::event::Event;
use crate::process::Deed;
use crate::runner::definition::Kind;
use crate::words::count;

use super::selection::{GivenArgs, Selection, SelectionArgs};
use super::write_json;

/// Say what a build touches and does not declare
///
/// Runs its steps once without isolation, records what they read, write and
/// connect to, and prints the lines to add to the runner. Nothing of it is
/// kept, and the card is not marked. Exits 3 where something is not declared,
/// 1 where the steps fail.
#[derive(Clone, Debug, Args)]
pub struct AuditArgs {
    /// Which card: a stem, an alias or the beginning of a stem
    #[arg(value_name = "CARD")]
    pub card: String,
    /// With what
    #[command(flatten)]
    pub given: GivenArgs,
    /// How to print what was found
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub format: Format,
}

/// Carries `audit` out.
///
/// # Errors
///
/// Where the cards, the store or the disk are in the way, or the kernel can't
/// record.
pub fn run(args: AuditArgs, context: &Context) -> Result<Exit, Error> {
    let select = SelectionArgs::alone(&args.card, &args.given);
    let selection = Selection::read(&select, context)?;
    let stem = selection.find(&args.card)?;
    let card = selection.planned(&select, &stem)?;
    if card.work.kind != Kind::Build {
        let message = format!("`{stem}` is no build: nothing that it does has to be declared");
        return Err(Error::usage(
            message,
            "an audit is for runners with `inputs`",
        ));
    }
    let file = match &card.work.runner {
        Some(name) => format!("runners/{name}.yaml"),
        None => format!("the runner in `{stem}`"),
    };
    let workspace = Arc::new(selection.workspace_with_executor(&select, false)?);
    let listener = &mut |event: &Event| {
        if let Event::ToolProvisioning { tool } = event {
            // Nobody listens: then nobody is told.
            drop(writeln!(io::stderr(), "fetching tool {tool}"));
        }
    };
    let audit = Audit::of(workspace, card, listener)?;
    let root = &selection.project.root;
    let out = &mut context.out(args.format);
    let written = match args.format {
        Format::Json => write_json(out, &answer(&stem, &audit)),
        Format::Text => out.write_all(text(&stem, &file, root, &audit).as_bytes()),
    };
    let written = written.and_then(|()| out.flush());
    written.map_err(Error::disk("write to", "standard output"))?;
    Ok(match &audit.failure {
        Some(_) => Exit::Failed,
        None if audit.undeclared.is_empty() => Exit::Done,
        None => Exit::Findings,
    })
}

fn verb(deed: Deed) -> &'static str {
    match deed {
        Deed::Read | Deed::Miss | Deed::List => "reads",
        Deed::Execute => "runs",
        Deed::Write => "writes",
        Deed::Talk => "talks to",
        Deed::Connect => "connects",
        Deed::Listen => "listens",
    }
}

fn place(one: &Undeclared, root: &Path) -> String {
    let shown = one.place.strip_prefix(root).unwrap_or(&one.place);
    let shown = if shown.as_os_str().is_empty() {
        &one.place
    } else {
        shown
    };
    match one.files {
        1 => shown.display().to_string(),
        files => format!("{}/** ({})", shown.display(), count(files, "file")),
    }
}

fn text(stem: &Stem, file: &str, root: &Path, audit: &Audit) -> String {
    let mut text = String::new();
    if let Some(failure) = &audit.failure {
        let log = audit.log.strip_prefix(root).unwrap_or(&audit.log);
        text.push_str(&format!(
            "{stem}: {}, without isolation as well\n",
            failure.message
        ));
        for line in &failure.tail {
            text.push_str(&format!("  | {line}\n"));
        }
        text.push_str(&format!("  log: {}\n", log.display()));
    }
    if audit.undeclared.is_empty() {
        text.push_str(&format!("{stem}: all that it touched is declared\n"));
        return text;
    }
    let many = count(audit.undeclared.len(), "thing");
    text.push_str(&format!(
        "{stem}: {many} that its runner does not declare\n"
    ));
    for one in &audit.undeclared {
        text.push_str(&format!("{:>9} {}\n", verb(one.deed), place(one, root)));
        if let Remedy::Advice(words) = &one.remedy {
            text.push_str(&format!("{:>9} {words}\n", ""));
        }
    }
    let lines = lines(&audit.undeclared);
    if !lines.is_empty() {
        text.push_str(&format!("to be added to {file}:\n"));
        for line in lines {
            text.push_str(&format!("  {line}\n"));
        }
    }
    let uses = uses(&audit.undeclared);
    if !uses.is_empty() {
        text.push_str(&format!(
            "to be added to the card, and read as `$REQUIRES/NAME`:\n  requires: [{}]\n",
            uses.join(", ")
        ));
    }
    text
}

/// The lines of a runner that declare what can be declared.
fn lines(undeclared: &[Undeclared]) -> Vec<String> {
    let mut inputs: BTreeMap<Option<&String>, BTreeSet<String>> = BTreeMap::new();
    let (mut tools, mut caches) = (BTreeSet::new(), BTreeSet::new());
    let mut network = false;
    for one in undeclared {
        match &one.remedy {
            Remedy::Input(source, glob) => {
                inputs
                    .entry(source.as_ref())
                    .or_default()
                    .insert(yaml(glob));
            }
            Remedy::Tool(name) => drop(tools.insert(yaml(name))),
            Remedy::Cache(name) => drop(caches.insert(yaml(name))),
            Remedy::Network => network = true,
            Remedy::Use(_) | Remedy::Advice(_) => {}
        }
    }
    let mut lines = Vec::new();
    if !inputs.is_empty() {
        lines.push("inputs:".to_owned());
    }
    for (source, globs) in inputs {
        let source = source.map_or(String::new(), |source| {
            format!("source: {}, ", yaml(source))
        });
        let globs: Vec<String> = globs.into_iter().collect();
        lines.push(format!("  - {{ {source}paths: [{}] }}", globs.join(", ")));
    }
    if !tools.is_empty() {
        lines.push("tools:                # and call them by name".to_owned());
        lines.extend(tools.iter().map(|name| format!("  {name}: {{}}")));
    }
    if !caches.is_empty() {
        let caches: Vec<String> = caches.into_iter().collect();
        lines.push(format!("caches: [{}]", caches.join(", ")));
    }
    if network {
        lines.push(
            "network: true         # or a `fetch`, which is cached by what it reads".to_owned(),
        );
    }
    lines
}

fn uses(undeclared: &[Undeclared]) -> Vec<String> {
    let card = |one: &Undeclared| match &one.remedy {
        Remedy::Use(card) => Some(yaml(card)),
        _ => None,
    };
    let cards: BTreeSet<String> = undeclared.iter().filter_map(card).collect();
    cards.into_iter().collect()
}

/// `text` as a scalar of a YAML list.
fn yaml(text: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | '*');
    let begins = text.starts_with(|c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '/'));
    match begins && text.chars().all(is_plain) {
        true => text.to_owned(),
        false => serde_json::to_string(text).unwrap_or_default(),
    }
}

fn answer(stem: &Stem, audit: &Audit) -> AuditObject {
    let one = |one: &Undeclared| UndeclaredObject {
        deed: match one.deed {
            Deed::Read | Deed::Miss | Deed::List => "read",
            Deed::Execute => "execute",
            Deed::Write => "write",
            Deed::Talk => "talk",
            Deed::Connect => "connect",
            Deed::Listen => "listen",
        },
        place: one.place.to_string_lossy().into_owned(),
        files: one.files,
        add: lines(std::slice::from_ref(one)),
        requires: uses(std::slice::from_ref(one)),
        advice: match &one.remedy {
            Remedy::Advice(words) => Some(words.clone()),
            _ => None,
        },
    };
    AuditObject {
        schema_version: SCHEMA_VERSION,
        stem: stem.clone(),
        failed: audit
            .failure
            .as_ref()
            .map(|failure| failure.message.clone()),
        undeclared: audit.undeclared.iter().map(one).collect(),
        add: lines(&audit.undeclared),
        requires: uses(&audit.undeclared),
        log: audit.log.to_string_lossy().into_owned(),
    }
}
