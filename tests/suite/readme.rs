//! The README is true: its example runs, its commands and exit codes exist.

use mikado::error::Exit;

use crate::support::sandbox::{MIKADO, Sandbox, redact_durations};

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

/// The folder of notes with which the first ten minutes begin.
fn notes() -> Sandbox {
    let sandbox = Sandbox::new()
        .file("notes.md", "- faster\n- smaller\n")
        .file(
            "docs/release.md",
            "---\ntitle: Release 1.0\nstatus: active\nrequires: [changelog, announcement]\n---\nEverybody can install it.\n",
        )
        .file(
            "docs/changelog.md",
            "---\ntitle: Write the changelog\nstatus: active\n---\nIt lists what `notes.md` says is new.\n",
        )
        .file(
            "docs/announcement.md",
            "---\ntitle: Announce it\nstatus: active\nrequires: [changelog]\n---\n## Steps\n\n1. Write to the list, with the text of `CHANGES.md`.\n",
        );
    sandbox.git("init -q");
    sandbox
}

#[test]
fn the_first_ten_minutes_of_the_readme_are_as_they_are_printed() {
    let sandbox = notes();
    let block = block("$ head -5 docs/release.md");
    let mut lines = block.lines().peekable();
    let mut ran = String::new();
    let mut commands = 0;
    while let Some(line) = lines.next() {
        let Some(command) = line.strip_prefix("$ ") else {
            // What was printed; it is compared with what is printed now.
            continue;
        };
        let mut command = format!("{command}\n");
        ran.push_str(&format!("$ {command}"));
        if command.contains("<< END") {
            for line in lines.by_ref() {
                command.push_str(&format!("{line}\n"));
                ran.push_str(&format!("{line}\n"));
                if line == "END" {
                    break;
                }
            }
        }
        let mut bash = sandbox.command("bash");
        let program = std::path::Path::new(MIKADO).parent().expect("a folder");
        let path = format!(
            "{}:{}",
            program.display(),
            std::env::var("PATH").unwrap_or_default()
        );
        bash.env("PATH", path)
            .args(["-c", &format!("exec 2>&1\n{command}")]);
        let output = sandbox.run(bash, &command).stdout();
        ran.push_str(&output.replace("[ROOT]", "/home/me/project"));
        commands += 1;
    }
    assert!(commands > 9, "{commands}");
    snapbox::assert_data_eq!(ran, redact_durations(block).as_str());
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
