//! Many blobs of all sizes, up and down: small ones in batches, large ones in
//! streams, a few of each at once, so that memory stays small.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::client::Client;
use super::fault::Fault;
use super::limits::{DIGESTS, Limits};
use super::origin::Origin;
use crate::digest::Digest;

/// How many batches and streams are on their way at once, for one set of blobs.
const AT_ONCE: usize = 6;

/// Up to this many small blobs are read in batches with those of others.
const FEW: usize = 64;

/// Waits for all, so many at once; the first fault ends the others.
pub(super) async fn all<T: Send + 'static>(
    at_once: usize,
    work: impl IntoIterator<Item = impl Future<Output = Result<T, Fault>> + Send + 'static>,
) -> Result<Vec<T>, Fault> {
    let gate = Arc::new(Semaphore::new(at_once));
    let mut tasks = JoinSet::new();
    for work in work {
        let gate = Arc::clone(&gate);
        tasks.spawn(async move {
            let _turn = gate.acquire().await;
            work.await
        });
    }
    let mut done = Vec::new();
    while let Some(ended) = tasks.join_next().await {
        done.push(ended.map_err(|error| Fault::Here(format!("BUG: {error}")))??);
    }
    Ok(done)
}

/// Those of these blobs that the server lacks. It is asked for the empty one, too:
/// that one should be everywhere, and some servers find a result without it torn.
pub(super) async fn missing(
    client: &Client,
    digests: &BTreeSet<Digest>,
) -> Result<BTreeSet<Digest>, Fault> {
    let asked: Vec<Digest> = digests.iter().copied().collect();
    let asked = asked.chunks(DIGESTS).map(|part| {
        let (client, part) = (client.clone(), part.to_vec());
        async move { client.missing(&part).await }
    });
    let missing = all(AT_ONCE, asked).await?.into_iter().flatten();
    Ok(missing.filter(|digest| digests.contains(digest)).collect())
}

/// Uploads those of these blobs that the server lacks; returns how many.
///
/// # Errors
///
/// Where one of them could not be uploaded; others may have been.
pub(super) async fn upload(
    client: &Client,
    blobs: BTreeMap<Digest, Origin>,
) -> Result<usize, Fault> {
    let missing = missing(client, &blobs.keys().copied().collect()).await?;
    let mut blobs = blobs;
    blobs.retain(|digest, _| missing.contains(digest));
    send(client, blobs).await?;
    Ok(missing.len())
}

/// Uploads these blobs, of which it is known that the server lacks them.
///
/// # Errors
///
/// Where one of them could not be uploaded; others may have been.
pub(super) async fn send(client: &Client, blobs: BTreeMap<Digest, Origin>) -> Result<(), Fault> {
    if blobs.is_empty() {
        return Ok(());
    }
    let limits = client.limits().await?;
    let (small, large): (Vec<_>, Vec<_>) = blobs
        .into_iter()
        .partition(|(digest, _)| limits.is_small(digest.size));
    let batches = limits.batches(small, |(digest, _)| digest.size);
    let batches = batches.into_iter().map(|batch| {
        let client = client.clone();
        async move {
            let read = tokio::task::spawn_blocking(move || {
                let read = |(digest, origin): (Digest, Origin)| Ok((digest, origin.read()?));
                batch.into_iter().map(read).collect()
            });
            let read: std::io::Result<Vec<(Digest, Vec<u8>)>> =
                read.await.map_err(|e| Fault::Here(format!("BUG: {e}")))?;
            client.write_batch(&read?).await
        }
    });
    all(AT_ONCE, batches).await?;
    let streams = large.into_iter().map(|(digest, origin)| {
        let client = client.clone();
        async move { client.write_from(&digest, &origin).await }
    });
    all(AT_ONCE, streams).await?;
    Ok(())
}

/// Reads small blobs, such as messages.
///
/// # Errors
///
/// Where the server does not have one of them.
pub(super) async fn read_small(
    client: &Client,
    digests: &BTreeSet<Digest>,
) -> Result<BTreeMap<Digest, Vec<u8>>, Fault> {
    let limits = client.limits().await?;
    let (small, large): (Vec<Digest>, Vec<Digest>) = digests
        .iter()
        .filter(|digest| digest.size > 0)
        .partition(|digest| limits.is_small(digest.size));
    let mut found = BTreeMap::new();
    for (digest, bytes) in client.gather().read(client, &small).await? {
        found.insert(digest, bytes.ok_or(Fault::Gone(digest))?);
    }
    for digest in large {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("blob");
        client.read_to(&digest, &path).await?;
        found.insert(digest, std::fs::read(&path)?);
    }
    if digests.iter().any(|digest| digest.size == 0) {
        found.insert(Digest::of(b""), Vec::new());
    }
    Ok(found)
}

/// Reads blobs into new files, each into all of its files.
///
/// # Errors
///
/// Where the server does not have one of them, or sends something else.
pub(super) async fn download(
    client: &Client,
    files: BTreeMap<Digest, Vec<PathBuf>>,
) -> Result<(), Fault> {
    let limits = client.limits().await?;
    let (small, large): (Vec<_>, Vec<_>) = files
        .into_iter()
        .partition(|(digest, _)| limits.is_small(digest.size));
    let (empty, small): (Vec<_>, Vec<_>) =
        small.into_iter().partition(|(digest, _)| digest.size == 0);
    write_all(
        empty
            .into_iter()
            .map(|(_, paths)| (Vec::new(), paths))
            .collect(),
    )
    .await?;
    if small.len() <= FEW {
        let digests: Vec<Digest> = small.iter().map(|(digest, _)| *digest).collect();
        let read = client.gather().read(client, &digests).await?;
        let mut files = Vec::with_capacity(small.len());
        for ((digest, bytes), (_, paths)) in read.into_iter().zip(small) {
            files.push((bytes.ok_or(Fault::Gone(digest))?, paths));
        }
        write_all(files).await?;
    } else {
        download_small(client, limits, small).await?;
    }
    let streams = large.into_iter().map(|(digest, paths)| {
        let client = client.clone();
        async move {
            let [first, others @ ..] = paths.as_slice() else {
                return Ok(());
            };
            client.read_to(&digest, first).await?;
            let (first, others) = (first.clone(), others.to_vec());
            blocking(move || {
                let copied = |other: &PathBuf| std::fs::copy(&first, other).map(drop);
                others.iter().try_for_each(copied)
            })
            .await
        }
    });
    all(AT_ONCE, streams).await?;
    Ok(())
}

async fn download_small(
    client: &Client,
    limits: Limits,
    small: Vec<(Digest, Vec<PathBuf>)>,
) -> Result<(), Fault> {
    let batches = limits.batches(small, |(digest, _)| digest.size);
    let batches = batches.into_iter().map(|batch| {
        let client = client.clone();
        async move {
            let digests: Vec<Digest> = batch.iter().map(|(digest, _)| *digest).collect();
            let found = client.read_batch(&digests).await?;
            let mut found: BTreeMap<_, _> = found.into_iter().collect();
            let mut files = Vec::with_capacity(batch.len());
            for (digest, paths) in batch {
                let bytes = found.remove(&digest).ok_or(Fault::Gone(digest))?;
                files.push((bytes, paths));
            }
            write_all(files).await
        }
    });
    all(AT_ONCE, batches).await.map(drop)
}

async fn write_all(files: Vec<(Vec<u8>, Vec<PathBuf>)>) -> Result<(), Fault> {
    blocking(move || {
        for (bytes, paths) in &files {
            for path in paths {
                std::fs::write(path, bytes)?;
            }
        }
        Ok(())
    })
    .await
}

async fn blocking(
    work: impl FnOnce() -> std::io::Result<()> + Send + 'static,
) -> Result<(), Fault> {
    let done = tokio::task::spawn_blocking(work).await;
    Ok(done.map_err(|error| Fault::Here(format!("BUG: {error}")))??)
}
