//! `mikado init`.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;

use crate::cli::{Context, Format};
use crate::error::{Error, Exit};
use crate::project::CONFIG;

/// Set mikado up here
///
/// Writes a `mikado.yaml` of two lines, and a first card where there is none.
#[derive(Clone, Debug, Args)]
pub struct InitArgs {}

const CARD: &str = "---
title: Write down the goal
status: active
requires: []
---
# Write down the goal

Say here what will be true when it is reached, so that one can tell.

## Steps

1. Rename this card, and write the goal into it.
2. Try to reach it. What stands in the way becomes a card: `mikado new STEM --for PARENT`.
3. `mikado complete CARD` when it is done.
";

/// Carries `init` out.
///
/// # Errors
///
/// Where it is set up already, or the disk is in the way.
pub fn run(_: InitArgs, context: &Context) -> Result<Exit, Error> {
    let here = &context.here;
    let config = here.join(CONFIG);
    if config.exists() {
        let message = format!("`{}` is there already", config.display());
        return Err(Error::usage(message, "change it with an editor"));
    }
    let folders: Vec<PathBuf> = match context.global.cards.as_slice() {
        [] => vec!["cards".into()],
        given => given.to_vec(),
    };
    let mut first = None;
    for folder in &folders {
        let path = here.join(folder);
        std::fs::create_dir_all(&path).map_err(Error::disk("make", &path))?;
        if crate::card::discover::markdown_files(&path).is_ok_and(|walked| walked.files.is_empty())
        {
            first.get_or_insert(path.join("goal.md"));
        }
    }
    let names: Vec<String> = folders
        .iter()
        .map(|folder| folder.display().to_string())
        .collect();
    let cards = serde_json::to_string(&names).unwrap_or_default();
    write(
        &config,
        &format!("# Settings of mikado; all of them have defaults.\ncards: {cards}\n"),
    )?;
    let mut lines = vec![format!("{CONFIG}: cards in {}", names.join(", "))];
    if let Some(path) = first {
        write(&path, CARD)?;
        let shown = path.strip_prefix(here).unwrap_or(&path).display();
        lines.push(format!("{shown}: a first card"));
    }
    lines.push(
        "next: `mikado list` shows the cards, `mikado why CARD` what holds one up, `mikado next` what can be done now"
            .into(),
    );
    let text = lines.join("\n");
    writeln!(context.out(Format::Text), "{text}")
        .map_err(Error::disk("write to", "standard output"))?;
    Ok(Exit::Done)
}

fn write(path: &Path, text: &str) -> Result<(), Error> {
    let file = std::fs::File::options()
        .write(true)
        .create_new(true)
        .open(path);
    let mut file = file.map_err(Error::disk("write", path))?;
    file.write_all(text.as_bytes())
        .map_err(Error::disk("write", path))
}
