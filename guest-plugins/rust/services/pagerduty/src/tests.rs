use nozzle_plugin::{
    Body, configure,
    testing::{self, TestEvent},
};

use super::*;

fn shape(config: &Value, key: Option<&str>, data: &str) -> Result<Value, String> {
    let plugin: PagerDuty = configure(&config.to_string()).expect("a good configuration");
    let batch = testing::events([TestEvent {
        id: "s:1",
        key,
        timestamp_ms: 1_437_122_578_315,
        data: data.as_bytes(),
        ..TestEvent::default()
    }]);
    let mut shaped = plugin.shape(&batch).expect("it shapes");
    match (shaped.requests.pop(), shaped.reject.pop()) {
        (Some(request), None) => match request.body {
            Body::Bytes(bytes) => Ok(serde_json::from_slice(&bytes).expect("JSON")),
            other => panic!("{other:?}"),
        },
        (None, Some(rejection)) => Err(rejection.reason),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_record_triggers_an_alert_under_its_key() {
    let config = json!({
        "routing-key": "R0UT1NG", "summary": "{json:/what} on {json:/host}", "source": "{json:/host}",
        "severity": "{json:/level}", "component": "{json:/part}", "group": "g", "client": "c",
        "links": [{ "href": "https://x.test/{json:/host}" }],
    });

    let found = shape(
        &config,
        Some("srv01/disk"),
        r#"{"what":"DISK","host":"srv01","level":"FATAL"}"#,
    );

    let expected = json!({
        "routing_key": "R0UT1NG",
        "event_action": "trigger",
        "dedup_key": "srv01/disk",
        "payload": {
            "summary": "DISK on srv01", "source": "srv01", "severity": "critical", "group": "g",
            "timestamp": "2015-07-17T08:42:58.315Z",
            "custom_details": { "what": "DISK", "host": "srv01", "level": "FATAL" },
        },
        "client": "c",
        "links": [{ "href": "https://x.test/srv01" }],
    });
    assert_eq!(found, Ok(expected));
}

#[test]
fn the_defaults_take_any_text() {
    let found = shape(&Value::Null, None, "it burns").expect("an alert");

    assert_eq!(found["dedup_key"], "s:1");
    assert_eq!(found["payload"]["summary"], "it burns");
    assert_eq!(found["payload"]["severity"], "error");
    assert_eq!(
        found["payload"]["custom_details"],
        json!({ "record": "it burns" })
    );
    assert_eq!(found.get("routing_key"), None);
}

#[test]
fn what_is_over_is_resolved_by_its_key() {
    let config = json!({
        "action": "{json:/status}", "actions": { "ok": "resolve", "firing": "trigger" },
        "custom-details": { "n": "{json:/n}" },
    });

    let resolved = shape(&config, Some("k"), r#"{"status":"ok"}"#);
    let acknowledged = shape(&config, Some("k"), r#"{"status":"acknowledge"}"#);
    let without = shape(&config, None, r#"{"status":"ok"}"#);
    let other = shape(&config, Some("k"), r#"{"status":"paused"}"#);
    let firing = shape(&config, Some("k"), r#"{"status":"firing","n":7}"#).expect("an alert");

    assert_eq!(
        resolved,
        Ok(json!({ "event_action": "resolve", "dedup_key": "k" }))
    );
    assert_eq!(
        acknowledged,
        Ok(json!({ "event_action": "acknowledge", "dedup_key": "k" }))
    );
    assert_eq!(
        without,
        Err("there is no key of what to resolve".to_owned())
    );
    assert!(other.is_err_and(|reason| reason.contains("`paused`")));
    assert_eq!(firing["payload"]["custom_details"], json!({ "n": "7" }));
}

#[test]
fn what_pagerduty_would_refuse_is_rejected_or_cut() {
    let long = "\u{e9}".repeat(2_000);

    let cut = shape(&Value::Null, Some("k"), &long).expect("an alert");
    let key = shape(&Value::Null, Some(&long), "x").expect_err("too long");
    let empty = shape(&Value::Null, Some("k"), " ").expect_err("empty");
    let severity = shape(&json!({ "severity": "{data}" }), None, "odd").expect_err("unknown");

    let summary = cut["payload"]["summary"]
        .as_str()
        .map(|text| text.chars().count());
    assert_eq!(summary, Some(1_024));
    assert!(key.contains("2000 characters"), "{key}");
    assert_eq!(empty, "the summary is empty");
    assert!(severity.contains("`odd`"), "{severity}");
}

#[test]
fn an_invalid_event_is_not_sent_again() {
    let of = |status, body: &str| judge(&testing::response(status, body));
    let body = r#"{"status":"invalid event","message":"m","errors":["'x' is missing"]}"#;

    assert!(
        matches!(of(400, body), Verdict::Reject(reason) if reason == "invalid event: 'x' is missing")
    );
    for status in [202, 403, 413, 429, 500, 503] {
        assert!(matches!(of(status, ""), Verdict::ByStatus), "{status}");
    }
}

#[test]
fn a_configuration_that_cannot_work_is_refused() {
    for (config, expected) in [
        (json!({ "summary": "{x}" }), "`summary`: `{x}`"),
        (json!({ "severities": { "a": "b" } }), "`severities`: `b`"),
        (json!({ "actions": { "a": "b" } }), "unknown variant `b`"),
        (json!({ "links": ["{x}"] }), "`links`: `{x}`"),
    ] {
        let refused = configure::<PagerDuty>(&config.to_string())
            .err()
            .unwrap_or_default();
        assert!(refused.contains(expected), "{refused}");
    }
}
