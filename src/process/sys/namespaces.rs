//! Namespaces, for isolation that Landlock can't give.
//!
//! A process without privileges makes a user namespace first, in which it may
//! make others (user_namespaces(7)). Its ids are mapped as themselves, so that
//! a program sees the user it expects; all other users are nobody there.
//! `enter` runs in a child that must not allocate: see `child`.

use std::ffi::CString;
#[cfg(target_os = "linux")]
use std::ffi::{CStr, c_int};
#[cfg(target_os = "linux")]
use std::ptr;

/// The files that map the user and group into a new user namespace as themselves.
pub(in crate::process) struct Namespaces {
    #[cfg_attr(
        not(target_os = "linux"),
        expect(dead_code, reason = "there are no namespaces")
    )]
    uid_map: CString,
    #[cfg_attr(
        not(target_os = "linux"),
        expect(dead_code, reason = "there are no namespaces")
    )]
    gid_map: CString,
}

impl Namespaces {
    pub(in crate::process) fn new() -> Namespaces {
        let map = |id: u32| CString::new(format!("{id} {id} 1")).unwrap_or_default();
        Namespaces {
            uid_map: map(rustix::process::geteuid().as_raw()),
            gid_map: map(rustix::process::getegid().as_raw()),
        }
    }
}

/// Moves into a new user namespace and those of `others`, with the ids mapped as themselves; false, and nothing
/// changed, where the kernel refuses.
#[cfg(target_os = "linux")]
pub(super) fn enter(namespaces: &Namespaces, others: c_int) -> bool {
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
pub(in crate::process) fn try_namespaces() -> [bool; 3] {
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
