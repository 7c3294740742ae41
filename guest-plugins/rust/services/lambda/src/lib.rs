//! AWS Lambda function URLs: a batch is one JSON document, and the function may name the records that it failed on.
//!
//! The rules: [invoking function URLs](https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html); failures as
//! event source mappings read them ([SQS](https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html),
//! [streams](https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-batchfailurereporting.html)); statuses as
//! [Invoke](https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html) has them: 429 is throttling, 413 more than 6 MB
//! ([quotas](https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html)), 409 a function that is not ready,
//! and 502 a function that failed. Invoke itself says that with 200 and `X-Amz-Function-Error`, and is served too. SigV4 is the
//! endpoint's `auth`.

mod failures;
mod record;

use failures::{Outcome, Report};
use nozzle_plugin::{
    Batch, Call, Failure, Handle, Handled, Plugin, Request, Response, Shaped, Verdict, export_sink,
    log,
};
use record::Encoding;
use serde::Deserialize;

/// `plugin.config`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct Config {
    /// Resolved against the endpoint's URL.
    target: String,
    format: Format,
    encoding: Encoding,
    failures: Report,
}

/// What the function gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Format {
    /// `{"records": [{"id", "key", "timestamp", "attributes", "data"}]}`; an `itemIdentifier` is an id.
    #[default]
    Envelope,
    /// `[data, …]`; an `itemIdentifier` is a place in it, from `0`.
    Array,
}

struct Lambda(Config);

impl Plugin for Lambda {
    type Config = Config;

    fn new(config: Config) -> Result<Self, String> {
        Ok(Self(config))
    }

    fn shape(&self, batch: &Batch) -> Result<Shaped, String> {
        let mut shaped = Shaped::new().header("content-type", "application/json");
        let mut events = Vec::with_capacity(batch.len() as usize);
        for event in batch {
            match self.0.encoding.check(&event) {
                Ok(()) => events.push(event),
                Err(reason) => shaped.reject_event(event.index(), reason),
            }
        }
        if events.is_empty() {
            return Ok(shaped);
        }
        let request = Request::post(self.0.target.as_str());
        let request = match (self.0.format, self.0.encoding) {
            // The host joins the records: they are not copied here.
            (Format::Array, Encoding::Json) => request.joined("[", ",", "]"),
            (Format::Array, encoding) => request.body(record::array(&events, encoding)),
            (Format::Envelope, encoding) => request.body(record::envelope(&events, encoding)),
        };
        let indices = events.iter().map(|event| event.index());
        shaped.requests.push(request.events(indices));
        Ok(shaped)
    }
}

impl Lambda {
    /// A verdict, and what to tell the operator. `identifiers` are those of the call's events.
    fn judge(
        &self,
        response: &Response,
        identifiers: impl FnOnce() -> Vec<String>,
    ) -> (Verdict, Option<String>) {
        if let Some(kind) = response.header("x-amz-function-error") {
            let note = format!("the function failed ({kind}): {}", response.excerpt());
            return (Verdict::Retry(None), Some(note));
        }
        match response.status {
            200..=299 => match failures::read(response) {
                Outcome::Success => (Verdict::ByStatus, None),
                Outcome::Failure(error) => (Verdict::Retry(None), Some(error)),
                Outcome::Some(failed) => match self.0.failures.verdicts(&failed, &identifiers()) {
                    Ok(each) => (Verdict::Each(each), None),
                    Err(error) => (Verdict::Retry(None), Some(error)),
                },
            },
            // Another operation is in progress, or a snapshot is not ready.
            409 => (Verdict::Retry(None), None),
            502 => (
                Verdict::ByStatus,
                Some(format!("the function failed: {}", response.excerpt())),
            ),
            _ => (Verdict::ByStatus, None),
        }
    }
}

impl Handle for Lambda {
    fn handle(&self, call: &Call, outcome: Result<Response, Failure>) -> Handled {
        let Ok(response) = outcome else {
            return Verdict::ByStatus.into();
        };
        let identifiers = || match self.0.format {
            Format::Envelope => call
                .events()
                .iter()
                .map(|event| event.id().to_owned())
                .collect(),
            Format::Array => (0..call.event_count())
                .map(|place| place.to_string())
                .collect(),
        };
        let (verdict, note) = self.judge(&response, identifiers);
        if let Some(note) = note {
            let kind = response.header("x-amzn-errortype").unwrap_or("none");
            log::warn(
                "the function did not take the records",
                &[("error", &note), ("error-type", &kind)],
            );
        }
        verdict.into()
    }
}

export_sink!(Lambda);

#[cfg(test)]
mod tests {
    use nozzle_plugin::{
        Body, EventVerdict, configure,
        testing::{self, TestEvent},
    };
    use serde_json::{Value, json};

    use super::*;

    fn lambda(config: &str) -> Lambda {
        configure(config).expect(config)
    }

    fn body(shaped: &Shaped) -> Value {
        match &shaped.requests[0].body {
            Body::Bytes(bytes) => serde_json::from_slice(bytes).expect("JSON"),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_envelope_has_all_that_the_function_may_want() {
        let batch = testing::events([
            TestEvent {
                id: "s:1",
                key: Some("k"),
                timestamp_ms: 7,
                attributes: &[("a", "\"b\"")],
                data: b"{\"n\":1}",
            },
            TestEvent {
                id: "s:2",
                data: b"oh no",
                ..TestEvent::default()
            },
            TestEvent {
                id: "s:3",
                data: b"[]",
                ..TestEvent::default()
            },
        ]);

        let shaped = lambda("null").shape(&batch).expect("it shapes");

        let expected = json!({ "records": [
            { "id": "s:1", "key": "k", "timestamp": 7, "attributes": { "a": "\"b\"" }, "data": { "n": 1 } },
            { "id": "s:3", "key": null, "timestamp": 0, "attributes": {}, "data": [] },
        ] });
        assert_eq!(body(&shaped), expected);
        assert_eq!(shaped.requests[0].events, [0, 2]);
        assert_eq!(shaped.reject[0].event, 1);
    }

    #[test]
    fn an_array_has_the_records_alone() {
        let batch = testing::batch([&b"1"[..], b"\"a\"", b"\xff"]);
        let of = |config| lambda(config).shape(&batch).expect("it shapes");

        let json = of(r#"{"format":"array"}"#);
        let text = of(r#"{"format":"array","encoding":"text"}"#);
        let base64 = of(r#"{"format":"array","encoding":"base64"}"#);

        assert!(matches!(json.requests[0].body, Body::Joined(_)));
        assert_eq!(json.requests[0].events, [0, 1]);
        assert_eq!(body(&text), json!(["1", "\"a\""]));
        assert_eq!(body(&base64), json!(["MQ==", "ImEi", "/w=="]));
        assert_eq!(base64.requests[0].events, [0, 1, 2]);
    }

    #[test]
    fn a_batch_without_records_makes_no_call() {
        let shaped = lambda("null").shape(&testing::batch([&b"x"[..]]));

        assert!(shaped.expect("it shapes").requests.is_empty());
    }

    #[test]
    fn the_function_says_what_it_failed_on() {
        use EventVerdict::{Delivered, Retry};
        let identifiers = || ["a", "b", "c"].map(str::to_owned).to_vec();
        let judge = |config, status, text: &str| {
            lambda(config)
                .judge(&testing::response(status, text), identifiers)
                .0
        };
        let failed = r#"{"batchItemFailures":[{"itemIdentifier":"b"}]}"#;
        let streams = r#"{"failures":"checkpoint"}"#;

        assert!(
            matches!(judge("null", 200, failed), Verdict::Each(each) if matches!(*each, [Delivered, Retry, Delivered]))
        );
        assert!(
            matches!(judge(streams, 200, failed), Verdict::Each(each) if matches!(*each, [Delivered, Retry, Retry]))
        );
        assert!(matches!(judge("null", 200, "done"), Verdict::ByStatus));
        let other = r#"{"batchItemFailures":[{"itemIdentifier":"x"}]}"#;
        assert!(matches!(judge("null", 200, other), Verdict::Retry(None)));
        assert!(matches!(judge("null", 409, ""), Verdict::Retry(None)));
        for status in [403, 413, 429, 500, 502, 503] {
            assert!(
                matches!(judge("null", status, failed), Verdict::ByStatus),
                "{status}"
            );
        }
    }

    #[test]
    fn a_function_that_failed_under_invoke_is_called_again() {
        let mut response = testing::response(200, r#"{"errorMessage":"x"}"#);
        response.headers = vec![("x-amz-function-error".to_owned(), "Unhandled".to_owned())];

        let (verdict, note) = lambda("null").judge(&response, Vec::new);

        assert!(matches!(verdict, Verdict::Retry(None)));
        assert!(note.is_some_and(|note| note.contains("Unhandled") && note.contains("\"x\"")));
    }
}
