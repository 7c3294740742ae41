//! What a run came to.

use std::{sync::Arc, time::Duration};

use crate::{
    admin::{IngressView, SinkView},
    delivery::Source,
    ingress::IngressError,
    metrics::IngressStats,
    progress::store::StoreError,
};

/// What a run came to.
#[derive(Debug)]
pub struct Summary {
    /// Events that no router took, by ingress: those that have any.
    pub unrouted: Vec<(Arc<str>, u64)>,
    /// Whether a signal has ended it, perhaps before its sources.
    pub stopped: bool,
    /// What was read of dead letters; nothing but in a replay.
    pub replayed: Replayed,
    /// In the order of the module, then those that reloads have removed.
    pub sinks: Vec<SinkSummary>,
    /// Events read that some sink has not settled.
    pub unsettled: usize,
    /// What went wrong, if anything.
    pub failures: Failures,
}

/// What went wrong in a run.
#[derive(Debug, Default)]
pub struct Failures {
    /// Why a source ended early.
    pub source: Option<IngressError>,
    /// Why progress can be stored no more.
    pub store: Option<StoreError>,
    /// Sinks that halted, and why.
    pub halted: Vec<(Arc<str>, String)>,
    /// What else stopped the host: a reload that could not be completed, an internal task.
    pub broken: Vec<String>,
}

/// What a replay has read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Replayed {
    /// Dead letters that were given to the sink.
    pub sent: u64,
    /// Those that the filters left out.
    pub left_out: u64,
    /// Lines that are no dead letters.
    pub unreadable: u64,
}

/// What one sink came to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are the metrics of the same names")]
pub struct SinkSummary {
    pub id: Arc<str>,
    pub read: u64,
    pub delivered: u64,
    pub dropped: u64,
    pub dead_lettered: u64,
    pub retried: u64,
    pub results: u64,
    pub calls: u64,
    pub p50: Duration,
    pub p99: Duration,
}

impl Replayed {
    fn of(ingresses: &[IngressView]) -> Self {
        let sum = |number: fn(&IngressStats) -> u64| -> u64 {
            ingresses
                .iter()
                .map(|ingress| number(&ingress.counted))
                .sum()
        };
        Self {
            sent: sum(|stats| stats.events.get()),
            left_out: sum(|stats| stats.left_out.get()),
            unreadable: sum(|stats| stats.unreadable.get()),
        }
    }
}

impl SinkSummary {
    /// The numbers of a sink as they are now.
    pub fn of(sink: &SinkView) -> Self {
        let stats = &sink.stats;
        Self {
            id: Arc::clone(&sink.id),
            read: stats.read.get(),
            delivered: stats.delivered.get(),
            dropped: stats.dropped.get(),
            dead_lettered: stats.dead_lettered.get(),
            retried: stats.retried.get(),
            results: stats.results.get(),
            calls: stats.calls.get(),
            p50: stats.latency_at(0.5),
            p99: stats.latency_at(0.99),
        }
    }

    /// These numbers and those of a sink of the same id that came after it.
    #[must_use]
    pub(super) fn and(self, later: Self) -> Self {
        Self {
            id: later.id,
            read: self.read + later.read,
            delivered: self.delivered + later.delivered,
            dropped: self.dropped + later.dropped,
            dead_lettered: self.dead_lettered + later.dead_lettered,
            retried: self.retried + later.retried,
            results: self.results + later.results,
            calls: self.calls + later.calls,
            // They cannot be added up.
            p50: later.p50,
            p99: later.p99,
        }
    }

    /// Events that have their end: equal to `read` when nothing is left.
    pub fn ended(&self) -> u64 {
        self.delivered + self.dropped + self.dead_lettered
    }
}

impl Summary {
    pub(super) fn new(
        ingresses: &[IngressView],
        sinks: &[SinkView],
        gone: Vec<SinkSummary>,
        sources: &[Source],
        failures: Failures,
        stopped: bool,
    ) -> Self {
        let unrouted = ingresses.iter().map(|ingress| {
            let count = ingress.counted.unrouted.get();
            (Arc::clone(&ingress.id), count)
        });
        Self {
            stopped,
            replayed: Replayed::of(ingresses),
            unrouted: unrouted.filter(|(_, count)| *count > 0).collect(),
            sinks: sinks.iter().map(SinkSummary::of).chain(gone).collect(),
            unsettled: sources.iter().map(|source| source.ledger.unsettled()).sum(),
            failures,
        }
    }
}
