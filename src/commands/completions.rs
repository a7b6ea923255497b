//! `mikado completions`.

use std::io;

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use crate::cli::{Cli, Context};
use crate::error::{Error, Exit};

/// Print a script that completes commands in a shell
#[derive(Clone, Debug, Args)]
pub struct CompletionsArgs {
    /// Which shell
    #[arg(value_enum, value_name = "SHELL")]
    pub shell: Shell,
}

/// Carries `completions` out.
///
/// # Errors
///
/// Where the output can't be written.
pub fn run(args: CompletionsArgs, _: &Context) -> Result<Exit, Error> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "mikado", &mut script);
    io::Write::write_all(&mut io::stdout(), &script)
        .map_err(Error::disk("write to", "standard output"))?;
    Ok(Exit::Done)
}
