//! The words of a paragraph: styled runs, and how they are wrapped.

use anstyle::Style;
use comrak::nodes::{Node, NodeValue};

use crate::columns::{columns, pieces};
use crate::diagnostic::Paint;

/// Text of one style.
#[derive(Clone, Debug)]
pub(super) struct Run {
    /// How it looks.
    pub(super) style: Style,
    /// The words; a line feed is kept as such.
    pub(super) text: String,
}

impl Run {
    /// Text without a style.
    pub(super) fn plain(text: &str) -> Run {
        Run {
            style: Style::new(),
            text: visible(text),
        }
    }
}

/// The text with what would move a terminal's cursor taken out; tabs stay.
pub(super) fn visible(text: &str) -> String {
    text.replace(
        |c: char| c.is_control() && c != '\n' && c != '\t',
        "\u{fffd}",
    )
}

/// What is written inside of a block.
pub(super) fn runs(node: Node<'_>, paint: Paint) -> Vec<Run> {
    let mut runs = Vec::new();
    for child in node.children() {
        collect(child, Style::new(), paint, &mut runs, 0);
    }
    runs
}

fn collect(node: Node<'_>, style: Style, paint: Paint, runs: &mut Vec<Run>, depth: usize) {
    let push = |runs: &mut Vec<Run>, text: &str| {
        let text = visible(text);
        runs.push(Run { style, text });
    };
    let inside = |runs: &mut Vec<Run>, style: Style| {
        // Marks in marks without end are no text that anybody wrote.
        if depth < 40 {
            for child in node.children() {
                collect(child, style, paint, runs, depth + 1);
            }
        }
    };
    let marked = |runs: &mut Vec<Run>, mark: &str, style: Style| {
        let mark = if paint.0 { "" } else { mark };
        push(runs, mark);
        inside(runs, style);
        push(runs, mark);
    };
    match &node.data.borrow().value {
        NodeValue::Text(text) => push(runs, text),
        NodeValue::Code(code) => {
            let ticks = "`".repeat(code.num_backticks.max(1));
            push(runs, &format!("{ticks}{}{ticks}", code.literal));
        }
        NodeValue::SoftBreak => push(runs, " "),
        NodeValue::LineBreak => push(runs, "\n"),
        NodeValue::HtmlInline(html) | NodeValue::Raw(html) => push(runs, html),
        NodeValue::Emph => marked(runs, "*", style.italic()),
        NodeValue::Strong => marked(runs, "**", style.bold()),
        NodeValue::Strikethrough => marked(runs, "~~", style.strikethrough()),
        NodeValue::FootnoteReference(note) => push(runs, &format!("[^{}]", note.name)),
        NodeValue::WikiLink(link) => {
            let mut words = Vec::new();
            inside(&mut words, style);
            let words: String = words.into_iter().map(|run| run.text).collect();
            match words == link.url {
                true => push(runs, &format!("[[{}]]", link.url)),
                false => push(runs, &format!("[[{}|{words}]]", link.url)),
            }
        }
        NodeValue::Link(link) => {
            let before = runs.len();
            inside(runs, style.underline());
            let words: String = runs[before..].iter().map(|run| run.text.as_str()).collect();
            let url = link.url.strip_prefix("mailto:").unwrap_or(&link.url);
            if words != link.url && words != url {
                push(runs, &format!(" ({})", link.url));
            }
        }
        NodeValue::Image(link) => {
            push(runs, "[image: ");
            inside(runs, style);
            push(runs, &format!("] ({})", link.url));
        }
        _ => inside(runs, style),
    }
}

/// A piece of a line: whether a line may be broken before it, whether a space
/// stands before it, its style and its text.
struct Piece<'a> {
    breaks: bool,
    space: bool,
    style: Style,
    text: &'a str,
}

/// The runs as lines of at most `width` columns, painted.
pub(super) fn lines(runs: &[Run], width: usize, paint: Paint) -> Vec<String> {
    let mut all = Vec::new();
    let mut pieces_of_line = Vec::new();
    let mut after_space = false;
    for run in runs {
        for (number, part) in run.text.split('\n').enumerate() {
            if number > 0 {
                all.extend(wrapped(&std::mem::take(&mut pieces_of_line), width, paint));
                after_space = false;
            }
            for (number, (starts_word, text)) in pieces(part).enumerate() {
                let space = match number {
                    0 => after_space || part.starts_with(char::is_whitespace),
                    _ => starts_word,
                };
                // Within a run a piece that starts no word stands between wide
                // characters, where a line may be broken without a space.
                let breaks = space || number > 0;
                pieces_of_line.push(Piece {
                    breaks,
                    space,
                    style: run.style,
                    text,
                });
            }
            after_space = match part.trim().is_empty() {
                true => after_space || !part.is_empty(),
                false => part.ends_with(char::is_whitespace),
            };
        }
    }
    all.extend(wrapped(&pieces_of_line, width, paint));
    all
}

fn wrapped(pieces: &[Piece<'_>], width: usize, paint: Paint) -> Vec<String> {
    let mut lines: Vec<Vec<(Style, String)>> = vec![Vec::new()];
    let mut filled = 0;
    let mut at = 0;
    while at < pieces.len() {
        // What can't be parted goes to a line together.
        let more = pieces[at + 1..].iter().take_while(|piece| !piece.breaks);
        let end = at + 1 + more.count();
        let unit = &pieces[at..end];
        let wide: usize = unit.iter().map(|piece| columns(piece.text)).sum();
        let gap = usize::from(unit[0].space && filled > 0);
        if filled > 0 && filled + gap + wide > width {
            lines.push(Vec::new());
            filled = 0;
        }
        let gap = if filled > 0 { gap } else { 0 };
        if let Some(line) = lines.last_mut() {
            for (number, piece) in unit.iter().enumerate() {
                let space = if number == 0 && gap == 1 { " " } else { "" };
                match line.last_mut() {
                    Some((style, text)) if *style == piece.style => {
                        text.push_str(space);
                        text.push_str(piece.text);
                    }
                    _ => {
                        if !space.is_empty() {
                            line.push((Style::new(), space.to_owned()));
                        }
                        line.push((piece.style, piece.text.to_owned()));
                    }
                }
            }
        }
        filled += gap + wide;
        at = end;
    }
    let painted = |line: Vec<(Style, String)>| {
        let runs = line.into_iter();
        runs.map(|(style, text)| match style == Style::new() {
            true => text,
            false => paint.with(style, &text),
        })
        .collect()
    };
    lines.into_iter().map(painted).collect()
}

/// How many columns the longest line of the runs takes when nothing is wrapped.
pub(super) fn natural_width(runs: &[Run]) -> usize {
    let lines = lines(runs, usize::MAX, Paint(false));
    lines.iter().map(|line| columns(line)).max().unwrap_or(0)
}
