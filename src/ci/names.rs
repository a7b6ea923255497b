//! Names of jobs: ids that every system takes, and titles on one line.
//!
//! A name depends on its own card alone wherever that is possible, so that a
//! change of one card is a small change of the file.

use std::collections::BTreeSet;

use crate::digest::Digest;

/// The longest id; Buildkite and GitHub take 100 characters.
const ID: usize = 80;

/// The longest title; GitLab takes 255 bytes, and no list shows more.
const TITLE: usize = 120;

/// The name of the job that looks whether what is done still holds.
pub const NIGHTLY: &str = "What is done still holds";

/// Its id.
pub const NIGHTLY_ID: &str = "mikado-verify";

/// Words of GitLab's that are no names of jobs there.
const RESERVED: &[&str] = &[
    "after_script",
    "before_script",
    "cache",
    "default",
    "false",
    "image",
    "include",
    "nil",
    "pages",
    "services",
    "spec",
    "stages",
    "true",
    "types",
    "variables",
    "workflow",
];

/// Gives out names, each once.
#[derive(Debug, Default)]
pub struct Names {
    /// Ids are one whatever their case: GitHub tells no two apart by it.
    ids: BTreeSet<String>,
    titles: BTreeSet<String>,
}

impl Names {
    /// An id of letters, digits, `-` and `_` that begins with a letter: the stem
    /// itself where it is one, else what is left of it with a piece of its hash.
    pub fn id(&mut self, stem: &str) -> String {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        let mut id: String = stem
            .chars()
            .map(|c| if is_plain(c) { c } else { '-' })
            .take(ID)
            .collect();
        if !id.starts_with(|c: char| c.is_ascii_alphabetic()) {
            id = format!("card-{id}");
        }
        if id != stem || id == NIGHTLY_ID || self.ids.contains(&id.to_lowercase()) {
            let hash = Digest::of(stem.as_bytes()).hex();
            id = format!("{id}-{}", hash.get(..8).unwrap_or(&hash));
        }
        self.ids.insert(id.to_lowercase());
        id
    }

    /// A title on one line; with the stem where another job is called the same.
    pub fn title(&mut self, title: &str, stem: &str) -> String {
        let mut name = one_line(title);
        if name.is_empty() {
            name = one_line(stem);
        }
        // With a dot before it, a job of GitLab's is none.
        if RESERVED.contains(&name.as_str()) || name.starts_with('.') || name == NIGHTLY {
            name = format!("card {name}");
        }
        if self.titles.contains(&name) {
            name = format!("{name} ({})", one_line(stem));
        }
        while !self.titles.insert(name.clone()) {
            name.push('\'');
        }
        name
    }
}

/// The text on one line, without what no terminal shows, and not too long.
pub fn one_line(text: &str) -> String {
    let shown: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    let words: Vec<&str> = shown.split_whitespace().collect();
    let line = words.join(" ");
    match line.char_indices().nth(TITLE) {
        Some((end, _)) => format!("{}…", line[..end].trim_end()),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_stem_is_its_own_id_and_any_other_gets_one() {
        let mut names = Names::default();
        assert_eq!(names.id("go-server"), "go-server");
        assert!(names.id("007 \u{1f600}").starts_with("card-007---"));
        assert_ne!(names.id("a b"), names.id("a?b"));
        assert_ne!(names.id("Go-Server").to_lowercase(), "go-server");
        assert!(names.id(&"x".repeat(300)).len() <= 100);
    }

    #[test]
    fn title_is_one_line_and_one_jobs_alone() {
        let mut names = Names::default();
        assert_eq!(names.title("a\nb\t c\u{7}", "x"), "a b c");
        assert_eq!(names.title("a b c", "y"), "a b c (y)");
        assert_eq!(names.title(" \n", "z"), "z");
        assert_eq!(names.title("pages", "p"), "card pages");
        assert_eq!(one_line(&"é".repeat(200)).chars().count(), TITLE + 1);
    }
}
