//! The world that an isolated execution sees, laid out as acts for its child.
//!
//! Hidden folders are covered: `/tmp` and `/var/tmp` by a folder of the
//! action, others by an empty one in memory. What the execution may use is
//! shown in them at its place, with every link on the way. Whatever is only to be
//! read is shown read-only, since a rule of Landlock for `/tmp` holds for what
//! is shown below it as well. All that is covered or shown is worked out here,
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
pub(super) fn lay_out(isolation: &Isolation, spaces: &Spaces) -> Namespaces {
    let (views, acts) = plan(isolation, spaces);
    Namespaces::new(spaces.network, views, acts)
}

fn plan(isolation: &Isolation, spaces: &Spaces) -> (Vec<View>, Vec<Act>) {
    let mut places = hidden(spaces);
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
    // What may be written comes first: it stays so when it is also to be read.
    let shown = own
        .map(|path| (path, false))
        .chain(others.map(|path| (path, true)));
    for (path, read_only) in shown {
        if is_moved(path) || system.read.contains(path) {
            continue;
        }
        let mut links = Vec::new();
        let Some(real) = resolve(path, &mut links) else {
            continue;
        };
        for (place, text) in links {
            if is_covered(&place) {
                places.entry(place).or_insert(Place::Link(text));
            }
        }
        if !is_covered(&real) || is_moved(&real) {
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

/// The places that are covered.
fn hidden(spaces: &Spaces) -> BTreeMap<PathBuf, Place> {
    let system = Isolation::of_system();
    let mut places = BTreeMap::new();
    for path in &spaces.hidden {
        let Ok(real) = path.canonicalize() else {
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

/// Where `path` really is; and the links on the way, each with its place and its text. `None` if it is not there.
fn resolve(path: &Path, links: &mut Vec<(PathBuf, PathBuf)>) -> Option<PathBuf> {
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
    real.symlink_metadata().is_ok().then_some(real)
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
            (Place::Shown { what, .. }, None) => what != path,
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
            (Place::Shown { .. }, Some(_)) => true,
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
