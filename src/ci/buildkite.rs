//! Buildkite.
//!
//! Syntax: <https://buildkite.com/docs/pipelines/configure/step-types>. When a
//! pipeline is uploaded, `$NAME` is a variable, so somebody's `$` is written
//! twice. Limits: 500 jobs an upload. A hand card is a block step.

use serde_yaml::Value;

use super::document::Map;
use super::names::{NIGHTLY, NIGHTLY_ID};
use super::pipeline::{Job, Pipeline, Task};
use super::{Request, script};

/// How many jobs one upload may bring.
const JOBS: usize = 500;

/// The pipeline.
pub fn document(pipeline: &Pipeline, request: &Request, notes: &mut Vec<String>) -> Map {
    script::note_install(request, notes);
    if request.config.image.is_some() {
        notes.push("Buildkite has images by plugins alone: `ci.image` is not used, have mikado on the agents".into());
    }
    if pipeline.jobs.len() > JOBS {
        notes.push(format!(
            "more than {JOBS} jobs, which Buildkite refuses: try `--group layer`"
        ));
    }
    script::note_probes(pipeline, "step", notes);
    notes.push("what starts a Buildkite pipeline is set at Buildkite, not in the file".into());
    let writer = Writer { pipeline, request };
    let mut steps: Vec<Value> = pipeline
        .jobs
        .iter()
        .flat_map(|job| writer.steps(job))
        .collect();
    if request.config.triggers.nightly.is_some() {
        steps.push(writer.nightly().into());
    }
    Map::new()
        .maybe("env", writer.environment().some())
        .with("steps", steps)
}

struct Writer<'a> {
    pipeline: &'a Pipeline,
    request: &'a Request,
}

impl Writer<'_> {
    fn environment(&self) -> Map {
        let store = self.request.store().map(|store| plain(&store));
        Map::new().maybe("MIKADO_STORE", store)
    }

    fn steps(&self, job: &Job) -> Vec<Value> {
        let needs: Vec<Value> = job
            .needs
            .iter()
            .map(|number| Value::from(self.pipeline.jobs[*number].id.as_str()))
            .collect();
        match job.task {
            Task::Gate => vec![self.block(job, &job.id, needs).into()],
            Task::Confirmed => {
                let gate = format!("{}-asked", job.id);
                let after = vec![Value::from(gate.as_str())];
                vec![
                    self.block(job, &gate, needs).into(),
                    self.command(job, after).into(),
                ]
            }
            Task::Run | Task::Probe => vec![self.command(job, needs).into()],
        }
    }

    /// Where a person lets the pipeline go on.
    fn block(&self, job: &Job, key: &str, needs: Vec<Value>) -> Map {
        let prompt = match job.task {
            Task::Gate => script::by_hand(job),
            _ => format!(
                "Run {}?",
                job.cards.first().map_or("", |stem| stem.as_str())
            ),
        };
        Map::new()
            .with("block", plain(&job.name))
            .with("key", key)
            .with("depends_on", needs)
            .maybe("if", self.condition(job))
            .with("prompt", plain(&prompt))
    }

    fn command(&self, job: &Job, needs: Vec<Value>) -> Map {
        let by_files = self.request.by_files();
        let mut commands = script::install(&self.request.config);
        if by_files {
            for stem in &job.imports {
                let file = script::at(self.request, &script::file(self.pipeline, stem));
                commands.push(format!("buildkite-agent artifact download {file} ."));
            }
            commands.extend(script::import(self.request, self.pipeline, job));
        }
        commands.push(script::run(self.request, job, "--only", ""));
        if by_files {
            commands.extend(script::export(self.request, self.pipeline, job));
        }
        let files = job
            .exports
            .iter()
            .map(|stem| script::at(self.request, &script::file(self.pipeline, stem)));
        let files: Vec<String> = files.filter(|_| by_files).collect();
        let agents = job.labels.iter().fold(Map::new(), |map, label| {
            let (key, value) = label.split_once('=').unwrap_or(("queue", label));
            map.with(key, plain(value))
        });
        let one_at_a_time = job.commands.then_some(1);
        Map::new()
            .with("label", plain(&job.name))
            .with("key", job.id.as_str())
            // Empty, it waits for no block step above it either.
            .with("depends_on", needs)
            .maybe("if", self.condition(job))
            .maybe("agents", agents.some())
            .list("secrets", job.secrets.values().map(String::as_str))
            .maybe("timeout_in_minutes", script::minutes(job))
            .maybe("concurrency", one_at_a_time)
            .maybe(
                "concurrency_group",
                one_at_a_time.map(|_| "mikado-commands"),
            )
            .list("commands", commands.iter().map(|command| plain(command)))
            .list("artifact_paths", files)
    }

    fn condition(&self, job: &Job) -> Option<String> {
        let mut conditions = Vec::new();
        if job.trusted {
            let base = self.request.base.replace('"', "");
            conditions.push(format!(
                "build.branch == \"{base}\" && build.pull_request.id == null"
            ));
        }
        if self.request.store().is_some() && !job.trusted {
            // A fork must not write to the store, and has no other.
            conditions.push("build.pull_request.repository.fork != true".to_owned());
        }
        if self.request.config.triggers.nightly.is_some() {
            conditions.push("build.source != \"schedule\"".to_owned());
        }
        (!conditions.is_empty()).then(|| conditions.join(" && "))
    }

    fn nightly(&self) -> Map {
        let mut commands = script::install(&self.request.config);
        commands.push(script::verify(self.request, ""));
        Map::new()
            .with("label", NIGHTLY)
            .with("key", NIGHTLY_ID)
            .with("depends_on", Vec::<Value>::new())
            .with("if", "build.source == \"schedule\"")
            .list("commands", commands.iter().map(|command| plain(command)))
    }
}

/// Somebody's text, in which nothing is a variable.
fn plain(text: &str) -> String {
    text.replace('$', "$$")
}
