//! Another engine: BuildGrid's own scheduler, queue and caches, with PostgreSQL and
//! workers of the tests (`tests/fixtures/buildgrid/bot.py`) that have buildbox-run
//! execute. Only the sandbox is the one of the other tests.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use mikado::digest::Digest;

use super::execution::layers::{self, layers};
use super::execution::{Gate, artifact, executor_counts, until, with_executor};
use super::servers::{self, Server};
use super::{artifacts, chain, executed, is_whole, run};
use crate::ci::tools::must;
use crate::support::followed::Run;
use crate::support::sandbox::Sandbox;

/// How many workers there are.
const WORKERS: usize = 2;

/// Nobody's number: PostgreSQL does not run as root.
const NOBODY: &str = "65534";

/// What runs as long as this is there; the last is ended last.
pub struct Cluster {
    _workers: Vec<Server>,
    _store: Server,
    scheduler: Server,
    _database: Server,
}

impl Cluster {
    /// Starts it; `options` are further ones of buildbox-run.
    fn start(options: &[String]) -> Cluster {
        Cluster::with_tools(options, &[])
    }

    /// Starts it with workers that have these tools, in the words that actions ask for.
    pub fn with_tools(options: &[String], tools: &[String]) -> Cluster {
        let run = servers::buildbox().join("buildbox-run");
        let mut words = vec![run.display().to_string()];
        words.extend(servers::seen());
        words.extend_from_slice(options);
        Cluster::with_workers(&words, tools)
    }

    /// Starts it with workers that lay inputs as names of the files of their store,
    /// which is this folder.
    fn linking(store: &Path) -> Cluster {
        let words = [python(), fixture("links.py"), store.to_owned()];
        let mut words = words.map(|word| word.display().to_string()).to_vec();
        words.extend(servers::seen());
        Cluster::with_workers(&words, &[])
    }

    /// Starts it with workers that execute by these words.
    fn with_workers(words: &[String], tools: &[String]) -> Cluster {
        let database = postgres();
        let url = format!("postgresql+psycopg2://postgres@{}/postgres", database.grpc);
        let mut migrate = Command::new(servers::buildgrid_program());
        must(migrate.args(["migrate", "apply"]).arg(&url));
        let scheduler = buildgrid(&url);
        let remote = format!("http://{}", scheduler.grpc);
        let store = servers::casd(&["--cas-remote", &remote]);
        let workers = (0..WORKERS).map(|number| worker(number, &scheduler, &store, (words, tools)));
        Cluster {
            _workers: workers.collect(),
            _store: store,
            scheduler,
            _database: database,
        }
    }

    /// The address of its scheduler.
    pub fn url(&self) -> String {
        self.scheduler.url()
    }
}

/// The folder of PostgreSQL's programs, which Debian does not put on PATH.
fn postgres_programs() -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let folders = versions
        .filter_map(Result::ok)
        .map(|v| v.path().join("bin"));
    let found = folders.into_iter().find(|bin| bin.join("initdb").is_file());
    found.expect("PostgreSQL is missing: apt-get install postgresql")
}

/// A command as somebody who is not root.
fn as_nobody(program: &Path, folder: &Path) -> Command {
    let mut command = match rustix::process::geteuid().is_root() {
        true => {
            let mut command = Command::new("setpriv");
            command.args([format!("--reuid={NOBODY}"), format!("--regid={NOBODY}")]);
            command.arg("--clear-groups").arg(program);
            command
        }
        false => Command::new(program),
    };
    command.current_dir(folder).env("HOME", folder);
    command
}

/// A database that everybody on this machine may use.
fn postgres() -> Server {
    let (folder, address) = (servers::scratch(), servers::free());
    if rustix::process::geteuid().is_root() {
        must(Command::new("chown").arg(NOBODY).arg(folder.path()));
    }
    let (programs, data) = (postgres_programs(), folder.path().join("data"));
    let mut init = as_nobody(&programs.join("initdb"), folder.path());
    init.args(["--no-sync", "--auth=trust", "--username=postgres", "-D"]);
    must(init.arg(&data));
    let mut serve = as_nobody(&programs.join("postgres"), folder.path());
    serve.args(["-h", "127.0.0.1", "-c", "fsync=off", "-p"]);
    serve.arg(address.port().to_string());
    serve.arg("-k").arg(folder.path()).arg("-D").arg(&data);
    let server = servers::started(serve, folder, [address, address]);
    // It listens before it takes anybody.
    until("the database is not ready", || {
        let mut ready = Command::new(programs.join("pg_isready"));
        ready.args(["-h", "127.0.0.1", "-U", "postgres", "-p"]);
        let ready = ready.arg(address.port().to_string()).output();
        ready.is_ok_and(|output| output.status.success())
    });
    server
}

fn buildgrid(database: &str) -> Server {
    let (folder, address) = (servers::scratch(), servers::free());
    let path = folder.path().join("scheduler.yml");
    let config = config(address, database, &folder.path().join("blobs"));
    fs::write(&path, config).expect("a file");
    let mut command = Command::new(servers::buildgrid_program());
    command.args(["server", "start", "-v"]).arg(path);
    servers::started(command, folder, [address, address])
}

fn config(address: SocketAddr, database: &str, blobs: &Path) -> String {
    let blobs = blobs.display();
    format!(
        "server:
  - !channel
    address: {address}
    insecure-mode: true
instances:
  - name: ''
    connections:
      - !sql-connection &sql
        connection-string: {database}
    storages:
      - !disk-storage &cas
        path: {blobs}
    caches:
      - !lru-action-cache &results
        storage: *cas
        max-cached-refs: 4096
        allow-updates: true
    schedulers:
      - !sql-scheduler &scheduler
        sql: *sql
        storage: *cas
        action-cache: *results
        poll-interval: 0.1
        assigners:
          - !priority-age-assigner
            interval: 0.1
        property-set:
          !dynamic-property-set
          match-property-keys: [libc, 'tool:python3']
    services:
      - !action-cache
        cache: *results
      - !cas
        storage: *cas
      - !bytestream
        storage: *cas
      - !execution
        scheduler: *scheduler
      - !bots
        scheduler: *scheduler
thread-pool-size: 100
"
    )
}

/// The Python that has BuildGrid.
fn python() -> PathBuf {
    servers::buildgrid_program().with_file_name("python")
}

fn fixture(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/buildgrid");
    folder.join(name)
}

/// A worker; it listens nowhere, so its address is that of its scheduler.
fn worker(
    number: usize,
    scheduler: &Server,
    store: &Server,
    (words, tools): (&[String], &[String]),
) -> Server {
    let mut command = Command::new(python());
    command
        .arg(fixture("bot.py"))
        .arg(scheduler.grpc.to_string());
    command.arg(format!("http://{}", store.grpc));
    command.arg(format!("worker-{number}")).args(words);
    command.env("TOOLS", tools.join(" "));
    let address = scheduler.grpc;
    servers::started(command, servers::scratch(), [address, address])
}

#[test]
fn chains_come_out_of_another_engine_as_they_do_here() {
    let cluster = Cluster::start(&[]);
    let here = chain();
    drop(run(&here));
    let there = with_executor(chain(), &cluster.url());
    let ran = run(&there);
    let counts = executor_counts(&ran);
    assert_eq!(
        (&counts["executed"], &counts["failed"]),
        (&3.into(), &0.into())
    );
    assert_eq!(artifacts(&here), artifacts(&there));
    is_whole(&there);
    let ran = run(&with_executor(chain(), &cluster.url()));
    assert_eq!(
        (executed(&ran), &executor_counts(&ran)["found"]),
        (0, &3.into())
    );

    // As many cards as the same chain has on buildbox-casd alone.
    let count = layers::CARDS;
    let here = layers(count);
    drop(layers::run(&here));
    let there = with_executor(layers(count), &cluster.url());
    let ran = layers::run(&there);
    let counts = executor_counts(&ran);
    assert_eq!(executed(&ran), count, "{counts}");
    assert_eq!(counts["failed"], 0, "{counts}");
    assert_eq!(
        layers::artifacts(&here, count),
        layers::artifacts(&there, count)
    );
    is_whole(&there);
    let again = layers::run(&there);
    assert!(executor_counts(&again).is_null());
    // Early cutoff, and only what changed moves.
    there.edit("inputs/c003.txt", "and this is not", "nor is this");
    let ran = layers::run(&there);
    let counts = executor_counts(&ran);
    assert_eq!(
        (executed(&ran), &counts["blobsUp"]),
        (1, &5.into()),
        "{counts}"
    );
    assert!(counts["bytesUp"].as_u64() < Some(1_500), "{counts}");
}

#[test]
fn other_engine_ends_what_is_interrupted_and_says_what_it_lacks() {
    let gate = Gate::new();
    let cluster = Cluster::start(&[gate.option_of_runner()]);
    let runner = |name: &str| format!("inputs: []\nsteps: [{{run: '{}'}}]", gate.wait(name));
    let sandbox = Sandbox::new()
        .runner("one", &runner("one"))
        .runner("two", &runner("two"))
        .runner("fails", "inputs: []\nsteps: [{run: 'echo said; exit 7'}]")
        .runner(
            "host",
            "tools: {bash: {version: '>=1', command: 'bash --version'}}\ninputs: []\nsteps: [{run: 'true'}]",
        )
        .card("one", "status: active\nrunner: one")
        .card("two", "status: active\nrunner: two")
        .card("fails", "status: active\nrunner: fails")
        .card("host", "status: active\nrunner: host");
    let sandbox = with_executor(sandbox, &cluster.url());
    let run = Run::start(&sandbox, "one two");
    for name in ["one", "two"] {
        until("it is not executed", || gate.waiting(name).len() == 1);
    }
    run.interrupt();
    drop(run.exits(130));
    // Its workers look for it every tenth of a second.
    for name in ["one", "two"] {
        until("it runs on", || gate.waiting(name).is_empty());
    }
    let ran = sandbox.mikado("run fails").exits(1).says("exited with 7");
    drop(ran.says("said"));
    // It knows no worker with tools of the machine, and the client says for which.
    let ran = sandbox.mikado("run host").exits(1).says("tool:bash");
    drop(ran.says("remote: false"));
}

/// The mode and the hash of what each file of a worker's store holds, by its name.
fn stored(store: &Path) -> BTreeMap<String, (u32, String)> {
    let entries = fs::read_dir(store).expect("a store");
    let stored = entries.map(|entry| {
        let entry = entry.expect("a blob");
        let mode = entry.metadata().expect("a mode").permissions().mode();
        let bytes = fs::read(entry.path()).expect("a blob");
        let name = entry.file_name().to_string_lossy().into_owned();
        (name, (mode & 0o7777, Digest::of(&bytes).hex()))
    });
    stored.collect()
}

/// Cards that spoil what they get, and one that uses it after them.
fn spoiling() -> Sandbox {
    let spoils = |path: &str| {
        format!(
            "chmod u+w \"{path}\" 2>/dev/null || :; (echo spoilt >> \"{path}\") 2>/dev/null || :"
        )
    };
    let runner = |inputs: &str, steps: &[&str]| {
        let steps: Vec<String> = steps.iter().map(|step| format!("      {step}\n")).collect();
        format!("inputs: [{inputs}]\nsteps:\n  - run: |\n{}", steps.concat())
    };
    let made = "cp input \"$OUT/made\"; cp program \"$OUT/program\"";
    let of_first = spoils("$REQUIRES/first/made");
    let of_program = spoils("$REQUIRES/first/program");
    let inputs = "{paths: [input, program]}";
    let sandbox = Sandbox::new()
        .file("input", "what goes in\n")
        .file("program", "#!/bin/sh\necho runs\n")
        .runner("makes", &runner(inputs, &[made]))
        .runner(
            "spoils",
            &runner(
                inputs,
                &[
                    &spoils("input"),
                    "chmod 777 program",
                    &of_first,
                    &of_program,
                    "wc -l < input > \"$OUT/lines\"",
                ],
            ),
        )
        .runner(
            "uses",
            &runner(
                "{paths: [input]}",
                &[
                    "cat input \"$REQUIRES/first/made\" > \"$OUT/all\"",
                    "\"$REQUIRES/first/program\" >> \"$OUT/all\"",
                ],
            ),
        )
        .card("first", "status: active\nrunner: makes")
        .card(
            "second",
            "status: active\nrequires: [first]\nrunner: spoils",
        )
        .card(
            "third",
            "status: active\nrequires: [first, second]\nrunner: uses",
        );
    let path = sandbox.path("program");
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("a mode");
    sandbox
}

#[test]
fn step_that_writes_to_its_inputs_spoils_no_store_that_a_worker_links_them_into() {
    let store = servers::scratch();
    let cluster = Cluster::linking(store.path());
    let here = spoiling();
    let there = with_executor(spoiling(), &cluster.url());
    let [_, ran] = [&here, &there].map(|sandbox| {
        let ran = sandbox.mikado("run third --no-mark --format json");
        ran.exits(0)
    });
    let counts = executor_counts(&ran);
    assert_eq!(
        (&counts["executed"], &counts["failed"]),
        (&3.into(), &0.into()),
        "{counts}"
    );
    for card in ["first", "second", "third"] {
        assert_eq!(artifact(&here, card), artifact(&there, card), "{card}");
    }
    is_whole(&there);
    let stored = stored(store.path());
    // Both inputs and what `first` made of them, the driver, folders.
    assert!(stored.len() > 5, "{stored:?}");
    for (name, (mode, hash)) in &stored {
        let (of, wanted) = match name.strip_suffix(".x") {
            Some(of) => (of, 0o555),
            None => (name.as_str(), 0o444),
        };
        assert_eq!((of, wanted), (hash.as_str(), *mode), "{name}");
    }
}
