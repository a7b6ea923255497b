//! The README is true: its example runs, its commands and exit codes exist.

use mikado::error::Exit;

use crate::support::sandbox::Sandbox;

const README: &str = include_str!("../../README.md");

/// The code block that begins with `start`, without its fences.
fn block(start: &str) -> &'static str {
    let at = README
        .find(start)
        .unwrap_or_else(|| panic!("no {start:?} in the README"));
    let end = README[at..].find("\n```").expect("an end of the block");
    &README[at..=at + end]
}

#[test]
fn the_runner_of_the_readme_runs() {
    let card = block("---\ntitle: Report on the notes");
    Sandbox::new()
        .file("runners/report.yaml", block("# runners/report.yaml"))
        .file("cards/report.md", card)
        .file("one.txt", "some words\n")
        .file("two.txt", "a few more words\n")
        .mikado("run report")
        .exits(0)
        .says("report: has a title\n# Words\n");
}

#[test]
fn the_live_card_of_the_readme_is_live() {
    let outer = README
        .split("````")
        .nth(1)
        .expect("a block with a block in it");
    let card = outer.strip_prefix("markdown\n").expect("Markdown");
    Sandbox::new()
        .file("cards/mirror.md", card)
        .mikado("run mirror")
        .exits(0)
        .says("Holds mirror");
}

#[test]
fn every_command_of_the_readme_exists() {
    let table = README.split("## Commands").nth(1).expect("commands");
    let table = table.split("Commands that answer").next().expect("a table");
    let mut found = 0;
    for cell in table.split('`').skip(1).step_by(2) {
        let words: Vec<&str> = cell
            .split_whitespace()
            .filter(|word| *word != "mikado")
            .collect();
        let Some(command) = words
            .first()
            .filter(|word| word.chars().all(|c| c.is_ascii_lowercase()))
        else {
            continue;
        };
        // `gc` and `verify` of the store stand after it.
        let command = if *command == "gc" {
            "store gc"
        } else {
            command
        };
        Sandbox::new().mikado(&format!("{command} --help")).exits(0);
        found += 1;
    }
    assert!(found > 20, "{found}");
}

#[test]
fn the_settings_of_the_readme_are_read() {
    Sandbox::new()
        .file("mikado.yaml", block("cards: [cards]"))
        .card("a", "status: active")
        .mikado("list")
        .exits(0)
        .says("ready");
}

#[test]
fn exit_codes_are_those_of_the_readme() {
    let table = README
        .split("| exit code | meaning |")
        .nth(1)
        .expect("exit codes");
    let codes: Vec<u8> = table
        .lines()
        .take_while(|line| line.is_empty() || line.starts_with('|'))
        .flat_map(|line| {
            let first = line.split('|').nth(1).unwrap_or_default().to_owned();
            first
                .split(',')
                .filter_map(|code| code.trim().parse().ok())
                .collect::<Vec<u8>>()
        })
        .collect();
    let all = [
        Exit::Done,
        Exit::Failed,
        Exit::Usage,
        Exit::Findings,
        Exit::Disk,
        Exit::Waits,
        Exit::Bug,
        Exit::Hangup,
        Exit::Interrupted,
        Exit::Terminated,
    ];
    assert_eq!(codes, all.map(|exit| exit as u8));
}
