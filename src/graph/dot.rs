//! A chain in Graphviz's language. Pure.
//!
//! Names are the stems. In a label Graphviz reads `\n` and `&lt;`, so `\` and
//! `&` are escaped there; in a name `\` and `"` alone.

use std::fmt::Write as _;

use super::svg::address;
use super::{Graph, Way};
use crate::standing::Standing;

/// The graph for `dot`.
pub fn draw(graph: &Graph, way: Way) -> String {
    let way = match way {
        Way::Down => "TB",
        Way::Right => "LR",
    };
    let mut text = format!(
        "digraph mikado {{\n  rankdir={way}\n  node [shape=box, style=\"rounded,filled\", fontname=\"sans-serif\"]\n"
    );
    // Writing to a text can't fail.
    for card in &graph.cards {
        let shades = card.standing.shades();
        let mut more = String::new();
        if card.goal {
            more.push_str(", penwidth=3");
        }
        if matches!(card.standing, Standing::Unreadable | Standing::Missing) {
            more.push_str(", style=\"rounded,filled,dashed\"");
        }
        if let Some(path) = &card.path {
            let _ = write!(more, ", URL={}", label(&address(&path.to_string_lossy())));
        }
        let _ = writeln!(
            text,
            "  {} [label={}, tooltip={}, class={}, fillcolor=\"{}\", color=\"{}\"{more}]",
            name(card.stem.as_str()),
            label(&card.title),
            label(&format!("{} ({})", card.stem, card.standing.word())),
            card.standing.word(),
            shades.fill,
            shades.frame,
        );
    }
    for edge in &graph.edges {
        let style = if edge.uses { " [style=dashed]" } else { "" };
        let _ = writeln!(
            text,
            "  {} -> {}{style}",
            name(graph.cards[edge.before].stem.as_str()),
            name(graph.cards[edge.after].stem.as_str()),
        );
    }
    text.push_str("}\n");
    text
}

/// A quoted name. Graphviz keeps a `\` in a name as it is, but one before the
/// closing quote would take it away.
fn name(text: &str) -> String {
    let plain: String = text.chars().map(printable).collect();
    format!("\"{}\"", plain.replace('\\', "\\\\").replace('"', "\\\""))
}

/// A quoted label.
fn label(text: &str) -> String {
    name(&text.replace('&', "&amp;"))
}

fn printable(c: char) -> char {
    if c.is_control() { ' ' } else { c }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_backslashes_and_entities_are_kept_from_graphviz() {
        assert_eq!(name("a\\b \"c\""), r#""a\\b \"c\"""#);
        assert_eq!(label("R&D \\N &lt;"), r#""R&amp;D \\N &amp;lt;""#);
        assert_eq!(label("ends with \\"), r#""ends with \\""#);
        assert_eq!(name("two\nlines"), r#""two lines""#);
    }
}
