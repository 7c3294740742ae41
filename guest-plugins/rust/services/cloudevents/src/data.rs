//! Data in the JSON format (section 3.1): as a value, as a string, or in base64, by its content type.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use nozzle_plugin::Event;

/// How data of one content type stands in the JSON format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DataForm {
    /// `*/json` and `*/*+json`: the value itself.
    Json,
    /// `text/*` and XML: a string, if it is UTF-8.
    Text,
    /// Anything else.
    Binary,
}

impl DataForm {
    pub fn of(content_type: &str) -> Result<Self, String> {
        let media_type = content_type.split(';').next().unwrap_or_default().trim();
        let lower = media_type.to_ascii_lowercase();
        let (kind, subtype) = lower
            .split_once('/')
            .filter(|(kind, subtype)| !kind.is_empty() && !subtype.is_empty())
            .ok_or_else(|| format!("`{content_type}` is no media type"))?;
        Ok(match subtype {
            "json" => Self::Json,
            _ if subtype.ends_with("+json") => Self::Json,
            "xml" => Self::Text,
            _ if subtype.ends_with("+xml") || kind == "text" => Self::Text,
            _ => Self::Binary,
        })
    }

    /// Whether a record is what its content type says, as far as that is known.
    pub fn check(self, event: &Event<'_>) -> Result<(), String> {
        match self {
            Self::Json => event.json().map(drop),
            Self::Text | Self::Binary => Ok(()),
        }
    }

    /// Writes the member of a JSON object, with the comma before it.
    pub fn write(self, event: &Event<'_>, out: &mut Vec<u8>) -> Result<(), String> {
        match (self, event.text()) {
            (Self::Json, _) => {
                out.extend_from_slice(br#","data":"#);
                out.extend_from_slice(event.json()?.as_bytes());
            }
            (Self::Text, Ok(text)) => write_member(out, "data", text),
            (Self::Text | Self::Binary, _) => {
                write_member(out, "data_base64", &STANDARD.encode(event.data()));
            }
        }
        Ok(())
    }
}

/// Writes `,"name":"value"`.
pub fn write_member(out: &mut Vec<u8>, name: &str, value: &str) {
    out.push(b',');
    write_text(out, name);
    out.push(b':');
    write_text(out, value);
}

fn write_text(out: &mut Vec<u8>, text: &str) {
    serde_json::to_writer(out, text).expect("a string is JSON, and a Vec takes it");
}

#[cfg(test)]
mod tests {
    use nozzle_plugin::testing;

    use super::*;

    #[test]
    fn the_content_type_says_what_stands_there() {
        let table = [
            ("application/json", Some(DataForm::Json)),
            ("Application/JSON; charset=utf-8", Some(DataForm::Json)),
            ("application/vnd.api+json", Some(DataForm::Json)),
            ("text/json", Some(DataForm::Json)),
            ("text/csv", Some(DataForm::Text)),
            ("application/xml", Some(DataForm::Text)),
            ("application/soap+xml", Some(DataForm::Text)),
            ("application/octet-stream", Some(DataForm::Binary)),
            ("json", None),
            ("", None),
        ];

        for (content_type, expected) in table {
            assert_eq!(DataForm::of(content_type).ok(), expected, "{content_type}");
        }
    }

    #[test]
    fn data_is_a_value_a_string_or_base64() {
        let table: [(DataForm, &[u8], &str); 4] = [
            (DataForm::Json, b"{\"a\": 1.0}", ",\"data\":{\"a\": 1.0}"),
            (DataForm::Text, b"a\"\n", ",\"data\":\"a\\\"\\n\""),
            (DataForm::Text, b"\xff", ",\"data_base64\":\"/w==\""),
            (DataForm::Binary, b"hello", ",\"data_base64\":\"aGVsbG8=\""),
        ];

        for (form, data, expected) in table {
            let batch = testing::batch([data]);
            let event = batch.get(0).expect("the event");
            let mut out = Vec::new();
            form.write(&event, &mut out).expect("it fits");
            assert_eq!(String::from_utf8_lossy(&out), expected);
        }
    }
}
