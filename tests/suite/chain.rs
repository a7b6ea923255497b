//! Small chains of their own: the four kinds of work, hits and misses, failures
//! and what they leave behind, marks.

use snapbox::str;

use crate::support::sandbox::Sandbox;

/// A build that copies its one input, and writes how often it ran into nothing:
/// whether it ran is seen in the events.
const COPY: &str = "
with: { file: ~ }
inputs: [{ paths: ['${with.file}'] }]
steps: [{ name: copy, run: 'cp \"$WITH_FILE\" \"$OUT/copy\"' }]
";

/// A build that joins the artifacts that it uses.
const JOIN: &str = "
inputs: []
steps: [{ name: join, run: 'cat \"$REQUIRES\"/*/copy > \"$OUT/copy\"' }]
";

fn copies() -> Sandbox {
    Sandbox::new()
        .runner("copy", COPY)
        .runner("join", JOIN)
        .file("a.txt", "a\n")
        .file("b.txt", "b\n")
        .card("a", "status: active\nrunner: copy\nwith: {file: a.txt}")
        .card("b", "status: active\nrunner: copy\nwith: {file: b.txt}")
        .card("both", "status: active\nrequires: [a, b]\nrunner: join")
}

/// Runs, and returns the cards that were executed, sorted.
fn executed(sandbox: &Sandbox, arguments: &str) -> Vec<String> {
    let ran = sandbox
        .mikado(&format!("run --format json {arguments}"))
        .exits(0);
    let mut cards: Vec<String> = ran
        .json_lines()
        .iter()
        .filter(|event| event["event"] == "cardFinished" && event["how"] == "built")
        .filter_map(|event| Some(event["card"].as_str()?.to_owned()))
        .collect();
    cards.sort();
    cards
}

#[test]
fn a_chain_is_built_and_marked_and_then_fresh() {
    let sandbox = copies();
    sandbox.mikado("run --jobs 1").exits(0).prints(str![[r#"
  Running a (never run)
    Built a in [TIME]
  Running b (never run)
    Built b in [TIME]
  Running both (never run)
    Built both in [TIME]
3 cards: 3 executed, 3 marked complete in [TIME]

"#]]);
    assert_eq!(sandbox.read(".mikado/artifacts/both/copy"), "a\nb\n");
    assert_eq!(
        sandbox.read("cards/a.md"),
        "---\nstatus: complete\nrunner: copy\nwith: {file: a.txt}\n---\n# a\n\n"
    );
    sandbox
        .mikado("run both --jobs 1")
        .exits(0)
        .prints(str![[r#"
    Fresh a
    Fresh b
    Fresh both
3 cards: 3 up to date in [TIME]

"#]]);
}

#[test]
fn only_what_changed_is_built_again_and_the_reason_is_told() {
    let sandbox = copies();
    assert_eq!(executed(&sandbox, ""), ["a", "b", "both"]);
    sandbox.write("b.txt", "c\n");
    // Which of `a` and `b` goes first depends on how long they took.
    sandbox
        .mikado("run both --jobs 1")
        .exits(0)
        .says("    Fresh a\n")
        .says("  Running b (b.txt changed)\n    Built b in [TIME]\n")
        .says("  Running both (artifact of `b` changed)\n    Built both in [TIME]\n")
        .says("note: `b` and `both` were complete already, and built again\n")
        .says("3 cards: 2 executed, 1 up to date in [TIME]\n");
}

#[test]
fn the_same_artifact_leaves_dependents_fresh() {
    let sandbox = Sandbox::new()
        .runner(
            "lines",
            "inputs: [{ paths: [in.txt] }]\nsteps: ['grep -v \"^#\" in.txt > \"$OUT/copy\"']",
        )
        .runner("join", JOIN)
        .file("in.txt", "# note\ntext\n")
        .card("lines", "status: active\nrunner: lines")
        .card("top", "status: active\nrequires: [lines]\nrunner: join");
    assert_eq!(executed(&sandbox, "top"), ["lines", "top"]);
    sandbox.write("in.txt", "# another note\ntext\n");
    assert_eq!(executed(&sandbox, "top"), ["lines"]);
}

#[test]
fn prose_status_and_names_are_not_in_the_key() {
    let sandbox = copies();
    executed(&sandbox, "");
    sandbox.edit("cards/a.md", "# a", "# Another title\n\nMuch more prose.");
    sandbox.edit("runners/copy.yaml", "name: copy", "name: copy the file");
    assert_eq!(executed(&sandbox, "both"), Vec::<String>::new());
}

#[test]
fn a_failure_stops_new_work_and_leaves_its_card_open() {
    let sandbox = copies().runner(
        "copy",
        "
with: { file: ~ }
inputs: [{ paths: ['${with.file}'] }]
steps: [{ name: copy, run: 'echo some words; grep b \"$WITH_FILE\" > \"$OUT/copy\"' }]
",
    );
    sandbox.mikado("run --jobs 1").exits(1).prints(str![[r#"
  Running a (never run)
   Failed a
blocked: both lacks `a` and `b`
error: a: `copy` exited with 1
  | some words
  log: .mikado/logs/a.log
  shell: mikado shell a
  try again: mikado run a
3 cards: 1 failed, 2 not started in [TIME]

"#]]);
    sandbox
        .mikado("run --jobs 1 --keep-going")
        .exits(1)
        .says("Built b")
        .says("blocked: both lacks `a`");
    assert!(sandbox.read("cards/a.md").contains("status: active"));
    assert!(sandbox.read("cards/b.md").contains("status: complete"));
    sandbox.write("a.txt", "ab\n");
    assert_eq!(executed(&sandbox, ""), ["a", "both"]);
}

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
fn an_edited_artifact_is_noticed_and_repaired() {
    let sandbox = copies();
    executed(&sandbox, "");
    let artifact = sandbox.path(".mikado/artifacts/a/copy");
    let mut mode = artifact.metadata().expect("a file").permissions();
    std::os::unix::fs::PermissionsExt::set_mode(&mut mode, 0o644);
    std::fs::set_permissions(&artifact, mode).expect("a mode");
    std::fs::write(&artifact, "edited\n").expect("an edit");
    assert_eq!(executed(&sandbox, "both"), ["a"]);
    assert_eq!(sandbox.read(".mikado/artifacts/a/copy"), "a\n");
}

#[test]
fn an_input_that_moves_during_the_run_is_not_recorded() {
    // The step reaches the repository, since it is not isolated, and changes
    // its own input.
    let sandbox = Sandbox::new();
    let input = sandbox.path("a.txt").display().to_string();
    let sandbox = sandbox
        .runner("move", &format!("isolation: none\ninputs: [{{ paths: [a.txt] }}]\nsteps: ['cp a.txt \"$OUT\"; echo more >> {input}']"))
        .file("a.txt", "one\n")
        .card("moves", "status: active\nrunner: move");
    sandbox
        .mikado("run moves")
        .exits(0)
        .says("warning: moves is not recorded: an input changed while it ran");
    assert!(sandbox.read("cards/moves.md").contains("status: active"));
    assert_eq!(sandbox.read(".mikado/artifacts/moves/a.txt"), "one\n");
}

#[test]
fn complete_cards_of_a_fresh_clone_are_built_and_not_marked() {
    let sandbox = copies();
    for card in ["a", "b", "both"] {
        sandbox.edit(
            &format!("cards/{card}.md"),
            "status: active",
            "status: complete",
        );
    }
    sandbox
        .mikado("run both --jobs 1")
        .exits(0)
        .prints(str![[r#"
  Running a (never run)
    Built a in [TIME]
  Running b (never run)
    Built b in [TIME]
  Running both (never run)
    Built both in [TIME]
note: `a`, `b` and `both` were complete already, and built again
3 cards: 3 executed in [TIME]

"#]]);
}

#[test]
fn no_mark_leaves_the_cards_alone() {
    let sandbox = copies();
    sandbox
        .mikado("run a --no-mark")
        .exits(0)
        .says("a: passed; mark with: mikado complete a");
    assert!(sandbox.read("cards/a.md").contains("status: active"));
    let sandbox = copies().file("mikado.yaml", "mark: never\n");
    sandbox
        .mikado("run a")
        .exits(0)
        .says("a: passed; mark with: mikado complete a");
}

#[test]
fn without_an_open_card_a_run_keeps_what_was_built_up_to_date() {
    let sandbox = copies();
    executed(&sandbox, "");
    assert_eq!(executed(&sandbox, ""), Vec::<String>::new());
    sandbox.write("a.txt", "new\n");
    assert_eq!(executed(&sandbox, ""), ["a", "both"]);
    Sandbox::new()
        .card("hand", "status: complete")
        .mikado("run")
        .exits(2)
        .says("no card is open");
}

#[test]
fn only_wants_the_artifacts_in_the_store() {
    let sandbox = copies();
    sandbox
        .mikado("run both --only")
        .exits(5)
        .says("the artifact of `a` is not in the store");
    executed(&sandbox, "a b");
    assert_eq!(executed(&sandbox, "both --only"), ["both"]);
}

#[test]
fn force_executes_what_is_asked_for_again() {
    let sandbox = copies();
    executed(&sandbox, "");
    assert_eq!(executed(&sandbox, "both --force"), ["both"]);
}

#[test]
fn parameters_come_from_the_command_line() {
    let sandbox = copies();
    sandbox
        .mikado("run both --with a:file=b.txt")
        .exits(0)
        .says("Built both");
    assert_eq!(sandbox.read(".mikado/artifacts/both/copy"), "b\nb\n");
    sandbox
        .mikado("run both --with fiel=b.txt")
        .exits(2)
        .warns(str![[r#"
error: no runner of this run has a parameter `fiel`
help: did you mean `file`?

"#]]);
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
fn a_platform_that_this_is_not_is_a_wait() {
    let sandbox = Sandbox::new()
        .runner(
            "far",
            "platform: [riscv64-linux]\ninputs: []\nsteps: [true]",
        )
        .card("far", "status: active\nrunner: far");
    sandbox
        .mikado("run far")
        .exits(5)
        .says("stuck: far: its runner works on `riscv64-linux`");
}

#[test]
fn timeouts_and_retries_are_obeyed() {
    let sandbox = Sandbox::new()
        .runner("slow", "inputs: []\nsteps: ['sleep 1000']\ntimeout: 500ms")
        .runner("again", "isolation: none\nretries: {attempts: 2, exit-codes: [7]}\nsteps: []\ninputs: []\nverify: []")
        .card("slow", "status: active\nrunner: slow");
    sandbox
        .mikado("run slow")
        .exits(1)
        .says("took longer than 500 ms");
    let counter = sandbox.path("counter").display().to_string();
    let sandbox = sandbox
        .runner("again", &format!("isolation: none\nretries: {{attempts: 2, exit-codes: [7]}}\ninputs: []\nsteps: ['echo x >> {counter}; test $(wc -l < {counter}) = 3 || exit 7']"))
        .card("again", "status: active\nrunner: again");
    sandbox
        .mikado("run again")
        .exits(0)
        .says("attempt 3 of 3")
        .says("Built again");
}

#[test]
fn unknown_and_ambiguous_cards_are_usage_errors() {
    let sandbox = copies();
    sandbox.mikado("run nope").exits(2).warns(str![[r#"
error: no card is called `nope`
help: the cards are `a`, `b` and `both`

"#]]);
    sandbox.mikado("run bot").exits(5 - 5);
    sandbox
        .mikado("run botj")
        .exits(2)
        .says("did you mean `both`?");
    let sandbox = sandbox.card("bother", "status: active");
    sandbox
        .mikado("run bot")
        .exits(2)
        .says("`bot` may be `both` and `bother`");
}

#[test]
fn faults_of_the_graph_refuse_the_run() {
    let sandbox = Sandbox::new()
        .card("a", "status: active\nrequires:\n  - b")
        .card("b", "status: active\nrequires: [c]")
        .card("c", "status: active\nrequires: [a]")
        .card("lost", "status: active\nrequires: [loost]");
    sandbox.mikado("run a").exits(3).warns(str![[r#"
error: 3 cards require each other in a circle: `a`, `b` and `c`
 --> cards/a.md:4:5
  |
4 |   - b
  |     ^ `a` requires `b`
 ::> cards/b.md:3:12
3 | requires: [c]
  |            ^ `b` requires `c`
 ::> cards/c.md:3:12
3 | requires: [a]
  |            ^ `c` requires `a` again
  = help: take one of these edges away; a cycle often means that a card is too big: split it
  = code: cycle

error: 1 finding in the way

"#]]);
    sandbox
        .mikado("run lost")
        .exits(3)
        .says("`lost` requires `loost`, which names no card")
        .says("did you mean `lost`?");
}

#[test]
fn an_unknown_key_of_a_runner_is_named_with_its_line() {
    let sandbox = copies();
    sandbox.edit("runners/copy.yaml", "inputs:", "input:");
    sandbox
        .mikado("run a")
        .exits(3)
        .says("runners/copy.yaml:3")
        .says("unknown key `input`");
}

#[test]
fn plan_executes_nothing() {
    let sandbox = copies();
    sandbox.mikado("plan both").exits(0).prints(str![[r#"
      run a (never run)
      run b (never run)
      run both (after a, after b)

"#]]);
    assert!(!sandbox.path(".mikado/artifacts/a").exists());
    executed(&sandbox, "");
    sandbox.write("a.txt", "x");
    sandbox.mikado("plan both").exits(0).prints(str![[r#"
      run a (a.txt changed)
    fresh b
      run both (after a)

"#]]);
}

#[test]
fn an_artifact_is_exported_as_plain_files() {
    let sandbox = copies();
    executed(&sandbox, "");
    sandbox
        .mikado("artifact export both -o out/here")
        .exits(0)
        .says("both: ");
    assert_eq!(sandbox.read("out/here/copy"), "a\nb\n");
    // Where something lies already, it is the command that is wrong.
    sandbox
        .mikado("artifact export both -o out/here")
        .exits(2)
        .says("add `--force` to replace what is there");
    sandbox.write("out/here/copy", "writable");
    sandbox
        .mikado("artifact path both")
        .exits(0)
        .says("/.mikado/trees/");
    sandbox.mikado("artifact path nothing").exits(2);
}

#[test]
fn a_card_whose_prose_is_edited_while_it_runs_is_marked_with_the_edit() {
    let sandbox = Sandbox::new();
    let card = sandbox.path("cards/edited.md").display().to_string();
    let other = sandbox.path("cards/other.md").display().to_string();
    let sandbox = sandbox
        .runner("prose", &format!("isolation: none\ninputs: []\nsteps: ['echo More. >> {card}']"))
        .runner("work", &format!("isolation: none\ninputs: []\nsteps: ['sed -i \"s/runner: work/runner: prose/\" {other}']"))
        .card("edited", "status: active\nrunner: prose")
        .card("other", "status: active\nrunner: work");
    sandbox
        .mikado("run edited")
        .exits(0)
        .says("1 marked complete");
    assert!(sandbox.read("cards/edited.md").contains("status: complete"));
    assert!(sandbox.read("cards/edited.md").ends_with("More.\n"));
    sandbox
        .mikado("run other")
        .exits(0)
        .says("`other` is not marked: its runner, parameters or prerequisites were changed");
    assert!(sandbox.read("cards/other.md").contains("status: active"));
}

#[test]
fn two_runs_at_once_execute_each_action_once() {
    let sandbox = Sandbox::new();
    let counter = sandbox.path("counter").display().to_string();
    let mut sandbox = sandbox.runner(
        "count",
        &format!("isolation: none\nwith: {{ n: ~ }}\ninputs: []\nsteps: ['echo x >> {counter}; echo $WITH_N > \"$OUT/n\"']"),
    );
    for n in 0..20 {
        sandbox = sandbox.card(
            &format!("c{n}"),
            &format!("status: active\nrunner: count\nwith: {{ n: {n} }}"),
        );
    }
    std::thread::scope(|scope| {
        let runs: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| sandbox.mikado("run --all").code()))
            .collect();
        for run in runs {
            assert_eq!(run.join().expect("a run"), 0);
        }
    });
    assert_eq!(sandbox.read("counter").lines().count(), 20);
    for n in 0..20 {
        assert!(
            sandbox
                .read(&format!("cards/c{n}.md"))
                .contains("status: complete")
        );
    }
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

#[test]
fn linked_work_trees_share_the_store_and_keep_links_of_their_own() {
    let sandbox = copies().file(".gitignore", "/.mikado\n").committed();
    executed(&sandbox, "both");
    sandbox.git("worktree add -q ../other");
    let other = sandbox
        .path("../other")
        .canonicalize()
        .expect("a work tree");
    let at = other.display();
    sandbox
        .mikado(&format!("-C {at} run both"))
        .exits(0)
        .says("Restored both");
    assert!(other.join(".mikado/artifacts/both/copy").is_file());
    assert!(!other.join(".mikado/trees").exists());
    assert!(
        std::fs::read_to_string(other.join("cards/both.md"))
            .expect("a card")
            .contains("status: complete")
    );
}

#[test]
fn a_closed_pipe_ends_quietly() {
    let sandbox = copies();
    let mut command = sandbox.command("bash");
    command.args([
        "-c",
        "set -o pipefail; \"$0\" list --all --format json | true",
        crate::support::sandbox::MIKADO,
    ]);
    sandbox.run(command, "list | true").exits(0).warns("");
}

#[test]
fn a_denial_is_explained_with_the_line_to_add() {
    let sandbox = Sandbox::new();
    let secret = sandbox.path("docs/secret.md").display().to_string();
    let ssh = sandbox.home().join(".ssh/id").display().to_string();
    std::fs::create_dir_all(sandbox.home().join(".ssh")).expect("a folder");
    std::fs::write(&ssh, "key").expect("a file");
    let sandbox = sandbox
        .file("docs/secret.md", "text\n")
        .runner("read", &format!("inputs: []\nsteps: ['cat {secret}']"))
        .runner("home", &format!("inputs: []\nsteps: ['cat {ssh}']"))
        .runner(
            "connect",
            "inputs: []\nsteps: ['exec 3<>/dev/tcp/127.0.0.1/9']",
        )
        .runner(
            "system",
            "inputs: []\nsteps: ['head -c1 /etc/passwd > \"$OUT/x\"']",
        )
        .card("read", "status: active\nrunner: read")
        .card("home", "status: active\nrunner: home")
        .card("connect", "status: active\nrunner: connect")
        .card("system", "status: active\nrunner: system");
    sandbox
        .mikado("run read")
        .exits(1)
        .says("add `- { paths: [docs/secret.md] }` to `inputs`");
    sandbox
        .mikado("run home")
        .exits(1)
        .says("is in your home folder, which steps do not see");
    sandbox
        .mikado("run connect")
        .exits(1)
        .says("steps and checks have no network");
    sandbox.mikado("run system").exits(0);
}

#[test]
fn checks_and_force_say_why_and_a_failure_says_how_to_try_again() {
    let check = |words: &str| format!("{COPY}verify: [{{name: holds, run: '{words}'}}]\n");
    let sandbox = copies().runner("copy", &check("true"));
    assert_eq!(executed(&sandbox, "both"), ["a", "b", "both"]);
    sandbox
        .mikado("run a --force")
        .exits(0)
        .says("  Running a (forced)\n");
    // The artifact is there, and only the check has to pass.
    sandbox.write("runners/copy.yaml", &check("false"));
    sandbox
        .mikado("plan both")
        .exits(0)
        .says("    check a (check `holds` has not passed yet)\n")
        .says("    fresh both\n");
    sandbox
        .mikado("run both --with 'file=a.txt' --keep-going")
        .exits(1)
        .says("  Running a (check `holds` has not passed yet)\n")
        .says("error: a: check `holds` exited with 1\n")
        .says("  try again: mikado run both --with file=a.txt\n");
    sandbox
        .mikado("run a")
        .exits(1)
        .says("  try again: mikado run a\n");
}

#[test]
fn the_store_may_be_elsewhere_for_one_run_and_at_home_for_the_next() {
    let sandbox = copies();
    let elsewhere = sandbox.home().join("store");
    let run = format!("both --store {}", elsewhere.display());
    assert_eq!(executed(&sandbox, &run), ["a", "b", "both"]);
    assert_eq!(executed(&sandbox, "both"), ["a", "b", "both"]);
    assert_eq!(executed(&sandbox, &run), Vec::<String>::new());
    assert_eq!(executed(&sandbox, "both"), Vec::<String>::new());
}

#[test]
fn a_card_that_requires_a_stem_of_several_files_is_not_run() {
    let sandbox = Sandbox::new()
        .card("twice", "status: complete")
        .file("cards/old/twice.md", "---\nstatus: active\n---\n")
        .card_with(
            "top",
            "status: active\nrequires: [twice]",
            "```sh run\ntouch ran\n```\n",
        );
    for words in ["run top", "run --all", "run", "plan top"] {
        sandbox
            .mikado(words)
            .exits(3)
            .says("2 files have the stem `twice`: `cards/old/twice.md` and `cards/twice.md`");
    }
    assert!(!sandbox.path("ran").exists());
    assert!(sandbox.read("cards/top.md").contains("status: active"));
}
