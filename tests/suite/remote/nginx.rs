//! nginx as an HTTP cache: it checks nothing of what it keeps, so all that can be
//! wrong with a cache is made wrong here on its disk or in its settings.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;

use mikado::digest::Digest;

use super::faults::is_right;
use super::servers::{Server, free, scratch, started};
use super::{artifacts, counts, reader, run, writer};

/// Debian puts it where not everybody's PATH leads.
fn program() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into()]);
    let mut programs = folders.map(|folder| folder.join("nginx"));
    let found = programs.find(|program| program.is_file());
    found.unwrap_or_else(|| panic!("nginx is missing: apt-get install nginx-light"))
}

/// nginx with one folder of blobs at two addresses: at the one it takes and gives,
/// at the other one it has everything but the blobs, for which it says 500.
fn nginx() -> (Server, SocketAddr) {
    let (folder, address, broken) = (scratch(), free(), free());
    let root = folder.path().display().to_string();
    fs::create_dir(folder.path().join("data")).expect("a folder");
    let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|name| format!("  {name}_temp_path {root}/tmp-{name};\n"));
    let user = match rustix::process::geteuid().is_root() {
        true => "user root;\n",
        false => "",
    };
    let settings = format!(
        "daemon off;
master_process off;
{user}pid {root}/pid;
error_log {root}/errors;
events {{}}
http {{
  access_log off;
  client_max_body_size 0;
{}  server {{
    listen {address};
    root {root}/data;
    location / {{ dav_methods PUT; create_full_put_path on; }}
  }}
  server {{
    listen {broken};
    root {root}/data;
    location /cas/ {{ return 500; }}
  }}
}}
",
        temporary.concat()
    );
    let path = folder.path().join("nginx.conf");
    fs::write(&path, settings).expect("settings");
    let mut command = Command::new(program());
    command
        .arg("-c")
        .arg(path)
        .arg("-e")
        .arg(folder.path().join("errors"));
    (started(command, folder, [address, address]), broken)
}

/// The blobs that it keeps.
fn blobs(server: &Server) -> Vec<PathBuf> {
    let folder = server.folder.path().join("data/cas");
    let entries = fs::read_dir(folder).expect("blobs");
    entries.map(|entry| entry.expect("a blob").path()).collect()
}

#[test]
fn nginx_passes_results_on() {
    let (server, _) = nginx();
    let writes = writer(&server.http_url());
    let up = counts(&run(&writes));
    assert_eq!(
        (&up["uploaded"], &up["failed"]),
        (&6.into(), &0.into()),
        "{up}"
    );
    let (built, down, notes) = is_right(&reader(&server.http_url()), &artifacts(&writes));
    assert_eq!((built, &down["failed"]), (0, &0.into()), "{down}{notes:?}");
}

#[test]
fn nginx_that_has_something_else_under_a_digest_is_a_miss() {
    // Another byte, one byte less, one more, nothing at all, and the whole of another one.
    let wrongs: [fn(&mut Vec<u8>); 5] = [
        |bytes| bytes[0] ^= 1,
        |bytes| bytes.truncate(bytes.len() - 1),
        |bytes| bytes.push(b'x'),
        Vec::clear,
        |bytes| *bytes = b"something else entirely\n".to_vec(),
    ];
    for (number, wrong) in wrongs.into_iter().enumerate() {
        let (server, _) = nginx();
        let writes = writer(&server.http_url());
        assert_eq!(counts(&run(&writes))["uploaded"], 6);
        for blob in blobs(&server) {
            let mut bytes = fs::read(&blob).expect("a blob");
            if !bytes.is_empty() {
                wrong(&mut bytes);
            }
            fs::write(&blob, bytes).expect("a lie");
        }
        let (built, down, notes) = is_right(&reader(&server.http_url()), &artifacts(&writes));
        assert_eq!(
            (built, &down["fetched"]),
            (3, &0.into()),
            "{number}: {down}"
        );
        assert_eq!(notes.len(), 1, "{number}: {notes:?}");
        assert!(
            notes[0].contains("it sent something else than"),
            "{notes:?}"
        );
    }
}

#[test]
fn blob_that_is_wrong_is_uploaded_anew_by_who_builds() {
    for name in ["one", "two/large"] {
        let (server, _) = nginx();
        let writes = writer(&server.http_url());
        assert_eq!(counts(&run(&writes))["uploaded"], 6);
        let names = artifacts(&writes);
        let path = match name {
            "one" => ".mikado/artifacts/one/deep/er/file".to_owned(),
            _ => format!(".mikado/artifacts/{name}"),
        };
        let right = fs::read(writes.path(&path)).expect("a file");
        let blob = Digest::of(&right).hex();
        let blob = server.folder.path().join("data/cas").join(blob);
        fs::write(&blob, &right[1..]).expect("a lie");
        // Who only reads can't mend it.
        assert_eq!(is_right(&reader(&server.http_url()), &names).0, 1);
        assert_eq!(is_right(&writer(&server.http_url()), &names).0, 1);
        assert_eq!(fs::read(&blob).expect("a blob"), right);
        let (built, down, _) = is_right(&reader(&server.http_url()), &names);
        assert_eq!((built, &down["failed"]), (0, &0.into()), "{down}");
    }
}

#[test]
fn nginx_whose_blobs_are_gone_after_a_hit_is_a_miss_and_no_fault() {
    let (server, _) = nginx();
    let writes = writer(&server.http_url());
    assert_eq!(counts(&run(&writes))["uploaded"], 6);
    for blob in blobs(&server) {
        fs::remove_file(blob).expect("a blob that goes");
    }
    let (built, down, notes) = is_right(&reader(&server.http_url()), &artifacts(&writes));
    assert_eq!((built, &down["fetched"]), (3, &0.into()), "{down}");
    assert!(notes.is_empty(), "{notes:?}");
    // Who writes brings them back: nothing is believed to be there.
    let second = writer(&server.http_url());
    let (_, up, _) = is_right(&second, &artifacts(&writes));
    assert_eq!(up["uploaded"], 4, "{up}");
    assert_eq!(
        is_right(&reader(&server.http_url()), &artifacts(&writes)).0,
        0
    );
}

#[test]
fn nginx_that_answers_500_is_a_miss_with_one_warning() {
    let (server, broken) = nginx();
    let writes = writer(&server.http_url());
    assert_eq!(counts(&run(&writes))["uploaded"], 6);
    let (built, down, notes) = is_right(&reader(&format!("http://{broken}")), &artifacts(&writes));
    assert_eq!((built, &down["fetched"]), (3, &0.into()), "{down}");
    assert_eq!(notes.len(), 1, "{notes:?}");
    assert!(notes[0].contains("it answered 500"), "{notes:?}");
}

#[test]
fn result_that_is_rubbish_is_a_miss() {
    let (server, _) = nginx();
    let writes = writer(&server.http_url());
    assert_eq!(counts(&run(&writes))["uploaded"], 6);
    for text in ["", "rubbish", "<html>please log in</html>"] {
        let folder = server.folder.path().join("data/ac");
        for entry in fs::read_dir(folder).expect("results") {
            fs::write(entry.expect("a result").path(), text).expect("rubbish");
        }
        let (built, down, notes) = is_right(&reader(&server.http_url()), &artifacts(&writes));
        assert_eq!((built, &down["fetched"]), (3, &0.into()), "{down}");
        // An empty message is a result without an artifact.
        assert_eq!(
            notes.len(),
            usize::from(!text.is_empty()),
            "{text}: {notes:?}"
        );
    }
}
