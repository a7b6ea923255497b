//! What is said of a cache: at the end of a run, by `why`, by `cache verify`; and
//! which of the places counts where one is named in several.

use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process};

use super::line::{Line, Spoilt};
use super::servers;
use super::{artifacts, chain, counts, executed, notes, reader, run, with_cache, writer};
use crate::support::sandbox::program;

/// The size of the chain's large file.
const LARGE: u64 = 10_888_896;

#[test]
fn run_ends_with_what_its_cache_did() {
    let server = servers::casd(&[]);
    let text = |sandbox: &crate::support::sandbox::Sandbox| {
        let ran = sandbox.mikado("run three --no-mark").exits(0);
        let lines = ran.stdout();
        let line = lines.lines().find(|line| line.starts_with("cache: "));
        line.unwrap_or_else(|| panic!("{lines}")).to_owned()
    };
    // Without a credential, with one, from there, and from nowhere.
    let sandbox = with_cache(chain(), &server.url(), "read-write");
    assert_eq!(
        text(&sandbox),
        "cache: 0 of 6 actions found, 6 not uploaded, in [TIME]"
    );
    assert_eq!(
        text(&writer(&server.url())),
        "cache: 0 of 6 actions found, 6 uploaded (10.4 MiB), in [TIME]"
    );
    assert_eq!(
        text(&reader(&server.url())),
        "cache: 6 of 6 actions found, 4 fetched (10.4 MiB), in [TIME]"
    );
    let nowhere = text(&reader(&format!("grpc://{}", servers::free())));
    assert!(nowhere.contains(" failed, in "), "{nowhere}");
}

#[test]
fn bytes_are_those_that_were_moved_and_none_is_moved_twice() {
    let server = servers::casd(&[]);
    let number = |counts: &serde_json::Value, key: &str| counts[key].as_u64().expect("a number");
    let up = counts(&run(&writer(&server.url())));
    let moved = number(&up, "bytesUp");
    assert!((LARGE..LARGE + 20_000).contains(&moved), "{up}");
    let down = counts(&run(&reader(&server.url())));
    let moved = number(&down, "bytesDown");
    assert!((LARGE..LARGE + 20_000).contains(&moved), "{down}");
    assert_eq!((number(&up, "bytesDown"), number(&down, "bytesUp")), (0, 0));
    // Another source makes other results, with the same large file in one.
    let writes = writer(&server.url());
    writes.write("source.txt", "another text\n");
    let ran = run(&writes);
    let second = counts(&ran);
    assert_eq!(executed(&ran), 3);
    assert_eq!(second["uploaded"], 5, "{second}");
    assert!(number(&second, "bytesUp") < 20_000, "{second}");
}

/// A run waits a while, says that it waits, and waits on.
#[test]
fn upload_that_outlasts_the_run_is_waited_for() {
    let server = servers::casd(&[]);
    // The last build has 11 MB, and they take longer than a run waits in silence.
    let line = Line::to(server.grpc, Spoilt::Slow(2_000_000));
    let writes = writer(&line.url());
    let ran = writes.mikado("run two --no-mark --format json").exits(0);
    let told = counts(&ran);
    assert_eq!(told["uploaded"], 3, "{told}");
    let notes = notes(&ran);
    assert_eq!(notes.len(), 1, "{notes:?}");
    assert!(notes[0].contains("is still being uploaded"), "{notes:?}");
    let reads = reader(&server.url()).mikado("run two --no-mark --format json");
    assert_eq!(executed(&reads.exits(0)), 0);
}

#[test]
fn command_line_comes_before_the_environment_and_that_before_the_settings() {
    let server = servers::casd(&[]);
    let nowhere = format!("grpc://{}", servers::free());
    let settings = format!("cache: {{url: '{nowhere}', mode: off}}\n");
    let sandbox = || chain().file("mikado.yaml", &settings);
    let writes = with_cache(sandbox(), &nowhere, "off").env("MIKADO_CACHE_TOKEN", "token");
    let words = format!(
        "run three --no-mark --format json --cache {} --cache-mode read-write",
        server.url()
    );
    assert_eq!(counts(&writes.mikado(&words).exits(0))["uploaded"], 6);
    let reads = with_cache(sandbox(), &server.url(), "read");
    assert_eq!(executed(&run(&reads)), 0);
    assert!(counts(&run(&sandbox())).is_null());
}

#[test]
fn why_says_who_made_it_where_when_and_from_which_commit() {
    let server = servers::casd(&[]);
    let writes = writer(&server.url());
    drop(run(&writes));
    let reads = reader(&server.url());
    drop(run(&reads));
    let made = |sandbox: &crate::support::sandbox::Sandbox| {
        let why = sandbox.mikado("why two --format json").exits(0).json();
        let artifact = why["artifact"]["madeBy"].clone();
        assert!(artifact.is_object(), "{why}");
        artifact
    };
    let (here, there) = (made(&writes), made(&reads));
    for key in ["card", "host", "commit", "at", "took"] {
        assert_eq!(here[key], there[key], "{key}");
    }
    assert_eq!(here["commit"], writes.git("rev-parse HEAD").trim());
    assert!(here["cache"].is_null());
    assert_eq!(there["cache"], server.url());
}

#[test]
fn cache_verify_executes_a_sample_and_records_nothing() {
    let server = servers::casd(&[]);
    let writes = writer(&server.url());
    drop(run(&writes));
    let reads = reader(&server.url());
    drop(run(&reads));
    let commit = writes.git("rev-parse HEAD");
    for sample in [1, 2, 3] {
        let words = format!("cache verify --sample {sample} --format json");
        let answer = reads.mikado(&words).exits(0).json();
        let compared = answer["compared"].as_array().expect("a list").clone();
        assert_eq!(compared.len(), sample, "{answer}");
        for one in compared {
            assert_eq!(one["verdict"], "same", "{one}");
            assert_eq!(one["cached"], one["made"], "{one}");
            assert_eq!(one["commit"], commit.trim(), "{one}");
        }
    }
    assert_eq!(artifacts(&reads), artifacts(&writes));
    let again = run(&reads);
    assert_eq!((executed(&again), counts(&again).is_null()), (0, true));
    drop(
        chain()
            .mikado("cache verify")
            .exits(2)
            .says("no cache is set up here"),
    );
}

#[test]
fn signal_in_an_upload_ends_it_and_keeps_what_was_built() {
    let server = servers::casd(&[]);
    let line = Line::to(server.grpc, Spoilt::StalledUp(3_000_000));
    let writes = writer(&line.url());
    let mut command = writes.command(program());
    command.args(["run", "three", "--no-mark"]);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().expect("a started program");
    // The large file is of the second build: the last one may still be going on.
    line.halts();
    let pid = Pid::from_child(&child);
    kill_process(pid, Signal::INT).expect("a signal");
    let ended = child.wait().expect("an end");
    assert_eq!(ended.code(), Some(130), "{ended:?}");
    let alone = writes.env("MIKADO_CACHE_MODE", "off");
    let ran = run(&alone);
    assert!(executed(&ran) <= 1, "{}", ran.all());
    // Nobody finds half of it.
    let reads = reader(&server.url());
    let found = run(&reads);
    assert_eq!(counts(&found)["failed"], 0);
    assert_eq!(artifacts(&reads), artifacts(&alone));
}
