//! A card's Markdown for a terminal: headings, lists, quotes, code, tables,
//! wrapped at a width.
//!
//! Nothing of the text is left out: without colour, emphasis keeps its marks;
//! links show where they lead, and wiki links stay as they are written. Code is
//! never wrapped, so that it can be copied. Pure.

mod inline;
mod table;

use anstyle::Style;
use comrak::nodes::{ListType, Node, NodeValue};
use comrak::{Arena, parse_document};

use crate::card::markdown;
use crate::columns::columns;
use crate::diagnostic::Paint;

/// How deep blocks may lie in each other; deeper ones are plain text.
const DEPTH: usize = 40;

/// The narrowest that text is wrapped at.
const NARROW: usize = 20;

/// Markdown as lines for a terminal that has `width` columns.
pub fn render(text: &str, width: usize, paint: Paint) -> String {
    let arena = Arena::new();
    let root = parse_document(&arena, text, &markdown::options());
    let page = Page { paint };
    let mut out = String::new();
    for line in page.blocks(root, width, true, 0) {
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

/// How a page is drawn.
#[derive(Clone, Copy)]
struct Page {
    paint: Paint,
}

impl Page {
    /// The lines of the blocks inside `node`, with empty lines between them
    /// where they are `loose`.
    fn blocks(self, node: Node<'_>, width: usize, loose: bool, depth: usize) -> Vec<String> {
        let width = width.max(NARROW);
        if depth > DEPTH {
            return self.paragraph(&plain(node), width);
        }
        let mut lines = Vec::new();
        for child in node.children() {
            let block = self.block(child, width, depth);
            if !lines.is_empty() && loose && !block.is_empty() {
                lines.push(String::new());
            }
            lines.extend(block);
        }
        lines
    }

    fn block(self, node: Node<'_>, width: usize, depth: usize) -> Vec<String> {
        match &node.data.borrow().value {
            NodeValue::Heading(heading) => {
                let mut runs = inline::runs(node, self.paint);
                runs.insert(
                    0,
                    inline::Run::plain(&format!("{} ", "#".repeat(heading.level.into()))),
                );
                let bold = |run: &mut inline::Run| run.style |= anstyle::Effects::BOLD;
                runs.iter_mut().for_each(bold);
                inline::lines(&runs, width, self.paint)
            }
            NodeValue::List(list) => {
                let mut lines: Vec<String> = Vec::new();
                for (number, item) in node.children().enumerate() {
                    let mark = match (list.list_type, &item.data.borrow().value) {
                        (_, NodeValue::TaskItem(task)) => {
                            format!("[{}] ", task.symbol.unwrap_or(' '))
                        }
                        (ListType::Bullet, _) => "• ".to_owned(),
                        (ListType::Ordered, _) => format!("{}. ", list.start + number),
                    };
                    if !lines.is_empty() && !list.tight {
                        lines.push(String::new());
                    }
                    let room = width.saturating_sub(columns(&mark));
                    let inner = self.blocks(item, room, !list.tight, depth + 1);
                    lines.extend(indented(inner, &mark, &" ".repeat(columns(&mark))));
                    if item.children().next().is_none() {
                        lines.push(mark);
                    }
                }
                lines
            }
            NodeValue::BlockQuote | NodeValue::MultilineBlockQuote(_) => {
                let inner = self.blocks(node, width.saturating_sub(2), true, depth + 1);
                indented(inner, "│ ", "│ ")
            }
            NodeValue::CodeBlock(code) => {
                let mut lines = Vec::new();
                if !code.info.trim().is_empty() {
                    let info = format!("{}:", inline::visible(code.info.trim()));
                    lines.push(self.paint.with(Style::new().italic(), &info));
                }
                let code = code.literal.lines().map(inline::visible);
                lines.extend(code.map(|line| format!("    {line}")));
                lines
            }
            NodeValue::HtmlBlock(html) => html.literal.lines().map(inline::visible).collect(),
            NodeValue::ThematicBreak => vec!["─".repeat(width.min(40))],
            NodeValue::FootnoteDefinition(note) => {
                let mark = format!("[^{}]: ", note.name);
                let room = width.saturating_sub(4);
                indented(self.blocks(node, room, true, depth + 1), &mark, "    ")
            }
            NodeValue::Table(table) => table::lines(node, table, width, self.paint),
            value if value.block() && !matches!(value, NodeValue::Paragraph) => {
                self.blocks(node, width, true, depth + 1)
            }
            _ => inline::lines(&inline::runs(node, self.paint), width, self.paint),
        }
    }

    fn paragraph(self, text: &str, width: usize) -> Vec<String> {
        inline::lines(&[inline::Run::plain(text)], width, self.paint)
    }
}

/// The lines with `first` before the first of them and `rest` before the others.
fn indented(lines: Vec<String>, first: &str, rest: &str) -> Vec<String> {
    let start = |number| if number == 0 { first } else { rest };
    let lines = lines.into_iter().enumerate();
    lines
        .map(|(number, line)| format!("{}{line}", start(number)))
        .collect()
}

/// All words below a node.
fn plain(node: Node<'_>) -> String {
    let mut text = String::new();
    for node in node.descendants() {
        match &node.data.borrow().value {
            NodeValue::Text(words) => text.push_str(words),
            NodeValue::Code(code) => text.push_str(&code.literal),
            NodeValue::CodeBlock(code) => text.push_str(&code.literal),
            NodeValue::SoftBreak | NodeValue::LineBreak | NodeValue::Paragraph => text.push(' '),
            _ => {}
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain_page(text: &str, width: usize) -> String {
        render(text, width, Paint(false))
    }

    #[test]
    fn a_page_is_laid_out_at_its_width() {
        let text = "\
# Build *it*

A paragraph that is longer than the width, with `code`, a [[wiki-link|one]] and
[a link](https://example.org/x).

- one
  1. nested item that is too long for a line
  2. other
- [x] done
- [ ] open

> Quoted words that go on and on for a while.

```sh run
cp a-file-with-a-long-name \"$OUT/another-file\"
```

---

Last[^1].

[^1]: A note.
";
        let expected = "\
# Build *it*

A paragraph that is longer than
the width, with `code`, a
[[wiki-link|one]] and a link
(https://example.org/x).

• one
  1. nested item that is too
     long for a line
  2. other
[x] done
[ ] open

│ Quoted words that go on and on
│ for a while.

sh run:
    cp a-file-with-a-long-name \"$OUT/another-file\"

────────────────────────────────

Last[^1].

[^1]: A note.
";
        assert_eq!(plain_page(text, 32), expected);
    }

    #[test]
    fn tables_are_aligned_by_columns_and_wrapped_within_cells() {
        let text = "| name | 数 |\n|:--|--:|\n| 日本 | 1 |\n| a cell with many words | 22 |\n";
        let expected = "\
name            │ 数
────────────────┼───
日本            │  1
a cell with     │ 22
many words      │
";
        assert_eq!(plain_page(text, 20), expected);
    }

    #[test]
    fn wiki_links_stay_as_they_are_written() {
        for link in ["[[server]]", "[[server|the server]]", "[[a_b*c]]"] {
            assert_eq!(plain_page(link, 80), format!("{link}\n"));
        }
    }

    #[test]
    fn colour_takes_the_place_of_marks() {
        let coloured = render("**b** *i* ~~s~~", 80, Paint(true));
        assert!(
            !coloured.contains('*') && !coloured.contains('~'),
            "{coloured:?}"
        );
        assert!(coloured.contains("\u{1b}[1mb"), "{coloured:?}");
        assert_eq!(plain_page("**b** *i* ~~s~~", 80), "**b** *i* ~~s~~\n");
    }

    #[test]
    fn a_card_can_not_move_the_cursor() {
        let text = "a\u{1b}[2Jb `\u{7}`\n\n    code\u{1b}[31m\n\n<p>\u{1b}c</p>\n";
        assert!(!plain_page(text, 80).contains('\u{1b}'));
        assert!(!plain_page(text, 80).contains('\u{7}'));
    }

    #[test]
    fn quotes_without_end_are_no_trouble() {
        let text = format!("{} deep", ">".repeat(5_000));
        assert!(plain_page(&text, 80).contains("deep"));
    }
}
