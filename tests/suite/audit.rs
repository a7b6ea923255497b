//! `mikado audit`: what a build touches and does not declare.

use crate::support::sandbox::Sandbox;

fn sandbox(steps: &str) -> Sandbox {
    let runner = format!("inputs: [{{ paths: [a.txt] }}]\nsteps:\n{steps}");
    let sandbox = Sandbox::new()
        .file("a.txt", "a\n")
        .file("b.txt", "b\n")
        .runner("made", &runner)
        .card("made", "status: active\nrunner: made");
    for number in 0..8 {
        sandbox.write(&format!("docs/{number}.md"), "text\n");
    }
    sandbox
}

#[test]
fn undeclared_things_are_told_with_the_lines_to_add() {
    let sandbox = sandbox(
        r#"  - run: |
      cat a.txt "$REPO/b.txt" "$REPO"/docs/*.md > "$OUT/all"
      echo x > "$REPO/written"
      "$REPO/home-tool"
      if (: > /dev/tcp/127.0.0.1/9) 2> /dev/null; then :; fi
"#,
    );
    let tool = "#!/bin/sh\necho a tool\n";
    std::fs::write(sandbox.home().join("tool"), tool).expect("a tool");
    let mut mode = std::fs::metadata(sandbox.home().join("tool"))
        .expect("it")
        .permissions();
    std::os::unix::fs::PermissionsExt::set_mode(&mut mode, 0o755);
    std::fs::set_permissions(sandbox.home().join("tool"), mode).expect("a mode");
    std::os::unix::fs::symlink(sandbox.home().join("tool"), sandbox.path("home-tool"))
        .expect("a link");
    let root = sandbox.root().canonicalize().expect("a root");
    let text = sandbox
        .read("runners/made.yaml")
        .replace("$REPO", &root.display().to_string());
    sandbox.write("runners/made.yaml", &text);
    let ran = sandbox.mikado("audit made").exits(3);
    let home = sandbox.home().canonicalize().expect("a home");
    let expected = format!(
        "made: 5 things that its runner does not declare
    reads b.txt
    reads docs/** (8 files)
     runs {home}/tool
   writes written
          a build writes to `$OUT`; what changes the repository is a command, without `inputs`
 connects 127.0.0.1:9
to be added to runners/made.yaml:
  inputs:
    - {{ paths: [b.txt, docs/**] }}
  tools:                # and call them by name
    tool: {{}}
  network: true         # or a `fetch`, which is cached by what it reads
",
        home = home.display()
    );
    assert_eq!(ran.stdout(), expected);
    // Nothing is kept of it: the card is open, and the build not in the store.
    assert!(sandbox.read("cards/made.md").contains("status: active"));
    sandbox
        .mikado("plan made")
        .exits(0)
        .says("run made (never run)");
    assert_eq!(
        sandbox.mikado("store stats --format json").json()["trees"],
        0
    );
}

#[test]
fn the_lines_that_an_audit_prints_are_enough() {
    let sandbox = sandbox("  - run: cat a.txt \"../$(cat list)\" > \"$OUT/all\"\n");
    sandbox.write("list", "work/list");
    sandbox.edit(
        "runners/made.yaml",
        "../$(cat list)",
        &format!("{}/b.txt", sandbox.root().display()),
    );
    sandbox.mikado("run made").exits(1).says("b.txt");
    sandbox
        .mikado("audit made")
        .exits(3)
        .says("- { paths: [b.txt] }");
    // Declared, it lies beside the other input, and is read there.
    sandbox.edit("runners/made.yaml", "[a.txt]", "[a.txt, b.txt]");
    sandbox.edit(
        "runners/made.yaml",
        &format!("{}/b.txt", sandbox.root().display()),
        "b.txt",
    );
    sandbox
        .mikado("audit made")
        .exits(0)
        .prints("made: all that it touched is declared\n");
    sandbox.mikado("run made").exits(0);
}

#[test]
fn what_others_made_is_told_by_its_card() {
    let sandbox = sandbox("  - run: cat \"$ROOT/.mikado/artifacts/other/all\" > \"$OUT/all\"\n")
        .runner(
            "other",
            "inputs: []\nsteps: [{ run: 'echo x > \"$OUT/all\"' }]\n",
        )
        .card("other", "status: active\nrunner: other");
    let root = sandbox
        .root()
        .canonicalize()
        .expect("a root")
        .display()
        .to_string();
    sandbox.edit("runners/made.yaml", "$ROOT", &root);
    sandbox.mikado("run other").exits(0);
    sandbox
        .mikado("audit made")
        .exits(3)
        .says("to be added to the card, and read as `$REQUIRES/NAME`:\n  requires: [other]\n");
}

#[test]
fn steps_that_fail_are_told_with_their_output() {
    let sandbox = sandbox("  - { name: break, run: 'echo words; cat a.txt; exit 3' }\n");
    sandbox
        .mikado("audit made")
        .exits(1)
        .says("made: `break` exited with 3, without isolation as well\n  | words\n  | a\n")
        .says("all that it touched is declared");
    let json = sandbox.mikado("audit made --format json").exits(1).json();
    assert_eq!(json["failed"], "`break` exited with 3");
    assert_eq!(json["undeclared"].as_array().map(Vec::len), Some(0));
}

#[test]
fn threads_scripts_and_what_is_started_by_programs_are_seen() {
    let python = "
import os, socket, subprocess, sys, threading
root = os.environ['WITH_ROOT']
thread = threading.Thread(target=lambda: open(root + '/b.txt').read())
thread.start(); thread.join()
subprocess.run([root + '/script'], check=True)
os.chdir(root); open('docs/0.md').read()
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); sock.sendto(b'x', ('127.0.0.1', 9))
os.rename(root + '/docs/1.md', root + '/docs/one.md')
";
    let sandbox = sandbox("  - { run: 'python3 -c \"$WITH_CODE\"' }\n");
    let runner = format!(
        "{}with: {{ root: ~, code: ~ }}\ntools:\n  python3: {{ version: \">=3\", prefix: \"python3 -c 'import sys; print(sys.base_prefix)'\" }}\n",
        sandbox.read("runners/made.yaml")
    );
    let root = sandbox.root().canonicalize().expect("a root");
    let with = serde_json::json!({ "root": root, "code": python });
    let sandbox = sandbox
        .runner("made", &runner)
        .file(
            "script",
            "#!/bin/sh\ncat a.txt docs/2.md 2> /dev/null || true\n",
        )
        .card(
            "made",
            &format!("status: active\nrunner: made\nwith: {with}"),
        );
    let script = sandbox.path("script");
    let mut mode = std::fs::metadata(&script).expect("it").permissions();
    std::os::unix::fs::PermissionsExt::set_mode(&mut mode, 0o755);
    std::fs::set_permissions(&script, mode).expect("a mode");
    let json = sandbox.mikado("audit made --format json").exits(3).json();
    let undeclared = json["undeclared"].as_array().expect("a list");
    let found: Vec<String> = undeclared
        .iter()
        .map(|one| {
            let place = one["place"].as_str().unwrap_or_default();
            let place = place.replace(&format!("{}/", root.display()), "");
            format!("{} {place}", one["deed"].as_str().unwrap_or_default())
        })
        .collect();
    assert_eq!(
        found,
        [
            "read b.txt",
            "read docs/0.md",
            // It was looked for where the inputs are.
            "read docs/2.md",
            "read script",
            "write docs/1.md",
            "write docs/one.md",
            "connect 127.0.0.1:9",
        ]
    );
}

#[test]
fn only_builds_are_audited() {
    sandbox("  - run: 'true'\n")
        .card_with("command", "status: active", "```sh run\ntrue\n```\n")
        .mikado("audit command")
        .exits(2)
        .says("`command` is no build");
}

#[test]
fn what_is_looked_for_by_its_path_in_the_repository_is_missed() {
    let steps = "  - 'cat a.txt > $OUT/a; cat b.txt none.txt docs/1.md 2> /dev/null || true'\n";
    let ran = sandbox(steps).mikado("audit made").exits(3);
    ran.says("reads b.txt")
        .says("reads docs/1.md")
        .says("- { paths: [b.txt, docs/1.md] }")
        .says("made: 2 things");
}

#[test]
fn a_failure_over_a_relative_path_names_the_line_to_add() {
    let steps = "  - 'cat docs/0.md > $OUT/x'\n";
    sandbox(steps)
        .mikado("run made")
        .exits(1)
        .says("`- { paths: [docs/0.md] }` to `inputs` of the runner");
}
