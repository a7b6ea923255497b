//! Random edits between runs: of inputs, parameters, runners, edges, artifacts
//! and the store itself. After each run every artifact is what it must be, as it
//! is worked out without the program and without a cache.
//!
//! `MIKADO_TEST_EDITS=1000` tries as many sequences instead of 50.

use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use super::chain::{Chain, Entry, Tree, entries, write_entry, write_tree};
use super::random::Random;
use crate::support::sandbox::Ran;

const CARDS: usize = 6;
const SEQUENCES: usize = 50;
/// Runs in a sequence; up to three edits come before each.
const RUNS: usize = 5;
const LANES: usize = 4;

/// Changes the repository or its store, and the chain's own picture of it.
type Edit = fn(&mut Chain, &mut Random);

const EDITS: &[(&str, Edit)] = &[
    ("change a file", change),
    ("change a file, not its size and time", change_quietly),
    (
        "change a file as nobody would notice, and back",
        change_and_back,
    ),
    ("exchange two files", exchange),
    ("add a file", add),
    ("delete a file", delete),
    ("rename a file", rename),
    ("set or take an exec bit", chmod),
    ("change what is no exec bit", chmod_for_nobody),
    ("replace a file by a link", link),
    ("replace a file by a folder", folder),
    ("change a parameter", word),
    ("change the runner", runner),
    ("change an edge", edge),
    ("touch everything", touch),
    ("edit an artifact", edit_artifact),
    (
        "edit an artifact, not its size and time",
        edit_artifact_quietly,
    ),
    ("replace a link to an artifact", replace_link),
    ("delete trees", delete_trees),
    ("delete or damage segments", damage_segments),
    ("delete or damage the trace", damage_trace),
    ("delete or damage the records", damage_records),
    ("delete a part of the store", delete_part),
    ("collect everything that may go", collect),
];

#[test]
fn after_random_edits_every_artifact_is_that_of_a_run_from_nothing() {
    let wanted = std::env::var("MIKADO_TEST_EDITS").ok();
    let sequences = wanted.map_or(SEQUENCES, |text| {
        text.parse().expect("a number of sequences")
    });
    let seed = Random::seed("MIKADO_TEST_EDITS_SEED");
    let (next, runs, edits) = (
        AtomicUsize::new(0),
        AtomicUsize::new(0),
        AtomicUsize::new(0),
    );
    let executed = AtomicUsize::new(0);
    let tried: Mutex<Vec<usize>> = Mutex::new(vec![0; EDITS.len()]);
    std::thread::scope(|scope| {
        for _ in 0..LANES {
            scope.spawn(|| {
                loop {
                    let sequence = next.fetch_add(1, Ordering::SeqCst);
                    if sequence >= sequences {
                        return;
                    }
                    let seed = seed.wrapping_add(sequence as u64);
                    let done = one_sequence(seed);
                    let so_far = runs.fetch_add(RUNS + 1, Ordering::SeqCst) / (RUNS + 1) + 1;
                    if so_far.is_multiple_of(100) {
                        report!("random edits: {so_far} of {sequences} sequences");
                    }
                    edits.fetch_add(done.edits.len(), Ordering::SeqCst);
                    executed.fetch_add(done.executed, Ordering::SeqCst);
                    let mut tried = tried.lock().expect("a list");
                    done.edits.iter().for_each(|edit| tried[*edit] += 1);
                }
            });
        }
    });
    report!(
        "random edits: {sequences} sequences, {} runs after {} edits, {} executions, 0 wrong artifacts",
        runs.into_inner(),
        edits.into_inner(),
        executed.into_inner(),
    );
    for ((name, _), times) in EDITS.iter().zip(tried.into_inner().expect("a list")) {
        assert!(
            times > 0 || sequences < SEQUENCES,
            "`{name}` was never tried"
        );
    }
}

struct Done {
    edits: Vec<usize>,
    executed: usize,
}

fn one_sequence(seed: u64) -> Done {
    let mut random = Random::new(seed);
    let mut chain = Chain::new(CARDS);
    let mut done = Done {
        edits: Vec::new(),
        executed: 0,
    };
    for run in 0..=RUNS {
        // With an index of the run before, or without one.
        let ran = chain.run_as_people_do();
        let told: Vec<&str> = done.edits.iter().map(|edit| EDITS[*edit].0).collect();
        let context =
            format!("MIKADO_TEST_EDITS_SEED={seed} MIKADO_TEST_EDITS=1: run {run} after {told:?}");
        assert_eq!(ran.code(), 0, "{context}\n{}", ran.all());
        chain.assert_right(&context);
        let lines = |ran: &Ran, word: &str| {
            let text = ran.all();
            let lines = text
                .lines()
                .filter(|line| line.trim_start().starts_with(word));
            lines.count()
        };
        done.executed += lines(&ran, "Built ");
        if random.below(2) == 0 {
            let again = chain.run_as_people_do();
            assert_eq!(again.code(), 0, "{context}, again\n{}", again.all());
            assert_eq!(
                lines(&again, "Fresh "),
                CARDS,
                "{context}, again\n{}",
                again.all()
            );
            chain.assert_right(&context);
        }
        if run < RUNS {
            for _ in 0..=random.below(3) {
                let edit = random.below(EDITS.len());
                done.edits.push(edit);
                EDITS[edit].1(&mut chain, &mut random);
            }
        }
    }
    done
}

/// A card, and one of its input files.
fn some_file(chain: &Chain, random: &mut Random) -> (usize, String) {
    let at = random.below(CARDS);
    let files: Vec<&String> = chain.nodes[at]
        .inputs
        .iter()
        .filter(|(_, entry)| matches!(entry, Entry::File { .. }))
        .map(|(path, _)| path)
        .collect();
    (at, (*random.one_of(&files)).clone())
}

/// Puts an entry where it belongs, and into the picture.
fn put(chain: &mut Chain, at: usize, path: &str, entry: Entry) {
    let place = chain.inputs_of(at).join(path);
    if matches!(entry, Entry::Link(_)) {
        drop(fs::remove_file(&place));
    }
    write_entry(&place, &entry);
    chain.nodes[at].inputs.insert(path.to_owned(), entry);
}

fn text_of(chain: &Chain, at: usize, path: &str) -> (String, bool) {
    match &chain.nodes[at].inputs[path] {
        Entry::File { text, executable } => (text.clone(), *executable),
        other => panic!("{other:?}"),
    }
}

/// The same text with other letters, so that its size is the same.
fn other_letters(text: &str, random: &mut Random) -> String {
    let with = *random.one_of(&["q", "v", "z"]);
    text.chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() {
                with.to_owned()
            } else {
                c.to_string()
            }
        })
        .collect()
}

/// Does something, and sets the file's time to what it was.
fn keeping_time(path: &Path, edit: impl FnOnce()) {
    let modified = path.metadata().expect("a file").modified().expect("a time");
    edit();
    File::open(path)
        .expect("a file")
        .set_modified(modified)
        .expect("a time");
}

fn change(chain: &mut Chain, random: &mut Random) {
    let (at, path) = some_file(chain, random);
    let (_, executable) = text_of(chain, at, &path);
    let text = format!("{}\n", random.next());
    put(chain, at, &path, Entry::File { text, executable });
}

fn change_quietly(chain: &mut Chain, random: &mut Random) {
    let (at, path) = some_file(chain, random);
    let (text, executable) = text_of(chain, at, &path);
    let text = other_letters(&text, random);
    keeping_time(&chain.inputs_of(at).join(&path), || {
        let place = chain.inputs_of(at).join(&path);
        fs::write(place, &text).expect("a file");
    });
    chain.nodes[at]
        .inputs
        .insert(path, Entry::File { text, executable });
}

fn change_and_back(chain: &mut Chain, random: &mut Random) {
    let (at, path) = some_file(chain, random);
    let place = chain.inputs_of(at).join(&path);
    let before = fs::read(&place).expect("a file");
    keeping_time(&place, || {
        fs::write(&place, "something else").expect("a file");
        fs::write(&place, before).expect("a file");
    });
}

fn exchange(chain: &mut Chain, random: &mut Random) {
    let (one, other) = (some_file(chain, random), some_file(chain, random));
    let [a, b] = [&one, &other].map(|(at, path)| chain.inputs_of(*at).join(path));
    let aside = chain.sandbox.home().join("aside");
    for (from, to) in [(&a, &aside), (&b, &a), (&aside, &b)] {
        // With their times, modes and inodes.
        if from.exists() {
            fs::rename(from, to).expect("a renamed file");
        }
    }
    let first = chain.nodes[one.0].inputs[&one.1].clone();
    let second = chain.nodes[other.0].inputs[&other.1].clone();
    chain.nodes[one.0].inputs.insert(one.1, second);
    chain.nodes[other.0].inputs.insert(other.1, first);
}

fn add(chain: &mut Chain, random: &mut Random) {
    let at = random.below(CARDS);
    let path = *random.one_of(&[
        "new",
        ".dot",
        "deep/er/new",
        "a/b/c/d",
        "bin/\u{e9}t\u{e9}",
        "-rf",
        "sp ace",
    ]);
    let is_free = !chain.nodes[at].inputs.contains_key(path);
    if is_free && !chain.inputs_of(at).join(path).exists() {
        put(
            chain,
            at,
            path,
            Entry::File {
                text: format!("{}", random.below(3)),
                executable: random.once_in(2),
            },
        );
    }
}

fn delete(chain: &mut Chain, random: &mut Random) {
    let (at, path) = some_file(chain, random);
    if path != "text" {
        fs::remove_file(chain.inputs_of(at).join(&path)).expect("a file");
        chain.nodes[at].inputs.remove(&path);
    }
}

fn rename(chain: &mut Chain, random: &mut Random) {
    let (at, path) = some_file(chain, random);
    let to = format!("{path}.{}", random.below(100));
    let taken = chain.nodes[at].inputs.contains_key(&to);
    if path != "text" && !taken && path.len() < 60 {
        let folder = chain.inputs_of(at);
        fs::rename(folder.join(&path), folder.join(&to)).expect("a renamed file");
        let entry = chain.nodes[at].inputs.remove(&path).expect("an entry");
        chain.nodes[at].inputs.insert(to, entry);
    }
}

fn chmod(chain: &mut Chain, random: &mut Random) {
    let (at, path) = some_file(chain, random);
    let (text, executable) = text_of(chain, at, &path);
    let mode = if executable { 0o644 } else { 0o744 };
    set_mode(&chain.inputs_of(at).join(&path), mode);
    let entry = Entry::File {
        text,
        executable: !executable,
    };
    chain.nodes[at].inputs.insert(path, entry);
}

fn chmod_for_nobody(chain: &mut Chain, random: &mut Random) {
    let (at, path) = some_file(chain, random);
    let (_, executable) = text_of(chain, at, &path);
    let mode = if executable { 0o711 } else { 0o616 };
    set_mode(&chain.inputs_of(at).join(&path), mode);
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("a mode");
}

fn link(chain: &mut Chain, random: &mut Random) {
    let (at, path) = some_file(chain, random);
    if path != "text" {
        let up = "../".repeat(path.matches('/').count());
        put(chain, at, &path, Entry::Link(format!("{up}text")));
    }
}

fn folder(chain: &mut Chain, random: &mut Random) {
    let (at, path) = some_file(chain, random);
    if path != "text" && path.len() < 60 {
        fs::remove_file(chain.inputs_of(at).join(&path)).expect("a file");
        chain.nodes[at].inputs.remove(&path);
        put(chain, at, &format!("{path}/in"), Entry::text("inside"));
    }
}

fn word(chain: &mut Chain, random: &mut Random) {
    let at = random.below(CARDS);
    chain.nodes[at].word = format!("word{}", random.below(3));
    chain.write_card(at);
}

fn runner(chain: &mut Chain, random: &mut Random) {
    chain.version = random.below(3) as u32;
    chain.write_runner();
}

fn edge(chain: &mut Chain, random: &mut Random) {
    let at = 1 + random.below(CARDS - 1);
    let to = random.below(at);
    let requires = &mut chain.nodes[at].requires;
    match requires.iter().position(|known| *known == to) {
        Some(place) => drop(requires.remove(place)),
        None => requires.push(to),
    }
    chain.write_card(at);
}

fn touch(chain: &mut Chain, random: &mut Random) {
    let day = Duration::from_secs(24 * 3600);
    let time = *random.one_of(&[
        SystemTime::now(),
        SystemTime::now() - day,
        SystemTime::now() + day,
    ]);
    for at in 0..CARDS {
        let files: Tree = chain.nodes[at].inputs.clone();
        for (path, entry) in files {
            if matches!(entry, Entry::File { .. }) {
                File::open(chain.inputs_of(at).join(path))
                    .expect("a file")
                    .set_modified(time)
                    .expect("a time");
            }
        }
    }
}

/// An artifact's folder, if it is there.
fn artifact(chain: &Chain, random: &mut Random) -> Option<PathBuf> {
    let stem = &chain.nodes[random.below(CARDS)].stem;
    let path = chain
        .sandbox
        .path(&format!(".mikado/artifacts/{stem}"))
        .canonicalize()
        .ok()?;
    path.join("sum").is_file().then_some(path)
}

fn edit_artifact(chain: &mut Chain, random: &mut Random) {
    let Some(tree) = artifact(chain, random) else {
        return;
    };
    let sum = tree.join("sum");
    match random.below(5) {
        0 => {
            set_mode(&sum, 0o644);
            fs::write(&sum, "mine").expect("a file");
        }
        1 => fs::remove_file(&sum).expect("a file"),
        2 => fs::write(tree.join("mine"), "x").expect("a file"),
        3 => set_mode(&sum, 0o555),
        _ => {
            fs::remove_file(&sum).expect("a file");
            symlink("version", &sum).expect("a link");
        }
    }
}

fn edit_artifact_quietly(chain: &mut Chain, random: &mut Random) {
    let Some(tree) = artifact(chain, random) else {
        return;
    };
    let sum = tree.join("sum");
    let mode = sum.metadata().expect("a file").mode();
    let text = fs::read_to_string(&sum).expect("a file");
    let text = other_letters(&text, random);
    keeping_time(&sum, || {
        set_mode(&sum, 0o644);
        fs::write(&sum, text).expect("a file");
        set_mode(&sum, mode & 0o7777);
    });
}

fn replace_link(chain: &mut Chain, random: &mut Random) {
    let link = chain.sandbox.path(&format!(
        ".mikado/artifacts/{}",
        chain.nodes[random.below(CARDS)].stem
    ));
    // An edit before may have deleted even the folder.
    fs::create_dir_all(link.parent().expect("a folder")).expect("a folder");
    if fs::remove_file(&link).is_err() {
        drop(fs::remove_dir_all(&link));
    }
    match random.below(4) {
        0 => {}
        1 => symlink("../trees", &link).expect("a link"),
        2 => fs::write(&link, "mine").unwrap_or(()),
        _ => fs::create_dir_all(link.join("a/b")).expect("a folder"),
    }
}

fn store(chain: &Chain, path: &str) -> PathBuf {
    chain.sandbox.path(".mikado").join(path)
}

fn delete_trees(chain: &mut Chain, random: &mut Random) {
    for tree in entries(&store(chain, "trees")) {
        let is_tree = tree.file_name().is_some_and(|name| name != ".used");
        if is_tree && random.once_in(3) {
            // All of it, or a part.
            let part = if random.once_in(2) {
                tree.join("own")
            } else {
                tree
            };
            if fs::remove_dir_all(&part).is_err() {
                drop(fs::remove_file(&part));
            }
        }
    }
}

fn damage(path: &Path, random: &mut Random) {
    let Ok(mut bytes) = fs::read(path) else {
        return;
    };
    match random.below(4) {
        0 => fs::remove_file(path).expect("a file"),
        1 => {
            bytes.truncate(random.below(bytes.len() + 1));
            fs::write(path, bytes).expect("a file");
        }
        2 if !bytes.is_empty() => {
            let at = random.below(bytes.len());
            bytes[at] ^= 1 << random.below(8);
            fs::write(path, bytes).expect("a file");
        }
        _ => {
            bytes.extend(b"garbage");
            fs::write(path, bytes).expect("a file");
        }
    }
}

fn damage_segments(chain: &mut Chain, random: &mut Random) {
    for segment in entries(&store(chain, "segments")) {
        damage(&segment, random);
    }
}

fn damage_trace(chain: &mut Chain, random: &mut Random) {
    damage(&store(chain, "trace"), random);
}

fn damage_records(chain: &mut Chain, random: &mut Random) {
    damage(&store(chain, "records.jsonl"), random);
}

fn delete_part(chain: &mut Chain, random: &mut Random) {
    let part = *random.one_of(&[
        "",
        "trees",
        "trees/.used",
        "segments",
        "locks",
        "logs",
        "artifacts",
        "tmp",
        "new",
        "caches",
    ]);
    drop(fs::remove_dir_all(store(chain, part)));
}

fn collect(chain: &mut Chain, _random: &mut Random) {
    drop(chain.sandbox.mikado("store gc --max-size 0").exits(0));
}

/// The whole of `write_tree` is what the other tests lean on: it leaves nothing.
#[test]
fn a_written_tree_is_read_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let chain = Chain::new(2);
    for node in &chain.nodes {
        write_tree(folder.path(), &node.inputs);
        let files = |tree: &Tree| -> Tree {
            tree.iter()
                .filter(|(_, entry)| **entry != Entry::Folder)
                .map(|(p, e)| (p.clone(), e.clone()))
                .collect()
        };
        assert_eq!(files(&super::chain::read_tree(folder.path())), node.inputs);
    }
}
