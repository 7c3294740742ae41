//! Shards that split and merge while they are read.

use nozzle_testkit::Recorder;

use super::host::{Setup, all, assert_order, boto, kinesis_local};

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
