//! Faults of cards and runners: the run is refused, with their places, and
//! after the repair it goes on.

use snapbox::str;

use super::{CLIENT, GOAL, NOTHING, SERVER};
use super::{executed, is_open, warm};
use crate::support::sandbox::{Ran, Sandbox};

/// Breaks something, runs the whole chain, which must be refused with this code,
/// repairs it and runs again.
fn refuses(code: i32, break_it: impl FnOnce(&Sandbox)) -> Ran {
    let sandbox = warm();
    break_it(&sandbox);
    let broken = sandbox.git("diff");
    let ran = sandbox.mikado(&format!("run {GOAL}")).exits(code);
    if code == 3 {
        assert_eq!(sandbox.git("diff"), broken, "nothing is marked");
    }
    assert!(is_open(&sandbox, SERVER) && is_open(&sandbox, GOAL));
    sandbox.git("checkout -q .");
    assert_eq!(executed(&sandbox, GOAL), NOTHING);
    ran
}

#[test]
fn prerequisite_that_names_no_card() {
    let ran = refuses(3, |sandbox| {
        let right = "  - authentik-python-backend-derivation";
        let wrong = "  - authentik-python-backend-derivatoin";
        sandbox.edit(&format!("cards/{SERVER}.md"), right, wrong);
    });
    drop(ran.warns(str![[r#"
error: `authentik-go-server-derivation` requires `authentik-python-backend-derivatoin`, which names no card
 --> cards/authentik-go-server-derivation.md:7:5
  |
7 |   - authentik-python-backend-derivatoin
  |     ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ no card has this stem
  = help: did you mean `authentik-python-backend-derivation`?
  = code: unknown-prerequisite

error: 1 finding in the way

"#]]));
}

#[test]
fn cycle_with_every_edge() {
    let ran = refuses(3, |sandbox| {
        let card = format!("cards/{CLIENT}.md");
        sandbox.edit(&card, "requires: []", &format!("requires: [{GOAL}]"));
    });
    drop(ran.warns(str![[r#"
error: 3 cards require each other in a circle: `authentik-api-client-generation`, `build-authentik-from-source` and `authentik-go-server-derivation`
  --> cards/authentik-api-client-generation.md:5:12
   |
 5 | requires: [build-authentik-from-source]
   |            ^^^^^^^^^^^^^^^^^^^^^^^^^^^ `authentik-api-client-generation` requires `build-authentik-from-source`
  ::> cards/build-authentik-from-source.md:7:5
 7 |   - authentik-go-server-derivation
   |     ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ `build-authentik-from-source` requires `authentik-go-server-derivation`
  ::> cards/build-authentik-from-source.md:21:11
21 |   server: authentik-go-server-derivation
   |           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ `build-authentik-from-source` uses `authentik-go-server-derivation`
  ::> cards/authentik-go-server-derivation.md:6:5
 6 |   - authentik-api-client-generation
   |     ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ `authentik-go-server-derivation` requires `authentik-api-client-generation` again
  ::> cards/authentik-go-server-derivation.md:25:17
25 | uses: { client: authentik-api-client-generation }
   |                 ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ `authentik-go-server-derivation` uses `authentik-api-client-generation` again
   = help: take one of these edges away; a cycle often means that a card is too big: split it
   = code: cycle

error: 1 finding in the way

"#]]));
}

#[test]
fn runner_with_an_unknown_key() {
    let ran = refuses(3, |sandbox| {
        sandbox.edit(
            "runners/go-server.yaml",
            "    timeout: 20s",
            "    timeuot: 20s",
        );
    });
    drop(ran.warns(str![[r#"
error: verify[0]: unknown key `timeuot`
  --> runners/go-server.yaml:61:5
   |
61 |     timeuot: 20s
   |     ^^^^^^^
  ::> cards/authentik-go-server-derivation.md:9:9
 9 | runner: go-server
   |         ^^^^^^^^^ used here
   = help: did you mean `timeout`? `mikado schema runner` has every key and its type
   = code: runner-unknown-key

error: 1 finding in the way

"#]]));
}

#[test]
fn source_that_is_missing() {
    let ran = refuses(5, |sandbox| {
        let path = "path: tests/fixtures/client-go";
        sandbox.edit("runners/sources.yaml", path, "path: tests/fixtures/gone");
    });
    ran.says(&format!(
        "stuck: {CLIENT}: source `client-go`: the folder `[ROOT]/tests/fixtures/gone` is not there; \
         give another with `--source client-go=PATH`"
    ))
    .says(&format!("blocked: {SERVER} lacks `{CLIENT}`"))
    .says("1 up to date, 1 waiting, 3 not started, 1 marked complete in")
    .exits(5);
}

#[test]
fn source_that_nobody_names() {
    let ran = refuses(5, |sandbox| {
        sandbox.edit("runners/sources.yaml", "\nclient-go:", "\nclient:");
    });
    ran.says("client-go").says(CLIENT).exits(5);
}
