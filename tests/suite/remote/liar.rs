//! An HTTP cache that lies, before one that does not: as nginx would, which keeps
//! under a digest whatever it is given.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};

/// Starts one; `how` is `lie`, `500`, `short` or `gone`, of blobs alone.
pub fn before(server: SocketAddr, how: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for client in listener.incoming().filter_map(Result::ok) {
            std::thread::spawn(move || answer(client, server, how));
        }
    });
    format!("http://{address}")
}

/// Answers one request, and hangs up.
fn answer(mut client: TcpStream, server: SocketAddr, how: &str) -> Option<()> {
    let mut lines = BufReader::new(client.try_clone().ok()?).lines();
    let first = lines.next()?.ok()?;
    lines
        .map_while(Result::ok)
        .take_while(|line| !line.is_empty())
        .for_each(drop);
    let mut real = TcpStream::connect(server).ok()?;
    let path = first.split(' ').nth(1)?;
    write!(real, "GET {path} HTTP/1.0\r\n\r\n").ok()?;
    let mut bytes = Vec::new();
    real.read_to_end(&mut bytes).ok()?;
    let body = bytes.windows(4).position(|end| end == b"\r\n\r\n")? + 4;
    let found = bytes.starts_with(b"HTTP/1.0 200");
    let mut body = bytes[body..].to_vec();
    let is_blob = path.starts_with("/cas/");
    let (status, length) = match (found, is_blob, how) {
        (false, ..) | (_, true, "gone") => {
            body.clear();
            ("404 Not Found", 0)
        }
        (true, true, "500") => {
            body.clear();
            ("500 Internal Server Error", 0)
        }
        (true, true, "short") => {
            let length = body.len();
            body.truncate(length / 2);
            ("200 OK", length)
        }
        (true, true, _) => {
            if let Some(last) = body.last_mut() {
                *last ^= 1;
            }
            ("200 OK", body.len())
        }
        (true, false, _) => ("200 OK", body.len()),
    };
    let head =
        format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
    client.write_all(head.as_bytes()).ok()?;
    client.write_all(&body).ok()
}
