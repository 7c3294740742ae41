//! Where a value comes from: from the record, or from the settings.

use std::borrow::Cow;

use nozzle_plugin::Event;
use serde::Deserialize;
use serde_json::Value;

/// `{id}`, `{key}`, `{timestamp-ms}`, `{attribute:NAME}` or `{json:/pointer}` (RFC 6901) of the record; any other text
/// is the value itself, the same for every record.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Source {
    /// The value itself.
    Text(String),
    /// The event's id.
    Id,
    /// The event's key.
    Key,
    /// The event's timestamp.
    Timestamp,
    /// One of the event's attributes.
    Attribute(String),
    /// A place in the record.
    Json(String),
}

impl TryFrom<String> for Source {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let inner = text
            .strip_prefix('{')
            .and_then(|text| text.strip_suffix('}'));
        let Some(name) = inner else {
            return match text.contains(['{', '}']) {
                false => Ok(Self::Text(text)),
                true => Err(format!(
                    "`{text}`: a value is one `{{…}}` alone, or has no braces"
                )),
            };
        };
        match name.split_once(':') {
            None if name == "id" => Ok(Self::Id),
            None if name == "key" => Ok(Self::Key),
            None if name == "timestamp-ms" => Ok(Self::Timestamp),
            Some(("attribute", name)) => Ok(Self::Attribute(name.to_owned())),
            Some(("json", pointer)) if pointer.starts_with('/') => {
                Ok(Self::Json(pointer.to_owned()))
            }
            Some(("json", _)) => Err(format!("`{text}`: a JSON pointer begins with `/`")),
            _ => Err(format!(
                "`{text}` is none of {{id}}, {{key}}, {{timestamp-ms}}, {{attribute:NAME}}, {{json:/pointer}}"
            )),
        }
    }
}

impl Source {
    /// The value, if the record has it; `null` counts as none. `json` is the record, where it was parsed.
    pub fn value(&self, event: &Event<'_>, json: &Value) -> Option<Value> {
        let text = match self {
            Self::Json(pointer) => {
                return json
                    .pointer(pointer)
                    .filter(|value| !value.is_null())
                    .cloned();
            }
            Self::Timestamp => return Some(event.timestamp_ms().into()),
            Self::Text(text) => text,
            Self::Id => event.id(),
            Self::Key => event.key()?,
            Self::Attribute(name) => event.attribute(name)?,
        };
        Some(text.into())
    }

    /// The value as text, if the record has it: what is no string as its JSON, a number as it is written.
    pub fn text<'a>(&'a self, event: &Event<'a>, json: &'a Value) -> Option<Cow<'a, str>> {
        Some(match self {
            Self::Text(text) => text.as_str().into(),
            Self::Id => event.id().into(),
            Self::Key => event.key()?.into(),
            Self::Timestamp => event.timestamp_ms().to_string().into(),
            Self::Attribute(name) => event.attribute(name)?.into(),
            Self::Json(pointer) => match json.pointer(pointer)? {
                Value::Null => return None,
                Value::String(text) => text.as_str().into(),
                // A float would not hold all of its digits.
                Value::Number(number) if number.is_f64() => match event.json_at(pointer) {
                    Some(written) => written.into(),
                    None => number.to_string().into(),
                },
                other => other.to_string().into(),
            },
        })
    }

    /// The value, the same for every record.
    pub fn constant(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Whether the record must be parsed for it.
    pub fn needs_json(&self) -> bool {
        matches!(self, Self::Json(_))
    }

    /// What the user wrote.
    pub fn name(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Id => "{id}".to_owned(),
            Self::Key => "{key}".to_owned(),
            Self::Timestamp => "{timestamp-ms}".to_owned(),
            Self::Attribute(name) => format!("{{attribute:{name}}}"),
            Self::Json(pointer) => format!("{{json:{pointer}}}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use nozzle_plugin::testing::{TestEvent, events};
    use serde_json::json;

    use super::*;

    #[test]
    fn a_value_comes_from_where_the_settings_say() {
        let batch = events([TestEvent {
            id: "f:1",
            key: Some("k"),
            timestamp_ms: 7,
            attributes: &[("a", "b")],
            data: b"",
        }]);
        let event = batch.get(0).expect("an event");
        let json = json!({ "n": 1, "t": "x", "o": null, "d": { "e": [true] } });
        let table = [
            ("plain", Some("plain")),
            ("{id}", Some("f:1")),
            ("{key}", Some("k")),
            ("{timestamp-ms}", Some("7")),
            ("{attribute:a}", Some("b")),
            ("{attribute:b}", None),
            ("{json:/n}", Some("1")),
            ("{json:/t}", Some("x")),
            ("{json:/o}", None),
            ("{json:/d/e/0}", Some("true")),
            ("{json:/d/f}", None),
        ];

        for (text, expected) in table {
            let source = Source::try_from(text.to_owned()).expect(text);

            assert_eq!(source.text(&event, &json).as_deref(), expected, "{text}");
            assert_eq!(
                source.value(&event, &json).is_some(),
                expected.is_some(),
                "{text}"
            );
            assert_eq!(source.name(), text);
        }
    }

    #[test]
    fn what_is_no_source_is_refused() {
        for text in [
            "{data}", "{json:x}", "{}", "a{key}", "{key}b", "{json}", "{",
        ] {
            assert!(Source::try_from(text.to_owned()).is_err(), "{text}");
        }
    }
}
