//! The few things of Markdown that must be known without parsing all of it.
//!
//! One pass over lines that knows fenced code blocks: titles and "does this
//! card run" are asked of thousands of files at once.

use comrak::nodes::NodeValue;
use comrak::{Arena, Options, parse_document};

use super::source::line_end;

/// The lines of a text with their offsets and whether they are code: inside a
/// fenced block, or the fence itself.
pub(crate) struct Lines<'a> {
    rest: &'a str,
    offset: usize,
    fence: Option<(u8, usize)>,
}

/// A line and what it is to the fences.
pub(crate) struct Line<'a> {
    /// Where the line starts in the text.
    pub(crate) offset: usize,
    /// The line without its ending.
    pub(crate) text: &'a str,
    /// What it is.
    pub(crate) role: LineRole<'a>,
}

/// What a line is to the fenced code blocks.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum LineRole<'a> {
    /// Outside of fenced code.
    Prose,
    /// It opens a block, with this info string.
    Opening(&'a str),
    /// Inside of a block, or it closes one.
    Code,
}

/// All lines of `text`.
pub(crate) fn lines(text: &str) -> Lines<'_> {
    Lines {
        rest: text,
        offset: 0,
        fence: None,
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = Line<'a>;

    fn next(&mut self) -> Option<Line<'a>> {
        if self.rest.is_empty() {
            return None;
        }
        let (line, rest) = self.rest.split_at(line_end(self.rest.as_bytes(), 0));
        let offset = self.offset;
        self.offset += line.len();
        self.rest = rest;
        let text = line.strip_suffix('\n').unwrap_or(line);
        let text = text.strip_suffix('\r').unwrap_or(text);
        let role = self.role(text);
        Some(Line { offset, text, role })
    }
}

impl<'a> Lines<'a> {
    fn role(&mut self, text: &'a str) -> LineRole<'a> {
        let inner = text.trim_start_matches(' ');
        let mark = inner.bytes().next().unwrap_or_default();
        let length = match mark {
            b'`' | b'~' => inner.bytes().take_while(|byte| *byte == mark).count(),
            _ => 0,
        };
        let info = &inner[length..];
        match self.fence {
            Some((open, least)) => {
                if mark == open && length >= least && info.trim().is_empty() {
                    self.fence = None;
                }
                LineRole::Code
            }
            None if length >= 3 && !(mark == b'`' && info.contains('`')) => {
                self.fence = Some((mark, length));
                LineRole::Opening(info.trim())
            }
            None => LineRole::Prose,
        }
    }
}

/// The text of the first heading outside of code, without its markup.
pub(crate) fn first_heading(text: &str) -> Option<String> {
    let mut before = "";
    for line in lines(text) {
        if line.role != LineRole::Prose {
            before = "";
            continue;
        }
        let inner = line.text.trim_start_matches(' ');
        if line.text.len() - inner.len() > 3 {
            before = "";
            continue;
        }
        let depth = inner.bytes().take_while(|byte| *byte == b'#').count();
        let rest = &inner[depth..];
        if (1..=6).contains(&depth) && (rest.is_empty() || rest.starts_with([' ', '\t'])) {
            let heading = without_markup(rest.trim().trim_end_matches('#').trim_end());
            if !heading.is_empty() {
                return Some(heading);
            }
        }
        let underline = inner.trim_end();
        let underlined = !underline.is_empty()
            && (underline.bytes().all(|byte| byte == b'=')
                || underline.bytes().all(|byte| byte == b'-'));
        if underlined && !before.is_empty() {
            return Some(without_markup(before));
        }
        let starts_block = inner.starts_with(['#', '>', '|', '-', '*', '+', '<']);
        before = if starts_block { "" } else { inner.trim() };
    }
    None
}

/// Whether there may be a fenced block, in a list or a quote or wherever, whose
/// info string has the word `run` or `verify` after its language. Never `false`
/// where there is one.
pub(crate) fn may_have_runnable_fence(text: &str) -> bool {
    let is_meant = |word: &str| {
        // What is written with an entity or a backslash is for comrak to tell.
        word == "run" || word == "verify" || word.contains(['&', '\\'])
    };
    ["```", "~~~"].iter().any(|fence| {
        let mut parts = text.split(fence);
        parts.next();
        parts.any(|rest| {
            let line = rest.split(['\n', '\r']).next().unwrap_or_default();
            line.split_whitespace().any(is_meant)
        })
    })
}

/// A line of Markdown as plain text: emphasis, code and links by their words.
pub(crate) fn without_markup(text: &str) -> String {
    if !text.contains(['*', '_', '[', '`', '<', '\\', '&', '~']) {
        return text.to_owned();
    }
    let arena = Arena::new();
    let root = parse_document(&arena, text, &options());
    let mut plain = String::new();
    for node in root.descendants() {
        match &node.data.borrow().value {
            NodeValue::Text(text) => plain += text,
            NodeValue::Code(code) => plain += &code.literal,
            NodeValue::SoftBreak | NodeValue::LineBreak => plain.push(' '),
            _ => {}
        }
    }
    plain.trim().to_owned()
}

/// How cards are read: as GitHub reads Markdown, and with wiki links.
pub(crate) fn options() -> Options<'static> {
    let mut options = Options::default();
    options.extension.table = true;
    options.extension.tasklist = true;
    options.extension.strikethrough = true;
    options.extension.footnotes = true;
    options.extension.wikilinks_title_after_pipe = true;
    options
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_heading_is_the_title() {
        for (text, heading) in [
            ("# One\n", Some("One")),
            ("text\n\n## Two ##\n", Some("Two")),
            ("```\n# no\n```\n# Yes\n", Some("Yes")),
            ("Under\n=====\n", Some("Under")),
            (
                "# The `go` [[server|thing]] *now*\n",
                Some("The go thing now"),
            ),
            ("---\ntext\n", None),
            ("#no\n    # code\n", None),
            ("", None),
            ("#\n# x", Some("x")),
        ] {
            assert_eq!(first_heading(text).as_deref(), heading, "{text:?}");
        }
    }

    #[test]
    fn a_runnable_block_is_never_overlooked() {
        for (text, may) in [
            ("```sh run\ntrue\n```\n", true),
            ("~~~ bash  verify\n~~~\n", true),
            ("  - x\n    ```sh run\n    ```\n", true),
            ("> ```sh run\n> true\n", true),
            ("1.\t~~~~sh r&#117;n\n", true),
            ("```sh\nrun\n```\n", false),
            ("run ```\nrun\n```\nrun\n", false),
        ] {
            assert_eq!(may_have_runnable_fence(text), may, "{text:?}");
        }
    }
}
