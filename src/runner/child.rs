//! Runs one program to its end, or until it is stopped.
//!
//! For what mikado itself asks in the user's name (pip, npm, git, a tool's
//! version), not for steps, which the keeper runs. The program reads nothing;
//! what it prints is kept. A stop or too long a time kills it.

use std::io::{self, Read};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Ends all programs that were started with a copy of it.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Ends what runs, and lets nothing else start.
    pub fn stop(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Whether it was stopped.
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// How a program ended.
#[derive(Debug)]
pub(crate) enum End {
    /// By itself: its status, and what it printed to its two outputs.
    Exited(ExitStatus, Vec<u8>, Vec<u8>),
    /// It took longer than it may, and was killed.
    TooLong,
    /// It was stopped, or not started any more.
    Stopped,
}

/// Runs `command`. With `patience`, it may take only so long, and it gets a
/// process group of its own, so that what it started is killed with it;
/// without, it stays in mikado's, which the terminal's Ctrl-C reaches.
pub(crate) fn run(
    command: &mut Command,
    patience: Option<Duration>,
    stop: &Stop,
) -> io::Result<End> {
    if stop.is_set() {
        return Ok(End::Stopped);
    }
    if patience.is_some() {
        command.process_group(0);
    }
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let outputs = (reader(child.stdout.take()), reader(child.stderr.take()));
    let start = Instant::now();
    let mut pause = Duration::from_millis(1);
    loop {
        if let Some(status) = child.try_wait()? {
            let text = |output: JoinHandle<Vec<u8>>| output.join().unwrap_or_default();
            return Ok(End::Exited(status, text(outputs.0), text(outputs.1)));
        }
        let late = patience.is_some_and(|patience| start.elapsed() > patience);
        if late || stop.is_set() {
            // Who holds the pipes may live on, so nobody waits for their end.
            kill(&mut child, patience.is_some());
            return Ok(if late { End::TooLong } else { End::Stopped });
        }
        thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(20));
    }
}

fn kill(child: &mut Child, group: bool) {
    let pid = rustix::process::Pid::from_raw(child.id().cast_signed());
    let _ended = match pid {
        Some(pid) if group => {
            rustix::process::kill_process_group(pid, rustix::process::Signal::KILL)
                .map_err(Into::into)
        }
        _ => child.kill(),
    };
    let _reaped = child.wait();
}

fn reader<R: Read + Send + 'static>(pipe: Option<R>) -> JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            // What was read before a fault is what there is to show.
            let _read = pipe.read_to_end(&mut bytes);
        }
        bytes
    })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn shell(text: &str) -> Command {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", text]);
        command
    }

    #[test]
    fn both_outputs_and_the_status_are_kept() {
        let end = run(
            &mut shell("echo a; echo b >&2; exit 3"),
            None,
            &Stop::default(),
        )
        .unwrap();
        let End::Exited(status, out, err) = end else {
            panic!("{end:?}");
        };
        assert_eq!(
            (status.code(), &*out, &*err),
            (Some(3), &b"a\n"[..], &b"b\n"[..])
        );
    }

    #[test]
    fn program_that_takes_too_long_is_killed_with_what_it_started() {
        let mut command = shell("sleep 1000 & wait");
        let end = run(
            &mut command,
            Some(Duration::from_millis(30)),
            &Stop::default(),
        )
        .unwrap();
        assert!(matches!(end, End::TooLong), "{end:?}");
    }

    #[test]
    fn stop_ends_what_runs_and_lets_nothing_start() {
        let stop = Stop::default();
        let (ready, started) = std::sync::mpsc::channel();
        let other = stop.clone();
        let running = thread::spawn(move || {
            ready.send(()).unwrap();
            run(&mut shell("exec sleep 1000"), None, &other).unwrap()
        });
        started.recv().unwrap();
        stop.stop();
        assert!(matches!(running.join().unwrap(), End::Stopped));
        assert!(matches!(
            run(&mut shell("exit"), None, &stop).unwrap(),
            End::Stopped
        ));
    }
}
