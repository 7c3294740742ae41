//! Crashes, stops and failures in the middle of a reload.

use nix::sys::signal::Signal;
use nozzle_testkit::{Child, Recorder};

use super::{
    Rig, STREAM, each_once, get, ids, ingresses::number, module, nobody, sink, to, until,
    write_records,
};

const RECORDS: u64 = 40_000;

/// Two files and two sinks; what is read of the second file, and where `t/a` sends to, is the caller's.
fn text(second: &str, a: &Recorder, b: &Recorder, names: &str) -> String {
    let ingresses = format!(
        "  - id: t/in\n    file: {{ path: in.ndjson }}\n{}  - id: t/more\n    file: {{ path: {second} }}\n{}",
        to(names),
        to("t/a")
    );
    let sinks = [sink("t/a", &a.url(), ""), sink("t/b", &b.url(), "")];
    module(&ingresses, &sinks, "")
}

#[track_caller]
fn all_came(what: &str, bodies: &[String], all: std::ops::Range<u64>) {
    let mut came = ids(bodies);
    came.sort_unstable();
    came.dedup();
    let missing = all.filter(|id| came.binary_search(id).is_err()).count();
    assert_eq!(missing, 0, "{what}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_at_any_point_of_a_reload_loses_nothing() {
    for point in ["reload.stopped", "reload.retired", "reload.begun"] {
        let endpoints = [(); 3].map(|()| Recorder::start(|_| 200));
        let [old, new, b] = endpoints;
        let (old, new, b) = (old.await, new.await, b.await);
        let rig = Rig::new(&text("one.ndjson", &old, &b, "t/a, t/b"));
        write_records(rig.path(), "in.ndjson", 0..RECORDS);
        write_records(rig.path(), "one.ndjson", RECORDS..RECORDS + 50);
        write_records(rig.path(), "two.ndjson", RECORDS + 50..RECORDS + 100);
        let mut command = rig.command();
        let host = Child::start(command.env("NOZZLE_FAIL_POINT", format!("{point}:1")));
        old.until("some", |bodies| bodies.len() > 20).await;

        rig.write(&text("two.ndjson", &new, &b, "t/b, t/a"));
        host.signal(Signal::SIGHUP);
        let crashed = host.finish();
        let last = rig.start().finish();

        assert_eq!(crashed.code(), -1, "{point}: {}", crashed.stderr);
        assert_eq!(last.code(), 0, "{point}: {}", last.stderr);
        let a = [old.accepted(), new.accepted()].concat();
        all_came(&format!("{point}: t/a"), &a, 0..RECORDS);
        let second = RECORDS + 50..RECORDS + 100;
        all_came(&format!("{point}: the other file"), &a, second);
        all_came(&format!("{point}: t/b"), &b.accepted(), 0..RECORDS);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_in_the_middle_of_a_reload_is_an_orderly_end() {
    let (old, new, b) = (
        Recorder::start(|_| 200).await,
        Recorder::start(|_| 200).await,
        Recorder::start(|_| 200).await,
    );
    let rig = Rig::new(&text("one.ndjson", &old, &b, "t/a, t/b"));
    write_records(rig.path(), "in.ndjson", 0..RECORDS);
    write_records(rig.path(), "one.ndjson", 0..1);
    let host = rig.start();
    old.until("some", |bodies| bodies.len() > 20).await;
    // Calls that do not end keep the sink from handing over.
    old.close();
    old.held(1).await;

    rig.write(&text("one.ndjson", &new, &b, "t/a, t/b"));
    host.signal(Signal::SIGHUP);
    host.wait_for("makes room");
    host.signal(Signal::SIGTERM);
    old.open();
    let ended = host.finish();
    let last = rig.start().finish();

    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    assert_eq!(last.code(), 0, "{}", last.stderr);
    let a = [old.accepted(), new.accepted()].concat();
    all_came("t/a", &a, 0..RECORDS);
    all_came("t/b", &b.accepted(), 0..RECORDS);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_settled_behind_a_stop_in_the_middle_of_a_reload_does_not_come_again() {
    let endpoint = Recorder::start(|_| 200).await;
    // Calls that do not end keep the ingress from being opened anew.
    endpoint.close();
    let patient = "    timeout: { attempt: 300s }\n";
    // The same file by another name of it.
    let with = |path: &str| {
        let ingress = format!("  - id: t/in\n    file: {{ path: {path} }}\n{}", to("t/a"));
        module(&ingress, &[sink("t/a", &endpoint.url(), patient)], "")
    };
    let rig = Rig::new(&with("in.ndjson"));
    // More than the sink's buffer holds: the next start reads on.
    write_records(rig.path(), "in.ndjson", 0..15_000);
    let host = rig.start_with("300s");
    endpoint.held(1).await;

    rig.write(&with("./in.ndjson"));
    host.signal(Signal::SIGHUP);
    host.wait_for("the ingress is opened anew when what it has read is settled");
    host.signal(Signal::SIGTERM);
    host.wait_for("stopping: intake has ended");
    endpoint.open();
    let ended = host.finish();
    let delivered = ids(&endpoint.accepted()).len();
    let last = rig.start().finish();

    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    assert_eq!(last.code(), 0, "{}", last.stderr);
    assert!((1..15_000).contains(&delivered), "{delivered}");
    assert_eq!(each_once("all", ids(&endpoint.accepted())), 15_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sink_that_halts_in_the_middle_of_a_reload_stops_the_intake_at_once() {
    let refuses = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let refused = std::sync::Arc::clone(&refuses);
    let held = Recorder::start(|_| 200).await;
    let halts =
        Recorder::start(
            move |_| match refused.load(std::sync::atomic::Ordering::Relaxed) {
                true => 401,
                false => 200,
            },
        )
        .await;
    let with = |size: u8| {
        let batch = format!(
            "    batch: {{ max-records: {size}, max-wait: 10ms }}\n    timeout: {{ attempt: 300s }}\n"
        );
        let sinks = [
            sink("t/a", &held.url(), &batch),
            sink("t/b", &halts.url(), "    status: { 401: halt }\n"),
        ];
        let other = STREAM.replace("t/in", "t/other");
        let ingresses = format!("{STREAM}{}{other}{}", to("t/a"), to("t/b"));
        module(&ingresses, &sinks, "")
    };
    let rig = Rig::new(&with(20));
    let host = rig.start_with("300s");
    halts.until("calls", |bodies| bodies.len() > 2).await;
    // Calls that do not end keep the sink from handing over.
    held.close();
    held.held(1).await;

    rig.write(&with(19));
    host.signal(Signal::SIGHUP);
    host.wait_for("makes room");
    refuses.store(true, std::sync::atomic::Ordering::Relaxed);
    until("the intake has stopped", || {
        get(&rig, "/ready").contains("draining")
    })
    .await;
    held.open();
    let ended = host.finish();

    assert_eq!(ended.code(), 5, "{}", ended.stderr);
    assert!(
        ended.stderr.contains("the policy says `halt`"),
        "{}",
        ended.stderr
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_that_fails_on_the_way_leaves_no_event_of_a_removed_sink_without_an_end() {
    let endpoint = Recorder::start(|_| 200).await;
    let with = |names: &str, more: &[String], egress: &str| {
        let ingress = format!(
            "  - id: t/in\n    file: {{ path: in.ndjson }}\n{}",
            to(names)
        );
        let letters = "    dead-letters: t/dead\n";
        let sinks = [&[sink("t/a", &endpoint.url(), letters)], more].concat();
        let egress = format!("{{ path: letters/dead.ndjson{egress} }}");
        let egresses = format!("egresses: [{{ id: t/dead, file: {egress} }}]\n");
        module(&ingress, &sinks, &egresses)
    };
    let rig = Rig::new(&with("t/a, t/b", &[sink("t/b", &nobody(), "")], ""));
    write_records(rig.path(), "in.ndjson", 0..1_000);
    let host = rig.start_with("1s");
    endpoint
        .until("the file", |bodies| ids(bodies).len() == 1_000)
        .await;
    host.wait_for("the endpoint is down");

    // It is to be opened when nobody writes to it any more, and cannot be.
    let folder = rig.path().join("letters");
    std::fs::remove_dir_all(&folder).expect("it is there");
    std::fs::write(&folder, "no folder").expect("written");
    rig.write(&with("t/a", &[], ", max-bytes: 1MiB"));
    host.signal(Signal::SIGHUP);
    let ended = host.finish();

    assert_eq!(ended.code(), 5, "{}", ended.stderr);
    let why = "the reload could not be completed: egress `t/dead` cannot be written";
    assert!(ended.stderr.contains(why), "{}", ended.stderr);
    let letters = std::fs::read_to_string(rig.path().join("state/dead-letters-t_b.ndjson"));
    let letters = letters.expect("there are some");
    let numbers = letters.lines().map(number).collect();
    assert_eq!(each_once("letters", numbers), 1_000);
}
