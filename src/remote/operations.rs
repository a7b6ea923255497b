//! Executions on a server: `Execute`, `WaitExecution`, and `CancelOperation`, each
//! as one call. What becomes of an execution is told as a stream of operations,
//! which may break at any moment and say nothing for hours.

use bazel_remote_apis::build::bazel::remote::execution::v2 as api;
use bazel_remote_apis::google::longrunning::operations_client::OperationsClient;
use bazel_remote_apis::google::longrunning::{CancelOperationRequest, Operation, operation};
use bazel_remote_apis::google::rpc;
use prost::Message as _;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tonic::{Code, Status};

use super::grpc::{Grpc, RECEIVED, digest};
use super::tally::add;
use crate::digest::Digest;

/// The type of what tells which blobs a server lacks.
const PRECONDITION: &str = "type.googleapis.com/google.rpc.PreconditionFailure";

/// The kind of a violation that names a blob.
const MISSING: &str = "MISSING";

/// `google.rpc.PreconditionFailure`, as far as it is read.
#[derive(Clone, PartialEq, Eq, prost::Message)]
struct PreconditionFailure {
    #[prost(message, repeated, tag = "1")]
    violations: Vec<Violation>,
}

/// What is not as it must be.
#[derive(Clone, PartialEq, Eq, prost::Message)]
struct Violation {
    #[prost(string, tag = "1")]
    kind: String,
    #[prost(string, tag = "2")]
    subject: String,
}

/// A stream of operations; dropping it ends the reading, and not the execution.
pub(super) struct Operations {
    received: mpsc::Receiver<Result<Operation, Status>>,
    _reading: JoinSet<()>,
}

impl Operations {
    /// The next one; `None` at the end of the stream.
    pub(super) async fn next(&mut self) -> Option<Result<Operation, Status>> {
        self.received.recv().await
    }
}

/// What an operation says.
pub(super) enum Said {
    /// It waits for a worker.
    Queued,
    /// A worker is at it.
    Executing,
    /// It goes on; how is not said.
    Going,
    /// It is over.
    Over(Box<api::ExecuteResponse>),
    /// It is over, without any answer.
    Lost(Status),
}

impl Grpc {
    fn executions(&self) -> api::execution_client::ExecutionClient<tonic::transport::Channel> {
        api::execution_client::ExecutionClient::new(self.channel.clone())
            .max_decoding_message_size(RECEIVED)
    }

    /// Asks for an execution; with `anew` even where the server has its result.
    pub(super) fn execute(&self, action: &Digest, anew: bool) -> Operations {
        let request = api::ExecuteRequest {
            instance_name: self.instance.clone(),
            action_digest: Some(digest(action)),
            skip_cache_lookup: anew,
            ..api::ExecuteRequest::default()
        };
        let request = self.request(request, Some(action));
        let mut client = self.executions();
        self.followed(async move { client.execute(request).await })
    }

    /// Takes up the stream of an execution that was asked for.
    pub(super) fn wait_for(&self, name: &str, action: &Digest) -> Operations {
        let name = name.to_owned();
        let request = self.request(api::WaitExecutionRequest { name }, Some(action));
        let mut client = self.executions();
        self.followed(async move { client.wait_execution(request).await })
    }

    /// Ends an execution.
    pub(super) async fn cancel(&self, name: &str) -> Result<(), Status> {
        let ask = || {
            let name = name.to_owned();
            let request = self.request(CancelOperationRequest { name }, None);
            let mut client = OperationsClient::new(self.channel.clone());
            async move { client.cancel_operation(request).await }
        };
        self.call(0, ask).await.map(drop)
    }

    /// Reads a stream beside its reader: some servers do not even begin to answer
    /// before an execution is over.
    fn followed<F>(&self, opened: F) -> Operations
    where
        F: Future<Output = Result<tonic::Response<tonic::Streaming<Operation>>, Status>>
            + Send
            + 'static,
    {
        add(&self.tally.calls, 1);
        let (sender, received) = mpsc::channel(4);
        let mut reading = JoinSet::new();
        reading.spawn(async move {
            let mut stream = match opened.await {
                Ok(stream) => stream.into_inner(),
                Err(status) => return drop(sender.send(Err(status)).await),
            };
            loop {
                let sent = match stream.message().await {
                    Ok(Some(operation)) => sender.send(Ok(operation)).await,
                    Ok(None) => return,
                    Err(status) => return drop(sender.send(Err(status)).await),
                };
                if sent.is_err() {
                    return;
                }
            }
        });
        Operations {
            received,
            _reading: reading,
        }
    }
}

/// Reads an operation.
pub(super) fn read(operation: &Operation) -> Said {
    let stage = operation.metadata.as_ref().and_then(|any| {
        let metadata = api::ExecuteOperationMetadata::decode(any.value.as_slice()).ok()?;
        Some(metadata.stage)
    });
    if !operation.done {
        use api::execution_stage::Value;
        return match stage.and_then(|stage| Value::try_from(stage).ok()) {
            Some(Value::Queued) => Said::Queued,
            Some(Value::Executing) => Said::Executing,
            _ => Said::Going,
        };
    }
    match &operation.result {
        Some(operation::Result::Response(any)) => {
            match api::ExecuteResponse::decode(any.value.as_slice()) {
                Ok(response) => Said::Over(Box::new(response)),
                Err(error) => Said::Lost(Status::internal(error.to_string())),
            }
        }
        Some(operation::Result::Error(status)) => Said::Lost(as_status(status)),
        None => Said::Lost(Status::internal("an operation that ended without a result")),
    }
}

/// A status in a message as one of a call.
pub(super) fn as_status(status: &rpc::Status) -> Status {
    let details = status.encode_to_vec();
    Status::with_details(
        Code::from(status.code),
        status.message.clone(),
        details.into(),
    )
}

/// The blobs that a status says are missing.
pub(super) fn said_missing(status: &Status) -> Vec<Digest> {
    let Ok(status) = rpc::Status::decode(status.details()) else {
        return Vec::new();
    };
    let failures = status
        .details
        .iter()
        .filter(|any| any.type_url == PRECONDITION)
        .filter_map(|any| PreconditionFailure::decode(any.value.as_slice()).ok());
    failures
        .flat_map(|failure| failure.violations)
        .filter(|violation| violation.kind == MISSING)
        .filter_map(|violation| blob_of(&violation.subject))
        .collect()
}

/// `blobs/{hash}/{size}`, with more or less before it.
fn blob_of(subject: &str) -> Option<Digest> {
    let mut parts = subject.rsplit('/');
    let size = parts.next()?.parse().ok()?;
    Digest::from_hex(parts.next()?, size)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bazel_remote_apis::google::protobuf::Any;

    #[test]
    fn missing_blobs_are_read_from_a_status() {
        let digest = Digest::of(b"gone");
        let violation = |kind: &str, subject: String| Violation {
            kind: kind.into(),
            subject,
        };
        let failure = PreconditionFailure {
            violations: vec![
                violation(MISSING, format!("blobs/{}/{}", digest.hex(), digest.size)),
                violation("OTHER", format!("blobs/{}/{}", digest.hex(), 3)),
                violation(MISSING, "blobs/none".into()),
            ],
        };
        let status = as_status(&rpc::Status {
            code: Code::FailedPrecondition as i32,
            message: "missing".into(),
            details: vec![Any {
                type_url: PRECONDITION.into(),
                value: failure.encode_to_vec(),
            }],
        });
        assert_eq!(said_missing(&status), [digest]);
        assert!(said_missing(&Status::internal("x")).is_empty());
    }
}
