//! A line on which everything takes a while, and nothing is slower for it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// A line to `server` whose round trip takes so long; returns where it begins.
pub fn line(server: SocketAddr, round_trip: Duration) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for client in listener.incoming().filter_map(Result::ok) {
            let Ok(server) = TcpStream::connect(server) else {
                continue;
            };
            let ends = [&client, &server].map(|end| {
                end.set_nodelay(true).expect("a line without delay");
                end.try_clone().expect("a line")
            });
            let [client_end, server_end] = ends;
            pass(client, server, round_trip / 2);
            pass(server_end, client_end, round_trip / 2);
        }
    });
    address
}

fn pass(mut from: TcpStream, mut to: TcpStream, late: Duration) {
    let (sender, parts) = mpsc::channel::<(Instant, Vec<u8>)>();
    std::thread::spawn(move || {
        let mut bytes = vec![0; 256 * 1024];
        while let Ok(count @ 1..) = from.read(&mut bytes) {
            let part = (Instant::now() + late, bytes[..count].to_vec());
            if sender.send(part).is_err() {
                return;
            }
        }
    });
    std::thread::spawn(move || {
        for (due, bytes) in parts {
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            if to.write_all(&bytes).is_err() {
                return;
            }
        }
        drop(to.shutdown(std::net::Shutdown::Write));
    });
}
