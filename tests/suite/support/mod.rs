//! What the tests share: a repository of their own, and the real program.

pub mod events;
pub mod followed;
pub mod puppet;
pub mod refusing;
pub mod sandbox;
pub mod scratch;
