//! Runners: what executes a card.
//!
//! A runner is a file in `runners/` or a part of a card; nothing about any of
//! them is built into the program. This module reads them ([`definition`]),
//! gives their parameters values ([`parameters`]), and says which files they
//! read ([`inputs`]). It knows nothing of the store or of processes.

pub mod definition;
pub mod glob;
pub mod inputs;
pub mod listing;
pub mod parameters;
pub mod tools;
pub mod units;
pub mod value;
