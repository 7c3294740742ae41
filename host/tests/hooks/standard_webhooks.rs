//! Standard Webhooks, verified by `standardwebhooks` of PyPI and npm.

use std::collections::{BTreeMap, BTreeSet};

use nozzle_testkit::{
    Verifier,
    fault_endpoint::{Replies, WireRequest, answer},
};
use serde_json::{Value, json};

use super::{WEBHOOK_SECRET, alerts, header, run};

const PACE: (&str, &str) = ("initial-delay: 1s", "initial-delay: 1ms");

#[tokio::test(flavor = "multi_thread")]
async fn webhooks_are_verified_and_a_4xx_is_tried_again_under_the_same_id() {
    let replies = Replies::new([404, 400, 429, 502, 204].map(|status| answer(status, &[])));

    let run = run("standard-webhooks", replies, &[PACE]).await;

    assert_eq!(run.ended.code(), 0, "{}", run.ended.stderr);
    assert!(run.letters.is_empty(), "{:?}", run.reasons());
    let requests = run.server.requests();
    assert_eq!(requests.len(), 6 + 4);
    let key = json!({ "secret": WEBHOOK_SECRET });
    let mut verifiers = [Verifier::python(), Verifier::node()];
    let mut payloads = BTreeMap::new();
    for request in &requests {
        let id = header(request, "webhook-id").to_owned();
        for verifier in &mut verifiers {
            let verified = verifier.verify("webhooks", &key, &request.raw);
            assert_eq!(verified.as_ref(), Ok(&id));
        }
        let payload: Value = serde_json::from_slice(&request.body).expect("JSON");
        let before = payloads.insert(id, payload.clone());
        assert!(before.is_none_or(|before| before == payload));
    }
    let sent: BTreeSet<String> = payloads.values().map(Value::to_string).collect();
    let payload = |alert: &Value| {
        let kind = format!("alert.{}", alert["status"].as_str().expect("text"));
        json!({ "type": kind, "timestamp": alert["at"], "data": alert }).to_string()
    };
    assert_eq!(sent, alerts().iter().map(payload).collect());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_is_gone_stops_the_sink_and_loses_nothing() {
    let run = run(
        "standard-webhooks",
        |_: &WireRequest| answer(410, &[]),
        &[PACE],
    )
    .await;

    assert_eq!(run.ended.code(), 5, "{}", run.ended.stderr);
    assert!(run.letters.is_empty(), "{:?}", run.reasons());
    let said = "the receiver wants no more webhooks";
    assert!(run.ended.stderr.contains(said), "{}", run.ended.stderr);
}
