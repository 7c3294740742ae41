//! A plugin whose part of the module file has changed: another file, another configuration, other limits or grants.
//!
//! It is prepared as a swap is, and serves when all else that the module changes can be done, too.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::OwnedMutexGuard, time::timeout};
use tracing::info;

use super::{
    Record, SinkPlugin,
    attend::{Watch, stamp},
    version,
};
use crate::{
    config::SinkConfig,
    delivery::{Endpoints, settings::Order},
    metrics::SwapResult,
    plugin::{Binary, Generation, LoadedPlugin, SwapError, settings::PluginSettings},
};

/// How long a reload waits for another version that is being loaded.
const LOADING: Duration = Duration::from_secs(300);

/// What the module says of a plugin, and what its requests are checked by.
#[derive(Debug)]
pub(in crate::pipeline) struct Setup {
    pub(super) settings: PluginSettings,
    pub(super) endpoints: Endpoints,
    pub(super) order: Order,
    /// Of the plugin's file: that of another one says nothing of it.
    watch: Arc<Mutex<Watch>>,
}

impl Setup {
    /// That of a sink, made before the plugin's file is read.
    pub(in crate::pipeline) fn of(sink: &SinkConfig, endpoints: Endpoints) -> Self {
        let watch = Watch::new(stamp(&sink.plugin.source));
        Self {
            settings: sink.plugin.clone(),
            endpoints,
            order: sink.delivery.order,
            watch: Arc::new(Mutex::new(watch)),
        }
    }

    /// Whether the plugin's file is to be read again.
    pub(super) fn is_due(&self) -> bool {
        let now = stamp(&self.settings.source);
        self.watch().is_due(now)
    }

    /// The plugin's file is read now.
    pub(super) fn is_read(&self) {
        let now = stamp(&self.settings.source);
        self.watch().is_read(now);
    }

    fn watch(&self) -> MutexGuard<'_, Watch> {
        self.watch.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A plugin that can serve by another part of a module file; no other version is loaded meanwhile.
#[derive(Debug)]
pub(in crate::pipeline) struct Reconfigured {
    setup: Arc<Setup>,
    next: Option<Next>,
    _loading: Option<Turn>,
}

#[derive(Debug)]
struct Next {
    generation: Arc<Generation<LoadedPlugin>>,
    binary: Binary,
    configured: String,
}

/// No version of a plugin is loaded by anybody else.
pub(in crate::pipeline) type Turn = OwnedMutexGuard<()>;

/// Waits until no other version is loaded.
async fn turn(sink: &Arc<str>, loading: &Arc<tokio::sync::Mutex<()>>) -> Result<Turn, SwapError> {
    if let Ok(turn) = Arc::clone(loading).try_lock_owned() {
        return Ok(turn);
    }
    info!(%sink, limit = ?LOADING, "the reload waits for another version of the plugin that is being loaded");
    let turn = timeout(LOADING, Arc::clone(loading).lock_owned()).await;
    turn.map_err(|_| SwapError::Busy(Arc::clone(sink)))
}

impl SinkPlugin {
    /// Lets nobody else load a version of it.
    ///
    /// # Errors
    /// When somebody does, and takes too long.
    pub(in crate::pipeline) async fn turn(&self) -> Result<Turn, SwapError> {
        turn(&self.sink, &self.loading).await
    }

    /// Loads what `setup` asks for, if that is something else than now, and rehearses it.
    ///
    /// # Errors
    /// When it is refused; nothing has changed then.
    pub(in crate::pipeline) async fn prepare(
        &self,
        setup: Setup,
    ) -> Result<Reconfigured, SwapError> {
        let before = self.setup();
        if before.settings == setup.settings {
            // Its file is not read now.
            let watch = Arc::clone(&before.watch);
            return Ok(Reconfigured {
                setup: Arc::new(Setup { watch, ..setup }),
                next: None,
                _loading: None,
            });
        }
        let loading = self.turn().await?;
        let next = self.load_next(&setup).await.inspect_err(|_| {
            self.stats.swaps.count(SwapResult::Refused);
        })?;
        Ok(Reconfigured {
            setup: Arc::new(setup),
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
            let is_free = settings.sha256.is_none()
                && record.serving.is_let_in_by(settings.signature.as_ref());
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
        Ok(Next {
            generation: self.generation(plugin),
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
        self.try_to_remember(record.clone(), next.binary).await;
        self.install(next.generation, record);
        info!(sink = %self.sink, generation = number, "the plugin serves as the module file says now");
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_version_that_is_loaded_for_ever_is_not_waited_for_so_long() {
        let (sink, loading) = ("t/sink".into(), Arc::default());
        let held = turn(&sink, &loading).await;
        let started = Instant::now();

        let while_held = turn(&sink, &loading).await;
        let waited = started.elapsed();
        drop(held);
        let then = turn(&sink, &loading).await;

        assert!(matches!(while_held, Err(SwapError::Busy(_))));
        assert_eq!(waited, LOADING);
        assert!(then.is_ok());
    }
}
