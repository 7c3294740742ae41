//! Reloads while endpoints fail at random.

use std::time::Duration;

use nozzle::endpoint::{Endpoint, EndpointOptions};
use nozzle_testkit::Recorder;

use super::{Rig, each_once, ids, module, sink, to, write_records};

const RECORDS: u64 = 20_000;

/// An endpoint that fails one call in ten, in ways that are tried again.
async fn failing(seed: u64) -> Endpoint {
    let options = EndpointOptions {
        statuses: vec![(503, 4.0), (500, 4.0)],
        resets: 2.0,
        latency: (Duration::from_millis(1), Duration::from_millis(8)),
        seed,
        ..EndpointOptions::default()
    };
    Endpoint::bind("127.0.0.1:0", options)
        .await
        .expect("a free port")
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_under_load_with_endpoints_that_fail_lose_nothing() {
    let (first, second) = (failing(1).await, failing(2).await);
    let steady = Recorder::start(|_| 200).await;
    let ingress = format!(
        "  - id: t/in\n    file: {{ path: in.ndjson }}\n{}",
        to("t/a, t/steady")
    );
    let with = |endpoint: &Endpoint, size: u64| {
        let url = format!("http://{}/", endpoint.address());
        let more = format!(
            "    batch: {{ max-records: {size}, max-wait: 10ms }}\n    in-flight: {{ max-calls: 4 }}\n    buffer: {{ max-records: {} }}\n    retry: {{ initial-delay: 5ms, max-delay: 50ms }}\n    status: {{ 500: retry }}\n",
            size * 20
        );
        let sinks = [
            sink("t/a", &url, &more),
            sink("t/steady", &steady.url(), ""),
        ];
        module(&ingress, &sinks, "")
    };
    let rig = Rig::new(&with(&first, 20));
    write_records(rig.path(), "in.ndjson", 0..RECORDS);
    let host = rig.start();
    let unique = || first.counts().unique + second.counts().unique;

    let mut reloads = 0;
    for round in 1..=12_u64 {
        let wanted = round * RECORDS / 16;
        let enough = async {
            while unique() < wanted {
                tokio::select! {
                    () = first.accepted(first.counts().unique + 1) => {}
                    () = second.accepted(second.counts().unique + 1) => {}
                }
            }
        };
        tokio::time::timeout(nozzle_testkit::DEADLINE, enough)
            .await
            .expect("events come");
        let endpoint = if round % 2 == 0 { &first } else { &second };
        rig.write(&with(endpoint, 20 + round));
        reloads += u64::from(rig.tell(&["reload"]).code() == 0);
    }
    let ended = host.finish();

    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    assert_eq!(reloads, 12, "{}", ended.stderr);
    assert!(
        ended.stderr.contains(" 0 dead-lettered"),
        "{}",
        ended.stderr
    );
    let (first, second) = (first.counts(), second.counts());
    let both = first.unique + second.unique;
    assert!(
        both >= RECORDS && ended.stderr.contains("20,000 delivered"),
        "{first:?} {second:?}: {}",
        ended.stderr
    );
    assert_eq!(each_once("the other sink", ids(&steady.accepted())), 20_000);
}
