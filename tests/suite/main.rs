//! The end-to-end tests: the real program in repositories of their own.
#![expect(
    unreachable_pub,
    clippy::expect_used,
    reason = "a test binary has no users, and a test stops at its first surprise"
)]

mod again;
mod agreement;
mod answered;
mod audit;
mod authentik;
mod chain;
mod check;
mod ci;
mod completions;
mod corners;
mod deterministic;
mod diagnostics;
mod doctor;
mod faults;
mod foreign;
mod foreign_corners;
mod foreign_history;
mod graph;
mod isolation;
mod marks;
mod parameters;
mod plan;
mod process;
mod readme;
mod remote;
mod runner_scripts;
mod schema;
mod seeds;
mod shell;
mod support;
mod tidy;
mod timings;
mod verify;
mod view;
