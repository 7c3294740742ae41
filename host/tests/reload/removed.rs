//! What a removed sink still has.

use nix::sys::signal::Signal;
use nozzle_testkit::Recorder;

use super::{Rig, each_once, ids, module, nobody, sink, to, write_records};

#[tokio::test(flavor = "multi_thread")]
async fn what_a_removed_sink_cannot_deliver_is_in_its_dead_letters() {
    let fine = Recorder::start(|_| 200).await;
    let ingress = |names: &str| {
        format!(
            "  - id: t/in\n    file: {{ path: in.ndjson }}\n{}",
            to(names)
        )
    };
    let (a, b) = (sink("t/a", &fine.url(), ""), sink("t/b", &nobody(), ""));
    let rig = Rig::new(&module(&ingress("t/a, t/b"), &[a.clone(), b], ""));
    // More than the buffer of `t/b` holds: it is what `t/a` waits for.
    write_records(rig.path(), "in.ndjson", 0..15_000);
    let host = rig.start();
    host.wait_for("the endpoint is down");
    let full = |bodies: &[String]| ids(bodies).len() >= 10_000;
    fine.until("the records that fill the buffer of `t/b`", full)
        .await;

    rig.reload(
        &host,
        &module(&ingress("t/a"), &[a], ""),
        "sinks removed: t/b",
    );
    let ended = host.finish();

    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    assert_eq!(each_once("t/a", ids(&fine.accepted())), 15_000);
    let letters = std::fs::read_to_string(rig.path().join("state/dead-letters-t_b.ndjson"));
    let letters = letters.expect("there are some");
    let count = letters.lines().count();
    assert!((10_000..15_000).contains(&count), "{count}");
    let removed = letters.matches("\"cause\":\"sink-removed\"").count();
    assert_eq!(removed, count);
}

/// Records of a file, to `t/a` and, if it is there, to `t/b`, which makes two calls at a time; none of its calls is answered.
async fn held_by_a_second_sink(grace: &str) -> (Rig, nozzle_testkit::Child, String, [Recorder; 2]) {
    let (a, b) = (
        Recorder::start(|_| 200).await,
        Recorder::start(|_| 200).await,
    );
    b.close();
    let ingress = |names: &str| {
        format!(
            "  - id: t/in\n    file: {{ path: in.ndjson }}\n{}",
            to(names)
        )
    };
    let one = sink("t/a", &a.url(), "");
    let other = sink("t/b", &b.url(), "    in-flight: { max-calls: 2 }\n");
    let rig = Rig::new(&module(&ingress("t/a, t/b"), &[one.clone(), other], ""));
    write_records(rig.path(), "in.ndjson", 0..2_000);
    let host = rig.start_with(grace);
    a.until("all of them", |bodies| ids(bodies).len() == 2_000)
        .await;
    b.held(2).await;
    let without = module(&ingress("t/a"), &[one], "");
    (rig, host, without, [a, b])
}

fn letters_of(rig: &Rig, sink: &str) -> String {
    let path = rig
        .path()
        .join(format!("state/dead-letters-t_{sink}.ndjson"));
    std::fs::read_to_string(path).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_sink_delivers_what_it_has_although_the_host_stops() {
    let (rig, host, without, [_a, b]) = held_by_a_second_sink("60s").await;
    rig.reload(&host, &without, "sinks removed: t/b");

    host.signal(Signal::SIGTERM);
    host.wait_for("stopping: intake has ended");
    b.open();
    let ended = host.finish();

    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    assert_eq!(letters_of(&rig, "b").lines().count(), 0);
    assert_eq!(each_once("t/b", ids(&b.accepted())), 2_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_removed_sink_still_holds_when_the_grace_is_over_is_in_its_dead_letters() {
    let (rig, host, without, [_a, b]) = held_by_a_second_sink("1s").await;
    rig.reload(&host, &without, "sinks removed: t/b");

    host.signal(Signal::SIGTERM);
    let ended = host.finish();

    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    assert_eq!(b.accepted().len(), 0);
    let letters = letters_of(&rig, "b");
    let count = letters.matches("\"cause\":\"sink-removed\"").count();
    assert_eq!(
        (letters.lines().count(), count),
        (2_000, 2_000),
        "those of calls that hang, too: {}",
        ended.stderr
    );
}
