//! Grafana Loki: `POST /loki/api/v1/push` in JSON, a stream for each set of labels.
//!
//! The entries of a call that Loki takes are stored, also where it answers 400 or 429 for the others, of which it names
//! at most ten, and of one stream alone (<https://grafana.com/docs/loki/latest/reference/loki-http-api/#ingest-logs>,
//! <https://grafana.com/docs/loki/latest/operations/request-validation-rate-limits/>). So of a 400:
//!
//! - entries that are named (`entry with timestamp … ignored, reason: …`) are dead-lettered, and if that is as many as
//!   the answer counts, the rest of their stream is delivered; the other streams are sent again;
//! - where the answer does not say which, the sink's status policy decides. `status: {400: split}` finds them by halves.
//!
//! An entry that is sent twice, with the same labels, time and line, is seen once. 429 and 5xx are sent again by the
//! status policy.

mod ignored;

use std::collections::BTreeMap;

use ignored::{Entry, judge};
use nozzle_plugin::{
    Batch, Call, Event, Failure, Handle, Handled, Plugin, Request, Response, Shaped, Verdict,
    check_header, export_sink, log,
};
use plugin_kit::{Source, Time, of_a_page, parsed_if_json};
use serde::Deserialize;
use serde_json::{Value, json};

/// Labels by name.
type Labels = BTreeMap<String, String>;

/// `plugin.config`.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct Config {
    /// Labels by name: few values each, as every set of them is a stream. What a record does not have is left out.
    labels: BTreeMap<String, Source>,
    /// Structured metadata by name, of which there may be many values.
    metadata: BTreeMap<String, Source>,
    /// When it was.
    time: Time,
    /// The line; without it, the record.
    line: Option<Source>,
    /// The tenant, where there are several.
    tenant: Option<String>,
    /// Resolved against the endpoint's URL.
    target: String,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            labels: BTreeMap::new(),
            metadata: BTreeMap::new(),
            time: Time::default(),
            line: None,
            tenant: None,
            target: "loki/api/v1/push".to_owned(),
        }
    }
}

struct Loki(Config);

impl Plugin for Loki {
    type Config = Config;

    fn new(config: Config) -> Result<Self, String> {
        if config.labels.is_empty() {
            return Err("`labels` is empty: a stream has one at least".to_owned());
        }
        let mut names = config.labels.keys().chain(config.metadata.keys());
        if let Some(name) = names.find(|name| !is_label(name)) {
            return Err(format!(
                "`{name}` is no name of a label: letters, digits and `_`"
            ));
        }
        if let Some(tenant) = &config.tenant {
            check_header("x-scope-orgid", tenant)?;
        }
        Ok(Self(config))
    }

    fn shape(&self, batch: &Batch) -> Result<Shaped, String> {
        let mut shaped = Shaped::new().header("content-type", "application/json");
        if let Some(tenant) = &self.0.tenant {
            shaped = shaped.header("x-scope-orgid", tenant);
        }
        let mut streams: BTreeMap<Labels, Vec<Value>> = BTreeMap::new();
        let events = shaped.gather(batch, |event| {
            let (entry, value) = self.entry(event)?;
            streams.entry(entry.labels).or_default().push(value);
            Ok(())
        });
        if !events.is_empty() {
            let streams: Vec<Value> = streams
                .into_iter()
                .map(|(labels, values)| json!({ "stream": labels, "values": values }))
                .collect();
            let request = Request::post(self.0.target.as_str());
            let body = json!({ "streams": streams }).to_string();
            shaped.requests.push(request.body(body).events(events));
        }
        Ok(shaped)
    }
}

impl Loki {
    /// One entry, as it is found again and as it is sent.
    fn entry(&self, event: &Event<'_>) -> Result<(Entry, Value), String> {
        let config = &self.0;
        let json = if self.reads_records() {
            parsed_if_json(event)?
        } else {
            Value::Null
        };
        let read = |sources: &BTreeMap<String, Source>| -> Labels {
            let given = sources.iter().filter_map(|(name, source)| {
                let text = source.text(event, &json).filter(|text| !text.is_empty())?;
                Some((name.clone(), text.into_owned()))
            });
            given.collect()
        };
        let labels = read(&config.labels);
        if labels.is_empty() {
            return Err("the record has none of the labels".to_owned());
        }
        let line = match &config.line {
            None => event.text()?.into(),
            Some(line) => line
                .text(event, &json)
                .ok_or_else(|| format!("the record has no `{}`", line.name()))?,
        };
        let nanoseconds = config.time.nanoseconds(event, &json)?;
        let metadata = read(&config.metadata);
        let mut value = vec![json!(nanoseconds.to_string()), json!(line)];
        if !metadata.is_empty() {
            value.push(json!(metadata));
        }
        Ok((
            Entry {
                labels,
                nanoseconds,
            },
            value.into(),
        ))
    }

    fn reads_records(&self) -> bool {
        let config = &self.0;
        let sources = config.labels.values().chain(config.metadata.values());
        config.time.needs_json() || sources.chain(&config.line).any(Source::needs_json)
    }
}

/// A name as of Prometheus.
fn is_label(name: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    name.chars().all(is_part) && name.chars().next().is_some_and(|c| !c.is_ascii_digit())
}

impl Handle for Loki {
    fn handle(&self, call: &Call, outcome: Result<Response, Failure>) -> Handled {
        let Ok(response) = outcome else {
            return Verdict::ByStatus.into();
        };
        if let Some(handled) = of_a_page(&response) {
            return handled;
        }
        // 260, by default, while Loki is told to take nothing in (`limits_config.block_ingestion_until`).
        if matches!(response.status, 201..=203 | 205..=299) {
            let words =
                "a success that is none of Loki's: nobody has said that the entries are stored";
            log::warn(words, &[("status", &response.status)]);
            return Verdict::Retry(None).into();
        }
        if response.status != 400 || call.event_count() == 1 {
            return Verdict::ByStatus.into();
        }
        // Only of a call with a fault is anything read again.
        let events = call.events();
        let entries: Result<Vec<Entry>, String> = events
            .iter()
            .map(|event| Ok(self.entry(&event)?.0))
            .collect();
        let text = String::from_utf8_lossy(&response.body);
        let verdict = entries.ok().and_then(|entries| judge(&text, &entries));
        verdict.unwrap_or(Verdict::ByStatus).into()
    }
}

export_sink!(Loki);

#[cfg(test)]
mod tests {
    use nozzle_plugin::{
        Body, configure,
        testing::{TestEvent, events},
    };

    use super::*;

    #[test]
    fn records_of_the_same_labels_are_one_stream() {
        let config = r#"{"labels":{"app":"shop","level":"{json:/level}"},"metadata":{"id":"{id}"},"line":"{json:/text}","tenant":"t"}"#;
        let plugin: Loki = configure(config).expect(config);
        let event = |id, timestamp_ms, data: &'static str| TestEvent {
            id,
            timestamp_ms,
            data: data.as_bytes(),
            ..TestEvent::default()
        };
        let batch = events([
            event("a", 1, r#"{"level":"warn","text":"one"}"#),
            event("b", 2, r#"{"text":"two"}"#),
            event("c", 3, r#"{"level":"warn","text":"three"}"#),
            event("d", 4, r#"{"level":"warn"}"#),
            event("e", 5, "text"),
        ]);

        let shaped = plugin.shape(&batch).expect("it shapes");

        let Body::Bytes(body) = &shaped.requests[0].body else {
            panic!("{:?}", shaped.requests[0].body);
        };
        let body: Value = serde_json::from_slice(body).expect("JSON");
        let expected = json!({ "streams": [
            { "stream": { "app": "shop" }, "values": [["2000000", "two", { "id": "b" }]] },
            { "stream": { "app": "shop", "level": "warn" }, "values": [
                ["1000000", "one", { "id": "a" }], ["3000000", "three", { "id": "c" }],
            ] },
        ] });
        assert_eq!(body, expected);
        assert_eq!(shaped.requests[0].events, [0, 1, 2]);
        assert_eq!(shaped.reject.len(), 2);
        assert_eq!(
            shaped.headers[1],
            ("x-scope-orgid".to_owned(), "t".to_owned())
        );
    }

    #[test]
    fn labels_that_loki_would_not_take_are_refused() {
        for config in [
            "{}",
            r#"{"labels":{"a-b":"x"}}"#,
            r#"{"labels":{"1":"x"}}"#,
            r#"{"labels":{"":"x"}}"#,
        ] {
            assert!(configure::<Loki>(config).is_err(), "{config}");
        }
    }
}
