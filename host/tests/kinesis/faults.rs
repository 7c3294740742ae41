//! The service refuses, throttles, forgets iterators, and loses its stream.

use nozzle_testkit::{Fault, FaultLayer, Recorder};
use serde_json::json;

use super::host::{Setup, all, boto, kinesis_local};

#[tokio::test(flavor = "multi_thread")]
async fn a_quarter_of_the_calls_throttled_or_failing_loses_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut boto = boto(kinesis_local());
    boto.create_stream("quarter", 3);
    boto.put("quarter", 0, 600, 20);
    let layer = FaultLayer::start(kinesis_local(), |call| {
        match (call.number % 8, call.number % 3) {
            (0, _) => Fault::Refuse("ProvisionedThroughputExceededException"),
            (3, 0) => Fault::Broken,
            (3, 1) => Fault::Cut,
            (3, _) => Fault::Refuse("InternalFailure"),
            _ => Fault::None,
        }
    })
    .await;
    let recorder = Recorder::start(|_| 200).await;
    let (kinesis, url) = (layer.url(), recorder.url());
    let setup = Setup::new(&kinesis, "quarter", &url);

    let host = setup.start(folder.path());
    all(&recorder, 600).await;
    boto.put("quarter", 600, 700, 20);
    all(&recorder, 700).await;
    drop(host);

    assert!(layer.calls("GetRecords") > 8);
    assert_eq!(
        recorder.accepted().len(),
        700,
        "a failed read is made again, not its records"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_iterator_that_expires_while_the_endpoint_is_down_is_renewed() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut boto = boto(kinesis_local());
    boto.create_stream("expired", 1);
    boto.put("expired", 0, 300, 20);
    // The endpoint is down for some calls; the iterators of the reads behind them have expired.
    let layer = FaultLayer::start(kinesis_local(), |call| match (call.name, call.number) {
        ("GetRecords", 2 | 3 | 7) => Fault::Refuse("ExpiredIteratorException"),
        _ => Fault::None,
    })
    .await;
    let recorder = Recorder::start(|_| 200).await;
    recorder.close();
    let (kinesis, url) = (layer.url(), recorder.url());
    let setup = Setup {
        sink: &["buffer: { max-records: 60 }", "in-flight: { max-calls: 4 }"],
        ..Setup::new(&kinesis, "expired", &url)
    };

    let host = setup.start(folder.path());
    recorder.held(4).await;
    recorder.open();
    all(&recorder, 300).await;
    layer.called("GetRecords", 9).await;
    boto.put("expired", 300, 320, 20);
    all(&recorder, 320).await;
    drop(host);

    assert!(layer.calls("GetShardIterator") >= 4);
    assert_eq!(
        recorder.accepted().len(),
        320,
        "the record that a new iterator begins at is not delivered again"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_deleted_under_the_host_ends_it_with_what_was_read_delivered() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut boto = boto(kinesis_local());
    boto.create_stream("deleted", 1);
    boto.put("deleted", 0, 480, 5);
    let recorder = Recorder::start(|_| 200).await;
    recorder.close();
    let url = recorder.url();
    let setup = Setup {
        sink: &["buffer: { max-records: 24 }"],
        ..Setup::new(kinesis_local(), "deleted", &url)
    };

    // All is read at once, and most of it waits for the sink.
    let host = setup.start(folder.path());
    recorder.held(1).await;
    boto.kinesis("delete_stream", json!({ "StreamName": "deleted" }));
    host.wait_for("the stream cannot be read; trying on");
    recorder.open();
    let ended = host.finish();

    assert_eq!(ended.code(), 4, "{}", ended.stderr);
    assert!(
        ended
            .stderr
            .contains("the stream was deleted while it was read"),
        "{}",
        ended.stderr
    );
    assert!(
        ended.stderr.contains("480 read = 480 delivered"),
        "{}",
        ended.stderr
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn records_that_were_trimmed_before_they_were_read_are_a_loss_with_its_range() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut boto = boto(kinesis_local());
    boto.create_stream("trimmed", 1);
    boto.put("trimmed", 0, 5, 5);
    let recorder = Recorder::start(|_| 200).await;
    let url = recorder.url();
    let host = Setup::new(kinesis_local(), "trimmed", &url).start(folder.path());
    all(&recorder, 5).await;
    host.signal(nix::sys::signal::Signal::SIGTERM);
    assert_eq!(host.finish().code(), 0);
    // The oldest record that is left is another than the one that progress names.
    let left = json!({
        "Records": [{ "SequenceNumber": "99", "PartitionKey": "k", "Data": "eyJpZCI6NX0=", "ApproximateArrivalTimestamp": 1_790_000_000.5 }],
        "MillisBehindLatest": 0,
    });
    let layer = FaultLayer::start(kinesis_local(), move |call| match call.name {
        "GetRecords" => Fault::Answer(left.clone()),
        _ => Fault::None,
    })
    .await;
    let kinesis = layer.url();

    let host = Setup::new(&kinesis, "trimmed", &url).start(folder.path());
    let said = host.wait_for("records may be lost");
    all(&recorder, 6).await;
    drop(host);

    let line = said
        .lines()
        .find(|line| line.contains("records may be lost"))
        .expect("the line");
    assert!(
        line.contains("before=99") && line.contains("before_arrived=2026-09-21T14:13:20.500Z"),
        "{line}"
    );
    assert!(
        line.contains("after=") && line.contains("shard=shardId-000000000000"),
        "{line}"
    );
}
