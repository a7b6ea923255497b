//! What the file system says of one path, in the form in which it is kept.

use std::ffi::CStr;
use std::os::fd::BorrowedFd;

use rustix::fs::{AtFlags, FileType, Stat, statat};

/// How a path is looked at, and what of it has to stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Kind {
    /// The entry itself: a file, a folder with its list of names, a link, or
    /// that there is none.
    Entry = 0,
    /// What it leads to, through links.
    Target = 1,
    /// Only what kind of thing is there, or that there is none.
    Presence = 2,
    /// The root of a tree of the store, whose change time is not known there.
    Tree = 3,
    /// Something in a tree of the store, whose device is not known there.
    Stored = 4,
}

impl Kind {
    pub(super) fn of(byte: u8) -> Option<Kind> {
        match byte {
            0 => Some(Kind::Entry),
            1 => Some(Kind::Target),
            2 => Some(Kind::Presence),
            3 => Some(Kind::Tree),
            4 => Some(Kind::Stored),
            _ => None,
        }
    }

    /// Whether it is of a tree of the store.
    pub(super) fn is_of_tree(self) -> bool {
        matches!(self, Kind::Tree | Kind::Stored)
    }

    fn flags(self) -> AtFlags {
        match self {
            Kind::Target => AtFlags::empty(),
            Kind::Entry | Kind::Presence | Kind::Tree | Kind::Stored => AtFlags::SYMLINK_NOFOLLOW,
        }
    }
}

/// What was there: type and mode, size, times in nanoseconds since 1970, inode
/// and device; all zero where nothing was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// Type and permissions, as stat(2) has them.
    pub mode: u32,
    /// Bytes; 0 for a folder, whose size is the file system's own affair.
    pub size: u64,
    /// Modification time.
    pub modified_ns: i64,
    /// Change time.
    pub changed_ns: i64,
    /// Inode.
    pub inode: u64,
    /// Device; 0 where it does not count.
    pub device: u64,
}

impl State {
    /// Bytes of a state in the index.
    pub(super) const SIZE: usize = 4 + 5 * 8;

    /// Looks at `path` below `folder`; `None` where it can't be looked at.
    pub(super) fn look(folder: BorrowedFd<'_>, path: &CStr, kind: Kind) -> Option<State> {
        match statat(folder, path, kind.flags()) {
            Ok(stat) => Some(State::of(&stat, kind)),
            Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR) => Some(State::default()),
            Err(_) => None,
        }
    }

    fn of(stat: &Stat, kind: Kind) -> State {
        let ns = |seconds: i64, rest: u64| {
            let rest = i64::try_from(rest).unwrap_or(0);
            seconds.saturating_mul(1_000_000_000).saturating_add(rest)
        };
        let is_folder = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
        let all = State {
            mode: stat.st_mode,
            size: match is_folder {
                true => 0,
                false => u64::try_from(stat.st_size).unwrap_or(0),
            },
            modified_ns: ns(stat.st_mtime, stat.st_mtime_nsec),
            changed_ns: ns(stat.st_ctime, stat.st_ctime_nsec),
            inode: stat.st_ino,
            device: stat.st_dev,
        };
        match kind {
            Kind::Entry | Kind::Target => all,
            Kind::Presence => State {
                mode: stat.st_mode & 0o170_000,
                ..State::default()
            },
            Kind::Tree => State {
                changed_ns: 0,
                device: 0,
                ..all
            },
            Kind::Stored => State { device: 0, ..all },
        }
    }

    /// Whether it was there.
    pub fn is_there(&self) -> bool {
        self.mode != 0
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.extend(self.mode.to_le_bytes());
        out.extend(self.size.to_le_bytes());
        out.extend(self.modified_ns.to_le_bytes());
        out.extend(self.changed_ns.to_le_bytes());
        out.extend(self.inode.to_le_bytes());
        out.extend(self.device.to_le_bytes());
    }

    pub(super) fn decode(bytes: &[u8; State::SIZE]) -> Option<State> {
        let (mode, rest) = bytes.split_first_chunk::<4>()?;
        let number = |at: usize| -> Option<u64> {
            let bytes = rest.get(at * 8..at * 8 + 8)?;
            Some(u64::from_le_bytes(bytes.try_into().ok()?))
        };
        Some(State {
            mode: u32::from_le_bytes(*mode),
            size: number(0)?,
            modified_ns: number(1)?.cast_signed(),
            changed_ns: number(2)?.cast_signed(),
            inode: number(3)?,
            device: number(4)?,
        })
    }
}
