//! Broken inputs: the right card fails with the right words and stays open, its
//! dependents are blocked, and after the repair a run goes on from there.

use serde_json::Value;

use super::{ALL, BACKEND, CLIENT, FIXTURE, GOAL, NOTHING, SERVER, WEB};
use super::{append, begun, events, executed, is_open, warm};
use crate::support::sandbox::Sandbox;

/// Breaks something, runs the whole chain, and sees that `card` fails with all
/// of `words` and is all that failed; repairs it with git, and runs again.
pub(super) fn fails(card: &str, words: &[&str], break_it: impl FnOnce(&Sandbox)) {
    let sandbox = warm();
    break_it(&sandbox);
    fails_in(&sandbox, card, words, "");
    sandbox.git("checkout -q .");
    // What is in the store is enough: nothing of the failure was kept.
    assert_eq!(executed(&sandbox, GOAL), NOTHING);
    assert!(ALL.iter().all(|stem| !is_open(&sandbox, stem)));
}

/// Runs the whole chain, in which `card` fails with all of `words`.
pub(super) fn fails_in(sandbox: &Sandbox, card: &str, words: &[&str], options: &str) {
    let run = format!("run {GOAL} --keep-going {options}");
    let mut ran = sandbox.mikado(&run).exits(1);
    ran = ran.says(&format!("error: {card}: "));
    for word in words {
        ran = ran.says(word);
    }
    let blocked = dependents(card);
    for stem in &blocked {
        ran = ran.says(&format!("blocked: {stem} lacks `"));
    }
    ran = ran.says(&format!(
        "1 failed, {} not started, {} marked complete in",
        blocked.len(),
        ALL.len() - blocked.len() - 1
    ));
    drop(ran.says(&format!("log: .mikado/logs/{card}.log")));
    for stem in ALL {
        let is_held_up = stem == card || blocked.contains(&stem);
        assert_eq!(is_open(sandbox, stem), is_held_up, "{stem}");
    }
    let listed = sandbox.mikado("list --format json").exits(0).json();
    let state = |stem: &str| -> Value {
        let cards = listed["cards"].as_array().expect("cards");
        let card = cards.iter().find(|card| card["stem"] == stem);
        card.expect("the card")["state"].clone()
    };
    assert_eq!(state(card), "ready");
    for stem in blocked {
        assert_eq!(state(stem), "blocked", "{stem}");
    }
    // The log is there, and says the last of it.
    drop(
        sandbox
            .mikado(&format!("log {card}"))
            .exits(0)
            .says(words[0]),
    );
}

/// What requires `card`, transitively.
fn dependents(card: &str) -> Vec<&'static str> {
    match card {
        CLIENT => vec![SERVER, WEB, GOAL],
        BACKEND => vec![SERVER, GOAL],
        SERVER | WEB => vec![GOAL],
        _ => vec![],
    }
}

#[test]
fn syntax_error_in_the_schema() {
    let sandbox = warm();
    let path = format!("{FIXTURE}/schema.yml");
    let before = sandbox.read(&path);
    sandbox.edit(&path, "  title: authentik\n", "  title: [\n");
    fails_in(
        &sandbox,
        CLIENT,
        &["client could not be generated from `schema.yml:3:10`"],
        "",
    );
    // Repaired, and not as it was before: the run goes on from the failed card.
    sandbox.write(&path, &format!("{before}# repaired\n"));
    let ran = sandbox
        .mikado(&format!("run {GOAL} --format json"))
        .exits(0);
    assert_eq!(begun(&ran), [CLIENT]);
    let marked = events(&ran, "cardMarked");
    let marked: Vec<&str> = marked.iter().filter_map(|e| e["card"].as_str()).collect();
    assert!(
        !marked.contains(&BACKEND) && marked.len() == 4,
        "{marked:?}"
    );
}

#[test]
fn pattern_that_is_absent() {
    fails(
        SERVER,
        &["internal/gounicorn/gounicorn.go: `./lifecycle` was expected once and found 0 times"],
        |sandbox| {
            sandbox.edit(
                &format!("{FIXTURE}/internal/gounicorn/gounicorn.go"),
                "./lifecycle",
                "./life",
            );
        },
    );
}

#[test]
fn pattern_that_is_there_once_too_often() {
    fails(
        SERVER,
        &["internal/web/static.go: `./web` was expected 2 times and found 3 times"],
        |sandbox| {
            let path = format!("{FIXTURE}/internal/web/static.go");
            append(sandbox, &path, "// ./web");
        },
    );
    fails(
        BACKEND,
        &[
            "authentik/lib/default.yml: `blueprints_dir: /blueprints` was expected once and found 2 times",
        ],
        |sandbox| {
            let path = format!("{FIXTURE}/authentik/lib/default.yml");
            append(sandbox, &path, "# blueprints_dir: /blueprints");
        },
    );
}

#[test]
fn checksum_that_is_not_the_one_of_go_sum() {
    fails(SERVER, &["checksum mismatch", "spf13/pflag"], |sandbox| {
        let path = format!("{FIXTURE}/go.sum");
        let text = sandbox.read(&path);
        let line = text
            .lines()
            .find(|line| line.starts_with("github.com/spf13/pflag") && !line.contains("/go.mod"))
            .expect("a line for pflag");
        let hash = line.rsplit("h1:").next().expect("a hash");
        let other: String = hash.chars().rev().skip(1).chain("=".chars()).collect();
        sandbox.edit(&path, line, &line.replace(hash, &other));
    });
}

#[test]
fn vendor_hash_that_is_wrong() {
    let right = "sha256-rFyD2xPNRrA8p7rtzm5qTaX+43m60TK3KYHADxMvRBU=";
    let wrong = "sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    let sandbox = warm();
    let card = format!("cards/{SERVER}.md");
    sandbox.edit(&card, right, wrong);
    sandbox
        .mikado(&format!("run {GOAL}"))
        .exits(1)
        .says(&format!("error: {SERVER}: fetch vendor: "))
        .says(&format!("wanted: {wrong}\n  got:    {right}\n"))
        .says("write the new hash into the card")
        .says(&format!("blocked: {GOAL} lacks `{SERVER}`"));
    assert!(is_open(&sandbox, SERVER) && is_open(&sandbox, GOAL));
    sandbox.edit(&card, wrong, right);
    assert_eq!(executed(&sandbox, GOAL), NOTHING);
}

#[test]
fn wheel_that_does_not_build() {
    let path = format!("{FIXTURE}/packages/ak-guardian/pyproject.toml");
    fails(
        BACKEND,
        &["packages/ak-guardian: the wheel does not build"],
        |sandbox| sandbox.edit(&path, "README.md", "NO-README.md"),
    );
    // hatchling finds nothing wrong with this one.
    fails(
        BACKEND,
        &["ak_guardian-3.2.0-py3-none-any.whl: the wheel is empty"],
        |sandbox| sandbox.edit(&path, "[\"guardian\"]", "[\"gone\"]"),
    );
}

#[test]
fn wheel_whose_hash_is_not_the_locks() {
    let zeros = "0".repeat(64);
    fails(
        BACKEND,
        &[
            "DO NOT MATCH THE HASHES",
            &format!("Expected sha256 {zeros}"),
            "django==5.2.12: listed in requirements.lock, asked for by pyproject.toml",
        ],
        |sandbox| {
            let path = format!("{FIXTURE}/requirements.lock");
            let text = sandbox.read(&path);
            let (before, rest) = text.split_once("django==").expect("Django");
            let (entry, after) = rest.split_once("# via").expect("who asks for it");
            let hashes = entry.split("sha256:").skip(1);
            let wrong = hashes.fold(entry.to_owned(), |wrong, hash| {
                wrong.replace(&hash[..zeros.len()], &zeros)
            });
            sandbox.write(&path, &format!("{before}django=={wrong}# via{after}"));
        },
    );
}

#[test]
fn python_that_is_not_the_one_that_is_needed() {
    fails(
        BACKEND,
        &[
            "Python 3.99 needed, 3.",
            "--with python=3.99 --with import-check=none",
        ],
        |sandbox| {
            let path = format!("{FIXTURE}/pyproject.toml");
            sandbox.edit(&path, "\">=3.11,<3.15\"", "\"==3.99.*\"");
        },
    );
}
