//! A reaper: it starts one execution at a time, and answers when nothing of
//! it is left.
//!
//! The keeper forks one for each execution that runs at once, and the engine
//! uses them again and again, so a reaper costs an execution nothing. It is a
//! child subreaper: see `family` for why all that it finds below itself belongs
//! to its execution. The execution's output goes through a pipe and the
//! reaper into the log (`output`), not straight into the file: a program that
//! opens `/dev/stderr` anew would cut the file, and secrets are masked here.
//!
//! The rule for what the leader leaves behind: while a process still holds the
//! output, it has `SETTLE` to end by itself (a `tee` that writes its last
//! lines); without output, or after that, all is killed. After a request to
//! terminate they have until the request to kill. When the engine or the keeper is gone all is killed at once.
//! What can't be killed (a process of another user, or one that hangs in the
//! kernel) is given up after `GIVE_UP`; the reaper takes nothing new then.

use std::cell::OnceCell;
use std::ffi::CString;
use std::io::{self, ErrorKind, PipeReader, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::time::{Duration, Instant};

use rustix::fs::{OFlags, fcntl_setfl};
use rustix::process::{Pid, Signal, kill_process_group};

use super::outcome::Stage;
use super::output::{Log, number};
use super::rules::Rules;
use super::spaces::Ways;
use super::sys::{self, Base, Plan, Stack, Waited};
use super::wire::{Ending, Finished, Request, Start, read_body};
use super::{family, pass, spaces};

const SETTLE: Duration = Duration::from_secs(1);
const GIVE_UP: Duration = Duration::from_secs(5);

/// A pipe that has a byte whenever a child has ended.
pub(super) struct EndedChildren(
    PipeReader,
    #[expect(dead_code, reason = "the handler writes to it")] OwnedFd,
);

impl EndedChildren {
    /// From now on this process is told here.
    pub(super) fn watch() -> io::Result<EndedChildren> {
        let (read, write) = io::pipe()?;
        fcntl_setfl(&read, OFlags::NONBLOCK)?;
        fcntl_setfl(&write, OFlags::NONBLOCK)?;
        sys::tell_ended_children(write.as_fd());
        Ok(EndedChildren(read, write.into()))
    }

    /// Takes what was told. Children must be waited for after this, not before.
    pub(super) fn clear(&mut self) {
        while self.0.read(&mut [0; 64]).is_ok_and(|count| count == 64) {}
    }
}

impl AsFd for EndedChildren {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Serves the engine on `socket` until it closes, or `keeper` does: then its keeper is gone.
pub(super) fn serve(socket: &UnixStream, keeper: &PipeReader) -> io::Result<()> {
    let mut ended = EndedChildren::watch()?;
    let mut tools = Tools {
        stack: Stack::new(),
        rules: OnceCell::new(),
        ways: Ways::default(),
        bases: Default::default(),
    };
    loop {
        let [_, is_lost] = sys::wait_readable([Some(socket.as_fd()), Some(keeper.as_fd())], None);
        if is_lost {
            return Ok(());
        }
        let mut header = [0; 4];
        let (count, output) = pass::receive(socket, &mut header)?;
        if count == 0 {
            return Ok(());
        }
        let request = Request::decode(&read_body(socket, header, count)?)?;
        // A request to stop may come when the execution is over already.
        let Request::Start(start) = request else {
            continue;
        };
        let output = output.ok_or(ErrorKind::InvalidData)?;
        let finished = match Run::start(socket, keeper, &mut ended, &mut tools, &start, output) {
            Ok(run) => match run.watch() {
                Some(finished) => finished,
                // No answer says that the execution was lost.
                None => return Ok(()),
            },
            Err((stage, error)) => Finished::not_started(stage, error, true),
        };
        // The engine may be gone; the next receive tells.
        let _ = (&mut &*socket).write_all(&finished.encode());
        if !finished.reusable {
            while family::kill_children(&[]) {
                sys::wait_readable([Some(ended.as_fd())], Some(GIVE_UP));
                ended.clear();
                while matches!(sys::wait_any(), Waited::Ended(_)) {}
            }
            return Ok(());
        }
    }
}

/// What a reaper keeps from one execution to the next.
struct Tools {
    stack: Stack,
    /// Made for the first execution that is isolated.
    rules: OnceCell<Rules>,
    ways: Ways,
    /// Made for the first execution that has namespaces: one without a network, and one with.
    bases: [OnceCell<Option<Rc<Base>>>; 2],
}

/// What is being waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The leader's end.
    Running,
    /// The end of what the leader left, by itself.
    Settling(Instant),
    /// The end of everything, after it was asked.
    Terminating,
    /// The end of everything, after it was killed.
    Killing(Instant),
}

impl Phase {
    fn is_killing(self) -> bool {
        matches!(self, Phase::Killing(_))
    }
}

/// One execution.
struct Run<'a> {
    socket: &'a UnixStream,
    keeper: &'a PipeReader,
    ended: &'a mut EndedChildren,
    log: Log,
    /// Until it has ended.
    leader: Option<Pid>,
    phase: Phase,
    began: Instant,
    finished: Finished,
    /// Whether the engine asked for its end.
    asked: bool,
    engine_gone: bool,
    keeper_gone: bool,
}

impl<'a> Run<'a> {
    fn start(
        socket: &'a UnixStream,
        keeper: &'a PipeReader,
        ended: &'a mut EndedChildren,
        tools: &mut Tools,
        start: &Start,
        output: OwnedFd,
    ) -> Result<Run<'a>, (Stage, i32)> {
        let (log, input) =
            Log::new(output, &start.mask).map_err(|error| (Stage::Output, number(&error)))?;
        let ruleset = match &start.isolation {
            None => None,
            Some(isolation) => tools
                .rules
                .get_or_init(Rules::new)
                .ruleset(isolation)
                .map_err(|error| (Stage::Isolate, error.0))?,
        };
        let spaces = start.isolation.as_ref().and_then(|isolation| {
            let spaces = isolation.spaces.as_ref()?;
            let mut namespaces = spaces::lay_out(isolation, spaces, &mut tools.ways);
            let base = &tools.bases[usize::from(spaces.network)];
            namespaces.join(
                base.get_or_init(|| Base::make(spaces.network).map(Rc::new))
                    .clone(),
            );
            Some((spaces.required, namespaces))
        });
        let began = Instant::now();
        let mut plan = Plan {
            programs: &candidates(start),
            argv: &start.argv,
            env: &start.env,
            cwd: &start.cwd,
            output: input.as_fd(),
            ruleset: ruleset.as_ref().map(AsFd::as_fd),
            namespaces: spaces.as_ref().map(|(_, namespaces)| namespaces),
            confined: start.isolation.is_some(),
        };
        let mut without_spaces = false;
        let leader = match (sys::spawn(&plan, &mut tools.stack), &spaces) {
            // A limit may be reached now that was not when it was tried.
            (Err((Stage::Separate, _)), Some((false, _))) => {
                without_spaces = true;
                plan.namespaces = None;
                sys::spawn(&plan, &mut tools.stack)?
            }
            (leader, _) => leader?,
        };
        Ok(Run {
            socket,
            keeper,
            ended,
            log,
            leader: Some(leader),
            phase: Phase::Running,
            began,
            finished: Finished {
                // What is said of a leader that could not be killed.
                ending: Ending::Signal(libc::SIGKILL),
                wall: Duration::ZERO,
                cpu: Duration::ZERO,
                max_rss: 0,
                strays: 0,
                output_error: 0,
                reusable: true,
                without_spaces,
            },
            asked: false,
            engine_gone: false,
            keeper_gone: false,
        })
    }

    /// Watches it to its end; `None` where the keeper went first.
    fn watch(mut self) -> Option<Finished> {
        while self.reap() {
            self.advance();
            if !self.finished.reusable {
                break;
            }
            self.wait();
        }
        self.log.drain();
        self.finished.output_error = self.log.error;
        (!self.keeper_gone).then_some(self.finished)
    }

    /// Takes all that has ended; says whether there is a child left.
    fn reap(&mut self) -> bool {
        loop {
            let ended = match sys::wait_any() {
                Waited::Childless => return false,
                Waited::Running => return true,
                Waited::Ended(ended) => ended,
            };
            self.finished.cpu += ended.cpu;
            self.finished.max_rss = self.finished.max_rss.max(ended.max_rss);
            if Some(ended.pid) == self.leader {
                self.leader = None;
                // Without subreapers nothing else is found below this process.
                #[cfg(not(target_os = "linux"))]
                let _ = kill_process_group(ended.pid, Signal::KILL);
                self.finished.wall = self.began.elapsed();
                self.finished.ending = match ended.status {
                    Ok(code) => Ending::Code(code),
                    Err(signal) => Ending::Signal(signal),
                };
            } else if self.phase.is_killing() && !self.asked && ended.status == Err(libc::SIGKILL) {
                self.finished.strays += 1;
            }
        }
    }

    /// Goes to the next phase if it is time.
    fn advance(&mut self) {
        let now = Instant::now();
        if self.phase == Phase::Running && self.leader.is_none() {
            self.phase = Phase::Settling(now + SETTLE);
        }
        if let Phase::Settling(until) = self.phase
            && (now >= until || self.log.pipe().is_none())
        {
            self.phase = Phase::Killing(now + GIVE_UP);
        }
        if let Phase::Killing(until) = self.phase {
            if let Some(leader) = self.leader {
                let _ = kill_process_group(leader, Signal::KILL);
            }
            family::kill_children(&[]);
            if now >= until {
                self.finished.reusable = false;
            }
        }
    }

    fn wait(&mut self) {
        let timeout = match self.phase {
            Phase::Running | Phase::Terminating => None,
            Phase::Settling(until) => Some(until.saturating_duration_since(Instant::now())),
            // What was a grandchild may be a child by then.
            Phase::Killing(_) => Some(Duration::from_millis(10)),
        };
        let socket = (!self.engine_gone).then_some(self.socket.as_fd());
        let keeper = (!self.keeper_gone).then_some(self.keeper.as_fd());
        let [ended, request, output, is_lost] = sys::wait_readable(
            [Some(self.ended.as_fd()), socket, self.log.pipe(), keeper],
            timeout,
        );
        if output {
            self.log.take();
        }
        if ended {
            self.ended.clear();
        }
        if request {
            self.obey();
        }
        if is_lost {
            self.keeper_gone = true;
            self.asked = true;
            self.phase = Phase::Killing(Instant::now() + GIVE_UP);
        }
    }

    fn obey(&mut self) {
        let request = read_body(self.socket, [0; 4], 0).and_then(|body| Request::decode(&body));
        self.asked = true;
        match request {
            Ok(Request::Terminate) => {
                if !self.phase.is_killing() {
                    self.phase = Phase::Terminating;
                }
                family::terminate(self.leader);
            }
            Ok(Request::Kill) => self.phase = Phase::Killing(Instant::now() + GIVE_UP),
            Ok(Request::Start(_)) | Err(_) => {
                self.engine_gone = true;
                self.phase = Phase::Killing(Instant::now() + GIVE_UP);
            }
        }
    }
}

/// The paths that may be the program: itself if it has a slash, else its name in each folder of the `PATH` that
/// the execution is given (execvp(3)).
fn candidates(start: &Start) -> Vec<CString> {
    let Some(program) = start.argv.first() else {
        return Vec::new();
    };
    let name = program.as_bytes();
    if name.contains(&b'/') {
        return vec![program.clone()];
    }
    let path = start
        .env
        .iter()
        .find_map(|entry| entry.as_bytes().strip_prefix(b"PATH="))
        .unwrap_or_default();
    path.split(|byte| *byte == b':')
        .filter(|folder| !folder.is_empty() && !name.is_empty())
        .filter_map(|folder| CString::new([folder, b"/", name].concat()).ok())
        .collect()
}
