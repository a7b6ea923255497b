//! `plan` and its like: what they say without executing anything.

use std::os::unix::fs::PermissionsExt;

use crate::support::sandbox::Sandbox;

/// A card whose tool leaves a trace of each time that it is asked.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new()
        .runner(
            "use",
            "tools: { oracle: { version: '>=1', command: 'oracle --version; echo >> asked' } }\ninputs: []\nsteps: ['touch \"$OUT/x\"']",
        )
        .card("a", "status: active\nrunner: use")
        .card("b", "status: active\nrunner: use\nrequires: [a]")
        .file("bin/oracle", "#!/bin/sh\necho 1.2\n");
    let oracle = sandbox.path("bin/oracle");
    std::fs::set_permissions(&oracle, PermissionsExt::from_mode(0o755)).expect("a mode");
    let path = format!("{}:/usr/bin:/bin", sandbox.path("bin").display());
    sandbox.env("PATH", path)
}

#[test]
fn plan_show_and_why_ask_no_tool() {
    let sandbox = sandbox();
    let asked = || match std::fs::read_to_string(sandbox.path("asked")) {
        Ok(text) => text.lines().count(),
        Err(_) => 0,
    };
    let unknown = "tool `oracle` of runner `use`: it was not asked for its version yet";
    for command in [
        "plan",
        "plan --tools path",
        "show a",
        "why a",
        "list",
        "check",
    ] {
        let ran = sandbox.mikado(command).exits(0);
        if !["list", "check"].contains(&command) {
            drop(ran.says(unknown));
        }
    }
    sandbox.mikado("plan b").exits(0).prints(format!(
        "      run a (not known before a run, {unknown})\n      run b (after a)\n"
    ));
    assert_eq!(asked(), 0);
    sandbox.mikado("run").exits(0);
    let once = asked();
    assert!(once > 0);
    // What it said last counts, although a script may say something else each time.
    sandbox
        .mikado("plan b")
        .exits(0)
        .prints("    fresh a\n    fresh b\n");
    sandbox.mikado("why a").exits(0).says("fresh");
    assert_eq!(asked(), once);
    sandbox.write("bin/oracle", "#!/bin/sh\necho 2.0 now\n");
    sandbox.mikado("plan a").exits(0).says(unknown);
    assert_eq!(asked(), once);
}
