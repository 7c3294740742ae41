//! Another version of a sink's plugin: read or sent, loaded, rehearsed, remembered, and served.

use std::{io, path::PathBuf, pin::Pin, sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::time::timeout;
use tracing::{info, warn};

use super::{Record, SinkPlugin, trial::Trial, version};
use crate::{
    causes::explain,
    fail_point::FailPoint,
    metrics::SwapResult,
    oci::Digest,
    plugin::{
        Binary, Generation, How, LoadError, LoadedPlugin, PluginStatus, SourceError, SwapError,
        SwapState, Swapped, Swaps,
    },
};

/// How long a version waits for another that is being loaded.
const MOMENT: Duration = Duration::from_secs(1);

impl Swaps for SinkPlugin {
    fn status(&self) -> PluginStatus {
        let state = self.lock();
        PluginStatus {
            sink: self.sink.to_string(),
            serving: state.record.serving.clone(),
            previous: state.record.previous.clone(),
            trial: state.trial.as_ref().map(Trial::status),
            last_trial: state.verdict.clone(),
        }
    }

    fn swap(
        &self,
        sent: Option<(String, Bytes)>,
        how: How,
    ) -> Pin<Box<dyn Future<Output = Result<Swapped, SwapError>> + Send + '_>> {
        match sent {
            Some((name, component)) => Box::pin(self.swap_sent(name, component, how)),
            None => Box::pin(self.swap_configured(how)),
        }
    }

    fn rollback(&self) -> Pin<Box<dyn Future<Output = Result<Swapped, SwapError>> + Send + '_>> {
        Box::pin(self.go_back())
    }
}

impl SinkPlugin {
    /// Reads the module's component again.
    pub(super) async fn swap_configured(&self, how: How) -> Result<Swapped, SwapError> {
        let _loading = self.begin().await?;
        let read = self.host.read(&self.setup().settings).await;
        self.swap_read(read, how).await
    }

    /// Reads the module's component again, and takes it if it is another one than it was: a version that was swapped in, or gone
    /// back to, by hand holds until then.
    pub(super) async fn take_changed(&self) -> Result<(), SwapError> {
        let _loading = self.begin().await?;
        let read = self.host.read(&self.setup().settings).await;
        let is_known = |binary: &Binary| binary.hex_digest() == self.lock().record.configured;
        if read.as_ref().is_ok_and(is_known) {
            return Ok(());
        }
        self.swap_read(read, How::AtOnce).await.map(drop)
    }

    /// Takes the module's component, as it was read.
    async fn swap_read(
        &self,
        read: Result<Binary, LoadError>,
        how: How,
    ) -> Result<Swapped, SwapError> {
        let swapped = match read {
            Ok(binary) => {
                let configured = Some(binary.digest);
                self.swap_to(binary, how, configured).await
            }
            Err(source) => Err(self.refused(source)),
        };
        self.said(swapped)
    }

    async fn swap_sent(
        &self,
        name: String,
        component: Bytes,
        how: How,
    ) -> Result<Swapped, SwapError> {
        let _loading = self.begin().await?;
        let setup = self.setup();
        let limit = setup.settings.limits.size;
        let path = PathBuf::from(name);
        let swapped = if setup.settings.signature.is_some() {
            Err(SwapError::Unsigned(Arc::clone(&self.sink)))
        } else if component.len() as u64 > limit {
            Err(self.refused(SourceError::TooLarge { path, limit }.into()))
        } else {
            self.swap_to(Binary::new(path, component), how, None).await
        };
        self.said(swapped)
    }

    async fn go_back(&self) -> Result<Swapped, SwapError> {
        let _loading = self.begin().await?;
        if self.end_trial("it was ended by a rollback") {
            info!(sink = %self.sink, "the version that was tried goes; the one that serves goes on");
            return Ok(self.serves_on(SwapState::TrialEnded));
        }
        let previous = self.lock().record.previous.clone();
        let Some(previous) = previous else {
            return Err(SwapError::NoPrevious(Arc::clone(&self.sink)));
        };
        if !previous.is_let_in_by(self.setup().settings.signature.as_ref()) {
            return Err(SwapError::Unverified(Arc::clone(&self.sink)));
        }
        let swapped = match self.kept.component(&previous) {
            Ok(binary) => self.swap_to(binary, How::AtOnce, None).await,
            Err(source) => Err(self.not_kept(source)),
        };
        self.said(swapped)
    }

    /// A version is loaded now. One that is under way is given a moment: most files are as they were.
    async fn begin(&self) -> Result<tokio::sync::MutexGuard<'_, ()>, SwapError> {
        let busy = |_| SwapError::Busy(Arc::clone(&self.sink));
        timeout(MOMENT, self.loading.lock()).await.map_err(busy)
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
                let error = explain(&error);
                warn!(sink = %self.sink, error, "a new version of the plugin was refused; the one before serves on");
            }
        }
        swapped
    }

    /// `configured` is the digest of what the module names, where it was just read.
    async fn swap_to(
        &self,
        binary: Binary,
        how: How,
        configured: Option<Digest>,
    ) -> Result<Swapped, SwapError> {
        let main = self.slot.main();
        if main.plugin.digest() == binary.digest {
            // Also what ends a trial: the version that serves is the one that is wanted.
            self.end_trial("another swap has ended it");
            return Ok(self.serves_on(SwapState::Unchanged));
        }
        let setup = self.setup();
        let candidate = self
            .host
            .load_version(&main.plugin, &setup.settings, &binary)
            .await
            .map_err(|source| self.refused(source))?;
        let rehearsing = self.rehearse(&main.plugin, candidate.rehearsal(), &setup);
        let (rehearsed, differences) = rehearsing.await?;
        let plugin = match how {
            How::Shadow(_) => candidate.into_rehearsal(),
            How::AtOnce | How::Canary(_) => {
                let accepted = candidate.accept(&main.plugin).await;
                accepted.map_err(|source| self.refused(source))?
            }
        };
        let generation = self.generation(plugin);
        let number = generation.number;
        let digest = binary.hex_digest();
        self.end_trial("another swap has ended it");
        let state = match how {
            How::AtOnce => {
                self.serve(generation, &binary, configured).await?;
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

    /// That nothing comes of it but that the version that serves goes on.
    fn serves_on(&self, state: SwapState) -> Swapped {
        let serving = &self.lock().record.serving;
        Swapped {
            generation: serving.generation,
            digest: serving.digest.clone(),
            state,
            rehearsed: None,
            differences: Vec::new(),
        }
    }

    /// Remembers a version, and lets it serve.
    pub(super) async fn serve(
        &self,
        generation: Arc<Generation<LoadedPlugin>>,
        binary: &Binary,
        configured: Option<Digest>,
    ) -> Result<(), SwapError> {
        // What the module's file is now: a swap by hand holds until that changes.
        let configured = match configured {
            Some(digest) => Some(digest),
            None => self
                .host
                .read(&self.setup().settings)
                .await
                .ok()
                .map(|binary| binary.digest),
        };
        let record = {
            let state = self.lock();
            let before = &state.record;
            Record {
                serving: version(generation.number, binary),
                previous: Some(before.serving.clone()),
                configured: configured
                    .map_or_else(|| before.configured.clone(), |digest| digest.hex()),
            }
        };
        FailPoint::BeforeRemember.pass();
        let kept = self.kept.remember_apart(record.clone(), binary.clone());
        kept.await.map_err(|source| self.not_kept(source))?;
        FailPoint::AfterRemember.pass();
        self.install(generation, record);
        Ok(())
    }

    pub(super) fn refused(&self, source: LoadError) -> SwapError {
        SwapError::Load {
            sink: Arc::clone(&self.sink),
            source: Box::new(source),
        }
    }

    pub(super) fn not_kept(&self, source: io::Error) -> SwapError {
        SwapError::Keep {
            sink: Arc::clone(&self.sink),
            source,
        }
    }
}
