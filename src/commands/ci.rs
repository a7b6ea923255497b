//! `mikado ci`.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, ValueEnum};
use similar::TextDiff;

use crate::ci::settings::Install;
use crate::ci::{self, Group, Handover, Node, Pipeline, Request, System, Written, paths};
use crate::cli::Context;
use crate::error::{Error, Exit};
use crate::plan::{Plan, PlannedCard};
use crate::project::Project;
use crate::runner::definition::{Input, Kind};
use crate::runner::sources::{SOURCES, SourceSpec};
use crate::words::{self, shell_word};
use crate::workspace::read_or_empty;

use super::ci_matrix::{self, MatrixArgs};
use super::selection::{Selection, SelectionArgs};

/// Make a CI pipeline with a job for each card
///
/// Prints it, puts it where the system looks for it, or checks that the one there
/// is today's. `CI.md` says what is in it, and what is trusted.
#[derive(Clone, Debug, Args)]
pub struct CiArgs {
    /// For which system
    #[command(subcommand)]
    pub command: CiCommand,
}

/// For which system.
#[derive(Clone, Debug, Subcommand)]
pub enum CiCommand {
    /// A workflow of GitHub Actions
    Github(PipelineArgs),
    /// A workflow of Forgejo Actions
    Forgejo(PipelineArgs),
    /// A pipeline of GitLab CI/CD
    Gitlab(PipelineArgs),
    /// A workflow of Woodpecker CI
    Woodpecker(PipelineArgs),
    /// A pipeline of Buildkite
    Buildkite(PipelineArgs),
    /// The jobs with what each needs, and whether it would do anything
    Matrix(MatrixArgs),
}

/// What is in a pipeline.
#[derive(Clone, Debug, Default, Args)]
pub struct JobArgs {
    /// Cards whose chains the pipeline runs [default: every goal, and every build that
    /// nothing requires]
    #[arg(value_name = "GOAL")]
    pub goals: Vec<String>,
    /// Which cards make one job
    #[arg(long, value_enum, default_value_t, value_name = "CARDS")]
    pub group: Group,
}

/// What a pipeline is to be like.
#[derive(Clone, Debug, Args)]
pub struct PipelineArgs {
    /// What is in it
    #[command(flatten)]
    pub jobs: JobArgs,
    /// How jobs get what others made [default: store where `ci.store` is set, else
    /// artifacts]
    #[arg(long, value_enum, value_name = "WAY")]
    pub handover: Option<Handover>,
    /// How jobs get mikado: path=DIR, git=URL,rev=COMMIT, release=URL,sha256=SUM or
    /// run=COMMAND [default: `ci.install`; without it they have it on PATH]
    #[arg(long, value_name = "WAY")]
    pub install: Option<String>,
    /// Put the file where the system looks for it
    #[arg(long, conflicts_with = "check")]
    pub write: bool,
    /// Exit 3 with the difference where the file there is another one
    #[arg(long)]
    pub check: bool,
}

/// Carries `ci` out.
///
/// # Errors
///
/// Where the cards or the disk are in the way.
pub fn run(args: CiArgs, context: &Context) -> Result<Exit, Error> {
    let (system, args) = match args.command {
        CiCommand::Github(args) => (System::Github, args),
        CiCommand::Forgejo(args) => (System::Forgejo, args),
        CiCommand::Gitlab(args) => (System::Gitlab, args),
        CiCommand::Woodpecker(args) => (System::Woodpecker, args),
        CiCommand::Buildkite(args) => (System::Buildkite, args),
        CiCommand::Matrix(args) => return ci_matrix::run(&args, context),
    };
    let (selection, plan) = planned(&args.jobs, context)?;
    let project = &selection.project;
    let top = top_of(&project.root);
    let request = request(system, &args, project, &plan, &top)?;
    let nodes: Vec<Node> = plan.cards.iter().map(Node::of).collect();
    let pipeline = Pipeline::new(&nodes, request.group, system.has_gates(), &request.config);
    if pipeline.jobs.is_empty() {
        return Err(Error::usage(
            "nothing of these cards can run in a pipeline",
            "a pipeline runs builds, and open commands and probes",
        ));
    }
    let written = ci::write(&pipeline, &request);
    tell(&written.notes)?;
    let path = top.join(system.path());
    match (args.write, args.check) {
        (true, _) => write(&path, &written, &request),
        (_, true) => check(&path, &written, &request),
        _ => super::say(written.text.trim_end()),
    }
}

/// The plan of all that a pipeline may run.
pub(crate) fn planned(args: &JobArgs, context: &Context) -> Result<(Selection, Plan), Error> {
    let asked = SelectionArgs {
        all: args.goals.is_empty(),
        cards: args.goals.clone(),
        ..SelectionArgs::default()
    };
    let selection = Selection::read(&asked, context)?;
    let plan = selection.plan(&asked)?;
    Ok((selection, plan))
}

fn request(
    system: System,
    args: &PipelineArgs,
    project: &Project,
    plan: &Plan,
    top: &Path,
) -> Result<Request, Error> {
    let mut config = project.config.ci.clone();
    if let Some(text) = &args.install {
        let install = Install::parse(text);
        config.install = Some(install.map_err(|message| {
            let help = "write path=DIR, git=URL,rev=COMMIT, release=URL,sha256=SUM or run=COMMAND";
            Error::usage(message, help)
        })?);
    }
    let handover = match (system, args.handover) {
        (System::Woodpecker, Some(_)) => {
            return Err(Error::usage(
                "the steps of a Woodpecker workflow share its workspace: nothing is handed over",
                "leave `--handover` out",
            ));
        }
        // What is in the workspace needs neither.
        (System::Woodpecker, None) => Handover::Store,
        (_, Some(given)) => given,
        (_, None) if config.store.is_some() => Handover::Store,
        (_, None) => Handover::Artifacts,
    };
    if system == System::Woodpecker {
        config.store = None;
    } else if handover == Handover::Store && config.store.is_none() {
        return Err(Error::usage(
            "no store is set that jobs could share",
            "name its folder as `ci.store` in `mikado.yaml`, or use `--handover artifacts`",
        ));
    }
    let folder = project.root.strip_prefix(top).unwrap_or(Path::new(""));
    let folder = folder.display().to_string();
    Ok(Request {
        paths: match config.paths {
            true => read_by(plan, project, &folder)?,
            false => Vec::new(),
        },
        base: project.config.base.clone().unwrap_or_else(|| "main".into()),
        command: command(system, args, &folder),
        group: args.jobs.group,
        folder,
        config,
        handover,
        system,
    })
}

/// The command that makes the file again.
fn command(system: System, args: &PipelineArgs, folder: &str) -> String {
    let mut command = vec!["mikado".to_owned()];
    if !folder.is_empty() {
        command.push(format!("-C {}", shell_word(folder)));
    }
    command.push(format!("ci {}", system.word()));
    let word = |value: Option<clap::builder::PossibleValue>| value.map(|v| v.get_name().to_owned());
    if let Some(way) = args.handover.and_then(|way| word(way.to_possible_value())) {
        command.push(format!("--handover {way}"));
    }
    if args.jobs.group != Group::Card
        && let Some(group) = word(args.jobs.group.to_possible_value())
    {
        command.push(format!("--group {group}"));
    }
    if let Some(install) = &args.install {
        command.push(format!("--install {}", shell_word(install)));
    }
    command.push("--write".into());
    command.extend(args.jobs.goals.iter().map(|goal| shell_word(goal)));
    command.join(" ")
}

/// The root of the repository around the project.
pub(crate) fn top_of(root: &Path) -> PathBuf {
    let mut folders = root.ancestors();
    let top = folders.find(|folder| folder.join(".git").exists());
    top.unwrap_or(root).to_owned()
}

/// What the cards read, as globs; none where a card may read anything.
fn read_by(plan: &Plan, project: &Project, folder: &str) -> Result<Vec<String>, Error> {
    let is_free =
        |card: &PlannedCard| card.open && matches!(card.work.kind, Kind::Command | Kind::Probe);
    if plan.cards.iter().any(is_free) {
        return Ok(Vec::new());
    }
    let sources = sources(project)?;
    let below = |path: &str| match folder.is_empty() {
        true => path.to_owned(),
        false => format!("{folder}/{path}"),
    };
    let mut patterns: Vec<(String, String)> = Vec::new();
    for card in &plan.cards {
        for input in card.work.definition.all_inputs() {
            if let Some(base) = folder_of(input, card, &sources) {
                let expanded = card.parameters.expand_list(&input.paths);
                let listed = expanded.unwrap_or_else(|_| vec!["**".into()]);
                patterns.extend(listed.into_iter().map(|pattern| (below(&base), pattern)));
            }
        }
    }
    let inside = |path: &Path| {
        let path = path.strip_prefix(&project.root).ok()?;
        Some(below(&path.display().to_string()))
    };
    for dir in project.card_dirs.iter().chain([&project.runners_dir]) {
        patterns.extend(inside(dir).map(|dir| (dir, "**".to_owned())));
    }
    patterns.push((String::new(), below(crate::project::CONFIG)));
    let pairs = patterns
        .iter()
        .map(|(base, pattern)| (base.as_str(), pattern.as_str()));
    Ok(paths::globs(pairs))
}

/// The folder of the repository that an input is below; `None` where it is in
/// none.
fn folder_of(
    input: &Input,
    card: &PlannedCard,
    sources: &BTreeMap<String, SourceSpec>,
) -> Option<String> {
    if input.requires.is_some() || input.fetch.is_some() {
        return None;
    }
    let Some(source) = &input.source else {
        return Some(String::new());
    };
    let name = card.parameters.expand(source).ok()?;
    match sources.get(&name) {
        Some(SourceSpec::Folder(path)) if path.is_relative() && !path.starts_with("..") => {
            Some(path.display().to_string())
        }
        _ => None,
    }
}

fn sources(project: &Project) -> Result<BTreeMap<String, SourceSpec>, Error> {
    let path = project.runners_dir.join(SOURCES);
    let text = read_or_empty(&path)?;
    let read: Result<Option<BTreeMap<String, SourceSpec>>, _> = serde_yaml::from_str(&text);
    let read = read.map_err(|error| Error::usage(format!("`{}`: {error}", path.display()), ""))?;
    Ok(read.unwrap_or_default())
}

/// Tells what the file does not say, on standard error.
fn tell(notes: &[String]) -> Result<(), Error> {
    let mut err = io::stderr().lock();
    for note in notes {
        writeln!(err, "note: {note}").map_err(Error::disk("write to", "standard error"))?;
    }
    Ok(())
}

fn write(path: &Path, written: &Written, request: &Request) -> Result<Exit, Error> {
    let shown = request.system.path();
    if std::fs::read_to_string(path).is_ok_and(|text| text == written.text) {
        return super::say(&format!("{shown} is up to date"));
    }
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(Error::disk("make the folder", folder))?;
    }
    std::fs::write(path, &written.text).map_err(Error::disk("write", path))?;
    super::say(&format!("{shown} written"))
}

fn check(path: &Path, written: &Written, request: &Request) -> Result<Exit, Error> {
    let shown = request.system.path();
    let found = read_or_empty(path)?;
    if found == written.text {
        return super::say(&format!("{shown} is up to date"));
    }
    let diff = TextDiff::from_lines(&found, &written.text);
    let mut unified = diff.unified_diff();
    let unified = unified.header(shown, "what the cards say");
    let lines = words::count(found.lines().count(), "line");
    let state = match found.is_empty() {
        true => "is not there".to_owned(),
        false => format!("is stale ({lines})"),
    };
    super::say(&format!(
        "{}{shown} {state}; make it again: {}",
        unified, request.command
    ))?;
    Ok(Exit::Findings)
}
