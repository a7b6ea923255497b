//! Collection: what goes, what stays, and what stays because others need it.

use super::*;
use crate::reapi::{Action, ActionResult, Directory, FileNode, encode};
use crate::store::{CardRun, Local, Provenance};
use std::path::PathBuf;

struct World {
    dir: tempfile::TempDir,
}

fn world() -> World {
    World {
        dir: tempfile::tempdir().unwrap(),
    }
}

const NOTHING: Limits = Limits {
    max_size: 0,
    max_age: Duration::ZERO,
};

impl World {
    fn folder(&self) -> PathBuf {
        self.dir.path().join("store")
    }

    fn open(&self) -> Store {
        Store::open(&self.folder()).unwrap()
    }

    /// A result whose artifact was last used some hours ago.
    fn run(&self, name: &str, hours: u64) -> (Digest, Digest) {
        let store = self.open();
        let out = self.dir.path().join("out");
        fs::create_dir_all(&out).unwrap();
        fs::write(out.join(name), vec![b'x'; 100_000]).unwrap();
        let artifact = store.adopt(&out).unwrap().digest;
        let input = Directory {
            files: vec![FileNode {
                name: format!("input of {name}"),
                digest: Some(artifact.into()),
                is_executable: false,
            }],
            ..Directory::default()
        };
        let input = store.put_blob(&encode(&input).1).unwrap();
        let action = Action {
            input_root_digest: Some(input.into()),
            ..Action::default()
        };
        let action = store.put_blob(&encode(&action).1).unwrap();
        let result = ActionResult::of(artifact);
        store
            .record(&action, &result, &Provenance::default())
            .unwrap();
        store.flush().unwrap();
        drop(store);
        self.age(&artifact, hours);
        (action, artifact)
    }

    fn age(&self, artifact: &Digest, hours: u64) {
        let note = self.folder().join("trees/.used").join(artifact.hex());
        let then = SystemTime::now() - Duration::from_secs(hours * 3600);
        fs::File::open(note).unwrap().set_modified(then).unwrap();
    }

    fn there(&self, artifact: &Digest) -> bool {
        self.folder().join("trees").join(artifact.hex()).exists()
    }
}

fn none() -> BTreeSet<Digest> {
    BTreeSet::new()
}

#[test]
fn least_recently_used_goes_first_until_the_size_fits() {
    let world = world();
    let [a, b, c] = [("a", 9), ("b", 30), ("c", 2)].map(|(name, hours)| world.run(name, hours));
    let limits = Limits {
        max_size: 250_000,
        ..Limits::default()
    };
    let store = world.open();
    let collected = store.collect(&limits, &none()).unwrap();
    assert_eq!(collected.trees, 1);
    assert!(collected.left <= limits.max_size, "{collected:?}");
    assert!(!world.there(&b.1) && world.there(&a.1) && world.there(&c.1));
    let fresh = world.open();
    assert_eq!(fresh.lookup(&b.0).unwrap(), None);
    assert!(fresh.lookup(&a.0).unwrap().is_some());
    // Looking it up was a use.
    drop(fresh);
    let smaller = Limits {
        max_size: 150_000,
        ..limits
    };
    world.open().collect(&smaller, &none()).unwrap();
    assert!(world.there(&a.1) && !world.there(&c.1));
}

#[test]
fn what_lies_unused_for_long_goes_and_what_is_kept_stays() {
    let world = world();
    let (old, kept, new) = (
        world.run("a", 800),
        world.run("b", 900),
        world.run("c", 700),
    );
    let keep = BTreeSet::from([kept.1]);
    let collected = world.open().collect(&Limits::default(), &keep).unwrap();
    assert_eq!(collected.trees, 1);
    assert!(collected.kept > 100_000);
    assert!(!world.there(&old.1) && world.there(&kept.1) && world.there(&new.1));
    let again = world.open().collect(&Limits::default(), &keep).unwrap();
    assert_eq!(again.trees, 0);
}

#[test]
fn tree_that_a_running_process_used_stays() {
    let world = world();
    let (used, unused) = (world.run("a", 50), world.run("b", 50));
    let running = world.open();
    running.scratch_folder().unwrap();
    assert!(running.lookup(&used.0).unwrap().is_some());
    world.open().collect(&NOTHING, &none()).unwrap();
    assert!(world.there(&used.1) && !world.there(&unused.1));
    // What the same process has used stays as well.
    let own = world.open();
    drop(running);
    assert!(own.lookup(&used.0).unwrap().is_some());
    own.collect(&NOTHING, &none()).unwrap();
    assert!(world.there(&used.1));
    drop(own);
    world.open().collect(&NOTHING, &none()).unwrap();
    assert!(!world.there(&used.1));
}

#[test]
fn newest_records_of_work_trees_are_kept() {
    let world = world();
    let (current, older) = (world.run("a", 50), world.run("b", 50));
    let local = Local::open(&world.dir.path().join("tree/.mikado")).unwrap();
    for artifact in [older.1, current.1] {
        local
            .add(&CardRun {
                stem: "card".to_owned(),
                artifact: Some(artifact),
                ..CardRun::default()
            })
            .unwrap();
    }
    let store = world.open();
    store.register(&local).unwrap();
    let keep = store.kept_by_work_trees().unwrap();
    store.collect(&NOTHING, &keep).unwrap();
    assert!(world.there(&current.1) && !world.there(&older.1));
    let kept = world.open();
    assert!(kept.lookup(&current.0).unwrap().is_some());
    // A work tree that is deleted needs nothing.
    fs::remove_dir_all(world.dir.path().join("tree")).unwrap();
    assert_eq!(kept.kept_by_work_trees().unwrap(), none());
}

#[test]
fn messages_of_what_is_left_outlive_what_is_of_no_use() {
    let world = world();
    let (gone, left) = (world.run("a", 50), world.run("b", 1));
    let store = world.open();
    let limits = Limits {
        max_size: 150_000,
        ..Limits::default()
    };
    store.collect(&limits, &none()).unwrap();
    // Young records stay, whatever they are.
    assert!(store.blob(&gone.0).unwrap().is_some());
    let live = store.live().unwrap();
    let head = |kind, digest: &Digest| {
        let mut key = digest.hash.to_vec();
        key.extend_from_slice(&digest.size.to_le_bytes());
        Head::new(kind as u8, key, b"", 0)
    };
    let wanted = |kind, digest| is_wanted(&live, &head(kind, digest), false);
    assert!(wanted(Kind::Tree, &left.1) && !wanted(Kind::Tree, &gone.1));
    assert!(wanted(Kind::Result, &left.0) && !wanted(Kind::Result, &gone.0));
    assert!(wanted(Kind::Blob, &left.0) && !wanted(Kind::Blob, &gone.0));
    let input = encoded_input(&store, &left.0);
    assert!(wanted(Kind::Blob, &left.1) && wanted(Kind::Blob, &input));
    let input = encoded_input(&store, &gone.0);
    assert!(!wanted(Kind::Blob, &input));
    assert!(wanted(Kind::Note, &gone.0) && wanted(Kind::Check, &gone.0));
}

fn encoded_input(store: &Store, action: &Digest) -> Digest {
    let bytes = store.blob(action).unwrap().unwrap();
    let action: Action = prost::Message::decode(bytes.as_slice()).unwrap();
    action.input_root_digest.unwrap().digest().unwrap()
}

#[test]
fn cache_that_is_unused_goes_when_nothing_runs() {
    let world = world();
    let store = world.open();
    let cache = store.cache("go-build").unwrap();
    fs::write(cache.join("x"), vec![0; 50_000]).unwrap();
    store.cache("npm").unwrap();
    let old = SystemTime::now() - Duration::from_secs(40 * 24 * 3600);
    let note = world.folder().join("caches/.used-go-build");
    fs::File::open(&note).unwrap().set_modified(old).unwrap();
    let running = world.open();
    running.scratch_folder().unwrap();
    assert_eq!(
        store.collect(&Limits::default(), &none()).unwrap().caches,
        0
    );
    drop(running);
    let collected = store.collect(&Limits::default(), &none()).unwrap();
    assert_eq!(collected.caches, 1);
    assert!(!cache.exists() && !note.exists());
    assert!(world.folder().join("caches/npm").exists());
}

#[test]
fn source_that_is_unused_goes_with_its_hash_and_one_in_use_stays() {
    let world = world();
    let sources = world.folder().join("sources");
    let (old, new) = ("a".repeat(40), "b".repeat(40));
    world.open();
    for commit in [&old, &new] {
        fs::create_dir_all(sources.join(commit)).unwrap();
        fs::write(sources.join(commit).join("x"), vec![0; 50_000]).unwrap();
        fs::write(sources.join(format!("{commit}.nar")), "hash").unwrap();
        fs::write(sources.join(note_of(commit)), "").unwrap();
    }
    fs::write(sources.join("refs.json"), "{}").unwrap();
    let long_ago = SystemTime::now() - Duration::from_secs(40 * 24 * 3600);
    let note = fs::File::open(sources.join(note_of(&old))).unwrap();
    note.set_modified(long_ago).unwrap();
    let store = world.open();
    assert!(store.stats().unwrap().sources_disk > 100_000);
    let used = fs::File::open(sources.join(note_of(&new))).unwrap();
    used.set_modified(SystemTime::now()).unwrap();
    let none_at_all = Limits {
        max_size: 0,
        ..Limits::default()
    };
    assert_eq!(store.collect(&none_at_all, &none()).unwrap().sources, 1);
    assert!(!sources.join(&old).exists() && sources.join(&new).exists());
    assert!(!sources.join(format!("{old}.nar")).exists());
    assert!(sources.join("refs.json").exists());
}

#[test]
fn collection_is_due_when_what_was_adopted_fills_the_store() {
    let world = world();
    let small = Limits {
        max_size: 250_000,
        ..Limits::default()
    };
    let adopt = |name: &str| {
        let store = world.open();
        let out = world.dir.path().join("out");
        fs::create_dir_all(&out).unwrap();
        fs::write(out.join(name), vec![b'x'; 100_000]).unwrap();
        let digest = store.adopt(&out).unwrap().digest;
        store.flush().unwrap();
        (store.collect_if_due(&small, || Ok(none())).unwrap(), digest)
    };
    let (first, a) = adopt("a");
    assert_eq!(first, None);
    world.age(&a, 5);
    fs::create_dir(world.folder().join("tmp/run-1-dead")).unwrap();
    assert_eq!(adopt("b").0, None);
    assert!(!world.folder().join("tmp/run-1-dead").exists());
    assert_eq!(
        world.open().collect_if_due(&small, || Ok(none())).unwrap(),
        None
    );
    let (third, _) = adopt("c");
    assert_eq!(third.unwrap().trees, 1);
    assert!(!world.there(&a));
}

#[test]
fn only_one_collects_and_what_died_is_swept() {
    let world = world();
    let store = world.open();
    fs::create_dir_all(world.folder().join("tmp/run-1-dead/x")).unwrap();
    let stale = world.folder().join("locks").join(Digest::of(b"x").hex());
    fs::write(&stale, "").unwrap();
    let busy = fs::File::create(world.folder().join("locks/gc")).unwrap();
    busy.lock().unwrap();
    assert!(store.collect(&NOTHING, &none()).unwrap().busy);
    drop(busy);
    assert!(!store.collect(&NOTHING, &none()).unwrap().busy);
    assert!(!world.folder().join("tmp/run-1-dead").exists() && !stale.exists());
}

/// Collections beside runs that look up, use and rebuild: nobody ever holds a
/// tree that is not there.
#[test]
fn collections_beside_runs_never_take_what_is_in_use() {
    let world = &world();
    std::thread::scope(|scope| {
        let run = |thread: u32| {
            for n in 0..30 {
                let store = world.open();
                let scratch = store.scratch_folder().unwrap();
                let out = scratch.join("out");
                fs::create_dir(&out).unwrap();
                fs::write(out.join("x"), format!("{}", (n + thread) % 4)).unwrap();
                let digest = store.hash_dir(&out).unwrap().digest;
                let path = match store.tree(&digest).unwrap() {
                    Some(path) => path,
                    None => {
                        store.adopt(&out).unwrap();
                        store.flush().unwrap();
                        store.path_of_tree(&digest)
                    }
                };
                std::thread::yield_now();
                fs::read(path.join("x")).unwrap();
            }
        };
        let runs: Vec<_> = (0..3)
            .map(|thread| scope.spawn(move || run(thread)))
            .collect();
        while runs.iter().any(|run| !run.is_finished()) {
            world.open().collect(&NOTHING, &none()).unwrap();
        }
    });
}

/// A run that comes after a collection has looked who is there.
#[test]
fn a_run_that_comes_while_it_is_collected_keeps_what_it_finds() {
    let world = world();
    let (_, artifact) = world.run("a", 0);
    let collecting = world.open();
    let tree = collecting.found_trees().unwrap().remove(0);
    let candidate = Candidate {
        used: tree.used,
        disk: 1,
        what: What::Tree(tree),
    };
    let running = world.open();
    running.scratch_folder().unwrap();
    assert!(running.tree(&artifact).unwrap().is_some());
    assert!(!collecting.delete(&candidate).unwrap());
    assert!(world.there(&artifact));
    drop(running);
    assert!(collecting.delete(&candidate).unwrap());
    assert!(!world.there(&artifact));
}
