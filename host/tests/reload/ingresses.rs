//! Ingresses and egresses that come, change and go.

use std::io::Write;

use nix::sys::signal::Signal;
use nozzle_testkit::{Child, Recorder};

use super::{Rig, STREAM, each_once, ids, metric, module, sink, to, until, write_records};

/// Reads a file, to `t/a`.
fn file(id: &str, path: &str) -> String {
    format!("  - id: {id}\n    file: {{ path: {path} }}\n{}", to("t/a"))
}

#[tokio::test(flavor = "multi_thread")]
async fn ingresses_are_added_changed_and_removed_while_others_are_read() {
    let (endpoint, other) = (
        Recorder::start(|_| 200).await,
        Recorder::start(|_| 200).await,
    );
    let sinks = [
        sink("t/a", &endpoint.url(), ""),
        sink("t/b", &other.url(), ""),
    ];
    // Without an end: as long as it is read, the host runs.
    let stream = format!("{STREAM}{}", to("t/b"));
    let with = |files: &[String]| module(&format!("{stream}{}", files.concat()), &sinks, "");
    let rig = Rig::new(&with(&[file("t/file", "one.ndjson")]));
    for (name, ids) in [
        ("one", 0..100),
        ("two", 100..5_000),
        ("three", 5_000..5_100),
    ] {
        write_records(rig.path(), &format!("{name}.ndjson"), ids);
    }
    let host = rig.start();
    endpoint
        .until("the first file", |bodies| ids(bodies).len() == 100)
        .await;

    rig.reload(
        &host,
        &with(&[file("t/file", "two.ndjson")]),
        "ingresses opened anew: t/file",
    );
    endpoint
        .until("the second file", |bodies| ids(bodies).len() == 5_000)
        .await;
    let both = [file("t/file", "two.ndjson"), file("t/more", "three.ndjson")];
    rig.reload(&host, &with(&both), "ingresses added: t/more");
    endpoint
        .until("the third file", |bodies| ids(bodies).len() == 5_100)
        .await;
    rig.reload(&host, &with(&both[1..]), "ingresses removed: t/file");
    // What is stored of it is found when it comes back.
    rig.reload(&host, &with(&both), "ingresses added: t/file");
    let progress = metric(&rig, "nozzle_ingress_events_total{ingress=\"t/file\"}");
    let more = other.accepted().len() + 10;
    other
        .until("more of the stream", |bodies| bodies.len() > more)
        .await;
    host.signal(Signal::SIGTERM);
    let ended = host.finish();

    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    assert_eq!(each_once("files", ids(&endpoint.accepted())), 5_100);
    let stream = ids(&other.accepted());
    assert_eq!(stream.iter().min(), Some(&0));
    each_once("the stream, which is not touched", stream);
    assert_eq!(progress, "0", "it is read behind what is settled");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_added_waits_for_no_other_that_waits_for_its_source() {
    let endpoint = Recorder::start(|_| 200).await;
    let sinks = [sink("t/a", &endpoint.url(), "")];
    // Standard input, where nothing more comes after the first.
    let quiet = file("t/quiet", "\"-\"");
    let rig = Rig::new(&module(&quiet, &sinks, ""));
    write_records(rig.path(), "more.ndjson", 0..3_000);
    let (host, mut stdin) = Child::start_fed(&mut rig.command());
    stdin.write_all(b"{\"id\":3000}\n").expect("it reads");
    endpoint
        .until("the first", |bodies| bodies.len() == 1)
        .await;

    let both = quiet + &file("t/more", "more.ndjson");
    let with = module(&both, &sinks, "");
    rig.reload(&host, &with, "ingresses added: t/more");
    endpoint
        .until("the file", |bodies| ids(bodies).len() == 3_001)
        .await;
    drop(stdin);
    let ended = host.finish();

    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    assert_eq!(each_once("all", ids(&endpoint.accepted())), 3_001);
}

#[tokio::test(flavor = "multi_thread")]
async fn results_and_letters_go_where_the_module_says_now() {
    let endpoint = Recorder::start(|_| 400).await;
    let with = |letters: &str, path: &str| {
        let to_egress = format!("    dead-letters: {letters}\n");
        let sinks = [sink("t/a", &endpoint.url(), &to_egress)];
        let egresses = format!("egresses: [{{ id: {letters}, file: {{ path: {path} }} }}]\n");
        module(&format!("{STREAM}{}", to("t/a")), &sinks, &egresses)
    };
    let rig = Rig::new(&with("t/dead", "one.ndjson"));
    let count = |name: &str| {
        let text = std::fs::read_to_string(rig.path().join(name)).unwrap_or_default();
        text.lines().count()
    };
    let more_in = async |name: &str| {
        let before = count(name);
        until(&format!("more in {name}"), || count(name) != before).await;
    };
    let host = rig.start();
    more_in("one.ndjson").await;

    rig.reload(
        &host,
        &with("t/dead", "two.ndjson"),
        "sinks started anew: t/a",
    );
    more_in("two.ndjson").await;
    let first = count("one.ndjson");
    // The same file under another name: it is opened when the other has ended.
    rig.reload(
        &host,
        &with("t/lost", "two.ndjson"),
        "sinks started anew: t/a",
    );
    more_in("two.ndjson").await;
    until("something by the new name", || {
        metric(&rig, "nozzle_egress_records_total{egress=\"t/lost\"}") != "0"
    })
    .await;
    host.signal(Signal::SIGTERM);
    let ended = host.finish();

    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    assert_eq!(count("one.ndjson"), first);
    let letters = ["one.ndjson", "two.ndjson"]
        .map(|name| std::fs::read_to_string(rig.path().join(name)).expect("there"));
    let numbers = letters.concat().lines().map(number).collect();
    each_once("letters", numbers);
}

/// Of the record that a letter holds.
pub(crate) fn number(letter: &str) -> u64 {
    let letter: serde_json::Value = serde_json::from_str(letter).expect("JSON");
    let id = letter["event"]["id"].as_str().expect("an id").to_owned();
    let (_, number) = id.rsplit_once(':').expect("a number");
    number.parse().expect("a number")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_egress_of_unrouted_events_does_not_take_goes_to_the_next_one() {
    let endpoint = Recorder::start(|_| 200).await;
    let with = |id: &str, path: &str| {
        let ingress = format!(
            "  - id: t/in\n    file: {{ path: in.ndjson }}\n    unrouted: {id}\n    routers: [{{ to: [t/a], when: {{ key: {{ matches: x }} }} }}]\n"
        );
        let egresses = format!("egresses: [{{ id: {id}, file: {{ path: {path} }} }}]\n");
        module(&ingress, &[sink("t/a", &endpoint.url(), "")], &egresses)
    };
    // It can be opened, and takes nothing.
    let rig = Rig::new(&with("t/full", "/dev/full"));
    write_records(rig.path(), "in.ndjson", 0..5_000);
    let host = rig.start_with("1s");
    host.wait_for("an egress cannot be written");

    rig.reload(
        &host,
        &with("t/other", "other.ndjson"),
        "ingresses routed anew: t/in",
    );
    let ended = host.finish();

    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    let letters = std::fs::read_to_string(rig.path().join("other.ndjson")).expect("there");
    let numbers = letters.lines().map(number).collect();
    assert_eq!(each_once("letters", numbers), 5_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_settled_in_time_is_read_again_by_an_ingress_that_is_opened_anew() {
    let endpoint = Recorder::start(|_| 200).await;
    let other = Recorder::start(|_| 200).await;
    let sinks = [
        sink(
            "t/a",
            &endpoint.url(),
            "    in-flight: { max-calls: 1 }\n    timeout: { attempt: 300s }\n    buffer: { max-records: 50 }\n",
        ),
        sink("t/b", &other.url(), ""),
    ];
    // The same file by another name of it: it is opened anew, and goes on where it is settled.
    let with = |path: &str| {
        let stream = format!("{STREAM}{}", to("t/b"));
        module(&format!("{stream}{}", file("t/file", path)), &sinks, "")
    };
    let rig = Rig::new(&with("in.ndjson"));
    write_records(rig.path(), "in.ndjson", 0..100);
    let host = rig.start_with("5s");
    endpoint.until("a call", |bodies| !bodies.is_empty()).await;
    endpoint
        .until("the file", |bodies| ids(bodies).len() == 100)
        .await;
    endpoint.close();
    let more: String = (100..1_100)
        .map(|id| format!("{{\"id\":{id}}}\n"))
        .collect();
    // In its place: whoever reads the file as it was may not have looked for its end yet.
    let (path, longer) = (rig.path().join("in.ndjson"), rig.path().join("longer"));
    let all = std::fs::read_to_string(&path).expect("there") + &more;
    std::fs::write(&longer, all).expect("written");
    std::fs::rename(&longer, &path).expect("renamed");
    rig.reload(&host, &with("./in.ndjson"), "ingresses opened anew: t/file");
    endpoint.held(1).await;

    rig.reload(&host, &with("in.ndjson"), "ingresses opened anew: t/file");
    endpoint.open();
    endpoint
        .until("the rest", |bodies| ids(bodies).contains(&1_099))
        .await;
    host.signal(Signal::SIGTERM);
    let ended = host.finish();

    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    let warned = "events of the ingress are not settled in time: they are read again";
    assert!(ended.stderr.contains(warned), "{}", ended.stderr);
    let mut came = ids(&endpoint.accepted());
    came.sort_unstable();
    let all = came.len();
    let twice: Vec<u64> = came
        .windows(2)
        .filter(|pair| pair[0] == pair[1])
        .map(|pair| pair[0])
        .collect();
    came.dedup();
    assert_eq!(came, (0..1_100).collect::<Vec<_>>());
    // What the sink held, and what waited in front of it.
    let again: Vec<u64> = (100..100 + twice.len() as u64).collect();
    assert_eq!(twice, again);
    assert!((1..200).contains(&twice.len()), "{}", twice.len());
    each_once("the stream, which is not touched", ids(&other.accepted()));
    // Nothing is left to read.
    let last = rig.start_with("1s");
    last.signal(Signal::SIGTERM);
    assert_eq!(last.finish().code(), 0);
    assert_eq!(ids(&endpoint.accepted()).len(), all);
}
