//! The contract of Firehose, and function URLs.

use std::{
    io::Read,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use nozzle_testkit::{
    FunctionUrl, Verifier,
    fault_endpoint::{Step, WireRequest, answer},
};
use serde_json::{Value, json};

use super::{AWS_KEY, alerts, header, reply, run};

/// The body of a request that was compressed.
fn unzipped(request: &WireRequest) -> Value {
    let mut text = String::new();
    flate2::read::GzDecoder::new(&*request.body)
        .read_to_string(&mut text)
        .expect("gzip");
    serde_json::from_str(&text).expect("JSON")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_firehose_asks_of_an_endpoint_is_asked() {
    let calls = AtomicUsize::new(0);
    // A 200 without a body, one for another request, a refusal: no delivery any of them.
    let script = move |request: &WireRequest| -> Vec<Step> {
        let body = unzipped(request);
        let id = match calls.fetch_add(1, SeqCst) {
            0 => return answer(200, &[]),
            1 => "another".into(),
            2 => return reply(403, "application/json", r#"{"errorMessage":"wait"}"#),
            _ => body["requestId"].clone(),
        };
        let answer = json!({ "requestId": id, "timestamp": 1_578_090_903_599_u64 });
        reply(200, "application/json", &answer.to_string())
    };
    let words = [("initial-delay: 1s", "initial-delay: 1ms")];

    let run = run("firehose", script, &words).await;

    assert_eq!(run.ended.code(), 0, "{}", run.ended.stderr);
    assert!(run.letters.is_empty(), "{:?}", run.reasons());
    let requests = run.server.requests();
    assert_eq!(requests.len(), 4);
    for request in &requests {
        let body = unzipped(request);
        assert_eq!(
            header(request, "x-amz-firehose-request-id"),
            body["requestId"]
        );
        assert_eq!(header(request, "x-amz-firehose-protocol-version"), "1.0");
        assert_eq!(
            header(request, "x-amz-firehose-access-key"),
            "key-of-the-test"
        );
        assert_eq!(header(request, "content-encoding"), "gzip");
        let attributes = r#"{"commonAttributes":{"stage":"test"}}"#;
        assert_eq!(
            header(request, "x-amz-firehose-common-attributes"),
            attributes
        );
        assert!(body["timestamp"].is_u64(), "{body}");
        let record = |record: &Value| {
            let data = STANDARD.decode(record["data"].as_str().expect("text"));
            serde_json::from_slice(&data.expect("base64")).expect("JSON")
        };
        let records: Vec<Value> = body["records"]
            .as_array()
            .expect("a list")
            .iter()
            .map(record)
            .collect();
        assert_eq!(records, alerts());
        assert_eq!(body, unzipped(&requests[0]), "each attempt is the same");
    }
    assert!(
        run.ended.stderr.contains("message=wait"),
        "{}",
        run.ended.stderr
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_of_awss_own_library_gets_again_what_it_failed_on() {
    let calls = AtomicUsize::new(0);
    let function = Mutex::new(FunctionUrl::start());
    let script = move |request: &WireRequest| -> Vec<Step> {
        let answered = match calls.fetch_add(1, SeqCst) {
            0 => {
                let kind = [("x-amzn-errortype", "TooManyRequestsException")];
                return answer(429, &kind);
            }
            // What Lambda takes for the failure of the whole batch.
            1 => {
                return reply(
                    200,
                    "application/json",
                    r#"{"batchItemFailures":[{"itemIdentifier":""}]}"#,
                );
            }
            _ => function.lock().expect("no panic").call(&request.raw),
        };
        match answered {
            Ok((status, body)) => reply(status, "application/json", &body),
            Err(error) => reply(502, "application/json", &error),
        }
    };
    let words = [("on-outage", "retry: { initial-delay: 1ms }\n    on-outage")];

    let run = run("lambda", script, &words).await;

    assert_eq!(run.ended.code(), 0, "{}", run.ended.stderr);
    assert!(run.letters.is_empty(), "{:?}", run.reasons());
    let of_srv02: Vec<Value> = alerts()
        .into_iter()
        .filter(|alert| alert["host"] == "srv02")
        .collect();
    let sent: Vec<Vec<Value>> = run
        .bodies()
        .iter()
        .map(|body| {
            let records = body["records"].as_array().expect("a list");
            records
                .iter()
                .map(|record| record["data"].clone())
                .collect()
        })
        .collect();
    assert_eq!(sent, [alerts(), alerts(), alerts(), of_srv02]);
    let key = json!({ "id": AWS_KEY.0, "secret": AWS_KEY.1 });
    let mut verifier = Verifier::python();
    for request in run.server.requests() {
        let signed = verifier.verify("sigv4", &key, &request.raw);
        signed.expect("it is signed");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_that_always_fails_is_given_up_on() {
    let words = [(
        "on-outage",
        "retry: { initial-delay: 1ms, max-attempts: 3 }\n    on-outage",
    )];
    let error = r#"{"errorType":"ValueError"}"#;

    let run = run(
        "lambda",
        move |_: &WireRequest| reply(502, "application/json", error),
        &words,
    )
    .await;

    assert_eq!(run.ended.code(), 0, "{}", run.ended.stderr);
    assert_eq!(run.letters.len(), 6);
    assert_eq!(run.server.requests().len(), 3);
    assert!(
        run.ended.stderr.contains("ValueError"),
        "{}",
        run.ended.stderr
    );
}
