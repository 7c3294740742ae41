//! Every metric name, label and help text, in one place, and the counters behind them.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use hdrhistogram::Histogram;

/// What a metric counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
}

/// A number that many tasks change.
#[derive(Debug, Default)]
pub struct Number(AtomicU64);

impl Number {
    /// Adds `by`.
    pub fn add(&self, by: usize) {
        self.0.fetch_add(by as u64, Relaxed);
    }

    /// Takes `by` from a gauge.
    pub fn sub(&self, by: usize) {
        self.0.fetch_sub(by as u64, Relaxed);
    }

    /// Sets a gauge.
    pub fn set(&self, to: usize) {
        self.0.store(to as u64, Relaxed);
    }

    /// The value now.
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

macro_rules! metrics {
    (
        $(#[$doc:meta])* $stats:ident { $extra:ident: $Extra:ty }, $(#[$list_doc:meta])* $list:ident:
        $($(#[doc = $help:literal])+ $field:ident: $kind:ident = $name:literal,)+
    ) => {
        $(#[$doc])*
        #[derive(Debug, Default)]
        pub struct $stats {
            $($(#[doc = $help])+ pub $field: Number,)+
            $extra: $Extra,
        }

        $(#[$list_doc])*
        pub const $list: &[(&str, Kind, &str)] =
            &[$(($name, Kind::$kind, concat!($($help),+)),)+];
    };
}

metrics! {
    /// The numbers of one sink; exported with the label `sink`.
    SinkStats { latency: Mutex<Latency> },
    /// Name, kind and help of every sink metric.
    SINK_METRICS:

    /// Events taken in from ingresses.
    read: Counter = "nozzle_sink_events_read_total",
    /// Events whose call was judged delivered.
    delivered: Counter = "nozzle_sink_events_delivered_total",
    /// Events that were dropped on purpose, by the plugin or by `on-plugin-error: drop`.
    dropped: Counter = "nozzle_sink_events_dropped_total",
    /// Events whose dead letter is durable.
    dead_lettered: Counter = "nozzle_sink_events_dead_lettered_total",
    /// Events tried again, counted once for each further attempt.
    retried: Counter = "nozzle_sink_events_retried_total",
    /// Events of failed attempts that were not counted against them, as the endpoint was out.
    held: Counter = "nozzle_sink_events_held_total",
    /// Results that the egress has accepted.
    results: Counter = "nozzle_sink_results_total",
    /// HTTP attempts that ended, with or without a response.
    calls: Counter = "nozzle_sink_calls_total",
    /// HTTP attempts that ended without a complete response.
    unanswered: Counter = "nozzle_sink_calls_unanswered_total",
    /// HTTP attempts that were answered with 429.
    throttled: Counter = "nozzle_sink_calls_throttled_total",
    /// Calls of the plugin that failed, or whose answer broke the contract.
    plugin_failures: Counter = "nozzle_sink_plugin_failures_total",
    /// Events held between intake and settlement.
    buffered: Gauge = "nozzle_sink_buffered_events",
    /// Bytes held between intake and settlement.
    buffered_bytes: Gauge = "nozzle_sink_buffered_bytes",
    /// Bytes of response bodies that are being judged; they count against the buffer.
    response_bytes: Gauge = "nozzle_sink_response_bytes",
    /// HTTP attempts in flight.
    in_flight: Gauge = "nozzle_sink_calls_in_flight",
    /// 1 while the endpoint is down and calls go only as probes.
    down: Gauge = "nozzle_sink_endpoint_down",
}

metrics! {
    /// The numbers of one ingress; exported with the label `ingress`.
    IngressStats { lags: Mutex<BTreeMap<Box<str>, u64>> },
    /// Name, kind and help of every ingress metric; `nozzle_ingress_lag_seconds`, by shard, is beside them.
    INGRESS_METRICS:

    /// Events read.
    events: Counter = "nozzle_ingress_events_total",
    /// Bytes read: data and keys.
    bytes: Counter = "nozzle_ingress_bytes_total",
    /// Calls for records, or subscriptions.
    reads: Counter = "nozzle_ingress_reads_total",
    /// Calls that the service refused, as its quota was spent.
    throttled: Counter = "nozzle_ingress_throttled_total",
    /// Calls that failed for another reason, and were made again.
    failed_reads: Counter = "nozzle_ingress_failed_reads_total",
    /// Times that the stream was found to have new shards.
    reshards: Counter = "nozzle_ingress_reshards_total",
    /// Ranges of records that the stream gave up before they were read.
    losses: Counter = "nozzle_ingress_lost_ranges_total",
    /// Events that no router took, wherever they went then.
    unrouted: Counter = "nozzle_ingress_unrouted_total",
    /// Dead letters that a replay left out, as its filters say.
    left_out: Counter = "nozzle_ingress_left_out_total",
    /// Lines that are no dead letters.
    unreadable: Counter = "nozzle_ingress_unreadable_lines_total",
    /// Shards that are being read.
    shards: Gauge = "nozzle_ingress_shards",
}

impl IngressStats {
    /// How far a shard's reader is behind its tip, in milliseconds (Kinesis: `MillisBehindLatest`).
    pub fn lag(&self, shard: &str, behind_ms: u64) {
        let mut lags = self.lags.lock().unwrap_or_else(PoisonError::into_inner);
        match lags.get_mut(shard) {
            Some(lag) => *lag = behind_ms,
            None => {
                lags.insert(shard.into(), behind_ms);
            }
        }
    }

    /// A shard has ended.
    pub fn forget_lag(&self, shard: &str) {
        let mut lags = self.lags.lock().unwrap_or_else(PoisonError::into_inner);
        lags.remove(shard);
    }

    /// How far each shard's reader is behind, in milliseconds, by shard.
    pub fn lags(&self) -> Vec<(Box<str>, u64)> {
        let lags = self.lags.lock().unwrap_or_else(PoisonError::into_inner);
        lags.iter()
            .map(|(shard, lag)| (shard.clone(), *lag))
            .collect()
    }
}

#[derive(Debug)]
struct Latency(Histogram<u64>);

impl Default for Latency {
    fn default() -> Self {
        // Three digits up to an hour of microseconds: about 100 KiB, made once for a sink.
        Self(Histogram::new_with_max(3_600_000_000, 3).expect("the bounds are valid"))
    }
}

impl SinkStats {
    /// Records how long an attempt took.
    pub fn latency(&self, elapsed: std::time::Duration) {
        let micros = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX);
        self.latency
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .0
            .saturating_record(micros);
    }

    /// The latency of attempts at `quantile` (0 to 1).
    pub fn latency_at(&self, quantile: f64) -> std::time::Duration {
        let latency = self.latency.lock().unwrap_or_else(PoisonError::into_inner);
        std::time::Duration::from_micros(latency.0.value_at_quantile(quantile))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_prometheus_conventions_and_are_unique() {
        for (metrics, prefix) in [
            (SINK_METRICS, "nozzle_sink_"),
            (INGRESS_METRICS, "nozzle_ingress_"),
        ] {
            let mut names: Vec<_> = metrics.iter().map(|(name, ..)| *name).collect();
            for (name, kind, help) in metrics {
                assert!(name.starts_with(prefix), "{name}");
                assert_eq!(name.ends_with("_total"), *kind == Kind::Counter, "{name}");
                assert!(help.trim().ends_with('.'), "{name}: {help}");
            }
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), metrics.len());
        }
    }
}
