//! `/status`: what runs and what it counts, as JSON. `nozzle top` reads it.
//!
//! Fields may be added in a version; one that is taken away or changes its meaning makes a new version.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{EgressView, IngressView, SinkView, Views};
use crate::{
    delivery::control::Mode,
    event::{now_ms, rfc3339},
    metrics::SinkStats,
};

/// The version of the format.
pub const VERSION: u32 = 1;

/// A host and what runs in it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Status {
    /// [`VERSION`].
    pub version: u32,
    /// The version of the host.
    pub nozzle: String,
    /// RFC 3339, in UTC.
    pub started: String,
    /// When the numbers were read: RFC 3339, in UTC.
    pub now: String,
    /// What the host does.
    pub state: State,
    /// Why it is not ready; empty if it is.
    pub not_ready: Vec<String>,
    /// In the order of the module.
    pub ingresses: Vec<IngressStatus>,
    /// In the order of the module.
    pub sinks: Vec<SinkStatus>,
    /// Those of the module, then the files of dead letters that it does not name.
    pub egresses: Vec<EgressStatus>,
}

/// What a host does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Its parts are being opened.
    Starting,
    /// It reads and delivers.
    Running,
    /// It delivers what it has, then ends.
    Draining,
}

/// An ingress.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the fields are the metrics of the same names")]
pub struct IngressStatus {
    pub id: String,
    pub events: u64,
    pub bytes: u64,
    pub taken: u64,
    pub settled: u64,
    pub unsettled: u64,
    pub reads: u64,
    pub throttled: u64,
    pub failed_reads: u64,
    pub reshards: u64,
    pub losses: u64,
    #[serde(default)]
    pub unrouted: u64,
    pub shards: u64,
    /// By shard.
    pub lag_ms: Vec<(String, u64)>,
    /// RFC 3339, in UTC.
    pub watermark: Option<String>,
    /// The age of the oldest event that is not settled.
    pub oldest_unsettled_ms: Option<u64>,
}

/// A sink.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the fields are the metrics of the same names")]
pub struct SinkStatus {
    pub id: String,
    #[serde(default)]
    pub mode: SinkMode,
    pub read: u64,
    pub delivered: u64,
    pub dropped: u64,
    pub dead_lettered: u64,
    pub retried: u64,
    pub held: u64,
    pub results: u64,
    pub calls: u64,
    pub unanswered: u64,
    pub plugin_failures: u64,
    pub buffered: u64,
    pub buffered_bytes: u64,
    pub in_flight: u64,
    pub delayed: u64,
    /// Of several, whether one of them is.
    pub endpoint_down: bool,
    /// Where the sink has several.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub endpoints: Vec<EndpointStatus>,
    /// Absent in what a host of an earlier version says.
    #[serde(default)]
    pub plugin_failing: bool,
    pub halted: bool,
    pub p50_us: u64,
    pub p99_us: u64,
}

/// One of several endpoints of a sink.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the fields are the metrics of the same names")]
pub struct EndpointStatus {
    pub name: String,
    pub calls: u64,
    pub failures: u64,
    pub down: bool,
}

/// What a sink does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SinkMode {
    /// It takes in events and delivers them.
    #[default]
    Running,
    /// It makes no new call until somebody lets it go on.
    Paused,
    /// It delivers what it has, and takes in no more.
    Draining,
    /// The same, and it has delivered all.
    Drained,
    /// It stopped with events unsettled; the host is about to stop.
    Halted,
    /// Every event that came has its end, and no more will come.
    Ended,
}

/// An egress.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the fields are the metrics of the same names")]
pub struct EgressStatus {
    pub id: String,
    pub records: u64,
    pub bytes: u64,
    pub writes: u64,
    pub failed_writes: u64,
    pub failing: bool,
}

impl Status {
    pub(super) fn of(
        started_ms: u64,
        views: Option<&Views>,
        state: State,
        not_ready: Vec<String>,
    ) -> Self {
        let now = now_ms();
        let (ingresses, sinks, egresses) = match views {
            None => Default::default(),
            Some(views) => (
                views
                    .ingresses
                    .iter()
                    .map(|view| IngressStatus::of(view, now))
                    .collect(),
                views.sinks.iter().map(SinkStatus::of).collect(),
                views.egresses.iter().map(EgressStatus::of).collect(),
            ),
        };
        Self {
            version: VERSION,
            nozzle: env!("CARGO_PKG_VERSION").to_owned(),
            started: rfc3339(started_ms),
            now: rfc3339(now),
            state,
            not_ready,
            ingresses,
            sinks,
            egresses,
        }
    }
}

impl IngressStatus {
    pub(super) fn of(view: &IngressView, now: u64) -> Self {
        let stats = view.stats();
        let lags = stats.lags().into_iter();
        Self {
            id: view.id.to_string(),
            events: stats.events.get(),
            bytes: stats.bytes.get(),
            taken: stats.taken.get(),
            settled: stats.settled.get(),
            unsettled: stats.unsettled.get(),
            reads: stats.reads.get(),
            throttled: stats.throttled.get(),
            failed_reads: stats.failed_reads.get(),
            reshards: stats.reshards.get(),
            losses: stats.losses.get(),
            unrouted: stats.unrouted.get(),
            shards: stats.shards.get(),
            lag_ms: lags.map(|(shard, lag)| (shard.into(), lag)).collect(),
            watermark: stats.watermark.get().map(rfc3339),
            oldest_unsettled_ms: stats.oldest.get().map(|oldest| now.saturating_sub(oldest)),
        }
    }
}

impl SinkMode {
    pub(super) fn of(view: &SinkView) -> Self {
        match view.control.mode() {
            _ if view.stats.halted.get() > 0 => Self::Halted,
            _ if view.control.has_ended() => Self::Ended,
            Mode::Run => Self::Running,
            Mode::Pause => Self::Paused,
            Mode::Drain if view.stats.buffered.get() == 0 => Self::Drained,
            Mode::Drain => Self::Draining,
        }
    }
}

impl fmt::Display for SinkMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Draining => "draining",
            Self::Drained => "drained",
            Self::Halted => "halted",
            Self::Ended => "ended",
        })
    }
}

impl SinkStatus {
    pub(super) fn of(view: &SinkView) -> Self {
        let stats = &view.stats;
        let micros =
            |duration: std::time::Duration| u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        Self {
            id: view.id.to_string(),
            mode: SinkMode::of(view),
            read: stats.read.get(),
            delivered: stats.delivered.get(),
            dropped: stats.dropped.get(),
            dead_lettered: stats.dead_lettered.get(),
            retried: stats.retried.get(),
            held: stats.held.get(),
            results: stats.results.get(),
            calls: stats.calls.get(),
            unanswered: stats.unanswered.get(),
            plugin_failures: stats.plugin_failures.get(),
            buffered: stats.buffered.get(),
            buffered_bytes: stats.buffered_bytes.get(),
            in_flight: stats.in_flight.get(),
            delayed: stats.delayed.get(),
            endpoint_down: stats.down.get() > 0,
            endpoints: EndpointStatus::all(stats),
            plugin_failing: stats.plugin_failing.get() > 0,
            halted: stats.halted.get() > 0,
            p50_us: micros(stats.latency_at(0.5)),
            p99_us: micros(stats.latency_at(0.99)),
        }
    }

    /// Events that have their end.
    pub fn ended(&self) -> u64 {
        self.delivered + self.dropped + self.dead_lettered
    }
}

impl EndpointStatus {
    fn all(stats: &SinkStats) -> Vec<Self> {
        let calls = stats.endpoint_calls.all();
        let failures = stats.endpoint_failures.all();
        let down = stats.endpoints_down.all();
        calls
            .zip(failures)
            .zip(down)
            .map(|(((name, calls), (_, failures)), (_, down))| Self {
                name: name.to_string(),
                calls,
                failures,
                down: down > 0,
            })
            .collect()
    }
}

impl EgressStatus {
    fn of(view: &EgressView) -> Self {
        let stats = &view.stats;
        Self {
            id: view.id.to_string(),
            records: stats.records.get(),
            bytes: stats.bytes.get(),
            writes: stats.writes.get(),
            failed_writes: stats.failed_writes.get(),
            failing: stats.failing.get() > 0,
        }
    }
}
