//! What the engine and a reaper say to each other: frames on a Unix stream
//! socket, each a length (4 bytes, little-endian) and a body.
//!
//! One socket serves one execution at a time, so no frame carries an id. A
//! `Start` travels with one descriptor, the execution's log. Both ends are
//! the same binary, so there is no version; a frame that can't be read is
//! still an error and never a panic.

use std::ffi::{CString, OsStr, OsString};
use std::io::{self, Read};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;
use std::time::Duration;

use super::isolation::{Isolation, Spaces};
use super::outcome::Stage;

/// The longest body that is accepted: far above what the kernel lets an
/// argument list and an environment have.
const LONGEST: usize = 64 << 20;

/// One execution, as the reaper needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Start {
    /// The program (a path, or a name to be found on the `PATH` of `env`) and its arguments.
    pub(super) argv: Vec<CString>,
    /// The whole environment, each entry `NAME=VALUE`.
    pub(super) env: Vec<CString>,
    /// The absolute working directory.
    pub(super) cwd: CString,
    /// What it may read and write; `None` leaves it free.
    pub(super) isolation: Option<Isolation>,
    /// What never reaches the log.
    pub(super) mask: Vec<Vec<u8>>,
}

/// What the engine asks of a reaper.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Request {
    /// Start this.
    Start(Box<Start>),
    /// Send SIGTERM to all of it.
    Terminate,
    /// Kill all of it.
    Kill,
}

/// How the leader of an execution ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// It exited.
    Code(i32),
    /// A signal killed it.
    Signal(i32),
    /// It was never started: where that failed, and the error number.
    NotStarted(Stage, i32),
}

/// The answer to a `Start`, sent when nothing of the execution is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Finished {
    /// How the leader ended.
    pub(super) ending: Ending,
    /// From the start to the leader's end.
    pub(super) wall: Duration,
    /// User and system time of the leader, its descendants and its orphans.
    pub(super) cpu: Duration,
    /// The largest resident set of one process, in bytes.
    pub(super) max_rss: u64,
    /// How many processes outlived the leader and were killed.
    pub(super) strays: u32,
    /// The error number of the first write to the log that failed, or 0.
    pub(super) output_error: i32,
    /// Whether the reaper is clean, and takes another execution.
    pub(super) reusable: bool,
    /// Whether it ran without the namespaces that it was to have.
    pub(super) without_spaces: bool,
}

impl Request {
    /// The frame, with its length.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut frame = Frame::new();
        match self {
            Request::Start(start) => {
                frame.byte(1);
                frame.list(start.argv.iter().map(|text| text.as_bytes()));
                frame.list(start.env.iter().map(|text| text.as_bytes()));
                frame.bytes(start.cwd.as_bytes());
                frame.byte(start.isolation.is_some().into());
                if let Some(isolation) = &start.isolation {
                    for paths in [&isolation.read, &isolation.write, &isolation.sockets] {
                        frame.paths(paths);
                    }
                    frame.byte(isolation.network.into());
                    frame.byte(isolation.without_landlock.into());
                    frame.byte(isolation.spaces.is_some().into());
                    if let Some(spaces) = &isolation.spaces {
                        frame.spaces(spaces);
                    }
                }
                frame.list(start.mask.iter().map(Vec::as_slice));
            }
            Request::Terminate => frame.byte(2),
            Request::Kill => frame.byte(3),
        }
        frame.finish()
    }

    /// Reads a body.
    pub(super) fn decode(body: &[u8]) -> io::Result<Request> {
        let mut body = Body(body);
        let request = match body.byte()? {
            1 => Request::Start(Box::new(Start {
                argv: body.list(text)?,
                env: body.list(text)?,
                cwd: text(body.bytes()?)?,
                isolation: match body.byte()? {
                    0 => None,
                    _ => Some(Isolation {
                        read: body.list(path)?,
                        write: body.list(path)?,
                        sockets: body.list(path)?,
                        network: body.byte()? != 0,
                        without_landlock: body.byte()? != 0,
                        spaces: match body.byte()? {
                            0 => None,
                            _ => Some(body.spaces()?),
                        },
                    }),
                },
                mask: body.list(|bytes| Ok(bytes.to_vec()))?,
            })),
            2 => Request::Terminate,
            3 => Request::Kill,
            _ => return Err(malformed()),
        };
        body.end()?;
        Ok(request)
    }
}

impl Finished {
    /// The answer for an execution that never began.
    pub(super) fn not_started(stage: Stage, error: i32, reusable: bool) -> Finished {
        Finished {
            ending: Ending::NotStarted(stage, error),
            wall: Duration::ZERO,
            cpu: Duration::ZERO,
            max_rss: 0,
            strays: 0,
            output_error: 0,
            reusable,
            without_spaces: false,
        }
    }

    /// The frame, with its length.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut frame = Frame::new();
        let (kind, number, error) = match self.ending {
            Ending::Code(code) => (1, code, 0),
            Ending::Signal(signal) => (2, signal, 0),
            Ending::NotStarted(stage, error) => (3, stage.number(), error),
        };
        frame.byte(kind);
        frame.number(number);
        frame.number(error);
        frame.long(micros(self.wall));
        frame.long(micros(self.cpu));
        frame.long(self.max_rss);
        frame.long(self.strays.into());
        frame.number(self.output_error);
        frame.byte(self.reusable.into());
        frame.byte(self.without_spaces.into());
        frame.finish()
    }

    /// Reads a body.
    pub(super) fn decode(body: &[u8]) -> io::Result<Finished> {
        let mut body = Body(body);
        let (kind, number, error) = (body.byte()?, body.number()?, body.number()?);
        let finished = Finished {
            ending: match kind {
                1 => Ending::Code(number),
                2 => Ending::Signal(number),
                3 => Ending::NotStarted(Stage::from_number(number).ok_or_else(malformed)?, error),
                _ => return Err(malformed()),
            },
            wall: Duration::from_micros(body.long()?),
            cpu: Duration::from_micros(body.long()?),
            max_rss: body.long()?,
            strays: u32::try_from(body.long()?).map_err(|_| malformed())?,
            output_error: body.number()?,
            reusable: body.byte()? != 0,
            without_spaces: body.byte()? != 0,
        };
        body.end()?;
        Ok(finished)
    }
}

/// The length of the body that these 4 bytes announce.
pub(super) fn body_length(header: [u8; 4]) -> io::Result<usize> {
    match u32::from_le_bytes(header) as usize {
        length if length <= LONGEST => Ok(length),
        _ => Err(malformed()),
    }
}

/// Reads one body from a blocking stream whose first `done` bytes (at most 4) are in `header` already.
pub(super) fn read_body(
    mut stream: impl Read,
    mut header: [u8; 4],
    done: usize,
) -> io::Result<Vec<u8>> {
    stream.read_exact(&mut header[done..])?;
    let mut body = vec![0; body_length(header)?];
    stream.read_exact(&mut body)?;
    Ok(body)
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

fn malformed() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        "malformed frame between `mikado` and its keeper",
    )
}

fn text(bytes: &[u8]) -> io::Result<CString> {
    CString::new(bytes).map_err(|_| malformed())
}

fn path(bytes: &[u8]) -> io::Result<PathBuf> {
    Ok(PathBuf::from(OsString::from_vec(bytes.to_vec())))
}

/// `text` as the system wants it: an error names it when it holds a NUL.
pub(super) fn system_text(text: &OsStr) -> io::Result<CString> {
    CString::new(text.as_bytes()).map_err(|_| {
        let shown = text.to_string_lossy().replace('\0', "\\0");
        io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("`{shown}` holds a NUL byte"),
        )
    })
}

struct Frame(Vec<u8>);

impl Frame {
    fn new() -> Frame {
        Frame(vec![0; 4])
    }

    fn byte(&mut self, byte: u8) {
        self.0.push(byte);
    }

    fn number(&mut self, number: i32) {
        self.0.extend(number.to_le_bytes());
    }

    fn long(&mut self, number: u64) {
        self.0.extend(number.to_le_bytes());
    }

    fn length(&mut self, length: usize) {
        // A body over `LONGEST` is refused by the reader, so saturating is enough.
        self.0
            .extend(u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes());
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.length(bytes.len());
        self.0.extend(bytes);
    }

    fn list<'a>(&mut self, items: impl ExactSizeIterator<Item = &'a [u8]>) {
        self.length(items.len());
        items.for_each(|item| self.bytes(item));
    }

    fn paths(&mut self, paths: &[PathBuf]) {
        self.list(paths.iter().map(|path| path.as_os_str().as_bytes()));
    }

    fn spaces(&mut self, spaces: &Spaces) {
        self.paths(&spaces.hidden);
        self.paths(&spaces.seen);
        self.paths(spaces.tmp.as_slice());
        let (folders, places): (Vec<_>, Vec<_>) = spaces.moved.iter().cloned().unzip();
        self.paths(&folders);
        self.paths(&places);
        self.byte(spaces.network.into());
        self.byte(spaces.required.into());
    }

    fn finish(mut self) -> Vec<u8> {
        let length = u32::try_from(self.0.len() - 4).unwrap_or(u32::MAX);
        self.0[..4].copy_from_slice(&length.to_le_bytes());
        self.0
    }
}

struct Body<'a>(&'a [u8]);

impl<'a> Body<'a> {
    fn take(&mut self, length: usize) -> io::Result<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or_else(malformed)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk().ok_or_else(malformed)?;
        self.0 = rest;
        Ok(*taken)
    }

    fn byte(&mut self) -> io::Result<u8> {
        self.array().map(|[byte]| byte)
    }

    fn number(&mut self) -> io::Result<i32> {
        self.array().map(i32::from_le_bytes)
    }

    fn long(&mut self) -> io::Result<u64> {
        self.array().map(u64::from_le_bytes)
    }

    fn bytes(&mut self) -> io::Result<&'a [u8]> {
        let length = u32::from_le_bytes(self.array()?) as usize;
        self.take(length)
    }

    fn list<T>(&mut self, read: impl Fn(&[u8]) -> io::Result<T>) -> io::Result<Vec<T>> {
        let length = u32::from_le_bytes(self.array()?);
        (0..length).map(|_| read(self.bytes()?)).collect()
    }

    fn spaces(&mut self) -> io::Result<Spaces> {
        let (hidden, seen) = (self.list(path)?, self.list(path)?);
        let tmp = self.list(path)?.pop();
        let (folders, places) = (self.list(path)?, self.list(path)?);
        if folders.len() != places.len() {
            return Err(malformed());
        }
        Ok(Spaces {
            hidden,
            seen,
            tmp,
            moved: folders.into_iter().zip(places).collect(),
            network: self.byte()? != 0,
            required: self.byte()? != 0,
        })
    }

    fn end(&self) -> io::Result<()> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(malformed())
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    fn texts() -> impl Strategy<Value = Vec<CString>> {
        vec(
            vec(1..=255u8, 0..20).prop_map(|bytes| CString::new(bytes).unwrap()),
            0..6,
        )
    }

    fn paths() -> impl Strategy<Value = Vec<PathBuf>> {
        vec(
            vec(1..=255u8, 0..20).prop_map(|bytes| PathBuf::from(OsString::from_vec(bytes))),
            0..4,
        )
    }

    fn isolations() -> impl Strategy<Value = Isolation> {
        let spaces = proptest::option::of(spaces());
        (paths(), paths(), paths(), any::<[bool; 2]>(), spaces).prop_map(
            |(read, write, sockets, [network, without_landlock], spaces)| Isolation {
                read,
                write,
                sockets,
                network,
                without_landlock,
                spaces,
            },
        )
    }

    fn spaces() -> impl Strategy<Value = Spaces> {
        (paths(), paths(), paths(), any::<[bool; 2]>()).prop_map(
            |(hidden, seen, moved, [network, required])| Spaces {
                tmp: hidden.first().cloned(),
                moved: moved.iter().cloned().zip(hidden.iter().cloned()).collect(),
                hidden,
                seen,
                network,
                required,
            },
        )
    }

    fn starts() -> impl Strategy<Value = Start> {
        let mask = vec(vec(any::<u8>(), 0..20), 0..4);
        (
            texts(),
            texts(),
            texts(),
            proptest::option::of(isolations()),
            mask,
        )
            .prop_map(|(argv, env, cwd, isolation, mask)| Start {
                argv,
                env,
                cwd: cwd.into_iter().next().unwrap_or_default(),
                isolation,
                mask,
            })
    }

    fn body(frame: &[u8]) -> Vec<u8> {
        read_body(frame, [0; 4], 0).unwrap()
    }

    proptest! {
        #[test]
        fn a_request_is_read_as_it_was_written(start in starts()) {
            for request in [Request::Start(Box::new(start)), Request::Terminate, Request::Kill] {
                prop_assert_eq!(Request::decode(&body(&request.encode())).unwrap(), request);
            }
        }

        #[test]
        fn an_answer_is_read_as_it_was_written(number: i32, micros in 0..u64::MAX / 2, max_rss: u64, strays: u32, reusable: bool) {
            for ending in [Ending::Code(number), Ending::Signal(number), Ending::NotStarted(Stage::Exec, number)] {
                let wall = Duration::from_micros(micros);
                let finished = Finished { ending, wall, cpu: wall / 2, max_rss, strays, output_error: number, reusable, without_spaces: !reusable };
                let finished = Finished { cpu: Duration::from_micros(finished.cpu.as_micros() as u64), ..finished };
                prop_assert_eq!(Finished::decode(&body(&finished.encode())).unwrap(), finished);
            }
        }

        #[test]
        fn any_bytes_are_a_request_or_an_error(bytes in vec(any::<u8>(), 0..200)) {
            let _ = Request::decode(&bytes);
            let _ = Finished::decode(&bytes);
        }

        #[test]
        fn a_cut_request_is_an_error(start in starts(), cut in 1..50usize) {
            let whole = body(&Request::Start(Box::new(start)).encode());
            let cut = whole.len().saturating_sub(cut);
            prop_assert!(Request::decode(&whole[..cut]).is_err());
        }
    }

    #[test]
    fn a_nul_in_an_argument_is_named() {
        let error = system_text(OsStr::new("a\0b")).unwrap_err();
        assert_eq!(error.to_string(), "`a\\0b` holds a NUL byte");
    }
}
