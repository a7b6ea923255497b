//! What comes back of what is executed elsewhere (`--download`): names are enough
//! until something here needs the files, which are brought then, or made again.

use std::path::PathBuf;

use serde_json::Value;

use super::super::servers::{self, Server};
use super::super::{executed, notes};
use super::breaks::empty_again;
use super::{artifact, executor_counts, with_executor};
use crate::support::events::cards_of;
use crate::support::sandbox::{Ran, Sandbox};

/// A chain of which all but the goal is large.
fn chain() -> Sandbox {
    let copies = |from: &str| {
        format!(
            "inputs: []\nsteps: [{{run: 'mkdir \"$OUT/in\"; cp \"$REQUIRES/{from}/in/numbers\" \"$OUT/in\"; echo more >> \"$OUT/in/numbers\"; ln -s in/numbers \"$OUT/link\"'}}]"
        )
    };
    let small = "inputs: []\nsteps: [{run: 'tail -n 3 \"$REQUIRES/b/link\" > \"$OUT/tail\"'}]";
    Sandbox::new()
        .file("first", "first\n")
        .runner(
            "a",
            "inputs: [{paths: [first]}]\nsteps: [{run: 'mkdir \"$OUT/in\"; { cat first; seq 300000; } > \"$OUT/in/numbers\"'}]",
        )
        .runner("b", &copies("a"))
        .runner("goal", small)
        .runner(
            "here",
            "remote: false\ninputs: []\nsteps: [{run: 'wc -l < \"$REQUIRES/a/in/numbers\" > \"$OUT/lines\"'}]",
        )
        .card("a", "status: active\nrunner: a")
        .card("b", "status: active\nrequires: [a]\nrunner: b")
        .card("goal", "status: active\nrequires: [b]\nrunner: goal")
        .card("here", "status: active\nrequires: [a]\nrunner: here")
}

/// A machine that has the chain executed, and takes so much of it.
fn machine(server: &Server, download: &str) -> Sandbox {
    let settings = format!("executor: {{download: {download}}}\n");
    let sandbox = chain().file("mikado.yaml", &settings);
    with_executor(sandbox, &server.url())
}

/// Runs a card, which must pass.
fn run(sandbox: &Sandbox, words: &str) -> Ran {
    let words = format!("run {words} --no-mark --format json");
    sandbox.mikado(&words).exits(0)
}

/// The artifacts that a run tells of, by card.
fn told(ran: &Ran) -> Vec<(String, String)> {
    let events = ran.json_lines();
    let ended = events.iter().filter(|e| e["event"] == "cardFinished");
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let mut told: Vec<_> = ended
        .map(|event| (text(&event["card"]), text(&event["artifact"])))
        .collect();
    told.sort();
    told
}

/// The link to the artifact of a card, if it has one that leads somewhere.
fn link(sandbox: &Sandbox, card: &str) -> Option<PathBuf> {
    let link = sandbox.path(&format!(".mikado/artifacts/{card}"));
    let text = link.read_link().ok()?;
    assert!(link.is_dir(), "{} leads nowhere: {text:?}", link.display());
    Some(link)
}

/// How many bytes came.
fn down(ran: &Ran) -> u64 {
    let counts = executor_counts(ran);
    counts["bytesDown"].as_u64().expect("a number")
}

/// Asserts that the store is whole, also after what nobody needs was taken away.
fn is_whole(sandbox: &Sandbox) {
    drop(sandbox.mikado("store verify").exits(0));
    drop(sandbox.mikado("store gc").exits(0));
    drop(sandbox.mikado("store verify").exits(0));
}

#[test]
fn only_what_was_asked_for_comes_back() {
    let server = servers::executing_casd(&[]);
    let here = chain();
    let names = told(&run(&here, "goal"));
    let all = machine(&server, "all");
    let whole = run(&all, "goal");
    assert_eq!(told(&whole), names);
    for (download, has_goal) in [("goal", true), ("none", false)] {
        let server = servers::executing_casd(&[]);
        let sandbox = machine(&server, download);
        let ran = run(&sandbox, "goal");
        assert_eq!((executed(&ran), told(&ran)), (3, names.clone()));
        assert!(
            down(&ran) * 100 < down(&whole),
            "{download}: {}",
            down(&ran)
        );
        let links = ["a", "b", "goal"].map(|card| link(&sandbox, card).is_some());
        assert_eq!(links, [false, false, has_goal], "{download}");
        drop(sandbox.mikado("store verify").exits(0));
        // Names are as good as files for what is to be done.
        let again = run(&sandbox, "goal");
        assert_eq!((executed(&again), told(&again)), (0, names.clone()));
        assert!(executor_counts(&again).is_null(), "{}", again.all());
        drop(
            sandbox
                .mikado("plan goal")
                .exits(0)
                .says("goal")
                .says_nothing_of(" run "),
        );
        // A change goes through all of it, and brings no more.
        for changed in [&sandbox, &here] {
            changed.write("first", &format!("{download}\n"));
        }
        let ran = run(&sandbox, "goal");
        let counts = executor_counts(&ran);
        assert_eq!(told(&ran), told(&run(&here, "goal")));
        assert!(counts["bytesUp"].as_u64() < Some(10_000), "{counts}");
        assert!(down(&ran) * 100 < down(&whole), "{download}: {counts}");
        here.write("first", "first\n");
    }
}

#[test]
fn what_is_needed_later_is_brought_then() {
    let server = servers::executing_casd(&[]);
    let here = chain();
    drop(run(&here, "goal here"));
    let sandbox = machine(&server, "none");
    drop(run(&sandbox, "goal"));
    // A card that stays here reads it.
    let ran = run(&sandbox, "here");
    assert_eq!(
        cards_of(&ran.json_lines(), |e| e["how"] == "built").collect::<Vec<_>>(),
        ["here"]
    );
    assert_eq!(artifact(&sandbox, "here"), artifact(&here, "here"));
    assert!(link(&sandbox, "b").is_none());
    // Somebody wants to see it.
    let path = sandbox.mikado("artifact path goal").exits(0).stdout();
    let path = path
        .trim()
        .replace("[ROOT]", &sandbox.root().display().to_string());
    let tail = std::fs::read_to_string(PathBuf::from(path).join("tail")).expect("its file");
    assert_eq!(tail, here.read(".mikado/artifacts/goal/tail"));
    drop(sandbox.mikado("artifact export b -o exported").exits(0));
    let (theirs, ours) = ("exported/in/numbers", ".mikado/artifacts/b/in/numbers");
    assert_eq!(sandbox.read(theirs), here.read(ours));
    // A later run asks for all of it: the same words, and other settings.
    let other = machine(&server, "none");
    for _ in 0..2 {
        drop(other.mikado("run goal --no-mark").exits(0));
    }
    other.edit("mikado.yaml", "none", "all");
    drop(other.mikado("run goal --no-mark").exits(0));
    for card in ["a", "b", "goal"] {
        assert!(link(&other, card).is_some(), "{card}");
        assert_eq!(artifact(&other, card), artifact(&here, card));
    }
    is_whole(&other);
}

#[test]
fn what_the_server_dropped_is_made_again() {
    let here = chain();
    drop(run(&here, "goal here"));
    // For a card that stays here.
    let mut server = servers::executing_casd(&[]);
    let sandbox = machine(&server, "none");
    drop(run(&sandbox, "goal"));
    let mut server = empty_again(&mut server, &[]);
    let ran = run(&sandbox, "here");
    assert_eq!(executor_counts(&ran)["executed"], 1, "{}", ran.all());
    assert!(
        notes(&ran)[0].contains("`a` is executed again"),
        "{:?}",
        notes(&ran)
    );
    assert_eq!(artifact(&sandbox, "here"), artifact(&here, "here"));

    // For one that does not, two cards above: its inputs are made again, too.
    let sandbox = machine(&server, "none");
    drop(run(&sandbox, "goal"));
    let mut server = empty_again(&mut server, &[]);
    for changed in [&sandbox, &here] {
        changed.edit("runners/goal.yaml", "-n 3", "-n 4");
    }
    let ran = run(&sandbox, "goal");
    assert_eq!(told(&ran), told(&run(&here, "goal")));
    assert_eq!(executor_counts(&ran)["executed"], 3, "{}", ran.all());

    // And where nobody executes it any more, here.
    server.kill();
    for changed in [&sandbox, &here] {
        changed.edit("runners/goal.yaml", "-n 4", "-n 5");
    }
    let ran = run(&sandbox, "goal --local-fallback");
    assert_eq!(told(&ran), told(&run(&here, "goal")));
    assert!(link(&sandbox, "goal").is_some());
    is_whole(&sandbox);
}

#[test]
fn artifact_that_is_checked_here_comes_back_for_it() {
    let server = servers::executing_casd(&[]);
    let sandbox = machine(&server, "none");
    let checked = format!(
        "{}\nverify: [{{run: 'grep -q more \"$ARTIFACT/link\" && test -d \"$REQUIRES/a/in\"'}}]\n",
        sandbox.read("runners/b.yaml")
    );
    sandbox.write("runners/b.yaml", &checked);
    // It marks, since what is verified later must be complete.
    let ran = sandbox.mikado("run goal --format json").exits(0);
    assert_eq!(
        (executed(&ran), executor_counts(&ran)["executed"].as_u64()),
        (3, Some(3))
    );
    assert!(link(&sandbox, "b").is_some());
    assert!(link(&sandbox, "goal").is_none());
    // It holds of what was brought.
    drop(sandbox.mikado("verify b").exits(0));
    is_whole(&sandbox);
}
