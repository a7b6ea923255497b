//! The world that a run acts on: the project's files, the store, tools, sources
//! and the user's environment. Opened once, shared by all threads of a run.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use crate::action::reason::{self, Reason};
use crate::action::{Action, InputRoot, Machine};
use crate::card::Stem;
use crate::digest::Digest;
use crate::engine::fault::Obstacle;
use crate::engine::order::Order;
use crate::engine::store_error;
use crate::error::Error;
use crate::index::{Kind, NO_CARD, Watched};
use crate::plan::PlannedCard;
use crate::process::{FetchEnvironment, Kernel};
use crate::project::Project;
use crate::remote::{Cache, CacheGiven, Executor, ExecutorGiven};
use crate::runner::client::UserEnvironment;
use crate::runner::git::{GitSources, Reach};
use crate::runner::host::{HostTool, HostTools};
use crate::runner::inputs::Fault;
use crate::runner::listing::{Lister, Stamp};
use crate::runner::lock::{TOOL_LOCK, ToolLock};
use crate::runner::platform::Platform;
use crate::runner::provision::{Provisioner, ToolProgress};
use crate::runner::sources::{Override, SOURCES, Sources};
use crate::runner::tools::{Declared, ToolError, ToolFault, ToolSpec};
use crate::store::{Local, Store};
use crate::trace::Trace;

/// The variable that leaves isolation out, to find out whether a fault is its:
/// `landlock` or `namespaces` for that alone, or `none`.
const ISOLATION: &str = "MIKADO_ISOLATION";

/// What the command line says about the world.
#[derive(Clone, Debug, Default)]
pub struct Setting {
    /// `--store`.
    pub store: Option<PathBuf>,
    /// `--cache` and `--cache-mode`.
    pub cache: CacheGiven,
    /// `--source NAME=PATH`.
    pub sources: Vec<String>,
    /// `--refresh`: ask again what tags and branches are.
    pub refresh: bool,
    /// `--tools path`: take every tool from PATH.
    pub tools_from_path: bool,
    /// Whether nothing may be downloaded, and no tool of the machine asked.
    pub offline: bool,
}

/// Everything that a run acts on.
#[derive(Debug)]
pub struct Workspace {
    /// The project.
    pub project: Project,
    /// The store.
    pub store: Arc<Store>,
    /// This work tree's own records.
    pub local: Local,
    /// Lists inputs.
    pub lister: Lister,
    /// Lists the scripts of runners.
    pub script_lister: Lister,
    /// Knows digests of files.
    pub trace: Trace,
    /// What keys say of the machine.
    pub machine: Machine,
    /// The user's environment.
    pub user: UserEnvironment,
    /// The commit that is checked out.
    pub commit: Option<String>,
    /// The machine's name.
    pub host_name: String,
    /// The cache that machines share, if one is used.
    pub cache: Option<Arc<Cache>>,
    /// The server that executes, if one is used.
    pub executor: Option<Arc<Executor>>,
    /// What keeps keys apart from those of other levels of trust; often empty.
    pub namespace: String,
    kernel: OnceLock<Kernel>,
    hidden: OnceLock<Vec<PathBuf>>,
    isolation: Option<String>,
    sources: Sources,
    git: GitSources,
    reach: Reach,
    resolved: Mutex<BTreeMap<String, PathBuf>>,
    described: Mutex<BTreeMap<String, String>>,
    lock: ToolLock,
    hosts: HostTools,
    tools_from_path: bool,
    /// Whether tools of the machine are taken for what is asked of them.
    assumes_tools: bool,
    all_tools: Vec<(String, String, ToolSpec)>,
    /// The files that each card's actions were described from.
    reads: Mutex<Reads>,
}

/// The files that actions were described from.
#[derive(Debug, Default)]
struct Reads {
    of_cards: BTreeMap<Stem, BTreeSet<PathBuf>>,
    /// What each was like when it was listed; `None` where that changed.
    stamps: BTreeMap<PathBuf, Option<Stamp>>,
}

impl Workspace {
    /// Opens the world of `project`. `here` is the folder that relative paths
    /// of the command line are below; `all_tools` are the tools of all runners:
    /// the runner, the tool's name, its declaration.
    ///
    /// # Errors
    ///
    /// Where the store, the lock or the list of sources can't be read.
    pub fn open(
        project: Project,
        setting: &Setting,
        here: &Path,
        user: UserEnvironment,
        all_tools: Vec<(String, String, ToolSpec)>,
    ) -> Result<Workspace, Error> {
        let local_folder = project.root.join(".mikado");
        let store_folder = store_folder(&project, setting, here, &user);
        let store = Store::open(&store_folder).map_err(|e| store_error(&e))?;
        let local = Local::open(&local_folder).map_err(|e| store_error(&e))?;
        let runners = &project.runners_dir;
        let lock = read_lock(&runners.join(TOOL_LOCK))?;
        let overrides = setting
            .sources
            .iter()
            .map(|text| Override::parse(text, here))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|e| Error::usage(e.to_string(), ""))?;
        let list = read_or_empty(&runners.join(SOURCES))?;
        let sources = Sources::new(&project.root, &list, &user, &overrides, here)
            .map_err(|e| Error::usage(e.to_string(), ""))?;
        let git = GitSources::new(store.folder(), user.clone());
        let commit = git.head_of(&project.root);
        let mut hidden = project.card_dirs.clone();
        hidden.push(runners.clone());
        let hosts = HostTools::new(user.clone(), &project.root, store.folder());
        let hosts = match setting.offline {
            true => hosts.without_asking(),
            false => hosts,
        };
        let reach = match (setting.offline, setting.refresh) {
            (true, _) => Reach::Store,
            (false, true) => Reach::Refresh,
            (false, false) => Reach::Network,
        };
        let host_name = rustix::system::uname();
        let isolation = user
            .value(ISOLATION)
            .map(|word| word.to_string_lossy().into_owned());
        if let Some(word) = isolation.as_deref()
            && Kernel::default().limited(word).is_none()
        {
            return Err(Error::usage(
                format!("`{word}` in {ISOLATION} is no way to isolate"),
                "expected `landlock`, `namespaces` or `none`",
            ));
        }
        let config = &project.config.cache;
        let namespace = config.namespace(&user)?;
        let cache = config.settled(&setting.cache, &project.root, &user)?;
        let cache = cache.filter(|_| !setting.offline);
        Ok(Workspace {
            cache: cache.map(|settings| Arc::new(Cache::new(settings))),
            executor: None,
            namespace,
            trace: Trace::open(&local.folder().join("trace")),
            lister: Lister::new(hidden),
            script_lister: Lister::default(),
            machine: this_machine(),
            kernel: OnceLock::new(),
            hidden: OnceLock::new(),
            isolation,
            host_name: host_name.nodename().to_string_lossy().into_owned(),
            store: Arc::new(store),
            local,
            project,
            user,
            commit,
            sources,
            git,
            reach,
            resolved: Mutex::default(),
            described: Mutex::default(),
            lock,
            hosts,
            tools_from_path: setting.tools_from_path,
            assumes_tools: false,
            all_tools,
            reads: Mutex::default(),
        })
    }

    /// The same, with the server that executes, where one is to be used.
    ///
    /// # Errors
    ///
    /// Where what is said of it means nothing.
    pub fn with_executor(mut self, given: &ExecutorGiven) -> Result<Workspace, Error> {
        let config = &self.project.config.executor;
        let cache = self.cache.as_deref().map(Cache::settings);
        let settings = config.settled(given, cache, &self.project.root, &self.user)?;
        self.executor =
            settings.map(|settings| Arc::new(Executor::new(settings, self.cache.as_ref())));
        Ok(self)
    }

    /// Whether the files of an artifact are here, as far as one look tells. Without a
    /// server that executes no artifact is known by its names alone: none is looked at.
    pub(crate) fn has_files(&self, artifact: &Digest) -> bool {
        self.executor.is_none() || self.store.path_of_tree(artifact).is_dir()
    }

    /// Remembers which files an action of `stem` was described from.
    pub(crate) fn note_reads(&self, stem: &Stem, root: &InputRoot) {
        let mut reads = self.reads.lock().unwrap_or_else(PoisonError::into_inner);
        let files = root.iter().filter_map(|(_, node)| node.origin());
        for (path, stamp) in files {
            let first = reads.stamps.entry(path.to_owned()).or_insert(Some(stamp));
            if *first != Some(stamp) {
                *first = None;
            }
            let of_card = reads.of_cards.entry(stem.clone()).or_default();
            of_card.insert(path.to_owned());
        }
    }

    /// Whether a file that an action was described from is still the one that was
    /// listed then.
    pub(crate) fn is_as_read(&self, path: &Path) -> bool {
        let reads = self.reads.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(Some(stamp)) = reads.stamps.get(path) else {
            return false;
        };
        let now = path.symlink_metadata().map(|now| Stamp::of(&now));
        now.is_ok_and(|now| now == *stamp)
    }

    /// Adds all that the cards of a run were described from, beside the files of
    /// cards and runners. `number` is a card's number in the run.
    pub(crate) fn watch(&self, watched: &Watched, number: impl Fn(&Stem) -> Option<u32>) {
        watched.take(&self.lister.watched);
        watched.take(&self.script_lister.watched);
        self.hosts.watch(watched);
        for (_, folder) in self.source_folders() {
            watched.add(&folder, Kind::Presence);
        }
        let reads = self.reads.lock().unwrap_or_else(PoisonError::into_inner);
        for (stem, files) in &reads.of_cards {
            let number = number(stem).unwrap_or(NO_CARD);
            for file in files {
                watched.add_for(number, file, Kind::Entry);
            }
        }
    }

    /// What is out of an execution's sight, as `find` finds it once a run.
    pub(crate) fn hidden(&self, find: impl FnOnce() -> Vec<PathBuf>) -> &[PathBuf] {
        self.hidden.get_or_init(find)
    }

    /// What the kernel can do to confine an execution, as far as
    /// `MIKADO_ISOLATION` lets it: asked once, at the first call.
    pub fn kernel(&self) -> Kernel {
        *self.kernel.get_or_init(|| {
            // Without the process that tries, Landlock is still known.
            let kernel = Kernel::probe().unwrap_or_else(|_| Kernel::landlock());
            let limited = self.isolation.as_deref().map(|word| kernel.limited(word));
            limited.flatten().unwrap_or(kernel)
        })
    }

    /// Whether the user wants less isolation than there is.
    pub fn isolation_is_limited(&self) -> bool {
        self.isolation.is_some()
    }

    /// The same, in which every tool of the machine is what is asked of it:
    /// good for comparing two descriptions, and for nothing else.
    #[must_use]
    pub(crate) fn assuming_tools(mut self) -> Workspace {
        self.assumes_tools = true;
        self
    }

    /// The folder of a named source.
    pub(crate) fn source(&self, name: &str) -> Result<PathBuf, Fault> {
        let mut resolved = self.resolved.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(path) = resolved.get(name) {
            return Ok(path.clone());
        }
        let tree = self.sources.resolve(name, &self.git, self.reach);
        let tree = tree.map_err(|error| Fault::Source {
            message: error.to_string(),
            help: String::new(),
        })?;
        let mut described = self
            .described
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        described.insert(name.to_owned(), tree.described);
        resolved.insert(name.to_owned(), tree.path.clone());
        Ok(tree.path)
    }

    /// The names of all sources.
    pub fn source_names(&self) -> Vec<String> {
        self.sources.names().map(str::to_owned).collect()
    }

    /// The sources that were read so far, and where they are.
    pub(crate) fn source_folders(&self) -> BTreeMap<String, PathBuf> {
        let resolved = self.resolved.lock();
        resolved.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The sources that were read so far, and what they are.
    pub fn sources_read(&self) -> BTreeMap<String, String> {
        let described = self
            .described
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        described.clone()
    }

    /// The digest of a provisioned tool's tree, from the lock alone; `None` for
    /// a tool of the machine.
    pub(crate) fn tool_tree(&self, declared: &Declared<'_>) -> Result<Option<Digest>, ToolError> {
        // A tool that PATH does not have, not in that version, or only as a shim
        // that reads the user's home folder, is provisioned.
        let is_shim = |tool: &HostTool| tool.program.components().any(|c| c.as_os_str() == "shims");
        if self.tools_from_path {
            match self.hosts.find(declared) {
                Ok(tool) if !is_shim(&tool) => return Ok(None),
                Err(error) if matches!(*error.fault, ToolFault::NotAsked) => return Err(error),
                _ => {}
            }
        }
        let Some(platform) = Platform::current() else {
            return Ok(None);
        };
        Ok(self
            .lock
            .find(declared, platform)?
            .map(|(digest, _)| digest))
    }

    /// A tool of the machine.
    pub(crate) fn host_tool(&self, declared: &Declared<'_>) -> Result<HostTool, ToolError> {
        if self.assumes_tools {
            return Ok(HostTool::assumed(declared));
        }
        self.hosts.find(declared)
    }

    /// Brings a tool into the store, if it has a package and is not there.
    pub(crate) fn provide(
        &self,
        runner: &str,
        name: &str,
        spec: &ToolSpec,
        telling: &(dyn Fn(&str) + Sync),
    ) -> Result<(), Obstacle> {
        let declared = Declared { runner, name, spec };
        if self.tool_tree(&declared)?.is_none() {
            return Ok(());
        }
        let all: Vec<Declared<'_>> = self
            .all_tools
            .iter()
            .map(|(runner, name, spec)| Declared { runner, name, spec })
            .collect();
        let progress = |step: ToolProgress| {
            if let ToolProgress::Downloading(name, ..) = &step {
                telling(name);
            }
        };
        let provisioner = Provisioner::new(&self.store, &self.lock, &all, &self.user, &progress);
        provisioner.tree(&declared)?;
        Ok(())
    }

    /// Why the action of `order` is not the one of the card `stem` that succeeded last.
    pub(crate) fn reasons(&self, stem: &Stem, order: &Order) -> Vec<Reason> {
        let action = &order.action;
        let history = self.local.history(stem.as_str());
        let Some(last) = history.success().and_then(|run| run.action) else {
            return vec![Reason::NeverSucceeded];
        };
        if last == action.key {
            let known = self.local_reason(order).or_else(|| self.edit_reason(order));
            return vec![known.unwrap_or(Reason::Forgotten)];
        }
        self.differences(&last, action)
    }

    /// That there is a result, which was made with more opened up.
    fn local_reason(&self, order: &Order) -> Option<Reason> {
        // What can't be read explains nothing.
        let recorded = self.store.recorded(&order.action.key).ok().flatten()?;
        let by = recorded.provenance.local?;
        let is_taken = order.stays_local(self).is_some();
        (!is_taken).then_some(Reason::OpenedUp { by })
    }

    /// That somebody changed the artifact, which is gone since.
    fn edit_reason(&self, order: &Order) -> Option<Reason> {
        let recorded = self.store.recorded(&order.action.key).ok().flatten()?;
        let path = self.store.edited(&recorded.artifact).ok().flatten()?;
        Some(Reason::Edited { path })
    }

    /// Why the fetch `name` of `stem` has to be done, as `order` says.
    pub(crate) fn reasons_to_fetch(&self, stem: &Stem, name: &str, order: &Order) -> Vec<Reason> {
        let action = &order.action;
        let history = self.local.history(stem.as_str());
        let Some(success) = history.success() else {
            return vec![Reason::NeverSucceeded];
        };
        let mut reasons = match success.fetches.get(name) {
            Some(last) => self.differences(last, action),
            None => Vec::new(),
        };
        // What is not known any more explains nothing.
        reasons.retain(|reason| *reason != Reason::Forgotten);
        reasons.push(Reason::Fetching {
            name: name.to_owned(),
        });
        reasons
    }

    /// How `action` differs from one that was performed.
    fn differences(&self, last: &Digest, action: &Action) -> Vec<Reason> {
        let new: BTreeMap<Digest, &Vec<u8>> = action
            .blobs
            .iter()
            .map(|(digest, bytes)| (*digest, bytes))
            .collect();
        let blob = |digest: &Digest| match new.get(digest) {
            Some(bytes) => Some((*bytes).clone()),
            None => self.store.blob(digest).ok().flatten(),
        };
        reason::between(last, &action.key, &blob)
    }

    /// What a fetch gets of the user's environment; `home` names further files
    /// of the home folder.
    pub(crate) fn fetch_environment(&self, home: &[String]) -> FetchEnvironment {
        let vars: BTreeMap<OsString, OsString> = self.user.variables().clone();
        let folder = self.user.value("HOME").map(PathBuf::from);
        FetchEnvironment::collect(&vars, folder.as_deref(), home)
    }

    /// The environment of a step that runs in the repository's root: the
    /// user's own, and what the card says.
    pub(crate) fn direct_environment(&self, card: &PlannedCard) -> Vec<(OsString, OsString)> {
        let mut env = self.user.variables().clone();
        let own = card.parameters.variables(|_| true);
        env.extend(own.into_iter().map(|(k, v)| (k.into(), v.into())));
        let declared = card.work.definition.env.iter();
        env.extend(declared.map(|(k, v)| (k.into(), v.into())));
        env.insert("CARD".into(), card.stem.as_str().into());
        env.into_iter().collect()
    }
}

/// The name of this platform, as in `platform:` of a runner.
pub fn platform_name() -> String {
    format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS)
}

/// What keys say of this machine.
fn this_machine() -> Machine {
    let isa = match std::env::consts::ARCH {
        "x86_64" => "x86-64",
        "aarch64" => "arm64",
        other => other,
    };
    // In lower case, as the lexicon has them; servers compare the text.
    let os = std::env::consts::OS;
    let libc = match std::env::consts::OS {
        "macos" => "system",
        _ if Path::new("/etc/alpine-release").exists() => "musl",
        _ => "gnu",
    };
    Machine {
        os: os.into(),
        isa: isa.into(),
        libc: libc.into(),
    }
}

/// Where the store is: `--store`, MIKADO_STORE, `store.path` of the project,
/// else `.mikado` of the main work tree, which all work trees share.
pub fn store_folder(
    project: &Project,
    setting: &Setting,
    here: &Path,
    user: &UserEnvironment,
) -> PathBuf {
    if let Some(path) = &setting.store {
        return here.join(path);
    }
    if let Some(path) = user.value("MIKADO_STORE").filter(|path| !path.is_empty()) {
        return here.join(path);
    }
    if let Some(path) = project.config.store.path.as_ref() {
        return project.root.join(path);
    }
    main_work_tree(&project.root)
        .unwrap_or_else(|| project.root.clone())
        .join(".mikado")
}

/// The root of the project in the main work tree, where `root` lies in a linked
/// one: its `.git` is a file that names a folder below the main one's `.git`.
fn main_work_tree(root: &Path) -> Option<PathBuf> {
    let top = root.ancestors().find(|dir| dir.join(".git").exists())?;
    let text = std::fs::read_to_string(top.join(".git")).ok()?;
    let git_dir = top.join(text.strip_prefix("gitdir:")?.trim());
    let common = std::fs::read_to_string(git_dir.join("commondir")).ok()?;
    let common = git_dir.join(common.trim()).canonicalize().ok()?;
    let main = common.parent().filter(|_| common.ends_with(".git"))?;
    Some(main.join(root.strip_prefix(top).ok()?))
}

/// The text of a file; none where it is not there.
pub(crate) fn read_or_empty(path: &Path) -> Result<String, Error> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(Error::disk("read", path)(error)),
    }
}

fn read_lock(path: &Path) -> Result<ToolLock, Error> {
    ToolLock::parse(&read_or_empty(path)?).map_err(|error| {
        Error::usage(
            format!("`{}` can't be read: {error}", path.display()),
            "make it again with `mikado lock`",
        )
    })
}
