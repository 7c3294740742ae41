//! Splunk's HTTP Event Collector: JSON objects one behind the other, to `services/collector/event`.
//!
//! The collector reads a call from its beginning, and stops at the first event that it does not take; its answer counts
//! those before it, which are taken, in `invalid-event-number`
//! (<https://docs.splunk.com/Documentation/Splunk/latest/Data/TroubleshootHTTPEventCollector>, and for code 9
//! <https://github.com/open-telemetry/opentelemetry-collector-contrib/issues/36113>). With codes 6, 7, 12, 13 and 15
//! that event is at fault: it is dead-lettered, and those behind it are sent again. With code 9 (busy) it is not, and
//! goes again with them. What is wrong with the token (1 to 4) or the channel is the call's, and judged by its status.

use std::collections::BTreeMap;

use nozzle_plugin::{
    Batch, Call, Event, EventVerdict, Failure, Handle, Handled, Plugin, Request, Response, Shaped,
    Verdict, check_header, export_sink,
};
use plugin_kit::{Source, Time, cut, members, of_a_page, verdict, with_members};
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// `plugin.config`.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct Config {
    /// The host that the event is from.
    host: Option<Source>,
    /// Its source.
    source: Option<Source>,
    /// Its source type.
    sourcetype: Option<Source>,
    /// The index; the token must allow it.
    index: Option<Source>,
    /// Indexed fields by name.
    fields: BTreeMap<String, Source>,
    /// When it was.
    time: Time,
    /// Whether a record that is no JSON is rejected, or sent as text.
    invalid: Invalid,
    /// A channel (a GUID), which a token with acknowledgement demands.
    channel: Option<String>,
    /// Resolved against the endpoint's URL.
    target: String,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            host: None,
            source: None,
            sourcetype: None,
            index: None,
            fields: BTreeMap::new(),
            time: Time::default(),
            invalid: Invalid::String,
            channel: None,
            target: "services/collector/event".to_owned(),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Invalid {
    Reject,
    String,
}

struct Splunk(Config);

impl Plugin for Splunk {
    type Config = Config;

    fn new(config: Config) -> Result<Self, String> {
        if let Some(channel) = &config.channel {
            check_header("x-splunk-request-channel", channel)?;
        }
        Ok(Self(config))
    }

    fn shape(&self, batch: &Batch) -> Result<Shaped, String> {
        let mut shaped = Shaped::new().header("content-type", "application/json");
        if let Some(channel) = &self.0.channel {
            shaped = shaped.header("x-splunk-request-channel", channel);
        }
        let mut body = String::new();
        let events = shaped.gather(batch, |event| {
            body.push_str(&self.event(event)?);
            body.push('\n');
            Ok(())
        });
        if !events.is_empty() {
            let request = Request::post(self.0.target.as_str());
            shaped.requests.push(request.body(body).events(events));
        }
        Ok(shaped)
    }
}

impl Splunk {
    fn event(&self, event: &Event<'_>) -> Result<String, String> {
        let config = &self.0;
        let (record, json) = match event.json() {
            Ok(record) if self.reads_records() => {
                (record.trim_ascii().to_owned(), plugin_kit::parsed(record)?)
            }
            Ok(record) => (record.trim_ascii().to_owned(), Value::Null),
            Err(_) if config.invalid == Invalid::String => {
                (json!(event.text()?).to_string(), Value::Null)
            }
            Err(reason) => return Err(reason),
        };
        // Codes 12 and 13 of the collector.
        if matches!(&*record, "null" | "\"\"") {
            return Err("the record is empty, which Splunk takes for no event".to_owned());
        }
        let nanoseconds = config.time.nanoseconds(event, &json)?;
        let read = |source: &Option<Source>| {
            let text = source.as_ref()?.text(event, &json)?;
            Some(Value::from(text))
        };
        let fields = config.fields.iter();
        let fields: Map<String, Value> = fields
            .filter_map(|(name, source)| Some((name.clone(), source.text(event, &json)?.into())))
            .collect();
        let members = members([
            ("fields", (!fields.is_empty()).then(|| fields.into())),
            ("host", read(&config.host)),
            ("index", read(&config.index)),
            ("source", read(&config.source)),
            ("sourcetype", read(&config.sourcetype)),
        ]);
        let object = with_members(&format!("{{\"event\":{record}}}"), &members);
        // A number of seconds to the nanosecond, which a float would not hold.
        let (seconds, rest) = (nanoseconds / 1_000_000_000, nanoseconds % 1_000_000_000);
        Ok(with_members(
            &object,
            &format!("\"time\":{seconds}.{rest:09}"),
        ))
    }

    fn reads_records(&self) -> bool {
        let config = &self.0;
        let sources = [
            &config.host,
            &config.source,
            &config.sourcetype,
            &config.index,
        ];
        let sources = sources.into_iter().flatten().chain(config.fields.values());
        config.time.needs_json() || sources.into_iter().any(Source::needs_json)
    }
}

/// What the collector says.
#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    text: String,
    code: u16,
    #[serde(rename = "invalid-event-number")]
    invalid_event: Option<usize>,
}

/// The verdict of an answer that is no success, if it tells the events of the call apart.
fn judge(body: &[u8], events: u32) -> Option<Verdict> {
    let answer: Answer = serde_json::from_slice(body).ok()?;
    let events = events as usize;
    // Of an index, the first event has the number 1; of anything else, 0.
    let from = usize::from(answer.code == 7);
    let place = answer.invalid_event?.saturating_sub(from);
    let place = Some(place).filter(|place| *place < events)?;
    let (first, at_fault) = match answer.code {
        6 | 7 | 12 | 13 | 15 => {
            let reason = format!("Splunk's code {}: {}", answer.code, cut(&answer.text));
            (place, EventVerdict::Reject(reason))
        }
        // Nothing says whether the event where it stopped counts as taken: once too often is better than never.
        9 => (place.saturating_sub(1), EventVerdict::Retry),
        _ => return None,
    };
    let mut each = vec![EventVerdict::Retry; events];
    each.iter_mut()
        .take(first)
        .for_each(|verdict| *verdict = EventVerdict::Delivered);
    if let Some(verdict) = each.get_mut(place) {
        *verdict = at_fault;
    }
    Some(verdict(each))
}

impl Handle for Splunk {
    fn handle(&self, call: &Call, outcome: Result<Response, Failure>) -> Handled {
        let Ok(response) = outcome else {
            return Verdict::ByStatus.into();
        };
        if let Some(handled) = of_a_page(&response) {
            return handled;
        }
        let is_refused = !(200..300).contains(&response.status);
        let verdict = is_refused.then(|| judge(&response.body, call.event_count()));
        let verdict = verdict.flatten();
        verdict.unwrap_or(Verdict::ByStatus).into()
    }
}

export_sink!(Splunk);

#[cfg(test)]
mod tests {
    use nozzle_plugin::{
        Body, configure,
        testing::{TestEvent, events},
    };

    use plugin_kit::testing::letters;

    use super::*;

    fn shape(config: &str, data: &str) -> Result<String, String> {
        let plugin: Splunk = configure(config).expect(config);
        let event = TestEvent {
            id: "f:1",
            timestamp_ms: 1_700_000_000_042,
            data: data.as_bytes(),
            ..TestEvent::default()
        };
        let mut shaped = plugin.shape(&events([event])).expect("it shapes");
        match shaped.requests.pop().map(|request| request.body) {
            Some(Body::Bytes(body)) => Ok(String::from_utf8(body).expect("text")),
            _ => Err(shaped.reject.remove(0).reason),
        }
    }

    #[test]
    fn a_record_is_an_event_with_what_is_known_of_it() {
        let all = r#"{"host":"{json:/h}","source":"s","sourcetype":"{json:/none}","index":"main","fields":{"id":"{id}","brace":"{json:/b}"},"time":{"from":"{json:/t}","unit":"s"}}"#;
        let table = [
            (
                "{}",
                "{\"n\": 1.00}",
                r#"{"time":1700000000.042000000,"event":{"n": 1.00}}"#,
            ),
            (
                "{}",
                "a \"b\"",
                r#"{"time":1700000000.042000000,"event":"a \"b\""}"#,
            ),
            (
                all,
                r#"{"h":"web","t":1.5,"b":"}"}"#,
                r#"{"time":1.500000000,"fields":{"brace":"}","id":"f:1"},"host":"web","index":"main","source":"s","event":{"h":"web","t":1.5,"b":"}"}}"#,
            ),
        ];

        for (config, data, expected) in table {
            let found = shape(config, data).expect(data);

            assert_eq!(found.trim_end(), expected);
            let parsed: Result<Value, _> = serde_json::from_str(&found);
            assert!(parsed.is_ok(), "{found}");
        }
    }

    #[test]
    fn what_splunk_takes_for_no_event_is_rejected() {
        for (config, data) in [
            ("{}", "null"),
            ("{}", "\"\""),
            ("{}", ""),
            (r#"{"invalid":"reject"}"#, "text"),
        ] {
            assert!(shape(config, data).is_err(), "{data}");
        }
    }

    #[test]
    fn an_answer_tells_the_events_apart_where_it_stopped() {
        let table = [
            (
                r#"{"text":"Invalid data format","code":6,"invalid-event-number":1}"#,
                "dxr",
            ),
            (
                r#"{"text":"Incorrect index","code":7,"invalid-event-number":0}"#,
                "xrr",
            ),
            (
                r#"{"text":"Server is busy","code":9,"invalid-event-number":2}"#,
                "drr",
            ),
            (
                r#"{"text":"Server is busy","code":9,"invalid-event-number":0}"#,
                "rrr",
            ),
            // The others are the call's, or tell nothing apart.
            (r#"{"text":"Server is busy","code":9}"#, ""),
            (r#"{"text":"Invalid data format","code":6}"#, ""),
            (
                r#"{"text":"Invalid data format","code":6,"invalid-event-number":3}"#,
                "",
            ),
            (
                r#"{"text":"Invalid token","code":4,"invalid-event-number":0}"#,
                "",
            ),
            ("busy", ""),
        ];

        for (body, expected) in table {
            assert_eq!(letters(judge(body.as_bytes(), 3)), expected, "{body}");
        }
    }
}
