//! What a cache is trusted for: killed at any moment, run by many at once, its
//! files damaged, its disk full, its steps unruly, a run afterwards ends right.
//!
//! Every part prints what it counted; `cargo test -- --nocapture faults` shows it.

mod chain;
mod disk;
mod edits;
mod kills;
#[cfg(feature = "fail-points")]
mod points;
mod random;
mod repair;
mod together;
mod unruly;
mod waits;
