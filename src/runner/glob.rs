//! Glob patterns of inputs.
//!
//! `*` and `?` stand within one segment, `**` as a whole segment for any number
//! of them, and nothing else is special: `[id].ts` and `{a}` are plain names.
//! Dot files match like any other. In a list later patterns win, and `!` takes
//! away. Pure: a pattern is matched against text, never against a disk.

/// One pattern of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    /// As written, without a leading `!`.
    pub text: String,
    /// Whether it takes away.
    pub negative: bool,
    segments: Vec<String>,
}

impl Pattern {
    /// Reads a pattern.
    pub fn new(text: &str) -> Pattern {
        let (negative, text) = match text.strip_prefix('!') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let text = text
            .strip_prefix("./")
            .unwrap_or(text)
            .trim_end_matches('/');
        Pattern {
            text: text.to_owned(),
            negative,
            segments: text.split('/').map(str::to_owned).collect(),
        }
    }

    /// Whether it names one path, without a wildcard.
    pub fn is_literal(&self) -> bool {
        !self.text.contains(['*', '?'])
    }

    /// The folder below which everything that it matches lies; empty for the
    /// source's root.
    pub fn base(&self) -> String {
        let literal = self
            .segments
            .iter()
            .take(self.segments.len().saturating_sub(1))
            .take_while(|segment| !segment.contains(['*', '?']));
        literal.cloned().collect::<Vec<_>>().join("/")
    }

    /// Whether it matches `path`, a relative path with `/` between segments.
    pub fn matches(&self, path: &str) -> bool {
        let path: Vec<&str> = path.split('/').collect();
        // Backtracking to the last `**` alone is enough: an earlier one could
        // only take fewer segments, which the later one can make up for.
        let (mut p, mut s) = (0, 0);
        let mut star: Option<(usize, usize)> = None;
        while s < path.len() {
            if p < self.segments.len() && self.segments[p] == "**" {
                star = Some((p, s));
                p += 1;
            } else if p < self.segments.len() && segment_matches(&self.segments[p], path[s]) {
                p += 1;
                s += 1;
            } else if let Some((at, from)) = star {
                star = Some((at, from + 1));
                p = at + 1;
                s = from + 1;
            } else {
                return false;
            }
        }
        // A trailing `**` stands for what is inside a folder, not the folder.
        p == self.segments.len()
    }
}

/// Whether the last pattern of `patterns` that matches `path` is a positive one.
pub fn selects(patterns: &[Pattern], path: &str) -> bool {
    patterns
        .iter()
        .rev()
        .find(|pattern| pattern.matches(path))
        .is_some_and(|pattern| !pattern.negative)
}

fn segment_matches(pattern: &str, text: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let text: Vec<char> = text.chars().collect();
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        if p < pattern.len() && pattern[p] == '*' {
            star = Some((p, t));
            p += 1;
        } else if p < pattern.len() && (pattern[p] == '?' || pattern[p] == text[t]) {
            p += 1;
            t += 1;
        } else if let Some((at, from)) = star {
            star = Some((at, from + 1));
            p = at + 1;
            t = from + 1;
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pattern: &str, path: &str, expected: bool) {
        assert_eq!(
            Pattern::new(pattern).matches(path),
            expected,
            "{pattern} ~ {path}"
        );
    }

    #[test]
    fn wildcards_stay_within_their_segments() {
        check("web/*.go", "web/static.go", true);
        check("web/*.go", "web/sub/static.go", false);
        check("**/*.go", "main.go", true);
        check("**/*.go", "a/b/c.go", true);
        check("cmd/**", "cmd/server/main.go", true);
        check("cmd/**", "cmd", false);
        check("a/**/b", "a/b", true);
        check("a/**/b", "a/x/y/b", true);
        check("a/**/b/**/c", "a/b/x/b/c", true);
        check("a/**/b/*", "a/b/c/b/d", true);
        check("?.md", "é.md", true);
        check("**", ".hidden/x", true);
        check("*", ".hidden", true);
        check("[id].ts", "[id].ts", true);
        check("{a,b}", "a", false);
    }

    #[test]
    fn later_patterns_win() {
        let patterns: Vec<_> = ["**/*.go", "!vendor/**", "vendor/keep.go"]
            .map(Pattern::new)
            .into();
        assert!(selects(&patterns, "a.go"));
        assert!(!selects(&patterns, "vendor/x/a.go"));
        assert!(selects(&patterns, "vendor/keep.go"));
    }

    #[test]
    fn base_is_the_folder_before_the_first_wildcard() {
        assert_eq!(Pattern::new("a/b/*.go").base(), "a/b");
        assert_eq!(Pattern::new("**/*.go").base(), "");
        assert_eq!(Pattern::new("a/b").base(), "a");
    }
}
