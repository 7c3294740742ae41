//! Progress: kills, aggregates that are half delivered, two hosts on one table, and `nozzle progress`.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use nix::sys::signal::Signal;
use nozzle_testkit::{Boto, Recorder};
use serde_json::{Value, json};

use super::host::{Setup, all, boto, kinesis_local, moto, nozzle};

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_in_the_middle_and_a_restart_lose_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut boto = boto(kinesis_local());
    boto.create_stream("killed", 3);
    boto.put("killed", 0, 500, 30);
    boto.put_aggregated("killed", 500, 560, 30);
    let recorder = Recorder::start(|_| 200).await;
    let url = recorder.url();
    let setup = Setup {
        sink: &["in-flight: { max-calls: 3 }", "buffer: { max-records: 50 }"],
        more: &["progress: { interval: 20ms }"],
        ..Setup::new(kinesis_local(), "killed", &url)
    };

    for kill in 1..=4 {
        let host = setup.start(folder.path());
        recorder
            .until("a part", |bodies| bodies.len() > kill * 100)
            .await;
        host.signal(Signal::SIGKILL);
        host.finish();
    }
    let host = setup.start(folder.path());
    all(&recorder, 560).await;
    drop(host);

    let twice = recorder.accepted().len() - 560;
    assert!(
        twice < 560,
        "progress was stored: {twice} delivered twice over four kills"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_aggregate_that_is_partly_delivered_goes_on_behind_its_settled_records() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut boto = boto(kinesis_local());
    boto.create_stream("partly", 1);
    boto.put("partly", 0, 2, 1);
    let sequence = boto.put_aggregated("partly", 2, 12, 1);
    boto.put("partly", 12, 14, 1);
    // The seventh user record is refused for as long as the gate is shut.
    let open = Arc::new(AtomicBool::new(false));
    let refused = tokio::sync::watch::Sender::new(0_u32);
    let (gate, counted) = (Arc::clone(&open), refused.clone());
    let recorder = Recorder::start(move |body| {
        if !body.contains("\"id\": 8,") || gate.load(Ordering::Relaxed) {
            return 200;
        }
        counted.send_modify(|count| *count += 1);
        503
    })
    .await;
    let url = recorder.url();
    let setup = Setup {
        sink: &["retry: { forever: true, initial-delay: 20ms, max-delay: 100ms }"],
        more: &["progress: { interval: 20ms }"],
        ..Setup::new(kinesis_local(), "partly", &url)
    };

    let host = setup.start(folder.path());
    recorder
        .until("all but one", |bodies| bodies.len() >= 13)
        .await;
    // What was accepted is settled by the time that the refused record has been tried some times more.
    let tried = *refused.borrow();
    let more = refused
        .subscribe()
        .wait_for(|count| *count >= tried + 8)
        .await
        .is_ok();
    host.signal(Signal::SIGTERM);
    host.wait_for("stopping: intake has ended");
    host.signal(Signal::SIGTERM);
    let stopped = host.finish();
    let exported = nozzle(folder.path(), &["progress", "export", "module.yaml"]);
    open.store(true, Ordering::Relaxed);
    let before = recorder.accepted().len();
    let host = setup.start(folder.path());
    all(&recorder, 14).await;
    recorder
        .until("the rest again", |bodies| bodies.len() >= before + 6)
        .await;
    drop(host);

    assert!(more);
    assert_eq!(stopped.code(), 5, "{}", stopped.stderr);
    let exported: Value = serde_json::from_str(&exported.stdout).expect("JSON");
    let record = &exported[0]["position"]["shard"]["record"];
    assert_eq!(
        (record["sequence"].as_str(), record["sub"].as_u64()),
        (Some(&*sequence), Some(5)),
        "{exported}"
    );
    assert_eq!(
        recorder.accepted().len(),
        13 + 6,
        "records 8 to 13, and none before them"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_hosts_on_one_table_the_newer_goes_on_and_the_older_stops() {
    let (first, second) = (
        tempfile::tempdir().expect("a folder"),
        tempfile::tempdir().expect("a folder"),
    );
    let mut boto = Boto::start(&[("kinesis", kinesis_local()), ("dynamodb", moto())]);
    boto.create_stream("moved", 2);
    boto.put("moved", 0, 200, 10);
    let recorder = Recorder::start(|_| 200).await;
    let url = recorder.url();
    let table = format!(
        "progress: {{ interval: 20ms, dynamodb: {{ table: moved, endpoint-url: \"{}\" }} }}",
        moto()
    );
    let setup = Setup {
        more: &[&table],
        ..Setup::new(kinesis_local(), "moved", &url)
    };

    let older = setup.start(first.path());
    all(&recorder, 200).await;
    let newer = setup.start(second.path());
    newer.wait_for("reading a stream");
    boto.put("moved", 200, 400, 10);
    let stopped = older.finish();
    all(&recorder, 400).await;
    newer.signal(Signal::SIGTERM);
    let done = newer.finish();
    let shown = nozzle(second.path(), &["progress", "show", "module.yaml"]);
    let before = recorder.accepted().len();
    let third = setup.start(first.path());
    boto.put("moved", 400, 410, 10);
    all(&recorder, 410).await;
    drop(third);

    assert_eq!(stopped.code(), 4, "{}", stopped.stderr);
    assert!(
        stopped
            .stderr
            .contains("another host has taken over the ingress `t/in`"),
        "{}",
        stopped.stderr
    );
    assert_eq!(done.code(), 0, "{}", done.stderr);
    assert_eq!(
        shown.stdout.matches("shardId-").count(),
        2,
        "{}",
        shown.stdout
    );
    assert_eq!(
        recorder.accepted().len(),
        before + 10,
        "the third goes on where the second stopped"
    );
    let item = json!({ "TableName": "moved", "Key": { "ingress": { "S": "t/in" }, "partition": { "S": "#owner" } } });
    let owner = boto
        .try_call("dynamodb", "get_item", item)
        .expect("an item");
    assert_eq!(owner["Item"]["generation"]["N"], "3");
}

#[tokio::test(flavor = "multi_thread")]
async fn progress_is_shown_exported_and_reset() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut boto = boto(kinesis_local());
    boto.create_stream("shown", 1);
    boto.put("shown", 0, 10, 1);
    let recorder = Recorder::start(|_| 200).await;
    let url = recorder.url();
    let setup = Setup::new(kinesis_local(), "shown", &url);
    let host = setup.start(folder.path());
    all(&recorder, 10).await;
    let busy = nozzle(folder.path(), &["progress", "show", "module.yaml"]);
    host.signal(Signal::SIGTERM);
    assert_eq!(host.finish().code(), 0);

    let shown = nozzle(folder.path(), &["progress", "show", "module.yaml"]);
    let wrong = nozzle(
        folder.path(),
        &["progress", "reset", "module.yaml", "--ingress", "t/out"],
    );
    let reset = nozzle(
        folder.path(),
        &["progress", "reset", "module.yaml", "--ingress", "t/in"],
    );
    let after = nozzle(folder.path(), &["progress", "export", "module.yaml"]);
    let host = setup.start(folder.path());
    recorder
        .until("all again", |bodies| bodies.len() == 20)
        .await;
    host.signal(Signal::SIGTERM);
    assert_eq!(host.finish().code(), 0);
    let of_one = ["--ingress", "t/in", "--partition", "shardId-000000000000"];
    let args = [&["progress", "reset", "module.yaml"][..], &of_one].concat();
    let one = nozzle(folder.path(), &args);
    let host = setup.start(folder.path());
    recorder
        .until("its shard once more", |bodies| bodies.len() == 30)
        .await;
    drop(host);

    assert_eq!(busy.code(), 4);
    assert!(
        busy.stderr.contains("is in use by process"),
        "{}",
        busy.stderr
    );
    let line = shown.stdout.lines().nth(1).expect("a row");
    assert!(
        line.starts_with("t/in     shardId-000000000000  49"),
        "{}",
        shown.stdout
    );
    assert_eq!(wrong.code(), 2);
    assert!(
        wrong.stderr.contains("there is no ingress `t/out`"),
        "{}",
        wrong.stderr
    );
    assert!(
        reset.stderr.contains("forgot the progress of 1 partitions"),
        "{}",
        reset.stderr
    );
    assert_eq!(after.stdout.trim(), "[]");
    let expected = "`shardId-000000000000` of `t/in` is read from its first record";
    assert!(one.stderr.contains(expected), "{}", one.stderr);
}
