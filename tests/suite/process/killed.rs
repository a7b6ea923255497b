//! The reaper, the keeper or the engine is killed: nothing is left, and it is told.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};

use mikado::process::{Execution, Exit};

use super::{Bench, DAEMON, block_on, ended, keeper, kill, read_to_end};

#[test]
fn when_the_reaper_is_killed_nothing_is_left_and_the_execution_is_lost() {
    let bench = Bench::new();
    bench.fifo("started");
    let (ready, alive) = (bench.fifo("ready"), bench.fifo("alive"));
    let holder = std::thread::spawn(move || read_to_end(&alive));
    block_on(async {
        let keeper = keeper();
        let script = format!("{DAEMON}; echo $PPID > ready; sleep 1000");
        let running = keeper.execute(bench.shell(&script)).await;
        let reaper = read_to_end(&ready);
        kill("KILL", reaper.trim());
        let exit = running.wait().await.exit;
        assert_eq!(exit, Exit::KeeperLost);
        assert!(exit.to_string().contains("is gone"));
        // While the keeper is still there.
        holder.join().unwrap();
        assert_eq!(
            ended(&keeper, bench.execution(&["true"])).await.exit,
            Exit::Code(0)
        );
    });
}

#[test]
fn when_the_keeper_is_killed_what_runs_is_killed_and_nothing_new_starts() {
    let bench = Bench::new();
    bench.fifo("started");
    let (ready, alive) = (bench.fifo("ready"), bench.fifo("alive"));
    let holder = std::thread::spawn(move || read_to_end(&alive));
    block_on(async {
        let keeper = keeper();
        let script = format!("{DAEMON}; trap '' TERM; echo > ready; sleep 1000");
        let running = keeper.execute(bench.shell(&script)).await;
        // One that waits for its next execution goes as well.
        let idle = keeper.execute(bench.shell("exit 5")).await;
        assert_eq!(idle.wait().await.exit, Exit::Code(5));
        read_to_end(&ready);
        kill("KILL", &keeper.id().to_string());
        // A zombie until it is waited for: its sockets are closed by then.
        while !fs::read_to_string(format!("/proc/{}/stat", keeper.id()))
            .unwrap()
            .contains(") Z ")
        {
            std::thread::yield_now();
        }
        assert_eq!(
            ended(&keeper, bench.execution(&["true"])).await.exit,
            Exit::KeeperLost
        );
        assert_eq!(running.wait().await.exit, Exit::KeeperLost);
        assert_eq!(holder.join().unwrap(), "");
    });
}

/// Not a test by itself: the engine that the next tests kill.
#[test]
fn engine_to_be_killed() {
    let Some(folder) = std::env::var_os("MIKADO_TEST_ENGINE") else {
        return;
    };
    let bench = Bench {
        folder: tempfile::tempdir().unwrap(),
    };
    block_on(async {
        let keeper = keeper();
        let script = format!(
            "trap '' TERM; {DAEMON}; exec 3> alive; echo $PPID > ready; while :; do sleep 1000; done"
        );
        let execution = Execution {
            cwd: folder.into(),
            ..bench.shell(&script)
        };
        keeper.execute(execution).await.wait().await
    });
}

#[test]
fn when_the_engine_is_killed_nothing_is_left() {
    for signal in ["KILL", "TERM"] {
        let bench = Bench::new();
        bench.fifo("started");
        let (ready, alive) = (bench.fifo("ready"), bench.fifo("alive"));
        let holder = std::thread::spawn(move || read_to_end(&alive));
        let mut engine = Command::new(std::env::current_exe().unwrap())
            .args(["process::killed::engine_to_be_killed", "--exact"])
            .env("MIKADO_TEST_ENGINE", bench.folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let reaper = read_to_end(&ready);
        let pid = engine.id().to_string();
        kill(signal, &pid);
        engine.wait().unwrap();
        assert_eq!(holder.join().unwrap(), "");
        // The keeper and the reaper end as well.
        while Path::new(&format!("/proc/{}", reaper.trim())).exists() {
            std::thread::yield_now();
        }
    }
}

#[test]
fn dropping_the_keeper_leaves_nothing() {
    let bench = Bench::new();
    let (ready, alive) = (bench.fifo("ready"), bench.fifo("alive"));
    block_on(async {
        let keeper = keeper();
        let id = keeper.id();
        let running = keeper
            .execute(bench.shell("exec 3> alive; echo ready > ready; sleep 1000"))
            .await;
        let alive = File::open(alive).unwrap();
        assert_eq!(read_to_end(&ready), "ready\n");
        drop(keeper);
        assert!(!Path::new(&format!("/proc/{id}")).exists());
        let mut nothing = String::new();
        { alive }.read_to_string(&mut nothing).unwrap();
        assert_eq!(running.wait().await.exit, Exit::KeeperLost);
    });
}
