//! SIGKILL to the program at random moments of runs of a chain of 30 cards.
//!
//! A moment is an event that the run tells of, and up to some milliseconds
//! after it, so that the moments are spread over what happens and not over the
//! clock. The same chain is killed again and again, with edits in between.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;

use super::chain::{Chain, Entry, write_entry};
use super::random::Random;
use crate::support::events::{cards_of, is_built};
use crate::support::sandbox::MIKADO;

const CARDS: usize = 30;
const KILLS: usize = 200;
/// Killed chains side by side, each a share of the kills.
const LANES: usize = 4;

#[derive(Default)]
struct Counts {
    kills: usize,
    /// Of runs that had ended before the signal came.
    too_late: usize,
    /// Cards that had been marked when the signal came.
    marked: usize,
    /// Executions of the runs afterwards.
    executed: usize,
}

#[test]
fn a_run_after_a_kill_at_any_moment_ends_right() {
    let seed = Random::seed("MIKADO_TEST_KILLS_SEED");
    let undisturbed = Chain::new(CARDS);
    drop(undisturbed.run().exits(0));
    let names = undisturbed.assert_right("undisturbed");
    let counts: Vec<Counts> = std::thread::scope(|scope| {
        let lanes: Vec<_> = (0..LANES)
            .map(|lane| {
                let names = &names;
                scope.spawn(move || kill_again_and_again(seed.wrapping_add(lane as u64), names))
            })
            .collect();
        lanes
            .into_iter()
            .map(|lane| lane.join().expect("a lane"))
            .collect()
    });
    let sum = |of: fn(&Counts) -> usize| counts.iter().map(of).sum::<usize>();
    report!(
        "kills: {} (and {} that came after the end), {} cards marked before them and none lost, {} executions afterwards, 0 wrong artifacts, 0 left over",
        sum(|c| c.kills),
        sum(|c| c.too_late),
        sum(|c| c.marked),
        sum(|c| c.executed),
    );
    assert_eq!(sum(|c| c.kills), KILLS);
}

fn kill_again_and_again(seed: u64, names: &[String]) -> Counts {
    let mut random = Random::new(seed);
    let mut chain = Chain::new(CARDS);
    let mut counts = Counts::default();
    // As many events as a whole run tells of.
    let mut usual = CARDS * 5;
    // A kill that comes after the end shows nothing, and is not counted.
    while counts.kills < KILLS / LANES {
        let context = format!("seed {seed}, kill {}", counts.kills);
        if counts.kills > 0 {
            edit(&mut chain, &mut random);
        }
        let event = random.below(usual);
        let (marked, told) = killed_run(
            &chain,
            event,
            Duration::from_micros(random.next() % 4000),
            &mut counts,
        );
        if random.once_in(2) {
            // Otherwise the next run comes while the last one's processes die.
            chain.assert_nothing_runs(&context);
        }
        for at in 0..CARDS {
            let text = chain
                .sandbox
                .read(&format!("cards/{}.md", chain.nodes[at].stem));
            let whole = ["active", "complete"].map(|status| chain.card_text(at, status));
            assert!(whole.contains(&text), "{context}: a card in parts:\n{text}");
        }
        let ran = chain.run();
        assert_eq!(ran.code(), 0, "{context}\n{}", ran.all());
        let events = ran.json_lines();
        let executed: BTreeSet<&str> = cards_of(&events, is_built).collect();
        for card in &marked {
            assert!(
                !executed.contains(card.as_str()),
                "{context}: `{card}` was marked, and lost"
            );
        }
        usual = told.max(events.len()).max(10);
        counts.marked += marked.len();
        counts.executed += executed.len();
        chain.assert_right(&context);
        chain.assert_complete(&context);
        chain.assert_tidy(&context);
        if random.once_in(10) {
            drop(chain.sandbox.mikado("store verify").exits(0));
        }
    }
    // Back to what it was at first: every artifact bears the name it bears where
    // nobody was killed.
    let context = format!("seed {seed}, at the end");
    let first = Chain::new(CARDS);
    chain.version = first.version;
    chain.write_runner();
    for at in 0..CARDS {
        chain.nodes[at] = first.nodes[at].clone();
        super::chain::write_tree(&chain.inputs_of(at), &chain.nodes[at].inputs);
        chain.write_card(at);
    }
    drop(chain.run().exits(0));
    assert_eq!(chain.assert_right(&context), names, "{context}");
    counts
}

/// Changes inputs of some cards, and opens them and those above again.
fn edit(chain: &mut Chain, random: &mut Random) {
    let first = random.below(CARDS);
    for at in [first, random.below(CARDS)] {
        let text = Entry::text(format!("text {}\n", random.next()));
        write_entry(&chain.inputs_of(at).join("text"), &text);
        chain.nodes[at].inputs.insert("text".into(), text);
    }
    for at in 0..CARDS {
        if random.once_in(3) {
            chain.write_card(at);
        }
    }
}

/// Runs, and kills after that many events and a while. Returns the cards that
/// had been marked, and how many events there were.
fn killed_run(
    chain: &Chain,
    event: usize,
    after: Duration,
    counts: &mut Counts,
) -> (Vec<String>, usize) {
    let mut command = chain.sandbox.command(MIKADO);
    command.args(["run", "--all", "--format", "json", "--jobs", "3"]);
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("a started program");
    let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines();
    let mut told: Vec<String> = lines.by_ref().take(event).map_while(Result::ok).collect();
    // Waits for nothing: the moment of the kill is random by design, also between
    // two events. `points` has each write of the store by its name.
    std::thread::sleep(after);
    child.kill().expect("a killed program");
    told.extend(lines.map_while(Result::ok));
    let status = child.wait().expect("its end");
    match status.code() {
        None => counts.kills += 1,
        Some(_) => counts.too_late += 1,
    }
    // The last line may have been cut.
    let events: Vec<Value> = told
        .iter()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect();
    let marked = cards_of(&events, |event| event["event"] == "cardMarked")
        .map(str::to_owned)
        .collect();
    (marked, told.len())
}
