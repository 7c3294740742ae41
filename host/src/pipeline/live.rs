//! The parts of a module that runs, as they are wired together: what a start makes, and a reload changes.

use std::{collections::HashSet, path::PathBuf, sync::Arc};

use tokio::{
    sync::{mpsc, oneshot},
    task::{AbortHandle, JoinSet},
};
use tokio_util::sync::CancellationToken;

use super::{
    IngressTasks, SinkTasks, StartError,
    egresses::Writers,
    endpoints::{Opened, endpoints_of},
    letters::Letters,
    plugins::{self, SinkPlugin},
    progress::{Shared, Stored},
    pump::{Route, Unrouted, pump},
    record::{KnownSecrets, Recorder},
    unrouted,
};
use crate::{
    admin::{IngressView, SinkView},
    config::{Destination, IngressConfig, IngressKind, Module, OnUnrouted, SinkConfig},
    delivery::{self, Left, Rest, Sink, SinkEnd, Source, Sources, Way, control::Control, tap::Tap},
    egress::EgressHandle,
    event::Arrival,
    ingress::AnyIngress,
    metrics::{IngressStats, SinkStats},
    plugin::{PluginHost, Swaps},
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
    /// Sinks that there are no more, whose last events still have to be written somewhere.
    pub(super) removed: Vec<(String, AbortHandle)>,
}

/// A sink that runs.
#[derive(Debug)]
pub(super) struct LiveSink {
    pub(super) plugin: Arc<SinkPlugin>,
    /// Attends to the plugin.
    pub(super) attends: AbortHandle,
    pub(super) queue: mpsc::WeakSender<Vec<Arrival>>,
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

/// What sinks and ingresses are wired with.
pub(super) struct Wiring<'a> {
    pub(super) module: &'a Module,
    pub(super) state_dir: &'a std::path::Path,
    pub(super) tracer: &'a Tracer,
    pub(super) sources: &'a Sources,
    pub(super) endpoints: &'a [Opened],
    /// By the places of the module's.
    pub(super) egresses: &'a [EgressHandle],
    pub(super) queues: &'a [mpsc::Sender<Vec<Arrival>>],
    /// What recordings leave out.
    pub(super) secrets: &'a KnownSecrets,
    pub(super) writers: &'a mut Writers,
    pub(super) sink_tasks: &'a mut SinkTasks,
}

/// What a sink is started with, beside what the module says.
pub(super) struct Begin {
    pub(super) plugin: Arc<SinkPlugin>,
    pub(super) attends: AbortHandle,
    pub(super) dead_letters: EgressHandle,
    pub(super) rest: Rest,
    pub(super) control: Option<delivery::control::Mode>,
    /// Those of the incarnation before.
    pub(super) stats: Arc<SinkStats>,
}

impl Wiring<'_> {
    pub(super) async fn dead_letters(
        &mut self,
        sink: &SinkConfig,
    ) -> Result<EgressHandle, StartError> {
        let (sinks, queues) = (&self.module.sinks, self.queues);
        self.letters().of_sink(sink, sinks, queues).await
    }

    fn letters(&mut self) -> Letters<'_> {
        Letters {
            state_dir: self.state_dir,
            egresses: self.egresses,
            writers: self.writers,
            sources: self.sources,
        }
    }

    /// Starts a sink.
    pub(super) fn sink(
        &mut self,
        config: &SinkConfig,
        begin: Begin,
    ) -> Result<LiveSink, StartError> {
        let id: Arc<str> = config.id.to_string().into();
        let endpoints = endpoints_of(config, &self.module.endpoints)?;
        let way = |(place, (_, index)): (usize, &(_, usize))| {
            let way = &self.endpoints[*index];
            Way {
                transport: Arc::clone(&way.client),
                gate: way.gate.clone(),
                tracer: self.tracer.of_sink(&id, &way.label, endpoints.label(place)),
            }
        };
        let (control, controlled) = Control::new();
        let (tap, tapped) = Tap::new();
        let recorder = Recorder::new(config, tap, self.secrets.clone());
        if let Some(mode) = begin.control {
            control.tell(mode);
        }
        let sink = Sink {
            id: Arc::clone(&id),
            ways: config.endpoints.iter().enumerate().map(way).collect(),
            endpoints,
            shape_slots: config.plugin.limits.instances,
            settings: config.delivery.clone(),
            plugin: begin.plugin.slot(),
            results: config
                .results
                .and_then(|index| self.egresses.get(index).cloned()),
            dead_letters: begin.dead_letters,
            sources: self.sources.clone(),
            stats: Arc::clone(&begin.stats),
            tracer: self.tracer.of_sink(&id, "", None),
            control: controlled,
            tap: tapped,
        };
        let view = SinkView {
            id: Arc::clone(&id),
            stats: begin.stats,
            plugin: begin.plugin.stats(),
            swaps: Some(Arc::clone(&begin.plugin) as Arc<dyn Swaps>),
            records: Some(Arc::new(recorder)),
            control,
        };
        let (leave, rest) = oneshot::channel();
        self.sink_tasks.spawn(async move {
            let end = match delivery::run_on(sink, begin.rest).await {
                Left::Ended(end) => end,
                Left::HandedOver(rest) => {
                    // Nobody to take it: the host ends, and it is unsettled.
                    drop(leave.send(rest));
                    SinkEnd::Done
                }
            };
            (id, end)
        });
        let place = self
            .module
            .sinks
            .iter()
            .position(|sink| sink.id == config.id);
        let queue = place.and_then(|place| self.queues.get(place));
        let queue = queue.expect("each sink has a queue").downgrade();
        Ok(LiveSink {
            plugin: begin.plugin,
            attends: begin.attends,
            queue,
            rest,
            view,
        })
    }

    /// Starts to read an ingress; it stops with `intake`.
    pub(super) async fn ingress(
        &mut self,
        config: &IngressConfig,
        place: u16,
        open: OpenIngress,
        intake: &CancellationToken,
        tasks: &mut IngressTasks,
    ) -> Result<LiveIngress, StartError> {
        let OpenIngress {
            ingress,
            source,
            stats,
        } = open;
        let route = self.route(config, place, &source, &stats).await?;
        let stop = intake.child_token();
        let (give, back) = oneshot::channel();
        let pumping = pump(ingress, route, stop.clone());
        tasks.spawn(async move {
            if let Some(ingress) = pumping.await? {
                // Nobody to take it: the host ends.
                drop(give.send(ingress));
            }
            Ok(())
        });
        Ok(LiveIngress {
            place,
            view: IngressView {
                id: Arc::clone(&source.id),
                counted: stats,
                ledger: Arc::clone(&source.ledger),
            },
            source,
            stop,
            back,
        })
    }

    async fn route(
        &mut self,
        config: &IngressConfig,
        place: u16,
        source: &Source,
        stats: &Arc<IngressStats>,
    ) -> Result<Route, StartError> {
        let queues = config.to.iter().filter_map(|sink| self.queues.get(*sink));
        let mut sinks: Vec<_> = queues.cloned().collect();
        let unrouted = match config.on_unrouted {
            // Then there are none.
            _ if config.router.takes_all() => Unrouted::Drop,
            OnUnrouted::Drop => Unrouted::Drop,
            OnUnrouted::Halt => Unrouted::Halt,
            OnUnrouted::To(Destination::Sink(sink)) => {
                let named = config.to.iter().position(|other| *other == sink);
                Unrouted::To(named.unwrap_or_else(|| {
                    sinks.extend(self.queues.get(sink).cloned());
                    sinks.len() - 1
                }))
            }
            egress => {
                let handle = self.letters().of_unrouted(&source.id, egress).await?;
                let (queue, intake) = mpsc::channel(1);
                let ingress = source.clone();
                self.sink_tasks.spawn(async move {
                    let id = Arc::clone(&ingress.id);
                    (id, unrouted::run(ingress, handle, intake).await)
                });
                sinks.push(queue);
                Unrouted::To(sinks.len() - 1)
            }
        };
        Ok(Route {
            ingress: place,
            ledger: Arc::clone(&source.ledger),
            // A stream counts itself, as it reads ahead; so do dead letters, as not all are sent.
            counts: matches!(config.kind, IngressKind::Datagen(_) | IngressKind::File(_)),
            capacity: self.module.capacity(config).unwrap_or(1),
            sinks,
            router: config.router.clone(),
            unrouted,
            stats: Arc::clone(stats),
        })
    }
}

/// Starts to attend to a plugin.
pub(super) fn attend(
    plugin: &Arc<SinkPlugin>,
    tasks: &mut JoinSet<std::io::Result<()>>,
) -> AbortHandle {
    tasks.spawn(plugins::attend(Arc::clone(plugin)))
}
