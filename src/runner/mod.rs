//! Runners: what executes a card.
//!
//! A runner is a file in `runners/` or a part of a card; nothing about any of
//! them is built into the program. This module reads them ([`definition`]),
//! gives their parameters values ([`parameters`]), says which files they read
//! ([`inputs`]), and has their tools ([`tools`]) and sources.

pub(crate) mod archives;
pub mod child;
pub mod client;
pub mod definition;
pub mod git;
pub mod glob;
pub mod host;
pub mod inputs;
pub(crate) mod launcher;
pub mod listing;
pub mod lock;
pub(crate) mod npm;
pub mod parameters;
pub(crate) mod payload;
pub mod pin;
pub mod platform;
pub mod provision;
pub(crate) mod pypi;
pub(crate) mod source_spec;
pub mod sources;
pub(crate) mod tarball;
pub mod tools;
pub mod units;
pub(crate) mod unpack;
pub mod value;
pub mod version;
pub(crate) mod wheel;
pub mod work;
pub mod written;
