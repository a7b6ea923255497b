//! `mikado man`.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::{Args, CommandFactory};

use crate::cli::{Cli, Context};
use crate::error::{Error, Exit};

use super::help::with_examples;

/// Print the manual page, or write all pages to a folder
#[derive(Clone, Debug, Args)]
pub struct ManArgs {
    /// Write one page for each command to DIR
    #[arg(short, long, value_name = "DIR")]
    pub output: Option<PathBuf>,
}

/// Carries `man` out.
///
/// # Errors
///
/// Where the pages can't be written.
pub fn run(args: ManArgs, context: &Context) -> Result<Exit, Error> {
    let command = with_examples(Cli::command());
    if let Some(folder) = args.output {
        let folder = context.here.join(folder);
        std::fs::create_dir_all(&folder).map_err(Error::disk("make", &folder))?;
        clap_mangen::generate_to(command, &folder).map_err(Error::disk("write in", &folder))?;
        return Ok(Exit::Done);
    }
    let mut page = Vec::new();
    let rendered = clap_mangen::Man::new(command).render(&mut page);
    rendered
        .and_then(|()| io::stdout().write_all(&page))
        .map_err(Error::disk("write to", "standard output"))?;
    Ok(Exit::Done)
}
