//! The JSON outputs are those of their schemas, and `JSON.md` names every key.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::support::sandbox::Sandbox;

/// Cards of every kind and state, some with a fault.
fn everything() -> Sandbox {
    Sandbox::new()
        .file("a.txt", "a\n")
        .runner(
            "copy",
            "with: {text: hi, list: [1, two]}\ninputs: [{paths: [a.txt]}]\nsteps: ['cp a.txt \"$OUT/\"']\nverify: [{name: there, run: 'test -f \"$ARTIFACT/a.txt\"'}]",
        )
        .runner("break", "steps: ['echo it broke; exit 3']")
        .runner("elsewhere", "platform: [riscv64-linux]\ninputs: []\nsteps: ['true']")
        .runner("lacking", "inputs: []\ntools: {frobnicate: {version: '>=2'}}\nsteps: ['true']")
        .card("built", "title: Built\nstatus: active\nrunner: copy\nwith: {text: '1.10'}")
        .card("broken", "status: active\nrunner: break")
        .card("elsewhere", "status: active\nrunner: elsewhere")
        .card("lacking", "status: active\nrunner: lacking")
        .card("odd", "status: active\nrunner: no-such-runner")
        .card_with("probe", "status: active", "```sh verify\ntest -f b.txt\n```\n")
        .card_with("hand", "status: active", "## Steps\n\n1. Do it.\n\n## Verify\n\n- [ ] It is done.\n")
        .card("goal", "status: active\nbranch: mikado/goal\nrequires: [hand, probe, built, done]")
        .card("done", "status: complete\nrequires: [page]")
        .card("unknown", "status: active\nrequires: [nothing-of-this-name]")
        .card("left", "status: active\nrequires: [right]")
        .card("right", "status: active\nrequires: [left]")
        .file("cards/page.md", "# A page\n")
        .file("cards/torn.md", "---\nstatus: [\n---\n")
        .file("cards/one/twice.md", "---\nstatus: active\n---\n")
        .file("cards/two/twice.md", "---\nstatus: active\n---\n")
}

fn schema(sandbox: &Sandbox, of: &str) -> Value {
    sandbox.mikado(&format!("schema {of}")).exits(0).json()
}

/// Asserts that each object an output is made of fits the schema.
#[track_caller]
fn fits(schema: &Value, lines: &[Value], what: &str) {
    assert!(!lines.is_empty(), "{what} answers nothing");
    let validator = jsonschema::validator_for(schema).expect("a schema");
    for line in lines {
        let errors: Vec<String> = validator
            .iter_errors(line)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert!(errors.is_empty(), "{what}: {errors:#?}\n{line:#}");
        let version = &line["schemaVersion"];
        assert_eq!(version, 1, "{what}: {line}");
    }
}

#[test]
fn every_answer_fits_its_schema() {
    let sandbox = everything();
    let check = |arguments: &str, of: &str| {
        let ran = sandbox.mikado(&format!("{arguments} --format json"));
        fits(&schema(&sandbox, of), &ran.json_lines(), arguments);
    };
    let look = || {
        check("list", "list");
        check("list --all", "list");
        check("ready", "list");
        check("blocked", "blocked");
        check("blocked goal", "blocked");
        check("next", "next");
        check("next done", "next");
        check("check", "check");
        check("plan built hand probe", "plan");
        check("graph", "graph");
        check("verify --all", "verify");
        for card in [
            "built", "broken", "goal", "probe", "torn", "page", "left", "odd",
        ] {
            check(&format!("show {card}"), "show");
            check(&format!("why {card}"), "why");
        }
    };
    look();
    check("run built", "run");
    check("run built", "run");
    check(
        "run broken hand probe lacking elsewhere --keep-going",
        "run",
    );
    sandbox.write("a.txt", "another\n");
    look();
    check("doctor", "doctor");
    check("audit built", "audit");
    check("ci matrix built", "ci-matrix");
    sandbox.git("init -q");
    sandbox.git("add a.txt runners cards/built.md");
    sandbox.git("commit -qm start");
    sandbox.write("a.txt", "changed again\n");
    check("affected --since HEAD built", "affected");
    check("store stats", "store-stats");
    check("store gc", "store-gc");
    check("store verify", "store-verify");
    check("run nope", "error");
    check("run left", "error");
    check("show nope", "error");
    check("show twice", "error");
}

/// The names of all properties in a schema.
fn keys(schema: &Value, found: &mut BTreeSet<String>) {
    match schema {
        Value::Object(object) => {
            if let Some(Value::Object(properties)) = object.get("properties") {
                found.extend(properties.keys().cloned());
            }
            object.values().for_each(|part| keys(part, found));
        }
        Value::Array(parts) => parts.iter().for_each(|part| keys(part, found)),
        _ => {}
    }
}

#[test]
fn page_on_json_names_every_key_of_every_answer() {
    let sandbox = Sandbox::new();
    let page = include_str!("../../JSON.md");
    let help = sandbox.mikado("schema --help").exits(0).stdout();
    let answers = help.lines().filter_map(|line| {
        let (name, text) = line.trim().strip_prefix("- ")?.split_once(':')?;
        (text.contains("answer") || text.contains("run --format json")).then(|| name.to_owned())
    });
    let answers: Vec<String> = answers.collect();
    assert!(answers.len() > 10, "{answers:?}");
    for of in answers {
        let mut found = BTreeSet::new();
        keys(&schema(&sandbox, &of), &mut found);
        assert!(found.len() > 1, "{of}");
        for key in found {
            let named = page.contains(&format!("`{key}`"));
            assert!(
                named,
                "JSON.md does not name `{key}` of `mikado schema {of}`"
            );
        }
    }
}
