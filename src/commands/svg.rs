//! A layered drawing of a chain as SVG, without any other tool.
//!
//! A card's layer is one more than that of its deepest prerequisite; within a
//! layer cards stand near what they are joined to (the barycentre method of
//! Sugiyama, Tagawa and Toda, 1981), ties by the order given, so that a small
//! change of the cards is a small change of the picture. Pure.

use std::collections::BTreeMap;
use std::fmt::Write;

/// A box to be drawn.
#[derive(Clone, Debug)]
pub(crate) struct Box {
    /// Its name, which edges use.
    pub(crate) name: String,
    /// What stands in it.
    pub(crate) title: String,
    /// Its class in the style sheet.
    pub(crate) class: &'static str,
    /// Whether its border is thick.
    pub(crate) thick: bool,
    /// The boxes before it.
    pub(crate) before: Vec<String>,
}

const WIDTH: f64 = 190.0;
const HEIGHT: f64 = 54.0;
const GAP: f64 = 24.0;
const LAYER_GAP: f64 = 64.0;
const MARGIN: f64 = 16.0;

/// How many letters fit into a line of a box, and how many lines.
const LETTERS: usize = 26;
const LINES: usize = 2;

/// How often the layers are put into order.
const SWEEPS: usize = 8;

const STYLE: &str = "text{font:13px sans-serif;text-anchor:middle;fill:#111}rect{stroke:#555;fill:#f4f4f4}\
.ready rect{fill:#d5f5d5}.stuck rect{fill:#f8d0d0}.complete rect{fill:#d0e0f8}.unreadable rect{stroke-dasharray:4}\
.thick rect{stroke-width:3}path{fill:none;stroke:#888;stroke-width:1.3}";

/// The drawing; `boxes` stand in topological order.
pub(crate) fn draw(boxes: &[Box], left_to_right: bool) -> String {
    let layers = layers(boxes);
    let (along, across) = match left_to_right {
        true => (WIDTH, HEIGHT),
        false => (HEIGHT, WIDTH),
    };
    let widest = layers.iter().map(Vec::len).max().unwrap_or(0) as f64;
    let breadth = widest * (across + GAP) - GAP;
    let mut places: BTreeMap<&str, (f64, f64)> = BTreeMap::new();
    for (depth, layer) in layers.iter().enumerate() {
        let own = layer.len() as f64 * (across + GAP) - GAP;
        for (index, number) in layer.iter().enumerate() {
            let side = MARGIN + (breadth - own) / 2.0 + index as f64 * (across + GAP);
            let far = MARGIN + depth as f64 * (along + LAYER_GAP);
            let place = if left_to_right {
                (far, side)
            } else {
                (side, far)
            };
            places.insert(&boxes[*number].name, place);
        }
    }
    let length = layers.len() as f64 * (along + LAYER_GAP) - LAYER_GAP;
    let (breadth, length) = (
        breadth.max(0.0) + 2.0 * MARGIN,
        length.max(0.0) + 2.0 * MARGIN,
    );
    let (width, height) = if left_to_right {
        (length, breadth)
    } else {
        (breadth, length)
    };
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" width=\"{width:.0}\" height=\"{height:.0}\">\n\
         <style>{STYLE}</style>\n<rect width=\"100%\" height=\"100%\" style=\"fill:#fff;stroke:none\"/>\n\
         <defs><marker id=\"end\" viewBox=\"0 0 8 8\" refX=\"7\" refY=\"4\" markerWidth=\"8\" markerHeight=\"8\" orient=\"auto\">\
         <path d=\"M0 0L8 4L0 8z\" style=\"fill:#888;stroke:none\"/></marker></defs>\n"
    );
    for card in boxes {
        let Some(to) = places.get(card.name.as_str()) else {
            continue;
        };
        for before in &card.before {
            if let Some(from) = places.get(before.as_str()) {
                svg.push_str(&edge(*from, *to, left_to_right));
            }
        }
    }
    for card in boxes {
        if let Some((x, y)) = places.get(card.name.as_str()) {
            svg.push_str(&rectangle(card, *x, *y));
        }
    }
    svg.push_str("</svg>\n");
    svg
}

/// The numbers of the boxes of each layer, in order.
fn layers(boxes: &[Box]) -> Vec<Vec<usize>> {
    let numbers: BTreeMap<&str, usize> = boxes
        .iter()
        .enumerate()
        .map(|(number, card)| (card.name.as_str(), number))
        .collect();
    let before: Vec<Vec<usize>> = boxes
        .iter()
        .map(|card| {
            card.before
                .iter()
                .filter_map(|name| numbers.get(name.as_str()).copied())
                .collect()
        })
        .collect();
    let mut after: Vec<Vec<usize>> = vec![Vec::new(); boxes.len()];
    let mut depth = vec![0usize; boxes.len()];
    let mut layers: Vec<Vec<usize>> = Vec::new();
    for number in 0..boxes.len() {
        for other in &before[number] {
            after[*other].push(number);
            // In a cycle a prerequisite may come later; it does not push down.
            if *other < number {
                depth[number] = depth[number].max(depth[*other] + 1);
            }
        }
        if layers.len() <= depth[number] {
            layers.resize(depth[number] + 1, Vec::new());
        }
        layers[depth[number]].push(number);
    }
    let mut position = vec![0.0; boxes.len()];
    let settle = |layer: &[usize], position: &mut Vec<f64>| {
        let middle = (layer.len() as f64 - 1.0) / 2.0;
        for (index, number) in layer.iter().enumerate() {
            position[*number] = index as f64 - middle;
        }
    };
    for layer in &layers {
        settle(layer, &mut position);
    }
    for sweep in 0..SWEEPS {
        let down = sweep % 2 == 0;
        let count = layers.len();
        for step in 0..count {
            let layer = if down { step } else { count - 1 - step };
            let joined = if down { &before } else { &after };
            let wish = |number: &usize| {
                let others = &joined[*number];
                match others.is_empty() {
                    true => position[*number],
                    false => others.iter().map(|o| position[*o]).sum::<f64>() / others.len() as f64,
                }
            };
            let mut order: Vec<(f64, usize)> =
                layers[layer].iter().map(|n| (wish(n), *n)).collect();
            // Stable: equal wishes keep the order that they have.
            order.sort_by(|a, b| a.0.total_cmp(&b.0));
            layers[layer] = order.into_iter().map(|(_, number)| number).collect();
            settle(&layers[layer], &mut position);
        }
    }
    layers
}

fn edge(from: (f64, f64), to: (f64, f64), left_to_right: bool) -> String {
    let (x1, y1, x2, y2) = match left_to_right {
        true => (
            from.0 + WIDTH,
            from.1 + HEIGHT / 2.0,
            to.0,
            to.1 + HEIGHT / 2.0,
        ),
        false => (
            from.0 + WIDTH / 2.0,
            from.1 + HEIGHT,
            to.0 + WIDTH / 2.0,
            to.1,
        ),
    };
    let (c1, c2) = match left_to_right {
        true => ((x1 + LAYER_GAP / 2.0, y1), (x2 - LAYER_GAP / 2.0, y2)),
        false => ((x1, y1 + LAYER_GAP / 2.0), (x2, y2 - LAYER_GAP / 2.0)),
    };
    format!(
        "<path d=\"M{x1:.1} {y1:.1}C{:.1} {:.1} {:.1} {:.1} {x2:.1} {y2:.1}\" marker-end=\"url(#end)\"/>\n",
        c1.0, c1.1, c2.0, c2.1
    )
}

fn rectangle(card: &Box, x: f64, y: f64) -> String {
    let thick = if card.thick { " thick" } else { "" };
    let mut svg = format!(
        "<g class=\"{}{thick}\"><title>{}</title><rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{WIDTH}\" height=\"{HEIGHT}\" rx=\"6\"/>",
        card.class,
        escaped(&format!("{} ({})", card.name, card.class)),
    );
    let lines = wrapped(&card.title);
    let first = y + HEIGHT / 2.0 + 5.0 - (lines.len() as f64 - 1.0) * 8.5;
    for (index, line) in lines.iter().enumerate() {
        // Writing to a text can't fail.
        let _ = write!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\">{}</text>",
            x + WIDTH / 2.0,
            first + index as f64 * 17.0,
            escaped(line)
        );
    }
    svg.push_str("</g>\n");
    svg
}

/// The title in the lines of a box; what does not fit ends in `…`.
fn wrapped(title: &str) -> Vec<String> {
    let mut lines: Vec<String> = vec![String::new()];
    for word in title.split_whitespace() {
        let last = lines.len() - 1;
        let room = LETTERS.saturating_sub(lines[last].chars().count());
        if lines[last].is_empty() || word.chars().count() < room {
            if !lines[last].is_empty() {
                lines[last].push(' ');
            }
            lines[last].push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    let cut = lines.len() > LINES;
    lines.truncate(LINES);
    let last = lines.len() - 1;
    for (index, line) in lines.iter_mut().enumerate() {
        if line.chars().count() > LETTERS || (cut && index == last) {
            *line = line.chars().take(LETTERS - 1).chain(['…']).collect();
        }
    }
    lines
}

fn escaped(text: &str) -> String {
    let plain = text.chars().filter(|c| !c.is_control()).collect::<String>();
    plain
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn card(name: &str, before: &[&str]) -> Box {
        Box {
            name: name.into(),
            title: format!("Card <{name}> with a title that is a good deal longer than its box"),
            class: "ready",
            thick: false,
            before: before.iter().map(|b| (*b).to_owned()).collect(),
        }
    }

    #[test]
    fn layers_follow_prerequisites_and_cross_little() {
        let boxes = [
            card("a", &[]),
            card("b", &[]),
            card("c", &["b"]),
            card("d", &["a"]),
        ];
        // `d` stands below `a`, though `c` comes first by name.
        assert_eq!(layers(&boxes), [vec![0, 1], vec![3, 2]]);
    }

    #[test]
    fn titles_are_cut_and_escaped() {
        assert_eq!(wrapped("short"), ["short"]);
        let long = wrapped("a title that is a good deal longer than its box, by far");
        assert_eq!(long.len(), LINES);
        assert!(long[1].ends_with('…'));
        let svg = draw(&[card("a", &[])], false);
        assert!(svg.contains("Card &lt;a&gt;") && !svg.contains("<a>"));
    }
}
