//! One large artifact, and a plain copy of as many bytes over loopback: from a
//! file through a TCP connection into a file beside the store.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::time::Instant;

use mikado::digest::{Digest, Hasher};

use crate::machine::Machine;
use crate::place::Place;
use crate::{bare, middle};

/// How much is read and written at once.
const PART: usize = 256 << 10;

/// Seconds of a plain copy of `from` to `to`.
fn plain(from: &Path, to: &Path) -> f64 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let mut from = File::open(from).expect("a file");
    let mut to = File::create(to).expect("a file");
    let began = Instant::now();
    let sends = std::thread::spawn(move || {
        let mut line = listener.accept().expect("a connection").0;
        pass(&mut from, &mut line);
    });
    pass(&mut TcpStream::connect(address).expect("a line"), &mut to);
    sends.join().expect("all of it");
    began.elapsed().as_secs_f64()
}

fn pass(from: &mut impl Read, to: &mut impl Write) {
    let mut bytes = vec![0; PART];
    loop {
        match from.read(&mut bytes).expect("a part") {
            0 => return,
            count => to.write_all(&bytes[..count]).expect("room"),
        }
    }
}

fn digest_of(path: &Path) -> Digest {
    let mut hasher = Hasher::default();
    io::copy(&mut File::open(path).expect("a file"), &mut hasher).expect("its bytes");
    hasher.finish()
}

fn write_project(folder: &Path, bytes: u64) -> io::Result<()> {
    let card = "---\nstatus: active\nrunner: large\n---\n# Large\n";
    let runner =
        format!("inputs: []\nsteps: [{{run: 'head -c {bytes} /dev/urandom > \"$OUT/large\"'}}]\n");
    for folder in [folder.join("cards"), folder.join("runners")] {
        fs::create_dir_all(folder)?;
    }
    fs::write(folder.join("cards/large.md"), card)?;
    fs::write(folder.join("runners/large.yaml"), runner)?;
    fs::write(folder.join("mikado.yaml"), "cards: [cards]\n")
}

pub fn measure(program: &str, bytes: u64, rounds: usize) {
    let write = |folder: &Path| write_project(folder, bytes).expect("a project");
    let speed = |seconds: f64| bytes as f64 / seconds / 1e6;
    println!("## An artifact of {} MiB\n", bytes >> 20);
    println!("| server | plain copy | download | share | upload | share | a bare client reads |");
    println!("|---|---|---|---|---|---|---|");
    // bazel-remote keeps blobs compressed, unless it is told not to.
    let kept = Place::each(&[]).map(|place| (place.name.to_owned(), place));
    let plainly = Place::each(&["--storage_mode", "uncompressed"]).skip(1);
    let plainly = plainly.map(|place| (format!("{}, `uncompressed`", place.name), place));
    for (name, place) in kept.chain(plainly) {
        let url = place.url();
        let writes = Machine::new(program, write).with_cache(&url, "read-write");
        let busy =
            |ran: &crate::machine::Ran| ran.cache["busy"].as_f64().expect("milliseconds") / 1e3;
        let up = busy(&writes.run());
        let original =
            fs::canonicalize(writes.path(".mikado/artifacts/large")).expect("an artifact");
        let original = original.join("large");
        let (mut copied, mut down) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            let reads = Machine::new(program, write).with_cache(&url, "read");
            copied.push(plain(&original, &reads.path("copy")));
            let ran = reads.run();
            assert_eq!((ran.built, &ran.cache["fetched"]), (0, &1.into()));
            down.push(busy(&ran));
        }
        let (copied, down) = (middle(copied), middle(down));
        let bare = match place.is_http {
            true => String::new(),
            false => {
                let digest = digest_of(&original);
                let took = (0..rounds).map(|_| bare::read_whole(place.server.grpc, digest));
                let took = middle(took.map(|took| took.as_secs_f64()).collect());
                format!("{:.0} MB/s", speed(took))
            }
        };
        println!(
            "| {name} | {:.0} MB/s | {:.0} MB/s | {:.0} % | {:.0} MB/s | {:.0} % | {bare} |",
            speed(copied),
            speed(down),
            copied / down * 100.0,
            speed(up),
            copied / up * 100.0,
        );
    }
    println!();
}
