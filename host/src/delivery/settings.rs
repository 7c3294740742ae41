//! What a sink's engine is told, checked: built by `config`, defaults as documented there.

use std::{collections::BTreeMap, time::Duration};

use crate::{batch::BatchSettings, outcome::FailureKind};

/// Everything the delivery engine of one sink needs to know.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DeliverySettings {
    /// When a batch is full.
    pub batch: BatchSettings,
    /// How much may be held.
    pub buffer: BufferSettings,
    /// How many calls run side by side.
    pub in_flight: InFlightSettings,
    /// How long an attempt, and all attempts, may take.
    pub timeout: TimeoutSettings,
    /// When and how often to try again.
    pub retry: RetrySettings,
    /// Whether failures of a dead endpoint count against events.
    pub on_outage: OnOutage,
    /// What a status means.
    pub status: StatusPolicy,
    /// Which events wait for which.
    pub order: Order,
    /// In which order results leave.
    pub results_order: ResultsOrder,
    /// What becomes of an event that the plugin fails on.
    pub on_plugin_error: OnGivenUp,
}

/// `buffer`: everything between intake and settlement counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BufferSettings {
    /// Events held, strictly more than `batch.max-records` (Flink: maxBufferedRequests).
    pub max_records: usize,
    /// Bytes held: events, request bodies, responses, results.
    pub max_bytes: usize,
}

impl Default for BufferSettings {
    fn default() -> Self {
        Self {
            max_records: 10_000,
            max_bytes: 64 * 1024 * 1024,
        }
    }
}

/// `in-flight`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InFlightSettings {
    /// Calls in flight, at least 1; attempts in back-off not counted (Flink: maxInFlightRequests).
    pub max_calls: usize,
}

impl Default for InFlightSettings {
    fn default() -> Self {
        Self { max_calls: 50 }
    }
}

/// `timeout`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimeoutSettings {
    /// One attempt, connect to last byte.
    pub attempt: Duration,
    /// All attempts of an event, outages aside.
    pub total: Duration,
}

impl Default for TimeoutSettings {
    fn default() -> Self {
        Self {
            attempt: Duration::from_secs(10),
            total: Duration::from_secs(600),
        }
    }
}

/// `retry`.
#[derive(Debug, Clone, PartialEq)]
pub struct RetrySettings {
    /// How the pauses grow.
    pub backoff: Backoff,
    /// Attempts in all, at least 1; `None` is `forever`.
    pub max_attempts: Option<u32>,
    /// No pause exceeds this, not even one the endpoint or the plugin asks for.
    pub max_delay: Duration,
    /// What becomes of an event whose attempts or time are over.
    pub on_exhausted: OnGivenUp,
}

impl Default for RetrySettings {
    fn default() -> Self {
        Self {
            backoff: Backoff::Exponential {
                initial: Duration::from_millis(200),
                multiplier: 2.0,
            },
            max_attempts: Some(10),
            max_delay: Duration::from_secs(30),
            on_exhausted: OnGivenUp::default(),
        }
    }
}

/// How the pauses between attempts grow.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Backoff {
    /// `initial × multiplier^n`, capped by `max_delay`, with full jitter: uniform between zero and that.
    Exponential {
        /// The first pause's upper bound.
        initial: Duration,
        /// At least 1, finite.
        multiplier: f64,
    },
    /// Always the same pause.
    Fixed {
        /// The pause.
        delay: Duration,
    },
}

/// `on-outage`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnOutage {
    /// As long as no call of the endpoint succeeds, its failures are not counted.
    #[default]
    Hold,
    /// Every failure counts.
    DeadLetter,
}

/// What a status means for the events of its call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatusAction {
    /// Settled.
    Delivered,
    /// Tried again.
    Retry,
    /// Dead-lettered.
    Reject,
    /// Shaped again in two halves; a single event is dead-lettered.
    Split,
    /// The sink stops, nothing is settled.
    Halt,
}

/// The actions of single codes and of classes; what neither names goes by the defaults
/// (`delivery::verdict`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StatusPolicy {
    /// By code, 100 to 599: wins over the class.
    pub codes: BTreeMap<u16, StatusAction>,
    /// By class, 1 to 5 (`4xx` is 4).
    pub classes: BTreeMap<u8, StatusAction>,
    /// By kind of failure, where there is no status; what is not named is tried again (Flink: `ifException`).
    pub failures: BTreeMap<FailureKind, FailureAction>,
}

/// What a failure means for the events of its call. None delivers them: nothing was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureAction {
    /// Tried again.
    Retry,
    /// Dead-lettered.
    Reject,
    /// The sink stops, nothing is settled.
    Halt,
}

/// `order`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// None promised.
    #[default]
    None,
    /// One call per key in flight; later events of the key wait. Events without a key do not.
    Key,
    /// One call at a time.
    Strict,
}

/// `results.order`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ResultsOrder {
    /// As calls finish (Flink: unorderedWait).
    #[default]
    Arrival,
    /// In the order of the ingress (Flink: orderedWait).
    Ingress,
}

/// What becomes of an event that is given up on: `on-plugin-error`, `retry.on-exhausted`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnGivenUp {
    /// It is dead-lettered.
    #[default]
    DeadLetter,
    /// The sink stops, nothing is settled.
    Halt,
    /// It is dropped and counted.
    Drop,
}
