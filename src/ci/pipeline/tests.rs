//! The invariants of a pipeline, over drawn plans.

use super::*;
use proptest::prelude::*;

fn node(number: usize, kind: Kind, open: bool, before: &BTreeSet<usize>, confirm: bool) -> Node {
    let stem = |number: usize| Stem::new(&format!("card-{number:03}"));
    let uses = before.iter().copied();
    Node {
        stem: stem(number),
        title: format!("Card {}", number % 5),
        kind,
        open,
        runner: Some(format!("runner-{}", number % 3)),
        before: before.iter().copied().map(stem).collect(),
        uses: uses
            .filter(|before| (number + before).is_multiple_of(2))
            .map(stem)
            .collect(),
        variables: BTreeSet::new(),
        timeout: None,
        confirm,
        steps: Vec::new(),
    }
}

fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![
        6 => Just(Kind::Build),
        1 => Just(Kind::Command),
        1 => Just(Kind::Probe),
        1 => Just(Kind::Hand),
        1 => Just(Kind::Page),
    ]
}

/// Chains of up to 40 cards of all kinds, prerequisites first.
fn nodes() -> impl Strategy<Value = Vec<Node>> {
    let card = (
        kind(),
        any::<bool>(),
        proptest::collection::vec(0_usize..1000, 0..5),
        any::<bool>(),
    );
    proptest::collection::vec(card, 1..40).prop_map(|cards| {
        let mut nodes: Vec<Node> = Vec::new();
        for (number, (kind, open, before, confirm)) in cards.into_iter().enumerate() {
            let before: BTreeSet<usize> = match number {
                0 => BTreeSet::new(),
                _ => before.into_iter().map(|before| before % number).collect(),
            };
            let mut node = node(number, kind, open, &before, confirm);
            let is_build = |stem: &Stem| {
                nodes
                    .iter()
                    .any(|n| n.stem == *stem && n.kind == Kind::Build)
            };
            node.uses.retain(is_build);
            nodes.push(node);
        }
        nodes
    })
}

/// The cards that come before each, however far: walked, and not reduced.
fn below(nodes: &[Node]) -> BTreeMap<Stem, BTreeSet<Stem>> {
    let mut all: BTreeMap<Stem, BTreeSet<Stem>> = BTreeMap::new();
    for node in nodes {
        let far = node.before.iter().flat_map(|stem| all[stem].clone());
        let below = far.chain(node.before.iter().cloned()).collect();
        all.insert(node.stem.clone(), below);
    }
    all
}

/// For each job all jobs before it.
fn reach(pipeline: &Pipeline) -> Vec<BTreeSet<usize>> {
    let mut all: Vec<BTreeSet<usize>> = Vec::new();
    for job in &pipeline.jobs {
        let far = job.needs.iter().flat_map(|need| all[*need].clone());
        all.push(far.chain(job.needs.iter().copied()).collect());
    }
    all
}

proptest! {
    #[test]
    fn job_graph_is_the_transitive_reduction_of_the_chain(nodes in nodes()) {
        let pipeline = Pipeline::new(&nodes, Group::Card, true, &CiConfig::default());
        let below = below(&nodes);
        let reach = reach(&pipeline);
        let wanted: BTreeSet<&Stem> = nodes.iter().filter(|n| !n.is_passed_over()).map(|n| &n.stem).collect();
        let jobs: BTreeSet<&Stem> = pipeline.jobs.iter().map(|job| &job.cards[0]).collect();
        prop_assert_eq!(&jobs, &wanted);
        for (number, job) in pipeline.jobs.iter().enumerate() {
            // The same cards come before, and no edge is implied by others.
            let before: BTreeSet<&Stem> = reach[number].iter().map(|n| &pipeline.jobs[*n].cards[0]).collect();
            let expected: BTreeSet<&Stem> = below[&job.cards[0]].iter().filter(|s| wanted.contains(s)).collect();
            prop_assert_eq!(before, expected);
            for need in &job.needs {
                prop_assert!(!job.needs.iter().any(|other| reach[*other].contains(need)));
            }
        }
    }

    #[test]
    fn every_grouping_keeps_the_order_and_hands_over_what_is_read(
        nodes in nodes(), layer in any::<bool>(), gates in any::<bool>(),
    ) {
        let group = if layer { Group::Layer } else { Group::Chain };
        let pipeline = Pipeline::new(&nodes, group, gates, &CiConfig::default());
        let below = below(&nodes);
        let reach = reach(&pipeline);
        let job_of = |stem: &Stem| pipeline.jobs.iter().position(|job| job.cards.contains(stem));
        for node in &nodes {
            let Some(job) = job_of(&node.stem) else { continue };
            for before in below[&node.stem].iter().filter_map(job_of) {
                prop_assert!(before == job || reach[job].contains(&before));
            }
            for used in &node.uses {
                let maker = job_of(used);
                prop_assert!(maker.is_some());
                let elsewhere = maker.filter(|maker| *maker != job);
                if let Some(maker) = elsewhere {
                    prop_assert!(pipeline.jobs[job].imports.contains(used));
                    prop_assert!(pipeline.jobs[maker].exports.contains(used));
                }
            }
            if node.kind == Kind::Command {
                prop_assert!(pipeline.jobs[job].trusted);
            }
        }
        for (number, job) in pipeline.jobs.iter().enumerate() {
            // What comes after a command is for trusted code as well.
            let after = reach[number].iter().any(|before| pipeline.jobs[*before].trusted);
            prop_assert!(job.trusted || !after);
            prop_assert!(job.task == Task::Run || job.cards.len() == 1);
            prop_assert!(gates || job.task != Task::Gate);
        }
        // Left out are hand cards and what comes after one, and nothing else.
        for left in &pipeline.left_out {
            prop_assert!(!gates && job_of(&left.stem).is_none());
        }
        let ids: BTreeSet<&String> = pipeline.jobs.iter().map(|job| &job.id).collect();
        let names: BTreeSet<&String> = pipeline.jobs.iter().map(|job| &job.name).collect();
        prop_assert_eq!((ids.len(), names.len()), (pipeline.jobs.len(), pipeline.jobs.len()));
    }
}
