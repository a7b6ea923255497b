//! Steps that a test holds by a string: each dials in when it starts, and goes
//! on when the test says so. Who is alive is seen by whose line is open.
//!
//! They dial over TCP on the loopback interface, so their runners need
//! `isolation: none`.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::{Condvar, Mutex};
use std::time::Duration;

/// Who has dialled in and was not waited for yet.
type Waiting = Arc<(Mutex<VecDeque<(String, TcpStream)>>, Condvar)>;

/// Where puppets dial in.
pub struct Puppet {
    port: u16,
    waiting: Waiting,
}

/// A puppet that has started and does nothing.
pub struct Held {
    line: TcpStream,
}

/// How a puppet is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    Passes,
    Fails,
}

impl Puppet {
    /// A place for puppets to dial in.
    pub fn new() -> Puppet {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let waiting = Waiting::default();
        let arrived = Arc::clone(&waiting);
        std::thread::spawn(move || {
            for line in listener.incoming().filter_map(Result::ok) {
                let mut name = String::new();
                let read = BufReader::new(&line).read_line(&mut name);
                if read.is_ok() {
                    let mut queue = arrived.0.lock().expect("a queue");
                    queue.push_back((name.trim().to_owned(), line));
                    arrived.1.notify_all();
                }
            }
        });
        Puppet { port, waiting }
    }

    /// The script of a step that dials in as `name`, waits, and exits with 0 or
    /// 7. It has no quotes.
    pub fn step(&self, name: &str) -> String {
        format!(
            "exec 9<>/dev/tcp/127.0.0.1/{}; echo {name} >&9; read -r code <&9; exit $code",
            self.port
        )
    }

    /// Waits until a puppet of this name dials in.
    pub fn wait_for(&self, name: &str) -> Held {
        self.wait_for_one_of([name, name]).1
    }

    /// Waits until one of these dials in; which, and the puppet.
    pub fn wait_for_one_of<'n>(&self, names: [&'n str; 2]) -> (&'n str, Held) {
        let mut queue = self.waiting.0.lock().expect("a queue");
        loop {
            let known = |name: &str| names.iter().find(|known| **known == name).copied();
            let first = queue
                .iter()
                .enumerate()
                .find_map(|(at, (name, _))| Some((at, known(name)?)));
            if let Some((at, name)) = first {
                let (_, line) = queue.remove(at).expect("a puppet");
                return (name, Held { line });
            }
            let (again, waited) = self
                .waiting
                .1
                .wait_timeout(queue, Duration::from_secs(60))
                .expect("a queue");
            assert!(!waited.timed_out(), "none of {names:?} dials in");
            queue = again;
        }
    }

    /// The names of those that have dialled in and were not waited for.
    pub fn waiting(&self) -> Vec<String> {
        let queue = self.waiting.0.lock().expect("a queue");
        queue.iter().map(|(name, _)| name.clone()).collect()
    }
}

impl Held {
    /// Lets it go on to its end.
    pub fn release(mut self, end: Stage) {
        let code = match end {
            Stage::Passes => "0\n",
            Stage::Fails => "7\n",
        };
        self.line.write_all(code.as_bytes()).expect("a line");
        self.ends();
    }

    /// Waits until it is dead.
    pub fn ends(mut self) {
        // A puppet that was killed may reset the line.
        drop(self.line.read_to_end(&mut Vec::new()));
    }
}
