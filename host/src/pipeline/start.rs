//! Opens everything that a module names, in an order in which the first failure costs nothing, and starts it.

use std::{path::PathBuf, sync::Arc};

use http::header::CONTENT_ENCODING;
use tokio::{sync::mpsc, task::JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::info;

use super::{
    Held, IngressView, RunOptions, Running, SinkView, progress,
    pump::{Route, pump},
};
use crate::{
    auth::AuthSettings,
    config::{EgressConfig, EgressKind, IngressConfig, IngressKind, Module, SinkConfig},
    delivery::{self, Endpoint, Sink, Source},
    egress::{
        self, AnyEgress, EgressError, EgressHandle, file::FileEgress, kinesis::KinesisEgress,
        settings::FileEgressSettings, stdout::StdoutEgress,
    },
    http::{ClientError, HttpClient, settings::EndpointSettings},
    ingress::{
        AnyIngress, IngressError, datagen::Datagen, file::FileIngress, kinesis::KinesisIngress,
    },
    metrics::{IngressStats, SinkStats},
    network::{BaseUrl, HeaderRules, TargetError},
    plugin::{LoadError, PluginHost},
    progress::{
        AnyStore, Ledger,
        state_dir::{StateDir, StateDirError},
        store::{Advance, Store, StoreError},
    },
};

/// Why a module was not started. Nothing was read or sent.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The state directory.
    #[error(transparent)]
    StateDir(#[from] StateDirError),
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
    #[error("the endpoint of sink `{sink}` cannot be used")]
    Endpoint {
        /// The sink's id.
        sink: String,
        /// Why.
        #[source]
        source: ClientError,
    },
    /// An endpoint's URL.
    #[error("the endpoint of sink `{sink}` cannot be used")]
    BaseUrl {
        /// The sink's id.
        sink: String,
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

/// Requests that may wait in front of an egress: one for each sink's results and dead letters
/// that is being written, and as many that wait.
const EGRESS_QUEUE: usize = 16;

/// Starts a module.
///
/// # Errors
/// The first part that cannot be opened.
pub async fn start(module: Module, options: &RunOptions) -> Result<Running, StartError> {
    let state_dir = StateDir::open(&options.state_dir)?;
    let mut store = AnyStore::open(&module.progress.store, state_dir.path()).await?;

    let host =
        PluginHost::new(Some(state_dir.path().join("cache"))).map_err(StartError::PluginHost)?;
    let mut plugins = Vec::new();
    for sink in &module.sinks {
        let plugin = host
            .load(&sink.id.to_string(), &sink.plugin)
            .await
            .map_err(|source| StartError::Plugin {
                sink: sink.id.to_string(),
                source: Box::new(source),
            })?;
        plugins.push(plugin);
    }

    let mut ingresses = Vec::new();
    let mut ingress_views = Vec::new();
    let mut sources = Vec::new();
    let mut stored = Vec::new();
    for config in &module.ingresses {
        let stats = Arc::new(IngressStats::default());
        let (ingress, source) = open_ingress(config, &mut store, Arc::clone(&stats)).await?;
        ingress_views.push(IngressView {
            id: Arc::clone(&source.id),
            stats,
        });
        if ingress.keeps_progress() {
            stored.push(source.clone());
        }
        ingresses.push(ingress);
        sources.push(source);
    }

    let egress_stop = CancellationToken::new();
    let mut egress_tasks = JoinSet::new();
    let mut egresses = Vec::new();
    for config in &module.egresses {
        egresses.push(open_egress(config, &mut egress_tasks, &egress_stop).await?);
    }
    let default_letters = DefaultLetters {
        state_dir: &state_dir,
        tasks: &mut egress_tasks,
        stop: &egress_stop,
    };
    let letters = default_letters.open(&module.sinks, &egresses).await?;

    let mut sink_tasks = JoinSet::new();
    let mut views = Vec::new();
    let mut queues = Vec::new();
    let mut capacities = Vec::new();
    for ((config, plugin), dead_letters) in module.sinks.into_iter().zip(plugins).zip(letters) {
        let stats = Arc::new(SinkStats::default());
        let id: Arc<str> = config.id.to_string().into();
        capacities.push(config.delivery.buffer.max_records);
        let transport = HttpClient::new(&config.endpoint, config.delivery.in_flight.max_calls)
            .map_err(|source| StartError::Endpoint {
                sink: id.to_string(),
                source,
            })?;
        let endpoint = endpoint_of(&id, &config.endpoint)?;
        let sink = Sink {
            id: Arc::clone(&id),
            endpoint,
            shape_slots: config.plugin.limits.instances,
            settings: config.delivery,
            plugin,
            transport,
            results: config
                .results
                .and_then(|index| egresses.get(index).cloned()),
            dead_letters,
            sources: sources.clone(),
            stats: Arc::clone(&stats),
        };
        let (queue, intake) = mpsc::channel(1);
        queues.push(queue);
        views.push(SinkView {
            id: Arc::clone(&id),
            stats,
        });
        sink_tasks.spawn(async move { (id, delivery::run(sink, intake).await) });
    }

    let intake = CancellationToken::new();
    let mut ingress_tasks = JoinSet::new();
    for (index, ((ingress, config), source)) in
        (0..).zip(ingresses.into_iter().zip(&module.ingresses).zip(&sources))
    {
        let sinks = config
            .to
            .iter()
            .filter_map(|sink| queues.get(*sink).cloned())
            .collect();
        let capacity = config
            .to
            .iter()
            .filter_map(|sink| capacities.get(*sink))
            .min()
            .copied();
        let route = Route {
            ingress: index,
            ledger: Arc::clone(&source.ledger),
            capacity: capacity.unwrap_or(1),
            sinks,
        };
        ingress_tasks.spawn(pump(ingress, route, intake.clone()));
    }
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
        progress,
        intake,
        last_progress,
        egress_stop,
        egress_tasks,
        grace: options.grace,
        _held: Some(Held {
            _state_dir: state_dir,
            _plugin_host: host,
        }),
    })
}

/// What the engine must know of an endpoint.
///
/// # Errors
/// When its URL is none that requests can be made of.
pub fn endpoint_of(sink: &str, settings: &EndpointSettings) -> Result<Endpoint, StartError> {
    let base = BaseUrl::new(&settings.url).map_err(|source| StartError::BaseUrl {
        sink: sink.to_owned(),
        source,
    })?;
    let configured = settings.headers.iter().map(|(name, _)| name.clone());
    let auth = settings.auth.as_ref();
    let authenticating = auth.map(AuthSettings::headers).unwrap_or_default();
    let reserved = configured.chain(authenticating).chain([CONTENT_ENCODING]);
    let headers = HeaderRules::new(reserved.collect());
    Ok(Endpoint {
        base,
        headers,
        compression: settings.compression,
        call_id: auth.and_then(AuthSettings::call_id_header),
    })
}

async fn open_ingress(
    config: &IngressConfig,
    store: &mut AnyStore,
    stats: Arc<IngressStats>,
) -> Result<(AnyIngress, Source), StartError> {
    let id = config.id.to_string();
    store.claim(&id).await?;
    let start = store.load(&id).await?;
    if let Some((partition, position)) = start.first() {
        info!(ingress = %id, %partition, ?position, "going on from stored progress");
    }
    let ingress = match &config.kind {
        IngressKind::Datagen(settings) => {
            Ok(AnyIngress::Datagen(Datagen::new(&id, settings.clone())))
        }
        IngressKind::File(settings) => FileIngress::open(&id, settings, start)
            .await
            .map(|file| AnyIngress::File(Box::new(file))),
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
    Ok((
        ingress,
        Source {
            id: id.into(),
            ledger: Arc::new(Ledger::default()),
        },
    ))
}

async fn open_egress(
    config: &EgressConfig,
    tasks: &mut JoinSet<()>,
    stop: &CancellationToken,
) -> Result<EgressHandle, StartError> {
    let id = config.id.to_string();
    let egress = match &config.kind {
        EgressKind::File(settings) => FileEgress::open(settings.clone())
            .await
            .map(AnyEgress::File),
        EgressKind::Kinesis(settings) => Box::pin(KinesisEgress::open(id.clone(), settings))
            .await
            .map(|kinesis| AnyEgress::Kinesis(Box::new(kinesis))),
        EgressKind::Stdout => Ok(AnyEgress::Stdout(StdoutEgress::default())),
    };
    let egress = egress.map_err(|source| StartError::Egress {
        egress: id.clone(),
        source,
    })?;
    Ok(spawn_egress(id, egress, tasks, stop))
}

fn spawn_egress(
    id: String,
    egress: AnyEgress,
    tasks: &mut JoinSet<()>,
    stop: &CancellationToken,
) -> EgressHandle {
    let (handle, queue) = EgressHandle::channel(EGRESS_QUEUE);
    let handle = handle.limited(egress.max_record());
    tasks.spawn(egress::task::run(id, egress, queue, stop.clone()));
    handle
}

/// Where the dead letters of sinks without `dead-letters` go: one file each in the state directory.
struct DefaultLetters<'a> {
    state_dir: &'a StateDir,
    tasks: &'a mut JoinSet<()>,
    stop: &'a CancellationToken,
}

impl DefaultLetters<'_> {
    async fn open(
        mut self,
        sinks: &[SinkConfig],
        egresses: &[EgressHandle],
    ) -> Result<Vec<EgressHandle>, StartError> {
        let mut handles = Vec::new();
        for sink in sinks {
            let named = sink.dead_letters.and_then(|index| egresses.get(index));
            let id = sink.id.to_string();
            let handle = match named {
                None => {
                    let handle = self.file(&id).await?;
                    info!(sink = %id, path = %self.path(&id).display(), "dead letters go to a file, as the sink names no egress for them");
                    handle
                }
                Some(named) if named.max_record().is_some() => {
                    let overflow = self.file(&id).await?;
                    info!(sink = %id, path = %self.path(&id).display(), "dead letters that are too large for their stream go to a file");
                    named.clone().with_overflow(overflow)
                }
                Some(named) => named.clone(),
            };
            handles.push(handle);
        }
        Ok(handles)
    }

    fn path(&self, sink: &str) -> PathBuf {
        let name = format!("dead-letters-{}.ndjson", sink.replace('/', "_"));
        self.state_dir.path().join(name)
    }

    async fn file(&mut self, sink: &str) -> Result<EgressHandle, StartError> {
        let settings = FileEgressSettings {
            path: self.path(sink),
            max_bytes: None,
            keep: None,
        };
        let egress = FileEgress::open(settings)
            .await
            .map_err(|source| StartError::Egress {
                egress: format!("dead letters of {sink}"),
                source,
            })?;
        Ok(spawn_egress(
            sink.to_owned(),
            AnyEgress::File(egress),
            self.tasks,
            self.stop,
        ))
    }
}
