//! Cards that start together and share blobs: each blob goes to the server once.

use serde_json::Value;

use super::super::rude::{self, Manners};
use super::super::servers;
use super::{executor_counts, with_executor};
use crate::support::sandbox::Sandbox;

/// Cards that start together.
const CARDS: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

/// What all of them read, small enough for a batch.
const SMALL: &str = "what all of them read\n";

/// Cards that share a small input and one that goes in a stream, and have an input
/// of their own.
fn sharing() -> Sandbox {
    let runner = r#"with: {own: ~}
inputs: [{paths: ["shared/**", "own/${with.own}"]}]
steps: [{run: 'cat shared/small "own/$WITH_OWN" > "$OUT/made"; wc -l < shared/large >> "$OUT/made"'}]
"#;
    let mut sandbox = Sandbox::new()
        .file("shared/small", SMALL)
        .file("shared/large", &"a line of a large input\n".repeat(250_000))
        .runner("reads", runner);
    for card in CARDS {
        sandbox = sandbox.file(&format!("own/{card}"), &format!("of {card}\n"));
        let front = format!("status: active\nrunner: reads\nwith: {{own: {card}}}");
        sandbox = sandbox.card(card, &front);
    }
    sandbox
}

/// Has all cards executed by a server with these manners, in which nothing is taken
/// before all of them have asked; how often each blob came, and what was counted.
fn executed_with(manners: Manners, code: i32) -> (Vec<(String, usize)>, Value) {
    let server = servers::executing_casd(&[]);
    let rude = rude::before(
        server.grpc,
        Manners {
            takes_after: CARDS.len(),
            ..manners
        },
    );
    let sandbox = with_executor(sharing(), &rude.url);
    let words = format!("run {} --keep-going --format json", CARDS.join(" "));
    let ran = sandbox.mikado(&words).exits(code);
    for card in CARDS {
        let made = sandbox.path(&format!(".mikado/artifacts/{card}/made"));
        if code == 0 {
            let made = std::fs::read_to_string(&made).expect("an artifact");
            assert_eq!(made, format!("{SMALL}of {card}\n250000\n"));
        }
    }
    (
        rude.asked.uploads().into_iter().collect(),
        executor_counts(&ran),
    )
}

#[test]
fn blobs_that_cards_share_go_once() {
    let (uploads, counts) = executed_with(Manners::default(), 0);
    let more: Vec<_> = uploads.iter().filter(|(_, count)| *count != 1).collect();
    assert!(more.is_empty(), "{more:?}");
    assert_eq!(counts["executed"], CARDS.len(), "{counts}");
    assert_eq!(counts["blobsUp"], uploads.len(), "{counts}");
}

#[test]
fn what_one_card_could_not_send_another_one_sends() {
    let manners = Manners {
        refuses_size: Some(SMALL.len() as i64),
        ..Manners::default()
    };
    let (uploads, counts) = executed_with(manners, 1);
    // With what was in its batch.
    assert!(uploads.iter().all(|(_, count)| *count <= 2), "{uploads:?}");
    assert!(uploads.iter().any(|(_, count)| *count == 2), "{uploads:?}");
    assert_eq!(
        (&counts["executed"], &counts["failed"]),
        (&(CARDS.len() - 1).into(), &1.into()),
        "{counts}"
    );
}
