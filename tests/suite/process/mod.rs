//! Real processes under the real keeper: what they get, how they end, and that nothing is left of them.
//!
//! Who is alive is seen by who holds a pipe open: a puppet opens a FIFO, and the test reads it to its end.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod ending;
mod isolated;
mod killed;
mod output;
mod starting;

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use mikado::process::{Execution, GRACE, Isolation, Keeper, Outcome};
use tempfile::TempDir;

use crate::support::sandbox::program;

struct Bench {
    folder: TempDir,
}

impl Bench {
    fn new() -> Bench {
        Bench {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn shell(&self, script: &str) -> Execution {
        self.execution(&["/bin/bash", "-euo", "pipefail", "-c", script])
    }

    fn execution(&self, argv: &[&str]) -> Execution {
        let log = fs::OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o644)
            .open(self.path("log"))
            .unwrap();
        Execution {
            argv: argv.iter().map(OsString::from).collect(),
            env: vec![
                ("PATH".into(), "/usr/bin:/bin".into()),
                ("D".into(), self.folder.path().into()),
            ],
            cwd: self.folder.path().into(),
            output: log.into(),
            isolation: None,
            secrets: vec![],
            timeout: None,
            grace: GRACE,
        }
    }

    fn isolated(&self, script: &str) -> Execution {
        fs::create_dir_all(self.path("work")).unwrap();
        let mut isolation = Isolation::of_system();
        isolation.read.push(self.folder.path().into());
        isolation.write.push(self.path("work"));
        Execution {
            isolation: Some(isolation),
            ..self.shell(script)
        }
    }

    fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.path("log")).unwrap()).into_owned()
    }

    /// A FIFO by this name; puppets write to it.
    fn fifo(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        assert!(
            Command::new("mkfifo")
                .arg(&path)
                .status()
                .unwrap()
                .success()
        );
        path
    }
}

fn keeper() -> Keeper {
    Keeper::start_with(&program()).unwrap()
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}

/// How an execution under this keeper ended.
async fn ended(keeper: &Keeper, execution: Execution) -> Outcome {
    keeper.execute(execution).await.wait().await
}

/// Runs one execution under a keeper of its own.
fn run(execution: Execution) -> Outcome {
    block_on(ended(&keeper(), execution))
}

/// Everything that is written to a FIFO until nobody holds it any more.
fn read_to_end(fifo: &Path) -> String {
    let mut text = String::new();
    File::open(fifo).unwrap().read_to_string(&mut text).unwrap();
    text
}

/// Forks twice, with a session in between, so that nothing connects it to its maker.
const DAEMON: &str =
    "(setsid bash -c 'exec 3> alive; setsid sleep 1000 & echo > started' &) ; read < started";

/// Sends a signal to a process, which must be there.
fn kill(signal: &str, pid: &str) {
    let signal = format!("-{signal}");
    let status = Command::new("kill").args([&signal, pid]).status();
    assert!(status.unwrap().success());
}
