//! Templates: `{id}`, `{key}`, `{timestamp-ms}`, `{data}`, `{attribute:NAME}` and `{json:/pointer}` (RFC 6901) are
//! filled in from the record; `{{` and `}}` stand for braces.

use std::{borrow::Cow, ops::Range};

use nozzle_plugin::{Event, is_header_value};
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
    /// Values are percent-encoded (RFC 3986, section 2.3: all but unreserved characters), and may not make an empty
    /// segment, `.` or `..` of the path: a record must not choose another resource than the template says.
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
        let mut values = Vec::new();
        for part in &self.0 {
            let value = match part {
                Part::Text(text) => {
                    out.push_str(text);
                    continue;
                }
                Part::Id => Cow::from(event.id()),
                Part::Key => event.key().ok_or("the record has no key")?.into(),
                Part::Timestamp => event.timestamp_ms().to_string().into(),
                Part::Data => event.text()?.into(),
                Part::Attribute(name) => event
                    .attribute(name)
                    .ok_or_else(|| format!("the record has no attribute `{name}`"))?
                    .into(),
                Part::Json(pointer) => {
                    let json = match &json {
                        Some(json) => json,
                        None => json.insert(parse_json(event.data())?),
                    };
                    scalar(json, pointer)?.into()
                }
            };
            let start = out.len();
            push(&mut out, &value, place)?;
            values.push(start..out.len());
        }
        match place {
            Place::Target => check_segments(&out, &values).map(|()| out),
            Place::Header | Place::Body => Ok(out),
        }
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
        Place::Header if !is_header_value(value) => {
            return Err("a value for a header has a control character or is not ASCII".to_owned());
        }
        Place::Header | Place::Body => out.push_str(value),
        Place::Target => value.bytes().for_each(|byte| encode(out, byte)),
    }
    Ok(())
}

fn encode(out: &mut String, byte: u8) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
        out.push(char::from(byte));
    } else {
        out.push('%');
        out.push(char::from(HEX[usize::from(byte >> 4)]));
        out.push(char::from(HEX[usize::from(byte & 15)]));
    }
}

/// Looks at the path segments that values had a part in: what the template itself says is its author's business.
fn check_segments(target: &str, values: &[Range<usize>]) -> Result<(), String> {
    let path = target.find(['?', '#']).unwrap_or(target.len());
    for value in values.iter().filter(|value| value.start <= path) {
        let before = target.split_at(value.start).0;
        let start = before.rfind('/').map_or(0, |slash| slash + 1);
        let rest = target.split_at(value.end).1;
        let end = value.end + rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let segment = target.get(start..end).unwrap_or_default();
        if matches!(segment, "" | "." | "..") {
            return Err(format!(
                "a value makes the path segment `{segment}` of the target, which names another resource"
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use nozzle_plugin::testing::{TestEvent, events};

    use super::*;

    fn render(template: &str, data: &str, place: Place) -> Result<String, String> {
        let event = TestEvent {
            id: "a/1",
            key: Some("k\u{e9}y"),
            timestamp_ms: 7,
            attributes: &[("region", "eu")],
            data: data.as_bytes(),
        };
        let batch = events([event]);
        let event = batch.get(0).ok_or("no event")?;
        Template::parse(template)?.render(&event, place)
    }

    #[test]
    fn values_are_filled_in_and_fit_their_place() {
        use Place::{Body, Header, Target};
        let data = r#"{"user":"a b","n":[1,2],"deep":{"x":true},"a/b":"slash"}"#;
        let table = [
            (
                "users/{json:/user}?n={json:/n/1}",
                Target,
                Ok("users/a%20b?n=2"),
            ),
            ("{id}-{timestamp-ms}", Target, Ok("a%2F1-7")),
            ("{key}", Target, Ok("k%C3%A9y")),
            ("{json:/a~1b}", Target, Ok("slash")),
            (
                "{key}",
                Header,
                Err("a value for a header has a control character or is not ASCII"),
            ),
            ("Bearer {json:/deep/x}", Header, Ok("Bearer true")),
            ("{attribute:region}", Header, Ok("eu")),
            ("{{\"n\":{json:/n}}}", Body, Ok("{\"n\":[1,2]}")),
            (
                "{json:/none}",
                Body,
                Err("the record has nothing at `/none`"),
            ),
            (
                "{attribute:none}",
                Body,
                Err("the record has no attribute `none`"),
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
    fn a_record_cannot_choose_another_resource() {
        let table = [
            ("users/{data}", "..", false),
            ("users/{data}", ".", false),
            ("users/{data}", "", false),
            ("users/{data}/orders", "..", false),
            ("{data}", "", false),
            ("a{data}", ".", true),
            (".{data}", ".", false),
            ("users/{data}{data}", ".", false),
            ("users/{data}?x=1", "", false),
            ("users/{data}", "...", true),
            ("users/{data}", "../admin", true),
            ("users/u{data}", "", true),
            ("users?q={data}", "", true),
            ("users?q={data}", "..", true),
            ("users?q=a/{data}", "..", true),
            ("../v2/{data}", "x", true),
        ];

        for (template, data, passes) in table {
            let found = render(template, data, Place::Target);
            assert_eq!(found.is_ok(), passes, "{template} with `{data}`: {found:?}");
        }
        assert_eq!(
            render("users/{data}", "../admin", Place::Target).as_deref(),
            Ok("users/..%2Fadmin")
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
