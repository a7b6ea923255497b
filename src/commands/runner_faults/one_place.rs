//! Two runners that write one place.
//!
//! A build writes its own artifact, so builds never meet. What several runners
//! write is the repository, where commands act, and the caches. That two cards
//! run the very same command at any time, and that tools which have nothing in
//! common share a cache, is seldom meant, and always a warning only.

use std::collections::BTreeMap;

use crate::card::Card;
use crate::chain::Chain;
use crate::diagnostic::Diagnostic;
use crate::runner::definition::Kind;
use crate::runner::parameters::Parameters;
use crate::runner::work::{Work, runner_place};
use crate::runner::written::Written;

/// A card with its runner.
pub(super) struct User<'a> {
    pub(super) card: &'a Card,
    pub(super) work: &'a Work,
    pub(super) parameters: Parameters,
    pub(super) written: Option<Written>,
}

/// Every two that write one place.
pub(super) fn find(users: &[User<'_>], chain: &Chain) -> Vec<Diagnostic> {
    let mut findings = commands(users, chain);
    findings.extend(caches(users));
    findings
}

/// Open cards that run the same command, and may do so at once.
fn commands(users: &[User<'_>], chain: &Chain) -> Vec<Diagnostic> {
    let mut same: BTreeMap<String, Vec<&User<'_>>> = BTreeMap::new();
    for user in users {
        let definition = &user.work.definition;
        let scripts: Vec<&str> = definition.steps.iter().map(|s| s.run.as_str()).collect();
        let speaks_of_itself = scripts.iter().any(|script| script.contains("CARD"));
        let is_told_apart = definition.resources.group.is_some() || speaks_of_itself;
        if user.work.kind == Kind::Command && user.card.is_open() && !is_told_apart {
            let with = user.parameters.variables(|_| true);
            let what = format!("{scripts:?} {with:?} {:?}", definition.env);
            same.entry(what).or_default().push(user);
        }
    }
    let mut findings = Vec::new();
    for users in same.values() {
        for (index, one) in users.iter().enumerate() {
            let is_ordered = |other: &&&User<'_>| {
                let comes_after = |a: &User<'_>, b: &User<'_>| {
                    let below = chain.closure(std::slice::from_ref(&a.card.stem));
                    below.contains(&b.card.stem)
                };
                comes_after(one, other) || comes_after(other, one)
            };
            let mut others = users[index + 1..].iter();
            if let Some(other) = others.find(|other| !is_ordered(other)) {
                let message = format!(
                    "`{}` and `{}` run the same command, so both write one place",
                    one.card.stem, other.card.stem
                );
                let help = "give one of them other parameters, let one require the other, or give the runner a `resources: {group: NAME}`";
                findings.push(
                    Diagnostic::warning("one-place", message)
                        .at(runner_place(one.card, None))
                        .at(runner_place(other.card, None))
                        .help(help),
                );
            }
        }
    }
    findings
}

/// One runner, or one of its fetches, that writes a cache.
struct Writer<'a> {
    runner: &'a str,
    user: &'a User<'a>,
    tools: Vec<&'a String>,
    /// The way to its caches in the runner.
    way: Vec<&'a str>,
}

/// Runners that write one cache and have no tool in common.
fn caches(users: &[User<'_>]) -> Vec<Diagnostic> {
    let mut writers: BTreeMap<&str, Vec<Writer<'_>>> = BTreeMap::new();
    for user in users {
        let runner = user.work.runner_name(&user.card.stem);
        let definition = &user.work.definition;
        let tools: Vec<&String> = definition.tools.keys().collect();
        let own = (&definition.caches, tools, vec!["caches"]);
        let fetched = definition.fetch.iter().map(|(name, fetch)| {
            let tools = fetch.tools.iter().collect();
            (&fetch.caches, tools, vec!["fetch", name.as_str(), "caches"])
        });
        for (caches, tools, way) in std::iter::once(own).chain(fetched) {
            for cache in caches {
                writers.entry(cache).or_default().push(Writer {
                    runner,
                    user,
                    tools: tools.clone(),
                    way: way.clone(),
                });
            }
        }
    }
    let mut findings = Vec::new();
    for (cache, writers) in &writers {
        let Some(first) = writers.first() else {
            continue;
        };
        let is_alien = |other: &&Writer<'_>| {
            let shares = other.tools.iter().any(|tool| first.tools.contains(tool));
            other.runner != first.runner && !shares
        };
        let Some(second) = writers.iter().find(is_alien) else {
            continue;
        };
        let message = format!(
            "the runners `{}` and `{}` write one cache, `{cache}`, and have no tool in common",
            first.runner, second.runner
        );
        let written = second.user.written.as_ref();
        let way: Vec<&str> = second.way.iter().copied().chain([*cache]).collect();
        let place = written.and_then(|file| file.place(&way));
        let place = place.unwrap_or_else(|| runner_place(second.user.card, None));
        findings.push(
            Diagnostic::warning("one-place", message)
                .at(place)
                .help("call one of them by another name: a cache is for one tool"),
        );
    }
    findings
}
