//! Large blobs, in streams: `ByteStream` as the Remote Execution API uses it.
//!
//! A stream that breaks goes on where it broke: a download at its offset, an
//! upload where the server says that it is (`QueryWriteStatus`), else from the
//! start. Compressed ones start again.

use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bazel_remote_apis::google::bytestream as api;
use tokio::sync::mpsc;
use tonic::codegen::tokio_stream::Stream;
use tonic::transport::Channel;
use tonic::{Code, Status};

use super::fault::Fault;
use super::grpc::{Grpc, RECEIVED};
use super::moved::Moved;
use super::origin::{Origin, Part};
use super::sink::Sink;
use super::tally::add;
use crate::digest::Digest;

type Client = api::byte_stream_client::ByteStreamClient<Channel>;

/// How often a stream is begun or taken up.
const ATTEMPTS: u32 = 4;

/// How long to wait before a stream is taken up: servers restart.
const PAUSE: Duration = Duration::from_millis(300);

impl Grpc {
    fn streams(&self) -> Client {
        Client::new(self.channel.clone()).max_decoding_message_size(RECEIVED)
    }

    /// `name` within the instance.
    fn resource(&self, name: &str) -> String {
        match self.instance.is_empty() {
            true => name.to_owned(),
            false => format!("{}/{name}", self.instance),
        }
    }

    /// Reads a blob into a new file at `path`.
    ///
    /// # Errors
    ///
    /// Also where it is not what its digest says; the file is no good then.
    pub(super) async fn read_stream(
        &self,
        digest: &Digest,
        path: &Path,
        zstd: bool,
    ) -> Result<(), Fault> {
        let folder = match zstd {
            true => "compressed-blobs/zstd",
            false => "blobs",
        };
        let name = self.resource(&format!("{folder}/{}/{}", digest.hex(), digest.size));
        let mut sink = Sink::open(path, *digest, zstd)?;
        let mut offset = 0;
        let mut attempt = 1;
        loop {
            match self.read_on(&name, &mut offset, &sink).await {
                Ok(()) => {
                    sink.finish().await?;
                    add(&self.tally.bytes_down, offset);
                    return Ok(());
                }
                Err(status) if status.code() == Code::NotFound => {
                    return Err(Fault::Gone(*digest));
                }
                Err(status) => {
                    let fault = self.fault(&status);
                    if attempt == ATTEMPTS || !fault.may_pass() {
                        return Err(fault);
                    }
                    attempt += 1;
                    tokio::time::sleep(PAUSE).await;
                    if zstd {
                        drop(sink);
                        std::fs::remove_file(path)?;
                        sink = Sink::open(path, *digest, zstd)?;
                        offset = 0;
                    }
                }
            }
        }
    }

    /// Reads on from `offset`, which moves with what came.
    async fn read_on(&self, name: &str, offset: &mut u64, sink: &Sink) -> Result<(), Status> {
        let request = api::ReadRequest {
            resource_name: name.to_owned(),
            read_offset: *offset as i64,
            read_limit: 0,
        };
        add(&self.tally.calls, 1);
        let mut client = self.streams();
        let answer = client.read(self.request(request, None));
        let answer = tokio::time::timeout(self.stall(), answer).await;
        let mut parts = answer.map_err(|_| self.stalled())??.into_inner();
        loop {
            let part = tokio::time::timeout(self.stall(), parts.message()).await;
            let Some(part) = part.map_err(|_| self.stalled())?? else {
                return Ok(());
            };
            *offset += part.data.len() as u64;
            if !sink.take(part.data).await {
                // The sink says what is wrong.
                return Ok(());
            }
        }
    }

    /// Writes a blob from where it is.
    pub(super) async fn write_stream(
        &self,
        digest: &Digest,
        origin: &Origin,
        zstd: bool,
    ) -> Result<(), Fault> {
        let mut offset = 0;
        let mut name = self.upload_name(digest, zstd);
        let mut attempt = 1;
        loop {
            match self.write_on(&name, digest, origin, offset, zstd).await {
                Ok(()) => {
                    add(&self.tally.bytes_up, digest.size);
                    return Ok(());
                }
                Err(fault) if attempt == ATTEMPTS || !fault.may_pass() => return Err(fault),
                Err(_) => {
                    attempt += 1;
                    tokio::time::sleep(PAUSE).await;
                    match self.written(&name).await {
                        // Some take what they have for the whole. What is compressed
                        // has no size to compare with, and is sent again.
                        Some(status) if !zstd && status.complete && has_all(&status, digest) => {
                            return Ok(());
                        }
                        Some(status) if !zstd && !status.complete && status.committed_size > 0 => {
                            offset = (status.committed_size as u64).min(digest.size);
                        }
                        _ => {
                            offset = 0;
                            name = self.upload_name(digest, zstd);
                        }
                    }
                }
            }
        }
    }

    fn upload_name(&self, digest: &Digest, zstd: bool) -> String {
        let folder = match zstd {
            true => "compressed-blobs/zstd",
            false => "blobs",
        };
        let (unique, hex, size) = (super::unique(), digest.hex(), digest.size);
        self.resource(&format!("uploads/{unique}/{folder}/{hex}/{size}"))
    }

    /// How much of an upload the server has; `None` where it does not say.
    async fn written(&self, name: &str) -> Option<api::QueryWriteStatusResponse> {
        let request = api::QueryWriteStatusRequest {
            resource_name: name.to_owned(),
        };
        let mut client = self.streams();
        add(&self.tally.calls, 1);
        let asked = client.query_write_status(self.request(request, None));
        let answer = tokio::time::timeout(self.stall(), asked).await.ok()?;
        Some(answer.ok()?.into_inner())
    }

    async fn write_on(
        &self,
        name: &str,
        digest: &Digest,
        origin: &Origin,
        offset: u64,
        zstd: bool,
    ) -> Result<(), Fault> {
        let moved = Moved::new();
        let requests = Requests {
            parts: origin.clone().parts(offset, zstd),
            name: name.to_owned(),
            moved: Arc::clone(&moved),
            fault: Arc::default(),
        };
        let broken = Arc::clone(&requests.fault);
        add(&self.tally.calls, 1);
        let mut client = self.streams();
        let write = client.write(self.request(requests, None));
        let answer = tokio::select! {
            answer = write => answer,
            () = moved.stops_for(self.stall()) => Err(self.stalled()),
        };
        if let Some(fault) = broken.lock().ok().and_then(|mut fault| fault.take()) {
            return Err(fault);
        }
        let committed = answer
            .map_err(|status| self.fault(&status))?
            .into_inner()
            .committed_size;
        // Of a compressed one it is the size of that, or -1.
        match zstd || committed == digest.size as i64 {
            true => Ok(()),
            false => Err(Fault::Answer(format!(
                "that it has {committed} bytes of {}",
                digest.size
            ))),
        }
    }
}

/// Whether an upload is that of the whole blob.
fn has_all(status: &api::QueryWriteStatusResponse, digest: &Digest) -> bool {
    u64::try_from(status.committed_size) == Ok(digest.size)
}

/// The requests of an upload.
struct Requests {
    parts: mpsc::Receiver<Result<Part, Fault>>,
    name: String,
    moved: Arc<Moved>,
    /// Why there are no more, where that is not their end.
    fault: Arc<std::sync::Mutex<Option<Fault>>>,
}

impl Stream for Requests {
    type Item = api::WriteRequest;

    fn poll_next(mut self: Pin<&mut Self>, turn: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let part = std::task::ready!(self.parts.poll_recv(turn));
        self.moved.now();
        match part {
            None => Poll::Ready(None),
            Some(Err(fault)) => {
                if let Ok(mut broken) = self.fault.lock() {
                    *broken = Some(fault);
                }
                Poll::Ready(None)
            }
            Some(Ok(part)) => Poll::Ready(Some(api::WriteRequest {
                // Only the first one needs it.
                resource_name: std::mem::take(&mut self.name),
                write_offset: part.offset as i64,
                finish_write: part.last,
                data: part.bytes,
            })),
        }
    }
}
