//! What GitHub Actions and Forgejo Actions read out of a log: workflow commands.
//!
//! <https://docs.github.com/actions/reference/workflows-and-actions/workflow-commands>.
//! Values are percent-encoded. What programs print is shown between
//! `stop-commands` and a word that they can't know, so that no output of a step
//! is a command.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::path::Path;

/// How much an annotation matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Something is wrong.
    Error,
    /// Something may be.
    Warning,
    /// Worth knowing.
    Notice,
}

impl Level {
    fn word(self) -> &'static str {
        match self {
            Level::Error => "error",
            Level::Warning => "warning",
            Level::Notice => "notice",
        }
    }
}

/// An annotation, at a place or at none.
pub fn annotation(
    level: Level,
    place: Option<(&Path, u32, Option<u32>)>,
    title: Option<&str>,
    message: &str,
) -> String {
    let mut properties = Vec::new();
    if let Some((path, line, column)) = place {
        properties.push(format!("file={}", property(&path.display().to_string())));
        properties.push(format!("line={line}"));
        properties.extend(column.map(|column| format!("col={column}")));
    }
    properties.extend(title.map(|title| format!("title={}", property(title))));
    let properties = match properties.is_empty() {
        true => String::new(),
        false => format!(" {}", properties.join(",")),
    };
    format!("::{}{properties}::{}", level.word(), value(message))
}

/// The lines before and after what a program printed, which is folded.
pub fn group(name: &str) -> (String, String) {
    let (begin, end) = quiet();
    let begin = format!("::group::{}\n{begin}", value(name));
    (begin, format!("{end}::endgroup::\n"))
}

/// The lines before and after text in which nothing is a command.
pub fn quiet() -> (String, String) {
    let word = word();
    (
        format!("::stop-commands::{word}\n"),
        format!("::{word}::\n"),
    )
}

/// A word that nobody can know before.
fn word() -> String {
    let half = || RandomState::new().build_hasher().finish();
    format!("{:016x}{:016x}", half(), half())
}

fn value(text: &str) -> String {
    text.replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

fn property(text: &str) -> String {
    value(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn annotation_is_one_line_whatever_it_says() {
        let place = Some((Path::new("cards/a:b,c.md"), 3, Some(7)));
        assert_eq!(
            annotation(Level::Error, place, Some("x, y"), "50%\nand more"),
            "::error file=cards/a%3Ab%2Cc.md,line=3,col=7,title=x%2C y::50%25%0Aand more"
        );
        assert_eq!(annotation(Level::Notice, None, None, "a"), "::notice::a");
    }

    #[test]
    fn word_that_ends_a_group_is_never_the_same() {
        assert_ne!(group("a").1, group("a").1);
    }
}
