//! Other trees in the place of the source that the cards name.

use super::{ALL, BACKEND, GOAL, NOTHING, SERVER};
use super::{append, begun, executed, is_open, warm};
use crate::support::sandbox::Sandbox;

/// A repository beside a copy of the source, and where the copy is.
fn with_a_copy() -> (Sandbox, String) {
    let sandbox = warm();
    sandbox.copy_from_checkout(super::FIXTURE, "../elsewhere");
    let copy = sandbox.path("../elsewhere").canonicalize();
    let copy = copy.expect("the copy").display().to_string();
    (sandbox, copy)
}

#[test]
fn a_folder_can_stand_for_the_source() {
    let (sandbox, copy) = with_a_copy();
    // The same files are the same inputs, wherever they lie.
    let arguments = format!("{GOAL} --source authentik={copy}");
    assert_eq!(executed(&sandbox, &arguments), NOTHING);
    append(&sandbox, "../elsewhere/lifecycle/ak", "# of a copy");
    assert_eq!(executed(&sandbox, &arguments), [BACKEND, GOAL]);
    // Without it the cards are built from what they name.
    assert_eq!(executed(&sandbox, GOAL), NOTHING);
}

#[test]
fn a_variable_can_name_the_source() {
    let (sandbox, copy) = with_a_copy();
    append(&sandbox, "../elsewhere/lifecycle/ak", "# of another copy");
    let sandbox = sandbox.env("MIKADO_SOURCE_AUTHENTIK", &copy);
    assert_eq!(executed(&sandbox, BACKEND), [BACKEND]);
}

#[test]
fn a_tag_of_a_git_repository_can_stand_for_the_source() {
    let (sandbox, copy) = with_a_copy();
    sandbox.git("init -q ../elsewhere");
    sandbox.git("-C ../elsewhere add -Af");
    sandbox.git("-C ../elsewhere commit -qm tree");
    sandbox.git("-C ../elsewhere tag version/1");
    append(&sandbox, "../elsewhere/lifecycle/ak", "# of version 2");
    sandbox.git("-C ../elsewhere commit -qam more");
    sandbox.git("-C ../elsewhere tag version/2");
    // What is in the folder and not committed is nobody's input.
    append(&sandbox, "../elsewhere/lifecycle/ak", "# not committed");
    let source = |tag: &str| format!("--source authentik=git+file://{copy}?ref={tag}");
    assert_eq!(
        executed(&sandbox, &format!("{SERVER} {}", source("version/1"))),
        NOTHING
    );
    let commit = sandbox.git("-C ../elsewhere rev-parse version/2");
    sandbox
        .mikado(&format!("run {GOAL} {}", source("version/2")))
        .exits(0)
        .says(&format!("Running {BACKEND} (lifecycle/ak changed)"))
        .says(&format!(
            "source authentik: git file://{copy} version/2 ({})",
            &commit[..12]
        ));
    assert!(ALL.iter().all(|stem| !is_open(&sandbox, stem)));
    let kept = sandbox.read(&format!(".mikado/artifacts/{BACKEND}/lifecycle/ak"));
    assert!(kept.ends_with("# of version 2\n"), "{kept}");
}

#[test]
fn a_tag_that_is_not_there_is_named() {
    let (sandbox, copy) = with_a_copy();
    sandbox.git("init -q ../elsewhere");
    sandbox.git("-C ../elsewhere commit -qm nothing --allow-empty");
    let ran = sandbox.mikado(&format!(
        "run {SERVER} --format json --source authentik=git+file://{copy}?ref=version/9"
    ));
    assert_ne!(ran.code(), 0);
    assert_eq!(begun(&ran), NOTHING);
    drop(ran.says("version/9").says("source `authentik`"));
}
