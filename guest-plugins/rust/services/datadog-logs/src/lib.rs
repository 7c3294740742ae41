//! Datadog logs: `POST /api/v2/logs`, an array of entries.
//!
//! The limits of a call are kept here (<https://docs.datadoghq.com/api/latest/logs/send-logs/>): 1000 entries, 5 MB
//! before compression, and 1 MB an entry, which the service would cut off without a word. A call is taken as a whole or
//! not at all (202), so the sink's status policy judges it, whose defaults are what the page says: 408, 429 and 5xx are
//! sent again, 413 in halves, 400, 401 and 403 are dead-lettered. The API key is the endpoint's business:
//! `auth: { header: { name: DD-API-KEY, … } }`.

use std::collections::BTreeMap;

use nozzle_plugin::{Batch, Event, Plugin, Request, Shaped, export_shaper};
use plugin_kit::{Source, Time, keys, members, object, parsed_if_json, with_members};
use serde::Deserialize;
use serde_json::Value;

/// Entries of a call.
const MOST_ENTRIES: usize = 1000;
/// Bytes of a call: 5 MB are not 5 MiB.
const MOST_BYTES: usize = 5_000_000;
/// Bytes of an entry.
const LONGEST_ENTRY: usize = 1_000_000;

/// `plugin.config`.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct Config {
    /// The name of the application.
    service: Option<Source>,
    /// The technology that the log comes from.
    source: Option<Source>,
    /// The host.
    hostname: Option<Source>,
    /// Tags by name.
    tags: BTreeMap<String, Source>,
    /// When it was: the record's own `timestamp` goes first.
    time: Time,
    /// Whether a record that is a JSON object is sent as the entry's attributes, or as the text of its message.
    record: Record,
    /// What becomes of an entry of more than 1 MB.
    oversize: Oversize,
    /// Resolved against the endpoint's URL.
    target: String,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            service: None,
            source: None,
            hostname: None,
            tags: BTreeMap::new(),
            time: Time::default(),
            record: Record::Attributes,
            oversize: Oversize::Reject,
            target: "api/v2/logs".to_owned(),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Record {
    /// What is no object is a message all the same.
    Attributes,
    Message,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Oversize {
    Reject,
    /// The service cuts it off.
    Truncate,
}

struct Datadog(Config);

impl Plugin for Datadog {
    type Config = Config;

    fn new(config: Config) -> Result<Self, String> {
        match config
            .tags
            .keys()
            .find(|tag| tag.is_empty() || tag.contains([':', ',']))
        {
            Some(tag) => Err(format!("`{tag}` is no name of a tag")),
            None => Ok(Self(config)),
        }
    }

    fn shape(&self, batch: &Batch) -> Result<Shaped, String> {
        let mut shaped = Shaped::new().header("content-type", "application/json");
        let mut call = Entries::default();
        for event in batch {
            let entry = match self.entry(&event) {
                Ok(entry) => entry,
                Err(reason) => {
                    shaped.reject_event(event.index(), reason);
                    continue;
                }
            };
            if !call.takes(&entry) {
                shaped
                    .requests
                    .push(std::mem::take(&mut call).request(&self.0.target));
            }
            call.push(&entry, event.index());
        }
        if !call.events.is_empty() {
            shaped.requests.push(call.request(&self.0.target));
        }
        Ok(shaped)
    }
}

impl Datadog {
    fn entry(&self, event: &Event<'_>) -> Result<String, String> {
        let config = &self.0;
        let text = event.text()?;
        let record = match config.record {
            Record::Attributes => object(event).ok(),
            Record::Message => None,
        };
        let json = if self.reads_records() {
            parsed_if_json(event)?
        } else {
            Value::Null
        };
        let nanoseconds = config.time.nanoseconds(event, &json)?;
        let read = |source: &Option<Source>| {
            let text = source.as_ref()?.text(event, &json)?;
            Some(Value::from(text))
        };
        let tags: Vec<String> = config
            .tags
            .iter()
            .filter_map(|(name, source)| Some(format!("{name}:{}", source.text(event, &json)?)))
            .collect();
        let parts = [
            ("message", record.is_none().then(|| text.into())),
            ("ddsource", read(&config.source)),
            ("ddtags", (!tags.is_empty()).then(|| tags.join(",").into())),
            ("hostname", read(&config.hostname)),
            ("service", read(&config.service)),
            ("timestamp", Some((nanoseconds / 1_000_000).into())),
        ];
        // What the record says of itself is not said twice.
        let said = record.map(keys).unwrap_or_default();
        let members = members(parts.into_iter().filter(|(name, _)| !said.contains(*name)));
        let entry = with_members(record.unwrap_or("{}"), &members);
        if entry.len() > LONGEST_ENTRY && config.oversize == Oversize::Reject {
            return Err(format!(
                "the entry has {} bytes, of which Datadog would keep 1 MB",
                entry.len()
            ));
        }
        Ok(entry)
    }

    fn reads_records(&self) -> bool {
        let config = &self.0;
        let sources = [&config.service, &config.source, &config.hostname];
        let sources = sources.into_iter().flatten().chain(config.tags.values());
        config.time.needs_json() || sources.into_iter().any(Source::needs_json)
    }
}

/// The entries of one call.
#[derive(Debug, Default)]
struct Entries {
    body: String,
    events: Vec<u32>,
}

impl Entries {
    /// Whether there is room for another, with the comma before it and the bracket behind it.
    fn takes(&self, entry: &str) -> bool {
        self.events.is_empty()
            || self.events.len() < MOST_ENTRIES && self.body.len() + entry.len() + 2 <= MOST_BYTES
    }

    fn push(&mut self, entry: &str, event: u32) {
        self.body
            .push(if self.events.is_empty() { '[' } else { ',' });
        self.body.push_str(entry);
        self.events.push(event);
    }

    fn request(mut self, target: &str) -> Request {
        self.body.push(']');
        Request::post(target).body(self.body).events(self.events)
    }
}

export_shaper!(Datadog);

#[cfg(test)]
mod tests {
    use nozzle_plugin::{
        Body, configure,
        testing::{TestEvent, batch, events},
    };

    use super::*;

    fn shape(config: &str, batch: &Batch) -> Shaped {
        let plugin: Datadog = configure(config).expect(config);
        plugin.shape(batch).expect("it shapes")
    }

    fn body(request: &Request) -> &str {
        match &request.body {
            Body::Bytes(body) => std::str::from_utf8(body).expect("text"),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_object_is_an_entrys_attributes_and_other_records_are_its_message() {
        let config =
            r#"{"service":"shop","source":"{json:/from}","tags":{"env":"test","id":"{id}"}}"#;
        let table = [
            (
                config,
                r#"{"from":"x","n":1.00}"#,
                r#"[{"ddsource":"x","ddtags":"env:test,id:7","service":"shop","timestamp":5,"from":"x","n":1.00}]"#,
            ),
            (
                config,
                r#"{"service":"own","timestamp":1}"#,
                r#"[{"ddtags":"env:test,id:7","service":"own","timestamp":1}]"#,
            ),
            (
                "{}",
                "plain \"text\"",
                r#"[{"message":"plain \"text\"","timestamp":5}]"#,
            ),
            (
                r#"{"record":"message"}"#,
                r#"{"n":1}"#,
                r#"[{"message":"{\"n\":1}","timestamp":5}]"#,
            ),
        ];

        for (config, data, expected) in table {
            let event = TestEvent {
                id: "7",
                timestamp_ms: 5,
                data: data.as_bytes(),
                ..TestEvent::default()
            };

            let shaped = shape(config, &events([event]));

            assert_eq!(body(&shaped.requests[0]), expected);
        }
    }

    #[test]
    fn a_batch_is_cut_where_the_service_has_its_limits() {
        let many = vec![&b"x"[..]; 2001];
        let large = "x".repeat(999_000);
        let large = vec![large.as_bytes(); 11];

        let by_entries = shape("{}", &batch(many));
        let by_bytes = shape("{}", &batch(large));

        let entries = |shaped: &Shaped| -> Vec<usize> {
            shaped
                .requests
                .iter()
                .map(|request| request.events.len())
                .collect()
        };
        assert_eq!(entries(&by_entries), [1000, 1000, 1]);
        assert_eq!(entries(&by_bytes), [5, 5, 1]);
        for request in by_entries.requests.iter().chain(&by_bytes.requests) {
            let body = body(request);
            let sent: Vec<Value> = serde_json::from_str(body).expect("an array");
            assert_eq!(sent.len(), request.events.len());
            assert!(body.len() <= MOST_BYTES, "{}", body.len());
        }
    }

    #[test]
    fn an_entry_that_would_be_cut_off_is_rejected_unless_that_is_wanted() {
        let data = "x".repeat(1_000_001);

        let rejected = shape("{}", &batch([data.as_bytes(), b"\xff"]));
        let sent = shape(r#"{"oversize":"truncate"}"#, &batch([data.as_bytes()]));

        assert_eq!(rejected.reject.len(), 2);
        assert!(
            rejected.reject[0].reason.contains("1 MB"),
            "{:?}",
            rejected.reject
        );
        assert_eq!(sent.requests.len(), 1);
    }
}
