//! The manners of servers that execute: what they say is missing, what they look
//! up and what not, streams that end, executions that can't be ended.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bazel_remote_apis::build::bazel::remote::execution::v2 as api;
use bazel_remote_apis::google::longrunning::operations_client::OperationsClient;
use bazel_remote_apis::google::longrunning::operations_server::Operations;
use bazel_remote_apis::google::longrunning::{self as long, Operation, operation};
use bazel_remote_apis::google::protobuf::{Any, Empty};
use bazel_remote_apis::google::rpc;
use prost::Message as _;
use tonic::codegen::tokio_stream::{Stream, StreamExt as _, iter};
use tonic::{Code, Request, Response, Status, Streaming};

use api::execution_client::ExecutionClient;
use api::execution_server::Execution;

use super::rude::Rude;

/// How it executes otherwise than the server behind it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Executing {
    /// So many calls are answered with `FAILED_PRECONDITION`, and the input root.
    pub says_missing: usize,
    /// Calls end with this.
    pub refuses: Option<Code>,
    /// Calls for the first action that is asked for end with this, whenever they come.
    pub refuses_first: Option<Code>,
    /// Executions are over at once, with this and no result.
    pub ends_with: Option<Code>,
    /// What has a result is executed all the same.
    pub looks_nothing_up: bool,
    /// So many results name an output that is nowhere.
    pub forgets: usize,
    /// So many streams break after the first word.
    pub breaks: usize,
    /// So many streams of what was asked for before break after the first word.
    pub breaks_again: usize,
    /// What was asked for can't be waited for: this comes instead.
    pub on_waiting: Option<Code>,
    /// What was asked for can't be ended.
    pub never_ends: bool,
    /// Executions wait for a worker as long as this, and the server tells of stages.
    pub queues: Option<Duration>,
}

/// What was asked of executions.
#[derive(Debug, Default)]
pub struct Asked {
    /// How often something was to be executed.
    pub executions: AtomicUsize,
    /// How often something was waited for.
    pub waits: AtomicUsize,
    /// How often something was to be ended.
    pub ends: AtomicUsize,
    /// How often it was asked what is missing.
    pub missing_asked: AtomicUsize,
    /// Whether it says what is missing, where it waits before.
    pub let_go: AtomicBool,
    /// How many streams came that may break half way.
    pub halved: AtomicUsize,
    /// What came, by the hash that it came under, of a server that verifies nothing.
    kept: Mutex<BTreeMap<String, Vec<u8>>>,
    /// How often each blob came, by its hash.
    uploads: Mutex<BTreeMap<String, usize>>,
    /// How many calls of the kind came that is not answered for ever.
    pub of_silent: AtomicUsize,
    /// How many of them are not answered.
    pub unanswered: AtomicUsize,
    /// The hash of the action that was asked for first.
    first: Mutex<Option<String>>,
    /// The hash of the blob that was said to be missing last.
    missing: Mutex<Option<String>>,
    /// The blobs that came after that, in each batch of its own.
    sent: Mutex<Vec<BTreeSet<String>>>,
}

impl Asked {
    /// Notes what was sent.
    pub fn sent(&self, hashes: impl Iterator<Item = String>) {
        if self.missing.lock().expect("a hash").is_some() {
            self.sent.lock().expect("batches").push(hashes.collect());
        }
    }

    /// Notes uploads; those that are the first of their blob.
    pub fn uploaded(&self, digests: &[api::Digest]) -> BTreeSet<String> {
        let mut uploads = self.uploads.lock().expect("uploads");
        let mut first = BTreeSet::new();
        for digest in digests {
            let count = uploads.entry(digest.hash.clone()).or_default();
            *count += 1;
            if *count == 1 {
                first.insert(digest.hash.clone());
            }
        }
        first
    }

    /// Keeps what came.
    pub fn keep(&self, hash: &str, bytes: &[u8]) {
        let mut kept = self.kept.lock().expect("blobs");
        kept.insert(hash.to_owned(), bytes.to_vec());
    }

    /// What was kept, by the hash that it came under.
    pub fn kept(&self) -> BTreeMap<String, Vec<u8>> {
        self.kept.lock().expect("blobs").clone()
    }

    /// How often each blob came, by its hash.
    pub fn uploads(&self) -> BTreeMap<String, usize> {
        self.uploads.lock().expect("uploads").clone()
    }

    /// What was sent after something was said to be missing, and what that was.
    pub fn sent_again(&self) -> (Vec<BTreeSet<String>>, Option<String>) {
        let sent = self.sent.lock().expect("batches").clone();
        (sent, self.missing.lock().expect("a hash").clone())
    }
}

/// `google.rpc.PreconditionFailure`.
#[derive(Clone, PartialEq, Eq, prost::Message)]
struct PreconditionFailure {
    #[prost(message, repeated, tag = "1")]
    violations: Vec<Violation>,
}

#[derive(Clone, PartialEq, Eq, prost::Message)]
struct Violation {
    #[prost(string, tag = "1")]
    kind: String,
    #[prost(string, tag = "2")]
    subject: String,
}

type Operating = Pin<Box<dyn Stream<Item = Result<Operation, Status>> + Send>>;

/// Whether this is one of the first so many.
fn is_early(counter: &AtomicUsize, first: usize) -> bool {
    counter.load(Ordering::SeqCst) <= first
}

fn missing(digest: &api::Digest) -> Status {
    let failure = PreconditionFailure {
        violations: vec![Violation {
            kind: "MISSING".into(),
            subject: format!("blobs/{}/{}", digest.hash, digest.size_bytes),
        }],
    };
    let code = Code::FailedPrecondition;
    let status = rpc::Status {
        code: code as i32,
        message: "a blob is missing".into(),
        details: vec![Any {
            type_url: "type.googleapis.com/google.rpc.PreconditionFailure".into(),
            value: failure.encode_to_vec(),
        }],
    };
    let details = status.encode_to_vec();
    Status::with_details(code, status.message, details.into())
}

impl Rude {
    fn executions(&self) -> ExecutionClient<tonic::transport::Channel> {
        ExecutionClient::new(self.behind.clone())
    }

    /// The stream as it is told on.
    fn told(&self, stream: Streaming<Operation>, breaks: bool) -> Operating {
        if breaks {
            let broken = iter([Err(Status::unavailable("the line broke"))]);
            return Box::pin(stream.take(1).chain(broken));
        }
        if let Some(queue) = self.manners.executing.queues {
            return queued(stream, queue);
        }
        let number = self.asked.executions.load(Ordering::SeqCst);
        let forgets = number <= self.manners.executing.forgets;
        Box::pin(stream.map(move |operation| match forgets {
            true => operation.map(forgotten),
            false => operation,
        }))
    }
}

/// The stream of an execution that waits for a worker first. That a worker is at it
/// is said with each word.
fn queued(stream: Streaming<Operation>, queue: Duration) -> Operating {
    use api::execution_stage::Value;
    let staged = |mut operation: Operation, stage: Value| {
        let metadata = api::ExecuteOperationMetadata {
            stage: stage as i32,
            ..api::ExecuteOperationMetadata::default()
        };
        operation.metadata = Some(Any {
            type_url:
                "type.googleapis.com/build.bazel.remote.execution.v2.ExecuteOperationMetadata"
                    .into(),
            value: metadata.encode_to_vec(),
        });
        operation
    };
    let waiting = Operation {
        name: "waits".into(),
        ..Operation::default()
    };
    let (teller, told) = tokio::sync::mpsc::channel(4);
    tokio::spawn(async move {
        let first = teller.send(Ok(staged(waiting, Value::Queued))).await;
        tokio::time::sleep(queue).await;
        let mut stream = stream;
        // Nobody may listen any more.
        while first.is_ok() {
            let Some(operation) = stream.next().await else {
                return;
            };
            let operation = operation.map(|operation| staged(operation, Value::Executing));
            if teller.send(operation).await.is_err() {
                return;
            }
        }
    });
    Box::pin(Told(told))
}

/// What is told, as a stream.
struct Told(tokio::sync::mpsc::Receiver<Result<Operation, Status>>);

impl Stream for Told {
    type Item = Result<Operation, Status>;

    fn poll_next(mut self: Pin<&mut Self>, turn: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(turn)
    }
}

/// The operation with a result that was found, and whose output is nowhere.
fn forgotten(mut operation: Operation) -> Operation {
    if let Some(operation::Result::Response(any)) = &mut operation.result {
        let mut response = api::ExecuteResponse::decode(any.value.as_slice()).expect("a response");
        response.cached_result = true;
        for output in response
            .result
            .iter_mut()
            .flat_map(|result| &mut result.output_directories)
        {
            output.tree_digest = Some(api::Digest {
                hash: "ab".repeat(32),
                size_bytes: 77,
            });
        }
        any.value = response.encode_to_vec();
    }
    operation
}

#[tonic::async_trait]
impl Execution for Rude {
    type ExecuteStream = Operating;
    type WaitExecutionStream = Operating;

    async fn execute(
        &self,
        request: Request<api::ExecuteRequest>,
    ) -> Result<Response<Operating>, Status> {
        self.asked.executions.fetch_add(1, Ordering::SeqCst);
        let manners = self.manners.executing;
        if let Some(code) = manners.refuses {
            return Err(Status::new(code, "that is how it is here"));
        }
        let mut request = Rude::on(request);
        let asked = request.get_ref().action_digest.clone().expect("a digest");
        let first = asked.hash.clone();
        let first = self
            .asked
            .first
            .lock()
            .expect("a hash")
            .get_or_insert(first)
            .clone();
        if let Some(code) = manners.refuses_first
            && first == asked.hash
        {
            return Err(Status::new(code, "that one is not executed here"));
        }
        if is_early(&self.asked.executions, manners.says_missing) {
            *self.asked.missing.lock().expect("a hash") = Some(asked.hash.clone());
            return Err(missing(&asked));
        }
        if let Some(code) = manners.ends_with {
            let response = api::ExecuteResponse {
                status: Some(rpc::Status {
                    code: code as i32,
                    message: "that is how it ends here".into(),
                    details: vec![],
                }),
                ..api::ExecuteResponse::default()
            };
            let operation = Operation {
                name: "over".into(),
                done: true,
                result: Some(operation::Result::Response(Any {
                    type_url: "type.googleapis.com/build.bazel.remote.execution.v2.ExecuteResponse"
                        .into(),
                    value: response.encode_to_vec(),
                })),
                ..Operation::default()
            };
            return Ok(Response::new(Box::pin(iter([Ok(operation)]))));
        }
        request.get_mut().skip_cache_lookup |= manners.looks_nothing_up;
        let stream = self.executions().execute(request).await?.into_inner();
        let breaks = is_early(&self.asked.executions, manners.breaks);
        Ok(Response::new(self.told(stream, breaks)))
    }

    async fn wait_execution(
        &self,
        request: Request<api::WaitExecutionRequest>,
    ) -> Result<Response<Operating>, Status> {
        self.asked.waits.fetch_add(1, Ordering::SeqCst);
        if let Some(code) = self.manners.executing.on_waiting {
            return Err(Status::new(code, "nobody waits here"));
        }
        if is_early(&self.asked.waits, self.manners.executing.breaks_again) {
            // The real server says nothing before the end.
            let goes_on = Operation {
                name: request.into_inner().name,
                ..Operation::default()
            };
            let broken = Status::unavailable("the line broke");
            return Ok(Response::new(Box::pin(iter([Ok(goes_on), Err(broken)]))));
        }
        let mut executions = self.executions();
        let stream = executions.wait_execution(Rude::on(request)).await?;
        Ok(Response::new(self.told(stream.into_inner(), false)))
    }
}

#[tonic::async_trait]
impl Operations for Rude {
    async fn cancel_operation(
        &self,
        request: Request<long::CancelOperationRequest>,
    ) -> Result<Response<Empty>, Status> {
        self.asked.ends.fetch_add(1, Ordering::SeqCst);
        if self.manners.executing.never_ends {
            return Err(Status::unimplemented("it can't be ended"));
        }
        let mut operations = OperationsClient::new(self.behind.clone());
        operations.cancel_operation(Rude::on(request)).await
    }

    async fn list_operations(
        &self,
        _: Request<long::ListOperationsRequest>,
    ) -> Result<Response<long::ListOperationsResponse>, Status> {
        Err(Status::unimplemented("no"))
    }

    async fn get_operation(
        &self,
        _: Request<long::GetOperationRequest>,
    ) -> Result<Response<Operation>, Status> {
        Err(Status::unimplemented("no"))
    }

    async fn delete_operation(
        &self,
        _: Request<long::DeleteOperationRequest>,
    ) -> Result<Response<Empty>, Status> {
        Err(Status::unimplemented("no"))
    }

    async fn wait_operation(
        &self,
        _: Request<long::WaitOperationRequest>,
    ) -> Result<Response<Operation>, Status> {
        Err(Status::unimplemented("no"))
    }
}
