use nozzle_plugin::{
    Body, configure,
    testing::{self, TestEvent},
};
use serde_json::{Value, json};

use super::*;

const EXISTING: &str = r#"{"specversion":"1.0","id":"9","source":"/o","type":"old","data":1}"#;

fn shape(config: Value, data: &[&[u8]]) -> Shaped {
    let mut full = json!({ "type": "com.example.{attribute:kind}", "source": "/streams/orders" });
    let more = config.as_object().expect("an object").clone();
    full.as_object_mut().expect("an object").extend(more);
    let plugin: CloudEvents = configure(&full.to_string()).expect("a good configuration");
    let events = data.iter().map(|data| TestEvent {
        id: "s:1",
        key: Some("ann b"),
        timestamp_ms: 1_522_949_460_000,
        attributes: &[("kind", "order")],
        data,
    });
    plugin.shape(&testing::events(events)).expect("it shapes")
}

fn bytes(request: &Request) -> String {
    match &request.body {
        Body::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        other => panic!("{other:?}"),
    }
}

fn headers(request: &Request) -> Vec<(&str, &str)> {
    let headers = request.headers.iter();
    headers
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect()
}

#[test]
fn in_binary_mode_attributes_are_headers_and_the_record_is_the_body() {
    let config = json!({ "subject": "{key}", "extensions": { "partitionkey": "{key}", "gone": "{attribute:x}" } });

    let shaped = shape(config, &[b"{}", EXISTING.as_bytes()]);

    let [new, old] = &*shaped.requests else {
        panic!("{:?}", shaped.requests);
    };
    let expected = [
        ("content-type", "application/json"),
        ("ce-specversion", "1.0"),
        ("ce-id", "s:1"),
        ("ce-source", "/streams/orders"),
        ("ce-type", "com.example.order"),
        ("ce-subject", "ann%20b"),
        ("ce-time", "2018-04-05T17:31:00.000Z"),
        ("ce-partitionkey", "ann%20b"),
    ];
    assert_eq!(headers(new), expected);
    assert!(matches!(new.body, Body::Joined(_)));
    assert!(headers(old).contains(&("ce-type", "old")));
    assert_eq!(bytes(old), "1");
}

#[test]
fn in_structured_mode_an_event_is_an_object() {
    let shaped = shape(
        json!({ "mode": "structured" }),
        &[b"{\"n\": 1.0}", EXISTING.as_bytes()],
    );

    let [new, old] = &*shaped.requests else {
        panic!("{:?}", shaped.requests);
    };
    assert_eq!(
        bytes(new),
        r#"{"specversion":"1.0","id":"s:1","source":"/streams/orders","type":"com.example.order","time":"2018-04-05T17:31:00.000Z","datacontenttype":"application/json","data":{"n": 1.0}}"#
    );
    assert!(matches!(old.body, Body::Joined(_)));
    assert_eq!(shaped.headers, [("content-type".into(), STRUCTURED.into())]);
}

#[test]
fn in_batched_mode_a_bad_record_does_not_spoil_the_array() {
    let shaped = shape(
        json!({ "mode": "batched", "time": "" }),
        &[b"oh no", b"[1]", EXISTING.as_bytes(), b"\xff"],
    );

    let [request] = &*shaped.requests else {
        panic!("{:?}", shaped.requests);
    };
    let found: Value = serde_json::from_str(&bytes(request)).expect("JSON");
    let expected: Value = serde_json::from_str(EXISTING).expect("JSON");
    assert_eq!(found[0]["data"], json!([1]));
    assert_eq!(found[0].get("time"), None);
    assert_eq!(found[1], expected);
    assert_eq!(found.as_array().map(Vec::len), Some(2));
    assert_eq!(request.events, [1, 2]);
    let rejected: Vec<u32> = shaped.reject.iter().map(|one| one.event).collect();
    assert_eq!(rejected, [0, 3]);
}

#[test]
fn a_batch_without_events_makes_no_request() {
    let shaped = shape(json!({ "mode": "batched" }), &[b"x"]);

    assert!(shaped.requests.is_empty());
}

#[test]
fn an_event_is_wrapped_where_it_shall_not_pass() {
    let config = json!({ "mode": "structured", "pass-through": false });

    let shaped = shape(config, &[EXISTING.as_bytes()]);

    let found: Value = serde_json::from_str(&bytes(&shaped.requests[0])).expect("JSON");
    assert_eq!(found["data"]["type"], "old");
}

#[test]
fn a_record_without_what_every_event_has_is_rejected() {
    let table = [
        (
            json!({ "source": "{json:/source}" }),
            "nothing at `/source`",
        ),
        (json!({ "source": "{json:/empty}" }), "`source` is empty"),
        (json!({ "source": "{json:/text}" }), "`source` is no URI"),
        (json!({ "time": "{json:/text}" }), "`time` is no RFC 3339"),
        (json!({ "subject": "{json:/lines}" }), "control character"),
    ];

    for (config, expected) in table {
        let shaped = shape(config, &[br#"{"empty":"","text":"a b","lines":"a\nb"}"#]);
        let [rejection] = &*shaped.reject else {
            panic!("{expected}: {:?}", shaped.requests);
        };
        assert!(rejection.reason.contains(expected), "{}", rejection.reason);
    }
}

#[test]
fn a_configuration_that_cannot_work_is_refused() {
    let table = [
        (json!({ "source": "/" }), "missing field `type`"),
        (json!({ "type": "t" }), "missing field `source`"),
        (
            json!({ "type": "t", "source": "/", "data-content-type": "json" }),
            "`json` is no media type",
        ),
        (
            json!({ "type": "t", "source": "/", "extensions": { "a-b": "" } }),
            "`a-b`",
        ),
        (
            json!({ "type": "t", "source": "/", "extensions": { "data": "" } }),
            "`data`",
        ),
        (json!({ "type": "{x}", "source": "/" }), "`type`: `{x}`"),
        (
            json!({ "type": "t", "source": "/", "mode": "both" }),
            "unknown variant `both`",
        ),
    ];

    for (config, expected) in table {
        let refused = configure::<CloudEvents>(&config.to_string()).err();
        let refused = refused.unwrap_or_default();
        assert!(refused.contains(expected), "{expected}: {refused}");
    }
}

#[test]
fn a_receiver_that_does_not_understand_the_mode_is_not_asked_again() {
    let config = json!({ "type": "t", "source": "/", "mode": "batched" }).to_string();
    let plugin: CloudEvents = configure(&config).expect("a good configuration");

    let judge = |status| plugin.judge(&testing::response(status, ""));

    assert!(matches!(judge(415), Verdict::Reject(reason) if reason.contains("batched mode")));
    for status in [200, 204, 410, 429, 500] {
        assert!(matches!(judge(status), Verdict::ByStatus), "{status}");
    }
}

#[test]
fn an_event_with_more_than_the_host_takes_is_rejected_alone() {
    let members: String = (0..130).map(|n| format!(",\"x{n}\":1")).collect();
    let many = EXISTING.replace(",\"data\"", &format!("{members},\"data\""));
    let long = format!("\"{}\"", "\u{e9}".repeat(20_000));

    let shaped = shape(
        json!({ "subject": "{data}" }),
        &[many.as_bytes(), b"1", long.as_bytes()],
    );

    let rejected: Vec<u32> = shaped.reject.iter().map(|one| one.event).collect();
    assert_eq!(rejected, [0, 2]);
    assert!(
        shaped.reject[1].reason.contains("headers of"),
        "{:?}",
        shaped.reject
    );
}
