//! What happens to servers and lines: always a right artifact, the exit code of
//! the build itself, counts that say what happened, and one warning.

use std::time::{Duration, Instant};

use tonic::Code;

use super::line::{Line, Spoilt};
use super::rude::{self, Manners};
use super::servers::{self, Server};
use super::{artifacts, counts, executed, is_whole, notes, reader, run, writer};
use crate::support::sandbox::Sandbox;

/// A server that has the results of the chain, and their names.
pub fn filled() -> (Server, Vec<String>) {
    let server = servers::casd(&[]);
    let writes = writer(&server.url());
    assert_eq!(counts(&run(&writes))["uploaded"], 6);
    let names = artifacts(&writes);
    (server, names)
}

/// Asserts that a machine got the chain right, whatever its cache did; returns
/// how many builds it executed, and what it counted and noted.
pub fn is_right(sandbox: &Sandbox, names: &[String]) -> (usize, serde_json::Value, Vec<String>) {
    let ran = run(sandbox);
    assert_eq!(artifacts(sandbox), names);
    is_whole(sandbox);
    assert_eq!(executed(&run(sandbox)), 0, "it is recorded");
    (executed(&ran), counts(&ran), notes(&ran))
}

/// Waits no longer than this for what does not move.
fn impatient(sandbox: Sandbox, settings: &str) -> Sandbox {
    sandbox.file("mikado.yaml", &format!("cache: {{{settings}}}\n"))
}

#[test]
fn blob_that_changed_under_its_digest_is_a_miss() {
    let (server, names) = filled();
    let lies = Manners {
        lies: true,
        ..Manners::default()
    };
    let rude = rude::before(server.grpc, lies);
    let (built, counts, notes) = is_right(&reader(&rude.url), &names);
    assert_eq!(built, 3);
    assert_eq!(counts["fetched"], 0, "{counts}");
    assert_eq!(notes.len(), 1, "{notes:?}");
    assert!(
        notes[0].contains("it sent something else than"),
        "{notes:?}"
    );
}

#[test]
fn result_whose_blobs_are_gone_is_a_miss_and_no_fault() {
    let (server, names) = filled();
    let loses = Manners {
        loses_blobs: true,
        ..Manners::default()
    };
    let rude = rude::before(server.grpc, loses);
    let (built, counts, notes) = is_right(&reader(&rude.url), &names);
    assert_eq!(built, 3);
    assert_eq!(counts["fetched"], 0, "{counts}");
    assert!(notes.is_empty(), "{notes:?}");
}

#[test]
fn small_batches_and_unstated_ones_are_kept_to() {
    for batch in [0, 64 << 10, 1 << 10, 1 << 40] {
        let server = servers::casd(&[]);
        let said = Manners {
            batch: Some(batch),
            ..Manners::default()
        };
        let rude = rude::before(server.grpc, said);
        let writes = writer(&rude.url);
        let up = counts(&run(&writes));
        assert_eq!(
            (&up["uploaded"], &up["failed"]),
            (&6.into(), &0.into()),
            "{batch}: {up}"
        );
        let (built, down, notes) = is_right(&reader(&rude.url), &artifacts(&writes));
        assert_eq!(
            (built, &down["failed"]),
            (0, &0.into()),
            "{batch}: {down}{notes:?}"
        );
    }
}

#[test]
fn server_that_only_fails_is_left_alone() {
    let (server, names) = filled();
    for code in [
        Code::Internal,
        Code::Unknown,
        Code::ResourceExhausted,
        Code::Unimplemented,
    ] {
        let fails = Manners {
            always: Some(code),
            ..Manners::default()
        };
        let rude = rude::before(server.grpc, fails);
        let (built, counts, notes) = is_right(&reader(&rude.url), &names);
        assert_eq!((built, notes.len()), (3, 1), "{code:?}: {notes:?}");
        assert_eq!(counts["failed"], 3, "{code:?}: {counts}");
        assert_eq!(rude.calls(), 3, "{code:?}");
    }
}

#[test]
fn write_that_fails_is_counted_and_the_build_stands() {
    for code in [
        Code::Internal,
        Code::PermissionDenied,
        Code::Unauthenticated,
    ] {
        let server = servers::casd(&[]);
        let fails = Manners {
            on_writes: Some(code),
            ..Manners::default()
        };
        let rude = rude::before(server.grpc, fails);
        let ran = run(&writer(&rude.url));
        let counts = counts(&ran);
        assert_eq!(
            (executed(&ran), &counts["uploaded"]),
            (3, &0.into()),
            "{counts}"
        );
        let lost = [&counts["failed"], &counts["skipped"]].map(|n| n.as_u64().unwrap_or(0));
        assert_eq!(lost.iter().sum::<u64>(), 6, "{code:?}: {counts}");
        assert_eq!(notes(&ran).len(), 1, "{code:?}: {:?}", notes(&ran));
    }
}

#[test]
fn token_that_ends_in_the_middle_ends_the_cache_and_not_the_build() {
    let (server, names) = filled();
    for calls in [1, 3, 5] {
        let ends = Manners {
            lets_in: Some(calls),
            ..Manners::default()
        };
        let rude = rude::before(server.grpc, ends);
        let (built, counts, notes) = is_right(&reader(&rude.url), &names);
        assert!(
            built > 0 && counts["failed"].as_u64() > Some(0),
            "{calls}: {counts}"
        );
        assert_eq!(notes.len(), 1, "{notes:?}");
        assert!(notes[0].contains("it refuses"), "{notes:?}");
    }
}

#[test]
fn download_goes_on_where_its_line_was_cut() {
    let (server, names) = filled();
    // The large file is 11 MB: each line but the fourth is cut in it.
    let cut = Spoilt::CutDown {
        after: 3_000_000,
        lines: 3,
    };
    let line = Line::to(server.grpc, cut);
    let (built, counts, notes) = is_right(&reader(&line.url()), &names);
    assert_eq!(
        (built, &counts["failed"]),
        (0, &0.into()),
        "{counts}{notes:?}"
    );
    assert_eq!(line.lines(), 4);
    // From the start each time it were 20 MB; what was on its way at a cut is lost.
    assert!(line.passed() < 16_000_000, "{}", line.passed());
}

#[test]
fn upload_goes_on_after_its_line_was_cut() {
    let server = servers::casd(&[]);
    let cut = Spoilt::CutUp {
        after: 3_000_000,
        lines: 2,
    };
    let line = Line::to(server.grpc, cut);
    let writes = writer(&line.url());
    let up = counts(&run(&writes));
    assert_eq!(
        (&up["uploaded"], &up["failed"]),
        (&6.into(), &0.into()),
        "{up}"
    );
    let (built, ..) = is_right(&reader(&server.url()), &artifacts(&writes));
    assert_eq!(built, 0);
}

#[test]
fn line_that_only_breaks_is_given_up() {
    let (server, names) = filled();
    for how in [
        Spoilt::CutDown {
            after: 3_000_000,
            lines: usize::MAX,
        },
        Spoilt::CutDown {
            after: 500,
            lines: usize::MAX,
        },
        Spoilt::CutDown {
            after: 0,
            lines: usize::MAX,
        },
    ] {
        let line = Line::to(server.grpc, how);
        let (built, counts, notes) = is_right(&reader(&line.url()), &names);
        assert!(
            counts["failed"].as_u64() > Some(0) || built == 0,
            "{counts}"
        );
        assert!(notes.len() <= 1, "{notes:?}");
    }
}

#[test]
fn line_on_which_nothing_moves_is_given_up_after_a_while() {
    let (server, names) = filled();
    for after in [0, 200_000] {
        let line = Line::to(server.grpc, Spoilt::Stalled(after));
        let sandbox = impatient(reader(&line.url()), "stall: 1s");
        let began = Instant::now();
        let (built, counts, notes) = is_right(&sandbox, &names);
        assert!(built > 0 && counts["failed"].as_u64() > Some(0), "{counts}");
        assert_eq!(notes.len(), 1, "{notes:?}");
        assert!(
            began.elapsed() < Duration::from_secs(40),
            "{:?}",
            began.elapsed()
        );
    }
}

#[test]
fn slow_line_is_no_dead_one() {
    let (server, names) = filled();
    // 11 MB at 4 MB/s take longer than a stall may.
    let line = Line::to(server.grpc, Spoilt::Slow(4_000_000));
    let sandbox = impatient(reader(&line.url()), "stall: 1s");
    let began = Instant::now();
    let (built, counts, notes) = is_right(&sandbox, &names);
    assert_eq!(
        (built, &counts["failed"]),
        (0, &0.into()),
        "{counts}{notes:?}"
    );
    assert!(began.elapsed() > Duration::from_secs(2));
}

#[test]
fn server_that_was_restarted_empty_is_filled_again() {
    let (mut server, names) = filled();
    server.kill();
    let empty = tempfile::tempdir().expect("a folder");
    let server = servers::casd_at(server.grpc, empty, &[]);
    let writes = writer(&server.url());
    let (built, up, _) = is_right(&writes, &names);
    assert_eq!((built, &up["uploaded"]), (3, &6.into()), "{up}");
    assert_eq!(is_right(&reader(&server.url()), &names).0, 0);
}

#[test]
fn quota_that_is_too_small_loses_results_and_no_build() {
    let server = servers::casd(&["--quota-high", "4M", "--quota-low", "2M", "--reserved", "0"]);
    let writes = writer(&server.url());
    let up = counts(&run(&writes));
    let (built, down, _) = is_right(&reader(&server.url()), &artifacts(&writes));
    assert!(built > 0, "{up}{down}");
}

/// HTTP is checked as much, since such servers keep what they are given.
#[test]
fn http_server_that_lies_or_fails_is_a_miss() {
    let server = servers::bazel_remote(&[]);
    let writes = writer(&server.http_url());
    assert_eq!(counts(&run(&writes))["uploaded"], 6);
    let names = artifacts(&writes);
    for how in ["lie", "500", "short", "gone"] {
        let url = super::liar::before(server.http, how);
        let (built, counts, notes) = is_right(&reader(&url), &names);
        assert_eq!(
            (built, &counts["fetched"]),
            (3, &0.into()),
            "{how}: {counts}{notes:?}"
        );
        assert_eq!(notes.len(), usize::from(how != "gone"), "{how}: {notes:?}");
    }
}
