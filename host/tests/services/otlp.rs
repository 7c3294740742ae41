//! The plugin `otlp-logs`, read by OpenTelemetry's own definitions.

use nozzle_testkit::{Recorder, read_otlp_logs};
use serde_json::{Map, Value};

use super::{Work, sorted, weather};

#[tokio::test(flavor = "multi_thread")]
async fn opentelemetry_reads_every_log_record() {
    let endpoint = Recorder::start(|_| 200).await;
    let work = Work::new();

    let url = endpoint.url();
    let letters = tokio::task::block_in_place(|| {
        work.example(
            "otlp-logs",
            &[("http://127.0.0.1:4318", url.trim_end_matches('/'))],
        )
    });

    assert_eq!(letters, Vec::<Value>::new());
    let mut found = Vec::new();
    for request in read_otlp_logs(&endpoint.accepted()) {
        let resource = &request["resourceLogs"][0];
        let service = &resource["resource"]["attributes"][0];
        assert_eq!(service["key"], "service.name");
        for record in resource["scopeLogs"][0]["logRecords"]
            .as_array()
            .expect("records")
        {
            let attributes = record["attributes"].as_array().expect("attributes");
            let keys: Vec<&Value> = attributes.iter().map(|one| &one["key"]).collect();
            assert_eq!(keys, ["location", "log.record.uid"]);
            let body = value(&record["body"]);
            let midnight = record["timeUnixNano"].as_str().expect("a time");
            assert!(midnight.ends_with("00000000000"), "{midnight}");
            assert_eq!(value(&attributes[0]["value"]), body["location"]);
            found.push(body);
        }
    }
    assert_eq!(sorted(found), weather());
}

/// An `AnyValue` as JSON.
fn value(any: &Value) -> Value {
    let (kind, inner) = any
        .as_object()
        .and_then(|any| any.iter().next())
        .expect("a value");
    match &**kind {
        "kvlistValue" => {
            let members = inner["values"].as_array().expect("members").iter();
            let members = members.map(|member| {
                let key = member["key"].as_str().expect("a key");
                (key.to_owned(), value(&member["value"]))
            });
            members.collect::<Map<String, Value>>().into()
        }
        _ => inner.clone(),
    }
}
