//! Runners: what executes a card.

pub(crate) mod launcher;
pub mod lock;
pub(crate) mod payload;
pub mod platform;
pub(crate) mod tarball;
pub mod tools;
pub mod version;
pub(crate) mod wheel;
