//! The messages of the Bazel Remote Execution API v2 that mikado keeps.
//!
//! Field numbers and the canonical form (nodes sorted by name in byte order,
//! environment variables and platform properties sorted by name) are those of
//! `build/bazel/remote/execution/v2/remote_execution.proto`. The same bytes are
//! hashed into keys, kept in the local store and understood by every server of
//! that API, so fields are only ever added. Pure data: no disk, no network.

use prost::Message;

use crate::digest::Digest;

/// `Digest`: a hash as hexadecimal text, and a size in bytes.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct DigestMessage {
    /// Lower-case hexadecimal SHA-256.
    #[prost(string, tag = "1")]
    pub hash: String,
    /// Size in bytes.
    #[prost(int64, tag = "2")]
    pub size_bytes: i64,
}

impl From<Digest> for DigestMessage {
    fn from(digest: Digest) -> Self {
        DigestMessage {
            hash: digest.hex(),
            size_bytes: digest.size as i64,
        }
    }
}

impl DigestMessage {
    /// The digest that this message names, or `None` where it is malformed.
    pub fn digest(&self) -> Option<Digest> {
        Digest::from_hex(&self.hash, self.size_bytes.try_into().ok()?)
    }
}

/// A file of a directory.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct FileNode {
    /// One path segment.
    #[prost(string, tag = "1")]
    pub name: String,
    /// The digest of the contents.
    #[prost(message, optional, tag = "2")]
    pub digest: Option<DigestMessage>,
    /// Whether the owner may execute it.
    #[prost(bool, tag = "4")]
    pub is_executable: bool,
}

/// A folder of a directory.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct DirectoryNode {
    /// One path segment.
    #[prost(string, tag = "1")]
    pub name: String,
    /// The digest of the folder's `Directory` message.
    #[prost(message, optional, tag = "2")]
    pub digest: Option<DigestMessage>,
}

/// A symbolic link of a directory.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct SymlinkNode {
    /// One path segment.
    #[prost(string, tag = "1")]
    pub name: String,
    /// The link's text.
    #[prost(string, tag = "2")]
    pub target: String,
}

/// A folder: its files, folders and links, each list sorted by name.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Directory {
    /// Files.
    #[prost(message, repeated, tag = "1")]
    pub files: Vec<FileNode>,
    /// Folders.
    #[prost(message, repeated, tag = "2")]
    pub directories: Vec<DirectoryNode>,
    /// Links.
    #[prost(message, repeated, tag = "3")]
    pub symlinks: Vec<SymlinkNode>,
}

/// A folder with all the folders below it.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Tree {
    /// The root.
    #[prost(message, optional, tag = "1")]
    pub root: Option<Directory>,
    /// Every folder below the root, each once.
    #[prost(message, repeated, tag = "2")]
    pub children: Vec<Directory>,
}

/// An environment variable.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct EnvironmentVariable {
    /// Its name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// Its value.
    #[prost(string, tag = "2")]
    pub value: String,
}

/// A requirement on the machine.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Property {
    /// Its name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// Its value.
    #[prost(string, tag = "2")]
    pub value: String,
}

/// Requirements on the machine, sorted by name, then value.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Platform {
    /// The requirements.
    #[prost(message, repeated, tag = "1")]
    pub properties: Vec<Property>,
}

/// What is executed.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Command {
    /// The program and its arguments.
    #[prost(string, repeated, tag = "1")]
    pub arguments: Vec<String>,
    /// Variables, sorted by name.
    #[prost(message, repeated, tag = "2")]
    pub environment_variables: Vec<EnvironmentVariable>,
    /// The platform, again, for servers older than 2.2.
    #[prost(message, optional, tag = "5")]
    pub platform: Option<Platform>,
    /// The working directory below the input root.
    #[prost(string, tag = "6")]
    pub working_directory: String,
    /// Paths that the command makes, sorted.
    #[prost(string, repeated, tag = "7")]
    pub output_paths: Vec<String>,
}

/// One cached execution; its digest is the action key.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Action {
    /// The digest of the `Command`.
    #[prost(message, optional, tag = "1")]
    pub command_digest: Option<DigestMessage>,
    /// The digest of the root `Directory` of the inputs.
    #[prost(message, optional, tag = "2")]
    pub input_root_digest: Option<DigestMessage>,
    /// Whether the result must not be cached.
    #[prost(bool, tag = "7")]
    pub do_not_cache: bool,
    /// Anything that separates one name space of keys from another.
    #[prost(bytes = "vec", tag = "9")]
    pub salt: Vec<u8>,
    /// Requirements on the machine.
    #[prost(message, optional, tag = "10")]
    pub platform: Option<Platform>,
}

/// A folder that an action made.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct OutputDirectory {
    /// Where, below the working directory.
    #[prost(string, tag = "1")]
    pub path: String,
    /// The digest of the `Tree` message.
    #[prost(message, optional, tag = "3")]
    pub tree_digest: Option<DigestMessage>,
    /// The digest of the root `Directory` message: the artifact's name.
    #[prost(message, optional, tag = "5")]
    pub root_directory_digest: Option<DigestMessage>,
}

/// Where and when an action was executed.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct ExecutedActionMetadata {
    /// The machine's name; never empty, so that the message is never empty.
    #[prost(string, tag = "1")]
    pub worker: String,
    /// When the execution began.
    #[prost(message, optional, tag = "7")]
    pub execution_start_timestamp: Option<Timestamp>,
    /// When it ended.
    #[prost(message, optional, tag = "8")]
    pub execution_completed_timestamp: Option<Timestamp>,
    /// Anything else about it.
    #[prost(message, repeated, tag = "11")]
    pub auxiliary_metadata: Vec<Any>,
}

/// `google.protobuf.Any`: a message with its name.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Any {
    /// The name, as an address.
    #[prost(string, tag = "1")]
    pub type_url: String,
    /// The message's bytes.
    #[prost(bytes = "vec", tag = "2")]
    pub value: Vec<u8>,
}

/// `google.protobuf.Timestamp`.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct Timestamp {
    /// Seconds since 1970-01-01T00:00:00Z.
    #[prost(int64, tag = "1")]
    pub seconds: i64,
    /// Nanoseconds past them.
    #[prost(int32, tag = "2")]
    pub nanos: i32,
}

/// What an action left.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct ActionResult {
    /// Folders; mikado's actions make exactly one, `out`.
    #[prost(message, repeated, tag = "3")]
    pub output_directories: Vec<OutputDirectory>,
    /// The exit code of the command.
    #[prost(int32, tag = "4")]
    pub exit_code: i32,
    /// The digest of the captured output.
    #[prost(message, optional, tag = "6")]
    pub stdout_digest: Option<DigestMessage>,
    /// Where and when.
    #[prost(message, optional, tag = "9")]
    pub execution_metadata: Option<ExecutedActionMetadata>,
}

impl ActionResult {
    /// A success that left this artifact in `out`.
    pub fn of(artifact: Digest) -> ActionResult {
        ActionResult {
            output_directories: vec![OutputDirectory {
                path: "out".into(),
                tree_digest: None,
                root_directory_digest: Some(artifact.into()),
            }],
            ..ActionResult::default()
        }
    }

    /// The artifact that it names; `None` where it names none.
    pub fn artifact(&self) -> Option<Digest> {
        let directory = self.output_directories.first()?;
        directory.root_directory_digest.as_ref()?.digest()
    }
}

/// The bytes of a message and their digest.
pub fn encode<M: Message>(message: &M) -> (Digest, Vec<u8>) {
    let bytes = message.encode_to_vec();
    (Digest::of(&bytes), bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_directory_is_the_empty_blob() {
        assert_eq!(encode(&Directory::default()).0, Digest::of(b""));
    }
}
