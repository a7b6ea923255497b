//! Servers of the Remote Execution API and of Bazel's HTTP cache, as a client sees
//! them: the shared cache, and the connection that executing elsewhere will use.
//!
//! It knows actions by their digests and the store, and nothing of cards. Nothing
//! here connects before something is asked for; the calls run on one thread of
//! their own, so that the engine's loop never waits. Invariants: whatever comes
//! is verified by SHA-256 and size before it has a name in the store; blobs are
//! up before the result that names them; no fault of a server is a fault of a run.

mod address;
mod blobs;
mod breaker;
mod cache;
mod client;
mod credentials;
mod executor;
mod executor_settings;
mod executor_tally;
mod fault;
mod following;
mod gather;
mod grpc;
mod http_cache;
mod limits;
mod moved;
mod operations;
mod origin;
mod record;
mod said;
mod sending;
mod settings;
mod sink;
mod streams;
mod tally;
mod transfer;
mod tree;
mod upload;
mod web;

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;

pub use address::{Address, NoAddress, Protocol};
pub use cache::{Cache, FoundCheck, Need, Wanted};
pub use client::Client;
pub use credentials::{Credentials, Secret, SecretFrom};
pub use executor::{End, Executor, Job, Made as Executed, Undone};
pub use executor_settings::{Download, ExecutorConfig, ExecutorGiven, ExecutorSettings};
pub use executor_tally::ExecutorCounts;
pub use fault::Fault;
pub use limits::Limits;
pub use origin::Origin;
pub use settings::{CacheConfig, CacheGiven, CacheSettings, Mode, NAMESPACE};
pub use tally::{CacheCounts, Tally};
pub use upload::Made;

/// A name that nobody else has, in the form of a UUID of version 4.
fn unique() -> String {
    let [high, low] = [0, 1].map(|half: u8| RandomState::new().hash_one(half));
    let version = high & !0xf000 | 0x4000;
    let variant = low & !(0b11 << 62) | 0b10 << 62;
    format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        version >> 32,
        version >> 16 & 0xffff,
        version & 0xffff,
        variant >> 48,
        variant & 0xffff_ffff_ffff
    )
}

#[cfg(test)]
mod tests {
    #[test]
    fn unique_names_are_uuids_and_differ() {
        let (one, two) = (super::unique(), super::unique());
        assert_ne!(one, two);
        assert_eq!((one.len(), one.as_bytes()[14]), (36, b'4'));
    }
}
