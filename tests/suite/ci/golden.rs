//! One small project with one card of each kind, as each system has it.
//! `SNAPSHOTS=overwrite` writes the golden files again.

use snapbox::Data;

use crate::support::sandbox::Sandbox;

use super::{SYSTEMS, tools};

const CONFIG: &str = "
base: trunk
ci:
  install: { git: 'https://example.org/mikado.git', rev: abc }
  image: example.org/builder:1
  runs-on: { default: small, heavy: [self-hosted, big] }
  secrets: { TOKEN: REGISTRY_TOKEN }
  actions: { checkout: actions/checkout@0123456789012345678901234567890123456789 }
  triggers: { nightly: '17 3 * * *' }
  timeout: 30m
";

/// A build that two others use, a page, a probe, a command that asks, and what
/// is done by hand at the end.
fn project() -> Sandbox {
    Sandbox::new()
        .file("mikado.yaml", CONFIG.trim_start())
        .runner(
            "heavy",
            "timeout: 5m\nretries: 1\ninputs: [{paths: ['src/**']}]\nfetch: {deps: {run: 'true', timeout: 1m, pass-env: [TOKEN]}}\nsteps: [{run: 'true'}]",
        )
        .card("lib", "title: 'The library: one, \"two\"'\nstatus: active\nrunner: heavy")
        .card("page", "title: A page")
        .card(
            "docs",
            "title: Docs\nstatus: active\nrequires: [lib, page]\nrunner: {inputs: [], steps: [{run: 'true'}]}",
        )
        .card_with("mirror", "title: The mirror is up\nstatus: active", "```sh verify\ntrue\n```\n")
        .card(
            "app",
            "title: The app\nstatus: active\nrequires: [docs, lib, mirror]\nrunner: {inputs: [], steps: [{run: 'true'}]}",
        )
        .card(
            "deploy",
            "title: Deploy ${{ secrets.X }}\nstatus: active\nrequires: [app]\nrunner: {confirm: Really?, steps: [{run: 'true'}]}",
        )
        .card_with(
            "announce",
            "title: Tell everybody\nstatus: active\nrequires: [deploy]",
            "## Steps\n\n1. Write to $LIST\n",
        )
        .card(
            "archive",
            "title: Archive\nstatus: active\nrequires: [announce]\nrunner: {steps: [{run: 'true'}]}",
        )
        .committed()
}

fn golden(name: &str) -> Data {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/suite/ci/golden/");
    Data::read_from(std::path::Path::new(&format!("{folder}{name}.yml")), None).raw()
}

#[test]
fn pipeline_of_each_system_is_the_golden_one() {
    let sandbox = project();
    for (system, _) in SYSTEMS {
        let ran = sandbox.mikado(&format!("ci {system}")).exits(0);
        snapbox::assert_data_eq!(ran.stdout(), golden(system));
    }
}

#[test]
fn golden_files_pass_the_systems_own_checks() {
    let sandbox = project();
    for (system, path) in SYSTEMS {
        sandbox.mikado(&format!("ci {system} --write")).exits(0);
        let file = sandbox.path(path);
        match system {
            "github" | "forgejo" => {
                tools::fits_schema("vendor.github-workflows", &file);
                tools::lints(&file);
            }
            "gitlab" => tools::fits_schema("vendor.gitlab-ci", &file),
            "woodpecker" => tools::fits_schema("vendor.woodpecker-ci", &file),
            _ => tools::fits_schema("vendor.buildkite", &file),
        }
    }
}

#[test]
fn shared_store_is_not_for_pull_requests_from_forks() {
    let sandbox = project();
    sandbox.edit(
        "mikado.yaml",
        "  timeout: 30m",
        "  timeout: 30m\n  store: /srv/it's $store",
    );
    for (system, kept) in [
        (
            "github",
            "github.event.pull_request.head.repo.fork && '' || '/srv/it''s $store'",
        ),
        (
            "forgejo",
            "github.event.pull_request.head.repo.fork && '' || '--only'",
        ),
        ("gitlab", "      MIKADO_STORE: ''"),
        ("buildkite", "build.pull_request.repository.fork != true"),
    ] {
        let ran = sandbox.mikado(&format!("ci {system}")).exits(0);
        ran.says(kept).says_nothing_of("artifact import");
    }
}

#[test]
fn file_that_is_there_is_compared_and_written_only_when_asked() {
    let sandbox = project();
    for (system, path) in SYSTEMS {
        let check = format!("ci {system} --check");
        sandbox.mikado(&check).exits(3).says("is not there");
        sandbox
            .mikado(&format!("ci {system} --write"))
            .exits(0)
            .says("written");
        sandbox
            .mikado(&format!("ci {system} --write"))
            .exits(0)
            .says("is up to date");
        sandbox.mikado(&check).exits(0);
        sandbox.edit(path, "lib", "lab");
        let stale = sandbox.mikado(&check).exits(3);
        stale
            .says("\n-")
            .says("\n+")
            .says(&format!("mikado ci {system} --write"));
    }
}

#[test]
fn groups_make_fewer_jobs_and_keep_the_order() {
    let sandbox = project();
    let jobs = |group: &str| -> Vec<String> {
        let ran = sandbox.mikado(&format!("ci matrix --group {group} --format json"));
        let jobs = ran.exits(0).json();
        let jobs = jobs["jobs"].as_array().expect("jobs").iter();
        jobs.map(|job| format!("{} <- {}", job["cards"], job["needs"]))
            .collect()
    };
    assert_eq!(
        jobs("layer"),
        [
            r#"["lib"] <- []"#,
            r#"["mirror"] <- []"#,
            r#"["docs"] <- ["lib"]"#,
            r#"["app"] <- ["mirror","docs"]"#,
            r#"["deploy"] <- ["app"]"#,
        ]
    );
    assert_eq!(
        jobs("chain"),
        [
            r#"["lib","docs"] <- []"#,
            r#"["mirror"] <- []"#,
            r#"["app"] <- ["lib","mirror"]"#,
            r#"["deploy"] <- ["app"]"#,
        ]
    );
}

#[test]
fn only_what_would_do_something_is_in_the_matrix() {
    let sandbox = Sandbox::new()
        .card("one", "status: active\nrunner: {inputs: [], steps: [{run: 'true'}]}")
        .card("two", "status: active\nrequires: [one]\nrunner: {inputs: [{paths: [two.txt]}], steps: [{run: 'true'}]}")
        .file("two.txt", "two");
    sandbox.mikado("run --no-mark").exits(0);
    sandbox.write("two.txt", "changed");
    let matrix = sandbox.mikado("ci matrix --format json").exits(0).json();
    assert_eq!(
        matrix["include"],
        serde_json::json!([{"id": "two", "name": "two", "cards": "two"}])
    );
    assert_eq!(matrix["jobs"][1]["why"][0], "two.txt changed");
    assert_eq!(matrix["jobs"][0]["runs"], false);
}

#[test]
fn project_in_a_folder_is_run_from_the_repositorys_root() {
    let sandbox = Sandbox::new().card("other", "status: active").committed();
    sandbox.write("docs/mikado.yaml", "cards: [plan]\nci: {paths: true}\n");
    sandbox.write(
        "docs/plan/a.md",
        "---\nstatus: active\nrunner: {inputs: [{paths: ['*.txt']}], steps: [{run: 'true'}]}\n---\n",
    );
    let ran = sandbox.mikado("-C docs ci github --write").exits(0);
    drop(ran);
    let text = sandbox.read(".github/workflows/mikado.yml");
    for line in [
        "#   mikado -C docs ci github --write",
        "      run: mikado -C docs run --only --no-mark a",
        "        path: docs/.mikado/handover/a.tar.zst",
        "    - docs/*.txt",
        "    - docs/plan/**",
    ] {
        assert!(text.contains(&format!("{line}\n")), "{line}\n{text}");
    }
}

#[test]
fn pipeline_without_anything_to_run_is_an_error() {
    let sandbox = Sandbox::new().card("hand", "status: active").committed();
    sandbox
        .mikado("ci github")
        .exits(2)
        .says("nothing of these cards can run");
    // GitLab can wait for a person.
    sandbox.mikado("ci gitlab").exits(0).says("when: manual");
}
