//! A chain of 120 cards, one with everything in its title, one with 60
//! prerequisites: still valid, and the same graph.

use std::collections::{BTreeMap, BTreeSet};

use serde_yaml::Value;

use crate::support::sandbox::Sandbox;

use super::{SYSTEMS, tools, yaml};

const TITLE: &str =
    r##"title: "a 'b' \"c\": ${{ secrets.X }} $(id) `id` #d 😀\n- e: |\n  f${HOME}""##;

/// 120 cards: 59 leaves, an odd one, one that requires all of those, and a tail.
fn chain() -> Sandbox {
    let runner = "runner: {inputs: [], steps: [{run: 'true'}]}";
    let mut sandbox = Sandbox::new();
    let mut leaves: Vec<String> = (0..59).map(|n| format!("leaf-{n}")).collect();
    for leaf in &leaves {
        sandbox = sandbox.card(leaf, &format!("title: Leaf\nstatus: active\n{runner}"));
    }
    let odd = "7 odd 'stem' ${{ x }}";
    sandbox = sandbox.card(odd, &format!("{TITLE}\nstatus: active\n{runner}"));
    leaves.push(odd.to_owned());
    let all: String = leaves
        .iter()
        .map(|leaf| format!("\n  - \"{leaf}\""))
        .collect();
    sandbox = sandbox.card("wide", &format!("status: active\nrequires:{all}\n{runner}"));
    let mut before = "wide".to_owned();
    for n in 0..59 {
        let stem = format!("tail-{n}");
        // Each also requires the wide one, which the way to it implies.
        let front = format!("status: active\nrequires: [{before}, wide]\n{runner}");
        sandbox = sandbox.card(&stem, &front);
        before = stem;
    }
    sandbox.committed()
}

#[test]
fn hard_chain_is_valid_for_each_systems_own_checker() {
    let sandbox = chain();
    for (system, path) in SYSTEMS {
        let ran = sandbox.mikado(&format!("ci {system} --write")).exits(0);
        if system == "gitlab" {
            ran.says("`wide` needs more than 50 jobs");
        }
        let file = sandbox.path(path);
        match system {
            "github" | "forgejo" => {
                tools::fits_schema("vendor.github-workflows", &file);
                tools::lints(&file);
            }
            "gitlab" => {
                tools::fits_schema("vendor.gitlab-ci", &file);
                let [node, local] = tools::gitlab();
                let mut list = sandbox.command(node.display().to_string());
                list.arg(local).arg("--list");
                sandbox
                    .run(list, "gitlab-ci-local --list")
                    .exits(0)
                    .says("tail-58");
            }
            "woodpecker" => tools::fits_schema("vendor.woodpecker-ci", &file),
            _ => tools::fits_schema("vendor.buildkite", &file),
        }
    }
}

#[test]
fn title_of_any_text_stays_that_text() {
    let sandbox = chain();
    let title = "a 'b' \"c\": ${{ secrets.X }} $(id) `id` #d 😀 - e: | f${HOME}";
    let read = |system: &str| yaml(&sandbox.mikado(&format!("ci {system}")).exits(0).stdout());
    let names = |value: &Value, key: &str| -> Vec<String> {
        let items = value.as_sequence().expect("a list").iter();
        items
            .filter_map(|item| Some(item[key].as_str()?.to_owned()))
            .collect()
    };
    let github = read("github");
    let jobs = github["jobs"].as_mapping().expect("jobs");
    let named = |name: &str| jobs.values().any(|job| job["name"].as_str() == Some(name));
    assert!(named(&title.replace("${{", "${{ '${{' }}")), "{jobs:?}");
    assert!(read("gitlab").get(title).is_some());
    let woodpecker = names(&read("woodpecker")["steps"], "name");
    assert!(
        woodpecker.contains(&title.replace("${", "$${")),
        "{woodpecker:?}"
    );
    let buildkite = names(&read("buildkite")["steps"], "label");
    assert!(
        buildkite.contains(&title.replace('$', "$$")),
        "{buildkite:?}"
    );
}

/// The edges of a pipeline, by the names that it uses.
fn edges(system: &str, document: &Value) -> BTreeSet<(String, String)> {
    let texts = |value: &Value| -> Vec<String> {
        let items = value.as_sequence().into_iter().flatten();
        let text = |item: &Value| Some(item.as_str().or(item["job"].as_str())?.to_owned());
        items.filter_map(text).collect()
    };
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    match system {
        "github" | "forgejo" => {
            for (id, job) in document["jobs"].as_mapping().expect("jobs") {
                found.insert(id.as_str().expect("an id").into(), texts(&job["needs"]));
            }
        }
        "gitlab" => {
            for (name, job) in document.as_mapping().expect("a mapping") {
                if job.get("script").is_some() {
                    found.insert(name.as_str().expect("a name").into(), texts(&job["needs"]));
                }
            }
        }
        _ => {
            let key = if system == "woodpecker" {
                "name"
            } else {
                "key"
            };
            for step in document["steps"].as_sequence().expect("steps") {
                let name = step[key].as_str().expect("a name").to_owned();
                found.insert(name, texts(&step["depends_on"]));
            }
        }
    }
    let pairs = found
        .iter()
        .flat_map(|(name, needs)| needs.iter().map(|need| (need.clone(), name.clone())));
    pairs.collect()
}

#[test]
fn written_graph_is_the_reduction_of_the_chain() {
    let sandbox = chain();
    for (system, _) in SYSTEMS {
        if system == "gitlab" {
            // It needs the jobs whose files it reads, and waits for a stage.
            continue;
        }
        let document = yaml(&sandbox.mikado(&format!("ci {system}")).exits(0).stdout());
        let edges = edges(system, &document);
        // 60 to the wide one, one to each of the tail.
        assert_eq!(edges.len(), 60 + 59, "{system}");
        assert!(
            edges.contains(&("tail-0".to_owned(), "tail-1".to_owned())),
            "{system}"
        );
        assert!(
            !edges.contains(&("wide".to_owned(), "tail-1".to_owned())),
            "{system}"
        );
    }
}
