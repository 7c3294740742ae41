//! `nozzle replay`: what was given up on is delivered again, as it was, and none is lost when it is interrupted.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
};

use nozzle_testkit::Recorder;

use super::{counts, done, end, letters, module, nozzle, sink, write_records};

/// Everything of an event that a call can show.
const BODY: &str = "{id}|{timestamp-ms}|{data}";

const ROUTERS: &str = "    routers: [{ to: [t/sink] }]\n";
const FAILED: &str = "  - { id: t/failed, file: { path: failed.ndjson } }\n";

/// Its own dead letters go to a file of their own.
const REPLAY: [&str; 6] = [
    "replay",
    "failed.ndjson",
    "--module",
    "module.yaml",
    "--dead-letters",
    "again.ndjson",
];

/// An endpoint that refuses everything until it is healed.
async fn endpoint() -> (Recorder, Arc<AtomicBool>) {
    let healed = Arc::new(AtomicBool::new(false));
    let is_healed = Arc::clone(&healed);
    let recorder = Recorder::start(move |_| if is_healed.load(SeqCst) { 200 } else { 400 }).await;
    (recorder, healed)
}

fn modules(folder: &Path, url: &str, rest: &str) {
    let rest = format!("    dead-letters: t/failed\n{rest}");
    module(folder, ROUTERS, &[sink("t/sink", url, BODY, &rest)], FAILED);
}

/// Lets the host give up on `count` events; gives the letters' bodies, as their calls were.
fn give_up(folder: &Path, count: u64) -> Vec<String> {
    write_records(folder, count);
    done(folder, &["run", "module.yaml"]);
    let letters = letters(&folder.join("failed.ndjson"));
    assert_eq!(letters.len() as u64, count);
    let text = |letter: &serde_json::Value| {
        let event = &letter["event"];
        let [id, data] = ["id", "data"].map(|key| event[key].as_str().expect("a text").to_owned());
        format!("{id}|{}|{data}", event["timestamp-ms"])
    };
    letters.iter().map(text).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn events_come_back_as_they_were_and_only_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let (endpoint, healed) = endpoint().await;
    modules(folder, &endpoint.url(), "");
    let mut given_up = give_up(folder, 200);
    healed.store(true, SeqCst);

    let dry = done(folder, &[&REPLAY[..], &["--dry-run"]].concat());
    let after_dry = endpoint.accepted().len();
    let first = done(folder, &REPLAY);
    let mut accepted = endpoint.accepted();
    let second = done(folder, &REPLAY);
    let after_second = endpoint.accepted().len();
    let again = done(folder, &[&REPLAY[..], &["--again"]].concat());

    assert!(
        dry.stdout.contains("  status     400    200  "),
        "{}",
        dry.stdout
    );
    assert!(
        dry.stderr
            .contains("200 dead letters would be sent to `t/sink`"),
        "{}",
        dry.stderr
    );
    assert_eq!(after_dry, 0, "a dry run sends nothing");
    assert!(
        first.stderr.contains("200 dead letters read"),
        "{}",
        first.stderr
    );
    given_up.sort();
    accepted.sort();
    assert_eq!(accepted, given_up);
    assert!(
        second.stderr.contains("nothing was left to read"),
        "{}",
        second.stderr
    );
    assert_eq!(after_second, 200);
    assert_eq!(endpoint.accepted().len(), 400, "{}", again.stderr);
    assert!(letters(&folder.join("again.ndjson")).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_that_is_killed_goes_on_and_loses_none() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let (endpoint, healed) = endpoint().await;
    // One call at a time, so that what was sent and not settled is little.
    modules(
        folder,
        &endpoint.url(),
        "    in-flight: { max-calls: 1 }\n    buffer: { max-records: 100 }\n",
    );
    let records = 4_000;
    let mut given_up = give_up(folder, records);
    healed.store(true, SeqCst);

    for kill in 1..=4_usize {
        let child = nozzle(folder, &REPLAY);
        let wanted = kill * 500;
        endpoint
            .until("before the kill", |bodies| counts(bodies).len() >= wanted)
            .await;
        end(child, kill == 4);
    }
    let last = done(folder, &REPLAY);

    let accepted = endpoint.accepted();
    let counts = counts(&accepted);
    given_up.sort();
    assert_eq!(counts.into_keys().collect::<Vec<_>>(), given_up);
    assert!(
        last.stderr
            .contains("going on behind what was replayed before"),
        "{}",
        last.stderr
    );
    let twice = accepted.len() as u64 - records;
    assert!(
        twice < records / 2,
        "{twice} were sent twice: it began at the front"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_again_is_a_dead_letter_of_the_same_event() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let (endpoint, _) = endpoint().await;
    modules(folder, &endpoint.url(), "");
    write_records(folder, 20);
    // One that is no text comes back as every other.
    let mut records = std::fs::read(folder.join("in.ndjson")).expect("readable");
    records.extend_from_slice(b"\xff\x00 no text\n");
    std::fs::write(folder.join("in.ndjson"), records).expect("written");
    done(folder, &["run", "module.yaml"]);
    let replay = ["replay", "failed.ndjson", "--module", "module.yaml"];

    let own = nozzle(folder, &replay).finish();
    let piped = nozzle(folder, &["replay", "-", "--module", "module.yaml"]).finish();
    done(
        folder,
        &[&replay[..], &["--dead-letters", "again.ndjson"]].concat(),
    );

    assert_eq!(own.code(), 2, "{}", own.stderr);
    assert!(
        own.stderr
            .contains("is written by the egress `t/failed`: the replay would read what it writes"),
        "{}",
        own.stderr
    );
    assert!(
        own.stderr.contains("hint: pass --dead-letters PATH"),
        "{}",
        own.stderr
    );
    assert_eq!(piped.code(), 4, "{}", piped.stderr);
    assert!(
        piped.stderr.contains("caused by: `-` is no regular file"),
        "{}",
        piped.stderr
    );
    let [mut before, mut again] =
        ["failed.ndjson", "again.ndjson"].map(|name| letters(&folder.join(name)));
    for letter in before.iter_mut().chain(&mut again) {
        // When it was given up on is another time; all else is the same, the ingress too.
        for key in ["given-up", "first-attempt", "last-attempt"] {
            letter[key] = serde_json::Value::Null;
        }
    }
    before.sort_by_key(|letter| letter["event"]["id"].to_string());
    again.sort_by_key(|letter| letter["event"]["id"].to_string());
    assert_eq!(before.len(), 21);
    assert!(
        before
            .iter()
            .any(|letter| letter["event"]["data-base64"] == "/wAgbm8gdGV4dA==")
    );
    assert_eq!(before, again);
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_choose_and_another_choice_begins_at_the_front() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let (endpoint, healed) = endpoint().await;
    modules(folder, &endpoint.url(), "");
    healed.store(true, SeqCst);
    let letter = |id: u32, sink: &str, cause: &str, rest: &str| {
        format!(
            "{{\"event\":{{\"id\":\"t/in/a:{id}\",\"timestamp-ms\":1,\"data-base64\":\"AP8=\"{rest}}},\"ingress\":\"t/in\",\"sink\":\"{sink}\",\"cause\":\"{cause}\"}}\n"
        )
    };
    let text = [
        letter(1, "t/sink", "timed-out", ""),
        letter(2, "t/sink", "status", ",\"key\":\"ann\""),
        letter(3, "t/other", "timed-out", ""),
        "no letter\n".to_owned(),
        letter(4, "t/sink", "result-too-large", ""),
    ];
    std::fs::write(folder.join("old.ndjson"), text.concat()).expect("written");
    // The data is no text, which the sink's template cannot show.
    std::fs::write(
        folder.join("module.yaml"),
        std::fs::read_to_string(folder.join("module.yaml"))
            .expect("readable")
            .replace(BODY, "{id}"),
    )
    .expect("written");
    let replay = |flags: &[&str]| {
        let args = ["replay", "old.ndjson", "--module", "module.yaml"];
        done(folder, &[&args[..], flags].concat()).stderr
    };

    let timed_out = replay(&["--cause", "timed-out"]);
    let by_time = replay(&["--cause", "timed-out", "--cause", "status"]);
    let other = replay(&["--sink", "t/other"]);
    let key = replay(&["--key", "ann"]);

    assert!(
        timed_out.contains("1 dead letter read, 3 left out, 1 line no dead letters"),
        "{timed_out}"
    );
    assert!(by_time.contains("2 dead letters read"), "{by_time}");
    assert!(other.contains("1 dead letter read"), "{other}");
    assert!(key.contains("1 dead letter read"), "{key}");
    let accepted = endpoint.accepted();
    let expected = [("t/in/a:1", 2), ("t/in/a:2", 2), ("t/in/a:3", 1)];
    assert_eq!(counts(&accepted).into_iter().collect::<Vec<_>>(), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_host_is_not_disturbed() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let (endpoint, healed) = endpoint().await;
    modules(folder, &endpoint.url(), "");
    give_up(folder, 20);
    healed.store(true, SeqCst);
    endpoint.close();
    let more = (20..40)
        .map(|id| format!("{{\"id\":{id}}}\n"))
        .collect::<String>();
    let all = std::fs::read_to_string(folder.join("in.ndjson")).expect("readable") + &more;
    std::fs::write(folder.join("in.ndjson"), all).expect("written");
    let host = nozzle(folder, &["run", "module.yaml"]);
    endpoint.held(20).await;

    let replay = nozzle(
        folder,
        &[
            "replay",
            "failed.ndjson",
            "--module",
            "module.yaml",
            "--dead-letters",
            "again.ndjson",
        ],
    );
    endpoint.held(40).await;
    endpoint.open();
    let (host, replay) = (host.finish(), replay.finish());

    assert_eq!(
        (host.code(), replay.code()),
        (0, 0),
        "{}\n{}",
        host.stderr,
        replay.stderr
    );
    assert_eq!(counts(&endpoint.accepted()).len(), 40);
}
