//! What a program starts with, and what is said where it can't start.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use mikado::process::{Execution, Exit, Stage};

use super::{Bench, block_on, ended, keeper, run};

#[test]
fn standard_input_is_empty() {
    let bench = Bench::new();
    assert_eq!(run(bench.execution(&["cat"])).exit, Exit::Code(0));
    assert_eq!(bench.log(), "");
}

#[test]
fn the_environment_and_the_folder_are_exactly_what_was_asked() {
    let bench = Bench::new();
    let mut execution = bench.execution(&["/usr/bin/env"]);
    execution.env = vec![("A".into(), "b=c\nd".into()), ("E".into(), "".into())];
    run(execution);
    run(bench.execution(&["pwd"]));
    let folder = bench.folder.path().canonicalize().unwrap();
    assert_eq!(bench.log(), format!("A=b=c\nd\nE=\n{}\n", folder.display()));
}

#[test]
fn a_program_starts_with_no_open_files_and_default_signals() {
    let bench = Bench::new();
    run(bench
        .shell("ls /proc/self/fd | tr '\\n' ' '; umask; grep -E 'Sig(Blk|Ign)' /proc/self/status"));
    // `ls` itself has the folder open as 3. Signals 32 and 33 are the C library's own: nobody can set them.
    let log = bench.log().replace("180000000", "000000000");
    assert_eq!(
        log,
        "0 1 2 3 0022\nSigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n"
    );
}

#[test]
fn a_program_leads_a_session_of_its_own() {
    let bench = Bench::new();
    run(bench.shell("ps -o pid=,pgid=,sid=,tty= -p $$"));
    let log = bench.log();
    let fields: Vec<_> = log.split_whitespace().collect();
    assert_eq!(
        (fields[0], fields[0], "?"),
        (fields[1], fields[2], fields[3]),
        "{log}"
    );
}

#[test]
fn a_missing_program_is_named() {
    let bench = Bench::new();
    for program in ["no-such-program", "/no/such/program"] {
        let Exit::NotStarted(failure) = run(bench.execution(&[program])).exit else {
            panic!()
        };
        assert_eq!((failure.stage, failure.errno), (Stage::Exec, 2));
        assert_eq!(
            failure.to_string(),
            format!("cannot execute `{program}`: not found")
        );
    }
}

#[test]
fn a_file_that_is_no_program_is_said_to_be_none() {
    let bench = Bench::new();
    let path = bench.path("file");
    fs::write(&path, "text").unwrap();
    let program = path.to_str().unwrap();
    let exit = run(bench.execution(&[program])).exit.to_string();
    assert_eq!(
        exit,
        format!("cannot execute `{program}`: Permission denied (os error 13)")
    );
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    let exit = run(bench.execution(&[program])).exit.to_string();
    assert_eq!(
        exit,
        format!("cannot execute `{program}`: Exec format error (os error 8)")
    );
    fs::write(&path, "#!/no/such/shell\n").unwrap();
    let exit = run(bench.execution(&[program])).exit.to_string();
    assert!(
        exit.ends_with("the interpreter that its first line names is not there"),
        "{exit}"
    );
}

#[test]
fn a_missing_folder_is_named() {
    let bench = Bench::new();
    let execution = Execution {
        cwd: "/no/such/folder".into(),
        ..bench.execution(&["true"])
    };
    let exit = run(execution).exit.to_string();
    assert_eq!(
        exit,
        "cannot start `true` in the folder `/no/such/folder`: No such file or directory (os error 2)"
    );
}

#[test]
fn a_request_that_makes_no_sense_starts_nothing() {
    let bench = Bench::new();
    for execution in [
        bench.execution(&[]),
        bench.execution(&["a\0b"]),
        Execution {
            cwd: "relative".into(),
            ..bench.execution(&["true"])
        },
    ] {
        let Exit::NotStarted(failure) = run(execution).exit else {
            panic!()
        };
        assert_eq!(failure.stage, Stage::Request);
    }
}

#[test]
fn an_argument_list_that_is_too_long_is_refused_and_the_next_one_runs() {
    let bench = Bench::new();
    block_on(async {
        let keeper = keeper();
        let long = "x".repeat(8 << 20);
        let outcome = ended(&keeper, bench.execution(&["true", &long])).await;
        assert_eq!(
            outcome.exit.to_string(),
            "cannot execute `true`: Argument list too long (os error 7)"
        );
        assert_eq!(
            ended(&keeper, bench.execution(&["true"])).await.exit,
            Exit::Code(0)
        );
    });
}
