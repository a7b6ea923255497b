//! A server that executes actions: the same action, byte for byte, elsewhere.
//!
//! What the server lacks of the input root is uploaded, the execution is asked for
//! and followed, and what it left comes into the store. Streams that break are
//! taken up, blobs that are gone are sent again, all of it a bounded number of
//! times. Whether a card failed or the server did is told apart: the first is a
//! [`Made`], the second an [`Undone`].

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bazel_remote_apis::build::bazel::remote::execution::v2 as api;
use tokio::sync::watch;
use tokio::time::sleep;
use tonic::{Code, Status};

use super::cache::{Cache, Need, Wanted, hold, take};
use super::client::Client;
use super::executor_settings::{Download, ExecutorSettings};
use super::executor_tally::{ExecutorCounts, ExecutorTally};
use super::fault::Fault;
use super::following::{Followed, unless_cancelled};
use super::grpc::ours;
use super::operations;
use super::origin::Origin;
use super::record::SharedResult;
use super::sending::Sending;
use super::tally::add;
use super::transfer;
use crate::digest::Digest;
use crate::store::{Store, StoredResult};

/// How often a stream is taken up, or an execution asked for again.
pub(super) const AGAIN: u32 = 4;

/// How often blobs that the server lost are sent again.
const SENT_AGAIN: u32 = 3;

/// The pause before the first of these; each later one is twice as long.
pub(super) const PAUSE: Duration = Duration::from_millis(250);

/// For this many actions, one after the other, it may be that it can't be had.
const FAULTS: usize = 3;

/// Of each of the two outputs no more than this is read.
const OUTPUT: u64 = 64 << 20;

/// A server that executes.
#[derive(Debug)]
pub struct Executor {
    /// How it is used.
    pub settings: ExecutorSettings,
    /// The connection, and the results that it has.
    server: Arc<Cache>,
    pub(super) tally: ExecutorTally,
    sending: Sending,
    /// Actions for which it could not be had, since it answered the last time.
    refused: Mutex<BTreeSet<Digest>>,
    /// Why it is left alone for the rest of the run.
    down: Mutex<Option<Fault>>,
}

/// An action to be executed.
#[derive(Clone, Debug)]
pub struct Job {
    /// Its digest.
    pub key: Digest,
    /// Every blob that it needs, and where it is, as far as it is here.
    pub blobs: BTreeMap<Digest, Option<Origin>>,
    /// Whether it is executed although there is a result.
    pub anew: bool,
    /// How long it may take.
    pub timeout: Option<Duration>,
    /// What of its artifact is needed here.
    pub need: Need,
}

/// What came of an execution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    /// How it ended.
    pub end: End,
    /// What it printed: both outputs, one after the other.
    pub output: Vec<u8>,
    /// The worker, for people.
    pub worker: String,
    /// Whether it was executed now, and not found.
    pub executed: bool,
}

/// How an execution ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// This is its artifact.
    Artifact(Digest),
    /// It made no `out`.
    NoOut,
    /// With this exit code.
    Exit(i32),
    /// It took longer than it may, or than the server lets it.
    TooLong,
}

/// Why an action was not executed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Undone {
    /// The run was cancelled; what is to be said of it.
    Cancelled(Option<String>),
    /// The server can't be used.
    Fault(Fault),
}

impl From<Fault> for Undone {
    fn from(fault: Fault) -> Undone {
        Undone::Fault(fault)
    }
}

impl Executor {
    /// A server; nothing is connected to. Where `cache` is the same one, with the
    /// same credentials, its connection is used.
    pub fn new(settings: ExecutorSettings, cache: Option<&Arc<Cache>>) -> Executor {
        let shared = cache.filter(|cache| cache.is_at(&settings.server));
        let server = match shared {
            Some(cache) => Arc::clone(cache),
            None => Arc::new(Cache::new(settings.server.clone())),
        };
        Executor {
            settings,
            server,
            tally: ExecutorTally::default(),
            sending: Sending::default(),
            refused: Mutex::default(),
            down: Mutex::default(),
        }
    }

    /// The address, for people.
    pub fn address(&self) -> String {
        self.settings.server.address.to_string()
    }

    /// Whether it is this cache.
    pub fn is_cache(&self, cache: &Arc<Cache>) -> bool {
        Arc::ptr_eq(&self.server, cache)
    }

    /// What was done so far; `None` where nothing was.
    pub fn counts(&self) -> Option<ExecutorCounts> {
        let bytes = self.server.counts().unwrap_or_default();
        self.tally.counts(bytes.bytes_up, bytes.bytes_down)
    }

    /// Counts what was executed here in its place.
    pub fn was_replaced(&self) {
        add(&self.tally.here, 1);
    }

    /// Why it is left alone, if it is.
    pub fn fault(&self) -> Option<Fault> {
        hold(&self.down).clone()
    }

    /// What of the artifact of a card comes back; `asked` is whether the card was
    /// asked for.
    pub fn need(&self, asked: bool) -> Need {
        match self.settings.download {
            Download::All => Need::Files,
            Download::Goal if asked => Need::Files,
            Download::Goal | Download::None => Need::Names,
        }
    }

    /// The result that the server has, recorded in the store.
    pub async fn find(
        &self,
        store: &Arc<Store>,
        wanted: Wanted,
        need: Need,
    ) -> Option<StoredResult> {
        if self.fault().is_some() {
            return None;
        }
        let found = self.server.find(store, wanted, need).await;
        if found.is_some() {
            add(&self.tally.found, 1);
        }
        found
    }

    /// Brings the files of an artifact of which the store has the names; whether it
    /// is in the store now.
    pub async fn bring(&self, store: &Arc<Store>, artifact: Digest) -> bool {
        self.fault().is_none() && self.server.bring(store, artifact).await
    }

    /// Executes an action, and takes what it left into the store.
    ///
    /// # Errors
    ///
    /// Where the server did not, or the run was cancelled.
    pub async fn execute(
        self: &Arc<Self>,
        store: &Arc<Store>,
        job: Job,
        cancelled: watch::Receiver<bool>,
    ) -> Result<Made, Undone> {
        if let Some(fault) = self.fault() {
            return Err(fault.into());
        }
        let Some(line) = self.server.line() else {
            return Err(Fault::Settings("its settings can't be used".into()).into());
        };
        let (executor, store) = (Arc::clone(self), Arc::clone(store));
        let (client, key) = (line.client.clone(), job.key);
        let run = async move {
            let mut cancelled = cancelled;
            let done = executor
                .executed(&client, &store, &job, &mut cancelled)
                .await;
            let is_gone = match &done {
                Err(Undone::Fault(fault)) if fault.may_pass() => {
                    let asked = unless_cancelled(&mut cancelled, is_gone(&client)).await;
                    asked.unwrap_or(false)
                }
                _ => false,
            };
            (done, is_gone)
        };
        let done = line.runtime.spawn(run).await;
        let (done, is_gone) =
            done.unwrap_or_else(|error| (Err(Fault::Here(format!("BUG: {error}")).into()), false));
        let is_answered = match &done {
            Ok(_) => true,
            Err(Undone::Fault(fault)) => !fault.may_pass(),
            Err(Undone::Cancelled(_)) => false,
        };
        if is_answered {
            hold(&self.refused).clear();
        }
        match &done {
            Ok(made) if matches!(made.end, End::Artifact(_)) => match made.executed {
                true => add(&self.tally.executed, 1),
                false => add(&self.tally.found, 1),
            },
            Ok(_) => add(&self.tally.failed, 1),
            Err(Undone::Fault(fault)) => {
                add(&self.tally.failed, 1);
                // It was tried again already: the next card need not wait as long. But
                // what is wrong with one of them need not be wrong with the server.
                let is_final = matches!(fault, Fault::Refused(_) | Fault::Settings(_));
                if is_final || is_gone || (fault.may_pass() && self.refuses_all(key)) {
                    hold(&self.down).get_or_insert(fault.clone());
                }
            }
            Err(Undone::Cancelled(_)) => {}
        }
        done
    }

    /// Notes an action for which the server could not be had; whether there were a
    /// few of them, and none that it answered between.
    fn refuses_all(&self, key: Digest) -> bool {
        let mut refused = hold(&self.refused);
        refused.insert(key);
        refused.len() >= FAULTS
    }

    async fn executed(
        &self,
        client: &Client,
        store: &Arc<Store>,
        job: &Job,
        cancelled: &mut watch::Receiver<bool>,
    ) -> Result<Made, Undone> {
        let Some(grpc) = client.grpc() else {
            return Err(Fault::Settings("it executes nothing".into()).into());
        };
        let limits = unless_cancelled(cancelled, client.limits()).await?;
        if !limits?.executes {
            return Err(Fault::Settings("it says that it executes nothing".into()).into());
        }
        let (mut sent_again, mut again, mut anew) = (0, 0, job.anew);
        loop {
            // Others may have found out meanwhile that it is not to be had.
            if let Some(fault) = self.fault() {
                return Err(fault.into());
            }
            let send = self
                .sending
                .send(client, &job.blobs, &self.tally, || self.fault());
            match unless_cancelled(cancelled, send).await? {
                Ok(()) => {}
                // A cache does without; here somebody waits for the card.
                Err(fault @ Fault::Unreachable(_)) => {
                    self.pause(&mut again, fault, cancelled).await?;
                    continue;
                }
                Err(fault) => return Err(fault.into()),
            }
            let followed = self.follow(grpc, job, anew, cancelled).await?;
            let status = match followed {
                Followed::Over(response) => match refusal(&response) {
                    None => {
                        let made = self.made(client, store, job, *response);
                        match unless_cancelled(cancelled, made).await? {
                            Ok(made) => return Ok(made),
                            // A result that it found, and what it names is gone.
                            Err(Fault::Gone(_)) if !anew => {
                                anew = true;
                                add(&self.tally.repeated, 1);
                                continue;
                            }
                            // It has the result now.
                            Err(fault @ Fault::Unreachable(_)) => {
                                self.pause(&mut again, fault, cancelled).await?;
                                continue;
                            }
                            Err(fault) => return Err(fault.into()),
                        }
                    }
                    Some(status) => status,
                },
                Followed::Refused(status) => status,
                Followed::TooLong => return Ok(Made::too_long(String::new())),
                Followed::Cancelled(note) => return Err(Undone::Cancelled(note)),
            };
            if status.code() == Code::DeadlineExceeded {
                return Ok(Made::too_long(status.message().to_owned()));
            }
            let forgotten = self.forgotten(client, job, &status);
            let lacks = unless_cancelled(cancelled, forgotten).await??;
            if lacks && sent_again < SENT_AGAIN {
                sent_again += 1;
                add(&self.tally.repeated, 1);
            } else if passes(&status) {
                let fault = grpc.fault(&status);
                self.pause(&mut again, fault, cancelled).await?;
            } else {
                return Err(grpc.fault(&status).into());
            }
        }
    }

    /// Waits a while before something is tried again, unless that was done too often.
    async fn pause(
        &self,
        again: &mut u32,
        fault: Fault,
        cancelled: &mut watch::Receiver<bool>,
    ) -> Result<(), Undone> {
        if *again >= AGAIN {
            return Err(fault.into());
        }
        *again += 1;
        add(&self.tally.repeated, 1);
        unless_cancelled(cancelled, sleep(PAUSE * 2_u32.pow(*again))).await
    }

    /// Whether the server lacks something of a job, which is then forgotten to be
    /// there. Servers have different words for a blob that they lost.
    async fn forgotten(&self, client: &Client, job: &Job, status: &Status) -> Result<bool, Fault> {
        if matches!(
            status.code(),
            Code::Unauthenticated | Code::PermissionDenied | Code::Unavailable
        ) {
            return Ok(false);
        }
        let mut lacks: BTreeSet<Digest> = operations::said_missing(status).into_iter().collect();
        lacks.retain(|digest| job.blobs.contains_key(digest));
        let said = !lacks.is_empty();
        if !said {
            let all = job.blobs.keys().copied().collect();
            lacks = transfer::missing(client, &all).await?;
        }
        self.sending.forget(&lacks, said);
        Ok(!lacks.is_empty())
    }

    /// What an execution left.
    async fn made(
        &self,
        client: &Client,
        store: &Arc<Store>,
        job: &Job,
        response: api::ExecuteResponse,
    ) -> Result<Made, Fault> {
        let result = response.result.unwrap_or_default();
        let mut output = printed(client, &result.stdout_raw, &result.stdout_digest).await;
        output.extend(printed(client, &result.stderr_raw, &result.stderr_digest).await);
        let worker = result.execution_metadata.as_ref();
        let worker = worker.map_or(String::new(), |metadata| metadata.worker.clone());
        let made = |end: End| Made {
            end,
            output,
            worker,
            executed: !response.cached_result,
        };
        if result.exit_code != 0 {
            return Ok(made(End::Exit(result.exit_code)));
        }
        let Some(shared) = SharedResult::read(&ours(&result)?)? else {
            return Ok(made(End::NoOut));
        };
        let known = match shared.artifact {
            Some(artifact) => store.tree(&artifact)?.map(|_| artifact),
            None => None,
        };
        let artifact = match known {
            Some(artifact) => artifact,
            None => take(client, store, &shared, job.need).await?,
        };
        Ok(made(End::Artifact(artifact)))
    }
}

impl Made {
    fn too_long(said: String) -> Made {
        Made {
            end: End::TooLong,
            output: said.into_bytes(),
            worker: String::new(),
            executed: true,
        }
    }
}

/// One of the two outputs, as far as the server has it.
async fn printed(client: &Client, raw: &[u8], digest: &Option<api::Digest>) -> Vec<u8> {
    if !raw.is_empty() {
        return raw.to_vec();
    }
    let digest = digest.as_ref().and_then(|digest| {
        let size = u64::try_from(digest.size_bytes).ok()?;
        Digest::from_hex(&digest.hash, size)
    });
    let Some(digest) = digest.filter(|digest| digest.size > 0) else {
        return Vec::new();
    };
    if digest.size > OUTPUT {
        let size = digest.size >> 20;
        return format!("[{size} MiB were printed, which is too much to be fetched]\n")
            .into_bytes();
    }
    let read = transfer::read_small(client, &BTreeSet::from([digest])).await;
    let bytes = read.ok().and_then(|mut read| read.remove(&digest));
    bytes.unwrap_or_else(|| b"[what was printed is lost]\n".to_vec())
}

/// Whether a server answers nothing, after a card for which it could not be had.
async fn is_gone(client: &Client) -> bool {
    match client.grpc() {
        Some(grpc) => matches!(grpc.limits().await, Err(fault) if fault.may_pass()),
        None => false,
    }
}

/// What a response says where it holds no result of a command.
fn refusal(response: &api::ExecuteResponse) -> Option<Status> {
    let status = response.status.as_ref()?;
    let status = operations::as_status(status);
    match status.code() {
        Code::Ok => None,
        // Some servers have a status beside the result of a command that failed.
        _ if response.result.as_ref().is_some_and(|r| r.exit_code != 0)
            && status.code() != Code::DeadlineExceeded =>
        {
            None
        }
        _ => Some(status),
    }
}

/// Whether asking again may help.
fn passes(status: &Status) -> bool {
    matches!(
        status.code(),
        Code::Unavailable | Code::Aborted | Code::ResourceExhausted | Code::Unknown
    )
}
