//! A cache that machines share: what the engine asks, whatever the server is and
//! however it fares. A fault is a miss, is told of once, and after a few of them
//! the server is left alone.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use tokio::runtime::Handle;
use tokio::sync::{OnceCell, oneshot, watch};
use tokio::task::AbortHandle;

use super::breaker::{Breaker, Doing};
use super::client::Client;
use super::fault::Fault;
use super::record::SharedResult;
use super::settings::{CacheSettings, Mode};
use super::tally::{CacheCounts, Tally, add};
use super::transfer;
use super::tree::Listing;
use crate::digest::Digest;
use crate::reapi::{self, ActionResult};
use crate::store::{Provenance, Store, StoredResult};

/// What was printed is taken up to this size.
const OUTPUT: u64 = 1 << 20;

/// A shared cache.
#[derive(Debug)]
pub struct Cache {
    settings: CacheSettings,
    tally: Arc<Tally>,
    pub(super) breaker: Breaker,
    line: OnceLock<Result<Line, Fault>>,
    pub(super) uploads: Mutex<Vec<AbortHandle>>,
    /// How many of them go on.
    pub(super) uploading: watch::Sender<usize>,
    notes: Mutex<Vec<String>>,
    /// What was asked for in this run.
    results: Asked<(Digest, Need), StoredResult>,
    checks: Asked<Digest, FoundCheck>,
}

/// Answers, each asked for once, also by several at one time.
type Asked<K, T> = Mutex<BTreeMap<K, Arc<OnceCell<Option<T>>>>>;

/// The connection, and the thread on which its calls run.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) client: Client,
    pub(super) runtime: Handle,
    writes: bool,
    /// Dropped with this, which ends the thread.
    _end: oneshot::Sender<()>,
}

/// An action of which the result is wanted.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Its digest.
    pub key: Digest,
    /// The messages that spell it out, to be kept with the result.
    pub messages: Vec<(Digest, Vec<u8>)>,
}

/// What of an artifact is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Need {
    /// The names in it, to describe what uses it.
    Names,
    /// All of it.
    Files,
}

/// A check that passed elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundCheck {
    /// What it printed.
    pub output: Vec<u8>,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
}

impl Cache {
    /// A cache; nothing is connected to.
    pub fn new(settings: CacheSettings) -> Cache {
        Cache {
            settings,
            tally: Arc::default(),
            breaker: Breaker::default(),
            line: OnceLock::new(),
            uploads: Mutex::default(),
            uploading: watch::Sender::default(),
            notes: Mutex::default(),
            results: Mutex::default(),
            checks: Mutex::default(),
        }
    }

    /// The address, for people.
    pub fn address(&self) -> String {
        self.settings.address.to_string()
    }

    /// How it is used.
    pub fn settings(&self) -> &CacheSettings {
        &self.settings
    }

    /// Whether it is this server, with these credentials.
    pub(super) fn is_at(&self, other: &CacheSettings) -> bool {
        self.settings.address == other.address
            && self.settings.credentials == other.credentials
            && self.settings.stall == other.stall
    }

    /// What was done so far; `None` where nothing was.
    pub fn counts(&self) -> Option<CacheCounts> {
        self.tally.counts()
    }

    /// What is to be said of it since this was asked last.
    pub fn notes(&self) -> Vec<String> {
        std::mem::take(&mut *hold(&self.notes))
    }

    pub(super) fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Whether results of this machine are to be uploaded, as far as was said.
    pub fn is_to_be_written(&self) -> bool {
        self.settings.mode == Mode::ReadWrite
    }

    /// Whether results of this machine are to be uploaded, as far as the settings
    /// and the server say.
    pub fn is_written(&self) -> bool {
        self.is_to_be_written()
            && self.breaker.lets(Doing::Writing)
            && self.line().is_some_and(|line| line.writes)
    }

    /// The connection; `None` where the settings allow none, which is told once.
    pub(super) fn line(&self) -> Option<&Line> {
        match self.line.get_or_init(|| self.connect()) {
            Ok(line) => Some(line),
            Err(fault) => {
                self.blame(Doing::Reading, fault);
                None
            }
        }
    }

    fn connect(&self) -> Result<Line, Fault> {
        let credentials = self.settings.credentials()?;
        let writes = self.settings.mode == Mode::ReadWrite && credentials.are_there();
        if self.settings.mode == Mode::ReadWrite && !writes {
            hold(&self.notes).push(format!(
                "the cache {} is only read: writing needs a credential (`cache.token`, `cache.login`, `cache.headers` or `cache.certificate`)",
                self.address()
            ));
        }
        let (end, ended) = oneshot::channel::<()>();
        let (sender, handle) = std::sync::mpsc::channel();
        let here = |error: std::io::Error| Fault::Here(error.to_string());
        let run = move || {
            let mut runtime = tokio::runtime::Builder::new_current_thread();
            match runtime.enable_all().build() {
                Ok(runtime) => {
                    drop(sender.send(Ok(runtime.handle().clone())));
                    drop(runtime.block_on(ended));
                    runtime.shutdown_background();
                }
                Err(error) => drop(sender.send(Err(error))),
            }
        };
        let thread = std::thread::Builder::new().name("cache".into());
        thread.spawn(run).map_err(here)?;
        let gone = |_| Fault::Here("its thread ended".into());
        let runtime = handle.recv().map_err(gone)?.map_err(here)?;
        let client = {
            // A channel belongs to the runtime in which it is made.
            let _inside = runtime.enter();
            let (address, stall) = (&self.settings.address, self.settings.stall);
            Client::new(address, credentials, stall, Arc::clone(&self.tally))?
        };
        Ok(Line {
            client,
            runtime,
            writes,
            _end: end,
        })
    }

    /// Takes a fault, and notes a warning where one is due.
    pub(super) fn blame(&self, doing: Doing, fault: &Fault) {
        if let Some(words) = self.breaker.take(doing, fault) {
            let note = format!("the cache {}: {words}", self.address());
            hold(&self.notes).push(note);
        }
    }

    /// Asks something of the server on its own thread; a fault is a miss.
    async fn ask<T, F>(self: &Arc<Self>, work: impl FnOnce(Arc<Self>, Client) -> F) -> Option<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<Option<T>, Fault>> + Send + 'static,
    {
        if !self.breaker.lets(Doing::Reading) {
            return None;
        }
        let line = self.line()?;
        let _waiting = self.tally.wait();
        add(&self.tally.asked, 1);
        let work = work(Arc::clone(self), line.client.clone());
        let done = line.runtime.spawn(work).await;
        let done = done.unwrap_or_else(|error| Err(Fault::Here(format!("BUG: {error}"))));
        done.unwrap_or_else(|fault| {
            add(&self.tally.failed, 1);
            self.blame(Doing::Reading, &fault);
            None
        })
    }

    /// Looks an action up, and takes its result into the store: recorded, with the
    /// artifact where that is needed. The next flush makes it durable.
    pub async fn find(
        self: &Arc<Self>,
        store: &Arc<Store>,
        wanted: Wanted,
        need: Need,
    ) -> Option<StoredResult> {
        let key = wanted.key;
        let answer = Arc::clone(hold(&self.results).entry((key, need)).or_default());
        let is_known = answer.initialized();
        let asked = answer.get_or_init(|| {
            let store = Arc::clone(store);
            self.ask(|cache, client| cache.found(client, store, wanted, need))
        });
        let found = asked.await.clone()?;
        if is_known && need == Need::Files {
            // It was taken before; who asks again lacks it.
            return store.lookup(&key).ok().flatten();
        }
        Some(found)
    }

    async fn found(
        self: Arc<Self>,
        client: Client,
        store: Arc<Store>,
        wanted: Wanted,
        need: Need,
    ) -> Result<Option<StoredResult>, Fault> {
        let Some(shared) = look_up(&client, &wanted.key).await? else {
            return Ok(None);
        };
        add(&self.tally.found, 1);
        let known = {
            let (store, artifact) = (Arc::clone(&store), shared.artifact);
            blocking(move || match artifact {
                Some(artifact) => store.tree(&artifact).map(|tree| tree.map(|_| artifact)),
                None => Ok(None),
            })
            .await??
        };
        let taken = async {
            let Some(artifact) = known else {
                let artifact = take(&client, &store, &shared, need).await?;
                add(&self.tally.fetched, 1);
                return Ok::<_, Fault>(artifact);
            };
            Ok(artifact)
        };
        let (output, artifact) = tokio::join!(printed(&client, &shared), taken);
        let artifact = artifact?;
        let provenance = Provenance {
            cache: Some(self.address()),
            ..shared.provenance
        };
        let recorded = blocking(move || {
            for (_, bytes) in &wanted.messages {
                store.put_blob(bytes)?;
            }
            let log = match output.as_slice() {
                [] => None,
                output => Some(store.put_blob(output)?),
            };
            let provenance = Provenance { log, ..provenance };
            let result = ActionResult::of(artifact);
            store.record(&wanted.key, &result, &provenance)?;
            store.recorded(&wanted.key)
        });
        Ok(recorded.await??)
    }

    /// The artifact that an action's result names, and who made it; nothing is taken.
    pub async fn find_name(self: &Arc<Self>, key: Digest) -> Option<(Digest, Provenance)> {
        self.ask(|cache, client| async move {
            let Some(shared) = look_up(&client, &key).await? else {
                return Ok(None);
            };
            add(&cache.tally.found, 1);
            let artifact = match shared.artifact {
                Some(artifact) => artifact,
                None => listed(&client, &shared).await?.root,
            };
            Ok(Some((artifact, shared.provenance)))
        })
        .await
    }

    /// Brings the files of an artifact of which the store has the names; whether it
    /// is in the store now. A fault is a miss.
    pub async fn bring(self: &Arc<Self>, store: &Arc<Store>, artifact: Digest) -> bool {
        if !self.breaker.lets(Doing::Reading) {
            return false;
        }
        let Some(line) = self.line() else {
            return false;
        };
        let _waiting = self.tally.wait();
        let (client, store) = (line.client.clone(), Arc::clone(store));
        let work = async move {
            let names = Arc::clone(&store);
            let tree = blocking(move || names.tree_message(&artifact)).await??;
            let listing = Listing::of(tree.ok_or(Fault::Gone(artifact))?)?;
            fill(&client, &store, Arc::new(listing)).await.map(drop)
        };
        let done = line.runtime.spawn(work).await;
        let done = done.unwrap_or_else(|error| Err(Fault::Here(format!("BUG: {error}"))));
        if let Err(fault) = &done {
            self.blame(Doing::Reading, fault);
        }
        done.is_ok()
    }

    /// Looks a check up.
    pub async fn find_check(self: &Arc<Self>, key: Digest) -> Option<FoundCheck> {
        let answer = Arc::clone(hold(&self.checks).entry(key).or_default());
        let asked = answer.get_or_init(|| {
            self.ask(|cache, client| async move {
                let Some(shared) = look_up(&client, &key).await? else {
                    return Ok(None);
                };
                add(&cache.tally.found, 1);
                let output = printed(&client, &shared).await;
                let took_ms = shared.provenance.took_ms;
                Ok(Some(FoundCheck { output, took_ms }))
            })
        });
        asked.await.clone()
    }
}

async fn look_up(client: &Client, key: &Digest) -> Result<Option<SharedResult>, Fault> {
    match client.result(key).await? {
        Some(message) => SharedResult::read(&message),
        None => Ok(None),
    }
}

/// What was printed: nothing depends on it, so a fault is no fault.
async fn printed(client: &Client, shared: &SharedResult) -> Vec<u8> {
    let Some(output) = shared.output.filter(|output| output.size <= OUTPUT) else {
        return Vec::new();
    };
    let read = transfer::read_small(client, &BTreeSet::from([output])).await;
    let bytes = read.ok().and_then(|mut read| read.remove(&output));
    bytes.unwrap_or_default()
}

/// What is in an artifact.
async fn listed(client: &Client, shared: &SharedResult) -> Result<Listing, Fault> {
    let message = transfer::read_small(client, &BTreeSet::from([shared.tree])).await?;
    let message = message.get(&shared.tree).ok_or(Fault::Gone(shared.tree))?;
    Listing::read(message)
}

/// Brings an artifact into the store, or the names in it; returns its digest.
pub(super) async fn take(
    client: &Client,
    store: &Arc<Store>,
    shared: &SharedResult,
    need: Need,
) -> Result<Digest, Fault> {
    let listing = Arc::new(listed(client, shared).await?);
    if shared.artifact.is_some_and(|said| said != listing.root) {
        return Err(Fault::Malformed(
            "its tree is another one than it says".into(),
        ));
    }
    if need == Need::Names {
        let (store, listing) = (Arc::clone(store), Arc::clone(&listing));
        return blocking(move || {
            for bytes in listing.directories.values() {
                store.put_blob(bytes)?;
            }
            Ok::<_, Fault>(listing.root)
        })
        .await?;
    }
    fill(client, store, listing).await
}

/// Brings the files of an artifact into the store; returns its digest.
async fn fill(client: &Client, store: &Arc<Store>, listing: Arc<Listing>) -> Result<Digest, Fault> {
    let folder = store
        .scratch_folder()?
        .join(format!("fetched-{}", super::unique()));
    let folder = Discarded(folder);
    let files = {
        let (listing, folder) = (Arc::clone(&listing), folder.0.clone());
        blocking(move || listing.make_folders(&folder)).await??
    };
    transfer::download(client, files).await?;
    let store = Arc::clone(store);
    blocking(move || {
        listing.finish(&folder.0)?;
        // What came was hashed on its way to the disk.
        let adopted = store.adopt_written(&folder.0, &listing.written(&folder.0))?;
        match adopted.digest == listing.root {
            true => Ok(adopted.digest),
            false => Err(Fault::Wrong(listing.root)),
        }
    })
    .await?
}

/// A folder that is deleted where it did not become a tree.
struct Discarded(PathBuf);

impl Drop for Discarded {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

pub(super) fn hold<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Fault> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| Fault::Here(format!("BUG: {error}")))
}

/// The digest of a message.
pub(super) fn encoded<M: prost::Message>(message: &M) -> (Digest, Vec<u8>) {
    reapi::encode(message)
}
