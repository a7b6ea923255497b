//! Runners: what executes a card.

pub(crate) mod archives;
pub mod client;
pub(crate) mod launcher;
pub mod lock;
pub(crate) mod npm;
pub(crate) mod payload;
pub mod pin;
pub mod platform;
pub mod provision;
pub(crate) mod pypi;
pub(crate) mod tarball;
pub mod tools;
pub mod tree_home;
pub(crate) mod unpack;
pub mod version;
pub(crate) mod wheel;
