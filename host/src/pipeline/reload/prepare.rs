//! Everything about another module that may fail is tried beside the one that runs.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio::{
    task::AbortHandle,
    time::{Instant, sleep},
};

use super::{ModuleFile, ReloadError, retire::LOOK};
use crate::{
    admin::{Reloaded, ReloadedIngresses, ReloadedSinks},
    config::{
        Changes, EgressKind, Id, IngressChange, IngressConfig, IngressKind, Module, SinkChange,
    },
    egress::AnyEgress,
    ingress::settings::FilePath,
    pipeline::{
        egresses::open_egress,
        endpoints::{Opened, endpoints_of, open_endpoints},
        live::Live,
        plugins::{self, Reconfigured, Setup, SinkPlugin, Turn},
        progress::Shared,
        start::{refused, try_ingress},
    },
    plugin::PluginHost,
    progress::AnyStore,
};

/// How long sinks that were removed may take to come to their end.
const LEAVING: Duration = Duration::from_secs(300);

/// What runs, as far as that must be known.
#[derive(Debug)]
pub(super) struct Before {
    module: Arc<Module>,
    host: Arc<PluginHost>,
    state_dir: PathBuf,
    store: Shared<AnyStore>,
    endpoints: Vec<Opened>,
    plugins: Vec<Arc<SinkPlugin>>,
    /// Sinks that were removed, and have not come to their end.
    leaving: Vec<(String, AbortHandle)>,
}

impl Before {
    pub(super) fn of(live: &Live) -> Self {
        Self {
            module: Arc::clone(&live.module),
            host: Arc::clone(&live.host),
            state_dir: live.state_dir.clone(),
            store: Arc::clone(&live.store),
            endpoints: live.endpoints.clone(),
            plugins: live
                .sinks
                .iter()
                .map(|sink| Arc::clone(&sink.plugin))
                .collect(),
            leaving: live
                .leaving
                .iter()
                .map(|sink| (sink.view.id.to_string(), sink.task.clone()))
                .collect(),
        }
    }
}

/// Another module, of which everything is ready that can be.
#[derive(Debug)]
pub(in crate::pipeline) struct Prepared {
    pub(super) module: Arc<Module>,
    pub(super) changes: Changes,
    /// By the places of the sinks.
    pub(super) plugins: Vec<Plugin>,
    /// By the places of the module's.
    pub(super) endpoints: Vec<Opened>,
    /// Those that could be opened while the old ones are open, by place.
    pub(super) egresses: HashMap<usize, AnyEgress>,
    pub(super) reloaded: Reloaded,
}

/// The plugin of a sink.
#[derive(Debug)]
pub(super) enum Plugin {
    /// The one that there is, as the module says now.
    Same(Reconfigured),
    /// It begins; that of the sink before loads no other version meanwhile.
    New(Arc<SinkPlugin>, Option<Turn>),
}

/// Reads the module, compares it with the one that runs, and opens what is new.
///
/// # Errors
/// The first thing that stands in the way; nothing that runs was changed then.
pub(super) async fn prepare(
    file: Arc<ModuleFile>,
    before: Before,
) -> Result<Prepared, ReloadError> {
    let loaded = tokio::task::spawn_blocking(move || file.load()).await;
    let module = loaded
        .map_err(ReloadError::Task)?
        .map_err(ReloadError::Config)?;
    let old = &*before.module;
    let changes = module.changes_from(old).map_err(ReloadError::Fixed)?;
    // Whose id, file and plugin may be needed, and what they write to.
    let until = Instant::now() + LEAVING;
    while let Some((id, _)) = before.leaving.iter().find(|(_, task)| !task.is_finished()) {
        if Instant::now() >= until {
            return Err(ReloadError::Leaving(id.clone()));
        }
        sleep(LOOK).await;
    }
    let reused = |place: usize| {
        let before_place = changes.endpoints.get(place).copied().flatten()?;
        before.endpoints.get(before_place).cloned()
    };
    let endpoints = open_endpoints(&module, reused)?;
    let mut egresses = HashMap::new();
    for (place, config) in module.egresses.iter().enumerate() {
        if changes.egresses[place].is_none() && !is_open(&config.kind, old, &before.state_dir) {
            egresses.insert(place, open_egress(config).await?);
        }
    }
    for (config, change) in module.ingresses.iter().zip(&changes.ingresses) {
        if matches!(change, IngressChange::Added | IngressChange::Restarted(_)) && may_try(config) {
            try_ingress(config, &before.store, Arc::default()).await?;
        }
    }
    let plugins = load_plugins(&module, &changes, &before).await?;
    let reloaded = reloaded(&module, old, &changes);
    Ok(Prepared {
        module: Arc::new(module),
        changes,
        plugins,
        endpoints,
        egresses,
        reloaded,
    })
}

async fn load_plugins(
    module: &Module,
    changes: &Changes,
    before: &Before,
) -> Result<Vec<Plugin>, ReloadError> {
    let mut plugins = Vec::new();
    for (sink, change) in module.sinks.iter().zip(&changes.sinks) {
        let endpoints = endpoints_of(sink, &module.endpoints)?;
        let there = (change.before()).and_then(|old| {
            let lines = before.module.sinks.get(old)?.plugin.limits.log_lines;
            Some((before.plugins.get(old)?, lines))
        });
        plugins.push(match there {
            Some((plugin, lines)) if lines == sink.plugin.limits.log_lines => {
                Plugin::Same(plugin.prepare(Setup::of(sink, endpoints)).await?)
            }
            // What it may log is fixed when it begins.
            there => {
                let turn = match there {
                    Some((plugin, _)) => Some(plugin.turn().await?),
                    None => None,
                };
                let opened =
                    plugins::open(&before.host, &before.state_dir, false, sink, endpoints).await;
                Plugin::New(opened.map_err(|source| refused(sink, source))?, turn)
            }
        });
    }
    Ok(plugins)
}

/// Whether the old module may be writing where this egress writes: then it is opened when that is over.
fn is_open(kind: &EgressKind, old: &Module, state_dir: &Path) -> bool {
    let EgressKind::File(new) = kind else {
        return false;
    };
    let path = place_of(&new.path);
    let files = old.egresses.iter().filter_map(|egress| match &egress.kind {
        EgressKind::File(file) => Some(place_of(&file.path)),
        _ => None,
    });
    path.starts_with(place_of(state_dir)) || files.into_iter().any(|file| file == path)
}

/// Where a file is or would be, however it is reached: of a file that there is not yet, its folder is looked for.
fn place_of(path: &Path) -> PathBuf {
    let found = path.canonicalize().or_else(|_| {
        let path = std::path::absolute(path)?;
        let (folder, name) = (path.parent(), path.file_name());
        let folder = folder.map_or_else(|| Ok(PathBuf::new()), Path::canonicalize)?;
        Ok::<_, std::io::Error>(folder.join(name.unwrap_or_default()))
    });
    found
        .or_else(|_| std::path::absolute(path))
        .unwrap_or_else(|_| path.to_owned())
}

/// Whether an ingress can be opened twice: a pipe is read by whoever opens it.
fn may_try(config: &IngressConfig) -> bool {
    match &config.kind {
        IngressKind::File(file) => match &file.path {
            FilePath::Stdin => false,
            FilePath::Path(path) => path.metadata().map_or(true, |found| found.is_file()),
        },
        _ => true,
    }
}

/// Says what changes, by ids.
fn reloaded(module: &Module, old: &Module, changes: &Changes) -> Reloaded {
    let mut sinks = ReloadedSinks::default();
    for (sink, change) in module.sinks.iter().zip(&changes.sinks) {
        let id = sink.id.to_string();
        match change {
            SinkChange::Added => sinks.added.push(id),
            SinkChange::Restarted(_) => sinks.restarted.push(id),
            SinkChange::Kept(before) if old.sinks[*before].plugin != sink.plugin => {
                sinks.swapped.push(id);
            }
            SinkChange::Kept(_) => {}
        }
    }
    let mut ingresses = ReloadedIngresses::default();
    for (ingress, change) in module.ingresses.iter().zip(&changes.ingresses) {
        let id = ingress.id.to_string();
        match change {
            IngressChange::Added => ingresses.added.push(id),
            IngressChange::Restarted(_) => ingresses.restarted.push(id),
            IngressChange::Routed(_) => ingresses.routed.push(id),
            IngressChange::Kept(_) => {}
        }
    }
    let ids = |places: &[usize], of: &dyn Fn(usize) -> Id| -> Vec<String> {
        places.iter().map(|place| of(*place).to_string()).collect()
    };
    sinks.removed = ids(&changes.removed_sinks, &|place| old.sinks[place].id.clone());
    ingresses.removed = ids(&changes.removed_ingresses, &|place| {
        old.ingresses[place].id.clone()
    });
    let others = changes.endpoints.contains(&None)
        || changes.egresses.contains(&None)
        || module.egresses.len() != old.egresses.len()
        || module.endpoints.len() != old.endpoints.len();
    let mut reloaded = Reloaded {
        sinks,
        ingresses,
        changed: false,
    };
    reloaded.changed = others || reloaded != Reloaded::default();
    reloaded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_one_place_however_it_is_reached() {
        let folder = tempfile::tempdir().expect("a folder");
        let (real, link) = (folder.path().join("real"), folder.path().join("link"));
        std::fs::create_dir(&real).expect("made");
        std::os::unix::fs::symlink(&real, &link).expect("made");
        std::fs::write(real.join("there"), "").expect("written");

        let places = ["there", "not-yet"].map(|name| {
            let detour = link.join("../real").join(name);
            [real.join(name), link.join(name), detour].map(|path| place_of(&path))
        });

        for [straight, linked, detour] in places {
            assert_eq!(linked, straight);
            assert_eq!(detour, straight);
        }
    }
}
