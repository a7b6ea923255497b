//! What an execution does with files and addresses, as it is written down.
//!
//! `tracer` writes a file of entries, each a letter, a path or an address, and a
//! null byte; here it is read. The file is whole after any end of the tracer.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::keeper;

/// The argument of the keeper that makes it record.
pub(super) const TRACE: &str = "trace";

/// What was done with a file or an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Deed {
    /// A file was opened for reading.
    Read,
    /// A file was to be opened that is not there.
    Miss,
    /// A folder was opened.
    List,
    /// A file was executed.
    Execute,
    /// A file was made, changed or taken away.
    Write,
    /// A socket on disk was connected to.
    Talk,
    /// An address was connected or sent to.
    Connect,
    /// An address was listened on.
    Listen,
}

impl Deed {
    const ALL: [(Deed, u8); 8] = [
        (Deed::Read, b'r'),
        (Deed::Miss, b'm'),
        (Deed::List, b'l'),
        (Deed::Execute, b'x'),
        (Deed::Write, b'w'),
        (Deed::Talk, b't'),
        (Deed::Connect, b'c'),
        (Deed::Listen, b'b'),
    ];

    pub(super) fn letter(self) -> u8 {
        let mut all = Deed::ALL.iter();
        all.find(|(deed, _)| *deed == self)
            .map_or(b'r', |(_, letter)| *letter)
    }

    fn from_letter(letter: u8) -> Option<Deed> {
        let mut all = Deed::ALL.iter();
        all.find(|(_, known)| *known == letter)
            .map(|(deed, _)| *deed)
    }
}

/// The arguments that run `program` and record into `record`.
///
/// # Errors
/// The file of this program is not known.
pub fn traced(record: &Path, program: &[OsString]) -> io::Result<Vec<OsString>> {
    let mut argv = vec![
        super::client::this_program()?.into(),
        keeper::ARGUMENT.into(),
        TRACE.into(),
        record.into(),
    ];
    argv.extend(program.iter().cloned());
    Ok(argv)
}

/// What was recorded: each deed once, with its real path, or its address.
///
/// # Errors
/// Those of reading the file.
pub fn recorded(record: &Path) -> io::Result<BTreeSet<(Deed, PathBuf)>> {
    let bytes = std::fs::read(record)?;
    let entries = bytes.split(|byte| *byte == 0);
    let deed = |entry: &[u8]| {
        let (letter, path) = entry.split_first()?;
        Some((Deed::from_letter(*letter)?, OsStr::from_bytes(path).into()))
    };
    Ok(entries.filter_map(deed).collect())
}
