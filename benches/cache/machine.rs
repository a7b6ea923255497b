//! A machine: a folder with a project, in which the real `mikado` runs with an
//! environment of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// A machine.
pub struct Machine {
    program: String,
    folder: tempfile::TempDir,
    env: Vec<(&'static str, String)>,
}

/// What a run did.
pub struct Ran {
    pub took: Duration,
    /// What was done with the cache; null where nothing was.
    pub cache: Value,
    /// How many builds were executed.
    pub built: usize,
}

impl Machine {
    /// A machine whose project `write` writes.
    pub fn new(program: &str, write: impl FnOnce(&Path)) -> Machine {
        let folder = tempfile::Builder::new().prefix("mikado-cache-").tempdir();
        let folder = folder.expect("a folder");
        write(folder.path());
        Machine {
            program: program.to_owned(),
            folder,
            env: Vec::new(),
        }
    }

    /// The machine with a cache from now on.
    pub fn with_cache(mut self, url: &str, mode: &str) -> Machine {
        self.env = vec![
            ("MIKADO_CACHE", url.to_owned()),
            ("MIKADO_CACHE_MODE", mode.to_owned()),
            ("MIKADO_CACHE_TOKEN", "nobody-looks-at-it".to_owned()),
        ];
        self
    }

    /// Where its project is.
    pub fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    /// Forgets what is there of a path.
    pub fn forget(&self, path: &str) {
        drop(fs::remove_dir_all(self.path(path)));
    }

    /// Runs everything, which must pass.
    pub fn run(&self) -> Ran {
        let mut command = Command::new(&self.program);
        command
            .args(["run", "--all", "--no-mark", "--format", "json"])
            .current_dir(self.folder.path())
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("HOME", "/nonexistent")
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null());
        let began = Instant::now();
        let output = command.output().expect("a started program");
        let took = began.elapsed();
        let text = String::from_utf8_lossy(&output.stdout);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{text}{errors}");
        let lines = text.lines().map(serde_json::from_str);
        let lines: Vec<Value> = lines.collect::<Result<_, _>>().expect("lines of JSON");
        let is_built = |line: &&Value| line["event"] == "cardFinished" && line["how"] == "built";
        let built = lines.iter().filter(is_built).count();
        let mut cache = lines.last().expect("an end")["cache"].clone();
        if cache["failed"].as_u64().is_some_and(|failed| failed > 0) {
            panic!("the cache failed: {cache}\n{text}");
        }
        Ran {
            took,
            cache: cache.take(),
            built,
        }
    }
}
