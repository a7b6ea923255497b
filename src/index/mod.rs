//! The index of a run that found or made everything, or of an answer that was
//! given: what it was read from, so that the next command of the same words is a
//! look at the file system.
//!
//! It holds, for each file, folder and absence that the run went by, what the
//! file system said of it; and what is told when nothing is to be done. It is
//! used in place: no card is parsed, nothing is allocated for one. It decides
//! nothing by itself: where one thing differs, or can't be told for certain, the
//! run reads everything as if there were no index. It is a guess that can be
//! rebuilt: written beside and renamed, never flushed, ignored when it is torn.

mod encode;
mod entry;
mod look;
mod member;
mod request;
mod watched;

pub use encode::{Answer, New, Older, Told, Tree};
pub use entry::{Kind, State};
pub use look::{Changed, Index, Verdict};
pub use member::Member;
pub use request::Request;
pub(crate) use request::here;
pub use watched::{NO_CARD, Watched};

/// The folder of a work tree's indexes, in its `.mikado`.
pub const FOLDER: &str = "index";

/// How a file of the index begins; another version of it is no index.
const MAGIC: &[u8; 8] = b"mikado\x02i";

/// How the names of answers end, which are counted apart from runs.
const ANSWER: &str = ".answer";

/// How many indexes a work tree keeps, of runs and of answers each: one for each
/// command line that is in use.
const KEPT: usize = 8;

/// File systems keep times as coarsely as the kernel's tick: what changed within
/// it of the moment when reading began can have changed again unnoticed.
const GRAIN_NS: i64 = 20_000_000;

/// Bytes of what is kept of one path, before its state: where its text begins,
/// its card, the folder that it is below, how it is looked at.
const RECORD_HEAD: usize = 12;

/// Bytes of what is kept of one path.
const RECORD: usize = RECORD_HEAD + State::SIZE;
