//! `mikado affected`.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;

use clap::Args;
use schemars::JsonSchema;
use serde::Serialize;

use crate::action::reason;
use crate::answer::SCHEMA_VERSION;
use crate::card::Stem;
use crate::cli::{Context, Format};
use crate::digest::Digest;
use crate::engine::describe::Describer;
use crate::engine::fault::Obstacle;
use crate::engine::order::Order;
use crate::error::{Error, Exit};
use crate::plan::PlannedCard;
use crate::runner::definition::Kind;
use crate::words;
use crate::workspace::Workspace;

use super::ci::{JobArgs, planned, top_of};
use super::old_tree::OldTree;
use super::selection::{Selection, SelectionArgs};

/// List the cards whose action is not that of another commit
///
/// Compares the work tree as it is with the files of the commit: inputs,
/// parameters, runners, tools, and what comes before. Executes nothing, downloads
/// nothing, and needs no store that either was built in. A tool of the machine
/// counts as the same for both.
#[derive(Clone, Debug, Args)]
pub struct AffectedArgs {
    /// The commit, a branch or a tag to compare with
    #[arg(long, value_name = "REF")]
    pub since: String,
    /// Which cards
    #[command(flatten)]
    pub jobs: Goals,
    /// How to print them
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub format: Format,
}

/// Which cards.
#[derive(Clone, Debug, Default, Args)]
pub struct Goals {
    /// Cards whose chains are looked at [default: every goal, and every build that
    /// nothing requires]
    #[arg(value_name = "GOAL")]
    pub goals: Vec<String>,
}

/// What `affected --format json` prints.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Affected {
    /// The version of this format.
    pub schema_version: u32,
    /// The commit that was compared with.
    pub since: String,
    /// The cards whose action differs, prerequisites first.
    pub cards: Vec<AffectedCard>,
}

/// A card whose action differs.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AffectedCard {
    /// Its stem.
    pub stem: Stem,
    /// Its title.
    pub title: String,
    /// What kind of work it is.
    pub kind: Kind,
    /// Why, for people.
    pub why: Vec<String>,
}

/// Carries `affected` out.
///
/// # Errors
///
/// Where the cards can't be read, or git does not know the commit.
pub fn run(args: &AffectedArgs, context: &Context) -> Result<Exit, Error> {
    let affected = affected(args, context)?;
    if args.format == Format::Json {
        let written = super::write_json(&mut io::stdout().lock(), &affected);
        return super::done(written);
    }
    for card in &affected.cards {
        super::say(&format!("{} ({})", card.stem, card.why.join(", ")))?;
    }
    let count = words::count(affected.cards.len(), "card");
    super::say(&format!("{count} affected since {}", args.since))
}

fn affected(args: &AffectedArgs, context: &Context) -> Result<Affected, Error> {
    let asked = JobArgs {
        goals: args.jobs.goals.clone(),
        ..JobArgs::default()
    };
    let (selection, plan) = planned(&asked, context)?;
    let none = SelectionArgs::default();
    let workspace = selection.workspace(&none, true)?.assuming_tools();
    let root = &selection.project.root;
    let top = top_of(root);
    let tree = OldTree::write(&top, &args.since, context)?;
    let stems: BTreeSet<Stem> = plan.cards.iter().map(|card| card.stem.clone()).collect();
    let old = Old::read(&tree, &selection, &workspace, &stems, context);
    let mut found: Vec<AffectedCard> = Vec::new();
    for card in &plan.cards {
        let is_affected = |stem: &Stem| found.iter().any(|card| card.stem == *stem);
        let used = card.uses.iter().filter(|(_, stem)| is_affected(stem));
        let mut why: Vec<String> = used.map(|(_, stem)| format!("after {stem}")).collect();
        let own = match &old {
            None => vec!["a new card".to_owned()],
            Some(old) => old.differences(card, &selection, &workspace),
        };
        why.extend(own);
        if !why.is_empty() {
            found.push(AffectedCard {
                stem: card.stem.clone(),
                title: card.title.clone(),
                kind: card.work.kind,
                why,
            });
        }
    }
    workspace.trace.save(&workspace.local.new_folder());
    Ok(Affected {
        schema_version: SCHEMA_VERSION,
        since: tree.commit,
        cards: found,
    })
}

/// The project as it was at the commit.
struct Old {
    selection: Selection,
    workspace: Workspace,
    cards: BTreeMap<Stem, PlannedCard>,
}

impl Old {
    /// Reads it; `None` where there was none.
    fn read(
        tree: &OldTree,
        now: &Selection,
        workspace: &Workspace,
        stems: &BTreeSet<Stem>,
        context: &Context,
    ) -> Option<Old> {
        let mut then = context.clone();
        let top = top_of(&now.project.root);
        let inside = now.project.root.strip_prefix(&top).ok()?;
        then.here = tree.top.join(inside);
        // Folders of cards that the command line names are below where one stands.
        let beside = |dir: &PathBuf| {
            let dir = context.here.join(dir);
            Some(
                tree.top
                    .join(dir.canonicalize().ok()?.strip_prefix(&top).ok()?),
            )
        };
        then.global.cards = context.global.cards.iter().filter_map(beside).collect();
        then.global.store = Some(workspace.store.folder().to_owned());
        let none = SelectionArgs::default();
        let selection = Selection::read(&none, &then).ok()?;
        let world = selection.workspace(&none, true).ok()?;
        let mut old = Old {
            workspace: world.assuming_tools(),
            cards: BTreeMap::new(),
            selection,
        };
        let known = |stem: &&Stem| old.selection.deck.card(stem).is_some();
        let stems: Vec<&Stem> = stems.iter().filter(known).collect();
        let mut cards = old.planned(&stems);
        if cards.is_none() {
            // One card at fault hides no other.
            let each = stems.iter().filter_map(|stem| old.planned(&[*stem]));
            cards = Some(each.flatten().collect());
        }
        let cards = cards.unwrap_or_default().into_iter();
        old.cards = cards.map(|card| (card.stem.clone(), card)).collect();
        Some(old)
    }

    fn planned(&self, stems: &[&Stem]) -> Option<Vec<PlannedCard>> {
        if stems.is_empty() {
            return Some(Vec::new());
        }
        let args = SelectionArgs {
            cards: stems.iter().map(|stem| stem.to_string()).collect(),
            only: true,
            ..SelectionArgs::default()
        };
        self.selection.plan(&args).ok().map(|plan| plan.cards)
    }

    /// Why `card` is not what it was.
    fn differences(&self, card: &PlannedCard, now: &Selection, world: &Workspace) -> Vec<String> {
        if self.selection.deck.card(&card.stem).is_none() {
            return vec!["a new card".to_owned()];
        }
        let Some(old) = self.cards.get(&card.stem) else {
            return vec!["it was at fault".to_owned()];
        };
        if old.work.kind != card.work.kind {
            let (old, new) = (old.work.kind.word(), card.work.kind.word());
            return vec![format!("it was a {old}, and is a {new}")];
        }
        match card.work.kind {
            Kind::Build => match (orders(old, &self.workspace), orders(card, world)) {
                (Ok(old), Ok(new)) => changed(&old, &new, world),
                (Err(_), Ok(_)) => vec!["what it reads was not there".to_owned()],
                (_, Err(fault)) => vec![fault],
            },
            _ => self.asks_for_another(card, now),
        }
    }

    /// What differs of a card that has no action: what it asks for, and its
    /// runner's files.
    fn asks_for_another(&self, card: &PlannedCard, now: &Selection) -> Vec<String> {
        let mut why = Vec::new();
        let stem = &card.stem;
        if let (Some(old), Some(new)) = (self.selection.deck.card(stem), now.deck.card(stem))
            && !old.asks_for_the_same(new)
        {
            why.push("the card asks for something else".to_owned());
        }
        if let Some(runner) = &card.work.runner {
            let file = |selection: &Selection| {
                let folder = &selection.project.runners_dir;
                let file = std::fs::read(folder.join(format!("{runner}.yaml"))).ok();
                let scripts = self.workspace.store.hash_dir(&folder.join(runner)).ok();
                (file, scripts.map(|scripts| scripts.digest))
            };
            if file(&self.selection) != file(now) {
                why.push(format!("the runner {runner} changed"));
            }
        }
        why
    }
}

/// The orders of a build and of its fetches. What others make is left open: it
/// is the same, or its card is affected.
struct Orders {
    fetches: BTreeMap<String, Order>,
    build: Order,
}

fn orders(card: &PlannedCard, workspace: &Workspace) -> Result<Orders, String> {
    let open = |name: &str| Digest::of(name.as_bytes());
    let roles = card
        .uses
        .iter()
        .map(|(role, stem)| (role.clone(), open(stem.as_str())));
    let requires: BTreeMap<String, Digest> = roles.collect();
    let describer = Describer {
        workspace,
        card,
        requires: &requires,
    };
    let mut fetches = BTreeMap::new();
    let mut fetched = BTreeMap::new();
    for (name, fetch) in &card.work.definition.fetch {
        let order = describer.fetch(name, fetch).map_err(|fault| told(&fault))?;
        fetches.insert(name.clone(), order);
        fetched.insert(name.clone(), open(name));
    }
    let build = describer.build(&fetched).map_err(|fault| told(&fault))?;
    Ok(Orders { fetches, build })
}

fn told(obstacle: &Obstacle) -> String {
    match obstacle {
        Obstacle::Failed(failure) => failure.message.clone(),
        Obstacle::Waits(wait) => wait.message.clone(),
        Obstacle::Store(error) => error.to_string(),
        Obstacle::Lacks(_) => "the files of what it uses are not here".to_owned(),
        Obstacle::Cancelled => "it was interrupted".to_owned(),
    }
}

fn changed(old: &Orders, new: &Orders, workspace: &Workspace) -> Vec<String> {
    let mut why = differences(&old.build, &new.build, workspace);
    for (name, order) in &new.fetches {
        if let Some(before) = old.fetches.get(name) {
            why.extend(differences(before, order, workspace));
        }
    }
    let mut told = BTreeSet::new();
    why.retain(|why| told.insert(why.clone()));
    why
}

/// How one action differs from another.
fn differences(old: &Order, new: &Order, workspace: &Workspace) -> Vec<String> {
    let both = old.action.blobs.iter().chain(&new.action.blobs);
    let blobs: BTreeMap<Digest, &Vec<u8>> = both.map(|(digest, bytes)| (*digest, bytes)).collect();
    let blob = |digest: &Digest| match blobs.get(digest) {
        Some(bytes) => Some((*bytes).clone()),
        None => workspace.store.blob(digest).ok().flatten(),
    };
    let reasons = reason::between(&old.action.key, &new.action.key, &blob);
    reasons.iter().map(ToString::to_string).collect()
}
