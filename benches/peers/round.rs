//! One tool on one graph: all cases once, and whether it did what it should.
//!
//! How much was executed is seen from the outputs (a file's inode and time, a
//! link's text), whatever the tool says. What is moved away is deleted when all
//! is over, since a file system makes files slowly after many were deleted.

use std::error::Error;
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::launch::{Sample, launch};
use crate::synthetic::Graph;
use crate::tool::Tool;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Case {
    /// Everything is executed.
    Cold,
    /// Nothing has changed.
    Nothing,
    /// One input has changed.
    Changed,
    /// The outputs are gone, and are in the tool's cache.
    Restored,
}

/// A tool with its files for one graph.
pub(crate) struct Place<'a> {
    pub(crate) tool: &'a Tool,
    graph: &'a Graph,
    folder: PathBuf,
    trash: PathBuf,
    prints: PathBuf,
    command: Vec<String>,
    environment: Vec<(String, String)>,
    moved: usize,
}

/// What an output is: another value is another output.
type Trace = Option<(u64, i64, i64, PathBuf)>;

impl<'a> Place<'a> {
    /// Lays the tool's files below `folder`.
    pub(crate) fn new(
        tool: &'a Tool,
        graph: &'a Graph,
        folder: &Path,
        command: Vec<String>,
        environment: Vec<(String, String)>,
    ) -> io::Result<Place<'a>> {
        let place = Place {
            tool,
            graph,
            folder: folder.join("project"),
            trash: folder.join("trash"),
            prints: folder.to_owned(),
            command,
            environment,
            moved: 0,
        };
        fs::create_dir_all(&place.folder)?;
        fs::create_dir_all(&place.trash)?;
        (tool.lay)(graph, &place.folder)?;
        Ok(place)
    }

    /// Runs every case once, nothing to do `quiet` times.
    pub(crate) fn round(
        &mut self,
        cold: bool,
        quiet: usize,
    ) -> Result<Vec<(Case, Sample)>, Box<dyn Error>> {
        let all = self.graph.size();
        let mut samples = Vec::new();
        if cold {
            self.forget()?;
            samples.push((Case::Cold, self.run("cold", all)?));
        }
        if !self.tool.skips {
            return Ok(samples);
        }
        self.run("nothing to do, for the first time", 0)?;
        for _ in 0..quiet {
            samples.push((Case::Nothing, self.run("nothing to do", 0)?));
        }
        let input = self.folder.join((self.tool.input)(self.graph.changed));
        writeln!(fs::OpenOptions::new().append(true).open(input)?, "changed")?;
        let executed = Graph::executed_by_change().min(all);
        samples.push((Case::Changed, self.run("one input changed", executed)?));
        if self.tool.restores {
            self.move_outputs_away()?;
            samples.push((Case::Restored, self.run("outputs gone", all)?));
        }
        Ok(samples)
    }

    /// Runs the tool; `expected` outputs must be others than before.
    fn run(&self, case: &str, expected: usize) -> Result<Sample, Box<dyn Error>> {
        let before = self.traces();
        let sample = launch(&self.command, &self.folder, &self.environment, &self.prints)?;
        let after = self.traces();
        let made = before.iter().zip(&after).filter(|(a, b)| a != b).count();
        let name = self.tool.name;
        if after.contains(&None) {
            return Err(format!("{name}: {case}: outputs are missing").into());
        }
        if made != expected {
            let words = format!("{name}: {case}: {made} outputs were made, expected {expected}");
            return Err(words.into());
        }
        if self.tool.is_mikado() && case != "cold" {
            let printed = fs::read_to_string(self.prints.join("printed.out"))?;
            let restored = case == "outputs gone";
            let executed = if restored { 0 } else { expected };
            if executed_as_told(&printed) != executed {
                return Err(format!("{name}: {case}: it says another number:\n{printed}").into());
            }
        }
        Ok(sample)
    }

    fn traces(&self) -> Vec<Trace> {
        let trace = |node| {
            let path = self.folder.join((self.tool.output)(node));
            let found = fs::symlink_metadata(&path).ok()?;
            match fs::read_link(&path) {
                // A link is known by where it leads: it may be made anew in vain.
                Ok(target) => Some((0, 0, 0, target)),
                Err(_) => {
                    let times = (found.mtime(), found.mtime_nsec());
                    Some((found.ino(), times.0, times.1, PathBuf::new()))
                }
            }
        };
        (0..self.graph.size()).map(trace).collect()
    }

    /// Takes away all that the tool knows, and opens again what is to run.
    fn forget(&mut self) -> io::Result<()> {
        self.move_outputs_away()?;
        for path in self.tool.state {
            self.move_away(Path::new(path))?;
        }
        (self.tool.reopen)(self.graph, &self.folder)
    }

    fn move_outputs_away(&mut self) -> io::Result<()> {
        for node in 0..self.graph.size() {
            self.move_away(&(self.tool.output)(node))?;
        }
        Ok(())
    }

    fn move_away(&mut self, path: &Path) -> io::Result<()> {
        self.moved += 1;
        let kept = self.trash.join(self.moved.to_string());
        match fs::rename(self.folder.join(path), kept) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            done => done,
        }
    }
}

/// How many cards `mikado` says it executed, in its last line.
fn executed_as_told(printed: &str) -> usize {
    let last = printed.lines().rfind(|line| line.contains(" cards: "));
    let words: Vec<&str> = last.unwrap_or_default().split_whitespace().collect();
    let place = words.iter().position(|word| word.starts_with("executed"));
    place
        .and_then(|place| words.get(place.checked_sub(1)?)?.parse().ok())
        .unwrap_or(0)
}
