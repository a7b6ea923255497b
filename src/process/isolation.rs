//! What an isolated execution may read, write and reach.
//!
//! Read: the action's root and what it links to, the prefixes of its tools,
//! and the system's own folders. Write: the folders of the action that are
//! made for it, caches, and a few devices. No network, unless it is a fetch.
//! A path that is not there is passed over. Stat and the walk through a
//! folder are never refused by Landlock; opening, listing, executing, making
//! and removing are. `rules` makes a kernel's ruleset of this.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// The system's folders that every execution may read and execute from.
const SYSTEM: [&str; 13] = [
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/libexec",
    "/etc",
    "/opt",
    "/nix/store",
    "/proc",
    "/sys",
];

/// The devices that every execution may write.
const DEVICES: [&str; 7] = [
    "/dev/null",
    "/dev/zero",
    "/dev/full",
    "/dev/random",
    "/dev/urandom",
    "/dev/tty",
    "/dev/shm",
];

/// What a program with network needs to resolve names: links of `/etc` that lead out of it, and sockets.
const NAMES: [&str; 6] = [
    "/run/systemd/resolve",
    "/run/resolvconf",
    "/run/NetworkManager/resolv.conf",
    "/run/nscd",
    "/var/run/nscd",
    "/var/lib/ca-certificates",
];

/// What an execution may touch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Isolation {
    /// Files, and folders with all that is below them, to read and execute.
    pub read: Vec<PathBuf>,
    /// Files, and folders with all that is below them, to read, execute and change.
    pub write: Vec<PathBuf>,
    /// Sockets on disk to connect to. Kernels before Landlock's version 9 can't refuse the others.
    pub sockets: Vec<PathBuf>,
    /// Whether it may use the network. If not: no TCP (Landlock's version 4), no UDP (version 10). Abstract Unix
    /// sockets of processes outside are out of reach in either case (version 6).
    pub network: bool,
    /// Whether Landlock is left out, as on a kernel that has none.
    pub without_landlock: bool,
    /// The namespaces that it gets; `None` leaves it in those of this process.
    pub spaces: Option<Spaces>,
}

/// Namespaces of an execution's own: a world in which some folders are out of sight. What the isolation lets it
/// read, write or connect to is seen in there all the same, at its place.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Spaces {
    /// Folders and sockets that are out of sight, with all that is below them; what is not there is passed over.
    pub hidden: Vec<PathBuf>,
    /// Files and folders that are seen, read-only, although no rule of Landlock speaks of them.
    pub seen: Vec<PathBuf>,
    /// The folder that is `/tmp` and `/var/tmp`; without it both are like other hidden folders.
    pub tmp: Option<PathBuf>,
    /// Folders that are seen elsewhere, and where: a place below a hidden folder. They are not seen at their own.
    pub moved: Vec<(PathBuf, PathBuf)>,
    /// Whether it also gets a network of its own, with nothing in it: not even loopback is up.
    pub network: bool,
    /// Whether the execution is wrong without them. Otherwise it is started without where the kernel refuses.
    pub required: bool,
}

/// The parts of an action's root and its surroundings, for [`Isolation::of_action`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ActionPaths {
    /// The action's root.
    pub root: PathBuf,
    /// The store's trees that the root links to (prerequisites, fetches, tools).
    pub trees: Vec<PathBuf>,
    /// The prefixes of the tools that are the machine's.
    pub prefixes: Vec<PathBuf>,
    /// The folders of caches.
    pub caches: Vec<PathBuf>,
}

impl Isolation {
    /// The isolation of an action's steps: read its root, write `work/`, `out/`, `tmp/` and `home/` in it.
    pub fn of_action(paths: &ActionPaths) -> Isolation {
        let mut isolation = Isolation::of_system();
        isolation.read.push(paths.root.clone());
        isolation
            .read
            .extend(paths.trees.iter().chain(&paths.prefixes).cloned());
        isolation
            .write
            .extend(["work", "out", "tmp", "home"].map(|folder| paths.root.join(folder)));
        isolation.write.extend(paths.caches.iter().cloned());
        isolation
    }

    /// The system's folders and devices alone.
    pub fn of_system() -> Isolation {
        static LISTS: OnceLock<[Vec<PathBuf>; 2]> = OnceLock::new();
        let [read, write] = LISTS.get_or_init(|| [needed(&SYSTEM), needed(&DEVICES)]);
        Isolation {
            read: read.clone(),
            write: write.clone(),
            ..Isolation::default()
        }
    }

    /// The same with network, and with what programs read to resolve names and to trust certificates; `readable`
    /// are the user's own files that a fetch reads in place.
    #[must_use]
    pub fn with_network(mut self, readable: &[PathBuf]) -> Isolation {
        self.network = true;
        self.read.extend(NAMES.map(PathBuf::from));
        self.sockets.extend(NAMES.map(PathBuf::from));
        self.read.extend(
            ["/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf"]
                .iter()
                .filter_map(outside_etc),
        );
        self.read.extend(readable.iter().cloned());
        self
    }
}

/// Those that are there, without those that lie in another: each rule costs an execution some microseconds, and
/// `/bin` is mostly a link into `/usr`.
fn needed(paths: &[&str]) -> Vec<PathBuf> {
    let mut kept: Vec<PathBuf> = Vec::new();
    for path in paths
        .iter()
        .filter_map(|path| Path::new(path).canonicalize().ok())
    {
        if !kept.iter().any(|kept| path.starts_with(kept)) {
            kept.push(path);
        }
    }
    kept
}

/// Where a link of `/etc` leads, if out of it.
fn outside_etc(path: &&str) -> Option<PathBuf> {
    let target = Path::new(path).canonicalize().ok()?;
    (!target.starts_with("/etc")).then_some(target)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_action_reads_its_root_and_writes_only_its_own_folders() {
        let paths = ActionPaths {
            root: "/r".into(),
            trees: vec!["/store/t".into()],
            prefixes: vec!["/pyenv".into()],
            caches: vec!["/cache/go".into()],
        };
        let isolation = Isolation::of_action(&paths);
        for path in ["/r", "/store/t", "/pyenv", "/usr", "/etc"] {
            assert!(isolation.read.contains(&path.into()), "{path}");
        }
        let written: Vec<_> = isolation
            .write
            .iter()
            .filter(|path| !path.starts_with("/dev"))
            .collect();
        assert_eq!(
            written,
            ["/r/work", "/r/out", "/r/tmp", "/r/home", "/cache/go"].map(Path::new)
        );
        assert!(!isolation.network);
    }

    #[test]
    fn a_link_into_a_listed_folder_is_not_listed() {
        let listed = needed(&["/proc/self/root/usr", "/usr", "/usr/bin", "/no/such/folder"]);
        assert_eq!(listed, [Path::new("/usr")]);
    }

    #[test]
    fn no_list_holds_a_folder_of_users() {
        let isolation = Isolation::of_system().with_network(&[]);
        for folder in ["/", "/home", "/root", "/tmp", "/var", "/run", "/dev"] {
            assert!(!isolation.read.contains(&folder.into()), "{folder}");
            assert!(!isolation.write.contains(&folder.into()), "{folder}");
        }
    }

    #[test]
    fn a_fetch_reads_the_files_that_are_named() {
        let isolation = Isolation::of_system().with_network(&["/home/u/.npmrc".into()]);
        assert!(isolation.network);
        assert!(isolation.read.contains(&"/home/u/.npmrc".into()));
    }
}
