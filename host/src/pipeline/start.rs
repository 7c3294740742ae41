//! Opens everything that a module names, in an order in which the first failure costs nothing, and starts it.

mod error;
mod ingress;

pub use error::StartError;
pub(super) use ingress::{Claim, begin_source, open_ingress, try_ingress};

use std::sync::Arc;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::info;

use super::{
    Held, RunOptions, Running,
    egresses::{Key, Waits, Writers, open_egress},
    endpoints::{endpoints_of, open_endpoints},
    grants::services,
    live::Live,
    plugins, progress,
    record::KnownSecrets,
    reload::Reloads,
    wiring::{Begin, Wiring, attend},
};
use crate::{
    admin::{TokenFile, settings::AdminSettings},
    config::{Module, SinkConfig},
    delivery::{Queue, Rest, Sources},
    http::HttpClient,
    metrics::{ProgressStats, TraceStats},
    oci,
    plugin::{LoadError, PluginHost},
    progress::{AnyStore, state_dir::StateDir},
    trace::{self, Tracer},
};

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
    let (sources, stored) = (Sources::default(), progress::Stored::default());
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
    let (queues, intakes): (Vec<_>, Vec<_>) = module.sinks.iter().map(|_| Queue::open()).unzip();
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
    let progress_stats = Arc::new(ProgressStats::default());
    let progress = tokio::spawn(progress::keep(
        Arc::clone(&store),
        Arc::clone(&stored),
        module.progress.interval,
        last_progress.clone(),
        Arc::clone(&progress_stats),
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
        progress_stats,
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
