//! `mikado artifact`.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::cli::Context;
use crate::engine::store_error;
use crate::error::{Error, Exit};
use crate::store::StoreError;

use super::selection::{Selection, SelectionArgs};

/// Find or copy what a card made
#[derive(Clone, Debug, Args)]
pub struct ArtifactArgs {
    /// What to do
    #[command(subcommand)]
    pub command: ArtifactCommand,
}

/// What to do with an artifact.
#[derive(Clone, Debug, Subcommand)]
pub enum ArtifactCommand {
    /// Print the folder of a card's artifact, which is read-only
    Path {
        /// Which card
        #[arg(value_name = "CARD")]
        card: String,
    },
    /// Copy a card's artifact to a new folder, as plain files
    Export {
        /// Which card
        #[arg(value_name = "CARD")]
        card: String,
        /// The folder to make
        #[arg(short, long, value_name = "DIR")]
        output: PathBuf,
        /// Replace the folder if there is something in it
        #[arg(long)]
        force: bool,
    },
}

/// Carries `artifact` out.
///
/// # Errors
///
/// Where there is no such card or artifact, or the disk is in the way.
pub fn run(args: ArtifactArgs, context: &Context) -> Result<Exit, Error> {
    let none = SelectionArgs::default();
    let selection = Selection::read(&none, context)?;
    let workspace = selection.workspace(&none, context, true)?;
    let (ArtifactCommand::Path { card } | ArtifactCommand::Export { card, .. }) = &args.command;
    let stem = selection.find(card)?;
    let history = workspace.local.history(stem.as_str());
    let missing = || {
        Error::usage(
            format!("the artifact of `{stem}` is not in the store"),
            format!("make it first: mikado run {stem}"),
        )
    };
    let digest = history
        .success()
        .and_then(|run| run.artifact)
        .ok_or_else(missing)?;
    let tree = workspace.store.tree(&digest).map_err(|e| store_error(&e))?;
    let tree = tree.ok_or_else(missing)?;
    let line = match &args.command {
        ArtifactCommand::Path { .. } => tree.display().to_string(),
        ArtifactCommand::Export { output, force, .. } => {
            let output = context.here.join(output);
            let exported = workspace.store.export(&digest, &output, *force);
            exported.map_err(|error| match error {
                // What stands there is the user's, and no fault of the store.
                StoreError::NotEmpty { .. } | StoreError::Precious { .. } => {
                    Error::usage(error.to_string(), error.help())
                }
                error => store_error(&error),
            })?;
            format!("{stem}: {} copied to {}", digest.short(), output.display())
        }
    };
    writeln!(io::stdout(), "{line}").map_err(Error::disk("write to", "standard output"))?;
    Ok(Exit::Done)
}
