//! Telling a shared cache what was executed here: blobs first, then the action
//! and its command, then the result, so that whoever finds a result finds all.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::breaker::Doing;
use super::cache::{Cache, blocking, encoded, hold};
use super::client::Client;
use super::fault::Fault;
use super::origin::Origin;
use super::record::SharedResult;
use super::tally::add;
use super::transfer;
use crate::digest::Digest;
use crate::reapi::{Directory, Tree};
use crate::store::{EntryKind, Provenance, Store};

/// What was executed here, durable in the store.
#[derive(Clone, Debug)]
pub struct Made {
    /// The action's digest.
    pub key: Digest,
    /// The `Action` and its `Command`.
    pub messages: Vec<(Digest, Vec<u8>)>,
    /// The artifact; `None` for a check.
    pub artifact: Option<Digest>,
    /// The end of what was printed.
    pub output: Vec<u8>,
    /// Who made it.
    pub provenance: Provenance,
}

/// An upload that goes on until this is dropped, wherever that is.
struct Upload {
    cache: Arc<Cache>,
    /// Results of which nobody can say that they are there: they count as failed.
    lost: u64,
}

impl Upload {
    fn begin(cache: Arc<Cache>, results: usize) -> Upload {
        cache.uploading.send_modify(|uploads| *uploads += 1);
        Upload {
            cache,
            lost: results as u64,
        }
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        add(&self.cache.tally().failed, self.lost);
        self.cache.uploading.send_modify(|uploads| *uploads -= 1);
    }
}

/// A result with all that it names.
struct Packed {
    key: Digest,
    result: SharedResult,
    blobs: BTreeMap<Digest, Origin>,
}

impl Cache {
    /// Counts what was executed here and is not to be uploaded.
    pub fn skip(&self, count: usize) {
        add(&self.tally().skipped, count as u64);
    }

    /// Begins to upload results; [`Cache::uploaded`] waits for their end.
    pub fn upload(self: &Arc<Self>, store: &Arc<Store>, made: Vec<Made>) {
        if made.is_empty() {
            return;
        }
        let Some(line) = self.line().filter(|_| self.is_written()) else {
            self.skip(made.len());
            return;
        };
        let (cache, client, store) = (Arc::clone(self), line.client.clone(), Arc::clone(store));
        let begun = Upload::begin(cache, made.len());
        let upload = line.runtime.spawn(async move {
            // As a whole: a part of it would be another one.
            let mut upload = begun;
            let cache = Arc::clone(&upload.cache);
            let _waiting = cache.tally().wait();
            let lost = &mut upload.lost;
            let uploaded = cache.upload_all(&client, store, made, lost).await;
            if let Err(fault) = uploaded {
                cache.blame(Doing::Writing, &fault);
            }
        });
        hold(&self.uploads).push(upload.abort_handle());
    }

    /// Waits until everything is uploaded that [`Cache::upload`] got. It may be given
    /// up and waited for again.
    pub async fn uploaded(&self) {
        let mut uploading = self.uploading.subscribe();
        // It lasts as long as this.
        drop(uploading.wait_for(|uploads| *uploads == 0).await);
    }

    /// Ends all uploads where they are.
    pub fn abandon_uploads(&self) {
        for upload in hold(&self.uploads).drain(..) {
            upload.abort();
        }
    }

    /// `lost` is how many results are not there yet.
    async fn upload_all(
        &self,
        client: &Client,
        store: Arc<Store>,
        made: Vec<Made>,
        lost: &mut u64,
    ) -> Result<(), Fault> {
        let packed = blocking(move || {
            let packed = made.into_iter().map(|made| pack(&store, made));
            packed.collect::<Result<Vec<Packed>, Fault>>()
        });
        let packed = packed.await.and_then(|packed| packed)?;
        let mut blobs = BTreeMap::new();
        for packed in &packed {
            blobs.extend(packed.blobs.clone());
        }
        transfer::upload(client, blobs).await?;
        let mut told = tokio::task::JoinSet::new();
        for packed in packed {
            let client = client.clone();
            told.spawn(async move {
                let message = packed.result.message();
                client.put_result(&packed.key, &message).await
            });
        }
        let mut fault = None;
        while let Some(done) = told.join_next().await {
            match done {
                Ok(Ok(())) => {
                    add(&self.tally().uploaded, 1);
                    *lost -= 1;
                }
                Ok(Err(error)) => fault = Some(error),
                Err(error) => fault = Some(Fault::Here(format!("BUG: {error}"))),
            }
        }
        fault.map_or(Ok(()), Err)
    }
}

fn pack(store: &Store, made: Made) -> Result<Packed, Fault> {
    let mut blobs = BTreeMap::new();
    let mut add = |bytes: Vec<u8>| {
        let digest = Digest::of(&bytes);
        blobs.insert(digest, Origin::Bytes(Arc::new(bytes)));
        digest
    };
    for (_, bytes) in made.messages {
        add(bytes);
    }
    let output = (!made.output.is_empty()).then(|| add(made.output));
    let tree = match &made.artifact {
        Some(artifact) => store
            .tree_message(artifact)?
            .ok_or_else(|| Fault::Here(format!("the store has lost {}", artifact.short())))?,
        // A check makes an empty `out`.
        None => Tree {
            root: Some(Directory::default()),
            children: Vec::new(),
        },
    };
    // The folders as blobs of their own, too: buildbox-casd asks for those of a
    // result, and an action that uses this artifact names them.
    for folder in tree.root.iter().chain(&tree.children) {
        add(encoded(folder).1);
    }
    let tree = add(encoded(&tree).1);
    if let Some(artifact) = &made.artifact {
        files(store, artifact, &store.path_of_tree(artifact), &mut blobs)?;
    }
    Ok(Packed {
        key: made.key,
        blobs,
        result: SharedResult {
            tree,
            artifact: Some(made.artifact.unwrap_or_else(|| Digest::of(b""))),
            output,
            provenance: made.provenance,
        },
    })
}

fn files(
    store: &Store,
    artifact: &Digest,
    root: &Path,
    blobs: &mut BTreeMap<Digest, Origin>,
) -> Result<(), Fault> {
    for entry in store.entries(artifact)? {
        if let EntryKind::File { digest, .. } = entry.kind {
            blobs.insert(digest, Origin::File(root.join(&entry.path)));
        }
    }
    Ok(())
}
