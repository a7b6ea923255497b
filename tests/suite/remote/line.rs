//! A line between a client and a server that a test spoils: slow, cut, or dead.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

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
    /// Nothing more passes to the client after so many bytes, and the line stays.
    Stalled(u64),
    /// Nothing more passes to the server after so many bytes, and the line stays.
    StalledUp(u64),
}

/// A line.
pub struct Line {
    /// Where it begins.
    pub address: SocketAddr,
    passed: Arc<AtomicU64>,
    lines: Arc<AtomicUsize>,
}

impl Line {
    /// A line to `server`.
    pub fn to(server: SocketAddr, how: Spoilt) -> Line {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let line = Line {
            address: listener.local_addr().expect("an address"),
            passed: Arc::default(),
            lines: Arc::default(),
        };
        let (passed, lines) = (Arc::clone(&line.passed), Arc::clone(&line.lines));
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
                    Spoilt::CutUp { .. } | Spoilt::StalledUp(_) => (how, Spoilt::No),
                    Spoilt::CutDown { .. } | Spoilt::Stalled(_) => (Spoilt::No, how),
                    Spoilt::No | Spoilt::Slow(_) => (how, how),
                };
                let passed = Arc::clone(&passed);
                let of_up = Arc::clone(&passed);
                let [client_end, server_end] = ends;
                std::thread::spawn(move || pass(client, server, up, &of_up));
                std::thread::spawn(move || pass(server_end, client_end, down, &passed));
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

    /// How many bytes passed, both ways.
    pub fn passed(&self) -> u64 {
        self.passed.load(Ordering::SeqCst)
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, how: Spoilt, passed: &AtomicU64) {
    let began = Instant::now();
    let mut bytes = [0; 16 * 1024];
    let mut count = 0;
    while let Ok(read @ 1..) = from.read(&mut bytes) {
        count += read as u64;
        match how {
            Spoilt::Slow(rate) => {
                let due = Duration::from_secs_f64(count as f64 / rate as f64);
                std::thread::sleep(due.saturating_sub(began.elapsed()));
            }
            Spoilt::CutDown { after, .. } | Spoilt::CutUp { after, .. } if count > after => break,
            Spoilt::Stalled(after) | Spoilt::StalledUp(after) if count > after => continue,
            _ => {}
        }
        passed.fetch_add(read as u64, Ordering::SeqCst);
        if to.write_all(&bytes[..read]).is_err() {
            break;
        }
    }
    drop(from.shutdown(Shutdown::Both));
    drop(to.shutdown(Shutdown::Both));
}
