//! Standard Webhooks, verified by `standardwebhooks` of PyPI and npm.

use std::collections::{BTreeMap, BTreeSet};

use nozzle_testkit::{
    Verifier,
    fault_endpoint::{Replies, answer},
};
use serde_json::json;

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
        let payload = String::from_utf8(request.body.to_vec()).expect("text");
        let before = payloads.insert(id, payload.clone());
        assert!(before.is_none_or(|before| before == payload));
    }
    let sent: BTreeSet<String> = payloads.into_values().collect();
    let expected: BTreeSet<String> = alerts()
        .iter()
        .map(|alert| {
            let (status, at) = (alert["status"].as_str(), &alert["at"]);
            let kind = json!(format!("alert.{}", status.expect("text")));
            // The record as it stands in the file, whose members have another order than those of `alert`.
            format!("{{\"type\":{kind},\"timestamp\":{at},\"data\":")
        })
        .collect();
    assert_eq!(sent.len(), 6);
    for start in &expected {
        assert!(sent.iter().any(|sent| sent.starts_with(start)), "{start}");
    }
    let data: BTreeSet<String> = sent
        .iter()
        .map(|sent| {
            let payload: serde_json::Value = serde_json::from_str(sent).expect("JSON");
            payload["data"].to_string()
        })
        .collect();
    let records = alerts().iter().map(ToString::to_string).collect();
    assert_eq!(data, records);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_is_gone_stops_the_sink_and_loses_nothing() {
    let run = run("standard-webhooks", |_: &_| answer(410, &[]), &[PACE]).await;

    assert_eq!(run.ended.code(), 5, "{}", run.ended.stderr);
    assert!(run.letters.is_empty(), "{:?}", run.reasons());
    let said = "the receiver wants no more webhooks";
    assert!(run.ended.stderr.contains(said), "{}", run.ended.stderr);
}
