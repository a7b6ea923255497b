//! A cache that machines share: what one of them built, a fresh clone with an
//! empty store takes, and executes nothing.
//!
//! The machine that fills buildbox-casd begins with nothing, too. Those that fill
//! the other servers have the tools of the first one; a namespace of their own
//! keeps all its results from them, so that they execute every part themselves.

use super::{ALL, FIXTURE, GOAL, NOTHING, SERVER};
use super::{append, artifacts, begun, cold, events, executed, warm};
use crate::remote::{counts, is_whole, notes, servers, with_cache};
use crate::support::sandbox::{Ran, Sandbox};

/// The machine that writes under a namespace.
fn writer(url: &str, namespace: &str) -> Sandbox {
    with_cache(warm(), url, "read-write").env("MIKADO_CACHE_NAMESPACE", namespace)
}

/// A fresh clone with an empty store that reads.
fn reader(url: &str, namespace: &str) -> Sandbox {
    with_cache(Sandbox::of_checkout(), url, "read").env("MIKADO_CACHE_NAMESPACE", namespace)
}

/// Runs the whole chain, which must pass.
fn run(sandbox: &Sandbox) -> Ran {
    sandbox
        .mikado(&format!("run {GOAL} --no-mark --format json"))
        .exits(0)
}

/// Executes everything, and uploads every part of it.
fn fills(writes: &Sandbox) {
    let ran = run(writes);
    let mut all = ALL.to_vec();
    all.sort_unstable();
    assert_eq!(begun(&ran), all);
    assert_eq!(artifacts(&ran), cold().artifacts);
    let (counts, notes) = (counts(&ran), notes(&ran));
    // Three fetches, five builds, six checks.
    assert_eq!(
        (&counts["asked"], &counts["uploaded"]),
        (&14.into(), &14.into()),
        "{counts}"
    );
    assert_eq!(
        (&counts["skipped"], &counts["failed"]),
        (&0.into(), &0.into()),
        "{counts}"
    );
    // A server that takes its time is waited for.
    let is_wait = |note: &String| note.contains("is still being uploaded");
    assert!(notes.iter().all(is_wait), "{notes:?}");
}

/// Executes nothing, gets no tool, and has all artifacts.
fn takes_all(reads: &Sandbox) {
    let ran = run(reads);
    assert_eq!(begun(&ran), NOTHING, "{}", ran.all());
    for kind in ["partStarted", "toolProvisioning"] {
        assert!(events(&ran, kind).is_empty(), "{}", ran.all());
    }
    assert_eq!(artifacts(&ran), cold().artifacts);
    let counts = counts(&ran);
    assert_eq!(
        (&counts["found"], &counts["failed"]),
        (&counts["asked"], &0.into()),
        "{counts}"
    );
    assert_eq!(notes(&ran), NOTHING);
    is_whole(reads);
    // It is a machine like any other from then on.
    assert_eq!(executed(reads, GOAL), NOTHING);
    let ak = reads.path(".mikado/artifacts").join(GOAL).join("bin/ak");
    assert!(ak.is_file(), "{}", ak.display());
}

#[test]
fn buildbox_casd_passes_the_chain_on() {
    let server = servers::casd(&[]);
    let machine = with_cache(Sandbox::of_checkout(), &server.url(), "read-write")
        .env("MIKADO_CACHE_TOKEN", "nobody-looks-at-it");
    fills(&machine);
    takes_all(&with_cache(Sandbox::of_checkout(), &server.url(), "read"));
}

#[test]
fn bazel_remote_passes_the_chain_on_from_grpc_to_http_and_back() {
    let server = servers::guarded_bazel_remote();
    let login = |sandbox: Sandbox| sandbox.env("MIKADO_CACHE_LOGIN", "ci:s3cret-of-ci");
    fills(&login(writer(&server.url(), "over-grpc")));
    takes_all(&reader(&server.http_url(), "over-grpc"));
    fills(&login(writer(&server.http_url(), "over-http")));
    takes_all(&reader(&server.url(), "over-http"));
}

#[test]
fn buildgrid_passes_the_chain_on_and_refuses_what_a_reader_writes() {
    let server = servers::buildgrid();
    let token = |sandbox: Sandbox, subject| {
        sandbox.env("MIKADO_CACHE_TOKEN", servers::token(subject, 3600))
    };
    fills(&token(writer(&server.url(), "guarded"), "ci"));
    let developer = token(reader(&server.url(), "guarded"), "dev");
    takes_all(&developer);

    // It may not write, tries to, and builds on.
    let developer = developer.env("MIKADO_CACHE_MODE", "read-write");
    append(
        &developer,
        &format!("{FIXTURE}/cmd/server/main.go"),
        "// another end",
    );
    let ran = run(&developer);
    assert_eq!(begun(&ran), [SERVER]);
    let said = counts(&ran);
    assert_eq!(said["uploaded"], 0, "{said}");
    let notes = notes(&ran);
    assert_eq!(notes.len(), 1, "{notes:?}");
    assert!(
        notes[0].contains("results are not uploaded in this run"),
        "{notes:?}"
    );
}
