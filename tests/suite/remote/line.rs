//! A line between a client and a server that a test spoils: slow, cut, or dead.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

/// How long is waited for what must come.
const PATIENCE: Duration = Duration::from_secs(60);

/// How a line is spoilt.
#[derive(Clone, Copy, Debug)]
pub enum Spoilt {
    /// It is not.
    No,
    /// No more than so many bytes a second.
    Slow(u64),
    /// Each of the first lines is cut after so many bytes from the server.
    CutDown { after: u64, lines: usize },
    /// Each of the first lines is cut after so many bytes to the server.
    CutUp { after: u64, lines: usize },
    /// Nothing more passes to the client after so many bytes, and the line stays,
    /// until it is let go.
    Stalled(u64),
    /// Nothing more passes to the server after so many bytes, and the line stays,
    /// until it is let go.
    StalledUp(u64),
    /// Nothing more passes to the server from the first part on that holds this
    /// text, until the line is let go.
    HeldAt(&'static str),
}

/// A line.
pub struct Line {
    /// Where it begins.
    pub address: SocketAddr,
    passed: Arc<AtomicU64>,
    lines: Arc<AtomicUsize>,
    halt: Arc<Halt>,
}

/// Whether anything came to a halt, and whether it may go on.
#[derive(Default)]
struct Halt {
    state: Mutex<(bool, bool)>,
    changed: Condvar,
}

impl Halt {
    /// Sets what `change` does.
    fn now(&self, change: impl FnOnce(&mut (bool, bool))) {
        change(&mut self.state.lock().expect("a state"));
        self.changed.notify_all();
    }

    fn is_let_go(&self) -> bool {
        self.state.lock().expect("a state").1
    }

    /// Waits until `is_so`, for no longer than `most`.
    fn wait(&self, most: Duration, is_so: impl Fn((bool, bool)) -> bool) -> bool {
        let state = self.state.lock().expect("a state");
        let waited = self
            .changed
            .wait_timeout_while(state, most, |state| !is_so(*state));
        !waited.expect("a state").1.timed_out()
    }
}

impl Line {
    /// A line to `server`.
    pub fn to(server: SocketAddr, how: Spoilt) -> Line {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let line = Line {
            address: listener.local_addr().expect("an address"),
            passed: Arc::default(),
            lines: Arc::default(),
            halt: Arc::default(),
        };
        let (passed, lines) = (Arc::clone(&line.passed), Arc::clone(&line.lines));
        let halt = Arc::clone(&line.halt);
        std::thread::spawn(move || {
            for client in listener.incoming().filter_map(Result::ok) {
                let number = lines.fetch_add(1, Ordering::SeqCst);
                let Ok(server) = TcpStream::connect(server) else {
                    continue;
                };
                let ends = [&client, &server].map(|end| end.try_clone().expect("a line"));
                let (up, down) = match how {
                    Spoilt::CutDown { lines, .. } | Spoilt::CutUp { lines, .. }
                        if number >= lines =>
                    {
                        (Spoilt::No, Spoilt::No)
                    }
                    Spoilt::CutUp { .. } | Spoilt::StalledUp(_) | Spoilt::HeldAt(_) => {
                        (how, Spoilt::No)
                    }
                    Spoilt::CutDown { .. } | Spoilt::Stalled(_) => (Spoilt::No, how),
                    Spoilt::No | Spoilt::Slow(_) => (how, how),
                };
                let passed = Arc::clone(&passed);
                let of_up = (Arc::clone(&passed), Arc::clone(&halt));
                let of_down = (passed, Arc::clone(&halt));
                let [client_end, server_end] = ends;
                std::thread::spawn(move || pass(client, server, up, &of_up.0, &of_up.1));
                std::thread::spawn(move || {
                    pass(server_end, client_end, down, &of_down.0, &of_down.1);
                });
            }
        });
        line
    }

    /// Its address for gRPC.
    pub fn url(&self) -> String {
        format!("grpc://{}", self.address)
    }

    /// How often it was taken.
    pub fn lines(&self) -> usize {
        self.lines.load(Ordering::SeqCst)
    }

    /// Waits until something on it came to a halt.
    pub fn halts(&self) {
        let is_halted = self.halt.wait(PATIENCE, |(halted, _)| halted);
        assert!(is_halted, "the line has not come to a halt");
    }

    /// Lets what was held go on, and holds nothing from now on.
    pub fn let_go(&self) {
        self.halt.now(|state| state.1 = true);
    }

    /// How many bytes passed, both ways.
    pub fn passed(&self) -> u64 {
        self.passed.load(Ordering::SeqCst)
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, how: Spoilt, passed: &AtomicU64, halt: &Halt) {
    let began = Instant::now();
    let mut bytes = [0; 16 * 1024];
    let mut count = 0;
    while let Ok(read @ 1..) = from.read(&mut bytes) {
        count += read as u64;
        let part = &bytes[..read];
        match how {
            Spoilt::Slow(rate) => {
                let due = Duration::from_secs_f64(count as f64 / rate as f64);
                std::thread::sleep(due.saturating_sub(began.elapsed()));
            }
            Spoilt::CutDown { after, .. } | Spoilt::CutUp { after, .. } if count > after => break,
            Spoilt::Stalled(after) | Spoilt::StalledUp(after)
                if count > after && !halt.is_let_go() =>
            {
                halt.now(|state| state.0 = true);
                continue;
            }
            Spoilt::HeldAt(text) if holds(part, text) => {
                halt.now(|state| state.0 = true);
                halt.wait(PATIENCE, |(_, goes_on)| goes_on);
            }
            _ => {}
        }
        passed.fetch_add(read as u64, Ordering::SeqCst);
        if to.write_all(part).is_err() {
            break;
        }
    }
    drop(from.shutdown(Shutdown::Both));
    drop(to.shutdown(Shutdown::Both));
}

fn holds(part: &[u8], text: &str) -> bool {
    part.windows(text.len())
        .any(|bytes| bytes == text.as_bytes())
}
