//! Woodpecker CI.
//!
//! Syntax: <https://woodpecker-ci.org/docs/usage/workflow-syntax>. The steps of
//! one workflow share its workspace, and so the store in it: nothing has to be
//! handed over. Before the file is read, `${` is a substitution, so somebody's
//! is written with one more `$`.

use serde_yaml::Value;

use super::document::Map;
use super::names::NIGHTLY;
use super::pipeline::{Job, Pipeline, Task};
use super::{Request, script};

/// The image where none is set: a shell.
const IMAGE: &str = "bash";

/// The workflow.
pub fn document(pipeline: &Pipeline, request: &Request, notes: &mut Vec<String>) -> Map {
    script::note_install(request, notes);
    if request.config.image.is_none() {
        notes.push(
            "no `ci.image` is set: the steps run in `bash`, which suits the local backend alone"
                .into(),
        );
    }
    script::note_probes(pipeline, "step", notes);
    let writer = Writer { pipeline, request };
    let labels = writer.labels(notes);
    let steps = pipeline
        .jobs
        .iter()
        .map(|job| Value::from(writer.step(job)));
    let mut steps: Vec<Value> = steps.collect();
    if request.config.triggers.nightly.is_some() {
        steps.push(writer.nightly().into());
    }
    Map::new()
        .with("when", writer.when())
        .maybe("labels", labels.some())
        .with("steps", steps)
}

struct Writer<'a> {
    pipeline: &'a Pipeline,
    request: &'a Request,
}

impl Writer<'_> {
    fn when(&self) -> Vec<Value> {
        let paths = || self.request.paths.iter().map(|path| plain(path));
        let push = Map::new()
            .with("event", "push")
            .list("branch", self.request.branches())
            .list("path", paths());
        let mut when = vec![push];
        if self.request.pull_requests() {
            when.push(
                Map::new()
                    .with("event", "pull_request")
                    .list("path", paths()),
            );
        }
        when.push(Map::new().with("event", "manual"));
        if self.request.config.triggers.nightly.is_some() {
            when.push(Map::new().with("event", "cron"));
        }
        when.into_iter().map(Value::from).collect()
    }

    /// A workflow runs on one machine: its labels are those of `default`.
    fn labels(&self, notes: &mut Vec<String>) -> Map {
        if self
            .request
            .config
            .runs_on
            .keys()
            .any(|name| name != "default")
        {
            notes.push("the steps of a Woodpecker workflow run on one machine: only `runs-on.default` counts".into());
        }
        let mut labels = Map::new();
        for label in self.request.config.labels(None) {
            let (key, value) = label.split_once('=').unwrap_or((&label, "true"));
            labels = labels.with(key, plain(value));
        }
        labels
    }

    fn step(&self, job: &Job) -> Map {
        let needs = job.needs.iter();
        let needs = needs.map(|number| Value::from(plain(&self.pipeline.jobs[*number].name)));
        let secrets = job
            .secrets
            .iter()
            .fold(Map::new(), |map, (variable, secret)| {
                map.with(
                    variable.as_str(),
                    Map::new().with("from_secret", secret.as_str()),
                )
            });
        let mut commands = script::install(&self.request.config);
        commands.push(script::run(self.request, job, "--only", ""));
        Map::new()
            .with("name", plain(&job.name))
            .with("image", self.image())
            .with("depends_on", needs.collect::<Vec<_>>())
            .maybe("environment", secrets.some())
            .list("commands", commands.iter().map(|command| plain(command)))
            .list("when", self.conditions(job))
    }

    fn conditions(&self, job: &Job) -> Vec<Map> {
        if job.task == Task::Confirmed {
            return vec![Map::new().with("event", "manual")];
        }
        if job.trusted {
            let push = Map::new()
                .with("event", "push")
                .with("branch", self.request.base.as_str());
            return vec![push, Map::new().with("event", "manual")];
        }
        match self.request.config.triggers.nightly {
            Some(_) => vec![Map::new().list("event", ["push", "pull_request", "manual"])],
            None => Vec::new(),
        }
    }

    fn nightly(&self) -> Map {
        let mut commands = script::install(&self.request.config);
        commands.push(script::verify(self.request, ""));
        Map::new()
            .with("name", NIGHTLY)
            .with("image", self.image())
            .with("depends_on", Vec::<Value>::new())
            .list("commands", commands.iter().map(|command| plain(command)))
            .list("when", [Map::new().with("event", "cron")])
    }

    fn image(&self) -> &str {
        self.request.config.image.as_deref().unwrap_or(IMAGE)
    }
}

/// Somebody's text, in which nothing is a substitution.
fn plain(text: &str) -> String {
    text.replace("${", "$${")
}
