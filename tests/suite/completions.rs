//! Completion of cards in shells, through the scripts that `mikado` prints.

use std::path::Path;

use crate::support::sandbox::{MIKADO, Ran, Sandbox};

fn plan() -> Sandbox {
    Sandbox::new()
        .card(
            "wall",
            "title: Build the wall\nstatus: active\nrequires: [wallpaper]",
        )
        .card("wallpaper", "title: 'Paper: 3 rolls'\nstatus: complete")
        .card("window", "status: active\nrunner: glass")
        .file("cards/about.md", "# About\n")
        .runner("glass", "with: { width: 3, weight: '' }\nsteps: ['true']")
        .file("runners/sources.yaml", "upstream: { path: u }\n")
}

/// A command with the program under test as `mikado` on its PATH.
fn with_mikado(sandbox: &Sandbox, program: &str) -> std::process::Command {
    let mut command = sandbox.command(program);
    let folder = Path::new(MIKADO).parent().expect("a folder");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::iter::once(folder.to_owned()).chain(std::env::split_paths(&path));
    command.env("PATH", std::env::join_paths(folders).expect("a PATH"));
    command
}

/// What bash offers for the last of some words.
fn bash(sandbox: &Sandbox, words: &[&str]) -> Vec<String> {
    let script = r#"
source <(mikado completions bash)
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMP_TYPE=9
_clap_complete_mikado mikado "${!#}" "${COMP_WORDS[COMP_CWORD-1]}"
printf '%s\n' "${COMPREPLY[@]}"
"#;
    let mut bash = with_mikado(sandbox, "bash");
    bash.args(["-c", script, "bash", "mikado"]).args(words);
    lines(&sandbox.run(bash, "bash").exits(0))
}

/// What another shell's script is told.
fn asked(sandbox: &Sandbox, shell: &str, words: &[&str]) -> Vec<String> {
    let mut mikado = sandbox.command(MIKADO);
    mikado
        .env("MIKADO_COMPLETE", shell)
        .env("_CLAP_IFS", "\n")
        .env("_CLAP_COMPLETE_INDEX", words.len().to_string())
        .args(["--", "mikado"])
        .args(words);
    lines(&sandbox.run(mikado, shell).exits(0))
}

fn lines(ran: &Ran) -> Vec<String> {
    assert_eq!(ran.stderr(), "");
    let lines = ran.stdout();
    let lines = lines.lines().filter(|line| !line.is_empty());
    lines.map(str::to_owned).collect()
}

#[test]
fn bash_completes_the_cards_that_fit_the_command() {
    let sandbox = plan();
    assert_eq!(bash(&sandbox, &["show", "wa"]), ["wall", "wallpaper"]);
    assert_eq!(bash(&sandbox, &["run", "wall", "win"]), ["window"]);
    assert_eq!(bash(&sandbox, &["complete", "w"]), ["wall", "window"]);
    assert_eq!(bash(&sandbox, &["reopen", "w"]), ["wallpaper"]);
    assert_eq!(bash(&sandbox, &["verify", "w"]), ["wallpaper"]);
    assert_eq!(bash(&sandbox, &["require", "wall", "ab"]), ["about"]);
    assert_eq!(bash(&sandbox, &["new", "x", "--for", "win"]), ["window"]);
    assert_eq!(bash(&sandbox, &["artifact", "path", "win"]), ["window"]);
    assert_eq!(bash(&sandbox, &["list", "--goal", "win"]), ["window"]);
    assert_eq!(bash(&sandbox, &["run", "--with", "we"]), ["weight="]);
    assert_eq!(bash(&sandbox, &["plan", "--source", ""]), ["upstream="]);
    assert_eq!(bash(&sandbox, &["verif"]), ["verify"]);
}

#[test]
fn cards_of_another_folder_are_completed_there() {
    let sandbox = plan().file("docs/other.md", "---\nstatus: active\n---\n");
    let root = sandbox.root().display().to_string();
    let elsewhere = Sandbox::new();
    assert_eq!(bash(&elsewhere, &["-C", &root, "show", "win"]), ["window"]);
    assert_eq!(bash(&elsewhere, &["show", "-C", &root, "win"]), ["window"]);
    for cards in [&["--cards", "docs"][..], &["--cards=docs"]] {
        let words = [&["-C", &root], cards, &["show", ""]].concat();
        let offered = bash(&elsewhere, &words);
        assert!(offered.contains(&"other".to_owned()), "{offered:?}");
        assert!(!offered.contains(&"window".to_owned()), "{offered:?}");
    }
}

#[test]
fn completion_says_nothing_of_faults() {
    // No project, and one with a card, a runner and settings that can't be read.
    assert_eq!(bash(&Sandbox::new(), &["show", "w"]), [""; 0]);
    let sandbox = plan()
        .file("cards/broken.md", "---\nstatus: [\n---\n")
        .runner("broken", "steps: {")
        .file("runners/sources.yaml", "- no\n");
    assert_eq!(bash(&sandbox, &["show", "win"]), ["window"]);
    assert_eq!(
        bash(&sandbox, &["run", "--with", "w"]),
        ["weight=", "width="]
    );
    assert_eq!(bash(&sandbox, &["run", "--source", ""]), [""; 0]);
    assert_eq!(bash(&sandbox, &["-C", "nowhere", "show", "w"]), [""; 0]);
    sandbox.write("mikado.yaml", "cards: {\n");
    assert_eq!(bash(&sandbox, &["show", "w"]), [""; 0]);
    assert_eq!(asked(&sandbox, "no-shell", &["show", "w"]), [""; 0]);
}

#[test]
fn zsh_and_fish_get_titles_too() {
    let sandbox = plan();
    assert_eq!(
        asked(&sandbox, "zsh", &["show", "wa"]),
        ["wall:Build the wall", "wallpaper:Paper: 3 rolls"]
    );
    assert_eq!(
        asked(&sandbox, "fish", &["show", "wa"]),
        ["wall\tBuild the wall", "wallpaper\tPaper: 3 rolls"]
    );
    for (shell, word) in [("zsh", "#compdef mikado"), ("fish", "complete ")] {
        let script = sandbox.mikado(&format!("completions {shell}")).exits(0);
        let script = script.says(word).stdout();
        assert!(script.contains("MIKADO_COMPLETE"), "{script}");
    }
}

#[test]
fn codes_and_what_a_card_requires_are_completed() {
    let sandbox = plan();
    assert_eq!(
        bash(&sandbox, &["explain", "unknown-p"]),
        ["unknown-prerequisite"]
    );
    assert_eq!(bash(&sandbox, &["unrequire", "wall", "w"]), ["wallpaper"]);
    assert_eq!(bash(&sandbox, &["unrequire", "wa"]), ["wall", "wallpaper"]);
}
