//! How much an endpoint is given at a time: built by `config`, defaults as documented there.

use std::num::NonZeroU64;

/// What holds for all calls of an endpoint, whichever sink makes them.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct GateSettings {
    /// Which rule finds how much may be in flight.
    pub concurrency: Concurrency,
    /// Calls in flight at most, beside each sink's own bound.
    pub max_calls: Option<usize>,
    /// Calls begun in a second, attempts of the same call too.
    pub calls_per_second: Option<NonZeroU64>,
    /// Bytes of request bodies begun in a second.
    pub bytes_per_second: Option<NonZeroU64>,
}

/// Which rule finds how much may be in flight.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Concurrency {
    /// As much as `in-flight` and `max_calls` say.
    Fixed,
    /// Additive increase, multiplicative decrease, in events (Flink: `CongestionControlRateLimitingStrategy`).
    Aimd(AimdSettings),
    /// From the latency of answers, in calls.
    Adaptive,
}

impl Default for Concurrency {
    fn default() -> Self {
        Self::Aimd(AimdSettings::default())
    }
}

/// Flink: `AIMDScalingStrategy`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AimdSettings {
    /// Events in flight at first, at least 1 (Flink: initialMaxInFlightMessages); `None` is one batch.
    pub initial: Option<usize>,
    /// Events more after a call of which nothing is tried again (Flink: increaseRate).
    pub increase: usize,
    /// What remains after a throttled call, above 0 and below 1 (Flink: decreaseFactor).
    pub decrease: f64,
    /// Whether the limit doubles in each round trip until a call is throttled for the first time.
    pub slow_start: bool,
}

impl Default for AimdSettings {
    fn default() -> Self {
        Self {
            initial: None,
            increase: 10,
            decrease: 0.5,
            slow_start: true,
        }
    }
}
