//! Templates: `{id}`, `{key}`, `{timestamp-ms}`, `{time}` (RFC 3339), `{data}`, `{attribute:NAME}` and `{json:/pointer}`
//! (RFC 6901) are filled in from the record; `{{` and `}}` stand for braces.

#![warn(missing_docs)]

pub mod time;
mod tree;

use std::{borrow::Cow, ops::Range};

use nozzle_plugin::{Event, is_header_value};
use serde_json::Value;

pub use tree::Tree;

/// A template that was checked.
#[derive(Debug, PartialEq, Eq)]
pub struct Template(Vec<Part>);

#[derive(Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Id,
    Key,
    Timestamp,
    Time,
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

/// Why a template could not be filled in.
#[derive(Debug, PartialEq, Eq)]
enum Unfilled {
    /// The record does not have it.
    Missing(String),
    /// It has it, and it does not fit.
    Unfit(String),
}

impl From<String> for Unfilled {
    fn from(reason: String) -> Self {
        Self::Unfit(reason)
    }
}

impl From<Unfilled> for String {
    fn from(unfilled: Unfilled) -> Self {
        match unfilled {
            Unfilled::Missing(reason) | Unfilled::Unfit(reason) => reason,
        }
    }
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// In words that fit the refusal of a configuration.
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

    /// The text for one record.
    ///
    /// # Errors
    /// In words that fit a rejection: the record does not have a value, or the value does not fit its place.
    pub fn render(&self, event: &Event<'_>, place: Place) -> Result<String, String> {
        let mut out = String::new();
        let mut values = Vec::new();
        self.fill(event, |part| match part {
            Filled::Text(text) => {
                out.push_str(text);
                Ok(())
            }
            Filled::Value(value) => {
                let start = out.len();
                push(&mut out, value, place)?;
                values.push(start..out.len());
                Ok(())
            }
        })?;
        match place {
            Place::Target => check_segments(&out, &values).map(|()| out),
            Place::Header | Place::Body => Ok(out),
        }
    }

    /// The text for one record; none where the record does not have a value that it asks for, or where it comes to
    /// nothing. Values stand as they are.
    ///
    /// # Errors
    /// As [`Template::render`], when a value is there and does not fit.
    pub fn render_optional(&self, event: &Event<'_>) -> Result<Option<String>, String> {
        let mut out = String::new();
        let filled = self.fill(event, |part| {
            out.push_str(part.text());
            Ok(())
        });
        match filled {
            Ok(()) => Ok(Some(out).filter(|text| !text.is_empty())),
            Err(Unfilled::Missing(_)) => Ok(None),
            Err(Unfilled::Unfit(reason)) => Err(reason),
        }
    }

    /// The text for one record, with each value as `write` writes it.
    ///
    /// # Errors
    /// As [`Template::render`].
    pub fn render_with(
        &self,
        event: &Event<'_>,
        write: impl Fn(&mut String, &str),
    ) -> Result<String, String> {
        let mut out = String::new();
        self.fill(event, |part| {
            match part {
                Filled::Text(text) => out.push_str(text),
                Filled::Value(value) => write(&mut out, value),
            }
            Ok(())
        })?;
        Ok(out)
    }

    fn fill(
        &self,
        event: &Event<'_>,
        mut take: impl FnMut(Filled<'_>) -> Result<(), String>,
    ) -> Result<(), Unfilled> {
        let missing = |what: &str| Unfilled::Missing(format!("the record has no {what}"));
        let mut json = None;
        for part in &self.0 {
            let value = match part {
                Part::Text(text) => {
                    take(Filled::Text(text))?;
                    continue;
                }
                Part::Id => Cow::from(event.id()),
                Part::Key => event.key().ok_or_else(|| missing("key"))?.into(),
                Part::Timestamp => event.timestamp_ms().to_string().into(),
                Part::Time => time::rfc3339(event.timestamp_ms())
                    .ok_or_else(|| "the record's time is after the year 9999".to_owned())?
                    .into(),
                Part::Data => event.text()?.into(),
                Part::Attribute(name) => event
                    .attribute(name)
                    .ok_or_else(|| missing(&format!("attribute `{name}`")))?
                    .into(),
                Part::Json(pointer) => {
                    let json = match &json {
                        Some(json) => json,
                        None => json.insert(parse_json(event.data())?),
                    };
                    scalar(event, json, pointer)
                        .ok_or_else(|| missing_at(pointer))?
                        .into()
                }
            };
            take(Filled::Value(&value))?;
        }
        Ok(())
    }
}

/// A part of a template, filled in.
enum Filled<'a> {
    /// What the template's author wrote.
    Text(&'a str),
    /// What the record has.
    Value(&'a str),
}

impl<'a> Filled<'a> {
    fn text(&self) -> &'a str {
        match self {
            Self::Text(text) | Self::Value(text) => text,
        }
    }
}

fn missing_at(pointer: &str) -> Unfilled {
    Unfilled::Missing(format!("the record has nothing at `{pointer}`"))
}

impl Part {
    fn parse(name: &str) -> Result<Self, String> {
        match name.split_once(':') {
            None if name == "id" => Ok(Self::Id),
            None if name == "key" => Ok(Self::Key),
            None if name == "timestamp-ms" => Ok(Self::Timestamp),
            None if name == "time" => Ok(Self::Time),
            None if name == "data" => Ok(Self::Data),
            Some(("attribute", name)) => Ok(Self::Attribute(name.to_owned())),
            Some(("json", pointer)) if pointer.is_empty() || pointer.starts_with('/') => {
                Ok(Self::Json(pointer.to_owned()))
            }
            Some(("json", _)) => Err(format!("`{{{name}}}`: a JSON pointer begins with `/`")),
            _ => Err(format!(
                "`{{{name}}}` is none of id, key, timestamp-ms, time, data, attribute:NAME, json:/pointer"
            )),
        }
    }
}

fn parse_json(data: &[u8]) -> Result<Value, String> {
    serde_json::from_slice(data).map_err(|error| format!("the record is no JSON: {error}"))
}

fn scalar(event: &Event<'_>, json: &Value, pointer: &str) -> Option<String> {
    match json.pointer(pointer)? {
        Value::String(text) => Some(text.clone()),
        // A float would not hold all of its digits.
        Value::Number(number) if number.is_f64() => Some(event.json_at(pointer)?.to_owned()),
        value => Some(value.to_string()),
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
mod tests;
