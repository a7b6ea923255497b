//! What can go wrong with a server, as far as a run cares.
//!
//! None of it is a failure of a card: whoever asks goes on without the server.

use crate::digest::Digest;
use crate::store::StoreError;

/// What went wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Nobody answers there.
    #[error("it can't be reached: {0}")]
    Unreachable(String),
    /// The credential is missing, wrong, expired, or may not do this.
    #[error("it refuses: {0}")]
    Refused(String),
    /// Nothing moved for too long.
    #[error("nothing moved for {0}")]
    Stalled(String),
    /// It answered that it can't.
    #[error("it answered {0}")]
    Answer(String),
    /// What it sent is not what was asked for.
    #[error("it sent something else than `{0}`")]
    Wrong(String),
    /// It does not have a blob that it should have.
    #[error("it no longer has the blob {}", .0.short())]
    Gone(Digest),
    /// What it sent can't be an artifact, or names what it should not.
    #[error("it sent a result that is none: {0}")]
    Malformed(String),
    /// The user's settings can't be used.
    #[error("{0}")]
    Settings(String),
    /// The own disk or store.
    #[error("{0}")]
    Here(String),
}

impl Fault {
    /// Whether trying again at once may help.
    pub fn may_pass(&self) -> bool {
        matches!(self, Fault::Unreachable(_) | Fault::Stalled(_))
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Fault {
        Fault::Here(error.to_string())
    }
}

impl From<std::io::Error> for Fault {
    fn from(error: std::io::Error) -> Fault {
        Fault::Here(error.to_string())
    }
}
