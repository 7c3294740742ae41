//! Versions that are tried beside the one that serves, swapped and rolled back by the command line.

use nix::sys::signal::Signal;
use nozzle_testkit::{Child, Ended, Recorder};
use serde_json::Value;

use super::{Rig, component, hostile, version_of};

const STREAM: &str =
    "datagen: { rate: 500, fields: { id: { sequence: {} }, name: { choice: [poison] } } }";

async fn running(endpoint: &Recorder, component: &[u8]) -> (Rig, Child) {
    let rig = Rig::new(&endpoint.url(), STREAM, "", "");
    rig.put(component);
    let host = rig.start();
    endpoint
        .until("the first call", |bodies| !bodies.is_empty())
        .await;
    (rig, host)
}

/// Writes a component beside the module's, and swaps to it.
fn swap(rig: &Rig, component: &[u8], flags: &[&str]) -> Ended {
    std::fs::write(rig.path().join("new.wasm"), component).expect("written");
    rig.plugin(&[&["swap", "t/sink", "new.wasm"], flags].concat())
}

fn plugin(rig: &Rig) -> Value {
    let listed = rig.plugin(&["list", "--json"]);
    assert_eq!(listed.code(), 0, "{}", listed.stderr);
    let list: Value = serde_json::from_str(&listed.stdout).expect("JSON");
    list["plugins"][0].clone()
}

/// Waits until the trial has come to its end; gives what it came to.
async fn trial_ended(rig: &Rig, endpoint: &Recorder) -> String {
    loop {
        let before = endpoint.accepted().len();
        if let Some(verdict) = plugin(rig)["last-trial"].as_str() {
            return verdict.to_owned();
        }
        endpoint
            .until("the trial goes on", |bodies| bodies.len() > before)
            .await;
    }
}

/// Ends the host; every event must have been delivered, each once.
fn delivered_all(host: Child, endpoint: &Recorder) -> String {
    host.signal(Signal::SIGTERM);
    let ended = host.finish();
    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    let mut ids: Vec<u64> = Vec::new();
    for body in endpoint.accepted() {
        let value: Value = serde_json::from_str(&body).expect("JSON");
        let id = |record: &Value| record["id"].as_u64().expect("a number");
        match value.as_array() {
            Some(records) => ids.extend(records.iter().map(id)),
            None => ids.push(id(&value)),
        }
    }
    ids.sort_unstable();
    assert!(
        ids.iter().copied().eq(0..ids.len() as u64),
        "{} events, not each once",
        ids.len()
    );
    ended.stderr
}

#[tokio::test(flavor = "multi_thread")]
async fn a_canary_that_does_well_serves() {
    let endpoint = Recorder::start(|_| 200).await;
    let (rig, host) = running(&endpoint, &component("json_batch.wasm")).await;

    let new = component("per_record.wasm");
    let swapped = swap(&rig, &new, &["--canary", "50%", "--batches", "12"]);
    let verdict = trial_ended(&rig, &endpoint).await;
    let after = plugin(&rig);
    let log = delivered_all(host, &endpoint);

    assert_eq!(swapped.code(), 0, "{}", swapped.stderr);
    assert!(
        swapped
            .stderr
            .contains("is tried on a share of the batches"),
        "{}",
        swapped.stderr
    );
    assert_eq!(verdict, "generation 2: it has done well, and serves");
    assert_eq!(after["serving"]["generation"], 2);
    assert_eq!(after["previous"]["generation"], 1);
    assert!(log.contains("the canary has done well"), "{log}");
    assert!(log.contains(" 0 dead-lettered"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_canary_that_fails_is_rolled_back_and_its_batches_are_delivered() {
    let endpoint = Recorder::start(|_| 200).await;
    // What the new version fails on does not come with the last batch only: it is not rehearsed on it.
    let (rig, host) = running(&endpoint, &hostile("{}")).await;
    let new = hostile("{\"handle\":\"panic\"}");

    let swapped = swap(&rig, &new, &["--canary", "30%", "--batches", "50"]);
    let verdict = trial_ended(&rig, &endpoint).await;
    let after = plugin(&rig);
    host.signal(Signal::SIGTERM);
    let ended = host.finish();

    assert_eq!(swapped.code(), 0, "{}", swapped.stderr);
    assert!(
        verdict.starts_with("generation 2: rolled back: it fails on "),
        "{verdict}"
    );
    assert_eq!(after["serving"]["generation"], 1);
    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    assert!(
        ended.stderr.contains("the canary is rolled back"),
        "{}",
        ended.stderr
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_is_compared_sends_nothing() {
    let endpoint = Recorder::start(|_| 200).await;
    let (rig, host) = running(&endpoint, &component("json_batch.wasm")).await;

    let same = version_of(&component("json_batch.wasm"), 1);
    swap(&rig, &same, &["--shadow", "--batches", "5"]);
    let alike = trial_ended(&rig, &endpoint).await;
    let other = swap(
        &rig,
        &component("per_record.wasm"),
        &["--shadow", "--batches", "5"],
    );
    let differs = trial_ended(&rig, &endpoint).await;
    let serving = plugin(&rig)["serving"]["generation"].clone();
    delivered_all(host, &endpoint);

    assert!(
        other.stderr.contains("it differs from the one before:"),
        "{}",
        other.stderr
    );
    assert_eq!(
        alike,
        "generation 2: compared over 5 batches: 0 differ; first: none differs"
    );
    assert!(
        differs.starts_with("generation 3: compared over 5 batches: 5 differ; first: "),
        "{differs}"
    );
    assert_eq!(serving, 1);
    assert!(endpoint.accepted().iter().all(|body| body.starts_with('[')));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_is_rolled_back_and_stays_so_over_a_restart() {
    let endpoint = Recorder::start(|_| 200).await;
    let (rig, host) = running(&endpoint, &component("json_batch.wasm")).await;

    let first = rig.plugin(&["rollback", "t/sink"]);
    swap(&rig, &component("per_record.wasm"), &[]);
    let unchanged = swap(&rig, &component("per_record.wasm"), &[]);
    let back = rig.plugin(&["rollback", "t/sink"]);
    let forth = rig.plugin(&["rollback", "t/sink"]);
    delivered_all(host, &endpoint);
    let again = rig.start();
    again.wait_for("a version that was swapped in serves");
    let calls = endpoint.accepted().len();
    endpoint
        .until("another call", |bodies| bodies.len() > calls)
        .await;
    let serving = plugin(&rig);
    again.signal(Signal::SIGTERM);
    again.finish();

    assert_eq!(first.code(), 2, "{}", first.stderr);
    assert!(
        first.stderr.contains("has had no version before this one"),
        "{}",
        first.stderr
    );
    assert!(
        unchanged
            .stderr
            .contains("has this version already: generation 2"),
        "{}",
        unchanged.stderr
    );
    assert!(
        back.stderr.contains("is served by generation 3"),
        "{}",
        back.stderr
    );
    assert!(
        forth.stderr.contains("is served by generation 4"),
        "{}",
        forth.stderr
    );
    assert_eq!(serving["serving"]["generation"], 4);
    assert!(
        endpoint
            .accepted()
            .last()
            .is_some_and(|body| body.starts_with('{'))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_swapped_in_is_told_to_whoever_asks() {
    let endpoint = Recorder::start(|_| 200).await;
    let (rig, host) = running(&endpoint, &component("json_batch.wasm")).await;

    let bad = swap(&rig, b"no plugin", &[]);
    let missing = rig.plugin(&["swap", "t/sink", "missing.wasm"]);
    let other = rig.plugin(&["swap", "t/other"]);
    delivered_all(host, &endpoint);
    let nobody = rig.plugin(&["list"]);

    for (ended, code, words) in [
        (&bad, 2, "is no WebAssembly file"),
        (&bad, 2, "hint: a plugin is a WebAssembly component"),
        (&missing, 3, "could not read the plugin `missing.wasm`"),
        (&other, 2, "no sink is called `t/other`"),
        (&nobody, 2, "no host answers on `unix:admin.sock`"),
    ] {
        assert_eq!(ended.code(), code, "{}", ended.stderr);
        assert!(ended.stderr.contains(words), "{words}: {}", ended.stderr);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_done_by_hand_holds_until_the_file_changes() {
    let endpoint = Recorder::start(|_| 200).await;
    let (rig, host) = running(&endpoint, &component("json_batch.wasm")).await;
    let new = version_of(&component("per_record.wasm"), 1);

    swap(&rig, &component("per_record.wasm"), &[]);
    let not_tried = swap(&rig, &new, &["--batches", "5"]);
    swap(&rig, &new, &["--canary", "1%", "--batches", "1000000"]);
    let back = rig.plugin(&["rollback", "t/sink"]);
    let listed = plugin(&rig);
    // The module's file, which has not changed.
    rig.put(&component("json_batch.wasm"));
    host.signal(Signal::SIGHUP);
    let of_the_module = rig.plugin(&["swap", "t/sink"]);
    let wrong = swap(&rig, b"no plugin", &[]);
    delivered_all(host, &endpoint);
    // What the state directory keeps is not needed where the file is the same.
    let kept = rig.path().join("state/plugins/t/sink");
    for entry in std::fs::read_dir(kept).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path
            .extension()
            .is_some_and(|extension| extension == "wasm")
        {
            std::fs::remove_file(path).expect("removed");
        }
    }
    let again = rig.start();
    let calls = endpoint.accepted().len();
    endpoint
        .until("another call", |bodies| bodies.len() > calls)
        .await;
    again.signal(Signal::SIGTERM);
    again.finish();

    assert_eq!(not_tried.code(), 2, "{}", not_tried.stderr);
    let gone = "the version that was tried has gone: `t/sink` is served by generation 2";
    assert!(back.stderr.contains(gone), "{}", back.stderr);
    assert_eq!(listed["serving"]["generation"], 2);
    assert_eq!(
        listed["last-trial"],
        "generation 3: it was ended by a rollback"
    );
    let served = "`t/sink` is served by generation 4, ";
    assert!(
        of_the_module.stderr.contains(served),
        "{}",
        of_the_module.stderr
    );
    let refused = "`new.wasm` is no WebAssembly file";
    assert!(wrong.stderr.contains(refused), "{}", wrong.stderr);
}
