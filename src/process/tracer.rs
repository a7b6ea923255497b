//! Recording what an execution touches outside of what it was given: `mikado
//! __keeper trace FILE PROGRAM..` runs a program and writes down which files
//! it and all that it starts open, execute, list and change, and where they
//! connect to.
//!
//! It runs in the place of the program, below a reaper like any other. What is
//! watched are the calls that an isolation refuses; each goes on as it would
//! have. Files that are not there are not written down. What it misses: calls
//! of other ABIs and through io_uring, the interpreter that an executable names,
//! and what a process does that the kernel does not let this one look into.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use super::deed::Deed;
use super::pass;
use super::sys::{self, Heard, Notice, Waited};

/// How long what the program leaves behind is still watched.
const AFTERWARDS: Duration = Duration::from_secs(1);

/// The longest path of the kernel.
const LONGEST: usize = 4096;

/// How the path of a call is to be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    /// Opened with the flags in this argument.
    Open(usize),
    /// Opened with the structure that this argument points to.
    OpenHow(usize),
    Execute,
    /// Made: nothing happens where something is.
    Make,
    /// Taken away, cut or renamed: nothing happens where nothing is.
    Remove,
}

/// A path among the arguments of a call: the folder that it is below, if one is given, and the text.
struct Argument {
    call: i64,
    folder: Option<usize>,
    path: usize,
    act: Act,
}

const fn at(call: i64, folder: usize, path: usize, act: Act) -> Argument {
    Argument {
        call,
        folder: Some(folder),
        path,
        act,
    }
}

const ARGUMENTS: &[Argument] = &[
    at(libc::SYS_openat, 0, 1, Act::Open(2)),
    at(libc::SYS_openat2, 0, 1, Act::OpenHow(2)),
    at(libc::SYS_execveat, 0, 1, Act::Execute),
    at(libc::SYS_mkdirat, 0, 1, Act::Make),
    at(libc::SYS_mknodat, 0, 1, Act::Make),
    at(libc::SYS_unlinkat, 0, 1, Act::Remove),
    at(libc::SYS_renameat2, 0, 1, Act::Remove),
    at(libc::SYS_renameat2, 2, 3, Act::Make),
    at(libc::SYS_renameat, 0, 1, Act::Remove),
    at(libc::SYS_renameat, 2, 3, Act::Make),
    at(libc::SYS_linkat, 2, 3, Act::Make),
    at(libc::SYS_symlinkat, 1, 2, Act::Make),
    here(libc::SYS_execve, 0, Act::Execute),
    here(libc::SYS_truncate, 0, Act::Remove),
    #[cfg(target_arch = "x86_64")]
    here(libc::SYS_open, 0, Act::Open(1)),
    #[cfg(target_arch = "x86_64")]
    here(libc::SYS_creat, 0, Act::Make),
    #[cfg(target_arch = "x86_64")]
    here(libc::SYS_mkdir, 0, Act::Make),
    #[cfg(target_arch = "x86_64")]
    here(libc::SYS_mknod, 0, Act::Make),
    #[cfg(target_arch = "x86_64")]
    here(libc::SYS_unlink, 0, Act::Remove),
    #[cfg(target_arch = "x86_64")]
    here(libc::SYS_rmdir, 0, Act::Remove),
    #[cfg(target_arch = "x86_64")]
    here(libc::SYS_rename, 0, Act::Remove),
    #[cfg(target_arch = "x86_64")]
    here(libc::SYS_rename, 1, Act::Make),
    #[cfg(target_arch = "x86_64")]
    here(libc::SYS_link, 1, Act::Make),
    #[cfg(target_arch = "x86_64")]
    here(libc::SYS_symlink, 1, Act::Make),
];

const fn here(call: i64, path: usize, act: Act) -> Argument {
    Argument {
        call,
        folder: None,
        path,
        act,
    }
}

/// Runs a program and records; returns its exit code.
pub(super) fn trace(mut arguments: impl Iterator<Item = OsString>) -> io::Result<u8> {
    let record = arguments.next().ok_or(io::ErrorKind::InvalidInput)?;
    let program = arguments.next().ok_or(io::ErrorKind::InvalidInput)?;
    let mut calls: Vec<i64> = ARGUMENTS.iter().map(|argument| argument.call).collect();
    calls.extend([libc::SYS_connect, libc::SYS_bind]);
    calls.dedup();
    let (ours, theirs) = UnixStream::pair()?;
    let record = File::options().append(true).create(true).open(record)?;
    let Some(child) = sys::fork()? else {
        drop(ours);
        let error = match sys::watch_this_process(&calls, libc::SYS_sendto) {
            Ok(listener) => match pass::send(&theirs, &[0], listener.as_fd()) {
                Ok(_) => {
                    // The listener is closed when the program is executed, like all that is not inherited.
                    let error = Command::new(&program).args(arguments).exec();
                    format!("could not start `{}`: {error}", program.display())
                }
                Err(error) => format!("could not pass the listener on: {error}"),
            },
            Err(error) => format!("could not watch system calls (seccomp): {error}"),
        };
        drop(writeln!(io::stderr(), "mikado: {error}"));
        sys::exit_now(126);
    };
    // A request to end is for the program; this one ends after it.
    sys::settle_signals();
    drop(theirs);
    let (_, listener) = pass::receive(&ours, &mut [0])?;
    let mut tracer = Tracer {
        record,
        known: BTreeSet::new(),
    };
    // The exit code, and until when what is left is still watched.
    let mut ended: Option<(i32, Instant)> = None;
    loop {
        let heard = match &listener {
            Some(listener) => sys::hear(listener.as_fd(), Duration::from_millis(50)),
            None => Heard::Nobody,
        };
        match (heard, &listener) {
            (Heard::Notice(notice), Some(listener)) => tracer.take(&notice, listener.as_fd()),
            (Heard::Nobody, _) if ended.is_some() => break,
            // The program is about to end, or was never watched.
            (Heard::Nobody, _) => drop(sys::wait_readable([None], Some(Duration::ZERO))),
            _ => {}
        }
        if let Waited::Ended(program) = sys::wait_any()
            && program.pid == child
        {
            let code = program.status.unwrap_or_else(|signal| 128 + signal);
            ended = Some((code, Instant::now() + AFTERWARDS));
        }
        if ended.is_some_and(|(_, until)| Instant::now() >= until) {
            break;
        }
    }
    let code = ended.map_or(1, |(code, _)| code);
    Ok(u8::try_from(code).unwrap_or(1))
}

/// What has been recorded.
struct Tracer {
    record: File,
    known: BTreeSet<(Deed, PathBuf)>,
}

impl Tracer {
    /// Writes down what a call does, and lets it go on.
    fn take(&mut self, notice: &Notice, listener: BorrowedFd<'_>) {
        let deeds = self.deeds(notice);
        if sys::still_waits(listener, notice) {
            self.note(deeds);
        }
        sys::let_go_on(listener, notice);
    }

    fn note(&mut self, deeds: Vec<(Deed, PathBuf)>) {
        for (deed, path) in deeds {
            if self.known.contains(&(deed, path.clone())) {
                continue;
            }
            let mut entry = vec![deed.letter()];
            entry.extend(path.as_os_str().as_bytes());
            entry.push(0);
            // What can't be written down is missing in the record, and nothing else.
            drop(self.record.write_all(&entry));
            self.known.insert((deed, path));
        }
    }

    fn deeds(&self, notice: &Notice) -> Vec<(Deed, PathBuf)> {
        let thread = Thread(notice.thread);
        let [_, second, third, _, fifth, sixth] = notice.arguments;
        match notice.number {
            libc::SYS_connect => thread.address(second, third, Deed::Connect),
            libc::SYS_bind => thread.address(second, third, Deed::Listen),
            libc::SYS_sendto => thread.address(fifth, sixth, Deed::Connect),
            number => {
                let of_call = ARGUMENTS.iter().filter(|argument| argument.call == number);
                of_call
                    .flat_map(|argument| thread.deeds(argument, &notice.arguments))
                    .collect()
            }
        }
    }
}

/// A thread that waits in a system call.
struct Thread(u32);

impl Thread {
    fn proc(&self, name: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/{name}", self.0))
    }

    /// Some bytes of its memory; fewer, where no more can be read.
    fn memory(&self, at: u64, length: usize) -> Option<Vec<u8>> {
        let mut bytes = vec![0; length];
        // Opened each time: after an execution its memory is another one.
        let read = File::open(self.proc("mem")).ok()?.read_at(&mut bytes, at);
        bytes.truncate(read.ok()?);
        Some(bytes)
    }

    /// The path that an argument gives, absolute, links and all.
    fn path(&self, folder: Option<u64>, text: u64) -> Option<PathBuf> {
        let bytes = self.memory(text, LONGEST)?;
        let end = bytes.iter().position(|byte| *byte == 0)?;
        let path = Path::new(OsStr::from_bytes(&bytes[..end]));
        if path.is_absolute() {
            return Some(path.to_owned());
        }
        let folder = match folder.map(|folder| folder as i32) {
            None | Some(libc::AT_FDCWD) => self.proc("cwd"),
            Some(number) => self.proc(&format!("fd/{number}")),
        };
        Some(folder.read_link().ok()?.join(path))
    }

    fn deeds(&self, argument: &Argument, arguments: &[u64; 6]) -> Vec<(Deed, PathBuf)> {
        let folder = argument.folder.map(|folder| arguments[folder]);
        let Some(path) = self.path(folder, arguments[argument.path]) else {
            return Vec::new();
        };
        // Everything there is allowed, or speaks of open descriptors.
        if [
            "/proc",
            "/dev/fd",
            "/dev/stdin",
            "/dev/stdout",
            "/dev/stderr",
        ]
        .iter()
        .any(|open| path.starts_with(open))
        {
            return Vec::new();
        }
        let flags = match argument.act {
            Act::Open(at) => Some(arguments[at] as i32),
            Act::OpenHow(at) => self
                .memory(arguments[at], 8)
                .and_then(|bytes| Some(u64::from_ne_bytes(bytes.try_into().ok()?) as i32)),
            _ => None,
        };
        match argument.act {
            Act::Open(_) | Act::OpenHow(_) => opened(&path, flags.unwrap_or(libc::O_RDONLY)),
            Act::Execute => executed(&path),
            Act::Make if std::fs::symlink_metadata(&path).is_ok() => Vec::new(),
            Act::Make => one(Deed::Write, entry(&path)),
            Act::Remove if std::fs::symlink_metadata(&path).is_err() => Vec::new(),
            Act::Remove => one(Deed::Write, entry(&path)),
        }
    }

    /// Who is connected or listened to.
    fn address(&self, at: u64, length: u64, deed: Deed) -> Vec<(Deed, PathBuf)> {
        let length = usize::try_from(length).unwrap_or(0).min(128);
        let Some(bytes) = self.memory(at, length) else {
            return Vec::new();
        };
        let Some((family, rest)) = bytes.split_first_chunk::<2>() else {
            return Vec::new();
        };
        let port = |rest: &[u8]| Some(u16::from_be_bytes(rest.get(..2)?.try_into().ok()?));
        let address = match i32::from(u16::from_ne_bytes(*family)) {
            libc::AF_INET => rest.get(2..6).and_then(|bytes| {
                let bytes: [u8; 4] = bytes.try_into().ok()?;
                Some(SocketAddr::new(
                    IpAddr::V4(Ipv4Addr::from(bytes)),
                    port(rest)?,
                ))
            }),
            libc::AF_INET6 => rest.get(6..22).and_then(|bytes| {
                let bytes: [u8; 16] = bytes.try_into().ok()?;
                Some(SocketAddr::new(
                    IpAddr::V6(Ipv6Addr::from(bytes)),
                    port(rest)?,
                ))
            }),
            libc::AF_UNIX => return self.socket(rest, deed),
            _ => None,
        };
        // glibc connects to port 0 to learn which of its own addresses would be used; nothing is sent.
        let address = address.filter(|address| address.port() != 0 || deed == Deed::Listen);
        one(deed, address.map(|address| address.to_string().into()))
    }

    /// A socket on disk; an abstract one begins with a null byte, and an unnamed one has no path.
    fn socket(&self, path: &[u8], deed: Deed) -> Vec<(Deed, PathBuf)> {
        let end = path.iter().position(|byte| *byte == 0);
        let path = Path::new(OsStr::from_bytes(&path[..end.unwrap_or(path.len())]));
        if path.as_os_str().is_empty() {
            return Vec::new();
        }
        let Some(folder) = self.proc("cwd").read_link().ok() else {
            return Vec::new();
        };
        let path = folder.join(path);
        match deed {
            Deed::Listen => one(Deed::Write, entry(&path)),
            _ => one(Deed::Talk, path.canonicalize().ok()),
        }
    }
}

fn one(deed: Deed, path: Option<PathBuf>) -> Vec<(Deed, PathBuf)> {
    path.map(|path| (deed, path)).into_iter().collect()
}

/// The real path of an entry of a folder: the entry itself is not followed.
fn entry(path: &Path) -> Option<PathBuf> {
    let folder = path.parent()?.canonicalize().ok()?;
    Some(folder.join(path.file_name()?))
}

fn opened(path: &Path, flags: i32) -> Vec<(Deed, PathBuf)> {
    let has = |flag: i32| flags & flag != 0;
    if has(libc::O_PATH) {
        return Vec::new();
    }
    let writes = flags & libc::O_ACCMODE != libc::O_RDONLY || has(libc::O_TRUNC);
    match path.canonicalize() {
        Ok(real) => {
            let deed = match (writes, real.is_dir()) {
                // With O_TMPFILE a folder is written to.
                (true, _) => Deed::Write,
                (false, true) => Deed::List,
                (false, false) => Deed::Read,
            };
            one(deed, Some(real))
        }
        Err(_) if has(libc::O_CREAT) => one(Deed::Write, entry(path)),
        Err(_) if writes => Vec::new(),
        Err(_) => one(Deed::Miss, Some(path.to_owned())),
    }
}

/// A program, and the interpreter that its first line names.
fn executed(path: &Path) -> Vec<(Deed, PathBuf)> {
    let Ok(real) = path.canonicalize() else {
        return Vec::new();
    };
    let mut first = [0; 256];
    let read = File::open(&real).and_then(|mut file| file.read(&mut first));
    let line = first[..read.unwrap_or(0)].strip_prefix(b"#!");
    let word = line.and_then(|line| {
        let line = line.trim_ascii_start();
        line.split(|byte| byte.is_ascii_whitespace()).next()
    });
    let interpreter = word.and_then(|word| Path::new(OsStr::from_bytes(word)).canonicalize().ok());
    let mut deeds = one(Deed::Execute, Some(real));
    deeds.extend(interpreter.map(|path| (Deed::Execute, path)));
    deeds
}
