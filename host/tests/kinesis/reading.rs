//! Reading: every record, both readers, two servers, aggregates, back-pressure.

use nix::sys::signal::Signal;
use nozzle_testkit::{Child, Fault, FaultLayer, Recorder, credentials, plugin};

use super::host::{Setup, all, assert_order, boto, complete, ids, kinesis_local, moto, nozzle};

const RECORDS: u64 = 400;

async fn reads_everything(kinesis: &str, stream: &str, reader: &[&str]) {
    let folder = tempfile::tempdir().expect("a folder");
    let mut boto = boto(kinesis);
    boto.create_stream(stream, 3);
    boto.put(stream, 0, RECORDS / 2, 7);
    let recorder = Recorder::start(|_| 200).await;
    let url = recorder.url();
    let setup = Setup {
        ingress: reader,
        sink: &["order: key"],
        ..Setup::new(kinesis, stream, &url)
    };

    let host = setup.start(folder.path());
    all(&recorder, RECORDS / 2).await;
    boto.put_aggregated(stream, RECORDS / 2, RECORDS * 3 / 4, 7);
    boto.put(stream, RECORDS * 3 / 4, RECORDS, 7);
    all(&recorder, RECORDS).await;
    host.signal(Signal::SIGTERM);
    let stopped = host.finish();
    let after_stop = recorder.accepted().len();
    let again = setup.start(folder.path());
    boto.put(stream, RECORDS, RECORDS + 10, 7);
    all(&recorder, RECORDS + 10).await;
    drop(again);

    assert_eq!(stopped.code(), 0, "{}", stopped.stderr);
    let bodies = recorder.accepted();
    assert_eq!(
        after_stop as u64, RECORDS,
        "nothing twice in a run without faults"
    );
    assert_eq!(
        bodies.len() as u64,
        RECORDS + 10,
        "a clean stop delivers nothing twice"
    );
    // An aggregate holds many keys in one shard: its keys have no order among shards.
    let plain: Vec<String> = bodies
        .into_iter()
        .filter(|body| ids(std::slice::from_ref(body))[0] < RECORDS / 2)
        .collect();
    assert_order(&plain, 7);
}

#[tokio::test(flavor = "multi_thread")]
async fn polling_delivers_every_record_of_kinesis_local() {
    reads_everything(kinesis_local(), "polling", &["start: earliest"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn polling_delivers_every_record_of_moto() {
    reads_everything(moto(), "polling", &["start: earliest"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn enhanced_fan_out_delivers_every_record() {
    let reader = [
        "start: earliest",
        "reader: enhanced-fan-out",
        "consumer: nozzle",
    ];
    reads_everything(kinesis_local(), "fan-out", &reader).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_that_breaks_off_is_renewed_where_it_was() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut boto = boto(kinesis_local());
    boto.create_stream("renewed", 1);
    boto.put("renewed", 0, 50, 3);
    let layer = FaultLayer::start(kinesis_local(), |call| match (call.name, call.number) {
        ("SubscribeToShard", 0) => Fault::CutAfter(2),
        ("SubscribeToShard", 1) => Fault::Refuse("ResourceInUseException"),
        _ => Fault::None,
    })
    .await;
    let recorder = Recorder::start(|_| 200).await;
    let (kinesis, url) = (layer.url(), recorder.url());
    let setup = Setup {
        ingress: &[
            "start: earliest",
            "reader: enhanced-fan-out",
            "consumer: nozzle",
        ],
        ..Setup::new(&kinesis, "renewed", &url)
    };

    let host = setup.start(folder.path());
    all(&recorder, 50).await;
    layer.called("SubscribeToShard", 3).await;
    boto.put("renewed", 50, 60, 3);
    all(&recorder, 60).await;
    drop(host);

    assert_eq!(recorder.accepted().len(), 60, "nothing is read twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn latest_begins_now_and_a_restart_before_any_record_loses_none() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut boto = boto(kinesis_local());
    boto.create_stream("latest", 2);
    boto.put("latest", 1_000, 1_050, 5);
    let recorder = Recorder::start(|_| 200).await;
    let url = recorder.url();
    let setup = Setup {
        ingress: &["start: latest"],
        ..Setup::new(kinesis_local(), "latest", &url)
    };

    let host = setup.start(folder.path());
    host.wait_for("reading a stream");
    host.signal(Signal::SIGKILL);
    host.finish();
    boto.put("latest", 0, 20, 5);
    let host = setup.start(folder.path());
    all(&recorder, 20).await;
    drop(host);

    assert!(
        complete(&recorder.accepted(), 20),
        "what was there before is not read"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shard_is_not_read_while_the_buffer_is_full() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut boto = boto(moto());
    boto.create_stream("full", 2);
    // More than the sink, its queue, and what is read ahead hold together.
    boto.put("full", 0, 8_000, 50);
    let layer = FaultLayer::start(moto(), |_| Fault::None).await;
    let recorder = Recorder::start(|_| 200).await;
    recorder.close();
    let (kinesis, url) = (layer.url(), recorder.url());
    let setup = Setup {
        sink: &[
            "buffer: { max-records: 100 }",
            "in-flight: { max-calls: 20 }",
            "timeout: { attempt: 1h, total: 2h }",
        ],
        ..Setup::new(&kinesis, "full", &url)
    };

    let host = setup.start(folder.path());
    recorder.held(20).await;
    // The client's calls are the clock: a shard that is read is read many times in the meantime.
    let mut before = u64::MAX;
    for _ in 0..100 {
        let reads = layer.calls("GetRecords");
        if reads == before {
            break;
        }
        before = reads;
        for _ in 0..100 {
            boto.open_shards("full");
        }
    }
    let stopped = layer.calls("GetRecords") == before;
    recorder.open();
    all(&recorder, 8_000).await;
    drop(host);

    assert!(stopped, "{before} reads, and no end");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_stuck_stops_no_other_shard() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut boto = boto(kinesis_local());
    boto.create_stream("stuck", 2);
    // Of these keys `k-3` alone is in the second shard; the endpoint takes nothing of the first.
    boto.put("stuck", 0, 600, 4);
    let recorder = Recorder::start(|body| if body.contains("k-3") { 200 } else { 500 }).await;
    let url = recorder.url();
    let setup = Setup {
        sink: &[
            "order: key",
            "buffer: { max-records: 60 }",
            "retry: { forever: true, initial-delay: 1ms, max-delay: 10ms }",
        ],
        ..Setup::new(kinesis_local(), "stuck", &url)
    };

    let host = setup.start(folder.path());
    recorder
        .until("all of the other shard", |bodies| bodies.len() >= 150)
        .await;
    drop(host);

    let second: Vec<u64> = (0..150).map(|n| 4 * n + 3).collect();
    assert_eq!(ids(&recorder.accepted()), second, "each once, in order");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_is_read_without_a_module_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut boto = boto(moto());
    boto.create_stream("flags", 2);
    boto.put("flags", 0, 30, 5);
    let recorder = Recorder::start(|_| 200).await;
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_nozzle"));
    command
        .current_dir(folder.path())
        .args([
            "run",
            "--kinesis",
            "flags",
            "--start",
            "earliest",
            "--max-wait",
            "10ms",
        ])
        .args(["--url", &recorder.url(), "--plugin"])
        .arg(plugin("per_record.wasm"))
        .env("AWS_ENDPOINT_URL_KINESIS", moto());
    credentials(&mut command);

    let host = Child::start(&mut command);
    all(&recorder, 30).await;
    host.signal(Signal::SIGTERM);
    let stopped = host.finish();
    let shown = nozzle(folder.path(), &["progress", "show"]);

    assert_eq!(stopped.code(), 0, "{}", stopped.stderr);
    assert_eq!(
        shown.stdout.matches("run/kinesis  shardId-").count(),
        2,
        "{}",
        shown.stdout
    );
}
