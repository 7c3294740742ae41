//! A plugin that may run: its instances, and what a call of it is.

use std::{path::PathBuf, sync::Arc};

use super::{
    CurrentCall, Handled, Identity, LoadError, Plugin, PluginError, Shaped,
    engine::Ticker,
    instance::MakeError,
    lift,
    output::{GuestLog, clean},
    pool::Pool,
};
use crate::{event::Event, metrics::PluginStats, oci::Digest, outcome::Outcome};

/// A plugin that was checked and configured, with its instances.
pub struct LoadedPlugin {
    pool: Arc<Pool>,
    log: Arc<GuestLog>,
    digest: Digest,
    identity: Arc<Identity>,
    origin: PathBuf,
    held: Arc<Held>,
    /// Without epochs nothing would end its loops.
    ticker: Arc<Ticker>,
}

impl std::fmt::Debug for LoadedPlugin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LoadedPlugin")
            .field("digest", &self.digest.hex())
            .finish_non_exhaustive()
    }
}

/// Counts a version for as long as its code is there.
struct Held(Arc<PluginStats>);

impl Held {
    fn new(stats: &Arc<PluginStats>) -> Self {
        stats.versions.add(1);
        Self(Arc::clone(stats))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.versions.sub(1);
    }
}

impl LoadedPlugin {
    /// One without an instance.
    pub(super) fn new(
        pool: Pool,
        log: Arc<GuestLog>,
        digest: Digest,
        identity: Identity,
        origin: PathBuf,
        ticker: Arc<Ticker>,
    ) -> Self {
        Self {
            held: Arc::new(Held::new(pool.stats())),
            pool: Arc::new(pool),
            log,
            digest,
            identity: Arc::new(identity),
            origin,
            ticker,
        }
    }

    /// Makes its first instance, which type-checks and configures it.
    pub(super) async fn start(&self) -> Result<(), LoadError> {
        let first = self.pool.make().await.map_err(|error| match error {
            MakeError::Unfit(error) => LoadError::Type {
                path: self.origin.clone(),
                reason: format!("{error:#}"),
            },
            MakeError::Refused(reason) => LoadError::Configure { reason },
            MakeError::Failed(error) => LoadError::Start(error),
        })?;
        self.pool.put(first);
        Ok(())
    }

    /// The same plugin, which reads its sink's store and writes to one that is gone with it. Without a store it is this one.
    #[must_use]
    pub fn rehearsal(&self) -> Self {
        Self {
            pool: self.pool.rehearsal(),
            log: Arc::clone(&self.log),
            digest: self.digest,
            identity: Arc::clone(&self.identity),
            origin: self.origin.clone(),
            held: Arc::clone(&self.held),
            ticker: Arc::clone(&self.ticker),
        }
    }

    /// What the sink's log and counters are.
    pub(super) fn log(&self) -> &Arc<GuestLog> {
        &self.log
    }

    /// The component's SHA-256 digest.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Linear memory of an instance that is idle, in bytes.
    pub fn memory(&self) -> usize {
        self.pool.memory()
    }

    /// What it counts itself.
    pub fn stats(&self) -> &Arc<PluginStats> {
        self.pool.stats()
    }

    /// What the plugin has counted with `host.count`.
    pub fn counters(&self) -> Vec<(String, u64)> {
        self.log.counters()
    }
}

/// A version that may take another's place: checked, compiled and configured, and nothing that it has written lasts.
#[derive(Debug)]
pub struct Candidate {
    plugin: LoadedPlugin,
    rehearsal: LoadedPlugin,
}

impl Candidate {
    pub(super) async fn start(plugin: LoadedPlugin) -> Result<Self, LoadError> {
        let rehearsal = plugin.rehearsal();
        rehearsal.start().await?;
        Ok(Self { plugin, rehearsal })
    }

    /// The version, as it may be tried: see [`LoadedPlugin::rehearsal`].
    pub fn rehearsal(&self) -> &LoadedPlugin {
        &self.rehearsal
    }

    /// The same, to be kept.
    pub fn into_rehearsal(self) -> LoadedPlugin {
        self.rehearsal
    }

    /// The version, as it serves in the place of `before`: with as many instances, so that no batch waits for one to be made.
    ///
    /// # Errors
    /// When it has started with a store that is thrown away, and does not with its sink's.
    pub async fn accept(self, before: &LoadedPlugin) -> Result<LoadedPlugin, LoadError> {
        let instances = before.pool.size().max(1);
        while self.plugin.pool.size() < instances {
            self.plugin.start().await?;
        }
        Ok(self.plugin)
    }
}

impl Plugin for LoadedPlugin {
    async fn shape(&self, events: &[Arc<Event>]) -> Result<Shaped, PluginError> {
        let answer = self
            .pool
            .with(&self.pool.stats().shape_time, async |instance| {
                instance.scratch.fill(events.iter().map(|event| &**event))?;
                instance
                    .shaping
                    .call_shape(&mut instance.store, instance.scratch.batch())
                    .await
            });
        answer
            .await?
            .map(lift::shaped)
            .map_err(|reason| PluginError::Refused(clean(&reason)))
    }

    fn handles(&self) -> bool {
        self.pool.handles()
    }

    fn identity(&self) -> Arc<Identity> {
        Arc::clone(&self.identity)
    }

    async fn handle(&self, call: CurrentCall, outcome: Outcome) -> Result<Handled, PluginError> {
        let headers = lift::headers(&outcome);
        let answer = self
            .pool
            .with(&self.pool.stats().handle_time, async |instance| {
                let handling = instance.handling.as_ref();
                let handling = handling
                    .ok_or_else(|| wasmtime::Error::msg("the plugin does not export `handling`"))?;
                instance.store.data_mut().call = Some(call);
                let answer = handling
                    .call_handle(&mut instance.store, lift::outcome(&outcome, &headers))
                    .await;
                instance.store.data_mut().call = None;
                answer
            });
        let handled = answer.await.map(lift::handled)?;
        self.pool.bounded(handled)
    }
}
