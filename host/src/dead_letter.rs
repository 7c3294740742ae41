//! The one schema of dead letters, as they are written and as they are read again; documented for users in
//! `docs/dead-letters.md`.
//!
//! # Invariants
//! - What [`DeadLetter::to_record`] writes, [`Letter::parse`] gives back: the event exactly as it was.

mod filter;
mod read;
mod summary;

pub use filter::{Filter, FilterError, StatusFilter, parse_time};
pub use read::{Letter, NoLetter};
pub use summary::{Group, GroupKey, Groups};

use std::time::SystemTime;

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use serde::Serialize;

use crate::event::{Event, Record};

/// Why an event was given up on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CauseKind {
    /// The status policy rejects the response's status.
    Status,
    /// No complete response came, and `failures` rejects this kind of failure.
    Failure,
    /// The plugin put it under `reject`.
    RejectedByShape,
    /// The plugin's verdict on the response rejects it.
    RejectedByVerdict,
    /// `retry.max-attempts` attempts have failed.
    AttemptsExhausted,
    /// `timeout.total` is over.
    TimedOut,
    /// The plugin refuses it, traps on it, or runs too long.
    PluginFailed,
    /// What the plugin returned for it breaks the contract.
    ContractViolation,
    /// It is larger than `batch.max-bytes`.
    TooLarge,
    /// No event but a result, larger than its egress takes.
    ResultTooLarge,
    /// No router of its ingress takes it.
    Unrouted,
    /// Its sink was taken out of the module, and could not deliver it in time.
    SinkRemoved,
}

impl CauseKind {
    /// All of them, in the order of the documentation.
    pub const ALL: [Self; 12] = [
        Self::Status,
        Self::Failure,
        Self::RejectedByShape,
        Self::RejectedByVerdict,
        Self::AttemptsExhausted,
        Self::TimedOut,
        Self::PluginFailed,
        Self::ContractViolation,
        Self::TooLarge,
        Self::ResultTooLarge,
        Self::Unrouted,
        Self::SinkRemoved,
    ];

    /// As it is written in a letter.
    pub fn name(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Failure => "failure",
            Self::RejectedByShape => "rejected-by-shape",
            Self::RejectedByVerdict => "rejected-by-verdict",
            Self::AttemptsExhausted => "attempts-exhausted",
            Self::TimedOut => "timed-out",
            Self::PluginFailed => "plugin-failed",
            Self::ContractViolation => "contract-violation",
            Self::TooLarge => "too-large",
            Self::ResultTooLarge => "result-too-large",
            Self::Unrouted => "unrouted",
            Self::SinkRemoved => "sink-removed",
        }
    }
}

/// An event that was given up on, and why.
#[derive(Debug, Clone)]
#[expect(
    missing_docs,
    reason = "the fields are documented in docs/dead-letters.md"
)]
pub struct DeadLetter<'a> {
    pub event: &'a Event,
    pub ingress: &'a str,
    pub sink: Option<&'a str>,
    pub endpoint: Option<&'a str>,
    pub cause: CauseKind,
    pub message: &'a str,
    pub given_up: SystemTime,
    pub attempts: u32,
    pub first_attempt: Option<SystemTime>,
    pub last_attempt: Option<SystemTime>,
    pub last_response: Option<LastResponse<'a>>,
}

/// What the endpoint answered last.
#[derive(Debug, Clone, Copy)]
pub struct LastResponse<'a> {
    /// None where no complete response arrived.
    pub status: Option<u16>,
    /// The first 4 KiB at most.
    pub body: &'a [u8],
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Written<'a> {
    event: WrittenEvent<'a>,
    ingress: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    sink: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    endpoint: Option<&'a str>,
    cause: &'static str,
    message: &'a str,
    given_up: String,
    attempts: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_attempt: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_attempt: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_response: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_response_base64: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct WrittenEvent<'a> {
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'a str>,
    timestamp_ms: u64,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    attributes: &'a [(Box<str>, Box<str>)],
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data_base64: Option<String>,
}

impl DeadLetter<'_> {
    /// The letter as one line of JSON, under the event's key.
    pub fn to_record(&self) -> Record {
        let event = self.event;
        let (data, data_base64) = text_or_base64(&event.data);
        let body = self
            .last_response
            .map(|last| last.body)
            .filter(|body| !body.is_empty());
        let (last_response, last_response_base64) = body.map(lossless).unwrap_or_default();
        let time = |at: SystemTime| humantime::format_rfc3339_millis(at).to_string();
        let letter = Written {
            event: WrittenEvent {
                id: &event.id,
                key: event.key.as_deref(),
                timestamp_ms: event.timestamp_ms,
                attributes: &event.attributes,
                data,
                data_base64,
            },
            ingress: self.ingress,
            sink: self.sink,
            endpoint: self.endpoint,
            cause: self.cause.name(),
            message: self.message,
            given_up: time(self.given_up),
            attempts: self.attempts,
            first_attempt: self.first_attempt.map(time),
            last_attempt: self.last_attempt.map(time),
            last_status: self.last_response.and_then(|last| last.status),
            last_response,
            last_response_base64,
        };
        let line = serde_json::to_vec(&letter).expect("strings and numbers are always JSON");
        Record {
            key: event.key.clone(),
            attributes: Vec::new(),
            data: Bytes::from(line),
        }
    }
}

fn text_or_base64(bytes: &[u8]) -> (Option<&str>, Option<String>) {
    match std::str::from_utf8(bytes) {
        Ok(text) => (Some(text), None),
        Err(_) => (None, Some(BASE64_STANDARD.encode(bytes))),
    }
}

/// As [`text_or_base64`], for a body that may have been cut within a character.
fn lossless(bytes: &[u8]) -> (Option<String>, Option<String>) {
    let whole = match std::str::from_utf8(bytes) {
        Err(error) if error.error_len().is_none() => {
            bytes.get(..error.valid_up_to()).unwrap_or_default()
        }
        _ => bytes,
    };
    let (text, base64) = text_or_base64(whole);
    (text.map(str::to_owned), base64)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn letter(data: &'static [u8], body: &[u8]) -> serde_json::Value {
        let event = Event {
            id: "shop/orders/a.ndjson:7".into(),
            key: Some("ann".into()),
            timestamp_ms: 1_700_000_000_000,
            attributes: vec![("region".into(), "eu".into())],
            data: Bytes::from_static(data),
        };
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_001);
        let record = DeadLetter {
            event: &event,
            ingress: "shop/orders",
            sink: Some("shop/score"),
            endpoint: Some("eu"),
            cause: CauseKind::Status,
            message: "the endpoint answered 400",
            given_up: at + Duration::from_millis(5),
            attempts: 1,
            first_attempt: Some(at),
            last_attempt: Some(at + Duration::from_millis(5)),
            last_response: Some(LastResponse {
                status: Some(400),
                body,
            }),
        }
        .to_record();
        assert_eq!(record.key.as_deref(), Some("ann"));
        serde_json::from_slice(&record.data).expect("valid JSON")
    }

    #[test]
    fn a_letter_holds_the_event_whole_and_what_happened() {
        insta::assert_snapshot!(format!("{:#}", letter(b"{\"n\":1}", b"no such item")), @r#"
        {
          "attempts": 1,
          "cause": "status",
          "endpoint": "eu",
          "event": {
            "attributes": [
              [
                "region",
                "eu"
              ]
            ],
            "data": "{\"n\":1}",
            "id": "shop/orders/a.ndjson:7",
            "key": "ann",
            "timestamp-ms": 1700000000000
          },
          "first-attempt": "2023-11-14T22:13:21.000Z",
          "given-up": "2023-11-14T22:13:21.005Z",
          "ingress": "shop/orders",
          "last-attempt": "2023-11-14T22:13:21.005Z",
          "last-response": "no such item",
          "last-status": 400,
          "message": "the endpoint answered 400",
          "sink": "shop/score"
        }
        "#);
    }

    #[test]
    fn what_is_no_text_is_base64() {
        let letter = letter(b"\xff\x00", b"\xff\x00");

        assert_eq!(letter["event"]["data-base64"], "/wA=");
        assert_eq!(letter["event"].get("data"), None);
        assert_eq!(letter["last-response-base64"], "/wA=");
    }

    #[test]
    fn a_body_cut_within_a_character_is_still_text() {
        let cut = letter(b"", "caf\u{e9}".as_bytes().get(..4).expect("four bytes"));

        assert_eq!(cut["last-response"], "caf");
    }
}
