//! OpenTelemetry logs over OTLP/HTTP, in JSON: `POST /v1/logs`.
//!
//! The rules are those of <https://opentelemetry.io/docs/specs/otlp/#otlphttp-response>: only 429, 502, 503 and 504 are
//! tried again, and of the other 4xx and 5xx none. A 200 may have a `partialSuccess`, which counts the records that were
//! refused, does not name them, and must not be sent again: `partial-success` says what becomes of such a call.

mod value;

use std::collections::BTreeMap;

use nozzle_plugin::{
    Batch, Call, Event, Failure, Handle, Handled, Plugin, Request, Response, Shaped, Verdict,
    export_sink, log,
};
use plugin_kit::{Source, Time, cut, of_a_page, parsed, parsed_if_json};
use serde::{Deserialize, de::IgnoredAny};
use serde_json::{Value, json};
use value::{any_value, attributes, severity};

/// `plugin.config`.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct Config {
    /// Attributes of the resource by name, the same for every record, such as `service.name`.
    resource: BTreeMap<String, Value>,
    /// Attributes of the record by name.
    attributes: BTreeMap<String, Source>,
    /// The severity: `TRACE` to `FATAL4`, as the log data model has them, or a word that is common for one of them.
    severity: Option<Source>,
    /// The trace and the span, in hexadecimal digits.
    trace_id: Option<Source>,
    span_id: Option<Source>,
    /// When it was.
    time: Time,
    /// Whether the body is the record's text or, of JSON, its structure.
    body: Body,
    /// The attribute that holds the event's id, by which records that were sent twice are told; "" for none.
    id_attribute: String,
    /// What becomes of the records of a call of which some were refused.
    partial_success: Partial,
    /// Resolved against the endpoint's URL.
    target: String,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            resource: BTreeMap::new(),
            attributes: BTreeMap::new(),
            severity: None,
            trace_id: None,
            span_id: None,
            time: Time::default(),
            body: Body::Text,
            id_attribute: "log.record.uid".to_owned(),
            partial_success: Partial::Reject,
            target: "v1/logs".to_owned(),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Body {
    Text,
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Partial {
    /// All are dead-lettered, for any of them may be missing.
    Reject,
    /// All count as delivered, with a warning.
    Delivered,
}

struct Otlp(Config);

impl Plugin for Otlp {
    type Config = Config;

    fn new(config: Config) -> Result<Self, String> {
        Ok(Self(config))
    }

    fn shape(&self, batch: &Batch) -> Result<Shaped, String> {
        let mut shaped = Shaped::new().header("content-type", "application/json");
        let mut records = Vec::with_capacity(batch.len() as usize);
        let events = shaped.gather(batch, |event| {
            records.push(self.record(event)?);
            Ok(())
        });
        if !events.is_empty() {
            let resource = self.0.resource.iter();
            let resource = attributes(resource.map(|(name, value)| (name.as_str(), value.clone())));
            let body = json!({ "resourceLogs": [{
                "resource": { "attributes": resource },
                "scopeLogs": [{ "scope": { "name": "nozzle" }, "logRecords": records }],
            }] });
            let request = Request::post(self.0.target.as_str());
            shaped
                .requests
                .push(request.body(body.to_string()).events(events));
        }
        Ok(shaped)
    }
}

impl Otlp {
    fn record(&self, event: &Event<'_>) -> Result<Value, String> {
        let config = &self.0;
        let json = match config.body {
            Body::Json => parsed(event.json()?)?,
            Body::Text if self.reads_records() => parsed_if_json(event)?,
            Body::Text => Value::Null,
        };
        let body = match config.body {
            Body::Text => any_value(event.text()?.into()),
            Body::Json => any_value(json.clone()),
        };
        let mut given: Vec<(&str, Value)> = config
            .attributes
            .iter()
            .filter_map(|(name, source)| Some((name.as_str(), source.value(event, &json)?)))
            .collect();
        if !config.id_attribute.is_empty() {
            given.push((&config.id_attribute, event.id().into()));
        }
        // 64-bit integers are strings in the JSON of Protocol Buffers.
        let time = config.time.nanoseconds(event, &json)?;
        let observed = event.timestamp_ms().saturating_mul(1_000_000);
        let mut record = json!({
            "timeUnixNano": time.to_string(),
            "observedTimeUnixNano": observed.to_string(),
            "body": body,
            "attributes": attributes(given),
        });
        let text = |source: &Option<Source>| {
            let text = source.as_ref()?.text(event, &json)?;
            Some(text.into_owned())
        };
        if let Some(text) = text(&config.severity) {
            record["severityNumber"] = severity(&text).into();
            record["severityText"] = text.into();
        }
        for (name, source, digits) in [
            ("traceId", &config.trace_id, 32),
            ("spanId", &config.span_id, 16),
        ] {
            // Outside a span, loggers write none.
            let Some(id) = text(source).filter(|id| !id.is_empty()) else {
                continue;
            };
            if id.len() != digits || !id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                return Err(format!(
                    "`{id}` is no {name} of {digits} hexadecimal digits"
                ));
            }
            record[name] = id.into();
        }
        Ok(record)
    }

    fn reads_records(&self) -> bool {
        let config = &self.0;
        let single = [&config.severity, &config.trace_id, &config.span_id];
        let mut sources = single
            .into_iter()
            .flatten()
            .chain(config.attributes.values());
        config.body == Body::Json || config.time.needs_json() || sources.any(Source::needs_json)
    }

    fn judge(&self, status: u16, body: &[u8], events: u32) -> (Verdict, Option<Refused>) {
        let verdict = match status {
            200..=299 => match refused(body) {
                Some(refused) if refused.records > 0 => match self.0.partial_success {
                    Partial::Reject => Verdict::Reject(format!(
                        "{} of {events} records were refused, and not which: {}",
                        refused.records.min(u64::from(events)),
                        cut(&refused.message)
                    )),
                    Partial::Delivered => Verdict::Delivered,
                },
                _ => Verdict::Delivered,
            },
            429 | 502..=504 => Verdict::ByStatus,
            // The sink's status policy would try them again, which the specification forbids.
            408 | 425 | 500.. => {
                Verdict::Reject(format!("OTLP: {status}: {}", cut(&message(body))))
            }
            _ => Verdict::ByStatus,
        };
        (verdict, refused(body).filter(|_| status < 300))
    }
}

/// What a success says of the records that are none.
#[derive(Debug, PartialEq, Eq)]
struct Refused {
    records: u64,
    message: String,
}

fn refused(body: &[u8]) -> Option<Refused> {
    let answer: Value = serde_json::from_slice(body).ok()?;
    let partial = answer.get("partialSuccess")?;
    let records = match partial.get("rejectedLogRecords") {
        Some(Value::String(text)) => text.parse().ok(),
        Some(Value::Null) | None => Some(0),
        Some(number) => number.as_u64(),
    };
    // What cannot be read is not taken for none.
    let records = records.unwrap_or(u64::MAX);
    let message = partial.get("errorMessage").and_then(Value::as_str);
    let message = message.unwrap_or_default().to_owned();
    // A partial success that says nothing is a success.
    (records > 0 || !message.is_empty()).then_some(Refused { records, message })
}

/// Whether a success begins as the JSON that says what was refused, and does not end as such.
fn is_cut_off(response: &Response) -> bool {
    let body = response.body.trim_ascii_start();
    (200..300).contains(&response.status)
        && body.starts_with(b"{")
        && serde_json::from_slice::<IgnoredAny>(body).is_err()
}

/// The message of a `Status`, or what came in its place.
fn message(body: &[u8]) -> String {
    let status: Option<Value> = serde_json::from_slice(body).ok();
    let message = status
        .as_ref()
        .and_then(|status| status.get("message")?.as_str());
    message.map_or_else(|| String::from_utf8_lossy(body).into_owned(), str::to_owned)
}

impl Handle for Otlp {
    fn handle(&self, call: &Call, outcome: Result<Response, Failure>) -> Handled {
        let Ok(response) = outcome else {
            return Verdict::ByStatus.into();
        };
        if let Some(handled) = of_a_page(&response) {
            return handled;
        }
        if is_cut_off(&response) {
            let words = "a success cannot be read: nobody has said that the records are stored";
            log::warn(words, &[]);
            return Verdict::Retry(None).into();
        }
        let (verdict, refused) = self.judge(response.status, &response.body, call.event_count());
        if let Some(refused) = refused {
            let fields: [(&str, &dyn std::fmt::Display); 2] =
                [("refused", &refused.records), ("message", &refused.message)];
            log::warn("a call was taken with reservations", &fields);
        }
        verdict.into()
    }
}

export_sink!(Otlp);

#[cfg(test)]
mod tests {
    use nozzle_plugin::{
        configure,
        testing::{TestEvent, events},
    };

    use super::*;

    fn shape(config: &str, data: &str) -> Result<Value, String> {
        let plugin: Otlp = configure(config).expect(config);
        let event = TestEvent {
            id: "f:1",
            timestamp_ms: 7,
            data: data.as_bytes(),
            ..TestEvent::default()
        };
        let mut shaped = plugin.shape(&events([event])).expect("it shapes");
        match shaped.requests.pop().map(|request| request.body) {
            Some(nozzle_plugin::Body::Bytes(body)) => {
                Ok(serde_json::from_slice(&body).expect("JSON"))
            }
            _ => Err(shaped.reject.remove(0).reason),
        }
    }

    #[test]
    fn a_record_is_a_log_record() {
        let config = r#"{"resource":{"service.name":"shop"},"attributes":{"n":"{json:/n}","none":"{json:/none}"},
            "severity":"{json:/level}","trace-id":"{json:/trace}","time":{"from":"{json:/time}"},"body":"json"}"#;
        let data = r#"{"n":12,"level":"warn","trace":"5b8efff798038103d269b633813fc60c","time":"2024-05-06T15:58:50Z","f":1.5,"o":{"a":[true,null]}}"#;

        let found = shape(config, data).expect("a body");

        let string = |value: &str| json!({ "stringValue": value });
        let expected = json!({
            "timeUnixNano": "1715011130000000000",
            "observedTimeUnixNano": "7000000",
            "severityNumber": 13,
            "severityText": "warn",
            "traceId": "5b8efff798038103d269b633813fc60c",
            "attributes": [
                { "key": "n", "value": { "intValue": "12" } },
                { "key": "log.record.uid", "value": string("f:1") },
            ],
            "body": { "kvlistValue": { "values": [
                { "key": "f", "value": { "doubleValue": 1.5 } },
                { "key": "level", "value": string("warn") },
                { "key": "n", "value": { "intValue": "12" } },
                { "key": "o", "value": { "kvlistValue": { "values": [
                    { "key": "a", "value": { "arrayValue": { "values": [{ "boolValue": true }, {}] } } },
                ] } } },
                { "key": "time", "value": string("2024-05-06T15:58:50Z") },
                { "key": "trace", "value": string("5b8efff798038103d269b633813fc60c") },
            ] } },
        });
        let record = &found["resourceLogs"][0]["scopeLogs"][0]["logRecords"][0];
        assert_eq!(*record, expected);
        let resource = &found["resourceLogs"][0]["resource"]["attributes"];
        assert_eq!(
            *resource,
            json!([{ "key": "service.name", "value": string("shop") }])
        );
    }

    #[test]
    fn a_record_that_cannot_be_one_is_rejected() {
        let trace = r#"{"trace-id":"{json:/t}"}"#;
        for (config, data) in [
            (r#"{"body":"json"}"#, "text"),
            (r#"{"time":{"from":"{json:/t}"}}"#, r#"{"t":"now"}"#),
            (trace, r#"{"t":"12"}"#),
            (trace, r#"{"t":"zz8efff798038103d269b633813fc60c"}"#),
        ] {
            assert!(shape(config, data).is_err(), "{data}");
        }
    }

    #[test]
    fn only_what_the_specification_names_is_tried_again() {
        let judge = |config: &str, status, body: &str| {
            let plugin: Otlp = configure(config).expect(config);
            match plugin.judge(status, body.as_bytes(), 3).0 {
                Verdict::ByStatus => "by status".to_owned(),
                Verdict::Delivered => "delivered".to_owned(),
                Verdict::Reject(reason) => reason,
                other => panic!("{other:?}"),
            }
        };
        let partial = r#"{"partialSuccess":{"rejectedLogRecords":"2","errorMessage":"too long"}}"#;
        let table = [
            ("{}", 200, "", "delivered"),
            ("{}", 200, "{}", "delivered"),
            (
                "{}",
                200,
                r#"{"partialSuccess":{"errorMessage":"slow down"}}"#,
                "delivered",
            ),
            (
                "{}",
                200,
                partial,
                "2 of 3 records were refused, and not which: too long",
            ),
            (
                "{}",
                200,
                r#"{"partialSuccess":{"rejectedLogRecords":3}}"#,
                "3 of 3 records were refused, and not which: ",
            ),
            (
                "{}",
                200,
                r#"{"partialSuccess":{"rejectedLogRecords":"some"}}"#,
                "3 of 3 records were refused, and not which: ",
            ),
            (
                r#"{"partial-success":"delivered"}"#,
                200,
                partial,
                "delivered",
            ),
            ("{}", 429, "", "by status"),
            ("{}", 503, "", "by status"),
            ("{}", 413, "", "by status"),
            ("{}", 400, "", "by status"),
            ("{}", 500, r#"{"code":13,"message":"no"}"#, "OTLP: 500: no"),
            ("{}", 408, "late", "OTLP: 408: late"),
        ];

        for (config, status, body, expected) in table {
            assert_eq!(judge(config, status, body), expected, "{status} {body}");
        }
    }
}
