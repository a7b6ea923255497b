//! Registries on the loopback interface: one that refuses everything, and one
//! that does not answer.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};

/// Starts a registry that answers 403 to whatever it is asked, until the tests
/// end; returns where it is, without a slash at the end.
pub fn registry() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for stream in listener.incoming().filter_map(Result::ok) {
            std::thread::spawn(move || refuse(stream));
        }
    });
    format!("http://{address}")
}

/// Where a registry might be, and nobody listens.
pub fn closed() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    format!("http://{address}")
}

fn refuse(mut stream: TcpStream) -> Option<()> {
    let lines = BufReader::new(stream.try_clone().ok()?).lines();
    // The whole request has to be read, or its sender is told of a reset.
    lines
        .map_while(Result::ok)
        .take_while(|line| !line.is_empty())
        .for_each(drop);
    let answer =
        "HTTP/1.1 403 Forbidden by policy\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    stream.write_all(answer.as_bytes()).ok()
}
