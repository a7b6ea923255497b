//! Blobs in batches: which are missing, several read or written in a call.
//!
//! Whatever is read is hashed before it is handed on.

use bazel_remote_apis::build::bazel::remote::execution::v2 as api;
use tonic::Code;
use tonic::transport::Channel;

use super::fault::Fault;
use super::grpc::{Grpc, RECEIVED, digest};
use super::limits::OF_EACH;
use super::tally::add;
use crate::digest::Digest;

type Client = api::content_addressable_storage_client::ContentAddressableStorageClient<Channel>;

impl Grpc {
    fn storage(&self) -> Client {
        Client::new(self.channel.clone())
            .max_decoding_message_size(RECEIVED)
            .max_encoding_message_size(RECEIVED)
    }

    /// Those of these blobs that the server lacks.
    pub(super) async fn missing(&self, digests: &[Digest]) -> Result<Vec<Digest>, Fault> {
        let ask = || {
            let request = api::FindMissingBlobsRequest {
                instance_name: self.instance.clone(),
                blob_digests: digests.iter().map(digest).collect(),
                ..api::FindMissingBlobsRequest::default()
            };
            let request = self.request(request, None);
            let mut client = self.storage();
            async move { client.find_missing_blobs(request).await }
        };
        let bytes = digests.len() as u64 * OF_EACH;
        let answer = self.call(bytes, ask).await;
        let answer = answer.map_err(|status| self.fault(&status))?;
        let missing = answer.missing_blob_digests.iter();
        Ok(missing.filter_map(ours).collect())
    }

    /// Reads small blobs, together no more than a batch; those that the server
    /// does not give are left out.
    ///
    /// # Errors
    ///
    /// Also where one of them is not what its digest says.
    pub(super) async fn read_batch(
        &self,
        digests: &[Digest],
    ) -> Result<Vec<(Digest, Vec<u8>)>, Fault> {
        let ask = || {
            let request = api::BatchReadBlobsRequest {
                instance_name: self.instance.clone(),
                digests: digests.iter().map(digest).collect(),
                ..api::BatchReadBlobsRequest::default()
            };
            let request = self.request(request, None);
            let mut client = self.storage();
            async move { client.batch_read_blobs(request).await }
        };
        let bytes = digests.iter().map(|digest| digest.size + OF_EACH).sum();
        let answer = self.call(bytes, ask).await;
        let answer = answer.map_err(|status| self.fault(&status))?;
        let mut blobs = Vec::with_capacity(digests.len());
        for blob in answer.responses {
            let code = blob.status.as_ref().map_or(0, |status| status.code);
            let Some(digest) = blob.digest.as_ref().and_then(ours) else {
                continue;
            };
            if Code::from(code) != Code::Ok || !digests.contains(&digest) {
                continue;
            }
            if blob.compressor != api::compressor::Value::Identity as i32
                || Digest::of(&blob.data) != digest
            {
                return Err(Fault::Wrong(digest));
            }
            add(&self.tally.bytes_down, digest.size);
            blobs.push((digest, blob.data));
        }
        Ok(blobs)
    }

    /// Writes small blobs, together no more than a batch.
    pub(super) async fn write_batch(&self, blobs: &[(Digest, Vec<u8>)]) -> Result<(), Fault> {
        let put = || {
            let requests =
                blobs
                    .iter()
                    .map(|(name, bytes)| api::batch_update_blobs_request::Request {
                        digest: Some(digest(name)),
                        data: bytes.clone(),
                        compressor: api::compressor::Value::Identity as i32,
                    });
            let request = api::BatchUpdateBlobsRequest {
                instance_name: self.instance.clone(),
                requests: requests.collect(),
                ..api::BatchUpdateBlobsRequest::default()
            };
            let request = self.request(request, None);
            let mut client = self.storage();
            async move { client.batch_update_blobs(request).await }
        };
        let bytes = blobs.iter().map(|(digest, _)| digest.size + OF_EACH).sum();
        let answer = self.call(bytes, put).await;
        let answer = answer.map_err(|status| self.fault(&status))?;
        for blob in answer.responses {
            let status = blob.status.unwrap_or_default();
            // Servers have different codes for the same: what is not OK is not stored.
            if Code::from(status.code) != Code::Ok {
                let status = tonic::Status::new(Code::from(status.code), status.message);
                return Err(self.fault(&status));
            }
        }
        let written = blobs.iter().map(|(digest, _)| digest.size).sum();
        add(&self.tally.bytes_up, written);
        Ok(())
    }
}

fn ours(digest: &api::Digest) -> Option<Digest> {
    Digest::from_hex(&digest.hash, u64::try_from(digest.size_bytes).ok()?)
}
