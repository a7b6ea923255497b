//! What a server says that it can do, and how much goes into one call.

use bazel_remote_apis::build::bazel::remote::execution::v2::{
    ServerCapabilities, compressor, digest_function,
};

use super::fault::Fault;

/// What every gRPC server receives, unless it is set up otherwise.
const RECEIVED: u64 = 4 << 20;

/// Kept free in a call for all that is no contents: names, digests, frames.
const SLACK: u64 = 64 << 10;

/// What a blob costs in a batch beside its contents.
pub(super) const OF_EACH: u64 = 128;

/// How many digests are asked for in one call; each is some 75 bytes.
pub(super) const DIGESTS: usize = 10_000;

/// What a server can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How many bytes of blobs go into one call, `OF_EACH` included.
    pub batch: u64,
    /// Whether streams of blobs may be compressed with zstd.
    pub zstd: bool,
    /// Whether it says that it executes.
    pub executes: bool,
}

impl Limits {
    /// Those of a server that has no batches: what is small is held in memory.
    pub(super) fn of_http() -> Limits {
        Limits {
            batch: RECEIVED - SLACK,
            zstd: false,
            executes: false,
        }
    }

    /// What `capabilities` say.
    ///
    /// # Errors
    ///
    /// Where it does not know SHA-256.
    pub fn of(capabilities: &ServerCapabilities) -> Result<Limits, Fault> {
        let cache = capabilities.cache_capabilities.clone().unwrap_or_default();
        let sha256 = digest_function::Value::Sha256 as i32;
        if !cache.digest_functions.is_empty() && !cache.digest_functions.contains(&sha256) {
            return Err(Fault::Settings(
                "it does not name blobs by their SHA-256".into(),
            ));
        }
        // 0 is: not said.
        let said = match u64::try_from(cache.max_batch_total_size_bytes) {
            Ok(0) | Err(_) => RECEIVED,
            Ok(said) => said.min(RECEIVED),
        };
        let slack = SLACK.min(said / 8);
        let zstd = compressor::Value::Zstd as i32;
        let execution = capabilities.execution_capabilities.as_ref();
        Ok(Limits {
            batch: said - slack,
            zstd: cache.supported_compressors.contains(&zstd),
            executes: execution.is_some_and(|execution| execution.exec_enabled),
        })
    }

    /// Whether a blob of this size may be part of a batch.
    pub fn is_small(&self, size: u64) -> bool {
        size + OF_EACH <= self.batch
    }

    /// Cuts a list into batches; each blob of it must be small.
    pub fn batches<T>(&self, blobs: Vec<T>, size: impl Fn(&T) -> u64) -> Vec<Vec<T>> {
        let mut batches = Vec::new();
        let mut batch = Vec::new();
        let mut full = 0;
        for blob in blobs {
            let cost = size(&blob) + OF_EACH;
            if full + cost > self.batch && !batch.is_empty() {
                batches.push(std::mem::take(&mut batch));
                full = 0;
            }
            full += cost;
            batch.push(blob);
        }
        if !batch.is_empty() {
            batches.push(batch);
        }
        batches
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bazel_remote_apis::build::bazel::remote::execution::v2::CacheCapabilities;

    fn limits(batch: i64) -> Result<Limits, Fault> {
        Limits::of(&ServerCapabilities {
            cache_capabilities: Some(CacheCapabilities {
                max_batch_total_size_bytes: batch,
                ..CacheCapabilities::default()
            }),
            ..ServerCapabilities::default()
        })
    }

    #[test]
    fn batches_stay_below_what_servers_receive() -> Result<(), Fault> {
        for said in [0, -1, 64 << 20, 4_193_280] {
            assert!(limits(said)?.batch <= (4 << 20) - (64 << 10), "{said}");
        }
        let small = limits(64 << 10)?;
        assert!(small.batch < 64 << 10 && small.is_small(50_000) && !small.is_small(60_000));
        let batches = small.batches(vec![30_000_u64; 5], |size| *size);
        assert_eq!(
            batches.iter().map(Vec::len).collect::<Vec<_>>(),
            [1, 1, 1, 1, 1]
        );
        let batches = small.batches(vec![20_000_u64; 5], |size| *size);
        assert_eq!(batches.iter().map(Vec::len).collect::<Vec<_>>(), [2, 2, 1]);
        Ok(())
    }
}
