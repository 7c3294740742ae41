//! Swaps while the sink is busy.

use std::{
    io::{Read, Write},
    os::unix::net::UnixStream,
    sync::atomic::{AtomicUsize, Ordering::SeqCst},
    time::Duration,
};

use nix::sys::signal::Signal;
use nozzle_testkit::{DEADLINE, Recorder};

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

const INSTANCES: u64 = 2;

/// Waits until the host's metrics are so.
fn until_metrics(rig: &Rig, are_so: impl Fn(&str) -> bool) {
    let mut text = String::new();
    for _ in 0..DEADLINE.as_millis() / 20 {
        let mut stream = UnixStream::connect(rig.path().join("admin.sock")).expect("it listens");
        stream.set_read_timeout(Some(DEADLINE)).expect("set");
        stream
            .write_all(b"GET /metrics HTTP/1.1\r\nhost: any\r\nconnection: close\r\n\r\n")
            .expect("written");
        text.clear();
        stream.read_to_string(&mut text).expect("it answers");
        if are_so(&text) {
            return;
        }
        std::thread::park_timeout(Duration::from_millis(20));
    }
    panic!("{text}");
}

/// The one value of a metric.
fn metric(metrics: &str, name: &str) -> u64 {
    let lines = metrics.lines();
    let values = lines.filter_map(|line| line.strip_prefix(name)?.strip_prefix('{'));
    let mut value = values.filter_map(|rest| rest.split_once("} ")?.1.parse().ok());
    value.next_back().expect("it is there")
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_swaps_under_load_fail_no_call_and_lose_and_double_no_event() {
    let endpoint = Recorder::start(|_| 200).await;
    let rig = Rig::new(
        &endpoint.url(),
        "datagen: { rate: 2000, fields: { id: { sequence: {} } } }",
        &format!("instances: {INSTANCES}"),
        "",
    );
    let plugins = ["json_batch.wasm", "per_record.wasm"].map(component);
    rig.put(&plugins[0]);
    let host = rig.start();
    endpoint
        .until("the first call", |bodies| !bodies.is_empty())
        .await;

    // Between two versions, of which a new one takes the place of the older every now and then: all of a swap is done every time,
    // but for compiling what was just compiled.
    let mut versions = plugins.clone();
    let mut memory = 0;
    for swap in 1..=200_u8 {
        let kind = usize::from(swap) % 2;
        if swap == 1 || swap % 11 == 0 {
            versions[kind] = version_of(&plugins[kind], swap);
        }
        let generation = format!("generation={} ", u32::from(swap) + 1);
        rig.swap(&host, &versions[kind], &generation);
        if swap == 100 {
            memory = host.memory();
        }
    }
    let grown = host.memory().saturating_sub(memory);
    // The calls of the version before have ended, and it is gone with its instances.
    until_metrics(&rig, |metrics| {
        let versions = metric(metrics, "nozzle_plugin_versions");
        let instances = metric(metrics, "nozzle_plugin_instances");
        versions == 1 && (1..=INSTANCES).contains(&instances)
    });
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
    // 100 versions whose code and first instance stayed would hold ten times as much.
    assert!(grown < 8 << 20, "{grown} bytes more after 100 swaps");
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
