//! `nozzle plugin record`: what passes through a running host, as cases that the plugin passes.

use std::{
    collections::HashMap,
    fs,
    io::{Read, Write},
    os::unix::{fs::PermissionsExt, net::UnixStream},
    path::Path,
    process::Command,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use nix::sys::signal::Signal;
use nozzle_testkit::{
    Child, DEADLINE, Ended,
    fault_endpoint::{FaultEndpoint, Step, Wire, WireRequest, ok},
    plugin,
};
use serde_json::{Value, json};
use tokio::sync::Notify;

use super::{nozzle, said};

/// A bulk API that is short of time: each batch gets a 429, then a 500, then an answer of which the first item is to be sent again, and
/// the second one is refused. What stands alone is taken at once.
async fn bulk_endpoint() -> FaultEndpoint {
    let calls: Mutex<HashMap<Bytes, u32>> = Mutex::default();
    let reply = move |request: &WireRequest| {
        let lines = request.body.iter().filter(|byte| **byte == b'\n').count();
        let mut items = vec![json!({ "index": { "status": 201 } }); lines / 2];
        let mut calls = calls.lock().expect("no panic");
        let call = calls.entry(request.body.clone()).or_default();
        *call += 1;
        let (status, body) = match (items.get_mut(..2), *call) {
            (Some(_), 1) => (429, "busy".to_owned()),
            (Some(_), 2) => (500, "busy".to_owned()),
            (first, _) => {
                if let Some([again, refused]) = first {
                    *again = json!({ "index": { "status": 429 } });
                    *refused = json!({ "index": { "status": 400, "error": "no such field" } });
                }
                (200, json!({ "items": items }).to_string())
            }
        };
        let headers = [("set-cookie", "session=of-somebody"), ("x-call", "1")];
        let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        vec![Step::Answer {
            status,
            headers: headers.map(owned).to_vec(),
            body: Bytes::from(body),
        }]
    };
    FaultEndpoint::start(Wire::Http, reply).await
}

fn write_module(folder: &Path, url: &str, ingress: &str) {
    let path = plugin("bulk.wasm").display().to_string();
    let text = format!(
        "version: \"1\"\ningresses:\n  - {{ id: t/in, {ingress}, routers: [{{ to: [t/sink] }}] }}\nsinks:\n  - id: t/sink\n    plugin: {{ path: {path}, config: {{ action-fields: {{ _index: weather }} }} }}\n    endpoint: {{ url: \"{url}\", concurrency: {{ strategy: fixed }} }}\n    batch: {{ max-records: 5, max-wait: 1h }}\n    order: strict\n    retry: {{ initial-delay: 1ms, max-delay: 5ms }}\n"
    );
    fs::write(folder.join("module.yaml"), text).expect("written");
}

const STREAM: &str = "datagen: { rate: 100, fields: { id: { sequence: {} } } }";

fn host(folder: &Path) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nozzle"));
    command
        .current_dir(folder)
        .args(["run", "module.yaml", "--state-dir", "state"])
        .args(["--admin", "unix:admin.sock"]);
    let host = Child::start(&mut command);
    host.wait_for("metrics, health and status are served");
    for _ in 0..DEADLINE.as_millis() / 20 {
        if ask(folder, "GET", "/ready").starts_with("HTTP/1.1 200") {
            return host;
        }
        std::thread::park_timeout(std::time::Duration::from_millis(20));
    }
    panic!("it still starts");
}

fn ask(folder: &Path, method: &str, path: &str) -> String {
    let mut stream = open(folder, method, path);
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}

fn open(folder: &Path, method: &str, path: &str) -> UnixStream {
    let mut stream = UnixStream::connect(folder.join("admin.sock")).expect("it listens");
    stream.set_read_timeout(Some(DEADLINE)).expect("set");
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nhost: localhost\r\n\r\n"
    )
    .expect("written");
    stream
}

fn record(folder: &Path, args: &[&str]) -> Ended {
    let mut command = nozzle(folder);
    command.arg("record").args(args);
    Child::start(command.args(["--admin", "unix:admin.sock"])).finish()
}

fn cases(folder: &Path) -> Vec<(String, String)> {
    let entries = fs::read_dir(folder.join("cases")).expect("a folder");
    let mut cases: Vec<_> = entries
        .map(|entry| {
            let path = entry.expect("an entry").path();
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            (name, fs::read_to_string(&path).expect("a case"))
        })
        .collect();
    cases.sort();
    cases
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_recorded_passes_with_the_plugin_that_serves_and_with_no_other() {
    let endpoint = bulk_endpoint().await;
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    write_module(folder, &endpoint.url(), STREAM);
    let host = host(folder);

    let first = record(folder, &["t/sink", "--batches", "3"]);
    let second = record(folder, &["t/sink", "--batches", "1"]);
    drop(host);

    assert_eq!(first.code(), 0, "{}", first.stderr);
    assert_eq!(
        first.stdout,
        "cases/t-sink-001.yaml\ncases/t-sink-002.yaml\ncases/t-sink-003.yaml\n"
    );
    assert_eq!(
        second.stdout, "cases/t-sink-004.yaml\n",
        "{}",
        second.stderr
    );
    let cases = cases(folder);
    for (name, text) in &cases {
        let path = folder.join("cases").join(name);
        let mode = fs::metadata(path)
            .expect("it is there")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(text.contains("recorded from t/sink at 2"), "{text}");
        assert!(
            text.contains("set-cookie") && !text.contains("of-somebody"),
            "{text}"
        );
        assert!(text.contains("_index: weather"), "{text}");
    }
    let path = plugin("bulk.wasm").display().to_string();
    let passed = said(folder, &["test", &path, "cases"]);
    assert!(
        passed.contains("4 cases: 4 passed, 0 failed\nexit code 0"),
        "{passed}"
    );
    let other = plugin("json_batch.wasm").display().to_string();
    for (name, text) in &cases {
        let text = text.replace(
            "  action-fields:\n    _index: weather\n",
            "  target: _bulk\n",
        );
        fs::write(folder.join("cases").join(name), text).expect("written");
    }
    let failed = said(folder, &["test", &other, "cases"]);
    assert!(failed.contains("4 cases: 0 passed, 4 failed"), "{failed}");
    for line in [
        "- expected, + found",
        "\"_index\":\"weather\"",
        "application/json",
        "verdict",
    ] {
        assert!(failed.contains(line), "{line}: {failed}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_attempt_is_there_and_events_that_are_sent_again_are_in_a_case_of_their_own() {
    let endpoint = bulk_endpoint().await;
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    write_module(folder, &endpoint.url(), STREAM);
    let host = host(folder);

    let recorded = record(folder, &["t/sink", "--batches", "4"]);
    drop(host);

    assert_eq!(recorded.code(), 0, "{}", recorded.stderr);
    let statuses = |text: &str| -> Vec<String> {
        let lines = text.lines().map(str::trim_start);
        let lines = lines.filter_map(|line| line.strip_prefix("- status: "));
        lines.map(str::to_owned).collect()
    };
    let cases = cases(folder);
    // The first one may hold what is sent again of a batch before it.
    let pair = cases
        .windows(2)
        .find(|pair| pair[0].1.contains("events: [0, 1, 2, 3, 4]"));
    let Some([(_, first), (_, second)]) = pair else {
        panic!("a batch and what is sent again of it: {cases:?}");
    };
    assert_eq!(statuses(first), ["429", "500", "200"], "{first}");
    assert!(
        first.contains("- retry\n") && first.contains("no such field'\n"),
        "{first}"
    );
    assert!(first.contains("attempt: 3"), "{first}");
    // That one has had three attempts before.
    assert_eq!(statuses(second), ["200"], "{second}");
    assert!(
        second.contains("attempt: 4") && second.contains("events: [0]"),
        "{second}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_goes_on_over_a_swap_and_says_what_shaped_each_batch() {
    let go = Arc::new(Notify::new());
    let waits = Arc::clone(&go);
    let reply = move |request: &WireRequest| {
        let items = request.body.iter().filter(|byte| **byte == b'\n').count() / 2;
        let items = vec![json!({ "status": 201 }); items];
        let body = json!({ "items": items }).to_string();
        [vec![Step::WaitFor(Arc::clone(&waits))], ok(body.as_bytes())].concat()
    };
    let endpoint = FaultEndpoint::start(Wire::Http, reply).await;
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    write_module(folder, &endpoint.url(), STREAM);
    let text = fs::read_to_string(folder.join("module.yaml")).expect("written");
    let text = format!("{text}    timeout: {{ attempt: 5min }}\n");
    fs::write(folder.join("module.yaml"), text).expect("written");
    let component = fs::read(plugin("bulk.wasm")).expect("built");
    // The same with another digest: with a section of its own.
    let other = [&component[..], &[0, 4, 2, b'n', b'o', 1]].concat();
    fs::write(folder.join("other.wasm"), other).expect("written");
    let host = host(folder);
    // One call at a time, each of a batch: the next one is shaped when the one before has its answer.
    endpoint.received(1).await;
    let (mut stream, _) = record_alone(folder);
    go.notify_one();
    endpoint.received(2).await;
    let mut swap = nozzle(folder);
    let swap = swap.args(["swap", "t/sink", "other.wasm", "--admin", "unix:admin.sock"]);
    let swapped = Child::start(swap).finish();
    go.notify_one();
    endpoint.received(3).await;
    go.notify_one();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    drop(host);

    assert_eq!(swapped.code(), 0, "{}", swapped.stderr);
    let (_, body) = answer.split_once("\r\n\r\n").expect("a body");
    let body: Value = serde_json::from_str(body).expect("JSON");
    assert_eq!(body["ended"], "complete");
    let [first, second] = &body["cases"].as_array().expect("cases")[..] else {
        panic!("two cases: {body}");
    };
    assert_ne!(first["digest"], second["digest"]);
    for (case, generation) in [(first, 1), (second, 2)] {
        assert_eq!(case["generation"], generation);
        let digest = case["digest"].as_str().expect("a digest");
        let about = format!("plugin generation {generation}, sha256 {digest}");
        let text = case["text"].as_str().expect("a text");
        assert!(text.contains(&about), "{about}: {text}");
    }
}

/// Begins to record two batches, and makes sure that nobody else can; gives what such a one is told.
fn record_alone(folder: &Path) -> (UnixStream, String) {
    for _ in 0..DEADLINE.as_millis() / 20 {
        let stream = open(
            folder,
            "POST",
            "/v1/sinks/t/sink/record?batches=2&seconds=1200",
        );
        let other = ask(
            folder,
            "POST",
            "/v1/sinks/t/sink/record?batches=1&seconds=1",
        );
        if other.starts_with("HTTP/1.1 409 ") {
            return (stream, other);
        }
        // The other one was faster.
    }
    panic!("it cannot be recorded");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_goes_away_leaves_nothing_behind_and_two_do_not_record_at_once() {
    let endpoint = bulk_endpoint().await;
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    write_module(folder, &endpoint.url(), STREAM);
    let host = host(folder);
    let pause = steer(folder, "pause");

    let (stream, busy) = record_alone(folder);
    let refused = record(folder, &["t/sink", "--for", "1s"]);
    drop(stream);
    host.wait_for("who asked for a change by the admin API has gone before its end was known");
    let resume = steer(folder, "resume");
    let free = record(folder, &["t/sink", "--batches", "1"]);
    host.signal(Signal::SIGTERM);
    let ended = host.finish();

    assert_eq!(
        (pause.code(), resume.code()),
        (0, 0),
        "{}{}",
        pause.stderr,
        resume.stderr
    );
    assert!(
        busy.contains("urn:nozzle:problem:recording-under-way"),
        "{busy}"
    );
    assert_eq!(refused.code(), 2, "{}", refused.stderr);
    assert!(
        refused.stderr.contains("somebody else records `t/sink`"),
        "{}",
        refused.stderr
    );
    assert_eq!(free.code(), 0, "{}", free.stderr);
    let audit = ended
        .stderr
        .lines()
        .filter(|line| line.contains("record-sink"));
    let audit: Vec<&str> = audit.collect();
    for result in ["recording-under-way", "recorded 1 of 1 batches", "gone"] {
        assert!(
            audit.iter().any(|line| line.contains(result)),
            "{result}: {audit:?}"
        );
    }
}

fn steer(folder: &Path, what: &str) -> Ended {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nozzle"));
    command
        .current_dir(folder)
        .args([what, "t/sink", "--admin", "unix:admin.sock"]);
    Child::start(&mut command).finish()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_recorded_says_why() {
    let endpoint = bulk_endpoint().await;
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    write_module(folder, &endpoint.url(), STREAM);
    let nobody = record(folder, &["t/sink"]);
    let host = host(folder);
    let paused = steer(folder, "pause");

    let unknown = record(folder, &["t/sync"]);
    let nothing = record(folder, &["t/sink", "--for", "1s"]);
    let long = record(folder, &["t/sink", "--for", "1h"]);
    fs::write(folder.join("file"), "").expect("written");
    let no_folder = record(folder, &["t/sink", "--out", "file"]);
    drop(host);

    assert_eq!(paused.code(), 0, "{}", paused.stderr);
    let errors = [&nobody, &unknown, &nothing, &long, &no_folder];
    let codes = errors.map(Ended::code);
    let shown: Vec<&str> = errors.iter().map(|error| error.stderr.trim_end()).collect();
    assert_eq!(codes, [2, 2, 1, 2, 1], "{shown:?}");
    insta::assert_snapshot!(shown.join("\n-----\n"));
}
