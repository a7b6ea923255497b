//! What to say of a step that failed because it was confined.
//!
//! The kernel tells a program that permission was denied, and the program tells
//! its user; what it was denied is read off the last lines of its log. A guess
//! is told only where it fits: the path must be one that is refused here.

use std::path::{Path, PathBuf};

/// What a confined step could reach.
#[derive(Debug)]
pub(crate) struct Reach<'a> {
    /// The repository's root.
    pub(crate) repository: &'a Path,
    /// The user's home folder.
    pub(crate) home: Option<&'a Path>,
    /// What it may read or write.
    pub(crate) allowed: &'a [PathBuf],
}

impl Reach<'_> {
    /// What to do about a denial in these lines; `None` where there is none.
    pub(crate) fn help(&self, lines: &[String]) -> Option<String> {
        let denied = |line: &&String| {
            let line = line.to_lowercase();
            ["permission denied", "eacces", "operation not permitted"]
                .iter()
                .any(|words| line.contains(words))
        };
        lines
            .iter()
            .rev()
            .filter(denied)
            .find_map(|line| self.of_line(line))
    }

    fn of_line(&self, line: &str) -> Option<String> {
        let lower = line.to_lowercase();
        if ["connect", "/dev/tcp/", "network", "socket"]
            .iter()
            .any(|word| lower.contains(word))
        {
            return Some(
                "steps and checks have no network: move what needs it into a `fetch` of the runner, or write `network: true` into it"
                    .into(),
            );
        }
        let path = paths(line)
            .find(|path| !self.allowed.iter().any(|allowed| path.starts_with(allowed)))?;
        let shown = path.display();
        if let Ok(below) = path.strip_prefix(self.repository) {
            return Some(format!(
                "`{shown}` is not an input: add `- {{ paths: [{}] }}` to `inputs` of the runner",
                below.display()
            ));
        }
        if self.home.is_some_and(|home| path.starts_with(home)) {
            return Some(format!(
                "`{shown}` is in your home folder, which steps do not see: make it an input, or name it in `home:` of a fetch"
            ));
        }
        if path.starts_with("/tmp") || path.starts_with("/var/tmp") {
            return Some(format!(
                "`{shown}` lies outside of the action: write to `$TMPDIR`"
            ));
        }
        Some(format!(
            "`{shown}` lies outside of what the action may read and write: make it an input, or write `isolation: none` into the runner"
        ))
    }
}

/// The absolute paths in a line.
fn paths(line: &str) -> impl Iterator<Item = &Path> {
    let ends = |c: char| {
        c.is_whitespace()
            || matches!(
                c,
                '\'' | '"' | '`' | ':' | ',' | ')' | '(' | ';' | '‘' | '’' | '“' | '”'
            )
    };
    line.split(ends)
        .filter(|word| word.len() > 1 && word.starts_with('/'))
        .map(|word| Path::new(word.trim_end_matches('.')))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn help(line: &str) -> Option<String> {
        let allowed = [
            PathBuf::from("/usr"),
            PathBuf::from("/repo/.mikado/tmp/run-1"),
        ];
        let reach = Reach {
            repository: Path::new("/repo"),
            home: Some(Path::new("/home/me")),
            allowed: &allowed,
        };
        reach.help(&[line.to_owned(), "more".to_owned()])
    }

    #[test]
    fn a_denial_names_the_path_and_the_way_out() {
        let says = |line: &str, words: &str| {
            let help = help(line).unwrap_or_default();
            assert!(help.contains(words), "{line}: {help}");
        };
        says(
            "cat: /repo/docs/a.md: Permission denied",
            "add `- { paths: [docs/a.md] }`",
        );
        says(
            "bash: line 1: /tmp/x: Permission denied",
            "write to `$TMPDIR`",
        );
        says(
            "PermissionError: [Errno 13] Permission denied: '/home/me/.ssh/id'",
            "is in your home folder",
        );
        says(
            "Error: EACCES: permission denied, open '/srv/data.json'",
            "`/srv/data.json` lies outside",
        );
        says("bash: connect: Permission denied", "no network");
    }

    #[test]
    fn what_is_allowed_is_no_denial_of_ours() {
        assert_eq!(help("cat: /usr/share/secret: Permission denied"), None);
        assert_eq!(
            help("cat: /repo/.mikado/tmp/run-1/work/x: Permission denied"),
            None
        );
        assert_eq!(help("error: no such file /repo/x"), None);
    }
}
