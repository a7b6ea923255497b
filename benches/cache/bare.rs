//! A client that does nothing but ask, as Bazel does: the result of each action,
//! then its tree, then each of its files by a stream, 48 actions at once. Files
//! are written and renamed into place, or thrown away: then what it takes is what
//! the server and gRPC take.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bazel_remote_apis::build::bazel::remote::execution::v2 as api;
use bazel_remote_apis::google::bytestream as stream;
use mikado::digest::Digest;
use prost::Message as _;
use tokio::sync::Semaphore;
use tonic::transport::{Channel, Endpoint};

/// How many actions are asked for at once.
const AT_ONCE: usize = 48;
/// Bytes that a server may send before it is told to go on.
const WINDOW: u32 = 16 << 20;

/// What it took, and how many calls that were.
pub struct Bare {
    pub took: Duration,
    pub calls: usize,
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.expect("a runtime").block_on(work)
}

fn endpoint(server: SocketAddr) -> Endpoint {
    Endpoint::from_shared(format!("http://{server}")).expect("an address")
}

/// Asks for these actions, all of which must be there, and writes their files below
/// `folder`, a folder an action; without one it throws them away.
pub fn ask(server: SocketAddr, actions: &[Digest], folder: Option<&Path>) -> Bare {
    block_on(async {
        let began = Instant::now();
        let channel = endpoint(server).connect().await.expect("a connection");
        let calls = Arc::new(AtomicUsize::new(0));
        let gate = Arc::new(Semaphore::new(AT_ONCE));
        let mut tasks = tokio::task::JoinSet::new();
        for action in actions {
            let (action, channel) = (*action, channel.clone());
            let (calls, gate) = (Arc::clone(&calls), Arc::clone(&gate));
            let folder = folder.map(|folder| folder.join(action.hex()));
            tasks.spawn(async move {
                let _turn = gate.acquire().await;
                one(channel, action, &calls, folder).await;
            });
        }
        while let Some(done) = tasks.join_next().await {
            done.expect("an answer");
        }
        Bare {
            took: began.elapsed(),
            calls: calls.load(Ordering::SeqCst),
        }
    })
}

/// Reads one blob as it comes, and throws it away: what the server and gRPC take
/// where nobody hashes or writes.
pub fn read_whole(server: SocketAddr, digest: Digest) -> Duration {
    block_on(async {
        let began = Instant::now();
        let channel = endpoint(server)
            .initial_stream_window_size(WINDOW)
            .initial_connection_window_size(WINDOW);
        let channel = channel.connect().await.expect("a connection");
        let request = stream::ReadRequest {
            resource_name: format!("blobs/{}/{}", digest.hex(), digest.size),
            ..stream::ReadRequest::default()
        };
        let client = stream::byte_stream_client::ByteStreamClient::new(channel);
        let mut client = client.max_decoding_message_size(WINDOW as usize);
        let mut parts = client.read(request).await.expect("a blob").into_inner();
        let mut left = digest.size;
        while let Some(part) = parts.message().await.expect("a part") {
            left -= part.data.len() as u64;
        }
        assert_eq!(left, 0);
        began.elapsed()
    })
}

async fn one(channel: Channel, action: Digest, calls: &AtomicUsize, place: Option<PathBuf>) {
    if let Some(place) = &place {
        fs::create_dir_all(place).expect("a folder");
    }
    let request = api::GetActionResultRequest {
        action_digest: Some(api::Digest {
            hash: action.hex(),
            size_bytes: action.size as i64,
        }),
        ..api::GetActionResultRequest::default()
    };
    calls.fetch_add(1, Ordering::SeqCst);
    let mut cache = api::action_cache_client::ActionCacheClient::new(channel.clone());
    let result = cache.get_action_result(request).await.expect("a result");
    for folder in result.into_inner().output_directories {
        let tree = read(&channel, folder.tree_digest, calls).await;
        let tree = api::Tree::decode(tree.as_slice()).expect("a tree");
        for directory in tree.root.into_iter().chain(tree.children) {
            for file in directory.files {
                let bytes = read(&channel, file.digest, calls).await;
                if let Some(place) = &place {
                    let (new, path) = (place.join(".new"), place.join(&file.name));
                    fs::write(&new, bytes).expect("room");
                    fs::rename(new, path).expect("a name");
                }
            }
        }
    }
}

async fn read(channel: &Channel, digest: Option<api::Digest>, calls: &AtomicUsize) -> Vec<u8> {
    let digest = digest.expect("a digest");
    let request = stream::ReadRequest {
        resource_name: format!("blobs/{}/{}", digest.hash, digest.size_bytes),
        ..stream::ReadRequest::default()
    };
    calls.fetch_add(1, Ordering::SeqCst);
    let mut client = stream::byte_stream_client::ByteStreamClient::new(channel.clone());
    let answer = client.read(request).await.expect("a blob");
    let mut parts = answer.into_inner();
    let mut bytes = Vec::new();
    while let Some(part) = parts.message().await.expect("a part") {
        bytes.extend_from_slice(&part.data);
    }
    assert_eq!(Digest::of(&bytes).hex(), digest.hash);
    bytes
}
