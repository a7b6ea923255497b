//! The system calls that have no safe form: the only module of the program,
//! with its parts, that has `unsafe` code.
//!
//! Everything here is called by the keeper and its reapers, which have one
//! thread each; the engine, which has several, calls `landlock_abi` alone.
//! Here are signals, waiting and forking; `child` starts a program, and
//! `namespaces` makes it a world of its own, `privileges` takes
//! root's power from it, and `seccomp` watches its system calls.
#![expect(
    unsafe_code,
    reason = "fork, clone, execve, wait4, sigaction and Landlock have no safe form"
)]

use std::ffi::c_int;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::ptr;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use rustix::process::Pid;

mod child;
mod namespaces;
#[cfg(target_os = "linux")]
mod privileges;
#[cfg(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
))]
mod seccomp;

pub(super) use child::{Plan, Stack, confine, spawn};
pub(super) use namespaces::{Act, Base, Namespaces, View, try_namespaces};
#[cfg(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
))]
pub(super) use seccomp::{Heard, Notice, hear, let_go_on, still_waits, watch_this_process};

/// The signals that a terminal or a user sends to whole groups: the keeper and the reapers pass over them.
const IGNORED: [c_int; 4] = [libc::SIGINT, libc::SIGQUIT, libc::SIGTERM, libc::SIGHUP];

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
                ptr::null::<std::ffi::c_void>(),
                0usize,
                VERSION,
            )
        };
        i32::try_from(abi.max(0)).unwrap_or(0)
    }
    #[cfg(not(target_os = "linux"))]
    0
}
