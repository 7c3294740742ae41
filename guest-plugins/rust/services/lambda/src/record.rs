//! Records as the function gets them.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use nozzle_plugin::Event;
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// How a record stands in JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Encoding {
    /// As the value that it is; what is none is rejected.
    #[default]
    Json,
    /// As a string; what is no UTF-8 is rejected.
    Text,
    /// As a string in base64.
    Base64,
}

impl Encoding {
    /// Whether a record can stand there.
    pub fn check(self, event: &Event<'_>) -> Result<(), String> {
        match self {
            Self::Json => event.json().map(drop),
            Self::Text => event.text().map(drop),
            Self::Base64 => Ok(()),
        }
    }

    fn write(self, event: &Event<'_>, out: &mut String) {
        let text = event.text().unwrap_or_default();
        match self {
            Self::Json => out.push_str(text),
            Self::Text => out.push_str(&Value::from(text).to_string()),
            Self::Base64 => {
                out.push('"');
                STANDARD.encode_string(event.data(), out);
                out.push('"');
            }
        }
    }
}

/// `[data, …]`.
pub fn array(events: &[Event<'_>], encoding: Encoding) -> String {
    list(events, |event, out| encoding.write(event, out))
}

/// `{"records": [{…, "data": …}, …]}`.
pub fn envelope(events: &[Event<'_>], encoding: Encoding) -> String {
    let records = list(events, |event, out| {
        let attributes = event.attributes();
        let attributes: Map<String, Value> = attributes
            .map(|(name, value)| (name.to_owned(), value.into()))
            .collect();
        let (id, key, attributes) = (json!(event.id()), json!(event.key()), json!(attributes));
        let timestamp = event.timestamp_ms();
        out.push_str(&format!(
            r#"{{"id":{id},"key":{key},"timestamp":{timestamp},"attributes":{attributes},"data":"#
        ));
        encoding.write(event, out);
        out.push('}');
    });
    format!(r#"{{"records":{records}}}"#)
}

fn list(events: &[Event<'_>], write: impl Fn(&Event<'_>, &mut String)) -> String {
    let mut out = String::from("[");
    for (place, event) in events.iter().enumerate() {
        if place > 0 {
            out.push(',');
        }
        write(event, &mut out);
    }
    out.push(']');
    out
}
