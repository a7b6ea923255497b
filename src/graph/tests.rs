//! What must hold of every drawing of every chain.

use proptest::prelude::*;

use super::layout::{Point, Sizes, layout};
use super::*;
use crate::columns::Screen;

/// A card of a drawn plan: what it requires, by number; what lies past the last
/// card names none.
type Plan = Vec<Vec<usize>>;

fn stem(number: usize) -> Stem {
    Stem::new(&format!("c{number}"))
}

fn drawn(number: usize, title: &str) -> Drawn {
    Drawn {
        stem: stem(number),
        title: title.to_owned(),
        path: Some(format!("cards/c{number}.md").into()),
        state: State::Ready,
        standing: Standing::Ready,
        goal: false,
    }
}

/// The plan as a graph, in the order of its numbers.
pub(crate) fn graph(plan: &Plan, title: &str) -> Graph {
    let cards = plan.iter().enumerate().map(|(number, requires)| {
        let mut stems: Vec<Stem> = requires.iter().map(|other| stem(*other)).collect();
        stems.retain(|other| *other != stem(number));
        stems.dedup();
        (drawn(number, title), stems, Vec::new())
    });
    Graph::new(cards.collect())
}

/// The edges that a plan has: the dependent, the prerequisite.
fn edges(plan: &Plan) -> Vec<(String, String)> {
    let mut all: Vec<(String, String)> = plan
        .iter()
        .enumerate()
        .flat_map(|(number, requires)| requires.iter().map(move |other| (number, *other)))
        .filter(|(one, other)| one != other)
        .map(|(one, other)| (stem(one).to_string(), stem(other).to_string()))
        .collect();
    all.sort();
    all
}

fn sorted<T: Ord>(mut all: Vec<T>) -> Vec<T> {
    all.sort();
    all
}

/// What stands between two marks, in each line that has both.
fn between<'a>(text: &'a str, before: &str, after: &str) -> Vec<&'a str> {
    let cut = |line: &'a str| Some(line.split_once(before)?.1.split_once(after)?.0);
    text.lines().filter_map(cut).collect()
}

const SIZES: Sizes = Sizes {
    width: 196,
    height: 62,
    gap: 22,
    lane: 14,
    layers: 44,
};

fn plans() -> impl Strategy<Value = Plan> {
    (1usize..28).prop_flat_map(|count| {
        let one = prop::collection::btree_set(0..count + 2, 0..4);
        prop::collection::vec(one.prop_map(|set| set.into_iter().collect()), count)
    })
}

/// Plans without a cycle, as nearly all are.
fn acyclic() -> impl Strategy<Value = Plan> {
    plans().prop_map(|plan| {
        let earlier = |(number, requires): (usize, Vec<usize>)| {
            requires.into_iter().filter(|n| *n < number).collect()
        };
        plan.into_iter().enumerate().map(earlier).collect()
    })
}

fn pairs(text: &str, before: &str, middle: &str, after: &str) -> Vec<(String, String)> {
    let cut = |inner: &str| {
        let (one, other) = inner.split_once(middle)?;
        Some((one.to_owned(), other.to_owned()))
    };
    sorted(
        between(text, before, after)
            .into_iter()
            .filter_map(cut)
            .collect(),
    )
}

proptest! {
    #[test]
    fn every_format_has_every_card_and_every_edge_once(plan in plans()) {
        let graph = graph(&plan, "A title");
        let cards: Vec<String> = sorted((0..plan.len()).map(|n| stem(n).to_string()).collect());
        let edges = edges(&plan);

        for way in [Way::Down, Way::Right] {
            let svg = svg::draw(&graph, way);
            let seen = between(&svg, "<title>", "&#10;").into_iter().map(str::to_owned).collect();
            let seen: Vec<String> = sorted(seen);
            let known = seen.iter().filter(|stem| cards.contains(stem)).cloned();
            prop_assert_eq!(&known.collect::<Vec<_>>(), &cards);
            let drawn = pairs(&svg, "<title>", " requires ", "</title></path>");
            prop_assert_eq!(&drawn, &edges);

            let dot = dot::draw(&graph, way);
            let seen = between(&dot, "  \"", "\" [label");
            prop_assert_eq!(seen.len(), graph.cards.len());
            let drawn = sorted(dot.lines().filter_map(|line| {
                let (before, after) = line.trim().split_once(" -> ")?;
                Some((after.trim_matches('"').to_owned(), before.trim_matches('"').to_owned()))
            }).collect::<Vec<_>>());
            prop_assert_eq!(&drawn, &edges);

            let mermaid = mermaid::draw(&graph, way);
            prop_assert_eq!(between(&mermaid, "  c_", "[\"").len(), graph.cards.len());
            let drawn = sorted(mermaid.lines().filter_map(|line| {
                let (before, after) = line.trim().split_once(" --> ")?;
                Some((after.strip_prefix("c_")?.to_owned(), before.strip_prefix("c_")?.to_owned()))
            }).collect::<Vec<_>>());
            prop_assert_eq!(&drawn, &edges);
        }

        let answer = graph.answer();
        let seen = sorted(answer.cards.iter().map(|card| card.stem.to_string()).collect());
        prop_assert_eq!(&seen, &cards);
        let both = answer.requires.iter().chain(&answer.unknown);
        let drawn = both.map(|edge| (edge.card.to_string(), edge.requires.to_string()));
        prop_assert_eq!(&sorted(drawn.collect()), &edges);

        let text = text::draw(&graph, Screen::PLAIN);
        let mut drawn = Vec::new();
        let mut seen = Vec::new();
        for line in text.lines() {
            match line.trim_start().strip_prefix("<- ") {
                Some(needs) => drawn.extend(needs.split(", ").map(|need| {
                    let need = need.trim_end_matches(" (no such card)").to_owned();
                    (seen.last().cloned().unwrap_or_default(), need)
                })),
                None => seen.push(line[15..].split(' ').next().unwrap_or_default().to_owned()),
            }
        }
        prop_assert_eq!(&sorted(drawn), &edges);
        prop_assert_eq!(&sorted(seen), &cards);
    }

    #[test]
    fn no_card_covers_another_and_no_edge_runs_behind_one(plan in plans()) {
        let graph = graph(&plan, "A title");
        for way in [Way::Down, Way::Right] {
            let layout = layout(&graph, way, SIZES);
            let inside = |(x, y): Point| {
                (0..=layout.width).contains(&x) && (0..=layout.height).contains(&y)
            };
            for (number, (x, y)) in layout.cards.iter().copied().enumerate() {
                prop_assert!(inside((x, y)) && inside((x + SIZES.width, y + SIZES.height)));
                for (other, other_y) in &layout.cards[number + 1..] {
                    let apart = (x - other).abs() >= SIZES.width || (y - other_y).abs() >= SIZES.height;
                    prop_assert!(apart, "two cards at {x} {y}");
                }
            }
            for route in &layout.edges {
                prop_assert!(!route.direct);
                for pair in route.points.windows(2) {
                    let left = pair[0].0.min(pair[1].0);
                    let right = pair[0].0.max(pair[1].0);
                    let top = pair[0].1.min(pair[1].1);
                    let bottom = pair[0].1.max(pair[1].1);
                    for (x, y) in &layout.cards {
                        let beside = right <= *x || left >= x + SIZES.width;
                        let above = bottom <= *y || top >= y + SIZES.height;
                        prop_assert!(beside || above, "an edge at {left} {top} behind {x} {y}");
                    }
                }
            }
        }
    }

    #[test]
    fn edges_lead_onwards_but_where_they_close_a_cycle(plan in acyclic()) {
        let graph = graph(&plan, "A title");
        for way in [Way::Down, Way::Right] {
            let layout = layout(&graph, way, SIZES);
            for (edge, route) in graph.edges.iter().zip(&layout.edges) {
                let (before, after) = (layout.cards[edge.before], layout.cards[edge.after]);
                prop_assert!(!route.back);
                let onwards = match way {
                    Way::Down => after.1 - before.1 > SIZES.height,
                    Way::Right => after.0 - before.0 > SIZES.width,
                };
                prop_assert!(onwards);
            }
        }
    }

    #[test]
    fn a_further_card_adds_lines_and_changes_none(plan in acyclic(), requires in 0usize..28) {
        let mut longer = plan.clone();
        longer.push(vec![requires % plan.len()]);
        for way in [Way::Down, Way::Right] {
            let (before, after) = (graph(&plan, "A title"), graph(&longer, "A title"));
            for draw in [mermaid::draw, dot::draw] {
                let after = draw(&after, way);
                let mut lines = after.lines();
                for line in draw(&before, way).lines() {
                    prop_assert!(lines.any(|other| other == line), "{line}");
                }
            }
        }
    }

    #[test]
    fn a_picture_is_well_formed_whatever_is_written_in_it(title in "\\PC{0,40}|[<>&\"'\\x00-\\x1f\u{fffe}]{0,20}") {
        let svg = svg::draw(&graph(&vec![vec![], vec![0, 9]], &title), Way::Down);
        prop_assert_eq!(well_formed(&svg), Ok(()));
    }
}

/// Whether a text is XML as far as we write any: tags close in order, attributes
/// are quoted, references are known, and each character is allowed.
fn well_formed(text: &str) -> Result<(), String> {
    let allowed = |c: char| c == '\n' || (c >= ' ' && !matches!(c, '\u{fffe}' | '\u{ffff}'));
    if let Some(c) = text
        .chars()
        .find(|c| !allowed(*c) || ('\u{7f}'..'\u{a0}').contains(c))
    {
        return Err(format!("{c:?}"));
    }
    let known = |text: &str| {
        text.split('&').skip(1).all(|rest| {
            ["amp;", "lt;", "gt;", "quot;", "#9;", "#10;", "#13;"]
                .iter()
                .any(|name| rest.starts_with(name))
        })
    };
    let mut open = Vec::new();
    for part in text.split('<').skip(1) {
        let (tag, content) = part.split_once('>').ok_or("no end of a tag")?;
        if !known(tag) || !known(content) || content.contains('>') {
            return Err(part.to_owned());
        }
        if tag.matches('"').count() % 2 == 1 {
            return Err(tag.to_owned());
        }
        let name = tag.split([' ', '/']).next().unwrap_or_default();
        match (tag.strip_prefix('/'), tag.ends_with('/')) {
            (Some(name), _) if open.pop() != Some(name) => return Err(part.to_owned()),
            (Some(_), _) | (None, true) => {}
            (None, false) => open.push(name),
        }
    }
    match open.is_empty() {
        true => Ok(()),
        false => Err(open.join(" ")),
    }
}

#[test]
fn a_cycle_is_drawn_with_one_edge_that_leads_back() {
    let graph = graph(&vec![vec![1], vec![2], vec![0]], "A title");
    let layout = layout(&graph, Way::Down, SIZES);
    let back = layout.edges.iter().filter(|route| route.back).count();
    assert_eq!((layout.edges.len(), back), (3, 1));
    assert_eq!(
        svg::draw(&graph, Way::Down)
            .matches("class=\"back\"")
            .count(),
        1
    );
}

#[test]
fn a_long_edge_goes_around_what_it_passes() {
    // The first requires nothing, the last requires all of them.
    let plan = vec![vec![], vec![0], vec![1], vec![0, 1, 2]];
    let layout = layout(&graph(&plan, "A title"), Way::Down, SIZES);
    let bends = |number: usize| layout.edges[number].points.len();
    // From 0 to 1, 1 to 2, then 0, 1 and 2 to 3.
    assert_eq!([0, 1, 2, 3, 4].map(bends), [2, 2, 6, 4, 2]);
}

#[test]
fn a_deep_chain_below_a_goal_that_requires_all_of_it_is_drawn() {
    let mut plan: Plan = (0..5_000usize)
        .map(|n| n.checked_sub(1).into_iter().collect())
        .collect();
    plan.push((0..5_000).collect());
    let layout = layout(&graph(&plan, "A title"), Way::Right, SIZES);
    assert_eq!(layout.edges.len(), 4_999 + 5_000);
    assert!(layout.edges.iter().all(|route| !route.direct));
    // All the long edges share one lane beside the chain.
    assert!(layout.height < 3 * SIZES.height, "{}", layout.height);
}

#[test]
fn what_is_used_and_not_required_is_an_edge_of_its_own() {
    let cards = vec![
        (drawn(0, "A"), vec![], vec![]),
        (drawn(1, "B"), vec![stem(0)], vec![stem(0)]),
        (drawn(2, "C"), vec![stem(1)], vec![stem(0)]),
    ];
    let graph = Graph::new(cards);
    let answer = graph.answer();
    assert_eq!((answer.requires.len(), answer.uses.len()), (2, 1));
    assert!(svg::draw(&graph, Way::Down).contains("<path class=\"uses\""));
    assert!(mermaid::draw(&graph, Way::Down).contains("  c_c0 -.-> c_c2\n"));
    assert!(dot::draw(&graph, Way::Down).contains("  \"c0\" -> \"c2\" [style=dashed]\n"));
    assert!(text::draw(&graph, Screen::PLAIN).contains("<- c1, c0 (used)\n"));
}
