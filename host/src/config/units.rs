//! Durations and sizes as people write them.

use std::{borrow::Cow, time::Duration};

use bytesize::ByteSize;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de::Error};

/// A duration such as `200ms`, `5s`, `10min`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span(pub(super) Duration);

/// A size in bytes such as `64MiB`, or a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size(pub(super) u64);

/// No duration is longer: nobody means more, and a point in time that far ahead can still be computed.
pub(super) const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Reads a duration such as `200ms`, `5s`, `10min`, of at most a year.
///
/// # Errors
/// What to write instead; the text is not repeated.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let mut units = text.split(|character: char| !character.is_alphabetic());
    if units.any(|unit| unit == "M") {
        return Err("write `min` for minutes, as `M` stands for months".to_owned());
    }
    let too_long = || "write a duration of at most `365days`".to_owned();
    let duration = humantime::parse_duration(text).map_err(|error| match error {
        humantime::DurationError::NumberOverflow => too_long(),
        _ => "write a duration, such as `200ms`, `5s` or `10min`".to_owned(),
    })?;
    if duration > LONGEST {
        return Err(too_long());
    }
    Ok(duration)
}

pub(super) fn parse_size(text: &str) -> Result<u64, String> {
    let size: Result<ByteSize, _> = text.parse();
    size.map(|size| size.as_u64())
        .map_err(|_| "write a size, such as `64MiB`, `500KB` or a number of bytes".to_owned())
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse_duration(&text).map(Self).map_err(D::Error::custom)
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // The walk has turned texts into numbers.
        u64::deserialize(deserializer).map(Self)
    }
}

impl JsonSchema for Span {
    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "format": "duration",
            "examples": ["200ms", "5s", "10min"],
            "x-longest": "365days",
        })
    }
}

impl JsonSchema for Size {
    fn schema_name() -> Cow<'static, str> {
        "Size".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "integer"], "format": "size", "examples": ["64MiB", 1048576] })
    }
}
