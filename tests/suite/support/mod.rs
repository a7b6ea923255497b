//! What the tests share: a repository of their own, and the real program.

pub mod sandbox;
