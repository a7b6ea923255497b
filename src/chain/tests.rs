//! The chain against brute force: states, leaves and goals of drawn plans.

use super::*;
use crate::card::Source;
use proptest::prelude::*;

/// A card of a drawn plan: whether it is open, and what it requires; a
/// number past the last card names none.
type Drawn = (bool, Vec<usize>);

fn deck(cards: &[Drawn]) -> Deck {
    let read = |(number, (open, requires)): (usize, &Drawn)| {
        let status = if *open { "active" } else { "complete" };
        let names: Vec<String> = requires.iter().map(|n| format!("c{n}")).collect();
        let text = format!(
            "---\nstatus: {status}\nrequires: [{}]\n---\n",
            names.join(", ")
        );
        let path = format!("c{number}.md").into();
        Card::read(
            Stem::new(&format!("c{number}")),
            Source::new(path, text.into()),
        )
    };
    Deck::new(cards.iter().enumerate().map(read).collect())
}

fn stem(number: usize) -> Stem {
    Stem::new(&format!("c{number}"))
}

/// Everything below `from` through open cards, by brute force.
fn leaves(cards: &[Drawn], from: usize, seen: &mut BTreeSet<usize>) -> BTreeSet<usize> {
    let mut found = BTreeSet::new();
    for next in cards[from]
        .1
        .iter()
        .copied()
        .filter(|n| *n < cards.len() && *n != from)
    {
        if !cards[next].0 || !seen.insert(next) {
            continue;
        }
        if state(cards, next) == State::Ready {
            found.insert(next);
        } else {
            found.extend(leaves(cards, next, seen));
        }
    }
    found
}

fn state(cards: &[Drawn], number: usize) -> State {
    let (open, requires) = &cards[number];
    let is_done = |n: &usize| *n < cards.len() && *n != number && !cards[*n].0;
    match (open, requires.iter().all(is_done)) {
        (false, _) => State::Complete,
        (true, true) => State::Ready,
        (true, false) => State::Blocked,
    }
}

fn has_cycle(cards: &[Drawn]) -> bool {
    // Cards that reach nothing but themselves are taken away until none is left.
    let mut left: BTreeSet<usize> = (0..cards.len()).collect();
    loop {
        let free = left.iter().copied().find(|n| {
            cards[*n]
                .1
                .iter()
                .all(|before| before == n || !left.contains(before))
        });
        match free {
            Some(n) => drop(left.remove(&n)),
            None => return !left.is_empty(),
        }
    }
}

fn plans() -> impl Strategy<Value = Vec<Drawn>> {
    (1usize..9).prop_flat_map(|count| {
        let requires = proptest::collection::vec(0..count + 1, 0..4);
        proptest::collection::vec((any::<bool>(), requires), count)
    })
}

proptest! {
    #[test]
    fn every_answer_is_that_of_brute_force(cards in plans()) {
        let deck = deck(&cards);
        let chain = Chain::new(&deck);
        let open = |n: usize| cards[n].0;
        for number in 0..cards.len() {
            let stem = stem(number);
            prop_assert_eq!(chain.state(&stem), state(&cards, number));
            let is_goal = open(number)
                && !(0..cards.len()).any(|o| open(o) && cards[o].1.contains(&number));
            prop_assert_eq!(chain.goals().contains(&stem), is_goal);
            if chain.state(&stem) == State::Blocked {
                let expected: Vec<Stem> = leaves(&cards, number, &mut BTreeSet::from([number]))
                    .into_iter()
                    .map(self::stem)
                    .collect();
                prop_assert_eq!(chain.leaves(&stem), expected);
            }
        }
        let found = chain.findings().iter().any(|finding| finding.code == "cycle");
        prop_assert_eq!(found, has_cycle(&cards));
        let all: BTreeSet<Stem> = (0..cards.len()).map(stem).collect();
        let order = chain.order(&all);
        prop_assert_eq!(order.len(), cards.len());
        if !found {
            let place = |n: usize| order.iter().position(|other| *other == stem(n)).unwrap();
            for (number, (_, requires)) in cards.iter().enumerate() {
                for before in requires.iter().filter(|n| **n < cards.len() && **n != number) {
                    prop_assert!(place(*before) < place(number));
                }
            }
        }
    }
}
