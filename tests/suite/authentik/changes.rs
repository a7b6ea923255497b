//! What a change makes run again, and what it does not.

use super::{BACKEND, CLIENT, GOAL, SERVER, WEB, executed, warm};

const SCHEMA: &str = "tests/fixtures/authentik/schema.yml";

#[test]
fn prose_reruns_nothing() {
    let sandbox = warm();
    for stem in [CLIENT, BACKEND, SERVER, WEB, GOAL] {
        let path = format!("cards/{stem}.md");
        sandbox.write(
            &path,
            &format!("{}\nOne more sentence.\n", sandbox.read(&path)),
        );
    }
    assert_eq!(executed(&sandbox, GOAL), Vec::<String>::new());
}

#[test]
fn a_comment_in_the_schema_reruns_the_generator_alone() {
    let sandbox = warm();
    executed(&sandbox, GOAL);
    sandbox.write(SCHEMA, &format!("# a comment\n{}", sandbox.read(SCHEMA)));
    assert_eq!(executed(&sandbox, GOAL), [CLIENT]);
}

#[test]
fn a_changed_operation_reruns_clients_server_and_web_but_not_the_backend() {
    let sandbox = warm();
    executed(&sandbox, GOAL);
    let schema = sandbox.read(SCHEMA);
    let summary = schema
        .lines()
        .find(|line| line.trim_start().starts_with("description:"))
        .expect("a description in the schema");
    sandbox.edit(SCHEMA, summary, &format!("{summary} More of it."));
    let mut expected = vec![CLIENT, SERVER, WEB, GOAL];
    let ran = executed(&sandbox, GOAL);
    // Whether the web UI's bundle is the same is decided by its own contents.
    expected.retain(|stem| *stem != GOAL || ran.iter().any(|ran| ran == GOAL));
    assert_eq!(ran, expected);
}

#[test]
fn a_changed_lifecycle_reruns_backend_and_assembly_and_says_why() {
    let sandbox = warm();
    executed(&sandbox, GOAL);
    let path = "tests/fixtures/authentik/lifecycle/ak";
    sandbox.write(path, &format!("{}\n# changed\n", sandbox.read(path)));
    sandbox
        .mikado(&format!("run {GOAL}"))
        .exits(0)
        .says(&format!("Running {BACKEND} (lifecycle/ak changed)"))
        .says(&format!("Running {GOAL} (artifact of `backend` changed)"))
        .says(&format!("Fresh {SERVER}"))
        .says(&format!("Fresh {WEB}"));
}

#[test]
fn a_parameter_a_script_and_a_tool_rerun_exactly_what_uses_them() {
    let sandbox = warm();
    executed(&sandbox, GOAL);
    let runs = |sandbox: &crate::support::sandbox::Sandbox| {
        let plan = sandbox
            .mikado(&format!("plan {GOAL} --format json"))
            .exits(0)
            .json();
        let cards = plan["cards"].as_array().expect("cards").clone();
        let run = cards.into_iter().filter(|card| card["verb"] == "run");
        let mut stems: Vec<String> = run
            .map(|card| card["stem"].as_str().unwrap_or_default().to_owned())
            .collect();
        stems.sort();
        stems
    };
    assert_eq!(runs(&sandbox), Vec::<String>::new());
    sandbox.edit(
        &format!("cards/{WEB}.md"),
        "runner: web-ui",
        "runner: web-ui # a comment",
    );
    assert_eq!(runs(&sandbox), Vec::<String>::new());
    sandbox.write(
        "runners/assemble/lay.py",
        &format!("{}\n# changed\n", sandbox.read("runners/assemble/lay.py")),
    );
    assert_eq!(runs(&sandbox), [GOAL]);
    sandbox.git("checkout -q runners");
    sandbox.edit(
        "runners/tools.lock.yaml",
        "pypi:hatchling==1.27.0",
        "pypi:hatchling==1.27.1",
    );
    sandbox.edit(
        "runners/python-backend.yaml",
        "hatchling==1.27.0",
        "hatchling==1.27.1",
    );
    // The lock says that it is the same tree, so nothing runs: the tree is the tool.
    assert_eq!(runs(&sandbox), Vec::<String>::new());
    let lock = sandbox.read("runners/tools.lock.yaml");
    let entry = lock
        .split("pypi:hatchling==1.27.1")
        .nth(1)
        .expect("hatchling");
    let here = entry.split("linux-x86_64:").nth(1).expect("this platform");
    let tree = here
        .split("tree: ")
        .nth(1)
        .expect("a tree")
        .split(['}', '\n'])
        .next()
        .expect("a digest");
    let other = format!(
        "{}{}",
        if tree.starts_with('0') { "1" } else { "0" },
        &tree[1..]
    );
    sandbox.edit("runners/tools.lock.yaml", tree, &other);
    assert_eq!(runs(&sandbox), [BACKEND, GOAL]);
}
