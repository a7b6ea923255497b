//! GitHub Actions.
//!
//! Syntax: <https://docs.github.com/actions/reference/workflows-and-actions/workflow-syntax>.
//! Limits: a workflow file of 512 KB; ids of letters, digits, `-` and `_`. In
//! every text `${{` begins an expression, so somebody's is written as one.
//! Secrets never reach pull requests from forks; a shared store does not either.

use serde_yaml::Value;

use super::document::{Map, nothing};
use super::names::{NIGHTLY, NIGHTLY_ID};
use super::pipeline::{Job, Pipeline, Task};
use super::{Request, script};

/// The largest workflow file.
const LARGEST: usize = 512 * 1000;

/// What differs between systems that read this language.
pub(super) struct Dialect {
    /// The machine of a job that says nothing.
    pub(super) machine: &'static str,
    /// The actions: checkout, upload, download.
    pub(super) actions: [&'static str; 3],
}

const GITHUB: Dialect = Dialect {
    machine: "ubuntu-latest",
    actions: [
        "actions/checkout@v4",
        "actions/upload-artifact@v4",
        "actions/download-artifact@v4",
    ],
};

/// The workflow.
pub fn document(pipeline: &Pipeline, request: &Request, notes: &mut Vec<String>) -> Map {
    workflow(pipeline, request, &GITHUB, notes)
}

/// The workflow in a dialect.
pub(super) fn workflow(
    pipeline: &Pipeline,
    request: &Request,
    dialect: &Dialect,
    notes: &mut Vec<String>,
) -> Map {
    script::note_install(request, notes);
    let writer = Writer {
        pipeline,
        request,
        dialect,
    };
    let mut jobs = Map::new();
    for job in &pipeline.jobs {
        jobs = jobs.with(job.id.clone(), writer.job(job));
    }
    if request.config.triggers.nightly.is_some() {
        jobs = jobs.with(NIGHTLY_ID, writer.nightly());
    }
    let document = Map::new()
        .with("name", "Mikado")
        .with("on", writer.triggers())
        .with("permissions", Map::new().with("contents", "read"))
        .with("concurrency", writer.concurrency())
        .maybe("env", writer.environment().some())
        .with("jobs", jobs);
    if serde_yaml::to_string(&Value::from(document.clone())).map_or(0, |text| text.len()) > LARGEST
    {
        notes.push(
            "the file is larger than 512 KB, which GitHub refuses: try `--group layer`".into(),
        );
    }
    document
}

struct Writer<'a> {
    pipeline: &'a Pipeline,
    request: &'a Request,
    dialect: &'a Dialect,
}

impl Writer<'_> {
    fn triggers(&self) -> Map {
        let request = self.request;
        let paths = || request.paths.iter().map(|path| path.as_str());
        let push = Map::new()
            .list("branches", request.branches())
            .list("paths", paths());
        let pull = Map::new().list("paths", paths());
        let pull = pull.some().map_or_else(nothing, Value::from);
        let nightly = request.config.triggers.nightly.as_ref();
        let nightly = nightly.map(|cron| vec![Value::from(Map::new().with("cron", cron.as_str()))]);
        Map::new()
            .with("push", push)
            .maybe("pull_request", request.pull_requests().then_some(pull))
            .with("workflow_dispatch", nothing())
            .maybe("schedule", nightly)
    }

    fn concurrency(&self) -> Map {
        let cancels = match self.request.cancels() {
            true => "${{ github.event_name == 'pull_request' }}".into(),
            false => Value::from(false),
        };
        Map::new()
            .with(
                "group",
                "${{ github.workflow }}-${{ github.event_name }}-${{ github.ref }}",
            )
            .with("cancel-in-progress", cancels)
    }

    /// Pull requests from forks get a store of their own, and no other.
    fn environment(&self) -> Map {
        let store = self
            .request
            .store()
            .map(|store| format!("${{{{ {FORK} && '' || {} }}}}", literal(&store)));
        Map::new().maybe("MIKADO_STORE", store)
    }

    fn job(&self, job: &Job) -> Map {
        let needs = job
            .needs
            .iter()
            .map(|number| self.pipeline.jobs[*number].id.as_str());
        let probe = job.task == Task::Probe;
        let holds = "${{ steps.run.outputs.holds }}";
        let one_at_a_time = job.commands.then(|| {
            Map::new()
                .with("group", format!("mikado-{}", job.id))
                .with("cancel-in-progress", false)
        });
        Map::new()
            .with("name", plain(&job.name))
            .list("needs", needs)
            .maybe("if", self.condition(job))
            .with("runs-on", self.machine(&job.labels))
            .maybe("container", self.request.config.image.as_deref())
            .maybe("timeout-minutes", script::minutes(job))
            .maybe("concurrency", one_at_a_time)
            .maybe("outputs", probe.then(|| Map::new().with("holds", holds)))
            .with("steps", self.steps(job))
    }

    fn condition(&self, job: &Job) -> Option<String> {
        let base = literal(&format!("refs/heads/{}", self.request.base));
        let mut conditions = Vec::new();
        if job.task == Task::Confirmed {
            conditions.push("github.event_name == 'workflow_dispatch'".to_owned());
        } else if job.trusted {
            conditions.push(format!(
                "(github.event_name == 'workflow_dispatch' || github.event_name == 'push' && github.ref == {base})"
            ));
        } else if self.request.config.triggers.nightly.is_some() {
            conditions.push("github.event_name != 'schedule'".to_owned());
        }
        for number in &job.needs {
            let before = &self.pipeline.jobs[*number];
            if before.task == Task::Probe {
                conditions.push(format!("needs.{}.outputs.holds == 'true'", before.id));
            }
        }
        (!conditions.is_empty()).then(|| conditions.join(" && "))
    }

    fn machine(&self, labels: &[String]) -> Value {
        match labels {
            [] => self.dialect.machine.into(),
            [one] => plain(one).into(),
            several => several
                .iter()
                .map(|label| Value::from(plain(label)))
                .collect::<Vec<_>>()
                .into(),
        }
    }

    fn steps(&self, job: &Job) -> Vec<Value> {
        let mut steps = self.beginning();
        if self.request.by_files() {
            for stem in &job.imports {
                let name = self.pipeline.files.get(stem).map_or("", String::as_str);
                let with = Map::new()
                    .with("name", name)
                    .with("path", script::at(self.request, script::FOLDER));
                steps.push(Map::new().with("uses", self.action(2)).with("with", with));
            }
            let import = script::import(self.request, self.pipeline, job);
            steps.extend(import.map(|import| step("Take in what other cards made", &import)));
        }
        steps.push(self.run(job));
        if self.request.by_files() {
            let export = script::export(self.request, self.pipeline, job);
            if !export.is_empty() {
                steps.push(step("Hand over", &export.join("\n")));
            }
            for stem in &job.exports {
                let name = self.pipeline.files.get(stem).map_or("", String::as_str);
                let with = Map::new()
                    .with("name", name)
                    .with(
                        "path",
                        script::at(self.request, &script::file(self.pipeline, stem)),
                    )
                    .with("if-no-files-found", "error")
                    // It is compressed, and lies in a folder with a dot.
                    .with("compression-level", 0)
                    .with("include-hidden-files", true)
                    .with("overwrite", true);
                steps.push(Map::new().with("uses", self.action(1)).with("with", with));
            }
        }
        steps.into_iter().map(Value::from).collect()
    }

    fn run(&self, job: &Job) -> Map {
        // A fork's jobs share no store, so that each makes what it needs.
        let only = match self.request.store() {
            Some(_) => format!("${{{{ {FORK} && '' || '--only' }}}}"),
            None => "--only".to_owned(),
        };
        // Secrets reach this step alone.
        let secrets = job
            .secrets
            .iter()
            .fold(Map::new(), |map, (variable, secret)| {
                map.with(variable.as_str(), format!("${{{{ secrets.{secret} }}}}"))
            });
        // The option is put in last, since it is an expression.
        let command = script::run(self.request, job, "MIKADO-ONLY", "");
        let command = plain(&command).replacen("MIKADO-ONLY", &only, 1);
        let step = |name: &str| Map::new().with("name", name).maybe("env", secrets.some());
        if job.task == Task::Probe {
            // Not true yet is no failure, and what comes after does not start.
            let script = format!(
                "code=0\n{command} || code=$?\ncase $code in\n  0) echo holds=true >> \"$GITHUB_OUTPUT\" ;;\n  5) echo holds=false >> \"$GITHUB_OUTPUT\" ;;\n  *) exit $code ;;\nesac"
            );
            return step("Look").with("id", "run").with("run", script);
        }
        step("Run").with("run", command)
    }

    /// The steps with which every job begins.
    fn beginning(&self) -> Vec<Map> {
        let checkout = Map::new()
            .with("uses", self.action(0))
            .with("with", Map::new().with("persist-credentials", false));
        let mut steps = vec![checkout];
        let install = script::install(&self.request.config);
        if !install.is_empty() {
            steps.push(step("Install mikado", &install.join("\n")));
        }
        steps
    }

    fn nightly(&self) -> Map {
        let mut steps = self.beginning();
        steps.push(
            Map::new()
                .with("name", "Verify")
                .with("run", script::verify(self.request, "")),
        );
        Map::new()
            .with("name", NIGHTLY)
            .with("if", "github.event_name == 'schedule'")
            .with("runs-on", self.machine(&self.request.config.labels(None)))
            .maybe("container", self.request.config.image.as_deref())
            .with(
                "steps",
                steps.into_iter().map(Value::from).collect::<Vec<_>>(),
            )
    }

    /// The action number `which` of the dialect, or what it is pinned to.
    fn action(&self, which: usize) -> String {
        let actions = &self.request.config.actions;
        let pinned = [&actions.checkout, &actions.upload, &actions.download];
        match pinned[which] {
            Some(action) => action.clone(),
            None => self.dialect.actions[which].to_owned(),
        }
    }
}

/// Whether the pipeline is for a pull request from a fork; null where it is for
/// something else.
const FORK: &str = "github.event.pull_request.head.repo.fork";

fn step(name: &str, script: &str) -> Map {
    Map::new().with("name", name).with("run", plain(script))
}

/// Somebody's text, in which nothing is an expression.
pub(super) fn plain(text: &str) -> String {
    text.replace("${{", "${{ '${{' }}")
}

/// A text within an expression.
fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
