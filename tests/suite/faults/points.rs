//! Every named write point, the first and the second time that it is reached:
//! the process dies there, or the write fails; then a plain run ends right.
//!
//! Only in a build with the feature `fail-points`.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::panic::catch_unwind;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use mikado::store::nar_hash;

use super::chain::{Chain, entries};
use crate::support::sandbox::{MIKADO, Ran};

/// What reaches some of the points.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Scene {
    /// A run from nothing.
    Run,
    /// A run after the last one was torn: a segment's end, and a tree.
    Damaged,
    /// A run with a journal that has grown large.
    Journal,
    /// `store gc` of everything.
    Collect,
    /// `artifact export`.
    Export,
    /// `store verify` of a damaged store.
    Verify,
    /// A run with one more card: it has a git source and a tool of the machine.
    Sources,
    /// A run when all is done.
    Done,
    /// A run with a trace and an input that it does not know.
    Touched,
}

/// All points, and the scene that reaches each.
const POINTS: &[(&str, Scene)] = &[
    ("cache.note", Scene::Run),
    ("card.replace", Scene::Run),
    ("card.write", Scene::Run),
    ("copy.file", Scene::Export),
    ("export.name", Scene::Export),
    ("gc.aside", Scene::Collect),
    ("gc.delete", Scene::Collect),
    ("gc.lock", Scene::Collect),
    ("gc.note", Scene::Collect),
    ("index.name", Scene::Done),
    ("index.write", Scene::Done),
    ("link.make", Scene::Run),
    ("link.replace", Scene::Damaged),
    ("lock.free", Scene::Run),
    ("lock.holder", Scene::Run),
    ("lock.open", Scene::Run),
    ("log.open", Scene::Run),
    ("log.previous", Scene::Run),
    ("record.append", Scene::Run),
    ("record.replace", Scene::Journal),
    ("record.rewrite", Scene::Journal),
    ("scratch.delete", Scene::Run),
    ("scratch.lock", Scene::Run),
    ("scratch.make", Scene::Run),
    ("segment.append", Scene::Run),
    ("segment.copy", Scene::Verify),
    ("segment.cut", Scene::Damaged),
    ("segment.delete", Scene::Verify),
    ("segment.header", Scene::Run),
    ("segment.name", Scene::Run),
    ("segment.new", Scene::Run),
    ("segment.sync", Scene::Run),
    ("source.folder", Scene::Sources),
    ("source.lock", Scene::Sources),
    ("source.make", Scene::Sources),
    ("source.name", Scene::Sources),
    ("source.note", Scene::Sources),
    ("source.replace", Scene::Sources),
    ("source.write", Scene::Sources),
    ("stage.copy", Scene::Run),
    ("stage.write", Scene::Run),
    ("store.file", Scene::Run),
    ("store.file.write", Scene::Run),
    ("store.folder", Scene::Run),
    ("store.lock", Scene::Run),
    ("table.name", Scene::Run),
    ("table.write", Scene::Run),
    ("tools.replace", Scene::Sources),
    ("tools.write", Scene::Sources),
    ("trace.append", Scene::Touched),
    ("trace.name", Scene::Run),
    ("trace.write", Scene::Run),
    ("tree.aside", Scene::Damaged),
    ("tree.name", Scene::Run),
    ("tree.note", Scene::Run),
    ("tree.settle", Scene::Run),
    ("tree.sync", Scene::Run),
    ("tree.use", Scene::Run),
];

const FAULTS: [&str; 3] = ["kill", "ENOSPC", "EIO"];
const CARDS: usize = 4;

#[test]
fn the_list_of_points_is_that_of_the_source() {
    let mut found = BTreeSet::new();
    let mut pending = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(path) = pending.pop() {
        if path.is_dir() {
            pending.extend(entries(&path));
            continue;
        }
        let text = fs::read_to_string(&path).expect("a file");
        for part in text.split("fail_point::reach(\"").skip(1) {
            found.insert(part.split('"').next().unwrap_or_default().to_owned());
        }
    }
    let listed: BTreeSet<String> = POINTS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(found, listed);
}

#[test]
fn a_run_after_a_fault_at_any_point_ends_right() {
    let mut tried = Vec::new();
    for (point, scene) in POINTS {
        for hit in [1, 2] {
            for fault in FAULTS {
                tried.push((*point, *scene, hit, fault));
            }
        }
    }
    let (next, reached) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let wrong = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::SeqCst);
                    let Some((point, scene, hit, fault)) = tried.get(at) else {
                        return;
                    };
                    // All that is wrong is told, and not the first alone.
                    let tried = catch_unwind(|| fault_and_plain_run(point, *scene, *hit, fault));
                    match tried {
                        Ok(was) => drop(reached.fetch_add(usize::from(was), Ordering::SeqCst)),
                        Err(_) => wrong
                            .lock()
                            .expect("a list")
                            .push(format!("{fault} at {point}, hit {hit}")),
                    }
                }
            });
        }
    });
    report!(
        "fail points: {} points, {} faults tried, {} reached, 0 wrong artifacts, 0 left over",
        POINTS.len(),
        tried.len(),
        reached.into_inner(),
    );
    assert_eq!(wrong.into_inner().expect("a list"), Vec::<String>::new());
}

/// Whether the point was reached.
fn fault_and_plain_run(point: &str, scene: Scene, hit: usize, fault: &str) -> bool {
    let context = format!("{fault} at `{point}`, hit {hit}");
    let chain = Chain::new(CARDS);
    prepare(&chain, scene);
    let seen = chain.sandbox.home().join("seen");
    let run = || {
        let mut command = chain.sandbox.command(MIKADO);
        command.args(arguments(scene));
        command
            .env("MIKADO_FAIL_POINT", format!("{point} {hit} {fault}"))
            .env("MIKADO_FAIL_POINT_SEEN", &seen);
        chain.sandbox.run(command, &context)
    };
    let mut ran = run();
    // While files are as new as the run itself, nothing is kept of it.
    let again = if scene == Scene::Done && hit == 1 {
        100
    } else {
        0
    };
    for _ in 0..again {
        if seen.exists() {
            break;
        }
        ran = run();
    }
    let reached = seen.exists();
    assert!(
        reached || hit > 1,
        "{context}: never reached\n{}",
        ran.all()
    );
    if scene != Scene::Verify || reached {
        check_end(&ran, reached, fault, &context);
    }
    if scene == Scene::Export {
        drop(
            chain
                .sandbox
                .mikado("artifact export c00 -o exported --force")
                .exits(0),
        );
        let exported = super::chain::read_tree(&chain.sandbox.path("exported"));
        assert_eq!(exported, chain.expected()[0], "{context}");
    }
    let plain = chain.sandbox.mikado("run --all");
    assert_eq!(
        plain.code(),
        0,
        "{context}\n{}\nthen\n{}",
        ran.all(),
        plain.all()
    );
    chain.assert_right(&context);
    chain.assert_complete(&context);
    chain.assert_tidy(&context);
    if scene == Scene::Sources {
        let made = chain.sandbox.read(".mikado/artifacts/z/text");
        assert_eq!(made, "of the source\n", "{context}");
        assert!(chain.sandbox.read("cards/z.md").contains("complete"));
        let left = entries(&chain.sandbox.path(".mikado/sources"));
        let left: Vec<_> = left.iter().filter_map(|path| path.file_name()).collect();
        let half = |name: &&&std::ffi::OsStr| {
            [".tmp", "fetch-"]
                .iter()
                .any(|start| name.as_encoded_bytes().starts_with(start.as_bytes()))
        };
        assert_eq!(left.iter().find(half), None, "{context}");
    }
    let verify = chain.sandbox.mikado("store verify");
    assert_eq!(verify.code(), 0, "{context}\n{}", verify.all());
    reached
}

/// A fault that is told of is told with its cause, and no other way.
fn check_end(ran: &Ran, reached: bool, fault: &str, context: &str) {
    let all = ran.all();
    match ran.code() {
        -1 => assert_eq!(fault, "kill", "{context}\n{all}"),
        // What can be done without is done without.
        0 => {}
        // 5: a card waits for what could not be had.
        1 | 4 | 5 => {
            assert!(reached, "{context}\n{all}");
            let cause = match fault {
                "ENOSPC" => "No space left on device",
                _ => "Input/output error",
            };
            assert!(all.contains(cause), "{context}: no {cause:?}\n{all}");
        }
        code => panic!("{context}: exit {code}\n{all}"),
    }
}

fn arguments(scene: Scene) -> &'static [&'static str] {
    match scene {
        Scene::Run
        | Scene::Damaged
        | Scene::Journal
        | Scene::Sources
        | Scene::Done
        | Scene::Touched => &["run", "--all"],
        Scene::Collect => &["store", "gc", "--max-size", "0"],
        Scene::Export => &["artifact", "export", "c00", "-o", "exported"],
        Scene::Verify => &["store", "verify"],
    }
}

fn prepare(chain: &Chain, scene: Scene) {
    if scene == Scene::Run {
        return;
    }
    drop(chain.run().exits(0));
    let store = chain.sandbox.path(".mikado");
    match scene {
        Scene::Damaged | Scene::Verify => {
            let tree = store
                .join("artifacts/c01")
                .canonicalize()
                .expect("an artifact");
            let link = store.join("artifacts/c02");
            fs::remove_file(&link).expect("a link");
            std::os::unix::fs::symlink("elsewhere", &link).expect("a link");
            let sum = tree.join("sum");
            fs::set_permissions(&sum, fs::Permissions::from_mode(0o644)).expect("a mode");
            fs::write(&sum, "changed").expect("a file");
            let mut segments = entries(&store.join("segments"));
            segments.retain(|path| path.extension().is_some_and(|end| end == "seg"));
            let segment = segments.pop().expect("a segment");
            let length = segment.metadata().expect("a segment").len();
            let file = fs::File::options()
                .write(true)
                .open(segment)
                .expect("a segment");
            file.set_len(length - 5).expect("a torn segment");
        }
        Scene::Journal => {
            let path = store.join("records.jsonl");
            let lines = fs::read_to_string(&path).expect("records");
            fs::write(&path, lines.repeat(600)).expect("records");
        }
        Scene::Collect => {
            fs::remove_dir_all(store.join("artifacts")).expect("links");
            fs::remove_file(store.join("records.jsonl")).expect("records");
        }
        Scene::Sources => add_source(chain),
        Scene::Touched => {
            settle();
            drop(chain.run().exits(0));
            assert!(store.join("trace").exists(), "no trace");
            let input = chain.inputs_of(0).join("text");
            let hour_ago = SystemTime::now() - Duration::from_secs(3600);
            fs::File::options()
                .write(true)
                .open(input)
                .and_then(|file| file.set_modified(hour_ago))
                .expect("an older input");
            settle();
        }
        Scene::Run | Scene::Export | Scene::Done => {}
    }
}

/// Lets what was written become older than the clock's grain, within which no
/// digest is kept.
fn settle() {
    std::thread::sleep(Duration::from_millis(40));
}

/// A card that takes its file out of a repository, and a tool.
fn add_source(chain: &Chain) {
    let sandbox = &chain.sandbox;
    let (upstream, plain) = (
        sandbox.home().join("upstream"),
        sandbox.home().join("plain"),
    );
    for folder in [&upstream, &plain] {
        fs::create_dir(folder).expect("a folder");
        fs::write(folder.join("text"), "of the source\n").expect("a file");
    }
    let git = |words: &str| {
        let mut command = sandbox.command("git");
        command.arg("-C").arg(&upstream).args(words.split(' '));
        sandbox.run(command, words).exits(0).stdout()
    };
    drop(git("init --quiet"));
    drop(git("add ."));
    drop(git(
        "-c user.name=x -c user.email=x commit --quiet --message x",
    ));
    let commit = git("rev-parse HEAD");
    let list = format!(
        "upstream: {{ git: 'file://{}', commit: {}, hash: '{}' }}\n",
        upstream.display(),
        commit.trim(),
        nar_hash(&plain).expect("a hash"),
    );
    sandbox.write("runners/sources.yaml", &list);
    sandbox.write(
        "runners/sourced.yaml",
        "tools: { sed: {} }\ninputs: [{ source: upstream, paths: ['**'] }]\nsteps: ['cp text \"$OUT/\"']\n",
    );
    sandbox.write(
        "cards/z.md",
        "---\nstatus: active\nrunner: sourced\n---\n# z\n",
    );
}
