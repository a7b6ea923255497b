//! What one machine built, another one takes: cold on one with a credential that
//! writes, then nothing is executed on one with an empty store that reads.

use super::servers::{self, Server};
use super::{artifacts, counts, executed, is_whole, notes, parts, reader, run, with_cache, writer};
use crate::support::sandbox::Sandbox;

/// Writes through one address with one machine and reads through another one
/// with another.
fn passes_from(writes: &Sandbox, reads: &Sandbox) {
    let cold = run(writes);
    assert_eq!((executed(&cold), parts(&cold)), (3, 6), "{}", cold.all());
    let up = counts(&cold);
    assert_eq!(up["uploaded"], 6, "{up}");
    assert_eq!(
        (&up["failed"], &up["skipped"]),
        (&0.into(), &0.into()),
        "{up}"
    );
    assert!(notes(&cold).is_empty(), "{:?}", notes(&cold));

    let taken = run(reads);
    assert_eq!((executed(&taken), parts(&taken)), (0, 0), "{}", taken.all());
    let down = counts(&taken);
    assert_eq!(
        (&down["found"], &down["asked"]),
        (&6.into(), &6.into()),
        "{down}"
    );
    assert_eq!(
        (&down["uploaded"], &down["failed"]),
        (&0.into(), &0.into()),
        "{down}"
    );
    assert_eq!(artifacts(writes), artifacts(reads));
    is_whole(reads);

    // Now it is all here, and nobody is asked.
    let again = run(reads);
    assert_eq!(
        (executed(&again), counts(&again)),
        (0, serde_json::Value::Null)
    );
    let why = reads.mikado("why two").exits(0);
    let text = why.stdout();
    assert!(
        text.contains("its artifact was made by `two` on "),
        "{text}"
    );
    let commit = writes.git("rev-parse --short=12 HEAD");
    assert!(
        text.contains(&format!("from commit {}", commit.trim())),
        "{text}"
    );
    assert!(text.contains("it was taken from the cache "), "{text}");
}

#[test]
fn buildbox_casd_passes_results_on() {
    let server = servers::casd(&[]);
    passes_from(&writer(&server.url()), &reader(&server.url()));
}

#[test]
fn bazel_remote_passes_results_on_over_grpc() {
    let server = servers::bazel_remote(&[]);
    passes_from(&writer(&server.url()), &reader(&server.url()));
}

#[test]
fn what_was_written_over_grpc_is_read_over_http_and_the_other_way_round() {
    let server = servers::bazel_remote(&[]);
    passes_from(&writer(&server.url()), &reader(&server.http_url()));
    let server = servers::bazel_remote(&[]);
    passes_from(&writer(&server.http_url()), &reader(&server.url()));
}

fn with_token(sandbox: Sandbox, subject: &str) -> Sandbox {
    sandbox.env("MIKADO_CACHE_TOKEN", servers::token(subject, 600))
}

fn guarded(server: &Server, mode: &str, subject: &str) -> Sandbox {
    with_token(with_cache(super::chain(), &server.url(), mode), subject)
}

#[test]
fn buildgrid_lets_ci_write_and_developers_read() {
    let server = servers::buildgrid();
    let ci = guarded(&server, "read-write", "ci");
    passes_from(&ci, &guarded(&server, "read", "dev"));

    // A developer who tries to write is refused, told once, and builds on.
    let dev = guarded(&server, "read-write", "dev");
    dev.write("source.txt", "another text\n");
    let ran = run(&dev);
    assert_eq!(executed(&ran), 3);
    let counts = counts(&ran);
    assert_eq!(counts["uploaded"], 0, "{counts}");
    let notes = notes(&ran);
    assert_eq!(notes.len(), 1, "{notes:?}");
    assert!(
        notes[0].contains("results are not uploaded in this run"),
        "{notes:?}"
    );
    ci.write("source.txt", "another text\n");
    assert_eq!(executed(&run(&ci)), 3, "nothing of it was taken");

    // Nobody, and somebody whose token is over, are let in by nobody.
    for stranger in [
        with_cache(super::chain(), &server.url(), "read"),
        with_cache(super::chain(), &server.url(), "read")
            .env("MIKADO_CACHE_TOKEN", servers::token("ci", -60)),
    ] {
        let ran = run(&stranger);
        assert_eq!(executed(&ran), 3);
        let notes = super::notes(&ran);
        assert_eq!(notes.len(), 1, "{notes:?}");
        assert!(notes[0].contains("it refuses"), "{notes:?}");
    }
}

#[test]
fn bazel_remote_lets_everybody_read_and_ci_write() {
    let server = servers::guarded_bazel_remote();
    let ci = |url: &str| {
        with_cache(super::chain(), url, "read-write").env("MIKADO_CACHE_LOGIN", "ci:s3cret-of-ci")
    };
    passes_from(&ci(&server.url()), &reader(&server.url()));
    for url in [server.url(), server.http_url()] {
        let other = with_cache(super::chain(), &url, "read-write")
            .env("MIKADO_CACHE_LOGIN", "ci:a-wrong-password");
        other.write("source.txt", &format!("of {url}\n"));
        let ran = run(&other);
        assert_eq!(executed(&ran), 3);
        assert_eq!(counts(&ran)["uploaded"], 0);
        let notes = notes(&ran);
        assert_eq!(notes.len(), 1, "{notes:?}");
        let writes = ci(&url);
        writes.write("source.txt", &format!("of {url}\n"));
        // All but the fetch, whose result is found.
        assert_eq!(counts(&run(&writes))["uploaded"], 5);
    }
}

#[test]
fn writing_needs_a_credential() {
    let server = servers::casd(&[]);
    let sandbox = with_cache(super::chain(), &server.url(), "read-write");
    let ran = run(&sandbox);
    assert_eq!(executed(&ran), 3);
    assert_eq!(counts(&ran)["uploaded"], 0);
    assert_eq!(counts(&ran)["skipped"], 6);
    let notes = notes(&ran);
    assert_eq!(notes.len(), 1, "{notes:?}");
    assert!(notes[0].contains("writing needs a credential"), "{notes:?}");
    assert_eq!(executed(&run(&reader(&server.url()))), 3);
}
