//! `mikado` runs Mikado chains: a folder of Markdown cards becomes an
//! executable, cached dependency graph. `ARCHITECTURE.md` has the map.

pub mod action;
pub mod diagnostic;
pub mod digest;
pub mod reapi;
pub mod runner;
pub mod schedule;
pub mod trace;
pub mod words;
