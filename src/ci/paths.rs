//! What the cards of a pipeline read, as the globs of CI systems.
//!
//! Their languages differ, so only what all of them share is written, and never
//! less than what a card reads: a `?` or a bracket becomes a `*`, and what a card
//! takes away stays.

use std::collections::BTreeSet;

/// The globs for patterns of inputs, each below a folder (empty for the root).
pub fn globs<'a>(patterns: impl IntoIterator<Item = (&'a str, &'a str)>) -> Vec<String> {
    let mut globs = BTreeSet::new();
    for (folder, pattern) in patterns {
        if pattern.starts_with('!') {
            continue;
        }
        let pattern = pattern.strip_prefix("./").unwrap_or(pattern);
        let folder = folder.trim_start_matches("./").trim_matches('/');
        let path = match folder.is_empty() || folder == "." {
            true => pattern.trim_end_matches('/').to_owned(),
            false => format!("{folder}/{}", pattern.trim_end_matches('/')),
        };
        let is_shared = |c: char| c.is_alphanumeric() || "_-./* ".contains(c);
        let glob: String = path
            .chars()
            .map(|c| if is_shared(c) { c } else { '*' })
            .collect();
        // A folder stands for what is in it.
        if !glob.ends_with('*') {
            globs.insert(format!("{glob}/**"));
        }
        globs.insert(glob);
    }
    globs.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_say_no_less_than_the_patterns() {
        let patterns = [
            ("", "src/**"),
            ("", "!src/old"),
            ("web/", "[id].ts"),
            ("", "./go.?od"),
        ];
        assert_eq!(
            globs(patterns),
            [
                "go.*od",
                "go.*od/**",
                "src/**",
                "web/*id*.ts",
                "web/*id*.ts/**"
            ]
        );
    }
}
