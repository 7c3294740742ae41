//! Every metric name, label and help text, in one place, and the counters behind them.
//!
//! A metric is one line of a table below: its help, its field, its kind and its name. The exporter, the reference
//! (`docs/metrics.md`) and the tests are made of these tables.

mod labels;
mod reference;
mod text;
mod values;

pub use labels::{
    Age, AttemptTime, FetchResult, PluginFailure, PluginTime, ReloadResult, StatusClass, SwapResult,
};
pub use reference::reference;
pub use text::{Exposition, Format};
pub use values::{
    Bounds, Buckets, BuildInfo, ByEndpoint, Each, Label, Lags, Number, Sampled, Spent, Time,
};

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use hdrhistogram::Histogram as Precise;

use self::values::Labelled;

/// What a metric counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts by size.
    Histogram,
}

/// One line of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metric {
    /// By the conventions of Prometheus: the unit, then `_total` for a counter.
    pub name: &'static str,
    /// What it counts.
    pub kind: Kind,
    /// The label that names what the table is of; empty for the host itself.
    pub of: &'static str,
    /// Further labels.
    pub labels: &'static [&'static str],
    /// What it says, in one sentence.
    pub help: &'static str,
}

/// A table with its values.
pub trait Stats {
    /// Its lines.
    const METRICS: &'static [Metric];

    /// A value for each line, in the same order.
    fn values(&self) -> Vec<&dyn Sampled>;
}

/// The kinds of the tables, and what is behind each.
type Counter<V = Number> = V;
type Gauge<V = Number> = V;
type Histogram<B> = Buckets<B>;

macro_rules! metrics {
    (
        $(#[$doc:meta])* $stats:ident by $of:literal $({ $($extra:ident: $Extra:ty),+ })?
        $($(#[doc = $help:literal])+ $field:ident: $kind:ident $(<$of_kind:ty>)? = $name:literal,)+
    ) => {
        $(#[$doc])*
        #[derive(Debug, Default)]
        pub struct $stats {
            $($(#[doc = $help])+ pub $field: $kind $(<$of_kind>)?,)+
            $($($extra: $Extra,)+)?
        }

        impl Stats for $stats {
            const METRICS: &'static [Metric] = &[$(Metric {
                name: $name,
                kind: Kind::$kind,
                of: $of,
                labels: <$kind $(<$of_kind>)? as Labelled>::LABELS,
                help: concat!($($help),+),
            },)+];

            fn values(&self) -> Vec<&dyn Sampled> {
                vec![$(&self.$field,)+]
            }
        }
    };
}

metrics! {
    /// The numbers of the host itself.
    HostStats by ""
    /// 1, with the version of the host.
    build: Gauge<BuildInfo> = "nozzle_build_info",
    /// When the host was started, since the Unix epoch.
    started: Gauge<Time> = "nozzle_start_time_seconds",
    /// 1 while `/ready` says so: all is open, no sink has halted, no plugin fails on everything, and the host is not stopping.
    ready: Gauge = "nozzle_ready",
    /// Times that the module file was read again, by what became of it.
    reloads: Counter<Each<ReloadResult>> = "nozzle_module_reloads_total",
}

metrics! {
    /// The numbers of one sink.
    SinkStats by "sink" { latency: Mutex<Latency> }
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
    /// Events of failed attempts that were not counted against them, as the endpoint was out, or had asked for fewer calls (429).
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
    /// 1 while the plugin fails on everything: the sink is paused, and its events are held.
    plugin_failing: Gauge = "nozzle_sink_plugin_failing",
    /// Events held between intake and settlement.
    buffered: Gauge = "nozzle_sink_buffered_events",
    /// Bytes held between intake and settlement.
    buffered_bytes: Gauge = "nozzle_sink_buffered_bytes",
    /// Bytes of response bodies that are being judged; they count against the buffer.
    response_bytes: Gauge = "nozzle_sink_response_bytes",
    /// HTTP attempts in flight.
    in_flight: Gauge = "nozzle_sink_calls_in_flight",
    /// 1 while the endpoint is down and calls go only as probes; of several endpoints, how many are down.
    down: Gauge = "nozzle_sink_endpoint_down",
    /// What the endpoint's concurrency rule lets be in flight, over all its sinks: events (`aimd`) or calls (`adaptive`); 0 if
    /// it is fixed, or the sink has several endpoints.
    concurrency_limit: Gauge = "nozzle_sink_concurrency_limit",
    /// Complete responses, by the class of their status.
    responses: Counter<Each<StatusClass>> = "nozzle_sink_responses_total",
    /// How long HTTP attempts took, from the request to the complete response or the failure.
    attempt_time: Histogram<AttemptTime> = "nozzle_sink_attempt_seconds",
    /// The age of events when they were settled, since they entered their ingress.
    settled_age: Histogram<Age> = "nozzle_sink_settled_age_seconds",
    /// Bytes of request bodies, once for each attempt.
    request_bytes: Counter = "nozzle_sink_request_bytes_total",
    /// Batches that were given to the plugin, halves and those that are shaped again among them.
    batches: Counter = "nozzle_sink_batches_total",
    /// Calls, and batches to shape again, that wait for the time of their next attempt.
    delayed: Gauge = "nozzle_sink_delayed_calls",
    /// HTTP attempts that ended, by the endpoint, of a sink that has several.
    endpoint_calls: Counter<ByEndpoint> = "nozzle_sink_each_endpoint_calls_total",
    /// Those of them that were the endpoint's failure: no complete response, 429, 502, 503 or 504.
    endpoint_failures: Counter<ByEndpoint> = "nozzle_sink_each_endpoint_failures_total",
    /// 1 while an endpoint is down, of a sink that has several.
    endpoints_down: Gauge<ByEndpoint> = "nozzle_sink_each_endpoint_down",
    /// What the concurrency rule of an endpoint lets be in flight, as `nozzle_sink_concurrency_limit`, of a sink that has several.
    endpoint_limits: Gauge<ByEndpoint> = "nozzle_sink_each_endpoint_concurrency_limit",
    /// 1 while the sink is paused by the admin API: it makes no new call.
    paused: Gauge = "nozzle_sink_paused",
    /// 1 while the sink was told to drain: it delivers what it has, and takes in no more.
    draining: Gauge = "nozzle_sink_draining",
    /// 1 when the sink has halted: it delivers no more, and the host stops.
    halted: Gauge = "nozzle_sink_halted",
}

metrics! {
    /// The numbers of one ingress.
    IngressStats by "ingress"
    /// Events read and handed on.
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
    /// How far the reader of a shard is behind its tip.
    lags: Gauge<Lags> = "nozzle_ingress_lag_seconds",
    /// Events that were handed to sinks, or that no router took.
    taken: Counter = "nozzle_ingress_events_taken_total",
    /// Events before which everything of their partition is settled too: what a restart does not read again, once it is stored.
    settled: Counter = "nozzle_ingress_events_settled_total",
    /// Events that were handed to sinks and are not settled by all of them.
    unsettled: Gauge = "nozzle_ingress_unsettled_events",
    /// The watermark: every event that was read and is older is settled. When nothing is open, the newest settled event.
    watermark: Gauge<Time> = "nozzle_ingress_settled_watermark_timestamp_seconds",
    /// When the oldest event that is not settled entered the ingress; absent while there is none.
    oldest: Gauge<Time> = "nozzle_ingress_oldest_unsettled_timestamp_seconds",
}

metrics! {
    /// The numbers of one egress.
    EgressStats by "egress"
    /// Records that were written and are durable.
    records: Counter = "nozzle_egress_records_total",
    /// Bytes of data of these records.
    bytes: Counter = "nozzle_egress_bytes_total",
    /// Writes that succeeded, of any number of records each.
    writes: Counter = "nozzle_egress_writes_total",
    /// Writes that failed, and were made again.
    failed_writes: Counter = "nozzle_egress_failed_writes_total",
    /// How long writes took that succeeded.
    write_time: Histogram<AttemptTime> = "nozzle_egress_write_seconds",
    /// 1 while writes fail: what waits for them is held.
    failing: Gauge = "nozzle_egress_failing",
}

metrics! {
    /// The numbers of one sink's plugin.
    PluginStats by "sink"
    /// How long calls of `shape` took in an instance, those that failed too.
    shape_time: Histogram<PluginTime> = "nozzle_plugin_shape_seconds",
    /// How long calls of `handle` took in an instance, those that failed too.
    handle_time: Histogram<PluginTime> = "nozzle_plugin_handle_seconds",
    /// Calls that ended without an answer, by cause; each costs an instance.
    failures: Counter<Each<PluginFailure>> = "nozzle_plugin_failures_total",
    /// Instances that were made.
    instances_made: Counter = "nozzle_plugin_instances_made_total",
    /// Instances that are there, in use or idle.
    instances: Gauge = "nozzle_plugin_instances",
    /// The version that serves, counted from 1 for each sink.
    generation: Gauge = "nozzle_plugin_generation",
    /// Versions whose code is in memory: one, and more while one is loaded or tried, or calls of an older one go on.
    versions: Gauge = "nozzle_plugin_versions",
    /// New versions, by what became of them.
    swaps: Counter<Each<SwapResult>> = "nozzle_plugin_swaps_total",
    /// Instances that were thrown away between two calls, after `limits.recycle-after` or as their memory had grown.
    recycled: Counter = "nozzle_plugin_instances_recycled_total",
    /// Time that guests have run, to 10 ms.
    cpu: Counter<Spent> = "nozzle_plugin_cpu_seconds_total",
    /// Calls that waited, as the plugin had taken its share of processors (`limits.cpu`).
    throttled: Counter = "nozzle_plugin_calls_throttled_total",
    /// Requests that the plugin made by `grants.http`, by what became of them.
    fetches: Counter<Each<FetchResult>> = "nozzle_plugin_fetches_total",
    /// How long these requests took, but for those that were denied.
    fetch_time: Histogram<AttemptTime> = "nozzle_plugin_fetch_seconds",
    /// Log lines that were left out, as there were too many.
    suppressed_lines: Counter = "nozzle_plugin_log_lines_suppressed_total",
}

metrics! {
    /// The numbers of the progress store.
    ProgressStats by ""
    /// 1 while progress cannot be stored: delivery goes on, and a restart would deliver again what came since.
    failing: Gauge = "nozzle_progress_failing",
}

metrics! {
    /// The numbers of the traces that are sent to a collector.
    TraceStats by ""
    /// Spans that the collector has accepted.
    exported: Counter = "nozzle_trace_spans_exported_total",
    /// Spans that were thrown away, as the queue was full or the collector did not take them.
    dropped: Counter = "nozzle_trace_spans_dropped_total",
    /// Requests to the collector that failed, those that were made again among them.
    failures: Counter = "nozzle_trace_export_failures_total",
}

metrics! {
    /// The numbers of the process, by the names that all who use Prometheus know. On Linux alone.
    ProcessStats by ""
    /// Time that the process has spent on processors.
    cpu: Counter<Spent> = "process_cpu_seconds_total",
    /// Memory that the process holds.
    memory: Gauge = "process_resident_memory_bytes",
    /// Files and connections that the process has open.
    open_files: Gauge = "process_open_fds",
    /// How many it may have open.
    max_files: Gauge = "process_max_fds",
}

impl IngressStats {
    /// How far a shard's reader is behind its tip, in milliseconds (Kinesis: `MillisBehindLatest`).
    pub fn lag(&self, shard: &str, behind_ms: u64) {
        self.lags.set(shard, behind_ms);
    }

    /// A shard has ended.
    pub fn forget_lag(&self, shard: &str) {
        self.lags.forget(shard);
    }

    /// How far each shard's reader is behind, in milliseconds, by shard.
    pub fn lags(&self) -> Vec<(Box<str>, u64)> {
        self.lags.all()
    }
}

/// To three digits, for people; Prometheus gets buckets.
#[derive(Debug)]
struct Latency(Precise<u64>);

impl Default for Latency {
    fn default() -> Self {
        // Three digits up to an hour of microseconds: about 100 KiB, made once for a sink.
        Self(Precise::new_with_max(3_600_000_000, 3).expect("the bounds are valid"))
    }
}

impl SinkStats {
    /// Says how the endpoints are called, where there are several.
    pub fn name_endpoints(&self, names: &[Arc<str>]) {
        for each in [
            &self.endpoint_calls,
            &self.endpoint_failures,
            &self.endpoints_down,
            &self.endpoint_limits,
        ] {
            each.name(names);
        }
    }

    /// Whether they are the numbers of a sink with these endpoints, or of none yet.
    pub fn has_endpoints(&self, names: &[&str]) -> bool {
        let mut known = self
            .endpoint_calls
            .all()
            .map(|(name, _)| &**name)
            .peekable();
        match known.peek() {
            None => names.len() <= 1,
            Some(_) => known.eq(names.iter().copied()),
        }
    }

    /// An attempt at the endpoint at this place has ended.
    pub fn endpoint_called(&self, place: usize, failed: bool) {
        if let Some(calls) = self.endpoint_calls.at(place) {
            calls.add(1);
        }
        if let Some(failures) = self.endpoint_failures.at(place).filter(|_| failed) {
            failures.add(1);
        }
    }

    /// How the endpoint at this place is.
    pub fn endpoint_is(&self, place: usize, down: bool, limit: Option<usize>) {
        if let Some(gauge) = self.endpoints_down.at(place) {
            gauge.set(usize::from(down));
        }
        if let Some(gauge) = self.endpoint_limits.at(place) {
            gauge.set(limit.unwrap_or(0));
        }
    }

    /// Records how long an attempt took.
    pub fn latency(&self, elapsed: Duration) {
        self.attempt_time.record(elapsed);
        let micros = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX);
        let mut latency = self.latency.lock().unwrap_or_else(PoisonError::into_inner);
        latency.0.saturating_record(micros);
    }

    /// The latency of attempts at `quantile` (0 to 1).
    pub fn latency_at(&self, quantile: f64) -> Duration {
        let latency = self.latency.lock().unwrap_or_else(PoisonError::into_inner);
        Duration::from_micros(latency.0.value_at_quantile(quantile))
    }
}

/// Every table, with the prefix that its names have.
pub const TABLES: [(&str, &[Metric]); 8] = [
    ("nozzle_", HostStats::METRICS),
    ("nozzle_ingress_", IngressStats::METRICS),
    ("nozzle_sink_", SinkStats::METRICS),
    ("nozzle_plugin_", PluginStats::METRICS),
    ("nozzle_egress_", EgressStats::METRICS),
    ("nozzle_progress_", ProgressStats::METRICS),
    ("nozzle_trace_", TraceStats::METRICS),
    ("process_", ProcessStats::METRICS),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_prometheus_conventions_and_are_unique() {
        let mut names = Vec::new();
        for (prefix, metrics) in TABLES {
            for Metric {
                name, kind, help, ..
            } in metrics
            {
                assert!(name.starts_with(prefix), "{name}");
                assert_eq!(name.ends_with("_total"), *kind == Kind::Counter, "{name}");
                let timed = name.ends_with("_seconds");
                assert!(timed || *kind != Kind::Histogram, "{name}");
                assert!(help.trim().ends_with('.'), "{name}: {help}");
                names.push(name);
            }
        }
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all);
    }
}
