//! Ingresses and egresses that come, change and go.

use nix::sys::signal::Signal;
use nozzle_testkit::Recorder;

use super::{Rig, STREAM, each_once, ids, metric, module, sink, to, write_records};

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
        let more = async {
            while count(name) == before {
                tokio::task::yield_now().await;
            }
        };
        let came = tokio::time::timeout(nozzle_testkit::DEADLINE, more).await;
        assert!(came.is_ok(), "nothing more in {name}");
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
    let written = async {
        while metric(&rig, "nozzle_egress_records_total{egress=\"t/lost\"}") == "0" {
            tokio::task::yield_now().await;
        }
    };
    let written = tokio::time::timeout(nozzle_testkit::DEADLINE, written).await;
    host.signal(Signal::SIGTERM);
    let ended = host.finish();

    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    assert_eq!(count("one.ndjson"), first);
    let letters = ["one.ndjson", "two.ndjson"]
        .map(|name| std::fs::read_to_string(rig.path().join(name)).expect("there"));
    let numbers = letters.concat().lines().map(number).collect();
    each_once("letters", numbers);
    assert!(written.is_ok(), "nothing by the new name");
}

/// Of the record that a letter holds.
fn number(letter: &str) -> u64 {
    let letter: serde_json::Value = serde_json::from_str(letter).expect("JSON");
    let id = letter["event"]["id"].as_str().expect("an id").to_owned();
    let (_, number) = id.rsplit_once(':').expect("a number");
    number.parse().expect("a number")
}
