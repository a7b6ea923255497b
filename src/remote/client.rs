//! One client for every server: what is asked of it, whatever it speaks.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::OnceCell;

use super::address::{Address, Protocol};
use super::cache::hold;
use super::credentials::Credentials;
use super::fault::Fault;
use super::gather::Gather;
use super::grpc::Grpc;
use super::http_cache::HttpCache;
use super::limits::Limits;
use super::origin::Origin;
use super::tally::Tally;
use super::web::Web;
use crate::digest::Digest;
use crate::reapi::ActionResult;

/// A server, as its client sees it. Clones share the connection.
#[derive(Clone, Debug)]
pub struct Client {
    speaks: Speaks,
    limits: Arc<OnceCell<Limits>>,
    gather: Arc<Gather>,
    /// Blobs that were wrong.
    spoilt: Arc<Mutex<BTreeSet<Digest>>>,
}

#[derive(Clone, Debug)]
enum Speaks {
    Grpc(Grpc),
    Http(Box<HttpCache>),
}

impl Client {
    /// A client that connects with its first call.
    ///
    /// # Errors
    ///
    /// Where certificates or headers can't be used.
    pub fn new(
        address: &Address,
        credentials: Credentials,
        stall: Duration,
        tally: Arc<Tally>,
    ) -> Result<Client, Fault> {
        let credentials = Arc::new(credentials);
        let speaks = match address.protocol {
            Protocol::Grpc => Speaks::Grpc(Grpc::new(address, credentials, stall, tally)?),
            Protocol::Http => {
                let web = Web::new(address, credentials, stall, tally)?;
                Speaks::Http(Box::new(HttpCache(web)))
            }
        };
        Ok(Client {
            speaks,
            limits: Arc::default(),
            gather: Arc::default(),
            spoilt: Arc::default(),
        })
    }

    /// The server, where it speaks the Remote Execution API.
    pub(super) fn grpc(&self) -> Option<&Grpc> {
        match &self.speaks {
            Speaks::Grpc(grpc) => Some(grpc),
            Speaks::Http(_) => None,
        }
    }

    /// Reads small blobs in batches with whoever else does.
    pub(super) fn gather(&self) -> &Gather {
        &self.gather
    }

    /// What the server can do: asked once.
    pub async fn limits(&self) -> Result<Limits, Fault> {
        let asked = self.limits.get_or_try_init(async || match &self.speaks {
            Speaks::Grpc(grpc) => grpc.limits().await,
            Speaks::Http(_) => Ok(Limits::of_http()),
        });
        asked.await.copied()
    }

    /// The result of an action; `None` where the server has none.
    pub async fn result(&self, action: &Digest) -> Result<Option<ActionResult>, Fault> {
        match &self.speaks {
            Speaks::Grpc(grpc) => grpc.result(action).await,
            Speaks::Http(http) => http.result(action).await,
        }
    }

    /// Says what an action left. All its blobs must have been uploaded.
    pub async fn put_result(&self, action: &Digest, result: &ActionResult) -> Result<(), Fault> {
        match &self.speaks {
            Speaks::Grpc(grpc) => grpc.put_result(action, result).await,
            Speaks::Http(http) => http.put_result(action, result).await,
        }
    }

    /// Those of these blobs that the server lacks, or has in a way that does not
    /// help: what was wrong when it was read is uploaded anew, so that a cache heals.
    pub async fn missing(&self, digests: &[Digest]) -> Result<Vec<Digest>, Fault> {
        let mut missing = match &self.speaks {
            Speaks::Grpc(grpc) => grpc.missing(digests).await,
            Speaks::Http(http) => http.missing(digests).await,
        }?;
        let spoilt = hold(&self.spoilt);
        missing.extend(digests.iter().filter(|digest| spoilt.contains(digest)));
        Ok(missing)
    }

    /// Remembers what was wrong when it was read.
    fn noted<T>(&self, read: Result<T, Fault>) -> Result<T, Fault> {
        if let Err(Fault::Wrong(digest)) = &read {
            hold(&self.spoilt).insert(*digest);
        }
        read
    }

    /// Reads blobs that are small together; those that the server does not give
    /// are left out.
    pub async fn read_batch(&self, digests: &[Digest]) -> Result<Vec<(Digest, Vec<u8>)>, Fault> {
        match &self.speaks {
            Speaks::Grpc(grpc) => self.noted(grpc.read_batch(digests).await),
            Speaks::Http(http) => self.noted(http.read_batch(digests).await),
        }
    }

    /// Writes blobs that are small together.
    pub async fn write_batch(&self, blobs: &[(Digest, Vec<u8>)]) -> Result<(), Fault> {
        match &self.speaks {
            Speaks::Grpc(grpc) => grpc.write_batch(blobs).await,
            Speaks::Http(http) => http.write_batch(blobs).await,
        }?;
        let mut spoilt = hold(&self.spoilt);
        for (digest, _) in blobs {
            spoilt.remove(digest);
        }
        Ok(())
    }

    /// Reads a blob of any size into a new file.
    pub async fn read_to(&self, digest: &Digest, path: &Path) -> Result<(), Fault> {
        let zstd = self.limits().await?.zstd;
        match &self.speaks {
            Speaks::Grpc(grpc) => self.noted(grpc.read_stream(digest, path, zstd).await),
            Speaks::Http(http) => self.noted(http.read_to(digest, path).await),
        }
    }

    /// Writes a blob of any size from where it is.
    pub async fn write_from(&self, digest: &Digest, origin: &Origin) -> Result<(), Fault> {
        let zstd = self.limits().await?.zstd;
        match &self.speaks {
            Speaks::Grpc(grpc) => grpc.write_stream(digest, origin, zstd).await,
            Speaks::Http(http) => http.write_from(digest, origin).await,
        }?;
        hold(&self.spoilt).remove(digest);
        Ok(())
    }
}
