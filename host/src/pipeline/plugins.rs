//! The plugins of a module that runs: each is replaced without a batch that waits for it, or not at all.
//!
//! A new version is read once, compiled apart, type-checked, configured, and rehearsed on the last batch that came; it is
//! remembered, and then serves from the next batch on. Whatever fails on the way leaves the old one serving.

mod attend;
mod canary;
mod kept;
mod open;
mod reconfigure;
mod rehearsal;
mod swap;
mod trial;

pub use attend::attend;
pub(super) use attend::{EVERY, Watch, stamp_of};
pub use kept::Record;
pub(super) use open::open;
pub(super) use reconfigure::{Reconfigured, Setup, Turn};

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tracing::warn;

use self::{kept::Kept, trial::Trial};
use crate::{
    event::{now_ms, rfc3339},
    metrics::{PluginStats, SwapResult},
    plugin::{Binary, Generation, LoadedPlugin, PluginHost, Slot, Tally, Version},
};

/// A sink's plugin, with all that replacing it needs.
#[derive(Debug)]
pub struct SinkPlugin {
    sink: Arc<str>,
    host: Arc<PluginHost>,
    setup: Mutex<Arc<Setup>>,
    slot: Arc<Slot<LoadedPlugin>>,
    kept: Kept,
    stats: Arc<PluginStats>,
    /// Held while a version is loaded.
    loading: Arc<tokio::sync::Mutex<()>>,
    state: Mutex<State>,
    /// Something has changed that the plugin's task attends to.
    changed: Notify,
}

#[derive(Debug)]
struct State {
    record: Record,
    /// What is to be written with the record, when this plugin begins to serve.
    unwritten: Option<Binary>,
    /// Numbers are not used twice, not even those of versions that were refused.
    last_number: u64,
    trial: Option<Trial>,
    /// What the last trial came to.
    verdict: Option<String>,
}

impl SinkPlugin {
    /// The sink's id.
    pub fn sink(&self) -> &Arc<str> {
        &self.sink
    }

    /// What it counts, whatever version serves.
    pub fn stats(&self) -> Arc<PluginStats> {
        Arc::clone(&self.stats)
    }

    fn setup(&self) -> Arc<Setup> {
        Arc::clone(&self.setup.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn slot(&self) -> Arc<Slot<LoadedPlugin>> {
        Arc::clone(&self.slot)
    }

    /// It serves from now on: that is remembered.
    pub(super) async fn begins(&self) {
        let (record, unwritten) = {
            let mut state = self.lock();
            (state.record.clone(), state.unwritten.take())
        };
        self.host.keep_for(&self.sink, record.digests());
        if let Some(binary) = unwritten {
            self.try_to_remember(record, binary).await;
        }
    }

    /// Where it can be done without: the version serves all the same.
    async fn try_to_remember(&self, record: Record, binary: Binary) {
        if let Err(error) = self.kept.remember_apart(record, binary).await {
            warn!(sink = %self.sink, %error, "the plugin's version cannot be remembered: after a crash the module's file serves");
        }
    }

    /// A version, with the next number.
    fn generation(&self, plugin: LoadedPlugin) -> Arc<Generation<LoadedPlugin>> {
        let mut state = self.lock();
        state.last_number += 1;
        Arc::new(Generation {
            number: state.last_number,
            plugin,
            tally: Tally::default(),
        })
    }

    /// Lets a version serve, as is remembered by `record`.
    fn install(&self, generation: Arc<Generation<LoadedPlugin>>, record: Record) {
        let number = usize::try_from(generation.number).unwrap_or(usize::MAX);
        self.slot.serve(generation);
        self.host.keep_for(&self.sink, record.digests());
        self.host.tidy();
        self.lock().record = record;
        self.stats.generation.set(number);
        self.stats.swaps.count(SwapResult::Accepted);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn version(generation: u64, binary: &Binary) -> Version {
    Version {
        generation,
        digest: binary.hex_digest(),
        origin: binary.path.clone(),
        accepted: rfc3339(now_ms()),
        signed_by: binary.signed_by.clone(),
    }
}
