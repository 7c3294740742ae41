//! Opens everything that a module names, in an order in which the first failure costs nothing, and starts it.

use std::{io, sync::Arc};

use tokio::{sync::mpsc, task::JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::info;

use super::{
    Held, RunOptions, Running,
    egresses::{Writers, open_egress},
    endpoints::{endpoints_of, open_endpoints},
    grants::services,
    letters::Letters,
    plugins, progress,
    pump::{Route, Unrouted, pump},
    unrouted,
};
use crate::{
    admin::{IngressView, SinkView, TokenFile, settings::AdminSettings},
    config::{Destination, IngressConfig, IngressKind, Module, OnUnrouted},
    delivery::{self, Sink, Source, Way, control::Control},
    egress::EgressError,
    http::{ClientError, HttpClient},
    ingress::{
        AnyIngress, IngressError, datagen::Datagen, dead_letters::DeadLetters, file::FileIngress,
        kinesis::KinesisIngress,
    },
    metrics::{IngressStats, SinkStats, TraceStats},
    network::TargetError,
    oci,
    plugin::{LoadError, PluginHost, Swaps},
    progress::{
        AnyStore, Ledger,
        state_dir::{StateDir, StateDirError},
        store::{Advance, Store, StoreError},
    },
    trace::{self, Tracer, settings::EnvError},
};

/// Why a module was not started. Nothing was read or sent.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The state directory.
    #[error(transparent)]
    StateDir(#[from] StateDirError),
    /// The token of the admin API.
    #[error("the token of the admin API cannot be written to the state directory")]
    Token(#[source] io::Error),
    /// The progress store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The plugin host itself.
    #[error("the plugin host could not be set up")]
    PluginHost(#[source] crate::plugin::HostError),
    /// A plugin was refused.
    #[error("the plugin of sink `{sink}` was refused")]
    Plugin {
        /// The sink's id.
        sink: String,
        /// Why.
        #[source]
        source: Box<LoadError>,
    },
    /// An endpoint's client could not be made.
    #[error("the {endpoint} cannot be used")]
    Endpoint {
        /// What it is called.
        endpoint: String,
        /// Why.
        #[source]
        source: ClientError,
    },
    /// An endpoint's URL.
    #[error("the {endpoint} cannot be used")]
    BaseUrl {
        /// What it is called.
        endpoint: String,
        /// Why.
        #[source]
        source: TargetError,
    },
    /// A source could not be opened.
    #[error("ingress `{ingress}` cannot be read")]
    Ingress {
        /// The ingress's id.
        ingress: String,
        /// Why.
        #[source]
        source: IngressError,
    },
    /// The environment says where traces go, and makes no sense.
    #[error("traces cannot be sent")]
    Telemetry(#[source] EnvError),
    /// The client of the collector of traces could not be made.
    #[error("the collector of traces cannot be used")]
    Collector(#[source] ClientError),
    /// An egress could not be opened.
    #[error("egress `{egress}` cannot be written")]
    Egress {
        /// The egress's id.
        egress: String,
        /// Why.
        #[source]
        source: EgressError,
    },
}

/// Starts a module.
///
/// # Errors
/// The first part that cannot be opened.
pub async fn start(module: Module, options: &RunOptions) -> Result<Running, StartError> {
    let state_dir = StateDir::open(&options.state_dir)?;
    let token = open_token(&module, &state_dir)?;
    let mut store = AnyStore::open(&module.progress.store, state_dir.path()).await?;

    let host = open_plugin_host(&module, &state_dir, options)?;
    let mut plugins = Vec::new();
    for sink in &module.sinks {
        let endpoints = endpoints_of(sink, &module.endpoints)?;
        let plugin = plugins::open(&host, &state_dir, sink, endpoints)
            .await
            .map_err(|source| StartError::Plugin {
                sink: sink.id.to_string(),
                source: Box::new(source),
            })?;
        plugins.push(plugin);
    }
    host.tidy();

    let trace_stats = Arc::new(TraceStats::default());
    let (tracer, traces) = open_traces(&module, &trace_stats)?;

    let mut ingresses = Vec::new();
    let mut ingress_views = Vec::new();
    let mut sources = Vec::new();
    let mut stored = Vec::new();
    for config in &module.ingresses {
        let stats = Arc::new(IngressStats::default());
        let (ingress, source) = open_ingress(config, &mut store, Arc::clone(&stats)).await?;
        ingress_views.push(IngressView {
            id: Arc::clone(&source.id),
            counted: stats,
            ledger: Arc::clone(&source.ledger),
        });
        if ingress.keeps_progress() {
            stored.push(source.clone());
        }
        ingresses.push(ingress);
        sources.push(source);
    }

    let mut writers = Writers::default();
    let mut egresses = Vec::new();
    for config in &module.egresses {
        egresses.push(open_egress(config, &mut writers).await?);
    }
    let (queues, intakes): (Vec<_>, Vec<_>) = module.sinks.iter().map(|_| mpsc::channel(1)).unzip();
    let mut letters = Letters {
        state_dir: &state_dir,
        egresses: &egresses,
        writers: &mut writers,
    };
    let mut all_sources = sources.clone();
    let dead_letters = letters
        .of_sinks(&module.sinks, &queues, &mut all_sources)
        .await?;

    let opened = open_endpoints(&module)?;
    let mut sink_tasks = JoinSet::new();
    let mut views = Vec::new();
    let mut capacities = Vec::new();
    let parts = plugins.iter().zip(dead_letters).zip(intakes);
    for (config, ((plugin, dead_letters), intake)) in module.sinks.into_iter().zip(parts) {
        let stats = Arc::new(SinkStats::default());
        let (control, controlled) = Control::new();
        let id: Arc<str> = config.id.to_string().into();
        capacities.push(config.delivery.buffer.max_records);
        let endpoints = endpoints_of(&config, &module.endpoints)?;
        let way = |(place, (_, index)): (usize, &(_, usize))| {
            let way = &opened[*index];
            Way {
                transport: Arc::clone(&way.client),
                gate: way.gate.clone(),
                tracer: tracer.of_sink(&id, &way.label, endpoints.label(place)),
            }
        };
        let sink = Sink {
            id: Arc::clone(&id),
            ways: config.endpoints.iter().enumerate().map(way).collect(),
            endpoints,
            shape_slots: config.plugin.limits.instances,
            settings: config.delivery,
            plugin: plugin.slot(),
            results: config
                .results
                .and_then(|index| egresses.get(index).cloned()),
            dead_letters,
            sources: all_sources.clone(),
            stats: Arc::clone(&stats),
            tracer: tracer.of_sink(&id, "", None),
            control: controlled,
        };
        views.push(SinkView {
            id: Arc::clone(&id),
            stats,
            plugin: plugin.stats(),
            swaps: Some(Arc::clone(plugin) as Arc<dyn Swaps>),
            control,
        });
        sink_tasks.spawn(async move { (id, delivery::run(sink, intake).await) });
    }

    let intake = CancellationToken::new();
    let mut ingress_tasks = JoinSet::new();
    for (index, ((ingress, config), source)) in
        (0..).zip(ingresses.into_iter().zip(&module.ingresses).zip(&sources))
    {
        let view: Option<&IngressView> = ingress_views.get(usize::from(index));
        let mut sinks: Vec<_> = config
            .to
            .iter()
            .filter_map(|sink| queues.get(*sink).cloned())
            .collect();
        let mut to = config.to.clone();
        let unrouted = match config.on_unrouted {
            // Then there are none.
            _ if config.router.takes_all() => Unrouted::Drop,
            OnUnrouted::Drop => Unrouted::Drop,
            OnUnrouted::Halt => Unrouted::Halt,
            OnUnrouted::To(Destination::Sink(sink)) => {
                let place = to.iter().position(|other| *other == sink);
                Unrouted::To(place.unwrap_or_else(|| {
                    to.push(sink);
                    sinks.extend(queues.get(sink).cloned());
                    sinks.len() - 1
                }))
            }
            egress => {
                let handle = letters.of_unrouted(&source.id, egress).await?;
                let (queue, intake) = mpsc::channel(1);
                let ingress = source.clone();
                sink_tasks.spawn(async move {
                    let id = Arc::clone(&ingress.id);
                    (id, unrouted::run(ingress, handle, intake).await)
                });
                sinks.push(queue);
                Unrouted::To(sinks.len() - 1)
            }
        };
        let capacity = to
            .iter()
            .filter_map(|sink| capacities.get(*sink))
            .min()
            .copied();
        let route = Route {
            ingress: index,
            ledger: Arc::clone(&source.ledger),
            // A stream counts itself, as it reads ahead; so do dead letters, as not all are sent.
            counts: matches!(config.kind, IngressKind::Datagen(_) | IngressKind::File(_)),
            capacity: capacity.unwrap_or(1),
            sinks,
            router: config.router.clone(),
            unrouted,
            stats: view
                .map(|view| Arc::clone(&view.counted))
                .unwrap_or_default(),
        };
        ingress_tasks.spawn(pump(ingress, route, intake.clone()));
    }
    let mut plugin_tasks = JoinSet::new();
    for plugin in &plugins {
        plugin_tasks.spawn(plugins::attend(Arc::clone(plugin)));
    }
    state_dir.enter()?;
    let last_progress = CancellationToken::new();
    let progress = tokio::spawn(progress::keep(
        store,
        stored,
        module.progress.interval,
        last_progress.clone(),
    ));

    Ok(Running {
        ingresses: ingress_views,
        sinks: views,
        sources,
        ingress_tasks,
        sink_tasks,
        plugins,
        plugin_tasks,
        progress,
        intake,
        last_progress,
        egress_stop: writers.stop,
        egress_tasks: writers.tasks,
        egresses: writers.views,
        trace_stats,
        traces,
        grace: options.grace,
        held: Some(Held { token, state_dir }),
    })
}

fn open_plugin_host(
    module: &Module,
    state_dir: &StateDir,
    options: &RunOptions,
) -> Result<Arc<PluginHost>, StartError> {
    let cache = state_dir.path().join("cache");
    let host = match &options.program {
        Some(program) => PluginHost::compiling_apart(cache, program.clone()),
        None => PluginHost::new(Some(cache)),
    };
    let host = host.map_err(StartError::PluginHost)?;
    let services = services(module, Some(state_dir.path()));
    let packages = oci::Cache::new(state_dir.path().join("packages"));
    Ok(Arc::new(
        host.offering(services).with_packages(Some(packages)),
    ))
}

/// Before anything runs: then whoever sees the host run can tell it something.
fn open_token(module: &Module, state_dir: &StateDir) -> Result<Option<TokenFile>, StartError> {
    if !module
        .admin
        .as_ref()
        .is_some_and(AdminSettings::makes_token)
    {
        return Ok(None);
    }
    let token = TokenFile::write(state_dir.path()).map_err(StartError::Token)?;
    info!(file = %token.path().display(), "changes by the admin API need the token in this file");
    Ok(Some(token))
}

/// The tracer of which those of the sinks are made, and the task behind it; off unless somebody says where traces go.
fn open_traces(
    module: &Module,
    stats: &Arc<TraceStats>,
) -> Result<(Tracer, Option<trace::Exporter>), StartError> {
    let env = |name: &str| std::env::var(name).ok();
    let settings =
        trace::settings::resolve(module.telemetry.as_ref(), env).map_err(StartError::Telemetry)?;
    let Some(mut settings) = settings else {
        return Ok((Tracer::default(), None));
    };
    settings.collector.network = Arc::clone(&module.network);
    let client = HttpClient::new(&settings.collector, 1).map_err(StartError::Collector)?;
    info!(collector = %settings.collector.label, sample = settings.sample, "traces are sent");
    let (tracer, exporter) = trace::start(&settings, client, Arc::clone(stats));
    Ok((tracer, Some(exporter)))
}

async fn open_ingress(
    config: &IngressConfig,
    store: &mut AnyStore,
    stats: Arc<IngressStats>,
) -> Result<(AnyIngress, Source), StartError> {
    let id = config.id.to_string();
    store.claim(&id).await?;
    let start = store.load(&id).await?;
    let is_replay = matches!(config.kind, IngressKind::DeadLetters(_));
    // A replay finds its own among those of other replays, and says so itself.
    if let Some((partition, position)) = start.first().filter(|_| !is_replay) {
        info!(ingress = %id, %partition, ?position, "going on from stored progress");
    }
    let ingress = match &config.kind {
        IngressKind::Datagen(settings) => {
            Ok(AnyIngress::Datagen(Datagen::new(&id, settings.clone())))
        }
        IngressKind::File(settings) => FileIngress::open(&id, settings, start)
            .await
            .map(|file| AnyIngress::File(Box::new(file))),
        IngressKind::DeadLetters(settings) => DeadLetters::open(settings, start, stats)
            .await
            .map(|letters| AnyIngress::DeadLetters(Box::new(letters))),
        IngressKind::Kinesis(settings) => {
            Box::pin(KinesisIngress::open(&id, settings, start, stats))
                .await
                .map(|kinesis| AnyIngress::Kinesis(Box::new(kinesis)))
        }
    };
    let ingress = ingress.map_err(|source| StartError::Ingress {
        ingress: id.clone(),
        source,
    })?;
    let opening = ingress
        .opening()
        .iter()
        .map(|(partition, position)| Advance {
            ingress: id.clone(),
            partition: partition.clone(),
            position: position.clone(),
        });
    let opening: Vec<Advance> = opening.collect();
    if !opening.is_empty() {
        store.save(opening).await?;
    }
    if !ingress.forgotten().is_empty() {
        store.forget(&id, ingress.forgotten().to_vec()).await?;
    }
    ingress.announce();
    let source = Source {
        id: id.into(),
        ledger: Arc::new(Ledger::default()),
        relays: ingress.relays(),
    };
    Ok((ingress, source))
}
