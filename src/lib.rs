//! `mikado` runs Mikado chains: a folder of Markdown cards becomes an
//! executable, cached dependency graph. `ARCHITECTURE.md` has the map.

pub mod action;
pub mod answer;
pub mod card;
pub mod chain;
pub mod ci;
pub mod cli;
pub mod columns;
pub mod commands;
pub mod diagnostic;
pub mod digest;
pub mod engine;
pub mod error;
pub mod event;
mod fail_point;
pub mod graph;
pub mod index;
mod parallel;
pub mod plan;
pub mod process;
pub mod project;
pub mod reapi;
pub mod remote;
pub mod report;
pub mod runner;
pub mod schedule;
pub mod simulation;
pub mod standing;
pub mod store;
mod timings;
pub mod trace;
pub mod words;
pub mod workspace;
mod xml;
pub mod yaml;
