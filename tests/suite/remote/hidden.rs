//! Credentials reach the server and nothing else.

use std::fs;
use std::path::Path;

use super::{reader, run, servers, with_cache};

const SECRET: &str = "kept-t0-itself";

/// Asserts that no file below `folder` holds the secret, in any form.
fn holds_nothing(folder: &Path) {
    let forms = [SECRET.to_owned(), "Y2k6a2VwdC10MC1pdHNlbGY".to_owned()];
    let mut pending = vec![folder.to_owned()];
    while let Some(path) = pending.pop() {
        let found = path.symlink_metadata().expect("an entry");
        if found.is_dir() {
            let entries = fs::read_dir(&path).expect("a folder");
            pending.extend(entries.map(|entry| entry.expect("an entry").path()));
        } else if found.is_file() {
            let bytes = fs::read(&path).expect("a file");
            for form in &forms {
                let inside = bytes
                    .windows(form.len())
                    .any(|part| part == form.as_bytes());
                assert!(!inside, "{} holds the credential", path.display());
            }
        }
    }
}

#[test]
fn credential_is_in_no_file_and_no_output() {
    let server = servers::bazel_remote(&[]);
    let closed = format!("grpc://{}", servers::free());
    for url in [server.url(), server.http_url(), closed] {
        for (name, value) in [
            ("MIKADO_CACHE_TOKEN", SECRET.to_owned()),
            ("MIKADO_CACHE_LOGIN", format!("ci:{SECRET}")),
        ] {
            let sandbox = with_cache(super::chain(), &url, "read-write").env(name, value);
            for words in ["run three --no-mark --format json", "why three", "doctor"] {
                let ran = sandbox.mikado(words);
                assert!(!ran.all().contains(SECRET), "{}", ran.all());
                assert!(!ran.all().contains("Y2k6a2VwdC"), "{}", ran.all());
            }
            holds_nothing(&sandbox.root());
        }
    }
}

#[test]
fn header_comes_from_a_file_that_the_settings_name() {
    let server = servers::guarded_bazel_remote();
    let settings = format!(
        "cache: {{url: '{}', mode: read-write, login: {{file: login.txt}}}}\n",
        server.url()
    );
    let sandbox = super::chain()
        .file("mikado.yaml", &settings)
        .file("login.txt", "ci:s3cret-of-ci\n");
    assert_eq!(super::counts(&run(&sandbox))["uploaded"], 6);
    assert_eq!(super::executed(&run(&reader(&server.url()))), 0);
    let header = "cache: {headers: {authorization: {env: OF_THE_CACHE}}}\n";
    let sandbox = with_cache(
        super::chain().file("mikado.yaml", header),
        &server.url(),
        "read-write",
    )
    .env("OF_THE_CACHE", "Basic Y2k6czNjcmV0LW9mLWNp");
    sandbox.write("source.txt", "another text\n");
    // All but the fetch, whose result is found.
    assert_eq!(super::counts(&run(&sandbox))["uploaded"], 5);
}

#[test]
fn address_with_a_password_is_refused_and_not_repeated() {
    for words in [
        format!("run --cache grpc://ci:{SECRET}@localhost:1 three"),
        format!("run --cache http://{SECRET}@localhost three"),
    ] {
        let ran = super::chain().mikado(&words).exits(2);
        assert!(!ran.stderr().contains(SECRET), "{}", ran.stderr());
        let ran = ran.says("a user or a password stands in it");
        drop(ran.says("MIKADO_CACHE_LOGIN"));
    }
}
