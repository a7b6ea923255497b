//! What one work tree knows of its cards: a link to each artifact, and a
//! journal of runs.
//!
//! It lies in the work tree's own `.mikado`, which usually is the store's
//! folder as well; linked work trees and `MIKADO_STORE` have the store
//! elsewhere. Nothing here decides what is done again: losing all of it costs
//! a look into the store.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::ops::Range;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use super::Store;
use super::error::{During as _, StoreError};
use super::journal::{Journal, News, link_text, replace_link};
use super::layout;
use super::scratch;
use crate::digest::Digest;
use crate::parallel;

/// How many runs of a card are remembered.
const REMEMBERED: usize = 8;
/// A journal shorter than this is not rewritten.
const REWRITE_FROM: u64 = 256 * 1024;

/// One run of a card.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct CardRun {
    /// The card's stem.
    pub stem: String,
    /// The action's digest, of a build.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<Digest>,
    /// The artifact, of a build that succeeded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub artifact: Option<Digest>,
    /// Other trees that it would need again: fetches and tools.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<Digest>,
    /// The action of each of its fetches, by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub fetches: BTreeMap<String, Digest>,
    /// The checks that passed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<Digest>,
    /// When it began, in milliseconds since 1970.
    pub started_ms: u64,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
    /// The exit code of the last process.
    pub exit: i32,
    /// Its log.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log: Option<PathBuf>,
    /// Why it failed; a run without this succeeded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
    /// Why the card was marked complete although it had not passed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub marked_because: Option<String>,
    /// Whether nothing was executed: the store had the result.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub hit: bool,
}

/// What is remembered of a card.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CardHistory {
    /// The last runs, the newest last; the last success is always among them.
    pub runs: Vec<CardRun>,
}

impl CardHistory {
    /// The newest run.
    pub fn last(&self) -> Option<&CardRun> {
        self.runs.last()
    }

    /// The newest run that succeeded.
    pub fn success(&self) -> Option<&CardRun> {
        self.runs.iter().rfind(|run| run.failed.is_none())
    }

    /// How long the next execution may take, in milliseconds: the median of
    /// the last ones that succeeded.
    pub fn expected_ms(&self) -> Option<u64> {
        let executed = |run: &&CardRun| run.failed.is_none() && !run.hit;
        let runs = self.runs.iter().filter(executed);
        let mut took: Vec<u64> = runs.map(|run| run.took_ms).collect();
        took.sort_unstable();
        took.get(took.len() / 2).copied()
    }

    fn add(&mut self, run: CardRun) {
        self.runs.push(run);
        if self.runs.len() <= REMEMBERED {
            return;
        }
        // The oldest goes, a hit first, since it says nothing of durations.
        let success = self.runs.iter().rposition(|run| run.failed.is_none());
        let spare = |at: &usize| Some(*at) != success;
        let mut older = 0..self.runs.len() - 1;
        let hit = older.clone().filter(spare).find(|at| self.runs[*at].hit);
        if let Some(at) = hit.or_else(|| older.find(spare)) {
            self.runs.remove(at);
        }
    }
}

/// A work tree's own part of `.mikado`, open.
#[derive(Debug)]
pub struct Local {
    root: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    journal: Journal,
    cards: BTreeMap<String, CardHistory>,
    /// Lines of the journal that nobody asked for yet.
    unread: Unread,
}

/// Lines by the stem of their card, in their order, not yet taken apart: most
/// runs ask for few cards.
#[derive(Debug, Default)]
struct Unread {
    bytes: Vec<u8>,
    lines: HashMap<String, Vec<Range<usize>>>,
}

impl Local {
    /// Opens the `.mikado` folder of a work tree, making what is missing.
    pub fn open(folder: &Path) -> Result<Local, StoreError> {
        let root = std::path::absolute(folder).during("find the folder", folder)?;
        for part in ["artifacts", "logs", "new"] {
            layout::ensure_folder(&root.join(part))?;
        }
        sweep(&root.join("new"));
        layout::ignore_in_git(&root)?;
        let mut state = State::new(&root);
        state.read_on()?;
        let local = Local {
            root,
            state: Mutex::new(state),
        };
        local.rewrite_if_large()?;
        Ok(local)
    }

    /// The histories in a `.mikado` folder, which is only read.
    pub(crate) fn read(folder: &Path) -> Result<BTreeMap<String, CardHistory>, StoreError> {
        let mut state = State::new(folder);
        state.read_on()?;
        state.take_all();
        Ok(state.cards)
    }

    /// The folder, absolute.
    pub fn folder(&self) -> &Path {
        &self.root
    }

    /// The folder of the logs.
    pub fn logs(&self) -> PathBuf {
        self.root.join("logs")
    }

    /// The folder of what has no name to keep yet, to be renamed within this
    /// file system. Any process may empty it when it starts.
    pub fn new_folder(&self) -> PathBuf {
        self.root.join("new")
    }

    /// Where the link to a card's artifact is.
    pub fn link_path(&self, stem: &str) -> PathBuf {
        self.root.join("artifacts").join(stem)
    }

    /// Points the card's link at an artifact, in one step.
    pub fn link(&self, store: &Store, stem: &str, artifact: &Digest) -> Result<(), StoreError> {
        // A stem is one segment of a path; anything else is a fault in a card
        // that was found before.
        if matches!(stem, "" | "." | "..") || stem.contains(['/', '\0']) {
            return Err(StoreError::OddStem {
                stem: stem.to_owned(),
            });
        }
        let target = self.link_target(store, artifact);
        let link = self.link_path(stem);
        if link_text(&link)?.as_ref() == Some(&target) {
            return Ok(());
        }
        replace_link(&link, &target, &self.new_folder())
    }

    /// Takes the card's link away, if there is one.
    pub fn unlink(&self, stem: &str) -> Result<(), StoreError> {
        let link = self.link_path(stem);
        match std::fs::remove_file(&link) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).during("remove the link", &link)
            }
            _ => Ok(()),
        }
    }

    fn link_target(&self, store: &Store, artifact: &Digest) -> PathBuf {
        let tree = store.path_of_tree(artifact);
        match tree.strip_prefix(&self.root) {
            Ok(inside) => Path::new("..").join(inside),
            Err(_) => tree,
        }
    }

    /// Whether the links of all these cards lead to these artifacts, by their
    /// text.
    pub fn all_link_to(&self, store: &Store, links: &[(&str, &Digest)]) -> bool {
        const TURN: usize = 500;
        let Ok(folder) = File::open(self.root.join("artifacts")) else {
            return false;
        };
        let stands = |(stem, artifact): &(&str, &Digest)| {
            let mut text = [0; libc::PATH_MAX as usize];
            let length = rustix::fs::readlinkat_raw(&folder, *stem, &mut text);
            let target = self.link_target(store, artifact);
            length.is_ok_and(|length| target.as_os_str().as_bytes() == &text[..length])
        };
        let turns: Vec<&[_]> = links.chunks(TURN).collect();
        let turn = |links: &&[_]| match links.iter().all(stands) {
            true => Ok(()),
            false => Err(()),
        };
        parallel::each(&turns, parallel::cpus(), turn).is_ok()
    }

    /// Appends a run to the journal.
    pub fn add(&self, run: &CardRun) -> Result<(), StoreError> {
        self.add_all([run])
    }

    /// Appends several runs to the journal, which costs as much as one.
    pub fn add_all<'r>(
        &self,
        runs: impl IntoIterator<Item = &'r CardRun>,
    ) -> Result<(), StoreError> {
        let mut state = self.lock();
        state.journal.append(runs)?;
        state.read_on()
    }

    /// What is remembered of a card.
    pub fn history(&self, stem: &str) -> CardHistory {
        let mut state = self.lock();
        state.take(stem);
        state.cards.get(stem).cloned().unwrap_or_default()
    }

    /// What is remembered of all cards, by stem.
    pub fn histories(&self) -> BTreeMap<String, CardHistory> {
        let mut state = self.lock();
        state.take_all();
        state.cards.clone()
    }

    /// Learns what other processes appended.
    pub fn refresh(&self) -> Result<(), StoreError> {
        self.lock().read_on()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn rewrite_if_large(&self) -> Result<(), StoreError> {
        let mut state = self.lock();
        // Twice what it needs, by the size of a usual line.
        if state.journal.len() < REWRITE_FROM.max(state.kept() as u64 * 800) {
            return Ok(());
        }
        let State {
            journal,
            cards,
            unread,
        } = &mut *state;
        let written = journal.rewrite(|news| {
            unread.add(news, cards);
            unread.take_all(cards);
            lines(cards)
        });
        match written {
            // Reading goes on without it.
            Err(StoreError::Io { source, .. }) if layout::is_refusal(&source) => Ok(()),
            // Swept by another process: the next one that starts does it.
            Err(error) if error.is_absent() => Ok(()),
            written => written,
        }
    }
}

/// Deletes what killed processes left half-written. What can't be deleted
/// harms nobody.
fn sweep(new: &Path) {
    let entries = std::fs::read_dir(new).into_iter().flatten();
    for entry in entries.filter_map(Result::ok) {
        drop(scratch::remove_all(&entry.path()));
    }
}

impl State {
    fn new(folder: &Path) -> State {
        State {
            journal: Journal::new(folder.join("records.jsonl"), folder.join("new")),
            cards: BTreeMap::new(),
            unread: Unread::default(),
        }
    }

    fn read_on(&mut self) -> Result<(), StoreError> {
        let news = self.journal.read_on()?;
        self.unread.add(news, &mut self.cards);
        Ok(())
    }

    fn take(&mut self, stem: &str) {
        self.unread.take(stem, &mut self.cards);
    }

    fn take_all(&mut self) {
        self.unread.take_all(&mut self.cards);
    }

    /// How many runs are remembered, at most.
    fn kept(&self) -> usize {
        let unread = self.unread.lines.values();
        let unread: usize = unread.map(|lines| lines.len().min(REMEMBERED)).sum();
        let taken = self.cards.values().map(|card| card.runs.len());
        taken.sum::<usize>() + unread
    }
}

impl Unread {
    /// Adds what is new; where the journal was replaced, all else is void.
    fn add(&mut self, news: News, cards: &mut BTreeMap<String, CardHistory>) {
        if news.anew {
            cards.clear();
            *self = Unread::default();
        }
        let mut start = self.bytes.len();
        self.bytes.extend(&news.lines);
        for line in news.lines.split_inclusive(|b| *b == b'\n') {
            let end = start + line.len();
            // A line that says of no card is torn, and passed over.
            if let Some(stem) = stem_of(line) {
                match self.lines.get_mut(stem.as_ref()) {
                    Some(lines) => lines.push(start..end),
                    None => drop(
                        self.lines
                            .insert(stem.into_owned(), std::iter::once(start..end).collect()),
                    ),
                }
            }
            start = end;
        }
    }

    /// Takes the lines of one card apart.
    fn take(&mut self, stem: &str, cards: &mut BTreeMap<String, CardHistory>) {
        for line in self.lines.remove(stem).into_iter().flatten() {
            let Ok(run) = serde_json::from_slice::<CardRun>(&self.bytes[line]) else {
                continue;
            };
            match cards.get_mut(&run.stem) {
                Some(card) => card.add(run),
                None => cards.entry(run.stem.clone()).or_default().add(run),
            }
        }
    }

    fn take_all(&mut self, cards: &mut BTreeMap<String, CardHistory>) {
        let mut stems: Vec<String> = self.lines.keys().cloned().collect();
        stems.sort_unstable();
        for stem in stems {
            self.take(&stem, cards);
        }
        *self = Unread::default();
    }
}

/// The stem that a line of the journal begins with, as `append` writes it; any
/// other JSON is looked through for it.
fn stem_of(line: &[u8]) -> Option<Cow<'_, str>> {
    let usual = || {
        let rest = line.strip_prefix(b"{\"stem\":\"")?;
        let stem = &rest[..rest.iter().position(|b| *b == b'"')?];
        match stem.contains(&b'\\') {
            true => None,
            false => std::str::from_utf8(stem).ok().map(Cow::Borrowed),
        }
    };
    let searched = || {
        let run = serde_json::from_slice::<CardRun>(line).ok()?;
        Some(Cow::Owned(run.stem))
    };
    usual().or_else(searched)
}

/// The lines from which the same histories are read again.
fn lines(cards: &BTreeMap<String, CardHistory>) -> Vec<CardRun> {
    let runs = cards.values().flat_map(|card| &card.runs);
    runs.cloned().collect()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed step is a failed test")]
mod tests {
    use super::*;
    use std::fs;
    use std::io::Write as _;

    fn run(stem: &str, took_ms: u64, failed: bool) -> CardRun {
        CardRun {
            stem: stem.to_owned(),
            took_ms,
            failed: failed.then(|| "exit 1".to_owned()),
            ..CardRun::default()
        }
    }

    #[test]
    fn last_success_outlives_many_failures_and_a_rewrite() {
        let dir = tempfile::tempdir().unwrap();
        let local = Local::open(dir.path()).unwrap();
        local.add(&run("a", 7, false)).unwrap();
        for n in 0..3000 {
            local.add(&run("a", n, true)).unwrap();
            local.add(&run("b c \u{1f600}", n, false)).unwrap();
        }
        let before = local.histories();
        let large = fs::metadata(dir.path().join("records.jsonl"))
            .unwrap()
            .len();
        let again = Local::open(dir.path()).unwrap();
        let small = fs::metadata(dir.path().join("records.jsonl"))
            .unwrap()
            .len();
        assert!(small * 10 < large, "{small} of {large}");
        assert_eq!(again.histories(), before);
        assert_eq!(again.history("a").success(), Some(&run("a", 7, false)));
        assert_eq!(again.history("a").last(), Some(&run("a", 2999, true)));
        // The one that was open sees the new file.
        again.add(&run("a", 1, false)).unwrap();
        local.refresh().unwrap();
        assert_eq!(local.histories(), again.histories());
    }

    #[test]
    fn torn_line_is_passed_over() {
        let dir = tempfile::tempdir().unwrap();
        let local = Local::open(dir.path()).unwrap();
        local.add(&run("a", 1, false)).unwrap();
        let path = dir.path().join("records.jsonl");
        let mut file = File::options().append(true).open(&path).unwrap();
        file.write_all(br#"{"stem":"a","tookMs":9"#).unwrap();
        local.add(&run("a", 2, false)).unwrap();
        let took = |local: &Local| -> Vec<u64> {
            let runs = local.history("a").runs;
            runs.iter().map(|run| run.took_ms).collect()
        };
        assert_eq!(took(&local), [1, 2]);
        assert_eq!(took(&Local::open(dir.path()).unwrap()), [1, 2]);
    }

    #[test]
    fn expected_time_is_the_median_of_executions() {
        let mut history = CardHistory::default();
        for took in [10, 900, 12] {
            history.add(run("a", took, false));
        }
        history.add(run("a", 1, true));
        history.add(CardRun {
            hit: true,
            ..run("a", 0, false)
        });
        assert_eq!(history.expected_ms(), Some(12));
    }

    #[test]
    fn link_is_relative_inside_and_absolute_outside() {
        let dir = tempfile::tempdir().unwrap();
        let inside = dir.path().join("one/.mikado");
        let local = Local::open(&inside).unwrap();
        let store = Store::open(&inside).unwrap();
        let digest = Digest::of(b"x");
        local.link(&store, "a b", &digest).unwrap();
        let target = fs::read_link(local.link_path("a b")).unwrap();
        assert_eq!(target, Path::new("../trees").join(digest.hex()));
        let other = Local::open(&dir.path().join("two/.mikado")).unwrap();
        for digest in [Digest::of(b"y"), digest] {
            other.link(&store, "a b", &digest).unwrap();
        }
        let target = fs::read_link(other.link_path("a b")).unwrap();
        assert_eq!(target, store.path_of_tree(&digest));
        assert!(matches!(
            local.link(&store, "../x", &digest),
            Err(StoreError::OddStem { .. })
        ));
    }

    #[test]
    fn lines_of_many_threads_are_all_read() {
        let dir = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let local = Local::open(dir.path()).unwrap();
                scope.spawn(move || {
                    for n in 0..8 {
                        local.add(&run(&format!("{thread}-{n}"), n, false)).unwrap();
                    }
                });
            }
        });
        assert_eq!(Local::open(dir.path()).unwrap().histories().len(), 32);
    }
}
