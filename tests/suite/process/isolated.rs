//! What an isolated program reaches, and that none of this needs root.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use mikado::process::{Exit, Kernel, Spaces};

use super::{Bench, run};
use crate::support::sandbox::program;

#[test]
fn an_isolated_program_reads_the_system_and_not_the_user() {
    let (bench, user) = (Bench::new(), Bench::new());
    fs::write(user.path("secret"), "x").unwrap();
    let secret = user.path("secret");
    let script = format!(
        "head -c 1 /etc/passwd > /dev/null; ls /usr > /dev/null; cat /proc/self/comm; echo x > work/new; mv work/new work/old; mkdir work/d; mv work/old work/d
        if cat {0}; then echo read; fi; if ls {1}; then echo listed; fi; if echo > {1}/new; then echo wrote; fi; if echo > outside; then echo wrote; fi",
        secret.display(),
        user.folder.path().display()
    );
    let outcome = run(bench.isolated(&script));
    let log = bench.log();
    assert_eq!(outcome.exit, Exit::Code(0), "{log}");
    assert_eq!(
        log.lines()
            .filter(|line| line.contains("Permission denied"))
            .count(),
        4,
        "{log}"
    );
    assert!(
        !log.contains("read\n") && !log.contains("listed") && !log.contains("wrote"),
        "{log}"
    );
    // The same without isolation.
    fs::remove_file(bench.path("log")).unwrap();
    run(bench.shell(&format!("cat {}", secret.display())));
    assert_eq!(bench.log(), "x");
}

#[test]
fn an_isolated_program_reaches_no_port_and_a_fetch_does() {
    let bench = Bench::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let script = format!(
        "exec 3<> /dev/tcp/127.0.0.1/{}",
        listener.local_addr().unwrap().port()
    );
    assert_eq!(run(bench.isolated(&script)).exit, Exit::Code(1));
    assert!(bench.log().contains("Permission denied"), "{}", bench.log());
    let mut fetch = bench.isolated(&script);
    fetch.isolation = fetch.isolation.map(|isolation| isolation.with_network(&[]));
    assert_eq!(run(fetch).exit, Exit::Code(0));
}

#[test]
fn an_isolated_program_can_be_given_no_network_at_all() {
    let bench = Bench::new();
    let mut execution = bench.isolated("tail -n +3 /proc/net/dev | cut -d: -f1; id -u");
    execution.isolation.as_mut().unwrap().spaces = Some(Spaces {
        network: true,
        ..Spaces::default()
    });
    let outcome = run(execution);
    assert_eq!(outcome.exit, Exit::Code(0));
    let granted = Kernel::probe_with(&program()).unwrap().network_namespaces;
    let log = bench.log();
    assert_eq!(granted, log.lines().count() == 2, "{log}");
    assert_eq!(granted, !outcome.without_spaces);
    assert!(
        log.ends_with(&format!("{}\n", rustix::process::geteuid().as_raw())),
        "{log}"
    );
}

#[test]
fn an_isolated_program_cannot_signal_those_outside() {
    let bench = Bench::new();
    let outcome = run(bench.isolated(&format!("kill -0 {}", std::process::id())));
    assert_eq!(
        outcome.exit,
        Exit::Code(if Kernel::landlock().landlock >= 6 {
            1
        } else {
            0
        })
    );
}

#[test]
fn all_of_it_works_for_a_user_who_is_not_root() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    // Where that user can reach it.
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let (tests, mikado) = (folder.path().join("tests"), folder.path().join("mikado"));
    // By `cp`: a file that this process wrote stays busy while another thread's child has not executed yet.
    for (from, to) in [
        (std::env::current_exe().unwrap(), &tests),
        (program(), &mikado),
    ] {
        assert!(
            Command::new("cp")
                .arg(from)
                .arg(to)
                .status()
                .unwrap()
                .success()
        );
    }
    let output = Command::new("setpriv")
        .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
        .arg(&tests)
        .args(["process::", "--skip", "user_who_is_not_root"])
        .env("TMPDIR", folder.path())
        .env("MIKADO_TEST_PROGRAM", mikado)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stdout)
    );
}
