//! What a cache is trusted for: killed at any moment, run by many at once, its
//! files damaged, its disk full, its steps unruly, a run afterwards ends right.
//!
//! Every part tells what it counted.

/// Tells people something though the test passes: `eprintln` would be caught.
macro_rules! report {
    ($($word:tt)*) => {{
        use std::io::Write as _;
        drop(writeln!(std::io::stderr(), $($word)*));
    }};
}

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
