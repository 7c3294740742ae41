//! A plugin whose part of the module file has changed: another file, another configuration, other limits or grants.
//!
//! It is prepared as a swap is, and serves when all else that the module changes can be done, too.

use std::sync::{Arc, PoisonError};

use tokio::sync::OwnedMutexGuard;
use tracing::{info, warn};

use super::{Record, SinkPlugin, version};
use crate::{
    config::SinkConfig,
    delivery::{Endpoints, settings::Order},
    metrics::SwapResult,
    plugin::{Binary, Generation, LoadedPlugin, SwapError, Tally, settings::PluginSettings},
};

/// What the module says of a plugin, and what its requests are checked by.
#[derive(Debug)]
pub(in crate::pipeline) struct Setup {
    pub(super) settings: PluginSettings,
    pub(super) endpoints: Endpoints,
    pub(super) order: Order,
}

impl Setup {
    /// That of a sink.
    pub(in crate::pipeline) fn of(sink: &SinkConfig, endpoints: Endpoints) -> Self {
        Self {
            settings: sink.plugin.clone(),
            endpoints,
            order: sink.delivery.order,
        }
    }
}

/// A plugin that can serve by another part of a module file; no other version is loaded meanwhile.
#[derive(Debug)]
pub(in crate::pipeline) struct Reconfigured {
    setup: Arc<Setup>,
    next: Option<Next>,
    _loading: Option<OwnedMutexGuard<()>>,
}

#[derive(Debug)]
struct Next {
    generation: Arc<Generation<LoadedPlugin>>,
    binary: Binary,
    configured: String,
}

impl SinkPlugin {
    /// Loads what `setup` asks for, if that is something else than now, and rehearses it.
    ///
    /// # Errors
    /// When it is refused; nothing has changed then.
    pub(in crate::pipeline) async fn prepare(
        &self,
        setup: Setup,
    ) -> Result<Reconfigured, SwapError> {
        let setup = Arc::new(setup);
        if self.setup().settings == setup.settings {
            return Ok(Reconfigured {
                setup,
                next: None,
                _loading: None,
            });
        }
        let loading = Arc::clone(&self.loading).lock_owned().await;
        let next = self.load_next(&setup).await.inspect_err(|_| {
            self.stats.swaps.count(SwapResult::Refused);
        })?;
        Ok(Reconfigured {
            setup,
            next: Some(next),
            _loading: Some(loading),
        })
    }

    async fn load_next(&self, setup: &Setup) -> Result<Next, SwapError> {
        let settings = &setup.settings;
        let read = self.host.read(settings).await;
        let file = read.map_err(|source| self.refused(source))?;
        let configured = file.hex_digest();
        // As after a restart: what was swapped in by hand serves until the file is another one.
        let by_hand = {
            let record = &self.lock().record;
            let is_free = settings.sha256.is_none() && settings.signature.is_none();
            let is_other = record.serving.digest != record.configured;
            (is_free && is_other && record.configured == configured).then(|| record.serving.clone())
        };
        let binary = match by_hand {
            Some(serving) => {
                let kept = self.kept.component(&serving);
                kept.map_err(|source| self.not_kept(source))?
            }
            None => file,
        };
        let main = self.slot.main();
        let candidate = self
            .host
            .load_version(&main.plugin, settings, &binary)
            .await
            .map_err(|source| self.refused(source))?;
        self.rehearse(&main.plugin, candidate.rehearsal(), setup)
            .await?;
        let accepted = candidate.accept(&main.plugin).await;
        let plugin = accepted.map_err(|source| self.refused(source))?;
        let number = {
            let mut state = self.lock();
            state.last_number += 1;
            state.last_number
        };
        Ok(Next {
            generation: Arc::new(Generation {
                number,
                plugin,
                tally: Tally::default(),
            }),
            binary,
            configured,
        })
    }

    /// Lets it serve, from the next batch on.
    ///
    /// # Cancel safety
    /// It may be remembered without serving, as after a crash.
    pub(in crate::pipeline) async fn reconfigure(&self, to: Reconfigured) {
        *self.setup.lock().unwrap_or_else(PoisonError::into_inner) = to.setup;
        let Some(next) = to.next else { return };
        self.end_trial("the module file has changed");
        let number = next.generation.number;
        let record = {
            let before = self.lock().record.clone();
            let serving = version(number, &next.binary);
            Record {
                previous: match before.serving.digest == serving.digest {
                    true => before.previous,
                    false => Some(before.serving),
                },
                serving,
                configured: next.configured,
            }
        };
        let kept = self.kept.remember_apart(record.clone(), next.binary);
        if let Err(error) = kept.await {
            warn!(sink = %self.sink, %error, "the plugin's version cannot be remembered: after a crash the module's file serves");
        }
        self.slot.serve(next.generation);
        self.host.keep_for(&self.sink, record.digests());
        self.host.tidy();
        self.lock().record = record;
        self.stats
            .generation
            .set(usize::try_from(number).unwrap_or(usize::MAX));
        self.stats.swaps.count(SwapResult::Accepted);
        info!(sink = %self.sink, generation = number, "the plugin serves as the module file says now");
    }
}
