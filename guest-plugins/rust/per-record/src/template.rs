//! Templates: `{id}`, `{key}`, `{timestamp-ms}`, `{data}`, `{attribute:NAME}` and `{json:/pointer}` (RFC 6901) are
//! filled in from the record; `{{` and `}}` stand for braces.

use nozzle_plugin::Event;
use serde_json::Value;

/// A template that was checked.
#[derive(Debug, PartialEq, Eq)]
pub struct Template(Vec<Part>);

#[derive(Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Id,
    Key,
    Timestamp,
    Data,
    Attribute(String),
    Json(String),
}

/// Where the result goes, which decides how values are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Values are percent-encoded (RFC 3986, section 2.3: all but unreserved characters).
    Target,
    /// Values with control characters or without ASCII are refused.
    Header,
    /// Values stand as they are.
    Body,
}

impl Template {
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(place) = rest.find(['{', '}']) {
            let (before, after) = rest.split_at(place);
            plain.push_str(before);
            if let Some(after) = after.strip_prefix("{{") {
                plain.push('{');
                rest = after;
            } else if let Some(after) = after.strip_prefix("}}") {
                plain.push('}');
                rest = after;
            } else {
                let inner = after
                    .strip_prefix('{')
                    .and_then(|inner| inner.split_once('}'));
                let (name, after) =
                    inner.ok_or("a `{` without its `}` (write `{{` for a brace)")?;
                if !plain.is_empty() {
                    parts.push(Part::Text(std::mem::take(&mut plain)));
                }
                parts.push(Part::parse(name)?);
                rest = after;
            }
        }
        plain.push_str(rest);
        if !plain.is_empty() {
            parts.push(Part::Text(plain));
        }
        Ok(Self(parts))
    }

    /// The text, where it is the same for every record.
    pub fn constant(&self) -> Option<&str> {
        match &*self.0 {
            [] => Some(""),
            [Part::Text(text)] => Some(text),
            _ => None,
        }
    }

    pub fn render(&self, event: &Event<'_>, place: Place) -> Result<String, String> {
        let mut out = String::new();
        let mut json = None;
        for part in &self.0 {
            let value = match part {
                Part::Text(text) => {
                    out.push_str(text);
                    continue;
                }
                Part::Id => event.id().to_owned(),
                Part::Key => event.key().ok_or("the record has no key")?.to_owned(),
                Part::Timestamp => event.timestamp_ms().to_string(),
                Part::Data => text(event.data())?.to_owned(),
                Part::Attribute(name) => event
                    .attribute(name)
                    .ok_or_else(|| format!("the record has no attribute `{name}`"))?
                    .to_owned(),
                Part::Json(pointer) => {
                    let json = match &json {
                        Some(json) => json,
                        None => json.insert(parse_json(event.data())?),
                    };
                    scalar(json, pointer)?
                }
            };
            push(&mut out, &value, place)?;
        }
        Ok(out)
    }
}

impl Part {
    fn parse(name: &str) -> Result<Self, String> {
        match name.split_once(':') {
            None if name == "id" => Ok(Self::Id),
            None if name == "key" => Ok(Self::Key),
            None if name == "timestamp-ms" => Ok(Self::Timestamp),
            None if name == "data" => Ok(Self::Data),
            Some(("attribute", name)) => Ok(Self::Attribute(name.to_owned())),
            Some(("json", pointer)) if pointer.is_empty() || pointer.starts_with('/') => {
                Ok(Self::Json(pointer.to_owned()))
            }
            Some(("json", _)) => Err(format!("`{{{name}}}`: a JSON pointer begins with `/`")),
            _ => Err(format!(
                "`{{{name}}}` is none of id, key, timestamp-ms, data, attribute:NAME, json:/pointer"
            )),
        }
    }
}

fn text(data: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(data).map_err(|_| "the record is no UTF-8".to_owned())
}

fn parse_json(data: &[u8]) -> Result<Value, String> {
    serde_json::from_slice(data).map_err(|error| format!("the record is no JSON: {error}"))
}

fn scalar(json: &Value, pointer: &str) -> Result<String, String> {
    match json.pointer(pointer) {
        None => Err(format!("the record has nothing at `{pointer}`")),
        Some(Value::String(text)) => Ok(text.clone()),
        Some(value) => Ok(value.to_string()),
    }
}

fn push(out: &mut String, value: &str, place: Place) -> Result<(), String> {
    match place {
        Place::Body => out.push_str(value),
        Place::Header => {
            if !value
                .bytes()
                .all(|byte| matches!(byte, b'\t' | b' '..=b'~'))
            {
                return Err(
                    "a value for a header has a control character or is not ASCII".to_owned(),
                );
            }
            out.push_str(value);
        }
        Place::Target => {
            for byte in value.bytes() {
                match byte {
                    b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                        out.push(byte as char)
                    }
                    _ => out.push_str(&format!("%{byte:02X}")),
                }
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use nozzle_plugin::{Batch, bindings::nozzle::plugin::types};

    use super::*;

    fn render(template: &str, data: &str, place: Place) -> Result<String, String> {
        let span = |start, len| types::Span { start, len };
        let batch = Batch::from(types::Batch {
            bytes: format!("a/1k\u{e9}y{data}").into_bytes(),
            events: vec![types::EventMeta {
                timestamp_ms: 7,
                id: span(0, 3),
                key: Some(span(3, 4)),
                data: span(7, data.len() as u32),
                first_attribute: 0,
                attribute_count: 0,
            }],
            attributes: Vec::new(),
        });
        let event = batch.get(0).ok_or("no event")?;
        Template::parse(template)?.render(&event, place)
    }

    #[test]
    fn values_are_filled_in_and_fit_their_place() {
        let data = r#"{"user":"a b","n":[1,2],"deep":{"x":true}}"#;
        let table = [
            (
                "users/{json:/user}?n={json:/n/1}",
                Place::Target,
                Ok("users/a%20b?n=2"),
            ),
            ("{id}-{timestamp-ms}", Place::Target, Ok("a%2F1-7")),
            ("{key}", Place::Target, Ok("k%C3%A9y")),
            (
                "{key}",
                Place::Header,
                Err("a value for a header has a control character or is not ASCII"),
            ),
            ("Bearer {json:/deep/x}", Place::Header, Ok("Bearer true")),
            ("{{\"n\":{json:/n}}}", Place::Body, Ok("{\"n\":[1,2]}")),
            (
                "{json:/none}",
                Place::Body,
                Err("the record has nothing at `/none`"),
            ),
            (
                "{attribute:region}",
                Place::Body,
                Err("the record has no attribute `region`"),
            ),
        ];

        for (template, place, expected) in table {
            let found = render(template, data, place);
            assert_eq!(
                found,
                expected.map(str::to_owned).map_err(str::to_owned),
                "{template}"
            );
        }
    }

    #[test]
    fn a_line_break_in_a_record_cannot_split_a_header() {
        assert!(render("{data}", "a\r\nHost: evil", Place::Header).is_err());
        assert_eq!(
            render("{data}", "a\r\nb", Place::Target).as_deref(),
            Ok("a%0D%0Ab")
        );
    }

    #[test]
    fn a_template_that_makes_no_sense_is_refused_with_the_names_that_do() {
        let unknown = Template::parse("{uuid}").expect_err("there is no such value");

        assert!(unknown.contains("`{uuid}` is none of id, key"), "{unknown}");
        assert!(Template::parse("{id").is_err());
        assert!(Template::parse("{json:a}").is_err());
        assert_eq!(
            Template::parse("{{}}").expect("braces").constant(),
            Some("{}")
        );
    }
}
