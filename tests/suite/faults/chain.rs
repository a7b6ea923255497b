//! A chain of builds with real files whose artifacts are known beforehand: what
//! each must hold is worked out here, without the program.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use mikado::digest::{Digest, hex};
use mikado::store::Store;

use crate::support::sandbox::{Ran, Sandbox};

/// A file, a link or a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    File { text: String, executable: bool },
    Link(String),
    Folder,
}

impl Entry {
    /// A file that is no program.
    pub fn text(text: impl Into<String>) -> Entry {
        Entry::File {
            text: text.into(),
            executable: false,
        }
    }
}

/// What lies in a folder, by path.
pub type Tree = BTreeMap<String, Entry>;

/// One card.
#[derive(Clone, Debug)]
pub struct Node {
    pub stem: String,
    pub requires: Vec<usize>,
    pub word: String,
    /// Its inputs, below `src/STEM`.
    pub inputs: Tree,
}

/// A chain, and what its repository holds.
pub struct Chain {
    pub sandbox: Sandbox,
    pub nodes: Vec<Node>,
    /// What the runner writes into each artifact.
    pub version: u32,
}

/// How many small files every seventh artifact has.
const MANY: usize = 60;

const RUNNER: &str = r#"
with: { stem: ~, word: '', many: 0 }
inputs: [{ paths: ['src/${with.stem}/**'] }]
caches: [count]
steps:
  - name: gather
    run: |
      shopt -s nullglob
      echo "$WITH_STEM" >> "$CACHE/count/log"
      cp -a "src/$WITH_STEM" "$OUT/own"
      sums=("$REQUIRES"/*/sum)
      { echo "$WITH_WORD"; cat /dev/null "${sums[@]}" "$OUT/own/text"; } | sha256sum | cut -c1-64 > "$OUT/sum"
  - name: shape
    run: |
      echo VERSION > "$OUT/version"
      printf '#!/bin/sh\necho %s\n' "$WITH_WORD" > "$OUT/run"
      chmod 755 "$OUT/run"
      ln -s sum "$OUT/link"
      ln -s /nowhere/at/all "$OUT/dangling"
      mkdir -p "$OUT/empty" "$OUT/.hidden/many"
      for ((i = 0; i < WITH_MANY; i++)); do echo "$i" > "$OUT/.hidden/many/$i"; done
"#;

impl Chain {
    /// A chain of `count` cards, each of which requires up to two before it.
    pub fn new(count: usize) -> Chain {
        Chain::in_sandbox(Sandbox::new(), count)
    }

    /// The same in a repository that is there.
    pub fn in_sandbox(sandbox: Sandbox, count: usize) -> Chain {
        let nodes: Vec<Node> = (0..count).map(node).collect();
        let chain = Chain {
            sandbox,
            nodes,
            version: 1,
        };
        chain.write_runner();
        for at in 0..count {
            chain.write_card(at);
            let folder = chain.inputs_of(at);
            write_tree(&folder, &chain.nodes[at].inputs);
        }
        chain
    }

    /// Where the inputs of a card lie.
    pub fn inputs_of(&self, at: usize) -> PathBuf {
        self.sandbox.path(&format!("src/{}", self.nodes[at].stem))
    }

    /// Writes the runner as it should be now.
    pub fn write_runner(&self) {
        let text = RUNNER.replace("VERSION", &self.version.to_string());
        self.sandbox.write("runners/node.yaml", &text);
    }

    /// Writes a card, open.
    pub fn write_card(&self, at: usize) {
        let path = format!("cards/{}.md", self.nodes[at].stem);
        self.sandbox.write(&path, &self.card_text(at, "active"));
    }

    /// What a card's file holds with this status.
    pub fn card_text(&self, at: usize, status: &str) -> String {
        let Node {
            stem,
            requires,
            word,
            ..
        } = &self.nodes[at];
        let requires: Vec<&str> = requires
            .iter()
            .map(|at| self.nodes[*at].stem.as_str())
            .collect();
        let requires = requires.join(", ");
        let many = if at.is_multiple_of(7) { MANY } else { 0 };
        format!(
            "---\nstatus: {status}\nrequires: [{requires}]\nrunner: node\nwith: {{ stem: {stem}, word: '{word}', many: {many} }}\n---\n# {stem}\n"
        )
    }

    /// What each artifact must hold, by card.
    pub fn expected(&self) -> Vec<Tree> {
        let mut sums: Vec<String> = Vec::new();
        let mut trees = Vec::new();
        for (at, node) in self.nodes.iter().enumerate() {
            let mut hashed = format!("{}\n", node.word);
            let mut requires = node.requires.clone();
            requires.sort_by_key(|at| &self.nodes[*at].stem);
            for required in requires {
                hashed.push_str(&sums[required]);
            }
            if let Some(Entry::File { text, .. }) = node.inputs.get("text") {
                hashed.push_str(text);
            }
            sums.push(format!("{}\n", hex(&Digest::of(hashed.as_bytes()).hash)));
            let mut tree = Tree::new();
            for (path, entry) in &node.inputs {
                tree.insert(format!("own/{path}"), entry.clone());
            }
            tree.insert("sum".into(), Entry::text(sums[at].clone()));
            tree.insert("version".into(), Entry::text(format!("{}\n", self.version)));
            let program = Entry::File {
                text: format!("#!/bin/sh\necho {}\n", node.word),
                executable: true,
            };
            tree.insert("run".into(), program);
            tree.insert("link".into(), Entry::Link("sum".into()));
            tree.insert("dangling".into(), Entry::Link("/nowhere/at/all".into()));
            for folder in ["own", "empty", ".hidden", ".hidden/many"] {
                tree.insert(folder.into(), Entry::Folder);
            }
            if at.is_multiple_of(7) {
                for file in 0..MANY {
                    tree.insert(
                        format!(".hidden/many/{file}"),
                        Entry::text(format!("{file}\n")),
                    );
                }
            }
            // Folders are made for what is in them; an empty one is no input.
            for path in tree.keys().cloned().collect::<Vec<_>>() {
                for parent in Path::new(&path).ancestors().skip(1) {
                    let parent = parent.to_string_lossy().into_owned();
                    if !parent.is_empty() {
                        tree.entry(parent).or_insert(Entry::Folder);
                    }
                }
            }
            trees.push(tree);
        }
        trees
    }

    /// Runs all of it.
    pub fn run(&self) -> Ran {
        self.sandbox.mikado("run --all --format json")
    }

    /// The same with output for people, which a run with nothing to do has from
    /// its index.
    pub fn run_as_people_do(&self) -> Ran {
        self.sandbox.mikado("run --all")
    }

    /// Asserts that every artifact of this work tree holds what it must, and
    /// bears the name of what it holds; returns the names.
    #[track_caller]
    pub fn assert_right(&self, context: &str) -> Vec<String> {
        self.assert_right_in(&self.sandbox.root(), context)
    }

    /// The same of a work tree elsewhere.
    #[track_caller]
    pub fn assert_right_in(&self, root: &Path, context: &str) -> Vec<String> {
        let mut names = Vec::new();
        for (node, expected) in self.nodes.iter().zip(self.expected()) {
            let link = root.join(".mikado/artifacts").join(&node.stem);
            let folder = link
                .canonicalize()
                .unwrap_or_else(|e| panic!("{context}: {}: {e}", link.display()));
            let found = read_tree(&folder);
            assert_eq!(found, expected, "{context}: {}", node.stem);
            let name = folder
                .file_name()
                .expect("a name")
                .to_string_lossy()
                .into_owned();
            let store = folder.ancestors().nth(2).expect("a store");
            let store = Store::open(store).expect("a store");
            let hashed = store.hash_dir(&folder).expect("a readable tree").digest;
            assert_eq!(hashed.hex(), name, "{context}: {}", node.stem);
            names.push(name);
        }
        names
    }

    /// Asserts that every card is complete, and nothing else of it has changed.
    #[track_caller]
    pub fn assert_complete(&self, context: &str) {
        for at in 0..self.nodes.len() {
            let path = format!("cards/{}.md", self.nodes[at].stem);
            assert_eq!(
                self.sandbox.read(&path),
                self.card_text(at, "complete"),
                "{context}: {path}"
            );
        }
    }

    /// Asserts that nothing of a killed process is left: no lock that is held,
    /// no file that was being written, no scratch folder, no process.
    #[track_caller]
    pub fn assert_tidy(&self, context: &str) {
        let store = self.sandbox.path(".mikado");
        for entry in entries(&store.join("locks")) {
            let file = File::open(&entry).expect("a lock file");
            assert!(
                file.try_lock().is_ok(),
                "{context}: {} is held",
                entry.display()
            );
        }
        for folder in ["tmp", "new"] {
            assert_eq!(
                entries(&store.join(folder)),
                Vec::<PathBuf>::new(),
                "{context}"
            );
        }
        let folders = [
            "",
            "segments",
            "artifacts",
            "logs",
            "locks",
            "trees",
            "trees/.used",
        ];
        let folders = folders.iter().map(|folder| store.join(folder));
        for folder in folders.chain([self.sandbox.path("cards"), self.sandbox.root()]) {
            for entry in entries(&folder) {
                let name = entry
                    .file_name()
                    .expect("a name")
                    .to_string_lossy()
                    .into_owned();
                let half = [".new", ".tmp", ".mikado-"]
                    .iter()
                    .any(|start| name.starts_with(start));
                assert!(!half, "{context}: {} was left", entry.display());
            }
        }
        self.assert_nothing_runs(context);
    }

    /// Asserts that no process of this repository is left, or ends at once.
    #[track_caller]
    pub fn assert_nothing_runs(&self, context: &str) {
        let begun = Instant::now();
        loop {
            let left = processes_of(&self.sandbox);
            if left.is_empty() {
                return;
            }
            assert!(
                begun.elapsed() < Duration::from_secs(20),
                "{context}: {left:?} is left"
            );
            std::thread::yield_now();
        }
    }
}

/// A card as it is at first.
fn node(at: usize) -> Node {
    let mut requires = Vec::new();
    if !at.is_multiple_of(4) {
        requires.push(at - 1);
    }
    if at > 0 && !requires.contains(&(at / 2)) {
        requires.push(at / 2);
    }
    let mut inputs = Tree::new();
    inputs.insert("text".into(), Entry::text(format!("text of {at}\n")));
    let script = Entry::File {
        text: format!("#!/bin/sh\necho {at}\n"),
        executable: true,
    };
    inputs.insert("bin/tool".into(), script);
    inputs.insert("bin/link".into(), Entry::Link("../text".into()));
    inputs.insert(
        "deep/er/a b \u{e4}".into(),
        Entry::text("x".repeat(at * 100)),
    );
    Node {
        stem: format!("c{at:02}"),
        requires,
        word: format!("w{at}"),
        inputs,
    }
}

/// Makes a folder hold exactly this.
pub fn write_tree(folder: &Path, tree: &Tree) {
    drop(fs::remove_dir_all(folder));
    for (path, entry) in tree {
        write_entry(&folder.join(path), entry);
    }
}

/// Writes one entry anew.
pub fn write_entry(path: &Path, entry: &Entry) {
    fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
    match entry {
        Entry::Folder => fs::create_dir_all(path).expect("a folder"),
        Entry::Link(text) => symlink(text, path).expect("a link"),
        Entry::File { text, executable } => {
            fs::write(path, text).expect("a file");
            let mode = if *executable { 0o755 } else { 0o644 };
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("a mode");
        }
    }
}

/// What a folder holds.
pub fn read_tree(folder: &Path) -> Tree {
    let mut tree = Tree::new();
    let mut pending = vec![String::new()];
    while let Some(below) = pending.pop() {
        for entry in entries(&folder.join(&below)) {
            let name = entry
                .file_name()
                .expect("a name")
                .to_string_lossy()
                .into_owned();
            let path = match below.as_str() {
                "" => name,
                below => format!("{below}/{name}"),
            };
            let meta = entry.symlink_metadata().expect("an entry");
            let found = if meta.is_dir() {
                pending.push(path.clone());
                Entry::Folder
            } else if meta.is_symlink() {
                Entry::Link(
                    fs::read_link(&entry)
                        .expect("a link")
                        .to_string_lossy()
                        .into_owned(),
                )
            } else {
                Entry::File {
                    text: fs::read_to_string(&entry).expect("a file"),
                    executable: meta.permissions().mode() & 0o100 != 0,
                }
            };
            tree.insert(path, found);
        }
    }
    tree
}

/// The paths in a folder, in order; none where there is no folder.
pub fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    let mut paths: Vec<PathBuf> = entries
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .collect();
    paths.sort();
    paths
}

/// The processes that work in a repository, or were told of it.
pub fn processes_of(sandbox: &Sandbox) -> Vec<String> {
    let root = sandbox.root();
    let place = root.parent().expect("a folder").display().to_string();
    let mut found = Vec::new();
    for process in entries(Path::new("/proc")) {
        let name = process
            .file_name()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        if name.parse() == Ok(std::process::id()) || !name.bytes().all(|byte| byte.is_ascii_digit())
        {
            continue;
        }
        let cwd = fs::read_link(process.join("cwd")).unwrap_or_default();
        let read = |file: &str| {
            String::from_utf8_lossy(&fs::read(process.join(file)).unwrap_or_default()).into_owned()
        };
        let command = read("cmdline");
        if cwd.starts_with(&place) || command.contains(&place) || read("environ").contains(&place) {
            found.push(format!("{name}: {}", command.replace('\0', " ")));
        }
    }
    found
}
