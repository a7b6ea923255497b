//! What of a recorded execution its runner does not declare, and what to do
//! about each: pure, from the record and from what the runner grants.
//!
//! Each path is told of once; where many files of one folder were touched, the
//! folder is. What every step may read is left out.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

use crate::process::Deed;

/// From so many files on, their folder is told of instead.
const MANY: usize = 6;

/// What a runner grants, and what lies where. All paths are real ones.
#[derive(Clone, Debug, Default)]
pub(crate) struct Grants {
    /// What its steps may read.
    pub(crate) read: Vec<PathBuf>,
    /// What they may change.
    pub(crate) write: Vec<PathBuf>,
    /// Sockets that are opened up.
    pub(crate) sockets: Vec<PathBuf>,
    /// Whether they may use the network.
    pub(crate) network: bool,
    /// The repository's root.
    pub(crate) repository: PathBuf,
    /// Named sources.
    pub(crate) sources: Vec<(String, PathBuf)>,
    /// The folder of runners' scripts.
    pub(crate) runners: PathBuf,
    /// Trees of the store that are artifacts of cards.
    pub(crate) artifacts: BTreeMap<PathBuf, String>,
    /// The store's folder of caches.
    pub(crate) caches: PathBuf,
    /// The user's home folder.
    pub(crate) home: Option<PathBuf>,
}

/// Something that was done and is not declared.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Undeclared {
    /// What.
    pub(crate) deed: Deed,
    /// The file, the folder with all that is below it, or the address.
    pub(crate) place: PathBuf,
    /// How many files it stands for; 1 for the place itself.
    pub(crate) files: usize,
    /// What to do.
    pub(crate) remedy: Remedy,
}

/// What to do about something that is not declared.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Remedy {
    /// An entry of `inputs`: the source, unless it is the repository, and a glob.
    Input(Option<String>, String),
    /// A tool.
    Tool(String),
    /// A cache.
    Cache(String),
    /// The artifact of a card.
    Use(String),
    /// The network.
    Network,
    /// No line: words for people.
    Advice(String),
}

impl Grants {
    /// `deeds`, where what was missed in `work`, the folder of the inputs, and
    /// lies in the repository at the same place, counts as read there.
    pub(crate) fn with_missed(
        &self,
        deeds: BTreeSet<(Deed, PathBuf)>,
        work: &Path,
        kind: impl Fn(&Path) -> Option<Deed>,
    ) -> BTreeSet<(Deed, PathBuf)> {
        let read = |(deed, path): (Deed, PathBuf)| {
            let below = path.strip_prefix(work).ok().filter(|_| deed == Deed::Miss);
            let there = below.map(|below| self.repository.join(below));
            let is_plain = |path: &PathBuf| !path.components().any(|c| c == Component::ParentDir);
            let found = there
                .filter(is_plain)
                .and_then(|there| Some((kind(&there)?, there)));
            found.unwrap_or((deed, path))
        };
        deeds.into_iter().map(read).collect()
    }

    /// What of `deeds` is not declared, in order.
    pub(crate) fn undeclared(&self, deeds: &BTreeSet<(Deed, PathBuf)>) -> Vec<Undeclared> {
        let outside: Vec<&(Deed, PathBuf)> = deeds
            .iter()
            .filter(|(deed, path)| !self.grants(*deed, path))
            .collect();
        let programs = outside
            .iter()
            .filter(|(deed, path)| *deed == Deed::Execute && self.input(path, "").is_none());
        // What a tool reads of its own installation is the tool.
        let prefixes: BTreeMap<PathBuf, String> = programs
            .map(|(_, path)| (self.prefix(path), name(path)))
            .rev()
            .collect();
        let in_tool = |path: &Path| prefixes.keys().find(|prefix| path.starts_with(prefix));
        let mut found = BTreeSet::new();
        let mut files: BTreeMap<Deed, BTreeSet<&Path>> = BTreeMap::new();
        for (deed, path) in outside {
            match (deed, in_tool(path)) {
                (Deed::Read | Deed::List | Deed::Execute, Some(prefix)) => {
                    found.insert(Undeclared {
                        deed: Deed::Execute,
                        place: prefix.clone(),
                        files: 1,
                        remedy: Remedy::Tool(prefixes[prefix].clone()),
                    });
                }
                // A folder that files were read in was listed on the way.
                (Deed::Read | Deed::List | Deed::Execute, None) => {
                    files.entry(Deed::Read).or_default().insert(path);
                }
                (Deed::Write, _) => {
                    files.entry(Deed::Write).or_default().insert(path);
                }
                // What is nowhere is no use.
                (Deed::Miss, _) => {}
                (Deed::Talk | Deed::Connect | Deed::Listen, _) => {
                    found.insert(Undeclared {
                        deed: *deed,
                        place: path.clone(),
                        files: 1,
                        remedy: self.of_connection(*deed, path),
                    });
                }
            }
        }
        let listed = |path: &Path| deeds.contains(&(Deed::List, path.to_owned()));
        for (deed, paths) in files {
            for (place, count) in folded(&paths, &|path| self.is_border(path)) {
                let is_folder = count > 1 || listed(&place);
                let remedy = match deed {
                    Deed::Write => self.of_write(&place),
                    _ => self.of_read(&place, is_folder),
                };
                found.insert(Undeclared {
                    deed,
                    place,
                    files: count,
                    remedy,
                });
            }
        }
        found.into_iter().collect()
    }

    fn grants(&self, deed: Deed, path: &Path) -> bool {
        let within = |folders: &[PathBuf]| folders.iter().any(|folder| path.starts_with(folder));
        match deed {
            Deed::Read | Deed::Miss | Deed::List | Deed::Execute => {
                within(&self.read) || within(&self.write)
            }
            Deed::Write => within(&self.write),
            Deed::Talk => within(&self.write) || within(&self.sockets) || self.network,
            Deed::Connect | Deed::Listen => self.network,
        }
    }

    /// A folder that nothing is folded into: too much lies there.
    fn is_border(&self, path: &Path) -> bool {
        path == self.repository
            || self
                .home
                .as_deref()
                .is_some_and(|home| home.starts_with(path))
            || self.repository.starts_with(path)
            || self.sources.iter().any(|(_, source)| source == path)
            || path.components().count() < 3
    }

    /// The folder of a program's installation.
    fn prefix(&self, program: &Path) -> PathBuf {
        let is_programs = |folder: &&Path| {
            let name = folder.file_name().unwrap_or_default();
            ["bin", "sbin", "libexec", "shims"]
                .iter()
                .any(|known| name == *known)
        };
        let above = program.parent().filter(is_programs).and_then(Path::parent);
        let above = above.filter(|above| !self.is_border(above) && !above.ends_with(".local"));
        above.unwrap_or(program).to_owned()
    }

    fn input(&self, path: &Path, below: &str) -> Option<Remedy> {
        let glob = |path: &Path| {
            let shown = path.display().to_string();
            if shown.is_empty() {
                "**".into()
            } else {
                format!("{shown}{below}")
            }
        };
        for (source, folder) in &self.sources {
            if let Ok(path) = path.strip_prefix(folder) {
                return Some(Remedy::Input(Some(source.clone()), glob(path)));
            }
        }
        let path = path.strip_prefix(&self.repository).ok()?;
        Some(Remedy::Input(None, glob(path)))
    }

    /// What lies in the folders of `mikado` itself.
    fn of_own_folders(&self, path: &Path) -> Option<Remedy> {
        if let Ok(below) = path.strip_prefix(&self.caches)
            && let Some(cache) = below.iter().next()
        {
            return Some(Remedy::Cache(cache.to_string_lossy().into_owned()));
        }
        let tree = self
            .artifacts
            .iter()
            .find(|(tree, _)| path.starts_with(tree));
        if let Some((_, card)) = tree {
            return Some(Remedy::Use(card.clone()));
        }
        let own = path.starts_with(self.repository.join(".mikado"))
            || self
                .caches
                .parent()
                .is_some_and(|store| path.starts_with(store));
        own.then(|| Remedy::Advice("that is mikado's own: name what is meant".into()))
    }

    fn of_read(&self, path: &Path, is_folder: bool) -> Remedy {
        if let Some(remedy) = self.of_own_folders(path) {
            return remedy;
        }
        if path.starts_with(&self.runners) {
            return Remedy::Advice(
                "a runner's own scripts lie in `runners/NAME/`, and are read as `$RUNNER`".into(),
            );
        }
        // A tool that climbs up looks into folders without needing them.
        if is_folder && self.repository.starts_with(path) {
            return Remedy::Advice("steps see the folders above them as they are laid".into());
        }
        if let Some(remedy) = self.input(path, if is_folder { "/**" } else { "" }) {
            return remedy;
        }
        let in_home = self
            .home
            .as_deref()
            .is_some_and(|home| path.starts_with(home));
        Remedy::Advice(match in_home {
            true => "steps do not see your home folder: make it an input, or name it in `home:` of a fetch".into(),
            false => "make it an input or a source, or write `isolation: none`".into(),
        })
    }

    fn of_write(&self, path: &Path) -> Remedy {
        match self.of_own_folders(path) {
            Some(Remedy::Cache(name)) => return Remedy::Cache(name),
            Some(_) => {
                return Remedy::Advice(
                    "artifacts are never changed: copy, and write to `$OUT`".into(),
                );
            }
            None => {}
        }
        Remedy::Advice(if path.starts_with(&self.repository) {
            "a build writes to `$OUT`; what changes the repository is a command, without `inputs`"
                .into()
        } else if path.starts_with("/tmp") || path.starts_with("/var/tmp") {
            "write to `$TMPDIR`".into()
        } else {
            "write to `$OUT`, to `$TMPDIR`, or to a cache (`caches: [NAME]`, then `$CACHE/NAME`)"
                .into()
        })
    }

    fn of_connection(&self, deed: Deed, path: &Path) -> Remedy {
        match deed {
            Deed::Talk => Remedy::Advice(format!(
                "`{}` is a service of this machine: `sockets: [nix, docker, ssh-agent]` for one of these, else `isolation: none`, or a command instead of a build",
                name(path)
            )),
            _ => Remedy::Network,
        }
    }
}

fn name(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

/// The paths, with folders in the place of the many files in them: each with the
/// number of paths that it stands for.
fn folded(paths: &BTreeSet<&Path>, is_border: &dyn Fn(&Path) -> bool) -> Vec<(PathBuf, usize)> {
    let mut counts: BTreeMap<&Path, usize> = BTreeMap::new();
    let holds = |folder: &Path| {
        let mut others = paths.iter().filter(|path| **path != folder);
        others.any(|path| path.starts_with(folder))
    };
    // A folder that was listed, and whose files were read, is not told of for
    // itself; but one that nothing is folded into is.
    let told: Vec<&Path> = paths.iter().copied().filter(|path| !holds(path)).collect();
    let borders = paths.iter().filter(|path| holds(path) && is_border(path));
    for path in &told {
        for folder in path.ancestors().skip(1) {
            *counts.entry(folder).or_default() += 1;
        }
    }
    let folds = |folder: &Path| {
        let count = counts.get(folder).copied().unwrap_or(0);
        // A folder with one folder in it says less than that one.
        let narrower = counts
            .iter()
            .any(|(below, within)| below.parent() == Some(folder) && *within == count);
        count >= MANY && !narrower && !is_border(folder)
    };
    let mut found: BTreeMap<PathBuf, usize> = borders.map(|path| (path.to_path_buf(), 1)).collect();
    for path in &told {
        let above: Vec<&Path> = path.ancestors().skip(1).collect();
        // The widest that is no border.
        let place = above.iter().rev().find(|folder| folds(folder));
        match place {
            Some(folder) => {
                let count = counts.get(folder).copied().unwrap_or(1);
                found.insert((*folder).to_owned(), count);
            }
            None => {
                found.entry((*path).to_owned()).or_insert(1);
            }
        }
    }
    found.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grants() -> Grants {
        Grants {
            read: vec!["/usr".into(), "/repo/.mikado/tmp/a".into()],
            sockets: Vec::new(),
            write: vec!["/repo/.mikado/tmp/a".into()],
            repository: "/repo".into(),
            sources: vec![("notes".into(), "/elsewhere/notes".into())],
            runners: "/repo/runners".into(),
            artifacts: BTreeMap::from([("/repo/.mikado/trees/f00".into(), "other".into())]),
            caches: "/repo/.mikado/caches".into(),
            home: Some("/home/me".into()),
            network: false,
        }
    }

    fn found(deeds: &[(Deed, &str)]) -> Vec<(String, usize, Remedy)> {
        let deeds = deeds.iter().map(|(deed, path)| (*deed, path.into()));
        let found = grants().undeclared(&deeds.collect());
        let shown = |one: Undeclared| (one.place.display().to_string(), one.files, one.remedy);
        found.into_iter().map(shown).collect()
    }

    fn input(source: Option<&str>, glob: &str) -> Remedy {
        Remedy::Input(source.map(str::to_owned), glob.to_owned())
    }

    #[test]
    fn what_is_granted_is_left_out() {
        let deeds = [
            (Deed::Read, "/usr/lib/libc.so"),
            (Deed::Execute, "/usr/bin/wc"),
            (Deed::Read, "/repo/.mikado/tmp/a/work/x"),
            (Deed::Write, "/repo/.mikado/tmp/a/out/x"),
        ];
        assert_eq!(found(&deeds), []);
    }

    #[test]
    fn files_of_the_repository_and_of_sources_become_inputs() {
        let deeds = [
            (Deed::Read, "/repo/docs/a.md"),
            (Deed::Execute, "/repo/tool.sh"),
            (Deed::Read, "/repo/tool.sh"),
            (Deed::Read, "/elsewhere/notes/x"),
        ];
        assert_eq!(
            found(&deeds),
            [
                ("/elsewhere/notes/x".into(), 1, input(Some("notes"), "x")),
                ("/repo/docs/a.md".into(), 1, input(None, "docs/a.md")),
                ("/repo/tool.sh".into(), 1, input(None, "tool.sh")),
            ]
        );
    }

    #[test]
    fn many_files_of_a_folder_become_the_folder() {
        let files: Vec<String> = (0..9).map(|n| format!("/repo/docs/deep/{n}.md")).collect();
        let mut deeds: Vec<_> = files
            .iter()
            .map(|file| (Deed::Read, file.as_str()))
            .collect();
        deeds.extend([
            (Deed::List, "/repo/docs/deep"),
            (Deed::Read, "/repo/one.md"),
        ]);
        assert_eq!(
            found(&deeds),
            [
                ("/repo/docs/deep".into(), 9, input(None, "docs/deep/**")),
                ("/repo/one.md".into(), 1, input(None, "one.md")),
            ]
        );
    }

    #[test]
    fn a_program_elsewhere_is_a_tool_with_all_that_it_brings() {
        let deeds = [
            (Deed::Execute, "/home/me/go/bin/lint"),
            (Deed::Read, "/home/me/go/lib/rules"),
            (Deed::Execute, "/home/me/.local/bin/fmt"),
        ];
        assert_eq!(
            found(&deeds),
            [
                (
                    "/home/me/.local/bin/fmt".into(),
                    1,
                    Remedy::Tool("fmt".into())
                ),
                ("/home/me/go".into(), 1, Remedy::Tool("lint".into())),
            ]
        );
    }

    #[test]
    fn artifacts_caches_and_addresses_have_lines_of_their_own() {
        let deeds = [
            (Deed::Read, "/repo/.mikado/trees/f00/bin/x"),
            (Deed::Write, "/repo/.mikado/caches/go/x"),
            (Deed::Connect, "127.0.0.1:80"),
        ];
        let remedies: Vec<Remedy> = found(&deeds)
            .into_iter()
            .map(|(_, _, remedy)| remedy)
            .collect();
        assert_eq!(
            remedies,
            [
                Remedy::Use("other".into()),
                Remedy::Cache("go".into()),
                Remedy::Network
            ]
        );
    }

    #[test]
    fn what_no_line_mends_has_words() {
        let advice = |deed, path| match found(&[(deed, path)]).pop() {
            Some((_, _, Remedy::Advice(words))) => words,
            other => format!("{other:?}"),
        };
        assert!(advice(Deed::Read, "/home/me/.netrc").contains("home folder"));
        assert!(advice(Deed::Write, "/tmp/x").contains("$TMPDIR"));
        assert!(advice(Deed::Write, "/repo/x").contains("$OUT"));
        assert!(advice(Deed::Talk, "/run/docker.sock").contains("docker.sock"));
    }
}
