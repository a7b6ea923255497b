//! Scripts of this repository's runners, where a fault has to be told of before
//! anything is fetched.

use crate::support::sandbox::{Ran, Sandbox};

/// Runs a script of `runners/` with parameters, as a step would.
fn script(sandbox: &Sandbox, path: &str, with: &str) -> Ran {
    let path = format!("{}/runners/{path}", env!("CARGO_MANIFEST_DIR"));
    let mut python = sandbox.command("python3");
    python
        .env("WITH", with)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .arg(path);
    sandbox.run(python, with)
}

#[test]
fn python_that_is_not_at_hand_is_missed_before_anything_is_fetched() {
    let sandbox = Sandbox::new().file(
        "pyproject.toml",
        "[project]\nname = 'x'\nrequires-python = '>=3.9'\n",
    );
    let ask = |python: &str, check: &str| {
        let with = format!("{{\"python\": \"{python}\", \"import-check\": \"{check}\"}}");
        script(&sandbox, "python-backend/interpreter.py", &with)
    };
    drop(ask("", "run").exits(0));
    drop(ask("3.99", "none").exits(0));
    drop(ask("3.99", "compile").exits(0));
    drop(
        ask("3.99", "run")
            .exits(1)
            .says("Python 3.99 is to be installed for")
            .says("--with import-check=none"),
    );
    drop(
        ask("3.8", "none")
            .exits(1)
            .says("Python >=3.9 needed, 3.8 found"),
    );
    drop(
        ask("new", "none")
            .exits(1)
            .says("`python` is a version such as 3.14, not `new`"),
    );
}

#[test]
fn packages_that_the_lock_does_not_have_can_not_be_left_out() {
    let sandbox = Sandbox::new().file("requirements.lock", "six==1.17.0 --hash=sha256:00\n");
    let with =
        r#"{"lock": ["uv.lock", "requirements.lock"], "without": ["Six", "six_two", "seven"]}"#;
    drop(
        script(&sandbox, "python-backend/wheelhouse.py", with)
            .exits(1)
            .warns("`without` names `seven`, `six-two`, which requirements.lock does not have\n"),
    );
}

#[test]
fn substitutions_of_the_wrong_shape_are_named() {
    let sandbox = Sandbox::new().file("a.txt", "one 2\n");
    let with = r#"{"substitute": [7, {"file": "a.txt"}, {"file": "a.txt", "from": 2, "to": 3}]}"#;
    for runner in ["go-server", "python-backend"] {
        sandbox.write("a.txt", "one 2\n");
        drop(
            script(&sandbox, &format!("{runner}/substitute.py"), with)
                .exits(1)
                .says("substitute: `7` is not {file, from, to, count}\n")
                .says("substitute: `{'file': 'a.txt'}` is not {file, from, to, count}\n"),
        );
        assert_eq!(sandbox.read("a.txt"), "one 3\n");
    }
}
