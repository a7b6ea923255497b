//! What each kind of card does, what its steps see, and what is kept of secrets.

use snapbox::str;

use super::executed;
use crate::support::sandbox::Sandbox;

#[test]
fn each_kind_of_card_does_what_it_is_for() {
    let sandbox = Sandbox::new()
        .runner(
            "command",
            "steps: ['echo made > made.txt']\nverify: ['test -e made.txt']",
        )
        .runner(
            "probe",
            "verify: [{ name: the door is open, run: 'echo looking; test -e door' }]",
        )
        .card("command", "status: active\nrunner: command")
        .card("probe", "status: active\nrunner: probe")
        .card_with(
            "hand",
            "status: active",
            "## What to do\n\n1. Lift it.\n2. Put it down.\n",
        )
        .card(
            "after-hand",
            "status: active\nrequires: [hand]\nrunner: command",
        )
        .card(
            "goal",
            "status: active\nrequires: [command, probe, after-hand]",
        );
    sandbox
        .mikado("run goal --jobs 1")
        .exits(5)
        .prints(str![[r#"
    Waits hand
  Running command
      Ran command in [TIME]
  Running probe
    Waits probe
waiting: hand: to be done by hand
  1. Lift it.
  2. Put it down.
  when it is done: mikado complete hand
  it blocks `after-hand`
waiting: probe: not true yet: `the door is open` exited with 1
  | looking
  when it is true: mikado run probe
  it blocks `goal`
blocked: after-hand lacks `hand`
blocked: goal lacks `after-hand` and `probe`
5 cards: 1 executed, 2 waiting, 2 not started, 1 marked complete in [TIME]

"#]]);
    sandbox.write("door", "");
    sandbox.mikado("run probe").exits(0).says("Holds probe");
    // A command that is complete is passed over; one whose check holds already is not run.
    sandbox
        .mikado("run command")
        .exits(0)
        .says("Complete command");
    sandbox.edit("cards/command.md", "status: complete", "status: active");
    sandbox.write("made.txt", "by somebody else");
    sandbox.mikado("run command").exits(0).says("Holds command");
    assert_eq!(sandbox.read("made.txt"), "by somebody else");
}

#[test]
fn code_blocks_of_a_card_are_its_runner() {
    let sandbox = Sandbox::new()
        .card_with(
            "blocks",
            "status: active\nrunner: {inputs: []}",
            "Text.\n\n```sh run\necho hello > \"$OUT/hello\"\n```\n\n```sh\nfalse # not runnable\n```\n\n```bash verify\ngrep hello \"$ARTIFACT/hello\"\n```\n",
        )
        .card_with("live", "status: active", "```sh verify\ntest -e here\n```\n");
    sandbox.mikado("run blocks").exits(0).says("Built blocks");
    assert_eq!(sandbox.read(".mikado/artifacts/blocks/hello"), "hello\n");
    sandbox.mikado("run live").exits(5).says("Waits live");
    sandbox.write("here", "");
    sandbox.mikado("run live").exits(0).says("Holds live");
}

#[test]
fn a_command_asks_before_it_runs() {
    let sandbox = Sandbox::new()
        .runner("ask", "confirm: delete everything?\nsteps: ['touch gone']")
        .card("ask", "status: active\nrunner: ask");
    sandbox
        .mikado("run ask")
        .exits(5)
        .says("asks first: delete everything?")
        .says("mikado run ask --yes ask");
    sandbox.mikado("run ask --yes ask").exits(0).says("Ran ask");
}

#[test]
fn nothing_of_the_users_environment_reaches_a_build() {
    let sandbox = Sandbox::new()
        .env("SECRET_OF_MINE", "x")
        .runner("env", "inputs: []\nsteps: ['env | sort | grep -v -e ^_= -e ^PWD= -e ^SHLVL= -e ^OLDPWD= | sed \"s|$PWD/..|ROOT|g; s|${PWD%/work}|ROOT|g\" > \"$OUT/env\"']")
        .card("env", "status: active\nrunner: env");
    sandbox.mikado("run env").exits(0).says("Built");
    let env = sandbox.read(".mikado/artifacts/env/env");
    let names: Vec<&str> = env
        .lines()
        .filter_map(|line| Some(line.split_once('=')?.0))
        .collect();
    assert_eq!(
        names,
        [
            "CACHE",
            "FETCH",
            "HOME",
            "LANG",
            "OUT",
            "PATH",
            "REQUIRES",
            "RUNNER",
            "SOURCE_DATE_EPOCH",
            "TMPDIR",
            "TOOLS",
            "TZ"
        ],
        "{env}"
    );
}

#[test]
fn a_step_that_patches_its_input_changes_no_file_of_the_user() {
    let sandbox = Sandbox::new()
        .runner(
            "patch",
            "inputs: [{ paths: [a.txt] }]\nsteps: ['echo patched > a.txt', 'cp a.txt \"$OUT\"']",
        )
        .file("a.txt", "mine\n")
        .card("patch", "status: active\nrunner: patch");
    sandbox.mikado("run patch").exits(0).says("Built");
    assert_eq!(sandbox.read("a.txt"), "mine\n");
    assert_eq!(sandbox.read(".mikado/artifacts/patch/a.txt"), "patched\n");
}

#[test]
fn secrets_reach_a_fetch_and_nothing_that_is_kept() {
    let sandbox = Sandbox::new()
        .env("PIP_INDEX_URL", "http://bob:hunter2hunter2@127.0.0.1:9/simple")
        .env("MY_TOKEN", "t0ken-of-mine-42")
        .runner(
            "fetch",
            "inputs: []\nfetch:\n  it:\n    pass-env: [MY_TOKEN]\n    run: |\n      echo \"$PIP_INDEX_URL $MY_TOKEN\"\n      printf %s \"$MY_TOKEN\" | wc -c > \"$OUT/length\"\n      cat \"$NPM_CONFIG_USERCONFIG\" \"$NETRC\"\nsteps: ['cp \"$FETCH/it/length\" \"$OUT\"']\n",
        )
        .card("fetch", "status: active\nrunner: fetch");
    std::fs::write(
        sandbox.home().join(".npmrc"),
        "//127.0.0.1/:_authToken=npm-t0ken-99\n",
    )
    .expect("a file");
    std::fs::write(
        sandbox.home().join(".netrc"),
        "machine 127.0.0.1 login bob password netrc-pass-77\n",
    )
    .expect("a file");
    let ran = sandbox.mikado("run fetch --format json").exits(0);
    assert_eq!(sandbox.read(".mikado/artifacts/fetch/length").trim(), "16");
    let mut kept = vec![("the events".to_owned(), ran.all().into_bytes())];
    let mut pending = vec![sandbox.path(".mikado"), sandbox.path("cards")];
    while let Some(folder) = pending.pop() {
        for entry in std::fs::read_dir(folder)
            .expect("a folder")
            .filter_map(Result::ok)
        {
            let kind = entry.file_type().expect("a kind");
            if kind.is_dir() {
                pending.push(entry.path());
            } else if kind.is_file() {
                kept.push((
                    entry.path().display().to_string(),
                    std::fs::read(entry.path()).expect("a file"),
                ));
            }
        }
    }
    for (place, bytes) in kept {
        let text = String::from_utf8_lossy(&bytes);
        for secret in [
            "hunter2hunter2",
            "t0ken-of-mine-42",
            "npm-t0ken-99",
            "netrc-pass-77",
        ] {
            assert!(!text.contains(secret), "{secret} is in {place}");
        }
    }
    // Another token is no other key.
    let sandbox = sandbox.env("MY_TOKEN", "another-t0ken-43");
    assert_eq!(executed(&sandbox, "fetch"), Vec::<String>::new());
}
