//! A card of the run, as the index keeps it: what a later run needs of it to
//! bring only some cards up to date.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use crate::digest::Digest;

/// A card of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Member {
    /// Its stem.
    pub stem: String,
    /// Whether it is a build.
    pub is_build: bool,
    /// Whether it was asked for.
    pub asked: bool,
    /// Its file, as the deck has it.
    pub path: PathBuf,
    /// Its artifact, of a build.
    pub artifact: Option<Digest>,
    /// The numbers of the cards that come before it.
    pub before: Vec<u32>,
    /// Whose artifacts it uses: the role, and the number of the card.
    pub uses: Vec<(String, u32)>,
}

const BUILD: u8 = 1;
const ASKED: u8 = 2;
const ARTIFACT: u8 = 4;

impl Member {
    /// Appends the card: the length of the rest, flags, stem, file, artifact,
    /// what comes before it, and what it uses. Numbers are little endian.
    /// `None` where something is too long.
    pub(super) fn encode(&self, out: &mut Vec<u8>) -> Option<()> {
        let mut bytes = Vec::new();
        let flag = |is: bool, flag: u8| if is { flag } else { 0 };
        bytes.push(
            flag(self.is_build, BUILD)
                | flag(self.asked, ASKED)
                | flag(self.artifact.is_some(), ARTIFACT),
        );
        put_text(&mut bytes, self.stem.as_bytes())?;
        put_text(&mut bytes, self.path.as_os_str().as_bytes())?;
        if let Some(artifact) = &self.artifact {
            bytes.extend(artifact.hash);
            bytes.extend(artifact.size.to_le_bytes());
        }
        bytes.extend(u32::try_from(self.before.len()).ok()?.to_le_bytes());
        for number in &self.before {
            bytes.extend(number.to_le_bytes());
        }
        for (role, number) in &self.uses {
            put_text(&mut bytes, role.as_bytes())?;
            bytes.extend(number.to_le_bytes());
        }
        out.extend(u32::try_from(bytes.len()).ok()?.to_le_bytes());
        out.extend(bytes);
        Some(())
    }

    /// The stem of a card and whether it is a build, without the rest; and what
    /// follows the card.
    pub(super) fn skim(bytes: &[u8]) -> Option<((&OsStr, bool), &[u8])> {
        let (length, rest) = bytes.split_first_chunk::<4>()?;
        let (card, after) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        let (flags, mut rest) = card.split_first()?;
        let stem = take_text(&mut rest)?;
        Some(((OsStr::from_bytes(stem), flags & BUILD != 0), after))
    }

    /// The card, and what follows it.
    pub(super) fn decode(bytes: &[u8]) -> Option<(Member, &[u8])> {
        let (length, rest) = bytes.split_first_chunk::<4>()?;
        let (card, after) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        let (flags, mut rest) = card.split_first()?;
        let rest = &mut rest;
        let stem = String::from_utf8(take_text(rest)?.to_owned()).ok()?;
        let path = PathBuf::from(OsStr::from_bytes(take_text(rest)?));
        let artifact = match flags & ARTIFACT != 0 {
            true => Some(Digest {
                hash: take(rest)?,
                size: u64::from_le_bytes(take(rest)?),
            }),
            false => None,
        };
        let count = u32::from_le_bytes(take(rest)?);
        let before = (0..count).map(|_| Some(u32::from_le_bytes(take(rest)?)));
        let before = before.collect::<Option<Vec<u32>>>()?;
        let mut uses = Vec::new();
        while !rest.is_empty() {
            let role = String::from_utf8(take_text(rest)?.to_owned()).ok()?;
            uses.push((role, u32::from_le_bytes(take(rest)?)));
        }
        let member = Member {
            stem,
            is_build: flags & BUILD != 0,
            asked: flags & ASKED != 0,
            path,
            artifact,
            before,
            uses,
        };
        Some((member, after))
    }
}

fn put_text(out: &mut Vec<u8>, text: &[u8]) -> Option<()> {
    out.extend(u16::try_from(text.len()).ok()?.to_le_bytes());
    out.extend(text);
    Some(())
}

fn take_text<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = u16::from_le_bytes(take(rest)?);
    let (text, after) = rest.split_at_checked(usize::from(length))?;
    *rest = after;
    Some(text)
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (head, after) = rest.split_first_chunk::<N>()?;
    *rest = after;
    Some(*head)
}
