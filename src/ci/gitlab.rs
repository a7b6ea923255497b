//! GitLab CI/CD.
//!
//! Syntax: <https://docs.gitlab.com/ci/yaml/>. A job's name is its title. A job may need 50 others unless an instance
//! says otherwise; one that needs more waits for the whole of an earlier stage,
//! which is more than it needs and has no bound. Files come from jobs that are
//! in `needs` alone, so those whose artifacts are read stand there as well.

use std::collections::BTreeSet;

use serde_yaml::Value;

use super::document::Map;
use super::names::NIGHTLY;
use super::pipeline::{Job, Pipeline, Task};
use super::{Request, script};

/// How many jobs one job may need.
const NEEDS: usize = 50;

/// How many globs `changes` may have.
const CHANGES: usize = 50;

/// The pipeline.
pub fn document(pipeline: &Pipeline, request: &Request, notes: &mut Vec<String>) -> Map {
    script::note_install(request, notes);
    let writer = Writer {
        stages: stages(pipeline, request),
        pipeline,
        request,
    };
    let last = writer
        .stages
        .iter()
        .map(|(stage, _)| *stage)
        .max()
        .unwrap_or(0);
    for (job, (_, wide)) in pipeline.jobs.iter().zip(&writer.stages) {
        if *wide {
            notes.push(format!(
                "`{}` needs more than {NEEDS} jobs, which GitLab refuses: it waits for all jobs of the stages before it",
                job.name
            ));
        }
    }
    if request.paths.len() > CHANGES {
        notes.push(format!(
            "more than {CHANGES} paths, which GitLab refuses: any change starts the pipeline"
        ));
    }
    script::note_probes(pipeline, "job", notes);
    if !request.config.secrets.is_empty() {
        notes.push("GitLab gives the project's variables to every job: bind them to protected branches there".into());
    }
    let mut document = Map::new()
        .with(
            "stages",
            (0..=last)
                .map(|n| Value::from(stage(n)))
                .collect::<Vec<_>>(),
        )
        .with("workflow", Map::new().with("rules", writer.workflow()))
        .maybe("variables", writer.variables().some())
        .maybe("default", writer.defaults().some());
    for (number, job) in pipeline.jobs.iter().enumerate() {
        document = document.with(job.name.clone(), writer.job(number));
    }
    if request.config.triggers.nightly.is_some() {
        document = document.with(NIGHTLY, writer.nightly());
    }
    document
}

/// The stage of each job, and whether it waits for the stages before it.
fn stages(pipeline: &Pipeline, request: &Request) -> Vec<(usize, bool)> {
    let mut stages: Vec<(usize, bool)> = Vec::new();
    for job in &pipeline.jobs {
        let needs = needs(pipeline, request, job);
        let wide = needs.len() > NEEDS;
        let deepest = needs.iter().map(|before| stages[*before].0).max();
        stages.push((deepest.map_or(0, |stage| stage + usize::from(wide)), wide));
    }
    stages
}

/// What `job` has in its `needs`: order, and files.
fn needs(pipeline: &Pipeline, request: &Request, job: &Job) -> BTreeSet<usize> {
    let mut needs = job.needs.clone();
    if request.by_files() {
        needs.extend(pipeline.makers(job));
    }
    needs
}

fn stage(number: usize) -> String {
    match number {
        0 => "cards".to_owned(),
        _ => format!("cards-{}", number + 1),
    }
}

struct Writer<'a> {
    pipeline: &'a Pipeline,
    request: &'a Request,
    stages: Vec<(usize, bool)>,
}

/// For the base branch, or by hand.
const BY_HAND: &str = "$CI_PIPELINE_SOURCE == \"web\"";

impl Writer<'_> {
    /// When there is a pipeline at all.
    fn workflow(&self) -> Vec<Value> {
        let request = self.request;
        let paths =
            Some(&request.paths).filter(|paths| !paths.is_empty() && paths.len() <= CHANGES);
        let changes = |rule: Map| match paths {
            Some(paths) => rule.list("changes", paths.iter().map(String::as_str)),
            None => rule,
        };
        let mut rules = Vec::new();
        if request.pull_requests() {
            let merge = "$CI_PIPELINE_SOURCE == \"merge_request_event\"";
            if request.store().is_some() {
                // A fork's jobs share no store, so that each makes what it needs.
                let fork =
                    format!("{merge} && $CI_MERGE_REQUEST_SOURCE_PROJECT_ID != $CI_PROJECT_ID");
                let none = Map::new().with("MIKADO_STORE", "").with("MIKADO_ONLY", "");
                rules.push(changes(Map::new().with("if", fork).with("variables", none)));
            }
            rules.push(changes(Map::new().with("if", merge)));
        }
        for branch in request.branches() {
            let push = format!(
                "$CI_PIPELINE_SOURCE == \"push\" && $CI_COMMIT_BRANCH == {}",
                literal(&branch)
            );
            rules.push(changes(Map::new().with("if", push)));
        }
        rules.push(Map::new().with("if", BY_HAND));
        if request.config.triggers.nightly.is_some() {
            rules.push(Map::new().with("if", "$CI_PIPELINE_SOURCE == \"schedule\""));
        }
        rules.into_iter().map(Value::from).collect()
    }

    fn variables(&self) -> Map {
        match self.request.store() {
            Some(store) => Map::new()
                .with("MIKADO_STORE", store.replace('$', "$$"))
                .with("MIKADO_ONLY", "--only"),
            None => Map::new(),
        }
    }

    fn defaults(&self) -> Map {
        Map::new()
            .maybe("image", self.request.config.image.as_deref())
            .list("before_script", script::install(&self.request.config))
    }

    fn job(&self, number: usize) -> Map {
        let job = &self.pipeline.jobs[number];
        let (of, wide) = self.stages[number];
        let base = Map::new().with("stage", stage(of));
        let base = match wide {
            true => base.with("dependencies", self.files_from(job)),
            false => base.with("needs", self.needs(job)),
        };
        let waits = matches!(job.task, Task::Gate | Task::Confirmed);
        let base = match self.rules(job, waits) {
            rules if !rules.is_empty() => base.with("rules", rules),
            _ if waits => base.with("when", "manual").with("allow_failure", false),
            _ => base,
        };
        let base = base.list("tags", job.labels.iter().map(String::as_str));
        if job.task == Task::Gate {
            // Nothing of mikado's runs here.
            let text = crate::words::shell_word(&script::by_hand(job));
            return base
                .list("before_script", Vec::<Value>::new())
                .list("script", [format!("echo {text}")]);
        }
        let cancels = self.request.cancels() && !job.commands;
        base.maybe(
            "timeout",
            script::minutes(job).map(|minutes| format!("{minutes} minutes")),
        )
        .maybe("resource_group", job.commands.then_some("mikado-commands"))
        .maybe("interruptible", cancels.then_some(true))
        .with("script", self.script(job))
        .with("artifacts", self.artifacts(job))
    }

    fn needs(&self, job: &Job) -> Vec<Value> {
        let makers = self.pipeline.makers(job);
        let needs = needs(self.pipeline, self.request, job);
        let needs = needs.iter().map(|before| {
            let read = self.request.by_files() && makers.contains(before);
            let need = Map::new().with("job", self.pipeline.jobs[*before].name.as_str());
            Value::from(need.with("artifacts", read))
        });
        needs.collect()
    }

    /// The jobs whose files a job of a later stage gets.
    fn files_from(&self, job: &Job) -> Vec<Value> {
        if !self.request.by_files() {
            return Vec::new();
        }
        let makers = self.pipeline.makers(job);
        makers
            .iter()
            .map(|maker| Value::from(self.pipeline.jobs[*maker].name.as_str()))
            .collect()
    }

    /// When the job is in the pipeline; empty for always.
    fn rules(&self, job: &Job, waits: bool) -> Vec<Value> {
        let rule = |condition: Option<String>| {
            // A rule that says nothing is none.
            let says_nothing = condition.is_none();
            let rule = Map::new().maybe("if", condition);
            Value::from(match waits {
                true => rule.with("when", "manual").with("allow_failure", false),
                false => rule.maybe("when", says_nothing.then_some("on_success")),
            })
        };
        if job.trusted {
            let base = literal(&self.request.base);
            let push = format!("$CI_PIPELINE_SOURCE == \"push\" && $CI_COMMIT_BRANCH == {base}");
            return vec![rule(Some(push)), rule(Some(BY_HAND.to_owned()))];
        }
        if self.request.config.triggers.nightly.is_none() {
            return Vec::new();
        }
        let never = Map::new()
            .with("if", "$CI_PIPELINE_SOURCE == \"schedule\"")
            .with("when", "never");
        vec![never.into(), rule(None)]
    }

    fn script(&self, job: &Job) -> Vec<Value> {
        let by_files = self.request.by_files();
        let mut commands = Vec::new();
        if by_files {
            commands.extend(script::import(self.request, self.pipeline, job));
        }
        let only = match self.request.store() {
            Some(_) => "$MIKADO_ONLY",
            None => "--only",
        };
        commands.push(script::run(
            self.request,
            job,
            only,
            &format!(" --junit={}", script::JUNIT),
        ));
        if by_files {
            commands.extend(script::export(self.request, self.pipeline, job));
        }
        commands.into_iter().map(Value::from).collect()
    }

    fn artifacts(&self, job: &Job) -> Map {
        let files = job
            .exports
            .iter()
            .map(|stem| script::at(self.request, &script::file(self.pipeline, stem)));
        let files: Vec<String> = files.filter(|_| self.request.by_files()).collect();
        let report = Map::new().with("junit", script::at(self.request, script::JUNIT));
        Map::new()
            .list("paths", files)
            .with("expire_in", "1 week")
            .with("when", "always")
            .with("reports", report)
    }

    fn nightly(&self) -> Map {
        let only_then = Map::new().with("if", "$CI_PIPELINE_SOURCE == \"schedule\"");
        let report = Map::new().with(
            "reports",
            Map::new().with("junit", script::at(self.request, script::JUNIT)),
        );
        Map::new()
            .with("stage", stage(0))
            .with("needs", Vec::<Value>::new())
            .list("rules", [only_then])
            .list(
                "script",
                [script::verify(
                    self.request,
                    &format!(" --junit={}", script::JUNIT),
                )],
            )
            .with("artifacts", report.with("when", "always"))
    }
}

/// A text within a condition.
fn literal(text: &str) -> String {
    format!("\"{}\"", text.replace('"', ""))
}
