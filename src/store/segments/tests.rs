//! Segments under crashes, damage, and several writers at once.

use super::super::frame;
use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

struct World {
    dir: tempfile::TempDir,
}

impl World {
    fn new() -> World {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("segments")).unwrap();
        World { dir }
    }

    fn open(&self) -> Segments {
        let path = self.dir.path();
        Segments::new(path.join("segments"), path.join("lock"), true)
    }

    fn files(&self) -> Vec<std::path::PathBuf> {
        let folder = self.dir.path().join("segments");
        let mut files: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|end| end == "seg"))
            .collect();
        files.sort();
        files
    }
}

impl Segments {
    fn note(&self, name: &str, text: &str) {
        let bytes = text.as_bytes().to_vec();
        self.put(Kind::Note, Key::Text(name), bytes).unwrap();
    }

    fn noted(&self, name: &str) -> Option<String> {
        let bytes = self.read(Kind::Note, Key::Text(name)).unwrap();
        bytes.map(|bytes| String::from_utf8(bytes).unwrap())
    }

    fn flush(&self) {
        self.append(self.group()).unwrap();
    }
}

fn cut(path: &Path, len: u64) {
    let file = fs::File::options().write(true).open(path).unwrap();
    file.set_len(len).unwrap();
}

#[test]
fn record_is_known_here_at_once_and_elsewhere_after_a_flush() {
    let world = World::new();
    let (here, there) = (world.open(), world.open());
    assert_eq!(there.noted("a"), None);
    here.note("a", "1");
    assert_eq!(here.noted("a").as_deref(), Some("1"));
    there.refresh().unwrap();
    assert_eq!(there.noted("a"), None);
    here.flush();
    assert_eq!(there.noted("a"), None);
    there.refresh().unwrap();
    assert_eq!(there.noted("a").as_deref(), Some("1"));
    there.note("a", "2");
    there.flush();
    here.refresh().unwrap();
    assert_eq!(here.noted("a").as_deref(), Some("2"));
    assert_eq!(world.open().noted("a").as_deref(), Some("2"));
}

#[test]
fn kinds_do_not_share_keys() {
    let segments = World::new();
    let segments = segments.open();
    let digest = Digest::of(b"x");
    segments
        .put(Kind::Blob, Key::Digest(&digest), b"x".to_vec())
        .unwrap();
    for kind in [Kind::Tree, Kind::Result, Kind::Check, Kind::Note] {
        assert_eq!(segments.read(kind, Key::Digest(&digest)).unwrap(), None);
    }
    assert!(segments.has(Kind::Blob, Key::Digest(&digest)).unwrap());
}

/// What a crash leaves of the last group, byte by byte: the groups before are
/// whole, of the last one a prefix, and the next writer goes on from there.
#[test]
fn file_cut_at_every_byte_loses_only_what_was_cut() {
    let world = World::new();
    let segments = world.open();
    segments.note("a", "first");
    segments.flush();
    let path = world.files()[0].clone();
    let before = fs::metadata(&path).unwrap().len();
    segments.note("a", "second");
    segments.note("b", "second");
    segments.flush();
    let whole = fs::read(&path).unwrap();
    for len in before..whole.len() as u64 {
        fs::write(&path, &whole).unwrap();
        cut(&path, len);
        let after = world.open();
        let a = after.noted("a");
        assert!(a.as_deref() == Some("first") || a.as_deref() == Some("second"));
        assert_eq!(after.noted("b"), None, "cut at {len}");
        after.note("c", "third");
        after.flush();
        let later = world.open();
        assert_eq!(later.noted("a"), a);
        assert_eq!(later.noted("b"), None);
        assert_eq!(later.noted("c").as_deref(), Some("third"));
        assert_eq!(world.files().len(), 1);
    }
}

#[test]
fn new_segment_cut_at_every_byte_is_replaced() {
    for len in 0..16 {
        let world = World::new();
        let path = world.dir.path().join("segments/00000001.seg");
        fs::write(&path, &frame::segment_header(7)[..len]).unwrap();
        let segments = world.open();
        assert_eq!(segments.noted("a"), None);
        segments.note("a", "1");
        segments.flush();
        assert_eq!(world.open().noted("a").as_deref(), Some("1"));
        segments.refresh().unwrap();
        assert_eq!(segments.noted("a").as_deref(), Some("1"));
    }
}

#[test]
fn zeros_after_a_power_failure_are_a_torn_tail() {
    let world = World::new();
    let segments = world.open();
    segments.note("a", "1");
    segments.flush();
    let path = world.files()[0].clone();
    let len = fs::metadata(&path).unwrap().len();
    cut(&path, len + 5000);
    let other = world.open();
    assert_eq!(other.noted("a").as_deref(), Some("1"));
    other.note("b", "2");
    other.flush();
    segments.refresh().unwrap();
    assert_eq!(segments.noted("b").as_deref(), Some("2"));
}

#[test]
fn damaged_payload_is_a_miss_and_can_be_put_again() {
    let world = World::new();
    let segments = world.open();
    segments.note("a", "precious");
    segments.note("b", "other");
    segments.flush();
    let path = world.files()[0].clone();
    let mut bytes = fs::read(&path).unwrap();
    let at = bytes.windows(8).position(|w| w == b"precious").unwrap();
    bytes[at] ^= 1;
    fs::write(&path, bytes).unwrap();
    let other = world.open();
    assert!(other.has(Kind::Note, Key::Text("a")).unwrap());
    assert_eq!(other.noted("a"), None);
    assert!(!other.has(Kind::Note, Key::Text("a")).unwrap());
    assert_eq!(other.noted("b").as_deref(), Some("other"));
    other.note("a", "precious");
    other.flush();
    assert_eq!(world.open().noted("a").as_deref(), Some("precious"));
}

#[test]
fn writers_take_turns_and_nothing_is_lost() {
    let world = World::new();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let segments = world.open();
            scope.spawn(move || {
                for n in 0..25 {
                    segments.note(&format!("{thread}/{n}"), &"x".repeat(n));
                    segments.flush();
                }
            });
        }
    });
    let segments = world.open();
    for thread in 0..4 {
        for n in 0..25 {
            let text = segments.noted(&format!("{thread}/{n}"));
            assert_eq!(text, Some("x".repeat(n)));
        }
    }
}

#[test]
fn full_segment_is_followed_by_a_new_one() {
    let world = World::new();
    let (here, there) = (world.open(), world.open());
    assert_eq!(there.noted("large"), None);
    here.note("large", &"x".repeat(65 << 20));
    here.flush();
    here.note("small", "1");
    here.flush();
    assert_eq!(world.files().len(), 2);
    there.refresh().unwrap();
    assert_eq!(there.noted("small").as_deref(), Some("1"));
    assert_eq!(there.noted("large").map(|text| text.len()), Some(65 << 20));
}

#[test]
fn compaction_keeps_the_newest_and_others_go_on() {
    let world = World::new();
    let (here, there) = (world.open(), world.open());
    for n in 0..50 {
        here.note("a", &n.to_string());
        here.note(&format!("drop {n}"), "x");
        here.flush();
    }
    there.refresh().unwrap();
    there.note("pending", "1");
    let won = here.compact(|head| !head.key.starts_with(b"drop")).unwrap();
    assert!(won > 3000, "{won}");
    for segments in [&here, &there, &world.open()] {
        assert_eq!(segments.noted("a").as_deref(), Some("49"));
    }
    there.refresh().unwrap();
    assert_eq!(there.noted("drop 3"), None);
    there.flush();
    here.refresh().unwrap();
    assert_eq!(here.noted("pending").as_deref(), Some("1"));
    assert_eq!(world.files().len(), 1);
}

#[test]
fn what_was_scanned_is_found_in_tables_and_what_came_later_is_newer() {
    let world = World::new();
    let here = world.open();
    for n in 0..100 {
        here.note(&n.to_string(), "old");
    }
    here.flush();
    here.keep_tables();
    let there = world.open();
    assert_eq!(there.noted("7").as_deref(), Some("old"));
    let known = there.lock_state().last().unwrap().table.is_some();
    assert!(known, "no table");
    there.note("7", "new");
    there.flush();
    assert_eq!(world.open().noted("7").as_deref(), Some("new"));
    there.keep_tables();
    let last = world.open();
    assert_eq!(last.noted("7").as_deref(), Some("new"));
    assert_eq!(last.noted("8").as_deref(), Some("old"));
    let mut found = Vec::new();
    last.each(Kind::Note, |head, _| {
        found.push(String::from_utf8(head.key.clone()).unwrap());
        Ok(())
    })
    .unwrap();
    found.sort();
    let mut all: Vec<String> = (0..100).map(|n| n.to_string()).collect();
    all.sort();
    assert_eq!(found, all);
    last.compact(|_| true).unwrap();
    assert_eq!(world.open().noted("7").as_deref(), Some("new"));
    let tables = fs::read_dir(world.dir.path().join("segments")).unwrap();
    let tables = tables.filter(|entry| {
        let name = entry.as_ref().unwrap().file_name();
        name.to_string_lossy().ends_with(".table")
    });
    assert_eq!(tables.count(), 0, "a table of a segment that is gone");
}

#[test]
fn failed_append_leaves_everything_pending_and_the_file_as_it_was() {
    let world = World::new();
    let segments = world.open();
    segments.note("a", "1");
    segments.flush();
    let reader = Segments::new(
        world.dir.path().join("segments"),
        world.dir.path().join("lock"),
        false,
    );
    reader.note("b", "2");
    let before = fs::read(&world.files()[0]).unwrap();
    reader.append(reader.group()).unwrap_err();
    assert_eq!(fs::read(&world.files()[0]).unwrap(), before);
    assert_eq!(reader.noted("b").as_deref(), Some("2"));
    assert!(reader.is_pending());
    assert_eq!(world.open().noted("b"), None);
}

#[derive(Clone, Debug)]
enum Step {
    Put(usize, u8, u16),
    Flush(usize),
    Refresh(usize),
    Reopen(usize),
    Compact(usize),
    Tables(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..2usize, 0..6u8, any::<u16>()).prop_map(|(w, k, v)| Step::Put(w, k, v)),
        3 => (0..2usize).prop_map(Step::Flush),
        2 => (0..2usize).prop_map(Step::Refresh),
        1 => (0..2usize).prop_map(Step::Reopen),
        1 => (0..2usize).prop_map(Step::Compact),
        2 => (0..2usize).prop_map(Step::Tables),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Two processes against a model: a map for what is on the disk, and one
    /// for what each process has put and not flushed.
    #[test]
    fn two_processes_agree_with_a_model(steps in prop::collection::vec(step(), 1..40)) {
        let world = World::new();
        let mut open = [world.open(), world.open()];
        let mut disk: BTreeMap<u8, u16> = BTreeMap::new();
        let mut pending: [BTreeMap<u8, u16>; 2] = Default::default();
        for step in steps {
            match step {
                Step::Put(w, key, value) => {
                    open[w].note(&key.to_string(), &value.to_string());
                    pending[w].insert(key, value);
                }
                Step::Flush(w) => {
                    open[w].flush();
                    disk.append(&mut pending[w]);
                }
                Step::Refresh(w) => {
                    open[w].refresh().unwrap();
                    for key in 0..6 {
                        let wanted = pending[w].get(&key).or(disk.get(&key));
                        prop_assert_eq!(
                            open[w].noted(&key.to_string()),
                            wanted.map(u16::to_string)
                        );
                    }
                }
                Step::Reopen(w) => {
                    open[w] = world.open();
                    pending[w].clear();
                }
                Step::Compact(w) => {
                    open[w].compact(|_| true).unwrap();
                }
                Step::Tables(w) => open[w].keep_tables(),
            }
        }
        let fresh = world.open();
        for key in 0..6 {
            prop_assert_eq!(fresh.noted(&key.to_string()), disk.get(&key).map(u16::to_string));
        }
    }
}
