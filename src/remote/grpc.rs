//! A server of the Remote Execution API: one channel, one set of credentials,
//! one way to tell faults. `blobs` and `streams` are what it keeps.
//!
//! A call ends when nothing came of it for as long as a stall may take and its
//! bytes need at a very slow pace; no call has a deadline beside that.

use std::sync::Arc;
use std::time::Duration;

use bazel_remote_apis::build::bazel::remote::execution::v2 as api;
use prost::Message as _;
use tonic::metadata::{Ascii, MetadataKey, MetadataValue};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Code, Request, Status};

use super::address::Address;
use super::credentials::Credentials;
use super::fault::Fault;
use super::limits::Limits;
use super::tally::{Tally, add};
use crate::digest::Digest;
use crate::reapi::ActionResult;
use crate::runner::units::show_duration;

/// How long it may take to reach a server.
const CONNECT: Duration = Duration::from_secs(10);

/// What is received in one message: servers answer batches above their own limit.
pub(super) const RECEIVED: usize = 64 << 20;

/// How often a call is made whose line breaks.
const ATTEMPTS: u32 = 3;

/// How long to wait before it is made again.
const PAUSE: Duration = Duration::from_millis(100);

/// Bytes in flight, for links that are fast and long.
const WINDOW: u32 = 8 << 20;

/// The largest frame that is taken: each costs its sender and its receiver a turn.
const FRAME: u32 = 1 << 20;

/// The slowest link, in bytes a second, that a call of one message is waited for.
const SLOWEST: u64 = 32 << 10;

/// The name of the metadata that says who asks.
const WHO: &str = "build.bazel.remote.execution.v2.requestmetadata-bin";

/// A server.
#[derive(Clone, Debug)]
pub(super) struct Grpc {
    pub(super) channel: Channel,
    pub(super) instance: String,
    headers: Arc<Vec<(MetadataKey<Ascii>, MetadataValue<Ascii>)>>,
    credentials: Arc<Credentials>,
    invocation: Arc<str>,
    stall: Duration,
    pub(super) tally: Arc<Tally>,
}

impl Grpc {
    /// A server that is connected to by its first call.
    ///
    /// # Errors
    ///
    /// Where the certificates can't be used.
    pub(super) fn new(
        address: &Address,
        credentials: Arc<Credentials>,
        stall: Duration,
        tally: Arc<Tally>,
    ) -> Result<Grpc, Fault> {
        let settings = |error: tonic::transport::Error| Fault::Settings(deepest(&error));
        let mut endpoint = Endpoint::from_shared(address.origin())
            .map_err(settings)?
            .connect_timeout(CONNECT)
            .initial_stream_window_size(WINDOW)
            .initial_connection_window_size(2 * WINDOW)
            .max_frame_size(FRAME)
            .user_agent(concat!("mikado/", env!("CARGO_PKG_VERSION")))
            .map_err(settings)?;
        if address.encrypted {
            endpoint = endpoint.tls_config(tls(&credentials)).map_err(settings)?;
        }
        let mut headers = Vec::new();
        for (name, value) in &credentials.headers {
            let name: Result<MetadataKey<Ascii>, _> = name.parse();
            let value: Result<MetadataValue<Ascii>, _> = value.reveal().parse();
            let (Ok(name), Ok(mut value)) = (name, value) else {
                return Err(Fault::Settings("a header is none of gRPC".into()));
            };
            value.set_sensitive(true);
            headers.push((name, value));
        }
        Ok(Grpc {
            channel: endpoint.connect_lazy(),
            instance: address.instance.clone(),
            headers: Arc::new(headers),
            credentials,
            invocation: super::unique().into(),
            stall,
            tally,
        })
    }

    /// A request with what the server wants to know of who asks.
    pub(super) fn request<T>(&self, message: T, action: Option<&Digest>) -> Request<T> {
        let mut request = Request::new(message);
        let metadata = request.metadata_mut();
        for (name, value) in self.headers.iter() {
            metadata.insert(name.clone(), value.clone());
        }
        let who = api::RequestMetadata {
            tool_details: Some(api::ToolDetails {
                tool_name: "mikado".into(),
                tool_version: env!("CARGO_PKG_VERSION").into(),
            }),
            action_id: action.map(Digest::hex).unwrap_or_default(),
            tool_invocation_id: self.invocation.to_string(),
            ..api::RequestMetadata::default()
        };
        metadata.insert_bin(WHO, MetadataValue::from_bytes(&who.encode_to_vec()));
        request
    }

    /// Waits for an answer as long as something may be on its way; `bytes` are
    /// those of the whole message. Where the line breaks it is tried again.
    pub(super) async fn call<T, F>(&self, bytes: u64, call: impl Fn() -> F) -> Result<T, Status>
    where
        F: Future<Output = Result<tonic::Response<T>, Status>>,
    {
        let patience = self.stall + Duration::from_secs(bytes / SLOWEST);
        let once = async || {
            add(&self.tally.calls, 1);
            match tokio::time::timeout(patience, call()).await {
                Ok(answer) => answer.map(tonic::Response::into_inner),
                Err(_) => Err(self.stalled()),
            }
        };
        let mut attempt = 1;
        loop {
            match once().await {
                // A line that broke, under whatever code: it is had anew.
                Err(status) if attempt < ATTEMPTS && self.broke(&status) => {
                    attempt += 1;
                    tokio::time::sleep(PAUSE).await;
                }
                answer => return answer,
            }
        }
    }

    fn broke(&self, status: &Status) -> bool {
        matches!(self.fault(status), Fault::Unreachable(_))
    }

    /// What a call ends with of which nothing moves.
    pub(super) fn stalled(&self) -> Status {
        Status::deadline_exceeded(show_duration(self.stall))
    }

    /// The time without any progress after which a stream is given up.
    pub(super) fn stall(&self) -> Duration {
        self.stall
    }

    /// What an answer means for a run. Servers have different codes for the same.
    pub(super) fn fault(&self, status: &Status) -> Fault {
        let said = self.credentials.masked(status.message());
        let cause = std::error::Error::source(status);
        match status.code() {
            Code::Unauthenticated | Code::PermissionDenied => Fault::Refused(said),
            Code::DeadlineExceeded => Fault::Stalled(show_duration(self.stall)),
            Code::Unavailable => Fault::of_line(cause.map_or(said, deepest)),
            // The connection broke, whatever code that was given.
            _ if cause.is_some() => Fault::of_line(cause.map_or(said, deepest)),
            code => Fault::Answer(format!("{code:?}: {said}")),
        }
    }

    /// What the server can do.
    pub(super) async fn limits(&self) -> Result<Limits, Fault> {
        let ask = || {
            let request = api::GetCapabilitiesRequest {
                instance_name: self.instance.clone(),
            };
            let request = self.request(request, None);
            let mut client =
                api::capabilities_client::CapabilitiesClient::new(self.channel.clone());
            async move { client.get_capabilities(request).await }
        };
        let answer = self.call(0, ask).await;
        Limits::of(&answer.map_err(|status| self.fault(&status))?)
    }

    /// The result of an action; `None` where the server has none.
    pub(super) async fn result(&self, action: &Digest) -> Result<Option<ActionResult>, Fault> {
        let ask = || {
            let request = api::GetActionResultRequest {
                instance_name: self.instance.clone(),
                action_digest: Some(digest(action)),
                ..api::GetActionResultRequest::default()
            };
            let request = self.request(request, Some(action));
            let mut client = api::action_cache_client::ActionCacheClient::new(self.channel.clone())
                .max_decoding_message_size(RECEIVED);
            async move { client.get_action_result(request).await }
        };
        match self.call(0, ask).await {
            Ok(result) => Ok(Some(ours(&result)?)),
            Err(status) if status.code() == Code::NotFound => Ok(None),
            Err(status) => Err(self.fault(&status)),
        }
    }

    /// Says what an action left. All its blobs must have been uploaded.
    pub(super) async fn put_result(
        &self,
        action: &Digest,
        result: &ActionResult,
    ) -> Result<(), Fault> {
        let bytes = result.encode_to_vec();
        let theirs = api::ActionResult::decode(bytes.as_slice())
            .map_err(|error| Fault::Malformed(error.to_string()))?;
        let put = || {
            let request = api::UpdateActionResultRequest {
                instance_name: self.instance.clone(),
                action_digest: Some(digest(action)),
                action_result: Some(theirs.clone()),
                ..api::UpdateActionResultRequest::default()
            };
            let request = self.request(request, Some(action));
            let mut client = api::action_cache_client::ActionCacheClient::new(self.channel.clone())
                .max_decoding_message_size(RECEIVED);
            async move { client.update_action_result(request).await }
        };
        let put = self.call(bytes.len() as u64, put).await;
        put.map(drop).map_err(|status| self.fault(&status))
    }
}

/// A digest in the words of the API.
pub(super) fn digest(digest: &Digest) -> api::Digest {
    api::Digest {
        hash: digest.hex(),
        size_bytes: digest.size as i64,
    }
}

/// Our reading of a result: the same bytes, less what nobody here asks for.
pub(super) fn ours(result: &api::ActionResult) -> Result<ActionResult, Fault> {
    ActionResult::decode(result.encode_to_vec().as_slice())
        .map_err(|error| Fault::Malformed(error.to_string()))
}

fn tls(credentials: &Credentials) -> ClientTlsConfig {
    let config = ClientTlsConfig::new();
    let config = match &credentials.authorities {
        Some(pem) => config.ca_certificate(Certificate::from_pem(pem)),
        None => config.with_native_roots(),
    };
    match &credentials.identity {
        Some((certificate, key)) => config.identity(Identity::from_pem(certificate, key.reveal())),
        None => config,
    }
}

/// What is at the bottom of an error: the rest says that something went wrong.
pub(super) fn deepest(error: &(dyn std::error::Error + 'static)) -> String {
    let mut deepest = error;
    while let Some(cause) = deepest.source() {
        deepest = cause;
    }
    deepest.to_string()
}
