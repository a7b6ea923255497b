//! Synthetic chains: layered random graphs that are the same everywhere.
//!
//! N nodes lie in L layers. Each node past the first layer draws 0 to 3
//! prerequisites, each with probability 0.7 from the layer before and else from
//! any earlier one. A node has one input of 220 bytes and one small output, the
//! checksums of the input and of its prerequisites' outputs, so that a changed
//! input changes all that lies below it. The node that is changed has exactly 7
//! dependents, direct or not.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use self::random::Random;

pub(crate) mod random;

/// How many dependents the changed node has.
const DEPENDENTS: usize = 7;

/// The prose of a card: lines, and words in each.
const PROSE: (usize, usize) = (25, 12);

/// The length of an input in bytes.
const INPUT: usize = 220;

/// The runner that all cards use. `${card}` in a parameter is the card's stem.
const RUNNER: &str = r#"summary: Checksums of an input and of what came before
with:
  input: "in/${card}.txt"
inputs:
  - { paths: ["${with.input}"] }
steps:
  - name: sum
    run: shopt -s nullglob; cksum in/*.txt ../requires/*/sum.txt > "$OUT/sum.txt"
"#;

/// A graph. Node `i` requires the nodes of `requires[i]`, all of them before it.
pub(crate) struct Graph {
    /// The prerequisites of each node, in ascending order.
    pub(crate) requires: Vec<Vec<usize>>,
    /// The node whose input is changed.
    pub(crate) changed: usize,
}

impl Graph {
    /// The graph of `size` nodes: always the same one.
    pub(crate) fn new(size: usize) -> Graph {
        // A small graph need not have a node with exactly 7 dependents: the next seed may.
        let mut seed = size as u64;
        loop {
            let requires = draw(size, layers(size), &mut Random(seed));
            if let Some(changed) = node_with_dependents(&requires) {
                return Graph { requires, changed };
            }
            seed += 1;
        }
    }

    /// How many nodes there are.
    pub(crate) fn size(&self) -> usize {
        self.requires.len()
    }

    /// How many nodes are executed when the changed node's input changes.
    pub(crate) fn executed_by_change() -> usize {
        DEPENDENTS + 1
    }

    /// The name of a node: as long for every node of every graph.
    pub(crate) fn name(node: usize) -> String {
        format!("n{node:06}")
    }

    /// Writes the inputs, `in/NAME.txt`.
    pub(crate) fn write_inputs(&self, folder: &Path) -> io::Result<()> {
        fs::create_dir_all(folder.join("in"))?;
        for node in 0..self.size() {
            fs::write(folder.join(input_path(node)), input(node))?;
        }
        Ok(())
    }

    /// Writes a project of `mikado` with its inputs, all cards open. With
    /// `isolated` false the runner confines nothing.
    pub(crate) fn write_project(&self, folder: &Path, isolated: bool) -> io::Result<()> {
        self.write_inputs(folder)?;
        fs::create_dir_all(folder.join("cards"))?;
        fs::create_dir_all(folder.join("runners"))?;
        fs::write(folder.join("mikado.yaml"), "cards: [cards]\n")?;
        let isolation = if isolated { "" } else { "isolation: none\n" };
        fs::write(
            folder.join("runners/sum.yaml"),
            [RUNNER, isolation].concat(),
        )?;
        self.write_cards(folder)
    }

    /// Writes the cards, all of them open.
    pub(crate) fn write_cards(&self, folder: &Path) -> io::Result<()> {
        for node in 0..self.size() {
            let path = folder.join(format!("cards/{}.md", Graph::name(node)));
            fs::write(path, self.card(node))?;
        }
        Ok(())
    }

    /// The text of a node's card.
    pub(crate) fn card(&self, node: usize) -> String {
        let name = Graph::name(node);
        let requires: Vec<String> = self.requires[node]
            .iter()
            .map(|&node| Graph::name(node))
            .collect();
        let mut text = format!(
            "---\ntitle: Node {name} of a synthetic chain\nmodified: 2026-01-15\nstatus: active\n\
             requires: [{}]\ntags: [synthetic, bench]\nrunner: sum\n---\n# Node {name}\n\n",
            requires.join(", ")
        );
        let mut random = Random(node as u64);
        for _ in 0..PROSE.0 {
            let words: Vec<&str> = (0..PROSE.1).map(|_| *random.one_of(&WORDS)).collect();
            text.push_str(&words.join(" "));
            text.push('\n');
        }
        text
    }
}

/// Where a node's input lies.
pub(crate) fn input_path(node: usize) -> PathBuf {
    PathBuf::from(format!("in/{}.txt", Graph::name(node)))
}

/// A node's input, as it is at first.
pub(crate) fn input(node: usize) -> String {
    let mut random = Random(node as u64);
    let mut text = format!("{}\n", Graph::name(node));
    while text.len() < INPUT - 1 {
        text.push(char::from(b'a' + random.below(26) as u8));
    }
    text.push('\n');
    text
}

/// How many layers a graph has: 4, 8, 16, 24, 32 for 10 .. 100,000 nodes.
fn layers(size: usize) -> usize {
    match size {
        0..50 => 4,
        50..500 => 8,
        500..5_000 => 16,
        5_000..50_000 => 24,
        _ => 32,
    }
}

fn draw(size: usize, layers: usize, random: &mut Random) -> Vec<Vec<usize>> {
    let begin = |layer: usize| size * layer / layers;
    let mut requires = vec![Vec::new(); size];
    for layer in 1..layers {
        for node_requires in &mut requires[begin(layer)..begin(layer + 1)] {
            for _ in 0..random.below(4) {
                let from = match random.below(10) {
                    0..7 => begin(layer - 1),
                    _ => 0,
                };
                node_requires.push(from + random.below(begin(layer) - from));
            }
            node_requires.sort_unstable();
            node_requires.dedup();
        }
    }
    requires
}

/// The node with exactly [`DEPENDENTS`] dependents that is nearest to the middle.
fn node_with_dependents(requires: &[Vec<usize>]) -> Option<usize> {
    let mut dependents = vec![Vec::new(); requires.len()];
    for (node, before) in requires.iter().enumerate() {
        for &prerequisite in before {
            dependents[prerequisite].push(node);
        }
    }
    let middle = requires.len() / 2;
    let mut nodes: Vec<usize> = (0..requires.len()).collect();
    nodes.sort_by_key(|node| (node.abs_diff(middle), *node));
    nodes
        .into_iter()
        .find(|&node| reached(node, &dependents) == DEPENDENTS)
}

/// How many nodes depend on `node`; the count ends soon after [`DEPENDENTS`].
fn reached(node: usize, dependents: &[Vec<usize>]) -> usize {
    let mut seen = vec![node];
    let mut next = 0;
    while next < seen.len() && seen.len() <= DEPENDENTS + 1 {
        for &dependent in &dependents[seen[next]] {
            if !seen.contains(&dependent) {
                seen.push(dependent);
            }
        }
        next += 1;
    }
    seen.len() - 1
}

const WORDS: [&str; 24] = [
    "the", "step", "before", "this", "one", "leaves", "a", "file", "which", "is", "read", "here",
    "and", "written", "again", "with", "its", "sum", "so", "that", "nothing", "changes", "unless",
    "needed",
];
