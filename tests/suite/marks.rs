//! `complete`, `reopen`, `new`, `require` and `unrequire`, of several cards.

use snapbox::str;

use crate::support::sandbox::Sandbox;

/// A wall that needs bricks and mortar, and mortar that needs water.
fn plan() -> Sandbox {
    Sandbox::new()
        .runner("fail", "steps: ['exit 3']")
        .card("wall", "status: active\nrequires: [bricks, mortar]")
        .card("bricks", "status: active")
        .card("mortar", "status: active\nrequires: [water]")
        .card("water", "status: active")
        .card("failing", "status: active\nrunner: fail")
        .card("faulty", "status: active\nrunner: nothing")
}

fn statuses(sandbox: &Sandbox) -> Vec<bool> {
    let is_open = |stem| {
        sandbox
            .read(&format!("cards/{stem}.md"))
            .contains("status: active")
    };
    ["wall", "bricks", "mortar", "water"].map(is_open).to_vec()
}

#[test]
fn several_cards_are_marked_together_or_not_at_all() {
    let sandbox = plan();
    // One of them is not done: none is marked.
    sandbox
        .mikado("complete bricks mortar")
        .exits(2)
        .says("`mortar` requires `water`, which is not complete");
    sandbox
        .mikado("complete bricks failing")
        .exits(2)
        .says("has never passed");
    sandbox
        .mikado("complete bricks nothing")
        .exits(2)
        .says("`nothing`");
    assert_eq!(statuses(&sandbox), [true; 4]);
    // What they require may be among them, in any order.
    sandbox
        .mikado("complete mortar water bricks water")
        .exits(0)
        .prints(str![[r#"
mortar is complete
water is complete
bricks is complete
now ready: `wall`

"#]]);
    assert_eq!(statuses(&sandbox), [true, false, false, false]);
    sandbox
        .mikado("complete water wall")
        .exits(0)
        .prints("water is complete already\nwall is complete\n");
    sandbox
        .mikado("reopen wall")
        .exits(0)
        .prints("wall is open\n");
    sandbox
        .mikado("reopen bricks mortar wall")
        .exits(0)
        .prints("bricks is open\nmortar is open\nwall is open already\nnow blocked: `wall`\n");
}

#[test]
fn runner_that_failed_or_can_not_be_read_is_no_proof() {
    let sandbox = plan();
    sandbox
        .mikado("complete faulty")
        .exits(2)
        .says("the runner of `faulty` has never passed in this work tree");
    sandbox.mikado("run failing").exits(1);
    sandbox
        .mikado("complete failing")
        .exits(2)
        .says("the runner of `failing` failed when it was run last");
    sandbox
        .mikado("complete failing --force")
        .exits(2)
        .says("--reason");
    sandbox
        .mikado("complete failing faulty --force --reason 'seen by eye'")
        .exits(0)
        .prints("failing is complete\nfaulty is complete\n");
    for card in ["failing", "faulty"] {
        sandbox.mikado(&format!("why {card}")).says("seen by eye");
    }
}

#[test]
fn several_prerequisites_are_written_in_one_go_and_no_cycle_among_them() {
    let sandbox = plan();
    sandbox
        .mikado("require bricks water mortar water")
        .exits(0)
        .prints("bricks requires water\nbricks requires mortar\nbricks requires water already\n");
    let before = sandbox.read("cards/mortar.md");
    // One of them would close a circle: none is written.
    sandbox
        .mikado("require mortar failing bricks")
        .exits(3)
        .says("require each other in a circle")
        .says("`bricks` requires `mortar`")
        .says("`mortar` requires `bricks`");
    assert_eq!(sandbox.read("cards/mortar.md"), before);
    let before = sandbox.read("cards/bricks.md");
    sandbox
        .mikado("unrequire bricks water wall")
        .exits(2)
        .says("does not require `wall`");
    assert_eq!(sandbox.read("cards/bricks.md"), before);
    sandbox
        .mikado("unrequire bricks mortar water")
        .exits(0)
        .prints("bricks no longer requires mortar\nbricks no longer requires water\n");
    sandbox.mikado("check").exits(3).says_nothing_of("bricks");
}

#[test]
fn new_card_and_its_parent_are_written_both_or_neither() {
    let sandbox = plan();
    // The parent's list can't be changed by itself: no card is written either.
    let odd = "---\nstatus: active\nother: &x [water]\nrequires: *x\n---\n";
    sandbox.write("cards/odd.md", odd);
    sandbox
        .mikado("new scaffold --for odd")
        .exits(2)
        .says("front matter in a form that is not changed");
    assert!(!sandbox.path("cards/scaffold.md").exists());
    assert_eq!(sandbox.read("cards/odd.md"), odd);
    sandbox.mikado("new other --for nobody").exits(2);
    assert!(!sandbox.path("cards/other.md").exists());
}

#[test]
fn what_requires_itself_is_not_marked() {
    let sandbox = Sandbox::new().card("knot", "status: active\nrequires: [knot]");
    sandbox
        .mikado("complete knot")
        .exits(2)
        .says("`knot` requires `knot`, which is not complete");
    sandbox
        .mikado("why knot")
        .exits(0)
        .says("knot is blocked by `knot`, which requires itself");
}

#[test]
fn a_status_keeps_its_quotes() {
    for (open, complete) in [("\"active\"", "\"complete\""), ("'active'", "'complete'")] {
        let sandbox = Sandbox::new().card("a", &format!("status: {open}   # why\ntitle: A"));
        let before = sandbox.read("cards/a.md");
        sandbox.mikado("complete a").exits(0);
        assert_eq!(
            sandbox.read("cards/a.md"),
            before.replace(open, complete),
            "{open}"
        );
        sandbox.mikado("reopen a").exits(0);
        assert_eq!(sandbox.read("cards/a.md"), before);
    }
}

#[test]
fn a_card_that_was_marked_by_hand_and_opened_again_is_not_called_marked() {
    let sandbox = plan();
    sandbox
        .mikado("complete wall --force --reason it-stands")
        .exits(0);
    sandbox
        .mikado("why wall")
        .exits(0)
        .says("it was marked by hand: it-stands");
    sandbox.mikado("reopen wall").exits(0);
    sandbox
        .mikado("why wall")
        .exits(0)
        .says_nothing_of("marked by hand");
}
