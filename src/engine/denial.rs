//! What to say of a step that failed because it was confined.
//!
//! The kernel tells a program that it may not, or that there is nothing, and
//! the program tells its user; what it was is read off the last lines of its
//! log. That is a guess, so it is told only where it holds: the file must be one
//! that is refused or hidden here, and that the user could have used outside. Of
//! the network it holds always, since a step has none.

use std::fs;
use std::os::unix::fs::FileTypeExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{Access, access};

use crate::process::Isolation;
use crate::runner::definition::Socket;

use super::order::Part;

/// What a confined step could reach.
pub(crate) struct Reach<'a> {
    /// What it is to its card.
    pub(crate) part: &'a Part,
    /// The repository's root.
    pub(crate) repository: &'a Path,
    /// The user's home folder.
    pub(crate) home: Option<&'a Path>,
    /// The action's root, at its own place and at the one that the step saw.
    pub(crate) roots: [&'a Path; 2],
    /// What it might do.
    pub(crate) isolation: &'a Isolation,
    /// Where the sockets are that a runner can open.
    pub(crate) sockets: Vec<(Socket, Vec<PathBuf>)>,
    /// Whether a path below `work/` is an input, or has some below it.
    pub(crate) is_input: &'a dyn Fn(&str) -> bool,
}

/// What a line says of a path.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Told {
    Denied,
    Missing,
    ReadOnly,
    /// Nobody answers there.
    Silent,
}

const TOLD: [(Told, &[&str]); 4] = [
    (
        Told::Denied,
        &[
            "permission denied",
            "eacces",
            "operation not permitted",
            "eperm",
        ],
    ),
    (Told::ReadOnly, &["read-only file system", "erofs"]),
    (
        Told::Missing,
        &[
            "no such file",
            "enoent",
            "cannot find",
            "can't find",
            "does not exist",
            "not found",
        ],
    ),
    (
        Told::Silent,
        &[
            "cannot connect to",
            "could not connect",
            "connection refused",
            "failed to connect",
        ],
    ),
];

/// What programs say when there is no network at all.
const NO_NETWORK: [&str; 9] = [
    "network is unreachable",
    "network unreachable",
    "enetunreach",
    "name resolution",
    "could not resolve",
    "couldn't resolve",
    "eai_again",
    "name or service not known",
    "failed to lookup address",
];

/// What they call it when a connection is denied.
const CONNECTING: [&str; 6] = [
    "connect",
    "/dev/tcp/",
    "/dev/udp/",
    "network",
    "socket",
    "dial ",
];

/// What a line says of a file that was to be changed.
const WRITING: [&str; 10] = [
    "create", "write", "writing", "touch", "mkdir", "remove", "unlink", "rename", "move", "tee:",
];

impl Reach<'_> {
    /// What to do about a denial in these lines; `None` where there is none.
    pub(crate) fn help(&self, lines: &[String]) -> Option<String> {
        let by_line = lines.iter().rev().find_map(|line| self.of_line(line));
        by_line.or_else(|| self.of_traceback(lines))
    }

    /// Python names what was connected to in no line of its own.
    fn of_traceback(&self, lines: &[String]) -> Option<String> {
        let is_error =
            |line: &String| line.trim() == "PermissionError: [Errno 13] Permission denied";
        let at = lines.iter().rposition(is_error)?;
        let connects = |line: &String| line.contains("connect(") || line.contains("connection(");
        let connected = lines[..at].iter().any(connects);
        (connected && !self.isolation.network).then(|| no_network(""))
    }

    fn of_line(&self, line: &str) -> Option<String> {
        let lower = line.to_lowercase();
        let says = |words: &[&str]| words.iter().any(|word| lower.contains(word));
        let told = TOLD
            .iter()
            .find(|(_, words)| says(words))
            .map(|(told, _)| *told);
        if let Some(told) = told {
            let writes = says(&WRITING);
            let of_path = |path: PathBuf| self.of_path(&path, told, writes);
            if let Some(help) = paths(line).find_map(of_path) {
                return Some(help);
            }
            if told == Told::Missing
                && let Some(path) = self.undeclared(line)
            {
                return Some(self.read_help(&path, path.is_dir()));
            }
        }
        if says(&["authentication agent", "ssh_auth_sock"]) {
            let agent = self
                .sockets
                .iter()
                .find(|(socket, _)| *socket == Socket::SshAgent);
            let path = agent.and_then(|(_, paths)| paths.first())?;
            return self.of_path(path, Told::Silent, false);
        }
        // curl says of no failure why.
        let of_curl = lower.contains("failed to connect to") && lower.contains(" port ");
        let refused = told == Some(Told::Denied) && says(&CONNECTING) || of_curl;
        if !self.isolation.network && (refused || says(&NO_NETWORK)) {
            let whom =
                address(line).map_or(String::new(), |address| format!(" to reach `{address}`"));
            return Some(no_network(&whom));
        }
        None
    }

    /// A file of the repository that the line names by its path below it, and
    /// that the step does not have since it is no input.
    fn undeclared(&self, line: &str) -> Option<PathBuf> {
        let is_plain = |word: &str| {
            let mut parts = Path::new(word).components();
            parts.all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
        };
        let words = line.split(ends_word).enumerate();
        // The first word is who speaks, unless it is a path.
        let words = words.filter(|(at, word)| !word.is_empty() && (*at > 0 || word.contains('/')));
        words.map(|(_, word)| word).find_map(|word| {
            let path: PathBuf = Path::new(word).components().collect();
            let below = path.strip_prefix(".").unwrap_or(&path);
            let there = self.repository.join(below);
            let is_ours = is_plain(word)
                && !below.as_os_str().is_empty()
                && access(&there, Access::READ_OK).is_ok()
                && !self.roots[0].join("work").join(below).exists()
                && !(self.is_input)(&below.to_string_lossy());
            is_ours.then_some(there)
        })
    }

    fn of_path(&self, path: &Path, told: Told, writes: bool) -> Option<String> {
        if self.roots.iter().any(|root| path.starts_with(root)) || path.starts_with("/dev/tcp") {
            return None;
        }
        let kind = fs::metadata(path).ok().map(|metadata| metadata.file_type());
        let is_there = kind.is_some();
        if kind.is_some_and(|kind| kind.is_socket()) {
            return self.of_socket(path, told);
        }
        let can = |path: &Path, how| access(path, how).is_ok();
        let could_read = is_there && can(path, Access::READ_OK);
        let place = if is_there { Some(path) } else { path.parent() };
        let could_write = place.is_some_and(|place| can(place, Access::WRITE_OK));
        let may_read = is_below(
            path,
            self.isolation.read.iter().chain(&self.isolation.write),
        );
        let may_write = is_below(path, self.isolation.write.iter());
        let writes = writes || !is_there;
        let is_ours = match told {
            Told::Denied if writes => could_write && !may_write,
            Told::Denied => could_read && !may_read,
            Told::ReadOnly => could_write && !may_write,
            Told::Missing => could_read && !may_read && self.is_hidden(path),
            Told::Silent => false,
        };
        is_ours.then(
            || match told == Told::ReadOnly || told == Told::Denied && writes {
                true => self.write_help(path),
                false => self.read_help(path, kind.is_some_and(|kind| kind.is_dir())),
            },
        )
    }

    fn of_socket(&self, path: &Path, told: Told) -> Option<String> {
        let could = access(path, Access::READ_OK | Access::WRITE_OK).is_ok();
        let isolation = self.isolation;
        let may = is_below(path, isolation.sockets.iter().chain(&isolation.write));
        let is_refused = told == Told::Denied || self.is_hidden(path);
        if !could || may || !is_refused {
            return None;
        }
        let shown = path.display();
        let known = self
            .sockets
            .iter()
            .find(|(_, paths)| paths.iter().any(|known| known == path || same(known, path)));
        Some(match known {
            Some((socket, _)) => format!(
                "`{shown}` is a socket that steps do not reach: write `sockets: [{}]` into the runner",
                socket.word()
            ),
            None => format!(
                "`{shown}` is a socket that steps do not reach: write `isolation: none` into the runner"
            ),
        })
    }

    fn read_help(&self, path: &Path, is_folder: bool) -> String {
        let shown = path.display();
        if let Ok(below) = path.strip_prefix(self.repository) {
            let below = match is_folder {
                true => below.join("**"),
                false => below.to_owned(),
            };
            let below = below.display();
            return match self.part {
                Part::Check(..) => format!(
                    "`{shown}` is not seen by a check: it looks at `$ARTIFACT`, `$REQUIRES` and the runner's own folder, `$RUNNER`"
                ),
                Part::Fetch(name) => format!(
                    "`{shown}` is not an input: add `- {{ paths: [{below}] }}` to `inputs` of the fetch `{name}`"
                ),
                Part::Build => format!(
                    "`{shown}` is not an input: add `- {{ paths: [{below}] }}` to `inputs` of the runner"
                ),
            };
        }
        if let Some(below) = self.home.and_then(|home| path.strip_prefix(home).ok()) {
            let way = match self.part {
                Part::Fetch(name) => {
                    format!(
                        "write `home: [{}]` into the fetch `{name}`",
                        below.display()
                    )
                }
                _ => "make it an input, or write `home: user` into the runner".to_owned(),
            };
            return format!("`{shown}` is in your home folder, which steps do not see: {way}");
        }
        if is_temporary(path) {
            return format!(
                "`{shown}` is a temporary file of yours, which steps do not see: make it an input"
            );
        }
        format!(
            "`{shown}` lies outside of what the action may read: make it an input, or write `isolation: none` into the runner"
        )
    }

    fn write_help(&self, path: &Path) -> String {
        let shown = path.display();
        let is_home = self.home.is_some_and(|home| path.starts_with(home));
        let is_repository = path.starts_with(self.repository);
        if is_home && !is_repository {
            format!(
                "`{shown}` is in your home folder, which steps do not change: write to `$OUT`, or write `home: user` into the runner"
            )
        } else if is_temporary(path) && !is_repository {
            format!("`{shown}` lies outside of the action: write to `$TMPDIR`")
        } else {
            format!(
                "`{shown}` lies outside of what the action may write: write to `$OUT`, or write `isolation: none` into the runner"
            )
        }
    }

    fn is_hidden(&self, path: &Path) -> bool {
        let spaces = self.isolation.spaces.as_ref();
        spaces.is_some_and(|spaces| is_below(path, spaces.hidden.iter()))
    }
}

/// That there is no network; `whom` says what was to be reached.
fn no_network(whom: &str) -> String {
    format!(
        "steps and checks have no network{whom}: move what needs it into a `fetch` of the runner, or write `network: true` into it"
    )
}

fn is_temporary(path: &Path) -> bool {
    path.starts_with("/tmp") || path.starts_with("/var/tmp")
}

/// Whether `path`, as it is written or where it really is, lies in one of `folders`.
fn is_below<'a>(path: &Path, mut folders: impl Iterator<Item = &'a PathBuf>) -> bool {
    let real = match (path.canonicalize(), path.parent(), path.file_name()) {
        (Ok(real), ..) => Some(real),
        (Err(_), Some(folder), Some(name)) => folder.canonicalize().ok().map(|f| f.join(name)),
        _ => None,
    };
    folders.any(|folder| {
        let is_in = |folder: &Path| {
            path.starts_with(folder) || real.as_ref().is_some_and(|real| real.starts_with(folder))
        };
        is_in(folder) || folder.canonicalize().is_ok_and(|folder| is_in(&folder))
    })
}

fn same(one: &Path, other: &Path) -> bool {
    let real = |path: &Path| path.canonicalize().ok();
    real(one).is_some_and(|one| real(other) == Some(one))
}

fn ends_word(c: char) -> bool {
    c.is_whitespace()
        || matches!(
            c,
            '\'' | '"' | '`' | ':' | ',' | ')' | '(' | ';' | '‘' | '’' | '“' | '”'
        )
}

/// The absolute paths in a line.
fn paths(line: &str) -> impl Iterator<Item = PathBuf> {
    line.split(ends_word)
        .filter(|word| word.len() > 1 && word.starts_with('/'))
        // By components, so that the `///` of an address is one.
        .map(|word| Path::new(word.trim_end_matches('.')).components().collect())
}

/// The address in a line: the host and port of `/dev/tcp/HOST/PORT`, or what follows the words that come before one.
fn address(line: &str) -> Option<String> {
    if let Some((_, rest)) = line.split_once("/dev/tcp/") {
        let mut parts = rest.split(|c: char| c == '/' || ends_word(c));
        return Some(format!("{}:{}", parts.next()?, parts.next()?));
    }
    const BEFORE: [&str; 9] = [
        "resolve host: ",
        "resolve host name ",
        "EAI_AGAIN ",
        "EACCES ",
        "dial tcp ",
        "dial udp ",
        "dial tcp: lookup ",
        "lookup ",
        "connect to ",
    ];
    let word = BEFORE.iter().find_map(|before| {
        let (_, rest) = line.split_once(before)?;
        let end = |c: char| c != ':' && ends_word(c);
        Some(rest.split(end).next()?.trim_end_matches(':'))
    })?;
    let is_address = word.contains(['.', ':']) || word == "localhost";
    (is_address && !word.starts_with('/')).then(|| word.to_owned())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test stops at its first surprise")]
mod tests {
    use super::*;
    use crate::process::Spaces;
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::net::UnixListener;

    /// A repository and a home folder with some files.
    struct World {
        folder: tempfile::TempDir,
        part: Part,
        network: bool,
    }

    impl World {
        fn new() -> World {
            let folder = tempfile::tempdir().unwrap();
            for file in [
                "repo/docs/a.md",
                "repo/docs/input.md",
                "repo/root/work/x",
                "me/.ssh/id",
                "srv/data",
                "usr/lib/x",
            ] {
                let path = folder.path().join(file);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, "").unwrap();
            }
            World {
                folder,
                part: Part::Build,
                network: false,
            }
        }

        fn help(&self, line: &str) -> Option<String> {
            let at = |path: &str| self.folder.path().join(path);
            let isolation = Isolation {
                read: vec![at("usr")],
                write: vec![at("repo/root")],
                network: self.network,
                spaces: Some(Spaces {
                    hidden: vec![at("repo"), at("run")],
                    ..Spaces::default()
                }),
                ..Isolation::default()
            };
            let (repository, home, root) = (at("repo"), at("me"), at("repo/root"));
            let reach = Reach {
                part: &self.part,
                repository: &repository,
                home: Some(&home),
                roots: [&root, Path::new("/tmp/mikado/root")],
                isolation: &isolation,
                sockets: vec![(Socket::Docker, vec![at("run/docker.sock")])],
                is_input: &|path| path == "docs/input.md",
            };
            let line = line.replace("@", &self.folder.path().display().to_string());
            let lines = line.lines().map(str::to_owned);
            reach.help(&lines.chain(["more".to_owned()]).collect::<Vec<_>>())
        }

        #[track_caller]
        fn says(&self, line: &str, words: &str) {
            let help = self.help(line).unwrap_or_default();
            assert!(help.contains(words), "{line}: {help}");
        }
    }

    #[test]
    fn a_denial_names_the_path_and_the_way_out() {
        let mut world = World::new();
        world.says(
            "cat: @/repo/docs/a.md: Permission denied",
            "add `- { paths: [docs/a.md] }` to `inputs` of the runner",
        );
        world.says(
            "cat: @/repo/docs/a.md: No such file or directory",
            "add `- { paths: [docs/a.md] }`",
        );
        world.says(
            "ls: cannot open directory '@/repo/docs': Permission denied",
            "add `- { paths: [docs/**] }`",
        );
        world.says(
            "PermissionError: [Errno 13] Permission denied: '@/me/.ssh/id'",
            "write `home: user` into the runner",
        );
        world.says(
            "touch: cannot touch '@/me/new': Permission denied",
            "write to `$OUT`",
        );
        world.says(
            "bash: line 1: @/repo/new: Read-only file system",
            "write to `$OUT`",
        );
        world.part = Part::Fetch("vendor".into());
        world.says(
            "open @/me/.ssh/id: permission denied",
            "write `home: [.ssh/id]` into the fetch `vendor`",
        );
        world.says(
            "cat: @/repo/docs/a.md: Permission denied",
            "to `inputs` of the fetch `vendor`",
        );
        world.part = Part::Check(None, 1);
        world.says("cat: @/repo/docs/a.md: Permission denied", "`$ARTIFACT`");
    }

    #[test]
    fn a_path_of_the_repository_may_be_relative() {
        let mut world = World::new();
        for line in [
            "cat: docs/a.md: No such file or directory",
            "FileNotFoundError: [Errno 2] No such file or directory: './docs/a.md'",
            "docs/a.md: cannot find it",
        ] {
            world.says(line, "add `- { paths: [docs/a.md] }` to `inputs`");
        }
        world.says("ls: cannot access 'docs': No such file", "[docs/**]");
        for line in [
            "cat: docs/input.md: No such file or directory",
            "cat: docs/none: No such file or directory",
            "cat: ../repo/docs/a.md: No such file or directory",
            "docs: not found",
        ] {
            assert_eq!(world.help(line), None, "{line}");
        }
        world.part = Part::Check(None, 1);
        world.says("cat: docs/a.md: No such file", "not seen by a check");
    }

    #[test]
    fn a_socket_is_opened_by_its_word() {
        let world = World::new();
        let run = world.folder.path().join("run");
        fs::create_dir(&run).unwrap();
        let _docker = UnixListener::bind(run.join("docker.sock")).unwrap();
        let _other = UnixListener::bind(run.join("other.sock")).unwrap();
        world.says("Cannot connect to the Docker daemon at unix://@/run/docker.sock. Is the docker daemon running?", "write `sockets: [docker]` into the runner");
        world.says(
            "dial unix @/run/docker.sock: connect: no such file or directory",
            "write `sockets: [docker]`",
        );
        world.says(
            "connect to @/run/other.sock: No such file or directory",
            "write `isolation: none`",
        );
    }

    #[test]
    fn a_step_without_network_is_told_so_with_the_address() {
        let mut world = World::new();
        world.says("bash: connect: Permission denied", "no network:");
        world.says(
            "bash: line 1: /dev/tcp/127.0.0.1/80: Permission denied",
            "no network to reach `127.0.0.1:80`",
        );
        world.says(
            "curl: (6) Could not resolve host: example.org",
            "to reach `example.org`",
        );
        world.says(
            "getaddrinfo EAI_AGAIN registry.example.org",
            "to reach `registry.example.org`",
        );
        world.says(
            "dial udp 9.9.9.9:53: connect: network is unreachable",
            "to reach `9.9.9.9:53`",
        );
        world.says(
            "curl: (7) Failed to connect to 127.0.0.1 port 8080 after 0 ms: Couldn't connect to server",
            "no network to reach `127.0.0.1`",
        );
        world.says(
            "  File \"x.py\", line 1\n    sock.connect(sa)\nPermissionError: [Errno 13] Permission denied",
            "no network:",
        );
        assert_eq!(
            world.help("    open(x)\nPermissionError: [Errno 13] Permission denied"),
            None
        );
        world.says(
            "socket.gaierror: [Errno -3] Temporary failure in name resolution",
            "no network:",
        );
        world.network = true;
        assert_eq!(
            world.help("curl: (6) Could not resolve host: example.org"),
            None
        );
        assert_eq!(world.help("bash: connect: Permission denied"), None);
    }

    #[test]
    fn another_cause_is_no_denial_of_ours() {
        let world = World::new();
        for line in [
            "cat: @/usr/lib/x: Permission denied",
            "bash: @/repo/root/work/x: Permission denied",
            "bash: /tmp/mikado/root/work/x: Permission denied",
            "cat: @/repo/none: No such file or directory",
            "cat: @/srv/data: No such file or directory",
            "error: no such file @/repo/x",
            "bash: foo: command not found",
            "git@example.org: Permission denied (publickey).",
            "assertion failed: not connected",
            "Cannot connect to the Docker daemon at unix://@/run/docker.sock. Is the docker daemon running?",
        ] {
            assert_eq!(world.help(line), None, "{line}");
        }
    }

    #[test]
    fn what_the_user_may_not_read_either_is_no_denial_of_ours() {
        let world = World::new();
        let path = world.folder.path().join("srv/data");
        world.says("cat: @/srv/data: Permission denied", "make it an input");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o0)).unwrap();
        let help = world.help("cat: @/srv/data: Permission denied");
        // Root reads everything.
        assert_eq!(help.is_some(), rustix::process::geteuid().is_root());
    }
}
