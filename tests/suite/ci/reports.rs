//! What `run` prints and leaves for the page of a CI job.

use crate::support::sandbox::Sandbox;

fn project() -> Sandbox {
    Sandbox::new()
        .card(
            "talks",
            "title: It talks\nstatus: active\nrunner: {inputs: [], steps: [{run: 'echo \"::set-env name=X::y\"; echo fine'}]}",
        )
        .card(
            "fails",
            "title: It | fails\nstatus: active\nrequires: [talks]\nrunner:\n  inputs: []\n  steps: [{run: 'echo no; exit 3'}]",
        )
        .card("hand", "title: Ask\nstatus: active")
        .card("goal", "status: active\nrequires: [fails, hand]\nrunner: {inputs: [], steps: [{run: 'true'}]}")
}

#[test]
fn github_gets_groups_annotations_and_a_page_and_output_is_no_command() {
    let sandbox = project();
    let page = sandbox.path("page.md");
    let sandbox = sandbox
        .env("GITHUB_ACTIONS", "true")
        .env("GITHUB_STEP_SUMMARY", page.display().to_string());
    let ran = sandbox.mikado("run fails --junit out/junit.xml").exits(1);
    let out = ran.stdout();
    let mut quiet: Option<String> = None;
    let mut commands = Vec::new();
    for line in out.lines() {
        // As the runner reads it: between the two nothing is a command.
        match &quiet {
            Some(end) if line == end => quiet = None,
            Some(_) => {}
            None => {
                if let Some(word) = line.strip_prefix("::stop-commands::") {
                    quiet = Some(format!("::{word}::"));
                } else if line.starts_with("::") {
                    commands.push(line.to_owned());
                }
            }
        }
    }
    assert_eq!(
        commands,
        [
            "::group::output of talks",
            "::endgroup::",
            "::group::output of fails",
            "::endgroup::",
            "::error file=cards/fails.md,line=5,title=fails::`build` exited with 3",
        ],
        "{out}"
    );
    assert!(out.contains("::set-env name=X::y"), "{out}");
    let page = sandbox.read("page.md");
    for line in [
        "| It talks (`talks`) | ✅ built |",
        "| It \\| fails (`fails`) | ❌ failed |",
        "| Ask (`hand`) | ✋ by hand |",
        "```mermaid\nflowchart LR\n",
    ] {
        assert!(page.contains(line), "{line}\n{page}");
    }
    let junit = sandbox.read("out/junit.xml");
    assert!(junit.contains("tests=\"2\" failures=\"1\""), "{junit}");
    // The next command of the job adds to the page.
    sandbox.mikado("run talks").exits(0);
    let both = sandbox.read("page.md");
    assert!(
        both.starts_with(&page) && both.contains("✅ fresh"),
        "{both}"
    );
}

#[test]
fn gitlab_gets_sections() {
    let sandbox = project().env("GITLAB_CI", "true");
    let ran = sandbox.mikado("run talks").exits(0);
    let out = ran.stdout();
    let start = out.find("\u{1b}[0Ksection_start:").expect("a section");
    let end = out.find("\u{1b}[0Ksection_end:").expect("its end");
    assert!(
        out[start..end].contains("[collapsed=true]\r\u{1b}[0Koutput of talks\n::set-env"),
        "{out}"
    );
}
