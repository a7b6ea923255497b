//! What a ready card lacks on this machine, found without executing anything:
//! its platform, a source, a tool.

use std::collections::BTreeSet;

use crate::answer::Coded;
use crate::card::Card;
use crate::index::{Kind, Watched};
use crate::runner::definition::Input;
use crate::runner::host::HostTools;
use crate::runner::lock::{TOOL_LOCK, ToolLock};
use crate::runner::platform::Platform;
use crate::runner::source_spec::SourceSpec;
use crate::runner::sources::{SOURCES, Sources};
use crate::runner::tools::Declared;
use crate::runner::work::{self, Overrides, Work};
use crate::words;
use crate::workspace::{self, Setting};

use super::selection::Selection;

/// The machine as the plan sees it: what is declared, and what is there.
pub(crate) struct Lack<'a> {
    selection: &'a Selection,
    /// `None` where the list can't be read, which `check` says.
    sources: Option<Sources>,
    lock: Option<ToolLock>,
    hosts: HostTools,
    overrides: Overrides,
}

impl<'a> Lack<'a> {
    /// Looks at the project's lists.
    pub(crate) fn new(selection: &'a Selection) -> Lack<'a> {
        let project = &selection.project;
        let (user, here) = (&selection.user, &selection.here);
        let read = |name: &str| {
            std::fs::read_to_string(project.runners_dir.join(name)).unwrap_or_default()
        };
        let setting = Setting {
            store: selection.store.clone(),
            ..Setting::default()
        };
        let store = workspace::store_folder(project, &setting, here, user);
        Lack {
            selection,
            sources: Sources::new(&project.root, &read(SOURCES), user, &[], here).ok(),
            lock: ToolLock::parse(&read(TOOL_LOCK)).ok(),
            hosts: HostTools::new(user.clone(), &project.root, &store),
            overrides: Overrides {
                project: project.config.with.clone(),
                ..Overrides::default()
            },
        }
    }

    /// What `card` lacks, the first of it; `None` where nothing is known to be
    /// missing. A git source or a package that was not fetched yet is not
    /// missing, and a tool that was never asked for its version may fit.
    pub(crate) fn of(&self, card: &Card, work: &Work) -> Option<Coded> {
        self.platform(work)
            .or_else(|| self.source(card, work))
            .or_else(|| self.tool(card, work))
    }

    /// Adds what it was found by, beside the project's own lists.
    pub(crate) fn watch(&self, watched: &Watched) {
        let root = &self.selection.project.root;
        for folder in self.sources.iter().flat_map(Sources::folders) {
            watched.add(root.join(folder), Kind::Target);
        }
        watched.add(self.hosts.file(), Kind::Target);
        self.hosts.watch(watched);
    }

    fn platform(&self, work: &Work) -> Option<Coded> {
        let wanted = &work.definition.platform;
        let here = workspace::platform_name();
        if wanted.is_empty() || wanted.contains(&here) {
            return None;
        }
        let message = format!(
            "its runner works on {}, and this is `{here}`",
            words::list(wanted)
        );
        Some(Coded::new("platform", message))
    }

    fn source(&self, card: &Card, work: &Work) -> Option<Coded> {
        let sources = self.sources.as_ref()?;
        let parameters = work::parameters(card, work, &self.overrides).ok()?;
        let definition = &work.definition;
        let inputs = definition.all_inputs();
        let named: BTreeSet<String> = inputs
            .filter_map(|input: &Input| parameters.expand(input.source.as_ref()?).ok())
            .collect();
        named.iter().find_map(|name| match sources.spec(name) {
            Err(error) => Some(Coded::new("source", error.to_string())),
            Ok(SourceSpec::Folder(path)) => {
                let full = self.selection.project.root.join(path);
                let message = || {
                    format!(
                        "the source `{name}` is the folder `{}`, which is not there",
                        path.display()
                    )
                };
                (!full.is_dir()).then(|| Coded::new("source", message()))
            }
            Ok(_) => None,
        })
    }

    fn tool(&self, card: &Card, work: &Work) -> Option<Coded> {
        let lock = self.lock.as_ref()?;
        let platform = Platform::current()?;
        let runner = work.runner_name(&card.stem);
        work.definition.tools.iter().find_map(|(name, spec)| {
            let declared = Declared { runner, name, spec };
            let error = match lock.find(&declared, platform) {
                Ok(Some(_)) => return None,
                Ok(None) => self.hosts.recall(&declared)?.err()?,
                Err(error) => error,
            };
            Some(Coded::new("tool", error.to_string()))
        })
    }
}
