//! Shards that split and merge while they are read.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU8, Ordering::SeqCst},
};

use nozzle_testkit::{Child, Fault, FaultLayer, Recorder};
use serde_json::json;

use super::host::{Setup, all, assert_order, boto, ids, kinesis_local};

const KEYS: u64 = 12;

async fn follows_a_split_and_a_merge(stream: &str, reader: &[&str]) {
    let folder = tempfile::tempdir().expect("a folder");
    let mut boto = boto(kinesis_local());
    boto.create_stream(stream, 2);
    boto.put(stream, 0, 480, KEYS);
    // The parent has records left when its children are found: read too early, theirs would overtake them.
    let recorder = Recorder::start(|_| 200).await;
    recorder.close();
    let url = recorder.url();
    let setup = Setup {
        ingress: reader,
        sink: &["order: key", "buffer: { max-records: 24 }"],
        ..Setup::new(kinesis_local(), stream, &url)
    };

    let host = setup.start(folder.path());
    recorder.held(1).await;
    let shards = boto.open_shards(stream);
    boto.split(stream, &shards[0]);
    boto.put(stream, 480, 600, KEYS);
    recorder.open();
    host.wait_for("a shard is read to its end");
    let mut shards = boto.open_shards(stream);
    shards.sort_by_key(|(_, from, _)| *from);
    boto.merge(stream, &shards[1].0, &shards[2].0);
    boto.put(stream, 600, 720, KEYS);
    all(&recorder, 720).await;
    drop(host);

    let bodies = recorder.accepted();
    assert_order(&bodies, KEYS);
    assert_eq!(bodies.len(), 720, "nothing is read twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_split_and_a_merge_in_the_middle_of_a_run_keep_every_key_in_order() {
    follows_a_split_and_a_merge("reshard-polling", &["start: earliest"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn enhanced_fan_out_follows_a_split_and_a_merge() {
    let reader = [
        "start: earliest",
        "reader: enhanced-fan-out",
        "consumer: nozzle",
    ];
    follows_a_split_and_a_merge("reshard-fan-out", &reader).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reshard_while_the_host_is_down_is_found_and_followed() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut boto = boto(kinesis_local());
    boto.create_stream("meanwhile", 1);
    let recorder = Recorder::start(|_| 200).await;
    let url = recorder.url();
    let setup = Setup {
        ingress: &["start: latest"],
        sink: &["order: key"],
        ..Setup::new(kinesis_local(), "meanwhile", &url)
    };

    let host = setup.start(folder.path());
    host.wait_for("reading a stream");
    host.signal(nix::sys::signal::Signal::SIGTERM);
    host.finish();
    boto.put("meanwhile", 0, 60, KEYS);
    let shards = boto.open_shards("meanwhile");
    boto.split("meanwhile", &shards[0]);
    boto.put("meanwhile", 60, 120, KEYS);
    let host = setup.start(folder.path());
    all(&recorder, 120).await;
    drop(host);

    let bodies = recorder.accepted();
    assert_order(&bodies, KEYS);
    assert_eq!(bodies.len(), 120);
}

/// Nothing of a shard may be settled when its children are read already: progress must know of it all the same, or the next
/// start takes it for one that ended before the ingress was there.
async fn a_shard_is_known_before_its_children(stream: &str, reader: &[&str]) {
    let folder = tempfile::tempdir().expect("a folder");
    let mut boto = boto(kinesis_local());
    boto.create_stream(stream, 1);
    let is_stuck = Arc::new(AtomicBool::new(true));
    let stuck = Arc::clone(&is_stuck);
    let recorder = Recorder::start(move |body| {
        let is_first = (60..72).contains(&ids(&[body.to_owned()])[0]);
        match is_first && stuck.load(SeqCst) {
            true => 500,
            false => 200,
        }
    })
    .await;
    let url = recorder.url();
    let setup = Setup {
        ingress: reader,
        sink: &["retry: { max-attempts: 1000000, initial-delay: 1s, max-delay: 1s }"],
        ..Setup::new(kinesis_local(), stream, &url)
    };
    boto.put(stream, 0, 60, KEYS);

    let host = Child::start(setup.command(folder.path()).args(["--grace", "100ms"]));
    all(&recorder, 60).await;
    let shards = boto.open_shards(stream);
    boto.split(stream, &shards[0]);
    boto.put(stream, 60, 120, KEYS);
    for shard in boto.open_shards(stream) {
        boto.split(stream, &shard);
    }
    boto.put(stream, 120, 180, KEYS);
    recorder
        .until("the grandchildren's", |bodies| {
            ids(bodies).iter().filter(|id| **id >= 120).count() == 60
        })
        .await;
    host.signal(nix::sys::signal::Signal::SIGTERM);
    let ended = host.finish();
    is_stuck.store(false, SeqCst);
    let host = setup.start(folder.path());
    all(&recorder, 180).await;
    drop(host);

    assert_eq!(ended.code(), 5, "{}", ended.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shard_with_nothing_settled_is_read_again_though_its_children_are_stored() {
    a_shard_is_known_before_its_children("known-polling", &["start: earliest"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn so_it_is_with_enhanced_fan_out() {
    let reader = [
        "start: earliest",
        "reader: enhanced-fan-out",
        "consumer: nozzle",
    ];
    a_shard_is_known_before_its_children("known-fan-out", &reader).await;
}

/// The last records of a closed shard grow older than the stream keeps any, while the host runs.
#[tokio::test(flavor = "multi_thread")]
async fn a_shard_that_the_stream_has_no_more_is_a_loss_and_its_children_are_read() {
    const IS_THERE: u8 = 0;
    const AGES: u8 = 1;
    const GONE: u8 = 2;
    const PARENT: &str = "shardId-000000000000";
    let folder = tempfile::tempdir().expect("a folder");
    let mut boto = boto(kinesis_local());
    boto.create_stream("aged", 1);
    boto.put("aged", 0, 60, KEYS);
    let state = Arc::new(AtomicU8::new(IS_THERE));
    let rules = Arc::clone(&state);
    let layer = FaultLayer::start(kinesis_local(), move |call| {
        match (rules.load(SeqCst), call.name) {
            (AGES, "GetRecords") => Fault::Refuse("ExpiredIteratorException"),
            (AGES | GONE, "GetShardIterator") if call.body["ShardId"] == PARENT => {
                rules.store(GONE, SeqCst);
                Fault::Refuse("ResourceNotFoundException")
            }
            (GONE, "ListShards") => Fault::Answer(children(PARENT)),
            _ => Fault::None,
        }
    })
    .await;
    let recorder = Recorder::start(|_| 200).await;
    let (kinesis, url) = (layer.url(), recorder.url());
    let setup = Setup::new(&kinesis, "aged", &url);

    let host = setup.start(folder.path());
    all(&recorder, 60).await;
    state.store(AGES, SeqCst);
    let shards = boto.open_shards("aged");
    boto.split("aged", &shards[0]);
    boto.put("aged", 60, 120, KEYS);
    let said = host.wait_for("records may be lost: the stream gave up the shard");
    all(&recorder, 120).await;
    drop(host);

    assert!(said.contains("shard=shardId-000000000000"), "{said}");
    assert_eq!(recorder.accepted().len(), 120, "nothing is read twice");
}

/// What `ListShards` says of two shards that one was split into, and which it does not list any more.
fn children(parent: &str) -> serde_json::Value {
    let child = |number: u8| {
        json!({
            "ShardId": format!("shardId-00000000000{number}"),
            "ParentShardId": parent,
            "HashKeyRange": { "StartingHashKey": "0", "EndingHashKey": "1" },
            "SequenceNumberRange": { "StartingSequenceNumber": "1" },
        })
    };
    json!({ "Shards": [child(1), child(2)] })
}
