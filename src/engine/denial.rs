//! What to say of a step that failed because it was confined.
//!
//! The kernel tells a program that it may not, or that there is nothing, and
//! the program tells its user; what it was is read off the last lines of its
//! log. That is a guess, so it is told only where it holds: the file must be one
//! that is refused or hidden here, and that the user could have used outside. Of
//! the network it holds always, since a step has none.

use std::fs;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};

use crate::process::Isolation;
use crate::runner::definition::Socket;

use super::order::Part;
use super::undeclared;

/// What a confined step could reach.
#[derive(Debug)]
pub(crate) struct Reach<'a> {
    /// What it is to its card.
    pub(crate) part: &'a Part,
    /// The repository's root.
    pub(crate) repository: &'a Path,
    /// Named sources that were read, and where they are.
    pub(crate) sources: Vec<(String, PathBuf)>,
    /// The user's home folder.
    pub(crate) home: Option<&'a Path>,
    /// The action's root, at its own place and at the one that the step saw.
    pub(crate) roots: [&'a Path; 2],
    /// What it might do.
    pub(crate) isolation: &'a Isolation,
    /// Where the sockets are that a runner can open.
    pub(crate) sockets: Vec<(Socket, Vec<PathBuf>)>,
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

/// The machine's folders of temporary files.
const TEMPORARY: [&str; 2] = ["/tmp", "/var/tmp"];

/// What they call it when a connection is denied.
const CONNECTING: [&str; 7] = [
    "connect",
    "/dev/tcp/",
    "/dev/udp/",
    "network",
    "socket",
    "dial ",
    "urlopen",
];

/// What to do where there is no network.
const NETWORK: &str =
    "move what needs it into a `fetch` of the runner, or write `network: true` into it";

/// How connections stand in a traceback of Python.
const CONNECTS: [&str; 3] = ["connect(", "create_connection", "getaddrinfo("];

/// How many lines of a traceback are looked at.
const FRAMES: usize = 12;

/// What a line says of a file that was to be changed.
const WRITING: [&str; 10] = [
    "create", "write", "writing", "touch", "mkdir", "remove", "unlink", "rename", "move", "tee:",
];

impl Reach<'_> {
    /// What to do about a denial in these lines; `None` where there is none.
    pub(crate) fn help(&self, lines: &[String]) -> Option<String> {
        let numbered = lines.iter().enumerate().rev();
        numbered
            .map(|(at, line)| (line, &lines[..at]))
            .find_map(|(line, before)| {
                self.of_line(line)
                    .or_else(|| self.of_traceback(line, before))
            })
    }

    /// Python says of a connection no more than that it was denied; what was tried stands in the lines before.
    fn of_traceback(&self, line: &str, before: &[String]) -> Option<String> {
        let lower = line.to_lowercase();
        let is_bare = ["permission denied", "operation not permitted"]
            .iter()
            .any(|words| lower.trim_end().ends_with(words));
        let frames = &before[before.len().saturating_sub(FRAMES)..];
        let connects = |line: &String| CONNECTS.iter().any(|call| line.trim_start().contains(call));
        let is_ours = is_bare && paths(line).next().is_none() && frames.iter().any(connects);
        (is_ours && !self.isolation.network).then(|| self.likely_network(None))
    }

    /// What to do where no network is the likely cause of a failed connection.
    fn likely_network(&self, address: Option<String>) -> String {
        let whom = address.map_or(String::new(), |address| format!(" to reach `{address}`"));
        format!(
            "steps and checks have no network{whom}, which is the likely cause: {}",
            NETWORK
        )
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
                && let Some(help) = self.of_missing(line)
            {
                return Some(help);
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
        let refused = told == Some(Told::Denied) && says(&CONNECTING);
        if !self.isolation.network && (refused || says(&NO_NETWORK)) {
            let whom =
                address(line).map_or(String::new(), |address| format!(" to reach `{address}`"));
            return Some(format!(
                "steps and checks have no network{whom}: {}",
                NETWORK
            ));
        }
        // Who is refused by a listener has reached it.
        let failed = told == Some(Told::Silent) && !says(&["connection refused", "econnrefused"]);
        if !self.isolation.network && failed && paths(line).next().is_none() {
            return Some(self.likely_network(address(line)));
        }
        None
    }

    /// What is not there in `work/`, and is in the repository or in a source.
    fn of_missing(&self, line: &str) -> Option<String> {
        let lower = line.to_lowercase();
        if lower.contains("command not found") {
            return None;
        }
        let is_file_error = ["no such file", "enoent"]
            .iter()
            .any(|words| lower.contains(words));
        line.split(ends_word)
            .filter_map(|word| {
                let path = Path::new(word.trim_end_matches('.'));
                let in_work = |root: &&Path| path.strip_prefix(root.join("work")).ok();
                let below = self.roots.iter().find_map(in_work).unwrap_or(path);
                undeclared::plain(below)
            })
            // Other messages have words that a file may be named like.
            .filter(|path| is_file_error || path.components().count() > 1)
            .find_map(|path| self.of_missing_path(&path))
    }

    fn of_missing_path(&self, path: &Path) -> Option<String> {
        if self.roots[0].join("work").join(path).exists() {
            return None;
        }
        let sources = self
            .sources
            .iter()
            .map(|(name, folder)| (Some(name), folder));
        let repository = self.repository.to_owned();
        let mut places = [(None, &repository)].into_iter().chain(sources);
        places.find_map(|(source, folder)| {
            let there = folder.join(path);
            let could_read = access(&there, Access::READ_OK).is_ok();
            could_read
                .then(|| self.input_help(&path.display().to_string(), source, path, there.is_dir()))
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
            return self.input_help(&shown.to_string(), None, below, is_folder);
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
        if TEMPORARY.iter().any(|folder| path == Path::new(folder)) {
            return format!("`{shown}` is the machine's, which steps do not see: use `$TMPDIR`");
        }
        // It is not to be had as a whole.
        if self.repository.starts_with(path) {
            return format!(
                "`{shown}` is a folder above the repository, which steps do not list: make what is needed of it an input, or write `isolation: none` into the runner"
            );
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

    /// What to do about the file or folder `path` of a source, or of the repository, which is no input.
    fn input_help(
        &self,
        shown: &str,
        source: Option<&String>,
        path: &Path,
        is_folder: bool,
    ) -> String {
        let glob = match is_folder {
            true => path.join("**"),
            false => path.to_owned(),
        };
        let source = source.map_or(String::new(), |source| format!("source: {source}, "));
        let entry = format!("- {{ {source}paths: [{}] }}", glob.display());
        match self.part {
            Part::Check(..) => format!(
                "`{shown}` is not seen by a check: it looks at `$ARTIFACT`, `$REQUIRES` and the runner's own folder, `$RUNNER`"
            ),
            Part::Fetch(name) => format!(
                "`{shown}` is not an input: add `{entry}` to `inputs` of the fetch `{name}`"
            ),
            Part::Build => {
                format!("`{shown}` is not an input: add `{entry}` to `inputs` of the runner")
            }
        }
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

fn is_temporary(path: &Path) -> bool {
    TEMPORARY.iter().any(|folder| path.starts_with(folder))
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
        .filter(|word| word.starts_with('/'))
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
    let port = line
        .split_once(&format!("{word} port "))
        .map(|(_, rest)| rest.chars().take_while(char::is_ascii_digit).collect())
        .filter(|port: &String| !port.is_empty() && !word.contains(':'));
    (is_address && !word.starts_with('/')).then(|| match port {
        Some(port) => format!("{word}:{port}"),
        None => word.to_owned(),
    })
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
            self.help_of(&[line.to_owned(), "more".to_owned()])
        }

        fn help_of(&self, lines: &[String]) -> Option<String> {
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
                sources: vec![("notes".to_owned(), at("srv"))],
                roots: [&root, Path::new("/tmp/mikado/root")],
                isolation: &isolation,
                sockets: vec![(Socket::Docker, vec![at("run/docker.sock")])],
            };
            let folder = self.folder.path().display().to_string();
            let lines: Vec<String> = lines
                .iter()
                .map(|line| line.replace('@', &folder))
                .collect();
            reach.help(&lines)
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
    fn what_is_missing_in_the_action_and_lies_in_the_repository_is_to_be_an_input() {
        let mut world = World::new();
        for line in [
            "cat: docs/a.md: No such file or directory",
            "cat: ./docs/a.md: No such file or directory",
            "FileNotFoundError: [Errno 2] No such file or directory: 'docs/a.md'",
            "open @/repo/root/work/docs/a.md: no such file or directory",
            "Error: ENOENT: no such file or directory, open '/tmp/mikado/root/work/docs/a.md'",
            "error: docs/a.md does not exist",
        ] {
            world.says(
                line,
                "`docs/a.md` is not an input: add `- { paths: [docs/a.md] }` to `inputs` of the runner",
            );
        }
        world.says(
            "ls: cannot access 'docs': No such file or directory",
            "add `- { paths: [docs/**] }`",
        );
        world.says(
            "cat: data: No such file or directory",
            "add `- { source: notes, paths: [data] }` to `inputs` of the runner",
        );
        world.part = Part::Fetch("vendor".into());
        world.says(
            "cat: docs/a.md: No such file or directory",
            "to `inputs` of the fetch `vendor`",
        );
    }

    #[test]
    fn a_failed_connection_without_an_address_is_told_with_its_likely_cause() {
        let mut world = World::new();
        let traceback = [
            "Traceback (most recent call last):",
            "  File \"<string>\", line 1, in <module>",
            "  File \"/usr/lib/python3.11/socket.py\", line 848, in create_connection",
            "    sock.connect(sa)",
            "PermissionError: [Errno 13] Permission denied",
        ];
        let traceback = traceback.map(str::to_owned);
        let likely = "no network, which is the likely cause: move what needs it";
        let help = world.help_of(&traceback).unwrap_or_default();
        assert!(help.contains(likely), "{help}");
        // A denial of something else.
        assert_eq!(world.help_of(&traceback[4..]), None);
        world.says(
            "curl: (7) Failed to connect to 127.0.0.1 port 8080 after 0 ms: Couldn't connect to server",
            "no network to reach `127.0.0.1:8080`, which is the likely cause",
        );
        world.says(
            "urllib.error.URLError: <urlopen error [Errno 13] Permission denied>",
            "no network:",
        );
        assert_eq!(
            world.help("curl: (7) Failed to connect to 127.0.0.1 port 80: Connection refused"),
            None
        );
        world.network = true;
        assert_eq!(world.help_of(&traceback), None);
        assert_eq!(
            world.help("curl: (7) Failed to connect to 127.0.0.1 port 8080 after 0 ms"),
            None
        );
    }

    #[test]
    fn folders_that_are_too_large_for_an_input_have_words_of_their_own() {
        let world = World::new();
        world.says(
            "ls: cannot open directory '/': Permission denied",
            "`/` is a folder above the repository, which steps do not list",
        );
        world.says(
            "ls: cannot open directory '@': Permission denied",
            "is a folder above the repository",
        );
        world.says(
            "ls: cannot open directory '/var/tmp': Permission denied",
            "`/var/tmp` is the machine's, which steps do not see: use `$TMPDIR`",
        );
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
            "bash: docs: command not found",
            "sh: 1: docs: not found",
            "cat: x: No such file or directory",
            "cat: .git/config: No such file or directory",
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
