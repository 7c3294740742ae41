//! What can be seen of a module that runs: its parts, and what they count.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::Records;
use crate::{
    delivery::control::Control,
    metrics::{EgressStats, IngressStats, PluginStats, ProgressStats, SinkStats, TraceStats},
    plugin::Swaps,
    progress::Ledger,
};

/// A module that runs, as a view of it sees it.
#[derive(Debug, Clone)]
pub struct Views {
    /// In the order of the module.
    pub ingresses: Vec<IngressView>,
    /// In the order of the module.
    pub sinks: Vec<SinkView>,
    /// Those of the module, then the files of dead letters that it does not name.
    pub egresses: Vec<EgressView>,
    /// What the progress store counts.
    pub progress: Arc<ProgressStats>,
    /// What the traces count; they may be off.
    pub traces: Arc<TraceStats>,
    /// Cancelled when nothing new is read any more.
    pub draining: CancellationToken,
}

impl Views {
    /// Whether nothing new is read, as the host is stopping.
    pub fn is_draining(&self) -> bool {
        self.draining.is_cancelled()
    }
}

/// A sink that runs, as a view of it sees it.
#[derive(Debug, Clone)]
pub struct SinkView {
    /// `namespace/name`.
    pub id: Arc<str>,
    /// What it counts.
    pub stats: Arc<SinkStats>,
    /// What its plugin counts.
    pub plugin: Arc<PluginStats>,
    /// Says what version of its plugin serves, and replaces it; none in the simulation.
    pub swaps: Option<Arc<dyn Swaps>>,
    /// Records what passes through it; none in the simulation.
    pub records: Option<Arc<dyn Records>>,
    /// Tells it what to do.
    pub control: Control,
}

/// An ingress that runs, as a view of it sees it.
#[derive(Debug, Clone)]
pub struct IngressView {
    /// `namespace/name`.
    pub id: Arc<str>,
    /// What it counts; what [`IngressView::stats`] adds is as old as its last call.
    pub counted: Arc<IngressStats>,
    /// How far it is settled.
    pub ledger: Arc<Ledger>,
}

impl IngressView {
    /// What it counts, with how far it is settled now.
    pub fn stats(&self) -> &IngressStats {
        let watermark = self.ledger.watermark();
        let stats = &*self.counted;
        let number = |number| usize::try_from(number).unwrap_or(usize::MAX);
        stats.settled.set(number(watermark.settled));
        stats.taken.set(number(watermark.taken));
        stats.unsettled.set(number(watermark.unsettled));
        stats.watermark.set(watermark.ms());
        stats.oldest.set(watermark.oldest_unsettled_ms);
        stats
    }
}

/// An egress that runs, as a view of it sees it.
#[derive(Debug, Clone)]
pub struct EgressView {
    /// `namespace/name`.
    pub id: Arc<str>,
    /// What it counts.
    pub stats: Arc<EgressStats>,
}
