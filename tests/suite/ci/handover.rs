//! Artifacts as files, from one store to another.

use std::fs;
use std::io::{Read, Write};

use crate::support::sandbox::Sandbox;

/// A build with everything that an artifact may hold, and one that uses it.
fn project() -> Sandbox {
    let make = "mkdir -p $OUT/bin $OUT/empty; cat one.txt > $OUT/bin/x; chmod +x $OUT/bin/x; ln -s bin/x $OUT/link; ln -s /nowhere $OUT/gone; touch \"$OUT/.dot\" \"$OUT/a b 😀\"";
    Sandbox::new()
        .file("one.txt", "one")
        .card(
            "base",
            &format!("status: active\nrunner:\n  inputs: [{{paths: [one.txt]}}]\n  steps:\n    - run: '{make}'"),
        )
        .card(
            "top",
            "status: active\nrequires: [base]\nrunner: {inputs: [], steps: [{run: 'cat $REQUIRES/base/link > $OUT/top'}]}",
        )
        .committed()
}

fn artifact(sandbox: &Sandbox, stem: &str) -> String {
    sandbox
        .mikado(&format!("artifact path {stem}"))
        .exits(0)
        .stdout()
        .replace("[ROOT]", "")
}

#[test]
fn artifact_of_another_store_is_taken_in_whole() {
    let (here, there) = (project(), project());
    here.mikado("run base --only --no-mark").exits(0);
    let file = there.path("in/base.tar.zst");
    let export = format!("artifact export base -o {}", file.display());
    here.mikado(&export).exits(0);
    let bytes = fs::read(&file).expect("a file");
    here.mikado(&export).exits(0);
    assert!(
        fs::read(&file).expect("a file") == bytes,
        "the same record, other bytes"
    );

    there
        .mikado("run top --only --no-mark")
        .exits(5)
        .says("is not in the store");
    there
        .mikado("artifact import in/base.tar.zst")
        .exits(0)
        .says("base: ");
    assert_eq!(artifact(&here, "base"), artifact(&there, "base"));
    there.mikado("run top --only --no-mark").exits(0);
    // The record counts: nothing is built again.
    let plan = there.mikado("plan").exits(0);
    assert_eq!(plan.stdout(), "    fresh base\n    fresh top\n");
    there.write("one.txt", "two");
    there
        .mikado("plan base")
        .exits(0)
        .says("run base (one.txt changed)");
}

#[test]
fn file_with_one_other_byte_is_refused() {
    let (here, there) = (project(), project());
    here.mikado("run base --only --no-mark").exits(0);
    let file = there.path("base.tar.zst");
    here.mikado(&format!("artifact export base -o {}", file.display()))
        .exits(0);
    let compressed = fs::read(&file).expect("a file");
    let mut plain = Vec::new();
    let decoder = zstd::Decoder::new(compressed.as_slice()).expect("zstd");
    { decoder }.read_to_end(&mut plain).expect("zstd");
    let mut refused = 0;
    // Each block of the tar has one byte changed: whatever it is, nothing wrong
    // comes in.
    for at in (0..plain.len()).step_by(512) {
        if plain[at..(at + 512).min(plain.len())]
            .iter()
            .all(|byte| *byte == 0)
        {
            continue;
        }
        let mut damaged = plain.clone();
        damaged[at] ^= 1;
        let mut encoder = zstd::Encoder::new(Vec::new(), 1).expect("zstd");
        encoder.write_all(&damaged).expect("zstd");
        fs::write(&file, encoder.finish().expect("zstd")).expect("a file");
        let ran = there.mikado("artifact import base.tar.zst");
        assert!(
            ran.code() == 4 || ran.code() == 2,
            "byte {at}: {}",
            ran.all()
        );
        there.mikado("artifact path base").exits(2);
        refused += 1;
    }
    assert!(refused > 12, "{refused}");
    fs::write(&file, &compressed[..compressed.len() / 2]).expect("a file");
    there.mikado("artifact import base.tar.zst").exits(4);
    fs::write(&file, &compressed).expect("a file");
    there.mikado("artifact import base.tar.zst").exits(0);
}

#[test]
fn artifact_of_a_card_that_is_not_here_is_refused() {
    let (here, there) = (project(), Sandbox::new().card("other", "status: active"));
    here.mikado("run base --only --no-mark").exits(0);
    let file = there.path("base.tar.zst");
    here.mikado(&format!("artifact export base -o {}", file.display()))
        .exits(0);
    there
        .mikado("artifact import base.tar.zst")
        .exits(2)
        .says("there is no such card");
}

#[test]
fn card_alone_finds_what_it_uses_in_a_store_that_another_tree_filled() {
    let store = tempfile::tempdir().expect("a folder");
    let (here, there) = (project().store(store.path()), project().store(store.path()));
    here.mikado("run base --only --no-mark").exits(0);
    there.mikado("run top --only --no-mark").exits(0);
    // What is there for other inputs is not taken for these.
    let other = project().store(store.path());
    other.write("one.txt", "other");
    other.mikado("run top --only --no-mark").exits(5);
}
