//! Starting a program in a child.
//!
//! The child is made as `posix_spawn` makes it: it shares the parent's memory
//! (`CLONE_VM`) and the parent stands still (`CLONE_VFORK`) until the child
//! executes a program or exits, so no page table is copied and the cost does
//! not grow with the heap. So the child must not allocate, lock, panic or
//! unwind; all that it needs is laid out before it begins. Systems without
//! `clone` fork.

use std::ffi::{CStr, CString, c_char, c_int};
use std::mem::MaybeUninit;
use std::os::fd::BorrowedFd;
use std::ptr;
use std::sync::atomic::{AtomicI32, Ordering};

use rustix::fs::Mode;
use rustix::process::Pid;

use super::namespaces::Namespaces;
use super::{IGNORED, errno, set_disposition, set_signal_mask};
use crate::process::outcome::Stage;

/// Enough for the child's few frames, in a debug build as well.
const STACK: usize = 256 * 1024;

/// The memory that children begin on; made once, since only touched pages cost.
pub(in crate::process) struct Stack(Vec<MaybeUninit<u8>>);

impl Stack {
    pub(in crate::process) fn new() -> Stack {
        Stack(Vec::with_capacity(STACK))
    }

    #[cfg(target_os = "linux")]
    fn top(&mut self) -> *mut std::ffi::c_void {
        let base = self.0.as_mut_ptr();
        // SAFETY: it stays within the allocation, whose capacity is STACK at least; 16 is the strictest alignment.
        unsafe { base.add(STACK - (base.addr() + STACK) % 16).cast() }
    }
}

/// What a child is to become.
pub(in crate::process) struct Plan<'a> {
    /// The paths to try, in order.
    pub(in crate::process) programs: &'a [CString],
    pub(in crate::process) argv: &'a [CString],
    pub(in crate::process) env: &'a [CString],
    pub(in crate::process) cwd: &'a CStr,
    /// Standard output and error. Standard input is the parent's.
    pub(in crate::process) output: BorrowedFd<'a>,
    /// The Landlock rules.
    #[cfg_attr(
        not(target_os = "linux"),
        expect(dead_code, reason = "there is no isolation")
    )]
    pub(in crate::process) ruleset: Option<BorrowedFd<'a>>,
    /// The namespaces that it gets.
    #[cfg_attr(
        not(target_os = "linux"),
        expect(dead_code, reason = "there is no isolation")
    )]
    pub(in crate::process) namespaces: Option<&'a Namespaces>,
    /// Whether it gives up what `privileges` says.
    #[cfg_attr(
        not(target_os = "linux"),
        expect(dead_code, reason = "there is no isolation")
    )]
    pub(in crate::process) confined: bool,
}

/// The plan as the child reads it, with the place for what failed.
struct Task<'a> {
    plan: &'a Plan<'a>,
    argv: *const *const c_char,
    env: *const *const c_char,
    #[cfg(target_os = "linux")]
    parent: Pid,
    /// Where the child keeps the views of its namespaces.
    #[cfg(target_os = "linux")]
    views: &'a [AtomicI32],
    stage: AtomicI32,
    error: AtomicI32,
}

/// Starts a child in a session of its own, and returns when its program is executed.
///
/// # Errors
/// What failed, and the error number; the child is gone then.
pub(in crate::process) fn spawn(plan: &Plan<'_>, stack: &mut Stack) -> Result<Pid, (Stage, i32)> {
    let argv = pointers(plan.argv);
    let env = pointers(plan.env);
    #[cfg(target_os = "linux")]
    let views = plan.namespaces.map(Namespaces::places).unwrap_or_default();
    let task = Task {
        plan,
        argv: argv.as_ptr(),
        env: env.as_ptr(),
        #[cfg(target_os = "linux")]
        parent: rustix::process::getpid(),
        #[cfg(target_os = "linux")]
        views: &views,
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
    extern "C" fn begin(task: *mut std::ffi::c_void) -> c_int {
        // SAFETY: it is the task below, whose owner stands still while this runs.
        become_program(unsafe { &*task.cast::<Task<'_>>() })
    }
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
    // SAFETY: the stack is large enough and used by this child alone; the parent has one thread, which waits
    // (CLONE_VFORK) until the child is done with the shared memory; every signal is blocked, so no handler
    // runs in the child; the child changes nothing in memory but its stack, errno and the task's atomics.
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
            let failure = failure.map(i32::to_ne_bytes).concat();
            let _ = std::io::Write::write_all(&mut &write, &failure);
            super::exit_now(127)
        }
        pid => {
            drop(write);
            let mut failure = [0; 8];
            // The pipe closes without a word when the program is executed.
            if pid > 0 && std::io::Read::read_exact(&mut &read, &mut failure).is_ok() {
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
    rustix::process::umask(Mode::from_bits_truncate(0o022));
    #[cfg(target_os = "linux")]
    {
        if let Some(namespaces) = plan.namespaces {
            super::namespaces::enter(namespaces, task.views)
                .map_err(|error| (Stage::Separate, error))?;
        }
        rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))
            .map_err(|error| (Stage::Fork, error))?;
        // The parent may have gone before that.
        if rustix::process::getppid() != Some(task.parent) {
            super::exit_now(127);
        }
    }
    rustix::process::chdir(plan.cwd).map_err(|error| (Stage::ChangeFolder, error))?;
    rustix::stdio::dup2_stdout(plan.output).map_err(|error| (Stage::Output, error))?;
    rustix::stdio::dup2_stderr(plan.output).map_err(|error| (Stage::Output, error))?;
    for signal in IGNORED.into_iter().chain([libc::SIGPIPE, libc::SIGCHLD]) {
        set_disposition(signal, libc::SIG_DFL);
    }
    #[cfg(target_os = "linux")]
    if plan.confined {
        restrict(plan.ruleset).map_err(|error| (Stage::Isolate, error))?;
    }
    set_signal_mask(false);
    Ok(())
}

/// Takes this thread's privileges, and puts it under Landlock's rules.
#[cfg(target_os = "linux")]
fn restrict(ruleset: Option<BorrowedFd<'_>>) -> Result<(), rustix::io::Errno> {
    super::privileges::give_up()?;
    let Some(ruleset) = ruleset else {
        return Ok(());
    };
    // SAFETY: the descriptor is a ruleset, and there are no flags.
    let restricted = unsafe {
        libc::syscall(
            libc::SYS_landlock_restrict_self,
            std::os::fd::AsRawFd::as_raw_fd(&ruleset),
            0,
        )
    };
    match restricted {
        0 => Ok(()),
        _ => Err(rustix::io::Errno::from_raw_os_error(errno())),
    }
}

/// Confines this process, which must have one thread, as a child is confined.
///
/// # Errors
/// The kernel refuses the namespaces, the rules, or to take privileges away.
pub(in crate::process) fn confine(
    ruleset: Option<BorrowedFd<'_>>,
    namespaces: Option<&Namespaces>,
) -> std::io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        if let Some(namespaces) = namespaces {
            super::namespaces::enter(namespaces, &namespaces.places())?;
        }
        restrict(ruleset)?;
    }
    #[cfg(not(target_os = "linux"))]
    let _ = (ruleset, namespaces);
    Ok(())
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
