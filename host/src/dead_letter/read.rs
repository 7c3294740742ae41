//! A dead letter as it is read again: from a file, by whatever version of Nozzle it was written.

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::error::Category;

use crate::{event::Event, json::Object};

/// A dead letter that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// The event, as it was: id, key, timestamp, attributes, and every byte of its data.
    pub event: Event,
    /// The ingress that it came from.
    pub ingress: String,
    /// The sink that gave up; none where no router took it.
    pub sink: Option<String>,
    /// The endpoint of the last attempt, where the sink has several.
    pub endpoint: Option<String>,
    /// As it is written: a later version may know more than [`CauseKind`].
    ///
    /// [`CauseKind`]: super::CauseKind
    pub cause: String,
    /// The cause in words.
    pub message: String,
    /// How often the event was sent.
    pub attempts: u32,
    /// The last response's status.
    pub status: Option<u16>,
    /// When the event was given up on, in milliseconds since the Unix epoch. Letters of earlier versions do not say
    /// it: then the last attempt, or the event's own time where it was never sent.
    pub given_up_ms: u64,
}

/// What the names of the attributes begin with that a dead letter adds to its event.
const ADDED: &str = "nozzle.";

/// Why a line is no dead letter. The texts hold nothing of the line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoLetter {
    /// The line ends in the middle of a value: a crash has cut it off.
    #[error("it is cut off")]
    CutOff,
    /// Something else than JSON.
    #[error("it is no JSON, at column {column}")]
    NoJson {
        /// Where, in bytes, from 1.
        column: usize,
    },
    /// JSON of another form.
    #[error("it is JSON, but no dead letter: `{field}` is missing, or is not as it must be")]
    OtherForm {
        /// The first field that is not as it must be.
        field: &'static str,
    },
    /// JSON with a value of another type.
    #[error("it is JSON, but no dead letter: a value is of another type")]
    OtherType,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Fields {
    event: Option<Object<EventFields>>,
    ingress: Option<String>,
    sink: Option<String>,
    endpoint: Option<String>,
    cause: Option<String>,
    #[serde(default)]
    message: String,
    #[serde(default)]
    attempts: u32,
    given_up: Option<String>,
    last_attempt: Option<String>,
    last_status: Option<u16>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct EventFields {
    id: Option<Box<str>>,
    key: Option<Box<str>>,
    timestamp_ms: Option<u64>,
    #[serde(default)]
    attributes: Vec<(Box<str>, Box<str>)>,
    data: Option<String>,
    data_base64: Option<String>,
}

impl Letter {
    /// Reads a line. Keys that this version does not know are passed over.
    ///
    /// # Errors
    /// When the line is no dead letter.
    pub fn parse(line: &[u8]) -> Result<Self, NoLetter> {
        let Object(fields): Object<Fields> =
            serde_json::from_slice(line).map_err(|error| match error.classify() {
                Category::Eof => NoLetter::CutOff,
                Category::Data => NoLetter::OtherType,
                Category::Syntax | Category::Io => NoLetter::NoJson {
                    column: error.column(),
                },
            })?;
        let missing = |field| NoLetter::OtherForm { field };
        let Object(event) = fields.event.ok_or(missing("event"))?;
        let data = match (event.data, event.data_base64) {
            (Some(text), None) => Bytes::from(text),
            (None, Some(base64)) => BASE64_STANDARD
                .decode(base64)
                .map_err(|_| missing("event.data-base64"))?
                .into(),
            _ => return Err(missing("event.data")),
        };
        let event = Event {
            id: event.id.ok_or(missing("event.id"))?,
            key: event.key,
            timestamp_ms: event.timestamp_ms.ok_or(missing("event.timestamp-ms"))?,
            attributes: event.attributes,
            data,
        };
        let said = [&fields.given_up, &fields.last_attempt]
            .into_iter()
            .flatten()
            .find_map(|text| super::parse_time(text).ok());
        Ok(Self {
            ingress: fields.ingress.ok_or(missing("ingress"))?,
            sink: fields.sink,
            endpoint: fields.endpoint,
            cause: fields.cause.ok_or(missing("cause"))?,
            message: fields.message,
            attempts: fields.attempts,
            status: fields.last_status,
            given_up_ms: said.unwrap_or(event.timestamp_ms),
            event,
        })
    }

    /// The event for another sink: as it was, with attributes that say who gave it up and why. They take the place of
    /// those that a sink before has added.
    pub fn into_event(self) -> Event {
        let mut event = self.event;
        event
            .attributes
            .retain(|(name, _)| !name.starts_with(ADDED));
        let status = self.status.map(|status| status.to_string());
        let added = [
            ("sink", self.sink),
            ("endpoint", self.endpoint),
            ("cause", Some(self.cause)),
            ("message", Some(self.message)),
            ("attempts", Some(self.attempts.to_string())),
            ("last-status", status),
        ];
        let named = added
            .into_iter()
            .filter_map(|(name, value)| Some((format!("{ADDED}{name}").into(), value?.into())));
        event.attributes.extend(named);
        event
    }

    /// Whether there is an event to send again: a result that was too large is none.
    pub fn is_of_an_event(&self) -> bool {
        self.cause != super::CauseKind::ResultTooLarge.name()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LETTER: &str = r#"{"event":{"id":"t/in/a:1","timestamp-ms":5,"data":"x"},"ingress":"t/in","sink":"t/s","cause":"status","message":"m","attempts":2,"last-status":503,"given-up":"2026-01-02T03:04:05.006Z","of-a-later-version":[]}"#;

    #[test]
    fn letters_of_earlier_and_later_versions_are_read() {
        let earlier = LETTER.replace(
            r#""given-up":"2026-01-02T03:04:05.006Z","of-a-later-version":[]"#,
            r#""last-attempt":"2026-01-01T00:00:00Z""#,
        );
        let never_sent = LETTER.replace(r#","given-up":"2026-01-02T03:04:05.006Z""#, "");

        let [later, earlier, never_sent] = [LETTER, &earlier, &never_sent]
            .map(|line| Letter::parse(line.as_bytes()).expect("a letter"));

        assert_eq!(later.given_up_ms, 1_767_323_045_006);
        assert_eq!(earlier.given_up_ms, 1_767_225_600_000);
        assert_eq!(never_sent.given_up_ms, 5);
        assert_eq!(later.event, earlier.event);
        assert_eq!(
            (later.status, later.sink.as_deref()),
            (Some(503), Some("t/s"))
        );
    }

    #[test]
    fn what_is_no_letter_is_told_without_showing_it() {
        let table = [
            ("", "it is cut off"),
            (LETTER.get(..90).expect("longer"), "it is cut off"),
            ("canary", "it is no JSON, at column 1"),
            (
                "{\"canary\":1}",
                "it is JSON, but no dead letter: `event` is missing, or is not as it must be",
            ),
            (
                "[\"canary\"]",
                "it is JSON, but no dead letter: a value is of another type",
            ),
            (
                "[{\"id\":\"i\",\"timestamp-ms\":1,\"data\":\"canary\"},\"t/in\",\"t/s\",null,\"status\",\"m\",2,null,null,503]",
                "it is JSON, but no dead letter: a value is of another type",
            ),
            (
                "{\"event\":{\"id\":\"canary\",\"timestamp-ms\":1},\"ingress\":\"a\",\"cause\":\"b\"}",
                "it is JSON, but no dead letter: `event.data` is missing, or is not as it must be",
            ),
            (
                "{\"event\":{\"id\":\"i\",\"timestamp-ms\":1,\"data-base64\":\"canary!\"}}",
                "it is JSON, but no dead letter: `event.data-base64` is missing, or is not as it must be",
            ),
            (
                "{\"event\":{\"id\":\"i\",\"timestamp-ms\":\"canary\",\"data\":\"\"},\"ingress\":\"a\",\"cause\":\"b\"}",
                "it is JSON, but no dead letter: a value is of another type",
            ),
        ];
        for (line, expected) in table {
            let error = Letter::parse(line.as_bytes()).expect_err(line);

            assert_eq!(error.to_string(), expected, "{line}");
        }
    }
}
