//! Durations and sizes as people write them: `20m`, `1h30m`, `2.5GiB`.

use std::time::Duration;

/// Reads a duration: whole or decimal numbers with `ms`, `s`, `m`, `h` or `d`,
/// one after the other (`1h30m`); a bare number is seconds.
///
/// Returns `None` where the text is something else.
pub fn duration(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    if let Ok(seconds) = rest.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let mut total = Duration::ZERO;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let (number, after) = number(rest)?;
        let unit_len = after
            .find(|c: char| !c.is_ascii_alphabetic())
            .unwrap_or(after.len());
        let factor = match &after[..unit_len] {
            "ms" => 0.001,
            "s" => 1.0,
            "m" | "min" => 60.0,
            "h" => 3600.0,
            "d" => 86_400.0,
            _ => return None,
        };
        total = total.checked_add(Duration::try_from_secs_f64(number * factor).ok()?)?;
        rest = after[unit_len..].trim_start();
    }
    Some(total)
}

/// Reads a size in bytes: a number with `B`, `KiB`, `MiB`, `GiB`, `TiB` (powers
/// of 1,024) or `kB`, `MB`, `GB`, `TB` (powers of 1,000); a bare number is bytes.
///
/// Returns `None` where the text is something else.
pub fn size(text: &str) -> Option<u64> {
    let (number, unit) = number(text.trim())?;
    let factor = match unit.trim() {
        "" | "B" => 1.0,
        "KiB" => 1024.0,
        "MiB" => 1024.0 * 1024.0,
        "GiB" => 1024.0 * 1024.0 * 1024.0,
        "TiB" => 1024.0 * 1024.0 * 1024.0 * 1024.0,
        "kB" | "KB" => 1e3,
        "MB" => 1e6,
        "GB" => 1e9,
        "TB" => 1e12,
        _ => return None,
    };
    Some((number * factor) as u64)
}

fn number(text: &str) -> Option<(f64, &str)> {
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let number: f64 = text[..end].parse().ok()?;
    Some((number, &text[end..]))
}

/// A duration for people: `850 ms`, `41.2 s`, `3 min 20 s`, `2 h 5 min`.
pub fn show_duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0 => format!("{} ms", duration.as_millis()),
        1..60 => format!("{:.1} s", duration.as_secs_f64()),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

/// A size for people: `12 B`, `3.4 MiB`.
pub fn show_size(bytes: u64) -> String {
    let mut value = bytes as f64;
    for unit in ["B", "KiB", "MiB", "GiB"] {
        if value < 1024.0 {
            return match unit {
                "B" => format!("{bytes} B"),
                _ => format!("{value:.1} {unit}"),
            };
        }
        value /= 1024.0;
    }
    format!("{value:.1} TiB")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read() {
        assert_eq!(duration("20m"), Some(Duration::from_secs(1200)));
        assert_eq!(duration("1h30m"), Some(Duration::from_secs(5400)));
        assert_eq!(duration("1.5s"), Some(Duration::from_millis(1500)));
        assert_eq!(duration("30"), Some(Duration::from_secs(30)));
        assert_eq!(duration("soon"), None);
        assert_eq!(duration(""), None);
    }

    #[test]
    fn sizes_are_read() {
        assert_eq!(size("2.5GiB"), Some(2_684_354_560));
        assert_eq!(size("100"), Some(100));
        assert_eq!(size("1 MB"), Some(1_000_000));
        assert_eq!(size("1 parsec"), None);
    }

    #[test]
    fn both_are_shown_for_people() {
        assert_eq!(show_duration(Duration::from_millis(41_234)), "41.2 s");
        assert_eq!(show_duration(Duration::from_secs(200)), "3 min 20 s");
        assert_eq!(show_size(3 * 1024 * 1024), "3.0 MiB");
    }
}
