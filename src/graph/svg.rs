//! A chain as SVG: a picture that needs no other tool, no script and no font.
//!
//! Boxes link to the cards' files and say in words how a card stands, so that
//! nothing hangs on colour; the colours follow the reader's light or dark
//! scheme. One line a card and an edge, in the cards' order. Pure.

use std::fmt::Write as _;

use super::layout::{Layout, Point, Route, Sizes, layout};
use super::{Drawn, Graph, Way, lettering};
use crate::standing::Standing;
use crate::xml::escaped;

const WIDTH: i64 = 196;
const HEIGHT: i64 = 62;
const MARGIN: i64 = 20;

/// How big the letters of a title are.
const LETTERS: i64 = 13;

/// How many lines a title may have.
const LINES: usize = 2;

/// The graph as a picture.
pub fn draw(graph: &Graph, way: Way) -> String {
    let (lane, layers) = match way {
        Way::Down => (14, 44),
        Way::Right => (14, 60),
    };
    let sizes = Sizes {
        width: WIDTH,
        height: HEIGHT,
        gap: if way == Way::Down { 22 } else { 16 },
        lane,
        layers,
    };
    let drawing = layout(graph, way, sizes);
    let mut svg = head(&drawing);
    for (number, route) in drawing.edges.iter().enumerate() {
        let edge = graph.edges[number];
        let class = match () {
            () if route.back => " class=\"back\"",
            () if edge.uses => " class=\"uses\"",
            () if route.direct => " class=\"far\"",
            () => "",
        };
        let marker = if route.back { "start" } else { "end" };
        let verb = if edge.uses { "uses" } else { "requires" };
        let (before, after) = (&graph.cards[edge.before], &graph.cards[edge.after]);
        // Writing to a text can't fail.
        let _ = writeln!(
            svg,
            "<path{class} d=\"{}\" marker-{marker}=\"url(#mikado-arrow)\"><title>{}</title></path>",
            path(route, way),
            escaped(&format!("{} {verb} {}", after.stem, before.stem)),
        );
    }
    for (card, corner) in graph.cards.iter().zip(&drawing.cards) {
        svg.push_str(&drawn_card(card, *corner));
    }
    svg.push_str("</g>\n</svg>\n");
    svg
}

fn head(drawing: &Layout) -> String {
    let width = drawing.width + 2 * MARGIN;
    let height = drawing.height + 2 * MARGIN;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"mikado\" role=\"img\" aria-label=\"the chain of cards\" \
         width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\">\n<style>\n\
         .mikado text{{font:{LETTERS}px system-ui,sans-serif;text-anchor:middle;fill:#1b1f24}}\n\
         .mikado .how{{font-size:10px;fill:#3d444d}}\n\
         .mikado rect{{stroke-width:1.2}}\n\
         .mikado .goal rect{{stroke-width:3}}\n\
         .mikado .unreadable rect,.mikado .missing rect{{stroke-dasharray:5 3}}\n\
         .mikado path{{fill:none;stroke:#7a828c;stroke-width:1.3}}\n\
         .mikado .uses{{stroke-dasharray:5 4}}\n\
         .mikado .far{{stroke-opacity:.35}}\n\
         .mikado .back{{stroke:#c0392f;stroke-width:2}}\n\
         .mikado .paper{{fill:#fff;stroke:none}}\n\
         .mikado .tip{{fill:#7a828c;stroke:none}}\n"
    );
    for standing in Standing::ALL {
        let (word, shades) = (standing.word(), standing.shades());
        let (fill, frame) = (shades.fill, shades.frame);
        let _ = writeln!(svg, ".mikado .{word} rect{{fill:{fill};stroke:{frame}}}");
    }
    svg.push_str(
        "@media (prefers-color-scheme:dark){\n\
         .mikado text{fill:#e6e9ed}\n.mikado .how{fill:#c3c9d0}\n.mikado path{stroke:#8b929c}\n\
         .mikado .back{stroke:#e5706a}\n.mikado .paper{fill:#14171b}\n.mikado .tip{fill:#8b929c}\n",
    );
    for standing in Standing::ALL {
        let (word, shades) = (standing.word(), standing.shades());
        let (fill, frame) = (shades.dark_fill, shades.dark_frame);
        let _ = writeln!(svg, ".mikado .{word} rect{{fill:{fill};stroke:{frame}}}");
    }
    let _ = write!(
        svg,
        "}}\n</style>\n\
         <defs><marker id=\"mikado-arrow\" viewBox=\"0 0 8 8\" refX=\"8\" refY=\"4\" markerWidth=\"7\" markerHeight=\"7\" \
         markerUnits=\"userSpaceOnUse\" orient=\"auto-start-reverse\"><path class=\"tip\" d=\"M0 0L8 4L0 8z\"/></marker></defs>\n\
         <rect class=\"paper\" width=\"{width}\" height=\"{height}\"/>\n\
         <g transform=\"translate({MARGIN} {MARGIN})\">\n"
    );
    svg
}

/// The data of an edge's path; straight pieces in a row are one.
fn path(route: &Route, way: Way) -> String {
    let mut points = route.points.iter().copied();
    let Some(mut at) = points.next() else {
        return String::new();
    };
    let mut data = format!("M{} {}", at.0, at.1);
    let side = |(x, y): Point| if way == Way::Down { x } else { y };
    // The end of a straight piece that is not written yet.
    let mut straight = None;
    for (number, to) in points.enumerate() {
        let bends = number % 2 == 0 && side(at) != side(to);
        if bends {
            if let Some((x, y)) = straight.take() {
                let _ = write!(data, "L{x} {y}");
            }
            let (one, other) = match way {
                Way::Down => {
                    let middle = (at.1 + to.1) / 2;
                    ((at.0, middle), (to.0, middle))
                }
                Way::Right => {
                    let middle = (at.0 + to.0) / 2;
                    ((middle, at.1), (middle, to.1))
                }
            };
            let _ = write!(
                data,
                "C{} {} {} {} {} {}",
                one.0, one.1, other.0, other.1, to.0, to.1
            );
        } else {
            straight = Some(to);
        }
        at = to;
    }
    if let Some((x, y)) = straight {
        let _ = write!(data, "L{x} {y}");
    }
    data
}

fn drawn_card(card: &Drawn, (x, y): Point) -> String {
    let standing = card.standing.word();
    let (goal, also) = match card.goal {
        true => (" goal", " · goal"),
        false => ("", ""),
    };
    let (link, end) = match &card.path {
        Some(path) => (
            format!("<a href=\"{}\">", address(&path.to_string_lossy())),
            "</a>",
        ),
        None => (String::new(), ""),
    };
    let hover = format!("{}\n{}\n{standing}{also}", card.stem, card.title);
    let mut svg = format!(
        "<g class=\"{standing}{goal}\">{link}<title>{}</title><rect x=\"{x}\" y=\"{y}\" width=\"{WIDTH}\" height=\"{HEIGHT}\" rx=\"6\"/>",
        escaped(&hover),
    );
    let room = ((WIDTH - 16) * 1000 / LETTERS).unsigned_abs();
    let lines = lettering::lines(&card.title, room.try_into().unwrap_or(u32::MAX), LINES);
    let middle = x + WIDTH / 2;
    let first = y + if lines.len() > 1 { 20 } else { 30 };
    for (number, line) in lines.iter().enumerate() {
        let down = first + number as i64 * 17;
        let line = escaped(line);
        let _ = write!(svg, "<text x=\"{middle}\" y=\"{down}\">{line}</text>");
    }
    let word = match card.standing {
        Standing::Missing => "no such card",
        standing => standing.word(),
    };
    let _ = writeln!(
        svg,
        "<text class=\"how\" x=\"{middle}\" y=\"{}\">{word}{also}</text>{end}</g>",
        y + HEIGHT - 8
    );
    svg
}

/// A relative path as an address.
pub(super) fn address(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    // A colon before the first slash would make a scheme of what stands before.
    if path
        .split('/')
        .next()
        .is_some_and(|first| first.contains(':'))
    {
        out.push_str("./");
    }
    for byte in path.bytes() {
        match byte {
            b'/' | b'-' | b'_' | b'.' | b'~' | b':' => out.push(byte.into()),
            byte if byte.is_ascii_alphanumeric() => out.push(byte.into()),
            byte => {
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
    out
}
