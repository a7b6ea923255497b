//! `verify`: what was true once, and is not now.

use std::net::TcpListener;

use serde_json::Value;

use crate::support::sandbox::Sandbox;

/// A mirror, a file and a port, each looked at by a complete card.
fn docs(port: u16) -> Sandbox {
    Sandbox::new()
        .file("pages/a.md", "a\n")
        .file("mirror/a.md", "a\n")
        .file("built/index.html", "<p>\n")
        .runner(
            "same",
            "with: { one: ~, other: ~ }\nverify:\n  - { name: the mirror is whole, run: 'diff -r \"$WITH_ONE\" \"$WITH_OTHER\"' }\n",
        )
        .card("mirror", "status: complete\nrunner: same\nwith: { one: pages, other: mirror }")
        .card_with(
            "site",
            "status: complete",
            "```sh verify\ntest -s built/index.html\n```\n",
        )
        .card_with(
            "server",
            "status: complete",
            &format!("```bash verify\n: < /dev/tcp/127.0.0.1/{port}\n```\n"),
        )
        .card("done", "status: complete")
        .card_with("open", "status: active", "```sh verify\nfalse\n```\n")
        .file("cards/prose.md", "# Prose\n")
}

fn cards(sandbox: &Sandbox) -> Vec<String> {
    let stems = ["done", "mirror", "open", "server", "site"];
    let card = |stem| sandbox.read(&format!("cards/{stem}.md"));
    stems.into_iter().map(card).collect()
}

/// Reads a report as CI does: each case with its verdict.
fn cases(sandbox: &Sandbox, file: &str) -> Vec<String> {
    let script = "import sys, xml.etree.ElementTree as tree
root = tree.parse(sys.argv[1]).getroot()
for case in root.iter('testcase'):
    kind = case[0].tag if len(case) else 'passed'
    text = case[0].get('message') if len(case) else ''
    print(case.get('name'), kind, text)
    assert float(case.get('time')) >= 0
print(root.get('tests'), root.get('failures'), root.get('skipped'))
";
    let mut python = sandbox.command("python3");
    python.args(["-c", script, file]);
    let ran = sandbox.run(python, "python3").exits(0);
    ran.stdout().lines().map(str::to_owned).collect()
}

#[test]
fn mirror_file_and_port_that_were_true_once_are_all_found() {
    let port = TcpListener::bind("127.0.0.1:0").expect("a port");
    let sandbox = docs(port.local_addr().expect("an address").port());
    sandbox
        .mikado("verify --all --junit before.xml")
        .exits(0)
        .says("3 cards looked at, 0 no longer true, 1 without a check");
    assert_eq!(
        cases(&sandbox, "before.xml"),
        ["mirror passed ", "server passed ", "site passed ", "3 0 0"]
    );
    drop(port);
    sandbox.write("pages/a.md", "b\n");
    std::fs::remove_file(sandbox.path("built/index.html")).expect("the file");
    let before = cards(&sandbox);
    sandbox
        .mikado("verify --all")
        .exits(1)
        .says("   broken mirror: no longer true: `the mirror is whole` exited with 1\n          | diff -r")
        .says("   broken server: no longer true: `server` exited with 1\n")
        .says("   broken site: no longer true: `site` exited with 1\n")
        .says("            log: .mikado/logs/verify/server.log\n")
        .says("3 cards looked at, 3 no longer true, 1 without a check\n")
        .says("mikado reopen CARD");
    let ran = sandbox.mikado("verify --all --format json --junit after.xml");
    let json = ran.exits(1).json();
    assert_eq!(json["schemaVersion"], 1);
    assert_eq!(json["broken"], 3);
    assert_eq!(json["unchecked"], serde_json::json!(["done"]));
    let rows = json["cards"].as_array().expect("cards");
    let told: Vec<String> = rows
        .iter()
        .map(|row| {
            assert_eq!(row["verdict"], "broken");
            let text = |key: &str| row[key].as_str().unwrap_or_default().to_owned();
            format!("{} failure {}", text("stem"), text("message"))
        })
        .chain(["3 3 0".to_owned()])
        .collect();
    assert_eq!(cases(&sandbox, "after.xml"), told);
    let printed = sandbox.mikado("verify --all --format junit").exits(1);
    sandbox.write("printed.xml", &printed.stdout());
    assert_eq!(cases(&sandbox, "printed.xml"), told);
    assert_eq!(cards(&sandbox), before);
    // Nothing of it is remembered as a run.
    let list = sandbox.mikado("list --all --format json").exits(0).json();
    let rows = list["cards"].as_array().expect("cards");
    assert!(rows.iter().all(|row| row["lastRun"] == Value::Null));
}

#[test]
fn verify_leaves_the_log_of_the_last_run_alone() {
    let sandbox = Sandbox::new()
        .runner(
            "touch",
            "steps: ['echo touching; touch made']\nverify: ['echo looking; test -e made', 'test -e other']",
        )
        .file("other", "")
        .card("card", "status: active\nrunner: touch");
    sandbox.mikado("run").exits(0);
    sandbox
        .mikado("log card")
        .exits(0)
        .prints("touching\nlooking\n");
    sandbox.mikado("verify card").exits(0);
    std::fs::remove_file(sandbox.path("made")).expect("the file");
    std::fs::remove_file(sandbox.path("other")).expect("the file");
    // Every check is tried, not only the first.
    let json = sandbox.mikado("verify card --format json").exits(1).json();
    assert_eq!(
        json["cards"][0]["message"],
        "no longer true: check 1 exited with 1; check 2 exited with 1"
    );
    assert_eq!(json["cards"][0]["log"], ".mikado/logs/verify/card.log");
    assert_eq!(sandbox.read(".mikado/logs/verify/card.log"), "looking\n");
    sandbox
        .mikado("log card")
        .exits(0)
        .prints("touching\nlooking\n");
}

#[test]
fn what_can_not_be_looked_at_is_not_called_true() {
    let sandbox = Sandbox::new()
        .runner(
            "build",
            "inputs: []\nsteps: ['touch \"$OUT/x\"']\nverify: ['test -e \"$ARTIFACT/x\"']",
        )
        .card("never-built", "status: complete\nrunner: build")
        .card("no-runner", "status: complete\nrunner: nothing")
        .card_with(
            "odd",
            "status: complete",
            "```bash verify\nprintf 'a ]]> \\033[31m & \\001 <b>\\n'; false\n```\n",
        );
    sandbox
        .mikado("verify never-built no-runner --junit report.xml")
        .exits(5)
        .says("  unknown never-built: the artifact of `never-built` is not in the store")
        .says("  unknown no-runner: at fault: there is no runner `nothing`")
        .says("2 cards looked at, 0 no longer true, 2 unknown, 0 without a check");
    assert_eq!(
        cases(&sandbox, "report.xml").last().map(String::as_str),
        Some("2 0 2")
    );
    sandbox.mikado("verify --all --junit report.xml").exits(1);
    assert_eq!(
        cases(&sandbox, "report.xml").last().map(String::as_str),
        Some("3 1 2")
    );
    let sandbox = sandbox.card("later", "status: active");
    sandbox
        .mikado("verify later")
        .exits(2)
        .says("`later` is open: only what is complete is looked at");
}

#[test]
fn question_that_a_command_asks_first_is_not_in_its_log() {
    let sandbox = Sandbox::new()
        .runner(
            "touch",
            "steps: ['echo touching; touch made']\nverify: ['echo looking for made; test -e made']",
        )
        .card("card", "status: active\nrunner: touch");
    sandbox.mikado("run").exits(0);
    sandbox
        .mikado("log card")
        .exits(0)
        .prints("touching\nlooking for made\n");
    sandbox.mikado("reopen card").exits(0);
    sandbox.mikado("run card").exits(0).says("Holds card");
    sandbox
        .mikado("log card")
        .exits(0)
        .prints("touching\nlooking for made\n");
}

#[test]
fn verify_keeps_no_scene_of_a_failure() {
    let build = |check: &str| {
        format!(
            "inputs: []\nsteps: ['touch \"$OUT/x\"']\nverify: [{{ name: holds, run: '{check}' }}]"
        )
    };
    let sandbox = Sandbox::new()
        .runner("build", &build("test -e \"$ARTIFACT/x\""))
        .card("card", "status: active\nrunner: build");
    sandbox.mikado("run").exits(0);
    sandbox.write("runners/build.yaml", &build("false"));
    sandbox
        .mikado("verify card")
        .exits(1)
        .says("broken card: no longer true: check `holds` exited with 1");
    assert!(!sandbox.path(".mikado/failed").exists());
    let list = sandbox.mikado("show card --format json").exits(0).json();
    assert_eq!(list["card"]["lastRun"]["failed"], serde_json::Value::Null);
}
