//! The same run in two folders; Nix as the judge of its own hashes.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};

use super::{ALL, GOAL, SERVER, artifacts, begun, cold, warm};
use crate::support::sandbox::Sandbox;

#[test]
fn two_folders_with_stores_of_their_own_give_the_same_artifacts() {
    drop(warm());
    // Everything from the registries again, in the store that a clone has of itself.
    let sandbox = Sandbox::of_checkout();
    let run = format!("run {GOAL} --format json --no-mark");
    let ran = sandbox.mikado(&run).exits(0);
    assert_eq!(begun(&ran), ALL);
    assert_eq!(artifacts(&ran), cold().artifacts);
    assert!(sandbox.path(".mikado/trees").is_dir());
    assert!(sandbox.git("status --porcelain").is_empty());
}

/// What Nix says of a folder.
fn nix_hash(folder: &Path) -> String {
    let run = || {
        Command::new("nix")
            .args([
                "--extra-experimental-features",
                "nix-command",
                "hash",
                "path",
            ])
            .arg(folder)
            .output()
    };
    let output = run().or_else(|_| {
        install_nix();
        run()
    });
    let output = output.expect("Nix is missing: install Debian's package nix-bin");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Installs Nix where that needs no question: as root, on Debian.
fn install_nix() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let apt = |arguments: &[&str]| {
            let mut apt = Command::new("apt-get");
            apt.args(arguments).env("DEBIAN_FRONTEND", "noninteractive");
            apt.stdout(Stdio::null()).stderr(Stdio::null());
            apt.status().is_ok_and(|status| status.success())
        };
        // The caller says what is missing, where this did not help.
        let _ = apt(&["install", "-y", "nix-bin"])
            || (apt(&["update"]) && apt(&["install", "-y", "nix-bin"]));
    });
}

#[test]
fn hashes_are_those_of_nix() {
    let dir = tempfile::tempdir().expect("a folder");
    let at = |name: &str| dir.path().join(name);
    std::fs::write(at("a b"), "text").expect("a file");
    std::fs::write(at("é"), [0, 255, 10]).expect("a file");
    std::fs::write(at("run"), "#!/bin/sh\n").expect("a file");
    std::fs::set_permissions(at("run"), PermissionsExt::from_mode(0o755)).expect("a mode");
    symlink("a b", at("link")).expect("a link");
    std::fs::create_dir(at("empty")).expect("a folder");
    let ours = mikado::store::nar_hash(dir.path()).expect("a hash");
    assert_eq!(ours.to_string(), nix_hash(dir.path()));
}

#[test]
fn vendor_hash_is_the_one_of_nix() {
    let sandbox = warm();
    // The vendored modules lie in the store as the fetch left them.
    let card = sandbox.read(&format!("cards/{SERVER}.md"));
    let wanted = card
        .split("vendor-hash: ")
        .nth(1)
        .expect("a hash")
        .lines()
        .next()
        .expect("a line");
    let trees = std::fs::read_dir(cold().store.join("trees")).expect("trees");
    let is_wanted = |tree: &std::path::PathBuf| {
        let hash = mikado::store::nar_hash(tree);
        tree.join("modules.txt").is_file() && hash.is_ok_and(|hash| hash.to_string() == wanted)
    };
    let vendored = trees
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .find(is_wanted)
        .expect("the vendored modules");
    assert!(vendored.join("goauthentik.io/api/v3").is_dir());
    assert_eq!(nix_hash(&vendored), wanted);
}
