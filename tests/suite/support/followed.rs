//! A run that a test follows while it runs.

use std::io::{BufRead, BufReader, Lines};
use std::process::{Child, ChildStdout, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::sandbox::{Sandbox, program};

/// A run that is followed while it runs.
pub struct Run {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Run {
    /// Starts `mikado run` with these words.
    pub fn start(sandbox: &Sandbox, arguments: &str) -> Run {
        let mut command = sandbox.command(program());
        command
            .args(["run", "--format", "json"])
            .args(arguments.split(' '));
        let mut child = command
            .stdout(Stdio::piped())
            .spawn()
            .expect("a started program");
        let lines = BufReader::new(child.stdout.take().expect("its output")).lines();
        Run { child, lines }
    }

    /// Reads on to the event that is wanted.
    #[track_caller]
    pub fn until(&mut self, wanted: impl Fn(&Value) -> bool) -> Value {
        for line in self.lines.by_ref().map_while(Result::ok) {
            let event: Value = serde_json::from_str(&line).expect("an event");
            if wanted(&event) {
                return event;
            }
        }
        panic!("the run ended before");
    }

    /// The number of its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Interrupts it, as Ctrl-C does.
    pub fn interrupt(&self) {
        let pid = Pid::from_raw(self.child.id().cast_signed()).expect("a process");
        kill_process(pid, Signal::INT).expect("a signal");
    }

    /// Whether it has ended.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("a state").is_some()
    }

    /// Kills it.
    pub fn kill(&mut self) {
        self.child.kill().expect("a killed program");
    }

    /// Waits for its end, which must be with this code; the events that were left.
    #[track_caller]
    pub fn exits(mut self, code: i32) -> Vec<Value> {
        let lines = self.lines.by_ref().map_while(Result::ok);
        let read = |line: String| serde_json::from_str(&line).expect("an event");
        let events: Vec<Value> = lines.map(read).collect();
        let exit = self.child.wait().expect("its end").code();
        assert_eq!(exit, Some(code), "{events:#?}");
        events
    }
}
