//! Slack and PagerDuty, with the answers of their documents.

use nozzle_testkit::fault_endpoint::{Replies, Step, WireRequest, answer};
use serde_json::{Value, json};

use super::{SLACK_HOOK, alerts, reply, run};

#[tokio::test(flavor = "multi_thread")]
async fn slack_gets_a_message_an_alert_and_its_words_are_reasons() {
    let text = |status, body| reply(status, "text/plain", body);
    let replies = Replies::new([
        answer(429, &[("retry-after", "1")]),
        text(200, "ok"),
        text(400, "invalid_blocks"),
        text(404, "no_service"),
        text(500, "rollup_error"),
        text(200, "ok"),
    ]);
    let words = [("calls-per-second: 1 ", "calls-per-second: 1000 ")];

    let run = run("slack", replies, &words).await;

    assert_eq!(run.ended.code(), 0, "{}", run.ended.stderr);
    let sent = run.bodies();
    let texts: Vec<&str> = sent
        .iter()
        .filter_map(|body| body["text"].as_str())
        .collect();
    let expected = [
        "srv01: /var is at 99% &lt;ext4&gt;",
        "srv01: /var is at 99% &lt;ext4&gt;",
        "srv02: /var is at 80%",
        "caf\u{e9}: load 9 &amp; rising",
        "srv01: Ann looks at it",
        "srv01: Ann looks at it",
        "srv02: /var is at 41%",
        "srv01: /var is at 52%",
    ];
    assert_eq!(texts, expected);
    let section = json!({
        "type": "section",
        "text": { "type": "mrkdwn", "text": "*srv02* at 2026-01-05T08:00:07Z\n/var is at 80%" },
    });
    assert_eq!(sent[2]["blocks"][1], section);
    let reasons = [
        "invalid_blocks (the blocks are not right)",
        "no_service: the hook was removed or disabled",
    ];
    assert_eq!(run.reasons(), reasons);
    let requests = run.server.requests();
    assert_eq!(requests[0].target, format!("/services/{SLACK_HOOK}"));
    let secret = SLACK_HOOK.rsplit('/').next().expect("its last part");
    assert!(!run.ended.stderr.contains(secret), "{}", run.ended.stderr);
}

/// What PagerDuty's description of its API asks of an event (`events-v2/openapiv3.json`, `required` and `enum`).
fn faults(event: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    let mut text = |event: &Value, name: &str, of: &[&str]| match event[name].as_str() {
        Some(value) if of.is_empty() || of.contains(&value) => {}
        _ => faults.push(format!("'{name}' is missing or invalid")),
    };
    text(event, "routing_key", &[]);
    text(
        event,
        "event_action",
        &["trigger", "acknowledge", "resolve"],
    );
    if event["event_action"] == "trigger" {
        let payload = &event["payload"];
        text(payload, "summary", &[]);
        text(payload, "source", &[]);
        text(
            payload,
            "severity",
            &["critical", "warning", "error", "info"],
        );
    } else {
        text(event, "dedup_key", &[]);
    }
    faults
}

/// As PagerDuty answers; it takes nothing of the host `srv02`.
fn pagerduty(request: &WireRequest) -> Vec<Step> {
    let event: Value = serde_json::from_slice(&request.body).expect("JSON");
    let mut faults = faults(&event);
    if event["dedup_key"]
        .as_str()
        .is_some_and(|key| key.starts_with("srv02"))
    {
        faults.push("'srv02' is unknown".to_owned());
    }
    let (status, body) = match faults.is_empty() {
        true => (
            202,
            json!({ "status": "success", "message": "Event processed" }),
        ),
        false => (
            400,
            json!({ "status": "invalid event", "message": "Event object is invalid", "errors": faults }),
        ),
    };
    reply(status, "application/json", &body.to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn pagerduty_gets_triggers_and_resolves_in_their_order() {
    let run = run("pagerduty", pagerduty, &[]).await;

    assert_eq!(run.ended.code(), 0, "{}", run.ended.stderr);
    let sent = run.bodies();
    let events: Vec<(&str, &str)> = sent
        .iter()
        .filter_map(|event| {
            Some((
                event["event_action"].as_str()?,
                event["dedup_key"].as_str()?,
            ))
        })
        .collect();
    let expected = [
        ("trigger", "srv01/disk"),
        ("trigger", "srv02/disk"),
        ("trigger", "caf\u{e9}/load"),
        ("acknowledge", "srv01/disk"),
        ("resolve", "srv02/disk"),
        ("resolve", "srv01/disk"),
    ];
    assert_eq!(events, expected);
    assert_eq!(sent[0]["payload"]["severity"], "critical");
    assert_eq!(sent[0]["payload"]["custom_details"], alerts()[0]);
    assert_eq!(run.reasons(), ["invalid event: 'srv02' is unknown"; 2]);
}
