//! Dead letters that go to another sink: it settles them, or nobody does.

use std::path::Path;

use nix::sys::signal::Signal;
use nozzle_testkit::Recorder;

use super::{counts, done, end, letters, module, nozzle, sink, write_records};

const ROUTERS: &str = "    routers: [{ to: [t/first] }]\n";
const FAILED: &str = "  - { id: t/failed, file: { path: failed.ndjson } }\n";

/// The number of a record.
fn id(body: &str) -> u64 {
    let digits: String = body.chars().filter(char::is_ascii_digit).collect();
    digits.parse().unwrap_or(0)
}

fn two_sinks(folder: &Path, first: &str, second: &str, rest: &str) {
    let sinks = [
        sink("t/first", first, "{data}", "    dead-letters: t/second\n"),
        sink(
            "t/second",
            second,
            "{data} {attribute:nozzle.cause} {attribute:nozzle.sink} {attribute:nozzle.last-status}",
            rest,
        ),
    ];
    module(folder, ROUTERS, &sinks, FAILED);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_event_is_with_one_of_the_sinks_or_a_letter_of_the_last_over_kills() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let records = 3_000;
    write_records(folder, records);
    // Each third is refused by the first, and each ninth by the second, too.
    let first = Recorder::start(|body| if id(body).is_multiple_of(3) { 400 } else { 200 }).await;
    let second = Recorder::start(|body| {
        let data = body.split(' ').next().unwrap_or_default();
        if id(data).is_multiple_of(9) { 422 } else { 200 }
    })
    .await;
    // A small buffer: the first sink must wait for the second.
    let rest = "    buffer: { max-records: 60 }\n    in-flight: { max-calls: 2 }\n    dead-letters: t/failed\n";
    two_sinks(folder, &first.url(), &second.url(), rest);

    for kill in 1..=4_usize {
        let child = nozzle(folder, &["run", "module.yaml"]);
        let wanted = kill * 120;
        second
            .until("before the kill", |bodies| counts(bodies).len() >= wanted)
            .await;
        end(child, kill == 4);
    }
    let last = done(folder, &["run", "module.yaml"]);

    assert!(
        last.stderr.contains("dead letters go to another sink"),
        "{}",
        last.stderr
    );
    let (first, second) = (first.accepted(), second.accepted());
    let numbers = |which: fn(u64) -> bool| (0..records).filter(|id| which(*id)).collect::<Vec<_>>();
    let of_first: Vec<u64> = sorted(first.iter().map(|body| id(body)));
    assert_eq!(of_first, numbers(|id| id % 3 != 0));
    let of_second: Vec<u64> = sorted(
        second
            .iter()
            .map(|body| id(body.split(' ').next().expect("a part"))),
    );
    assert_eq!(of_second, numbers(|id| id % 3 == 0 && id % 9 != 0));
    assert!(
        second
            .iter()
            .all(|body| body.ends_with("} status t/first 400")),
        "{:?}",
        second.first()
    );
    let letters = letters(&folder.join("failed.ndjson"));
    let dead = letters
        .iter()
        .map(|letter| id(letter["event"]["data"].as_str().expect("a text")));
    assert_eq!(sorted(dead), numbers(|id| id % 9 == 0));
    assert!(
        letters
            .iter()
            .all(|letter| letter["sink"] == "t/second" && letter["ingress"] == "t/in")
    );
}

fn sorted(numbers: impl Iterator<Item = u64>) -> Vec<u64> {
    let all: std::collections::BTreeSet<u64> = numbers.collect();
    all.into_iter().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn when_the_second_sink_halts_the_first_stops_and_progress_stays_in_front() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    write_records(folder, 10);
    let first = Recorder::start(|body| if id(body) == 4 { 400 } else { 200 }).await;
    let second = Recorder::start(|_| 401).await;
    two_sinks(
        folder,
        &first.url(),
        &second.url(),
        "    status: { 401: halt }\n",
    );

    let halted = nozzle(folder, &["run", "module.yaml"]).finish();
    let healed = Recorder::start(|_| 200).await;
    two_sinks(folder, &first.url(), &healed.url(), "");
    done(folder, &["run", "module.yaml"]);

    assert_eq!(halted.code(), 5, "{}", halted.stderr);
    assert!(
        halted.stderr.contains("sink `t/second` halted"),
        "{}",
        halted.stderr
    );
    assert_eq!(healed.accepted(), ["{\"id\":4} status t/first 400"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_sink_that_is_down_holds_the_first_and_its_ingress() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    write_records(folder, 2_000);
    let first = Recorder::start(|_| 400).await;
    let second = Recorder::start(|_| 200).await;
    second.close();
    let sinks = [
        sink(
            "t/first",
            &first.url(),
            "{data}",
            "    dead-letters: t/second\n    buffer: { max-records: 100 }\n",
        ),
        sink(
            "t/second",
            &second.url(),
            "{data}",
            "    buffer: { max-records: 100 }\n    timeout: { attempt: 1min }\n",
        ),
    ];
    module(folder, ROUTERS, &sinks, "");
    let child = nozzle(folder, &["run", "module.yaml", "--grace", "0s"]);
    second.held(1).await;

    child.signal(Signal::SIGTERM);
    let stopped = child.finish();
    second.open();
    done(folder, &["run", "module.yaml"]);

    assert_eq!(stopped.code(), 5, "{}", stopped.stderr);
    // No more than the first sink's buffer holds, and what waits in front of it.
    let unsettled = stopped
        .stderr
        .split("stopped with ")
        .nth(1)
        .and_then(|rest| rest.split(' ').next());
    let unsettled: u64 = unsettled
        .and_then(|number| number.parse().ok())
        .expect("a number");
    assert!((1..=200).contains(&unsettled), "{}", stopped.stderr);
    assert_eq!(counts(&second.accepted()).len(), 2_000);
}
