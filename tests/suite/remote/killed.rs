//! What happens to servers in the middle of something: killed, killed and started
//! again, out of room. The line is held where it is to happen, so that it does.

use std::thread;

use bazel_remote_apis::build::bazel::remote::execution::v2 as api;
use mikado::digest::Digest;

use super::faults::{filled, is_right};
use super::line::{Line, Spoilt};
use super::servers::{self, Server};
use super::{artifacts, chain, counts, executed, is_whole, notes, reader, run, writer};
use crate::support::sandbox::{Ran, Sandbox};

/// The large file of the chain is 11 MB: this is in the middle of it.
const MIDDLE: u64 = 3_000_000;

/// Runs the chain, and does `meanwhile` once the line has come to a halt.
fn run_until(sandbox: &Sandbox, line: &Line, meanwhile: impl FnOnce() + Send) -> Ran {
    thread::scope(|scope| {
        scope.spawn(|| {
            line.halts();
            meanwhile();
        });
        run(sandbox)
    })
}

/// The servers that keep what they have on a disk.
fn with_files() -> [Server; 2] {
    [servers::casd(&[]), servers::bazel_remote(&[])]
}

/// The names of the artifacts of the chain, as a machine without a cache has them.
fn names() -> Vec<String> {
    let alone = chain();
    assert_eq!(executed(&run(&alone)), 3);
    artifacts(&alone)
}

#[test]
fn server_killed_in_an_upload_costs_the_upload_and_has_no_half_result_afterwards() {
    let names = names();
    for mut server in with_files() {
        let line = Line::to(server.grpc, Spoilt::StalledUp(MIDDLE));
        let writes = writer(&line.url());
        let ran = run_until(&writes, &line, || server.kill());
        assert_eq!((executed(&ran), artifacts(&writes)), (3, names.clone()));
        is_whole(&writes);
        let told = counts(&ran);
        let lost = told["failed"].as_u64() > Some(0);
        assert!(lost && told["uploaded"].as_u64() < Some(6), "{told}");
        assert_eq!(notes(&ran).len(), 1, "{:?}", notes(&ran));
        // Whatever it has is whole.
        server.start_again();
        let (_, down, _) = is_right(&reader(&server.url()), &names);
        assert_eq!(down["failed"], 0, "{down}");
        assert!(down["found"].as_u64() < Some(6), "{down}");
        // And it takes the rest.
        let second = writer(&server.url());
        let (_, up, _) = is_right(&second, &names);
        assert_eq!(up["failed"], 0, "{up}");
        let (built, down, _) = is_right(&reader(&server.url()), &names);
        // bazel-remote 2.6.2 has the half file under its name when it is started again,
        // says that it has it, and takes no other one over gRPC.
        let lost = usize::from(is_bazel_remote(&server));
        assert!(built <= lost, "{up}{down}{}", server.log());
    }
}

#[test]
fn server_killed_in_a_download_costs_a_build() {
    let names = names();
    for mut server in with_files() {
        assert_eq!(counts(&run(&writer(&server.url())))["uploaded"], 6);
        let line = Line::to(server.grpc, Spoilt::Stalled(middle_of(&server)));
        let reads = reader(&line.url());
        let ran = run_until(&reads, &line, || server.kill());
        assert_eq!(artifacts(&reads), names);
        is_whole(&reads);
        let told = counts(&ran);
        assert!(
            executed(&ran) > 0 && told["failed"].as_u64() > Some(0),
            "{told}"
        );
        assert_eq!(notes(&ran).len(), 1, "{:?}", notes(&ran));
        assert!(
            notes(&ran)[0].contains("it can't be reached"),
            "{:?}",
            notes(&ran)
        );
    }
}

fn is_bazel_remote(server: &Server) -> bool {
    server.http != server.grpc
}

/// The middle of the large file, as it comes from the server: bazel-remote
/// compresses it.
fn middle_of(server: &Server) -> u64 {
    match is_bazel_remote(server) {
        true => MIDDLE / 10,
        false => MIDDLE,
    }
}

#[test]
fn server_that_is_started_again_in_a_transfer_goes_on() {
    let names = names();
    for mut server in with_files() {
        let line = Line::to(server.grpc, Spoilt::StalledUp(MIDDLE));
        let writes = writer(&line.url());
        drop(run_until(&writes, &line, || {
            server.kill();
            line.let_go();
            server.start_again();
        }));
        assert_eq!(artifacts(&writes), names);
        drop(run(&writer(&server.url())));
        let line = Line::to(server.grpc, Spoilt::Stalled(middle_of(&server)));
        let reads = reader(&line.url());
        let ran = run_until(&reads, &line, || {
            server.kill();
            line.let_go();
            server.start_again();
        });
        assert_eq!(artifacts(&reads), names);
        is_whole(&reads);
        assert!(notes(&ran).len() <= 1, "{:?}", notes(&ran));
        let built = is_right(&reader(&server.url()), &names).0;
        assert!(
            built <= usize::from(is_bazel_remote(&server)),
            "{}",
            server.log()
        );
    }
}

/// A client of the tests' own, which fills a server with what nobody wants.
fn stuff(server: &Server, blobs: u8) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.expect("a runtime").block_on(async {
        let channel = tonic::transport::Channel::from_shared(format!("http://{}", server.grpc));
        let channel = channel.expect("an address").connect_lazy();
        let mut client =
            api::content_addressable_storage_client::ContentAddressableStorageClient::new(channel);
        for number in 0..blobs {
            let data = vec![number; 3 << 20];
            let digest = Digest::of(&data);
            let digest = Some(api::Digest {
                hash: digest.hex(),
                size_bytes: digest.size as i64,
            });
            let blob = api::batch_update_blobs_request::Request {
                digest,
                data,
                ..Default::default()
            };
            let request = api::BatchUpdateBlobsRequest {
                requests: vec![blob],
                ..Default::default()
            };
            let answer = client.batch_update_blobs(request).await.expect("an answer");
            let status = answer.into_inner().responses.remove(0).status;
            assert_eq!(status.unwrap_or_default().code, 0);
        }
    });
}

#[test]
fn blobs_that_are_evicted_between_look_up_and_use_are_a_miss() {
    let quota = [
        "--quota-high",
        "20M",
        "--quota-low",
        "10M",
        "--reserved",
        "0",
    ];
    let server = servers::casd(&quota);
    let writes = writer(&server.url());
    assert_eq!(counts(&run(&writes))["uploaded"], 6);
    let names = artifacts(&writes);
    let large = std::fs::read(writes.path(".mikado/artifacts/two/large")).expect("a file");
    // The result was given; what asks for its large file waits until that is gone.
    let wanted = format!("blobs/{}", Digest::of(&large).hex());
    let line = Line::to(server.grpc, Spoilt::HeldAt(wanted.leak()));
    let reads = reader(&line.url());
    let ran = run_until(&reads, &line, || {
        stuff(&server, 10);
        line.let_go();
    });
    assert_eq!(artifacts(&reads), names);
    is_whole(&reads);
    let told = counts(&ran);
    assert!(told["found"].as_u64() > told["fetched"].as_u64(), "{told}");
    assert!(executed(&ran) > 0, "{told}");
    // That is how caches are: nobody is warned of it.
    assert!(notes(&ran).is_empty(), "{:?}", notes(&ran));
    assert_eq!(executed(&run(&reads)), 0);
}

#[test]
fn two_runs_fill_one_cache_at_once() {
    for server in with_files() {
        let machines = [writer(&server.url()), writer(&server.url())];
        let rans = thread::scope(|scope| {
            let runs = machines
                .each_ref()
                .map(|machine| scope.spawn(|| run(machine)));
            runs.map(|run| run.join().expect("a run"))
        });
        for (ran, machine) in rans.iter().zip(&machines) {
            let told = counts(ran);
            assert_eq!(told["failed"], 0, "{told}");
            assert!(notes(ran).is_empty(), "{:?}", notes(ran));
            is_whole(machine);
        }
        assert_eq!(artifacts(&machines[0]), artifacts(&machines[1]));
        let (built, down, _) = is_right(&reader(&server.url()), &artifacts(&machines[0]));
        assert_eq!((built, &down["failed"]), (0, &0.into()), "{down}");
    }
}

/// What was left of a first cache is none of a second one's.
#[test]
fn server_that_is_full_of_half_uploads_is_still_right() {
    let (server, names) = filled();
    for after in [100, 10_000, 1_000_000] {
        let cut = Spoilt::CutUp {
            after,
            lines: usize::MAX,
        };
        let line = Line::to(server.grpc, cut);
        let writes = writer(&line.url());
        writes.write("source.txt", &format!("cut after {after}\n"));
        drop(run(&writes));
        let reads = reader(&server.url());
        reads.write("source.txt", &format!("cut after {after}\n"));
        let (_, down, _) = is_right(&reads, &artifacts(&writes));
        assert_eq!(down["failed"], 0, "{down}");
    }
    assert_eq!(is_right(&reader(&server.url()), &names).0, 0);
}
