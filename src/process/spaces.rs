//! The world that an isolated execution sees, laid out as acts for its child.
//!
//! Hidden folders are covered: `/tmp` and `/var/tmp` by a folder of the
//! action, others by an empty one in memory. What the execution may use is
//! shown in them at its place, with every link on the way. Whatever is not to be
//! written is read-only: a rule of Landlock for `/tmp` holds for what
//! is shown below it as well, and there is none for modes and times. All that is covered or shown is worked out here,
//! in the reaper, because its child must not allocate.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::CString;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use super::isolation::{Isolation, Spaces};
use super::sys::{Act, Namespaces, View};

/// The folders of temporary files.
const TEMPORARY: [&str; 2] = ["/tmp", "/var/tmp"];

/// No more links than the kernel follows in one path (path_resolution(7)).
const LINKS: usize = 40;

/// What happens at a place.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    /// It is covered by an empty folder.
    Empty,
    /// It is covered by the folder for temporary files.
    Temporary(PathBuf),
    /// It is covered by a device that nobody can connect to.
    Nothing,
    /// Something is shown.
    Shown { what: PathBuf, read_only: bool },
    /// A link is made.
    Link(PathBuf),
}

impl Place {
    fn covers(&self) -> bool {
        matches!(self, Place::Empty | Place::Temporary(_))
    }
}

/// The namespaces for an isolation.
pub(super) fn lay_out(isolation: &Isolation, spaces: &Spaces, ways: &mut Ways) -> Namespaces {
    let (views, acts) = plan(isolation, spaces, ways);
    Namespaces::new(spaces.network, views, acts)
}

fn plan(isolation: &Isolation, spaces: &Spaces, ways: &mut Ways) -> (Vec<View>, Vec<Act>) {
    let mut places = hidden(spaces, ways);
    let covered: Vec<PathBuf> = places.keys().cloned().collect();
    let is_covered = |path: &Path| covered.iter().any(|cover| path.starts_with(cover));
    let is_moved = |path: &Path| {
        spaces
            .moved
            .iter()
            .any(|(folder, _)| path.starts_with(folder))
    };
    let system = Isolation::of_system();
    let own = isolation.write.iter().chain(&isolation.sockets);
    let others = isolation.read.iter().chain(&spaces.seen);
    // Where there is no Landlock, the settings of processes in there stay what they are.
    let settings = PathBuf::from("/proc");
    let settings = isolation.without_landlock.then_some(&settings);
    // What may be written comes first: it stays so when it is also to be read.
    let shown = own
        .map(|path| (path, false))
        .chain(settings.map(|path| (path, false)))
        .chain(others.map(|path| (path, true)));
    for (path, read_only) in shown {
        if is_moved(path) || read_only && system.read.contains(path) {
            continue;
        }
        let Some(Way { real, links }) = ways.to(path) else {
            continue;
        };
        for (place, text) in links {
            if is_covered(&place) {
                places.entry(place).or_insert(Place::Link(text));
            }
        }
        let read_only = read_only || !can_be_sealed(&real);
        if is_moved(&real) || read_only && !is_covered(&real) {
            continue;
        }
        let what = real.clone();
        let place = places.entry(real);
        let shown = Place::Shown { what, read_only };
        match place {
            std::collections::btree_map::Entry::Vacant(place) => drop(place.insert(shown)),
            // What is hidden and may be used is not hidden.
            std::collections::btree_map::Entry::Occupied(mut place) => {
                if !matches!(place.get(), Place::Shown { .. }) {
                    place.insert(shown);
                }
            }
        }
    }
    for (folder, place) in &spaces.moved {
        let read_only = !isolation.write.iter().any(|path| path.starts_with(folder));
        let what = folder.clone();
        places.insert(in_cover(place, spaces), Place::Shown { what, read_only });
    }
    Layout::default().of(&places)
}

/// Whether it is read-only where it is mounted so; devices and sockets are not.
fn can_be_sealed(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|found| found.is_dir() || found.is_file())
}

/// The places that are covered.
fn hidden(spaces: &Spaces, ways: &mut Ways) -> BTreeMap<PathBuf, Place> {
    let system = Isolation::of_system();
    let mut places = BTreeMap::new();
    for path in &spaces.hidden {
        let Some(Way { real, .. }) = ways.to(path) else {
            continue;
        };
        let Ok(metadata) = fs::symlink_metadata(&real) else {
            continue;
        };
        // Without the system nothing runs.
        if system.read.iter().any(|needed| needed.starts_with(&real)) {
            continue;
        }
        let temporary = TEMPORARY.iter().any(|folder| path == Path::new(folder));
        let place = match &spaces.tmp {
            _ if !metadata.is_dir() => Place::Nothing,
            Some(tmp) if temporary => Place::Temporary(tmp.clone()),
            _ => Place::Empty,
        };
        places.entry(real).or_insert(place);
    }
    places
}

/// `place`, which lies in a hidden folder, by that folder's real path.
fn in_cover(place: &Path, spaces: &Spaces) -> PathBuf {
    let real = spaces.hidden.iter().find_map(|cover| {
        let below = place.strip_prefix(cover).ok()?;
        Some(cover.canonicalize().ok()?.join(below))
    });
    real.unwrap_or_else(|| place.to_owned())
}

/// Finds out where paths really are, and remembers it of folders: those of a run lie in the same few.
#[derive(Default)]
pub(super) struct Ways(BTreeMap<PathBuf, Way>);

/// Where a path really is; and the links on the way, each with its place and its text.
#[derive(Debug, Clone)]
struct Way {
    real: PathBuf,
    links: Vec<(PathBuf, PathBuf)>,
}

impl Ways {
    /// The way to `path`; `None` if it is not there.
    fn to(&mut self, path: &Path) -> Option<Way> {
        let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
            return way(path);
        };
        let mut found = match self.0.get(folder) {
            Some(known) => known.clone(),
            None => {
                let found = way(folder)?;
                self.0.insert(folder.to_owned(), found.clone());
                found
            }
        };
        found.real.push(name);
        match rustix::fs::readlink(&found.real, Vec::new()) {
            // It is there, and no link.
            Err(rustix::io::Errno::INVAL) => Some(found),
            _ => way(path),
        }
    }
}

/// The way to `path`, from the root on.
fn way(path: &Path) -> Option<Way> {
    let mut links = Vec::new();
    let mut real = PathBuf::from("/");
    let mut rest: Vec<std::ffi::OsString> = reversed(path);
    while let Some(name) = rest.pop() {
        match name.as_bytes() {
            b"/" => real = "/".into(),
            b".." => drop(real.pop()),
            _ => {
                real.push(&name);
                let Ok(text) = fs::read_link(&real) else {
                    continue;
                };
                if links.len() == LINKS {
                    return None;
                }
                rest.extend(reversed(&text));
                links.push((real.clone(), text));
                real.pop();
            }
        }
    }
    let there = real.symlink_metadata().is_ok();
    there.then_some(Way { real, links })
}

fn reversed(path: &Path) -> Vec<std::ffi::OsString> {
    let parts = path.components().filter(|part| *part != Component::CurDir);
    let mut parts: Vec<_> = parts.map(|part| part.as_os_str().to_owned()).collect();
    parts.reverse();
    parts
}

/// The acts, as they are laid out: parents before what is in them.
#[derive(Default)]
struct Layout {
    views: Vec<View>,
    acts: Vec<Act>,
    /// The places that were covered or shown so far, outermost first, on the way to the present one.
    around: Vec<(PathBuf, Place)>,
    made: BTreeSet<PathBuf>,
    sealed: Vec<Act>,
}

impl Layout {
    fn of(mut self, places: &BTreeMap<PathBuf, Place>) -> (Vec<View>, Vec<Act>) {
        let what = PathBuf::from("/");
        let read_only = true;
        self.acts.push(Act::SealAll);
        self.around
            .push((what.clone(), Place::Shown { what, read_only }));
        // In the order of paths a folder comes before all that is in it.
        for (path, place) in places {
            while self
                .around
                .last()
                .is_some_and(|(outer, _)| !path.starts_with(outer))
            {
                self.around.pop();
            }
            self.place(path, place, places);
        }
        self.acts.append(&mut self.sealed);
        (self.views, self.acts)
    }

    fn place(&mut self, path: &Path, place: &Place, places: &BTreeMap<PathBuf, Place>) {
        let around = self.around.last().cloned();
        let cover = around.as_ref().filter(|(_, outer)| outer.covers());
        let is_needed = match (place, &around) {
            // Where all is hidden already, only what shows something is needed.
            (Place::Empty | Place::Temporary(_), _) => {
                let shows =
                    |(inner, place): (&PathBuf, &Place)| inner.starts_with(path) && !place.covers();
                cover.is_none() || places.iter().any(shows)
            }
            (Place::Nothing, _) => cover.is_none(),
            (Place::Link(_), _) => cover.is_some(),
            (
                Place::Shown { what, read_only },
                Some((
                    outer,
                    Place::Shown {
                        what: whole,
                        read_only: all,
                    },
                )),
            ) => {
                let is_part = path.strip_prefix(outer).ok() == what.strip_prefix(whole).ok();
                !is_part || *all && !read_only
            }
            (Place::Shown { .. }, _) => true,
        };
        if !is_needed {
            return;
        }
        let inside = cover.is_some();
        if let Some((outer, _)) = cover {
            self.make_folders(outer, path.parent().unwrap_or(path));
        }
        match place {
            Place::Empty => {
                self.make(inside, path, Act::Folder);
                self.acts.push(Act::Cover(text(path)));
                self.sealed.push(Act::Seal(text(path)));
            }
            Place::Temporary(folder) => {
                self.make(inside, path, Act::Folder);
                self.show(folder, false, path);
            }
            Place::Nothing => self.show(Path::new("/dev/null"), true, path),
            Place::Link(target) => self.acts.push(Act::Link(text(path), text(target))),
            Place::Shown { what, read_only } => {
                let make = if what.is_dir() {
                    Act::Folder
                } else {
                    Act::File
                };
                self.make(inside, path, make);
                self.show(what, *read_only, path);
            }
        }
        if !matches!(place, Place::Link(_)) {
            self.around.push((path.to_owned(), place.clone()));
        }
    }

    fn make(&mut self, inside: bool, path: &Path, make: fn(CString) -> Act) {
        if inside && self.made.insert(path.to_owned()) {
            self.acts.push(make(text(path)));
        }
    }

    /// Makes the folders from below `outer` to `folder`.
    fn make_folders(&mut self, outer: &Path, folder: &Path) {
        let mut missing: Vec<&Path> = folder
            .ancestors()
            .take_while(|folder| *folder != outer && folder.starts_with(outer))
            .collect();
        missing.reverse();
        for folder in missing {
            self.make(true, folder, Act::Folder);
        }
    }

    fn show(&mut self, what: &Path, read_only: bool, place: &Path) {
        let path = text(what);
        self.acts.push(Act::Show(self.views.len(), text(place)));
        self.views.push(View { path, read_only });
    }
}

/// A path as the system wants it; one that holds a NUL came through the system and can't be.
fn text(path: &Path) -> CString {
    CString::new(path.as_os_str().as_bytes()).unwrap_or_default()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    /// A world of files to lay spaces over.
    struct World(tempfile::TempDir);

    impl World {
        fn new(folders: &[&str]) -> World {
            // Its real path: places are real.
            let base = std::env::temp_dir().canonicalize().unwrap();
            let world = World(tempfile::tempdir_in(base).unwrap());
            for folder in folders {
                fs::create_dir_all(world.at(folder)).unwrap();
            }
            world
        }

        fn at(&self, path: &str) -> PathBuf {
            self.0.path().join(path)
        }

        /// The acts with this world's folder as `@`.
        fn acts(&self, isolation: &Isolation, spaces: &Spaces) -> Vec<String> {
            let (views, mut acts) = plan(isolation, spaces, &mut Ways::default());
            assert_eq!(acts.remove(0), Act::SealAll);
            let shown = |text: &CString| {
                let text = text.to_string_lossy();
                text.replace(&*self.0.path().to_string_lossy(), "@")
            };
            let act = |act: &Act| match act {
                Act::Cover(path) => format!("cover {}", shown(path)),
                Act::Folder(path) => format!("folder {}", shown(path)),
                Act::File(path) => format!("file {}", shown(path)),
                Act::Link(path, text) => format!("link {} -> {}", shown(path), shown(text)),
                Act::Seal(path) => format!("seal {}", shown(path)),
                Act::SealAll => "seal all".to_owned(),
                Act::Show(view, place) => {
                    let View { path, read_only } = &views[*view];
                    let mode = if *read_only { "read" } else { "write" };
                    format!("show {} at {} to {mode}", shown(path), shown(place))
                }
            };
            acts.iter().map(act).collect()
        }
    }

    #[test]
    fn what_may_be_used_is_shown_in_what_is_hidden() {
        let world = World::new(&["repo/.mikado/tmp/a", "repo/.mikado/trees/t", "other"]);
        let isolation = Isolation {
            read: vec![
                world.at("repo/.mikado/trees/t"),
                world.at("other"),
                world.at("gone"),
            ],
            write: vec![world.at("repo/.mikado/tmp/a")],
            ..Isolation::default()
        };
        let spaces = Spaces {
            hidden: vec![world.at("repo"), world.at("gone")],
            seen: vec![world.at("repo/.mikado/trees")],
            ..Spaces::default()
        };
        assert_eq!(
            world.acts(&isolation, &spaces),
            [
                "cover @/repo",
                "folder @/repo/.mikado",
                "folder @/repo/.mikado/tmp",
                "folder @/repo/.mikado/tmp/a",
                "show @/repo/.mikado/tmp/a at @/repo/.mikado/tmp/a to write",
                "folder @/repo/.mikado/trees",
                "show @/repo/.mikado/trees at @/repo/.mikado/trees to read",
                "seal @/repo"
            ]
        );
    }

    #[test]
    fn what_may_be_written_stays_so_where_nothing_is_hidden() {
        let world = World::new(&["seen/cache/part", "seen/lib"]);
        let isolation = Isolation {
            read: vec![world.at("seen"), world.at("seen/lib")],
            write: vec![
                world.at("seen/cache/part"),
                world.at("seen/cache"),
                "/dev/null".into(),
            ],
            ..Isolation::default()
        };
        assert_eq!(
            world.acts(&isolation, &Spaces::default()),
            ["show @/seen/cache at @/seen/cache to write"]
        );
    }

    #[test]
    fn a_folder_to_write_in_one_to_read_is_shown_by_itself() {
        let world = World::new(&["hidden/tool/cache", "hidden/tool/lib"]);
        let isolation = Isolation {
            read: vec![world.at("hidden/tool"), world.at("hidden/tool/lib")],
            write: vec![world.at("hidden/tool/cache")],
            ..Isolation::default()
        };
        let spaces = Spaces {
            hidden: vec![world.at("hidden")],
            ..Spaces::default()
        };
        assert_eq!(
            world.acts(&isolation, &spaces),
            [
                "cover @/hidden",
                "folder @/hidden/tool",
                "show @/hidden/tool at @/hidden/tool to read",
                "show @/hidden/tool/cache at @/hidden/tool/cache to write",
                "seal @/hidden"
            ]
        );
    }

    #[test]
    fn every_link_on_the_way_is_made() {
        let world = World::new(&["hidden/versions/3.11.7/bin"]);
        fs::write(world.at("hidden/versions/3.11.7/bin/python"), "").unwrap();
        symlink("3.11.7", world.at("hidden/versions/3.11")).unwrap();
        symlink("versions/3.11", world.at("hidden/now")).unwrap();
        let isolation = Isolation {
            read: vec![world.at("hidden/now/bin/python")],
            ..Isolation::default()
        };
        let spaces = Spaces {
            hidden: vec![world.at("hidden")],
            ..Spaces::default()
        };
        assert_eq!(
            world.acts(&isolation, &spaces),
            [
                "cover @/hidden",
                "link @/hidden/now -> versions/3.11",
                "folder @/hidden/versions",
                "link @/hidden/versions/3.11 -> 3.11.7",
                "folder @/hidden/versions/3.11.7",
                "folder @/hidden/versions/3.11.7/bin",
                "file @/hidden/versions/3.11.7/bin/python",
                "show @/hidden/versions/3.11.7/bin/python at @/hidden/versions/3.11.7/bin/python to read",
                "seal @/hidden"
            ]
        );
    }

    #[test]
    fn a_moved_root_is_at_its_place_alone() {
        let world = World::new(&["repo/.mikado/tmp/a/tmp", "temporary"]);
        let root = world.at("repo/.mikado/tmp/a");
        let isolation = Isolation {
            read: vec![root.join("tmp")],
            write: vec![root.clone()],
            ..Isolation::default()
        };
        let spaces = Spaces {
            hidden: vec![world.at("repo"), world.at("temporary")],
            moved: vec![(root, world.at("temporary/mikado/root"))],
            ..Spaces::default()
        };
        assert_eq!(
            world.acts(&isolation, &spaces),
            [
                "cover @/repo",
                "cover @/temporary",
                "folder @/temporary/mikado",
                "folder @/temporary/mikado/root",
                "show @/repo/.mikado/tmp/a at @/temporary/mikado/root to write",
                "seal @/repo",
                "seal @/temporary"
            ]
        );
    }

    #[test]
    fn a_socket_is_covered_by_nothing_unless_it_is_opened() {
        let world = World::new(&["home"]);
        let socket = world.at("home/agent");
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        let spaces = Spaces {
            hidden: vec![socket.clone()],
            ..Spaces::default()
        };
        let mut isolation = Isolation::default();
        let acts = world.acts(&isolation, &spaces);
        assert_eq!(acts, ["show /dev/null at @/home/agent to read"]);
        isolation.sockets.push(socket);
        assert!(world.acts(&isolation, &spaces).is_empty());
    }

    #[test]
    fn the_system_is_never_hidden() {
        let world = World::new(&[]);
        let nothing = world.acts(&Isolation::of_system(), &Spaces::default());
        for path in ["/", "/usr", "/no/such/folder"] {
            let spaces = Spaces {
                hidden: vec![path.into()],
                ..Spaces::default()
            };
            let acts = world.acts(&Isolation::of_system(), &spaces);
            assert_eq!(acts, nothing, "{path}");
        }
    }

    #[test]
    fn links_in_a_circle_lead_nowhere() {
        let world = World::new(&[]);
        symlink("b", world.at("a")).unwrap();
        symlink("a", world.at("b")).unwrap();
        assert!(Ways::default().to(&world.at("a")).is_none());
    }
}
