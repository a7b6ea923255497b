//! What stays on its machine, and when nobody is asked.

use std::sync::atomic::Ordering;

use super::{counts, executed, notes, reader, run, servers, with_cache, writer};
use crate::support::sandbox::Sandbox;

#[test]
fn nobody_is_called_where_everything_is_here() {
    let (url, calls) = servers::counting();
    let sandbox = super::chain();
    drop(run(&sandbox));
    let sandbox = with_cache(sandbox, &url, "read-write").env("MIKADO_CACHE_TOKEN", "token");
    // As the run before left it, from the index, and read anew.
    for words in ["run three --no-mark", "run three --no-mark --jobs 1"] {
        let ran = sandbox.mikado(words).exits(0).says("3 up to date");
        assert!(!ran.all().contains("cache:"), "{}", ran.all());
    }
    for words in ["plan three", "why three", "list", "check"] {
        drop(sandbox.mikado(words).exits(0));
    }
    assert_eq!(calls.load(Ordering::SeqCst), 0);
    drop(run(&reader(&url)));
    assert!(
        calls.load(Ordering::SeqCst) > 0,
        "the caller is not counted"
    );
}

#[test]
fn cache_that_is_not_there_is_told_of_once() {
    for scheme in ["grpc", "grpcs", "http", "https"] {
        let sandbox = reader(&format!("{scheme}://{}", servers::free()));
        let ran = run(&sandbox);
        assert_eq!(executed(&ran), 3);
        let notes = notes(&ran);
        assert_eq!(notes.len(), 1, "{notes:?}");
        assert!(notes[0].contains("it can't be reached"), "{notes:?}");
        assert_eq!(counts(&ran)["found"], 0);
        assert!(
            counts(&ran)["failed"].as_u64() <= Some(3),
            "{}",
            counts(&ran)
        );
    }
}

#[test]
fn cache_is_off_where_that_is_said() {
    let (url, calls) = servers::counting();
    let ran = run(&with_cache(super::chain(), &url, "off"));
    assert_eq!((executed(&ran), calls.load(Ordering::SeqCst)), (3, 0));
    let off = super::chain().file(
        "mikado.yaml",
        &format!("cache: {{url: '{url}', mode: off}}\n"),
    );
    assert_eq!((executed(&run(&off)), calls.load(Ordering::SeqCst)), (3, 0));
}

fn with_card(runner: &str, url: &str) -> Sandbox {
    let sandbox = Sandbox::new()
        .card("card", "status: active\nrunner: it")
        .runner("it", runner);
    with_cache(sandbox, url, "read-write").env("MIKADO_CACHE_TOKEN", "token")
}

#[test]
fn what_was_opened_up_and_what_is_not_pinned_is_not_shared() {
    let server = servers::casd(&[]);
    let open = "inputs: []\nisolation: none\nsteps: [{run: 'echo x > \"$OUT/x\"'}]\n";
    let network = "inputs: []\nnetwork: true\nsteps: [{run: 'echo x > \"$OUT/x\"'}]\n";
    let fetches = "inputs: [{fetch: f}]\nfetch: {f: {run: 'echo x > \"$OUT/x\"'}}\nsteps: [{run: 'cat x > \"$OUT/y\"'}]\n";
    for (runner, uploaded, skipped) in [(open, 0, 1), (network, 0, 1), (fetches, 1, 1)] {
        let sandbox = with_card(runner, &server.url());
        let ran = sandbox.mikado("run --no-mark --format json").exits(0);
        let counts = counts(&ran);
        assert_eq!(counts["uploaded"], uploaded, "{runner}{counts}");
        assert_eq!(counts["skipped"], skipped, "{runner}{counts}");
    }
}

#[test]
fn failure_is_not_shared() {
    let server = servers::casd(&[]);
    let fails = "inputs: []\nsteps: [{run: 'exit 7'}]\n";
    let sandbox = with_card(fails, &server.url());
    let ran = sandbox.mikado("run --no-mark --format json").exits(1);
    assert_eq!(counts(&ran)["uploaded"], 0);
    let ran = with_card(fails, &server.url()).mikado("run --no-mark --format json");
    assert_eq!(counts(&ran.exits(1))["found"], 0);
}

#[test]
fn levels_of_trust_are_kept_apart_here_and_there() {
    let server = servers::casd(&[]);
    let store = tempfile::tempdir().expect("a store");
    let of = |namespace: &str| {
        let sandbox = writer(&server.url()).env("MIKADO_CACHE_NAMESPACE", namespace);
        sandbox.store(store.path())
    };
    assert_eq!(executed(&run(&of("pull-requests"))), 3);
    // Neither from the store that both use, nor from the cache.
    assert_eq!(executed(&run(&of("main"))), 3);
    assert_eq!(executed(&run(&of("main"))), 0);
    assert_eq!(executed(&run(&of("pull-requests"))), 0);
    // `mikado.yaml`, which a pull request may change, does not choose another one.
    let forged = of("pull-requests").file("mikado.yaml", "cache: {namespace: third}\n");
    assert_eq!(executed(&run(&forged)), 0);
    let fresh = reader(&server.url()).env("MIKADO_CACHE_NAMESPACE", "main");
    assert_eq!(executed(&run(&fresh)), 0);
    assert_eq!(executed(&run(&reader(&server.url()))), 3);
}
