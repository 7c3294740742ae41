//! The parts of a module that runs: what a start makes, and a reload changes.

use std::{collections::HashSet, path::PathBuf, sync::Arc};

use tokio::{
    sync::oneshot::{self, error::TryRecvError},
    task::AbortHandle,
};
use tokio_util::sync::CancellationToken;

use super::{
    endpoints::Opened,
    plugins::SinkPlugin,
    progress::{Shared, Stored},
    record::KnownSecrets,
};
use crate::{
    admin::{IngressView, SinkView},
    config::Module,
    delivery::{Rest, Source, Sources, WeakQueue},
    event::Arrival,
    ingress::AnyIngress,
    metrics::IngressStats,
    plugin::PluginHost,
    progress::AnyStore,
    trace::Tracer,
};

/// What a reload compares with, and builds on. It keeps nothing alive that ends when its users do.
#[derive(Debug)]
pub(super) struct Live {
    pub(super) module: Arc<Module>,
    pub(super) state_dir: PathBuf,
    pub(super) host: Arc<PluginHost>,
    pub(super) store: Shared<AnyStore>,
    pub(super) stored: Stored,
    /// Ingresses that the store knows to be this host's.
    pub(super) claimed: HashSet<String>,
    pub(super) tracer: Tracer,
    pub(super) sources: Sources,
    /// These three in the order of the module.
    pub(super) endpoints: Vec<Opened>,
    pub(super) sinks: Vec<LiveSink>,
    pub(super) ingresses: Vec<LiveIngress>,
    /// What recordings leave out.
    pub(super) secrets: KnownSecrets,
    /// Who writes the events that no router takes.
    pub(super) unrouted: Vec<LiveUnrouted>,
    /// Sinks that there are no more, which may have events without an end.
    pub(super) leaving: Vec<LeavingSink>,
}

/// A sink that there is no more.
#[derive(Debug)]
pub(super) struct LeavingSink {
    pub(super) view: SinkView,
    /// Waits until all of its events have their end.
    pub(super) task: AbortHandle,
}

/// A sink that runs.
#[derive(Debug)]
pub(super) struct LiveSink {
    pub(super) plugin: Arc<SinkPlugin>,
    /// Attends to the plugin.
    pub(super) attends: AbortHandle,
    pub(super) queue: WeakQueue,
    /// What it hands over, if it is told to; an error if it ended by itself.
    pub(super) rest: oneshot::Receiver<Rest>,
    pub(super) view: SinkView,
}

/// An ingress that is read.
#[derive(Debug)]
pub(super) struct LiveIngress {
    /// What its tickets name.
    pub(super) place: u16,
    pub(super) source: Source,
    pub(super) stop: CancellationToken,
    /// The ingress, when it is stopped; an error if it has come to its end.
    pub(super) back: oneshot::Receiver<AnyIngress>,
    pub(super) view: IngressView,
}

/// An ingress that can be read.
#[derive(Debug)]
pub(super) struct OpenIngress {
    pub(super) ingress: AnyIngress,
    pub(super) source: Source,
    pub(super) stats: Arc<IngressStats>,
}

/// Writes the events of an ingress that no router takes.
#[derive(Debug)]
pub(super) struct LiveUnrouted {
    pub(super) source: Source,
    /// The egress of the module that it writes to, by its id; none for a file of the state directory.
    pub(super) to: Option<String>,
    /// Cancelled when that egress goes.
    pub(super) let_go: CancellationToken,
    /// What it could not write, if its egress goes; an error if all was written.
    pub(super) rest: oneshot::Receiver<Vec<Arrival>>,
}

impl LiveUnrouted {
    /// Whether all is written.
    pub(super) fn has_ended(&mut self) -> bool {
        matches!(self.rest.try_recv(), Err(TryRecvError::Closed))
    }
}
