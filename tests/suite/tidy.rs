//! Rules of the tree that no compiler holds.

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The files below a folder of the checkout.
fn files(folder: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut pending = vec![root().join(folder)];
    while let Some(path) = pending.pop() {
        if path.is_dir() {
            let entries = fs::read_dir(&path)
                .expect("a folder")
                .filter_map(Result::ok);
            pending.extend(entries.map(|entry| entry.path()));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

#[test]
fn runners_that_share_a_script_have_the_same_one() {
    let script = |runner: &str| {
        fs::read(root().join(format!("runners/{runner}/substitute.py"))).expect("a script")
    };
    assert_eq!(script("go-server"), script("python-backend"));
}

#[test]
fn pure_modules_touch_no_disk_and_no_process() {
    let pure = [
        "src/action",
        "src/chain",
        "src/ci",
        "src/columns.rs",
        "src/diagnostic.rs",
        "src/digest.rs",
        "src/event.rs",
        "src/graph",
        "src/plan.rs",
        "src/reapi.rs",
        "src/report/page",
        "src/schedule.rs",
        "src/simulation.rs",
        "src/standing.rs",
        "src/words.rs",
        "src/xml.rs",
    ];
    for path in pure.iter().flat_map(|folder| files(folder)) {
        let text = fs::read_to_string(&path).expect("a file");
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        for banned in [
            "std::fs",
            "std::process",
            "std::time::SystemTime",
            "std::env::var",
            ".exists()",
            "println!",
        ] {
            assert!(!code.contains(banned), "{} has {banned}", path.display());
        }
    }
}

#[test]
fn modules_say_what_they_are_for() {
    for path in files("src") {
        if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).expect("a file");
            assert!(text.starts_with("//! "), "{}", path.display());
        }
    }
}

#[test]
fn no_file_names_a_registry_or_leaves_a_thing_to_do() {
    // Written apart, so that this file is none of them.
    let banned = [
        ["pypi", ".org"],
        ["npmjs", ".org"],
        ["npmjs", ".com"],
        ["pythonhosted", ".org"],
        ["proxy.golang", ".org"],
        ["TO", "DO"],
        ["FIX", "ME"],
        ["todo", "!("],
        ["dbg", "!("],
    ]
    .map(|parts| parts.concat());
    for folder in [
        "src",
        "cards",
        "runners",
        "tests",
        "README.md",
        "ARCHITECTURE.md",
        "CHANGELOG.md",
        ".ci/run",
    ] {
        for path in files(folder) {
            let text = String::from_utf8_lossy(&fs::read(&path).expect("a file")).into_owned();
            for word in &banned {
                assert!(
                    !text.contains(word.as_str()),
                    "{} has {word}",
                    path.display()
                );
            }
        }
    }
}
