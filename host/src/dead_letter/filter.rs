//! Which dead letters are meant: pure, and the same for the summary and for a replay.

use std::{fmt, str::FromStr};

use super::{CauseKind, Letter};
use crate::event::rfc3339;

/// Which dead letters are meant. What is empty leaves nothing out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Any of these causes.
    pub causes: Vec<CauseKind>,
    /// Any of these statuses.
    pub statuses: Vec<StatusFilter>,
    /// Given up on at this time or later, in milliseconds since the Unix epoch.
    pub since_ms: Option<u64>,
    /// Given up on before this time.
    pub until_ms: Option<u64>,
    /// Any of these keys; an event without a key has none of them.
    pub keys: Vec<String>,
    /// Given up on by any of these sinks.
    pub sinks: Vec<String>,
}

/// A status, or a class of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatusFilter {
    /// `503`.
    Code(u16),
    /// `5xx`, by its first digit.
    Class(u16),
    /// `none`: no complete response arrived.
    Unanswered,
}

/// What a filter cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FilterError {
    /// No cause of this name.
    #[error("there is no such cause; the causes are {}", CauseKind::ALL.map(CauseKind::name).join(", "))]
    Cause,
    /// Neither a code, nor a class, nor `none`.
    #[error("write a code such as `503`, a class such as `5xx`, or `none`")]
    Status,
    /// No time.
    #[error("write a time in UTC such as `2026-07-01T12:00:00Z`, or a day such as `2026-07-01`")]
    Time,
}

impl FromStr for CauseKind {
    type Err = FilterError;

    fn from_str(text: &str) -> Result<Self, FilterError> {
        let found = Self::ALL.into_iter().find(|kind| kind.name() == text);
        found.ok_or(FilterError::Cause)
    }
}

impl FromStr for StatusFilter {
    type Err = FilterError;

    fn from_str(text: &str) -> Result<Self, FilterError> {
        if text == "none" {
            return Ok(Self::Unanswered);
        }
        let in_range = |number: u16, range: std::ops::RangeInclusive<u16>| {
            range.contains(&number).then_some(number)
        };
        let parse = |digits: &str| digits.parse::<u16>().ok();
        match text.strip_suffix("xx") {
            Some(class) => parse(class)
                .and_then(|class| in_range(class, 1..=5))
                .map(Self::Class),
            None => parse(text)
                .and_then(|code| in_range(code, 100..=999))
                .map(Self::Code),
        }
        .ok_or(FilterError::Status)
    }
}

impl fmt::Display for StatusFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "{code}"),
            Self::Class(class) => write!(f, "{class}xx"),
            Self::Unanswered => f.write_str("none"),
        }
    }
}

/// A time in UTC, in milliseconds since the Unix epoch: RFC 3339, or a day.
///
/// # Errors
/// When it is neither.
pub fn parse_time(text: &str) -> Result<u64, FilterError> {
    let parsed = humantime::parse_rfc3339_weak(text)
        .or_else(|_| humantime::parse_rfc3339(&format!("{text}T00:00:00Z")));
    let since = parsed
        .ok()
        .and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
    since
        .and_then(|since| u64::try_from(since.as_millis()).ok())
        .ok_or(FilterError::Time)
}

impl Filter {
    /// Whether a letter is meant.
    pub fn takes(&self, letter: &Letter) -> bool {
        let cause = self.causes.iter().any(|cause| cause.name() == letter.cause);
        let status = self.statuses.iter().any(|status| match status {
            StatusFilter::Code(code) => letter.status == Some(*code),
            StatusFilter::Class(class) => letter.status.is_some_and(|code| code / 100 == *class),
            StatusFilter::Unanswered => letter.status.is_none(),
        });
        let key = letter.event.key.as_deref();
        let key = self.keys.iter().any(|other| key == Some(other));
        let sink = letter.sink.as_deref();
        let sink = self.sinks.iter().any(|other| sink == Some(other));
        (cause || self.causes.is_empty())
            && (status || self.statuses.is_empty())
            && (key || self.keys.is_empty())
            && (sink || self.sinks.is_empty())
            && self
                .since_ms
                .is_none_or(|since| letter.given_up_ms >= since)
            && self.until_ms.is_none_or(|until| letter.given_up_ms < until)
    }
}

/// As the flags are written; the same for filters that mean the same letters, in whatever order they were given.
impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut flags: Vec<String> = Vec::new();
        flags.extend(
            self.causes
                .iter()
                .map(|cause| format!("--cause {}", cause.name())),
        );
        flags.extend(self.keys.iter().map(|key| format!("--key {key:?}")));
        flags.extend(self.sinks.iter().map(|sink| format!("--sink {sink}")));
        flags.extend(
            self.statuses
                .iter()
                .map(|status| format!("--status {status}")),
        );
        flags.extend(self.since_ms.map(|at| format!("--since {}", rfc3339(at))));
        flags.extend(self.until_ms.map(|at| format!("--until {}", rfc3339(at))));
        flags.sort();
        flags.dedup();
        f.write_str(&flags.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::event::Event;

    fn letter() -> Letter {
        Letter {
            event: Event {
                id: "t/in/a:1".into(),
                key: Some("ann".into()),
                timestamp_ms: 0,
                attributes: Vec::new(),
                data: Bytes::new(),
            },
            ingress: "t/in".to_owned(),
            sink: Some("t/a".to_owned()),
            endpoint: None,
            cause: "attempts-exhausted".to_owned(),
            message: String::new(),
            attempts: 3,
            status: Some(503),
            given_up_ms: 1_000,
        }
    }

    fn statuses(all: &[&str]) -> Filter {
        Filter {
            statuses: all.iter().map(|text| text.parse().expect(text)).collect(),
            ..Filter::default()
        }
    }

    #[test]
    fn every_kind_of_condition_must_hold_and_one_of_each_kind_is_enough() {
        let own = |text: &str| vec![text.to_owned()];
        let none = Filter::default;
        #[rustfmt::skip]
        let table = [
            (none(), true),
            (Filter { causes: vec![CauseKind::Status, CauseKind::AttemptsExhausted], ..none() }, true),
            (Filter { causes: vec![CauseKind::Status], ..none() }, false),
            (statuses(&["400", "503"]), true),
            (statuses(&["5xx"]), true),
            (statuses(&["4xx", "none"]), false),
            (Filter { since_ms: Some(1_000), until_ms: Some(1_001), ..none() }, true),
            (Filter { since_ms: Some(1_001), ..none() }, false),
            (Filter { until_ms: Some(1_000), ..none() }, false),
            (Filter { keys: own("ann"), ..none() }, true),
            (Filter { keys: own("an"), ..none() }, false),
            (Filter { sinks: own("t/a"), ..none() }, true),
            (Filter { sinks: own("t/b"), ..none() }, false),
            (Filter { sinks: own("t/b"), ..statuses(&["503"]) }, false),
        ];
        for (filter, expected) in table {
            assert_eq!(filter.takes(&letter()), expected, "{filter}");
        }
        let unanswered = Letter {
            status: None,
            sink: None,
            ..letter()
        };
        assert!(statuses(&["none"]).takes(&unanswered));
        assert!(
            !Filter {
                sinks: own("t/a"),
                ..none()
            }
            .takes(&unanswered)
        );
    }

    #[test]
    fn what_is_no_filter_is_refused() {
        let status = |text: &str| text.parse::<StatusFilter>().is_ok();
        let cause = |text: &str| text.parse::<CauseKind>().is_ok();

        assert_eq!(
            ["503", "5xx", "none", "99", "6xx", "x", "-1", "5x"].map(status),
            [true, true, true, false, false, false, false, false]
        );
        assert_eq!(
            ["timed-out", "timeout", ""].map(cause),
            [true, false, false]
        );
        assert_eq!(parse_time("2026-01-01"), Ok(1_767_225_600_000));
        assert_eq!(parse_time("2026-01-01T00:00:01Z"), Ok(1_767_225_601_000));
        assert_eq!(parse_time("2026-01-01 00:00:01"), Ok(1_767_225_601_000));
        assert_eq!(parse_time("yesterday"), Err(FilterError::Time));
    }

    #[test]
    fn the_same_filter_has_the_same_text() {
        let text = statuses(&["5xx", "400", "5xx"]).to_string();

        assert_eq!(text, statuses(&["400", "5xx"]).to_string());
        assert_eq!(text, "--status 400 --status 5xx");
    }
}
