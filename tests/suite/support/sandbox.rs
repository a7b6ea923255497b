//! A repository in a temporary folder, written in a line each, in which the
//! real `mikado` runs with a cleared environment.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use snapbox::assert_data_eq;
use snapbox::data::IntoData;

use super::scratch;

/// The program under test.
pub const MIKADO: &str = env!("CARGO_BIN_EXE_mikado");

/// The program under test; a copy of it where another user runs these tests.
pub fn program() -> PathBuf {
    std::env::var_os("MIKADO_TEST_PROGRAM")
        .unwrap_or_else(|| MIKADO.into())
        .into()
}

/// A repository of one test.
pub struct Sandbox {
    folder: tempfile::TempDir,
    env: Vec<(String, String)>,
}

impl Sandbox {
    /// An empty repository.
    pub fn new() -> Sandbox {
        Sandbox::new_in(&std::env::temp_dir())
    }

    /// An empty repository below `place`.
    pub fn new_in(place: &Path) -> Sandbox {
        let folder = tempfile::Builder::new()
            .prefix("mikado-test-")
            .tempdir_in(place);
        let sandbox = Sandbox {
            folder: folder.expect("a temporary folder"),
            env: Vec::new(),
        };
        fs::create_dir_all(sandbox.root()).expect("a root");
        fs::create_dir_all(sandbox.folder.path().join("home")).expect("a home");
        sandbox
    }

    /// A git repository with this checkout's cards, runners and sources, in which
    /// the user's own registry settings are used. Of what runners ask for, PATH
    /// has Python alone.
    pub fn of_checkout() -> Sandbox {
        let mut sandbox = Sandbox::new();
        for folder in ["cards", "runners", "tests/fixtures"] {
            sandbox.copy_from_checkout(folder, folder);
        }
        // The cards are open as shipped; a run in this checkout completes them.
        for entry in fs::read_dir(sandbox.path("cards"))
            .expect("cards")
            .filter_map(Result::ok)
        {
            let name = format!("cards/{}", entry.file_name().to_string_lossy());
            let text = sandbox.read(&name);
            sandbox.write(
                &name,
                &text.replacen("\nstatus: complete\n", "\nstatus: active\n", 1),
            );
        }
        let is_setting = |name: &str| {
            let upper = name.to_uppercase();
            ["PIP_", "NPM_", "UV_", "GO", "PYENV_"]
                .iter()
                .any(|start| upper.starts_with(start))
                || ["PROXY", "CERT", "_CA_", "CA_BUNDLE"]
                    .iter()
                    .any(|part| upper.contains(part))
                || upper == "HOME"
        };
        let user = std::env::vars().filter(|(name, _)| is_setting(name));
        sandbox.env.extend(user);
        let path = scratch::path_without_tools().display().to_string();
        sandbox.env.push(("PATH".into(), path));
        sandbox.committed()
    }

    /// The root of the repository.
    pub fn root(&self) -> PathBuf {
        self.folder.path().join("repo")
    }

    /// The user's home folder.
    pub fn home(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    /// A path below the root.
    pub fn path(&self, path: &str) -> PathBuf {
        self.root().join(path)
    }

    /// Sets a variable for every command.
    pub fn env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.env.push((name.to_owned(), value.into()));
        self
    }

    /// Takes a variable away from every command.
    pub fn without_env(mut self, name: &str) -> Self {
        self.env.retain(|(known, _)| known != name);
        self
    }

    /// Uses the store in `folder`.
    pub fn store(self, folder: &Path) -> Self {
        self.env("MIKADO_STORE", folder.display().to_string())
    }

    /// Writes a file.
    pub fn file(self, path: &str, text: &str) -> Self {
        self.write(path, text);
        self
    }

    /// Writes a card with front matter and an empty body.
    pub fn card(self, stem: &str, front: &str) -> Self {
        self.card_with(stem, front, "")
    }

    /// Writes a card with front matter and a body.
    pub fn card_with(self, stem: &str, front: &str, body: &str) -> Self {
        let text = format!("---\n{}\n---\n# {stem}\n\n{body}", front.trim_end());
        self.file(&format!("cards/{stem}.md"), &text)
    }

    /// Writes a runner.
    pub fn runner(self, name: &str, text: &str) -> Self {
        self.file(&format!("runners/{name}.yaml"), text)
    }

    /// Writes a file, in the middle of a test.
    pub fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        fs::write(&path, text).expect("a written file");
    }

    /// Replaces text in a file; it must be there.
    pub fn edit(&self, path: &str, from: &str, to: &str) {
        let text = self.read(path);
        assert!(text.contains(from), "{path} has no {from:?}:\n{text}");
        self.write(path, &text.replace(from, to));
    }

    /// Reads a file.
    pub fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
    }

    /// Copies a folder of the checkout into the repository.
    pub fn copy_from_checkout(&self, from: &str, to: &str) {
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join(from);
        copy_tree(&from, &self.path(to));
    }

    /// A command in the root with a cleared environment.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(self.root())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.home())
            .env("LANG", "C.UTF-8")
            .env("NO_COLOR", "1")
            .env("COLUMNS", "100")
            .stdin(Stdio::null());
        for (name, value) in &self.env {
            command.env(name, value);
        }
        command
    }

    /// Runs git, which must succeed.
    pub fn git(&self, arguments: &str) -> String {
        let mut git = self.command("git");
        git.args(["-c", "user.name=test", "-c", "user.email=test@localhost"]);
        git.args([
            "-c",
            "init.defaultBranch=main",
            "-c",
            "commit.gpgsign=false",
        ]);
        git.args(words(arguments));
        let output = git.output().expect("git");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "git {arguments}: {output:?}");
        text
    }

    /// Makes the root a git repository with everything committed.
    pub fn committed(self) -> Self {
        self.git("init -q");
        self.git("add -A");
        self.git("commit -qm start");
        self
    }

    #[must_use = "assert something of it"]
    /// Runs `mikado` with these words; quotes keep a word together.
    pub fn mikado(&self, arguments: &str) -> Ran {
        let mut command = self.command(program());
        command.args(words(arguments));
        self.run(command, arguments)
    }

    /// Runs a prepared command.
    pub fn run(&self, mut command: Command, what: &str) -> Ran {
        let output = command.output().expect("a started program");
        Ran {
            what: what.to_owned(),
            root: self.root().canonicalize().expect("a root"),
            output,
        }
    }
}

/// What a command did.
pub struct Ran {
    what: String,
    root: PathBuf,
    output: Output,
}

impl Ran {
    /// Standard output with what differs between runs replaced.
    pub fn stdout(&self) -> String {
        self.redacted(&self.output.stdout)
    }

    /// Standard error with what differs between runs replaced.
    pub fn stderr(&self) -> String {
        self.redacted(&self.output.stderr)
    }

    /// Both, for messages.
    pub fn all(&self) -> String {
        format!("{}{}", self.stdout(), self.stderr())
    }

    /// The exit code; -1 for a signal.
    pub fn code(&self) -> i32 {
        self.output.status.code().unwrap_or(-1)
    }

    /// Asserts the exit code.
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.code(), code, "mikado {}\n{}", self.what, self.all());
        self
    }

    /// Asserts the whole standard output.
    #[track_caller]
    pub fn prints(self, expected: impl IntoData) -> Self {
        assert_data_eq!(self.stdout(), expected.into_data());
        self
    }

    /// Asserts the whole standard error.
    #[track_caller]
    pub fn warns(self, expected: impl IntoData) -> Self {
        assert_data_eq!(self.stderr(), expected.into_data());
        self
    }

    /// Asserts that some text is in either output.
    #[track_caller]
    pub fn says(self, text: &str) -> Self {
        let all = self.all();
        assert!(
            all.contains(text),
            "no {text:?} in mikado {}\n{all}",
            self.what
        );
        self
    }

    /// Asserts that some text is in neither output.
    #[track_caller]
    pub fn says_nothing_of(self, text: &str) -> Self {
        let all = self.all();
        assert!(
            !all.contains(text),
            "{text:?} in mikado {}\n{all}",
            self.what
        );
        self
    }

    /// The lines of standard output as JSON objects.
    pub fn json_lines(&self) -> Vec<serde_json::Value> {
        let text = String::from_utf8_lossy(&self.output.stdout);
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{line}: {e}")))
            .collect()
    }

    /// Standard output as one JSON object.
    pub fn json(&self) -> serde_json::Value {
        let text = String::from_utf8_lossy(&self.output.stdout);
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("{text}: {e}"))
    }

    fn redacted(&self, bytes: &[u8]) -> String {
        let text = String::from_utf8_lossy(bytes);
        let text = text.replace(&self.root.display().to_string(), "[ROOT]");
        redact_durations(&text)
    }
}

/// Durations as [`mikado::runner::units::show_duration`] writes them.
pub fn redact_durations(text: &str) -> String {
    let mut lines = Vec::new();
    for line in text.split('\n') {
        match line.rsplit_once(" in ") {
            Some((before, after)) if is_duration(after) => {
                lines.push(format!("{before} in [TIME]"));
            }
            _ => lines.push(line.to_owned()),
        }
    }
    lines.join("\n")
}

fn is_duration(text: &str) -> bool {
    mikado::runner::units::duration(&text.replace(' ', "")).is_some()
}

/// Splits into words; single and double quotes keep a word together.
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote: Option<char> = None;
    for c in text.chars() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, ' ') => words.extend(word.take()),
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

/// Copies a tree with links and modes.
pub fn copy_tree(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).unwrap_or_else(|e| panic!("{}: {e}", from.display())) {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        let kind = entry.file_type().expect("a kind");
        if kind.is_dir() {
            copy_tree(&entry.path(), &target);
        } else if kind.is_symlink() {
            let text = fs::read_link(entry.path()).expect("a link");
            std::os::unix::fs::symlink(text, &target).expect("a link");
        } else {
            fs::copy(entry.path(), &target).expect("a copied file");
        }
    }
}
