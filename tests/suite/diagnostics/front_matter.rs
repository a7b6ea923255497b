//! Findings in one card: its front matter, its text, and whether it can be read.

use snapbox::str;

use super::check;
use crate::support::sandbox::Sandbox;

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
fn front_matter_that_is_no_yaml() {
    let sandbox = Sandbox::new()
        .card("a", "title: Café: the plan\nstatus: active")
        .card("b", "- status: active");
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
fn a_conflict_in_the_front_matter() {
    let sandbox = Sandbox::new().card(
        "a",
        "title: A\n<<<<<<< HEAD\nstatus: active\n=======\nstatus: complete\n>>>>>>> theirs",
    );
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
fn a_key_that_stands_twice() {
    let sandbox = Sandbox::new().card("a", "status: active\ntitle: A\nstatus: complete");
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
fn no_status() {
    let sandbox = Sandbox::new().card("a", "title: A\nrunner: human");
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
fn a_status_that_means_nothing() {
    let sandbox = Sandbox::new().card("a", "title: A\nstatus: \"in progress\" # soon");
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
    let sandbox = Sandbox::new().card(
        "a",
        "title: [A, B]\nstatus: active\nwith: x\ntags:\n  - { a: b }",
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
fn not_utf_8() {
    let sandbox = Sandbox::new().card("b", "status: active");
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
fn a_card_that_can_not_be_read() {
    let sandbox = Sandbox::new().card("b", "status: active");
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
