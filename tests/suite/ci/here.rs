//! This project's own pipeline.

use std::path::Path;

use crate::support::sandbox::{MIKADO, Sandbox};

#[test]
fn own_pipeline_is_what_the_own_cards_say() {
    let sandbox = Sandbox::new();
    let mut check = sandbox.command(MIKADO);
    check.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")));
    check.args(["ci", "github", "--install", "path=.", "--check"]);
    sandbox
        .run(check, "ci github --install path=. --check")
        .exits(0);
}
