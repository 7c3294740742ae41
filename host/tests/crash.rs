//! Kills, signals and outages, against the real binary and a real endpoint: nothing is lost.

use std::{path::Path, process::Command, time::Duration};

use nix::sys::signal::Signal;
use nozzle::endpoint::{Endpoint, EndpointOptions};
use nozzle_testkit::{Child, plugin};

const RECORDS: u64 = 4_000;

fn start(folder: &Path, address: &str, extra: &[&str]) -> Child {
    let plugin = plugin("per_record.wasm");
    let mut command = Command::new(env!("CARGO_BIN_EXE_nozzle"));
    command
        .current_dir(folder)
        .arg("run")
        .arg("--plugin")
        .arg(plugin);
    command.args([
        "--url",
        &format!("http://{address}/"),
        "--file",
        "in.ndjson",
        "--max-records",
        "50",
    ]);
    Child::start(
        command
            .args(["--max-calls", "8", "--dead-letters", "dead.ndjson"])
            .args(extra),
    )
}

fn write_records(folder: &Path, count: u64) {
    let lines: String = (0..count)
        .map(|id| format!("{{\"id\":{id},\"text\":\"a record\"}}\n"))
        .collect();
    std::fs::write(folder.join("in.ndjson"), lines).expect("written");
}

async fn endpoint(options: EndpointOptions) -> Endpoint {
    Endpoint::bind("127.0.0.1:0", options)
        .await
        .expect("a free port")
}

/// Waits, within a deadline, until the endpoint has accepted so many different records.
async fn accepted(endpoint: &Endpoint, wanted: u64) {
    let waited = tokio::time::timeout(nozzle_testkit::DEADLINE, endpoint.accepted(wanted)).await;
    assert!(
        waited.is_ok(),
        "only {} of {wanted} came",
        endpoint.counts().unique
    );
}

fn slow() -> EndpointOptions {
    let latency = (Duration::from_millis(1), Duration::from_millis(6));
    EndpointOptions {
        latency,
        statuses: vec![(503, 5.0), (500, 3.0)],
        resets: 2.0,
        ..EndpointOptions::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn promise_1_nothing_is_lost_over_kills() {
    let folder = tempfile::tempdir().expect("a folder");
    write_records(folder.path(), RECORDS);
    let endpoint = endpoint(slow()).await;
    let address = endpoint.address().to_string();

    for kill in 1..=3 {
        let child = start(folder.path(), &address, &[]);
        accepted(&endpoint, kill * RECORDS / 5).await;
        child.signal(Signal::SIGKILL);
        child.finish();
    }
    let last = start(folder.path(), &address, &[]).finish();

    assert_eq!(last.code(), 0, "{}", last.stderr);
    let counts = endpoint.counts();
    let dead = std::fs::read_to_string(folder.path().join("dead.ndjson")).unwrap_or_default();
    assert_eq!(
        counts.unique, RECORDS,
        "of {counts:?}; dead letters: {dead}"
    );
    assert!(
        last.stderr.contains("going on from stored progress"),
        "{}",
        last.stderr
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn promise_7_it_stops_cleanly_and_goes_on_where_it_stopped() {
    let folder = tempfile::tempdir().expect("a folder");
    // More than the buffer holds: what was taken in is delivered before the end.
    let records = 16_000;
    write_records(folder.path(), records);
    let latency = (Duration::ZERO, Duration::from_millis(1));
    let endpoint = endpoint(EndpointOptions {
        latency,
        ..EndpointOptions::default()
    })
    .await;
    let address = endpoint.address().to_string();

    let child = start(folder.path(), &address, &[]);
    accepted(&endpoint, 1_000).await;
    child.signal(Signal::SIGTERM);
    let stopped = child.finish();
    let after_stop = endpoint.counts();
    let last = start(folder.path(), &address, &[]).finish();

    assert_eq!(stopped.code(), 0, "{}", stopped.stderr);
    assert!(after_stop.unique < records, "it was stopped in the middle");
    assert_eq!(last.code(), 0, "{}", last.stderr);
    let counts = endpoint.counts();
    assert_eq!(
        (counts.unique, counts.duplicates),
        (records, 0),
        "a clean stop delivers nothing twice"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn promise_7_a_second_signal_exits_at_once_and_loses_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    write_records(folder.path(), 200);
    // Nobody answers: every call would wait for its timeout.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a free port");
    let address = silent.local_addr().expect("an address").to_string();
    let child = start(
        folder.path(),
        &address,
        &["--max-wait", "10ms", "--grace", "10min"],
    );
    let held = silent.accept().await.expect("a call comes");

    child.signal(Signal::SIGTERM);
    child.wait_for("stopping: intake has ended");
    child.signal(Signal::SIGINT);
    let stopped = child.finish();
    drop((held, silent));
    let endpoint = endpoint(EndpointOptions::default()).await;
    let last = start(folder.path(), &endpoint.address().to_string(), &[]).finish();

    assert_eq!(stopped.code(), 5, "{}", stopped.stderr);
    assert_eq!(last.code(), 0, "{}", last.stderr);
    assert_eq!(endpoint.counts().unique, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_of_the_three_plugins_accounts_for_every_record() {
    let folder = tempfile::tempdir().expect("a folder");
    write_records(folder.path(), 2_000);
    for name in ["json_batch.wasm", "per_record.wasm", "bulk.wasm"] {
        let statuses = vec![(503, 8.0), (429, 4.0), (400, 1.0)];
        let options = EndpointOptions {
            statuses,
            item_failures: 3.0,
            resets: 2.0,
            ..EndpointOptions::default()
        };
        let endpoint = endpoint(options).await;
        let mut command = Command::new(env!("CARGO_BIN_EXE_nozzle"));
        command
            .current_dir(folder.path())
            .arg("run")
            .arg("--plugin")
            .arg(plugin(name));
        command.args([
            "--url",
            &format!("http://{}/", endpoint.address()),
            "--file",
            "in.ndjson",
        ]);
        command.args([
            "--max-records",
            "50",
            "--dead-letters",
            &format!("{name}.dead"),
            "--state-dir",
            name,
        ]);

        let ended = Child::start(&mut command).finish();

        assert_eq!(ended.code(), 0, "{name}: {}", ended.stderr);
        let dead =
            std::fs::read_to_string(folder.path().join(format!("{name}.dead"))).expect("letters");
        let dead = dead.lines().count() as u64;
        assert!(dead > 0, "{name}: the shares were on");
        assert_eq!(
            endpoint.counts().unique + dead,
            2_000,
            "{name}: {}",
            ended.stderr
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn promise_4_the_key_is_the_hosts_and_a_wrong_one_is_never_silent() {
    let folder = tempfile::tempdir().expect("a folder");
    write_records(folder.path(), 100);
    let options = EndpointOptions {
        api_key: Some("right".to_owned()),
        ..EndpointOptions::default()
    };
    let endpoint = endpoint(options).await;
    let address = endpoint.address().to_string();

    let right = start(
        folder.path(),
        &address,
        &["--state-dir", "a", "--auth-header", "x-api-key: right"],
    )
    .finish();
    let accepted = endpoint.counts().unique;
    let wrong = start(
        folder.path(),
        &address,
        &["--state-dir", "b", "--auth-header", "x-api-key: wrong"],
    )
    .finish();

    assert_eq!((right.code(), wrong.code(), accepted), (0, 0, 100));
    let dead = std::fs::read_to_string(folder.path().join("dead.ndjson")).expect("letters");
    assert_eq!(
        dead.lines()
            .filter(|line| line.contains("\"last-status\":401"))
            .count(),
        100
    );
}
