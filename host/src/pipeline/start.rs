//! Opens everything that a module names, in an order in which the first failure costs nothing, and starts it.

use std::{
    io,
    sync::{Arc, PoisonError},
};

use tokio::{sync::mpsc, task::JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::info;

use super::{
    Held, RunOptions, Running,
    egresses::{Key, Waits, Writers, open_egress},
    endpoints::{endpoints_of, open_endpoints},
    grants::services,
    live::{Begin, Live, OpenIngress, Wiring, attend},
    plugins,
    progress::{self, Shared, Stored},
    record::KnownSecrets,
    reload::Reloads,
};
use crate::{
    admin::{TokenFile, settings::AdminSettings},
    config::{IngressConfig, IngressKind, Module, SinkConfig},
    delivery::{Rest, Source, Sources},
    egress::EgressError,
    http::{ClientError, HttpClient},
    ingress::{
        AnyIngress, IngressError, datagen::Datagen, dead_letters::DeadLetters, file::FileIngress,
        kinesis::KinesisIngress,
    },
    metrics::{IngressStats, TraceStats},
    network::TargetError,
    oci,
    plugin::{LoadError, PluginHost},
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

impl StartError {
    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Plugin { source, .. } => source.hint(),
            Self::StateDir(error) => error.hint(),
            Self::Store(error) => error.hint(),
            Self::Ingress { source, .. } => source.hint(),
            Self::Egress { source, .. } => source.hint(),
            Self::Telemetry(_) => {
                Some("correct it, or set OTEL_SDK_DISABLED=true to send no traces".to_owned())
            }
            Self::Token(_)
            | Self::PluginHost(_)
            | Self::Endpoint { .. }
            | Self::BaseUrl { .. }
            | Self::Collector(_) => None,
        }
    }
}

/// Starts a module.
///
/// # Errors
/// The first part that cannot be opened.
pub async fn start(module: Module, options: &RunOptions) -> Result<Running, StartError> {
    let state_dir = StateDir::open(&options.state_dir)?;
    let token = open_token(&module, &state_dir)?;
    let store = AnyStore::open(&module.progress.store, state_dir.path()).await?;
    let store = Arc::new(tokio::sync::Mutex::new(store));

    let host = open_plugin_host(&module, &state_dir, options)?;
    let (path, crashed) = (state_dir.path().to_owned(), state_dir.was_left());
    let mut opened = Vec::new();
    for sink in &module.sinks {
        let endpoints = endpoints_of(sink, &module.endpoints)?;
        let plugin = plugins::open(&host, &path, crashed, sink, endpoints).await;
        opened.push(plugin.map_err(|source| refused(sink, source))?);
    }
    for plugin in &opened {
        plugin.begins().await;
    }
    host.tidy();

    let trace_stats = Arc::new(TraceStats::default());
    let (tracer, traces) = open_traces(&module, &trace_stats)?;

    let mut ingresses = Vec::new();
    let (sources, stored) = (Sources::default(), Stored::default());
    for config in &module.ingresses {
        let open = open_ingress(config, &store, Claim::Needed).await?;
        let place = begin_source(&open, &sources, &stored);
        ingresses.push((place, open));
    }

    let mut writers = Writers::default();
    let mut egresses = Vec::new();
    for config in &module.egresses {
        let id = config.id.to_string();
        let egress = open_egress(config).await?;
        egresses.push(writers.spawn(Key::Egress(id.clone()), id, egress));
    }
    let (queues, intakes): (Vec<_>, Vec<_>) = module.sinks.iter().map(|_| mpsc::channel(1)).unzip();
    let (mut sink_tasks, mut ingress_tasks) = (JoinSet::new(), JoinSet::new());
    let mut unrouted = Vec::new();
    let (intake, failed) = (CancellationToken::new(), CancellationToken::new());
    let endpoints = open_endpoints(&module, |_| None)?;
    let secrets = KnownSecrets::default();
    secrets.know(&module);
    let mut wiring = Wiring {
        module: &module,
        state_dir: &path,
        tracer: &tracer,
        sources: &sources,
        endpoints: &endpoints,
        egresses: &egresses,
        queues: &queues,
        secrets: &secrets,
        writers: &mut writers,
        waits: &Waits::default(),
        sink_tasks: &mut sink_tasks,
        ingress_tasks: &mut ingress_tasks,
        unrouted: &mut unrouted,
        intake: &intake,
        failed: &failed,
    };
    let mut dead_letters = Vec::new();
    for config in &module.sinks {
        dead_letters.push(wiring.dead_letters(config).await?);
    }
    let mut plugin_tasks = JoinSet::new();
    let mut sinks = Vec::new();
    let parts = opened.into_iter().zip(dead_letters).zip(intakes);
    for (config, ((plugin, dead_letters), intake)) in module.sinks.iter().zip(parts) {
        let begin = Begin {
            attends: attend(&plugin, &mut plugin_tasks),
            plugin,
            dead_letters,
            rest: Rest::of(intake),
            control: None,
            stats: Arc::default(),
        };
        sinks.push(wiring.sink(config, begin)?);
    }
    let mut read = Vec::new();
    for (config, (place, open)) in module.ingresses.iter().zip(ingresses) {
        read.push(wiring.ingress(config, place, open).await?);
    }
    state_dir.enter()?;
    let last_progress = CancellationToken::new();
    let progress = tokio::spawn(progress::keep(
        Arc::clone(&store),
        Arc::clone(&stored),
        module.progress.interval,
        last_progress.clone(),
    ));
    let claimed = module.ingresses.iter();
    let claimed = claimed.map(|ingress| ingress.id.to_string()).collect();

    Ok(Running {
        ingresses: read.iter().map(|ingress| ingress.view.clone()).collect(),
        sinks: sinks.iter().map(|sink| sink.view.clone()).collect(),
        gone: Vec::new(),
        sources: read.iter().map(|ingress| ingress.source.clone()).collect(),
        ingress_tasks,
        sink_tasks,
        leaving_tasks: JoinSet::new(),
        plugin_tasks,
        progress: Some(progress),
        intake,
        failed,
        last_progress,
        writers,
        trace_stats,
        traces,
        grace: options.grace,
        held: Some(Held { token, state_dir }),
        live: Some(Live {
            module: Arc::new(module),
            state_dir: path,
            host,
            store,
            stored,
            claimed,
            tracer,
            sources,
            endpoints,
            sinks,
            ingresses: read,
            secrets,
            unrouted,
            leaving: Vec::new(),
        }),
        reloads: Reloads::default(),
    })
}

pub(super) fn refused(sink: &SinkConfig, source: LoadError) -> StartError {
    StartError::Plugin {
        sink: sink.id.to_string(),
        source: Box::new(source),
    }
}

/// Tickets may name the ingress from now on, and its progress is stored. Says what they name.
pub(super) fn begin_source(open: &OpenIngress, sources: &Sources, stored: &Stored) -> u16 {
    if open.ingress.keeps_progress() {
        let mut stored = stored.lock().unwrap_or_else(PoisonError::into_inner);
        stored.push(open.source.clone());
    }
    sources.add(open.source.clone())
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

/// Whether the store must hear that an ingress is this host's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Claim {
    Needed,
    Done,
}

/// Opens an ingress behind its stored progress.
pub(super) async fn open_ingress(
    config: &IngressConfig,
    store: &Shared<AnyStore>,
    claim: Claim,
) -> Result<OpenIngress, StartError> {
    let id = config.id.to_string();
    if claim == Claim::Needed {
        store.lock().await.claim(&id).await?;
    }
    let stats = Arc::new(IngressStats::default());
    let ingress = try_ingress(config, store, Arc::clone(&stats)).await?;
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
        store.lock().await.save(opening).await?;
    }
    if !ingress.forgotten().is_empty() {
        let forgotten = ingress.forgotten().to_vec();
        store.lock().await.forget(&id, forgotten).await?;
    }
    ingress.announce();
    let source = Source {
        id: id.into(),
        ledger: Arc::new(Ledger::default()),
        relays: ingress.relays(),
    };
    Ok(OpenIngress {
        ingress,
        source,
        stats,
    })
}

/// Opens an ingress, and stores nothing.
pub(super) async fn try_ingress(
    config: &IngressConfig,
    store: &Shared<AnyStore>,
    stats: Arc<IngressStats>,
) -> Result<AnyIngress, StartError> {
    let id = config.id.to_string();
    let start = store.lock().await.load(&id).await?;
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
    ingress.map_err(|source| StartError::Ingress {
        ingress: id,
        source,
    })
}
