//! The end-to-end tests: the real program in repositories of their own.
#![expect(
    unreachable_pub,
    clippy::expect_used,
    reason = "a test binary has no users, and a test stops at its first surprise"
)]

mod authentik;
mod chain;
mod corners;
mod faults;
mod foreign;
mod process;
mod readme;
mod support;
mod tidy;
mod view;
