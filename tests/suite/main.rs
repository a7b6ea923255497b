//! The end-to-end tests.

mod process;
