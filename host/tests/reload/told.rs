//! Sinks that are told to pause and to go on, before, in and after a reload.

use nix::sys::signal::Signal;
use nozzle_testkit::Recorder;

use super::{Rig, STREAM, each_once, ids, module, nobody, sink, to, write_records};

#[tokio::test(flavor = "multi_thread")]
async fn a_sink_that_is_paused_stays_so_when_it_changes() {
    let endpoint = Recorder::start(|_| 200).await;
    let with = |more: &str| {
        let sinks = [sink("t/a", &endpoint.url(), more)];
        module(&format!("{STREAM}{}", to("t/a")), &sinks, "")
    };
    let rig = Rig::new(&with(""));
    let host = rig.start();
    endpoint.until("a call", |bodies| !bodies.is_empty()).await;
    let paused = rig.tell(&["pause", "t/a"]);
    assert_eq!(paused.code(), 0, "{}", paused.stderr);

    rig.reload(
        &host,
        &with("    batch: { max-records: 3, max-wait: 1s }\n"),
        "sinks started anew: t/a",
    );
    let sinks = rig.tell(&["sinks"]);
    let while_paused = endpoint.accepted().len();
    let resumed = rig.tell(&["resume", "t/a"]);
    endpoint
        .until("calls", |bodies| bodies.len() > while_paused + 5)
        .await;
    host.signal(Signal::SIGTERM);
    let ended = host.finish();

    assert!(sinks.stdout.contains("paused"), "{}", sinks.stdout);
    assert_eq!(resumed.code(), 0, "{}", resumed.stderr);
    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    each_once("all", ids(&endpoint.accepted()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sink_that_has_handed_over_is_paused_at_once_although_others_make_room_yet() {
    let (right, held) = (
        Recorder::start(|_| 200).await,
        Recorder::start(|_| 200).await,
    );
    held.close();
    let with = |url: &str, size: u8| {
        let slow = format!(
            "    batch: {{ max-records: {size}, max-wait: 10ms }}\n    timeout: {{ attempt: 300s }}\n"
        );
        let sinks = [sink("t/a", url, ""), sink("t/b", &held.url(), &slow)];
        let file = format!(
            "  - id: t/file\n    file: {{ path: in.ndjson }}\n{}",
            to("t/a")
        );
        module(&format!("{STREAM}{}{file}", to("t/b")), &sinks, "")
    };
    let rig = Rig::new(&with(&nobody(), 20));
    write_records(rig.path(), "in.ndjson", 0..1_000);
    let host = rig.start_with("300s");
    host.wait_for("the endpoint is down");
    held.held(1).await;

    rig.write(&with(&right.url(), 19));
    host.signal(Signal::SIGHUP);
    // Not the other one, whose calls do not end.
    host.wait_for("the sink hands over");
    let paused = rig.tell(&["pause", "t/a"]);
    held.open();
    host.wait_for("sinks started anew: t/a, t/b");
    let (while_paused, others) = (right.accepted().len(), held.accepted().len());
    held.until("calls beside it", |bodies| bodies.len() > others + 5)
        .await;
    let after = right.accepted().len();
    let resumed = rig.tell(&["resume", "t/a"]);
    right
        .until("the file", |bodies| ids(bodies).len() == 1_000)
        .await;
    host.signal(Signal::SIGTERM);
    let ended = host.finish();

    assert_eq!(paused.code(), 0, "{}", paused.stderr);
    let said = "`t/a` is paused: 0 calls in flight, ";
    assert!(paused.stderr.starts_with(said), "{}", paused.stderr);
    assert!(!paused.stderr.contains(" 0 events"), "{}", paused.stderr);
    assert_eq!((while_paused, after), (0, 0));
    assert_eq!(resumed.code(), 0, "{}", resumed.stderr);
    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    each_once("the file", ids(&right.accepted()));
    each_once("the stream", ids(&held.accepted()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sink_that_was_started_anew_can_be_told_before_the_reload_is_done() {
    let (quick, held) = (
        Recorder::start(|_| 200).await,
        Recorder::start(|_| 200).await,
    );
    held.close();
    let with = |size: u8, file: &str| {
        let batch = format!("    batch: {{ max-records: {size}, max-wait: 10ms }}\n");
        let sinks = [
            sink("t/a", &quick.url(), &batch),
            sink(
                "t/b",
                &held.url(),
                "    timeout: { attempt: 300s }\n    buffer: { max-records: 50 }\n",
            ),
        ];
        let ingresses = format!(
            "{STREAM}{}  - id: t/file\n    file: {{ path: {file} }}\n{}",
            to("t/a"),
            to("t/b")
        );
        module(&ingresses, &sinks, "")
    };
    let rig = Rig::new(&with(20, "one.ndjson"));
    write_records(rig.path(), "one.ndjson", 0..1_000);
    write_records(rig.path(), "two.ndjson", 1_000..1_100);
    let host = rig.start_with("300s");
    held.held(1).await;
    quick.until("a call", |bodies| !bodies.is_empty()).await;

    let before = quick.accepted().len();
    rig.write(&with(3, "two.ndjson"));
    host.signal(Signal::SIGHUP);
    quick
        .until("calls of the next incarnation", |bodies| {
            let small = |body: &String| ids(std::slice::from_ref(body)).len() <= 3;
            bodies.len() > before + 5 && bodies.iter().rev().take(5).all(small)
        })
        .await;
    // The file waits for what was read of the one before.
    let paused = rig.tell(&["pause", "t/a"]);
    let while_paused = quick.accepted().len();
    held.open();
    host.wait_for("sinks started anew: t/a");
    let sinks = rig.tell(&["sinks"]);
    let after = quick.accepted().len();
    let resumed = rig.tell(&["resume", "t/a"]);
    quick
        .until("calls", |bodies| bodies.len() > after + 5)
        .await;
    held.until("the other file", |bodies| ids(bodies).contains(&1_099))
        .await;
    host.signal(Signal::SIGTERM);
    let ended = host.finish();

    assert_eq!(paused.code(), 0, "{}", paused.stderr);
    assert!(sinks.stdout.contains("paused"), "{}", sinks.stdout);
    // Calls that were under way when it was paused.
    assert!(after - while_paused <= 50, "{while_paused} {after}");
    assert_eq!(resumed.code(), 0, "{}", resumed.stderr);
    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    each_once("all", ids(&quick.accepted()));
    let files = ids(&held.accepted());
    let second = files.into_iter().filter(|id| *id >= 1_000).collect();
    assert_eq!(each_once("the other file", second), 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_sink_holds_no_host_up_that_is_told_to_end_in_a_reload() {
    let (quick, held) = (
        Recorder::start(|_| 200).await,
        Recorder::start(|_| 200).await,
    );
    held.close();
    let with = |size: u8| {
        let slow = format!(
            "    batch: {{ max-records: {size}, max-wait: 10ms }}\n    timeout: {{ attempt: 300s }}\n"
        );
        let sinks = [
            sink("t/a", &quick.url(), ""),
            sink("t/b", &held.url(), &slow),
        ];
        module(&format!("{STREAM}{}", to("t/a, t/b")), &sinks, "")
    };
    let rig = Rig::new(&with(20));
    let host = rig.start_with("300s");
    held.held(1).await;
    let paused = rig.tell(&["pause", "t/a"]);

    rig.write(&with(19));
    host.signal(Signal::SIGHUP);
    host.wait_for("the sink delivers what it has, and makes room");
    host.signal(Signal::SIGTERM);
    host.wait_for("the reload that is under way comes to its end first");
    held.open();
    // Long before the grace period is over, or this gives up.
    let ended = host.finish();

    assert_eq!(paused.code(), 0, "{}", paused.stderr);
    assert_eq!(ended.code(), 5, "{}", ended.stderr);
}
