//! Elasticsearch and OpenSearch: the bulk API, into an index or a data stream.
//!
//! Each record has its own item in the response, and its own verdict
//! (<https://www.elastic.co/docs/api/doc/elasticsearch/operation/operation-bulk>,
//! <https://docs.opensearch.org/latest/api-reference/document-apis/bulk/>): 429 is `es_rejected_execution_exception`, a
//! full queue, and is sent again without the others; 409 on `create` says that a document of this id is there already,
//! which is this record, sent before; what does not fit the mapping is dead-lettered. The call as a whole is judged by
//! its status: 429 and 503 wait, 413 is sent in halves.

use nozzle_plugin::{
    Batch, Call, Event, Failure, Handle, Handled, Plugin, Request, Response, Shaped, Verdict,
    export_sink, log,
};
use plugin_kit::{
    Source, Target,
    bulk::{one_line, verdicts},
    keys, object, verdict, with_members,
};
use serde::Deserialize;
use serde_json::{Value, json};

/// Only this of the response is asked for: what became of each item, and why.
const FILTER: &str = "errors,items.*.status,items.*.error";
/// A longer id would have the whole call refused, in bytes.
const LONGEST_ID: usize = 512;

/// `plugin.config`.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct Config {
    /// The index. One of `index` and `data-stream` is needed.
    index: Option<Source>,
    /// The data stream: documents are created, with an `@timestamp`.
    data_stream: Option<Source>,
    /// The document's id, so that a record that is sent twice is stored once; "" leaves it to the service.
    id: Source,
    /// What the service chooses the shard by.
    routing: Option<Source>,
    /// Whether a document that is there is left as it is; a data stream has no other way.
    create: bool,
    /// An ingest pipeline.
    pipeline: Option<String>,
    /// `@timestamp` of a data stream's record that has none.
    time: plugin_kit::Time,
    /// Resolved against the endpoint's URL.
    target: String,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            index: None,
            data_stream: None,
            id: Source::Id,
            routing: None,
            create: false,
            pipeline: None,
            time: plugin_kit::Time::default(),
            target: "_bulk".to_owned(),
        }
    }
}

struct Elasticsearch {
    index: Source,
    id: Source,
    routing: Option<Source>,
    action: &'static str,
    /// Where `@timestamp` comes from; none for an index.
    time: Option<plugin_kit::Time>,
    target: String,
}

impl Plugin for Elasticsearch {
    type Config = Config;

    fn new(config: Config) -> Result<Self, String> {
        let streams = config.data_stream.is_some();
        let (index, stream) = (config.index, config.data_stream);
        let index = match (index, stream) {
            (Some(index), None) | (None, Some(index)) => index,
            _ => return Err("one of `index` and `data-stream` is needed".to_owned()),
        };
        let mut target = Target::new(&config.target).parameter("filter_path", FILTER);
        if let Some(pipeline) = config.pipeline {
            target = target.parameter("pipeline", &pipeline);
        }
        Ok(Self {
            index,
            id: config.id,
            routing: config.routing,
            action: if streams || config.create {
                "create"
            } else {
                "index"
            },
            time: streams.then_some(config.time),
            target: target.finish(),
        })
    }

    fn shape(&self, batch: &Batch) -> Result<Shaped, String> {
        let mut shaped = Shaped::new().header("content-type", "application/x-ndjson");
        let mut body = Vec::new();
        let events = shaped.gather(batch, |event| {
            body.extend_from_slice(&self.lines(event)?);
            Ok(())
        });
        if !events.is_empty() {
            let request = Request::post(self.target.as_str());
            shaped.requests.push(request.body(body).events(events));
        }
        Ok(shaped)
    }
}

impl Elasticsearch {
    /// The action and the document of one record.
    fn lines(&self, event: &Event<'_>) -> Result<Vec<u8>, String> {
        let document = object(event)?;
        let json = if self.reads_records() {
            serde_json::from_str(document)
                .map_err(|error| format!("the record is no JSON: {error}"))?
        } else {
            Value::Null
        };
        let index = self
            .index
            .text(event, &json)
            .filter(|index| !index.is_empty());
        let index = index.ok_or_else(|| format!("the record has no `{}`", self.index.name()))?;
        let mut fields = json!({ "_index": index });
        let id = self.id.text(event, &json);
        let id = id.ok_or_else(|| format!("the record has no `{}`", self.id.name()))?;
        if id.len() > LONGEST_ID {
            return Err(format!(
                "the id has {} bytes, {LONGEST_ID} are allowed",
                id.len()
            ));
        }
        // An empty text in the settings means that Elasticsearch makes one.
        if !id.is_empty() {
            fields["_id"] = id.into();
        } else if self.id.constant().is_none() {
            return Err(format!("`{}` of the record is empty", self.id.name()));
        }
        // A record without a key goes where its id leads.
        let routing = self
            .routing
            .as_ref()
            .and_then(|routing| routing.text(event, &json));
        if let Some(routing) = routing {
            fields["routing"] = routing.into();
        }
        let mut lines = json!({ self.action: fields }).to_string().into_bytes();
        lines.push(b'\n');
        match &self.time {
            Some(time) if !keys(document).contains("@timestamp") => {
                let milliseconds = time.nanoseconds(event, &json)? / 1_000_000;
                let member = format!("\"@timestamp\":{milliseconds}");
                lines.extend_from_slice(&one_line(&with_members(document, &member)));
            }
            _ => lines.extend_from_slice(&one_line(document)),
        }
        lines.push(b'\n');
        Ok(lines)
    }

    fn reads_records(&self) -> bool {
        let sources = [Some(&self.index), Some(&self.id), self.routing.as_ref()];
        sources.into_iter().flatten().any(Source::needs_json)
            || self.time.as_ref().is_some_and(plugin_kit::Time::needs_json)
    }

    fn judge(&self, body: &[u8], events: u32) -> Result<Verdict, String> {
        // What is there already is this record: another one has another id.
        let delivered: &[u16] = if self.action == "create" { &[409] } else { &[] };
        verdicts(body, events as usize, delivered).map(verdict)
    }
}

impl Handle for Elasticsearch {
    fn handle(&self, call: &Call, outcome: Result<Response, Failure>) -> Handled {
        let response = match outcome {
            Ok(response) if (200..300).contains(&response.status) => response,
            _ => return Verdict::ByStatus.into(),
        };
        match self.judge(&response.body, call.event_count()) {
            Ok(verdict) => verdict.into(),
            // Nobody has said that they are stored.
            Err(error) => {
                log::warn("the response is no bulk response", &[("error", &error)]);
                Verdict::Retry(None).into()
            }
        }
    }
}

export_sink!(Elasticsearch);

#[cfg(test)]
mod tests {
    use nozzle_plugin::{
        Body, EventVerdict, configure,
        testing::{TestEvent, events},
    };

    use super::*;

    fn shape(config: &str, event: TestEvent<'_>) -> Result<String, String> {
        let plugin: Elasticsearch = configure(config)?;
        let mut shaped = plugin.shape(&events([event]))?;
        match shaped.requests.pop().map(|request| request.body) {
            Some(Body::Bytes(body)) => Ok(String::from_utf8(body).expect("text")),
            _ => Err(shaped.reject.remove(0).reason),
        }
    }

    fn event(data: &str) -> TestEvent<'_> {
        TestEvent {
            id: "f:1",
            key: Some("k"),
            timestamp_ms: 1_700_000_000_123,
            attributes: &[("place", "here")],
            data: data.as_bytes(),
        }
    }

    #[test]
    fn a_record_is_an_action_and_a_document() {
        let data = "{\"n\":1.00,\n\"i\":\"two\"}";
        let table = [
            (
                r#"{"index":"a"}"#,
                r#"{"index":{"_id":"f:1","_index":"a"}}"#,
                "",
            ),
            (
                r#"{"index":"a","id":"","create":true}"#,
                r#"{"create":{"_index":"a"}}"#,
                "",
            ),
            (
                r#"{"index":"{json:/i}","id":"{json:/n}","routing":"{key}"}"#,
                r#"{"index":{"_id":"1.00","_index":"two","routing":"k"}}"#,
                "",
            ),
            (
                r#"{"data-stream":"{attribute:place}"}"#,
                r#"{"create":{"_id":"f:1","_index":"here"}}"#,
                r#""@timestamp":1700000000123,"#,
            ),
        ];

        for (config, action, member) in table {
            let lines = shape(config, event(data)).expect(config);

            assert_eq!(
                lines,
                format!("{action}\n{{{member}\"n\":1.00,\"i\":\"two\"}}\n")
            );
        }
    }

    #[test]
    fn a_time_that_is_there_stays() {
        let data = r#"{"@timestamp":"2024-05-06T15:58:50Z"}"#;

        let lines = shape(r#"{"data-stream":"a"}"#, event(data)).expect("lines");

        assert!(lines.ends_with(&format!("\n{data}\n")), "{lines}");
    }

    #[test]
    fn what_the_service_would_refuse_a_whole_call_for_is_rejected() {
        let id = "x".repeat(513);
        let long = TestEvent {
            id: &id,
            ..event("{}")
        };
        let table = [
            (r#"{"index":"a"}"#, event("[1]"), "no JSON object"),
            (r#"{"index":"a"}"#, event("x"), "no JSON"),
            (r#"{"index":"{json:/i}"}"#, event("{}"), "no `{json:/i}`"),
            (r#"{"index":"a"}"#, long, "513 bytes"),
        ];

        for (config, event, expected) in table {
            let reason = shape(config, event).expect_err(config);

            assert!(reason.contains(expected), "{reason}");
        }
    }

    #[test]
    fn a_place_for_the_documents_is_needed() {
        for config in [
            "{}",
            r#"{"index":"a","data-stream":"b"}"#,
            r#"{"index":"{x}"}"#,
        ] {
            assert!(configure::<Elasticsearch>(config).is_err(), "{config}");
        }
    }

    #[test]
    fn what_is_there_already_is_delivered_only_where_it_was_to_be_created() {
        let body = br#"{"errors":true,"items":[{"create":{"status":409,"error":{"reason":"version conflict"}}},{"create":{"status":429}}]}"#;
        let judge = |config| {
            let plugin: Elasticsearch = configure(config).expect(config);
            plugin.judge(body, 2).expect("a bulk response")
        };

        let created = judge(r#"{"data-stream":"a"}"#);
        let indexed = judge(r#"{"index":"a"}"#);

        use EventVerdict::{Delivered, Reject, Retry};
        assert!(matches!(created, Verdict::Each(each) if matches!(*each, [Delivered, Retry])));
        assert!(matches!(indexed, Verdict::Each(each) if matches!(*each, [Reject(_), Retry])));
    }
}
