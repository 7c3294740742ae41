//! Swaps while the sink is busy.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use nix::sys::signal::Signal;
use nozzle_testkit::Recorder;

use super::{Rig, component, version_of};

/// The ids that a body holds: of one record, or of a list of them.
fn ids(body: &str) -> Vec<u64> {
    let value: serde_json::Value = serde_json::from_str(body).expect("JSON");
    let id = |record: &serde_json::Value| record["id"].as_u64().expect("a number");
    match value.as_array() {
        Some(records) => records.iter().map(id).collect(),
        None => vec![id(&value)],
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_swaps_under_load_fail_no_call_and_lose_and_double_no_event() {
    let endpoint = Recorder::start(|_| 200).await;
    let rig = Rig::new(
        &endpoint.url(),
        "datagen: { rate: 2000, fields: { id: { sequence: {} } } }",
        "",
        "",
    );
    let plugins = ["json_batch.wasm", "per_record.wasm"].map(component);
    rig.put(&plugins[0]);
    let host = rig.start();
    endpoint
        .until("the first call", |bodies| !bodies.is_empty())
        .await;

    // Each has a digest of its own: every time all of a swap is done.
    let mut memory = 0;
    for swap in 1..=200_u8 {
        let plugin = &plugins[usize::from(swap) % 2];
        let generation = format!("generation={} ", u32::from(swap) + 1);
        rig.swap(&host, &version_of(plugin, swap), &generation);
        if swap == 20 {
            memory = host.memory();
        }
    }
    let grown = host.memory().saturating_sub(memory);
    host.signal(Signal::SIGTERM);
    let ended = host.finish();

    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    let bodies = endpoint.accepted();
    let mut delivered: Vec<u64> = bodies.iter().flat_map(|body| ids(body)).collect();
    delivered.sort_unstable();
    let all: Vec<u64> = (0..delivered.len() as u64).collect();
    assert!(
        delivered == all,
        "{} events, not each once",
        delivered.len()
    );
    let lists = bodies.iter().filter(|body| body.starts_with('[')).count();
    assert!(
        lists > 20 && bodies.len() - lists > 20,
        "{lists} of {}",
        bodies.len()
    );
    for word in [" 0 retried", "0 dead-lettered"] {
        assert!(ended.stderr.contains(word), "{word}: {}", ended.stderr);
    }
    assert!(!ended.stderr.contains("refused"), "{}", ended.stderr);
    assert!(grown < 32 << 20, "{grown} bytes more after 180 swaps");
    // The version that serves and the one before it.
    let kept = |folder: &str| {
        let path = rig.path().join("state").join(folder);
        std::fs::read_dir(path).expect("a folder").count()
    };
    assert_eq!(kept("cache"), 2);
    assert_eq!(kept("plugins/t/sink"), 3, "with their record");
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_in_flight_are_judged_by_the_version_that_shaped_them() {
    // The version that serves first retries what it handles; the one after it delivers all.
    let answered = AtomicUsize::new(0);
    let endpoint = Recorder::start(move |_| {
        answered.fetch_add(1, SeqCst);
        200
    })
    .await;
    let rig = Rig::new(
        &endpoint.url(),
        "file: { path: in.ndjson }",
        "",
        "    retry: { strategy: fixed, initial-delay: 10ms, max-attempts: 3 }\n",
    );
    super::write_records(rig.path(), 20);
    rig.put(&super::hostile("{\"handle\":\"panic\"}"));
    endpoint.close();
    let host = rig.start();
    endpoint.held(1).await;

    rig.swap(&host, &component("json_batch.wasm"), "generation=2 ");
    endpoint.open();
    let ended = host.finish();

    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    // Its handler failed on the answer, and the events were shaped again: by the new version, which takes a 200 for what it is.
    assert!(
        ended.stderr.contains("the plugin failed on an outcome"),
        "{}",
        ended.stderr
    );
    assert!(ended.stderr.contains("20 delivered"), "{}", ended.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_file_serves_without_anything_else() {
    let endpoint = Recorder::start(|_| 200).await;
    let rig = Rig::new(
        &endpoint.url(),
        "datagen: { rate: 200, fields: { id: { sequence: {} } } }",
        "",
        "",
    );
    rig.put(&component("json_batch.wasm"));
    let host = rig.start();
    endpoint
        .until("the first call", |bodies| !bodies.is_empty())
        .await;

    rig.put(&component("per_record.wasm"));

    endpoint
        .until("a call of the new version", |bodies| {
            bodies.last().is_some_and(|body| body.starts_with('{'))
        })
        .await;
    host.wait_for("a new version of the plugin was accepted");
    host.signal(Signal::SIGTERM);
    assert_eq!(host.finish().code(), 0);
}
