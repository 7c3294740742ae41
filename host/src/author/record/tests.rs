use std::{path::Path, sync::Arc};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};

use super::*;
use crate::{
    author::Case,
    author::case::Wanted,
    delivery::tap::Judged,
    event::Event,
    outcome::{Failure, Response},
    plugin::{
        EventVerdict, Handled, Identity, Method, PluginVerdict, Shaped, ShapedBody, ShapedRequest,
    },
};

fn event(number: usize, data: &'static [u8]) -> Arc<Event> {
    Arc::new(Event {
        id: format!("t/in:{number}").into(),
        key: (number == 1).then(|| "a: b".into()),
        timestamp_ms: 1_000,
        attributes: vec![("host".into(), "one".into())],
        data: Bytes::from_static(data),
    })
}

fn taken() -> Taken {
    let mut headers = HeaderMap::new();
    headers.insert("retry-after", HeaderValue::from_static("3"));
    headers.insert("set-cookie", HeaderValue::from_static("id=1"));
    headers.insert("x-odd", HeaderValue::from_bytes(b"\xff").expect("a value"));
    let answer = |status, body: &'static str| {
        Ok(Response {
            status,
            headers: headers.clone(),
            body: Bytes::from_static(body.as_bytes()),
            truncated: false,
        })
    };
    let shaped = ShapedRequest {
        method: Method::Post,
        endpoint: Some("eu".to_owned()),
        target: "items?k=s3cret-value".to_owned(),
        headers: vec![("content-type".to_owned(), "application/x-ndjson".to_owned())],
        body: ShapedBody::Joined {
            prefix: Bytes::new(),
            separator: Bytes::from_static(b"\n"),
            suffix: Bytes::from_static(b"\n"),
        },
        events: vec![0, 2],
    };
    let each = PluginVerdict::Each(vec![
        EventVerdict::Delivered,
        EventVerdict::Reject("no such field, s3cret-value".to_owned()),
    ]);
    let judged = |attempt, outcome, verdict| Judged {
        attempt,
        outcome,
        handled: Some(Handled {
            verdict,
            results: Vec::new(),
        }),
    };
    Taken {
        generation: 2,
        identity: Arc::new(Identity {
            digest: "ab".repeat(32),
            config: r#"{"index":"s3cret-value","n":1.5}"#.to_owned(),
            grants: GrantSettings {
                clock: true,
                ..GrantSettings::default()
            },
        }),
        events: [
            event(0, b"{\"n\":1}"),
            event(1, b"\xff"),
            event(2, b"s3cret-value"),
        ]
        .into(),
        made: Made::Shaped(Shaped {
            headers: Vec::new(),
            requests: vec![shaped],
            drop: Vec::new(),
            reject: vec![(1, "no UTF-8".to_owned())],
        }),
        attempts: vec![vec![
            judged(1, answer(503, ""), PluginVerdict::ByStatus),
            judged(2, Err(Failure::Timeout), PluginVerdict::Retry(Some(5))),
            judged(3, answer(200, "{\"errors\":true}"), each),
        ]],
        is_over: false,
        unjudged: 1,
        too_large: 0,
    }
}

fn origin() -> Origin {
    Origin {
        sink: "t/sink".to_owned(),
        recorded: "2026-01-01T00:00:00.000Z".to_owned(),
        endpoints: vec!["default".to_owned(), "eu".to_owned()],
        order: Order::Key,
    }
}

#[test]
fn a_batch_is_written_as_a_case_without_what_is_secret() {
    let secrets = Secrets::new(["s3cret-value"]);

    let case = case_of(&taken(), &origin(), &secrets).expect("a case");

    assert!(case.is_altered);
    insta::assert_snapshot!(case.text, @r#"
    about: 'recorded from t/sink at 2026-01-01T00:00:00.000Z, plugin generation 2, sha256 abababababababababababababababababababababababababababababababab; removed: secrets of the host in 5 places, and the response headers set-cookie, x-odd, so it may not pass as it is; a response is left out, as the plugin failed on it; the recording has ended before its calls; what it makes may depend on the clock'
    config:
      index: '[removed]'
      n: 1.5
    grants:
      clock: true
    endpoints:
      - eu
    order: key
    events:
      - data: '{"n":1}'
        id: 't/in:0'
        timestamp-ms: 1000
        attributes:
          host: one
      - base64: '/w=='
        id: 't/in:1'
        key: 'a: b'
        timestamp-ms: 1000
        attributes:
          host: one
      - data: '[removed]'
        id: 't/in:2'
        timestamp-ms: 1000
        attributes:
          host: one
    expect:
      requests:
        - method: post
          endpoint: eu
          target: 'items?k=[removed]'
          headers:
            content-type: application/x-ndjson
          body: |
            {"n":1}
            [removed]
          events: [0, 2]
          responses:
            - status: 503
              headers:
                retry-after: '3'
              verdict: by-status
            - failure: timeout
              attempt: 2
              verdict:
                retry: 5
            - status: 200
              headers:
                retry-after: '3'
              body: '{"errors":true}'
              attempt: 3
              verdict:
                each:
                  - delivered
                  - reject: 'no such field, [removed]'
      reject:
        - event: 1
          reason: no UTF-8
    "#);
    Case::parse(Path::new("case.yaml"), case.text).expect("it is a case");
}

#[test]
fn a_case_that_nothing_is_taken_out_of_says_what_was_recorded() {
    let mut plain = taken();
    plain.attempts[0].truncate(2);
    plain.attempts[0].remove(0);
    plain.is_over = true;
    let refused = Taken {
        made: Made::Refused("these are: none".to_owned()),
        attempts: Vec::new(),
        ..plain.clone()
    };
    let none = Secrets::default();

    let cases = [&plain, &refused].map(|taken| case_of(taken, &origin(), &none).expect("a case"));

    let read = cases.clone().map(|case| {
        assert!(!case.is_altered, "{}", case.text);
        Case::parse(Path::new("case.yaml"), case.text).expect("a case")
    });
    let found = [&plain, &refused].map(|taken| found(taken, &origin()).expect("found"));
    for (case, found) in read.iter().zip(&found) {
        let Wanted::Answer(wanted) = &case.wanted else {
            panic!("an answer");
        };
        let mut seen = masked(wanted, found, Fill::Nothing);
        for (seen, wanted) in seen.requests.iter_mut().zip(&wanted.requests) {
            // Those are judged by the plugin, which is not here.
            seen.responses = wanted.responses.clone();
        }
        assert_eq!(seen, *wanted);
    }
    assert_eq!(read[0].events, plain.events.to_vec());
    assert_eq!(read[0].config, plain.identity.config);
    assert!(
        cases[1].text.contains("error: 'these are: none'"),
        "{}",
        cases[1].text
    );
}
