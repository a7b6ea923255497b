//! What `--timings` leaves at the end of a command, whichever it was: the tables on
//! standard error, and the trace in a file.
//!
//! The file lies in the `.mikado` that is nearest, unless it is named; none is made
//! for it. That it can't be written is told, and changes no exit code.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use crate::timings::{self, Taken};
use crate::{index, report};

/// Prints how long the phases took, and writes the trace to `file`.
pub(crate) fn tell(file: Option<PathBuf>, arguments: &[OsString]) {
    let (all, phases) = timings::end();
    let tables = report::timings::tables(all, &phases);
    let current = std::env::current_dir().unwrap_or_default();
    let here = index::here(&current, arguments);
    let named = file.filter(|file| !file.as_os_str().is_empty());
    let path = match named {
        Some(file) => Some(here.join(file)),
        None => here
            .ancestors()
            .map(|folder| folder.join(".mikado"))
            .find(|folder| folder.is_dir())
            .map(|folder| folder.join("timings.json")),
    };
    let trace = match path {
        None => "no trace: there is no `.mikado` here; name a file: --timings=FILE".to_owned(),
        Some(path) => match write(&path, &phases) {
            Ok(()) => format!("trace: {}", path.display()),
            Err(error) => format!("no trace: could not write `{}`: {error}", path.display()),
        },
    };
    // Nobody listens: then nobody is told.
    drop(writeln!(io::stderr(), "{tables}\n{trace}"));
}

fn write(path: &Path, phases: &[Taken]) -> io::Result<()> {
    let mut out = BufWriter::new(File::create(path)?);
    report::trace::write(&mut out, phases)?;
    out.flush()
}
