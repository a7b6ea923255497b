//! How an order is confined: what its runner opens up, and what is hidden.
//!
//! Landlock refuses what is not listed. Namespaces, where this machine grants
//! them, hide what Landlock can't refuse or what a tool should not trip over:
//! the machine's `/tmp`, the sockets of `/run`, and the repository, so that
//! nothing is found by climbing to parent folders. `root: fixed` needs them:
//! the action and all that it links to then lie at one path on every machine.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::process::{ActionPaths, Isolation, Spaces};
use crate::runner::definition::Socket;
use crate::workspace::Workspace;

use super::order::{Access, Opened};
use super::stage::TEMPORARY;

/// Where an action's root lies with `root: fixed`. It lies in `/tmp`, since that is the action's own: nothing has to
/// be made in a folder of the machine for it.
pub(crate) const FIXED_ROOT: &str = "/tmp/mikado/root";

/// Where the store's trees lie then, which the root links to.
pub(crate) const FIXED_TREES: &str = "/tmp/mikado/trees";

/// Where caches lie then.
pub(crate) const FIXED_CACHES: &str = "/tmp/mikado/caches";

/// Folders that hold the sockets of the machine's services.
const SERVICES: [&str; 4] = ["/tmp", "/var/tmp", "/run", "/var/run"];

/// The folder of the socket of Nix's daemon.
const NIX_SOCKET: &str = "/nix/var/nix/daemon-socket";

/// Variables of the user that say where a socket is.
const SOCKET_VARIABLES: [&str; 6] = [
    "SSH_AUTH_SOCK",
    "DOCKER_HOST",
    "CONTAINER_HOST",
    "DBUS_SESSION_BUS_ADDRESS",
    "XDG_RUNTIME_DIR",
    "WAYLAND_DISPLAY",
];

/// Where Docker and its likes listen, below the system's folder for sockets and below the user's.
const DOCKER_SOCKETS: [&str; 2] = ["docker.sock", "podman/podman.sock"];

/// An action's root and its surroundings, to be confined.
pub(crate) struct Confining<'a> {
    /// The world.
    pub(crate) workspace: &'a Workspace,
    /// The root.
    pub(crate) root: &'a Path,
    /// The trees that it links to.
    pub(crate) trees: &'a [PathBuf],
    /// The folders of the machine's tools.
    pub(crate) prefixes: &'a [PathBuf],
    /// The programs of the machine.
    pub(crate) programs: &'a [PathBuf],
    /// Its caches.
    pub(crate) caches: Vec<PathBuf>,
    /// What it may touch beyond.
    pub(crate) access: &'a Access,
    /// Whether the root is to be at its fixed place.
    pub(crate) fixed: bool,
}

/// Whether an order with this access gets its fixed root here.
pub(crate) fn is_moved(workspace: &Workspace, access: &Access, fixed: bool) -> bool {
    fixed && *access != Access::Free && workspace.kernel().mount_namespaces
}

impl Confining<'_> {
    fn is_moved(&self) -> bool {
        is_moved(self.workspace, self.access, self.fixed)
    }

    /// The root as the execution sees it.
    pub(crate) fn seen_root(&self) -> PathBuf {
        match self.is_moved() {
            true => FIXED_ROOT.into(),
            false => self.root.to_owned(),
        }
    }

    /// The folder of caches as the execution sees it.
    pub(crate) fn seen_caches(&self, folder: &Path) -> PathBuf {
        match (self.is_moved(), folder.strip_prefix(self.root)) {
            (false, _) => folder.to_owned(),
            (true, Ok(below)) => Path::new(FIXED_ROOT).join(below),
            (true, Err(_)) => FIXED_CACHES.into(),
        }
    }

    /// Variables for what is opened up.
    pub(crate) fn variables(&self) -> Vec<(OsString, OsString)> {
        let Access::Steps(opened) = self.access else {
            return Vec::new();
        };
        let user = &self.workspace.user;
        let mut variables = Vec::new();
        let mut pass = |name: &str| {
            if let Some(value) = user.value(name) {
                variables.push((name.into(), value.to_owned()));
            }
        };
        if opened.home {
            pass("HOME");
        }
        for socket in &opened.sockets {
            match socket {
                Socket::SshAgent => pass("SSH_AUTH_SOCK"),
                Socket::Docker => ["DOCKER_HOST", "CONTAINER_HOST"]
                    .into_iter()
                    .for_each(&mut pass),
                Socket::Nix => pass("NIX_REMOTE"),
            }
        }
        // As root Nix would write its store itself, which it may not.
        if opened.sockets.contains(&Socket::Nix) && user.value("NIX_REMOTE").is_none() {
            variables.push(("NIX_REMOTE".into(), "daemon".into()));
        }
        variables
    }

    /// What the execution may touch; `readable` are the user's files that a fetch reads. `None` where nothing is
    /// confined.
    pub(crate) fn isolation(&self, readable: &[PathBuf]) -> Option<Isolation> {
        let kernel = self.workspace.kernel();
        let confines = kernel.landlock > 0 || kernel.mount_namespaces;
        if !confines || *self.access == Access::Free {
            return None;
        }
        let mut isolation = self.lists(readable);
        isolation.without_landlock = kernel.landlock == 0;
        isolation.spaces = kernel.mount_namespaces.then(|| self.spaces(&isolation));
        Some(isolation)
    }

    /// The same without a look at what this machine can do.
    pub(crate) fn lists(&self, readable: &[PathBuf]) -> Isolation {
        let mut isolation = Isolation::of_action(&ActionPaths {
            root: self.root.to_owned(),
            trees: self.trees.to_vec(),
            prefixes: self.prefixes.to_vec(),
            caches: self.caches.clone(),
        });
        // Tools like `go mod vendor -o` make the folder `out` anew, which is a
        // change of its parent. The root is this action's alone; what it links
        // to lies elsewhere and stays read-only.
        isolation.write.push(self.root.to_owned());
        // Seen as `/tmp` it does not lie in the root, for Landlock.
        isolation.write.push(self.root.join(TEMPORARY));
        let closed = Opened::default();
        let opened = match self.access {
            Access::Steps(opened) => opened,
            Access::Free => &closed,
            Access::Fetch { .. } => {
                isolation = isolation.with_network(readable);
                &closed
            }
        };
        if opened.network {
            isolation = isolation.with_network(&[]);
        }
        if opened.home {
            isolation.write.extend(self.home());
        }
        for socket in &opened.sockets {
            let paths = socket_paths(self.workspace, *socket);
            isolation.sockets.extend(paths);
            if *socket == Socket::Nix {
                isolation.read.push("/nix/var/nix".into());
            }
        }
        isolation
    }

    fn spaces(&self, isolation: &Isolation) -> Spaces {
        let trees = self.workspace.store.trees_folder();
        let mut moved = Vec::new();
        if self.is_moved() {
            moved.push((self.root.to_owned(), FIXED_ROOT.into()));
            moved.push((trees.to_owned(), FIXED_TREES.into()));
            let caches = self
                .caches
                .iter()
                .filter(|cache| !cache.starts_with(self.root));
            moved.extend(caches.filter_map(|cache| {
                let place = Path::new(FIXED_CACHES).join(cache.file_name()?);
                Some((cache.clone(), place))
            }));
        }
        let programs = self.programs.iter().cloned();
        Spaces {
            hidden: self.workspace.hidden(|| self.hidden()).to_vec(),
            // One folder is shown sooner than each tree in it.
            seen: programs.chain([trees.to_owned()]).collect(),
            tmp: Some(self.root.join(TEMPORARY)),
            required: !moved.is_empty(),
            moved,
            network: !isolation.network && self.workspace.kernel().network_namespaces,
        }
    }

    fn hidden(&self) -> Vec<PathBuf> {
        let mut hidden: Vec<PathBuf> = SERVICES.map(PathBuf::from).into();
        hidden.push(NIX_SOCKET.into());
        let user = &self.workspace.user;
        let values = SOCKET_VARIABLES.iter().filter_map(|name| user.value(name));
        hidden.extend(values.filter_map(|value| socket_path(&value.to_string_lossy())));
        let home = self.home();
        for top in self.tops() {
            // A home folder that is a repository is more than that.
            match home.as_ref() == Some(&top) {
                true => hidden.push(top.join(".git")),
                false => hidden.push(top),
            }
        }
        hidden
    }

    /// The folders that the repository and the store lie in, and the repositories around them.
    fn tops(&self) -> Vec<PathBuf> {
        let root = &self.workspace.project.root;
        let store = self.workspace.store.folder();
        let beside = store.parent().filter(|_| store.ends_with(".mikado"));
        let around = root.ancestors().chain(store.ancestors());
        let repositories = around.filter(|folder| folder.join(".git").exists());
        let mut tops: Vec<PathBuf> = repositories
            .chain(beside)
            .chain([root.as_path()])
            .map(Path::to_owned)
            .collect();
        tops.sort_unstable();
        tops.dedup();
        tops
    }

    fn home(&self) -> Option<PathBuf> {
        let home = self.workspace.user.value("HOME")?;
        Some(PathBuf::from(home)).filter(|home| home.is_absolute())
    }
}

/// Where each socket may be that a runner can open.
pub(super) fn known_sockets(workspace: &Workspace) -> Vec<(Socket, Vec<PathBuf>)> {
    let all = [Socket::Nix, Socket::Docker, Socket::SshAgent];
    all.map(|socket| (socket, socket_paths(workspace, socket)))
        .into()
}

/// Where a socket may be.
fn socket_paths(workspace: &Workspace, socket: Socket) -> Vec<PathBuf> {
    let user = &workspace.user;
    let named = |name: &str| socket_path(&user.value(name)?.to_string_lossy());
    match socket {
        Socket::Nix => vec![Path::new(NIX_SOCKET).join("socket")],
        Socket::SshAgent => named("SSH_AUTH_SOCK").into_iter().collect(),
        Socket::Docker => {
            let folders = ["/run".into(), "/var/run".into()];
            let folders = folders.into_iter().chain(named("XDG_RUNTIME_DIR"));
            let all = |folder: PathBuf| DOCKER_SOCKETS.map(|name| folder.join(name));
            let usual = folders.flat_map(all);
            usual
                .chain(named("DOCKER_HOST"))
                .chain(named("CONTAINER_HOST"))
                .collect()
        }
    }
}

/// The path in the value of a variable that names a socket: as it is, or in an address like `unix:///run/docker.sock`
/// or `unix:path=/run/bus,guid=1`.
pub(super) fn socket_path(value: &str) -> Option<PathBuf> {
    let text = value.strip_prefix("unix:").unwrap_or(value);
    let text = text.strip_prefix("path=").unwrap_or(text);
    let text = text.split([',', ';']).next().unwrap_or(text);
    let path = PathBuf::from(text.replacen("//", "", usize::from(text.starts_with("///"))));
    path.is_absolute().then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_is_found_in_the_forms_that_variables_have() {
        let path = |value| socket_path(value);
        assert_eq!(
            path("/tmp/ssh-x/agent.1"),
            Some("/tmp/ssh-x/agent.1".into())
        );
        assert_eq!(
            path("unix:///run/docker.sock"),
            Some("/run/docker.sock".into())
        );
        assert_eq!(
            path("unix:path=/run/user/1/bus,guid=2"),
            Some("/run/user/1/bus".into())
        );
        for none in [
            "tcp://localhost:2375",
            "wayland-0",
            "",
            "unix:abstract=/tmp/x",
        ] {
            assert_eq!(path(none), None, "{none}");
        }
    }
}
