//! Writes completion into a card: the status line and no other byte.
//!
//! The new bytes are computed from the bytes that were read, written to a
//! temporary file beside the card and renamed over it; a card that somebody
//! changed meanwhile is left alone. Doing it twice changes nothing.

use std::fs::{self, TryLockError};
use std::io::{self, Write};
use std::path::Path;

use tempfile::NamedTempFile;

use super::splice::{ending_before, line_around, replaced, with_quotes};
use super::{Card, PlanState, Source};
use crate::error::Error;
use crate::fail_point;

/// How completion is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Completion {
    /// `status: complete`.
    #[default]
    Set,
    /// The status line is taken away.
    Remove,
}

/// A file that was changed by somebody else since it was read, or that has no
/// front matter to change.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Refusal {
    /// There is nothing that could hold a status.
    #[error("`{path}` has no front matter that could be changed")]
    NoFrontMatter {
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
    match completed(card, completion) {
        Some(bytes) => write(root, &card.source, &bytes).map(|()| true),
        None if card.plan == PlanState::Open => Err(refusal(Refusal::NoFrontMatter {
            path: card.path().display().to_string(),
        })),
        None => Ok(false),
    }
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
        None => Err(refusal(Refusal::NoFrontMatter {
            path: card.path().display().to_string(),
        })),
    }
}

/// The bytes of an open card when it is complete; `None` where there is nothing
/// to change.
pub fn completed(card: &Card, completion: Completion) -> Option<Vec<u8>> {
    if card.plan != PlanState::Open {
        return None;
    }
    let status = card.front.status.as_ref()?;
    let bytes = card.source.bytes();
    Some(match completion {
        Completion::Set => replaced(bytes, &with_quotes(bytes, &status.span), b"complete"),
        Completion::Remove => replaced(bytes, &line_around(bytes, status.span.start), b""),
    })
}

/// The bytes of a complete card when it is open again; `None` where it is open,
/// or has no front matter.
pub fn reopened(card: &Card) -> Option<Vec<u8>> {
    if card.plan != PlanState::Complete {
        return None;
    }
    let bytes = card.source.bytes();
    if let Some(status) = &card.front.status {
        // A status without a value has its key as its place.
        return Some(match status.text.is_empty() {
            true => {
                let end = content_end(bytes, status.span.start);
                let line = &bytes[line_around(bytes, status.span.start).start..end];
                match line.ends_with(b":") {
                    true => replaced(bytes, &(end..end), b" active"),
                    false => replaced(bytes, &with_quotes(bytes, &status.span), b"active"),
                }
            }
            false => replaced(bytes, &with_quotes(bytes, &status.span), b"active"),
        });
    }
    let front = &card.front;
    let before = front.modified.as_ref().or(front.title.as_ref());
    let at = match before {
        Some(text) => line_around(bytes, text.span.end).end,
        None => line_around(bytes, front.keys.first()?.span.start).start,
    };
    let line = format!("status: active{}", ending_before(bytes, at));
    Some(replaced(bytes, &(at..at), line.as_bytes()))
}

/// The bytes of `card` with further lines in its front matter, after its status;
/// `None` where it has no front matter. Lines end with a line feed, which
/// becomes the card's own ending.
pub fn with_lines(card: &Card, lines: &str) -> Option<Vec<u8>> {
    if card.plan == PlanState::Unreadable {
        return None;
    }
    let front = &card.front;
    let bytes = card.source.bytes();
    let after = front
        .status
        .as_ref()
        .or(front.title.as_ref())
        .or(front.keys.last())?;
    let at = line_around(bytes, after.span.end).end;
    let lines = lines.replace('\n', ending_before(bytes, at));
    Some(replaced(bytes, &(at..at), lines.as_bytes()))
}

/// Writes a card's new bytes over its file below `root`.
///
/// # Errors
///
/// Where the file is no longer what was read, or the disk is in the way.
pub fn write(root: &Path, source: &Source, bytes: &[u8]) -> Result<(), Error> {
    // A card that is a link is changed where it really lies.
    let shown = root.join(source.path());
    let path = shown.canonicalize().map_err(Error::disk("find", &shown))?;
    let folder = path.parent().unwrap_or(root);
    let metadata = path.metadata().map_err(Error::disk("read", &path))?;
    let mut file = new_file(folder).map_err(Error::disk("write in", folder))?;
    fail_point::reach("card.write").map_err(Error::disk("write", &path))?;
    file.write_all(bytes).map_err(Error::disk("write", &path))?;
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
    // The new name is durable with its folder.
    let synced = fs::File::open(folder).and_then(|folder| folder.sync_all());
    synced.map_err(Error::disk("write to", folder))
}

/// What the names of files begin with that are to be renamed over a card.
const PREFIX: &str = ".mikado-new-";

/// A new file in `folder`, which is locked as long as its maker lives. What dead
/// ones left there is deleted.
fn new_file(folder: &Path) -> io::Result<NamedTempFile> {
    sweep(folder);
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
        Refusal::Changed { .. } => "try again",
    };
    Error::usage(refusal.to_string(), help)
}

/// The end of the line around `at`, without its ending and blanks before it.
fn content_end(bytes: &[u8], at: usize) -> usize {
    let line = line_around(bytes, at);
    let content = &bytes[line.clone()];
    let blanks = content
        .iter()
        .rev()
        .take_while(|byte| byte.is_ascii_whitespace())
        .count();
    line.end - blanks
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
            Some("---\nstatus: complete\n---\n")
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
