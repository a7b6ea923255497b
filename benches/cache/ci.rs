//! What the servers are had with, at the place where they look for it.

#[path = "../../tests/suite/ci/tools.rs"]
#[expect(dead_code, reason = "the tests use the rest of it")]
pub mod tools;
