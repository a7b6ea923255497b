//! Watching system calls (seccomp_unotify(2)).
//!
//! A filter of a process and of all that it starts stops them at the system
//! calls that are watched and tells a listener, which looks at the arguments
//! and lets each call go on. It needs no privileges, only that the process
//! gains none, and unlike ptrace(2) it leaves signals, threads and debuggers
//! alone. It observes: what is refused is not decided here.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::time::Duration;

/// Where the kernel lays the number, the architecture and the arguments of a call (struct seccomp_data).
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
const ARGUMENTS: u32 = 16;

#[cfg(target_arch = "x86_64")]
const THIS_ARCHITECTURE: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
const THIS_ARCHITECTURE: u32 = 0xc000_00b7;

/// The numbers of the x32 ABI begin here; aarch64 has none so high.
const X32: u32 = 0x4000_0000;

const LOAD: u32 = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
const EQUAL: u32 = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
const AT_LEAST: u32 = libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K;
const RETURN: u32 = libc::BPF_RET | libc::BPF_K;

/// A system call that waits to go on.
#[derive(Debug)]
pub(in crate::process) struct Notice {
    id: u64,
    /// The thread.
    pub(in crate::process) thread: u32,
    /// The call's number.
    pub(in crate::process) number: i64,
    pub(in crate::process) arguments: [u64; 6],
}

/// What there is to hear.
pub(in crate::process) enum Heard {
    Notice(Notice),
    /// Nothing until the time was over.
    Nothing,
    /// Nobody is watched any more.
    Nobody,
}

fn operation(code: u32, k: u32, yes: u8, no: u8) -> libc::sock_filter {
    libc::sock_filter {
        code: code as u16,
        jt: yes,
        jf: no,
        k,
    }
}

/// The filter: what is in `calls` is told of, `addressed` only where its fifth argument is not null.
fn filter(calls: &[i64], addressed: i64) -> Vec<libc::sock_filter> {
    let number = |call: &i64| *call as u32;
    let mut program = vec![
        operation(LOAD, ARCHITECTURE, 0, 0),
        operation(EQUAL, THIS_ARCHITECTURE, 1, 0),
        operation(RETURN, libc::SECCOMP_RET_ALLOW, 0, 0),
        operation(LOAD, NUMBER, 0, 0),
        operation(AT_LEAST, X32, 0, 1),
        operation(RETURN, libc::SECCOMP_RET_ALLOW, 0, 0),
    ];
    for call in calls {
        program.push(operation(EQUAL, number(call), 0, 1));
        program.push(operation(RETURN, libc::SECCOMP_RET_USER_NOTIF, 0, 0));
    }
    let fifth = ARGUMENTS + 4 * 8;
    program.extend([
        operation(EQUAL, number(&addressed), 0, 4),
        operation(LOAD, fifth, 0, 0),
        operation(EQUAL, 0, 0, 3),
        operation(LOAD, fifth + 4, 0, 0),
        operation(EQUAL, 0, 0, 1),
        operation(RETURN, libc::SECCOMP_RET_ALLOW, 0, 0),
        operation(RETURN, libc::SECCOMP_RET_USER_NOTIF, 0, 0),
    ]);
    program
}

/// Watches this process, which must have one thread, from now on; returns the listener.
///
/// # Errors
/// The kernel has no seccomp, or refuses: something watches already, or it runs in a sandbox that forbids it.
pub(in crate::process) fn watch_this_process(calls: &[i64], addressed: i64) -> io::Result<OwnedFd> {
    rustix::thread::set_no_new_privs(true)?;
    let mut program = filter(calls, addressed);
    let program = libc::sock_fprog {
        len: program.len() as u16,
        filter: program.as_mut_ptr(),
    };
    let listen = libc::SECCOMP_FILTER_FLAG_NEW_LISTENER;
    // With the second flag (Linux 5.19) only a fatal signal interrupts a call that was told of.
    for flags in [
        listen | libc::SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV,
        listen,
    ] {
        // SAFETY: the program lives until the kernel has copied it.
        let listener = unsafe {
            libc::syscall(
                libc::SYS_seccomp,
                libc::SECCOMP_SET_MODE_FILTER,
                flags,
                &raw const program,
            )
        };
        match listener {
            -1 if super::errno() == libc::EINVAL => {}
            -1 => break,
            // SAFETY: the kernel made the descriptor for this process, and nobody else has its number.
            listener => return Ok(unsafe { OwnedFd::from_raw_fd(listener as i32) }),
        }
    }
    Err(io::Error::last_os_error())
}

/// Waits for a call that is told of.
pub(in crate::process) fn hear(listener: BorrowedFd<'_>, timeout: Duration) -> Heard {
    let mut polled = libc::pollfd {
        fd: listener.as_raw_fd(),
        events: libc::POLLIN,
        revents: 0,
    };
    let timeout = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
    // SAFETY: the place is valid for reading and writing.
    let ready = unsafe { libc::poll(&raw mut polled, 1, timeout) };
    if ready <= 0 {
        return Heard::Nothing;
    }
    if polled.revents & libc::POLLIN == 0 {
        return Heard::Nobody;
    }
    // SAFETY: all of its fields are numbers; the kernel wants it zeroed.
    let mut notice: libc::seccomp_notif = unsafe { std::mem::zeroed() };
    // SAFETY: the place is valid for reading and writing.
    let received = unsafe {
        libc::ioctl(
            listener.as_raw_fd(),
            libc::SECCOMP_IOCTL_NOTIF_RECV,
            &raw mut notice,
        )
    };
    match received {
        0 => Heard::Notice(Notice {
            id: notice.id,
            thread: notice.pid,
            number: notice.data.nr.into(),
            arguments: notice.data.args,
        }),
        // The thread was killed meanwhile.
        _ => Heard::Nothing,
    }
}

/// Lets the call go on. What goes wrong concerns a thread that is gone.
pub(in crate::process) fn let_go_on(listener: BorrowedFd<'_>, notice: &Notice) {
    let mut answer = libc::seccomp_notif_resp {
        id: notice.id,
        val: 0,
        error: 0,
        flags: libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE as u32,
    };
    // SAFETY: the place is valid for reading and writing.
    unsafe {
        libc::ioctl(
            listener.as_raw_fd(),
            libc::SECCOMP_IOCTL_NOTIF_SEND,
            &raw mut answer,
        );
    }
}

/// Whether the thread still waits in this call, so that what was read of it is its own.
pub(in crate::process) fn still_waits(listener: BorrowedFd<'_>, notice: &Notice) -> bool {
    // SAFETY: the place is valid for reading.
    let valid = unsafe {
        libc::ioctl(
            listener.as_raw_fd(),
            libc::SECCOMP_IOCTL_NOTIF_ID_VALID,
            &raw const notice.id,
        )
    };
    valid == 0
}
