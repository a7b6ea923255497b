//! `mikado log`.

use std::fs::File;
use std::io;

use clap::Args;

use crate::cli::Context;
use crate::error::{Error, Exit};

use super::selection::{Selection, SelectionArgs};

/// Print the output of a card's last execution
#[derive(Clone, Debug, Args)]
pub struct LogArgs {
    /// Which card: a stem, an alias or the beginning of a stem
    #[arg(value_name = "CARD")]
    pub card: String,
    /// Print the path of the log instead
    #[arg(long)]
    pub path: bool,
}

/// Carries `log` out.
///
/// # Errors
///
/// Where there is no such card, or no log of it.
pub fn run(args: LogArgs, context: &Context) -> Result<Exit, Error> {
    let selection = Selection::read(&SelectionArgs::default(), context)?;
    let stem = selection.find(&args.card)?;
    let logs = selection.project.root.join(".mikado/logs");
    let path = logs.join(format!("{stem}.log"));
    let mut file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(Error::usage(
                format!("`{stem}` has no log: nothing of it was executed in this work tree"),
                format!("run it first: mikado run {stem}"),
            ));
        }
        Err(error) => return Err(Error::disk("read", path)(error)),
    };
    let mut out = io::stdout().lock();
    let printed = match args.path {
        true => io::Write::write_all(&mut out, format!("{}\n", path.display()).as_bytes()),
        false => io::copy(&mut file, &mut out).map(|_| ()),
    };
    printed.map_err(Error::disk("write to", "standard output"))?;
    Ok(Exit::Done)
}
