//! The system calls that have no safe form: the only module of the program
//! with `unsafe` code.
//!
//! Everything here is called by the keeper and its reapers, which have one
//! thread each; the engine, which has several, calls `landlock_abi` alone.
//! `spawn` makes the child as `posix_spawn` does: it shares the parent's
//! memory (`CLONE_VM`) and the parent stands still (`CLONE_VFORK`) until it
//! executes a program or exits, so no page table is copied and the cost does
//! not grow with the heap. So the child must not allocate, lock, panic or
//! unwind; all that it needs is laid out before it begins. Systems without
//! `clone` fork.
#![expect(
    unsafe_code,
    reason = "fork, clone, execve, wait4, sigaction and Landlock have no safe form"
)]

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::ptr;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use rustix::fs::Mode;
use rustix::process::Pid;

use super::outcome::Stage;

/// The signals that a terminal or a user sends to whole groups: the keeper and the reapers pass over them.
const IGNORED: [c_int; 4] = [libc::SIGINT, libc::SIGQUIT, libc::SIGTERM, libc::SIGHUP];

/// Enough for the child's few frames, in a debug build as well.
const STACK: usize = 256 * 1024;

static CHILD_PIPE: AtomicI32 = AtomicI32::new(-1);

extern "C" fn child_ended(_signal: c_int) {
    // SAFETY: write and the error number's place are safe in a signal handler, and errno is put back.
    unsafe {
        let errno = errno_place();
        let saved = *errno;
        libc::write(CHILD_PIPE.load(Ordering::Relaxed), [0u8].as_ptr().cast(), 1);
        *errno = saved;
    }
}

#[cfg(target_os = "linux")]
fn errno_place() -> *mut c_int {
    // SAFETY: it returns the address of this thread's errno.
    unsafe { libc::__errno_location() }
}

#[cfg(not(target_os = "linux"))]
fn errno_place() -> *mut c_int {
    // SAFETY: it returns the address of this thread's errno.
    unsafe { libc::__error() }
}

fn errno() -> c_int {
    io::Error::last_os_error()
        .raw_os_error()
        .unwrap_or(libc::EIO)
}

fn set_disposition(signal: c_int, handler: libc::sighandler_t) {
    // SAFETY: a zeroed sigaction is a valid one, and the handler is a constant or `child_ended`.
    unsafe {
        let mut action: libc::sigaction = MaybeUninit::zeroed().assume_init();
        action.sa_sigaction = handler;
        action.sa_flags = libc::SA_RESTART | libc::SA_NOCLDSTOP;
        // It fails for SIGKILL, SIGSTOP and those of the C library: rightly.
        libc::sigaction(signal, &action, ptr::null_mut());
    }
}

fn set_signal_mask(everything: bool) {
    // SAFETY: the set is filled before it is used.
    unsafe {
        let mut set = MaybeUninit::uninit();
        if everything {
            libc::sigfillset(set.as_mut_ptr());
        } else {
            libc::sigemptyset(set.as_mut_ptr());
        }
        libc::sigprocmask(libc::SIG_SETMASK, set.as_ptr(), ptr::null_mut());
    }
}

/// Takes every signal's default back, passes over those of terminals and users, and unblocks all.
pub(super) fn settle_signals() {
    for signal in 1..=64 {
        set_disposition(signal, libc::SIG_DFL);
    }
    for signal in IGNORED.into_iter().chain([libc::SIGPIPE]) {
        set_disposition(signal, libc::SIG_IGN);
    }
    set_signal_mask(false);
}

/// From now on a byte is written to `pipe`, which must not block, whenever a child ends.
pub(super) fn tell_ended_children(pipe: BorrowedFd<'_>) {
    CHILD_PIPE.store(pipe.as_raw_fd(), Ordering::Relaxed);
    set_disposition(
        libc::SIGCHLD,
        child_ended as extern "C" fn(c_int) as libc::sighandler_t,
    );
}

/// Closes every descriptor from `first` on. Nothing in this process may own one of them.
pub(super) fn close_from(first: RawFd) {
    #[cfg(target_os = "linux")]
    // SAFETY: the caller owns nothing there.
    if unsafe { libc::syscall(libc::SYS_close_range, first, c_int::MAX, 0) } == 0 {
        return;
    }
    let last = rustix::process::getrlimit(rustix::process::Resource::Nofile)
        .current
        .unwrap_or(65_536);
    for fd in first..RawFd::try_from(last.min(65_536)).unwrap_or(65_536) {
        // SAFETY: the caller owns nothing there, and a number that is not open is an error without effect.
        unsafe { libc::close(fd) };
    }
}

/// Forks this process, which must have one thread: `None` in the child.
pub(super) fn fork() -> io::Result<Option<Pid>> {
    // SAFETY: with one thread, the child is a whole copy: no lock is held by a thread that is gone.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        pid => Ok(Pid::from_raw(pid)),
    }
}

/// Ends this process at once: nothing is dropped or flushed.
pub(super) fn exit_now(code: i32) -> ! {
    // SAFETY: it has no conditions.
    unsafe { libc::_exit(code) }
}

/// A child that ended.
pub(super) struct Ended {
    pub(super) pid: Pid,
    /// The exit code, or the signal.
    pub(super) status: Result<i32, i32>,
    pub(super) cpu: Duration,
    /// In bytes.
    pub(super) max_rss: u64,
}

/// What there is to wait for.
pub(super) enum Waited {
    Ended(Ended),
    /// There are children, and none has ended.
    Running,
    /// There is no child.
    Childless,
}

/// Takes one child that has ended, without waiting.
pub(super) fn wait_any() -> Waited {
    let mut status = 0;
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: both places are valid for writing, and a zeroed rusage is a valid one.
    let (pid, usage) = unsafe {
        (
            libc::wait4(-1, &mut status, libc::WNOHANG, usage.as_mut_ptr()),
            usage.assume_init(),
        )
    };
    let Some(pid) = Pid::from_raw(pid.max(0)) else {
        return if pid == 0 {
            Waited::Running
        } else {
            Waited::Childless
        };
    };
    let status = if libc::WIFSIGNALED(status) {
        Err(libc::WTERMSIG(status))
    } else {
        Ok(libc::WEXITSTATUS(status))
    };
    let cpu = duration(usage.ru_utime) + duration(usage.ru_stime);
    let unit = if cfg!(target_os = "macos") { 1 } else { 1024 };
    let max_rss = u64::try_from(usage.ru_maxrss).unwrap_or(0) * unit;
    Waited::Ended(Ended {
        pid,
        status,
        cpu,
        max_rss,
    })
}

fn duration(time: libc::timeval) -> Duration {
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    Duration::from_secs(seconds) + Duration::from_micros(u64::try_from(time.tv_usec).unwrap_or(0))
}

/// Waits until one of `fds` can be read or is closed, a signal comes, or the time is over; says which are ready.
pub(super) fn wait_readable<const N: usize>(
    fds: [Option<BorrowedFd<'_>>; N],
    timeout: Option<Duration>,
) -> [bool; N] {
    // A negative descriptor is passed over.
    let mut polled = fds.map(|fd| libc::pollfd {
        fd: fd.map_or(-1, |fd| fd.as_raw_fd()),
        events: libc::POLLIN,
        revents: 0,
    });
    // Rounded up, so that a loop over a deadline does not spin for its last millisecond.
    let timeout = timeout.map_or(-1, |timeout| {
        c_int::try_from(timeout.as_millis())
            .unwrap_or(c_int::MAX - 1)
            .saturating_add(1)
    });
    // SAFETY: the array is valid for reading and writing.
    let ready = unsafe { libc::poll(polled.as_mut_ptr(), N as libc::nfds_t, timeout) };
    polled.map(|fd| ready > 0 && fd.revents != 0)
}

/// The version of Landlock that this kernel has, or 0.
pub(super) fn landlock_abi() -> i32 {
    #[cfg(target_os = "linux")]
    {
        const VERSION: c_int = 1;
        // SAFETY: asking for the version takes no structure.
        let abi = unsafe {
            libc::syscall(
                libc::SYS_landlock_create_ruleset,
                ptr::null::<c_void>(),
                0usize,
                VERSION,
            )
        };
        i32::try_from(abi.max(0)).unwrap_or(0)
    }
    #[cfg(not(target_os = "linux"))]
    0
}

/// The memory that children begin on; made once, since only touched pages cost.
pub(super) struct Stack(Vec<MaybeUninit<u8>>);

impl Stack {
    pub(super) fn new() -> Stack {
        Stack(Vec::with_capacity(STACK))
    }

    #[cfg(target_os = "linux")]
    fn top(&mut self) -> *mut c_void {
        let base = self.0.as_mut_ptr();
        // SAFETY: it stays within the allocation, whose capacity is STACK at least; 16 is the strictest alignment.
        unsafe { base.add(STACK - (base.addr() + STACK) % 16).cast() }
    }
}

/// What a child is to become.
pub(super) struct Plan<'a> {
    /// The paths to try, in order.
    pub(super) programs: &'a [CString],
    pub(super) argv: &'a [CString],
    pub(super) env: &'a [CString],
    pub(super) cwd: &'a CStr,
    /// Standard output and error. Standard input is the parent's.
    pub(super) output: BorrowedFd<'a>,
    /// The Landlock rules.
    pub(super) ruleset: Option<BorrowedFd<'a>>,
    /// A user and network namespace of its own, where the kernel grants it.
    pub(super) namespaces: Option<&'a Namespaces>,
}

/// The files that map the user and group into a new user namespace as themselves.
pub(super) struct Namespaces {
    uid_map: CString,
    gid_map: CString,
}

impl Namespaces {
    pub(super) fn new() -> Namespaces {
        let map = |id: u32| CString::new(format!("{id} {id} 1")).unwrap_or_default();
        Namespaces {
            uid_map: map(rustix::process::geteuid().as_raw()),
            gid_map: map(rustix::process::getegid().as_raw()),
        }
    }
}

/// The plan as the child reads it, with the place for what failed.
struct Task<'a> {
    plan: &'a Plan<'a>,
    argv: *const *const c_char,
    env: *const *const c_char,
    parent: Pid,
    stage: AtomicI32,
    error: AtomicI32,
}

/// Starts a child in a session of its own, and returns when its program is executed.
///
/// # Errors
/// What failed, and the error number; the child is gone then.
pub(super) fn spawn(plan: &Plan<'_>, stack: &mut Stack) -> Result<Pid, (Stage, i32)> {
    let argv = pointers(plan.argv);
    let env = pointers(plan.env);
    let task = Task {
        plan,
        argv: argv.as_ptr(),
        env: env.as_ptr(),
        parent: rustix::process::getpid(),
        stage: AtomicI32::new(0),
        error: AtomicI32::new(0),
    };
    set_signal_mask(true);
    let pid = start(&task, stack);
    let failure = errno();
    set_signal_mask(false);
    let Some(pid) = Pid::from_raw(pid.max(0)) else {
        return Err((Stage::Fork, failure));
    };
    match Stage::from_number(task.stage.load(Ordering::Relaxed)) {
        None => Ok(pid),
        Some(stage) => {
            // SAFETY: no status is asked for.
            while unsafe { libc::waitpid(pid.as_raw_nonzero().get(), ptr::null_mut(), 0) } == -1
                && errno() == libc::EINTR
            {}
            Err((stage, task.error.load(Ordering::Relaxed)))
        }
    }
}

fn pointers(texts: &[CString]) -> Vec<*const c_char> {
    texts
        .iter()
        .map(|text| text.as_ptr())
        .chain([ptr::null()])
        .collect()
}

#[cfg(target_os = "linux")]
fn start(task: &Task<'_>, stack: &mut Stack) -> c_int {
    extern "C" fn begin(task: *mut c_void) -> c_int {
        // SAFETY: it is the task below, whose owner stands still while this runs.
        become_program(unsafe { &*task.cast::<Task<'_>>() })
    }
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
    // SAFETY: the stack is large enough and used by this child alone; the parent has one thread, which waits
    // (CLONE_VFORK) until the child is done with the shared memory; every signal is blocked, so no handler
    // runs in the child; the child changes nothing in memory but its stack, errno and the task's two atomics.
    unsafe {
        libc::clone(
            begin,
            stack.top(),
            flags,
            ptr::from_ref(task).cast_mut().cast(),
        )
    }
}

#[cfg(not(target_os = "linux"))]
fn start(task: &Task<'_>, stack: &mut Stack) -> c_int {
    let _ = &mut stack.0;
    let Ok((read, write)) = std::io::pipe() else {
        return -1;
    };
    // SAFETY: with one thread, the child is a whole copy.
    match unsafe { libc::fork() } {
        0 => {
            become_program(task);
            let failure = [
                task.stage.load(Ordering::Relaxed),
                task.error.load(Ordering::Relaxed),
            ];
            let _ = io::Write::write_all(
                &mut &write,
                &[failure[0].to_ne_bytes(), failure[1].to_ne_bytes()].concat(),
            );
            exit_now(127)
        }
        pid => {
            drop(write);
            let mut failure = [0; 8];
            // The pipe closes without a word when the program is executed.
            if pid > 0 && io::Read::read_exact(&mut &read, &mut failure).is_ok() {
                let (stage, error) = failure.split_at(4);
                task.stage.store(
                    i32::from_ne_bytes(stage.try_into().unwrap_or_default()),
                    Ordering::Relaxed,
                );
                task.error.store(
                    i32::from_ne_bytes(error.try_into().unwrap_or_default()),
                    Ordering::Relaxed,
                );
            }
            pid
        }
    }
}

/// The child's part. It returns only when something failed.
fn become_program(task: &Task<'_>) -> c_int {
    let (stage, error) = match prepare(task) {
        Err((stage, error)) => (stage, error.raw_os_error()),
        Ok(()) => (Stage::Exec, execute(task)),
    };
    task.error.store(error, Ordering::Relaxed);
    task.stage.store(stage.number(), Ordering::Relaxed);
    127
}

/// Sets the child up, in this order: a namespace drops the death signal, and Landlock would refuse what comes
/// before it. `rustix` makes plain system calls: nothing here allocates.
fn prepare(task: &Task<'_>) -> Result<(), (Stage, rustix::io::Errno)> {
    let plan = task.plan;
    rustix::process::setsid().map_err(|error| (Stage::Fork, error))?;
    #[cfg(target_os = "linux")]
    {
        if let Some(namespaces) = plan.namespaces {
            enter(namespaces, libc::CLONE_NEWNET);
        }
        rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))
            .map_err(|error| (Stage::Fork, error))?;
        // The parent may have gone before that.
        if rustix::process::getppid() != Some(task.parent) {
            exit_now(127);
        }
    }
    rustix::process::chdir(plan.cwd).map_err(|error| (Stage::ChangeFolder, error))?;
    rustix::stdio::dup2_stdout(plan.output).map_err(|error| (Stage::Output, error))?;
    rustix::stdio::dup2_stderr(plan.output).map_err(|error| (Stage::Output, error))?;
    rustix::process::umask(Mode::from_bits_truncate(0o022));
    for signal in IGNORED.into_iter().chain([libc::SIGPIPE, libc::SIGCHLD]) {
        set_disposition(signal, libc::SIG_DFL);
    }
    #[cfg(target_os = "linux")]
    if let Some(ruleset) = plan.ruleset {
        rustix::thread::set_no_new_privs(true).map_err(|error| (Stage::Isolate, error))?;
        // SAFETY: the descriptor is a ruleset, and there are no flags.
        if unsafe { libc::syscall(libc::SYS_landlock_restrict_self, ruleset.as_raw_fd(), 0) } != 0 {
            return Err((
                Stage::Isolate,
                rustix::io::Errno::from_raw_os_error(errno()),
            ));
        }
    }
    set_signal_mask(false);
    Ok(())
}

/// Moves into a new user namespace and those of `others`, with the ids mapped as themselves; false, and nothing
/// changed, where the kernel refuses.
#[cfg(target_os = "linux")]
fn enter(namespaces: &Namespaces, others: c_int) -> bool {
    // SAFETY: the caller has one thread, and shares no descriptors; a new namespace touches no memory.
    let entered = unsafe { libc::unshare(libc::CLONE_NEWUSER | others) } == 0;
    if entered {
        // An unprivileged process may map its group only after it gave up setgroups.
        write_file(c"/proc/self/setgroups", c"deny");
        write_file(c"/proc/self/uid_map", &namespaces.uid_map);
        write_file(c"/proc/self/gid_map", &namespaces.gid_map);
    }
    entered
}

/// Tries on this process, which must have one thread, which namespaces it is granted: a user namespace, and in it a
/// mount namespace in which it may mount, and a network namespace.
pub(super) fn try_namespaces() -> [bool; 3] {
    #[cfg(target_os = "linux")]
    {
        if !enter(&Namespaces::new(), 0) {
            return [false; 3];
        }
        // SAFETY: as in `enter`; the mount changes how the mounts of the new namespace propagate.
        unsafe {
            let private = libc::MS_REC | libc::MS_PRIVATE;
            let mount = libc::unshare(libc::CLONE_NEWNS) == 0
                && libc::mount(
                    ptr::null(),
                    c"/".as_ptr(),
                    ptr::null(),
                    private,
                    ptr::null(),
                ) == 0;
            [true, mount, libc::unshare(libc::CLONE_NEWNET) == 0]
        }
    }
    #[cfg(not(target_os = "linux"))]
    [false; 3]
}

#[cfg(target_os = "linux")]
fn write_file(path: &CStr, text: &CStr) {
    use rustix::fs::{Mode, OFlags};
    if let Ok(file) = rustix::fs::open(path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty()) {
        let _ = rustix::io::write(&file, text.to_bytes());
    }
}

/// Executes the first of the programs that can be; the error number if none can, as `execvp` chooses it.
fn execute(task: &Task<'_>) -> c_int {
    let mut denied = false;
    let mut last = libc::ENOENT;
    for program in task.plan.programs {
        // SAFETY: all three are ended by null, and live until the child is gone.
        unsafe { libc::execve(program.as_ptr(), task.argv, task.env) };
        last = errno();
        match last {
            libc::EACCES => denied = true,
            libc::ENOENT | libc::ENOTDIR => {}
            _ => return last,
        }
    }
    if denied { libc::EACCES } else { last }
}
