//! A result as a server keeps it: an `ActionResult` with one folder `out`, what
//! was printed, and who made it from which commit.
//!
//! Servers rewrite results, so nothing depends on their bytes. What is said of
//! its origin is for people; whether a result is taken does not depend on it.

use prost::Message as _;
use serde::{Deserialize, Serialize};

use super::fault::Fault;
use crate::digest::Digest;
use crate::reapi::{
    ActionResult, Any, DigestMessage, ExecutedActionMetadata, OutputDirectory, Timestamp,
};
use crate::store::Provenance;

/// The folder that every action of ours makes.
const OUT: &str = "out";

/// What the note of the origin is to protobuf, so that every reader can decode it.
const TEXT: &str = "type.googleapis.com/google.protobuf.StringValue";

/// A result that can be taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SharedResult {
    /// The digest of the `Tree` message of `out`.
    pub tree: Digest,
    /// The digest of its root `Directory`, where the server says it: the artifact.
    pub artifact: Option<Digest>,
    /// What was printed.
    pub output: Option<Digest>,
    /// Who made it.
    pub provenance: Provenance,
}

/// The note of the origin.
#[derive(Serialize, Deserialize)]
struct Note {
    mikado: Provenance,
}

/// `google.protobuf.StringValue`.
#[derive(Clone, PartialEq, Eq, prost::Message)]
struct Text {
    #[prost(string, tag = "1")]
    value: String,
}

impl SharedResult {
    /// The message that a server keeps.
    pub(super) fn message(&self) -> ActionResult {
        let provenance = Provenance {
            log: None,
            manifest: None,
            local: None,
            cache: None,
            ..self.provenance.clone()
        };
        let began = provenance.started_ms;
        let stamp = |ms: u64| Timestamp {
            seconds: (ms / 1000) as i64,
            nanos: (ms % 1000 * 1_000_000) as i32,
        };
        let worker = format!("mikado on {}", provenance.host);
        let ended = began + provenance.took_ms;
        let note = Note { mikado: provenance };
        let text = Text {
            value: serde_json::to_string(&note).unwrap_or_default(),
        };
        ActionResult {
            output_directories: vec![OutputDirectory {
                path: OUT.into(),
                tree_digest: Some(self.tree.into()),
                root_directory_digest: self.artifact.map(Into::into),
            }],
            exit_code: 0,
            stdout_digest: self.output.map(Into::into),
            execution_metadata: Some(ExecutedActionMetadata {
                worker,
                execution_start_timestamp: Some(stamp(began)),
                execution_completed_timestamp: Some(stamp(ended)),
                auxiliary_metadata: vec![Any {
                    type_url: TEXT.into(),
                    value: text.encode_to_vec(),
                }],
            }),
        }
    }

    /// What a server's message says; `None` where it is a failure or lacks `out`,
    /// so that the action has to be executed.
    ///
    /// # Errors
    ///
    /// Where a digest in it is none.
    pub(super) fn read(message: &ActionResult) -> Result<Option<SharedResult>, Fault> {
        if message.exit_code != 0 {
            return Ok(None);
        }
        let mut outputs = message.output_directories.iter();
        let Some(out) = outputs.find(|output| output.path == OUT) else {
            return Ok(None);
        };
        let digest = |message: &Option<DigestMessage>| match message {
            None => Ok(None),
            Some(message) => match message.digest() {
                Some(digest) => Ok(Some(digest)),
                None => Err(Fault::Malformed("a digest that is none".into())),
            },
        };
        let Some(tree) = digest(&out.tree_digest)? else {
            return Ok(None);
        };
        Ok(Some(SharedResult {
            tree,
            artifact: digest(&out.root_directory_digest)?,
            output: digest(&message.stdout_digest)?,
            provenance: provenance(message.execution_metadata.as_ref()),
        }))
    }
}

/// Who made it, as far as that is said.
fn provenance(metadata: Option<&ExecutedActionMetadata>) -> Provenance {
    let Some(metadata) = metadata else {
        return Provenance::default();
    };
    let text = metadata.auxiliary_metadata.iter().find_map(|any| {
        let text = Text::decode(any.value.as_slice()).ok()?;
        (any.type_url == TEXT).then_some(text.value)
    });
    let note: Option<Note> = text.and_then(|text| serde_json::from_str(&text).ok());
    if let Some(Note { mikado: said }) = note {
        // The rest would be about this machine, and is not another's to say.
        return Provenance {
            card: shown(&said.card),
            host: shown(&said.host),
            commit: said.commit.as_deref().map(shown),
            started_ms: said.started_ms,
            took_ms: said.took_ms,
            ..Provenance::default()
        };
    }
    let ms = |stamp: Option<Timestamp>| {
        let stamp = stamp?;
        let ms = stamp.seconds.checked_mul(1000)? + i64::from(stamp.nanos / 1_000_000);
        u64::try_from(ms).ok()
    };
    let began = ms(metadata.execution_start_timestamp).unwrap_or(0);
    let ended = ms(metadata.execution_completed_timestamp).unwrap_or(0);
    Provenance {
        host: shown(&metadata.worker),
        started_ms: began,
        took_ms: ended.saturating_sub(began),
        ..Provenance::default()
    }
}

/// Text of others for a terminal: without control characters, and not long.
fn shown(text: &str) -> String {
    let printed = text.chars().filter(|c| !c.is_control());
    printed.take(200).collect()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test stops at its first surprise")]
mod tests {
    use super::*;
    use bazel_remote_apis::build::bazel::remote::execution::v2 as api;

    fn result() -> SharedResult {
        SharedResult {
            tree: Digest::of(b"tree"),
            artifact: Some(Digest::of(b"artifact")),
            output: Some(Digest::of(b"printed")),
            provenance: Provenance {
                card: "go-server".into(),
                host: "ci-1".into(),
                commit: Some("abc".into()),
                started_ms: 1_234_567,
                took_ms: 89,
                ..Provenance::default()
            },
        }
    }

    #[test]
    fn result_is_read_as_it_was_said() {
        let mut told = result();
        assert_eq!(SharedResult::read(&told.message()), Ok(Some(told.clone())));
        told.provenance.host = "a\u{1b}[31mb".into();
        let read = SharedResult::read(&told.message()).unwrap().unwrap();
        assert_eq!(read.provenance.host, "a[31mb");
    }

    #[test]
    fn bytes_are_those_of_the_published_messages() {
        let bytes = result().message().encode_to_vec();
        let theirs = api::ActionResult::decode(bytes.as_slice()).unwrap();
        assert_eq!(theirs.encode_to_vec(), bytes);
        assert_eq!(theirs.output_directories[0].path, "out");
        let worker = theirs.execution_metadata.unwrap().worker;
        assert_eq!(worker, "mikado on ci-1");
    }

    #[test]
    fn failure_or_a_result_without_out_is_none() {
        let failed = ActionResult {
            exit_code: 7,
            ..result().message()
        };
        assert_eq!(SharedResult::read(&failed), Ok(None));
        assert_eq!(SharedResult::read(&ActionResult::default()), Ok(None));
        let mut elsewhere = result().message();
        elsewhere.output_directories[0].path = "../out".into();
        assert_eq!(SharedResult::read(&elsewhere), Ok(None));
        let mut odd = result().message();
        odd.output_directories[0].tree_digest = Some(DigestMessage {
            hash: "zz".into(),
            size_bytes: 1,
        });
        assert!(SharedResult::read(&odd).is_err());
    }

    #[test]
    fn other_engines_say_where_and_when() {
        let mut message = result().message();
        let metadata = message.execution_metadata.as_mut().unwrap();
        metadata.auxiliary_metadata.clear();
        let read = SharedResult::read(&message).unwrap().unwrap();
        assert_eq!(read.provenance.host, "mikado on ci-1");
        assert_eq!(
            (read.provenance.started_ms, read.provenance.took_ms),
            (1_234_567, 89)
        );
    }
}
