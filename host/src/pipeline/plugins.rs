//! The plugins of a module that runs: each is replaced without a batch that waits for it, or not at all.
//!
//! A new version is read once, compiled apart, type-checked, configured, and rehearsed on the last batch that came; it is
//! remembered, and then serves from the next batch on. Whatever fails on the way leaves the old one serving.

mod attend;
pub mod canary;
mod kept;
mod open;
mod trial;

pub use attend::attend;
pub use canary::Canary;
pub use kept::{Record, Version};
pub(super) use open::open;

use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

use serde::Serialize;
use tokio::sync::Notify;
use tracing::{info, warn};

use self::{
    attend::Stamp,
    kept::Kept,
    trial::{Trial, TrialStatus},
};
use crate::{
    delivery::{Endpoints, rehearse, settings::Order},
    event::{Event, rfc3339},
    fail_point::FailPoint,
    metrics::{PluginStats, SwapResult},
    plugin::{
        Binary, Generation, LoadError, LoadedPlugin, PluginHost, Shaped, Slot, Tally, differences,
        settings::{PluginSettings, PluginSource},
    },
};

/// How a version comes into service.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum How {
    /// From the next batch on.
    AtOnce,
    /// On a share of the batches first.
    Canary(Canary),
    /// Not at all: this many batches are shaped by both versions, and what the new one makes of them is compared and
    /// thrown away.
    Shadow(u64),
}

/// What a swap came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Swapped {
    /// The version's number.
    pub generation: u64,
    /// SHA-256, in hexadecimal.
    pub digest: String,
    /// What became of it.
    pub state: SwapState,
    /// Events of the last batch, on which it was rehearsed; none if no batch had come.
    pub rehearsed: Option<usize>,
    /// Where its answer to them differs from that of the version before.
    pub differences: Vec<String>,
}

/// Where a version stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SwapState {
    /// It serves already: nothing was done.
    Unchanged,
    /// It serves.
    Serving,
    /// It is tried on a share of the batches.
    Canary,
    /// It is compared.
    Shadow,
}

/// Why a version does not serve; the one before does.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SwapError {
    /// One at a time.
    #[error("another version of the plugin of sink `{0}` is being loaded")]
    Busy(Arc<str>),
    /// It was refused before it was asked anything.
    #[error("the new plugin of sink `{sink}` was refused")]
    Load {
        /// The sink's id.
        sink: Arc<str>,
        /// Why.
        #[source]
        source: Box<LoadError>,
    },
    /// It fails on a batch that the serving version can shape.
    #[error(
        "the new plugin of sink `{sink}` fails on the last batch of {events} events, which the serving one shapes: {reason}"
    )]
    Rehearsal {
        /// The sink's id.
        sink: Arc<str>,
        /// In the batch.
        events: usize,
        /// In words.
        reason: String,
    },
    /// It could not be remembered: after a crash another version would come back.
    #[error("the new plugin of sink `{sink}` could not be written to the state directory")]
    Keep {
        /// The sink's id.
        sink: Arc<str>,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// There is nothing to go back to.
    #[error("the plugin of sink `{0}` has had no version before this one")]
    NoPrevious(Arc<str>),
}

impl SwapError {
    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Busy(_) => Some("wait until it is done".to_owned()),
            Self::Load { source, .. } => source.hint(),
            Self::Rehearsal { .. } => {
                Some("mend the plugin; `--canary` and `--shadow` rehearse first, too".to_owned())
            }
            Self::Keep { .. } => {
                Some("make room in the state directory, and swap again".to_owned())
            }
            Self::NoPrevious(_) => None,
        }
    }
}

/// A sink's plugin, with all that replacing it needs.
#[derive(Debug)]
pub struct SinkPlugin {
    sink: Arc<str>,
    host: Arc<PluginHost>,
    settings: PluginSettings,
    endpoints: Endpoints,
    order: Order,
    slot: Arc<Slot<LoadedPlugin>>,
    kept: Kept,
    stats: Arc<PluginStats>,
    /// Held while a version is loaded.
    loading: tokio::sync::Mutex<()>,
    state: Mutex<State>,
    /// What the module's file looked like before it was read.
    opened: Option<Stamp>,
    /// Something has changed that the plugin's task attends to.
    changed: Notify,
}

#[derive(Debug)]
struct State {
    record: Record,
    /// Numbers are not used twice, not even those of versions that were refused.
    last_number: u64,
    trial: Option<Trial>,
    /// What the last trial came to.
    verdict: Option<String>,
}

/// What can be seen of a sink's plugin.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct PluginStatus {
    /// The sink's id.
    pub sink: String,
    /// The version that serves.
    pub serving: Version,
    /// The one that it can go back to.
    pub previous: Option<Version>,
    /// A version that is tried.
    pub trial: Option<TrialStatus>,
    /// What the last trial came to.
    pub last_trial: Option<String>,
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

    pub(super) fn slot(&self) -> Arc<Slot<LoadedPlugin>> {
        Arc::clone(&self.slot)
    }

    /// What can be seen of it.
    pub fn status(&self) -> PluginStatus {
        let state = self.lock();
        PluginStatus {
            sink: self.sink.to_string(),
            serving: state.record.serving.clone(),
            previous: state.record.previous.clone(),
            trial: state.trial.as_ref().map(Trial::status),
            last_trial: state.verdict.clone(),
        }
    }

    /// Reads a version, where the module says or elsewhere, and lets it serve if nothing speaks against it.
    ///
    /// # Errors
    /// Why the version before serves on.
    pub async fn swap(&self, source: Option<PluginSource>, how: How) -> Result<Swapped, SwapError> {
        let _loading = self.begin()?;
        let read = match source {
            None => self.host.read(&self.settings).await,
            Some(source) => {
                let settings = PluginSettings {
                    source,
                    ..self.settings.clone()
                };
                self.host.read(&settings).await
            }
        };
        let swapped = match read {
            Ok(binary) => self.swap_to(binary, how).await,
            Err(source) => Err(self.refused(source)),
        };
        self.said(swapped)
    }

    /// Goes back to the version before.
    ///
    /// # Errors
    /// When there is none, or it is refused now.
    pub async fn rollback(&self) -> Result<Swapped, SwapError> {
        let _loading = self.begin()?;
        let previous = self.lock().record.previous.clone();
        let Some(previous) = previous else {
            return Err(SwapError::NoPrevious(Arc::clone(&self.sink)));
        };
        let swapped = match self.kept.component(&previous) {
            Ok(binary) => self.swap_to(binary, How::AtOnce).await,
            Err(source) => Err(self.not_kept(source)),
        };
        self.said(swapped)
    }

    fn begin(&self) -> Result<tokio::sync::MutexGuard<'_, ()>, SwapError> {
        let busy = |_| SwapError::Busy(Arc::clone(&self.sink));
        self.loading.try_lock().map_err(busy)
    }

    /// Counts what came of it, and leaves a line.
    fn said(&self, swapped: Result<Swapped, SwapError>) -> Result<Swapped, SwapError> {
        match &swapped {
            Ok(swapped) if swapped.state == SwapState::Unchanged => {}
            Ok(swapped) => {
                let Swapped {
                    generation,
                    digest,
                    rehearsed,
                    differences,
                    state,
                } = swapped;
                info!(sink = %self.sink, generation, %digest, ?state, rehearsed, ?differences, "a new version of the plugin was accepted");
            }
            Err(error) => {
                self.stats.swaps.count(SwapResult::Refused);
                let causes = causes(error);
                warn!(sink = %self.sink, %error, causes, "a new version of the plugin was refused; the one before serves on");
            }
        }
        swapped
    }

    async fn swap_to(&self, binary: Binary, how: How) -> Result<Swapped, SwapError> {
        let main = self.slot.main();
        if main.plugin.digest() == binary.digest {
            // Also what ends a trial: the version that serves is the one that is wanted.
            self.end_trial("another swap has ended it");
            return Ok(Swapped {
                generation: main.number,
                digest: binary.hex_digest(),
                state: SwapState::Unchanged,
                rehearsed: None,
                differences: Vec::new(),
            });
        }
        let plugin = self
            .host
            .load_version(&main.plugin, &self.settings, &binary)
            .await
            .map_err(|source| self.refused(source))?;
        let (rehearsed, differences) = self.rehearse(&main.plugin, &plugin).await?;
        let number = {
            let mut state = self.lock();
            state.last_number += 1;
            state.last_number
        };
        let generation = Arc::new(Generation {
            number,
            plugin,
            tally: Tally::default(),
        });
        let digest = binary.hex_digest();
        self.end_trial("another swap has ended it");
        let state = match how {
            How::AtOnce => {
                self.serve(generation, &binary).await?;
                SwapState::Serving
            }
            How::Canary(canary) => {
                let before = main.tally.counts();
                self.begin_trial(Trial::canary(generation, binary, canary, before));
                SwapState::Canary
            }
            How::Shadow(batches) => {
                self.begin_trial(Trial::shadow(generation, binary, batches));
                SwapState::Shadow
            }
        };
        Ok(Swapped {
            generation: number,
            digest,
            state,
            rehearsed,
            differences,
        })
    }

    /// Lets both versions shape the last batch; the old one may fail on it, too.
    async fn rehearse(
        &self,
        old: &LoadedPlugin,
        new: &LoadedPlugin,
    ) -> Result<(Option<usize>, Vec<String>), SwapError> {
        let Some(events) = self.slot.last_batch() else {
            return Ok((None, Vec::new()));
        };
        let new = rehearse(new, &self.endpoints, self.order, &events).await;
        let old = rehearse(old, &self.endpoints, self.order, &events).await;
        let differences = match (old, new) {
            (Ok(old), Ok(new)) if rejects_all(&new, &events) && !rejects_all(&old, &events) => {
                let reason = new.reject.first().map(|(_, reason)| reason);
                return Err(SwapError::Rehearsal {
                    sink: Arc::clone(&self.sink),
                    events: events.len(),
                    reason: format!("it rejects all of them: {}", reason.map_or("", |it| it)),
                });
            }
            (Ok(old), Ok(new)) => differences(&old, &new),
            (Ok(_), Err(reason)) => {
                return Err(SwapError::Rehearsal {
                    sink: Arc::clone(&self.sink),
                    events: events.len(),
                    reason,
                });
            }
            (Err(reason), Ok(_)) => vec![format!("the version before fails on it: {reason}")],
            (Err(_), Err(reason)) => vec![format!("both versions fail on it: {reason}")],
        };
        Ok((Some(events.len()), differences))
    }

    /// Remembers a version, and lets it serve.
    async fn serve(
        &self,
        generation: Arc<Generation<LoadedPlugin>>,
        binary: &Binary,
    ) -> Result<(), SwapError> {
        // What the module's file is now: a swap by hand holds until that changes.
        let configured = self.host.read(&self.settings).await;
        let record = {
            let state = self.lock();
            Record {
                serving: version(generation.number, binary),
                previous: Some(state.record.serving.clone()),
                configured: configured.map_or_else(
                    |_| state.record.configured.clone(),
                    |binary| binary.hex_digest(),
                ),
            }
        };
        FailPoint::BeforeRemember.pass();
        self.kept
            .remember(&record, binary)
            .map_err(|source| self.not_kept(source))?;
        FailPoint::AfterRemember.pass();
        let number = usize::try_from(generation.number).unwrap_or(usize::MAX);
        self.slot.serve(generation);
        self.lock().record = record;
        self.stats.generation.set(number);
        self.stats.swaps.count(SwapResult::Accepted);
        Ok(())
    }

    fn refused(&self, source: LoadError) -> SwapError {
        SwapError::Load {
            sink: Arc::clone(&self.sink),
            source: Box::new(source),
        }
    }

    fn not_kept(&self, source: io::Error) -> SwapError {
        SwapError::Keep {
            sink: Arc::clone(&self.sink),
            source,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What lies under an error, in a line.
fn causes(error: &SwapError) -> String {
    let first = std::error::Error::source(error);
    let chain = std::iter::successors(first, |error| error.source());
    chain
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}

fn rejects_all(shaped: &Shaped, events: &[Arc<Event>]) -> bool {
    shaped.reject.len() == events.len()
}

fn version(generation: u64, binary: &Binary) -> Version {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let ms = now.map_or(0, |now| u64::try_from(now.as_millis()).unwrap_or(u64::MAX));
    Version {
        generation,
        digest: binary.hex_digest(),
        origin: binary.path.clone(),
        accepted: rfc3339(ms),
    }
}
