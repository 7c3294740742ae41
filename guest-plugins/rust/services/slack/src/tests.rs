use nozzle_plugin::{Body, configure, testing};
use serde_json::json;

use super::*;

fn messages(config: &Value, data: &[&[u8]]) -> (Vec<Value>, Vec<String>) {
    let plugin: Slack = configure(&config.to_string()).expect("a good configuration");
    let shaped = plugin
        .shape(&testing::batch(data.iter().copied()))
        .expect("it shapes");
    let read = |request: &Request| match &request.body {
        Body::Bytes(bytes) => serde_json::from_slice(bytes).expect("JSON"),
        other => panic!("{other:?}"),
    };
    (
        shaped.requests.iter().map(read).collect(),
        shaped.reject.into_iter().map(|one| one.reason).collect(),
    )
}

#[test]
fn a_record_is_text_and_calls_nobody() {
    let (found, rejected) = messages(
        &Value::Null,
        &[b"<!channel> a & \"b\"", b" \n", b"\xff", b"fine"],
    );

    let expected = [
        json!({ "text": "&lt;!channel&gt; a &amp; \"b\"" }),
        json!({ "text": "fine" }),
    ];
    assert_eq!(found, expected);
    assert_eq!(
        rejected,
        ["the message has no text", "the record is no UTF-8"]
    );
}

#[test]
fn blocks_and_fields_are_filled_in() {
    let config = json!({
        "text": "<!here> {json:/name}",
        "blocks": [
            { "type": "section", "text": { "type": "mrkdwn", "text": "*{json:/name}*" } },
            { "type": "image", "image_url": "https://x.test/?a=1&n={json:/n}", "alt_text": "{json:/n}" },
        ],
        "fields": { "unfurl_links": false },
    });

    let (found, rejected) = messages(&config, &[br#"{"name":"a<b","n":"1&2"}"#, b"{}"]);

    let expected = json!({
        "text": "<!here> a&lt;b",
        "blocks": [
            { "type": "section", "text": { "type": "mrkdwn", "text": "*a&lt;b*" } },
            { "type": "image", "image_url": "https://x.test/?a=1&n=1&2", "alt_text": "1&amp;2" },
        ],
        "unfurl_links": false,
    });
    assert_eq!(found, [expected]);
    assert_eq!(rejected, ["the record has nothing at `/name`"]);
}

#[test]
fn what_comes_as_slacks_own_markup_may_pass() {
    let (found, _) = messages(&json!({ "escape": false }), &[b"<https://x.test|a>"]);

    assert_eq!(found, [json!({ "text": "<https://x.test|a>" })]);
}

#[test]
fn a_dead_hook_rejects_or_is_left_to_the_policy() {
    let judge = |config: Value, status, body: &str| {
        let plugin: Slack = configure(&config.to_string()).expect("a good configuration");
        plugin.judge(&testing::response(status, body))
    };
    let policy = json!({ "dead-hook": "by-status" });

    let gone = judge(Value::Null, 404, "no_service");
    assert!(matches!(gone, Verdict::Reject(reason) if reason.starts_with("no_service: ")));
    assert!(matches!(
        judge(policy.clone(), 404, "no_service"),
        Verdict::ByStatus
    ));
    assert!(matches!(
        judge(policy, 400, "invalid_payload"),
        Verdict::Reject(_)
    ));
    assert!(matches!(judge(Value::Null, 429, ""), Verdict::ByStatus));
    assert!(matches!(judge(Value::Null, 200, "ok"), Verdict::ByStatus));
}

#[test]
fn a_configuration_that_cannot_work_is_refused() {
    for (config, expected) in [
        (json!({ "blocks": {} }), "`blocks` is no list"),
        (json!({ "blocks": ["{x}"] }), "`blocks`: `{x}`"),
        (json!({ "fields": { "text": "a" } }), "`text` is a setting"),
        (json!({ "text": "{x}" }), "`text`: `{x}`"),
    ] {
        let refused = configure::<Slack>(&config.to_string())
            .err()
            .unwrap_or_default();
        assert!(refused.contains(expected), "{refused}");
    }
}
