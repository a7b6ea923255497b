//! TLS with a real server: whom to believe, and who this is. The certificates are
//! made by `openssl`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::servers::{self, Server};
use super::{artifacts, chain, counts, executed, notes, run};
use crate::ci::tools::must;
use crate::support::sandbox::Sandbox;

/// A folder of certificates.
struct Certificates(tempfile::TempDir);

impl Certificates {
    /// Two authorities, `ours` and `other`, and what they signed: a server on the
    /// loopback interface and two clients.
    fn new() -> Certificates {
        let made = Certificates(tempfile::tempdir().expect("a folder"));
        for authority in ["ours", "other"] {
            let mut openssl = made.openssl(&format!(
                "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -keyout {authority}.key -out {authority}.pem"
            ));
            must(openssl.args(["-subj", &format!("/CN=authority {authority}")]));
        }
        let server = "subjectAltName=IP:127.0.0.1,DNS:localhost\nextendedKeyUsage=serverAuth\n";
        made.signed("server", "ours", server);
        made.signed("client", "ours", "extendedKeyUsage=clientAuth\n");
        made.signed("stranger", "other", "extendedKeyUsage=clientAuth\n");
        made
    }

    fn openssl(&self, words: &str) -> Command {
        let mut openssl = Command::new("openssl");
        openssl.current_dir(self.0.path()).args(words.split(' '));
        openssl
    }

    fn signed(&self, name: &str, by: &str, extensions: &str) {
        fs::write(self.path("extensions"), extensions).expect("a file");
        let mut request = self.openssl(&format!(
            "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout {name}.key -out {name}.csr -subj /CN={name}"
        ));
        must(&mut request);
        must(&mut self.openssl(&format!(
            "x509 -req -in {name}.csr -CA {by}.pem -CAkey {by}.key -CAcreateserial -days 2 -extfile extensions -out {name}.pem"
        )));
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// bazel-remote with TLS, to which clients show a certificate of `ours`.
    fn server(&self) -> Server {
        let option = |name: &str, file: &str| format!("--{name}={}", self.path(file).display());
        let options = [
            option("tls_cert_file", "server.pem"),
            option("tls_key_file", "server.key"),
            option("tls_ca_file", "ours.pem"),
        ];
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        servers::bazel_remote(&options)
    }
}

/// A machine with these lines in its settings; paths are below the folder.
fn machine(url: &str, certificates: &Path, lines: &str) -> Sandbox {
    let lines = lines.replace('@', &format!("{}/", certificates.display()));
    chain().file(
        "mikado.yaml",
        &format!("cache: {{url: '{url}', {lines}}}\n"),
    )
}

fn urls(server: &Server) -> [String; 2] {
    [
        format!("grpcs://{}", server.grpc),
        format!("https://{}", server.http),
    ]
}

const CLIENT: &str = "ca: '@ours.pem', certificate: '@client.pem', key: '@client.key'";

#[test]
fn client_with_its_certificate_writes_and_reads() {
    let certificates = Certificates::new();
    let folder = certificates.0.path();
    for number in [0, 1] {
        let server = certificates.server();
        let url = &urls(&server)[number];
        let writes = machine(url, folder, &format!("mode: read-write, {CLIENT}"));
        let up = counts(&run(&writes));
        assert_eq!(
            (&up["uploaded"], &up["failed"]),
            (&6.into(), &0.into()),
            "{url}: {up}"
        );
        let other = &urls(&server)[1 - number];
        let reads = machine(other, folder, CLIENT);
        assert_eq!(executed(&run(&reads)), 0, "{other}");
        assert_eq!(artifacts(&writes), artifacts(&reads));
    }
}

#[test]
fn server_that_is_not_believed_is_a_miss_that_says_why() {
    let certificates = Certificates::new();
    let server = certificates.server();
    for url in urls(&server) {
        for lines in [
            // Signed by somebody else, and by nobody whom the system knows.
            "ca: '@other.pem', certificate: '@client.pem', key: '@client.key'",
            "certificate: '@client.pem', key: '@client.key'",
        ] {
            let ran = run(&machine(&url, certificates.0.path(), lines));
            assert_eq!(executed(&ran), 3);
            let notes = notes(&ran);
            assert_eq!(notes.len(), 1, "{url}: {notes:?}");
            let says =
                "its certificate is not believed here (UnknownIssuer): `ca` in `mikado.yaml`";
            assert!(notes[0].contains(says), "{url}: {notes:?}");
        }
    }
}

#[test]
fn client_that_is_not_believed_is_refused_and_builds() {
    let certificates = Certificates::new();
    let server = certificates.server();
    for url in urls(&server) {
        for lines in [
            "ca: '@ours.pem'",
            "ca: '@ours.pem', certificate: '@stranger.pem', key: '@stranger.key'",
        ] {
            let ran = run(&machine(&url, certificates.0.path(), lines));
            assert_eq!(
                (executed(&ran), &counts(&ran)["found"]),
                (3, &0.into()),
                "{url}"
            );
            let notes = notes(&ran);
            assert_eq!(notes.len(), 1, "{url}: {notes:?}");
            let says = [
                "it refuses: ",
                "`certificate` and `key` in `mikado.yaml` name it",
            ];
            let is_said = says.iter().any(|says| notes[0].contains(says));
            assert!(is_said, "{url}: {notes:?}");
        }
    }
}

#[test]
fn settings_that_cannot_be_used_are_named() {
    let certificates = Certificates::new();
    let server = certificates.server();
    let url = &urls(&server)[0];
    fs::write(certificates.path("rubbish.pem"), "no certificate\n").expect("a file");
    for (lines, says) in [
        ("ca: '@nowhere.pem'", "nowhere.pem"),
        (
            "certificate: '@client.pem'",
            "`cache.certificate` and `cache.key` go together",
        ),
        (
            "ca: '@ours.pem', certificate: '@client.pem', key: '@rubbish.pem'",
            "key",
        ),
    ] {
        let ran = run(&machine(url, certificates.0.path(), lines));
        assert_eq!(executed(&ran), 3);
        let notes = notes(&ran);
        assert_eq!(notes.len(), 1, "{notes:?}");
        assert!(notes[0].contains(says), "{notes:?}");
    }
}
