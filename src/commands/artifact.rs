//! `mikado artifact`.

use std::fs::File;
use std::io::{BufReader, BufWriter};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, Subcommand};

use crate::card::Stem;
use crate::cli::Context;
use crate::digest::Digest;
use crate::engine::{Engine, store_error};
use crate::error::{Error, Exit};
use crate::store::{ArchiveError, CardRun, StoreError};
use crate::workspace::Workspace;

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
    /// Copy a card's artifact to a new folder, as plain files; or, to a name that ends in
    /// `.tar.zst`, into one file with its record, for `import`
    Export {
        /// Which card
        #[arg(value_name = "CARD")]
        card: String,
        /// The folder or file to make
        #[arg(short, long, value_name = "PATH")]
        output: PathBuf,
        /// Replace the folder if there is something in it
        #[arg(long)]
        force: bool,
    },
    /// Take in files that `export` made elsewhere: their cards are up to date then
    ///
    /// Every part is compared with the digests of its record; a file in which
    /// one differs is refused. That an action makes an artifact is believed: take
    /// in what you would also run.
    Import {
        /// The files
        #[arg(value_name = "FILE", required = true)]
        files: Vec<PathBuf>,
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
    let workspace = Arc::new(selection.workspace_with_executor(&none, true)?);
    match &args.command {
        ArtifactCommand::Path { card } => {
            let (_, digest) = artifact(card, &selection, &workspace)?;
            let path = workspace.store.path_of_tree(&digest);
            super::say(&path.display().to_string())
        }
        ArtifactCommand::Export {
            card,
            output,
            force,
        } => {
            let (stem, digest) = artifact(card, &selection, &workspace)?;
            let output = context.here.join(output);
            if output.to_string_lossy().ends_with(ARCHIVE) {
                pack(&stem, &output, &workspace)?;
            } else {
                let exported = workspace.store.export(&digest, &output, *force);
                exported.map_err(|error| match error {
                    // What stands there is the user's, and no fault of the store.
                    StoreError::NotEmpty { .. } | StoreError::Precious { .. } => {
                        Error::usage(error.to_string(), error.help())
                    }
                    error => store_error(&error),
                })?;
            }
            let short = digest.short();
            super::say(&format!("{stem}: {short} copied to {}", output.display()))
        }
        ArtifactCommand::Import { files } => {
            if workspace.store.is_writable() {
                let registered = workspace.store.register(&workspace.local);
                registered.map_err(|e| store_error(&e))?;
            }
            for file in files {
                let file = context.here.join(file);
                unpack(&file, &selection, &workspace)?;
            }
            Ok(Exit::Done)
        }
    }
}

/// How the name of a file with an artifact ends.
const ARCHIVE: &str = ".tar.zst";

/// The card that is meant, and its last artifact.
fn artifact(
    name: &str,
    selection: &Selection,
    workspace: &Arc<Workspace>,
) -> Result<(Stem, Digest), Error> {
    let stem = selection.find(name)?;
    let missing = || {
        Error::usage(
            format!("the artifact of `{stem}` is not in the store"),
            format!("make it first: mikado run {stem}"),
        )
    };
    let history = workspace.local.history(stem.as_str());
    let digest = history.success().and_then(|run| run.artifact);
    let digest = digest.ok_or_else(missing)?;
    let tree = workspace.store.tree(&digest).map_err(|e| store_error(&e))?;
    // It may have been executed elsewhere, and not been needed until now.
    match tree.is_some() || Engine::brought(Arc::clone(workspace), digest)? {
        true => Ok((stem, digest)),
        false => Err(missing()),
    }
}

/// Writes the card's artifact with its record into one file.
fn pack(stem: &Stem, output: &Path, workspace: &Workspace) -> Result<(), Error> {
    let history = workspace.local.history(stem.as_str());
    let action = history.success().and_then(|run| run.action);
    let action =
        action.ok_or_else(|| Error::usage(format!("`{stem}` has no record of an action"), ""))?;
    let folder = output.parent().unwrap_or(output);
    std::fs::create_dir_all(folder).map_err(Error::disk("make the folder", folder))?;
    let made = tempfile::Builder::new()
        .prefix(".mikado-export-")
        .tempfile_in(folder)
        .map_err(Error::disk("make a file in", folder))?;
    let out = BufWriter::new(made.as_file());
    let packed = workspace.store.pack(stem.as_str(), &action, out);
    packed.map_err(|error| archive_error(&error, output))?;
    let mode = std::fs::Permissions::from_mode(0o644);
    let set = made.as_file().set_permissions(mode);
    set.map_err(Error::disk("set the mode of", output))?;
    let kept = made.persist(output);
    kept.map_err(|error| Error::disk("move a file to", output)(error.error))?;
    Ok(())
}

/// Takes in one file, and lets its card be what it was where it was made.
fn unpack(file: &Path, selection: &Selection, workspace: &Workspace) -> Result<(), Error> {
    let opened = File::open(file).map_err(Error::disk("read", file))?;
    let packed = workspace.store.unpack(BufReader::new(opened));
    let packed = packed.map_err(|error| archive_error(&error, file))?;
    let stem = Stem::new(&packed.card);
    if selection.deck.card(&stem).is_none() {
        return Err(Error::usage(
            format!(
                "`{}` holds the artifact of `{stem}`, and there is no such card",
                file.display()
            ),
            "take it in where the cards are those that it was made from",
        ));
    }
    let run = CardRun {
        stem: packed.card.clone(),
        action: Some(packed.action),
        artifact: Some(packed.artifact),
        started_ms: packed.provenance.started_ms,
        took_ms: packed.provenance.took_ms,
        hit: true,
        ..CardRun::default()
    };
    let local = &workspace.local;
    local.add(&run).map_err(|e| store_error(&e))?;
    let linked = local.link(&workspace.store, stem.as_str(), &packed.artifact);
    linked.map_err(|e| store_error(&e))?;
    super::say(&format!("{stem}: {} taken in", packed.artifact.short())).map(drop)
}

fn archive_error(error: &ArchiveError, file: &Path) -> Error {
    match error {
        ArchiveError::Store(error) => store_error(error),
        other => Error::Store {
            message: format!("`{}`: {other}", file.display()),
            help: "make it again with `mikado artifact export`".into(),
        },
    }
}
