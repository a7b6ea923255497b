//! What GitLab reads out of a log: collapsible sections.
//!
//! <https://docs.gitlab.com/ci/jobs/job_logs/#custom-collapsible-sections>. The
//! marks are terminal sequences, and those are taken out of what programs print,
//! so that no output of a step is one.

use crate::digest::Digest;

/// The lines before and after what a program printed; `now` in seconds since
/// 1970.
pub fn group(name: &str, now: i64) -> (String, String) {
    // A section's name is letters, digits, `_`, `.` and `-`, and one's alone.
    let hash = Digest::of(name.as_bytes()).hex();
    let id = format!("mikado_{}", hash.get(..16).unwrap_or(&hash));
    let name = name.replace(char::is_control, " ");
    (
        format!("\x1b[0Ksection_start:{now}:{id}[collapsed=true]\r\x1b[0K{name}\n"),
        format!("\x1b[0Ksection_end:{now}:{id}\r\x1b[0K\n"),
    )
}
