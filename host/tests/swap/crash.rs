//! Swaps, crashes, and full disks: the version that was accepted last comes back, and a start by hand says what is wrong.

use nix::sys::signal::Signal;
use nozzle_testkit::{Child, OsFault, OsFaults, Recorder};

use super::{Rig, component, version_of};

const STREAM: &str = "datagen: { rate: 200, fields: { id: { sequence: {} } } }";

/// A host whose first version, which sends lists, has delivered.
async fn running(endpoint: &Recorder) -> (Rig, Child) {
    let rig = Rig::new(&endpoint.url(), STREAM, "", "");
    rig.put(&component("json_batch.wasm"));
    let host = rig.start();
    endpoint
        .until("the first call", |bodies| !bodies.is_empty())
        .await;
    (rig, host)
}

/// Waits for another call, which is made by the plugin whose bodies begin so.
async fn calls_begin_with(endpoint: &Recorder, begin: char) {
    let before = endpoint.accepted().len();
    endpoint
        .until("another call", |bodies| bodies.len() > before)
        .await;
    let bodies = endpoint.accepted();
    let last = bodies.last().expect("a call");
    assert!(last.starts_with(begin), "{last}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_accepted_version_comes_back_after_a_crash_and_not_after_an_orderly_end() {
    let endpoint = Recorder::start(|_| 200).await;
    let (rig, host) = running(&endpoint).await;
    rig.swap(&host, &component("per_record.wasm"), "generation=2 ");
    rig.swap(&host, b"no plugin", "is no WebAssembly file");
    host.signal(Signal::SIGKILL);
    host.finish();

    let after_crash = rig.start();
    after_crash.wait_for("the version that served before the crash comes back");
    calls_begin_with(&endpoint, '{').await;
    after_crash.signal(Signal::SIGTERM);
    let ended = after_crash.finish();
    let by_hand = rig.start().finish();

    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    assert_eq!(by_hand.code(), 3, "{}", by_hand.stderr);
    assert!(
        by_hand.stderr.contains("is no WebAssembly file"),
        "{}",
        by_hand.stderr
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_at_any_point_of_a_swap_leaves_a_host_that_starts() {
    for point in ["plugin.before-remember", "plugin.after-remember"] {
        let endpoint = Recorder::start(|_| 200).await;
        let rig = Rig::new(&endpoint.url(), STREAM, "", "");
        rig.put(&component("json_batch.wasm"));
        let mut command = rig.command();
        let host = Child::start(command.env("NOZZLE_FAIL_POINT", format!("{point}:1")));
        endpoint
            .until("the first call", |bodies| !bodies.is_empty())
            .await;

        rig.put(&component("per_record.wasm"));
        host.signal(Signal::SIGHUP);
        let crashed = host.finish();
        let again = rig.start();
        calls_begin_with(&endpoint, '{').await;
        again.signal(Signal::SIGTERM);
        let ended = again.finish();

        assert_eq!(crashed.code(), -1, "{point}: {}", crashed.stderr);
        assert_eq!(ended.code(), 0, "{point}: {}", ended.stderr);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_cannot_be_remembered_does_not_serve() {
    let endpoint = Recorder::start(|_| 200).await;
    let rig = Rig::new(&endpoint.url(), STREAM, "", "");
    rig.put(&component("json_batch.wasm"));
    // The faults look for their folder once, when the process starts.
    std::fs::create_dir_all(rig.path().join("state/plugins")).expect("made");
    let faults = OsFaults::new(&rig.path().join("state/plugins"));
    let mut command = rig.command();
    faults.preload(&mut command);
    let host = Child::start(&mut command);
    endpoint
        .until("the first call", |bodies| !bodies.is_empty())
        .await;
    faults.set(OsFault::DiskFull, true);

    rig.swap(
        &host,
        &component("per_record.wasm"),
        "could not be written to the state directory",
    );
    calls_begin_with(&endpoint, '[').await;
    faults.set(OsFault::DiskFull, false);
    rig.swap(
        &host,
        &version_of(&component("per_record.wasm"), 1),
        "was accepted",
    );
    calls_begin_with(&endpoint, '{').await;
    host.signal(Signal::SIGTERM);

    assert_eq!(host.finish().code(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_with_another_file_serves_that_file() {
    let endpoint = Recorder::start(|_| 200).await;
    let (rig, host) = running(&endpoint).await;
    host.signal(Signal::SIGTERM);
    host.finish();
    rig.put(&component("per_record.wasm"));

    let again = rig.start();
    calls_begin_with(&endpoint, '{').await;
    again.signal(Signal::SIGKILL);
    let ended = again.finish();

    assert!(!ended.stderr.contains("swapped in"), "{}", ended.stderr);
}
