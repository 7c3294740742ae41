//! Why an event is given up on, in words, and the dead letter that says it.

use std::{
    fmt::Display,
    sync::Arc,
    time::{Duration, SystemTime},
};

use super::{
    item::{Item, LastAttempt},
    retry::GivenUp,
    settings::DeliverySettings,
    verdict::Seen,
};
use crate::{
    dead_letter::{CauseKind, DeadLetter, LastResponse},
    event::{Event, Record, now_ms},
    plugin::PluginError,
};

/// How much of the last response's body a dead letter holds, in bytes.
pub(super) const EXCERPT: usize = 4 * 1024;

/// Why an event is given up on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cause {
    pub(super) kind: CauseKind,
    pub(super) message: String,
}

fn cause(kind: CauseKind, message: impl Into<String>) -> Cause {
    Cause {
        kind,
        message: message.into(),
    }
}

pub(super) fn too_large(size: usize, limit: usize) -> Cause {
    cause(
        CauseKind::TooLarge,
        format!("the record has {size} bytes, more than `batch.max-bytes` ({limit}) allows"),
    )
}

pub(super) fn rejected(reason: String) -> Cause {
    cause(CauseKind::RejectedByShape, reason)
}

pub(super) fn rejected_by_verdict(reason: String) -> Cause {
    cause(CauseKind::RejectedByVerdict, reason)
}

pub(super) fn status(seen: &Seen) -> Cause {
    let kind = match seen {
        Seen::Status(_) => CauseKind::Status,
        Seen::Failed(_) => CauseKind::Failure,
    };
    cause(kind, seen.to_string())
}

pub(super) fn plugin_failed(error: &PluginError) -> Cause {
    cause(CauseKind::PluginFailed, error.to_string())
}

pub(super) fn handler_failed(reason: &str) -> Cause {
    cause(CauseKind::PluginFailed, reason)
}

pub(super) fn violation(violation: &impl Display) -> Cause {
    cause(CauseKind::ContractViolation, violation.to_string())
}

pub(super) fn given_up(
    given_up: GivenUp,
    settings: &DeliverySettings,
    counted: u32,
    last: &Seen,
) -> Cause {
    match given_up {
        GivenUp::Attempts => cause(
            CauseKind::AttemptsExhausted,
            format!("{counted} attempts failed (`retry.max-attempts`); the last: {last}"),
        ),
        GivenUp::Time => cause(
            CauseKind::TimedOut,
            format!(
                "not delivered within {:?} (`timeout.total`); the last: {last}",
                settings.timeout.total
            ),
        ),
    }
}

/// The dead letter of a result that its egress does not take; `of` is the first event of the call that gave it.
pub(super) fn large_result(
    sink: &str,
    ingress: &str,
    of: Option<&Item>,
    number: usize,
    result: Record,
    max: usize,
) -> Record {
    let of = of.map(|item| &*item.arrival.event);
    let event = Event {
        id: format!("{}/result-{number}", of.map_or(sink, |event| &event.id)).into(),
        key: result.key,
        timestamp_ms: of.map_or_else(now_ms, |event| event.timestamp_ms),
        attributes: result.attributes,
        data: result.data,
    };
    DeadLetter {
        message: &format!(
            "the result has {} bytes, more than the {max} that its egress takes",
            event.data.len()
        ),
        event: &event,
        ingress,
        sink: Some(sink),
        endpoint: None,
        cause: CauseKind::ResultTooLarge,
        given_up: SystemTime::now(),
        attempts: 0,
        first_attempt: None,
        last_attempt: None,
        last_response: None,
    }
    .to_record()
}

/// Where an event came from, and where it was given up on.
pub(super) struct From<'a> {
    pub(super) ingress: &'a str,
    pub(super) sink: &'a str,
    /// That of the last attempt, where the sink has several.
    pub(super) endpoint: Option<&'a Arc<str>>,
}

/// The dead letter of an event.
pub(super) fn letter(
    from: &From<'_>,
    item: &Item,
    cause: &Cause,
    last: Option<&LastAttempt>,
) -> Record {
    let first = item.first.map(|first| first.wall);
    // The wall clock may have been set back meanwhile: the last attempt is not before the first.
    let end = item
        .first
        .map(|first| SystemTime::now().max(first.wall + Duration::ZERO));
    DeadLetter {
        event: &item.arrival.event,
        ingress: from.ingress,
        sink: Some(from.sink),
        endpoint: from.endpoint.map(|endpoint| &**endpoint),
        cause: cause.kind,
        given_up: SystemTime::now(),
        message: &cause.message,
        attempts: item.attempts,
        first_attempt: first,
        last_attempt: end,
        last_response: last.map(|last| LastResponse {
            status: last.seen.status(),
            body: &last.excerpt,
        }),
    }
    .to_record()
}
