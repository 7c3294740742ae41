//! Results and dead letters in a stream.

use nozzle_testkit::{Fault, FaultLayer, Recorder, plugin};
use serde_json::Value;

use super::host::{boto, ids, kinesis_local, nozzle};

/// Delivers `input` with a results stream, and gives what the host said.
fn run(
    folder: &std::path::Path,
    input: &str,
    endpoint: &str,
    egress: &str,
    plugin_config: &str,
) -> nozzle_testkit::Ended {
    std::fs::write(folder.join("in.ndjson"), input).expect("written");
    let module = format!(
        "version: \"1\"\n\
         ingresses:\n  - id: t/in\n    file: {{ path: in.ndjson }}\n    routers: [{{ to: [t/sink] }}]\n\
         sinks:\n  - id: t/sink\n    plugin: {{ path: {}, config: {plugin_config} }}\n    endpoint: {{ url: {endpoint} }}\n    \
         batch: {{ max-records: 50, max-wait: 10ms }}\n    results: {{ to: t/out }}\n    dead-letters: t/dead\n\
         egresses:\n  - id: t/dead\n    file: {{ path: dead.ndjson }}\n  - id: t/out\n    kinesis: {egress}\n",
        plugin("per_record.wasm").display(),
    );
    std::fs::write(folder.join("module.yaml"), module).expect("written");
    nozzle(folder, &["run", "module.yaml"])
}

fn bodies(found: &Value) -> Vec<String> {
    let records = found.as_array().expect("a list");
    records
        .iter()
        .map(|record| record["data"].as_str().unwrap_or_default().to_owned())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn partial_failures_are_sent_again_entry_by_entry() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut boto = boto(kinesis_local());
    boto.create_stream("results", 2);
    // Every third entry of a request fails, and one request in five as a whole.
    let layer = FaultLayer::start(kinesis_local(), |call| match (call.name, call.number % 5) {
        ("PutRecords", 2) => Fault::Refuse("ProvisionedThroughputExceededException"),
        ("PutRecords", _) => Fault::Partial(3),
        _ => Fault::None,
    })
    .await;
    let recorder = Recorder::start(|_| 200).await;
    let input: String = (0..200).map(|id| format!("{{\"id\": {id}}}\n")).collect();
    let egress = format!(
        "{{ stream: results, endpoint-url: \"{}\", max-records: 40 }}",
        layer.url()
    );

    let ended = run(
        folder.path(),
        &input,
        &recorder.url(),
        &egress,
        "{ results: body }",
    );
    let found = boto.kinesis("read_all", serde_json::json!({ "stream": "results" }));

    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    let mut written = ids(&bodies(&found));
    written.sort_unstable();
    assert_eq!(
        written,
        (0..200).collect::<Vec<u64>>(),
        "each once: what was accepted is not sent again"
    );
    assert!(
        ended.stderr.contains("200 read = 200 delivered"),
        "{}",
        ended.stderr
    );
    let shards: std::collections::BTreeSet<&str> = found
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|record| record["shard"].as_str())
        .collect();
    assert_eq!(shards.len(), 2, "records without a key are spread");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_result_that_is_too_large_is_dead_lettered_with_its_size() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut boto = boto(kinesis_local());
    boto.create_stream("large", 1);
    let recorder = Recorder::start(|_| 200).await;
    let large = format!("{{\"id\": 1, \"text\": \"{}\"}}", "x".repeat(1024 * 1024));
    let input = format!("{{\"id\": 0}}\n{large}\n{{\"id\": 2}}\n");
    let egress = format!("{{ stream: large, endpoint-url: \"{}\" }}", kinesis_local());
    let endpoint = format!("\"{}\", max-response-body: 2MiB", recorder.url());

    let ended = run(
        folder.path(),
        &input,
        &endpoint,
        &egress,
        "{ results: body }",
    );
    let found = boto.kinesis("read_all", serde_json::json!({ "stream": "large" }));

    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    let mut written = ids(&bodies(&found));
    written.sort_unstable();
    assert_eq!(written, [0, 2]);
    let dead = std::fs::read_to_string(folder.path().join("dead.ndjson")).expect("a dead letter");
    let letter: Value = serde_json::from_str(dead.trim()).expect("one line");
    assert_eq!(letter["cause"], "result-too-large");
    let said = format!(
        "the result has {} bytes, more than the 1048576 that its egress takes",
        large.len()
    );
    assert_eq!(letter["message"], said);
    assert_eq!(letter["event"]["data"], large);
    assert!(
        ended.stderr.contains("3 read = 3 delivered"),
        "{}",
        ended.stderr
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_go_to_a_stream_and_what_is_too_large_for_it_to_a_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut boto = boto(kinesis_local());
    boto.create_stream("letters", 1);
    let recorder = Recorder::start(|_| 400).await;
    let large = format!("{{\"id\": 1, \"text\": \"{}\"}}", "x".repeat(1024 * 1024));
    std::fs::write(
        folder.path().join("in.ndjson"),
        format!("{{\"id\": 0}}\n{large}\n"),
    )
    .expect("written");
    let module = format!(
        "version: \"1\"\n\
         ingresses:\n  - id: t/in\n    file: {{ path: in.ndjson }}\n    routers: [{{ to: [t/sink] }}]\n\
         sinks:\n  - id: t/sink\n    plugin: {{ path: {} }}\n    endpoint: {{ url: \"{}\" }}\n    dead-letters: t/dead\n\
         egresses:\n  - id: t/dead\n    kinesis: {{ stream: letters, endpoint-url: \"{}\" }}\n",
        plugin("per_record.wasm").display(),
        recorder.url(),
        kinesis_local(),
    );
    std::fs::write(folder.path().join("module.yaml"), module).expect("written");

    let ended = nozzle(folder.path(), &["run", "module.yaml"]);
    let found = boto.kinesis("read_all", serde_json::json!({ "stream": "letters" }));

    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    let letters = bodies(&found);
    assert_eq!(letters.len(), 1);
    assert!(
        letters[0].contains("\"cause\":\"status\""),
        "{}",
        letters[0]
    );
    let overflow =
        std::fs::read_to_string(folder.path().join(".nozzle/dead-letters-t_sink.ndjson"))
            .expect("a file");
    assert_eq!(overflow.lines().count(), 1);
    assert!(overflow.contains("xxxx"));
}
