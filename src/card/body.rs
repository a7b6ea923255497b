//! What a card's body says: a summary, steps, checks, code that runs, links.
//!
//! comrak reads the Markdown. Steps and checks in prose are for people; boxes
//! never decide a card's state. A fenced block whose info string has the word
//! `run` or `verify` after its language is executable, in that language.

use comrak::nodes::{ListType, Node, NodeValue};
use comrak::{Arena, parse_document};

use super::{Card, markdown};

/// The headings under which a body lists steps and checks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Headings {
    /// Headings of steps.
    pub steps: Vec<String>,
    /// Headings of checks.
    pub checks: Vec<String>,
}

impl Default for Headings {
    fn default() -> Self {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        Headings {
            steps: words(&["what to do", "steps", "execution", "to do", "tasks"]),
            checks: words(&["verify", "verification", "checks", "done when"]),
        }
    }
}

/// What the Markdown of a card says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Body {
    /// The first paragraph as plain text on one line.
    pub summary: Option<String>,
    /// The steps in prose.
    pub steps: Vec<Item>,
    /// The checks in prose.
    pub checks: Vec<Item>,
    /// The code that runs, in the order of the file.
    pub blocks: Vec<Block>,
    /// The targets of wiki links, in the order of the file.
    pub links: Vec<String>,
}

/// One item of a list of steps or checks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Its first paragraph on one line; code keeps its backticks.
    pub text: String,
    /// Whether its box is ticked; `None` without a box.
    pub ticked: Option<bool>,
    /// Its line in the file, from 1.
    pub line: u32,
}

/// A code block that runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// Whether it is a step or a check.
    pub role: Role,
    /// The first word of the info string: `sh`, `bash`, `fish`, `python`.
    pub language: String,
    /// The code.
    pub code: String,
    /// The heading above it, which names it.
    pub heading: Option<String>,
    /// The line of its opening fence in the file, from 1.
    pub line: u32,
}

/// What a code block that runs is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A step.
    Run,
    /// A check.
    Verify,
}

impl Body {
    /// Reads the body of a card.
    pub fn read(card: &Card, headings: &Headings) -> Body {
        let first_line = card.source.line(card.body_start);
        Body::parse(card.text(), first_line, headings)
    }

    /// Reads Markdown whose first line is this line of its file.
    pub fn parse(text: &str, first_line: u32, headings: &Headings) -> Body {
        let arena = Arena::new();
        let root = parse_document(&arena, text, &markdown::options());
        let line_of = |node: Node<'_>| {
            let line = node.data.borrow().sourcepos.start.line;
            first_line.saturating_add(u32::try_from(line.saturating_sub(1)).unwrap_or(u32::MAX))
        };
        let mut body = Body::default();
        let mut section: Option<(u8, Role)> = None;
        let mut heading = None;
        for node in root.descendants() {
            match &node.data.borrow().value {
                NodeValue::Heading(found) => {
                    let text = plain(node);
                    section = match headings.role(&text) {
                        Some(role) => Some((found.level, role)),
                        None => section.filter(|(level, _)| found.level > *level),
                    };
                    heading = Some(text);
                }
                NodeValue::Paragraph if body.summary.is_none() && is_top(node, root) => {
                    body.summary = Some(plain(node)).filter(|text| !text.is_empty());
                }
                NodeValue::List(_) if is_top(node, root) => {
                    let items = match section {
                        Some((_, Role::Run)) => &mut body.steps,
                        Some((_, Role::Verify)) => &mut body.checks,
                        None => continue,
                    };
                    for item in node.children() {
                        items.extend(list_item(item, line_of(item)));
                    }
                }
                NodeValue::CodeBlock(code) if code.fenced => {
                    let mut words = code.info.split_whitespace();
                    let language = words.next().unwrap_or_default().to_owned();
                    let role = words.find_map(|word| match word {
                        "run" => Some(Role::Run),
                        "verify" => Some(Role::Verify),
                        _ => None,
                    });
                    body.blocks.extend(role.map(|role| Block {
                        role,
                        language,
                        code: code.literal.clone(),
                        heading: heading.clone(),
                        line: line_of(node),
                    }));
                }
                NodeValue::WikiLink(link) => body.links.push(link.url.clone()),
                _ => {}
            }
        }
        body
    }
}

impl Headings {
    /// What is listed under a heading: the same words in any case, alone or
    /// followed by something that is no letter ("Steps:", "Verify (by hand)").
    fn role(&self, heading: &str) -> Option<Role> {
        let heading = heading.trim().to_lowercase();
        let named = |name: &String| {
            let rest = heading.strip_prefix(&name.to_lowercase());
            rest.is_some_and(|rest| !rest.trim_start().starts_with(char::is_alphanumeric))
        };
        if self.checks.iter().any(named) {
            Some(Role::Verify)
        } else if self.steps.iter().any(named) {
            Some(Role::Run)
        } else {
            None
        }
    }
}

fn is_top<'a>(node: Node<'a>, root: Node<'a>) -> bool {
    node.parent().is_some_and(|parent| parent.same_node(root))
}

/// An item of an ordered list, or one with a box; a bare bullet is none.
fn list_item(node: Node<'_>, line: u32) -> Option<Item> {
    let ticked = match &node.data.borrow().value {
        NodeValue::TaskItem(task) => Some(task.symbol.is_some()),
        NodeValue::Item(list) if list.list_type == ListType::Ordered => None,
        _ => return None,
    };
    let first = node.children().find(|child| {
        let value = &child.data.borrow().value;
        matches!(value, NodeValue::Paragraph)
    });
    let text = first.map(plain).unwrap_or_default();
    (!text.is_empty()).then_some(Item { text, ticked, line })
}

/// The words of a node on one line. Code keeps its backticks, and links are as
/// they are written: who acts on the text needs their targets.
fn plain(node: Node<'_>) -> String {
    let text = words(node);
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn words(node: Node<'_>) -> String {
    let inner = |node: Node<'_>| node.children().map(words).collect::<String>();
    match &node.data.borrow().value {
        NodeValue::Text(words) => words.to_string(),
        NodeValue::Code(code) => format!("`{}`", code.literal),
        NodeValue::SoftBreak | NodeValue::LineBreak => " ".to_owned(),
        NodeValue::WikiLink(link) => match inner(node) {
            title if title == link.url => format!("[[{title}]]"),
            title => format!("[[{}|{title}]]", link.url),
        },
        NodeValue::Link(link) => match inner(node) {
            title if title == link.url => title,
            title => format!("[{title}]({})", link.url),
        },
        _ => inner(node),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CARD: &str = "\
# Build `server`

The *first* paragraph
of [[client|the card]].

## What to do

1. Run `go build`.
   More of it.

   Not this.
2. [Link](x)

### In detail

- [ ] open
- [x] done
- bare

```sh run
go build
```

## Verification (by hand)

1. It answers.

   ```bash verify
   curl x
   ```

## Related

1. Not a step
- [[web ui]]

```sh
not run
```
";

    #[test]
    fn steps_checks_code_and_links_are_found_with_their_lines() {
        let body = Body::parse(CARD, 10, &Headings::default());
        assert_eq!(
            body.summary.as_deref(),
            Some("The first paragraph of [[client|the card]].")
        );
        let items = |items: &[Item]| -> Vec<(String, Option<bool>, u32)> {
            let items = items.iter();
            items
                .map(|item| (item.text.clone(), item.ticked, item.line))
                .collect()
        };
        assert_eq!(
            items(&body.steps),
            [
                ("Run `go build`. More of it.".to_owned(), None, 17),
                ("[Link](x)".to_owned(), None, 21),
                ("open".to_owned(), Some(false), 25),
                ("done".to_owned(), Some(true), 26),
            ]
        );
        assert_eq!(items(&body.checks), [("It answers.".to_owned(), None, 35)]);
        let blocks: Vec<_> = body
            .blocks
            .iter()
            .map(|block| (block.role, &*block.language, &*block.code, block.line))
            .collect();
        assert_eq!(
            blocks,
            [
                (Role::Run, "sh", "go build\n", 29),
                (Role::Verify, "bash", "curl x\n", 37)
            ]
        );
        assert_eq!(body.blocks[0].heading.as_deref(), Some("In detail"));
        assert_eq!(body.links, ["client", "web ui"]);
    }

    #[test]
    fn a_heading_counts_by_its_whole_first_words() {
        let headings = Headings::default();
        assert_eq!(headings.role("Steps:"), Some(Role::Run));
        assert_eq!(headings.role("VERIFY"), Some(Role::Verify));
        assert_eq!(headings.role("Stepson"), None);
        assert_eq!(headings.role("Steps we took in 2024"), None);
    }
}
