//! Named points at which a test makes a write fail, or the process die.
//!
//! Each stands just before a write, so that dying there shows what the writes
//! before it have left. Without the feature `fail-points` they are nothing. With
//! it, `MIKADO_FAIL_POINT="NAME HIT FAULT"` asks for `kill`, `ENOSPC` or `EIO` at
//! the HIT-th time that the point is reached; an error stays from then on, as a
//! full disk does. The file `MIKADO_FAIL_POINT_SEEN` is appended to when it was.

use std::io;

/// Nothing, but where a test asks for a fault at the point `name`.
#[cfg(not(feature = "fail-points"))]
#[inline(always)]
pub(crate) fn reach(_name: &'static str) -> io::Result<()> {
    Ok(())
}

/// Nothing, but where a test asks for a fault at the point `name`.
///
/// # Errors
///
/// The fault that was asked for.
#[cfg(feature = "fail-points")]
pub(crate) fn reach(name: &'static str) -> io::Result<()> {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicUsize, Ordering};

    static WANTED: OnceLock<Option<(String, usize, String)>> = OnceLock::new();
    static HITS: AtomicUsize = AtomicUsize::new(0);

    let wanted = WANTED.get_or_init(|| {
        let text = std::env::var("MIKADO_FAIL_POINT").ok()?;
        let mut words = text.split(' ').map(str::to_owned);
        let (name, hit, fault) = (words.next()?, words.next()?, words.next()?);
        Some((name, hit.parse().ok()?, fault))
    });
    let Some((wanted, hit, fault)) = wanted else {
        return Ok(());
    };
    if wanted != name || HITS.fetch_add(1, Ordering::SeqCst) + 1 < *hit {
        return Ok(());
    }
    if let Some(seen) = std::env::var_os("MIKADO_FAIL_POINT_SEEN") {
        use std::io::Write as _;
        let file = std::fs::File::options()
            .create(true)
            .append(true)
            .open(seen);
        file.and_then(|mut file| writeln!(file, "{name}"))?;
    }
    match fault.as_str() {
        "ENOSPC" => Err(io::Error::from_raw_os_error(libc::ENOSPC)),
        "EIO" => Err(io::Error::from_raw_os_error(libc::EIO)),
        _ => {
            let own = rustix::process::getpid();
            rustix::process::kill_process(own, rustix::process::Signal::KILL)?;
            loop {
                std::thread::park();
            }
        }
    }
}
