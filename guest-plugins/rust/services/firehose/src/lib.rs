//! The contract of Amazon Data Firehose with its HTTP endpoints: what takes Firehose's deliveries takes these.
//!
//! The rules: [the request and response specifications](https://docs.aws.amazon.com/firehose/latest/dev/httpdeliveryrequestresponse.html).
//! Only 200, with JSON that repeats the request's id and has a time, is a delivery; anything else is as a 500. 413 is
//! permanent, which the host's policy makes smaller calls of. All others are tried again: 4xx too. The access key is the
//! endpoint's `auth`: `{ header: { name: x-amz-firehose-access-key, value: … } }`.

mod answer;
mod request_id;

use std::{collections::BTreeMap, fmt::Write as _};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use nozzle_plugin::{
    Batch, Call, Event, Failure, Handle, Handled, Plugin, Request, Response, Shaped, Verdict,
    check_header, export_sink, log,
};
use request_id::request_id;
use serde::Deserialize;
use serde_json::json;

/// The most records of a request.
const RECORDS: usize = 10_000;
/// The largest record, in bytes.
const RECORD: usize = 1_024_000;
/// The longest header, in bytes: the host takes 64 KiB of them.
const HEADER: usize = 60_000;

/// `plugin.config`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct Config {
    /// Resolved against the endpoint's URL.
    target: String,
    /// The ARN of the delivery stream that is stood in for, which endpoints may look at.
    source_arn: Option<String>,
    /// Metadata of every request.
    common_attributes: BTreeMap<String, String>,
}

struct Firehose {
    target: String,
    headers: Vec<(&'static str, String)>,
}

impl Plugin for Firehose {
    type Config = Config;

    fn new(config: Config) -> Result<Self, String> {
        let mut headers = vec![
            ("content-type", "application/json".to_owned()),
            ("x-amz-firehose-protocol-version", "1.0".to_owned()),
        ];
        if let Some(arn) = config.source_arn {
            headers.push(("x-amz-firehose-source-arn", arn));
        }
        if !config.common_attributes.is_empty() {
            let value = common_attributes(&config.common_attributes)?;
            headers.push(("x-amz-firehose-common-attributes", value));
        }
        for (name, value) in &headers {
            check_header(name, value)?;
            if value.len() > HEADER {
                return Err(format!("the header `{name}` has more than {HEADER} bytes"));
            }
        }
        Ok(Self {
            target: config.target,
            headers,
        })
    }

    fn shape(&self, batch: &Batch) -> Result<Shaped, String> {
        let mut shaped = Shaped::new();
        for (name, value) in &self.headers {
            shaped = shaped.header(name, value);
        }
        let mut events = Vec::with_capacity(batch.len() as usize);
        for event in batch {
            match event.data().len() {
                0..=RECORD => events.push(event),
                size => shaped.reject_event(
                    event.index(),
                    format!("the record has {size} bytes, of {RECORD} that Firehose has at most"),
                ),
            }
        }
        for events in events.chunks(RECORDS) {
            shaped.requests.push(self.request(events));
        }
        Ok(shaped)
    }
}

impl Firehose {
    fn request(&self, events: &[Event<'_>]) -> Request {
        let id = request_id(events.iter().map(Event::id));
        // A plugin has no clock: the newest record says when.
        let timestamp = events.iter().map(Event::timestamp_ms).max();
        let timestamp = timestamp.unwrap_or_default();
        let size: usize = events.iter().map(|event| event.data().len()).sum();
        let mut body = String::with_capacity(size / 3 * 4 + 16 * events.len() + 100);
        body.push_str(&format!(
            r#"{{"requestId":"{id}","timestamp":{timestamp},"records":["#
        ));
        for (place, event) in events.iter().enumerate() {
            body.push_str(if place == 0 {
                r#"{"data":""#
            } else {
                r#",{"data":""#
            });
            STANDARD.encode_string(event.data(), &mut body);
            body.push_str(r#""}"#);
        }
        body.push_str("]}");
        Request::post(self.target.as_str())
            .header("x-amz-firehose-request-id", id)
            .body(body)
            .events(events.iter().map(Event::index))
    }
}

/// The header's JSON, in ASCII.
fn common_attributes(attributes: &BTreeMap<String, String>) -> Result<String, String> {
    if attributes.len() > 50 {
        return Err("`common-attributes` has more than 50".to_owned());
    }
    for (name, value) in attributes {
        if !(1..=256).contains(&name.chars().count()) || value.chars().count() > 1_024 {
            return Err(format!(
                "`common-attributes`: `{name}`: names have 1 to 256 characters, values 1024 at most"
            ));
        }
    }
    let mut out = String::new();
    for character in json!({ "commonAttributes": attributes })
        .to_string()
        .chars()
    {
        match character {
            ' '..='~' => out.push(character),
            // JSON's own way: UTF-16 (RFC 8259, section 7).
            other => {
                for unit in other.encode_utf16(&mut [0; 2]) {
                    write!(out, "\\u{unit:04x}").expect("a String takes it");
                }
            }
        }
    }
    Ok(out)
}

impl Handle for Firehose {
    fn handle(&self, call: &Call, outcome: Result<Response, Failure>) -> Handled {
        let Ok(response) = outcome else {
            return Verdict::ByStatus.into();
        };
        match response.status {
            200 => {
                let id = request_id(call.events().iter().map(|event| event.id()));
                match answer::check(&response, &id) {
                    Ok(()) => Verdict::Delivered,
                    Err(error) => {
                        log::warn("the response is none of the contract", &[("error", &error)]);
                        Verdict::Retry(None)
                    }
                }
            }
            status => {
                if let Some(message) = answer::error_message(&response) {
                    log::warn(
                        "the endpoint does not take the records",
                        &[("status", &status), ("message", &message)],
                    );
                }
                of_status(status)
            }
        }
        .into()
    }
}

fn of_status(status: u16) -> Verdict {
    match status {
        // What the host has rules for is left to it: they are retries, but of 413.
        408 | 413 | 425 | 429 | 500.. => Verdict::ByStatus,
        _ => Verdict::Retry(None),
    }
}

export_sink!(Firehose);

#[cfg(test)]
mod tests {
    use nozzle_plugin::{Body, configure, testing};
    use serde_json::Value;

    use super::*;

    fn shape(config: &str, batch: &Batch) -> Shaped {
        let plugin: Firehose = configure(config).expect(config);
        plugin.shape(batch).expect("it shapes")
    }

    #[test]
    fn a_batch_is_a_request_of_the_contract() {
        let config = r#"{"source-arn":"arn:aws:firehose:eu-west-1:1:deliverystream/a","common-attributes":{"stage":"caf\u00e9 \ud83d\ude00"}}"#;

        let shaped = shape(config, &testing::batch([&b"hello"[..], b"", b"\xff"]));

        let [request] = &*shaped.requests else {
            panic!("{:?}", shaped.requests);
        };
        let Body::Bytes(body) = &request.body else {
            panic!("{:?}", request.body);
        };
        let body: Value = serde_json::from_slice(body).expect("JSON");
        let id = request_id(["0", "1", "2"]);
        let expected = json!({
            "requestId": id, "timestamp": 0,
            "records": [{ "data": "aGVsbG8=" }, { "data": "" }, { "data": "/w==" }],
        });
        assert_eq!(body, expected);
        assert_eq!(
            request.headers,
            [("x-amz-firehose-request-id".to_owned(), id)]
        );
        let header = |name| shaped.headers.iter().find(|(other, _)| other == name);
        assert_eq!(
            header("x-amz-firehose-common-attributes").map(|(_, value)| value.as_str()),
            Some(r#"{"commonAttributes":{"stage":"caf\u00e9 \ud83d\ude00"}}"#)
        );
        assert!(header("x-amz-firehose-source-arn").is_some());
    }

    #[test]
    fn a_request_has_no_more_than_firehose_has() {
        let small = vec![&b""[..]; RECORDS + 1];
        let large = vec![0; RECORD + 1];

        let many = shape("null", &testing::batch(small));
        let mixed = shape("null", &testing::batch([&large[1..], &large]));

        let sizes: Vec<usize> = many.requests.iter().map(|one| one.events.len()).collect();
        assert_eq!(sizes, [RECORDS, 1]);
        assert_eq!(mixed.requests[0].events, [0]);
        assert_eq!(mixed.reject[0].event, 1);
    }

    #[test]
    fn only_a_few_statuses_are_the_hosts() {
        for status in [201, 204, 301, 400, 401, 403, 404] {
            assert!(
                matches!(of_status(status), Verdict::Retry(None)),
                "{status}"
            );
        }
        for status in [408, 413, 429, 500, 503] {
            assert!(matches!(of_status(status), Verdict::ByStatus), "{status}");
        }
    }

    #[test]
    fn attributes_that_firehose_would_not_have_are_refused() {
        let long = json!({ "common-attributes": { "a": "x".repeat(1_025) } }).to_string();
        let large: BTreeMap<_, _> = (0..50)
            .map(|n| (n.to_string(), "\u{e9}".repeat(1_000)))
            .collect();
        let large = json!({ "common-attributes": large }).to_string();
        let many: BTreeMap<_, _> = (0..51).map(|n| (n.to_string(), "")).collect();
        let many = json!({ "common-attributes": many }).to_string();

        for config in [
            long.as_str(),
            many.as_str(),
            large.as_str(),
            r#"{"common-attributes":{"":"x"}}"#,
            r#"{"source-arn":"a\nb"}"#,
        ] {
            assert!(configure::<Firehose>(config).is_err(), "{config}");
        }
    }
}
