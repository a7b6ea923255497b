//! Pipelines: what is written, what it keeps to, and that it runs.

mod affected;
pub mod executed;
mod golden;
mod handover;
mod hard;
mod here;
mod reports;
pub mod tools;

use serde_yaml::Value;

/// The file as YAML.
fn yaml(text: &str) -> Value {
    serde_yaml::from_str(text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// A pipeline's systems with where each looks for its file.
const SYSTEMS: [(&str, &str); 5] = [
    ("github", ".github/workflows/mikado.yml"),
    ("forgejo", ".forgejo/workflows/mikado.yml"),
    ("gitlab", ".gitlab-ci.yml"),
    ("woodpecker", ".woodpecker/mikado.yaml"),
    ("buildkite", ".buildkite/pipeline.yml"),
];
