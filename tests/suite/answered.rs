//! Answers to programs that are given a second time: from their index where all
//! is as it was, and never where it is not.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use crate::support::sandbox::Sandbox;

/// What is asked, of more cards than are read as fast.
const QUESTIONS: [&str; 4] = [
    "list --format json",
    "list --all --format json",
    "blocked --format json",
    "next --format json",
];

/// A hundred cards by hand, a build that failed, one with a source, one with a tool.
fn sandbox() -> Sandbox {
    let mut sandbox = Sandbox::new()
        .runner("fails", "inputs: []\nsteps: ['echo broken; exit 3']")
        .runner(
            "reads",
            "inputs: [{source: tree, paths: ['**']}]\nsteps: ['true']",
        )
        .runner(
            "uses",
            "inputs: []\ntools: {own-tool: {command: own-tool --version}}\nsteps: ['true']",
        )
        .file("runners/sources.yaml", "tree: {path: tree}\n")
        .file("tree/file", "text\n")
        .card("failing", "status: active\nrunner: fails")
        .card("reading", "status: active\nrunner: reads")
        .card("using", "status: active\nrunner: uses")
        .runner("deeper.one", "inputs: []\nsteps: ['true']")
        .card("deep", "status: active\nrunner: deeper.one");
    for number in 0..100 {
        let front = match number {
            0 => "status: active".to_owned(),
            _ => format!("status: active\nrequires: [hand-{}]", number - 1),
        };
        sandbox = sandbox.card(&format!("hand-{number}"), &front);
    }
    sandbox.mikado("run failing").exits(1);
    sandbox
}

/// The answer to a question, and whether cards were read for it.
fn ask(sandbox: &Sandbox, question: &str) -> (String, bool) {
    let mut command = sandbox.command(crate::support::sandbox::program());
    command.args(question.split(' ')).env("MIKADO_LOG", "debug");
    let ran = sandbox.run(command, question).exits(0);
    let has_read = ran.stderr().contains("read cards");
    (ran.stdout(), has_read)
}

/// Asks until the answer comes from its index: what was written a moment ago may
/// change again unnoticed.
fn settled(sandbox: &Sandbox, question: &str) -> String {
    let (first, _) = ask(sandbox, question);
    for _ in 0..100 {
        let (answer, has_read) = ask(sandbox, question);
        assert_eq!(first, answer);
        if !has_read {
            return answer;
        }
    }
    panic!("`{question}` is never answered from its index");
}

/// The answer as it is without any index.
fn anew(sandbox: &Sandbox, question: &str) -> String {
    drop(fs::remove_dir_all(sandbox.path(".mikado/index")));
    let (answer, has_read) = ask(sandbox, question);
    assert!(has_read);
    answer
}

/// Whatever an answer says must follow this change.
fn follows(sandbox: &Sandbox, what: &str, shows: &str, change: impl FnOnce()) {
    for question in QUESTIONS {
        settled(sandbox, question);
    }
    change();
    let answers = QUESTIONS.map(|question| ask(sandbox, question).0);
    for (question, answer) in QUESTIONS.into_iter().zip(&answers) {
        assert_eq!(*answer, anew(sandbox, question), "{what}: {question}");
    }
    assert!(answers[1].contains(shows), "{what}: `{shows}` is not said");
}

#[test]
fn answer_is_given_again_and_follows_every_change() {
    let tools = tempfile::tempdir().expect("a folder");
    let path = std::env::var("PATH").unwrap_or_default();
    let sandbox = sandbox().env("PATH", format!("{}:{path}", tools.path().display()));
    let tool = tools.path().join("own-tool");
    let open = |stem: &str| format!("cards/{stem}.md");

    follows(&sandbox, "a card's title", "Another", || {
        sandbox.write(&open("hand-0"), "---\nstatus: active\n---\n# Another\n");
    });
    follows(&sandbox, "a card that is completed", "complete", || {
        sandbox.mikado("complete hand-0").exits(0);
    });
    follows(&sandbox, "a new card", "newcomer", || {
        sandbox.write(&open("newcomer"), "---\nstatus: active\n---\n");
    });
    follows(&sandbox, "a card in a folder", "deep-one", || {
        sandbox.write("cards/deep/deep-one.md", "---\nstatus: active\n---\n");
    });
    follows(&sandbox, "a card that goes", "hand-99", || {
        fs::remove_file(sandbox.path(&open("newcomer"))).expect("a card less");
    });
    follows(&sandbox, "a runner at fault", "stepz", || {
        sandbox.write("runners/fails.yaml", "inputs: []\nstepz: []\n");
    });
    follows(&sandbox, "a runner that is right again", "broken", || {
        sandbox.write(
            "runners/fails.yaml",
            "inputs: []\nsteps: ['echo broken; exit 3']\n",
        );
    });
    follows(&sandbox, "a log", "burst", || {
        let log = sandbox.path(".mikado/logs/failing.log");
        fs::write(log, "burst\n").expect("a log");
    });
    follows(
        &sandbox,
        "a log of a card that never ran",
        "hand-99",
        || {
            let log = sandbox.path(".mikado/logs/hand-0.log");
            fs::write(log, "a line\n").expect("a log");
        },
    );
    follows(
        &sandbox,
        "a runner with a dot in its name",
        "unknown key `stepz`",
        || {
            sandbox.write("runners/deeper.one.yaml", "inputs: []\nstepz: []\n");
        },
    );
    follows(&sandbox, "a source that goes", "which is not there", || {
        fs::rename(sandbox.path("tree"), sandbox.path("elsewhere")).expect("a folder less");
    });
    follows(&sandbox, "a source that is a link", "hand-99", || {
        symlink("elsewhere", sandbox.path("tree")).expect("a link");
    });
    follows(
        &sandbox,
        "a link that leads nowhere",
        "which is not there",
        || {
            fs::rename(sandbox.path("elsewhere"), sandbox.path("away")).expect("a folder less");
        },
    );
    follows(&sandbox, "a tool that comes", "hand-99", || {
        fs::write(&tool, "#!/bin/sh\necho 1.0\n").expect("a tool");
        fs::set_permissions(&tool, fs::Permissions::from_mode(0o755)).expect("a tool");
    });
    follows(&sandbox, "a tool that goes", "own-tool", || {
        fs::remove_file(&tool).expect("a tool less");
    });
    follows(
        &sandbox,
        "a failure that is mended",
        "\"failed\":null",
        || {
            sandbox.write("runners/fails.yaml", "inputs: []\nsteps: ['true']\n");
            sandbox.mikado("run failing --no-mark").exits(0);
        },
    );
    follows(&sandbox, "other settings", "hand-99", || {
        sandbox.write("mikado.yaml", "cards: [cards, more]\n");
        sandbox.write("more/one-more.md", "---\nstatus: active\n---\n");
    });
}

#[test]
fn torn_answer_is_none() {
    let sandbox = sandbox();
    let answer = settled(&sandbox, QUESTIONS[0]);
    let entries = fs::read_dir(sandbox.path(".mikado/index")).expect("a folder");
    let paths = entries.flatten().map(|entry| entry.path());
    let kept = paths.into_iter().find(|path| path.extension().is_some());
    let kept = kept.expect("an answer");
    let whole = fs::read(&kept).expect("an answer");
    for length in [0, 8, 70, whole.len() / 2, whole.len() - 1] {
        fs::write(&kept, &whole[..length]).expect("an answer");
        assert_eq!(ask(&sandbox, QUESTIONS[0]).0, answer);
    }
}

#[test]
fn question_leaves_nothing_where_nothing_was() {
    let mut sandbox = Sandbox::new();
    for number in 0..120 {
        sandbox = sandbox.card(&format!("hand-{number}"), "status: active");
    }
    for question in QUESTIONS {
        ask(&sandbox, question);
    }
    assert!(!sandbox.path(".mikado").exists());
}
