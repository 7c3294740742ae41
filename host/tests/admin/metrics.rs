//! `/metrics`, read by the parsers of PyPI's `prometheus_client`, and their reference.

use std::{collections::BTreeMap, path::Path};

use nozzle::metrics::{Kind, TABLES, reference};
use nozzle_testkit::{Recorder, python};
use serde_json::Value;

use super::host::{Host, Sink, send};

/// The families that the parser found, by name.
fn read(text: &str) -> BTreeMap<String, Value> {
    let found = python(include_str!("read_metrics.py"), text.as_bytes());
    let families = found.as_array().expect("a list").iter();
    families
        .map(|family| {
            (
                family["name"].as_str().expect("a name").to_owned(),
                family.clone(),
            )
        })
        .collect()
}

/// The values of the samples of this name whose labels are these.
fn values(families: &BTreeMap<String, Value>, name: &str, labels: &[(&str, &str)]) -> Vec<f64> {
    let family = name.trim_end_matches("_total").trim_end_matches("_count");
    let samples = families[family]["samples"].as_array().expect("samples");
    let of = |sample: &&Value| {
        let has = |(label, value): &(&str, &str)| sample[1][*label] == *value;
        sample[0] == name && labels.iter().all(has)
    };
    let value = |sample: &Value| sample[2].as_str()?.parse().ok();
    samples.iter().filter(of).filter_map(value).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_under_way_is_seen() {
    let endpoint = Recorder::start(|_| 200).await;
    endpoint.close();
    let host = Host::start(5, &[Sink("sink", &endpoint.url(), "")], &[]);
    endpoint.held(5).await;

    // The calls may be there before the host counts them, and before it says that it is ready.
    let counted = host.until("/metrics", |answer| {
        let held = "\nnozzle_sink_calls_in_flight{sink=\"t/sink\"} 5\n";
        answer.body.contains("\nnozzle_ready 1\n") && answer.body.contains(held)
    });
    let open = read(&counted.body);
    let still_open = values(
        &open,
        "nozzle_ingress_unsettled_events",
        &[("ingress", "t/in")],
    );

    assert_eq!(still_open, [5.0]);
    assert_eq!(
        values(&open, "nozzle_sink_calls_in_flight", &[("sink", "t/sink")]),
        [5.0]
    );
    assert_eq!(
        values(
            &open,
            "nozzle_sink_events_read_total",
            &[("sink", "t/sink")]
        ),
        [5.0]
    );
    assert_eq!(
        values(&open, "nozzle_ingress_events_total", &[("ingress", "t/in")]),
        [5.0]
    );
    assert_eq!(values(&open, "nozzle_ready", &[]), [1.0]);
    assert_eq!(
        values(
            &open,
            "nozzle_build_info",
            &[("version", env!("CARGO_PKG_VERSION"))]
        ),
        [1.0]
    );
    let oldest = "nozzle_ingress_oldest_unsettled_timestamp_seconds";
    assert_eq!(
        values(&open, oldest, &[]),
        values(
            &open,
            "nozzle_ingress_settled_watermark_timestamp_seconds",
            &[]
        )
    );
    assert!(values(&open, oldest, &[])[0] > 1.7e9);
}

/// A source that does not end, so that everything is settled while the host runs.
#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_parser_reads_every_metric_in_both_formats() {
    let endpoint = Recorder::start(|body| if body.contains("\"id\":3,") { 400 } else { 200 }).await;
    let folder = tempfile::tempdir().expect("a folder");
    super::host::write_module(folder.path(), 1, &[Sink("sink", &endpoint.url(), "")]);
    let module = folder.path().join("module.yaml");
    let text = std::fs::read_to_string(&module).expect("a module");
    let text = text.replace("file: { path: in.ndjson }", "datagen: { rate: 100 }");
    std::fs::write(&module, text).expect("written");
    let host = Host::start_in(folder, &[]);
    endpoint
        .until("20 records", |bodies| bodies.len() >= 20)
        .await;
    host.until("/metrics", |answer| {
        answer
            .body
            .contains("nozzle_egress_records_total{egress=\"t/sink (dead letters)\"} 1\n")
    });

    let accept = "accept: application/openmetrics-text;version=1.0.0,text/plain;q=0.5\r\n";
    let open = send(
        host.address,
        &format!("GET /metrics HTTP/1.1\r\nhost: localhost\r\n{accept}\r\n"),
    );
    let plain = host.get("/metrics");

    assert!(
        open.head
            .contains("content-type: application/openmetrics-text; version=1.0.0; charset=utf-8"),
        "{}",
        open.head
    );
    assert!(
        plain
            .head
            .contains("content-type: text/plain; version=0.0.4; charset=utf-8"),
        "{}",
        plain.head
    );
    for text in [&open.body, &plain.body] {
        let families = read(text);
        for metric in TABLES.iter().flat_map(|(_, metrics)| *metrics) {
            let family = families.get(metric.name.trim_end_matches("_total"));
            let family = family.unwrap_or_else(|| panic!("no {}", metric.name));
            let kind = match metric.kind {
                Kind::Counter => "counter",
                Kind::Gauge => "gauge",
                Kind::Histogram => "histogram",
            };
            assert_eq!(family["type"], kind, "{}", metric.name);
            assert_eq!(family["help"], metric.help.trim(), "{}", metric.name);
        }
        assert_eq!(
            families.len(),
            TABLES
                .iter()
                .map(|(_, metrics)| metrics.len())
                .sum::<usize>()
        );
        let sink = [("sink", "t/sink")];
        let one = |name: &str| values(&families, name, &sink)[0];
        assert_eq!(one("nozzle_sink_events_dead_lettered_total"), 1.0);
        assert!(one("nozzle_sink_events_delivered_total") >= 19.0);
        let ended = one("nozzle_sink_events_delivered_total") + 1.0;
        assert_eq!(one("nozzle_sink_settled_age_seconds_count"), ended);
        assert_eq!(
            values(
                &families,
                "nozzle_sink_responses_total",
                &[("class", "4xx")]
            ),
            [1.0]
        );
        assert!(one("nozzle_sink_attempt_seconds_count") >= ended);
        assert!(one("nozzle_sink_request_bytes_total") > 100.0);
        assert!(one("nozzle_sink_batches_total") >= ended);
        assert!(one("nozzle_plugin_shape_seconds_count") >= ended);
        assert!(one("nozzle_plugin_instances") >= 1.0);
        assert_eq!(
            values(
                &families,
                "nozzle_plugin_failures_total",
                &[("cause", "trapped")]
            ),
            [0.0]
        );
        let settled = values(&families, "nozzle_ingress_events_settled_total", &[])[0];
        let taken = values(&families, "nozzle_ingress_events_taken_total", &[])[0];
        assert!((1.0..=taken).contains(&settled), "{settled} of {taken}");
        assert!(values(&families, "nozzle_ingress_bytes_total", &[])[0] > 100.0);
        assert!(values(&families, "process_resident_memory_bytes", &[])[0] > 1e6);
        assert!(values(&families, "process_cpu_seconds_total", &[])[0] > 0.0);
        let (open, most) = (
            values(&families, "process_open_fds", &[])[0],
            values(&families, "process_max_fds", &[])[0],
        );
        assert!(3.0 < open && open < most, "{open} of {most}");
    }
}

#[test]
fn the_documentation_names_metrics_that_there_are() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/observability.md");
    let text = std::fs::read_to_string(path).expect("it is there");
    let words = text.split(|c: char| !(c.is_ascii_lowercase() || c == '_'));
    let named: Vec<_> = words.filter(|word| word.starts_with("nozzle_")).collect();
    let known = |name: &&str| {
        let mut all = TABLES.iter().flat_map(|(_, metrics)| *metrics);
        all.any(|metric| metric.name == *name)
    };

    let unknown: Vec<_> = named.iter().filter(|name| !known(name)).collect();

    assert!(named.len() >= 10, "{named:?}");
    assert!(unknown.is_empty(), "{unknown:?}");
}

#[test]
fn the_reference_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/metrics.md");

    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, reference()).expect("written");
    }

    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == reference(),
        "docs/metrics.md is out of date: run `make bless`"
    );
}
