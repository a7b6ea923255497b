//! Look-ups that are made before their card's turn.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Barrier};

use super::{counts, with_cache};
use crate::support::sandbox::Sandbox;

/// How many cards come after the first one.
const CARDS: usize = 20;

/// An HTTP cache without anything in it, that answers so many look-ups when all of
/// them are there; the first one of all at once.
fn patient() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let all_there = Arc::new(Barrier::new(CARDS));
    std::thread::spawn(move || {
        for (number, client) in listener.incoming().filter_map(Result::ok).enumerate() {
            let all_there = (number > 0).then(|| Arc::clone(&all_there));
            std::thread::spawn(move || answer(client, all_there.as_deref()));
        }
    });
    format!("http://{address}")
}

/// Says of one thing that it is not there, and hangs up.
fn answer(mut client: TcpStream, all_there: Option<&Barrier>) -> Option<()> {
    let lines = BufReader::new(client.try_clone().ok()?).lines();
    lines
        .map_while(Result::ok)
        .take_while(|line| !line.is_empty())
        .for_each(drop);
    if let Some(all_there) = all_there {
        all_there.wait();
    }
    let head = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    client.write_all(head.as_bytes()).ok()
}

/// On a machine that knows of no earlier run, what a card uses is known when that
/// has come out: then all that may start is looked up at once, however few jobs.
#[test]
fn cards_that_may_start_are_looked_up_together() {
    let runner =
        "with: {of: '${card}'}\ninputs: []\nsteps: [{run: 'echo \"$WITH_OF\" > \"$OUT/x\"'}]\n";
    let mut sandbox = Sandbox::new()
        .card("first", "status: active\nrunner: it")
        .runner("it", runner);
    for card in 0..CARDS {
        let fields = "status: active\nrequires: [first]\nrunner: it";
        sandbox = sandbox.card(&format!("c{card}"), fields);
    }
    let ran = with_cache(sandbox, &patient(), "read");
    let ran = ran
        .mikado("run --all --jobs 1 --no-mark --format json")
        .exits(0);
    let counts = counts(&ran);
    assert_eq!(counts["asked"], CARDS + 1, "{counts}");
    assert_eq!(counts["failed"], 0, "{counts}");
}
