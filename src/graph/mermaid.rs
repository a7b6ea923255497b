//! A chain as a flowchart of mermaid, which GitHub and Forgejo render as it is.
//!
//! Names begin with `c_`, so that none is a word of mermaid's (`end`) or turns
//! an arrow into another one (`o`, `x`). In labels, whatever means something to
//! mermaid or to Markdown is written as a character code. Mermaid draws 500
//! edges at most unless it is told otherwise. Pure.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::{Graph, Way};
use crate::standing::Standing;

/// The graph as a flowchart.
pub fn draw(graph: &Graph, way: Way) -> String {
    let way = match way {
        Way::Down => "TD",
        Way::Right => "LR",
    };
    let ids = ids(graph);
    let mut text = format!("flowchart {way}\n");
    // Writing to a text can't fail.
    for (card, id) in graph.cards.iter().zip(&ids) {
        let (label, class) = (label(&card.title), card.standing.word());
        let _ = writeln!(text, "  {id}[\"{label}\"]:::{class}");
    }
    for edge in &graph.edges {
        let arrow = if edge.uses { "-.->" } else { "-->" };
        let _ = writeln!(text, "  {} {arrow} {}", ids[edge.before], ids[edge.after]);
    }
    let goals = graph.cards.iter().zip(&ids).filter(|(card, _)| card.goal);
    for (_, id) in goals {
        let _ = writeln!(text, "  class {id} goal");
    }
    for standing in Standing::ALL {
        let shades = standing.shades();
        let dashes = match standing {
            Standing::Unreadable | Standing::Missing => ",stroke-dasharray:5 3",
            _ => "",
        };
        let _ = writeln!(
            text,
            "  classDef {} fill:{},stroke:{},color:#1b1f24{dashes}",
            standing.word(),
            shades.fill,
            shades.frame
        );
    }
    text.push_str("  classDef goal stroke-width:3px\n");
    text
}

/// The title as a label between quotes.
fn label(title: &str) -> String {
    let mut label = String::new();
    for c in title.chars() {
        match c {
            // `%%{` begins a directive wherever it stands, a number and a full
            // stop a list, and `:` with a code after it is taken for a style.
            '"' | '#' | '<' | '>' | '&' | '`' | '%' | ':' | '*' | '_' | '~' | '\\' | '{' | '}'
            | '[' | ']' | '(' | ')' | '|' | '$' | '@' => {
                let _ = write!(label, "#{};", u32::from(c));
            }
            c if c.is_control() => label.push(' '),
            c => label.push(c),
        }
    }
    // Lists of Markdown are refused in a label.
    let digits = label.bytes().take_while(u8::is_ascii_digit).count();
    if digits > 0 && label[digits..].starts_with(". ") {
        label.replace_range(digits..=digits, "#46;");
    } else if label.starts_with("- ") || label.starts_with("+ ") {
        let code = format!("#{};", label.as_bytes()[0]);
        label.replace_range(0..1, &code);
    }
    match label.trim().is_empty() {
        true => "#160;".to_owned(),
        false => label,
    }
}

/// A name for each card: letters, digits and `_`, made from the stem alone
/// where no other card comes out the same, so that a changed card changes no
/// other line.
fn ids(graph: &Graph) -> Vec<String> {
    let mut taken: BTreeSet<String> = BTreeSet::new();
    let mut ids = Vec::with_capacity(graph.cards.len());
    for card in &graph.cards {
        let mut id = String::from("c_");
        for c in card.stem.as_str().chars() {
            match c {
                '-' => id.push('_'),
                c if c.is_ascii_alphanumeric() => id.push(c),
                c => {
                    let _ = write!(id, "_{:x}_", u32::from(c));
                }
            }
        }
        while !taken.insert(id.clone()) {
            id.push('_');
        }
        ids.push(id);
    }
    ids
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_label_means_anything_to_mermaid() {
        assert_eq!(label("Say \"end\" #1"), "Say #34;end#34; #35;1");
        assert_eq!(
            label("%%{init: x}%%"),
            "#37;#37;#123;init#58; x#125;#37;#37;"
        );
        assert_eq!(label("1. First"), "1#46; First");
        assert_eq!(label("- one"), "#45; one");
        assert_eq!(label("\u{7}"), "#160;");
        assert_eq!(label("日本語 🚀"), "日本語 🚀");
    }
}
