//! The keeper: `mikado` again, small, with one thread, which the engine
//! starts once (`mikado __keeper`) and which starts everything else.
//!
//! The engine passes it one socket for each reaper that it wants, over the
//! socket that is the keeper's standard input; the keeper forks the reaper,
//! and engine and reaper speak directly from then on. The keeper is a child
//! subreaper as well: when a reaper is killed, what it watched becomes the
//! keeper's, and whatever the keeper has that is no reaper, it kills.
//!
//! When the engine is gone, however, every socket closes: each reaper kills
//! its execution, and the keeper waits for them, kills what is left, and ends.
//! When the keeper alone is killed, each reaper sees a pipe close that the keeper
//! held, kills its execution, and is gone: the engine hears that it was lost. The keeper takes a session and a name of its own (`keeper` in the
//! process table), so neither a terminal's Ctrl-C nor a `killall -9 mikado`
//! reaches it before it has cleaned up.

use std::io::{self, PipeReader, PipeWriter};
use std::net::Shutdown;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags};
use rustix::io::fcntl_dupfd_cloexec;
use rustix::process::Pid;

use super::outcome::Stage;
use super::reaper::{self, EndedChildren};
use super::sys::{self, Waited};
use super::wire::Finished;
use super::{deed, enter, family, kernel, pass, tracer};

/// The hidden argument that makes `mikado` a keeper.
pub const ARGUMENT: &str = "__keeper";

/// How long reapers have to end when the engine is gone.
const FAREWELL: Duration = Duration::from_secs(10);

/// Runs this process as the keeper, or, with `probe` as its argument, says what the kernel grants an unprivileged
/// process. It returns its exit code. Call it before anything else has been set up: it closes what is open.
pub fn main(mut arguments: impl Iterator<Item = std::ffi::OsString>) -> u8 {
    let result = match arguments.next() {
        Some(probe) if probe == kernel::PROBE => kernel::answer_probe(),
        Some(word) if word == enter::ENTER => return tell(enter::enter(arguments).map(|()| 0)),
        Some(word) if word == deed::TRACE => return tell(tracer::trace(arguments)),
        _ => keep(),
    };
    u8::from(result.is_err())
}

/// Tells the user why a program was not started; returns the exit code, as a shell has it.
fn tell(ended: io::Result<u8>) -> u8 {
    let error = match ended {
        Ok(code) => return code,
        Err(error) => error,
    };
    // Nobody listens: then nobody is told.
    drop(io::Write::write_all(
        &mut io::stderr(),
        format!("error: {error}\n").as_bytes(),
    ));
    match error.kind() {
        io::ErrorKind::NotFound => 127,
        _ => 126,
    }
}

fn keep() -> io::Result<()> {
    let control = settle()?;
    let (life, alive) = io::pipe()?;
    let mut keeper = Keeper {
        life,
        alive: Some(alive),
        ended: EndedChildren::watch()?,
        control: Some(control),
        reapers: Vec::new(),
        strays: false,
        until: None,
    };
    while keeper.step()? {}
    Ok(())
}

/// Leaves the engine's surroundings, and takes the socket away from standard input.
fn settle() -> io::Result<UnixStream> {
    sys::close_from(3);
    let control = fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3)?;
    let null = rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
    rustix::stdio::dup2_stdin(&null)?;
    rustix::stdio::dup2_stdout(&null)?;
    rustix::stdio::dup2_stderr(&null)?;
    sys::settle_signals();
    // It fails for the leader of a group, which a keeper never is.
    let _ = rustix::process::setsid();
    rustix::process::chdir("/")?;
    become_subreaper(c"keeper");
    Ok(control.into())
}

fn become_subreaper(name: &std::ffi::CStr) {
    #[cfg(target_os = "linux")]
    {
        let _ = rustix::process::set_child_subreaper(Some(rustix::process::getpid()));
        let _ = rustix::thread::set_name(name);
    }
    #[cfg(not(target_os = "linux"))]
    let _ = name;
}

/// A reaper, and its end of the socket to the engine: closed here when the reaper is gone, so that the engine hears
/// of that, and shut when the engine lets go of the keeper.
struct Reaper {
    pid: Pid,
    socket: UnixStream,
}

struct Keeper {
    /// Closes when the keeper is gone, since it alone holds the other end.
    life: PipeReader,
    alive: Option<PipeWriter>,
    ended: EndedChildren,
    /// Until the engine is gone.
    control: Option<UnixStream>,
    reapers: Vec<Reaper>,
    /// Whether there may be children that are no reapers.
    strays: bool,
    /// When to stop waiting, once the engine is gone.
    until: Option<Instant>,
}

impl Keeper {
    /// Waits for one thing and does it; false when nothing is left to be done.
    fn step(&mut self) -> io::Result<bool> {
        let timeout = match self.until {
            _ if self.strays => Some(Duration::from_millis(10)),
            Some(until) => Some(until.saturating_duration_since(Instant::now())),
            None => None,
        };
        let [ended, request] = sys::wait_readable(
            [
                Some(self.ended.as_fd()),
                self.control.as_ref().map(AsFd::as_fd),
            ],
            timeout,
        );
        if request && let Some(control) = &self.control {
            match pass::receive(control, &mut [0]) {
                Ok((1.., Some(socket))) => self.fork_reaper(socket),
                // A socket that found no room here is closed, which tells the engine.
                Ok((1.., None)) => {}
                Err(error) if error.raw_os_error() == Some(libc::EMFILE) => {}
                _ => self.take_leave(),
            }
        }
        if ended {
            self.ended.clear();
        }
        let mut childless = false;
        loop {
            match sys::wait_any() {
                Waited::Running => break,
                Waited::Childless => {
                    childless = true;
                    break;
                }
                Waited::Ended(ended) => {
                    self.reapers.retain(|reaper| reaper.pid != ended.pid);
                    self.strays |= ended.status != Ok(0);
                }
            }
        }
        if self.strays {
            let spared: Vec<Pid> = self.reapers.iter().map(|reaper| reaper.pid).collect();
            self.strays = family::kill_children(&spared);
        }
        Ok(match self.until {
            None => true,
            Some(until) => !childless && Instant::now() < until,
        })
    }

    fn take_leave(&mut self) {
        self.control = None;
        self.until = Some(Instant::now() + FAREWELL);
        for reaper in &self.reapers {
            let _ = reaper.socket.shutdown(Shutdown::Both);
        }
    }

    fn fork_reaper(&mut self, socket: OwnedFd) {
        let socket = UnixStream::from(socket);
        match sys::fork() {
            Ok(None) => {
                self.control = None;
                self.alive = None;
                self.reapers.clear();
                become_subreaper(c"keeper: reaper");
                sys::exit_now(i32::from(reaper::serve(&socket, &self.life).is_err()));
            }
            Ok(Some(pid)) => self.reapers.push(Reaper { pid, socket }),
            Err(error) => {
                let error = error.raw_os_error().unwrap_or(libc::EAGAIN);
                let answer = Finished::not_started(Stage::Fork, error, false).encode();
                let _ = io::Write::write_all(&mut &socket, &answer);
            }
        }
    }
}
