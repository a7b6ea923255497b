//! The engine's side: starts the keeper, asks its reapers for executions, and
//! drives timeouts and cancellation with the runtime's clock.
//!
//! An execution holds one socket to one reaper until it has ended; idle ones
//! are used again, last in, first out. No task runs in the background: a
//! `Running` watches its time only while it is waited for, and one that is
//! dropped closes its socket, which makes the reaper kill the execution.

use std::ffi::OsString;
use std::io;
use std::net::Shutdown;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream as Socket;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::isolation::Isolation;
use super::outcome::{Exit, NotStarted, Outcome, Stage};
use super::wire::{Ending, Finished, Request, Start, body_length, system_text};
use super::{keeper, mask, pass};

/// From SIGTERM to SIGKILL, unless an execution says otherwise.
pub const GRACE: Duration = Duration::from_secs(10);

/// Something to be executed.
#[derive(Debug)]
pub struct Execution {
    /// The program (a path, or a name to be found on the `PATH` of `env`) and its arguments.
    pub argv: Vec<OsString>,
    /// The whole environment: nothing is added.
    pub env: Vec<(OsString, OsString)>,
    /// The absolute path of the working directory.
    pub cwd: PathBuf,
    /// Where standard output and error go, in order: a file that was opened for appending. Standard input is empty.
    pub output: OwnedFd,
    /// What it may touch; `None` leaves it free.
    pub isolation: Option<Isolation>,
    /// Values that appear as `***` in `output`, as they are and in the encodings that programs print.
    pub secrets: Vec<Vec<u8>>,
    /// How long it may run before it is asked to end.
    pub timeout: Option<Duration>,
    /// How long it has from SIGTERM to SIGKILL.
    pub grace: Duration,
}

/// How far a stop has gone; only ever more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stop {
    No,
    /// SIGTERM, and SIGKILL after the grace.
    Asked,
    /// SIGKILL.
    AtOnce,
}

fn stop(sender: &watch::Sender<Stop>, immediately: bool) {
    let wanted = if immediately {
        Stop::AtOnce
    } else {
        Stop::Asked
    };
    sender.send_if_modified(|stop| {
        let more = *stop < wanted;
        *stop = wanted.max(*stop);
        more
    });
}

/// The processes that start and watch executions. Dropping it kills all that they have started, and waits until that
/// is gone: some milliseconds, and ten seconds at most.
#[derive(Debug)]
pub struct Keeper {
    control: Socket,
    idle: Arc<Mutex<Vec<UnixStream>>>,
    stop: watch::Sender<Stop>,
    process: Child,
}

/// The file of this program: by the kernel's own link where there is one, which holds when the file was replaced.
pub(super) fn this_program() -> io::Result<PathBuf> {
    if cfg!(target_os = "linux") {
        Ok("/proc/self/exe".into())
    } else {
        std::env::current_exe()
    }
}

impl Keeper {
    /// Starts the keeper: this program once more. It takes about a millisecond, so it is for the first execution of a
    /// run. It must be called within a runtime with I/O and time.
    ///
    /// # Errors
    /// No process or socket can be made.
    pub fn start() -> io::Result<Keeper> {
        Keeper::start_with(&this_program()?)
    }

    /// The same with another file of the program, for tests.
    ///
    /// # Errors
    /// No process or socket can be made.
    pub fn start_with(program: &Path) -> io::Result<Keeper> {
        let (control, theirs) = Socket::pair()?;
        let process = Command::new(program)
            .arg0("mikado")
            .arg(keeper::ARGUMENT)
            .env_clear()
            .stdin(OwnedFd::from(theirs))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        Ok(Keeper {
            control,
            idle: Arc::default(),
            stop: watch::Sender::new(Stop::No),
            process,
        })
    }

    /// Starts something. What goes wrong is found in the outcome.
    pub async fn execute(&self, execution: Execution) -> Running {
        let deadline = execution.timeout.map(|timeout| Instant::now() + timeout);
        let mut running = Running {
            program: execution.argv.first().cloned().unwrap_or_default().into(),
            cwd: execution.cwd.clone(),
            grace: execution.grace,
            deadline,
            reaper: Err(Exit::Cancelled),
            idle: Arc::clone(&self.idle),
            everything: self.stop.subscribe(),
            this: watch::Sender::new(Stop::No),
        };
        if *self.stop.borrow() == Stop::No {
            running.reaper = match self.ask(execution).await {
                Ok(reaper) => Ok(reaper),
                Err(error) if is_lost(&error) => Err(Exit::KeeperLost),
                Err(error) => Err(running.not_started(Stage::Request, number(&error))),
            };
        }
        running
    }

    async fn ask(&self, execution: Execution) -> io::Result<UnixStream> {
        let (output, request) = (execution.output.as_fd(), request(&execution)?);
        let idle = lock(&self.idle).pop();
        if let Some(reaper) = idle {
            match send(reaper, &request, output).await {
                // This one was killed meanwhile.
                Err(error) if is_lost(&error) => {}
                sent => return sent,
            }
        }
        send(self.reaper()?, &request, output).await
    }

    /// A new reaper. The keeper need not answer: what is sent waits in the socket.
    fn reaper(&self) -> io::Result<UnixStream> {
        let (ours, theirs) = Socket::pair()?;
        pass::send(&self.control, &[0], theirs.as_fd())?;
        ours.set_nonblocking(true)?;
        UnixStream::from_std(ours)
    }

    /// Asks everything that runs to end, or kills it immediately, and refuses to start more.
    pub fn cancel_all(&self, immediately: bool) {
        stop(&self.stop, immediately);
    }

    /// The number of the keeper's process.
    pub fn id(&self) -> u32 {
        self.process.id()
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        // It ends when its socket is closed, and ends all that still runs.
        let _ = self.control.shutdown(Shutdown::Both);
        let _ = self.process.wait();
    }
}

/// An execution that has been started. Dropping it kills the execution.
#[derive(Debug)]
pub struct Running {
    program: PathBuf,
    cwd: PathBuf,
    grace: Duration,
    deadline: Option<Instant>,
    /// The reaper that has it, or why there is none.
    reaper: Result<UnixStream, Exit>,
    idle: Arc<Mutex<Vec<UnixStream>>>,
    everything: watch::Receiver<Stop>,
    this: watch::Sender<Stop>,
}

/// Stops one execution, from another place than the one that waits for it.
#[derive(Debug, Clone)]
pub struct Stopper(watch::Sender<Stop>);

impl Stopper {
    /// Asks the execution to end, and kills it after its grace.
    pub fn terminate(&self) {
        stop(&self.0, false);
    }

    /// Kills the execution.
    pub fn kill(&self) {
        stop(&self.0, true);
    }
}

impl Running {
    /// A handle that stops this execution.
    pub fn stopper(&self) -> Stopper {
        Stopper(self.this.clone())
    }

    /// Asks the execution to end, and kills it after its grace.
    pub fn terminate(&self) {
        self.stopper().terminate();
    }

    /// Waits until nothing of the execution is left.
    pub async fn wait(mut self) -> Outcome {
        let reaper = match std::mem::replace(&mut self.reaper, Err(Exit::KeeperLost)) {
            Ok(reaper) => reaper,
            Err(exit) => return nothing(exit),
        };
        let (mut answers, mut requests) = reaper.into_split();
        let (finished, stopped) = self.watch(&mut answers, &mut requests).await;
        let Ok(finished) = finished else {
            return nothing(Exit::KeeperLost);
        };
        if finished.reusable
            && let Ok(reaper) = answers.reunite(requests)
        {
            lock(&self.idle).push(reaper);
        }
        self.outcome(finished, stopped)
    }

    /// Waits for the answer, and stops the execution when it is time; why it was stopped, if it was.
    async fn watch(
        &mut self,
        answers: &mut OwnedReadHalf,
        requests: &mut OwnedWriteHalf,
    ) -> (io::Result<Finished>, Option<Exit>) {
        let answer = read_answer(answers);
        tokio::pin!(answer);
        let mut this = self.this.subscribe();
        let mut stopped = None;
        let mut sent = Stop::No;
        let mut next = self.deadline;
        loop {
            let asked = (*self.everything.borrow_and_update()).max(*this.borrow_and_update());
            let due = next.is_some_and(|next| next <= Instant::now());
            let wanted = match sent {
                Stop::No if due => asked.max(Stop::Asked),
                Stop::Asked if due => Stop::AtOnce,
                sent => asked.max(sent),
            };
            if wanted > sent {
                let why = if asked > Stop::No {
                    Exit::Cancelled
                } else {
                    Exit::TimedOut
                };
                stopped.get_or_insert(why);
                let request = if wanted == Stop::Asked {
                    Request::Terminate
                } else {
                    Request::Kill
                };
                // If the reaper is gone, the end of its answers says so.
                let _ = requests.write_all(&request.encode()).await;
                sent = wanted;
                next = (sent == Stop::Asked).then(|| Instant::now() + self.grace);
            }
            tokio::select! {
                biased;
                finished = &mut answer => return (finished, stopped),
                Ok(()) = self.everything.changed() => {}
                Ok(()) = this.changed() => {}
                () = sleep_until(next.unwrap_or_else(Instant::now)), if next.is_some() => {}
            }
        }
    }

    fn outcome(&self, finished: Finished, stopped: Option<Exit>) -> Outcome {
        let exit = match finished.ending {
            Ending::NotStarted(stage, errno) => self.not_started(stage, errno),
            Ending::Code(code) => stopped.unwrap_or(Exit::Code(code)),
            Ending::Signal(signal) => stopped.unwrap_or(Exit::Signal(signal)),
        };
        Outcome {
            exit,
            wall: finished.wall,
            cpu: finished.cpu,
            max_rss: finished.max_rss,
            strays: finished.strays,
            output_error: (finished.output_error != 0).then_some(finished.output_error),
            without_spaces: finished.without_spaces,
        }
    }

    fn not_started(&self, stage: Stage, errno: i32) -> Exit {
        Exit::NotStarted(NotStarted {
            stage,
            program: self.program.clone(),
            cwd: self.cwd.clone(),
            errno,
        })
    }
}

fn nothing(exit: Exit) -> Outcome {
    let none = Duration::ZERO;
    Outcome {
        exit,
        wall: none,
        cpu: none,
        max_rss: 0,
        strays: 0,
        output_error: None,
        without_spaces: false,
    }
}

fn request(execution: &Execution) -> io::Result<Vec<u8>> {
    if execution.argv.is_empty() || !execution.cwd.is_absolute() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let entries = execution.env.iter().map(|(name, value)| {
        let mut entry = name.clone();
        entry.push("=");
        entry.push(value);
        system_text(&entry)
    });
    let start = Start {
        argv: execution
            .argv
            .iter()
            .map(|argument| system_text(argument))
            .collect::<io::Result<_>>()?,
        env: entries.collect::<io::Result<_>>()?,
        cwd: system_text(execution.cwd.as_os_str())?,
        isolation: execution.isolation.clone(),
        mask: execution
            .secrets
            .iter()
            .flat_map(|secret| mask::forms(secret))
            .collect(),
    };
    Ok(Request::Start(Box::new(start)).encode())
}

async fn send(
    mut reaper: UnixStream,
    request: &[u8],
    output: std::os::fd::BorrowedFd<'_>,
) -> io::Result<UnixStream> {
    let sent = reaper
        .async_io(Interest::WRITABLE, || pass::send(&reaper, request, output))
        .await?;
    reaper.write_all(&request[sent..]).await?;
    Ok(reaper)
}

async fn read_answer(reaper: &mut (impl AsyncReadExt + Unpin)) -> io::Result<Finished> {
    let mut header = [0; 4];
    reaper.read_exact(&mut header).await?;
    let mut body = vec![0; body_length(header)?];
    reaper.read_exact(&mut body).await?;
    Finished::decode(&body)
}

/// Whether the other side is gone.
fn is_lost(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset | io::ErrorKind::NotConnected
    )
}

fn number(error: &io::Error) -> i32 {
    error.raw_os_error().unwrap_or(libc::EINVAL)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What it guards is whole at every moment.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
