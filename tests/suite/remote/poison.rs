//! A pull request with another tool, the same sources and no right to write can't
//! change what main gets (CVE-2025-36852, "CREEP").

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::servers::{self, Server};
use super::{counts, executed, notes, with_cache};
use crate::support::sandbox::{Ran, Sandbox};

/// A machine with a compiler of version 1 that puts `mark` into what it makes.
fn machine(server: &Server, tools: &Path, mark: &str) -> Sandbox {
    let folder = tools.join(mark);
    fs::create_dir_all(&folder).expect("a folder");
    let compiler = folder.join("stamp");
    let text = format!("#!/bin/sh\n[ \"$1\" = --version ] && echo stamp 1.0.0 || echo {mark}\n");
    fs::write(&compiler, text).expect("a compiler");
    fs::set_permissions(&compiler, fs::Permissions::from_mode(0o755)).expect("a mode");
    let path = std::env::var("PATH").unwrap_or_default();
    let sandbox = Sandbox::new()
        .card("app", "status: active\nrunner: app")
        .file("source.txt", "the same source\n")
        .runner(
            "app",
            r#"inputs: [{paths: [source.txt]}]
tools: {stamp: {command: "stamp --version", version: ">=1"}}
steps: [{run: 'stamp source.txt > "$OUT/app"'}]
"#,
        )
        .env("PATH", format!("{}:{path}", folder.display()));
    with_cache(sandbox, &server.url(), "read-write")
}

fn run(sandbox: &Sandbox) -> Ran {
    sandbox.mikado("run --no-mark --format json").exits(0)
}

fn app(sandbox: &Sandbox) -> String {
    sandbox.read(".mikado/artifacts/app/app").trim().to_owned()
}

#[test]
fn pull_request_without_the_right_to_write_changes_nothing_for_main() {
    let server = servers::guarded_bazel_remote();
    let tools = tempfile::tempdir().expect("a folder");
    // It says that it writes, and shows what it has: the server decides.
    let pull = machine(&server, tools.path(), "evil").env("MIKADO_CACHE_LOGIN", "pull:guessed");
    let ran = run(&pull);
    assert_eq!((executed(&ran), app(&pull)), (1, "evil".into()));
    assert_eq!(counts(&ran)["uploaded"], 0);
    assert_eq!(notes(&ran).len(), 1, "{:?}", notes(&ran));

    let login = "ci:s3cret-of-ci";
    let main = machine(&server, tools.path(), "good").env("MIKADO_CACHE_LOGIN", login);
    let ran = run(&main);
    assert_eq!((executed(&ran), app(&main)), (1, "good".into()));
    assert_eq!(counts(&ran)["uploaded"], 1);
    let user = machine(&server, tools.path(), "other");
    assert_eq!((executed(&run(&user)), app(&user)), (0, "good".into()));
}

#[test]
fn who_may_write_poisons_its_own_level_of_trust_alone() {
    let server = servers::guarded_bazel_remote();
    let tools = tempfile::tempdir().expect("a folder");
    let store = tempfile::tempdir().expect("a store");
    let of = |mark: &str, namespace: &str| {
        machine(&server, tools.path(), mark)
            .env("MIKADO_CACHE_LOGIN", "ci:s3cret-of-ci")
            .env("MIKADO_CACHE_NAMESPACE", namespace)
            .store(store.path())
    };
    let pull = of("evil", "pull-requests");
    assert_eq!(counts(&run(&pull))["uploaded"], 1);
    // With the same store and the same server.
    let main = of("good", "main");
    assert_eq!((executed(&run(&main)), app(&main)), (1, "good".into()));
    // What is wrong is found by executing it again.
    let verify = "cache verify --sample 5 --format json";
    let same = main.mikado(verify).exits(0).json();
    assert_eq!(same["compared"][0]["verdict"], "same", "{same}");
    let victim = of("good", "pull-requests");
    let different = victim.mikado(verify).exits(1).json();
    assert_eq!(
        different["compared"][0]["verdict"], "different",
        "{different}"
    );
    drop(
        victim
            .mikado("cache verify app")
            .exits(1)
            .says("1 different"),
    );
    let fresh = of("good", "nobody-yet").mikado("cache verify").exits(0);
    drop(fresh.says("1 not there"));
    // This is what it looks like without: whoever writes first, writes for all.
    let one = of("evil", "");
    let other = of("good", "");
    assert_eq!((executed(&run(&one)), executed(&run(&other))), (1, 0));
}
