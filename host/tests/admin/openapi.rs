//! The OpenAPI document: committed, served, and held against the host by schemathesis (PyPI).

use std::path::Path;

use nozzle_testkit::{Child, Recorder, schemathesis};
use serde_json::Value;

use super::host::{Host, Sink, nozzle, write_module};

/// The same document, with the sinks that there are as examples.
fn with_examples(document: &Value) -> Value {
    let mut document = document.clone();
    let paths = document["paths"].as_object_mut().expect("paths");
    let operations = paths
        .values_mut()
        .flat_map(|path| path.as_object_mut().expect("methods").values_mut());
    for operation in operations {
        let is_recording = operation["operationId"] == "record-sink";
        let parameters = operation
            .get_mut("parameters")
            .and_then(Value::as_array_mut);
        for parameter in parameters.into_iter().flatten() {
            let example = match parameter["name"].as_str() {
                // A recording would wait for what does not come.
                Some("name") if is_recording => "ended",
                Some("name") => "sink",
                Some("namespace") => "t",
                _ => continue,
            };
            parameter["example"] = example.into();
        }
    }
    document
}

#[test]
fn the_committed_document_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/admin.openapi.json");
    let ended = Child::start(nozzle().arg("openapi")).finish();
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, &ended.stdout).expect("written");
    }

    let committed = std::fs::read_to_string(&path).expect("docs/admin.openapi.json");

    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    assert!(committed == ended.stdout, "run `make bless`");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_host_answers_as_its_document_says() {
    let endpoint = Recorder::start(|_| 200).await;
    endpoint.close();
    let folder = tempfile::tempdir().expect("a folder");
    let other = Recorder::start(|_| 200).await;
    let sinks = [
        Sink("sink", &endpoint.url(), ""),
        Sink("ended", &other.url(), ""),
    ];
    write_module(folder.path(), 3, &sinks);
    let token = "0123456789abcdef";
    let module = folder.path().join("module.yaml");
    let text = std::fs::read_to_string(&module).expect("a module");
    std::fs::write(&module, format!("{text}admin: {{ token: {token} }}\n")).expect("written");
    let host = Host::start_at(folder.path(), &[]);
    host.until("/ready", |answer| answer.status == 200);
    let header = format!("authorization: Bearer {token}\r\n");
    host.until_with(&header, "/v1/sinks/t/ended", |answer| {
        answer.body.contains("\"mode\":\"ended\"")
    });
    let served = host.ask("GET", "/v1/openapi.json", &header);
    let document: Value = serde_json::from_str(&served.body).expect("JSON");
    let printed = Child::start(nozzle().arg("openapi")).finish();
    let schema = folder.path().join("openapi.json");
    std::fs::write(&schema, with_examples(&document).to_string()).expect("written");

    let url = format!("http://{}", host.address);
    // The first would end the host. A component that the last is sent is as good as its bytes, whatever the document says.
    let choices: [&[&str]; 3] = [
        &[
            "--exclude-operation-id",
            "drain-host",
            "--exclude-operation-id",
            "swap-plugin",
            "--exclude-operation-id",
            "record-sink",
        ],
        &["--include-operation-id", "record-sink"],
        &[
            "--include-operation-id",
            "swap-plugin",
            "--exclude-checks",
            "positive_data_acceptance",
        ],
    ];
    let reports = tokio::task::spawn_blocking(move || {
        choices.map(|choice| schemathesis(&schema, &url, token, choice))
    });
    let reports = reports.await;

    assert_eq!(
        document,
        serde_json::from_str::<Value>(&printed.stdout).expect("JSON")
    );
    for report in reports.expect("no panic") {
        assert!(report.passed, "{}", report.text);
    }
    assert_eq!(host.get("/live").status, 200);
}
