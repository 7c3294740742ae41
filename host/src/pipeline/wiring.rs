//! How the parts of a module are wired together, when it is started and when it is reloaded.

use std::{path::Path, sync::Arc};

use tokio::{
    sync::oneshot,
    task::{AbortHandle, JoinSet},
};
use tokio_util::sync::CancellationToken;

use super::{
    IngressTasks, SinkTasks, StartError,
    egresses::{Waits, Writers},
    endpoints::{Opened, endpoints_of},
    letters::Letters,
    live::{LiveIngress, LiveSink, LiveUnrouted, OpenIngress},
    plugins::{self, SinkPlugin},
    pump::{Route, Unrouted, pump},
    record::{KnownSecrets, Recorder},
    unrouted,
};
use crate::{
    admin::{IngressView, SinkView},
    config::{Destination, IngressConfig, IngressKind, Module, OnUnrouted, SinkConfig},
    delivery::{
        self, Feeder, Left, Queue, Rest, Sink, SinkEnd, Source, Sources, Way,
        control::{Control, Mode},
        tap::Tap,
    },
    egress::EgressHandle,
    event::Arrival,
    metrics::{IngressStats, SinkStats},
    plugin::Swaps,
    trace::Tracer,
};

/// What sinks and ingresses are wired with.
pub(super) struct Wiring<'a> {
    pub(super) module: &'a Module,
    pub(super) state_dir: &'a Path,
    pub(super) tracer: &'a Tracer,
    pub(super) sources: &'a Sources,
    pub(super) endpoints: &'a [Opened],
    /// By the places of the module's.
    pub(super) egresses: &'a [EgressHandle],
    pub(super) queues: &'a [Queue],
    /// What recordings leave out.
    pub(super) secrets: &'a KnownSecrets,
    pub(super) writers: &'a mut Writers,
    pub(super) waits: &'a Waits,
    pub(super) sink_tasks: &'a mut SinkTasks,
    pub(super) ingress_tasks: &'a mut IngressTasks,
    pub(super) unrouted: &'a mut Vec<LiveUnrouted>,
    /// Stops what is read.
    pub(super) intake: &'a CancellationToken,
    /// Cancelled when one of the tasks has failed: the host is to end.
    pub(super) failed: &'a CancellationToken,
}

/// What a sink is started with, beside what the module says.
pub(super) struct Begin {
    pub(super) plugin: Arc<SinkPlugin>,
    pub(super) attends: AbortHandle,
    pub(super) dead_letters: EgressHandle,
    pub(super) rest: Rest,
    /// That of the incarnation before.
    pub(super) control: Option<Control>,
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

    pub(super) fn letters(&mut self) -> Letters<'_> {
        Letters {
            state_dir: self.state_dir,
            egresses: self.egresses,
            writers: self.writers,
            sources: self.sources,
            waits: self.waits,
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
        let (tap, tapped) = Tap::new();
        let recorder = Recorder::new(config, tap, self.secrets.clone());
        let mut rest = begin.rest;
        let (control, controlled) = match (begin.control, rest.control.take()) {
            // Whoever tells it something does not notice that it is another one.
            (Some(control), Some(controlled)) => {
                control.stay();
                (control, controlled)
            }
            (before, _) => {
                let (control, controlled) = Control::new();
                let mode = before.map(|before| before.mode());
                if let Some(mode) = mode.filter(|mode| *mode != Mode::Run) {
                    control.tell(mode);
                }
                (control, controlled)
            }
        };
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
        let (leave, left) = oneshot::channel();
        let failed = self.failed.clone();
        self.sink_tasks.spawn(async move {
            let end = async {
                match delivery::run_on(sink, rest).await {
                    Left::Ended(end) => end,
                    Left::HandedOver(rest) => {
                        // Nobody to take it: the host ends, and it is unsettled.
                        drop(leave.send(rest));
                        SinkEnd::Done
                    }
                }
            };
            (id, told(failed, end).await)
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
            rest: left,
            view,
        })
    }

    /// Starts to read an ingress; `place` is what its tickets name.
    pub(super) async fn ingress(
        &mut self,
        config: &IngressConfig,
        place: u16,
        open: OpenIngress,
    ) -> Result<LiveIngress, StartError> {
        let OpenIngress {
            ingress,
            source,
            stats,
        } = open;
        let route = self.route(config, place, &source, &stats).await?;
        let stop = self.intake.child_token();
        let (give, back) = oneshot::channel();
        let pumping = pump(ingress, route, stop.clone());
        let failed = self.failed.clone();
        self.ingress_tasks.spawn(async move {
            let failed = failed.drop_guard();
            if let Some(ingress) = pumping.await? {
                // Nobody to take it: the host ends.
                drop(give.send(ingress));
            }
            failed.disarm();
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
        let mut sinks: Vec<Feeder> = queues.map(Queue::feeder).collect();
        let unrouted = match config.on_unrouted {
            // Then there are none.
            _ if config.router.takes_all() => Unrouted::Drop,
            OnUnrouted::Drop => Unrouted::Drop,
            OnUnrouted::Halt => Unrouted::Halt,
            OnUnrouted::To(Destination::Sink(sink)) => {
                let named = config.to.iter().position(|other| *other == sink);
                Unrouted::To(named.unwrap_or_else(|| {
                    sinks.extend(self.queues.get(sink).map(Queue::feeder));
                    sinks.len() - 1
                }))
            }
            egress => {
                let queue = self.unrouted(source, egress, Vec::new()).await?;
                sinks.push(queue.feeder());
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

    /// Starts to write what no router of an ingress takes, `held` first; gives the queue for it.
    pub(super) async fn unrouted(
        &mut self,
        source: &Source,
        to: OnUnrouted,
        held: Vec<Arrival>,
    ) -> Result<Queue, StartError> {
        let egress = self.letters().of_unrouted(&source.id, to).await?;
        let named = match to {
            OnUnrouted::To(Destination::Egress(place)) => self.module.egresses.get(place),
            _ => None,
        };
        let (queue, intake) = Queue::open();
        let (leave, rest) = oneshot::channel();
        let let_go = CancellationToken::new();
        let writer = unrouted::Writer {
            ingress: source.clone(),
            egress,
            intake,
            let_go: let_go.clone(),
        };
        let (id, failed) = (Arc::clone(&source.id), self.failed.clone());
        self.sink_tasks
            .spawn(async move { (id, told(failed, writer.run(held, leave)).await) });
        self.unrouted.push(LiveUnrouted {
            source: source.clone(),
            to: named.map(|egress| egress.id.to_string()),
            let_go,
            rest,
        });
        Ok(queue)
    }
}

/// Says at once if it does not end as it should: it may be some time before somebody looks at its end.
pub(super) async fn told(failed: CancellationToken, end: impl Future<Output = SinkEnd>) -> SinkEnd {
    let failed = failed.drop_guard();
    let end = end.await;
    if !matches!(end, SinkEnd::Halted(_)) {
        failed.disarm();
    }
    end
}

/// Starts to attend to a plugin.
pub(super) fn attend(
    plugin: &Arc<SinkPlugin>,
    tasks: &mut JoinSet<std::io::Result<()>>,
) -> AbortHandle {
    tasks.spawn(plugins::attend(Arc::clone(plugin)))
}
