//! Bazel's HTTP cache: `/ac/SHA-256` and `/cas/SHA-256`, with the same bytes as
//! over gRPC. It has no batches, so several blobs are asked for at once, and
//! there are servers that check nothing of what they keep: here all is checked.

use std::path::Path;
use std::sync::Arc;

use http::{Method, StatusCode};
use prost::Message as _;

use super::fault::Fault;
use super::origin::Origin;
use super::sink::Sink;
use super::tally::add;
use super::transfer::all;
use super::web::Web;
use crate::digest::Digest;
use crate::reapi::ActionResult;

/// How many requests of a batch are on their way at once.
const AT_ONCE: usize = 16;

/// The largest result that is read.
const RESULT: usize = 16 << 20;

/// How often a download is begun.
const ATTEMPTS: u32 = 3;

/// A cache over HTTP.
#[derive(Clone, Debug)]
pub(super) struct HttpCache(pub(super) Web);

fn blob(digest: &Digest) -> String {
    format!("cas/{}", digest.hex())
}

impl HttpCache {
    pub(super) async fn result(&self, action: &Digest) -> Result<Option<ActionResult>, Fault> {
        let path = format!("ac/{}", action.hex());
        let Some(bytes) = self.read(&path, RESULT).await? else {
            return Ok(None);
        };
        if bytes.len() > RESULT {
            return Err(Fault::Malformed("it is too long".into()));
        }
        let result = ActionResult::decode(bytes.as_slice());
        Ok(Some(result.map_err(|e| Fault::Malformed(e.to_string()))?))
    }

    pub(super) async fn put_result(
        &self,
        action: &Digest,
        result: &ActionResult,
    ) -> Result<(), Fault> {
        let bytes = result.encode_to_vec();
        let size = bytes.len() as u64;
        let origin = Origin::Bytes(Arc::new(bytes));
        self.put(&format!("ac/{}", action.hex()), size, &origin)
            .await
    }

    pub(super) async fn missing(&self, digests: &[Digest]) -> Result<Vec<Digest>, Fault> {
        let asked = digests.iter().copied().map(|digest| {
            let cache = self.clone();
            async move {
                let answer = cache.0.send(Method::HEAD, &blob(&digest), None).await?;
                match answer.status() {
                    status if status.is_success() => Ok(None),
                    // What can't be asked for is uploaded.
                    StatusCode::NOT_FOUND
                    | StatusCode::METHOD_NOT_ALLOWED
                    | StatusCode::NOT_IMPLEMENTED => Ok(Some(digest)),
                    status => Err(cache.0.fault(status)),
                }
            }
        });
        Ok(all(AT_ONCE, asked).await?.into_iter().flatten().collect())
    }

    pub(super) async fn read_batch(
        &self,
        digests: &[Digest],
    ) -> Result<Vec<(Digest, Vec<u8>)>, Fault> {
        let read = digests.iter().copied().map(|digest| {
            let cache = self.clone();
            async move {
                let size = usize::try_from(digest.size).unwrap_or(usize::MAX);
                let Some(bytes) = cache.read(&blob(&digest), size).await? else {
                    return Ok(None);
                };
                if Digest::of(&bytes) != digest {
                    return Err(Fault::Wrong(digest));
                }
                add(&cache.0.tally.bytes_down, digest.size);
                Ok(Some((digest, bytes)))
            }
        });
        Ok(all(AT_ONCE, read).await?.into_iter().flatten().collect())
    }

    pub(super) async fn write_batch(&self, blobs: &[(Digest, Vec<u8>)]) -> Result<(), Fault> {
        let written = blobs.iter().cloned().map(|(digest, bytes)| {
            let cache = self.clone();
            async move {
                let origin = Origin::Bytes(Arc::new(bytes));
                cache.write_from(&digest, &origin).await
            }
        });
        all(AT_ONCE, written).await.map(drop)
    }

    pub(super) async fn write_from(&self, digest: &Digest, origin: &Origin) -> Result<(), Fault> {
        match self.put(&blob(digest), digest.size, origin).await {
            // nginx answers 500 to a body without bytes. Nobody reads the empty blob:
            // what it is is known.
            Err(Fault::Answer(_)) if digest.size == 0 => return Ok(()),
            put => put?,
        }
        add(&self.0.tally.bytes_up, digest.size);
        Ok(())
    }

    pub(super) async fn read_to(&self, digest: &Digest, path: &Path) -> Result<(), Fault> {
        let mut attempt = 1;
        loop {
            match self.download(digest, path).await {
                Err(fault) if attempt < ATTEMPTS && fault.may_pass() => {
                    attempt += 1;
                    std::fs::remove_file(path)?;
                }
                done => return done,
            }
        }
    }

    async fn download(&self, digest: &Digest, path: &Path) -> Result<(), Fault> {
        let sink = Sink::open(path, *digest, false)?;
        let answer = self.0.send(Method::GET, &blob(digest), None).await?;
        match answer.status() {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND => return Err(Fault::Gone(*digest)),
            status => return Err(self.0.fault(status)),
        }
        let mut body = answer.into_body();
        while let Some(part) = self.0.part(&mut body).await? {
            if !sink.take(part.to_vec()).await {
                break;
            }
        }
        sink.finish().await?;
        add(&self.0.tally.bytes_down, digest.size);
        Ok(())
    }

    /// What lies at `path`; `None` where nothing does. Of what is longer than so many
    /// bytes no more is read than shows that.
    async fn read(&self, path: &str, most: usize) -> Result<Option<Vec<u8>>, Fault> {
        let answer = self.0.send(Method::GET, path, None).await?;
        match answer.status() {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND => return Ok(None),
            status => return Err(self.0.fault(status)),
        }
        let mut body = answer.into_body();
        let mut bytes = Vec::new();
        while let Some(part) = self.0.part(&mut body).await? {
            bytes.extend_from_slice(&part);
            if bytes.len() > most {
                break;
            }
        }
        Ok(Some(bytes))
    }

    async fn put(&self, path: &str, size: u64, origin: &Origin) -> Result<(), Fault> {
        let answer = self.0.send(Method::PUT, path, Some((size, origin))).await?;
        match answer.status() {
            status if status.is_success() => Ok(()),
            status => Err(self.0.fault(status)),
        }
    }
}
