//! The assembled server, alive.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use super::{GOAL, built, warm};

/// How long the server has to be ready, and to be gone.
const PATIENCE: Duration = Duration::from_secs(60);

/// A GET by hand; status line, headers and body.
fn get(port: u16, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream
        .set_read_timeout(Some(Duration::from_secs(10)))
        .ok()?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n").ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    Some(String::from_utf8_lossy(&answer).into_owned())
}

/// The processes whose environment has this marker, zombies left out.
fn alive(marker: &str) -> Vec<String> {
    let processes = std::fs::read_dir("/proc")
        .expect("/proc")
        .filter_map(Result::ok);
    processes
        .filter(|entry| {
            entry
                .file_name()
                .to_string_lossy()
                .bytes()
                .all(|b| b.is_ascii_digit())
        })
        .filter(|entry| {
            // A zombie has no environment.
            let environ = std::fs::read(entry.path().join("environ")).unwrap_or_default();
            String::from_utf8_lossy(&environ).contains(marker)
        })
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect()
}

struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[test]
fn ak_answers_from_the_artifact_where_it_lies() {
    let sandbox = built();
    let artifact = sandbox.mikado(&format!("artifact path {GOAL}")).exits(0);
    let ak = Path::new(artifact.stdout().trim_end()).join("bin/ak");
    let mut command = sandbox.command(&ak.display().to_string());
    command.arg("dump_config");
    let ran = sandbox.run(command, "ak dump_config").exits(0);
    assert_eq!(ran.json()["blueprints_dir"], "/opt/authentik/blueprints");
}

#[test]
fn exported_server_serves_pages_files_and_the_api_and_leaves_nothing() {
    let sandbox = warm();
    let prefix = sandbox
        .root()
        .canonicalize()
        .expect("a root")
        .join("../opt");
    let prefix = prefix
        .parent()
        .expect("a parent")
        .canonicalize()
        .expect("a parent")
        .join("opt");
    let with = format!("--with prefix={}", prefix.display());
    sandbox
        .mikado(&format!("run {GOAL} {with}"))
        .exits(0)
        .says("the command answers");
    sandbox
        .mikado(&format!("artifact export {GOAL} -o {}", prefix.display()))
        .exits(0)
        .says("copied to");
    let port = TcpListener::bind("127.0.0.1:0")
        .expect("a port")
        .local_addr()
        .expect("an address")
        .port();
    let marker = format!("MIKADO_TEST_SERVER={port}");
    let mut command = sandbox.command(&prefix.join("bin/ak").display().to_string());
    command
        .arg("server")
        .env("AUTHENTIK_LISTEN__HTTP", format!("127.0.0.1:{port}"))
        .env("MIKADO_TEST_SERVER", port.to_string())
        .env("TMPDIR", sandbox.home())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut server = Ended(command.spawn().expect("the server"));
    let began = Instant::now();
    let is = |path: &str, text: &str| get(port, path).is_some_and(|answer| answer.contains(text));
    // The server is asked until it is ready; how long that takes is not tested.
    while !is("/-/health/ready/", " 200 ") && !is("/-/health/ready/", " 204 ") {
        assert!(
            began.elapsed() < PATIENCE,
            "not ready: {:?}",
            get(port, "/-/health/ready/")
        );
        assert!(
            server.0.try_wait().expect("a state").is_none(),
            "the server ended"
        );
        std::thread::yield_now();
    }
    let live = get(port, "/-/health/live/").expect("an answer");
    assert!(live.starts_with("HTTP/1.0 20"), "{live}");
    let file = get(port, "/static/dist/main.js").expect("an answer");
    assert!(file.starts_with("HTTP/1.0 200"), "{file}");
    let api = get(port, "/api/v3/root/config/").expect("an answer");
    assert!(
        api.starts_with("HTTP/1.0 200") && api.contains('{'),
        "{api}"
    );
    assert!(!alive(&marker).is_empty());
    let pid = server.0.id() as i32;
    let pid = rustix::process::Pid::from_raw(pid).expect("a process");
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("a signal");
    let status = server.0.wait().expect("an end");
    assert!(status.success(), "{status:?}");
    let began = Instant::now();
    while !alive(&marker).is_empty() {
        assert!(
            began.elapsed() < PATIENCE,
            "still alive: {:?}",
            alive(&marker)
        );
        std::thread::yield_now();
    }
}
