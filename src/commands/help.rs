//! Help: the commands in groups, and examples of each.
//!
//! What a command and its options are is said at its arguments; here is only
//! what stands around that. The tests hold both lists to the commands that
//! there are, and each example to the command line.

use clap::{Command, CommandFactory};

use crate::cli::Cli;

/// The commands by what they are for, in the order in which they are met.
const GROUPS: [(&str, &[&str]); 5] = [
    (
        "See the plan",
        &[
            "list", "ready", "blocked", "next", "show", "why", "graph", "check", "explain",
        ],
    ),
    (
        "Change the plan",
        &["new", "require", "unrequire", "complete", "reopen"],
    ),
    (
        "Run it",
        &["run", "plan", "verify", "log", "shell", "audit", "artifact"],
    ),
    ("Run it in CI", &["ci", "affected"]),
    (
        "Set up and look after",
        &[
            "init",
            "runner",
            "lock",
            "cache",
            "store",
            "doctor",
            "schema",
            "completions",
            "man",
        ],
    ),
];

/// One or two examples of each command: what to type, and what it is good for.
const EXAMPLES: [(&str, &[(&str, &str)]); 32] = [
    (
        "run",
        &[
            ("mikado run", "the only goal, with all that it requires"),
            (
                "mikado run server --with port=8080",
                "with another parameter",
            ),
        ],
    ),
    (
        "list",
        &[
            ("mikado list --goal server", "what is open in one chain"),
            (
                "mikado list --all --format json",
                "everything, for a program",
            ),
        ],
    ),
    ("ready", &[("mikado ready", "what can be worked on now")]),
    (
        "blocked",
        &[
            ("mikado blocked", "all that holds the plan up"),
            ("mikado blocked server", "what holds one card up"),
        ],
    ),
    (
        "next",
        &[
            ("mikado next", "one card, and why this one"),
            (
                "mikado next --format json",
                "all that an agent needs to start",
            ),
        ],
    ),
    (
        "show",
        &[
            ("mikado show server --render", "laid out for a terminal"),
            ("mikado show server --chain", "its chain in order"),
        ],
    ),
    (
        "why",
        &[("mikado why server", "why it is blocked, fresh or stale")],
    ),
    (
        "graph",
        &[
            ("mikado graph --open", "what is left to do, in layers"),
            (
                "mikado graph --format svg",
                "a picture, to be written to a file",
            ),
        ],
    ),
    (
        "complete",
        &[
            ("mikado complete bricks", "what was done by hand"),
            (
                "mikado complete bricks --force --reason delivered",
                "though it never passed",
            ),
        ],
    ),
    (
        "reopen",
        &[("mikado reopen bricks", "it is not done after all")],
    ),
    (
        "new",
        &[(
            "mikado new mortar --for wall",
            "a card that `wall` requires from now on",
        )],
    ),
    (
        "require",
        &[("mikado require wall bricks", "`wall` needs `bricks` first")],
    ),
    (
        "unrequire",
        &[("mikado unrequire wall bricks", "`wall` no longer does")],
    ),
    (
        "runner",
        &[(
            "mikado runner new build --for server",
            "a runner to begin with, used by `server`",
        )],
    ),
    (
        "verify",
        &[("mikado verify --all", "is what is done still true?")],
    ),
    (
        "init",
        &[
            ("mikado init", "cards in `cards/`"),
            ("mikado init --cards docs", "the cards that are in `docs/`"),
        ],
    ),
    (
        "explain",
        &[("mikado explain cycle", "what it means, and the mend")],
    ),
    (
        "schema",
        &[("mikado schema runner", "for an editor that checks YAML")],
    ),
    (
        "man",
        &[("mikado man --output man1", "a page for each command")],
    ),
    (
        "completions",
        &[("mikado completions bash", "to be sourced by the shell")],
    ),
    (
        "check",
        &[
            ("mikado check", "every fault, with its line"),
            ("mikado check --format github", "as annotations in CI"),
        ],
    ),
    (
        "plan",
        &[("mikado plan server", "what `run server` would do, and why")],
    ),
    (
        "log",
        &[("mikado log server", "what its last execution printed")],
    ),
    (
        "shell",
        &[("mikado shell server", "look around where it failed")],
    ),
    (
        "ci",
        &[
            ("mikado ci github --write", "a job for each card"),
            ("mikado ci gitlab --check", "whether the file is today's"),
        ],
    ),
    (
        "affected",
        &[(
            "mikado affected --since main",
            "what this branch changes, and why",
        )],
    ),
    (
        "audit",
        &[("mikado audit server", "what it reads and does not declare")],
    ),
    (
        "artifact",
        &[
            ("mikado artifact path server", "where it lies"),
            (
                "mikado artifact export server --output out",
                "a copy that may be changed",
            ),
        ],
    ),
    ("lock", &[("mikado lock", "pin the tools of all runners")]),
    (
        "doctor",
        &[("mikado doctor", "what works here, and what does not")],
    ),
    (
        "cache",
        &[(
            "mikado cache verify --sample 20",
            "is what it has what is made here?",
        )],
    ),
    (
        "store",
        &[
            ("mikado store stats", "what it holds"),
            ("mikado store gc --max-size 5GiB", "make it smaller"),
        ],
    ),
];

/// What stands at the end of the help of all.
const FIRST_STEPS: &str = "\
First steps: `mikado init`, `mikado list`, `mikado next`, `mikado run`.
`mikado COMMAND --help` has the options of a command, and examples.";

/// The command line with its help.
pub(crate) fn command() -> Command {
    let command = with_examples(Cli::command());
    let help = grouped(command.clone());
    command.override_help(help)
}

/// The command line with examples of each command.
pub(crate) fn with_examples(command: Command) -> Command {
    EXAMPLES.iter().fold(command, |command, (name, examples)| {
        let known = command.find_subcommand(name).is_some();
        match known {
            true => command.mut_subcommand(name, |own| own.after_help(text(examples))),
            false => command,
        }
    })
}

fn text(examples: &[(&str, &str)]) -> String {
    let width = examples.iter().map(|(line, _)| line.len()).max();
    let width = width.unwrap_or(0);
    let lines: Vec<String> = examples
        .iter()
        .map(|(line, what)| format!("  {line:<width$}  {what}"))
        .collect();
    format!("Examples:\n{}", lines.join("\n"))
}

/// The help of all commands, in groups: clap has groups for options alone.
fn grouped(command: Command) -> clap::builder::StyledStr {
    let heading = command.get_styles().get_header();
    let literal = command.get_styles().get_literal();
    let subcommands = || command.get_subcommands().filter(|own| !own.is_hide_set());
    let width = subcommands().map(|own| own.get_name().len()).max();
    let width = width.unwrap_or(0);
    let mut groups = String::new();
    for (title, names) in GROUPS {
        groups.push_str(&format!("{heading}{title}:{heading:#}\n"));
        for own in names
            .iter()
            .filter_map(|name| command.find_subcommand(name))
        {
            let about = own.get_about().map(ToString::to_string).unwrap_or_default();
            let name = own.get_name();
            groups.push_str(&format!("  {literal}{name:<width$}{literal:#}  {about}\n"));
        }
        groups.push('\n');
    }
    let names: Vec<String> = subcommands().map(|own| own.get_name().to_owned()).collect();
    let hidden = names.iter().fold(command.clone(), |command, name| {
        command.mut_subcommand(name, |own| own.hide(true))
    });
    let template = format!(
        "{{about-with-newline}}Without a command, it lists the open cards.\n\n\
         {{usage-heading}} {{usage}}\n\n{groups}{{all-args}}\n\n{FIRST_STEPS}\n"
    );
    let usage = "mikado [OPTIONS] [COMMAND]";
    let help = hidden.help_template(template).override_usage(usage);
    // It is the same with `-h` and with `--help`.
    let help = help.clone().render_help().ansi().to_string();
    help.replace(" (see more with '--help')", "").into()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn names() -> BTreeSet<String> {
        let command = Cli::command();
        let all = command.get_subcommands().filter(|own| !own.is_hide_set());
        all.map(|own| own.get_name().to_owned()).collect()
    }

    #[test]
    fn every_command_is_in_a_group_and_has_an_example() {
        let grouped = GROUPS.iter().flat_map(|(_, names)| names.iter());
        let grouped: Vec<String> = grouped.map(|name| (*name).to_owned()).collect();
        assert_eq!(grouped.iter().cloned().collect::<BTreeSet<_>>(), names());
        assert_eq!(grouped.len(), names().len());
        let examples = EXAMPLES.iter().map(|(name, _)| (*name).to_owned());
        assert_eq!(examples.collect::<BTreeSet<_>>(), names());
    }

    #[test]
    fn every_example_is_a_command_line_of_its_command() {
        for (name, examples) in EXAMPLES {
            for (line, _) in examples {
                let words: Vec<&str> = line.split(' ').collect();
                assert_eq!(words[1], name);
                let read = Cli::command().try_get_matches_from(words);
                assert!(read.is_ok(), "{line}: {read:?}");
            }
        }
    }

    #[test]
    fn help_fits_eighty_columns() {
        let mut command = command();
        let own = command.render_help().to_string();
        assert!(own.contains("Change the plan:\n  new "), "{own}");
        let of_commands = command.get_subcommands_mut().map(|own| own.render_help());
        for help in of_commands.map(|help| help.to_string()).chain([own]) {
            let after = help.split("Examples:").last().unwrap_or_default();
            assert!(after.lines().all(|line| line.len() <= 80), "{help}");
        }
    }
}
