//! Cards that are executed on another machine: the same action, the same artifact.

mod breaks;
mod download;
mod endings;
pub mod layers;
mod manners;
mod mixed;
mod together;
mod unverified;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::servers;
use super::{artifacts, chain, executed, is_whole, run};
use crate::support::sandbox::{Ran, Sandbox};

/// The sandbox as a machine that has others execute.
pub fn with_executor(sandbox: Sandbox, url: &str) -> Sandbox {
    sandbox.env("MIKADO_EXECUTOR", url)
}

/// What the run says of its executor at its end.
pub fn executor_counts(ran: &Ran) -> Value {
    counts_of(&ran.json_lines())
}

/// What the last of these events says of the executor.
pub fn counts_of(events: &[Value]) -> Value {
    let last = events.last().expect("an end");
    assert_eq!(last["event"], "runFinished");
    last["executor"].clone()
}

/// Waits until something holds.
#[track_caller]
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < Duration::from_secs(90), "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A gate before steps that are executed elsewhere: they wait until it is open.
/// A step that is executed here does not see it, and goes on.
pub struct Gate {
    folder: tempfile::TempDir,
}

impl Gate {
    /// A gate that is closed.
    pub fn new() -> Gate {
        let folder = tempfile::tempdir().expect("a folder for a gate");
        Gate { folder }
    }

    /// What shows it to the steps that a server executes.
    pub fn option(&self) -> String {
        format!("--runner-arg={}", self.option_of_runner())
    }

    /// The same for what executes one action.
    pub fn option_of_runner(&self) -> String {
        format!("--ro-bind-mount={}:/gate", self.folder.path().display())
    }

    /// What waits for it, in a step of bash; `name` is seen by [`alive`].
    pub fn wait(&self, name: &str) -> String {
        let marker = self.marker(name);
        format!(
            ": {marker}; if test -d /gate; then until test -e /gate/open; do sleep 0.05; done; fi"
        )
    }

    /// What nothing else on this machine has in its words.
    fn marker(&self, name: &str) -> String {
        let folder = self.folder.path().file_name().expect("a name");
        format!("{name}-at-{}", folder.to_string_lossy().replace('.', "_"))
    }

    /// Opens it.
    pub fn open(&self) {
        fs::write(self.folder.path().join("open"), "").expect("an open gate");
    }

    /// The processes that wait as `name`.
    pub fn waiting(&self, name: &str) -> BTreeSet<i32> {
        alive(&self.marker(name))
    }
}

impl Drop for Gate {
    /// Ends what still waits: a killed server leaves its workers behind.
    fn drop(&mut self) {
        for pid in alive(&self.marker("")) {
            let pid = Pid::from_raw(pid).expect("a process");
            // It may have ended by itself.
            kill_process(pid, Signal::KILL).ok();
        }
    }
}

/// The shells that have these words in their script.
fn alive(words: &str) -> BTreeSet<i32> {
    let processes = fs::read_dir("/proc").expect("processes");
    let pid = |entry: fs::DirEntry| entry.file_name().to_str()?.parse().ok();
    let has = |pid: &i32| {
        let path = Path::new("/proc").join(pid.to_string()).join("cmdline");
        let line = fs::read(path).unwrap_or_default();
        String::from_utf8_lossy(&line).contains(words)
    };
    let pids = processes.filter_map(Result::ok).filter_map(pid);
    pids.filter(has).collect()
}

/// Where the artifact of a card is: the name of its tree.
pub fn artifact(sandbox: &Sandbox, stem: &str) -> String {
    let link = sandbox.path(&format!(".mikado/artifacts/{stem}"));
    let tree = fs::read_link(&link).unwrap_or_else(|e| panic!("{}: {e}", link.display()));
    let name = tree.file_name().expect("a name");
    name.to_string_lossy().into_owned()
}

/// The event that a card ended with.
#[track_caller]
pub fn ending(events: &[Value], card: &str) -> Value {
    let is = |event: &&Value| event["event"] == "cardFinished" && event["card"] == card;
    let ended = events.iter().find(is);
    ended
        .unwrap_or_else(|| panic!("no end of {card}: {events:#?}"))
        .clone()
}

#[test]
fn chain_comes_out_elsewhere_as_it_does_here() {
    let server = servers::executing_casd(&[]);
    let here = chain();
    drop(run(&here));
    let there = with_executor(chain(), &server.url());
    let ran = run(&there);
    let counts = executor_counts(&ran);
    assert_eq!(executed(&ran), 3, "{}", ran.all());
    assert_eq!(counts["executed"], 3, "{counts}");
    assert_eq!(counts["failed"], 0, "{counts}");
    assert_eq!(artifacts(&here), artifacts(&there));
    is_whole(&there);
    // What was printed is in the log.
    let log = there.mikado("log one").exits(0);
    assert!(
        log.stdout().contains("this was printed"),
        "{}",
        log.stdout()
    );

    // Nothing is executed a second time, here or by another machine.
    let again = run(&there);
    assert_eq!(
        (executed(&again), executor_counts(&again)),
        (0, Value::Null)
    );
    let other = with_executor(chain(), &server.url());
    let ran = run(&other);
    assert_eq!(executed(&ran), 0, "{}", ran.all());
    assert_eq!(executor_counts(&ran)["found"], 3);
    assert_eq!(artifacts(&here), artifacts(&other));
}
