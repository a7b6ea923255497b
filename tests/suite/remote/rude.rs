//! A server before the real one that has the manners that other servers have:
//! small batches or none said, results whose blobs are gone, other bytes than were
//! asked for, errors of all codes, rights that end in the middle.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bazel_remote_apis::build::bazel::remote::execution::v2 as api;
use bazel_remote_apis::google::bytestream as stream;
use mikado::digest::Digest;
use tonic::codegen::tokio_stream::{Stream, StreamExt as _, iter};
use tonic::transport::Channel;
use tonic::{Code, Request, Response, Status, Streaming};

use super::rude_executor::{Asked, Executing};
use api::action_cache_client::ActionCacheClient;
use api::action_cache_server::{ActionCache, ActionCacheServer};
use api::capabilities_client::CapabilitiesClient;
use api::capabilities_server::{Capabilities, CapabilitiesServer};
use api::content_addressable_storage_client::ContentAddressableStorageClient;
use api::content_addressable_storage_server::{
    ContentAddressableStorage, ContentAddressableStorageServer,
};
use api::execution_server::ExecutionServer;
use bazel_remote_apis::google::longrunning::operations_server::OperationsServer;
use stream::byte_stream_client::ByteStreamClient;
use stream::byte_stream_server::{ByteStream, ByteStreamServer};

/// What it does otherwise than the server behind it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Manners {
    /// The size of a batch that it says, and that it holds clients to.
    pub batch: Option<i64>,
    /// Blobs are gone by the time they are read, though results name them.
    pub loses_blobs: bool,
    /// What is read has one byte changed.
    pub lies: bool,
    /// Every call ends with this.
    pub always: Option<Code>,
    /// Every call that writes ends with this.
    pub on_writes: Option<Code>,
    /// After so many calls whoever asks is not let in any more.
    pub lets_in: Option<usize>,
    /// Calls of this kind are answered so many times, and then never.
    pub silent: Option<(Call, usize)>,
    /// Nothing is taken before so many calls have asked what is missing.
    pub takes_after: usize,
    /// The first upload of a blob of this size is refused.
    pub refuses_size: Option<i64>,
    /// It takes whatever comes under a digest, and tells on what is right.
    pub verifies_nothing: bool,
    /// The first stream that comes breaks half way, and is taken for the whole.
    pub halves: bool,
    /// It says what is missing once the test lets it.
    pub waits_before_missing: bool,
    /// How it executes.
    pub executing: Executing,
}

/// A kind of calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    Capabilities,
    Missing,
    Read,
}

#[derive(Clone)]
pub(super) struct Rude {
    pub(super) manners: Manners,
    calls: Arc<AtomicUsize>,
    pub(super) asked: Arc<Asked>,
    pub(super) behind: Channel,
}

/// A rude server.
pub struct RudeServer {
    /// Where it listens.
    pub url: String,
    calls: Arc<AtomicUsize>,
    /// What it was asked of executions.
    pub asked: Arc<Asked>,
    /// Dropped with this, which ends it.
    _runtime: tokio::runtime::Runtime,
}

impl RudeServer {
    /// How often it was called.
    pub fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }
}

/// Starts a server with these manners before another one.
pub fn before(server: SocketAddr, manners: Manners) -> RudeServer {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    let address = super::servers::free();
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let asked = Arc::<Asked>::default();
    let of_executions = Arc::clone(&asked);
    let _inside = runtime.enter();
    let behind = Channel::from_shared(format!("http://{server}")).expect("an address");
    let rude = Rude {
        manners,
        calls: counted,
        asked: of_executions,
        behind: behind.connect_lazy(),
    };
    let listener = std::net::TcpListener::bind(address).expect("a port");
    listener.set_nonblocking(true).expect("a listener");
    let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
    let most = 64 << 20;
    let serve = tonic::transport::Server::builder()
        .add_service(CapabilitiesServer::new(rude.clone()))
        .add_service(ActionCacheServer::new(rude.clone()))
        .add_service(
            ContentAddressableStorageServer::new(rude.clone())
                .max_decoding_message_size(most)
                .max_encoding_message_size(most),
        )
        .add_service(ExecutionServer::new(rude.clone()))
        .add_service(OperationsServer::new(rude.clone()))
        .add_service(ByteStreamServer::new(rude))
        .serve_with_incoming(tonic::transport::server::TcpIncoming::from(listener));
    runtime.spawn(serve);
    RudeServer {
        url: format!("grpc://{address}"),
        calls,
        asked,
        _runtime: runtime,
    }
}

impl Rude {
    fn asked(&self, writes: bool) -> Result<(), Status> {
        let number = self.calls.fetch_add(1, Ordering::SeqCst);
        let refuses = |code: Code| Err(Status::new(code, "that is how it is here"));
        match self.manners {
            Manners {
                always: Some(code), ..
            } => refuses(code),
            Manners {
                on_writes: Some(code),
                ..
            } if writes => refuses(code),
            Manners {
                lets_in: Some(most),
                ..
            } if number >= most => refuses(Code::Unauthenticated),
            _ => Ok(()),
        }
    }

    /// Never ends, where this kind of calls was answered often enough.
    async fn says_something(&self, call: Call) {
        let Some((_, answers)) = self.manners.silent.filter(|(kind, _)| *kind == call) else {
            return;
        };
        let number = self.asked.of_silent.fetch_add(1, Ordering::SeqCst);
        if number >= answers {
            self.asked.unanswered.fetch_add(1, Ordering::SeqCst);
            std::future::pending::<()>().await;
        }
    }

    /// Notes that these are sent, once they may be.
    async fn is_sent(&self, digests: Vec<api::Digest>) -> Result<(), Status> {
        while self.asked.missing_asked.load(Ordering::SeqCst) < self.manners.takes_after {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let refused = |digest: &api::Digest| Some(digest.size_bytes) == self.manners.refuses_size;
        let is_first = self.asked.uploaded(&digests);
        match digests.iter().find(|digest| refused(digest)) {
            Some(digest) if is_first.contains(&digest.hash) => {
                Err(Status::internal("that one is not taken"))
            }
            _ => Ok(()),
        }
    }

    fn spoilt(&self, mut data: Vec<u8>) -> Vec<u8> {
        if self.manners.lies
            && let Some(last) = data.last_mut()
        {
            *last ^= 1;
        }
        data
    }

    /// The same request without what is about its connection.
    pub(super) fn on<T>(request: Request<T>) -> Request<T> {
        Request::new(request.into_inner())
    }
}

#[tonic::async_trait]
impl Capabilities for Rude {
    async fn get_capabilities(
        &self,
        request: Request<api::GetCapabilitiesRequest>,
    ) -> Result<Response<api::ServerCapabilities>, Status> {
        self.asked(false)?;
        self.says_something(Call::Capabilities).await;
        let mut client = CapabilitiesClient::new(self.behind.clone());
        let mut answer = client
            .get_capabilities(Rude::on(request))
            .await?
            .into_inner();
        if let (Some(batch), Some(cache)) = (self.manners.batch, &mut answer.cache_capabilities) {
            cache.max_batch_total_size_bytes = batch;
        }
        Ok(Response::new(answer))
    }
}

#[tonic::async_trait]
impl ActionCache for Rude {
    async fn get_action_result(
        &self,
        request: Request<api::GetActionResultRequest>,
    ) -> Result<Response<api::ActionResult>, Status> {
        self.asked(false)?;
        let mut client = ActionCacheClient::new(self.behind.clone());
        client.get_action_result(Rude::on(request)).await
    }

    async fn update_action_result(
        &self,
        request: Request<api::UpdateActionResultRequest>,
    ) -> Result<Response<api::ActionResult>, Status> {
        self.asked(true)?;
        let mut client = ActionCacheClient::new(self.behind.clone());
        client.update_action_result(Rude::on(request)).await
    }
}

/// The blob that the name of an upload is about.
fn named(resource: &str) -> Option<api::Digest> {
    let mut parts = resource.rsplit('/');
    let size_bytes = parts.next()?.parse().ok()?;
    let hash = parts.next()?.to_owned();
    Some(api::Digest { hash, size_bytes })
}

type Storage = ContentAddressableStorageClient<Channel>;

impl Rude {
    fn storage(&self) -> Storage {
        Storage::new(self.behind.clone()).max_decoding_message_size(64 << 20)
    }

    fn fits(&self, size: usize) -> Result<(), Status> {
        match self.manners.batch {
            Some(most @ 1..) if size as i64 > most => {
                Err(Status::invalid_argument(format!("a batch of {size}")))
            }
            _ => Ok(()),
        }
    }
}

#[tonic::async_trait]
impl ContentAddressableStorage for Rude {
    async fn find_missing_blobs(
        &self,
        request: Request<api::FindMissingBlobsRequest>,
    ) -> Result<Response<api::FindMissingBlobsResponse>, Status> {
        self.asked(false)?;
        self.says_something(Call::Missing).await;
        self.asked.missing_asked.fetch_add(1, Ordering::SeqCst);
        while self.manners.waits_before_missing && !self.asked.let_go.load(Ordering::SeqCst) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let mut answer = self.storage().find_missing_blobs(Rude::on(request)).await?;
        let kept = self.asked.kept();
        let missing = &mut answer.get_mut().missing_blob_digests;
        missing.retain(|digest| !kept.contains_key(&digest.hash));
        Ok(answer)
    }

    async fn batch_update_blobs(
        &self,
        request: Request<api::BatchUpdateBlobsRequest>,
    ) -> Result<Response<api::BatchUpdateBlobsResponse>, Status> {
        self.asked(true)?;
        let blobs = request.get_ref().requests.iter();
        let digests = blobs.clone().filter_map(|blob| blob.digest.clone());
        self.is_sent(digests.collect()).await?;
        let sent = blobs.clone().filter_map(|blob| blob.digest.clone());
        self.asked.sent(sent.map(|digest| digest.hash));
        self.fits(blobs.map(|blob| blob.data.len()).sum())?;
        let mut request = Rude::on(request);
        if self.manners.verifies_nothing {
            for blob in &request.get_ref().requests {
                let digest = blob.digest.as_ref().expect("a digest");
                self.asked.keep(&digest.hash, &blob.data);
            }
            let blobs = &mut request.get_mut().requests;
            blobs.retain(|blob| {
                let digest = blob.digest.as_ref().expect("a digest");
                Digest::of(&blob.data).hex() == digest.hash
            });
        }
        self.storage().batch_update_blobs(request).await
    }

    async fn batch_read_blobs(
        &self,
        request: Request<api::BatchReadBlobsRequest>,
    ) -> Result<Response<api::BatchReadBlobsResponse>, Status> {
        self.asked(false)?;
        self.says_something(Call::Read).await;
        let sizes = request.get_ref().digests.iter();
        self.fits(sizes.map(|digest| digest.size_bytes as usize).sum())?;
        let answer = self.storage().batch_read_blobs(Rude::on(request)).await?;
        let mut answer = answer.into_inner();
        for blob in &mut answer.responses {
            blob.data = self.spoilt(std::mem::take(&mut blob.data));
            if self.manners.loses_blobs {
                blob.data.clear();
                blob.status = Some(bazel_remote_apis::google::rpc::Status {
                    code: Code::NotFound as i32,
                    ..Default::default()
                });
            }
        }
        Ok(Response::new(answer))
    }

    type GetTreeStream = Pin<Box<dyn Stream<Item = Result<api::GetTreeResponse, Status>> + Send>>;

    async fn get_tree(
        &self,
        _: Request<api::GetTreeRequest>,
    ) -> Result<Response<Self::GetTreeStream>, Status> {
        Err(Status::unimplemented("no"))
    }

    async fn split_blob(
        &self,
        _: Request<api::SplitBlobRequest>,
    ) -> Result<Response<api::SplitBlobResponse>, Status> {
        Err(Status::unimplemented("no"))
    }

    async fn splice_blob(
        &self,
        _: Request<api::SpliceBlobRequest>,
    ) -> Result<Response<api::SpliceBlobResponse>, Status> {
        Err(Status::unimplemented("no"))
    }

    type GetChunkMappingStream =
        Pin<Box<dyn Stream<Item = Result<api::GetChunkMappingResponse, Status>> + Send>>;

    async fn get_chunk_mapping(
        &self,
        _: Request<api::GetChunkMappingRequest>,
    ) -> Result<Response<Self::GetChunkMappingStream>, Status> {
        Err(Status::unimplemented("no"))
    }

    async fn register_chunk_mapping(
        &self,
        _: Request<Streaming<api::RegisterChunkMappingRequest>>,
    ) -> Result<Response<api::RegisterChunkMappingResponse>, Status> {
        Err(Status::unimplemented("no"))
    }
}

#[tonic::async_trait]
impl ByteStream for Rude {
    type ReadStream = Pin<Box<dyn Stream<Item = Result<stream::ReadResponse, Status>> + Send>>;

    async fn read(
        &self,
        request: Request<stream::ReadRequest>,
    ) -> Result<Response<Self::ReadStream>, Status> {
        self.asked(false)?;
        self.says_something(Call::Read).await;
        if self.manners.loses_blobs {
            return Err(Status::not_found("it is gone"));
        }
        let mut client = ByteStreamClient::new(self.behind.clone());
        let parts = client.read(Rude::on(request)).await?.into_inner();
        let rude = self.clone();
        let spoilt = parts.map(move |part| {
            part.map(|part| stream::ReadResponse {
                data: rude.spoilt(part.data),
            })
        });
        Ok(Response::new(Box::pin(spoilt)))
    }

    async fn write(
        &self,
        request: Request<Streaming<stream::WriteRequest>>,
    ) -> Result<Response<stream::WriteResponse>, Status> {
        self.asked(true)?;
        let mut parts = request.into_inner();
        let mut all: Vec<stream::WriteRequest> = Vec::new();
        while let Some(part) = parts.message().await? {
            all.push(part);
        }
        if !all.last().is_some_and(|part| part.finish_write) {
            return Err(Status::cancelled("it did not come to its end"));
        }
        let digest = named(&all[0].resource_name);
        self.is_sent(digest.clone().into_iter().collect()).await?;
        if let (true, Some(digest)) = (self.manners.verifies_nothing, digest) {
            let mut bytes: Vec<u8> = all.iter().flat_map(|part| part.data.clone()).collect();
            if self.manners.halves && self.asked.halved.fetch_add(1, Ordering::SeqCst) == 0 {
                bytes.truncate(bytes.len() / 2);
            }
            let committed_size = bytes.len() as i64;
            self.asked.keep(&digest.hash, &bytes);
            if committed_size < digest.size_bytes {
                return Err(Status::unavailable("the line broke"));
            }
            if Digest::of(&bytes).hex() != digest.hash {
                return Ok(Response::new(stream::WriteResponse { committed_size }));
            }
        }
        let mut client = ByteStreamClient::new(self.behind.clone());
        client.write(iter(all)).await
    }

    async fn query_write_status(
        &self,
        request: Request<stream::QueryWriteStatusRequest>,
    ) -> Result<Response<stream::QueryWriteStatusResponse>, Status> {
        self.asked(false)?;
        let digest = named(&request.get_ref().resource_name);
        if let Some(kept) = digest.and_then(|digest| self.asked.kept().remove(&digest.hash)) {
            return Ok(Response::new(stream::QueryWriteStatusResponse {
                committed_size: kept.len() as i64,
                complete: true,
            }));
        }
        let mut client = ByteStreamClient::new(self.behind.clone());
        client.query_write_status(Rude::on(request)).await
    }
}
