//! Trees against an independent computation, and against every hand that may
//! touch them.

use super::*;
use crate::store::{Entry, EntryKind, Lock};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::fs::Permissions;
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};

/// What a folder should hold.
#[derive(Clone, Debug)]
enum Node {
    File(Vec<u8>, u32),
    Link(String),
    Folder(BTreeMap<String, Node>),
}

fn node() -> impl Strategy<Value = Node> {
    let mode = prop::sample::select(vec![0o644, 0o755, 0o600, 0o400, 0o444, 0o711, 0o650, 0o0]);
    let leaf = prop_oneof![
        4 => (prop::collection::vec(any::<u8>(), 0..200), mode).prop_map(|(b, m)| Node::File(b, m)),
        1 => "[a-z./]{1,12}".prop_map(Node::Link),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop::collection::btree_map(name(), inner, 0..6).prop_map(Node::Folder)
    })
}

fn name() -> impl Strategy<Value = String> {
    "[a-zA-Z0-9 .\n_äλ😀-]{1,6}".prop_filter("a name", |n| n != "." && n != "..")
}

fn folder() -> impl Strategy<Value = BTreeMap<String, Node>> {
    prop::collection::btree_map(name(), node(), 0..8)
}

fn make(path: &Path, entries: &BTreeMap<String, Node>) {
    fs::create_dir_all(path).unwrap();
    for (name, node) in entries {
        let path = path.join(name);
        match node {
            Node::File(bytes, mode) => {
                fs::write(&path, bytes).unwrap();
                fs::set_permissions(&path, Permissions::from_mode(*mode)).unwrap();
            }
            Node::Link(text) => symlink(text, &path).unwrap(),
            Node::Folder(entries) => make(&path, entries),
        }
    }
}

/// The bytes of a `Directory`, written by hand from the protocol's text.
fn directory(entries: &BTreeMap<String, Node>) -> Vec<u8> {
    fn number(mut n: u64, out: &mut Vec<u8>) {
        while n >= 0x80 {
            out.push(n as u8 | 0x80);
            n >>= 7;
        }
        out.push(n as u8);
    }
    fn field(tag: u8, bytes: &[u8], out: &mut Vec<u8>) {
        out.push(tag << 3 | 2);
        number(bytes.len() as u64, out);
        out.extend_from_slice(bytes);
    }
    fn digest(bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        field(1, Digest::of(bytes).hex().as_bytes(), &mut out);
        if !bytes.is_empty() {
            out.push(2 << 3);
            number(bytes.len() as u64, &mut out);
        }
        out
    }
    let mut lists = [Vec::new(), Vec::new(), Vec::new()];
    for (name, node) in entries {
        let mut out = Vec::new();
        field(1, name.as_bytes(), &mut out);
        let list = match node {
            Node::File(bytes, mode) => {
                field(2, &digest(bytes), &mut out);
                if mode & 0o100 != 0 {
                    out.extend_from_slice(&[4 << 3, 1]);
                }
                0
            }
            Node::Folder(entries) => {
                field(2, &digest(&directory(entries)), &mut out);
                1
            }
            Node::Link(text) => {
                field(2, text.as_bytes(), &mut out);
                2
            }
        };
        field(list as u8 + 1, &out, &mut lists[list]);
    }
    lists.concat()
}

fn expected(prefix: &str, entries: &BTreeMap<String, Node>, out: &mut Vec<Entry>) {
    for (name, node) in entries {
        let path = format!("{prefix}{name}");
        let kind = match node {
            Node::File(bytes, mode) => EntryKind::File {
                digest: Digest::of(bytes),
                executable: mode & 0o100 != 0,
            },
            Node::Link(target) => EntryKind::Link {
                target: target.clone(),
            },
            Node::Folder(inner) => {
                expected(&format!("{path}/"), inner, out);
                EntryKind::Folder {
                    digest: Digest::of(&directory(inner)),
                }
            }
        };
        out.push(Entry { path, kind });
    }
    out.sort_by(|a, b| a.path.cmp(&b.path));
}

/// Replaces the text of a file and nothing else, whatever its mode.
fn rewrite(path: &Path, text: &str) {
    let mode = fs::metadata(path).unwrap().permissions();
    fs::set_permissions(path, Permissions::from_mode(0o644)).unwrap();
    fs::write(path, text).unwrap();
    fs::set_permissions(path, mode).unwrap();
}

struct World {
    dir: tempfile::TempDir,
    store: Store,
}

fn world() -> World {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("store")).unwrap();
    World { dir, store }
}

impl World {
    fn out(&self) -> PathBuf {
        self.dir.path().join("out")
    }

    /// The same store as another process sees it.
    fn other(&self) -> Store {
        Store::open(self.store.folder()).unwrap()
    }

    fn adopted(&self, files: &[(&str, &str)]) -> Digest {
        for (name, text) in files {
            let path = self.out().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let digest = self.store.adopt(&self.out()).unwrap().digest;
        self.store.flush().unwrap();
        digest
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn digest_and_listing_equal_an_independent_computation(entries in folder()) {
        let world = world();
        make(&world.out(), &entries);
        let wanted = directory(&entries);
        let tree = world.store.adopt(&world.out()).unwrap();
        prop_assert_eq!(tree.digest, Digest::of(&wanted));
        prop_assert!(!world.out().exists());
        let mut listing = Vec::new();
        expected("", &entries, &mut listing);
        prop_assert_eq!(&world.store.entries(&tree.digest).unwrap(), &listing);
        world.store.flush().unwrap();
        let other = world.other();
        prop_assert_eq!(&other.entries(&tree.digest).unwrap(), &listing);
        let path = other.tree(&tree.digest).unwrap().unwrap();
        prop_assert_eq!(other.hash_dir(&path).unwrap(), tree);
    }
}

#[test]
fn modes_and_times_are_normalised_and_closed_folders_opened() {
    let world = world();
    let out = world.out();
    fs::create_dir_all(out.join("closed/inner")).unwrap();
    fs::write(out.join("closed/inner/file"), "x").unwrap();
    fs::write(out.join("run"), "x").unwrap();
    symlink("/nowhere/at all", out.join("link")).unwrap();
    for (name, mode) in [("closed/inner/file", 0o200), ("run", 0o6750)] {
        fs::set_permissions(out.join(name), Permissions::from_mode(mode)).unwrap();
    }
    for (name, mode) in [("closed/inner", 0o000), ("closed", 0o555), ("", 0o700)] {
        fs::set_permissions(out.join(name), Permissions::from_mode(mode)).unwrap();
    }
    let tree = world.store.adopt(&out).unwrap();
    assert_eq!((tree.files, tree.bytes), (2, 2));
    let path = world.store.tree(&tree.digest).unwrap().unwrap();
    for (name, mode) in [
        ("", 0o755),
        ("closed", 0o755),
        ("closed/inner", 0o755),
        ("closed/inner/file", 0o444),
        ("run", 0o555),
    ] {
        let meta = fs::symlink_metadata(path.join(name)).unwrap();
        assert_eq!(meta.mode() & 0o7777, mode, "{name}");
        assert_eq!(meta.mtime(), 315_619_200, "{name}");
    }
    let meta = fs::symlink_metadata(path.join("link")).unwrap();
    assert_eq!(meta.mtime(), 315_619_200);
    assert_eq!(
        fs::read_link(path.join("link")).unwrap(),
        Path::new("/nowhere/at all")
    );
}

#[test]
fn what_an_artifact_cannot_hold_is_refused_by_name() {
    let world = world();
    let out = world.out();
    let said = |name: &str| {
        let error = world.store.adopt(&out).unwrap_err();
        assert!(!error.help().is_empty());
        let text = error.to_string();
        assert!(text.contains(name), "{text}");
        text
    };
    assert!(said("out").contains("missing"));
    fs::write(&out, "").unwrap();
    assert!(said("out").contains("a file"));
    fs::remove_file(&out).unwrap();
    symlink("/tmp", &out).unwrap();
    assert!(said("out").contains("a link"));
    fs::remove_file(&out).unwrap();

    fs::create_dir_all(out.join("run")).unwrap();
    let socket = std::os::unix::net::UnixListener::bind(out.join("run/sock")).unwrap();
    assert!(said("run/sock").contains("a socket"));
    drop(socket);
    fs::remove_file(out.join("run/sock")).unwrap();
    let pipe = out.join("run/pipe");
    rustix::fs::mknodat(
        CWD,
        &pipe,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o600),
        0,
    )
    .unwrap();
    assert!(said("run/pipe").contains("a named pipe"));
    fs::remove_file(&pipe).unwrap();
    let odd = std::ffi::OsString::from_vec(b"caf\xe9".to_vec());
    fs::write(out.join(&odd), "").unwrap();
    assert!(said("caf").contains("not UTF-8"));
    fs::remove_file(out.join(&odd)).unwrap();
    symlink(&odd, out.join("run/link")).unwrap();
    assert!(said("run/link").contains("link"));
    fs::remove_file(out.join("run/link")).unwrap();
    world.store.adopt(&out).unwrap();
}

#[test]
fn file_with_a_second_name_outside_gets_a_body_of_its_own() {
    let world = world();
    let cache = world.dir.path().join("cached");
    fs::write(&cache, "right").unwrap();
    fs::create_dir(world.out()).unwrap();
    fs::hard_link(&cache, world.out().join("a")).unwrap();
    fs::hard_link(&cache, world.out().join("b")).unwrap();
    let digest = world.store.adopt(&world.out()).unwrap().digest;
    assert_eq!(fs::metadata(&cache).unwrap().mode() & 0o777, 0o644);
    fs::write(&cache, "wrong").unwrap();
    let path = world.other().tree(&digest).unwrap().unwrap();
    assert_eq!(fs::read_to_string(path.join("a")).unwrap(), "right");
    assert_eq!(fs::read_to_string(path.join("b")).unwrap(), "right");
}

#[test]
fn same_tree_twice_is_kept_once() {
    let world = world();
    let first = world.adopted(&[("bin/x", "1"), ("y", "2")]);
    let second = world.adopted(&[("bin/x", "1"), ("y", "2")]);
    assert_eq!(first, second);
    assert!(!world.out().exists());
    let empty = {
        fs::create_dir(world.out()).unwrap();
        world.store.adopt(&world.out()).unwrap().digest
    };
    assert_eq!(empty, Digest::of(b""));
    fs::create_dir(world.out()).unwrap();
    assert_eq!(world.store.adopt(&world.out()).unwrap().digest, empty);
    assert!(world.store.tree(&empty).unwrap().is_some());
    assert_eq!(world.store.entries(&empty).unwrap(), []);
}

/// Every way to touch a tree: it is found wrong, or found right again.
#[test]
fn edited_tree_is_noticed_and_set_aside() {
    type Edit = fn(&Path);
    fn keep_time(path: &Path, edit: impl FnOnce()) {
        let before = fs::metadata(path).unwrap().modified().unwrap();
        edit();
        File::open(path).unwrap().set_modified(before).unwrap();
    }
    let open = |path: &Path| fs::set_permissions(path, Permissions::from_mode(0o755)).unwrap();
    let edits: [(&str, Edit, bool); 12] = [
        ("other text", |p| rewrite(&p.join("b"), "longer"), false),
        ("same size", |p| rewrite(&p.join("b"), "x"), false),
        (
            "same size and time",
            |p| keep_time(&p.join("b"), || rewrite(&p.join("b"), "x")),
            false,
        ),
        ("deleted", |p| fs::remove_file(p.join("b")).unwrap(), false),
        ("added", |p| fs::write(p.join("c"), "").unwrap(), false),
        (
            "added below",
            |p| keep_time(&p.join("a"), || fs::write(p.join("a/c"), "").unwrap()),
            false,
        ),
        (
            "folder added",
            |p| fs::create_dir(p.join("a/d")).unwrap(),
            false,
        ),
        (
            "renamed",
            |p| fs::rename(p.join("b"), p.join("a/b")).unwrap(),
            false,
        ),
        (
            "made executable",
            |p| fs::set_permissions(p.join("b"), Permissions::from_mode(0o755)).unwrap(),
            false,
        ),
        (
            "link text",
            |p| {
                fs::remove_file(p.join("l")).unwrap();
                symlink("other", p.join("l")).unwrap();
            },
            false,
        ),
        (
            "made writable",
            |p| fs::set_permissions(p.join("b"), Permissions::from_mode(0o644)).unwrap(),
            true,
        ),
        (
            "written anew",
            |p| {
                fs::remove_file(p.join("b")).unwrap();
                fs::write(p.join("b"), "2").unwrap();
            },
            true,
        ),
    ];
    for (what, edit, right) in edits {
        let world = world();
        fs::create_dir(world.out()).unwrap();
        symlink("b", world.out().join("l")).unwrap();
        let digest = world.adopted(&[("a/x", "1"), ("b", "2")]);
        let path = world.store.path_of_tree(&digest);
        open(&path);
        edit(&path);
        let other = world.other();
        assert_eq!(other.tree(&digest).unwrap().is_some(), right, "{what}");
        assert_eq!(path.exists(), right, "{what}");
        if right {
            other.flush().unwrap();
            let meta = fs::metadata(path.join("b")).unwrap();
            assert_eq!(meta.mode() & 0o777, 0o444);
            let witness = world.other().witness(&digest).unwrap().unwrap();
            assert!(witness.holds(&path), "{what}");
        } else {
            // The builder makes it again, and it is right again.
            fs::create_dir(world.out()).unwrap();
            symlink("b", world.out().join("l")).unwrap();
            assert_eq!(world.adopted(&[("a/x", "1"), ("b", "2")]), digest);
            assert!(world.other().tree(&digest).unwrap().is_some());
        }
    }
}

#[test]
fn wrong_tree_in_the_way_of_an_adoption_is_replaced() {
    let world = world();
    let digest = world.adopted(&[("b", "2")]);
    let path = world.store.path_of_tree(&digest);
    for in_the_way in ["text", "more"] {
        fs::remove_file(path.join("b")).unwrap();
        fs::write(path.join("b"), in_the_way).unwrap();
        assert_eq!(world.adopted(&[("b", "2")]), digest);
        assert_eq!(fs::read_to_string(path.join("b")).unwrap(), "2");
    }
    scratch::remove_all(&path).unwrap();
    fs::create_dir(&path).unwrap();
    assert_eq!(world.adopted(&[("b", "2")]), digest);
    assert!(world.other().tree(&digest).unwrap().is_some());
}

#[test]
fn tree_without_a_record_is_hashed_before_it_is_used() {
    let world = world();
    fs::create_dir(world.out()).unwrap();
    fs::write(world.out().join("b"), "2").unwrap();
    let digest = world.store.adopt(&world.out()).unwrap().digest;
    // Nothing was flushed: as if the process had died here.
    let other = world.other();
    assert!(other.witness(&digest).unwrap().is_none());
    assert!(other.tree(&digest).unwrap().is_some());
    assert_eq!(other.entries(&digest).unwrap().len(), 1);
    let wrong = Digest::of(b"wrong");
    fs::rename(
        world.store.path_of_tree(&digest),
        world.store.path_of_tree(&wrong),
    )
    .unwrap();
    assert!(world.other().tree(&wrong).unwrap().is_none());
    assert!(world.other().tree(&digest).unwrap().is_none());
}

#[test]
fn copied_store_is_right_though_every_inode_differs() {
    let world = world();
    let digest = world.adopted(&[("a/b", "1"), ("c", "2")]);
    let copy = world.dir.path().join("copy of the store");
    copy::copy_tree(world.store.folder(), &copy, copy::Modes::Writable).unwrap();
    let store = Store::open(&copy).unwrap();
    let path = store.tree(&digest).unwrap().unwrap();
    assert_eq!(fs::read_to_string(path.join("a/b")).unwrap(), "1");
    assert_eq!(fs::metadata(path.join("c")).unwrap().mode() & 0o777, 0o444);
}

#[test]
fn thousands_of_files_are_adopted_and_checked() {
    let world = world();
    for n in 0..3000 {
        let folder = world.out().join(format!("{}", n % 20));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(format!("{n}")), format!("{n}")).unwrap();
    }
    let tree = world.store.adopt(&world.out()).unwrap();
    assert_eq!((tree.files, tree.directories.len()), (3000, 21));
    world.store.flush().unwrap();
    let other = world.other();
    let path = other.tree(&tree.digest).unwrap().unwrap();
    let file = path.join("7/2987");
    fs::remove_file(&file).unwrap();
    fs::write(&file, "2987").unwrap();
    assert!(world.other().tree(&tree.digest).unwrap().is_some());
    fs::remove_file(&file).unwrap();
    assert!(world.other().tree(&tree.digest).unwrap().is_none());
}

#[test]
#[cfg(target_os = "linux")]
fn folder_on_another_disk_is_copied_into_the_store() {
    let world = world();
    let memory = tempfile::tempdir_in("/dev/shm").unwrap();
    assert_ne!(
        fs::metadata(memory.path()).unwrap().dev(),
        fs::metadata(world.dir.path()).unwrap().dev(),
        "/dev/shm must be a file system of its own for this test"
    );
    let entries = BTreeMap::from([
        ("a".to_owned(), Node::File(vec![7; 500_000], 0o755)),
        ("l".to_owned(), Node::Link("a".to_owned())),
        ("e".to_owned(), Node::Folder(BTreeMap::new())),
    ]);
    let out = memory.path().join("out");
    make(&out, &entries);
    let tree = world.store.adopt(&out).unwrap();
    assert_eq!(tree.digest, Digest::of(&directory(&entries)));
    assert!(!out.exists());
    world.store.flush().unwrap();
    let path = world.other().tree(&tree.digest).unwrap().unwrap();
    assert_eq!(fs::metadata(path.join("a")).unwrap().mode() & 0o777, 0o555);
}

/// As far as the file system lets anybody be stopped: root never is, so the
/// store is told instead.
#[test]
fn store_that_can_only_be_read_gives_what_it_has_and_says_no() {
    let world = world();
    let digest = world.adopted(&[("a", "1")]);
    let lost = world.adopted(&[("a", "2")]);
    let mut store = world.other();
    store.layout.writable = false;
    assert!(store.tree(&digest).unwrap().is_some());
    let to = world.dir.path().join("exported");
    store.export(&digest, &to, false).unwrap();
    // What is wrong is not used, and not moved.
    let path = store.path_of_tree(&lost);
    rewrite(&path.join("a"), "3");
    assert!(store.tree(&lost).unwrap().is_none());
    assert!(path.exists());
    store.put_blob(b"known to this process").unwrap();
    let refusals = [
        store.flush().unwrap_err(),
        store.adopt(&to).unwrap_err(),
        store.try_lock(&Lock::Action(digest), "card").unwrap_err(),
        store.scratch_folder().unwrap_err(),
    ];
    for refusal in refusals {
        assert!(matches!(refusal, StoreError::ReadOnly { .. }), "{refusal}");
        assert!(refusal.help().contains("--store"));
    }
}

#[test]
fn file_that_this_process_wrote_is_not_read_again_and_must_have_its_size() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("store")).unwrap();
    let adopted = |said: &[u8]| {
        let out = store.scratch_folder().unwrap().join("out");
        drop(fs::remove_dir_all(&out));
        fs::create_dir(&out).unwrap();
        fs::write(out.join("file"), "abc").unwrap();
        let written = BTreeMap::from([(out.join("file"), Digest::of(said))]);
        store.adopt_written(&out, &written)
    };
    // What was written is believed: that it is not read shows in a lie.
    let lie = adopted(b"xyz").unwrap().digest;
    let truth = adopted(b"abc").unwrap().digest;
    assert_ne!(lie, truth);
    assert!(matches!(adopted(b"abcd"), Err(StoreError::Moved { .. })));
}
