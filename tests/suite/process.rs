//! Real processes under the real keeper: what they get, how they end, and that nothing is left of them.
//!
//! Who is alive is seen by who holds a pipe open: a puppet opens a FIFO, and the test reads it to its end.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use mikado::process::{Execution, Exit, GRACE, Isolation, Keeper, Kernel, Outcome, Spaces, Stage};
use tempfile::TempDir;

/// The program under test; a copy of it where another user runs these tests.
fn program() -> PathBuf {
    std::env::var_os("MIKADO_TEST_PROGRAM")
        .unwrap_or_else(|| env!("CARGO_BIN_EXE_mikado").into())
        .into()
}

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

/// Runs one execution under a keeper of its own.
fn run(execution: Execution) -> Outcome {
    block_on(async { keeper().execute(execution).await.wait().await })
}

/// Everything that is written to a FIFO until nobody holds it any more.
fn read_to_end(fifo: &Path) -> String {
    let mut text = String::new();
    File::open(fifo).unwrap().read_to_string(&mut text).unwrap();
    text
}

#[test]
fn exit_codes_and_signals_arrive() {
    let bench = Bench::new();
    for (script, exit) in [
        ("exit 0", Exit::Code(0)),
        ("exit 7", Exit::Code(7)),
        ("kill -SEGV $$", Exit::Signal(11)),
        ("kill -KILL $$", Exit::Signal(9)),
        ("kill -TERM $$", Exit::Signal(15)),
    ] {
        let outcome = run(bench.shell(script));
        assert_eq!(
            (outcome.exit, outcome.strays, outcome.output_error),
            (exit, 0, None),
            "{script}"
        );
    }
}

#[test]
fn output_and_errors_come_in_order_and_are_appended() {
    let bench = Bench::new();
    fs::write(bench.path("log"), "before\n").unwrap();
    run(bench
        .shell("for i in 1 2 3; do echo out $i; echo err $i >&2; done; printf '\\xff\\x00end'"));
    let expected = b"before\nout 1\nerr 1\nout 2\nerr 2\nout 3\nerr 3\n\xff\x00end";
    assert_eq!(fs::read(bench.path("log")).unwrap(), expected);
}

#[test]
fn a_program_that_opens_its_standard_error_anew_loses_no_output() {
    let bench = Bench::new();
    let outcome = run(
        bench.isolated("echo one; echo two > /dev/stderr; echo three > /dev/stdout; echo four")
    );
    assert_eq!(
        (outcome.exit, bench.log().as_str()),
        (Exit::Code(0), "one\ntwo\nthree\nfour\n")
    );
}

#[test]
fn standard_input_is_empty() {
    let bench = Bench::new();
    assert_eq!(run(bench.execution(&["cat"])).exit, Exit::Code(0));
    assert_eq!(bench.log(), "");
}

#[test]
fn the_environment_and_the_folder_are_exactly_what_was_asked() {
    let bench = Bench::new();
    let mut execution = bench.execution(&["/usr/bin/env"]);
    execution.env = vec![("A".into(), "b=c\nd".into()), ("E".into(), "".into())];
    run(execution);
    run(bench.execution(&["pwd"]));
    let folder = bench.folder.path().canonicalize().unwrap();
    assert_eq!(bench.log(), format!("A=b=c\nd\nE=\n{}\n", folder.display()));
}

#[test]
fn a_program_starts_with_no_open_files_and_default_signals() {
    let bench = Bench::new();
    run(bench
        .shell("ls /proc/self/fd | tr '\\n' ' '; umask; grep -E 'Sig(Blk|Ign)' /proc/self/status"));
    // `ls` itself has the folder open as 3. Signals 32 and 33 are the C library's own: nobody can set them.
    let log = bench.log().replace("180000000", "000000000");
    assert_eq!(
        log,
        "0 1 2 3 0022\nSigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n"
    );
}

#[test]
fn a_program_leads_a_session_of_its_own() {
    let bench = Bench::new();
    run(bench.shell("ps -o pid=,pgid=,sid=,tty= -p $$"));
    let log = bench.log();
    let fields: Vec<_> = log.split_whitespace().collect();
    assert_eq!(
        (fields[0], fields[0], "?"),
        (fields[1], fields[2], fields[3]),
        "{log}"
    );
}

#[test]
fn a_missing_program_is_named() {
    let bench = Bench::new();
    for program in ["no-such-program", "/no/such/program"] {
        let Exit::NotStarted(failure) = run(bench.execution(&[program])).exit else {
            panic!()
        };
        assert_eq!((failure.stage, failure.errno), (Stage::Exec, 2));
        assert_eq!(
            failure.to_string(),
            format!("cannot execute `{program}`: not found")
        );
    }
}

#[test]
fn a_file_that_is_no_program_is_said_to_be_none() {
    let bench = Bench::new();
    let path = bench.path("file");
    fs::write(&path, "text").unwrap();
    let program = path.to_str().unwrap();
    let exit = run(bench.execution(&[program])).exit.to_string();
    assert_eq!(
        exit,
        format!("cannot execute `{program}`: Permission denied (os error 13)")
    );
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    let exit = run(bench.execution(&[program])).exit.to_string();
    assert_eq!(
        exit,
        format!("cannot execute `{program}`: Exec format error (os error 8)")
    );
    fs::write(&path, "#!/no/such/shell\n").unwrap();
    let exit = run(bench.execution(&[program])).exit.to_string();
    assert!(
        exit.ends_with("the interpreter that its first line names is not there"),
        "{exit}"
    );
}

#[test]
fn a_missing_folder_is_named() {
    let bench = Bench::new();
    let execution = Execution {
        cwd: "/no/such/folder".into(),
        ..bench.execution(&["true"])
    };
    let exit = run(execution).exit.to_string();
    assert_eq!(
        exit,
        "cannot start `true` in the folder `/no/such/folder`: No such file or directory (os error 2)"
    );
}

#[test]
fn a_request_that_makes_no_sense_starts_nothing() {
    let bench = Bench::new();
    for execution in [
        bench.execution(&[]),
        bench.execution(&["a\0b"]),
        Execution {
            cwd: "relative".into(),
            ..bench.execution(&["true"])
        },
    ] {
        let Exit::NotStarted(failure) = run(execution).exit else {
            panic!()
        };
        assert_eq!(failure.stage, Stage::Request);
    }
}

#[test]
fn an_argument_list_that_is_too_long_is_refused_and_the_next_one_runs() {
    let bench = Bench::new();
    block_on(async {
        let keeper = keeper();
        let long = "x".repeat(8 << 20);
        let outcome = keeper
            .execute(bench.execution(&["true", &long]))
            .await
            .wait()
            .await;
        assert_eq!(
            outcome.exit.to_string(),
            "cannot execute `true`: Argument list too long (os error 7)"
        );
        assert_eq!(
            keeper
                .execute(bench.execution(&["true"]))
                .await
                .wait()
                .await
                .exit,
            Exit::Code(0)
        );
    });
}

#[test]
fn the_cost_of_the_whole_family_is_reported() {
    let bench = Bench::new();
    let script = "(i=0; while ((i < 200000)); do ((++i)); done); head -c 60000000 /dev/zero | tail -c 50000000 > /dev/null";
    let outcome = run(bench.shell(script));
    assert_eq!(outcome.exit, Exit::Code(0));
    assert!(outcome.cpu > Duration::from_millis(50), "{outcome:?}");
    assert!(outcome.wall > Duration::from_millis(50), "{outcome:?}");
    assert!(outcome.max_rss > 40 << 20, "{outcome:?}");
}

#[test]
fn a_timeout_terminates_and_the_grace_kills() {
    let bench = Bench::new();
    bench.fifo("hold");
    let ready = bench.fifo("ready");
    let script = "exec 4<> hold; trap 'echo ignored' TERM; echo ready > ready; while :; do read -t 0.1 -u 4 || :; done";
    let execution = Execution {
        timeout: Some(Duration::from_secs(1200)),
        ..bench.shell(script)
    };
    let begun = Instant::now();
    // With the clock stopped, it jumps to the next timeout as soon as there is nothing else to do.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    let (outcome, waited) = runtime.block_on(async {
        let keeper = keeper();
        let running = keeper.execute(execution).await;
        assert_eq!(read_to_end(&ready), "ready\n");
        let begun = tokio::time::Instant::now();
        (running.wait().await, begun.elapsed())
    });
    assert_eq!(outcome.exit, Exit::TimedOut);
    assert_eq!(waited.as_secs(), 1200 + GRACE.as_secs());
    assert!(begun.elapsed() < Duration::from_secs(100));
}

#[test]
fn a_polite_program_ends_within_the_grace() {
    let bench = Bench::new();
    bench.fifo("hold");
    let ready = bench.fifo("ready");
    let script = "exec 4<> hold; trap 'echo cleaning; exit 3' TERM; echo ready > ready; while :; do read -t 0.1 -u 4 || :; done";
    block_on(async {
        let keeper = keeper();
        let running = keeper.execute(bench.shell(script)).await;
        assert_eq!(read_to_end(&ready), "ready\n");
        running.terminate();
        assert_eq!(running.wait().await.exit, Exit::Cancelled);
    });
    assert_eq!(bench.log(), "cleaning\n");
}

#[test]
fn what_a_terminated_leader_leaves_has_the_grace_as_well() {
    let bench = Bench::new();
    bench.fifo("hold");
    let ready = bench.fifo("ready");
    // The shell dies of the signal at once; its daemon, in a session of its own, needs longer.
    let daemon = "exec 4<> hold; trap 'sleep 0.5; echo saved; exit' TERM; echo ready > ready; while :; do read -t 0.1 -u 4 || :; done";
    let script = format!("setsid bash -c \"{daemon}\" & sleep 1000");
    block_on(async {
        let keeper = keeper();
        let running = keeper.execute(bench.shell(&script)).await;
        assert_eq!(read_to_end(&ready), "ready\n");
        running.terminate();
        running.wait().await
    });
    assert_eq!(bench.log(), "saved\n");
}

/// Forks twice, with a session in between, so that nothing connects it to its maker.
const DAEMON: &str =
    "(setsid bash -c 'exec 3> alive; setsid sleep 1000 & echo > started' &) ; read < started";

#[test]
fn a_daemon_is_killed_when_its_maker_ends() {
    let bench = Bench::new();
    bench.fifo("started");
    let alive = bench.fifo("alive");
    let holder = std::thread::spawn(move || read_to_end(&alive));
    let outcome = run(bench.shell(DAEMON));
    assert_eq!(outcome.exit, Exit::Code(0));
    assert_eq!(outcome.strays, 1);
    assert_eq!(holder.join().unwrap(), "");
}

#[test]
fn what_ends_by_itself_soon_is_no_stray() {
    let bench = Bench::new();
    let outcome = run(bench.shell("exec > >(sleep 0.05; sed s/^/-/); echo last words"));
    assert_eq!((outcome.exit, outcome.strays), (Exit::Code(0), 0));
    assert_eq!(bench.log(), "-last words\n");
}

#[test]
fn a_daemon_without_output_is_not_waited_for() {
    let bench = Bench::new();
    let begun = Instant::now();
    let outcome = run(bench.shell("setsid sleep 1000 > /dev/null 2>&1 & exit 6"));
    assert_eq!((outcome.exit, outcome.strays), (Exit::Code(6), 1));
    assert!(begun.elapsed() < Duration::from_secs(100));
}

#[test]
fn a_program_that_closes_its_output_is_waited_for() {
    let bench = Bench::new();
    let outcome = run(bench.shell("echo one; exec > /dev/null 2>&1; sleep 0.1; exit 4"));
    assert_eq!(
        (outcome.exit, bench.log().as_str()),
        (Exit::Code(4), "one\n")
    );
    assert!(outcome.wall > Duration::from_millis(100));
}

#[test]
fn a_running_that_is_dropped_is_killed() {
    let bench = Bench::new();
    let (ready, alive) = (bench.fifo("ready"), bench.fifo("alive"));
    block_on(async {
        let keeper = keeper();
        let running = keeper
            .execute(bench.shell("exec 3> alive; echo ready > ready; sleep 1000"))
            .await;
        let alive = File::open(alive).unwrap();
        assert_eq!(read_to_end(&ready), "ready\n");
        drop(running);
        let mut nothing = String::new();
        { alive }.read_to_string(&mut nothing).unwrap();
        assert_eq!(
            keeper
                .execute(bench.execution(&["true"]))
                .await
                .wait()
                .await
                .exit,
            Exit::Code(0)
        );
    });
}

#[test]
fn cancelling_all_ends_what_runs_and_refuses_what_comes() {
    let bench = Bench::new();
    let ready = bench.fifo("ready");
    block_on(async {
        let keeper = keeper();
        let mut running = Vec::new();
        for _ in 0..5 {
            running.push(
                keeper
                    .execute(bench.shell("echo ready > ready; sleep 1000"))
                    .await,
            );
        }
        let mut lines = BufReader::new(File::open(&ready).unwrap()).lines();
        for _ in 0..5 {
            match lines.next() {
                Some(line) => assert_eq!(line.unwrap(), "ready"),
                // The writers that came by now are gone; the others come.
                None => lines = BufReader::new(File::open(&ready).unwrap()).lines(),
            }
        }
        keeper.cancel_all(false);
        for running in running {
            assert_eq!(running.wait().await.exit, Exit::Cancelled);
        }
        assert_eq!(
            keeper
                .execute(bench.execution(&["true"]))
                .await
                .wait()
                .await
                .exit,
            Exit::Cancelled
        );
    });
}

#[test]
fn cancelling_immediately_kills_what_ignores_the_request() {
    let bench = Bench::new();
    let ready = bench.fifo("ready");
    let script = "trap '' TERM; echo ready > ready; sleep 1000; sleep 1000";
    block_on(async {
        let keeper = keeper();
        let running = keeper.execute(bench.shell(script)).await;
        assert_eq!(read_to_end(&ready), "ready\n");
        keeper.cancel_all(false);
        keeper.cancel_all(true);
        assert_eq!(running.wait().await.exit, Exit::Cancelled);
    });
}

#[test]
fn many_run_at_once_and_one_after_the_other() {
    let bench = Bench::new();
    block_on(async {
        let keeper = std::sync::Arc::new(keeper());
        for _ in 0..3 {
            let mut tasks = tokio::task::JoinSet::new();
            for code in 0..50 {
                let (keeper, execution) = (
                    keeper.clone(),
                    bench.shell(&format!("sleep 0.1; exit {code}")),
                );
                tasks.spawn(
                    async move { (code, keeper.execute(execution).await.wait().await.exit) },
                );
            }
            while let Some(ended) = tasks.join_next().await {
                let (code, exit) = ended.unwrap();
                assert_eq!(exit, Exit::Code(code));
            }
        }
    });
}

#[test]
fn a_hundred_megabytes_in_one_line_arrive() {
    let bench = Bench::new();
    let outcome = run(bench.shell("head -c 104857600 /dev/zero | tr '\\0' x"));
    assert_eq!(outcome.exit, Exit::Code(0));
    assert_eq!(fs::metadata(bench.path("log")).unwrap().len(), 104_857_600);
}

#[test]
fn a_full_disk_is_told_and_the_program_goes_on() {
    let bench = Bench::new();
    let full = fs::OpenOptions::new()
        .append(true)
        .open("/dev/full")
        .unwrap();
    let outcome = run(Execution {
        output: full.into(),
        ..bench.shell("echo lost; exit 3")
    });
    assert_eq!(
        (outcome.exit, outcome.output_error),
        (Exit::Code(3), Some(28))
    );
}

#[test]
fn secrets_never_reach_the_log() {
    let bench = Bench::new();
    let script = "echo token=s3cr3t/x; printf s3cr; sleep 0.05; printf '3t/x\\n'; echo s3cr3t%2Fx; printf s3cr3t/x | base64";
    run(Execution {
        secrets: vec![b"s3cr3t/x".to_vec()],
        ..bench.shell(script)
    });
    assert_eq!(bench.log(), "token=***\n***\n***\n***\n");
}

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
        assert!(
            Command::new("kill")
                .args(["-KILL", reaper.trim()])
                .status()
                .unwrap()
                .success()
        );
        let exit = running.wait().await.exit;
        assert_eq!(exit, Exit::KeeperLost);
        assert!(exit.to_string().contains("is gone"));
        // While the keeper is still there.
        holder.join().unwrap();
        assert_eq!(
            keeper
                .execute(bench.execution(&["true"]))
                .await
                .wait()
                .await
                .exit,
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
        assert!(
            Command::new("kill")
                .args(["-KILL", &keeper.id().to_string()])
                .status()
                .unwrap()
                .success()
        );
        // A zombie until it is waited for: its sockets are closed by then.
        while !fs::read_to_string(format!("/proc/{}/stat", keeper.id()))
            .unwrap()
            .contains(") Z ")
        {
            std::thread::yield_now();
        }
        assert_eq!(
            keeper
                .execute(bench.execution(&["true"]))
                .await
                .wait()
                .await
                .exit,
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
            .args(["process::engine_to_be_killed", "--exact"])
            .env("MIKADO_TEST_ENGINE", bench.folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let reaper = read_to_end(&ready);
        let pid = engine.id().to_string();
        assert!(
            Command::new("kill")
                .args([&format!("-{signal}"), &pid])
                .status()
                .unwrap()
                .success()
        );
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

#[test]
fn an_isolated_program_reads_the_system_and_not_the_user() {
    let (bench, user) = (Bench::new(), Bench::new());
    fs::write(user.path("secret"), "x").unwrap();
    let secret = user.path("secret");
    let script = format!(
        "head -c 1 /etc/passwd > /dev/null; ls /usr > /dev/null; cat /proc/self/comm; echo x > work/new; mv work/new work/old; mkdir work/d; mv work/old work/d
        if cat {0}; then echo read; fi; if ls {1}; then echo listed; fi; if echo > {1}/new; then echo wrote; fi; if echo > outside; then echo wrote; fi",
        secret.display(),
        user.folder.path().display()
    );
    let outcome = run(bench.isolated(&script));
    let log = bench.log();
    assert_eq!(outcome.exit, Exit::Code(0), "{log}");
    assert_eq!(
        log.lines()
            .filter(|line| line.contains("Permission denied"))
            .count(),
        4,
        "{log}"
    );
    assert!(
        !log.contains("read\n") && !log.contains("listed") && !log.contains("wrote"),
        "{log}"
    );
    // The same without isolation.
    fs::remove_file(bench.path("log")).unwrap();
    run(bench.shell(&format!("cat {}", secret.display())));
    assert_eq!(bench.log(), "x");
}

#[test]
fn an_isolated_program_reaches_no_port_and_a_fetch_does() {
    let bench = Bench::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let script = format!(
        "exec 3<> /dev/tcp/127.0.0.1/{}",
        listener.local_addr().unwrap().port()
    );
    assert_eq!(run(bench.isolated(&script)).exit, Exit::Code(1));
    assert!(bench.log().contains("Permission denied"), "{}", bench.log());
    let mut fetch = bench.isolated(&script);
    fetch.isolation = fetch.isolation.map(|isolation| isolation.with_network(&[]));
    assert_eq!(run(fetch).exit, Exit::Code(0));
}

#[test]
fn an_isolated_program_can_be_given_no_network_at_all() {
    let bench = Bench::new();
    let mut execution = bench.isolated("tail -n +3 /proc/net/dev | cut -d: -f1; id -u");
    execution.isolation.as_mut().unwrap().spaces = Some(Spaces {
        network: true,
        ..Spaces::default()
    });
    let outcome = run(execution);
    assert_eq!(outcome.exit, Exit::Code(0));
    let granted = Kernel::probe_with(&program()).unwrap().network_namespaces;
    let log = bench.log();
    assert_eq!(granted, log.lines().count() == 2, "{log}");
    assert_eq!(granted, !outcome.without_spaces);
    assert!(
        log.ends_with(&format!("{}\n", rustix::process::geteuid().as_raw())),
        "{log}"
    );
}

#[test]
fn an_isolated_program_cannot_signal_those_outside() {
    let bench = Bench::new();
    let outcome = run(bench.isolated(&format!("kill -0 {}", std::process::id())));
    assert_eq!(
        outcome.exit,
        Exit::Code(if Kernel::landlock().landlock >= 6 {
            1
        } else {
            0
        })
    );
}

#[test]
fn all_of_it_works_for_a_user_who_is_not_root() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    // Where that user can reach it.
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let (tests, program) = (folder.path().join("tests"), folder.path().join("mikado"));
    // By `cp`: a file that this process wrote stays busy while another thread's child has not executed yet.
    for (from, to) in [
        (std::env::current_exe().unwrap(), &tests),
        (self::program(), &program),
    ] {
        assert!(
            Command::new("cp")
                .arg(from)
                .arg(to)
                .status()
                .unwrap()
                .success()
        );
    }
    let output = Command::new("setpriv")
        .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
        .arg(&tests)
        .args(["process::", "--skip", "user_who_is_not_root"])
        .env("TMPDIR", folder.path())
        .env("MIKADO_TEST_PROGRAM", program)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stdout)
    );
}
