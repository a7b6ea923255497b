//! Real processes on one store, some of them killed at any moment.
//!
//! A child is this test binary again, told by a variable to be a worker.

use super::*;
use crate::reapi::ActionResult;
use std::fs;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};

const FOLDER: &str = "MIKADO_TEST_WORKER";
const ACTIONS: u64 = 100;

fn action(n: u64) -> Digest {
    Digest::of(format!("action {n}").as_bytes())
}

fn text(n: u64) -> String {
    // Some artifacts are equal, so that processes meet on one tree.
    format!("artifact {}", n / 2)
}

/// Brings one action up to date, as the engine does. Returns whether it was
/// executed here.
fn perform(store: &Store, n: u64) -> bool {
    let action = action(n);
    let lock = store.lock(&Lock::Action(action), "card", |_| ControlFlow::Continue(()));
    let _lock = lock.unwrap().unwrap();
    if store.lookup(&action).unwrap().is_some() {
        return false;
    }
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let next = NEXT.fetch_add(1, Ordering::Relaxed);
    let out = store.scratch_folder().unwrap().join(format!("out-{next}"));
    fs::create_dir_all(out.join("bin")).unwrap();
    fs::write(out.join("bin/x"), text(n)).unwrap();
    let artifact = store.adopt(&out).unwrap().digest;
    let result = ActionResult::of(artifact);
    store
        .record(&action, &result, &Provenance::default())
        .unwrap();
    store.flush().unwrap();
    true
}

#[test]
fn worker() {
    let Some(folder) = std::env::var_os(FOLDER) else {
        return;
    };
    let store = Store::open(Path::new(&folder)).unwrap();
    let executed = (0..ACTIONS).filter(|n| perform(&store, *n)).count();
    let local = Local::open(&Path::new(&folder).join("local")).unwrap();
    let run = CardRun {
        stem: "worker".to_owned(),
        took_ms: executed as u64,
        ..CardRun::default()
    };
    local.add(&run).unwrap();
}

fn start(folder: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["store::tests::worker", "--exact", "--test-threads=1"])
        .env(FOLDER, folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// How many actions have a result, all of which must be right.
fn results(folder: &Path) -> u64 {
    let store = Store::open(folder).unwrap();
    let mut found = 0;
    for n in 0..ACTIONS {
        if let Some(stored) = store.lookup(&action(n)).unwrap() {
            let path = store.tree(&stored.artifact).unwrap().unwrap();
            assert_eq!(fs::read_to_string(path.join("bin/x")).unwrap(), text(n));
            found += 1;
        }
    }
    found
}

#[test]
fn each_action_is_executed_once_by_several_processes() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("store");
    Store::open(&folder).unwrap();
    let workers: Vec<_> = (0..4).map(|_| start(&folder)).collect();
    for mut worker in workers {
        assert!(worker.wait().unwrap().success());
    }
    assert_eq!(results(&folder), ACTIONS);
    let history = Local::open(&folder.join("local"))
        .unwrap()
        .history("worker");
    let executed: u64 = history.runs.iter().map(|run| run.took_ms).sum();
    assert_eq!((history.runs.len(), executed), (4, ACTIONS));
    // No lock and no scratch folder is left.
    let locks = fs::read_dir(folder.join("locks")).unwrap();
    let left = |entry: &fs::DirEntry| entry.file_name().len() == 64;
    assert_eq!(locks.filter(|e| left(e.as_ref().unwrap())).count(), 0);
    assert_eq!(fs::read_dir(folder.join("tmp")).unwrap().count(), 0);
}

#[test]
fn kill_at_any_moment_leaves_right_results_and_misses() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("store");
    Store::open(&folder).unwrap();
    let mut seed = 0x2545_f491_4f6c_dd1d_u64;
    let mut before = 0;
    let trees = || fs::read_dir(folder.join("trees")).unwrap().count() as u64;
    for _ in 0..40 {
        let mut workers = [start(&folder), start(&folder)];
        // Killed while they work: when a few more trees are there, not after
        // a time.
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        let enough = trees() + seed % 4;
        while trees() < enough && workers[0].try_wait().unwrap().is_none() {
            std::thread::yield_now();
        }
        for worker in &mut workers {
            worker.kill().unwrap();
            worker.wait().unwrap();
        }
        let after = results(&folder);
        assert!(after >= before, "{after} results after {before}");
        before = after;
    }
    assert!(start(&folder).wait().unwrap().success());
    assert_eq!(results(&folder), ACTIONS);
    let store = Store::open(&folder).unwrap();
    let verified = store.verify(|_, _| ()).unwrap();
    assert_eq!((verified.damaged, verified.dropped), (Vec::new(), 0));
    let limits = Limits {
        max_size: 0,
        ..Limits::default()
    };
    store.collect(&limits, &Default::default()).unwrap();
    drop(store);
    assert_eq!(fs::read_dir(folder.join("tmp")).unwrap().count(), 0);
    assert_eq!(results(&folder), 0);
}
