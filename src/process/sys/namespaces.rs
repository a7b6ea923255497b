//! Namespaces, for isolation that Landlock can't give.
//!
//! A process without privileges makes a user namespace first, in which it may
//! make others (user_namespaces(7)). Its ids are mapped as themselves, so that
//! a program sees the user it expects; all other users are nobody there. Root
//! needs none, and gets none: it could no longer give files to other users,
//! which `tar` does when it unpacks as root. `enter` runs in a child that must
//! not allocate (see `child`): what it does is laid out before, by `spaces`.

use std::ffi::CString;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::atomic::AtomicI32;

/// A user namespace, where one is needed, and maybe a network with nothing in it. Executions share them one after the
/// other, since nothing of an execution is left in there, and a network costs more to make than all the rest.
#[cfg_attr(
    not(target_os = "linux"),
    expect(dead_code, reason = "there are no namespaces")
)]
pub(in crate::process) struct Base {
    user: Option<OwnedFd>,
    network: Option<OwnedFd>,
}

/// A world of mounts and, maybe, an empty network.
#[cfg_attr(
    not(target_os = "linux"),
    expect(dead_code, reason = "there are no namespaces")
)]
pub(in crate::process) struct Namespaces {
    ids: Ids,
    /// Whether there is to be a network with nothing in it.
    network: bool,
    /// What is joined instead of making these two.
    base: Option<Rc<Base>>,
    /// What is taken hold of first, before something is hidden.
    views: Vec<View>,
    /// What is done then, in this order.
    acts: Vec<Act>,
}

/// The maps of the user and the group as themselves; none where no user namespace is made.
type Ids = Option<[CString; 2]>;

fn ids() -> Ids {
    let map = |id: u32| CString::new(format!("{id} {id} 1")).unwrap_or_default();
    let (user, group) = (rustix::process::geteuid(), rustix::process::getegid());
    (!user.is_root()).then(|| [map(user.as_raw()), map(group.as_raw())])
}

/// A file or folder, with all that is mounted below it.
#[cfg_attr(
    not(target_os = "linux"),
    expect(dead_code, reason = "there are no namespaces")
)]
pub(in crate::process) struct View {
    pub(in crate::process) path: CString,
    pub(in crate::process) read_only: bool,
}

/// One change of the world.
#[cfg_attr(
    not(target_os = "linux"),
    expect(dead_code, reason = "there are no namespaces")
)]
#[derive(Debug, PartialEq, Eq)]
pub(in crate::process) enum Act {
    /// An empty folder in memory covers this one.
    Cover(CString),
    /// A folder is made, if it is not there.
    Folder(CString),
    /// An empty file is made, if it is not there.
    File(CString),
    /// A link is made, with this text.
    Link(CString, CString),
    /// The view with this number covers this place.
    Show(usize, CString),
    /// Nothing can be changed any more in what covers this.
    Seal(CString),
    /// Nothing can be changed any more in all that there is now.
    SealAll,
}

impl Namespaces {
    pub(in crate::process) fn new(network: bool, views: Vec<View>, acts: Vec<Act>) -> Namespaces {
        Namespaces {
            ids: ids(),
            network,
            base: None,
            views,
            acts,
        }
    }

    /// Joins `base`, which has a network if this is to have one, where there is one.
    pub(in crate::process) fn join(&mut self, base: Option<Rc<Base>>) {
        self.base = base;
    }

    /// Places for the descriptors of the views, for `enter`.
    pub(super) fn places(&self) -> Vec<AtomicI32> {
        self.views.iter().map(|_| AtomicI32::new(-1)).collect()
    }
}

#[cfg(target_os = "linux")]
pub(super) use linux::enter;

impl Base {
    /// Makes them, by a child of this process, which must have one thread; `None` where the kernel refuses.
    pub(in crate::process) fn make(network: bool) -> Option<Base> {
        #[cfg(target_os = "linux")]
        {
            linux::base(network)
        }
        #[cfg(not(target_os = "linux"))]
        {
            let _ = network;
            None
        }
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use std::ffi::{CStr, CString, c_int};
    use std::fs::File;
    use std::io::{self, Read, Write};
    use std::os::fd::{AsRawFd, OwnedFd};
    use std::ptr;
    use std::sync::atomic::{AtomicI32, Ordering};

    use rustix::fs::{CWD, Mode, OFlags};
    use rustix::io::Errno;

    use super::super::{errno, exit_now, fork};
    use super::{Act, Base, Namespaces, View, ids, wait_for};

    const CLONE: c_int = 1;
    const RECURSIVE: c_int = 0x8000;
    const EMPTY_PATH: c_int = 0x1000;
    const MOVE_FROM_EMPTY_PATH: c_int = 4;
    const READ_ONLY: u64 = 1;

    /// The kernel's `struct mount_attr` (mount_setattr(2)).
    #[repr(C)]
    struct Attributes {
        set: u64,
        clear: u64,
        propagation: u64,
        user_namespace: u64,
    }

    /// Moves this process, which has one thread, into namespaces of its own; `places` are those of `Namespaces`.
    pub(in super::super) fn enter(
        namespaces: &Namespaces,
        places: &[AtomicI32],
    ) -> Result<(), Errno> {
        match &namespaces.base {
            Some(base) => {
                for fd in base.user.iter().chain(&base.network) {
                    // SAFETY: the descriptor is a namespace, and 0 stands for every kind.
                    checked(unsafe { libc::setns(fd.as_raw_fd(), 0) })?;
                }
                make(libc::CLONE_NEWNS, None)?;
            }
            None => {
                let mut kinds = libc::CLONE_NEWNS;
                if namespaces.network {
                    kinds |= libc::CLONE_NEWNET;
                }
                make(kinds, namespaces.ids.as_ref())?;
            }
        }
        mount(None, c"/", None, libc::MS_REC | libc::MS_PRIVATE)?;
        for (view, place) in namespaces.views.iter().zip(places) {
            place.store(take(view)?, Ordering::Relaxed);
        }
        for act in &namespaces.acts {
            perform(act, places)?;
        }
        Ok(())
    }

    /// Moves this process into new namespaces of these kinds, and with `ids` into one of users first.
    fn make(mut kinds: c_int, ids: Option<&[CString; 2]>) -> Result<(), Errno> {
        if ids.is_some() {
            kinds |= libc::CLONE_NEWUSER;
        }
        // SAFETY: the caller has one thread, and shares no descriptors; a new namespace touches no memory.
        checked(unsafe { libc::unshare(kinds) })?;
        if let Some([user, group]) = ids {
            // An unprivileged process may map its group only after it gave up setgroups.
            write_file(c"/proc/self/setgroups", c"deny")?;
            write_file(c"/proc/self/uid_map", user)?;
            write_file(c"/proc/self/gid_map", group)?;
        }
        Ok(())
    }

    /// What `Base::make` says.
    pub(super) fn base(network: bool) -> Option<Base> {
        let ids = ids();
        if ids.is_none() && !network {
            return None;
        }
        let kinds = if network { libc::CLONE_NEWNET } else { 0 };
        let (mut ready, made) = io::pipe().ok()?;
        let (mut over, go) = io::pipe().ok()?;
        match fork() {
            Ok(None) => {
                drop((ready, go));
                if make(kinds, ids.as_ref()).is_ok() {
                    let _ = (&made).write_all(&[1]);
                    drop(made);
                    // Until the parent has taken hold of them.
                    let _ = over.read(&mut [0]);
                }
                exit_now(0)
            }
            Ok(Some(pid)) => {
                drop((made, over));
                let is_made = ready.read(&mut [0]).is_ok_and(|count| count == 1);
                let number = pid.as_raw_nonzero();
                let take = |kind: &str| File::open(format!("/proc/{number}/ns/{kind}")).ok();
                let base = is_made.then(|| {
                    let user = if ids.is_some() {
                        Some(take("user")?)
                    } else {
                        None
                    };
                    let network = if network { Some(take("net")?) } else { None };
                    Some(Base {
                        user: user.map(OwnedFd::from),
                        network: network.map(OwnedFd::from),
                    })
                });
                drop(go);
                wait_for(pid);
                base.flatten()
            }
            Err(_) => None,
        }
    }

    fn perform(act: &Act, places: &[AtomicI32]) -> Result<(), Errno> {
        match act {
            Act::Cover(folder) => mount(
                Some(c"tmpfs"),
                folder,
                Some(c"mode=755"),
                libc::MS_NOSUID | libc::MS_NODEV,
            ),
            Act::Folder(path) => unless_there(rustix::fs::mkdir(path, Mode::from(0o755))),
            Act::File(path) => {
                let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::CLOEXEC;
                rustix::fs::open(path, flags, Mode::from(0o644)).map(drop)
            }
            Act::Link(place, text) => unless_there(rustix::fs::symlink(text, place)),
            Act::Show(view, place) => {
                let from = places
                    .get(*view)
                    .map_or(-1, |fd| fd.load(Ordering::Relaxed));
                // SAFETY: both paths are ended by null.
                checked(unsafe {
                    libc::syscall(
                        libc::SYS_move_mount,
                        from,
                        c"".as_ptr(),
                        libc::AT_FDCWD,
                        place.as_ptr(),
                        MOVE_FROM_EMPTY_PATH,
                    )
                })
            }
            Act::Seal(place) => seal(libc::AT_FDCWD, place, 0),
            Act::SealAll => seal(libc::AT_FDCWD, c"/", RECURSIVE),
        }
    }

    /// The descriptor of a copy of the view's mounts, which lies nowhere yet.
    fn take(view: &View) -> Result<c_int, Errno> {
        // SAFETY: the path is ended by null.
        let fd = unsafe {
            libc::syscall(
                libc::SYS_open_tree,
                libc::AT_FDCWD,
                view.path.as_ptr(),
                CLONE | libc::O_CLOEXEC | RECURSIVE,
            )
        };
        checked(fd)?;
        let fd = c_int::try_from(fd).map_err(|_| Errno::MFILE)?;
        if view.read_only {
            seal(fd, c"", EMPTY_PATH | RECURSIVE)?;
        }
        Ok(fd)
    }

    fn seal(folder: c_int, path: &CStr, flags: c_int) -> Result<(), Errno> {
        let attributes = Attributes {
            set: READ_ONLY,
            clear: 0,
            propagation: 0,
            user_namespace: 0,
        };
        // SAFETY: the path is ended by null, and the structure has the size that is given.
        checked(unsafe {
            libc::syscall(
                libc::SYS_mount_setattr,
                folder,
                path.as_ptr(),
                flags,
                ptr::from_ref(&attributes),
                size_of::<Attributes>(),
            )
        })
    }

    /// mount(2) of a file system, or with none of the flags alone.
    fn mount(
        system: Option<&CStr>,
        target: &CStr,
        data: Option<&CStr>,
        flags: libc::c_ulong,
    ) -> Result<(), Errno> {
        let system = system.map_or(ptr::null(), CStr::as_ptr);
        let data = data.map_or(ptr::null(), |data| data.as_ptr().cast());
        // SAFETY: all texts are ended by null.
        checked(unsafe { libc::mount(system, target.as_ptr(), system, flags, data) })
    }

    fn checked(result: impl Into<i64>) -> Result<(), Errno> {
        match result.into() {
            -1 => Err(Errno::from_raw_os_error(errno())),
            _ => Ok(()),
        }
    }

    fn unless_there(result: rustix::io::Result<()>) -> Result<(), Errno> {
        match result {
            Err(Errno::EXIST) => Ok(()),
            other => other,
        }
    }

    fn write_file(path: &CStr, text: &CStr) -> Result<(), Errno> {
        let file = rustix::fs::openat(CWD, path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
        rustix::io::write(&file, text.to_bytes()).map(drop)
    }
}

/// Tries on children of this process, which must have one thread, what it is granted: a user namespace, one of mounts
/// in which it may mount, and that with a network of its own.
pub(in crate::process) fn try_namespaces() -> [bool; 3] {
    #[cfg(target_os = "linux")]
    {
        let world = |network| {
            let cover = Act::Cover(c"/tmp".to_owned());
            let seal = Act::Seal(c"/tmp".to_owned());
            Namespaces::new(network, Vec::new(), vec![Act::SealAll, cover, seal])
        };
        [
            // SAFETY: as in `enter`.
            tried(|| unsafe { libc::unshare(libc::CLONE_NEWUSER) } == 0),
            tried(|| enter(&world(false), &[]).is_ok()),
            tried(|| enter(&world(true), &[]).is_ok()),
        ]
    }
    #[cfg(not(target_os = "linux"))]
    [false; 3]
}

#[cfg(target_os = "linux")]
fn tried(trial: impl Fn() -> bool) -> bool {
    match super::fork() {
        Ok(None) => super::exit_now(i32::from(!trial())),
        Ok(Some(pid)) => wait_for(pid) == Some(0),
        Err(_) => false,
    }
}

/// Waits for a child; its status, if it was one.
#[cfg(target_os = "linux")]
fn wait_for(pid: rustix::process::Pid) -> Option<i32> {
    let mut status = 0;
    // SAFETY: the place is valid for writing.
    while unsafe { libc::waitpid(pid.as_raw_nonzero().get(), &mut status, 0) } == -1 {
        if super::errno() != libc::EINTR {
            return None;
        }
    }
    Some(status)
}
