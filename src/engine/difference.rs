//! The first difference between two outputs of one action.
//!
//! Two folders are compared as artifacts are: names, kinds, the owner's exec
//! bit, link texts, contents; no times and no other modes. Names are taken in
//! byte order, so the same two folders always have the same first difference.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::fs::{self, File, Metadata};
use std::io::{self, BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// A file larger than this is not looked at as text.
const TEXT: u64 = 8 << 20;

/// How many characters of a line are shown before and after the place.
const BEFORE: usize = 40;
const AFTER: usize = 80;

/// How many bytes are shown of what is no text.
const BYTES: usize = 16;

/// How the two outputs differ.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Difference {
    /// Where, below the output.
    pub(super) path: PathBuf,
    /// How.
    pub(super) kind: Kind,
    /// How many other entries differ as well.
    pub(super) more: usize,
}

/// Kinds of differences.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// It is in one of the two alone: the first, or else the second.
    Missing { first: bool },
    /// It is a file, a folder or a link in one, and something else in the other.
    Type(&'static str, &'static str),
    /// It is executable in one of the two alone: the first, or else the second.
    Executable { first: bool },
    /// A link with two texts.
    Link(PathBuf, PathBuf),
    /// Text: the first line that differs, from 1, and both lines near the place.
    Line(usize, String, String),
    /// Bytes: the first that differs, from 0, and both from there on.
    Bytes(u64, Vec<u8>, Vec<u8>),
}

/// The first difference between two folders, or `None` where they are alike.
///
/// # Errors
///
/// The first entry that could not be read.
pub(super) fn between(first: &Path, second: &Path) -> io::Result<Option<Difference>> {
    let mut found: Option<Difference> = None;
    let mut pending = vec![PathBuf::new()];
    while let Some(path) = pending.pop() {
        let kind = match (look(&first.join(&path))?, look(&second.join(&path))?) {
            (Some(one), Some(other)) if one.is_dir() && other.is_dir() => {
                let mut names = names(&first.join(&path))?;
                names.append(&mut self::names(&second.join(&path))?);
                // The last one is looked at first.
                pending.extend(names.into_keys().rev().map(|name| path.join(name)));
                None
            }
            (Some(one), Some(other)) => {
                of_entries((&first.join(&path), &one), (&second.join(&path), &other))?
            }
            (one, _) => Some(Kind::Missing {
                first: one.is_some(),
            }),
        };
        match (kind, &mut found) {
            (None, _) => {}
            (Some(_), Some(found)) => found.more += 1,
            (Some(kind), None) => {
                let more = 0;
                found = Some(Difference { path, kind, more });
            }
        }
    }
    Ok(found)
}

fn look(path: &Path) -> io::Result<Option<Metadata>> {
    match path.symlink_metadata() {
        Ok(metadata) => Ok(Some(metadata)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn names(folder: &Path) -> io::Result<BTreeMap<OsString, ()>> {
    let entries = fs::read_dir(folder)?;
    entries.map(|entry| Ok((entry?.file_name(), ()))).collect()
}

fn of_entries(
    (one, first): (&Path, &Metadata),
    (other, second): (&Path, &Metadata),
) -> io::Result<Option<Kind>> {
    let word = |metadata: &Metadata| match metadata.file_type() {
        kind if kind.is_dir() => "a folder",
        kind if kind.is_symlink() => "a link",
        kind if kind.is_file() => "a file",
        _ => "something else",
    };
    if word(first) != word(second) {
        return Ok(Some(Kind::Type(word(first), word(second))));
    }
    if first.is_symlink() {
        let (one, other) = (fs::read_link(one)?, fs::read_link(other)?);
        return Ok((one != other).then_some(Kind::Link(one, other)));
    }
    let is_executable = |metadata: &Metadata| metadata.permissions().mode() & 0o100 != 0;
    let Some(at) = first_byte(one, other)? else {
        let first = is_executable(first);
        return Ok((first != is_executable(second)).then_some(Kind::Executable { first }));
    };
    let is_small = first.len().max(second.len()) <= TEXT;
    if is_small && let (Ok(one), Ok(other)) = (fs::read_to_string(one), fs::read_to_string(other)) {
        return Ok(Some(first_line(&one, &other)));
    }
    Ok(Some(Kind::Bytes(
        at,
        bytes_from(one, at)?,
        bytes_from(other, at)?,
    )))
}

/// Where two files differ first.
fn first_byte(one: &Path, other: &Path) -> io::Result<Option<u64>> {
    let mut one = BufReader::with_capacity(1 << 16, File::open(one)?);
    let mut other = BufReader::with_capacity(1 << 16, File::open(other)?);
    let mut at = 0;
    loop {
        let (a, b) = (one.fill_buf()?, other.fill_buf()?);
        let length = a.len().min(b.len());
        if let Some(place) = (0..length).find(|place| a[*place] != b[*place]) {
            return Ok(Some(at + place as u64));
        }
        if length == 0 {
            return Ok((a.len() != b.len()).then_some(at));
        }
        one.consume(length);
        other.consume(length);
        at += length as u64;
    }
}

fn bytes_from(path: &Path, at: u64) -> io::Result<Vec<u8>> {
    use std::io::{Read, Seek, SeekFrom};
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(at))?;
    let mut bytes = Vec::new();
    file.take(BYTES as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The first line in which two texts differ.
fn first_line(one: &str, other: &str) -> Kind {
    let lines = |text: &str| -> Vec<String> { text.split('\n').map(str::to_owned).collect() };
    let (one, other) = (lines(one), lines(other));
    let same = one.iter().zip(&other).take_while(|(a, b)| a == b).count();
    let line = |lines: &[String]| lines.get(same).cloned().unwrap_or_default();
    let (a, b) = (line(&one), line(&other));
    let column = a.chars().zip(b.chars()).take_while(|(a, b)| a == b).count();
    Kind::Line(same + 1, near(&a, column), near(&b, column))
}

/// A line, or what of a long one is near a column.
fn near(line: &str, column: usize) -> String {
    let start = column.saturating_sub(BEFORE);
    let before = if start > 0 { "…" } else { "" };
    let part: String = line.chars().skip(start).take(BEFORE + AFTER).collect();
    let is_cut = line.chars().count() > start + BEFORE + AFTER;
    format!("{before}{part}{}", if is_cut { "…" } else { "" })
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` ", self.path.display())?;
        let time = |first: &bool| if *first { "first" } else { "second" };
        match &self.kind {
            Kind::Missing { first } => write!(f, "is there only the {} time", time(first))?,
            Kind::Type(one, other) => write!(f, "is {one} the first time, {other} the second")?,
            Kind::Executable { first } => {
                write!(f, "is executable only the {} time", time(first))?;
            }
            Kind::Link(one, other) => write!(
                f,
                "links to `{}` the first time, to `{}` the second",
                one.display(),
                other.display()
            )?,
            Kind::Line(line, ..) => write!(f, "differs in line {line}")?,
            Kind::Bytes(at, ..) => write!(f, "differs at byte {at}")?,
        }
        match self.more {
            0 => Ok(()),
            more => write!(f, " (and {more} more)"),
        }
    }
}

impl Difference {
    /// Both sides, as the lines of a diff; none where there is nothing to show.
    pub(super) fn sides(&self) -> Vec<String> {
        let hex = |bytes: &[u8]| -> String {
            let all: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            match all.is_empty() {
                true => "(end of file)".into(),
                false => all.join(" "),
            }
        };
        match &self.kind {
            Kind::Line(_, one, other) => vec![format!("- {one}"), format!("+ {other}")],
            Kind::Bytes(_, one, other) => {
                vec![format!("- {}", hex(one)), format!("+ {}", hex(other))]
            }
            _ => Vec::new(),
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test stops at its first surprise")]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    struct Pair(tempfile::TempDir);

    impl Pair {
        fn new() -> Pair {
            let pair = Pair(tempfile::tempdir().unwrap());
            for side in ["one", "other"] {
                fs::create_dir_all(pair.at(side, "a/b")).unwrap();
                fs::write(pair.at(side, "a/b/same"), "same").unwrap();
            }
            pair
        }

        fn at(&self, side: &str, path: &str) -> PathBuf {
            self.0.path().join(side).join(path)
        }

        fn write(&self, path: &str, one: &[u8], other: &[u8]) {
            fs::write(self.at("one", path), one).unwrap();
            fs::write(self.at("other", path), other).unwrap();
        }

        fn told(&self) -> Vec<String> {
            let found = between(&self.at("one", ""), &self.at("other", "")).unwrap();
            let mut told: Vec<String> = found.iter().map(ToString::to_string).collect();
            told.extend(found.iter().flat_map(Difference::sides));
            told
        }
    }

    #[test]
    fn each_kind_of_difference_is_told_with_its_place() {
        let pair = Pair::new();
        assert_eq!(pair.told(), [""; 0]);
        pair.write("z", b"one\ntwo\n", b"one\nTwo\n");
        assert_eq!(pair.told(), ["`z` differs in line 2", "- two", "+ Two"]);
        pair.write("y", b"\0\xff\x01", b"\0\xff\x02\x03");
        assert_eq!(
            pair.told(),
            ["`y` differs at byte 2 (and 1 more)", "- 01", "+ 02 03"]
        );
        pair.write("x", b"\xff", b"\xff\0");
        assert_eq!(
            pair.told(),
            [
                "`x` differs at byte 1 (and 2 more)",
                "- (end of file)",
                "+ 00"
            ]
        );
        pair.write("w", b"", b"");
        fs::set_permissions(pair.at("other", "w"), fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(
            pair.told(),
            ["`w` is executable only the second time (and 3 more)"]
        );
        symlink("here", pair.at("one", "a/link")).unwrap();
        symlink("there", pair.at("other", "a/link")).unwrap();
        assert_eq!(
            pair.told(),
            ["`a/link` links to `here` the first time, to `there` the second (and 4 more)"]
        );
        fs::write(pair.at("one", "a/b/c"), "").unwrap();
        fs::create_dir(pair.at("other", "a/b/c")).unwrap();
        assert_eq!(
            pair.told(),
            ["`a/b/c` is a file the first time, a folder the second (and 5 more)"]
        );
        fs::create_dir(pair.at("one", "a/a")).unwrap();
        assert_eq!(
            pair.told(),
            ["`a/a` is there only the first time (and 6 more)"]
        );
    }

    #[test]
    fn of_a_long_line_the_place_is_shown() {
        let pair = Pair::new();
        let line = |middle: &str| format!("{}{middle}{}", "a".repeat(500), "b".repeat(500));
        pair.write("x", line("1").as_bytes(), line("2").as_bytes());
        let told = pair.told();
        let expected = |middle: &str| format!("…{}{middle}{}…", "a".repeat(40), "b".repeat(79));
        assert_eq!(
            told[1..],
            [
                format!("- {}", expected("1")),
                format!("+ {}", expected("2"))
            ]
        );
    }
}
