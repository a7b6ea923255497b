//! The commands of jobs, in the shell's words.
//!
//! They are the same for every system: what a job does is what a person would
//! type. No command has a variable or a substitution of the shell's, which
//! systems would take for their own, but those that are said to.

use super::pipeline::{Job, Pipeline, Task};
use super::settings::Install;
use super::{CiConfig, Request};
use crate::card::Stem;
use crate::words::shell_word;

/// The folder through which artifacts go in and out; git and globs pass it over.
pub const FOLDER: &str = ".mikado/handover";

/// Where a job's report for the CI system lies.
pub const JUNIT: &str = ".mikado/junit.xml";

/// The program, acting in the project's folder.
fn mikado(request: &Request) -> String {
    match request.folder.is_empty() {
        true => "mikado".to_owned(),
        false => format!("mikado -C {}", shell_word(&request.folder)),
    }
}

/// A path of the project's folder as the CI system has to be told it.
pub fn at(request: &Request, path: &str) -> String {
    match request.folder.is_empty() {
        true => path.to_owned(),
        false => format!("{}/{path}", request.folder),
    }
}

/// The commands that make `mikado` available; none where it is.
pub fn install(config: &CiConfig) -> Vec<String> {
    let Some(install) = &config.install else {
        return Vec::new();
    };
    let Install {
        path,
        git,
        rev,
        release,
        sha256,
        run,
    } = install;
    if let Some(path) = path {
        let path = shell_word(&path.display().to_string());
        return vec![format!("cargo install --quiet --locked --path {path}")];
    }
    if let Some(git) = git {
        let rev = rev
            .as_ref()
            .map(|rev| format!(" --rev {}", shell_word(rev)));
        let git = shell_word(git);
        let rev = rev.unwrap_or_default();
        return vec![format!(
            "cargo install --quiet --locked --git {git}{rev} mikado"
        )];
    }
    if let Some(release) = release {
        let mut commands = vec![format!(
            "curl --fail --silent --show-error --location --output mikado.tar.gz {}",
            shell_word(release)
        )];
        if let Some(sum) = sha256 {
            let line = shell_word(&format!("{sum}  mikado.tar.gz"));
            commands.push(format!("echo {line} | sha256sum --check"));
        }
        commands.push(
            "tar --extract --gzip --file mikado.tar.gz --directory /usr/local/bin mikado".into(),
        );
        commands.push("rm mikado.tar.gz".into());
        return commands;
    }
    run.iter().cloned().collect()
}

/// The name of the file with the artifact of `stem`, below [`FOLDER`].
pub fn file(pipeline: &Pipeline, stem: &Stem) -> String {
    let name = pipeline
        .files
        .get(stem)
        .map_or(stem.as_str(), String::as_str);
    format!("{FOLDER}/{name}.tar.zst")
}

/// The command that takes in what `job` reads.
pub fn import(request: &Request, pipeline: &Pipeline, job: &Job) -> Option<String> {
    if job.imports.is_empty() {
        return None;
    }
    let files: Vec<String> = job
        .imports
        .iter()
        .map(|stem| file(pipeline, stem))
        .collect();
    Some(format!(
        "{} artifact import {}",
        mikado(request),
        files.join(" ")
    ))
}

/// The commands that hand over what `job` made.
pub fn export(request: &Request, pipeline: &Pipeline, job: &Job) -> Vec<String> {
    let exports = job.exports.iter();
    exports
        .map(|stem| {
            let file = file(pipeline, stem);
            let stem = cards(std::slice::from_ref(stem));
            format!("{} artifact export -o {file} {stem}", mikado(request))
        })
        .collect()
}

/// The command that runs the job's cards. `only` is `--only`, or what the
/// system puts in its place; `more` are further options.
pub fn run(request: &Request, job: &Job, only: &str, more: &str) -> String {
    let yes = match (job.task, job.cards.first()) {
        (Task::Confirmed, Some(stem)) => format!(" --yes={}", shell_word(stem.as_str())),
        _ => String::new(),
    };
    let (program, cards) = (mikado(request), cards(&job.cards));
    format!("{program} run {only} --no-mark{yes}{more} {cards}")
}

/// The command that looks whether what is done still holds.
pub fn verify(request: &Request, more: &str) -> String {
    format!("{} verify --all{more}", mikado(request))
}

/// What a person reads where the pipeline waits for one.
pub fn by_hand(job: &Job) -> String {
    let stem = job.cards.first().map_or("", Stem::as_str);
    let steps = job.steps.iter().enumerate();
    let mut lines: Vec<String> = steps
        .map(|(n, step)| format!("{}. {step}", n + 1))
        .collect();
    lines.push(format!(
        "Afterwards, in the repository: mikado complete {stem}"
    ));
    lines.join("\n")
}

fn cards(stems: &[Stem]) -> String {
    let words: Vec<String> = stems.iter().map(|stem| shell_word(stem.as_str())).collect();
    match stems.iter().any(|stem| stem.as_str().starts_with('-')) {
        true => format!("-- {}", words.join(" ")),
        false => words.join(" "),
    }
}

/// Whole minutes for a job's work, with time to get ready.
pub fn minutes(job: &Job) -> Option<u64> {
    job.timeout
        .map(|timeout| timeout.as_secs().div_ceil(60) + 10)
}

/// What to say where jobs expect mikado to be there.
pub fn note_install(request: &Request, notes: &mut Vec<String>) {
    if request.config.install.is_none() && request.config.image.is_none() {
        notes.push(
            "the jobs expect `mikado` on PATH: say with `--install`, or `ci.install` in `mikado.yaml`, how they get it"
                .into(),
        );
    }
}

/// Says what a probe does where a system has no way to wait; `unit` is its word
/// for a job.
pub fn note_probes(pipeline: &Pipeline, unit: &str, notes: &mut Vec<String>) {
    if pipeline.jobs.iter().any(|job| job.task == Task::Probe) {
        notes.push(format!(
            "a probe that is not true yet fails its {unit}: nothing else holds back what comes after"
        ));
    }
}
