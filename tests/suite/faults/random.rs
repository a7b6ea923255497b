//! Random numbers that a failed test can have again.

/// A splitmix64 generator (Steele, Lea and Flood, 2014): small, and the same
/// everywhere.
pub struct Random {
    state: u64,
}

impl Random {
    /// The generator that `seed` gives.
    pub fn new(seed: u64) -> Random {
        Random { state: seed }
    }

    /// The seed in the variable `name`, or a new one; it is printed, and shown
    /// where the test fails.
    pub fn seed(name: &str) -> u64 {
        let set = std::env::var(name).ok().and_then(|text| text.parse().ok());
        let seed = set.unwrap_or_else(|| u64::from(std::process::id()) ^ now());
        report!("{name}={seed}");
        seed
    }

    /// Any number.
    pub fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `end`, which is not 0.
    pub fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    /// Yes, once in `times`.
    pub fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    /// One of some things.
    pub fn one_of<'t, T>(&mut self, things: &'t [T]) -> &'t T {
        &things[self.below(things.len())]
    }
}

fn now() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |age| age.as_nanos() as u64)
}
