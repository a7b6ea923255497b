//! Pipelines: a chain as the jobs of a CI system.
//!
//! Cards become [`node`]s, nodes become the jobs of a [`pipeline`] that knows no
//! system, and one file a system spells it out as YAML. The job graph is the
//! transitive reduction of the chain's. Pure: what is needed of the disk was
//! read before, and nothing is written here. Titles and stems are somebody's
//! text: each system's file quotes them as its own language wants it.

pub mod buildkite;
pub mod document;
pub mod forgejo;
pub mod github;
pub mod gitlab;
pub mod names;
pub mod node;
pub mod paths;
pub mod pipeline;
pub mod reduction;
pub mod script;
pub mod settings;
pub mod woodpecker;

use clap::ValueEnum;

pub use node::Node;
pub use pipeline::{Job, LeftOut, Pipeline, Task};
pub use settings::CiConfig;

/// A CI system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum System {
    /// GitHub Actions.
    Github,
    /// Forgejo Actions.
    Forgejo,
    /// GitLab CI/CD.
    Gitlab,
    /// Woodpecker CI.
    Woodpecker,
    /// Buildkite.
    Buildkite,
}

impl System {
    /// Its word on the command line.
    pub fn word(self) -> &'static str {
        match self {
            System::Github => "github",
            System::Forgejo => "forgejo",
            System::Gitlab => "gitlab",
            System::Woodpecker => "woodpecker",
            System::Buildkite => "buildkite",
        }
    }

    /// Where it looks for a pipeline, below the root of the repository.
    pub fn path(self) -> &'static str {
        match self {
            System::Github => ".github/workflows/mikado.yml",
            System::Forgejo => ".forgejo/workflows/mikado.yml",
            System::Gitlab => ".gitlab-ci.yml",
            System::Woodpecker => ".woodpecker/mikado.yaml",
            System::Buildkite => ".buildkite/pipeline.yml",
        }
    }

    /// Whether a person can let a waiting pipeline go on.
    pub fn has_gates(self) -> bool {
        matches!(self, System::Gitlab | System::Buildkite)
    }
}

/// How jobs get what other jobs made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Handover {
    /// As files, through the CI system.
    Artifacts,
    /// Through a store that all jobs share.
    Store,
}

/// Which cards make one job.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Group {
    /// Each card.
    #[default]
    Card,
    /// The cards that are as far from the beginning.
    Layer,
    /// All cards, but for those that something has to be waited for.
    Chain,
}

/// What a pipeline is to be like.
#[derive(Clone, Debug)]
pub struct Request {
    /// For which system.
    pub system: System,
    /// How jobs hand over.
    pub handover: Handover,
    /// Which cards make one job.
    pub group: Group,
    /// The settings.
    pub config: CiConfig,
    /// The branch that others start from.
    pub base: String,
    /// The command that makes the file again.
    pub command: String,
    /// The project's folder below the repository's root; empty where it is that.
    pub folder: String,
    /// What the cards read, as globs; empty for any change at all.
    pub paths: Vec<String>,
}

impl Request {
    /// The branches whose pushes start the pipeline.
    pub(crate) fn branches(&self) -> Vec<String> {
        let given = self.config.triggers.push.clone();
        given.unwrap_or_else(|| vec![self.base.clone()])
    }

    /// Whether pull requests start it.
    pub(crate) fn pull_requests(&self) -> bool {
        self.config.triggers.pull_requests.unwrap_or(true)
    }

    /// Whether a newer commit of a pull request ends the pipeline of an older.
    pub(crate) fn cancels(&self) -> bool {
        self.config.cancel.unwrap_or(true)
    }

    /// The shared store, where jobs hand over through it.
    pub(crate) fn store(&self) -> Option<String> {
        let store = self.config.store.as_ref();
        let store = store.filter(|_| self.handover == Handover::Store);
        store.map(|path| path.display().to_string())
    }

    /// Whether jobs hand over as files.
    pub(crate) fn by_files(&self) -> bool {
        self.handover == Handover::Artifacts
    }
}

/// The text of a pipeline, and what to say about it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// The file.
    pub text: String,
    /// What its maker has to know: limits, what is not said in the file.
    pub notes: Vec<String>,
}

/// The pipeline as its system reads it.
pub fn write(pipeline: &Pipeline, request: &Request) -> Written {
    let mut notes = pipeline.notes.clone();
    let document = match request.system {
        System::Github => github::document(pipeline, request, &mut notes),
        System::Forgejo => forgejo::document(pipeline, request, &mut notes),
        System::Gitlab => gitlab::document(pipeline, request, &mut notes),
        System::Woodpecker => woodpecker::document(pipeline, request, &mut notes),
        System::Buildkite => buildkite::document(pipeline, request, &mut notes),
    };
    let text = document::text(&document, &header(pipeline, request));
    Written { text, notes }
}

/// The lines at the top of the file.
fn header(pipeline: &Pipeline, request: &Request) -> Vec<String> {
    let mut lines = vec![
        "Made by mikado from the cards. Change those, and make it again:".to_owned(),
        format!("  {}", request.command),
    ];
    if !pipeline.left_out.is_empty() {
        lines.push(String::new());
        lines
            .push("Not in this pipeline, since only a person can do the first of them:".to_owned());
        for left in &pipeline.left_out {
            lines.push(match &left.behind {
                None => format!("- {}: by hand", left.stem),
                Some(hand) => format!("- {}: after {hand}", left.stem),
            });
        }
    }
    lines
}
