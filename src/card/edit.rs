//! Writes completion into a card: the status line and no other byte.
//!
//! The new bytes are computed from the bytes that were read, written to a
//! temporary file beside the card and renamed over it; a card that somebody
//! changed meanwhile is left alone. Doing it twice changes nothing.

use std::collections::BTreeSet;
use std::fs::{self, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, fchown};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tempfile::NamedTempFile;

use super::splice::{
    end_of_content, end_of_value, ending_before, front_end, key_and_value, line_around, replaced,
    with_quotes,
};
use super::{Card, PlanState, Source, Text, proof};
use crate::error::Error;
use crate::fail_point;

const STATUS: &str = "status";

/// How completion is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Completion {
    /// `status: complete`.
    #[default]
    Set,
    /// The status line is taken away.
    Remove,
}

/// Why a file is left as it is.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Refusal {
    /// There is nothing that could hold a status.
    #[error("`{path}` has no front matter that could be changed")]
    NoFrontMatter {
        /// The card's file.
        path: String,
    },
    /// It is written so that no edit of the key alone would be right.
    #[error("`{path}` has front matter in a form that is not changed without changing more")]
    OddForm {
        /// The card's file.
        path: String,
    },
    /// Somebody changed it meanwhile.
    #[error("`{path}` was changed by somebody else since it was read; nothing was written")]
    Changed {
        /// The card's file.
        path: String,
    },
}

/// Marks `card` complete below `root`; `false` where it was so already.
///
/// # Errors
///
/// Where the card can't be changed, was changed meanwhile, or the disk is in
/// the way.
pub fn complete(root: &Path, card: &Card, completion: Completion) -> Result<bool, Error> {
    let writer = Writer::default();
    let written = writer.complete(root, card, completion)?;
    writer.flush()?;
    Ok(written)
}

/// Opens `card` again below `root`; `false` where it is open already.
///
/// # Errors
///
/// Where the card can't be changed, was changed meanwhile, or the disk is in
/// the way.
pub fn reopen(root: &Path, card: &Card) -> Result<bool, Error> {
    match reopened(card) {
        Some(bytes) => write(root, &card.source, &bytes).map(|()| true),
        None if card.plan == PlanState::Open => Ok(false),
        None => Err(unchangeable(card)),
    }
}

/// The error for a card whose front matter can't be changed by an edit.
pub fn unchangeable(card: &Card) -> Error {
    let path = card.path().display().to_string();
    refusal(match front_end(card) {
        Some(_) => Refusal::OddForm { path },
        None => Refusal::NoFrontMatter { path },
    })
}

/// The bytes of an open card when it is complete; `None` where there is nothing
/// to change, or no change of the status alone would do.
pub fn completed(card: &Card, completion: Completion) -> Option<Vec<u8>> {
    if card.plan != PlanState::Open {
        return None;
    }
    let remove = match completion {
        Completion::Set => None,
        Completion::Remove => without_status(card),
    };
    let ways = remove.into_iter().chain(with_status(card, "complete"));
    proof::first_right(card, STATUS, ways, |card| card.plan == PlanState::Complete)
}

/// The bytes of a complete card when it is open again; `None` where it is open,
/// has no front matter, or no change of the status alone would do.
pub fn reopened(card: &Card) -> Option<Vec<u8>> {
    if card.plan != PlanState::Complete {
        return None;
    }
    let ways = match card.front.status {
        Some(_) => with_status(card, "active"),
        None => {
            let front = &card.front;
            let after = [&front.modified, &front.title];
            with_new_lines(card, after.into_iter().flatten(), true, "status: active\n")
        }
    };
    let is_open = |card: &Card| card.status() == Some("active");
    proof::first_right(card, STATUS, ways, is_open)
}

/// The bytes of `card` with further lines in its front matter, after its
/// status: one key that it does not have yet, with its value. `None` where it
/// has no front matter for it. Lines end with a line feed, which becomes the
/// card's own ending.
pub fn with_lines(card: &Card, lines: &str) -> Option<Vec<u8>> {
    if card.plan == PlanState::Unreadable {
        return None;
    }
    let key = lines.split(':').next().unwrap_or_default();
    let front = &card.front;
    let after = [&front.status, &front.title];
    let ways = with_new_lines(card, after.into_iter().flatten(), false, lines);
    let has_key = |card: &Card| card.front.keys.iter().any(|known| known.text == key);
    proof::first_right(card, key, ways, has_key)
}

/// The ways to give a card's status, which it has, another value.
fn with_status(card: &Card, value: &str) -> Vec<Vec<u8>> {
    let bytes = card.source.bytes();
    let (Some((key, area)), Some(status)) = (key_and_value(card, STATUS), &card.front.status)
    else {
        return Vec::new();
    };
    let spaced = format!(" {value}");
    let own_line = area.start..end_of_value(bytes, area.start).min(area.end);
    let lines = area.start..end_of_content(bytes, &area);
    let scalar = with_quotes(bytes, &status.span);
    let mut ways = Vec::new();
    // A text that is not in the file as such has its key as its place, and an
    // alias that of its anchor.
    if status.span != key && area.start <= scalar.start && scalar.end <= area.end {
        // Quotes stay, so that a card that is opened again is what it was.
        if scalar != status.span && !status.text.is_empty() {
            ways.push(replaced(bytes, &status.span, value.as_bytes()));
        }
        ways.push(replaced(bytes, &scalar, value.as_bytes()));
    }
    if status.text.is_empty() {
        ways.push(replaced(
            bytes,
            &(area.start..area.start),
            spaced.as_bytes(),
        ));
    }
    ways.push(replaced(bytes, &own_line, spaced.as_bytes()));
    ways.push(replaced(bytes, &lines, spaced.as_bytes()));
    ways
}

/// The card without the lines of its status.
fn without_status(card: &Card) -> Option<Vec<u8>> {
    let bytes = card.source.bytes();
    let (key, area) = key_and_value(card, STATUS)?;
    let start = line_around(bytes, key.start).start;
    let end = line_around(bytes, end_of_content(bytes, &area)).end;
    // Of a map in braces the line is not the key's own.
    let lead = &bytes[start..key.start];
    if !lead.iter().all(|byte| b" \t?'\"".contains(byte)) {
        return None;
    }
    Some(replaced(bytes, &(start..end), b""))
}

/// The ways to put new lines into the front matter: after the line of one of
/// `after`, before or after all other keys, or into a map in one line.
fn with_new_lines<'a>(
    card: &'a Card,
    after: impl Iterator<Item = &'a Text>,
    first: bool,
    lines: &str,
) -> Vec<Vec<u8>> {
    let bytes = card.source.bytes();
    let Some(end) = front_end(card) else {
        return Vec::new();
    };
    let first_key = card.front.keys.first().map(|key| key.span.start);
    let mut places: Vec<usize> = after
        .map(|text| line_around(bytes, text.span.end).end)
        .collect();
    let before_all = first_key.map(|key| line_around(bytes, key).start);
    places.extend(before_all.filter(|_| first));
    places.push(end);
    places.extend(before_all);
    let indent = first_key.map_or(&[][..], |key| &bytes[line_around(bytes, key).start..key]);
    let indent = if indent.trim_ascii().is_empty() {
        indent
    } else {
        &[]
    };
    let mut ways: Vec<Vec<u8>> = places
        .into_iter()
        .map(|at| {
            let ending = ending_before(bytes, at).as_bytes();
            let mut all = Vec::new();
            for line in lines.lines() {
                all.extend([indent, line.as_bytes(), ending].concat());
            }
            replaced(bytes, &(at..at), &all)
        })
        .collect();
    if let (Some(key), [line]) = (first_key, lines.lines().collect::<Vec<_>>().as_slice()) {
        ways.push(replaced(bytes, &(key..key), format!("{line}, ").as_bytes()));
    }
    ways
}

/// Writes a card's new bytes over its file below `root`.
///
/// # Errors
///
/// Where the file is no longer what was read, or the disk is in the way.
pub fn write(root: &Path, source: &Source, bytes: &[u8]) -> Result<(), Error> {
    let writer = Writer::default();
    writer.write(root, source, bytes)?;
    writer.flush()
}

/// Writes many cards, by several threads, and waits for the disk once a folder.
#[derive(Debug, Default)]
pub struct Writer {
    /// Folders in which what dead processes left was deleted.
    swept: Mutex<BTreeSet<PathBuf>>,
    /// Folders in which a card has a new name that is not durable yet.
    renamed: Mutex<BTreeSet<PathBuf>>,
}

impl Writer {
    /// As [`complete`]; durable after `flush`.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn complete(
        &self,
        root: &Path,
        card: &Card,
        completion: Completion,
    ) -> Result<bool, Error> {
        match completed(card, completion) {
            Some(bytes) => self.write(root, &card.source, &bytes).map(|()| true),
            None if card.plan == PlanState::Complete => Ok(false),
            None => Err(unchangeable(card)),
        }
    }

    /// Makes the names of all cards durable that were written.
    ///
    /// # Errors
    ///
    /// Where the disk is in the way.
    pub fn flush(&self) -> Result<(), Error> {
        for folder in std::mem::take(&mut *hold(&self.renamed)) {
            let synced = fs::File::open(&folder).and_then(|folder| folder.sync_all());
            synced.map_err(Error::disk("write to", &folder))?;
        }
        Ok(())
    }

    fn write(&self, root: &Path, source: &Source, bytes: &[u8]) -> Result<(), Error> {
        // A card that is a link is changed where it really lies.
        let shown = root.join(source.path());
        let path = shown.canonicalize().map_err(Error::disk("find", &shown))?;
        let folder = path.parent().unwrap_or(root);
        let metadata = path.metadata().map_err(Error::disk("read", &path))?;
        let mut file = self
            .new_file(folder)
            .map_err(Error::disk("write in", folder))?;
        fail_point::reach("card.write").map_err(Error::disk("write", &path))?;
        file.write_all(bytes).map_err(Error::disk("write", &path))?;
        // Who may not give a file away keeps it, as any editor would.
        let (user, group) = (metadata.uid(), metadata.gid());
        drop(fchown(file.as_file(), Some(user), Some(group)));
        // After the owner, whose change takes bits of the mode away.
        let kept = file.as_file().set_permissions(metadata.permissions());
        kept.map_err(Error::disk("set the mode of", &path))?;
        file.as_file()
            .sync_all()
            .map_err(Error::disk("write", &path))?;
        // As late as can be: the last moment in which a change can be noticed.
        let now = fs::read(&path).map_err(Error::disk("read", &path))?;
        if now != source.bytes() {
            return Err(refusal(Refusal::Changed {
                path: source.path().display().to_string(),
            }));
        }
        fail_point::reach("card.replace").map_err(Error::disk("replace", &path))?;
        file.persist(&path)
            .map_err(|error| Error::disk("replace", &path)(error.error))?;
        hold(&self.renamed).insert(folder.to_owned());
        Ok(())
    }

    /// A new file in `folder`, which is locked as long as its maker lives. What
    /// dead ones left there is deleted.
    fn new_file(&self, folder: &Path) -> io::Result<NamedTempFile> {
        if hold(&self.swept).insert(folder.to_owned()) {
            sweep(folder);
        }
        loop {
            let file = tempfile::Builder::new()
                .prefix(PREFIX)
                .tempfile_in(folder)?;
            match file.as_file().try_lock() {
                Err(TryLockError::WouldBlock) => {}
                // Where nothing can be locked, nothing is swept.
                Err(TryLockError::Error(_)) => return Ok(file),
                // It may have been swept before it was locked.
                Ok(()) if file.path().exists() => return Ok(file),
                Ok(()) => {}
            }
        }
    }
}

fn hold<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A set is whole at every moment.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What the names of files begin with that are to be renamed over a card.
const PREFIX: &str = ".mikado-new-";

/// Deletes what killed processes left in `folder`; what can't be deleted harms
/// nobody.
fn sweep(folder: &Path) {
    let entries = fs::read_dir(folder).into_iter().flatten();
    for entry in entries.filter_map(Result::ok) {
        let is_new = entry.file_name().to_string_lossy().starts_with(PREFIX);
        if is_new
            && let Ok(file) = fs::File::open(entry.path())
            && file.try_lock().is_ok()
        {
            drop(fs::remove_file(entry.path()));
        }
    }
}

fn refusal(refusal: Refusal) -> Error {
    let help = match refusal {
        Refusal::NoFrontMatter { .. } => {
            "give it a block between `---` lines with `status: active`"
        }
        Refusal::OddForm { .. } => {
            "change it by hand, or write it plainly first: one key a line, its value behind it"
        }
        Refusal::Changed { .. } => "try again",
    };
    Error::usage(refusal.to_string(), help)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test stops at its first surprise")]
mod tests {
    use super::*;
    use crate::card::Stem;
    use proptest::prelude::*;

    fn card(text: &str) -> Card {
        Card::read(Stem::new("a"), Source::new("a.md".into(), text.into()))
    }

    fn complete_text(text: &str) -> Option<String> {
        completed(&card(text), Completion::Set).map(|bytes| String::from_utf8(bytes).unwrap())
    }

    #[test]
    fn only_the_status_changes() {
        let text =
            "---\r\ntitle: 'x' # c\r\nstatus: active  # why\r\nrequires: [b]\r\n---\r\nbody\r\n";
        let expected = text.replace("active", "complete");
        assert_eq!(complete_text(text).as_deref(), Some(expected.as_str()));
        assert_eq!(complete_text(&expected), None);
        assert_eq!(
            complete_text("---\nstatus: \"active\"\n---\n").as_deref(),
            Some("---\nstatus: \"complete\"\n---\n")
        );
    }

    #[test]
    fn removal_takes_the_line_away() {
        let text = "---\ntitle: x\nstatus: active\nrequires: [b]\n---\n";
        let bytes = completed(&card(text), Completion::Remove).unwrap();
        assert_eq!(bytes, b"---\ntitle: x\nrequires: [b]\n---\n");
    }

    #[test]
    fn reopening_writes_the_status_back() {
        let reopen = |text: &str| reopened(&card(text)).map(|b| String::from_utf8(b).unwrap());
        assert_eq!(
            reopen("---\ntitle: x\nmodified: 2026-01-01\nrequires: [b]\n---\n").as_deref(),
            Some("---\ntitle: x\nmodified: 2026-01-01\nstatus: active\nrequires: [b]\n---\n")
        );
        assert_eq!(
            reopen("---\nstatus: complete\n---\n").as_deref(),
            Some("---\nstatus: active\n---\n")
        );
        assert_eq!(
            reopen("---\nstatus:\nrequires: [b]\n---\n").as_deref(),
            Some("---\nstatus: active\nrequires: [b]\n---\n")
        );
        assert_eq!(
            reopen("---\nrequires: [b]\n---\n").as_deref(),
            Some("---\nstatus: active\nrequires: [b]\n---\n")
        );
        assert_eq!(reopen("---\nstatus: active\n---\n"), None);
    }

    #[test]
    fn a_card_changed_by_somebody_else_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let text = "---\nstatus: active\n---\n";
        fs::write(dir.path().join("a.md"), text).unwrap();
        let read = card(text);
        fs::write(
            dir.path().join("a.md"),
            "---\nstatus: active\ntitle: y\n---\n",
        )
        .unwrap();
        assert!(complete(dir.path(), &read, Completion::Set).is_err());
        assert!(
            fs::read_to_string(dir.path().join("a.md"))
                .unwrap()
                .contains("title: y")
        );
    }

    proptest! {
        #[test]
        fn completing_and_reopening_touch_one_line(
            before in "(title: [a-z]{1,8}\r?\n)?",
            after in "(tags: \\[[a-z]{1,5}\\]\r?\n)?",
            body in "[a-z \r\n#-]{0,60}",
            crlf in any::<bool>(),
        ) {
            let ending = if crlf { "\r\n" } else { "\n" };
            let text = format!("---{ending}{before}status: active{ending}{after}---{ending}{body}");
            let done = complete_text(&text).unwrap();
            prop_assert_eq!(&done, &text.replacen("status: active", "status: complete", 1));
            let again = reopened(&card(&done)).map(|b| String::from_utf8(b).unwrap());
            prop_assert_eq!(again, Some(text));
        }
    }
}
