//! What `run`, `plan` and their like are asked about: the cards of a chain with
//! their work, read and checked.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use indexmap::IndexMap;

use crate::card::body::Headings;
use crate::card::edit::Completion;
use crate::card::{Card, Deck, Stem, Uses, find};
use crate::chain::Chain;
use crate::cli::Context;
use crate::diagnostic::{self, Diagnostic, Severity};
use crate::error::Error;
use crate::plan::{Plan, PlannedCard};
use crate::project::Project;
use crate::remote::{CacheGiven, ExecutorGiven};
use crate::runner::client::UserEnvironment;
use crate::runner::definition::Kind;
use crate::runner::parameters::{self, Fault};
use crate::runner::tools::ToolSpec;
use crate::runner::value::Value;
use crate::runner::work::{self, Overrides, Runners, Work};
use crate::timings;
use crate::words;
use crate::workspace::{Setting, Workspace};

use super::again::now_ns;

/// Which cards, and with what.
#[derive(Clone, Debug, Default, Args)]
pub struct SelectionArgs {
    /// Cards by stem, alias or the beginning of a stem [default: the only goal]
    #[arg(id = "CARD")]
    pub cards: Vec<String>,
    /// Every goal, and every build that nothing requires
    #[arg(long, conflicts_with = "CARD")]
    pub all: bool,
    /// The named cards alone: what they use must be in the store
    #[arg(long, requires = "CARD")]
    pub only: bool,
    /// With what
    #[command(flatten)]
    pub given: GivenArgs,
    /// Ask git again what tags and branches are
    #[arg(long)]
    pub refresh: bool,
}

/// What of a card's surroundings the command line gives.
#[derive(Clone, Debug, Default, Args)]
pub struct GivenArgs {
    /// Take another tree as a source: NAME=PATH or NAME=git+URL?ref=REF
    #[arg(long = "source", value_name = "NAME=TREE")]
    pub sources: Vec<String>,
    /// Give a parameter: NAME=VALUE for every runner, CARD:NAME=VALUE for one card
    #[arg(long = "with", value_name = "[CARD:]NAME=VALUE")]
    pub with: Vec<String>,
    /// Where tools come from
    #[arg(long, value_enum, value_name = "WHERE")]
    pub tools: Option<ToolsFrom>,
}

impl SelectionArgs {
    /// One card and none before it.
    pub(crate) fn alone(card: &str, given: &GivenArgs) -> SelectionArgs {
        SelectionArgs {
            cards: vec![card.to_owned()],
            only: true,
            given: given.clone(),
            ..SelectionArgs::default()
        }
    }
}

/// Where tools come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ToolsFrom {
    /// From the registries, by the lock.
    Lock,
    /// From PATH, where their version fits.
    Path,
}

/// The cards of a project, read, with the chain that they make.
pub(crate) struct Selection {
    pub(crate) project: Project,
    pub(crate) deck: Deck,
    pub(crate) chain: Chain,
    pub(crate) user: UserEnvironment,
    /// The folder that relative paths are below.
    pub(crate) here: PathBuf,
    /// `--store`.
    pub(crate) store: Option<PathBuf>,
    /// `--cache` and `--cache-mode`.
    cache: CacheGiven,
    /// A moment before anything was read, in nanoseconds since 1970.
    pub(crate) began_ns: i64,
    headings: Headings,
    overridden: BTreeSet<String>,
}

impl Selection {
    /// Reads the project's cards.
    pub(crate) fn read(args: &SelectionArgs, context: &Context) -> Result<Selection, Error> {
        let began_ns = now_ns();
        let project = Project::find(&context.here, &context.global.cards)?;
        let mut phase = timings::phase("read cards");
        let deck = Deck::read(&project.root, &project.card_dirs)?;
        phase.count(deck.cards().len());
        drop(phase);
        Ok(Selection::of(project, deck, args, context, began_ns))
    }

    fn of(
        project: Project,
        deck: Deck,
        args: &SelectionArgs,
        context: &Context,
        began_ns: i64,
    ) -> Selection {
        let phase = timings::phase("chain").about(deck.cards().len());
        let chain = Chain::new(&deck);
        drop(phase);
        let headings = project.config.headings();
        let name = |text: &String| text.split('=').next().unwrap_or_default().to_owned();
        Selection {
            overridden: args.given.sources.iter().map(name).collect(),
            user: context.user.clone(),
            here: context.here.clone(),
            store: context.global.store.clone(),
            cache: context.global.cache_given(),
            began_ns,
            project,
            deck,
            chain,
            headings,
        }
    }

    /// A selection of the cards that `read` gives, of which each is known to be
    /// one of the project at the root that it gets; `removes` says how all of them
    /// have completion written, `began_ns` is a moment before anything was read.
    pub(crate) fn of_some(
        args: &SelectionArgs,
        context: &Context,
        (removes, began_ns): (bool, i64),
        read: impl FnOnce(&Path) -> Option<Vec<Card>>,
    ) -> Option<Selection> {
        let project = Project::find(&context.here, &context.global.cards).ok()?;
        let deck = Deck::new(read(&project.root)?).completed_by_removal(removes);
        Some(Selection::of(project, deck, args, context, began_ns))
    }

    /// The headings of steps and checks.
    pub(crate) fn headings(&self) -> &Headings {
        &self.headings
    }

    /// The card that is meant by `name`.
    pub(crate) fn find(&self, name: &str) -> Result<Stem, Error> {
        find::card(&self.deck, name).map_err(|e| Error::usage(e.to_string(), e.help()))
    }

    /// The chain of this card alone, where one is named.
    pub(crate) fn within(&self, goal: Option<&str>) -> Result<Option<BTreeSet<Stem>>, Error> {
        let goal = goal.map(|name| self.find(name)).transpose()?;
        Ok(goal.map(|goal| self.chain.closure(&[goal])))
    }

    /// The card with exactly this stem or alias: what writes takes no guess.
    pub(crate) fn find_exactly(&self, name: &str) -> Result<Stem, Error> {
        let found = self.find(name)?;
        let is_exact = found.as_str() == name || self.chain.resolve(name).as_ref() == Some(&found);
        match is_exact {
            true => Ok(found),
            false => Err(Error::usage(
                format!("no card is called exactly `{name}`"),
                format!("write its whole stem: `{found}`"),
            )),
        }
    }

    /// How completion is written here.
    pub(crate) fn completion(&self) -> Completion {
        self.project.config.completion(&self.deck)
    }

    pub(crate) fn is_overridden(&self, source: &str) -> bool {
        self.overridden.contains(source)
    }

    /// The world that the cards act on.
    pub(crate) fn workspace(
        &self,
        args: &SelectionArgs,
        offline: bool,
    ) -> Result<Workspace, Error> {
        let _phase = timings::phase("open store");
        let from_path = match args.given.tools {
            Some(from) => from == ToolsFrom::Path,
            None => self.project.config.tools_from_path(),
        };
        let setting = Setting {
            store: self.store.clone(),
            cache: self.cache.clone(),
            sources: args.given.sources.clone(),
            refresh: args.refresh,
            tools_from_path: from_path,
            offline,
        };
        Workspace::open(
            self.project.clone(),
            &setting,
            &self.here,
            self.user.clone(),
            self.all_tools(),
        )
    }

    /// The same, with the server of `mikado.yaml` or the environment that executes,
    /// which may have artifacts that are not here.
    pub(crate) fn workspace_with_executor(
        &self,
        args: &SelectionArgs,
        offline: bool,
    ) -> Result<Workspace, Error> {
        let workspace = self.workspace(args, offline)?;
        workspace.with_executor(&ExecutorGiven::default())
    }

    /// The names of all runners.
    pub(crate) fn runner_names(&self) -> Vec<String> {
        Runners::new(&self.project.root, &self.project.runners_dir).names()
    }

    /// The tools of all runners: the runner, the tool's name, its declaration.
    pub(crate) fn all_tools(&self) -> Vec<(String, String, ToolSpec)> {
        let mut runners = Runners::new(&self.project.root, &self.project.runners_dir);
        let mut all = Vec::new();
        for runner in runners.names() {
            // A runner at fault is told of where it is used.
            if let Some(Ok(definition)) = runners.definition(&runner) {
                for (name, spec) in &definition.tools {
                    all.push((runner.clone(), name.clone(), spec.clone()));
                }
            }
        }
        all
    }

    /// The cards that are asked for.
    fn asked(&self, args: &SelectionArgs, runners: &mut Runners) -> Result<Vec<Stem>, Error> {
        if !args.cards.is_empty() {
            return args.cards.iter().map(|name| self.find(name)).collect();
        }
        let goals = self.chain.goals();
        if args.all {
            let mut all: BTreeSet<Stem> = goals.into_iter().collect();
            all.extend(self.last_builds(runners));
            return Ok(all.into_iter().collect());
        }
        match goals.as_slice() {
            [goal] => Ok(vec![goal.clone()]),
            // Nothing is left of the plan; what was built can still be stale.
            [] => match self.last_builds(runners) {
                builds if builds.is_empty() => Err(Error::usage(
                    "no card is open, and no build is left that nothing requires",
                    "name a card; `mikado list --all` shows them",
                )),
                builds => Ok(builds),
            },
            several => {
                let named: Vec<String> = several.iter().take(10).map(Stem::to_string).collect();
                let more = match several.len() - named.len() {
                    0 => String::new(),
                    more => format!(", and {more} more; `mikado list` shows them"),
                };
                Err(Error::usage(
                    format!("there are several goals: {}{more}", words::list(&named)),
                    "name one, or use `--all`",
                ))
            }
        }
    }

    /// The builds that nothing requires.
    fn last_builds(&self, runners: &mut Runners) -> Vec<Stem> {
        let mut is_build = |card: &Card| {
            let work = runners.work(card, &self.headings);
            work.is_ok_and(|work| work.kind == Kind::Build)
        };
        let cards = self.deck.cards().iter();
        cards
            .filter(|card| self.chain.dependents(&card.stem).is_empty() && is_build(card))
            .map(|card| card.stem.clone())
            .collect()
    }

    /// The plan for what is asked, or the findings that are in its way.
    pub(crate) fn plan(&self, args: &SelectionArgs) -> Result<Plan, Error> {
        let mut phase = timings::phase("plan");
        let mut runners = Runners::new(&self.project.root, &self.project.runners_dir);
        let asked = self.asked(args, &mut runners)?;
        let mut stems = match args.only {
            true => asked.iter().cloned().collect(),
            false => self.chain.closure(&asked),
        };
        phase.count(stems.len());
        let mut findings: Vec<Diagnostic> = self
            .chain
            .findings()
            .iter()
            .chain(self.deck.findings())
            .filter(|finding| finding.severity == Severity::Error)
            .filter(|finding| self.concerns(finding, &stems))
            .cloned()
            .collect();
        if !findings.is_empty() {
            diagnostic::sort(&mut findings);
            return Err(Error::Findings(findings));
        }
        let mut works: BTreeMap<Stem, Work> = BTreeMap::new();
        for stem in &stems {
            let Some(card) = self.deck.card(stem) else {
                continue;
            };
            match runners.work(card, &self.headings) {
                Ok(work) => drop(works.insert(stem.clone(), work)),
                Err(found) => findings.extend(found),
            }
        }
        stems.retain(|stem| works.contains_key(stem));
        let overrides = self.overrides(args, &works)?;
        let asked: BTreeSet<Stem> = asked.into_iter().collect();
        let mut cards = Vec::new();
        for stem in self.chain.order(&stems) {
            let Some(card) = self.deck.card(&stem) else {
                continue;
            };
            let Some(work) = works.get(&stem) else {
                continue;
            };
            let uses = match self.uses(&stem, &mut runners, &works) {
                Ok(uses) => uses,
                Err(finding) => {
                    findings.push(finding);
                    continue;
                }
            };
            let parameters = match work::parameters(card, work, &overrides) {
                Ok(parameters) => parameters,
                Err(finding) => {
                    findings.push(finding);
                    continue;
                }
            };
            // A complete card of which nothing is run is satisfied, whatever is
            // below it.
            let before: BTreeSet<Stem> = match card.is_open() || work.kind == Kind::Build {
                true => {
                    let used = uses.iter().map(|(_, stem)| stem);
                    self.chain
                        .requires(&stem)
                        .iter()
                        .chain(used)
                        .cloned()
                        .collect()
                }
                false => BTreeSet::new(),
            };
            let steps = match work.kind {
                Kind::Hand | Kind::Probe => {
                    let body = card.body(&self.headings);
                    body.steps.into_iter().map(|item| item.text).collect()
                }
                _ => Vec::new(),
            };
            cards.push(PlannedCard {
                title: card.title(),
                open: card.is_open(),
                asked: asked.contains(&stem),
                work: work.clone(),
                parameters,
                uses,
                before,
                steps,
                stem,
            });
        }
        if !findings.is_empty() {
            diagnostic::sort(&mut findings);
            return Err(Error::Findings(findings));
        }
        Ok(Plan::new(cards))
    }

    /// What is planned for one of the cards that are asked for.
    pub(crate) fn planned(&self, args: &SelectionArgs, stem: &Stem) -> Result<PlannedCard, Error> {
        let mut cards = self.plan(args)?.cards.into_iter();
        let card = cards.find(|card| card.stem == *stem);
        card.ok_or_else(|| Error::Bug(format!("no card `{stem}` in its plan")))
    }

    /// Whether a finding speaks of one of these cards.
    fn concerns(&self, finding: &Diagnostic, stems: &BTreeSet<Stem>) -> bool {
        // A stem of several files is no card, and all of them are spoken of.
        finding.places.iter().any(|place| {
            stems
                .iter()
                .flat_map(|stem| self.deck.files(stem.as_str()))
                .any(|card| card.path() == place.path)
        })
    }

    /// Whose artifacts `stem` uses, by role.
    fn uses(
        &self,
        stem: &Stem,
        runners: &mut Runners,
        works: &BTreeMap<Stem, Work>,
    ) -> Result<Vec<(String, Stem)>, Diagnostic> {
        let Some(card) = self.deck.card(stem) else {
            return Ok(Vec::new());
        };
        // What can't be read has a finding of its own, and none that follows from it.
        let may_be_build = |stem: &Stem| match works.get(stem) {
            Some(work) => work.kind == Kind::Build,
            None => {
                let card = self.deck.card(stem);
                let work = card.map(|card| runners.work(card, &self.headings));
                work.is_some_and(|work| work.map_or(true, |work| work.kind == Kind::Build))
            }
        };
        uses_of(card, &self.chain, may_be_build)
    }

    fn overrides(
        &self,
        args: &SelectionArgs,
        works: &BTreeMap<Stem, Work>,
    ) -> Result<Overrides, Error> {
        let mut overrides = Overrides {
            project: self.project.config.with.clone(),
            ..Overrides::default()
        };
        for text in &args.given.with {
            let Some((left, value)) = text.split_once('=') else {
                let message = format!("`--with {text}` has no `=`");
                return Err(Error::usage(message, "write NAME=VALUE or CARD:NAME=VALUE"));
            };
            let declares = |work: &Work, name: &str| work.definition.with.contains_key(name);
            match left.split_once(':') {
                Some((card, name)) => {
                    let stem = self.find(card)?;
                    if let Some(work) = works.get(&stem) {
                        if !declares(work, name) {
                            let message =
                                format!("the runner of `{stem}` has no parameter `{name}`");
                            return Err(Error::usage(message, ""));
                        }
                        fits(work, name, value)?;
                    }
                    overrides
                        .cards
                        .push((stem, name.to_owned(), value.to_owned()));
                }
                None => {
                    if !works.values().any(|work| declares(work, left)) {
                        let known: IndexMap<&str, &Value> = works
                            .values()
                            .flat_map(|work| work.definition.with.iter())
                            .map(|(name, value)| (name.as_str(), value))
                            .collect();
                        let help = match words::nearest(left, known.keys().copied()) {
                            Some(near) => format!("did you mean `{near}`?"),
                            None => String::new(),
                        };
                        let message = format!("no runner of this run has a parameter `{left}`");
                        return Err(Error::usage(message, help));
                    }
                    works
                        .values()
                        .try_for_each(|work| fits(work, left, value))?;
                    overrides
                        .everywhere
                        .push((left.to_owned(), value.to_owned()));
                }
            }
        }
        Ok(overrides)
    }
}

/// Whether a value of the command line has the shape that the runner's default
/// of the parameter has.
fn fits(work: &Work, name: &str, text: &str) -> Result<(), Error> {
    let Some(default) = work.definition.with.get(name) else {
        return Ok(());
    };
    let value = work::from_command_line(text, default);
    match parameters::shaped(name, &value, default) {
        Err(fault @ Fault::Shape { .. }) => {
            let message = format!("`--with {name}={text}`: {fault}");
            Err(Error::usage(message, fault.help()))
        }
        _ => Ok(()),
    }
}

/// Whose artifacts a card uses, by role: what it names, or else the builds that
/// it requires.
///
/// # Errors
///
/// The finding for a name of no card, or of one that is no build.
pub(crate) fn uses_of(
    card: &Card,
    chain: &Chain,
    mut may_be_build: impl FnMut(&Stem) -> bool,
) -> Result<Vec<(String, Stem)>, Diagnostic> {
    let stem = &card.stem;
    if card.front.uses == Uses::Default {
        let required = chain.requires(stem);
        let builds = required.iter().filter(|stem| may_be_build(stem));
        return Ok(builds
            .map(|stem| (stem.to_string(), stem.clone()))
            .collect());
    }
    let mut uses = Vec::new();
    for (role, text) in card.front.uses.roles() {
        let place = card.source.place(text.span.clone(), "");
        let Some(used) = chain.resolve(&text.text) else {
            let help = match chain.nearest(&text.text) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "write the stem of a card with a build, or take it away".into(),
            };
            let message = format!("`{stem}` uses `{}`, which names no card", text.text);
            return Err(Diagnostic::error("unknown-use", message)
                .at(place)
                .help(help));
        };
        if !may_be_build(&used) {
            let message = format!("`{stem}` uses `{used}`, which is no build: it has no artifact");
            return Err(Diagnostic::error("use-without-artifact", message)
                .at(place)
                .help("take it out of `uses`; `requires` is enough for the order"));
        }
        uses.push((role.to_owned(), used));
    }
    Ok(uses)
}
