//! Traces as a collector gets them, read with PyPI's `opentelemetry-proto`.

use std::path::Path;

use base64::{Engine, engine::general_purpose::STANDARD};
use nozzle_testkit::{Child, Ended, python};
use serde_json::Value;

use super::{
    host::{Sink, nozzle, write_module},
    listener::Listener,
};

/// Runs a module of two records, one a call, to its end.
fn run(endpoint: &str, telemetry: &str, environment: &[(&str, &str)]) -> Ended {
    let folder = tempfile::tempdir().expect("a folder");
    let retry =
        "    retry: { initial-delay: 1ms, max-attempts: 3 }\n    in-flight: { max-calls: 1 }\n";
    write_module(folder.path(), 2, &[Sink("sink", endpoint, retry)]);
    append(&folder.path().join("module.yaml"), telemetry);
    let mut command = nozzle();
    command
        .current_dir(folder.path())
        .args(["run", "module.yaml"]);
    command.envs(environment.iter().copied());
    Child::start(&mut command).finish()
}

fn append(path: &Path, more: &str) {
    let text = std::fs::read_to_string(path).expect("a module");
    std::fs::write(path, format!("{text}{more}\n")).expect("written");
}

fn spans(collector: &Listener) -> Vec<Value> {
    let bodies = collector.all();
    let lines: Vec<String> = bodies
        .iter()
        .map(|got| STANDARD.encode(&got.body))
        .collect();
    let found = python(include_str!("read_traces.py"), lines.join("\n").as_bytes());
    found.as_array().expect("a list").clone()
}

fn named<'a>(spans: &'a [Value], name: &str) -> Vec<&'a Value> {
    spans.iter().filter(|span| span["name"] == name).collect()
}

#[test]
fn a_batch_its_calls_and_their_attempts_are_seen_and_passed_on() {
    // The first attempt of all fails, and is made again.
    let endpoint = Listener::start(|number| if number == 1 { 503 } else { 200 });
    let collector = Listener::start(|_| 200);
    let url = collector.url();
    let telemetry = format!(
        "telemetry: {{ otlp: {{ endpoint: \"{url}\", headers: {{ api-key: canary }}, service-name: orders }} }}"
    );

    let ended = run(&endpoint.url(), &telemetry, &[]);

    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    assert!(!ended.stderr.contains("canary"), "{}", ended.stderr);
    let requests = collector.all();
    assert!(
        requests[0].head.starts_with("post /v1/traces "),
        "{}",
        requests[0].head
    );
    assert_eq!(
        requests[0].header("content-type"),
        Some("application/x-protobuf")
    );
    assert_eq!(requests[0].header("api-key"), Some("canary"));
    let spans = spans(&collector);
    let (batches, calls, attempts) = (
        named(&spans, "shape"),
        named(&spans, "call"),
        named(&spans, "POST"),
    );
    assert_eq!(
        (batches.len(), calls.len(), attempts.len()),
        (2, 2, 3),
        "{spans:#?}"
    );
    for span in &spans {
        assert_eq!(
            (&span["scope"], &span["resource"]["service.name"]),
            (&"nozzle".into(), &"orders".into())
        );
        assert_eq!(span["attributes"]["nozzle.sink"], "t/sink");
        assert_eq!(span["flags"], 1);
        let (nanos, start) = (span["nanos"].as_i64(), span["start"].as_u64());
        assert!((0..60_000_000_000).contains(&nanos.unwrap_or(-1)), "{span}");
        assert!(
            start.is_some_and(|start| start > 1_700_000_000_000_000_000),
            "{span}"
        );
    }
    for batch in &batches {
        assert_eq!(
            (&batch["kind"], &batch["parent"], &batch["status"]),
            (
                &"SPAN_KIND_INTERNAL".into(),
                &"".into(),
                &"STATUS_CODE_UNSET".into()
            )
        );
        assert_eq!(
            (
                &batch["attributes"]["nozzle.batch.events"],
                &batch["attributes"]["nozzle.batch.calls"]
            ),
            (&1.into(), &1.into())
        );
    }
    for call in &calls {
        let link = &call["links"][0];
        let of = batches
            .iter()
            .filter(|batch| batch["trace"] == link[0] && batch["span"] == link[1]);
        assert_eq!(of.count(), 1, "{call} links to its batch");
        assert_eq!(
            (&call["attributes"]["nozzle.verdict"], &call["status"]),
            (&"delivered".into(), &"STATUS_CODE_UNSET".into())
        );
        let own = attempts.iter().filter(|attempt| {
            attempt["parent"] == call["span"] && attempt["trace"] == call["trace"]
        });
        assert_eq!(call["attributes"]["nozzle.call.attempts"], own.count());
    }
    let port: u16 = endpoint
        .url()
        .trim_end_matches('/')
        .rsplit(':')
        .next()
        .and_then(|port| port.parse().ok())
        .expect("a port");
    for attempt in &attempts {
        let attributes = &attempt["attributes"];
        assert_eq!(
            (&attempt["kind"], &attributes["http.request.method"]),
            (&"SPAN_KIND_CLIENT".into(), &"POST".into())
        );
        assert_eq!(
            (
                &attributes["server.address"],
                &attributes["server.port"],
                &attributes["url.scheme"]
            ),
            (&"127.0.0.1".into(), &port.into(), &"http".into())
        );
    }
    let failed: Vec<_> = attempts
        .iter()
        .filter(|attempt| attempt["status"] == "STATUS_CODE_ERROR")
        .collect();
    assert_eq!(failed.len(), 1);
    assert_eq!(
        (
            &failed[0]["attributes"]["http.response.status_code"],
            &failed[0]["attributes"]["error.type"]
        ),
        (&503.into(), &"503".into())
    );
    let again: Vec<_> = attempts
        .iter()
        .filter(|attempt| attempt["attributes"]["http.request.resend_count"] == 1)
        .collect();
    assert_eq!(again.len(), 1);
    let mut passed: Vec<_> = endpoint
        .all()
        .iter()
        .map(|got| got.header("traceparent").expect("passed on").to_owned())
        .collect();
    let mut expected: Vec<_> = attempts
        .iter()
        .map(|span| {
            format!(
                "00-{}-{}-01",
                span["trace"].as_str().expect("an id"),
                span["span"].as_str().expect("an id")
            )
        })
        .collect();
    passed.sort_unstable();
    expected.sort_unstable();
    assert_eq!(passed, expected);
}

#[test]
fn the_environment_alone_turns_traces_on() {
    let (endpoint, collector) = (Listener::start(|_| 200), Listener::start(|_| 200));
    let url = collector.url();
    let environment = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &*url),
        ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=a%20canary"),
        ("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment=test"),
    ];

    let ended = run(&endpoint.url(), "", &environment);

    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    assert!(
        !ended.stderr.contains("canary") && !ended.stderr.contains(&url),
        "{}",
        ended.stderr
    );
    assert_eq!(collector.all()[0].header("api-key"), Some("a canary"));
    let spans = spans(&collector);
    assert_eq!(spans[0]["resource"]["deployment.environment"], "test");
    assert_eq!(spans[0]["resource"]["service.name"], "nozzle");
}

#[test]
fn without_a_collector_nothing_is_made_and_a_dead_one_loses_no_record() {
    let endpoint = Listener::start(|_| 200);
    let dead = "telemetry: { otlp: { endpoint: \"http://127.0.0.1:9/\" } }";

    let off = run(&endpoint.url(), "", &[]);
    let requests = endpoint.all();
    let on = run(&endpoint.url(), dead, &[]);

    assert_eq!((off.code(), on.code()), (0, 0), "{}", on.stderr);
    assert!(
        requests
            .iter()
            .all(|got| got.header("traceparent").is_none())
    );
    assert_eq!((requests.len(), endpoint.all().len()), (2, 4));
    let said = on.stderr.matches("the collector takes no traces").count();
    assert_eq!(said, 1, "{}", on.stderr);
}

#[test]
fn an_environment_that_makes_no_sense_is_named() {
    let ended = run(
        "http://127.0.0.1:9/",
        "",
        &[("OTEL_EXPORTER_OTLP_ENDPOINT", "canary")],
    );

    assert_eq!(ended.code(), 2);
    insta::assert_snapshot!(ended.stderr, @r"
    error: traces cannot be sent
      caused by: the environment variable `OTEL_EXPORTER_OTLP_ENDPOINT` is no URL
      hint: correct it, or set OTEL_SDK_DISABLED=true to send no traces
    ");
}
