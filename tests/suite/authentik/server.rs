//! The assembled server, alive.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::{GOAL, built, warm};

/// How long the server has to be ready, and to be gone.
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn ak_answers_from_the_artifact_where_it_lies() {
    let sandbox = built();
    let artifact = sandbox.mikado(&format!("artifact path {GOAL}")).exits(0);
    let ak = Path::new(artifact.stdout().trim_end()).join("bin/ak");
    let mut command = sandbox.command(ak.display().to_string());
    command.arg("dump_config");
    let ran = sandbox.run(command, "ak dump_config").exits(0);
    assert_eq!(ran.json()["blueprints_dir"], "/opt/authentik/blueprints");
}

#[test]
fn exported_server_serves_pages_files_and_the_api_and_leaves_nothing() {
    let sandbox = warm();
    let beside = sandbox.path("..").canonicalize().expect("a folder");
    let prefix = beside.join("opt");
    let shown = prefix.display().to_string();
    sandbox
        .mikado(&format!("run {GOAL} --with prefix={shown}"))
        .exits(0)
        .says("the command answers")
        .says(&format!("\"blueprints_dir\": \"{shown}/blueprints\""));
    sandbox
        .mikado(&format!("artifact export {GOAL} -o {shown}"))
        .exits(0)
        .says("copied to");
    let port = free_port();
    let mut command = sandbox.command(format!("{shown}/bin/ak"));
    command
        .arg("server")
        .env("AUTHENTIK_LISTEN__HTTP", format!("127.0.0.1:{port}"))
        // What every process of it inherits.
        .env("MIKADO_TEST_PREFIX", &shown)
        .env("TMPDIR", sandbox.home())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut server = Ended(command.spawn().expect("the server"));
    // The server is asked until it is ready; how long that takes is not tested.
    until("the server is ready", || {
        let ended = server.0.try_wait().expect("a state");
        assert!(ended.is_none(), "the server ended: {ended:?}");
        get(port, "/-/health/ready/").is_some_and(|answer| answer.is_ok)
    });
    let answer = |path: &str| {
        let answer = get(port, path).expect("an answer");
        assert!(answer.is_ok, "{path}: {answer:?}");
        answer.body
    };
    answer("/-/health/live/");
    let bundle = fs::read(prefix.join("web/dist/main.js")).expect("the bundle");
    assert_eq!(answer("/static/dist/main.js"), bundle);
    let api = answer("/api/v3/root/config/");
    let api: serde_json::Value = serde_json::from_slice(&api).expect("JSON");
    assert_eq!(api["version"], "2026.2.0", "{api}");
    // The server itself, and what answers for the API.
    assert!(alive(&shown).len() > 1, "{:?}", alive(&shown));
    let pid = Pid::from_child(&server.0);
    kill_process(pid, Signal::TERM).expect("a signal");
    let status = server.0.wait().expect("an end");
    assert!(status.success(), "{status:?}");
    until("all of its processes are gone", || alive(&shown).is_empty());
    assert!(get(port, "/-/health/live/").is_none());
}

/// Asks until it is so.
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < PATIENCE, "never: {what}");
        std::thread::yield_now();
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").port()
}

/// An answer of the server.
#[derive(Debug)]
struct Answer {
    is_ok: bool,
    body: Vec<u8>,
}

/// A GET by hand; `None` where nobody answers.
fn get(port: u16, path: &str) -> Option<Answer> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n").ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n")?;
    Some(Answer {
        is_ok: answer.starts_with(b"HTTP/1.0 20"),
        body: answer.split_off(end + 4),
    })
}

/// The processes with `text` in their environment or command line. A zombie
/// has neither.
fn alive(text: &str) -> Vec<String> {
    let has = |process: &Path, file: &str| {
        let bytes = fs::read(process.join(file)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).contains(text)
    };
    let own = std::process::id().to_string();
    let entries = fs::read_dir("/proc").expect("/proc").filter_map(Result::ok);
    entries
        .map(|entry| {
            (
                entry.path(),
                entry.file_name().to_string_lossy().into_owned(),
            )
        })
        .filter(|(_, name)| name.bytes().all(|b| b.is_ascii_digit()) && *name != own)
        .filter(|(path, _)| has(path, "environ") || has(path, "cmdline"))
        .map(|(_, name)| name)
        .collect()
}

/// A process that does not outlive a test that stops early.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}
